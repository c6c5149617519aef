//! CLIENT: who is connected, and what to do about it.

mod kill;
mod list;
pub mod tracking;

use super::notes::{Notes, at};
use super::table::Group;
use super::{Args, Command, Cx, Error, Flags, help};
use crate::session::mail::{Mail, Unblock};
use crate::session::pause::PauseKind;
use crate::session::{Flag, Gates, ReplyMode};

const ANY: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = ANY.and(Flags::ADMIN);
const CONN: &[&str] = &["connection"];
const ADMIN_CONN: &[&str] = &["connection", "dangerous"];

const fn sub(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Connection, run).flags(ANY).acl(CONN)
}

const fn admin(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Connection, run).flags(ADMIN).acl(ADMIN_CONN)
}

static SUBCOMMANDS: &[Command] = &[
    sub("caching", 3, tracking::caching).notes(&CACHING).doc(
        "6.0.0",
        "<YES | NO>",
        "Says whether the keys that the next command reads are tracked.",
    ),
    sub("getname", 2, getname).doc("2.6.9", "", "Replies with the connection's name."),
    sub("getredir", 2, tracking::getredir).doc(
        "6.0.0",
        "",
        "Replies with the client that invalidation messages are redirected to.",
    ),
    help::row(Group::Connection, "5.0.0").acl(CONN),
    sub("id", 2, id).doc("5.0.0", "", "Replies with the connection's number."),
    sub("info", 2, info).tips(UNSTEADY).doc("6.2.0", "", "Describes the connection."),
    admin("kill", -3, kill::kill).notes(&KILL).cost("O(N) with the number of clients").doc(
        "2.4.0",
        "<ip:port | [ID client-id] [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [USER username] \
         [ADDR ip:port] [LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE seconds]>",
        "Closes connections.",
    ),
    admin("list", -2, list::list)
        .tips(UNSTEADY)
        .notes(&LIST)
        .cost("O(N) with the number of clients")
        .doc(
            "2.4.0",
            "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
            "Describes connections, one a line.",
        ),
    admin("no-evict", 3, no_evict).notes(&NO_EVICT).doc(
        "7.0.0",
        "<ON | OFF>",
        "Exempts the connection from maxmemory-clients.",
    ),
    sub("no-touch", 3, no_touch).doc(
        "7.2.0",
        "<ON | OFF>",
        "Lets the connection read without changing how recently keys were used.",
    ),
    admin("pause", -3, pause).notes(&PAUSE).doc(
        "2.9.50",
        "timeout [WRITE | ALL]",
        "Holds back all commands, or those that write, for some milliseconds.",
    ),
    sub("reply", 3, reply).doc("3.2.0", "<ON | OFF | SKIP>", "Silences replies."),
    sub("setinfo", 4, setinfo).doc(
        "7.2.0",
        "<LIB-NAME libname | LIB-VER libver>",
        "Tells which library the client uses.",
    ),
    sub("setname", 3, setname).doc("2.6.9", "connection-name", "Names the connection."),
    sub("tracking", -3, tracking::tracking)
        .notes(&TRACKING)
        .cost("O(1), and some more for each prefix")
        .doc(
            "6.0.0",
            "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] \
             [OPTOUT] [NOLOOP]",
            "Lets the server tell when keys change that the connection has copies of.",
        ),
    sub("trackinginfo", 2, tracking::trackinginfo).doc(
        "6.2.0",
        "",
        "Describes the connection's tracking of keys.",
    ),
    admin("unblock", -3, unblock).cost("O(log N) with the number of clients").doc(
        "5.0.0",
        "client-id [TIMEOUT | ERROR]",
        "Ends another client's blocking command.",
    ),
    admin("unpause", 2, unpause).doc("6.2.0", "", "Ends CLIENT PAUSE."),
];

/// The rows.
pub static CLIENT: &[Command] = &[Command::container("client", Group::Connection, SUBCOMMANDS)
    .doc("2.4.0", "", "Connections: names, lists, limits.")];

const UNSTEADY: &[&str] = &["nondeterministic_output"];
const CACHING: Notes = Notes::args(&[at("yes_no").name("mode")]);
const NO_EVICT: Notes = Notes::args(&[at("on_off").name("enabled")]);
const KILL: Notes = Notes::history(&[
    ("2.8.12", "Filters, of which several may stand together."),
    ("2.8.12", "The filter `ID`."),
    ("3.2.0", "The type `master`."),
    ("5.0.0", "The type `replica`, which was `slave`; that is still understood."),
    ("6.2.0", "The filter `LADDR`."),
]);
const LIST: Notes = Notes::args(&[at("TYPE").since("5.0.0"), at("ID").since("6.2.0")]).changed(&[
    ("2.8.12", "The field `id`."),
    ("5.0.0", "The filter `TYPE`."),
    ("6.0.0", "The field `user`."),
    ("6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`; the filter `ID`."),
    ("7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."),
    ("7.0.3", "The field `ssub`."),
]);
const TRACKING: Notes = Notes::args(&[at("on_off").name("status")]);
const PAUSE: Notes =
    Notes::args(&[at("timeout").kind("integer"), at("write_all").name("mode").since("6.2.0")])
        .changed(&[("6.2.0", "The option `WRITE`.")]);

/// A name that may stand in CLIENT LIST.
pub fn valid_name(name: &[u8]) -> Result<Vec<u8>, Error> {
    let text = "ERR Client names cannot contain spaces, newlines or special characters.";
    if is_plain(name) { Ok(name.to_vec()) } else { Err(Error::new(text)) }
}

fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// `ON` or `OFF` as the third argument.
fn on_or_off(args: Args<'_>) -> Result<bool, Error> {
    match (args.is(2, "ON"), args.is(2, "OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Error::Syntax),
    }
}

fn integer(text: &[u8]) -> Option<i64> {
    crate::types::number::parse_i64(text)
}

fn getname(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    match cx.session.client.name() {
        name if name.is_empty() => cx.reply.null(),
        name => cx.reply.bulk(&name),
    }
    Ok(())
}

fn setname(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    cx.session.client.set_name(valid_name(args.get(2))?);
    cx.reply.ok();
    Ok(())
}

fn setinfo(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let value = args.get(3);
    let name = match (args.is(2, "lib-name"), args.is(2, "lib-ver")) {
        (true, _) => "lib-name",
        (_, true) => "lib-ver",
        _ => {
            let text = [b"ERR Unrecognized option '".as_slice(), args.get(2), b"'"].concat();
            return Err(Error::Bytes(text));
        }
    };
    if !is_plain(value) {
        let text = "cannot contain spaces, newlines or special characters.";
        return Err(format!("ERR {name} {text}").into());
    }
    let value = Some(value.to_vec());
    match name {
        "lib-name" => cx.session.client.set_library(value, None),
        _ => cx.session.client.set_library(None, value),
    }
    cx.reply.ok();
    Ok(())
}

fn id(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.int(i64::try_from(cx.session.client.id).unwrap_or(i64::MAX));
    Ok(())
}

fn info(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let mut text = list::describe(&cx.session.client, cx.db.now);
    text.push(b'\n');
    cx.reply.verbatim("txt", &text);
    Ok(())
}

fn reply(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mode = match args.get(2).to_ascii_lowercase().as_slice() {
        b"on" => ReplyMode::On,
        b"off" => ReplyMode::Off,
        // Nothing to skip while there are no replies at all.
        b"skip" if cx.session.reply_mode == ReplyMode::Off => ReplyMode::Off,
        b"skip" => ReplyMode::SkipNext,
        _ => return Err(Error::Syntax),
    };
    cx.session.reply_mode = mode;
    cx.session.gate(Gates::REPLY, mode != ReplyMode::On);
    if mode == ReplyMode::On {
        cx.reply.ok();
    }
    Ok(())
}

fn no_evict(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    cx.session.client.flag(Flag::NO_EVICT, on_or_off(args)?);
    cx.reply.ok();
    enforce_memory(cx);
    Ok(())
}

/// Closes the greatest clients if all together pass `maxmemory-clients`.
pub fn enforce_memory(cx: &Cx<'_>) {
    let config = cx.shared.config.get();
    if let Some(limit) = config.maxmemory_clients.limit(config.maxmemory) {
        let killed = cx.shared.clients.enforce(limit);
        super::run::worker(cx).add(crate::metrics::Stat::EvictedClients, killed);
    }
}

fn no_touch(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let on = on_or_off(args)?;
    cx.session.gate(Gates::NO_TOUCH, on);
    cx.session.client.flag(Flag::NO_TOUCH, on);
    cx.db.policy.no_touch = on;
    cx.reply.ok();
    Ok(())
}

fn pause(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let kind = match args.len() {
        3 => PauseKind::All,
        4 if args.is(3, "WRITE") => PauseKind::Write,
        4 if args.is(3, "ALL") => PauseKind::All,
        4 => return Err(Error::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(Error::Syntax),
    };
    let Some(ms) = integer(args.get(2)) else {
        return Err(Error::new("ERR timeout is not an integer or out of range"));
    };
    if ms < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    let Some(until) = cx.db.now.checked_add(ms) else {
        return Err(Error::new("ERR timeout is out of range"));
    };
    cx.shared.conditions.pause(kind, until);
    cx.reply.ok();
    Ok(())
}

fn unpause(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    if cx.shared.conditions.unpause() {
        cx.shared.clients.tell_all(|| Mail::Resume);
    }
    cx.reply.ok();
    Ok(())
}

fn unblock(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let how = match args.len() {
        3 => Unblock::Timeout,
        4 if args.is(3, "TIMEOUT") => Unblock::Timeout,
        4 if args.is(3, "ERROR") => Unblock::Error,
        4 => {
            return Err(Error::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
        _ => return Err(Error::Arity),
    };
    let id = integer(args.get(2)).ok_or(Error::NotAnInteger)?;
    let client = u64::try_from(id).ok().and_then(|id| cx.shared.clients.find(id));
    let client = client.filter(|client| client.unblock());
    cx.reply.int(i64::from(client.is_some()));
    if let Some(client) = client {
        cx.shared.clients.tell(&client, Mail::Unblock(client.clone(), how));
    }
    Ok(())
}

//! MULTI, EXEC, DISCARD, WATCH and UNWATCH.
//!
//! Between MULTI and EXEC commands pass all gates ([`super::run`]) and are queued. EXEC is one step
//! for everybody else, by one of two means:
//!
//! - Usually the rows tell all keys that the queued commands touch. Their stripes and those of the
//!   watched keys are held while the commands run, so transactions without common stripes run
//!   beside each other. A key has the same stripe in every database, so SELECT, MOVE and COPY need
//!   nothing beyond that.
//! - If keys cannot be told (FLUSHALL, SCAN, SORT BY, DEBUG…) nobody else is in the keyspace
//!   meanwhile ([`crate::db::Access::seize`]).
//!
//! Whether a watched key has changed is looked at under its stripe, so that it cannot change between
//! the look and the last command.

use super::table::{Begin, Find, Group, table};
use super::{
    Args, Command, Cx, Error, Flags, KeySpec, Row, blocking, keys_of, run, scripting, waits,
};
use crate::db::{Key, Watcher, Watching};
use crate::session::multi::{Multi, both};
use crate::session::pause::Conditions;
use crate::session::{After, Client};
use std::sync::Arc;

const ANY: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const QUICK: Flags = ANY.and(Flags::FAST).and(Flags::ALLOW_BUSY);
const AT_ONCE: Flags = QUICK.and(Flags::NOT_QUEUED);
const ACL: &[&str] = &["transaction"];

/// The rows.
pub static COMMANDS: &[Command] = &[
    Command::new("discard", 1, Group::Transactions, discard)
        .flags(AT_ONCE)
        .acl(ACL)
        .doc("2.0.0", "", "Forgets the commands queued since MULTI.")
        .cost("O(N), N being the number of queued commands."),
    Command::new("exec", 1, Group::Transactions, exec)
        .flags(ANY.and(Flags::SKIP_SLOWLOG).and(Flags::NOT_QUEUED).and(Flags::SHOWS_ITSELF))
        .acl(ACL)
        .doc("1.2.0", "", "Runs the commands queued since MULTI, as one step.")
        .cost("That of the queued commands."),
    Command::new("multi", 1, Group::Transactions, multi).flags(AT_ONCE).acl(ACL).doc(
        "1.2.0",
        "",
        "Begins a transaction: the commands that follow are queued.",
    ),
    Command::new("unwatch", 1, Group::Transactions, unwatch).flags(QUICK).acl(ACL).doc(
        "2.2.0",
        "",
        "Watches no key any more.",
    ),
    Command::new("watch", -2, Group::Transactions, watch)
        .flags(AT_ONCE)
        .acl(ACL)
        .keys(&[KeySpec::range(1, -1, 1, &["RO"])])
        .doc("2.2.0", "key [key ...]", "Makes the next EXEC depend on keys not having changed.")
        .cost("O(1) for each key."),
];

impl Watcher for Client {
    fn touched(&self) {
        self.flag(crate::session::Flag::DIRTY, true);
    }
}

fn multi(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    if cx.session.multi.is_some() {
        return Err(Error::new("ERR MULTI calls can not be nested"));
    }
    cx.session.begin_multi();
    cx.reply.ok();
    Ok(())
}

fn discard(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    if cx.session.end_multi().is_none() {
        return Err(Error::new("ERR DISCARD without MULTI"));
    }
    cx.session.unwatch();
    cx.reply.ok();
    Ok(())
}

fn watch(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if cx.session.multi.is_some() {
        return Err(Error::new("ERR WATCH inside MULTI is not allowed"));
    }
    // Once one has changed EXEC will fail whatever else is watched.
    if !cx.session.is_dirty() {
        let client = Arc::clone(&cx.session.client) as Arc<dyn Watcher>;
        let keyspace = &cx.shared.keyspace;
        let watching = cx.session.watching.take();
        let mut watching =
            watching.unwrap_or_else(|| Box::new(Watching::new(Arc::clone(keyspace), client)));
        args.iter().skip(1).for_each(|key| cx.db.write(Key::new(key)).watch(&mut watching));
        cx.session.watched(watching.len());
        cx.session.watching = Some(watching);
    }
    cx.reply.ok();
    Ok(())
}

fn unwatch(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.session.unwatch();
    cx.reply.ok();
    Ok(())
}

/// Whether a command is to be queued now rather than run.
pub fn is_queueing(cx: &Cx<'_>, row: &Row) -> bool {
    cx.session.multi.is_some() && !row.command.flags.has(Flags::NOT_QUEUED)
}

/// Queues the command that was admitted.
pub fn queue(cx: &mut Cx<'_>, args: Args<'_>) {
    let doomed = cx.session.is_dirty();
    let flags = scripting::flags(cx, cx.row, args);
    if let Some(multi) = &mut cx.session.multi {
        // A queue that will never run is not worth its memory.
        if !multi.spoiled && !doomed {
            multi.push(cx.row.id, flags.0, args);
            cx.session.show_multi();
        }
    }
    cx.reply.simple("QUEUED");
}

/// The properties of what would run now: of EXEC those of the queued commands too.
pub fn flags(cx: &Cx<'_>, row: &Row) -> Flags {
    match &cx.session.multi {
        Some(multi) if is_exec(row) => row.command.flags.and(Flags(multi.flags)),
        _ => row.command.flags,
    }
}

pub(super) fn is_exec(row: &Row) -> bool {
    row.command.flags.has(Flags::SHOWS_ITSELF.and(Flags::NOT_QUEUED))
}

/// A command was refused: inside MULTI that spoils the whole transaction, and if it is EXEC itself
/// ends it. Returns what to say.
pub fn refused(cx: &mut Cx<'_>, row: Option<&Row>, error: &Error) -> Option<Error> {
    if row.is_some_and(is_exec) {
        cx.session.end_multi();
        cx.session.unwatch();
        return Some(aborted(error));
    }
    if let Some(multi) = &mut cx.session.multi {
        multi.spoiled = true;
    }
    None
}

/// What EXEC says when it could not run because of `error`.
fn aborted(error: &Error) -> Error {
    let why = b"EXECABORT Transaction discarded because of: ".as_slice();
    let text = error.text();
    let text = text.strip_prefix(b"ERR ").unwrap_or(&text);
    Error::Bytes([why, text].concat())
}

fn exec(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(multi) = cx.session.end_multi() else {
        return Err(Error::new("ERR EXEC without MULTI"));
    };
    let (row, hash) = (cx.row, cx.hash);
    let result = if multi.spoiled {
        Err(Error::new("EXECABORT Transaction discarded because of previous errors."))
    } else {
        in_one_step(cx, &multi)
    };
    cx.session.unwatch();
    (cx.row, cx.hash) = (row, hash);
    if cx.shared.conditions.bits() & Conditions::MONITORED != 0 {
        run::show(cx, args);
    }
    result
}

/// Runs the queue so that it is one step for everybody else.
fn in_one_step(cx: &mut Cx<'_>, multi: &Multi) -> Result<(), Error> {
    let watching = cx.session.watching.take();
    cx.session.watched(0);
    let keys = keys(multi).map(|mut keys| {
        keys.extend(watching.iter().flat_map(|watching| watching.keys()));
        keys
    });
    let work = |cx: &mut Cx<'_>| {
        let intact = watching.as_ref().is_none_or(|watching| watching.is_intact(&mut cx.db));
        if intact && !cx.session.is_dirty() {
            run_all(cx, multi);
        } else {
            cx.reply.null_array();
        }
    };
    let mut done = blocking::in_step(cx, keys.as_deref(), work);
    while done.is_none() && !waits::is_busy(cx) {
        // A script has reserved stripes since this began. It will end, or be busy.
        done = blocking::in_step(cx, keys.as_deref(), work);
    }
    drop(keys);
    cx.session.watching = watching; // its stripes are free again, to be unwatched under
    done.ok_or_else(|| aborted(&scripting::busy(cx)))
}

/// Whether EXEC can only be run by who is alone in the keyspace.
pub fn needs_all(cx: &Cx<'_>) -> bool {
    cx.session.multi.as_ref().is_some_and(|multi| keys(multi).is_none())
}

/// Whether EXEC would have to wait for stripes that scripts hold for long.
pub fn exec_meets_reserved(cx: &Cx<'_>) -> bool {
    let Some(multi) = &cx.session.multi else { return false };
    let Some(mut keys) = keys(multi) else { return cx.db.keyspace.has_reserved() };
    keys.extend(cx.session.watching.iter().flat_map(|watching| watching.keys()));
    cx.db.meets_reserved(&keys)
}

fn run_all(cx: &mut Cx<'_>, multi: &Multi) {
    cx.reply.array(multi.queue.len());
    let errors = cx.reply.errors();
    cx.session.in_exec = true;
    let mut after = After::Continue;
    for queued in &multi.queue {
        if let Some(row) = table().rows.get(usize::from(queued.row)) {
            after = both(after, run::queued(cx, row, queued.args.view()));
        }
    }
    cx.session.in_exec = false;
    cx.reply.counted(errors); // to the commands' account, not EXEC's
    cx.session.after = after;
}

/// All keys that the queue touches; none if they cannot be told.
fn keys(multi: &Multi) -> Option<Vec<Key<'_>>> {
    let mut keys = Vec::new();
    let mut found = Vec::new();
    for queued in &multi.queue {
        let row = table().rows.get(usize::from(queued.row))?;
        if row.command.group == Group::Scripting {
            return None; // scripts touch what they like
        }
        let args = queued.args.view();
        if !names_its_keys(row, args, &mut found) {
            return None;
        }
        keys.extend(found.iter().map(|key| Key::new(args.get(key.at))));
    }
    Some(keys)
}

/// Whether the keys in `found`, which it puts there, are all that a command touches.
pub(super) fn names_its_keys(row: &Row, args: Args<'_>, found: &mut Vec<keys_of::Key>) -> bool {
    found.clear();
    let known = keys_of::keys_of(row.command, args, found).is_ok();
    known && (is_keyless(row) || !found.is_empty()) && !is_open(row.command)
}

/// Whether a command may touch keys that are not among its arguments.
pub(super) fn is_open(command: &Command) -> bool {
    let open = |spec: &KeySpec| {
        spec.begin == Begin::Unknown
            || spec.find == Find::Unknown
            || spec.flags.contains(&"INCOMPLETE")
    };
    command.keys.iter().any(open)
}

/// Commands without keys that leave the keyspace alone, beside those about connections.
const KEYLESS: &[&str] = &[
    "command", "config", "info", "lastsave", "latency", "lolwut", "role", "slowlog", "time", "wait",
];

/// Whether it is a command without keys that leaves the keyspace alone.
pub(super) fn is_keyless(row: &Row) -> bool {
    let top = row.parent.and_then(|id| table().rows.get(usize::from(id))).unwrap_or(row).command;
    matches!(top.group, Group::Connection | Group::Transactions | Group::Pubsub)
        || KEYLESS.contains(&top.name)
}

//! SCRIPT.

use super::super::notes::{Notes, at};
use super::super::table::Group;
use super::super::{Args, Command, Cx, Error, Flags, help};
use super::catalog::Seat;
use super::eval::with_interpreter;
use crate::resp::Reply;

const ACL: &[&str] = &["scripting"];

const fn row(name: &'static str, arity: i16, run: super::super::table::Handler) -> Command {
    Command::new(name, arity, Group::Scripting, run).flags(Flags::NOSCRIPT).acl(ACL)
}

static SUBCOMMANDS: &[Command] = &[
    row("debug", 3, debug).notes(&DEBUG).doc(
        "3.2.0",
        "<YES | SYNC | NO>",
        "Turns the debugger for scripts off: there is none.",
    ),
    row("exists", -3, exists)
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
        .doc("2.6.0", "sha1 [sha1 ...]", "Says which scripts are known.")
        .cost("O(N), N being the number of scripts."),
    row("flush", -2, flush)
        .notes(&FLUSH)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("2.6.0", "[ASYNC | SYNC]", "Forgets all scripts.")
        .cost("O(N), N being the number of scripts."),
    help::row(Group::Scripting, "5.0.0").acl(ACL),
    row("kill", 2, kill)
        .flags(Flags::NOSCRIPT.and(Flags::ALLOW_BUSY))
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .doc("2.6.0", "", "Ends a running script that has written nothing."),
    row("load", 3, load)
        .flags(Flags::NOSCRIPT.and(Flags::STALE))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("2.6.0", "script", "Remembers a script and replies with its SHA1.")
        .cost("O(N), N being the length of the script."),
    row("show", 3, show).doc("valkey 8.0.0", "sha1", "Replies with the text of a script."),
];

const DEBUG: Notes = Notes::args(&[at("yes_sync_no").name("mode")]);
const FLUSH: Notes = Notes::args(&[at("async_sync").name("async").since("6.2.0")])
    .changed(&[("6.2.0", "`ASYNC` and `SYNC`.")]);

pub const SCRIPT: Command =
    Command::container("script", Group::Scripting, SUBCOMMANDS).doc("2.6.0", "", "Known scripts.");

fn debug(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.is(2, "NO") {
        cx.reply.ok();
        return Ok(());
    }
    if args.is(2, "YES") || args.is(2, "SYNC") {
        return Err(Error::new("ERR There is no debugger for scripts"));
    }
    Err(Error::new("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn exists(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    cx.reply.array(args.len() - 2);
    for sha in args.iter().skip(2) {
        let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
        cx.reply.int(i64::from(cx.shared.catalog.script(&sha).is_some()));
    }
    Ok(())
}

fn flush(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    // Texts are freed here and what was compiled of them by each worker: both are short.
    let known = args.len() == 2 || args.len() == 3 && (args.is(2, "SYNC") || args.is(2, "ASYNC"));
    if !known {
        return Err(Error::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    cx.shared.catalog.flush_scripts();
    cx.reply.ok();
    Ok(())
}

fn load(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let ready = with_interpreter(cx, |cx, interpreter| {
        interpreter.script(&cx.shared.catalog, args.get(2), true).map_err(Error::Bytes)
    })?;
    cx.reply.bulk(ready.script.sha.as_bytes());
    Ok(())
}

fn show(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let sha = String::from_utf8_lossy(args.get(2)).to_ascii_lowercase();
    let script = cx.shared.catalog.script(&sha);
    let unknown = Error::new("NOSCRIPT No matching script. Please use EVAL.");
    cx.reply.bulk_shared(script.ok_or(unknown)?.text.clone());
    Ok(())
}

fn kill(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    end(cx.shared.catalog.running(), false, cx.reply)
}

/// SCRIPT KILL and FUNCTION KILL.
pub fn end<'a>(
    busy: impl Iterator<Item = &'a Seat>,
    function: bool,
    reply: &mut Reply,
) -> Result<(), Error> {
    let mut result = Err(Error::new("NOTBUSY No scripts in execution right now."));
    for seat in busy {
        if seat.is(Seat::FUNCTION) != function {
            result = result.or(Err(busy_with(!function)));
        } else if seat.kill() {
            result = Ok(());
        } else {
            result = result.or(Err(Error::new(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. \
                 You can either wait the script termination or kill the server in a hard way using \
                 the SHUTDOWN NOSAVE command.",
            )));
        }
    }
    if result.is_ok() {
        reply.ok();
    }
    result
}

/// What is said to whom a script that runs for long keeps waiting.
pub fn busy(cx: &Cx<'_>) -> Error {
    busy_with(cx.shared.catalog.busy().next().is_some_and(|seat| seat.is(Seat::FUNCTION)))
}

/// The same, by what runs.
pub fn busy_with(function: bool) -> Error {
    Error::new(if function {
        "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
    } else {
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    })
}

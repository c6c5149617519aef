//! SLOWLOG: the last commands that took long. What is kept, and how it is cut to size, is settled in
//! [`crate::metrics::slowlog`]; here it is only shown.

use super::notes::Notes;
use super::table::{Group, Handler};
use super::{Args, Command, Cx, Error, Flags, help};
use crate::types::number;

const FLAGS: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE);
const TIPS: &[&str] = &["request_policy:all_nodes", "nondeterministic_output"];

const fn sub(name: &'static str, arity: i16, run: Handler) -> Command {
    Command::new(name, arity, Group::Server, run).flags(FLAGS)
}

static SUBCOMMANDS: &[Command] = &[
    sub("get", -2, get)
        .notes(&GET)
        .doc(
            "2.2.12",
            "[count]",
            "Lists slow commands, the newest first: ten, `count`, or all for -1.",
        )
        .cost("O(N) in the number of entries listed")
        .tips(TIPS),
    help::row(Group::Server, "6.2.0"),
    sub("len", 2, len).doc("2.2.12", "", "Counts the entries of the slow log.").tips(&[
        "request_policy:all_nodes",
        "response_policy:agg_sum",
        "nondeterministic_output",
    ]),
    sub("reset", 2, reset)
        .doc("2.2.12", "", "Empties the slow log.")
        .cost("O(N) in the number of entries")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::container("slowlog", Group::Server, SUBCOMMANDS).doc(
    "2.2.12",
    "",
    "The last commands that took long.",
)];

const GET: Notes = Notes::history(&[("4.0.0", "Entries tell the client's address and name.")]);

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(help::wrong(args));
    }
    let count = match args.opt(2) {
        None => Some(10),
        Some(text) => {
            count(text).ok_or(Error::new("ERR count should be greater than or equal to -1"))?
        }
    };
    let entries = cx.shared.metrics.slowlog.newest(count);
    cx.reply.array(entries.len());
    for entry in entries {
        cx.reply.array(6);
        cx.reply.int(i64::try_from(entry.id).unwrap_or(i64::MAX));
        cx.reply.int(entry.at);
        cx.reply.int(i64::try_from(entry.micros).unwrap_or(i64::MAX));
        cx.reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| cx.reply.bulk(arg));
        cx.reply.bulk(entry.peer.as_bytes());
        cx.reply.bulk(&entry.name);
    }
    Ok(())
}

/// How many entries are asked for: outer none for nonsense, inner none for all.
#[allow(clippy::option_option)] // two answers of different meaning
fn count(text: &[u8]) -> Option<Option<usize>> {
    match number::parse_i64(text)? {
        -1 => Some(None),
        n => usize::try_from(n).ok().map(Some),
    }
}

fn len(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.count(cx.shared.metrics.slowlog.len());
    Ok(())
}

fn reset(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.shared.metrics.slowlog.clear();
    cx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn counts() {
        assert_eq!(count(b"-1"), Some(None));
        assert_eq!(count(b"0"), Some(Some(0)));
        for text in [b"-2".as_slice(), b"x", b"", b"99999999999999999999"] {
            assert_eq!(count(text), None);
        }
    }
}

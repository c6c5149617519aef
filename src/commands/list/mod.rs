//! Lists: the rows. `place` has what the commands do to a list, `read`, `write` and `moves` the
//! commands themselves.

mod block;
mod moves;
mod place;
mod read;
mod write;

use super::ahead::Ahead;
use super::notes::{Notes, at};
use super::table::ANY;
use super::table::{Begin, Find, Handler};
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec};
use crate::types::list::End;
pub(super) use place::{Tools, View};

const PUSH: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);
const CHANGE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const POP: Flags = Flags::WRITE.and(Flags::FAST);
const WAIT: Flags = Flags::WRITE.and(Flags::BLOCKING);
/// The older ones of those that wait are refused in scripts; the newer ones just do not wait there.
const ALONE: Flags = Flags::BLOCKING.and(Flags::NOSCRIPT);
const RO: &[KeySpec] = &[KeySpec::one(1, &["RO"])];
const READ: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const INSERT: &[KeySpec] = &[KeySpec::one(1, &["RW", "INSERT"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];
const TAKE: &[KeySpec] = &[KeySpec::one(1, TAKES)];
const TAKES: &[&str] = &["RW", "ACCESS", "DELETE"];
const MOVE: &[KeySpec] = &[KeySpec::one(1, TAKES), KeySpec::one(2, &["RW", "INSERT"])];
const TAKE_ALL: &[KeySpec] = &[KeySpec::range(1, -2, 1, TAKES)];
const TAKE_ANY: &[KeySpec] = &[numbered(1)];
const TAKE_ANY_LATER: &[KeySpec] = &[numbered(2)];

/// Keys behind their number, which is argument `at`.
const fn numbered(at: i16) -> KeySpec {
    let find = Find::KeyNum { count: 0, first: 1, step: 1 };
    KeySpec { begin: Begin::Index(at), find, flags: TAKES, note: "" }
}

const fn row(name: &'static str, arity: i16, flags: Flags, run: Handler) -> Command {
    Command::new(name, arity, Group::List, run).flags(flags).acl(&["list"])
}

const FROM_ENDS: &str = "O(N) in the elements between the index and the nearer end";

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("blmove", 6, CHANGE.and(ALONE), block::blmove).notes(&LMOVE).keys(MOVE).doc(
        "6.2.0",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
        "Moves an element between lists, waiting for one if need be.",
    ),
    row("blmpop", -5, WAIT, block::blmpop)
        .notes(&LMPOP)
        .keys(TAKE_ANY_LATER)
        .doc(
            "7.0.0",
            "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
            "Takes elements off an end of the first list that has any, waiting for one if need be.",
        )
        .cost("O(N+M): N keys, M elements taken"),
    row("blpop", -3, WAIT.and(ALONE), block::blpop)
        .notes(&TIMEOUT)
        .keys(TAKE_ALL)
        .doc(
            "2.0.0",
            "key [key ...] timeout",
            "Takes the first element of the first list that has any, waiting for one if need be.",
        )
        .cost("O(N) in the number of keys"),
    row("brpop", -3, WAIT.and(ALONE), block::brpop)
        .notes(&TIMEOUT)
        .keys(TAKE_ALL)
        .doc(
            "2.0.0",
            "key [key ...] timeout",
            "Takes the last element of the first list that has any, waiting for one if need be.",
        )
        .cost("O(N) in the number of keys"),
    row("brpoplpush", 4, CHANGE.and(ALONE), block::brpoplpush).notes(&BRPOPLPUSH).keys(MOVE).doc(
        "2.2.0",
        "source destination timeout",
        "Moves the last element of a list to the front of another, waiting for one if need be.",
    ),
    row("lindex", 3, Flags::READ.and(Flags::QUICK), read::lindex)
        .keys(READ)
        .doc("1.0.0", "key index", "Returns the element at an index of a list.")
        .cost(FROM_ENDS),
    row("linsert", 5, CHANGE, write::linsert)
        .notes(&LINSERT)
        .keys(INSERT)
        .doc(
            "2.2.0",
            "key <BEFORE | AFTER> pivot element",
            "Inserts an element before or after another one.",
        )
        .cost("O(N) in the elements before the pivot"),
    row("llen", 2, Flags::READ.and(Flags::FAST), read::llen).keys(RO).doc(
        "1.0.0",
        "key",
        "Returns the number of elements of a list.",
    ),
    row("lmove", 5, CHANGE, moves::lmove).notes(&LMOVE).keys(MOVE).doc(
        "6.2.0",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
        "Moves an element from an end of a list to an end of another, in one step.",
    ),
    row("lmpop", -4, Flags::WRITE, moves::lmpop)
        .notes(&LMPOP)
        .keys(TAKE_ANY)
        .doc(
            "7.0.0",
            "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
            "Takes elements off an end of the first list that has any.",
        )
        .cost("O(N+M): N keys, M elements taken"),
    row("lpop", -2, POP, write::lpop)
        .one_write(ANY)
        .beyond(Ahead::End(End::Front))
        .notes(&POPS)
        .keys(TAKE)
        .doc("1.0.0", "key [count]", "Takes elements off the front of a list.")
        .cost("O(N) in the elements taken"),
    row("lpos", -3, Flags::READ, read::lpos)
        .keys(READ)
        .doc(
            "6.0.6",
            "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
            "Returns where an element stands in a list.",
        )
        .cost("O(N) in the elements looked at"),
    row("lpush", -3, PUSH, write::lpush)
        .one_write(ANY)
        .beyond(Ahead::End(End::Front))
        .notes(&PUSHES)
        .keys(INSERT)
        .doc("1.0.0", "key element [element ...]", "Adds elements at the front of a list.")
        .cost("O(N) in the elements added"),
    row("lpushx", -3, PUSH, write::lpushx)
        .one_write(ANY)
        .beyond(Ahead::End(End::Front))
        .notes(&PUSHES_X)
        .keys(INSERT)
        .doc(
            "2.2.0",
            "key element [element ...]",
            "Adds elements at the front of a list that exists.",
        )
        .cost("O(N) in the elements added"),
    row("lrange", 4, Flags::READ.and(Flags::QUICK), read::lrange)
        .keys(READ)
        .doc("1.0.0", "key start stop", "Returns a range of a list, of one moment.")
        .cost(
            "O(S+N): S to the nearer end, N elements; long ones in slices, between which other \
               clients are served",
        ),
    row("lrem", 4, Flags::WRITE, write::lrem)
        .keys(DELETE)
        .doc("1.0.0", "key count element", "Removes elements of a value from a list.")
        .cost("O(N) in the length of the list"),
    row("lset", 4, CHANGE.and(Flags::QUICK), write::lset)
        .one_write(ANY)
        .keys(UPDATE)
        .doc("1.0.0", "key index element", "Replaces the element at an index of a list.")
        .cost(FROM_ENDS),
    row("ltrim", 4, Flags::WRITE, write::ltrim)
        .keys(DELETE)
        .doc("1.0.0", "key start stop", "Keeps only a range of a list.")
        .cost("O(N) in the elements removed"),
    row("rpop", -2, POP, write::rpop)
        .one_write(ANY)
        .beyond(Ahead::End(End::Back))
        .notes(&POPS)
        .keys(TAKE)
        .doc("1.0.0", "key [count]", "Takes elements off the back of a list.")
        .cost("O(N) in the elements taken"),
    row("rpoplpush", 3, CHANGE, moves::rpoplpush).notes(&RPOPLPUSH).keys(MOVE).doc(
        "1.2.0",
        "source destination",
        "Moves the last element of a list to the front of another.",
    ),
    row("rpush", -3, PUSH, write::rpush)
        .one_write(ANY)
        .beyond(Ahead::End(End::Back))
        .notes(&PUSHES)
        .keys(INSERT)
        .doc("1.0.0", "key element [element ...]", "Adds elements at the back of a list.")
        .cost("O(N) in the elements added"),
    row("rpushx", -3, PUSH, write::rpushx)
        .one_write(ANY)
        .beyond(Ahead::End(End::Back))
        .notes(&PUSHES_X)
        .keys(INSERT)
        .doc(
            "2.2.0",
            "key element [element ...]",
            "Adds elements at the back of a list that exists.",
        )
        .cost("O(N) in the elements added"),
];

const POPS: Notes =
    Notes::args(&[at("count").since("6.2.0")]).changed(&[("6.2.0", "The argument `count`.")]);
const PUSHES: Notes = Notes::history(&[("2.4.0", "Takes several elements.")]);
const PUSHES_X: Notes = Notes::history(&[("4.0.0", "Takes several elements.")]);
const LINSERT: Notes = Notes::args(&[at("before_after").name("where")]);
const LMPOP: Notes = Notes::args(&[at("left_right").name("where")]);
const LMOVE: Notes =
    Notes::args(&[at("left_right").name("wherefrom"), at("left_right").name("whereto")]);
const RPOPLPUSH: Notes =
    Notes { deprecated: Some(("6.2.0", "`LMOVE` with `RIGHT` and `LEFT`")), ..Notes::NONE };
const BRPOPLPUSH: Notes =
    Notes { deprecated: Some(("6.2.0", "`BLMOVE` with `RIGHT` and `LEFT`")), ..TIMEOUT };
const TIMEOUT: Notes = Notes::history(&[("6.0.0", "The timeout may have a fraction.")]);

/// LEFT or RIGHT.
fn end(text: &[u8]) -> Result<End, Error> {
    match () {
        () if text.eq_ignore_ascii_case(b"LEFT") => Ok(End::Front),
        () if text.eq_ignore_ascii_case(b"RIGHT") => Ok(End::Back),
        () => Err(Error::Syntax),
    }
}

/// What a push or a pop at an end is called in events.
const fn words(end: End) -> (&'static str, &'static str) {
    match end {
        End::Front => ("lpush", "lpop"),
        End::Back => ("rpush", "rpop"),
    }
}

/// `start` and `stop` as LRANGE means them, negative ones from the back: where that begins in a list
/// of `len`, and how many elements it has.
fn range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (from, to) = (place(start).max(0), place(stop).min(len - 1));
    if from > to { (0, 0) } else { (from as usize, (to - from + 1) as usize) }
}

/// An index, negative ones from the back, if there is such an element in a list of `len`.
fn index(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(i64::try_from(len).ok()?)? } else { index };
    usize::try_from(index).ok().filter(|&index| index < len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
    }

    #[test]
    fn ranges_count_from_either_end() {
        let all = [(0, -1), (0, 2), (0, 100), (-3, -1), (-100, i64::MAX), (i64::MIN, -1)];
        all.iter().for_each(|&(start, stop)| assert_eq!(range(start, stop, 3), (0, 3)));
        assert_eq!(range(-2, 1, 3), (1, 1));
        let none = [(3, 5), (2, 1), (0, -4), (i64::MAX, i64::MIN), (0, i64::MIN)];
        none.iter().for_each(|&(start, stop)| assert_eq!(range(start, stop, 3), (0, 0)));
        assert_eq!(range(0, -1, 0), (0, 0));
        assert_eq!([0, 2, -1, -3].map(|at| index(at, 3)), [Some(0), Some(2), Some(2), Some(0)]);
        assert_eq!([3, -4, i64::MIN, i64::MAX].map(|at| index(at, 3)), [None; 4]);
    }
}

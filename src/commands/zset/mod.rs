//! Sorted sets: the rows. `access` has the way from a key to a set and back, `bounds` how ranges are
//! written; the commands are in `add`, `read`, `remove`, `range`, `random` and `merge`.

pub mod access;
pub mod add;
mod blocking;
mod bounds;
mod combine;
mod merge;
mod random;
mod range;
mod read;
mod remove;
mod shrink;
pub(super) mod sources;
pub(super) mod storing;
mod stretch;

use super::ahead::Ahead;
use super::notes::{Arg, Notes, at};
use super::table::ANY;
use super::table::Handler;
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec};

const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const TAKE: Flags = Flags::WRITE.and(Flags::FAST);
const WAIT: Flags = TAKE.and(Flags::NOSCRIPT).and(Flags::BLOCKING);
const LOOK: Flags = Flags::READ.and(Flags::FAST);
const WALK: Flags = Flags::READ.and(Flags::QUICK);

const ASK: &[KeySpec] = &[KeySpec::one(1, &["RO"])];
const READ: &[KeySpec] = &[KeySpec::one(1, READS)];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const INCREASE: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];
const POP: &[KeySpec] = &[KeySpec::one(1, TAKES)];
const POP_ANY: &[KeySpec] = &[KeySpec::counted(1, TAKES)];
const WAIT_ANY: &[KeySpec] = &[KeySpec::counted(2, TAKES)];
const WAIT_LIST: &[KeySpec] = &[KeySpec::range(1, -2, 1, TAKES)];
const READ_ANY: &[KeySpec] = &[KeySpec::counted(1, READS)];
const STORE_ANY: &[KeySpec] = &[KeySpec::one(1, OVERWRITES), KeySpec::counted(2, READS)];
const STORE_ONE: &[KeySpec] = &[KeySpec::one(1, OVERWRITES), KeySpec::one(2, READS)];
const READS: &[&str] = &["RO", "ACCESS"];
const TAKES: &[&str] = &["RW", "ACCESS", "DELETE"];
const OVERWRITES: &[&str] = &["OW", "UPDATE"];

const fn row(name: &'static str, arity: i16, flags: Flags, run: Handler) -> Command {
    Command::new(name, arity, Group::SortedSet, run).flags(flags).acl(&["sortedset"])
}

const LOG: &str = "O(log(N))";
const LOG_EACH: &str = "O(log(N)) for each member";
const LOG_AND_M: &str = "O(log(N)+M), M being the number of members in the range";
const MERGE: &str = "O(N*log(N)), N being the sum of the sizes";
const NON_DETERMINISTIC: &[&str] = &["nondeterministic_output"];

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("bzmpop", -5, Flags::WRITE.and(Flags::BLOCKING), blocking::bzmpop)
        .notes(&WHERE)
        .keys(WAIT_ANY)
        .doc(
            "7.0.0",
            "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
            "Takes members out of the first sorted set that has any, waiting for one.",
        )
        .cost(LOG_EACH),
    row("bzpopmax", -3, WAIT, blocking::bzpopmax)
        .notes(&BZPOP)
        .keys(WAIT_LIST)
        .doc(
            "5.0.0",
            "key [key ...] timeout",
            "Takes the member with the highest score out, waiting for one.",
        )
        .cost(LOG),
    row("bzpopmin", -3, WAIT, blocking::bzpopmin)
        .notes(&BZPOP)
        .keys(WAIT_LIST)
        .doc(
            "5.0.0",
            "key [key ...] timeout",
            "Takes the member with the lowest score out, waiting for one.",
        )
        .cost(LOG),
    row("zadd", -4, ADD, add::zadd)
        .one_write(ANY)
        .beyond(Ahead::Scored(2))
        .notes(&ZADD)
        .keys(UPDATE)
        .doc(
            "1.2.0",
            "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
            "Adds members with scores, or gives members other scores.",
        )
        .cost(LOG_EACH),
    row("zcard", 2, LOOK, read::zcard).keys(ASK).doc(
        "1.2.0",
        "key",
        "Returns the number of members.",
    ),
    row("zcount", 4, LOOK, read::zcount)
        .keys(READ)
        .doc("2.0.0", "key min max", "Counts the members with scores in a range.")
        .cost(LOG),
    row("zdiff", -3, Flags::READ, merge::zdiff)
        .keys(READ_ANY)
        .doc(
            "6.2.0",
            "numkeys key [key ...] [WITHSCORES]",
            "Returns the members of the first sorted set that no other has.",
        )
        .cost(MERGE),
    row("zdiffstore", -4, STORE, merge::zdiffstore)
        .keys(STORE_ANY)
        .doc(
            "6.2.0",
            "destination numkeys key [key ...]",
            "Stores the members of the first sorted set that no other has.",
        )
        .cost(MERGE),
    row("zincrby", 4, ADD, add::zincrby)
        .one_write(ANY)
        .beyond(Ahead::Ranked(3))
        .keys(INCREASE)
        .doc(
            "1.2.0",
            "key increment member",
            "Adds to a member's score, adding the member if needed.",
        )
        .cost(LOG),
    row("zinter", -3, Flags::READ, merge::zinter)
        .notes(&MERGES)
        .keys(READ_ANY)
        .doc(
            "6.2.0",
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] \
             [WITHSCORES]",
            "Returns the members that all of some sorted sets have.",
        )
        .cost("O(N*K), N being the size of the smallest and K their number"),
    row("zintercard", -3, Flags::READ, merge::zintercard)
        .keys(READ_ANY)
        .doc(
            "7.0.0",
            "numkeys key [key ...] [LIMIT limit]",
            "Counts the members that all of some sorted sets have.",
        )
        .cost("O(N*K), N being the size of the smallest and K their number"),
    row("zinterstore", -4, STORE, merge::zinterstore)
        .notes(&MERGES)
        .keys(STORE_ANY)
        .doc(
            "2.0.0",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] \
             [AGGREGATE <SUM | MIN | MAX>]",
            "Stores the members that all of some sorted sets have.",
        )
        .cost("O(N*K), N being the size of the smallest and K their number"),
    row("zlexcount", 4, LOOK, read::zlexcount)
        .notes(&LEX)
        .keys(READ)
        .doc("2.8.9", "key min max", "Counts the members in a lexicographical range.")
        .cost(LOG),
    row("zmpop", -4, Flags::WRITE, remove::zmpop)
        .notes(&WHERE)
        .keys(POP_ANY)
        .doc(
            "7.0.0",
            "numkeys key [key ...] <MIN | MAX> [COUNT count]",
            "Takes the lowest or highest members out of the first sorted set that has any.",
        )
        .cost(LOG_EACH),
    row("zmscore", -3, LOOK, read::zmscore)
        .keys(READ)
        .doc("6.2.0", "key member [member ...]", "Returns the scores of members.")
        .cost("O(N) in the members asked for"),
    row("zpopmax", -2, TAKE, remove::zpopmax)
        .keys(POP)
        .doc("5.0.0", "key [count]", "Takes the members with the highest scores out.")
        .cost(LOG_EACH),
    row("zpopmin", -2, TAKE, remove::zpopmin)
        .keys(POP)
        .doc("5.0.0", "key [count]", "Takes the members with the lowest scores out.")
        .cost(LOG_EACH),
    row("zrandmember", -2, Flags::READ, random::zrandmember)
        .notes(&RANDOM)
        .keys(READ)
        .tips(NON_DETERMINISTIC)
        .doc("6.2.0", "key [count [WITHSCORES]]", "Returns members chosen at random.")
        .cost("O(log(N)) for each member returned"),
    row("zrange", -4, WALK, range::zrange)
        .notes(&ZRANGE)
        .keys(READ)
        .doc(
            "1.2.0",
            "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
            "Returns the members in a range of ranks, scores or texts.",
        )
        .cost(LOG_AND_M),
    row("zrangebylex", -4, WALK, range::zrangebylex)
        .notes(&RANGEBYLEX)
        .keys(READ)
        .doc(
            "2.8.9",
            "key min max [LIMIT offset count]",
            "Returns the members in a range of texts.",
        )
        .cost(LOG_AND_M),
    row("zrangebyscore", -4, WALK, range::zrangebyscore)
        .notes(&RANGEBYSCORE)
        .keys(READ)
        .doc(
            "1.0.5",
            "key min max [WITHSCORES] [LIMIT offset count]",
            "Returns the members in a range of scores.",
        )
        .cost(LOG_AND_M),
    row("zrangestore", -5, STORE, range::zrangestore)
        .notes(&RANGESTORE)
        .keys(STORE_ONE)
        .doc(
            "6.2.0",
            "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
            "Stores the members in a range under another key.",
        )
        .cost(LOG_AND_M),
    row("zrank", -3, LOOK, read::zrank)
        .beyond(Ahead::Ranked(2))
        .notes(&RANK)
        .keys(READ)
        .doc("2.0.0", "key member [WITHSCORE]", "Returns a member's rank, counted from the lowest.")
        .cost(LOG),
    row("zrem", -3, TAKE, remove::zrem)
        .one_write(ANY)
        .beyond(Ahead::Ranked(2))
        .notes(&ZREM)
        .keys(DELETE)
        .doc("1.2.0", "key member [member ...]", "Removes members; the key too when none is left.")
        .cost(LOG_EACH),
    row("zremrangebylex", 4, Flags::WRITE, remove::zremrangebylex)
        .notes(&LEX)
        .keys(DELETE)
        .doc("2.8.9", "key min max", "Removes the members in a lexicographical range.")
        .cost(LOG_AND_M),
    row("zremrangebyrank", 4, Flags::WRITE, remove::zremrangebyrank)
        .keys(DELETE)
        .doc("2.0.0", "key start stop", "Removes the members in a range of ranks.")
        .cost(LOG_AND_M),
    row("zremrangebyscore", 4, Flags::WRITE, remove::zremrangebyscore)
        .keys(DELETE)
        .doc("1.2.0", "key min max", "Removes the members in a range of scores.")
        .cost(LOG_AND_M),
    row("zrevrange", -4, WALK, range::zrevrange)
        .notes(&REVRANGE)
        .keys(READ)
        .doc(
            "1.2.0",
            "key start stop [WITHSCORES]",
            "Returns the members in a range of ranks, the highest first.",
        )
        .cost(LOG_AND_M),
    row("zrevrangebylex", -4, WALK, range::zrevrangebylex)
        .notes(&REVRANGEBYLEX)
        .keys(READ)
        .doc(
            "2.8.9",
            "key max min [LIMIT offset count]",
            "Returns the members in a range of texts, the greatest first.",
        )
        .cost(LOG_AND_M),
    row("zrevrangebyscore", -4, WALK, range::zrevrangebyscore)
        .notes(&REVRANGEBYSCORE)
        .keys(READ)
        .doc(
            "2.2.0",
            "key max min [WITHSCORES] [LIMIT offset count]",
            "Returns the members in a range of scores, the highest first.",
        )
        .cost(LOG_AND_M),
    row("zrevrank", -3, LOOK, read::zrevrank)
        .beyond(Ahead::Ranked(2))
        .notes(&RANK)
        .keys(READ)
        .doc(
            "2.0.0",
            "key member [WITHSCORE]",
            "Returns a member's rank, counted from the highest.",
        )
        .cost(LOG),
    row("zscan", -3, Flags::READ, random::zscan)
        .keys(READ)
        .tips(NON_DETERMINISTIC)
        .doc(
            "2.8.0",
            "key cursor [MATCH pattern] [COUNT count]",
            "Walks over the members and scores with a cursor.",
        )
        .cost("O(1) a call, O(N) for a whole walk"),
    row("zscore", 3, LOOK, read::zscore).element(2).keys(READ).doc(
        "1.2.0",
        "key member",
        "Returns a member's score.",
    ),
    row("zunion", -3, Flags::READ, merge::zunion)
        .notes(&MERGES)
        .keys(READ_ANY)
        .doc(
            "6.2.0",
            "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] \
             [WITHSCORES]",
            "Returns the members that any of some sorted sets has.",
        )
        .cost(MERGE),
    row("zunionstore", -4, STORE, merge::zunionstore)
        .notes(&MERGES)
        .keys(STORE_ANY)
        .doc(
            "2.0.0",
            "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] \
             [AGGREGATE <SUM | MIN | MAX>]",
            "Stores the members that any of some sorted sets has.",
        )
        .cost(MERGE),
];

const BZPOP: Notes = Notes::history(&[("6.0.0", "The timeout may have fractions.")]);
const ZADD: Notes = Notes {
    history: &[
        ("2.4.0", "Several members at a time."),
        ("3.0.2", "`XX`, `NX`, `CH` and `INCR`."),
        ("6.2.0", "`GT` and `LT`."),
    ],
    args: &[
        at("nx_xx").name("condition").since("3.0.2"),
        at("gt_lt").name("comparison").since("6.2.0"),
        at("CH").name("change").since("3.0.2"),
        at("INCR").name("increment").since("3.0.2"),
    ],
    ..Notes::NONE
};
const ZRANGE: Notes = Notes {
    history: &[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")],
    args: &[
        at("start").kind("string"),
        at("stop").kind("string"),
        SORT_BY.since("6.2.0"),
        at("REV").since("6.2.0"),
        at("LIMIT").since("6.2.0"),
    ],
    ..Notes::NONE
};
const SORT_BY: Arg = at("byscore_bylex").name("sortby");
const TEXTS: [Arg; 2] = [at("min").kind("string"), at("max").kind("string")];
const LEX: Notes = Notes::args(&TEXTS);
const RANGESTORE: Notes = Notes::args(&[TEXTS[0], TEXTS[1], SORT_BY]);
const WHERE: Notes = Notes::args(&[at("min_max").name("where")]);
const RANDOM: Notes = Notes::args(&[at("count_withscores").name("options")]);
/// Weights may have fractions, but clients know them as Redis documents them.
const MERGES: Notes =
    Notes::args(&[at("WEIGHTS").kind("integer"), at("AGGREGATE").name("aggregate")]);
const ZREM: Notes = Notes::history(&[("2.4.0", "Several members at a time.")]);
const RANK: Notes = Notes::history(&[("7.2.0", "`WITHSCORE`.")]);
const REVRANGE: Notes = Notes { deprecated: Some(("6.2.0", "`ZRANGE` with `REV`")), ..Notes::NONE };
const RANGEBYLEX: Notes = Notes { deprecated: Some(("6.2.0", "`ZRANGE` with `BYLEX`")), ..LEX };
const RANGEBYSCORE: Notes = Notes {
    history: &[("2.0.0", "`WITHSCORES`.")],
    deprecated: Some(("6.2.0", "`ZRANGE` with `BYSCORE`")),
    args: &[at("WITHSCORES").since("2.0.0")],
    ..Notes::NONE
};
const REVRANGEBYLEX: Notes =
    Notes { deprecated: Some(("6.2.0", "`ZRANGE` with `REV` and `BYLEX`")), ..LEX };
const REVRANGEBYSCORE: Notes = Notes {
    history: &[("2.1.6", "`min` and `max` may be exclusive.")],
    deprecated: Some(("6.2.0", "`ZRANGE` with `REV` and `BYSCORE`")),
    ..Notes::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
    }
}

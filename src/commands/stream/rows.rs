//! The rows of the commands on streams.

use super::super::notes::{Notes, at};
use super::super::table::{Begin, Find, Handler};
use super::super::{Command, Flags, Group, KeySpec, help};
use super::{add, claim, delete, group, info, pending, range, read};

const READ: Flags = Flags::READ;
const FAST_READ: Flags = READ.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE;
const FAST_WRITE: Flags = WRITE.and(Flags::FAST);
const GROWS: Flags = WRITE.and(Flags::DENYOOM);

const RO: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];
const SUB_RO: &[KeySpec] = &[KeySpec::one(2, &["RO", "ACCESS"])];
const SUB_INSERT: &[KeySpec] = &[KeySpec::one(2, &["RW", "INSERT"])];
const SUB_UPDATE: &[KeySpec] = &[KeySpec::one(2, &["RW", "UPDATE"])];
const SUB_DELETE: &[KeySpec] = &[KeySpec::one(2, &["RW", "DELETE"])];
const XREAD_KEYS: &[KeySpec] = &[streams(1)];
const XREADGROUP_KEYS: &[KeySpec] = &[streams(4)];
const RANDOM: &[&str] = &["nondeterministic_output"];

/// The keys behind STREAMS: half of what follows.
const fn streams(from: i16) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword("STREAMS", from),
        find: Find::Range { last: -1, step: 1, limit: 2 },
        flags: &["RO", "ACCESS"],
        note: "",
    }
}

const fn row(name: &'static str, arity: i16, flags: Flags, run: Handler) -> Command {
    Command::new(name, arity, Group::Stream, run).flags(flags).acl(&["stream"])
}

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("xack", -4, FAST_WRITE, delete::xack)
        .keys(UPDATE)
        .doc("5.0.0", "key group id [id ...]", "Acknowledges entries that a group has pending.")
        .cost("O(1) for each entry"),
    row("xackdel", -6, FAST_WRITE, delete::xackdel)
        .keys(&[KeySpec::one(1, &["RW", "UPDATE", "DELETE"])])
        .doc(
            "8.2.0",
            "key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
            "Acknowledges entries that a group has pending, and deletes them.",
        )
        .cost("O(1) for each entry"),
    row("xadd", -5, GROWS.and(Flags::FAST), add::xadd)
        .notes(&XADD)
        .tips(RANDOM)
        .keys(&[KeySpec::one(1, &["RW", "UPDATE"])
            .note("UPDATE, not INSERT, because it may trim the stream.")])
        .doc(
            "5.0.0",
            "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field \
             value [field value ...]",
            "Adds an entry to the end of a stream, creating it if missing.",
        )
        .cost("O(1); O(N) if N entries are trimmed"),
    row("xautoclaim", -6, FAST_WRITE, claim::xautoclaim)
        .notes(&XAUTOCLAIM)
        .tips(RANDOM)
        .keys(DELETE)
        .doc(
            "6.2.0",
            "key group consumer min-idle-time start [COUNT count] [JUSTID]",
            "Passes entries that have been pending for long to a consumer.",
        )
        .cost("O(1) for each entry looked at"),
    row("xclaim", -6, FAST_WRITE, claim::xclaim)
        .notes(&XCLAIM)
        .tips(RANDOM)
        .keys(UPDATE)
        .doc(
            "5.0.0",
            "key group consumer min-idle-time id [id ...] [IDLE ms] \
             [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
            "Passes pending entries to a consumer.",
        )
        .cost("O(log N) for each entry, N being the number of pending ones"),
    row("xdel", -3, FAST_WRITE, delete::xdel)
        .keys(DELETE)
        .doc("5.0.0", "key id [id ...]", "Deletes entries and returns how many.")
        .cost("O(1) for each entry"),
    row("xdelex", -5, FAST_WRITE, delete::xdelex)
        .keys(DELETE)
        .doc(
            "8.2.0",
            "key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
            "Deletes entries, depending on whether groups still need them.",
        )
        .cost("O(1) for each entry"),
    Command::container("xgroup", Group::Stream, XGROUP)
        .doc("5.0.0", "", "Makes, changes and removes consumer groups.")
        .cost("Depends on subcommand."),
    Command::container("xinfo", Group::Stream, XINFO)
        .doc("5.0.0", "", "Tells of streams, their groups and consumers.")
        .cost("Depends on subcommand."),
    row("xlen", 2, FAST_READ, range::xlen).keys(&[KeySpec::one(1, &["RO"])]).doc(
        "5.0.0",
        "key",
        "Returns the number of entries of a stream.",
    ),
    row("xpending", -3, READ, pending::xpending)
        .notes(&XPENDING)
        .tips(RANDOM)
        .keys(RO)
        .doc(
            "5.0.0",
            "key group [[IDLE min-idle-time] start end count [consumer]]",
            "Tells which entries of a group are given out and not acknowledged.",
        )
        .cost("O(N) in the number of entries shown, or looked at with IDLE"),
    row("xrange", -4, READ, range::xrange)
        .notes(&XRANGE)
        .keys(RO)
        .doc("5.0.0", "key start end [COUNT count]", "Returns the entries in a range of names.")
        .cost("O(N) in the number of entries returned"),
    row("xread", -4, READ.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS), read::xread)
        .notes(&XREAD)
        .keys(XREAD_KEYS)
        .doc(
            "5.0.0",
            "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
            "Returns what was added to streams behind some entries; can wait for it.",
        )
        .cost("O(N) in the number of entries returned"),
    row("xreadgroup", -7, WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS), read::xreadgroup)
        .notes(&XREADGROUP)
        .keys(XREADGROUP_KEYS)
        .doc(
            "5.0.0",
            "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key \
             ...] id [id ...]",
            "Gives new entries to a consumer of a group, or shows what it has pending; can wait.",
        )
        .cost("O(M) in the number of entries returned"),
    row("xrevrange", -4, READ, range::xrevrange)
        .notes(&XRANGE)
        .keys(RO)
        .doc(
            "5.0.0",
            "key end start [COUNT count]",
            "Returns the entries in a range of names, the last one first.",
        )
        .cost("O(N) in the number of entries returned"),
    row("xsetid", -3, GROWS.and(Flags::FAST), add::xsetid).notes(&XSETID).keys(UPDATE).doc(
        "5.0.0",
        "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        "Sets the name of the last entry, and counters.",
    ),
    row("xtrim", -4, WRITE, add::xtrim)
        .notes(&XTRIM)
        .tips(RANDOM)
        .keys(DELETE)
        .doc(
            "5.0.0",
            "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]",
            "Takes entries away from the beginning of a stream.",
        )
        .cost("O(N) in the number of entries taken away, a hundred of them in one go"),
];

static XGROUP: &[Command] = &[
    row("create", -5, GROWS, group::create).notes(&XGROUP_START).keys(SUB_INSERT).doc(
        "5.0.0",
        "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
        "Makes a group.",
    ),
    row("createconsumer", 5, GROWS, group::create_consumer)
        .notes(&XGROUP_CONSUMER)
        .keys(SUB_INSERT)
        .doc("6.2.0", "key group consumer", "Adds a consumer to a group."),
    row("delconsumer", 5, WRITE, group::delete_consumer)
        .notes(&XGROUP_CONSUMER)
        .keys(SUB_DELETE)
        .doc("5.0.0", "key group consumer", "Removes a consumer, and forgets what it has pending.")
        .cost("O(N) in the number of its pending entries"),
    row("destroy", 4, WRITE, group::destroy)
        .notes(&GROUP_NAME)
        .keys(SUB_DELETE)
        .doc("5.0.0", "key group", "Removes a group.")
        .cost("O(1); what it has pending is freed in the background"),
    help::row(Group::Stream, "5.0.0").acl(&["stream"]),
    row("setid", -5, WRITE, group::set_id).notes(&XGROUP_START).keys(SUB_UPDATE).doc(
        "5.0.0",
        "key group <id | $> [ENTRIESREAD entries-read]",
        "Sets the last entry that a group has read.",
    ),
];

static XINFO: &[Command] = &[
    row("consumers", 4, READ, info::consumers)
        .notes(&XINFO_CONSUMERS)
        .tips(RANDOM)
        .keys(SUB_RO)
        .doc("5.0.0", "key group", "Tells of the consumers of a group.")
        .cost("O(N) in their number"),
    row("groups", 3, READ, info::groups)
        .notes(&XINFO_GROUPS)
        .keys(SUB_RO)
        .doc("5.0.0", "key", "Tells of the groups of a stream.")
        .cost("O(N) in their number"),
    help::row(Group::Stream, "5.0.0").acl(&["stream"]),
    row("stream", -3, READ, info::stream)
        .notes(&XINFO_STREAM)
        .keys(SUB_RO)
        .doc("5.0.0", "key [FULL [COUNT count]]", "Tells of a stream.")
        .cost("O(1); with FULL O(N) in what is shown"),
];

const XADD: Notes = Notes::args(&[
    at("NOMKSTREAM").since("6.2.0"),
    at("maxlen_minid_=_~_threshold_count").name("trim"),
    at("maxlen_minid").name("strategy"),
    at("MINID").since("6.2.0"),
    at("=_~").name("operator"),
    at("=").name("equal"),
    at("~").name("approximately"),
    at("threshold").kind("string"),
    at("LIMIT").since("6.2.0"),
    at("*_id").name("id_or_auto"),
    at("*").name("auto_id"),
])
.changed(&[
    ("6.2.0", "`NOMKSTREAM`, the strategy `MINID` and the option `LIMIT`."),
    ("7.0.0", "Names of the form `<ms>-*`."),
]);
const XTRIM: Notes = Notes::args(&[
    at("maxlen_minid").name("strategy"),
    at("MINID").since("6.2.0"),
    at("=_~").name("operator"),
    at("=").name("equal"),
    at("~").name("approximately"),
    at("threshold").kind("string"),
    at("LIMIT").since("6.2.0"),
])
.changed(&[("6.2.0", "The strategy `MINID` and the option `LIMIT`.")]);
const XAUTOCLAIM: Notes =
    Notes::args(&[at("min-idle-time").kind("string"), at("start").kind("string")])
        .changed(&[("7.0.0", "The reply names deleted entries.")]);
const XCLAIM: Notes =
    Notes::args(&[at("min-idle-time").kind("string"), at("LASTID").name("id").kind("string")]);
const XPENDING: Notes = Notes::args(&[
    at("min-idle-time_start_end_count_consumer").name("filters"),
    at("IDLE").since("6.2.0"),
    at("start").kind("string"),
    at("end").kind("string"),
])
.changed(&[("6.2.0", "The option `IDLE`, and ranges without their ends.")]);
const XRANGE: Notes = Notes::args(&[at("start").kind("string"), at("end").kind("string")])
    .changed(&[("6.2.0", "Ranges without their ends.")]);
const XREAD: Notes = Notes::args(&[at("STREAMS").name("streams")]);
const XREADGROUP: Notes = Notes::args(&[at("STREAMS").name("streams")]);
const XSETID: Notes = Notes::args(&[
    at("ENTRIESADDED").name("entries_added").kind("integer").since("7.0.0"),
    at("MAXDELETEDID").name("max_deleted_entry_id").since("7.0.0"),
])
.changed(&[("7.0.0", "The options `ENTRIESADDED` and `MAXDELETEDID`.")]);
const XGROUP_START: Notes = Notes::args(&[
    at("group").name("groupname"),
    at("id_$").name("id"),
    at("$").name("new_id"),
    at("ENTRIESREAD").name("entries_read").kind("integer"),
])
.changed(&[("7.0.0", "The option `ENTRIESREAD`.")]);
const XGROUP_CONSUMER: Notes =
    Notes::args(&[at("group").name("groupname"), at("consumer").name("consumername")]);
const GROUP_NAME: Notes = Notes::args(&[at("group").name("groupname")]);
const XINFO_CONSUMERS: Notes =
    Notes::args(&[at("group").name("groupname")]).changed(&[("7.2.0", "The field `inactive`.")]);
const XINFO_GROUPS: Notes = Notes::history(&[("7.0.0", "The fields `entries-read` and `lag`.")]);
const XINFO_STREAM: Notes = Notes::args(&[at("full_count").name("full")]).changed(&[
    ("6.0.0", "The option `FULL`."),
    (
        "7.0.0",
        "The fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, \
         `entries-read` and `lag`.",
    ),
    ("7.2.0", "The field `active-time`; `seen-time` is when a consumer last asked."),
]);

//! String commands: values set, read and edited as bytes or numbers.

mod many;
mod number;
mod range;
mod value;

use super::notes::{Notes, at};
use super::table::ANY;
use super::{Command, Flags, Group, KeySpec};
use crate::db::Str;
use crate::resp::Reply;

const READ: Flags = Flags::READ.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::QUICK);
const FAST_WRITE: Flags = WRITE.and(Flags::FAST);
const RO: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const RW: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])];
const OW: &[KeySpec] = &[KeySpec::one(1, &["OW", "UPDATE"])];
const OW_INSERT: &[KeySpec] = &[KeySpec::one(1, &["OW", "INSERT"])];
const INSERT: &[KeySpec] = &[KeySpec::one(1, &["RW", "INSERT"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const ALL_PAIRS: &[KeySpec] = &[KeySpec::range(1, -1, 2, &["OW", "UPDATE"])];
const ALL_PAIRS_NEW: &[KeySpec] = &[KeySpec::range(1, -1, 2, &["OW", "INSERT"])];
const ALL: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["RO", "ACCESS"])];
const SET_KEYS: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"])
    .note("It reads the key only with the option `GET`.")];

const fn row(name: &'static str, arity: i16, flags: Flags, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::String, run).flags(flags).acl(&["string"])
}

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("append", 3, FAST_WRITE, range::append)
        .one_write(ANY)
        .keys(INSERT)
        .doc("2.0.0", "key value", "Adds bytes to the end of a string, creating it if missing.")
        .cost("O(1), amortised over the growth of the string"),
    row("decr", 2, FAST_WRITE, number::decr).one_write(ANY).keys(RW).doc(
        "1.0.0",
        "key",
        "Subtracts one from the integer at a key; a missing key counts as 0.",
    ),
    row("decrby", 3, FAST_WRITE, number::decrby).one_write(ANY).keys(RW).doc(
        "1.0.0",
        "key decrement",
        "Subtracts a number from the integer at a key.",
    ),
    row("delifeq", 3, Flags::WRITE.and(Flags::FAST), value::delifeq)
        .one_write(ANY)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .doc("valkey 9.0.0", "key value", "Removes a key if its string equals the given one."),
    row("get", 2, READ, value::get).keys(RO).doc("1.0.0", "key", "Returns the string at a key."),
    row("getdel", 2, Flags::WRITE.and(Flags::FAST), value::getdel)
        .one_write(ANY)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .doc("6.2.0", "key", "Returns the string at a key and removes the key."),
    row("getex", -2, Flags::WRITE.and(Flags::FAST), value::getex)
        .one_write(ANY)
        .notes(&GETEX)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])
            .note("It may change the expiry of the key.")])
        .doc(
            "6.2.0",
            "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | PERSIST]",
            "Returns the string at a key and sets or removes its expiry.",
        ),
    row("getrange", 4, Flags::READ, range::getrange)
        .keys(RO)
        .doc("2.4.0", "key start end", "Returns a part of a string by byte positions.")
        .cost("O(N) in the length of the part"),
    row("getset", 3, FAST_WRITE, value::getset).one_write(ANY).notes(&GETSET).keys(RW).doc(
        "1.0.0",
        "key value",
        "Sets a string and returns the one before it.",
    ),
    row("incr", 2, FAST_WRITE, number::incr).one_write(ANY).keys(RW).doc(
        "1.0.0",
        "key",
        "Adds one to the integer at a key; a missing key counts as 0.",
    ),
    row("incrby", 3, FAST_WRITE, number::incrby).one_write(ANY).keys(RW).doc(
        "1.0.0",
        "key increment",
        "Adds a number to the integer at a key.",
    ),
    row("incrbyfloat", 3, FAST_WRITE, number::incrbyfloat)
        .one_write(ANY)
        .notes(&INCRBYFLOAT)
        .keys(RW)
        .doc("2.6.0", "key increment", "Adds a floating point number to the number at a key."),
    row("mget", -2, READ, many::mget)
        .keys(ALL)
        .doc("1.0.0", "key [key ...]", "Returns the strings at several keys, at one moment.")
        .cost("O(N) in the number of keys")
        .tips(&["request_policy:multi_shard"]),
    row("mset", -3, WRITE, many::mset)
        .keys(ALL_PAIRS)
        .doc("1.0.1", "key value [key value ...]", "Sets several strings in one step.")
        .cost("O(N) in the number of keys")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    row("msetnx", -3, WRITE, many::msetnx)
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .keys(ALL_PAIRS_NEW)
        .doc("1.0.1", "key value [key value ...]", "Sets several strings if none of them exists.")
        .cost("O(N) in the number of keys"),
    row("psetex", 4, WRITE, value::psetex).one_write(ANY).keys(OW).doc(
        "2.6.0",
        "key milliseconds value",
        "Sets a string that expires after some milliseconds.",
    ),
    row("set", -3, WRITE, value::set).one_write(ANY).notes(&SET).keys(SET_KEYS).doc(
        "1.0.0",
        "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | \
             EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        "Sets a string, whatever the key held; with options only on conditions.",
    ),
    row("setex", 4, WRITE, value::setex).one_write(ANY).keys(OW).doc(
        "2.0.0",
        "key seconds value",
        "Sets a string that expires after some seconds.",
    ),
    row("setnx", 3, FAST_WRITE, value::setnx).one_write(ANY).keys(OW_INSERT).doc(
        "1.0.0",
        "key value",
        "Sets a string if the key does not exist.",
    ),
    row("setrange", 4, WRITE, range::setrange)
        .one_write(ANY)
        .keys(UPDATE)
        .doc("2.2.0", "key offset value", "Overwrites a part of a string, padding it with zeroes.")
        .cost("O(N) in the length of the value, if the string need not grow"),
    row("strlen", 2, READ, range::strlen).keys(&[KeySpec::one(1, &["RO"])]).doc(
        "2.2.0",
        "key",
        "Returns the length of a string in bytes.",
    ),
    row("substr", 4, Flags::READ, range::getrange)
        .notes(&SUBSTR)
        .keys(RO)
        .doc("1.0.0", "key start end", "Older name of GETRANGE.")
        .cost("O(N) in the length of the part"),
];

const GETEX: Notes =
    Notes::args(&[at("seconds_milliseconds_unix-time-seconds_unix-time-milliseconds_persist")
        .name("expiration")]);
const GETSET: Notes =
    Notes { deprecated: Some(("6.2.0", "`SET` with the option `GET`")), ..Notes::NONE };
const INCRBYFLOAT: Notes = Notes::args(&[at("increment").kind("double")]);
const SET: Notes = Notes::args(&[
    at("nx_xx_comparison-value").name("condition").since("2.6.12"),
    at("GET").since("6.2.0"),
    at("seconds_milliseconds_unix-time-seconds_unix-time-milliseconds_keepttl").name("expiration"),
    at("EX").since("2.6.12"),
    at("PX").since("2.6.12"),
    at("EXAT").since("6.2.0"),
    at("PXAT").since("6.2.0"),
    at("KEEPTTL").since("6.0.0"),
])
.changed(&[
    ("2.6.12", "The options `EX`, `PX`, `NX` and `XX`."),
    ("6.0.0", "The option `KEEPTTL`."),
    ("6.2.0", "The options `GET`, `EXAT` and `PXAT`."),
    ("7.0.0", "`NX` and `GET` may stand together."),
]);
const SUBSTR: Notes = Notes { deprecated: Some(("2.0.0", "`GETRANGE`")), ..Notes::NONE };

impl Reply {
    /// A string value.
    #[inline(always)]
    pub fn string(&mut self, value: Str<'_>) {
        match value {
            Str::Slice(bytes) => self.bulk(bytes),
            Str::Int(value) => self.bulk_int(value),
            Str::Padded(_) => value.with(|text| self.bulk(text)),
            Str::Shared(bytes) => self.bulk_shared(bytes),
        }
    }

    /// A string value, or the absence of one.
    #[inline(always)]
    pub fn string_or_null(&mut self, value: Option<Str<'_>>) {
        match value {
            Some(value) => self.string(value),
            None => self.null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
    }
}

//! Hashes: the rows. `place` has what the commands do to a hash; `read`, `write` and `expiry` the
//! commands themselves.

mod expiry;
mod place;
mod read;
mod write;

use super::notes::{Notes, at};
use super::table::ANY;
use super::table::Handler;
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec};
pub use place::View;

const READ: Flags = Flags::READ.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE.and(Flags::FAST);
const GROW: Flags = WRITE.and(Flags::DENYOOM);
const RO: &[KeySpec] = &[KeySpec::one(1, &["RO"])];
const ACCESS: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const ADD: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])];
const INSERT: &[KeySpec] = &[KeySpec::one(1, &["RW", "INSERT"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];
const TAKE: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])];

const fn row(name: &'static str, arity: i16, flags: Flags, run: Handler) -> Command {
    Command::new(name, arity, Group::Hash, run).flags(flags).acl(&["hash"])
}

const FIELDS: &str = "key FIELDS numfields field [field ...]";
const PER_FIELD: &str = "O(N) in the number of fields named";
const WHOLE: &str =
    "O(N) in the size of the hash, in slices between which other clients are served";
const ORDER: &[&str] = &["nondeterministic_output_order"];
const CHANGING: &[&str] = &["nondeterministic_output"];

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("hdel", -3, WRITE, write::hdel)
        .one_write(ANY)
        .element(2)
        .notes(&HDEL)
        .keys(DELETE)
        .doc(
            "2.0.0",
            "key field [field ...]",
            "Removes fields from a hash, and the hash with its last.",
        )
        .cost(PER_FIELD),
    row("hexists", 3, READ, read::hexists).element(2).keys(RO).doc(
        "2.0.0",
        "key field",
        "Tells whether a hash has a field.",
    ),
    row("hexpire", -6, WRITE, expiry::hexpire)
        .notes(&HEXPIRE)
        .keys(UPDATE)
        .doc(
            "7.4.0",
            "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
            "Sets the expiry of fields in seconds from now.",
        )
        .cost(PER_FIELD),
    row("hexpireat", -6, WRITE, expiry::hexpireat)
        .notes(&HEXPIRE)
        .keys(UPDATE)
        .doc(
            "7.4.0",
            "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
            "Sets the expiry of fields to a Unix time in seconds.",
        )
        .cost(PER_FIELD),
    row("hexpiretime", -5, READ, expiry::hexpiretime)
        .keys(ACCESS)
        .doc("7.4.0", FIELDS, "Returns the Unix times in seconds at which fields expire.")
        .cost(PER_FIELD),
    row("hget", 3, READ, read::hget).element(2).keys(ACCESS).doc(
        "2.0.0",
        "key field",
        "Returns the value of a field.",
    ),
    row("hgetall", 2, Flags::READ.and(Flags::QUICK), read::hgetall)
        .keys(ACCESS)
        .doc("2.0.0", "key", "Returns all fields and values of a hash, of one moment.")
        .cost(WHOLE)
        .tips(ORDER),
    row("hgetdel", -5, WRITE, expiry::hgetdel)
        .keys(TAKE)
        .doc("8.0.0", FIELDS, "Returns the values of fields and removes the fields.")
        .cost(PER_FIELD),
    row("hgetex", -5, WRITE, expiry::hgetex)
        .notes(&HGETEX)
        .keys(ADD)
        .doc(
            "8.0.0",
            "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]",
            "Returns the values of fields and sets or removes their expiry.",
        )
        .cost(PER_FIELD),
    row("hincrby", 4, GROW, write::hincrby).one_write(ANY).element(2).keys(ADD).doc(
        "2.0.0",
        "key field increment",
        "Adds a number to the integer in a field; a missing field counts as 0.",
    ),
    row("hincrbyfloat", 4, GROW, write::hincrbyfloat).notes(&HINCRBYFLOAT).keys(ADD).doc(
        "2.6.0",
        "key field increment",
        "Adds a number to the floating-point number in a field; a missing field counts as 0.",
    ),
    row("hkeys", 2, Flags::READ.and(Flags::QUICK), read::hkeys)
        .keys(ACCESS)
        .doc("2.0.0", "key", "Returns all fields of a hash, of one moment.")
        .cost(WHOLE)
        .tips(ORDER),
    row("hlen", 2, READ, read::hlen).keys(RO).doc(
        "2.0.0",
        "key",
        "Returns the number of fields of a hash.",
    ),
    row("hmget", -3, READ, read::hmget)
        .keys(ACCESS)
        .doc("2.0.0", "key field [field ...]", "Returns the values of fields.")
        .cost(PER_FIELD),
    row("hmset", -4, GROW, write::hmset)
        .one_write(ANY)
        .notes(&HMSET)
        .keys(UPDATE)
        .doc("2.0.0", "key field value [field value ...]", "Sets the values of fields.")
        .cost(PER_FIELD),
    row("hpersist", -5, WRITE, expiry::hpersist)
        .keys(UPDATE)
        .doc("7.4.0", FIELDS, "Removes the expiry of fields.")
        .cost(PER_FIELD),
    row("hpexpire", -6, WRITE, expiry::hpexpire)
        .notes(&HEXPIRE)
        .keys(UPDATE)
        .doc(
            "7.4.0",
            "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
            "Sets the expiry of fields in milliseconds from now.",
        )
        .cost(PER_FIELD),
    row("hpexpireat", -6, WRITE, expiry::hpexpireat)
        .notes(&HEXPIRE)
        .keys(UPDATE)
        .doc(
            "7.4.0",
            "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
            "Sets the expiry of fields to a Unix time in milliseconds.",
        )
        .cost(PER_FIELD),
    row("hpexpiretime", -5, READ, expiry::hpexpiretime)
        .keys(ACCESS)
        .doc("7.4.0", FIELDS, "Returns the Unix times in milliseconds at which fields expire.")
        .cost(PER_FIELD),
    row("hpttl", -5, READ, expiry::hpttl)
        .keys(ACCESS)
        .doc("7.4.0", FIELDS, "Returns the milliseconds that fields have left.")
        .cost(PER_FIELD)
        .tips(CHANGING),
    row("hrandfield", -2, Flags::READ, read::hrandfield)
        .notes(&HRANDFIELD)
        .keys(ACCESS)
        .doc(
            "6.2.0",
            "key [count [WITHVALUES]]",
            "Returns random fields: different ones, or with a negative count any.",
        )
        .cost("O(N) in the number of fields returned, or in the size of the hash if they are many")
        .tips(CHANGING),
    row("hscan", -3, Flags::READ, read::hscan)
        .notes(&HSCAN)
        .keys(ACCESS)
        .doc(
            "2.8.0",
            "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
            "Walks over the fields of a hash, a few at a time.",
        )
        .cost("O(1) per call, O(N) for a whole walk")
        .tips(CHANGING),
    row("hset", -4, GROW, write::hset)
        .one_write(ANY)
        .element(2)
        .notes(&HSET)
        .keys(UPDATE)
        .doc("2.0.0", "key field value [field value ...]", "Sets the values of fields.")
        .cost(PER_FIELD),
    row("hsetex", -6, GROW, expiry::hsetex)
        .notes(&HSETEX)
        .keys(UPDATE)
        .doc(
            "8.0.0",
            "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]",
            "Sets the values of fields and their expiry.",
        )
        .cost(PER_FIELD),
    row("hsetnx", 4, GROW, write::hsetnx).one_write(ANY).element(2).keys(INSERT).doc(
        "2.0.0",
        "key field value",
        "Sets the value of a field that is not there yet.",
    ),
    row("hstrlen", 3, READ, read::hstrlen).keys(RO).doc(
        "3.2.0",
        "key field",
        "Returns the length of the value of a field.",
    ),
    row("httl", -5, READ, expiry::httl)
        .keys(ACCESS)
        .doc("7.4.0", FIELDS, "Returns the seconds that fields have left.")
        .cost(PER_FIELD)
        .tips(CHANGING),
    row("hvals", 2, Flags::READ.and(Flags::QUICK), read::hvals)
        .keys(ACCESS)
        .doc("2.0.0", "key", "Returns all values of a hash, of one moment.")
        .cost(WHOLE)
        .tips(ORDER),
];

const HDEL: Notes = Notes::history(&[("2.4.0", "Takes several fields.")]);
const HEXPIRE: Notes = Notes::args(&[at("nx_xx_gt_lt").name("condition")]);
const HGETEX: Notes =
    Notes::args(&[at("seconds_milliseconds_unix-time-seconds_unix-time-milliseconds_persist")
        .name("expiration")]);
const HINCRBYFLOAT: Notes = Notes::args(&[at("increment").kind("double")]);
const HMSET: Notes =
    Notes { deprecated: Some(("4.0.0", "`HSET` with several fields and values")), ..Notes::NONE };
const HRANDFIELD: Notes = Notes::args(&[at("count_withvalues").name("options")]);
const HSCAN: Notes =
    Notes::args(&[at("NOVALUES").since("7.4.0")]).changed(&[("7.4.0", "The option `NOVALUES`.")]);
const HSET: Notes = Notes::history(&[("4.0.0", "Takes several fields.")]);
const HSETEX: Notes = Notes::args(&[
    at("fnx_fxx").name("condition"),
    at("seconds_milliseconds_unix-time-seconds_unix-time-milliseconds_keepttl").name("expiration"),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
    }
}

//! Commands on keys of any type: existence, expiry, names, walks, whole databases.

mod databases;
mod lifetime;
mod moves;
mod object;
mod walk;

use super::args::{integer, integer_in};
use super::event::Class;
use super::notes::{Notes, at};
use super::table::ANY;
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::Key;
use crate::resp::Args;
use crate::session::After;

pub use object::encoding;

const READ: Flags = Flags::READ.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE.and(Flags::FAST);
const RO: &[KeySpec] = &[KeySpec::one(1, &["RO"])];
const RO_ACCESS: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const RW_UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const ALL_RO: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["RO"])];
const ALL_RM: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["RM", "DELETE"])];
const RENAME_KEYS: &[KeySpec] =
    &[KeySpec::one(1, &["RW", "ACCESS", "DELETE"]), KeySpec::one(2, &["OW", "UPDATE"])];
const RENAMENX_KEYS: &[KeySpec] =
    &[KeySpec::one(1, &["RW", "ACCESS", "DELETE"]), KeySpec::one(2, &["OW", "INSERT"])];
const COPY_KEYS: &[KeySpec] =
    &[KeySpec::one(1, &["RO", "ACCESS"]), KeySpec::one(2, &["OW", "UPDATE"])];

const fn row(name: &'static str, arity: i16, flags: Flags, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Generic, run).flags(flags).acl(&["keyspace"])
}

const FLUSH_SYNTAX: &str = "[ASYNC | SYNC]";
const SHARDS_SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("copy", -3, Flags::WRITE.and(Flags::DENYOOM), moves::copy)
        .keys(COPY_KEYS)
        .doc(
            "6.2.0",
            "source destination [DB destination-db] [REPLACE]",
            "Copies the value of a key to another key.",
        )
        .cost("O(N) in the size of the value"),
    Command::new("dbsize", 1, Group::Server, databases::dbsize)
        .flags(READ)
        .acl(&["keyspace"])
        .doc("1.0.0", "", "Returns the number of keys in the selected database.")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    row("del", -2, Flags::WRITE, del)
        .one_write(2)
        .keys(ALL_RM)
        .doc("1.0.0", "key [key ...]", "Removes keys, all in one step.")
        .cost("O(N) in the number of keys; values are freed later")
        .tips(SHARDS_SUM),
    row("exists", -2, READ, exists)
        .notes(&EXISTS)
        .keys(ALL_RO)
        .doc("1.0.0", "key [key ...]", "Counts which of the keys exist, at one moment.")
        .cost("O(N) in the number of keys")
        .tips(SHARDS_SUM),
    row("expire", -3, WRITE, lifetime::expire).one_write(ANY).notes(&EXPIRE).keys(RW_UPDATE).doc(
        "1.0.0",
        "key seconds [NX | XX | GT | LT]",
        "Sets the expiry of a key in seconds from now.",
    ),
    row("expireat", -3, WRITE, lifetime::expireat)
        .one_write(ANY)
        .notes(&EXPIRE)
        .keys(RW_UPDATE)
        .doc(
            "1.2.0",
            "key unix-time-seconds [NX | XX | GT | LT]",
            "Sets the expiry of a key to a Unix time in seconds.",
        ),
    row("expiretime", 2, READ, lifetime::expiretime).keys(RO_ACCESS).doc(
        "7.0.0",
        "key",
        "Returns the Unix time in seconds at which a key expires.",
    ),
    Command::new("flushall", -1, Group::Server, databases::flushall)
        .notes(&FLUSH)
        .flags(Flags::WRITE)
        .acl(&["keyspace", "dangerous"])
        .doc("1.0.0", FLUSH_SYNTAX, "Removes all keys of all databases.")
        .cost("O(1) for the client; memory is freed in the background")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Command::new("flushdb", -1, Group::Server, databases::flushdb)
        .notes(&FLUSH)
        .flags(Flags::WRITE)
        .acl(&["keyspace", "dangerous"])
        .doc("1.0.0", FLUSH_SYNTAX, "Removes all keys of the selected database.")
        .cost("O(1) for the client; memory is freed in the background")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    row("keys", 2, Flags::READ, walk::keys)
        .acl(&["keyspace", "dangerous"])
        .doc("1.0.0", "pattern", "Returns all keys that match a glob pattern.")
        .cost("O(N) in the number of keys, in slices between which other clients are served")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    row("move", 3, WRITE, moves::move_).keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])]).doc(
        "1.0.0",
        "key db",
        "Moves a key to another database.",
    ),
    Command::container("object", Group::Generic, object::OBJECT).doc("2.2.3", "", ""),
    row("persist", 2, WRITE, lifetime::persist).one_write(ANY).keys(RW_UPDATE).doc(
        "2.2.0",
        "key",
        "Removes the expiry of a key.",
    ),
    row("pexpire", -3, WRITE, lifetime::pexpire).one_write(ANY).notes(&EXPIRE).keys(RW_UPDATE).doc(
        "2.6.0",
        "key milliseconds [NX | XX | GT | LT]",
        "Sets the expiry of a key in milliseconds from now.",
    ),
    row("pexpireat", -3, WRITE, lifetime::pexpireat)
        .one_write(ANY)
        .notes(&EXPIRE)
        .keys(RW_UPDATE)
        .doc(
            "2.6.0",
            "key unix-time-milliseconds [NX | XX | GT | LT]",
            "Sets the expiry of a key to a Unix time in milliseconds.",
        ),
    row("pexpiretime", 2, READ, lifetime::pexpiretime).keys(RO_ACCESS).doc(
        "7.0.0",
        "key",
        "Returns the Unix time in milliseconds at which a key expires.",
    ),
    row("pttl", 2, READ, lifetime::pttl)
        .notes(&TTL)
        .keys(RO_ACCESS)
        .doc("2.6.0", "key", "Returns the milliseconds that a key has left.")
        .tips(NONDETERMINISTIC),
    row("randomkey", 1, Flags::READ, walk::randomkey)
        .doc("1.0.0", "", "Returns a random key of the selected database.")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    row("rename", 3, Flags::WRITE, moves::rename).keys(RENAME_KEYS).doc(
        "1.0.0",
        "key newkey",
        "Gives a key another name, replacing what stood there.",
    ),
    row("renamenx", 3, WRITE, moves::renamenx).notes(&RENAMENX).keys(RENAMENX_KEYS).doc(
        "1.0.0",
        "key newkey",
        "Gives a key another name unless that exists.",
    ),
    row("scan", -2, Flags::READ, walk::scan)
        .notes(&SCAN)
        .doc(
            "2.8.0",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "Walks over the keys of the selected database, a few at a time.",
        )
        .cost("O(1) per call, O(N) for a whole walk")
        .tips(&["nondeterministic_output", "request_policy:special"]),
    Command::new("select", 2, Group::Connection, databases::select)
        .flags(Flags::LOADING.and(Flags::STALE).and(Flags::FAST))
        .acl(&["connection"])
        .doc("1.0.0", "index", "Selects the database that later commands of the client use."),
    Command::new("swapdb", 3, Group::Server, databases::swapdb)
        .flags(WRITE)
        .acl(&["keyspace", "dangerous"])
        .doc("4.0.0", "index1 index2", "Exchanges two databases for all clients at once."),
    row("touch", -2, READ, touch)
        .keys(ALL_RO)
        .doc("3.2.1", "key [key ...]", "Records a use of keys and counts those that exist.")
        .cost("O(N) in the number of keys")
        .tips(SHARDS_SUM),
    row("ttl", 2, READ, lifetime::ttl)
        .notes(&TTL)
        .keys(RO_ACCESS)
        .doc("1.0.0", "key", "Returns the seconds that a key has left.")
        .tips(NONDETERMINISTIC),
    row("type", 2, READ, type_).keys(RO).doc("1.0.0", "key", "Returns the type of a key's value."),
    row("unlink", -2, WRITE, del)
        .one_write(2)
        .keys(ALL_RM)
        .doc("4.0.0", "key [key ...]", "Removes keys; their memory is freed in the background.")
        .cost("O(N) in the number of keys")
        .tips(SHARDS_SUM),
    Command::new("wait", 3, Group::Generic, wait)
        .flags(Flags::NOSCRIPT.and(Flags::WAITS))
        .notes(&Notes::args(&[at("timeout").kind("integer")]))
        .acl(&["connection"])
        .doc("3.0.0", "numreplicas timeout", "Waits until replicas have the client's writes.")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

const EXPIRE: Notes = Notes::args(&[at("nx_xx_gt_lt").name("condition").since("7.0.0")])
    .changed(&[("7.0.0", "The options `NX`, `XX`, `GT` and `LT`.")]);
const EXISTS: Notes = Notes::history(&[("3.0.3", "Takes several keys.")]);
const FLUSH: Notes = Notes::args(&[
    at("async_sync").name("async"),
    at("ASYNC").since("4.0.0"),
    at("SYNC").since("6.2.0"),
])
.changed(&[("4.0.0", "The option `ASYNC`."), ("6.2.0", "The option `SYNC`.")]);
const RENAMENX: Notes =
    Notes::history(&[("3.2.0", "Giving a key the name it has is not an error.")]);
const SCAN: Notes =
    Notes::args(&[at("TYPE").since("6.0.0")]).changed(&[("6.0.0", "The option `TYPE`.")]);
const TTL: Notes = Notes::history(&[("2.8.0", "Replies -2 for a key that is not there.")]);

fn del(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() == 2 {
        let key = cx.key(args, 1);
        let removed = cx.db.write(key).remove();
        if removed {
            cx.event(Class::GENERIC, "del", key.bytes);
        }
        cx.reply.int(i64::from(removed));
        return Ok(());
    }
    let keys: Vec<_> = args.from(1).iter().map(Key::new).collect();
    let voice = cx.voice();
    let removed = cx.db.hold(&keys, |db| {
        db.count(&keys, |db, key| {
            let removed = db.write(key).remove();
            if removed {
                voice.event(db, Class::GENERIC, "del", key.bytes);
            }
            removed
        })
    });
    cx.reply.count(removed);
    Ok(())
}

fn exists(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys: Vec<_> = args.from(1).iter().map(Key::new).collect();
    let found =
        cx.db.read_many(&keys, |db| db.count(&keys, |db, key| db.find_untouched(key).is_some()));
    cx.reply.count(found);
    Ok(())
}

fn touch(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys: Vec<_> = args.from(1).iter().map(Key::new).collect();
    // TOUCH leaves its trace even for a client with NO-TOUCH.
    let quiet = std::mem::replace(&mut cx.db.policy.no_touch, false);
    let found = cx.db.read_many(&keys, |db| db.count(&keys, |db, key| db.find(key).is_some()));
    cx.db.policy.no_touch = quiet;
    cx.reply.count(found);
    Ok(())
}

fn type_(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let name = cx.db.find_untouched(key).map_or("none", |entry| entry.type_of().name());
    cx.reply.simple(name);
    Ok(())
}

fn wait(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let wanted = integer(args.get(1))?;
    let timeout = integer_in(args.get(2), .., "ERR timeout is not an integer or out of range")?;
    if timeout < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    cx.reply.int(0);
    if wanted > 0 && !cx.session.in_exec {
        // There is nobody to wait for, but a client that asks is promised the time.
        let until = if timeout == 0 { i64::MAX } else { cx.db.now.saturating_add(timeout) };
        cx.session.after = After::Park(until as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
        assert!(object::OBJECT.is_sorted_by_key(|row| row.name));
    }
}

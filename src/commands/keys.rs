//! Commands on keys of any type: existence, expiry, names, walks, whole databases.

mod object;

use super::args::{Unit, integer, integer_in};
use super::event::Class;
use super::notes::{Notes, at};
use super::slice::{self, Slice};
use super::{Command, Cx, Error, Flags, Group, KeySpec, scripting};
use crate::db::{Entry, Expiry, Key, New};
use crate::resp::Args;
use crate::session::After;
use crate::sync::stripe::Stripes;
use crate::types::glob::Pattern;

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
    row("copy", -3, Flags::WRITE.and(Flags::DENYOOM), copy)
        .keys(COPY_KEYS)
        .doc(
            "6.2.0",
            "source destination [DB destination-db] [REPLACE]",
            "Copies the value of a key to another key.",
        )
        .cost("O(N) in the size of the value"),
    Command::new("dbsize", 1, Group::Server, dbsize)
        .flags(READ)
        .acl(&["keyspace"])
        .doc("1.0.0", "", "Returns the number of keys in the selected database.")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    row("del", -2, Flags::WRITE, del)
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
    row("expire", -3, WRITE, expire).notes(&EXPIRE).keys(RW_UPDATE).doc(
        "1.0.0",
        "key seconds [NX | XX | GT | LT]",
        "Sets the expiry of a key in seconds from now.",
    ),
    row("expireat", -3, WRITE, expireat).notes(&EXPIRE).keys(RW_UPDATE).doc(
        "1.2.0",
        "key unix-time-seconds [NX | XX | GT | LT]",
        "Sets the expiry of a key to a Unix time in seconds.",
    ),
    row("expiretime", 2, READ, expiretime).keys(RO_ACCESS).doc(
        "7.0.0",
        "key",
        "Returns the Unix time in seconds at which a key expires.",
    ),
    Command::new("flushall", -1, Group::Server, flushall)
        .notes(&FLUSH)
        .flags(Flags::WRITE)
        .acl(&["keyspace", "dangerous"])
        .doc("1.0.0", FLUSH_SYNTAX, "Removes all keys of all databases.")
        .cost("O(1) for the client; memory is freed in the background")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Command::new("flushdb", -1, Group::Server, flushdb)
        .notes(&FLUSH)
        .flags(Flags::WRITE)
        .acl(&["keyspace", "dangerous"])
        .doc("1.0.0", FLUSH_SYNTAX, "Removes all keys of the selected database.")
        .cost("O(1) for the client; memory is freed in the background")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    row("keys", 2, Flags::READ, keys)
        .acl(&["keyspace", "dangerous"])
        .doc("1.0.0", "pattern", "Returns all keys that match a glob pattern.")
        .cost("O(N) in the number of keys, in slices between which other clients are served")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    row("move", 3, WRITE, move_).keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])]).doc(
        "1.0.0",
        "key db",
        "Moves a key to another database.",
    ),
    Command::container("object", Group::Generic, object::OBJECT).doc("2.2.3", "", ""),
    row("persist", 2, WRITE, persist).keys(RW_UPDATE).doc(
        "2.2.0",
        "key",
        "Removes the expiry of a key.",
    ),
    row("pexpire", -3, WRITE, pexpire).notes(&EXPIRE).keys(RW_UPDATE).doc(
        "2.6.0",
        "key milliseconds [NX | XX | GT | LT]",
        "Sets the expiry of a key in milliseconds from now.",
    ),
    row("pexpireat", -3, WRITE, pexpireat).notes(&EXPIRE).keys(RW_UPDATE).doc(
        "2.6.0",
        "key unix-time-milliseconds [NX | XX | GT | LT]",
        "Sets the expiry of a key to a Unix time in milliseconds.",
    ),
    row("pexpiretime", 2, READ, pexpiretime).keys(RO_ACCESS).doc(
        "7.0.0",
        "key",
        "Returns the Unix time in milliseconds at which a key expires.",
    ),
    row("pttl", 2, READ, pttl)
        .notes(&TTL)
        .keys(RO_ACCESS)
        .doc("2.6.0", "key", "Returns the milliseconds that a key has left.")
        .tips(NONDETERMINISTIC),
    row("randomkey", 1, Flags::READ, randomkey)
        .doc("1.0.0", "", "Returns a random key of the selected database.")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    row("rename", 3, Flags::WRITE, rename).keys(RENAME_KEYS).doc(
        "1.0.0",
        "key newkey",
        "Gives a key another name, replacing what stood there.",
    ),
    row("renamenx", 3, WRITE, renamenx).notes(&RENAMENX).keys(RENAMENX_KEYS).doc(
        "1.0.0",
        "key newkey",
        "Gives a key another name unless that exists.",
    ),
    row("scan", -2, Flags::READ, scan)
        .notes(&SCAN)
        .doc(
            "2.8.0",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "Walks over the keys of the selected database, a few at a time.",
        )
        .cost("O(1) per call, O(N) for a whole walk")
        .tips(&["nondeterministic_output", "request_policy:special"]),
    Command::new("select", 2, Group::Connection, select)
        .flags(Flags::LOADING.and(Flags::STALE).and(Flags::FAST))
        .acl(&["connection"])
        .doc("1.0.0", "index", "Selects the database that later commands of the client use."),
    Command::new("swapdb", 3, Group::Server, swapdb)
        .flags(WRITE)
        .acl(&["keyspace", "dangerous"])
        .doc("4.0.0", "index1 index2", "Exchanges two databases for all clients at once."),
    row("touch", -2, READ, touch)
        .keys(ALL_RO)
        .doc("3.2.1", "key [key ...]", "Records a use of keys and counts those that exist.")
        .cost("O(N) in the number of keys")
        .tips(SHARDS_SUM),
    row("ttl", 2, READ, ttl)
        .notes(&TTL)
        .keys(RO_ACCESS)
        .doc("1.0.0", "key", "Returns the seconds that a key has left.")
        .tips(NONDETERMINISTIC),
    row("type", 2, READ, type_).keys(RO).doc("1.0.0", "key", "Returns the type of a key's value."),
    row("unlink", -2, WRITE, del)
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

fn expire(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::After { ms: 1000 })
}

fn pexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::After { ms: 1 })
}

fn expireat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::At { ms: 1000 })
}

fn pexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::At { ms: 1 })
}

#[derive(Debug, Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut conditions = Self::default();
        for i in 0..args.len() {
            match () {
                () if args.is(i, "NX") => conditions.nx = true,
                () if args.is(i, "XX") => conditions.xx = true,
                () if args.is(i, "GT") => conditions.gt = true,
                () if args.is(i, "LT") => conditions.lt = true,
                () => {
                    let mut text = b"ERR Unsupported option ".to_vec();
                    text.extend_from_slice(args.get(i));
                    return Err(Error::Bytes(text));
                }
            }
        }
        let Self { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(Error::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(Error::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether an expiry of `old` (none: never) may become `new`.
    const fn allow(self, old: Option<i64>, new: i64) -> bool {
        match old {
            None => !self.xx && !self.gt,
            Some(old) => !(self.nx || self.gt && new <= old || self.lt && new >= old),
        }
    }
}

fn set_expiry(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Result<(), Error> {
    let conditions = Conditions::parse(args.from(3))?;
    let value = integer(args.get(2))?;
    let point = unit.point(value, cx.db.now).ok_or_else(|| {
        Error::from(format!("ERR invalid expire time in '{}' command", cx.row.command.name))
    })?;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let allowed = match write.entry() {
        None => false,
        Some(entry) => conditions.allow(entry.expiry(), point),
    };
    let mut word = "expire";
    if allowed {
        if point <= write.now() {
            write.remove();
            word = "del";
        } else {
            write.expire(Some(point));
        }
    }
    drop(write);
    if allowed {
        cx.event(Class::GENERIC, word, key.bytes);
    }
    cx.reply.int(i64::from(allowed));
    Ok(())
}

fn persist(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let had = write.entry().is_some_and(|entry| entry.expiry().is_some());
    if had {
        write.expire(None);
    }
    drop(write);
    if had {
        cx.event(Class::GENERIC, "persist", key.bytes);
    }
    cx.reply.int(i64::from(had));
    Ok(())
}

/// -2: no key, -1: no expiry, else what `f` makes of the point in time.
fn time_left(cx: &mut Cx<'_>, args: Args<'_>, f: impl FnOnce(i64, i64) -> i64) {
    let key = cx.key(args, 1);
    let now = cx.db.now;
    let value = match cx.db.find_untouched(key).map(Entry::expiry) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => f(at, now),
    };
    cx.reply.int(value);
}

fn ttl(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, now| (at.saturating_sub(now).max(0).saturating_add(500)) / 1000);
    Ok(())
}

fn pttl(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, now| at.saturating_sub(now).max(0));
    Ok(())
}

fn expiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, _| at.saturating_add(500) / 1000);
    Ok(())
}

fn pexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, _| at);
    Ok(())
}

/// Keys that a walk visits between two looks at the time.
const LOOK_AFTER: usize = 200;
/// Buckets with entries opened per SCAN at most, whatever COUNT says: about a millisecond.
const SCAN_BUCKETS: usize = 4_000;
/// Buckets walked per SCAN at most. As many as the smallest table has, nearly all of them empty for
/// a small database, so that its client gets all keys in one reply and not few in each of hundreds.
const SCAN_WALK: usize = Stripes::DEFAULT;

/// A walk of KEYS that goes on in slices.
#[derive(Debug)]
struct Walk {
    cursor: u64,
    buckets: u64,
    shrank: bool,
    found: Vec<Vec<u8>>,
}

fn keys(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let pattern = Pattern::new(args.get(1));
    let mut walk = slice::resume(cx).unwrap_or_else(|| {
        let buckets = cx.db.buckets();
        Box::new(Walk { cursor: 0, buckets, shrank: false, found: Vec::new() })
    });
    let slice = Slice::begin();
    let mut seen = 0;
    loop {
        let buckets = cx.db.buckets();
        walk.shrank |= buckets < walk.buckets;
        walk.buckets = buckets;
        let found = &mut walk.found;
        walk.cursor = cx.db.scan(walk.cursor, |entry| {
            seen += 1;
            if pattern.matches(entry.key()) {
                found.push(entry.key().to_vec());
            }
        });
        if walk.cursor == 0 {
            break;
        }
        seen += 1; // an empty bucket is work too
        if seen >= LOOK_AFTER {
            if slice.is_over() {
                return Slice::pause(cx, walk);
            }
            seen = 0;
        }
    }
    if walk.shrank {
        walk.found.sort_unstable(); // merged buckets may have been walked twice
        walk.found.dedup();
    }
    cx.reply.array(walk.found.len());
    for key in &walk.found {
        cx.reply.bulk(key);
    }
    Ok(())
}

struct ScanOptions<'v> {
    pattern: Option<Pattern>,
    count: i64,
    type_name: Option<&'v [u8]>,
}

impl<'v> ScanOptions<'v> {
    fn parse(args: Args<'v>) -> Result<Self, Error> {
        let mut options = Self { pattern: None, count: 10, type_name: None };
        for i in (0..args.len()).step_by(2) {
            match args.opt(i + 1) {
                Some(value) if args.is(i, "COUNT") => {
                    options.count = integer(value)?;
                    if options.count < 1 {
                        return Err(Error::Syntax);
                    }
                }
                Some(value) if args.is(i, "MATCH") => options.pattern = Some(Pattern::new(value)),
                Some(value) if args.is(i, "TYPE") => options.type_name = Some(value),
                _ => return Err(Error::Syntax),
            }
        }
        Ok(options)
    }

    fn wants(&self, entry: &Entry) -> bool {
        let name = entry.type_of().name().as_bytes();
        self.type_name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(entry.key()))
    }
}

fn scan(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = std::str::from_utf8(args.get(1)).ok().and_then(|text| text.parse::<u64>().ok());
    let mut cursor = cursor.ok_or(Error::new("ERR invalid cursor"))?;
    let options = ScanOptions::parse(args.from(2))?;
    let count = options.count;
    let budget = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(10).min(SCAN_BUCKETS);
    let mut found: Vec<&[u8]> = Vec::new();
    let (mut seen, mut opened) = (0, 0);
    for _ in 0..SCAN_WALK {
        let before = seen;
        cursor = cx.db.scan(cursor, |entry| {
            seen += 1;
            if options.wants(entry) {
                found.push(entry.key());
            }
        });
        opened += usize::from(seen != before);
        if cursor == 0 || seen >= count || opened >= budget {
            break;
        }
    }
    cx.reply.array(2);
    cx.reply.bulk(cursor.to_string().as_bytes());
    cx.reply.array(found.len());
    for key in found {
        cx.reply.bulk(key);
    }
    Ok(())
}

fn randomkey(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    match cx.db.random_key() {
        Some(entry) => cx.reply.bulk(entry.key()),
        None => cx.reply.null(),
    }
    Ok(())
}

fn rename(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    rename_unless(cx, args, false)?;
    cx.reply.ok();
    Ok(())
}

fn renamenx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let renamed = rename_unless(cx, args, true)?;
    cx.reply.int(i64::from(renamed));
    Ok(())
}

fn rename_unless(cx: &mut Cx<'_>, args: Args<'_>, absent: bool) -> Result<bool, Error> {
    let (from, to) = (cx.key(args, 1), Key::new(args.get(2)));
    let renamed = cx.db.hold(&[from, to], |db| {
        if db.peek(from).is_none() {
            return Err(Error::NoSuchKey);
        }
        if from == to {
            return Ok(!absent);
        }
        if absent && db.peek(to).is_some() {
            return Ok(false);
        }
        let Some(taken) = db.write(from).take() else { return Err(Error::NoSuchKey) };
        let expiry = taken.expiry.map_or(Expiry::Never, Expiry::At);
        let mut write = db.write(to);
        write.remove(); // what is set then is a new key
        write.set(New::Taken(taken), expiry);
        drop(write);
        Ok(true)
    })?;
    if renamed && from != to {
        cx.event(Class::GENERIC, "rename_from", from.bytes);
        cx.event(Class::GENERIC, "rename_to", to.bytes);
    }
    Ok(renamed)
}

/// A database's number as SELECT, MOVE, COPY and SWAPDB read it.
fn database(cx: &Cx<'_>, text: &[u8], unreadable: &'static str) -> Result<usize, Error> {
    let index = integer(text).map_err(|_| Error::new(unreadable))?;
    let index = usize::try_from(index).map_err(|_| Error::DbIndex)?;
    if index < cx.db.keyspace.databases() { Ok(index) } else { Err(Error::DbIndex) }
}

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

fn move_(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let to = database(cx, args.get(2), NOT_AN_INTEGER)?;
    let from = cx.db.db;
    if from == to {
        return Err(Error::new("ERR source and destination objects are the same"));
    }
    let key = cx.key(args, 1);
    let moved = cx.db.hold(&[key], |db| {
        if db.peek_in(to, key).is_some() {
            return false;
        }
        let Some(taken) = db.write(key).take() else { return false };
        let expiry = taken.expiry.map_or(Expiry::Never, Expiry::At);
        db.write_in(to, key).set(New::Taken(taken), expiry);
        true
    });
    if moved {
        cx.event(Class::GENERIC, "move_from", key.bytes);
        cx.event_in(to, Class::GENERIC, "move_to", key.bytes);
    }
    cx.reply.int(i64::from(moved));
    Ok(())
}

fn copy(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut to_db, mut replace) = (cx.db.db, false);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "REPLACE") {
            replace = true;
            i += 1;
        } else if args.is(i, "DB") && i + 1 < args.len() {
            to_db = database(cx, args.get(i + 1), NOT_AN_INTEGER)?;
            i += 2;
        } else {
            return Err(Error::Syntax);
        }
    }
    let (from, to) = (cx.key(args, 1), Key::new(args.get(2)));
    if from == to && to_db == cx.db.db {
        return Err(Error::new("ERR source and destination objects are the same"));
    }
    let copied = cx.db.hold(&[from, to], |db| {
        let mut source = db.write(from);
        source.count_lookup();
        let Some(taken) = source.copy() else { return false };
        drop(source);
        if !replace && db.peek_in(to_db, to).is_some() {
            return false;
        }
        let expiry = taken.expiry.map_or(Expiry::Never, Expiry::At);
        let mut write = db.write_in(to_db, to);
        write.remove(); // what is set then is a new key
        write.set(New::Taken(taken), expiry);
        drop(write);
        true
    });
    if copied {
        cx.event_in(to_db, Class::GENERIC, "copy_to", to.bytes);
    }
    cx.reply.int(i64::from(copied));
    Ok(())
}

fn dbsize(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let (keys, _) = cx.db.keyspace.size(cx.db.db);
    cx.reply.int(keys as i64);
    Ok(())
}

fn select(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let index = database(cx, args.get(1), NOT_AN_INTEGER)?;
    cx.db.prepare(index);
    cx.session.select(index);
    cx.db.db = index;
    cx.reply.ok();
    Ok(())
}

fn swapdb(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let first = database(cx, args.get(1), "ERR invalid first DB index")?;
    let second = database(cx, args.get(2), "ERR invalid second DB index")?;
    if !cx.db.swap(first, second) {
        return Err(scripting::busy(cx));
    }
    cx.reply.ok();
    Ok(())
}

/// Where FLUSHDB and FLUSHALL wait until the memory is free.
struct Flushing {
    turns: u32,
}

/// Turns in which a waiting FLUSH lets only the epoch pass before it looks once a millisecond.
const FLUSH_TURNS: u32 = 64;

/// FLUSHDB and FLUSHALL: the databases are empty at once. With ASYNC that is all; else the reply
/// comes when their memory is free, as whoever reads `used_memory` next expects. Nobody else waits:
/// small tables are freed between the turns of this worker, large ones in the background.
fn flush(cx: &mut Cx<'_>, args: Args<'_>, databases: std::ops::Range<usize>) -> Result<(), Error> {
    let mut flushing = match slice::resume::<Flushing>(cx) {
        Some(flushing) => flushing,
        None => {
            let lazy = match args.len() {
                1 => cx.local.config.lazyfree_lazy_user_flush || cx.session.in_exec,
                2 if args.is(1, "SYNC") => cx.session.in_exec, // no epoch passes within a command
                2 if args.is(1, "ASYNC") => true,
                _ => return Err(Error::Syntax),
            };
            if !cx.db.flush(databases) {
                return Err(scripting::busy(cx));
            }
            if lazy {
                cx.reply.ok();
                return Ok(());
            }
            Box::new(Flushing { turns: 0 })
        }
    };
    let keyspace = cx.db.keyspace;
    cx.db.pin().flush(); // the epoch passes only if somebody asks
    keyspace.free_flushed_small();
    if keyspace.lazy_free().0 == 0 {
        cx.reply.ok();
        return Ok(());
    }
    flushing.turns += 1;
    let next = match flushing.turns {
        ..FLUSH_TURNS => After::Retry,
        _ => After::Await(cx.db.now as u64 + 1),
    };
    cx.session.resume = Some(flushing);
    cx.session.after = next;
    Ok(())
}

fn flushdb(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let db = cx.db.db;
    flush(cx, args, db..db + 1)
}

fn flushall(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let databases = cx.db.keyspace.databases();
    flush(cx, args, 0..databases)
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

    #[test]
    fn conditions_of_expire() {
        let gt = Conditions { gt: true, ..Conditions::default() };
        let lt = Conditions { lt: true, ..Conditions::default() };
        let nx = Conditions { nx: true, ..Conditions::default() };
        let xx = Conditions { xx: true, ..Conditions::default() };
        // A key without an expiry counts as living for ever.
        assert!(!gt.allow(None, 5) && lt.allow(None, 5));
        assert!(gt.allow(Some(4), 5) && !gt.allow(Some(5), 5) && lt.allow(Some(6), 5));
        assert!(nx.allow(None, 5) && !nx.allow(Some(1), 5));
        assert!(!xx.allow(None, 5) && xx.allow(Some(1), 5));
    }
}

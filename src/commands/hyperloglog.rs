//! HyperLogLog: PFADD, PFCOUNT, PFMERGE and what looks inside.
//!
//! The values are strings ([`hll`]); clients may have written anything into them, so each command
//! first makes sure that it has a HyperLogLog. Nothing is changed if any part of it is corrupted.

use super::event::Class;
use super::notes::Notes;
use super::sources::Sources;
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Access, Key, Write};
use crate::resp::Args;
use crate::types::hll::{self, Corrupted, Encoding, NotHll, Registers};

const fn row(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::HyperLogLog, run).acl(&["hyperloglog"])
}

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    row("pfadd", -2, pfadd)
        .flags(Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST))
        .keys(&[KeySpec::one(1, &["RW", "INSERT"])])
        .doc("2.8.9", "key [element ...]", "Adds elements, creating the key if it is missing.")
        .cost("O(1) for each element."),
    row("pfcount", -2, pfcount)
        .flags(Flags::READ.and(Flags::MAY_REPLICATE))
        .keys(&[KeySpec::range(1, -1, 1, &["RW", "ACCESS"])
            .note("It may store the estimate in the value, which replicas have to follow.")])
        .doc("2.8.9", "key [key ...]", "Estimates how many different elements were added.")
        .cost("O(1) for one key, with a small constant; O(N) for N keys, with a large one."),
    row("pfdebug", 3, pfdebug)
        .notes(&INTERNAL)
        .flags(Flags::WRITE.and(Flags::DENYOOM).and(Flags::ADMIN))
        .keys(&[KeySpec::one(2, &["RW", "ACCESS"])])
        .doc("2.8.9", "subcommand key", "Looks into a value: DECODE, ENCODING, GETREG, TODENSE.")
        .cost("O(N), N being the number of registers."),
    row("pfmerge", -2, pfmerge)
        .flags(Flags::WRITE.and(Flags::DENYOOM))
        .keys(&[
            KeySpec::one(1, &["RW", "ACCESS", "INSERT"]),
            KeySpec::range(2, -1, 1, &["RO", "ACCESS"]),
        ])
        .doc("2.8.9", "destkey [sourcekey ...]", "Adds to a key what was added to others.")
        .cost("O(N), N being the number of keys, with a large constant."),
    row("pfselftest", 1, pfselftest)
        .notes(&INTERNAL)
        .flags(Flags::ADMIN)
        .doc("2.8.9", "", "Checks that counting works.")
        .cost("O(1), with a very large constant."),
];

const INTERNAL: Notes = Notes { internal: true, ..Notes::NONE };

impl From<NotHll> for Error {
    fn from(_: NotHll) -> Self {
        Error::new(NotHll::TEXT)
    }
}

impl From<Corrupted> for Error {
    fn from(_: Corrupted) -> Self {
        Error::new(Corrupted::TEXT)
    }
}

fn pfadd(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let sparse_max = cx.local.config.hll_sparse_max_bytes;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let elements = args.from(2);
    let news = |bytes: &[u8]| -> Result<bool, Error> {
        hll::check(bytes)?;
        let mut any = false;
        for element in elements.iter() {
            any |= hll::would_change(bytes, element)?;
        }
        Ok(any)
    };
    // The text must be dropped before the edit, which works in place if it has the only reference.
    let changed = match write.text()? {
        Some(text) => text.with(news)?,
        None => true,
    };
    if changed {
        edit(&mut write, |bytes| {
            elements.iter().try_for_each(|e| hll::add(bytes, e, sparse_max).map(|_| ()))
        })?;
    }
    drop(write);
    if changed {
        cx.event(Class::STRING, "pfadd", key.bytes);
    }
    cx.reply.int(i64::from(changed));
    Ok(())
}

/// Edits the value, an empty one if the key is absent. That one begins with a stale count, as the
/// bytes that Redis stores do.
fn edit<T>(write: &mut Write<'_, '_>, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    write.edit(|bytes| {
        if bytes.is_empty() {
            bytes.extend_from_slice(&hll::empty());
            hll::mark_stale(bytes);
        }
        f(bytes)
    })
}

fn pfcount(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys: Vec<Key<'_>> = (1..args.len()).map(|i| cx.key(args, i)).collect();
    let count = match keys[..] {
        [key] => count_one(&mut cx.db, key)?,
        _ => union(&Sources::read(&mut cx.db, &keys)?)?.0.count(),
    };
    cx.reply.int(count as i64);
    Ok(())
}

/// Keeps a new count in the value, so that the next reader finds it there.
fn count_one(db: &mut Access<'_>, key: Key<'_>) -> Result<u64, Error> {
    let Some(text) = db.string(key)? else { return Ok(0) };
    let cached = text.with(|bytes| hll::check(bytes).map(|_| hll::cached_count(bytes)))?;
    drop(text);
    if let Some(count) = cached {
        return Ok(count);
    }
    let mut write = db.write(key);
    let Some(text) = write.text()? else { return Ok(0) };
    text.with(hll::check)?;
    let (count, fresh) = text.with(hll::count)?;
    drop(text);
    if fresh {
        write.edit(|bytes| hll::store_count(bytes, count));
    }
    Ok(count)
}

/// The registers of all values together, and whether any of these is dense.
fn union(sources: &Sources<'_>) -> Result<(Registers, bool), Error> {
    let (mut registers, mut dense) = (Registers::default(), false);
    for text in sources.texts().flatten() {
        dense |= hll::check(&text)? == Encoding::Dense;
        registers.merge(&text)?;
    }
    Ok((registers, dense))
}

fn pfmerge(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let sparse_max = cx.local.config.hll_sparse_max_bytes;
    // The destination is a source as well.
    let keys: Vec<Key<'_>> = (1..args.len()).map(|i| cx.key(args, i)).collect();
    let seen = Sources::read(&mut cx.db, &keys)?;
    let draft = union(&seen)?;
    cx.db.hold(&keys, |db| -> Result<(), Error> {
        let now = Sources::read_again(db, &keys)?;
        let (registers, dense) = if now.are(&seen) { draft } else { union(&now)? };
        drop((seen, now));
        let mut write = db.write(keys[0]);
        edit(&mut write, |bytes| hll::merge_into(bytes, &registers, dense, sparse_max))?;
        Ok(())
    })?;
    cx.event(Class::STRING, "pfadd", keys[0].bytes);
    cx.reply.ok();
    Ok(())
}

fn pfdebug(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 2);
    let mut write = cx.db.write(key);
    let Some(text) = write.text()? else {
        return Err(Error::new("ERR The specified key does not exist"));
    };
    let encoding = text.with(hll::check)?;
    if args.is(1, "getreg") {
        let registers = text.with(Registers::read)?;
        drop(text);
        if encoding == Encoding::Sparse {
            write.edit(hll::make_dense)?;
        }
        cx.reply.array(hll::REGISTERS);
        registers.iter().for_each(|run| cx.reply.int(i64::from(run)));
    } else if args.is(1, "decode") {
        match text.with(hll::decode)? {
            Some(opcodes) => cx.reply.bulk(opcodes.as_bytes()),
            None => return Err(Error::new("ERR HLL encoding is not sparse")),
        }
    } else if args.is(1, "encoding") {
        cx.reply.simple(encoding.name());
    } else if args.is(1, "todense") {
        let sparse = encoding == Encoding::Sparse;
        if sparse {
            text.with(Registers::read)?; // corrupted ones are left as they are
            drop(text);
            write.edit(hll::make_dense)?;
        }
        cx.reply.int(i64::from(sparse));
    } else {
        let unknown = [b"ERR Unknown PFDEBUG subcommand '", args.get(1), b"'"].concat();
        return Err(Error::Bytes(unknown));
    }
    Ok(())
}

fn pfselftest(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    hll::self_test()?;
    cx.reply.ok();
    Ok(())
}

//! One value whole: GET, SET and their kin.

use super::super::args::{Unit, expiry};
use super::super::event::Class;
use super::super::{Cx, Error};
use crate::db::{Expiry, New, Write};
use crate::resp::Args;

/// Argument `i` as a value to store, without a copy when it was received into a block of its own.
#[inline(always)]
pub fn value<'v>(args: Args<'v>, i: usize) -> New<'v> {
    match args.shared(i) {
        Some(bytes) => New::Shared(bytes),
        None => New::Text(args.get(i)),
    }
}

pub fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let value = cx.db.string(key)?;
    cx.reply.string_or_null(value);
    Ok(())
}

/// When SET is to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When<'v> {
    Always,
    Absent,
    Present,
    Equal(&'v [u8]),
}

#[derive(Debug, Clone, Copy)]
struct SetOptions<'v> {
    when: When<'v>,
    get: bool,
    expiry: Expiry,
}

fn set_options<'v>(args: Args<'v>, now: i64) -> Result<SetOptions<'v>, Error> {
    let mut options = SetOptions { when: When::Always, get: false, expiry: Expiry::Never };
    let (mut timed, mut time) = (false, None);
    let mut i = 3;
    while let Some(word) = args.opt(i) {
        let first_condition = options.when == When::Always;
        if args.is(i, "NX") && first_condition {
            options.when = When::Absent;
        } else if args.is(i, "XX") && first_condition {
            options.when = When::Present;
        } else if args.is(i, "IFEQ") && first_condition && i + 1 < args.len() {
            i += 1;
            options.when = When::Equal(args.get(i));
        } else if args.is(i, "GET") {
            options.get = true;
        } else if args.is(i, "KEEPTTL") && !timed {
            timed = true;
            options.expiry = Expiry::Keep;
        } else if let Some(unit) = Unit::of(word)
            && !timed
            && i + 1 < args.len()
        {
            timed = true;
            i += 1;
            time = Some((i, unit));
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    // Words before values: the time is read only if no later word is wrong.
    if let Some((at, unit)) = time {
        options.expiry = Expiry::At(expiry(args.get(at), unit, now, "set")?);
    }
    Ok(options)
}

pub fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    if args.len() == 3 {
        cx.db.write(key).set(value(args, 2), Expiry::Never);
        cx.event(Class::STRING, "set", key.bytes);
        cx.reply.ok();
        return Ok(());
    }
    let options = set_options(args, cx.db.now)?;
    let mut write = cx.db.write(key);
    let mut old = None;
    if options.get || matches!(options.when, When::Equal(_)) {
        old = write.text()?;
    }
    if options.get {
        write.count_lookup();
    }
    let act = match options.when {
        When::Always => true,
        When::Absent => !write.exists(),
        When::Present => write.exists(),
        When::Equal(text) => old.as_ref().is_some_and(|old| old.with(|old| old == text)),
    };
    if act {
        match options.expiry {
            Expiry::At(at) => effect_at(&mut write, args.get(1), args.get(2), at),
            Expiry::Keep => write.effect(&[b"SET", args.get(1), args.get(2), b"KEEPTTL"]),
            Expiry::Never => write.effect(&[b"SET", args.get(1), args.get(2)]),
        }
        write.set(value(args, 2), options.expiry);
    }
    drop(write);
    if act {
        was_set(cx, key.bytes, matches!(options.expiry, Expiry::At(_)));
    }
    match (options.get, act) {
        (true, _) => cx.reply.string_or_null(old),
        (false, true) => cx.reply.ok(),
        (false, false) => cx.reply.null(),
    }
    Ok(())
}

/// The effect of setting a string with a time.
fn effect_at(write: &mut Write<'_, '_>, key: &[u8], value: &[u8], at: i64) {
    let mut number = itoa::Buffer::new();
    write.effect(&[b"SET", key, value, b"PXAT", number.format(at).as_bytes()]);
}

/// A string was set, perhaps with a time.
fn was_set(cx: &mut Cx<'_>, key: &[u8], timed: bool) {
    cx.event(Class::STRING, "set", key);
    if timed {
        cx.event(Class::GENERIC, "expire", key);
    }
}

pub fn setnx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let absent = !write.exists();
    if absent {
        write.set(value(args, 2), Expiry::Never);
    }
    drop(write);
    if absent {
        was_set(cx, key.bytes, false);
    }
    cx.reply.int(i64::from(absent));
    Ok(())
}

pub fn setex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_with_time(cx, args, Unit::After { ms: 1000 })
}

pub fn psetex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_with_time(cx, args, Unit::After { ms: 1 })
}

fn set_with_time(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Result<(), Error> {
    let at = expiry(args.get(2), unit, cx.db.now, cx.row.command.name)?;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    effect_at(&mut write, key.bytes, args.get(3), at);
    write.set(value(args, 3), Expiry::At(at));
    drop(write);
    was_set(cx, key.bytes, true);
    cx.reply.ok();
    Ok(())
}

pub fn getset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = write.text()?;
    write.count_lookup();
    write.effect(&[b"SET", key.bytes, args.get(2)]);
    write.set(value(args, 2), Expiry::Never);
    drop(write);
    was_set(cx, key.bytes, false);
    cx.reply.string_or_null(old);
    Ok(())
}

pub fn getdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = write.text()?;
    write.count_lookup();
    let removed = write.exists();
    if removed {
        write.effect(&[b"DEL", key.bytes]);
        write.remove();
    }
    drop(write);
    if removed {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    cx.reply.string_or_null(old);
    Ok(())
}

pub fn delifeq(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let equal = write.text()?.is_some_and(|text| text.with(|text| text == args.get(2)));
    if equal {
        write.remove();
    }
    drop(write);
    if equal {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    cx.reply.int(i64::from(equal));
    Ok(())
}

pub fn getex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let change = match args.len() {
        2 => None,
        3 if args.is(2, "PERSIST") => Some(None),
        4 => {
            let unit = Unit::of(args.get(2)).ok_or(Error::Syntax)?;
            Some(Some(expiry(args.get(3), unit, cx.db.now, "getex")?))
        }
        _ => return Err(Error::Syntax),
    };
    let key = cx.key(args, 1);
    let Some(change) = change else {
        let value = cx.db.string(key)?;
        cx.reply.string_or_null(value);
        return Ok(());
    };
    let mut write = cx.db.write(key);
    let value = write.text()?;
    write.count_lookup();
    write.touch();
    let timed = write.entry().is_some_and(|entry| entry.expiry().is_some());
    let mut number = itoa::Buffer::new();
    let word = match change {
        _ if !write.exists() => None,
        Some(at) if at <= write.now() => {
            write.effect(&[b"DEL", key.bytes]);
            write.remove().then_some("del")
        }
        Some(at) => {
            write.effect(&[b"PEXPIREAT", key.bytes, number.format(at).as_bytes()]);
            write.expire(Some(at)).then_some("expire")
        }
        None if timed => {
            write.effect(&[b"PERSIST", key.bytes]);
            write.expire(None).then_some("persist")
        }
        None => None,
    };
    drop(write);
    if let Some(word) = word {
        cx.event(Class::GENERIC, word, key.bytes);
    }
    cx.reply.string_or_null(value);
    Ok(())
}

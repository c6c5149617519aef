//! Commands that set and remove fields.

use super::super::args::integer;
use super::super::elements::bulk;
use super::super::event::Class;
use super::place::{change, change_held, set_large};
use super::{Args, Cx, Error};
use crate::types::extended::{self, Extended};
use crate::types::hash::End;
use crate::types::number;
use crate::types::packed::{ELEMENT_MAX, Element};

/// Names and values have a greatest length, far beyond that of a request's argument.
fn check(args: Args<'_>, from: usize) -> Result<(), Error> {
    let fits = args.from(from).iter().all(|arg| arg.len() <= ELEMENT_MAX);
    if fits { Ok(()) } else { Err(Error::TooLong) }
}

/// Sets the fields of HSET and HMSET; how many are new.
#[inline]
fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Arity);
    }
    check(args, 2)?;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let one = args.len() == 4;
    let fresh = match one.then(|| set_large(&mut write, args.get(2), args.get(3))).flatten() {
        Some(is_new) => {
            drop(write);
            usize::from(is_new)
        }
        None => {
            let mut hash = change_held(write, cx.local)?;
            let mut fresh = 0;
            for i in (2..args.len()).step_by(2) {
                fresh += usize::from(hash.set(args.get(i), args.get(i + 1), End::Never));
            }
            hash.finish().settle(&mut cx.local.scratch);
            fresh
        }
    };
    cx.event(Class::HASH, "hset", key.bytes);
    Ok(fresh)
}

pub fn hset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let fresh = set(cx, args)?;
    cx.reply.count(fresh);
    Ok(())
}

pub fn hmset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set(cx, args)?;
    cx.reply.ok();
    Ok(())
}

pub fn hsetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    check(args, 2)?;
    let key = cx.key(args, 1);
    let mut hash = change(cx, key)?;
    let absent = hash.get(args.get(2)).is_none();
    if absent {
        hash.set(args.get(2), args.get(3), End::Never);
    }
    hash.finish().settle(&mut cx.local.scratch);
    if absent {
        cx.event(Class::HASH, "hset", key.bytes);
    }
    cx.reply.int(i64::from(absent));
    Ok(())
}

pub fn hdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut hash = change(cx, key)?;
    let gone = args.from(2).iter().filter(|name| hash.remove(name)).count();
    let emptied = hash.finish().settle(&mut cx.local.scratch);
    if gone > 0 {
        cx.event(Class::HASH, "hdel", key.bytes);
    }
    if emptied {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    cx.reply.count(gone);
    Ok(())
}

pub fn hincrby(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = integer(args.get(3))?;
    let key = cx.key(args, 1);
    let mut hash = change(cx, key)?;
    let old = match hash.get(args.get(2)).map(|field| field.value) {
        None => Some(0),
        Some(Element::Int(value)) => Some(value),
        Some(Element::Str(text)) => number::parse_i64(text),
        Some(Element::Double(_)) => None,
    };
    let sum = match old {
        None => Err(Error::new("ERR hash value is not an integer")),
        Some(old) => old.checked_add(by).ok_or(Error::Overflow),
    };
    if let Ok(sum) = sum {
        let mut text = itoa::Buffer::new();
        hash.set(args.get(2), text.format(sum).as_bytes(), End::Keep);
    }
    hash.finish().settle(&mut cx.local.scratch);
    let sum = sum?;
    cx.event(Class::HASH, "hincrby", key.bytes);
    cx.reply.int(sum);
    Ok(())
}

pub fn hincrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    match Extended::parse(args.get(3)) {
        None => return Err(Error::NotAFloat),
        Some(by) if by.is_infinite() => return Err(Error::new("ERR value is NaN or Infinity")),
        Some(_) => {}
    }
    let key = cx.key(args, 1);
    let mut hash = change(cx, key)?;
    let mut scratch = Vec::new();
    let old = hash.get(args.get(2));
    let old = old.as_ref().map_or(&b"0"[..], |field| field.value.text(&mut scratch));
    let sum = match Extended::parse(old) {
        None => Err(Error::new("ERR hash value is not a float")),
        Some(_) => extended::incr_by_float(old, args.get(3)).map_err(|e| Error::new(e.text())),
    };
    if let Ok(sum) = &sum {
        hash.set(args.get(2), sum, End::Keep);
    }
    hash.finish().settle(&mut cx.local.scratch);
    let sum = sum?;
    cx.event(Class::HASH, "hincrbyfloat", key.bytes);
    bulk(cx.reply, &Element::Str(&sum));
    Ok(())
}

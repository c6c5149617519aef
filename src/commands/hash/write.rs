//! Commands that set and remove fields.

use super::super::ahead::in_groups;
use super::super::args::integer;
use super::super::elements::bulk;
use super::super::event::Class;
use super::expiry::at_end;
use super::place::{Change, One, change, change_held, change_one, set_large, share_one};
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
    let one = args.len() == 4;
    if one {
        let set = |field: &mut One<'_, '_, '_>| field.set(args.get(3), End::Never);
        if let Some(is_new) = share_one(cx, key, args.get(2), set) {
            cx.event(Class::HASH, "hset", key.bytes);
            return Ok(usize::from(is_new));
        }
    }
    let mut write = cx.db.write(key);
    let fresh = match one.then(|| set_large(&mut write, args.get(2), args.get(3))).flatten() {
        Some(is_new) => {
            drop(write);
            usize::from(is_new)
        }
        None => {
            let mut hash = change_held(write, cx.local)?;
            let mut fresh = 0;
            let pairs = (1..args.len() / 2).map(|i| (args.get(2 * i), args.get(2 * i + 1)));
            let ask = |hash: &Change<'_, '_>, pairs: &[(&[u8], &[u8])]| {
                hash.view().ask_ahead(pairs.iter().map(|(name, _)| *name));
            };
            in_groups(&mut hash, pairs, ask, |hash, (name, value)| {
                fresh += usize::from(hash.set(name, value, End::Never));
            });
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
    let (absent, _) = change_one(cx, key, args.get(2), |field| {
        let absent = field.get().is_none();
        if absent {
            field.set(args.get(3), End::Never);
        }
        absent
    })?;
    if absent {
        cx.event(Class::HASH, "hset", key.bytes);
    }
    cx.reply.int(i64::from(absent));
    Ok(())
}

pub fn hdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let (gone, emptied) = if args.len() == 3 {
        let (gone, emptied) = change_one(cx, key, args.get(2), |field| field.remove())?;
        (usize::from(gone), emptied)
    } else {
        let mut hash = change(cx, key)?;
        let mut gone = 0;
        let ask = |hash: &Change<'_, '_>, names: &[&[u8]]| {
            hash.view().ask_ahead(names.iter().copied());
        };
        in_groups(&mut hash, args.from(2).iter(), ask, |hash, name| {
            gone += usize::from(hash.remove(name));
        });
        (gone, hash.finish().settle(&mut cx.local.scratch))
    };
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
    let (sum, _) = change_one(cx, key, args.get(2), |field| {
        let old = match field.get().map(|field| field.value) {
            None => Some(0),
            Some(Element::Int(value)) => Some(value),
            Some(Element::Str(text)) => number::parse_i64(text),
            Some(Element::Double(_)) => None,
        };
        let old = old.ok_or(Error::new("ERR hash value is not an integer"))?;
        let sum = old.checked_add(by).ok_or(Error::Overflow)?;
        field.set(itoa::Buffer::new().format(sum).as_bytes(), End::Keep);
        Ok::<_, Error>(sum)
    })?;
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
    let (sum, _) = change_one(cx, key, args.get(2), |field| {
        let mut scratch = Vec::new();
        let old = field.get();
        let old_end = old.as_ref().and_then(|field| field.end);
        let old = old.as_ref().map_or(&b"0"[..], |field| field.value.text(&mut scratch));
        if Extended::parse(old).is_none() {
            return Err(Error::new("ERR hash value is not a float"));
        }
        let sum = extended::incr_by_float(old, args.get(3)).map_err(|e| Error::new(e.text()))?;
        let end = old_end;
        field.set(&sum, End::Keep);
        Ok((sum, end))
    })?;
    let (sum, end) = sum?;
    cx.db.effect(&[b"HSET", key.bytes, args.get(2), &sum]);
    if let Some(at) = end {
        at_end(cx, key.bytes, at, &[args.get(2)]); // HSET lets the field live for ever
    }
    cx.event(Class::HASH, "hincrbyfloat", key.bytes);
    bulk(cx.reply, &Element::Str(&sum));
    Ok(())
}

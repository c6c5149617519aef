//! Values that are numbers: INCR and its kin.

use super::super::args::{self, integer};
use super::super::event::Class;
use super::super::{Cx, Error};
use crate::db::{Expiry, New, Str};
use crate::resp::Args;
use crate::types::extended;

pub fn incr(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    add(cx, args, 1)
}

pub fn decr(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    add(cx, args, -1)
}

pub fn incrby(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = integer(args.get(2))?;
    add(cx, args, by)
}

pub fn decrby(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = integer(args.get(2))?;
    let by = by.checked_neg().ok_or(Error::new("ERR decrement would overflow"))?;
    add(cx, args, by)
}

fn add(cx: &mut Cx<'_>, args: Args<'_>, by: i64) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = match write.text()? {
        None => 0,
        Some(Str::Int(value)) => value,
        Some(text) => text.with(args::integer)?,
    };
    let sum = old.checked_add(by).ok_or(Error::Overflow)?;
    write.set_int(sum);
    drop(write);
    cx.event(Class::STRING, "incrby", key.bytes);
    cx.reply.int(sum);
    Ok(())
}

pub fn incrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = write.text()?;
    let sum = match &old {
        None => extended::incr_by_float(b"0", args.get(2)),
        Some(text) => text.with(|text| extended::incr_by_float(text, args.get(2))),
    };
    let sum = sum.map_err(|error| Error::new(error.text()))?;
    write.effect(&[b"SET", key.bytes, &sum, b"KEEPTTL"]);
    write.set(New::Plain(&sum), Expiry::Keep);
    drop(write);
    cx.event(Class::STRING, "incrbyfloat", key.bytes);
    cx.reply.bulk(&sum);
    Ok(())
}

//! Values that go from key to key: RENAME, MOVE, COPY.

use super::super::event::Class;
use super::super::{Cx, Error};
use super::databases::{NOT_AN_INTEGER, database};
use crate::db::{Expiry, Key, New};
use crate::resp::Args;

pub fn rename(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    rename_unless(cx, args, false)?;
    cx.reply.ok();
    Ok(())
}

pub fn renamenx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
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

pub fn move_(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
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

pub fn copy(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
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

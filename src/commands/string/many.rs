//! Several keys in one step: MGET, MSET, MSETNX.

use super::super::event::{Class, Voice};
use super::super::{Cx, Error};
use super::value::value;
use crate::db::{Access, Expiry, Key, New};
use crate::resp::Args;

pub fn mget(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys: Vec<_> = args.from(1).iter().map(Key::new).collect();
    cx.reply.array(keys.len());
    let reply = &mut *cx.reply;
    let start = reply.mark();
    cx.db.read_many(&keys, |db| {
        reply.cut(start);
        db.each(&keys, |db, _, key| {
            // A key of another type reads as absent: MGET never fails.
            reply.string_or_null(db.string(key).ok().flatten());
            true
        });
    });
    Ok(())
}

fn pairs(args: Args<'_>) -> Result<Vec<Key<'_>>, Error> {
    if args.len().is_multiple_of(2) {
        return Err(Error::Arity);
    }
    Ok(args.from(1).iter().step_by(2).map(Key::new).collect())
}

/// From this many keys on, MSET and MSETNX build all entries before they take the stripes.
const MANY: usize = 64;

fn pairs_ahead(keys: &[Key<'_>], args: Args<'_>) -> Vec<New<'static>> {
    let ahead = |(i, key): (usize, &Key<'_>)| value(args, 2 * i + 2).ahead(*key);
    if keys.len() < MANY { Vec::new() } else { keys.iter().enumerate().map(ahead).collect() }
}

fn set_pairs(
    db: &mut Access<'_>,
    keys: &[Key<'_>],
    args: Args<'_>,
    (ahead, voice): (Vec<New<'static>>, Voice),
) {
    let mut ahead = ahead.into_iter();
    db.each(keys, |db, i, key| {
        let value = ahead.next().unwrap_or_else(|| value(args, 2 * i + 2));
        db.write(key).set(value, Expiry::Never);
        voice.event(db, Class::STRING, "set", key.bytes);
        true
    });
}

pub fn mset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys = pairs(args)?;
    let ahead = pairs_ahead(&keys, args);
    let voice = cx.voice();
    cx.db.hold(&keys, |db| set_pairs(db, &keys, args, (ahead, voice)));
    cx.reply.ok();
    Ok(())
}

pub fn msetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys = pairs(args)?;
    let (ahead, voice) = (pairs_ahead(&keys, args), cx.voice());
    let set = cx.db.hold(&keys, |db| {
        let free = db.each(&keys, |db, _, key| db.peek(key).is_none());
        if free {
            set_pairs(db, &keys, args, (ahead, voice));
        }
        free
    });
    cx.reply.int(i64::from(set));
    Ok(())
}

//! Strings combined bit by bit: BITOP.

use super::super::event::Class;
use super::super::slice::{self, Slice};
use super::super::sources::Sources;
use super::super::{Cx, Error};
use super::PIECE;
use crate::db::{Access, Expiry, INLINE_LIMIT, Key, New, WrongType};
use crate::resp::Args;
use crate::types::bitops::Op;
use bytes::Bytes;

pub fn bitop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let op = Op::parse(args.get(1)).ok_or(Error::Syntax)?;
    op.check_sources(args.len() - 3).map_err(Error::new)?;
    let keys: Vec<Key<'_>> = (2..args.len()).map(|i| cx.key(args, i)).collect();
    if let Some(combining) = slice::resume::<Combining>(cx) {
        return go_on_combining(cx, combining, op, &keys);
    }
    let seen = Sources::read(&mut cx.db, &keys[1..])?;
    if seen.longest() > PIECE {
        return go_on_combining(cx, Box::new(Combining::of(&seen, 1)), op, &keys);
    }
    let draft = combine(op, &seen);
    let stored = cx.db.hold(&keys, |db| -> Result<Stored, WrongType> {
        let now = Sources::read_again(db, &keys[1..])?;
        let result = if now.are(&seen) { draft } else { combine(op, &now) };
        Ok(store(db, keys[0], result))
    })?;
    tell(cx, keys[0], stored);
    Ok(())
}

/// What BITOP did: the length of the result, and the event that tells of it.
type Stored = (usize, Option<&'static str>);

/// Stores the result of BITOP.
fn store(db: &mut Access<'_>, key: Key<'_>, result: Vec<u8>) -> Stored {
    let len = result.len();
    let mut write = db.write(key);
    if len == 0 {
        return (len, write.remove().then_some("del"));
    } else if len < INLINE_LIMIT {
        write.set(New::Edited(&result), Expiry::Never);
    } else {
        write.set(New::Shared(Bytes::from(result)), Expiry::Never);
    }
    (len, Some("set"))
}

fn tell(cx: &mut Cx<'_>, key: Key<'_>, (len, word): Stored) {
    if let Some(word) = word {
        let class = if word == "del" { Class::GENERIC } else { Class::STRING };
        cx.event(class, word, key.bytes);
    }
    cx.reply.count(len);
}

/// How often BITOP begins anew when a source changed while it ran; then it works under the stripes.
const ATTEMPTS: u32 = 3;

/// Long strings being combined.
#[derive(Debug)]
struct Combining {
    attempt: u32,
    sources: Vec<Bytes>,
    len: usize,
    /// The result so far.
    out: Vec<u8>,
}

impl Combining {
    fn of(sources: &Sources<'_>, attempt: u32) -> Self {
        let len = sources.longest();
        Self { attempt, sources: sources.kept(), len, out: Vec::with_capacity(len) }
    }
}

fn go_on_combining(
    cx: &mut Cx<'_>,
    mut work: Box<Combining>,
    op: Op,
    keys: &[Key<'_>],
) -> Result<(), Error> {
    let slice = Slice::begin();
    loop {
        let Combining { sources, len, out, .. } = &mut *work;
        let slices: Vec<&[u8]> = sources.iter().map(|source| &source[..]).collect();
        while out.len() < *len {
            op.extend(&slices, out, (out.len() + PIECE).min(*len));
            if slice.is_over() && out.len() < *len {
                return Slice::pause(cx, work);
            }
        }
        let stored = cx.db.hold(keys, |db| -> Result<Option<Stored>, WrongType> {
            let now = Sources::read_again(db, &keys[1..])?;
            let result = match () {
                () if now.are_still(&work.sources) => std::mem::take(&mut work.out),
                () if work.attempt >= ATTEMPTS => combine(op, &now),
                () => {
                    *work = Combining::of(&now, work.attempt + 1);
                    return Ok(None);
                }
            };
            Ok(Some(store(db, keys[0], result)))
        })?;
        if let Some(stored) = stored {
            tell(cx, keys[0], stored);
            return Ok(());
        }
    }
}

fn combine(op: Op, sources: &Sources<'_>) -> Vec<u8> {
    let texts: Vec<_> = sources.texts().map(Option::unwrap_or_default).collect();
    let slices: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
    op.combine(&slices)
}

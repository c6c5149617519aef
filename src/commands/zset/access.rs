//! From a key to its sorted set and back, in whichever form it is; scores in replies.

use super::{Cx, Error};
use crate::commands::event::Class;
use crate::db::{Compact, Expiry, Holds, Key, New, Seen, Write};
use crate::resp::Reply;
use crate::types::number;
use crate::types::object::{Object, PACKED, Type};
use crate::types::packed::ELEMENT_MAX;
use crate::types::zset::{Done, Draft, Limits, Small, View};

/// What a reader got as a sorted set.
#[inline]
pub fn view_of(seen: Seen<'_>) -> View<'_> {
    match seen {
        Seen::Compact(compact) => View::Small(Small::new(compact.bytes)),
        Seen::Object(Object::ZSet(set)) => View::Large(set),
        Seen::Object(_) => View::EMPTY, // the type was looked at before
    }
}

/// Reads the sorted set under a key; None if it does not exist. A large one's stripe is held
/// meanwhile.
#[inline]
pub fn read<T>(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    f: impl FnOnce(View<'_>, &mut Reply) -> T,
) -> Result<Option<T>, Error> {
    let Cx { db, reply, .. } = cx;
    Ok(db.collection(key, Type::ZSet, |seen| f(view_of(seen), reply))?)
}

/// The limits in force.
pub fn limits(cx: &Cx<'_>) -> Limits {
    let config = &cx.local.config;
    Limits {
        entries: config.zset_max_listpack_entries,
        value: config.zset_max_listpack_value.min(ELEMENT_MAX),
    }
}

/// The sorted set under a held key, to be changed; None if it does not exist.
#[inline]
pub fn draft<'w>(write: &'w mut Write<'_, '_>) -> Result<Option<Draft<'w>>, Error> {
    match write.holds(Type::ZSet)? {
        Holds::Nothing => Ok(None),
        Holds::Compact(compact) => Ok(Some(Draft::small(compact.bytes))),
        Holds::Object => match write.object() {
            Some(Object::ZSet(set)) => Ok(Some(Draft::Place(set))),
            _ => Err(Error::WrongType),
        },
    }
}

/// Puts what a changed sorted set has become in its place; true if nothing is left of it. A large one
/// has changed where it stands by now: nobody can have looked at it, for that takes the stripe.
#[inline]
pub fn settle(write: &mut Write<'_, '_>, done: Done, expiry: Expiry) -> bool {
    match done {
        Done::Empty => {
            write.remove();
            return true;
        }
        Done::Small(bytes) => {
            let compact = Compact { kind: Type::ZSet, form: PACKED, bytes: &bytes };
            write.set(New::Compact(compact), expiry);
        }
        Done::Fresh(set) => write.set(New::Object(Box::new(Object::ZSet(set))), expiry),
        Done::Place => write.changing(),
    }
    false
}

/// Tells what was done to the sorted set of a key, and that the key went with its last member.
#[inline]
pub fn told(cx: &mut Cx<'_>, key: &[u8], word: &'static str, emptied: bool) {
    cx.event(Class::ZSET, word, key);
    if emptied {
        cx.event(Class::GENERIC, "del", key);
    }
}

/// Encodes a score.
#[inline]
pub fn score(reply: &mut Reply, score: f64) {
    let whole = score as i64;
    let exact = (whole as f64).to_bits() == score.to_bits(); // which negative zero is not
    if !reply.resp3 && exact && whole.unsigned_abs() < 1 << 53 {
        return reply.bulk_int(whole);
    }
    reply.double(&text(score));
}

/// A score as text.
pub fn text(score: f64) -> String {
    let mut text = Vec::with_capacity(24);
    number::format_f64(&mut text, score);
    String::from_utf8(text).unwrap_or_default() // digits
}

/// An argument as a score.
#[inline]
pub fn parse(arg: &[u8]) -> Result<f64, Error> {
    match digits(arg) {
        Some(whole) => Ok(whole), // nearly all are
        None => number::parse_f64(arg).ok_or(Error::NotAFloat),
    }
}

/// What stands there, if it is a whole number small enough for a double to hold any such.
#[inline]
fn digits(arg: &[u8]) -> Option<f64> {
    const EXACT: usize = 15;
    if arg.is_empty() || arg.len() > EXACT {
        return None;
    }
    let (mut sum, mut rest) = (0, arg);
    if let Some((eight, more)) = arg.split_first_chunk() {
        (sum, rest) = (number::parse_eight(*eight)?, more);
    }
    for byte in rest {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => sum = sum * 10 + u64::from(digit),
            _ => return None,
        }
    }
    Some(sum as f64)
}

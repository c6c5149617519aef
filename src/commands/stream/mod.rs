//! Streams: XADD and its kin.
//!
//! A stream is always an object, however small: it is read and changed under its key's stripe. What
//! a reply shows of its entries is taken there as a `Range`, which costs a reference per hundred
//! entries, and encoded afterwards ([`range`]).

mod add;
mod claim;
mod delete;
mod effect;
mod group;
mod info;
mod pending;
mod range;
mod read;
mod rows;

pub use rows::COMMANDS;

use super::event::Class;
use super::{Args, Cx, Error, elements};
use crate::db::{Access, Holds, Key, Seen, Write};
use crate::resp::Reply;
use crate::types::object::{Object, Type};
use crate::types::stream::{Entry, Id, Stream};

const INVALID_ID: Error = Error::new("ERR Invalid stream ID specified as stream command argument");

/// Reads a stream. None if the key does not exist.
fn read<T>(
    db: &mut Access<'_>,
    key: Key<'_>,
    f: impl FnOnce(&Stream) -> T,
) -> Result<Option<T>, Error> {
    let found = db.collection(key, Type::Stream, |seen| match seen {
        Seen::Object(Object::Stream(stream)) => Some(f(stream)),
        _ => None,
    })?;
    Ok(found.flatten())
}

/// The stream of a key whose stripe is held. None if the key does not exist.
fn stream<'w>(write: &'w mut Write<'_, '_>) -> Result<Option<&'w mut Stream>, Error> {
    if let Holds::Nothing = write.holds(Type::Stream)? {
        return Ok(None);
    }
    match write.object() {
        Some(Object::Stream(stream)) => Ok(Some(stream)),
        _ => Ok(None),
    }
}

/// Changes the stream of a key that has one.
fn change<T>(write: &mut Write<'_, '_>, f: impl FnOnce(&mut Stream) -> T) -> Option<T> {
    write.changing();
    match write.object() {
        Some(Object::Stream(stream)) => Some(f(stream)),
        _ => None,
    }
}

/// Tells of what was done to a key.
fn tell(cx: &mut Cx<'_>, word: &'static str, key: &[u8]) {
    cx.event(Class::STREAM, word, key);
}

/// An argument as a name.
fn id(text: &[u8]) -> Result<Id, Error> {
    Id::parse(text, 0).ok_or(INVALID_ID)
}

/// The arguments from `from` on as names.
fn ids(args: Args<'_>, from: usize) -> Result<Vec<Id>, Error> {
    args.from(from).iter().map(id).collect()
}

/// The lower end of a range, `(` for what follows.
fn lower(text: &[u8]) -> Result<Id, Error> {
    match exclusive(text) {
        Some(text) => id(text)?.next().ok_or(Error::new("ERR invalid start ID for the interval")),
        None => Id::parse_bound(text, 0).ok_or(INVALID_ID),
    }
}

/// The upper end of a range, `(` for what stands before.
fn upper(text: &[u8]) -> Result<Id, Error> {
    match exclusive(text) {
        Some(text) => {
            let id = Id::parse(text, u64::MAX).ok_or(INVALID_ID)?;
            id.previous().ok_or(Error::new("ERR invalid end ID for the interval"))
        }
        None => Id::parse_bound(text, u64::MAX).ok_or(INVALID_ID),
    }
}

fn exclusive(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"(").filter(|rest| !rest.is_empty())
}

fn no_group(key: &[u8], group: &[u8]) -> Error {
    let text = [b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"];
    Error::Bytes(text.concat())
}

fn no_group_of(key: &[u8], group: &[u8]) -> Error {
    let text = [b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"];
    Error::Bytes(text.concat())
}

impl Reply {
    /// A name.
    #[inline]
    fn stream_id(&mut self, id: Id) {
        self.bulk(&id.text());
    }

    /// An entry: its name, then its names and values in turn.
    #[inline]
    fn stream_entry(&mut self, entry: &Entry<'_>) {
        self.array(2);
        self.stream_id(entry.id);
        self.array(2 * entry.len());
        for (name, value) in entry.fields() {
            elements::bulk(self, &name);
            elements::bulk(self, &value);
        }
    }
}

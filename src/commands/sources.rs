//! Several strings that a command computes on (BITOP, PFMERGE) before it stores the result.
//!
//! Such work may take long, and whoever holds a key's stripe makes its other writers wait. So the
//! strings are read at one moment without holding anything, the result is computed, and only then
//! are the keys held, to check that they are still the same and to store. Only if they are not is
//! the work done again, under the stripes. With long strings it is done in slices, and begun anew
//! instead, a few times.

use crate::db::{Access, Key, Str, WrongType};
use bytes::Bytes;
use std::borrow::Cow;

/// The strings of some keys at one moment, in the order of the keys; None for absent ones.
pub struct Sources<'a>(Vec<Option<Str<'a>>>);

impl<'a> Sources<'a> {
    /// Reads them, counting hits and misses. Fails if any key holds another type.
    pub fn read(db: &mut Access<'a>, keys: &[Key<'_>]) -> Result<Self, WrongType> {
        let read = |db: &mut Access<'a>| keys.iter().map(|key| db.string(*key)).collect();
        Ok(Self(db.read_many::<Result<_, _>>(keys, read)?))
    }

    /// Reads them again, under held stripes.
    pub fn read_again(db: &mut Access<'a>, keys: &[Key<'_>]) -> Result<Self, WrongType> {
        let peek = |key: &Key<'_>| match db.peek(*key) {
            Some(entry) => db.text_of(db.db, *key, entry),
            None => Ok(None),
        };
        keys.iter().map(peek).collect::<Result<_, _>>().map(Self)
    }

    /// Whether these are the very values of `other`, not only equal ones: neither can have changed
    /// or have been freed while both are referred to, so the same address is the same value.
    pub fn are(&self, other: &Self) -> bool {
        let same = |pair: (&Option<Str<'_>>, &Option<Str<'_>>)| match pair {
            (None, None) => true,
            (Some(Str::Int(a)), Some(Str::Int(b))) => a == b,
            (Some(Str::Padded(a)), Some(Str::Padded(b))) => a == b,
            (Some(Str::Slice(a)), Some(Str::Slice(b))) => std::ptr::eq(*a, *b),
            (Some(Str::Shared(a)), Some(Str::Shared(b))) => std::ptr::eq(&a[..], &b[..]),
            _ => false,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    /// Whether these are the values of `drafts`: the very same if they are long, else equal ones.
    pub fn are_still(&self, drafts: &[Bytes]) -> bool {
        let same = |(text, draft): (&Option<Str<'_>>, &Bytes)| match text {
            Some(Str::Shared(bytes)) => std::ptr::eq(&bytes[..], &draft[..]),
            Some(text) => text.with(|bytes| bytes == &draft[..]),
            None => draft.is_empty(),
        };
        self.0.len() == drafts.len() && self.0.iter().zip(drafts).all(same)
    }

    /// The texts to keep beyond the batch, absent ones as empty: long ones by reference.
    pub fn kept(&self) -> Vec<Bytes> {
        let kept = |text: &Option<Str<'_>>| match text {
            Some(Str::Shared(bytes)) => bytes.clone(),
            Some(text) => text.with(Bytes::copy_from_slice),
            None => Bytes::new(),
        };
        self.0.iter().map(kept).collect()
    }

    /// Length of the longest text.
    pub fn longest(&self) -> usize {
        self.0.iter().flatten().map(Str::len).max().unwrap_or(0)
    }

    /// The texts, in the order of the keys.
    pub fn texts(&self) -> impl Iterator<Item = Option<Cow<'_, [u8]>>> {
        self.0.iter().map(|text| text.as_ref().map(text_of))
    }
}

/// The text of a string, copied only if it is a number.
pub fn text_of<'s>(text: &'s Str<'_>) -> Cow<'s, [u8]> {
    match text {
        Str::Int(_) | Str::Padded(_) => Cow::Owned(text.to_vec()),
        Str::Slice(bytes) => Cow::Borrowed(bytes),
        Str::Shared(bytes) => Cow::Borrowed(bytes),
    }
}

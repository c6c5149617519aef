//! The elements to be sorted, as they were at one instant.

use super::super::list::View;
use super::super::set;
use super::{Options, type_of};
use crate::commands::Error;
use crate::db::{Access, Key, Seen};
use crate::types::list::{List, Short};
use crate::types::object::{Object, Type};
use crate::types::set::long::{Walk, Witness};
use crate::types::zset::{self, Frozen};

/// What was taken of a key: all that is needed when its stripe has been given back.
#[derive(Debug)]
pub enum Taken {
    /// The key was not there.
    Nothing,
    /// A long list, or the part of it that is wanted.
    Long {
        all: List,
        part: List,
        /// Of how many elements the part begins here.
        at: usize,
    },
    /// A short list, as long as it was not shown.
    Short { bytes: Vec<u8>, shown: bool },
    /// A sorted set: its bytes, or a frozen copy.
    Sorted {
        small: Vec<u8>,
        large: Option<Box<Frozen>>,
        /// Entries that were shown.
        at: usize,
        /// From the highest on.
        backwards: bool,
    },
    /// A set.
    Set { walk: Walk, witness: Witness, len: usize },
}

/// What was taken of a sorted set.
fn sorted<'v>(small: &'v [u8], large: &'v Option<Box<Frozen>>) -> zset::View<'v> {
    match large {
        None => zset::View::Small(zset::Small::new(small)),
        Some(frozen) => zset::View::Frozen(frozen),
    }
}

impl Taken {
    /// The elements of `key` as they are now.
    pub fn from(db: &mut Access<'_>, key: Key<'_>, options: &Options) -> Result<Self, Error> {
        let Some(kind) = type_of(db, key)? else { return Ok(Self::Nothing) };
        let taken = db.collection(key, kind, |seen| Self::of(kind, seen, options))?;
        Ok(taken.unwrap_or(Self::Nothing))
    }

    fn of(kind: Type, seen: Seen<'_>, options: &Options) -> Self {
        match (kind, View::of(seen)) {
            (Type::List, Some(View::Short(_))) => {
                let Seen::Compact(compact) = seen else { return Self::Nothing };
                Self::Short { bytes: compact.bytes.to_vec(), shown: false }
            }
            (Type::List, Some(View::Long(list))) => {
                let all = list.share(0, list.len());
                // Of a list that is not to be sorted no more is looked at than is wanted.
                let (from, count) =
                    if options.unsorted { options.window(list.len()) } else { (0, list.len()) };
                Self::Long { all, part: list.share(from, count), at: 0 }
            }
            (Type::ZSet, _) => {
                let (small, large) = match seen {
                    Seen::Compact(compact) => (compact.bytes.to_vec(), None),
                    Seen::Object(Object::ZSet(set)) => {
                        (Vec::new(), Some(Box::new(Frozen::of(set, false))))
                    }
                    Seen::Object(_) => return Self::Nothing,
                };
                let backwards = options.unsorted && options.descending;
                Self::Sorted { small, large, at: 0, backwards }
            }
            (Type::Set, _) => {
                let set = set::view(seen);
                let (walk, witness) = (Walk::over(set), Witness::of(Some(set)));
                Self::Set { walk, witness, len: set.len() }
            }
            _ => Self::Nothing,
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Long { part, .. } => part.len(),
            Self::Short { bytes, .. } => Short::new(bytes).len(),
            Self::Sorted { small, large, .. } => sorted(small, large).len(),
            Self::Set { len, .. } => *len,
        }
    }

    /// Whether only what is wanted was taken.
    pub const fn is_cut(&self, options: &Options) -> bool {
        options.unsorted && matches!(self, Self::Long { .. })
    }

    /// Whether the elements have no order of their own.
    pub const fn is_set(&self) -> bool {
        matches!(self, Self::Set { .. })
    }

    /// Shows the next elements, about `count` of them; false if there are no more.
    pub fn next(&mut self, count: usize, mut f: impl FnMut(&[u8])) -> bool {
        let mut scratch = Vec::new();
        match self {
            Self::Nothing => false,
            Self::Long { part, at, .. } => {
                part.range(*at, count).for_each(|element| f(element.text(&mut scratch)));
                *at += count;
                *at < part.len()
            }
            Self::Short { bytes, shown } => {
                if !std::mem::replace(shown, true) {
                    let elements = Short::new(bytes).packed().iter();
                    elements.for_each(|element| f(element.text(&mut scratch)));
                }
                false
            }
            Self::Sorted { small, large, at, backwards } => {
                let set = sorted(small, large);
                let left = set.len().saturating_sub(*at);
                let entries =
                    if *backwards { set.range_back(left, count) } else { set.range(*at, count) };
                entries.for_each(|(member, _)| f(member.text(&mut scratch)));
                *at += count;
                left > count
            }
            Self::Set { walk, .. } => walk.next(count, |member| member.with(&mut f)),
        }
    }

    /// Whether the key still holds what was taken.
    pub fn is_still(&self, db: &mut Access<'_>, key: Key<'_>) -> bool {
        let Some(entry) = db.peek(key) else { return matches!(self, Self::Nothing) };
        let kind = entry.type_of();
        let same = db.collection_of((db.db, key), entry, kind, |seen| match (self, seen) {
            (Self::Long { all, .. }, seen) => match View::of(seen) {
                Some(View::Long(list)) => list.is_same(all),
                _ => false,
            },
            (Self::Short { bytes, .. }, Seen::Compact(compact)) => {
                kind == Type::List && compact.bytes == bytes
            }
            (Self::Sorted { large: None, small, .. }, Seen::Compact(compact)) => {
                kind == Type::ZSet && compact.bytes == small
            }
            (Self::Sorted { large: Some(frozen), .. }, Seen::Object(Object::ZSet(set))) => {
                frozen.is_still(set)
            }
            (Self::Set { witness, .. }, seen) => {
                kind == Type::Set && witness.is_still(Some(set::view(seen)))
            }
            _ => false,
        });
        matches!(same, Ok(Some(true)))
    }
}

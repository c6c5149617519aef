//! Values too big or too busy to be rewritten whole: each lives in a block of its own.
//!
//! Here is what the keyspace must know of every type: its number and name, what its representations
//! are called, how much memory an object holds, how it is copied and whether freeing it takes long.

use super::hash::{self, Draft, Large};
use super::list::List;
use super::set;
use super::stream::Stream;
use super::table::Shares;
use super::zset::{self, SortedSet};
use bytes::Bytes;

/// The types that a key can hold, as TYPE and COMMAND name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// Bytes, integers, bitmaps, HyperLogLogs.
    String = 0,
    /// Texts in a row.
    List = 1,
    /// Different texts.
    Set = 2,
    /// Different texts, each with a score, in the order of the scores.
    ZSet = 3,
    /// Fields with values.
    Hash = 4,
    /// Entries in the order of their times.
    Stream = 6,
}

impl Type {
    /// What TYPE answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::ZSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    /// From the byte that an entry keeps.
    #[inline]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::List,
            2 => Self::Set,
            3 => Self::ZSet,
            4 => Self::Hash,
            6 => Self::Stream,
            _ => Self::String,
        }
    }

    /// What OBJECT ENCODING calls a compact value.
    pub const fn compact_encoding(self, form: u8) -> &'static str {
        match self {
            Self::Hash if form == hash::EXPIRING => "listpackex",
            Self::Set if form == INTSET => "intset",
            Self::Set => "hashtable", // as Redis 7.0 keeps, and names, all other sets
            Self::List => "quicklist", // for lists of every length, as in Redis 7.0
            _ => "listpack",
        }
    }
}

/// Form of compact values: a packed sequence ([`super::packed`]), of lists behind its length
/// ([`super::list::Short`]).
pub const PACKED: u8 = 0;
/// Form of compact sets: integers only ([`super::intset`]).
pub const INTSET: u8 = 1;

/// A value in a block of its own, read and changed under its key's stripe.
#[derive(Debug)]
pub enum Object {
    /// A compact hash that is edited in place.
    Draft(Draft),
    /// A large hash, in a block of its own, lest it be what objects take.
    Hash(Box<Large>),
    /// A long string. Replies may hold references to it; a change copies it if one does.
    String(Bytes),
    /// A long list.
    List(List),
    /// A large set.
    Set(Box<set::Large>),
    /// A large sorted set.
    ZSet(Box<SortedSet>),
    /// Any stream.
    Stream(Box<Stream>),
}

/// An element that a command is about to touch.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'k> {
    /// A field or member.
    pub name: &'k [u8],
    /// Its place in the order of a sorted set is wanted, too.
    pub ordered: bool,
    /// It will get this score.
    pub score: Option<f64>,
    /// It will be changed.
    pub changed: bool,
}

impl Object {
    /// Its type.
    pub const fn type_of(&self) -> Type {
        match self {
            Self::Draft(_) | Self::Hash(_) => Type::Hash,
            Self::String(_) => Type::String,
            Self::List(_) => Type::List,
            Self::Set(_) => Type::Set,
            Self::ZSet(_) => Type::ZSet,
            Self::Stream(_) => Type::Stream,
        }
    }

    /// Asks ahead for what commands on these elements will touch, where that is known.
    pub fn ask_ahead<'k>(&self, sought: impl Iterator<Item = Sought<'k>>) {
        match self {
            Self::Hash(hash) => hash.ask_ahead(sought.map(|element| element.name)),
            Self::Set(set) => set.ask_ahead(sought.map(|element| element.name)),
            Self::ZSet(set) => set.ask_ahead(sought),
            Self::Draft(_) | Self::List(_) | Self::Stream(_) | Self::String(_) => {}
        }
    }

    /// Bytes that it holds beyond its own block. Takes constant time, but for streams' consumers.
    pub fn weight(&self) -> usize {
        match self {
            Self::Draft(draft) => draft.weight(),
            Self::Hash(hash) => size_of_val(&**hash) + hash.weight(),
            Self::String(bytes) => crate::mem::class(bytes.len().max(1)),
            Self::List(list) => list.weight(),
            Self::Set(set) => set.weight(),
            Self::ZSet(set) => set.weight(),
            Self::Stream(stream) => stream.weight(),
        }
    }

    /// What OBJECT ENCODING calls it.
    pub const fn encoding(&self) -> &'static str {
        match self {
            Self::Draft(draft) => Type::Hash.compact_encoding(draft.form()),
            Self::Hash(_) => "hashtable",
            Self::String(_) => "raw",
            Self::List(_) => "quicklist",
            Self::Set(_) => "hashtable",
            Self::ZSet(_) => "skiplist",
            Self::Stream(_) => "stream",
        }
    }

    /// Whether several threads may work on it at once, as [`Shared`].
    #[inline]
    pub fn is_shareable(&self) -> bool {
        match self {
            Self::Hash(hash) => hash.is_shareable(),
            Self::Set(set) => set.is_shareable(),
            Self::ZSet(set) => set.is_shareable(),
            _ => false,
        }
    }

    /// Number of blocks that freeing it gives back, roughly: whether that is done in between.
    pub fn pieces(&self) -> usize {
        match self {
            Self::Draft(_) => 1,
            Self::Hash(hash) => hash.pieces(),
            Self::String(_) => 1,
            Self::List(list) => list.len() / 64,
            Self::Set(set) => set.pieces(),
            Self::ZSet(set) => set.len() / 8,
            Self::Stream(stream) => stream.pieces(),
        }
    }

    /// A copy that changes on its own.
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Draft(draft) => Self::Draft(draft.clone()),
            Self::Hash(hash) => Self::Hash(hash.clone()),
            Self::String(bytes) => Self::String(bytes.clone()),
            Self::List(list) => Self::List(list.clone()),
            Self::Set(set) => Self::Set(set.clone()),
            Self::ZSet(set) => Self::ZSet(set.clone()),
            Self::Stream(stream) => Self::Stream(stream.clone()),
        }
    }
}

/// An object that threads share: nothing but its single elements can be reached.
pub struct Shared<'o> {
    object: &'o Object,
    shares: Shares,
}

impl<'o> Shared<'o> {
    /// With the proof that it is shared ([`crate::sync::part`], C2).
    pub const fn new(object: &'o Object, shares: Shares) -> Self {
        Self { object, shares }
    }

    /// What the thread has seen and done.
    pub const fn shares(&self) -> &Shares {
        &self.shares
    }

    /// Asks ahead for what commands on these elements will touch.
    pub fn ask_ahead<'k>(&self, sought: impl Iterator<Item = Sought<'k>>) {
        let shares = &self.shares;
        let name = |one: Sought<'k>| (one.name, one.changed);
        match self.object {
            Object::Hash(hash) => hash.ask_ahead_shared(sought.map(name), shares),
            Object::Set(set) => set.ask_ahead_shared(sought.map(name), shares),
            Object::ZSet(set) => set.ask_ahead_shared(sought, shares),
            _ => {}
        }
    }

    /// A field, there or not, if this is a hash that can be shared.
    #[inline]
    pub fn field<'s>(&'s self, name: &'s [u8]) -> Option<hash::Slot<'s>> {
        match self.object {
            Object::Hash(hash) => hash.slot(name, &self.shares),
            _ => None,
        }
    }

    /// A member, there or not, if this is a sorted set that can be shared.
    #[inline]
    pub fn scored<'s>(&'s self, member: &'s [u8]) -> Option<zset::Slot<'s>> {
        match self.object {
            Object::ZSet(set) => set.slot(member, &self.shares),
            _ => None,
        }
    }

    /// A text, member or not, if this is a set that can be shared.
    #[inline]
    pub fn member<'s>(&'s self, text: &'s [u8]) -> Option<set::Slot<'s>> {
        match self.object {
            Object::Set(set) => set.slot(text, &self.shares),
            _ => None,
        }
    }
}

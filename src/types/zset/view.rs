//! One view of a sorted set in either form, so that every command is written once.

use super::SortedSet;
use super::frozen::Frozen;
use super::range::{Backward, Cut, Forward};
use super::small::{self, Entry, Small};
use crate::types::packed::Element;

/// A sorted set as a reader sees it.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// A compact one.
    Small(Small<'a>),
    /// A large one.
    Large(&'a SortedSet),
    /// A large one as it was, of which no member can be asked for unless it was frozen for that.
    Frozen(&'a Frozen),
}

impl<'a> View<'a> {
    /// The empty set.
    pub const EMPTY: Self = Self::Small(Small::new(&[]));

    /// Number of members.
    pub fn len(&self) -> usize {
        match self {
            Self::Small(small) => small.len(),
            Self::Large(set) => set.len(),
            Self::Frozen(set) => set.len(),
        }
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Small(small) => small.is_empty(),
            Self::Large(set) => set.is_empty(),
            Self::Frozen(set) => set.is_empty(),
        }
    }

    /// Bytes held; nothing by one that is frozen, for it shares them.
    pub fn weight(&self) -> usize {
        match self {
            Self::Small(small) => small.bytes().len(),
            Self::Large(set) => set.weight(),
            Self::Frozen(_) => 0,
        }
    }

    /// A member's score.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Small(small) => small.score(member),
            Self::Large(set) => set.score(member),
            Self::Frozen(set) => set.score(member),
        }
    }

    /// A member's rank, counted from the lowest, and its score.
    #[inline]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Small(small) => small.find(member).map(|found| (found.rank, found.score)),
            Self::Large(set) => set.rank(member),
            Self::Frozen(set) => set.rank(member),
        }
    }

    /// How many entries lie before a cut.
    pub fn rank_of(&self, cut: &Cut<'_>) -> usize {
        match self {
            Self::Small(small) => small.rank_of(cut),
            Self::Large(set) => set.rank_of(cut),
            Self::Frozen(set) => set.rank_of(cut),
        }
    }

    /// `count` entries from `rank` on, upwards, as far as there are any.
    pub fn range(&self, rank: usize, count: usize) -> Entries<'a> {
        match self {
            Self::Small(small) => Entries::SmallUp(small.range(rank, count)),
            Self::Large(set) => Entries::Up(set.range(rank, count)),
            Self::Frozen(set) => Entries::Up(set.range(rank, count)),
        }
    }

    /// `count` entries downwards, the first of them the one before rank `end`.
    pub fn range_back(&self, end: usize, count: usize) -> Entries<'a> {
        match self {
            Self::Small(small) => Entries::SmallDown(Box::new(small.range_back(end, count))),
            Self::Large(set) => Entries::Down(set.range_back(end, count)),
            Self::Frozen(set) => Entries::Down(set.range_back(end, count)),
        }
    }

    /// All entries upwards.
    pub fn iter(&self) -> Entries<'a> {
        self.range(0, usize::MAX)
    }
}

/// Entries in order, upwards or downwards.
#[derive(Debug)]
pub enum Entries<'a> {
    /// Of a compact set, upwards.
    SmallUp(small::Up<'a>),
    /// Downwards.
    SmallDown(Box<small::Down<'a>>),
    /// Of a large one, upwards.
    Up(Forward<'a>),
    /// Downwards.
    Down(Backward<'a>),
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let text = |(member, score)| (Element::Str(member), score);
        match self {
            Self::SmallUp(iter) => iter.next(),
            Self::SmallDown(iter) => iter.next(),
            Self::Up(iter) => iter.next().map(text),
            Self::Down(iter) => iter.next().map(text),
        }
    }

    /// The form is looked at once, not for each.
    #[inline]
    fn fold<B, F: FnMut(B, Entry<'a>) -> B>(self, init: B, f: F) -> B {
        let text = |(member, score)| (Element::Str(member), score);
        match self {
            Self::SmallUp(iter) => iter.fold(init, f),
            Self::SmallDown(iter) => iter.fold(init, f),
            Self::Up(iter) => iter.map(text).fold(init, f),
            Self::Down(iter) => iter.map(text).fold(init, f),
        }
    }
}

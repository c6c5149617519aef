//! Cuts through the order, and walks from them.
//!
//! A cut lies between two entries: some are before it, the rest behind. A range is what lies between
//! two cuts, its size the difference of their ranks, its first entry the one behind the lower cut and
//! its last the one before the upper: ZCOUNT, ZRANGEBYSCORE, ZLEXCOUNT and all their relatives,
//! forward or backward, need no search of their own.

use super::block::Block;
use super::list::{HEAD, NIL, Order};
use super::members::Members;
use std::cmp::Ordering;

/// A place between two entries.
#[derive(Debug, Clone, Copy)]
pub enum Cut<'a> {
    /// Before all.
    Start,
    /// Before the first entry with this score or a greater one.
    BeforeScore(f64),
    /// Behind the last entry with this score or a smaller one.
    AfterScore(f64),
    /// Before the first member that is this one or greater. Means something only while all scores
    /// are equal, as with Redis' BYLEX; else it is some cut, no more.
    BeforeMember(&'a [u8]),
    /// Behind the last member that is this one or smaller; the same holds.
    AfterMember(&'a [u8]),
    /// Before the entry of this score and member, or where it would stand.
    BeforeEntry(f64, &'a [u8]),
    /// Behind it.
    AfterEntry(f64, &'a [u8]),
    /// Behind all.
    End,
}

impl Cut<'_> {
    /// Does this cut lie behind the start of the block with this separator and first entry?
    #[inline(always)]
    pub(super) fn is_after_separator(
        &self,
        separator: f64,
        first: impl Fn() -> u32,
        members: &Members,
    ) -> bool {
        match *self {
            Self::Start => false,
            Self::End => true,
            Self::BeforeScore(score) => separator < score,
            Self::AfterScore(score) => separator <= score,
            Self::BeforeMember(member) => members.member(first()) < member,
            Self::AfterMember(member) => members.member(first()) <= member,
            Self::BeforeEntry(score, member) | Self::AfterEntry(score, member) => {
                separator < score
                    || (separator == score && {
                        // A tie: the separator may be older than the first entry (L4).
                        let first = first();
                        let own = members.score(first);
                        own < score
                            || (own == score && self.passes(members.member(first).cmp(member)))
                    })
            }
        }
    }

    /// How many entries of a block are before the cut.
    #[inline(always)]
    pub(super) fn offset(&self, block: &Block, members: &Members) -> usize {
        let (scores, places) = (block.scores(), block.places());
        match *self {
            Self::Start => 0,
            Self::End => scores.len(),
            Self::BeforeScore(score) => block.below(score),
            Self::AfterScore(score) => block.up_to(score),
            Self::BeforeMember(member) | Self::AfterMember(member) => {
                places.partition_point(|&place| self.passes(members.member(place).cmp(member)))
            }
            Self::BeforeEntry(score, member) | Self::AfterEntry(score, member) => {
                let from = block.below(score);
                if scores.get(from) != Some(&score) {
                    return from;
                }
                let equal = scores[from..].partition_point(|&own| own == score);
                let places = &places[from..from + equal];
                from + places
                    .partition_point(|&place| self.passes(members.member(place).cmp(member)))
            }
        }
    }

    /// Is a member before the cut that compares so with the cut's own?
    #[inline(always)]
    fn passes(&self, order: Ordering) -> bool {
        match self {
            Self::AfterMember(_) | Self::AfterEntry(..) => order.is_le(),
            _ => order.is_lt(),
        }
    }
}

/// Entries in order, upwards.
#[derive(Debug)]
pub struct Forward<'a> {
    order: &'a Order,
    members: &'a Members,
    block: &'a Block,
    tower: u32,
    offset: usize,
    left: usize,
}

impl<'a> Forward<'a> {
    /// `count` entries from `rank` on; both within the list.
    pub(super) fn new(order: &'a Order, members: &'a Members, rank: usize, count: usize) -> Self {
        let (tower, offset) = if rank < order.block(HEAD).len() {
            (HEAD, rank) // the lowest entries are what is asked for most
        } else {
            let path = order.seek_rank(rank);
            (path.towers[0], path.offset)
        };
        Self { order, members, block: order.block(tower), tower, offset, left: count }
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.offset == self.block.len() {
            self.tower = self.order.link(self.tower, 0).next;
            if self.tower == NIL {
                return None;
            }
            self.block = self.order.block(self.tower);
            self.offset = 0;
        }
        let at = self.offset;
        self.offset += 1;
        self.left -= 1;
        Some((self.members.member(self.block.places()[at]), self.block.scores()[at]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// Block by block, which is what `for_each` does, too.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut f: F) -> B {
        let Self { order, members, mut block, mut tower, mut offset, mut left } = self;
        let mut value = init;
        loop {
            let here = left.min(block.len() - offset);
            let part = offset..offset + here;
            for (place, score) in block.places()[part.clone()].iter().zip(&block.scores()[part]) {
                value = f(value, (members.member(*place), *score));
            }
            left -= here;
            if left == 0 {
                return value;
            }
            tower = order.link(tower, 0).next;
            if tower == NIL {
                return value;
            }
            (block, offset) = (order.block(tower), 0);
        }
    }
}

impl ExactSizeIterator for Forward<'_> {}

/// Entries in order, downwards.
#[derive(Debug)]
pub struct Backward<'a> {
    order: &'a Order,
    members: &'a Members,
    block: &'a Block,
    tower: u32,
    offset: usize,
    left: usize,
}

impl<'a> Backward<'a> {
    /// `count` entries before the cut of rank `end`, the last one first; both within the list.
    pub(super) fn new(order: &'a Order, members: &'a Members, end: usize, count: usize) -> Self {
        let (tower, offset) = if end == order.len() {
            (order.tail(), order.block(order.tail()).len())
        } else {
            let path = order.seek_rank(end);
            (path.towers[0], path.offset)
        };
        Self { order, members, block: order.block(tower), tower, offset, left: count }
    }
}

impl<'a> Iterator for Backward<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.offset == 0 {
            if self.tower == HEAD {
                return None;
            }
            self.tower = self.order.before(self.tower);
            self.block = self.order.block(self.tower);
            self.offset = self.block.len();
        }
        self.offset -= 1;
        self.left -= 1;
        let at = self.offset;
        Some((self.members.member(self.block.places()[at]), self.block.scores()[at]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Backward<'_> {}

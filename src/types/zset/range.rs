//! Cuts through the order, and walks from them.
//!
//! A cut lies between two entries: some are before it, the rest behind. A range is what lies between
//! two cuts, its size the difference of their ranks, its first entry the one behind the lower cut and
//! its last the one before the upper: ZCOUNT, ZRANGEBYSCORE, ZLEXCOUNT and all their relatives,
//! forward or backward, need no search of their own.

use super::block::Block;
use super::members::Members;
use super::node::Node;
use super::tree::{HEAD, NIL, Order};
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
    /// The last child of a node that does not begin behind the cut; `first` tells the place of a
    /// child's first entry.
    #[inline(always)]
    pub(super) fn child(
        &self,
        node: &Node,
        first: impl Fn(usize) -> u32,
        members: &Members,
    ) -> usize {
        match *self {
            Self::Start => 0,
            Self::End => node.len() - 1,
            Self::BeforeScore(score) => node.below(score),
            Self::AfterScore(score) => node.up_to(score),
            Self::BeforeMember(member) | Self::AfterMember(member) => {
                last(0, node.len(), |slot| self.passes(members.member(first(slot)).cmp(member)))
            }
            Self::BeforeEntry(score, member) | Self::AfterEntry(score, member) => {
                let from = node.below(score);
                if node.separator(from + 1) != Some(score) {
                    return from;
                }
                last(from, node.len(), |slot| {
                    // A tie: the separator may be older than the first entry (L4).
                    node.separator(slot) == Some(score) && {
                        let first = first(slot);
                        let own = members.score(first);
                        own < score
                            || (own == score && self.passes(members.member(first).cmp(member)))
                    }
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

/// The last number from `from` on and below `to` that passes; `from` does, and those that do come
/// before those that do not.
#[inline]
fn last(from: usize, to: usize, passes: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (from, to);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if passes(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Entries in order, upwards.
#[derive(Debug)]
pub struct Forward<'a> {
    order: &'a Order,
    members: &'a Members,
    block: &'a Block,
    leaf: u32,
    offset: usize,
    left: usize,
}

impl<'a> Forward<'a> {
    /// `count` entries from `rank` on; both within the list.
    pub(super) fn new(order: &'a Order, members: &'a Members, rank: usize, count: usize) -> Self {
        let (leaf, offset) = if rank < order.block(HEAD).len() {
            (HEAD, rank) // the lowest entries are what is asked for most
        } else {
            let path = order.seek_rank(rank);
            (path.leaf, path.offset)
        };
        Self { order, members, block: order.block(leaf), leaf, offset, left: count }
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
            self.leaf = self.order.next(self.leaf);
            if self.leaf == NIL {
                return None;
            }
            self.block = self.order.block(self.leaf);
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
        let Self { order, members, mut block, mut leaf, mut offset, mut left } = self;
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
            leaf = order.next(leaf);
            if leaf == NIL {
                return value;
            }
            (block, offset) = (order.block(leaf), 0);
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
    leaf: u32,
    offset: usize,
    left: usize,
}

impl<'a> Backward<'a> {
    /// `count` entries before the cut of rank `end`, the last one first; both within the list.
    pub(super) fn new(order: &'a Order, members: &'a Members, end: usize, count: usize) -> Self {
        let (leaf, offset) = if end == order.len() {
            (order.tail(), order.block(order.tail()).len())
        } else {
            let path = order.seek_rank(end);
            (path.leaf, path.offset)
        };
        Self { order, members, block: order.block(leaf), leaf, offset, left: count }
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
            if self.leaf == HEAD {
                return None;
            }
            self.leaf = self.order.before(self.leaf);
            self.block = self.order.block(self.leaf);
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

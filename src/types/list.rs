//! Long lists: a deque of blocks, each with many elements in a row. Short ones are [`Short`].
//!
//! ```text
//!   List ── chunk ── chunk ── chunk ── chunk        front and back chunk have room at the outside,
//!           [..####] [######] [######] [###...]     so a push copies nothing but the new element
//! ```
//! - Pushing and popping at either end take constant time; popping writes to no block at all.
//! - An index is found by adding up the chunks' lengths, which stand side by side in the deque, from
//!   the nearer end: half a million elements of 64 bytes are 4,000 of them.
//! - A change in the middle copies within one block, and moves the deque's entries if one splits.
//! - Blocks are shared: a clone of a list ([`List::share`]) for a snapshot or a long reply costs one
//!   reference per block, and whichever of the two changes a shared block first copies it.
//!
//! # Invariants
//! - **Q1** `len` is the sum of the chunks' lengths, and no chunk is empty.
//! - **Q2** A chunk holds at most what the limit of its time allowed, unless it is a single element.

mod chunk;
mod edit;
mod short;
#[cfg(test)]
mod tests;
mod walk;

pub use short::Short;
pub use walk::{Query, Walk};

use crate::mem;
use crate::types::packed::{Element, Packed};
use chunk::{COUNTS, Chunk, stored};
use std::collections::VecDeque;

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

/// What a chunk may hold. An element that is larger has a chunk of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Beside the counts that stand before the bytes, so that the block has the size named.
    bytes: usize,
    count: usize,
}

impl Limit {
    /// From the parameter list-max-listpack-size: -1 to -5 are 4 to 64 KiB, a positive number is one
    /// of elements, within 8 KiB. What is beyond the range counts as its end, and 0 as 1.
    pub fn from_parameter(value: i64) -> Self {
        const KIB: usize = 1024;
        if value < 0 {
            let step = value.clamp(-5, -1).unsigned_abs() as u32;
            Self { bytes: ((2 * KIB) << step) - COUNTS, count: usize::MAX }
        } else {
            let count = value.clamp(1, i64::from(i16::MAX)) as usize;
            Self { bytes: 8 * KIB - COUNTS, count }
        }
    }

    /// The same, but elements of `size` bytes and more have chunks of their own.
    pub fn alone_from(self, size: u64) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX).max(1);
        Self { bytes: self.bytes.min(size), ..self }
    }

    /// The same, with room for one element at least.
    fn for_one(self, element: &Element<'_>) -> Self {
        Self { bytes: self.bytes.max(stored(element)), count: self.count.max(1) }
    }
}

/// A list of texts.
#[derive(Debug, Clone)]
pub struct List {
    chunks: VecDeque<Chunk>,
    len: usize,
    limit: Limit,
}

impl List {
    /// The empty list.
    pub const fn new(limit: Limit) -> Self {
        Self { chunks: VecDeque::new(), len: 0, limit }
    }

    /// The elements of a packed sequence, with room for more at an end: it is about to grow there.
    pub fn from_packed(packed: Packed<'_>, end: End, limit: Limit) -> Self {
        let mut list = Self::new(limit);
        let room = (packed.bytes().len() * 3 / 2).min(limit.bytes);
        match end {
            End::Front => list.extend(end, packed.iter_back(), room),
            End::Back => list.extend(end, packed.iter(), room),
        }
        list
    }

    /// Adds elements one after the other to an empty list whose first block has at least this room.
    fn extend<'e>(
        &mut self,
        end: End,
        mut elements: impl Iterator<Item = Element<'e>>,
        room: usize,
    ) {
        if let Some(first) = elements.next() {
            self.len += 1;
            self.begin_chunk(end, &first, room);
        }
        elements.for_each(|element| self.push_element(end, &element));
    }

    /// Appends the elements to `out` as a packed sequence.
    pub fn to_packed(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|element| element.push(out));
    }

    /// The number of elements.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all blocks, and of the deque. It looks at each chunk.
    pub fn weight(&self) -> usize {
        let blocks: usize = self.chunks.iter().map(Chunk::weight).sum();
        let entries = self.chunks.capacity() * size_of::<Chunk>();
        blocks + if entries == 0 { 0 } else { mem::class(entries) }
    }

    /// Bytes of the elements, about what they would take as a packed sequence. As [`List::weight`].
    pub fn used(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.used().len()).sum()
    }

    /// Adds a text at an end.
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8]) {
        self.push_element(end, &Element::of(text));
    }

    #[inline]
    fn push_element(&mut self, end: End, element: &Element<'_>) {
        self.len += 1;
        let limit = self.limit;
        let last = match end {
            End::Front => self.chunks.front_mut(),
            End::Back => self.chunks.back_mut(),
        };
        if !last.is_some_and(|chunk| chunk.push(end, element, limit)) {
            self.begin_chunk(end, element, 0);
        }
    }

    /// The next chunk at an end, with at least this room: at once as large as its neighbour became, so
    /// only the first grows, and those beside elements that stand alone.
    #[cold]
    fn begin_chunk(&mut self, end: End, element: &Element<'_>, room: usize) {
        let before = match end {
            End::Front => self.chunks.front(),
            End::Back => self.chunks.back(),
        };
        let used = before.map_or(0, |chunk| chunk.used().len());
        let like = if used <= self.limit.bytes { used } else { 0 };
        if before.is_none() {
            // Most lists never have a second: the entries of many such stand side by side.
            self.chunks.reserve_exact(1);
        }
        let mut chunk = Chunk::with_room(like.max(room).max(stored(element)), end);
        chunk.push(end, element, self.limit.for_one(element));
        match end {
            End::Front => self.chunks.push_front(chunk),
            End::Back => self.chunks.push_back(chunk),
        }
    }

    /// The text at an end: read it, then [`List::drop`] it.
    #[inline]
    pub fn peek(&self, end: End) -> Option<Element<'_>> {
        match end {
            End::Front => Some(chunk::first(self.chunks.front()?.used())?.0),
            End::Back => Some(chunk::last(self.chunks.back()?.used())?.0),
        }
    }

    /// Asks ahead for what a push or a pop at an end will touch: first the deque's entry of the last
    /// block there, then, when that has come, the block itself.
    #[inline]
    pub fn ask_ahead(&self, end: End, block: bool) {
        let last = match end {
            End::Front => self.chunks.front(),
            End::Back => self.chunks.back(),
        };
        match last {
            Some(chunk) if block => chunk.ask_ahead(end),
            Some(chunk) => mem::prefetch(chunk),
            None => {}
        }
    }

    /// Takes `count` elements away at an end, or all if there are no more.
    #[inline]
    pub fn drop(&mut self, end: End, count: usize) {
        let mut left = count.min(self.len);
        self.len -= left;
        while left > 0 {
            let last = match end {
                End::Front => self.chunks.front_mut(),
                End::Back => self.chunks.back_mut(),
            };
            let Some(chunk) = last else { return };
            if chunk.len() > left {
                return chunk.drop(end, left);
            }
            left -= chunk.len();
            match end {
                End::Front => self.chunks.pop_front(),
                End::Back => self.chunks.pop_back(),
            };
            self.release();
        }
    }

    /// Keeps `count` elements from `from` on.
    pub fn trim(&mut self, from: usize, count: usize) {
        self.drop(End::Front, from);
        self.drop(End::Back, self.len.saturating_sub(count));
        if let [chunk] = self.chunks.make_contiguous() {
            chunk.shrink(0);
        }
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        self.range(index, 1).next()
    }

    /// All elements.
    pub fn iter(&self) -> Walk<'_> {
        self.walk(End::Front)
    }

    /// All elements, beginning at an end.
    pub fn walk(&self, from: End) -> Walk<'_> {
        Walk::new(self, from, 0, self.len)
    }

    /// At most `count` elements, in order, from `index` on.
    pub fn range(&self, index: usize, count: usize) -> Walk<'_> {
        Walk::new(self, End::Front, index, count)
    }

    /// At most `count` elements in reverse, the first being the one `index` from the back.
    pub fn range_back(&self, index: usize, count: usize) -> Walk<'_> {
        Walk::new(self, End::Back, index, count)
    }

    /// Positions of what `query` asks for.
    pub fn positions(&self, query: &Query<'_>) -> Vec<usize> {
        query.positions(self.walk(query.from()), self.len)
    }

    /// A list of `count` elements (fewer if there are no more) from `from` on that shares their
    /// blocks with this one.
    pub fn share(&self, from: usize, count: usize) -> Self {
        let count = count.min(self.len.saturating_sub(from));
        if count == 0 {
            return Self::new(self.limit);
        }
        let ((first, skipped), (last, _)) = (self.locate(from), self.locate(from + count - 1));
        let chunks: VecDeque<Chunk> = self.chunks.range(first..=last).cloned().collect();
        let len = chunks.iter().map(Chunk::len).sum();
        let mut part = Self { chunks, len, limit: self.limit };
        part.drop(End::Front, skipped);
        part.drop(End::Back, part.len - count);
        part
    }

    /// Whether `other` is a share of all of this list as it is now: every change of either copies the
    /// blocks that it writes to, or takes other parts of them.
    pub fn is_same(&self, other: &Self) -> bool {
        self.len == other.len
            && self.chunks.len() == other.chunks.len()
            && self.chunks.iter().zip(&other.chunks).all(|(one, two)| one.is_same(two))
    }

    /// The same elements in blocks within another limit.
    pub fn within(self, limit: Limit) -> Self {
        if limit == self.limit {
            return self;
        }
        let mut list = Self::new(limit);
        self.iter().for_each(|element| list.push_element(End::Back, &element));
        list
    }

    /// The chunk that holds the element at `index`, which is below the length, and its number there.
    fn locate(&self, index: usize) -> (usize, usize) {
        if index < self.len / 2 {
            let mut within = index;
            for (at, chunk) in self.chunks.iter().enumerate() {
                match within.checked_sub(chunk.len()) {
                    Some(beyond) => within = beyond,
                    None => return (at, within),
                }
            }
        }
        let mut behind = self.len - index;
        for (at, chunk) in self.chunks.iter().enumerate().rev() {
            match behind.checked_sub(chunk.len()) {
                Some(before) if before > 0 => behind = before,
                _ => return (at, chunk.len() - behind),
            }
        }
        (0, 0) // not reached (Q1)
    }

    /// Gives back most of a deque that has become far too large.
    fn release(&mut self) {
        let len = self.chunks.len();
        if self.chunks.capacity() > 64 && len < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(2 * len);
        }
    }
}

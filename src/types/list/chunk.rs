//! A block of a list: elements in a row, with room before and behind them.
//!
//! ```text
//!   bytes  ┌────────┬──────┬──────┬──────┬──────┬──────┬──────┬────────┐
//!          │  room  │ elem │ size │ elem │ size │ elem │ size │  room  │
//!          └────────┴──────┴──────┴──────┴──────┴──────┴──────┴────────┘
//!                 start                                      end
//! ```
//! Elements are those of packed sequences. Behind each stands its size, to be read backwards: seven
//! bits a byte, the low ones last, the top bit saying that another byte stands before.
//!
//! - **C1** Between `start` and `end` are exactly `count` elements with their sizes.
//! - **C2** Bytes are written only while no other chunk shares them: a clone of a chunk never changes.
//!   Taking elements away at an end moves `start` or `end` and writes nothing.

use super::{End, Limit};
use crate::mem;
use crate::types::packed::{self, Element};
use std::sync::Arc;

/// Counts that `Arc` keeps before the bytes, in the same block.
pub(super) const COUNTS: usize = 16;
/// Room of the first chunk of a list.
const FIRST: usize = 112;

#[derive(Debug, Clone)]
pub(super) struct Chunk {
    bytes: Arc<[u8]>,
    start: u32,
    end: u32,
    count: u32,
}

/// Where an element stands in a chunk, its size included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Bytes that an element takes in a chunk.
#[inline]
pub(super) fn stored(element: &Element<'_>) -> usize {
    with_size(element.size())
}

/// The size of an element and of the size behind it.
#[inline]
fn with_size(size: usize) -> usize {
    let mut total = size + 1;
    let mut rest = size >> 7;
    while rest > 0 {
        total += 1;
        rest >>= 7;
    }
    total
}

/// The first element of `bytes`, and what it takes there.
#[inline]
pub(super) fn first(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (element, size) = packed::decode(bytes)?;
    Some((element, with_size(size)))
}

/// The last element of `bytes`, and what it takes there.
#[inline]
pub(super) fn last(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let mut size = 0;
    for (index, &byte) in bytes.iter().rev().take(5).enumerate() {
        size |= usize::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            let total = size + index + 1;
            let (element, _) = packed::decode(bytes.get(bytes.len().checked_sub(total)?..)?)?;
            return Some((element, total));
        }
    }
    None
}

/// Writes an element and its size; `place` is as long as both.
#[inline]
fn write(element: &Element<'_>, place: &mut [u8]) {
    let (head, payload) = (element.head(), element.payload());
    let (front, rest) = place.split_at_mut(head.bytes().len());
    front.copy_from_slice(head.bytes());
    let (middle, sizes) = rest.split_at_mut(payload.len());
    middle.copy_from_slice(payload);
    let mut size = front.len() + middle.len();
    let mut more = sizes.len();
    for byte in sizes.iter_mut().rev() {
        more -= 1;
        *byte = (size & 0x7f) as u8 | u8::from(more > 0) << 7;
        size >>= 7;
    }
}

/// The room of a block of the allocator that has room for `len` bytes.
const fn capacity_for(len: usize) -> usize {
    mem::class(len + COUNTS) - COUNTS
}

impl Chunk {
    /// An empty chunk with all its room at `end`.
    pub(super) fn with_room(room: usize, end: End) -> Self {
        let bytes: Arc<[u8]> = std::iter::repeat_n(0, capacity_for(room.max(FIRST))).collect();
        let at = match end {
            End::Front => bytes.len() as u32,
            End::Back => 0,
        };
        Self { bytes, start: at, end: at, count: 0 }
    }

    /// Asks for the counts of the block, and for the bytes on both sides of an end.
    #[inline]
    pub(super) fn ask_ahead(&self, end: End) {
        const LINE: usize = 64;
        let bytes = self.bytes.as_ptr();
        mem::prefetch(bytes.wrapping_sub(COUNTS));
        let at = match end {
            End::Front => bytes.wrapping_add(self.start as usize),
            End::Back => bytes.wrapping_add(self.end as usize),
        };
        mem::prefetch(at.wrapping_sub(LINE));
        mem::prefetch(at);
        mem::prefetch(at.wrapping_add(LINE));
    }

    /// The number of elements.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.count as usize
    }

    /// The elements and their sizes.
    #[inline]
    pub(super) fn used(&self) -> &[u8] {
        &self.bytes[self.start as usize..self.end as usize]
    }

    /// Whether both are the same part of the same block.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let part = |chunk: &Self| (chunk.start, chunk.end, chunk.count);
        Arc::ptr_eq(&self.bytes, &other.bytes) && part(self) == part(other)
    }

    /// Bytes that the block takes.
    pub(super) fn weight(&self) -> usize {
        mem::class(self.bytes.len() + COUNTS)
    }

    /// Whether an element of `size` may join those here.
    pub(super) fn admits(&self, size: usize, limit: Limit) -> bool {
        self.len() < limit.count && self.used().len() + size <= limit.bytes
    }

    /// Adds an element at an end. False if the chunk is full, or nearly so and in need of a move.
    #[inline]
    pub(super) fn push(&mut self, end: End, element: &Element<'_>, limit: Limit) -> bool {
        let size = stored(element);
        if !self.admits(size, limit) || self.room(end) < size && !self.make_room(end, size, limit) {
            return false;
        }
        match end {
            End::Front => {
                let to = self.start as usize;
                write(element, &mut self.own()[to - size..to]);
                self.start -= size as u32;
            }
            End::Back => {
                let from = self.end as usize;
                write(element, &mut self.own()[from..from + size]);
                self.end += size as u32;
            }
        }
        self.count += 1;
        true
    }

    fn room(&self, end: End) -> usize {
        match end {
            End::Front => self.start as usize,
            End::Back => self.bytes.len() - self.end as usize,
        }
    }

    /// Makes room of `size` at an end, if that is worth it: by moving the elements to the middle when
    /// much of the block is free, so that a move pays for many pushes, or by growing to the limit.
    #[cold]
    fn make_room(&mut self, end: End, size: usize, limit: Limit) -> bool {
        let (used, capacity) = (self.used().len(), self.bytes.len());
        let free = capacity - used;
        let much = if capacity < limit.bytes { capacity / 2 } else { capacity / 4 };
        if free < much || free / 2 < size {
            if capacity < limit.bytes {
                self.rebuild((2 * capacity).min(limit.bytes).max(used + size), end);
                return true;
            }
            return false;
        }
        let (from, to) = (self.start as usize, free / 2);
        self.own().copy_within(from..from + used, to);
        (self.start, self.end) = (to as u32, (to + used) as u32);
        true
    }

    /// The bytes to be written to (C2): a copy, if they are shared.
    #[inline]
    fn own(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.bytes)
    }

    /// Moves to a block with room for `room` bytes, all that is free at `end`.
    fn rebuild(&mut self, room: usize, end: End) {
        let mut new = Self::with_room(room.max(self.used().len()), end);
        new.absorb(self);
        *self = new;
    }

    /// Takes the elements of `other` behind its own; a chunk that is empty may have its room on
    /// either side, any other must have enough behind.
    fn absorb(&mut self, other: &Self) {
        let (used, len) = (other.used(), other.used().len());
        if self.count == 0 && self.room(End::Back) < len {
            self.start -= len as u32;
            self.end = self.start;
        }
        let at = self.end as usize;
        self.own()[at..at + len].copy_from_slice(used);
        self.end += len as u32;
        self.count += other.count;
    }

    /// Takes the elements of `other` behind its own, growing to what both need.
    pub(super) fn append(&mut self, other: &Self) {
        let len = other.used().len();
        if self.room(End::Back) < len {
            self.rebuild(self.used().len() + len, End::Back);
        }
        self.absorb(other);
    }

    /// Gives back room that the elements do not need, if it is much, of a block larger than `beyond`.
    pub(super) fn shrink(&mut self, beyond: usize) {
        let used = self.used().len();
        if self.bytes.len() > beyond && capacity_for(used.max(FIRST)) < self.bytes.len() / 2 {
            self.rebuild(used, End::Back);
        }
    }

    /// Where the element with this number stands; `index` is below the length.
    pub(super) fn span(&self, index: usize) -> Span {
        if index < self.len() / 2 {
            let mut from = self.start as usize;
            for _ in 0..index {
                from += self.size_at(from);
            }
            return Span { from, to: from + self.size_at(from) };
        }
        let mut to = self.end as usize;
        for _ in index + 1..self.len() {
            to -= self.size_before(to);
        }
        Span { from: to - self.size_before(to), to }
    }

    /// The element at a span.
    pub(super) fn at(&self, span: Span) -> Option<Element<'_>> {
        Some(packed::decode(&self.bytes[span.from..span.to])?.0)
    }

    /// Where the elements equal to `needle` stand, at most `most` of them, met from an end.
    pub(super) fn find_all(&self, needle: &Element<'_>, most: usize, from: End) -> Vec<Span> {
        let mut found = Vec::new();
        let (mut low, mut high) = (self.start as usize, self.end as usize);
        while low < high && found.len() < most {
            let span = match from {
                End::Front => Span { from: low, to: low + self.size_at(low) },
                End::Back => Span { from: high - self.size_before(high), to: high },
            };
            if self.at(span).as_ref() == Some(needle) {
                found.push(span);
            }
            match from {
                End::Front => low = span.to,
                End::Back => high = span.from,
            }
        }
        found
    }

    fn size_at(&self, at: usize) -> usize {
        let size = packed::size(&self.bytes[at..self.end as usize]);
        with_size(size.unwrap_or_default()) // never missing (C1)
    }

    fn size_before(&self, to: usize) -> usize {
        last(&self.bytes[self.start as usize..to]).map_or(1, |(_, size)| size) // as above
    }

    /// Takes `count` elements away at an end; `count` is below the length.
    #[inline]
    pub(super) fn drop(&mut self, end: End, count: usize) {
        if count == 0 {
            return;
        }
        match end {
            End::Front => self.start = self.span(count - 1).to as u32,
            End::Back => self.end = self.span(self.len() - count).from as u32,
        }
        self.count -= count as u32;
    }

    /// Splits off the elements from `index` on, which is neither 0 nor the length.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let mut behind = self.clone();
        behind.drop(End::Front, index);
        behind.rebuild(behind.used().len(), End::Front);
        self.drop(End::Back, self.len() - index);
        behind
    }

    /// Puts an element in place of what stands at `span`, which may be nothing (`from` = `to`).
    pub(super) fn splice(&mut self, span: Span, element: &Element<'_>) {
        let (size, gone) = (stored(element), span.to - span.from);
        let end = self.end as usize;
        if self.bytes.len() + gone < end + size {
            // Elements move to the start of another block, and the span with them. It is larger only
            // if it must: a block filled from behind has its room in front.
            let by = self.start as usize;
            let needed = self.used().len() + size;
            self.rebuild((2 * needed).min(self.bytes.len()).max(needed), End::Back);
            let span = Span { from: span.from - by, to: span.to - by };
            return self.splice(span, element);
        }
        let bytes = self.own();
        bytes.copy_within(span.to..end, span.from + size);
        write(element, &mut bytes[span.from..span.from + size]);
        self.end = (end + size - gone) as u32;
        self.count += u32::from(gone == 0);
    }

    /// Takes away the elements at `spans`, which ascend.
    pub(super) fn remove(&mut self, spans: &[Span]) {
        let Some(first) = spans.first() else { return };
        let (end, mut to) = (self.end as usize, first.from);
        let nexts = spans[1..].iter().map(|span| span.from).chain([end]);
        let kept: Vec<_> = spans.iter().zip(nexts).map(|(span, next)| span.to..next).collect();
        let bytes = self.own();
        for range in kept {
            let len = range.len();
            bytes.copy_within(range, to);
            to += len;
        }
        self.end = to as u32;
        self.count -= spans.len() as u32;
    }
}

//! All contents of a store, as they were when the walk began.
//!
//! A view holds the store's chunks and pages by reference; a change made meanwhile copies the chunk
//! first. So taking a view of a million elements costs a few hundred pointers, and working through
//! it, in as many pieces as one likes, holds nobody up.

use super::store::{Blocks, Slots, Store, content_of};
use std::sync::Arc;

/// The contents at one instant, in no order.
#[derive(Debug)]
pub struct View {
    chunks: Vec<(Slots, u16, u16)>,
    pages: Vec<Blocks>,
    /// Chunks and pages that are done, counted together, and how much of the next one.
    done: (usize, usize),
}

impl Store {
    /// All contents, in no order.
    pub(super) fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let slots = self.chunks.iter().filter(|chunk| !chunk.bytes.is_empty());
        let slots = slots.flat_map(|chunk| {
            let size = usize::from(chunk.size);
            chunk.bytes.chunks_exact(size).take(usize::from(chunk.high)).filter_map(content_of)
        });
        slots.chain(self.pages.iter().flat_map(|page| page.iter().flatten().map(|block| &**block)))
    }
}

impl View {
    /// Of several stores.
    pub(super) fn of<'s>(stores: impl Iterator<Item = &'s Store>) -> Self {
        let (mut chunks, mut pages) = (Vec::new(), Vec::new());
        for store in stores {
            let filled = store.chunks.iter().filter(|chunk| !chunk.bytes.is_empty());
            chunks.extend(filled.map(|chunk| (chunk.bytes.clone(), chunk.size, chunk.high)));
            pages.extend_from_slice(&store.pages);
        }
        Self { chunks, pages, done: (0, 0) }
    }

    /// Whether this shows what `other` does because neither has changed, both being of one table.
    pub fn is(&self, other: &Self) -> bool {
        let same = |((a, _, a_high), (b, _, b_high)): (&(Slots, u16, u16), &(Slots, u16, u16))| {
            Arc::ptr_eq(a, b) && a_high == b_high
        };
        let same_page = |(a, b): (&Blocks, &Blocks)| Arc::ptr_eq(a, b);
        (self.chunks.len(), self.pages.len()) == (other.chunks.len(), other.pages.len())
            && self.chunks.iter().zip(&other.chunks).all(same)
            && self.pages.iter().zip(&other.pages).all(same_page)
    }

    /// Shows the next contents, about `count` of them; false if there are no more.
    pub fn next(&mut self, count: usize, mut each: impl FnMut(&[u8])) -> bool {
        let (mut part, mut from) = self.done;
        let mut left = count.max(1);
        while left > 0 {
            let taken = if let Some((bytes, size, high)) = self.chunks.get(part) {
                let slots = bytes.chunks_exact(usize::from(*size)).take(usize::from(*high));
                let slots = slots.skip(from).take(left);
                slots.map(|slot| content_of(slot).map_or((), &mut each)).count()
            } else if let Some(page) = self.pages.get(part - self.chunks.len()) {
                let blocks = page.iter().skip(from).take(left);
                blocks.map(|block| block.as_deref().map_or((), &mut each)).count()
            } else {
                self.done = (part, from);
                return false;
            };
            from += taken;
            if taken < left {
                (part, from) = (part + 1, 0);
            }
            left -= taken;
        }
        self.done = (part, from);
        true
    }

    /// As [`View::next`], and lets go of what has been shown: who changes it copies nothing any more.
    pub fn next_released(&mut self, count: usize, each: impl FnMut(&[u8])) -> bool {
        let before = self.done.0;
        let more = self.next(count, each);
        for part in before..self.done.0 {
            match self.chunks.get_mut(part) {
                Some((bytes, _, high)) => (*bytes, *high) = (Slots::default(), 0),
                None => {
                    if let Some(page) = self.pages.get_mut(part - self.chunks.len()) {
                        *page = Blocks::default();
                    }
                }
            }
        }
        more
    }
}

//! Where elements live: contents of any length, found by a place that is a number.
//!
//! A place is a `u32`. Contents of like length share a chunk of at most 64 KiB cut into equal slots,
//! so a place needs no pointer, an element no header of the allocator, and a chunk goes back to the
//! allocator as soon as its last element leaves. Long contents get a block of their own.
//!
//! ```text
//!   place, chunk:   0 | chunk, 19 bits | slot, 12 bits      slot:  slack | content | …
//!   place, block:   1 | number, 31 bits                     block: content
//! ```
//! Chunks, and pages of blocks, are shared with copies and with readers that walk over everything
//! ([`super::walk`]); whoever changes one that is shared copies it first, 64 KiB at most. So a copy
//! of a million elements, or a view of them at one instant, costs a few hundred pointers.
//!
//! - **M1** All slots of a chunk have its size; `slack` tells how much shorter the content is.
//! - **M2** A chunk stands in its class's list of chunks with room if and only if it has room.
//! - **M3** A free slot has [`FREE`] for slack and then, in two bytes, the next free one plus 1, 0 at
//!   the end. No content has that slack.
//!
//! Should 2^19 chunks (32 GiB) not do, short contents get blocks of their own, too.

use crate::mem;
use std::sync::Arc;

/// Neither a chunk nor a place.
pub(in crate::types) const NONE: u32 = u32::MAX;
const BLOCK: u32 = 1 << 31;
pub(super) const SLOT_BITS: u32 = 12;
const CHUNKS: usize = 1 << 19;
const CHUNK_BYTES: usize = 1 << 16;
/// The slack of a slot without content.
const FREE: u8 = 0xff;
/// Bytes of a counted block before its content: both counts.
const COUNTS: usize = 2 * size_of::<usize>();
/// Bytes that the processor brings at a time.
const LINE: usize = 64;
/// Up to `FINE`, slots come in steps of 4 bytes; up to `COARSE`, in steps of 32.
const FINE: usize = 256;
const COARSE: usize = 2048;
const CLASSES: usize = FINE / 4 + (COARSE - FINE) / 32 + 1;
/// Blocks of a page.
const PAGE: usize = 128;

/// A part of the store that a reader may hold.
pub(super) type Slots = Arc<[u8]>;
/// The same, for blocks.
pub(super) type Blocks = Arc<Vec<Option<Arc<[u8]>>>>;

#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) bytes: Slots,
    /// Neighbours among the chunks of this class with room.
    before: u32,
    after: u32,
    pub(super) size: u16,
    class: u16,
    live: u16,
    /// The first free slot plus 1.
    free: u16,
    /// Slots from this one on were never used.
    pub(super) high: u16,
}

impl Chunk {
    fn slots(&self) -> usize {
        (CHUNK_BYTES / usize::from(self.size)).min(1 << SLOT_BITS)
    }

    fn is_full(&self) -> bool {
        usize::from(self.live) == self.slots()
    }

    fn range(&self, place: u32) -> std::ops::Range<usize> {
        let size = usize::from(self.size);
        let at = (place & ((1 << SLOT_BITS) - 1)) as usize * size;
        at..at + size
    }

    #[inline(always)]
    fn slot(&self, place: u32) -> &[u8] {
        &self.bytes[self.range(place)]
    }

    #[inline(always)]
    fn slot_mut(&mut self, place: u32) -> &mut [u8] {
        let range = self.range(place);
        &mut Arc::make_mut(&mut self.bytes)[range]
    }

    /// A slot to write into.
    fn take(&mut self) -> u32 {
        self.live += 1;
        if self.free != 0 {
            let slot = u32::from(self.free) - 1;
            let bytes = self.slot(slot);
            self.free = u16::from_le_bytes([bytes[1], bytes[2]]);
            return slot;
        }
        let size = usize::from(self.size);
        let used = usize::from(self.high) * size;
        if used + size > self.bytes.len() {
            let room = (2 * used).max(4 * size).min(self.slots() * size);
            let mut grown: Slots = std::iter::repeat_n(0, room).collect();
            Arc::make_mut(&mut grown)[..used].copy_from_slice(&self.bytes[..used]);
            self.bytes = grown;
        }
        self.high += 1;
        u32::from(self.high) - 1
    }
}

/// The content of a slot; none if it is free.
#[inline(always)]
pub(super) fn content_of(slot: &[u8]) -> Option<&[u8]> {
    let slack = usize::from(slot[0]);
    (slot[0] != FREE).then(|| &slot[1..slot.len() - slack])
}

/// All contents.
#[derive(Debug, Clone)]
#[repr(C)]
pub(in crate::types) struct Store {
    pub(super) chunks: Vec<Chunk>,
    /// By class, a chunk with room.
    room: [u32; CLASSES],
    /// A chunk without memory, in a list through `after`.
    spare: u32,
    pub(super) pages: Vec<Blocks>,
    spare_blocks: Vec<u32>,
    bytes: usize,
    /// Chunks at most.
    pub(super) most: usize,
}

impl Store {
    pub(in crate::types) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            room: [NONE; CLASSES],
            spare: NONE,
            pages: Vec::new(),
            spare_blocks: Vec::new(),
            bytes: 0,
            most: CHUNKS,
        }
    }

    /// Stores a content, given in parts, and tells its place.
    pub(in crate::types) fn insert(&mut self, parts: &[&[u8]]) -> u32 {
        let need = 1 + length(parts);
        let Some(id) = class(need).and_then(|class| self.chunk_with_room(class)) else {
            return self.insert_block(parts);
        };
        let chunk = &mut self.chunks[id as usize];
        let before = chunk.bytes.len();
        let slot = chunk.take();
        self.bytes += chunk.bytes.len() - before;
        fill(chunk.slot_mut(slot), parts, need);
        if chunk.is_full() {
            self.leave_room(id);
        }
        id << SLOT_BITS | slot
    }

    /// Puts another content in a place, if it can stay there.
    pub(in crate::types) fn rewrite(&mut self, place: u32, parts: &[&[u8]]) -> bool {
        let need = 1 + length(parts);
        if place & BLOCK == 0 {
            let chunk = &mut self.chunks[(place >> SLOT_BITS) as usize];
            let fits = class(need) == Some(usize::from(chunk.class));
            if fits {
                fill(chunk.slot_mut(place), parts, need);
            }
            return fits;
        }
        if class(need).is_some() {
            return false;
        }
        let block: Arc<[u8]> = parts.concat().into();
        self.bytes += block.len();
        self.bytes -= self.set_block(place & !BLOCK, Some(block));
        true
    }

    /// Forgets a content.
    pub(in crate::types) fn remove(&mut self, place: u32) {
        if place & BLOCK != 0 {
            self.bytes -= self.set_block(place & !BLOCK, None);
            self.spare_blocks.push(place & !BLOCK);
            return;
        }
        let id = place >> SLOT_BITS;
        let chunk = &mut self.chunks[id as usize];
        let was_full = chunk.is_full();
        chunk.live -= 1;
        if chunk.live > 0 {
            let [low, high] = chunk.free.to_le_bytes();
            chunk.slot_mut(place)[..3].copy_from_slice(&[FREE, low, high]);
            chunk.free = (place & ((1 << SLOT_BITS) - 1)) as u16 + 1;
            if was_full {
                self.enter_room(id);
            }
            return;
        }
        self.bytes -= std::mem::take(&mut chunk.bytes).len();
        (chunk.high, chunk.free) = (0, 0);
        if !was_full {
            self.leave_room(id);
        }
        self.chunks[id as usize].after = self.spare;
        self.spare = id;
    }

    /// Asks for the content in a place, as far as that is told by the place alone.
    #[inline(always)]
    pub(in crate::types) fn prefetch(&self, place: u32) {
        if place & BLOCK == 0 {
            // Slots are not aligned to lines. Of a long one the rest follows by itself.
            let slot = self.chunks[(place >> SLOT_BITS) as usize].slot(place);
            mem::prefetch(slot.as_ptr());
            mem::prefetch(&slot[(slot.len() - 1).min(LINE)]);
        }
    }

    /// Asks for what says whether the chunk of a place is shared with a copy, which is written by who
    /// changes the content: so it is another processor's as often as not, if threads share the table.
    #[inline(always)]
    pub(in crate::types) fn prefetch_owner(&self, place: u32) {
        if place & BLOCK == 0 {
            let bytes = self.chunks[(place >> SLOT_BITS) as usize].bytes.as_ptr();
            mem::prefetch_to_write(bytes.wrapping_sub(COUNTS));
        }
    }

    /// The content in a place; empty if there is none.
    #[inline(always)]
    pub(in crate::types) fn content(&self, place: u32) -> &[u8] {
        if place & BLOCK != 0 {
            let number = (place & !BLOCK) as usize;
            return self.pages[number / PAGE][number % PAGE].as_deref().unwrap_or(&[]);
        }
        content_of(self.chunks[(place >> SLOT_BITS) as usize].slot(place)).unwrap_or(&[])
    }

    /// The same, to be changed without a change of its length.
    #[inline(always)]
    pub(in crate::types) fn content_mut(&mut self, place: u32) -> &mut [u8] {
        if place & BLOCK != 0 {
            let number = (place & !BLOCK) as usize;
            let page = Arc::make_mut(&mut self.pages[number / PAGE]);
            return page[number % PAGE].as_mut().map_or(&mut [], Arc::make_mut);
        }
        let slot = self.chunks[(place >> SLOT_BITS) as usize].slot_mut(place);
        match slot[0] {
            FREE => &mut [],
            slack => {
                let end = slot.len() - usize::from(slack);
                &mut slot[1..end]
            }
        }
    }

    /// Bytes held. What is shared with a copy counts for both.
    pub(in crate::types) fn weight(&self) -> usize {
        self.bytes
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.pages.len() * PAGE * size_of::<Option<Arc<[u8]>>>()
            + self.spare_blocks.capacity() * 4
    }

    /// Frees one piece of memory; false if none is left.
    pub(in crate::types) fn shed(&mut self) -> bool {
        self.chunks.pop().is_some() || self.pages.pop().is_some()
    }

    /// Number of pieces that freeing it gives back.
    pub(in crate::types) fn pieces(&self) -> usize {
        self.chunks.len() + self.pages.len() * PAGE
    }

    fn insert_block(&mut self, parts: &[&[u8]]) -> u32 {
        let block: Arc<[u8]> = parts.concat().into();
        self.bytes += block.len();
        if let Some(number) = self.spare_blocks.pop() {
            self.set_block(number, Some(block));
            return BLOCK | number;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Arc::default());
        }
        let before = (self.pages.len() - 1) * PAGE;
        let page = Arc::make_mut(&mut self.pages[before / PAGE]);
        page.push(Some(block));
        BLOCK | (before + page.len() - 1) as u32
    }

    /// Puts a block where another may be, and tells the length of that.
    fn set_block(&mut self, number: u32, block: Option<Arc<[u8]>>) -> usize {
        let number = number as usize;
        let page = Arc::make_mut(&mut self.pages[number / PAGE]);
        let old = std::mem::replace(&mut page[number % PAGE], block);
        old.map_or(0, |old| old.len())
    }

    fn chunk_with_room(&mut self, class: usize) -> Option<u32> {
        if self.room[class] != NONE {
            return Some(self.room[class]);
        }
        let fresh = Chunk {
            bytes: Slots::default(),
            before: NONE,
            after: NONE,
            size: size(class) as u16,
            class: class as u16,
            live: 0,
            free: 0,
            high: 0,
        };
        let id = self.spare;
        if id != NONE {
            self.spare = std::mem::replace(&mut self.chunks[id as usize], fresh).after;
            self.enter_room(id);
            return Some(id);
        }
        if self.chunks.len() >= self.most {
            return None;
        }
        self.chunks.push(fresh);
        let id = (self.chunks.len() - 1) as u32;
        self.enter_room(id);
        Some(id)
    }

    fn enter_room(&mut self, id: u32) {
        let class = usize::from(self.chunks[id as usize].class);
        let first = std::mem::replace(&mut self.room[class], id);
        let chunk = &mut self.chunks[id as usize];
        (chunk.before, chunk.after) = (NONE, first);
        if first != NONE {
            self.chunks[first as usize].before = id;
        }
    }

    fn leave_room(&mut self, id: u32) {
        let Chunk { before, after, class, .. } = self.chunks[id as usize];
        match before {
            NONE => self.room[usize::from(class)] = after,
            _ => self.chunks[before as usize].after = after,
        }
        if after != NONE {
            self.chunks[after as usize].before = before;
        }
    }
}

fn length(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// Writes slack and content into a slot of the class of `need`.
#[inline(always)]
fn fill(slot: &mut [u8], parts: &[&[u8]], need: usize) {
    slot[0] = (slot.len() - need) as u8; // M3: below 32
    let mut at = 1;
    for part in parts {
        slot[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
}

/// The class of a slot that holds `need` bytes, if that is short enough for a chunk.
const fn class(need: usize) -> Option<usize> {
    match need {
        0..=FINE => Some(need.div_ceil(4)),
        _ if need <= COARSE => Some(FINE / 4 + (need - FINE).div_ceil(32)),
        _ => None,
    }
}

/// The slot size of a class.
const fn size(class: usize) -> usize {
    if class <= FINE / 4 { class * 4 } else { FINE + (class - FINE / 4) * 32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_survives_and_memory_comes_back() {
        let mut store = Store::new();
        let text = |len: usize| vec![len as u8; len];
        for round in 0..3 {
            let places: Vec<u32> =
                (0..3000).map(|len| store.insert(&[&text(len / 2), &text(len)])).collect();
            let copy = store.clone();
            for (len, &place) in places.iter().enumerate() {
                let whole = [text(len / 2), text(len)].concat();
                assert_eq!(store.content(place), whole, "round {round}");
                store.content_mut(place).fill(7);
                assert_eq!(store.content(place), vec![7; whole.len()]);
                if store.rewrite(place, &[&text(len + len / 2)]) {
                    assert_eq!(store.content(place), text(len + len / 2));
                }
                assert_eq!(copy.content(place), whole, "a copy changes on its own");
            }
            places.iter().for_each(|&place| store.remove(place));
            assert_eq!(store.bytes, 0);
        }
    }
}

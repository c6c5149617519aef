//! Where members live: once each, with their score, shared by the order and the index.
//!
//! A place is a `u32`. Members of like length share a chunk of at most 64 KiB cut into equal slots,
//! so a place needs no pointer, a member no header of the allocator, and a chunk goes back to the
//! allocator as soon as its last member leaves. Long members get a block of their own.
//!
//! ```text
//!   place, chunk:   0 | chunk, 19 bits | slot, 12 bits      slot:  slack | score, 8 | member | …
//!   place, block:   1 | number, 31 bits                     block: score, 8 | member
//! ```
//! - **M1** All slots of a chunk have its size; `slack` tells how much shorter the content is.
//! - **M2** A chunk stands in its class's list of chunks with room if and only if it has room.
//! - **M3** A free slot holds in its first two bytes the next free one plus 1, 0 at the end.
//!
//! Should 2^19 chunks (32 GiB) not do, short members get blocks of their own, too.

use super::pages::Pages;

/// Neither a chunk nor a member.
pub(super) const NONE: u32 = u32::MAX;
const BLOCK: u32 = 1 << 31;
const SLOT_BITS: u32 = 12;
const CHUNKS: usize = 1 << 19;
const CHUNK_BYTES: usize = 1 << 16;
/// Slack and score.
const HEAD: usize = 9;
/// Up to `FINE`, slots come in steps of 4 bytes; up to `COARSE`, in steps of 32.
const FINE: usize = 256;
const COARSE: usize = 2048;
const CLASSES: usize = FINE / 4 + (COARSE - FINE) / 32 + 1;

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Neighbours among the chunks of this class with room.
    before: u32,
    after: u32,
    size: u16,
    class: u16,
    live: u16,
    /// The first free slot plus 1.
    free: u16,
}

impl Chunk {
    fn slots(&self) -> usize {
        (CHUNK_BYTES / usize::from(self.size)).min(1 << SLOT_BITS)
    }

    fn is_full(&self) -> bool {
        usize::from(self.live) == self.slots()
    }

    #[inline(always)]
    fn slot(&self, place: u32) -> &[u8] {
        let size = usize::from(self.size);
        let at = (place & ((1 << SLOT_BITS) - 1)) as usize * size;
        &self.bytes[at..at + size]
    }

    fn slot_mut(&mut self, place: u32) -> &mut [u8] {
        let size = usize::from(self.size);
        let at = (place & ((1 << SLOT_BITS) - 1)) as usize * size;
        &mut self.bytes[at..at + size]
    }

    /// A slot to write into.
    fn take(&mut self) -> u32 {
        self.live += 1;
        if self.free != 0 {
            let slot = u32::from(self.free) - 1;
            let bytes = self.slot(slot);
            self.free = u16::from_le_bytes([bytes[0], bytes[1]]);
            return slot;
        }
        let (len, size) = (self.bytes.len(), usize::from(self.size));
        if len + size > self.bytes.capacity() {
            let most = self.slots() * size;
            self.bytes.reserve_exact(len.max(4 * size).min(most - len));
        }
        self.bytes.resize(len + size, 0);
        (len / size) as u32
    }
}

/// All members of a set.
#[derive(Debug)]
pub(super) struct Members {
    chunks: Vec<Chunk>,
    /// By class, a chunk with room.
    room: [u32; CLASSES],
    /// A chunk without memory, in a list through `after`.
    spare: u32,
    blocks: Pages<Option<Box<[u8]>>>,
    spare_blocks: Vec<u32>,
    bytes: usize,
}

impl Members {
    pub(super) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            room: [NONE; CLASSES],
            spare: NONE,
            blocks: Pages::new(),
            spare_blocks: Vec::new(),
            bytes: 0,
        }
    }

    /// Stores a member and tells its place.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> u32 {
        let need = HEAD + member.len();
        let Some(id) = class(need).and_then(|class| self.chunk_with_room(class)) else {
            return self.insert_block(member, score);
        };
        let chunk = &mut self.chunks[id as usize];
        let before = chunk.bytes.capacity();
        let slot = chunk.take();
        self.bytes += chunk.bytes.capacity() - before;
        let bytes = chunk.slot_mut(slot);
        bytes[0] = (bytes.len() - need) as u8;
        bytes[1..HEAD].copy_from_slice(&score.to_le_bytes());
        bytes[HEAD..need].copy_from_slice(member);
        if chunk.is_full() {
            self.leave_room(id);
        }
        id << SLOT_BITS | slot
    }

    /// Forgets a member.
    pub(super) fn remove(&mut self, place: u32) {
        if place & BLOCK != 0 {
            let old = self.blocks[place & !BLOCK].take();
            self.bytes -= old.map_or(0, |block| block.len());
            self.spare_blocks.push(place & !BLOCK);
            return;
        }
        let id = place >> SLOT_BITS;
        let chunk = &mut self.chunks[id as usize];
        let was_full = chunk.is_full();
        let free = chunk.free.to_le_bytes();
        chunk.slot_mut(place)[..2].copy_from_slice(&free);
        chunk.free = (place & ((1 << SLOT_BITS) - 1)) as u16 + 1;
        chunk.live -= 1;
        let live = chunk.live;
        if was_full {
            self.enter_room(id);
        }
        if live == 0 {
            self.leave_room(id);
            let chunk = &mut self.chunks[id as usize];
            self.bytes -= std::mem::take(&mut chunk.bytes).capacity();
            chunk.after = self.spare;
            self.spare = id;
        }
    }

    #[inline(always)]
    pub(super) fn member(&self, place: u32) -> &[u8] {
        if place & BLOCK != 0 {
            return self.blocks[place & !BLOCK].as_deref().map_or(&[], |block| &block[8..]);
        }
        let slot = self.chunks[(place >> SLOT_BITS) as usize].slot(place);
        &slot[HEAD..slot.len() - usize::from(slot[0])]
    }

    #[inline(always)]
    pub(super) fn score(&self, place: u32) -> f64 {
        let bytes = if place & BLOCK != 0 {
            self.blocks[place & !BLOCK].as_deref().map_or(&[0; 8][..], |block| &block[..8])
        } else {
            &self.chunks[(place >> SLOT_BITS) as usize].slot(place)[1..HEAD]
        };
        let mut word = [0; 8];
        word.copy_from_slice(bytes);
        f64::from_le_bytes(word)
    }

    pub(super) fn set_score(&mut self, place: u32, score: f64) {
        let word = score.to_le_bytes();
        if place & BLOCK == 0 {
            self.chunks[(place >> SLOT_BITS) as usize].slot_mut(place)[1..HEAD]
                .copy_from_slice(&word);
        } else if let Some(block) = &mut self.blocks[place & !BLOCK] {
            block[..8].copy_from_slice(&word);
        }
    }

    /// Bytes held.
    pub(super) fn weight(&self) -> usize {
        self.bytes
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.blocks.weight()
            + self.spare_blocks.capacity() * 4
    }

    /// Frees one piece of memory; false if none is left.
    pub(super) fn shed(&mut self) -> bool {
        self.chunks.pop().is_some() || self.blocks.pop().is_some()
    }

    fn insert_block(&mut self, member: &[u8], score: f64) -> u32 {
        let block: Box<[u8]> = [&score.to_le_bytes()[..], member].concat().into();
        self.bytes += block.len();
        let number = match self.spare_blocks.pop() {
            Some(number) => {
                self.blocks[number] = Some(block);
                number
            }
            None => self.blocks.push(Some(block)),
        };
        BLOCK | number
    }

    fn chunk_with_room(&mut self, class: usize) -> Option<u32> {
        if self.room[class] != NONE {
            return Some(self.room[class]);
        }
        let fresh = Chunk {
            bytes: Vec::new(),
            before: NONE,
            after: NONE,
            size: size(class) as u16,
            class: class as u16,
            live: 0,
            free: 0,
        };
        let id = self.spare;
        if id != NONE {
            self.spare = std::mem::replace(&mut self.chunks[id as usize], fresh).after;
            self.enter_room(id);
            return Some(id);
        }
        if self.chunks.len() == CHUNKS {
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

/// The class of a content of `need` bytes, if it is short enough for a chunk.
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
        let mut members = Members::new();
        let text = |len: usize| vec![len as u8; len];
        for round in 0..3 {
            let places: Vec<u32> =
                (0..3000).map(|len| members.insert(&text(len), len as f64)).collect();
            for (len, &place) in places.iter().enumerate() {
                assert_eq!(members.member(place), text(len), "round {round}");
                assert_eq!(members.score(place), len as f64);
                members.set_score(place, -1.0);
                assert_eq!((members.score(place), members.member(place).len()), (-1.0, len));
            }
            places.iter().for_each(|&place| members.remove(place));
            assert_eq!(members.bytes, 0);
        }
    }
}

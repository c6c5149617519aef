//! A table in parts, so that several threads may work on its elements at once.
//!
//! ```text
//!   hash, bits 50 to 55 ──► directory, 64 bytes ──► part: latch, store, index
//! ```
//! A table begins as one part and is divided as it grows, one part in two at a time: the elements of
//! which the next bit of the hash is set move. That is a thousand elements at most, so no change
//! stalls, and a small table pays for no parts. Of 64 parts, which a table of 130,000 has, two
//! threads want the same one once in 64 times.
//!
//! - **D1** The directory's entries of a part stand side by side, as many as a power of two, from a
//!   multiple of it on; the hashes of the part's elements say one of them.
//! - **D2** While threads share the table ([`crate::sync::part`]), directory and list of parts stay as
//!   they are; what changes are the parts, under their latches, and `stale`.
//! - **D3** Unless `stale`, `counts` and `len` say how many elements there are. They are brought up to
//!   date only while nobody shares the table.

use super::shard::Shard;
use super::store::SLOT_BITS;
use super::{At, Hashing, Layout};
use crate::sync::part::Part;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, CachePadded, Ordering};
use std::ops::Range;

/// Parts at most.
pub(super) const PARTS: usize = 64;
/// Where a part's number stands in a packed place ([`super::Table::pack`]): places within a part leave
/// that free, as all parts together have as many chunks as a table that is not divided.
pub(super) const PART_SHIFT: u32 = 25;
pub(super) const PART_BITS: u32 = (PARTS as u32 - 1) << PART_SHIFT;
const CHUNKS: usize = 1 << (PART_SHIFT - SLOT_BITS);
/// Elements from which on a part is divided; few in tests, so that they meet many parts.
const FULL: usize = if cfg!(test) { 40 } else { 2048 };

/// Whether so many elements are enough for two parts, and few enough to divide them without a stall:
/// what has grown for long without being divided stays as it is.
#[inline(always)]
pub(super) const fn is_full(len: usize) -> bool {
    len >= FULL && len < 2 * FULL
}

/// The parts.
#[derive(Debug)]
pub(super) struct Parts {
    directory: [u8; PARTS],
    parts: Vec<CachePadded<Part<Shard>>>,
    counts: [AtomicU32; PARTS],
    len: AtomicUsize,
    stale: AtomicBool,
}

impl Clone for Parts {
    fn clone(&self) -> Self {
        Self {
            directory: self.directory,
            parts: self.shards().map(|shard| part(shard.clone())).collect(),
            counts: [const { AtomicU32::new(0) }; PARTS],
            len: AtomicUsize::new(0),
            stale: AtomicBool::new(true),
        }
    }
}

fn part(shard: Shard) -> CachePadded<Part<Shard>> {
    CachePadded::new(Part::new(shard))
}

/// The directory's entry of a hash: not the bits that the index goes by, nor the tag's.
#[inline(always)]
const fn entry(hash: u64) -> usize {
    (hash >> 50) as usize % PARTS
}

impl Parts {
    /// One part that holds everything.
    pub(super) fn of(mut shard: Shard) -> Self {
        shard.store.most = CHUNKS;
        Self {
            directory: [0; PARTS],
            parts: vec![part(shard)],
            counts: [const { AtomicU32::new(0) }; PARTS],
            len: AtomicUsize::new(0),
            stale: AtomicBool::new(true),
        }
    }

    /// Which part a hash belongs to.
    #[inline(always)]
    pub(super) fn id(&self, hash: u64) -> u8 {
        self.directory[entry(hash)]
    }

    #[inline(always)]
    pub(super) fn part(&self, id: u8) -> &Part<Shard> {
        &self.parts[usize::from(id)]
    }

    #[inline(always)]
    pub(super) fn part_mut(&mut self, id: u8) -> &mut Shard {
        self.parts[usize::from(id)].get_mut()
    }

    /// All parts' contents, while nobody shares them.
    pub(super) fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.parts.iter().map(|part| part.get())
    }

    /// Whether the part of a hash, which has `len` elements, is to be divided.
    #[inline(always)]
    pub(super) fn is_due(&self, hash: u64, len: usize) -> bool {
        let entry = entry(hash);
        is_full(len) && self.directory[entry] == self.directory[entry ^ 1] // D1
    }

    /// The entries of the part to which this one leads (D1).
    fn range(&self, entry: usize) -> Range<usize> {
        let id = self.directory[entry];
        let from = self.directory.iter().position(|&other| other == id).unwrap_or(entry);
        let len = self.directory[from..].iter().take_while(|&&other| other == id).count();
        from..from + len
    }

    /// An element came or went, while nobody shares the table.
    #[inline(always)]
    pub(super) fn count(&mut self, id: u8, came: bool) {
        let (count, len) = (self.counts[usize::from(id)].get_mut(), self.len.get_mut());
        if came {
            (*count, *len) = (count.wrapping_add(1), len.wrapping_add(1));
        } else {
            (*count, *len) = (count.wrapping_sub(1), len.wrapping_sub(1));
        }
    }

    /// An element came or went, while threads share the table (D3).
    #[inline(always)]
    pub(super) fn outdate(&self) {
        if !self.stale.load(Ordering::Relaxed) {
            self.stale.store(true, Ordering::Relaxed);
        }
    }

    /// Number of elements, while nobody shares the table.
    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.stale.load(Ordering::Relaxed) {
            self.recount();
        }
        self.len.load(Ordering::Relaxed)
    }

    #[cold]
    fn recount(&self) {
        let mut sum = 0;
        for (shard, count) in self.shards().zip(&self.counts) {
            count.store(shard.len() as u32, Ordering::Relaxed);
            sum += shard.len();
        }
        self.len.store(sum, Ordering::Relaxed);
        self.stale.store(false, Ordering::Relaxed);
    }

    /// An element at random, each as likely as any other.
    pub(super) fn random(&self, mut random: impl FnMut() -> u64) -> Option<At> {
        let len = self.len() as u128;
        let mut nth = ((u128::from(random()) * len) >> 64) as usize;
        for (id, count) in self.counts.iter().enumerate() {
            let count = count.load(Ordering::Relaxed) as usize;
            if nth < count {
                let shard = self.parts.get(id)?.get();
                return shard.index.random(&mut random).map(|place| At { part: id as u8, place });
            }
            nth -= count;
        }
        None
    }

    /// One step of a walk: first all of the part that entry 0 leads to, then the next. The upper half
    /// of a cursor is the entry, the lower the cursor within the part; both keep their meaning when
    /// parts are divided, as a part's elements stay, in the same order, or move behind it.
    pub(super) fn scan(&self, cursor: u64, mut each: impl FnMut(At, &Shard)) -> u64 {
        let entry = (cursor >> 32) as usize % PARTS;
        let id = self.directory[entry];
        let shard = self.part(id).get();
        let within = cursor & u64::from(u32::MAX);
        let next = shard.index.scan(within, |place| each(At { part: id, place }, shard));
        match next {
            0 => match self.range(entry).end {
                PARTS => 0,
                end => (end as u64) << 32,
            },
            next => (entry as u64) << 32 | next,
        }
    }

    /// Begins to divide the part of a hash in two, if that is due: copies what will move.
    pub(super) fn begin<L: Layout>(&mut self, hash: u64, hashing: &Hashing) -> Option<Division> {
        let id = self.id(hash);
        let old = self.part(id).get();
        if !self.is_due(hash, old.len()) {
            return None;
        }
        let range = self.range(entry(hash));
        let upper = range.start + range.len() / 2..range.end;
        let fresh_id = self.parts.len() as u8;
        let mut fresh = Shard::new();
        (fresh.number, fresh.store.most) = (old.number, CHUNKS);
        let (mut moves, mut cursor) = (Vec::with_capacity(old.len() / 2 + old.len() / 8), 0);
        loop {
            cursor = old.index.scan(cursor, |place| {
                let content = old.store.content(place);
                let hash = hashing.hash(L::key(content));
                if upper.contains(&entry(hash)) {
                    moves.push((hash, place, fresh.add::<L>(hashing, hash, &[content])));
                }
            });
            if cursor == 0 {
                break;
            }
        }
        self.parts.push(part(fresh));
        Some(Division { from: id, into: fresh_id, upper, moves })
    }

    /// Ends it: what has moved is no longer where it was.
    pub(super) fn end(&mut self, division: Division) {
        let Division { from, into, upper, moves } = division;
        let old = self.part_mut(from);
        moves.iter().for_each(|&(hash, place, _)| old.remove(hash, place));
        self.directory[upper].fill(into);
        *self.stale.get_mut() = true;
    }

    /// The contents alone.
    pub(super) fn contents(&self) -> Self {
        Self {
            directory: self.directory,
            parts: self.shards().map(|shard| part(shard.contents())).collect(),
            counts: [const { AtomicU32::new(0) }; PARTS],
            len: AtomicUsize::new(0),
            stale: AtomicBool::new(true),
        }
    }

    /// Frees one piece of memory; false if none is left.
    pub(super) fn shed(&mut self) -> bool {
        self.parts.iter_mut().any(|part| part.get_mut().shed())
    }
}

/// A part being divided.
#[derive(Debug)]
pub(in crate::types) struct Division {
    from: u8,
    into: u8,
    /// The entries that will lead to the new part.
    upper: Range<usize>,
    /// Hash, old place, new place.
    moves: Vec<(u64, u32, u32)>,
}

impl Division {
    /// What moves from where to where.
    pub(in crate::types) fn moves(&self) -> impl Iterator<Item = (At, At)> {
        let at = |part, place| At { part, place };
        self.moves.iter().map(move |&(_, old, new)| (at(self.from, old), at(self.into, new)))
    }
}

//! From an element's hash to its place.
//!
//! # Why not a ready-made hash table
//! Those rehash all at once: at a million members that is tens of milliseconds in which nobody gets
//! at the key, and twice the memory. This one grows as the index of the keyspace does, by linear
//! hashing: with `n` buckets and `2^l <= n < 2^(l+1)`, a hash lives in bucket `h mod 2^(l+1)` if that
//! is below `n`, else in `h mod 2^l`. An insert splits at most one bucket of about 9 elements, a
//! removal merges at most one pair; buckets stand in [`SharedPages`], which are never copied as a whole.
//! So the worst insert does a bounded amount of work, whatever the size.
//!
//! # Layout
//! ```text
//!   bucket, 64 bytes, one cache line:   12 places, u32 | 12 tags, u8 | further bucket, u32
//! ```
//! A tag is the top 8 bits of the hash, so a look-up compares the one right element and seldom
//! another: 12 / 256 of the time. Hashes are not stored: a split computes those of its 9 members.
//!
//! - **T1** Places in a bucket stand at the front; a chain has no empty bucket but its head.
//! - **T2** A place stands in the chain of its hash's bucket, once.

use super::pages::SharedPages;
use super::store::NONE;
use crate::mem;

const WAYS: usize = 12;
/// Places per bucket, times ten, beyond which a bucket is split: 8.5 of 12 costs 7.5 bytes each,
/// and one bucket in ten has a chain.
const FULL: usize = 85;
/// Places per bucket, times ten, below which two are merged: far from `FULL`, lest it swing.
const SPARSE: usize = 25;

#[derive(Debug, Clone)]
#[repr(align(64))]
struct Bucket {
    places: [u32; WAYS],
    tags: [u8; WAYS],
    chain: u32,
}

impl Bucket {
    /// The top bit of each byte whose way has this tag, and perhaps of some that have not: all are
    /// compared at once, by a subtraction whose borrow may spoil the byte above a match.
    #[inline(always)]
    fn ways(&self, tag: u8) -> u128 {
        const ONES: u128 = u128::from_le_bytes([1; 16]) >> 32;
        let mut tags = [0; 16];
        tags[..WAYS].copy_from_slice(&self.tags);
        let differ = u128::from_le_bytes(tags) ^ (ONES * u128::from(tag));
        differ.wrapping_sub(ONES) & !differ & (ONES << 7)
    }
}

const EMPTY: Bucket = Bucket { places: [NONE; WAYS], tags: [0; WAYS], chain: NONE };

/// The table.
#[derive(Debug, Clone)]
pub(in crate::types) struct Index {
    buckets: SharedPages<Bucket>,
    further: SharedPages<Bucket>,
    /// A further bucket out of use, in a list through `chain`.
    spare: u32,
    /// No chain had more buckets since there was one bucket only, its head included.
    longest: u32,
    len: usize,
}

impl Index {
    pub(in crate::types) fn new() -> Self {
        let mut buckets = SharedPages::new();
        buckets.push(EMPTY);
        Self { buckets, further: SharedPages::new(), spare: NONE, longest: 1, len: 0 }
    }

    /// The place with this hash that `is` accepts.
    #[inline]
    pub(in crate::types) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut bucket = &self.buckets[self.address(hash)];
        loop {
            let mut ways = bucket.ways(tag(hash));
            while ways != 0 {
                let place = bucket.places[(ways.trailing_zeros() / 8) as usize];
                if place != NONE && is(place) {
                    return Some(place);
                }
                ways &= ways - 1;
            }
            if bucket.chain == NONE {
                return None;
            }
            bucket = &self.further[bucket.chain];
        }
    }

    /// Asks for the bucket of a hash.
    #[inline(always)]
    pub(in crate::types) fn prefetch(&self, hash: u64) {
        mem::prefetch(&self.buckets[self.address(hash)]);
    }

    /// The place that a look-up of a hash will very likely compare first, by its bucket's head.
    #[inline(always)]
    pub(in crate::types) fn candidate(&self, hash: u64) -> Option<u32> {
        let bucket = &self.buckets[self.address(hash)];
        let ways = bucket.ways(tag(hash));
        let place = *bucket.places.get((ways.trailing_zeros() / 8) as usize)?;
        Some(place).filter(|&place| place != NONE)
    }

    /// Adds a place that is not in yet; `hash_of` tells the hashes of those that must move.
    pub(in crate::types) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        self.put(self.address(hash), place, tag(hash));
        self.len += 1;
        if self.len * 10 > self.buckets.len() as usize * FULL {
            self.split(hash_of);
        }
    }

    /// Takes a place out.
    pub(in crate::types) fn remove(&mut self, hash: u64, place: u32) {
        if !self.take(self.address(hash), place) {
            debug_assert!(false, "T2: a place that is not in the table");
            return;
        }
        self.len -= 1;
        let n = self.buckets.len() as usize;
        if n > 1 && self.len * 10 < n * SPARSE {
            self.merge();
        }
    }

    /// Shows the places of the bucket that `cursor` stands for and returns the next cursor, 0 at
    /// the end. Cursors count in bit-reversed order, so splits and merges keep what has been walked
    /// behind and the rest ahead: what is there all the time is shown at least once.
    pub(in crate::types) fn scan(&self, cursor: u64, mut visit: impl FnMut(u32)) -> u64 {
        let n = u64::from(self.buckets.len());
        let half: u64 = 1 << n.ilog2();
        let bucket = self.address(cursor);
        let mut at = &self.buckets[bucket];
        loop {
            at.places.iter().take_while(|&&place| place != NONE).for_each(|&place| visit(place));
            if at.chain == NONE {
                break;
            }
            at = &self.further[at.chain];
        }
        let split = u64::from(bucket) >= half || u64::from(bucket) < n - half;
        let mask = if split { 2 * half - 1 } else { half - 1 };
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }

    /// Puts another place where one stood whose hash is the same.
    pub(in crate::types) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let head = self.address(hash);
        let (mut at, mut way) = (None, position(&self.buckets[head], old));
        let mut next = self.buckets[head].chain;
        while way.is_none() && next != NONE {
            (at, way) = (Some(next), position(&self.further[next], old));
            next = self.further[next].chain;
        }
        let bucket = match at {
            None => &mut self.buckets[head],
            Some(at) => &mut self.further[at],
        };
        match way {
            Some(way) => bucket.places[way] = new,
            None => debug_assert!(false, "T2: a place that is not in the table"),
        }
    }

    /// A place at random, each as likely as any other: a random bucket, then a random one of as many
    /// ways as the longest chain ever had, again until a place stands there.
    pub(in crate::types) fn random(&self, mut random: impl FnMut() -> u64) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let ways = u64::from(self.longest) * WAYS as u64;
        loop {
            let word = random();
            let bucket = ((word >> 32) * u64::from(self.buckets.len())) >> 32;
            let mut way = ((word & 0xffff_ffff) * ways) >> 32;
            let mut at = &self.buckets[bucket as u32];
            while way >= WAYS as u64 && at.chain != NONE {
                way -= WAYS as u64;
                at = &self.further[at.chain];
            }
            if let Some(&place) = at.places.get(way as usize)
                && place != NONE
            {
                return Some(place);
            }
        }
    }

    /// Number of places.
    pub(in crate::types) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes held.
    pub(in crate::types) fn weight(&self) -> usize {
        self.buckets.weight() + self.further.weight()
    }

    /// Frees a few buckets; false if none is left.
    pub(in crate::types) fn shed(&mut self) -> bool {
        self.buckets.pop().is_some() || self.further.pop().is_some()
    }

    /// All places.
    #[cfg(test)]
    pub(in crate::types) fn places(&self) -> Vec<u32> {
        let mut all = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = self.scan(cursor, |place| all.push(place));
            if cursor == 0 {
                assert_eq!(all.len(), self.len);
                return all;
            }
        }
    }

    #[inline(always)]
    fn address(&self, hash: u64) -> u32 {
        let n = self.buckets.len();
        let half: u32 = 1 << n.ilog2();
        let wide = hash as u32 & (2 * half - 1);
        if wide < n { wide } else { wide & (half - 1) }
    }

    fn put(&mut self, bucket: u32, place: u32, tag: u8) {
        let head = &mut self.buckets[bucket];
        if fill(head, place, tag) {
            return;
        }
        // The head is full. Its first further bucket is the only one that may have room: a new one
        // is put in front of it.
        let chain = head.chain;
        if chain != NONE && fill(&mut self.further[chain], place, tag) {
            return;
        }
        let fresh = match self.spare {
            NONE => self.further.push(EMPTY),
            spare => {
                self.spare = std::mem::replace(&mut self.further[spare], EMPTY).chain;
                spare
            }
        };
        self.further[fresh].chain = chain;
        fill(&mut self.further[fresh], place, tag);
        self.buckets[bucket].chain = fresh;
        let (mut length, mut at) = (1, fresh);
        while at != NONE {
            (length, at) = (length + 1, self.further[at].chain);
        }
        self.longest = self.longest.max(length);
    }

    /// Takes a place out of a chain: the last one of the bucket that may have room fills the gap.
    fn take(&mut self, bucket: u32, place: u32) -> bool {
        let (mut at, mut way) = (None, position(&self.buckets[bucket], place));
        let mut next = self.buckets[bucket].chain;
        while way.is_none() && next != NONE {
            (at, way) = (Some(next), position(&self.further[next], place));
            next = self.further[next].chain;
        }
        let Some(way) = way else { return false };
        let chain = self.buckets[bucket].chain;
        let source =
            if chain == NONE { &mut self.buckets[bucket] } else { &mut self.further[chain] };
        let last = source.places.iter().rposition(|&place| place != NONE).unwrap_or(0);
        let moved = (source.places[last], source.tags[last]);
        source.places[last] = NONE;
        if moved.0 != place {
            let gap = match at {
                None => &mut self.buckets[bucket],
                Some(at) => &mut self.further[at],
            };
            (gap.places[way], gap.tags[way]) = moved;
        }
        if chain != NONE && last == 0 {
            self.buckets[bucket].chain = self.further[chain].chain;
            self.release(chain);
        }
        true
    }

    fn release(&mut self, further: u32) {
        self.further[further].chain = self.spare;
        self.spare = further;
    }

    fn split(&mut self, hash_of: impl Fn(u32) -> u64) {
        let n = self.buckets.len();
        if n >= 1 << 30 {
            return; // chains grow instead
        }
        let old = n - (1 << n.ilog2());
        self.buckets.push(EMPTY);
        let bucket = std::mem::replace(&mut self.buckets[old], EMPTY);
        self.drain(bucket, |index, place, tag| {
            let to = index.address(hash_of(place));
            index.put(to, place, tag);
        });
    }

    fn merge(&mut self) {
        let Some(bucket) = self.buckets.pop() else { return };
        let n = self.buckets.len();
        let into = n - (1 << n.ilog2());
        if n == 1 {
            self.longest = 1; // too few are left for any chain
        }
        self.drain(bucket, |index, place, tag| index.put(into, place, tag));
    }

    /// Hands out all places of a chain that is no longer in the table.
    fn drain(&mut self, head: Bucket, mut each: impl FnMut(&mut Self, u32, u8)) {
        let mut bucket = head;
        loop {
            for (&place, &tag) in bucket.places.iter().zip(&bucket.tags) {
                if place != NONE {
                    each(self, place, tag);
                }
            }
            let next = bucket.chain;
            if next == NONE {
                return;
            }
            bucket = std::mem::replace(&mut self.further[next], EMPTY);
            self.release(next);
        }
    }
}

const fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8
}

fn position(bucket: &Bucket, place: u32) -> Option<usize> {
    bucket.places.iter().position(|&held| held == place)
}

fn fill(bucket: &mut Bucket, place: u32, tag: u8) -> bool {
    let Some(way) = position(bucket, NONE) else { return false };
    (bucket.places[way], bucket.tags[way]) = (place, tag);
    true
}

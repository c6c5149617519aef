//! Growing and shrinking by one bucket.
//!
//! ```text
//!   split:  bucket p = n - 2^l   ──►   p and n          merge:  p and n-1   ──►   p
//! ```
//! Order of a split, all under the stripe that both buckets share: (1) records that move are put
//! into the new bucket, (2) the count rises, (3) the old bucket is rewritten without them. A reader
//! at any moment finds a record in the bucket that its count tells, or misses and retries because
//! the stripe is locked or has changed. A merge is the mirror image: put, lower the count, clear.
//!
//! Whoever inserts does the work: a split costs under a microsecond, and the threshold is checked
//! only when a writer passes its count on, so each pays for a few splits at a time.

use super::table::{Bucket, CHUNK, Record, SLOTS, Table, prefetch, put};
use crate::sync::limbo::Limbo;
use crate::sync::{AtomicBool, Backoff, Ordering, Pin};

/// Records per bucket, times ten, beyond which the table grows: measured, 4.9 of 7 slots costs
/// 15 bytes a key and chains 17 buckets in 100; fuller is slower, emptier hardly faster.
const FULL: i64 = 49;
/// Records per bucket, times ten, below which it shrinks: far from `FULL`, so that no load makes
/// it swing.
const SPARSE: i64 = 12;
/// Steps per call at most: the longest that one command pays.
const STEPS: usize = 16;
/// A chain of more buckets than this is reported: with a good hash its odds are nil.
pub const LONG_CHAIN: usize = 8;

impl<R: Record> Table<R> {
    /// Grows or shrinks towards what `count` records need, at most a few steps. Returns the longest
    /// chain met, as an alarm against crafted keys.
    pub fn resize(&self, count: i64, limbo: &mut Limbo, pin: &Pin) -> usize {
        let n = self.buckets() as i64;
        if count * 10 <= n * FULL && count * 10 >= n * SPARSE {
            return 0;
        }
        self.resize_slow(count, limbo, pin)
    }

    #[cold]
    fn resize_slow(&self, count: i64, limbo: &mut Limbo, pin: &Pin) -> usize {
        let Some(_mine) = self.try_still() else { return 0 }; // somebody is at it
        let mut longest = 0;
        for _ in 0..STEPS {
            let n = self.buckets();
            if count * 10 > n as i64 * FULL {
                longest = longest.max(self.split(n, limbo, pin));
            } else if count * 10 < n as i64 * SPARSE && n > self.least() {
                self.merge(n, limbo, pin);
            } else {
                break;
            }
        }
        longest
    }

    /// Buckets that there are at least.
    fn least(&self) -> u64 {
        (self.stripes.count() as u64).max(self.floor.load(Ordering::Relaxed))
    }

    /// Room for `count` records more, made at once, while it costs little: for whoever is about to add
    /// them, and holds no stripe. It stays until this is called with 0.
    pub fn expect(&self, count: u64, limbo: &mut Limbo, pin: &Pin) {
        /// Buckets made between two chances for others.
        const ROUND: usize = 256;
        let there = if count == 0 { 0 } else { u64::try_from(self.count()).unwrap_or(0) };
        let buckets = count.saturating_add(there).saturating_mul(10) / FULL.unsigned_abs();
        self.floor.store(buckets, Ordering::Relaxed);
        while self.buckets() < buckets {
            let _mine = self.still();
            for _ in 0..ROUND {
                let n = self.buckets();
                if n >= buckets {
                    break;
                }
                self.split(n, limbo, pin);
                if self.buckets() == n {
                    return; // there is no memory for more
                }
            }
        }
    }

    /// The right to change the number of buckets, if nobody has it.
    fn try_still(&self) -> Option<Still<'_>> {
        let taken = self.resizing.swap(true, Ordering::Acquire);
        if taken { None } else { Some(Still(&self.resizing)) }
    }

    /// Keeps the number of buckets as it is, for microseconds. The caller holds no stripe: whoever
    /// has the right now may be waiting for one.
    pub(super) fn still(&self) -> Still<'_> {
        let mut backoff = Backoff::default();
        loop {
            if let Some(still) = self.try_still() {
                return still;
            }
            backoff.wait();
        }
    }

    /// Splits the next bucket (I5: the caller holds `resizing`). Returns the length of its chain.
    fn split(&self, n: u64, limbo: &mut Limbo, pin: &Pin) -> usize {
        if !self.ensure_chunk(n) {
            return 0;
        }
        let level = 63 - n.leading_zeros();
        let parent_at = n - (1 << level);
        let stripe = self.stripes.of(parent_at);
        if stripe.load().is_reserved() {
            return 0; // W7: it grows when the stripe is given back; until then chains do
        }
        stripe.lock();
        let (Some(parent), Some(child)) = (self.bucket(parent_at), self.bucket(n)) else {
            stripe.unlock_unchanged();
            return 0;
        };
        let (words, chain) = gather(parent);
        let mut keep = Vec::with_capacity(words.len());
        for word in words {
            // SAFETY: loaded from a slot under its stripe.
            let moves = unsafe { Self::hash_of(word) } >> level & 1 == 1;
            if moves {
                put(child, word);
            } else {
                keep.push(word);
            }
        }
        self.set_buckets(n + 1);
        self.inherit_due(parent_at, n);
        rewrite(parent, &keep, limbo, pin);
        stripe.unlock(0);
        chain
    }

    /// Merges the last bucket into its parent (I5: the caller holds `resizing`).
    fn merge(&self, n: u64, limbo: &mut Limbo, pin: &Pin) {
        let child_at = n - 1;
        let parent_at = child_at - (1 << (63 - child_at.leading_zeros()));
        let stripe = self.stripes.of(parent_at);
        if stripe.load().is_reserved() {
            return; // W7
        }
        stripe.lock();
        if let (Some(parent), Some(child)) = (self.bucket(parent_at), self.bucket(child_at)) {
            for word in gather(child).0 {
                put(parent, word);
            }
            self.set_buckets(child_at);
            self.inherit_due(child_at, parent_at);
            rewrite(child, &[], limbo, pin);
        }
        stripe.unlock(0);
        if (child_at as usize).is_multiple_of(CHUNK) {
            self.drop_chunk(child_at as usize / CHUNK, limbo, pin);
        }
    }
}

/// The right to change the number of buckets (I5), given back when dropped.
pub(super) struct Still<'t>(&'t AtomicBool);

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// All words of a chain, and its length in buckets.
fn gather(first: &Bucket) -> (Vec<u64>, usize) {
    let mut words = Vec::with_capacity(2 * SLOTS);
    let mut length = 0;
    let mut bucket = Some(first);
    while let Some(here) = bucket {
        length += 1;
        for slot in here.slots() {
            let word = slot.load(Ordering::Acquire);
            if word != 0 {
                prefetch((word & ((1 << 48) - 1)) as *const u8);
                words.push(word);
            }
        }
        bucket = here.next();
    }
    (words, length)
}

/// Makes a chain hold exactly `words`, densely, and retires the buckets left over.
fn rewrite(first: &Bucket, words: &[u64], limbo: &mut Limbo, pin: &Pin) {
    let mut words = words.iter().copied();
    let mut bucket = first;
    loop {
        for slot in bucket.slots() {
            slot.store(words.next().unwrap_or(0), Ordering::Release);
        }
        let next = bucket.next();
        if words.len() == 0 {
            bucket.chain().store(0, Ordering::Release);
            return retire_chain(next, limbo, pin);
        }
        match next {
            Some(next) => bucket = next,
            None => return debug_assert!(false, "the words came from this chain"),
        }
    }
}

fn retire_chain(mut bucket: Option<&Bucket>, limbo: &mut Limbo, pin: &Pin) {
    while let Some(here) = bucket {
        bucket = here.next();
        let block = std::ptr::from_ref(here).cast_mut().cast();
        // SAFETY: chained buckets come from `Bucket::alloc`, and the chain no longer leads here.
        unsafe { limbo.retire(block, size_of::<Bucket>(), Bucket::free, pin) }
    }
}

//! Walking the table while it changes: cursors, single buckets, random picks.
//!
//! A cursor counts in bit-reversed order: its high bits run fastest. With linear hashing a bucket
//! below the split point (or above `2^l`) is told by `l + 1` bits, the others by `l`; the step uses
//! the width of the bucket just read. Splitting a bucket makes two neighbours in this order and
//! merging the reverse, so what has been walked stays walked and what has not is still ahead:
//! **a record present from the start of a walk to its end is seen at least once.**

use super::table::{GROUP, POINTER, Record, Table, prefetch};
use crate::sync::{Backoff, Ordering, Pin};

/// Buckets that a walk asks for ahead at most.
const AHEAD: usize = 16;
/// Records that a bucket has, about.
const PER_BUCKET: usize = 4;

/// The bits that tell bucket `bucket` of `n`.
const fn width(bucket: u64, n: u64) -> u64 {
    let level = 63 - n.leading_zeros();
    let split = bucket >= 1 << level || bucket < n - (1 << level);
    if split { (2 << level) - 1 } else { (1 << level) - 1 }
}

/// The cursor behind `cursor`, whose bucket is told by the bits of `mask`.
const fn following(cursor: u64, mask: u64) -> u64 {
    (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

impl<R: Record> Table<R> {
    /// Shows `visit` the records of the bucket that `cursor` stands for and returns the next
    /// cursor, 0 at the end.
    pub fn scan<'p>(&'p self, cursor: u64, pin: &'p Pin, visit: impl FnMut(u64, &'p R)) -> u64 {
        let mut mask = 0;
        self.visit_at(cursor, pin, visit, |n| {
            let bucket = Self::address(cursor, n);
            mask = width(bucket, n);
            bucket
        });
        following(cursor, mask)
    }

    /// One step of a walk in the order of [`Table::scan`] for whoever wants records while nobody can
    /// change them: shows `visit` the records of buckets of one stripe, whose lock is held meanwhile
    /// and nobody shares what is under it, until about `most` were shown. Returns the next cursor,
    /// 0 at the end.
    pub fn walk<'p>(
        &'p self,
        cursor: u64,
        most: usize,
        _pin: &'p Pin,
        mut visit: impl FnMut(&'p R),
    ) -> u64 {
        self.ask_ahead(cursor, most);
        let index = self.stripes.index(cursor);
        let stripe = self.stripes.lock(index);
        let (mut next, mut shown) = (cursor, 0);
        loop {
            // The buckets of this stripe, and so the width of their cursors, stay as they are.
            let n = self.buckets();
            let bucket = Self::address(next, n);
            let mut here = self.bucket(bucket);
            while let Some(bucket) = here {
                for slot in bucket.slots() {
                    let word = slot.load(Ordering::Acquire);
                    if word != 0 {
                        // SAFETY: not null, and loaded with Acquire from a slot while pinned.
                        visit(unsafe { Self::record_of(word) });
                        shown += 1;
                    }
                }
                here = bucket.next();
            }
            next = following(next, width(bucket, n));
            if shown >= most || next == 0 || self.stripes.index(next) != index {
                break;
            }
        }
        stripe.unlock_unchanged();
        next
    }

    /// Asks for what a step of [`Table::walk`] will touch: buckets first, then the records in them, all
    /// at once, before anybody has to wait for the stripe. What has changed since is asked for in vain.
    fn ask_ahead(&self, cursor: u64, most: usize) {
        let n = self.buckets();
        let mut buckets = [0; AHEAD];
        let (mut next, mut count) = (cursor, 0);
        for place in buckets.iter_mut().take(most.div_ceil(PER_BUCKET)) {
            *place = Self::address(next, n);
            next = following(next, width(*place, n));
            if let Some(bucket) = self.bucket(*place) {
                prefetch(bucket);
            }
            count += 1;
            if next == 0 || self.stripes.index(next) != self.stripes.index(cursor) {
                break;
            }
        }
        for &bucket in &buckets[..count] {
            let Some(bucket) = self.bucket(bucket) else { continue };
            for slot in bucket.slots() {
                let word = slot.load(Ordering::Relaxed);
                if word != 0 {
                    prefetch((word & POINTER) as *const u8);
                }
            }
        }
    }

    /// Shows `visit` hash and record of all that bucket `bucket` held at one moment; hashes are
    /// computed, so this is for walks, not for look-ups.
    pub(super) fn visit_bucket<'p>(
        &'p self,
        bucket: u64,
        pin: &'p Pin,
        visit: impl FnMut(u64, &'p R),
    ) {
        self.visit_at(bucket, pin, visit, |_| bucket);
    }

    /// As [`Table::visit_bucket`]; `choose` names the bucket, given their number. It must have the
    /// stripe of `low`. Number and contents are of one moment: a split or merge of the chosen
    /// bucket would have changed the stripe. Only while the stripe is reserved (W7) they are as they
    /// come: nobody waits for its holder, and those who must see one moment do not begin.
    fn visit_at<'p>(
        &'p self,
        low: u64,
        _pin: &'p Pin,
        mut visit: impl FnMut(u64, &'p R),
        mut choose: impl FnMut(u64) -> u64,
    ) {
        let stripe = self.stripes.of(low);
        // Most buckets of a small database are empty: they must not cost an allocation.
        let mut words: Vec<u64> = Vec::new();
        let mut backoff = Backoff::default();
        loop {
            words.clear();
            let now = stripe.load();
            let seen = if now.is_reserved() { now } else { stripe.settled() };
            let mut here = self.bucket(choose(self.buckets()));
            while let Some(bucket) = here {
                let found = bucket.slots().iter().map(|slot| slot.load(Ordering::Acquire));
                words.extend(found.filter(|word| *word != 0));
                here = bucket.next();
            }
            if seen.is_reserved() || stripe.validate(seen) {
                break;
            }
            backoff.wait();
        }
        for word in words {
            // SAFETY: not null, and loaded with Acquire from a slot while pinned.
            let (record, hash) = unsafe { (Self::record_of(word), Self::hash_of(word)) };
            visit(hash, record);
        }
    }

    /// Shows `visit` the records that bucket `random mod n` holds, without any consistency beyond
    /// that of each record: for sampling.
    pub fn sample<'p>(&'p self, random: u64, _pin: &'p Pin, mut visit: impl FnMut(&'p R)) {
        let n = self.buckets();
        // The high half of a product is uniform over the buckets without a division.
        let mut here = self.bucket(((u128::from(random) * u128::from(n)) >> 64) as u64);
        while let Some(bucket) = here {
            for slot in bucket.slots() {
                let word = slot.load(Ordering::Acquire);
                if word != 0 {
                    // SAFETY: loaded with Acquire from a slot while pinned.
                    visit(unsafe { Self::record_of(word) });
                }
            }
            here = bucket.next();
        }
    }

    /// Shows `visit` the records of whole groups of buckets, from a random one on and around, until it
    /// says that it has enough: for tables in which [`Table::sample`] hits nothing. With `due_only`,
    /// groups without a deadline are left out, so the walk is short where few records have one.
    pub fn walk_from<'p>(
        &'p self,
        random: u64,
        due_only: bool,
        pin: &'p Pin,
        mut visit: impl FnMut(&'p R) -> bool,
    ) {
        let groups = self.groups();
        let first = ((u128::from(random) * groups as u128) >> 64) as usize;
        for group in (first..groups).chain(0..first) {
            if due_only && !self.has_due(group) {
                continue;
            }
            let first = (group * GROUP) as u64;
            let mut enough = false;
            for bucket in first..(first + GROUP as u64).min(self.buckets()) {
                self.visit_bucket(bucket, pin, |_, record| enough |= visit(record));
            }
            if enough {
                return;
            }
        }
    }

    /// Buckets, records and chained buckets, counted: for DEBUG HTSTATS and tests.
    pub fn census(&self, pin: &Pin) -> Census {
        let mut census = Census { buckets: self.buckets(), ..Census::default() };
        for bucket in 0..census.buckets {
            let mut records = 0;
            self.visit_bucket(bucket, pin, |_, _| records += 1);
            census.records += records as u64;
            census.longest = census.longest.max(records);
            census.by_load[records.min(census.by_load.len() - 1)] += 1;
        }
        census
    }
}

/// What [`Table::census`] counts.
#[derive(Debug, Default, Clone)]
pub struct Census {
    /// Buckets, chained ones not counted.
    pub buckets: u64,
    /// Records.
    pub records: u64,
    /// Records of the fullest bucket.
    pub longest: usize,
    /// Buckets by number of records; the last entry counts all above.
    pub by_load: [u64; 32],
}

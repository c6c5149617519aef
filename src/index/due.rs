//! Deadlines: per group of 64 buckets, the earliest time at which one of its records wants to be
//! looked at.
//!
//! The table does not know what a deadline is for; the keyspace notes when keys expire. A sweep
//! reads four bytes per group (128 KiB for ten million keys) and opens only the groups that are
//! due, so keys without a deadline cost nothing and keys whose time is far cost nearly nothing.
//!
//! - **D1** A group's mark is 0 (none) or no later than the deadline of any record in it: whoever
//!   gives a record a deadline notes it after publishing the record, under its stripe; a split or
//!   merge takes over the mark of the group it takes from; a sweep clears the mark *before* it reads
//!   the records and then notes the earliest that it leaves.
//! - **D2** Nothing is split or merged while a group is swept: a record that left the group between
//!   the clearing of its mark and the reading of its bucket would be seen by nobody, and its new
//!   group would have inherited nothing.
//! - **D3** Noting and sweeping are the two halves of Dekker's protocol: publish / load mark against
//!   clear mark / read records, each pair parted by a SeqCst fence. So a note that finds the mark
//!   early enough already can be sure that no sweep has cleared it and passed the record by.
//! - A mark may be too early: the sweep then finds nothing and notes the true one.

use super::table::{CHUNK, GROUP, Record, Table};
use crate::sync::{AtomicU32, Ordering, Pin, fence};

fn lower(mark: &AtomicU32, time: u32) {
    let mut seen = mark.load(Ordering::Relaxed);
    while time != 0 && (seen == 0 || time < seen) {
        match mark.compare_exchange_weak(seen, time, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

impl<R: Record> Table<R> {
    fn mark(&self, bucket: u64) -> Option<&AtomicU32> {
        let at = bucket as usize;
        Some(&self.chunk(at / CHUNK)?.due[at % CHUNK / GROUP])
    }

    /// Notes that the record of `hash` is due at `time` (not 0). Call after publishing it, under its
    /// stripe: so its bucket stays where it is.
    #[inline]
    pub fn note_due(&self, hash: u64, time: u32) {
        fence(Ordering::SeqCst); // D3
        if let Some(mark) = self.mark(Self::address(hash, self.buckets())) {
            lower(mark, time);
        }
    }

    /// The group of `to` may have got records of the group of `from`. The caller holds the stripe of
    /// both buckets, so every note of a record in them is done.
    pub(super) fn inherit_due(&self, from: u64, to: u64) {
        if let (Some(from), Some(to)) = (self.mark(from), self.mark(to)) {
            lower(to, from.load(Ordering::Acquire));
        }
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        (self.buckets() as usize).div_ceil(GROUP)
    }

    /// Looks for the first group from number `from` on that has a mark, among `most` groups, and shows
    /// `visit` its records, without touching the mark: for sampling. Returns the number to go on
    /// from, 0 after the last group.
    pub fn visit_marked<'p>(
        &'p self,
        from: usize,
        most: usize,
        pin: &'p Pin,
        mut visit: impl FnMut(&'p R),
    ) -> usize {
        let groups = self.groups();
        let until = from.saturating_add(most).min(groups);
        for group in from..until {
            let first = (group * GROUP) as u64;
            if self.mark(first).is_none_or(|mark| mark.load(Ordering::Relaxed) == 0) {
                continue;
            }
            for bucket in first..(first + GROUP as u64).min(self.buckets()) {
                self.visit_bucket(bucket, pin, |_, record| visit(record));
            }
            return (group + 1) % groups;
        }
        if until >= groups { 0 } else { until }
    }

    /// Whether a record of group `group` may have a deadline.
    pub(super) fn has_due(&self, group: usize) -> bool {
        let mark = self.mark((group * GROUP) as u64);
        mark.is_some_and(|mark| mark.load(Ordering::Relaxed) != 0)
    }

    /// If group `group` is due at `now`, clears its mark and shows `visit` all its records; what
    /// `visit` returns for those that stay is noted again. Returns whether it was due.
    pub fn sweep_group(
        &self,
        group: usize,
        now: u32,
        pin: &Pin,
        mut visit: impl FnMut(u64, &R) -> Option<u32>,
    ) -> bool {
        let first = (group * GROUP) as u64;
        let Some(mark) = self.mark(first) else { return false };
        let time = mark.load(Ordering::Relaxed);
        if time == 0 || time > now {
            return false;
        }
        let _still = self.still(); // D2
        mark.swap(0, Ordering::AcqRel); // D1: before the records are read
        fence(Ordering::SeqCst); // D3
        let mut earliest = 0;
        for bucket in first..(first + GROUP as u64).min(self.buckets()) {
            self.visit_bucket(bucket, pin, |hash, record| {
                if let Some(due) = visit(hash, record)
                    && (earliest == 0 || due < earliest)
                {
                    earliest = due;
                }
            });
        }
        lower(mark, earliest);
        true
    }
}

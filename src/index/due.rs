//! Deadlines: per group of 64 buckets, the earliest time at which one of its records wants to be
//! looked at.
//!
//! The table does not know what a deadline is for; the keyspace notes when keys expire. A sweep
//! reads four bytes per group (128 KiB for ten million keys) and opens only the groups that are
//! due, so keys without a deadline cost nothing and keys whose time is far cost nearly nothing.
//!
//! - **D1** A group's mark is 0 (none) or no later than the deadline of any record in it: whoever
//!   gives a record a deadline notes it after publishing the record; a split or merge takes over the
//!   mark of the group it takes from; a sweep clears the mark *before* it reads the records and
//!   notes what it leaves.
//! - **D2** A sweep notes without a stripe, so a split may pass it: it notes, then looks where the
//!   record belongs now, and notes again if that changed; the split counts the new bucket first and
//!   takes the mark over then. A SeqCst fence in each parts the two steps, so one sees the other.
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

    /// Notes that the record of `hash` is due at `time` (not 0). Call after publishing it.
    #[inline]
    pub fn note_due(&self, hash: u64, time: u32) {
        let mut at = Self::address(hash, self.buckets());
        loop {
            if let Some(mark) = self.mark(at) {
                lower(mark, time);
            }
            fence(Ordering::SeqCst); // D2
            let now = Self::address(hash, self.buckets());
            if now == at {
                return;
            }
            at = now;
        }
    }

    /// The group of `to` may have got records of the group of `from`.
    pub(super) fn inherit_due(&self, from: u64, to: u64) {
        fence(Ordering::SeqCst); // D2
        if let (Some(from), Some(to)) = (self.mark(from), self.mark(to)) {
            lower(to, from.load(Ordering::Acquire));
        }
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        (self.buckets() as usize).div_ceil(GROUP)
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
        mark.swap(0, Ordering::AcqRel); // D1: before the records are read
        for bucket in first..(first + GROUP as u64).min(self.buckets()) {
            self.visit_bucket(bucket, pin, |hash, record| {
                if let Some(due) = visit(hash, record) {
                    // Noted by address: the record may have moved to another group meanwhile.
                    self.note_due(hash, due);
                }
            });
        }
        true
    }
}

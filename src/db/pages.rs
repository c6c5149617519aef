//! Pages that carry records to whoever writes the log.
//!
//! A page is a stretch of commands and marks that say which records stand where. Records that follow each
//! other in number, in bytes and in database share a mark, so one busy worker makes a mark for a page and
//! not for each change.
//!
//! What is not durable yet is kept, megabytes of it, so a page that is filled is not the one that was
//! emptied just now. Emptied ones wait in [`Spares`] to be filled again: their memory is there, where the
//! allocator would ask the kernel for cleared memory each time.

use crate::mem;
use crate::sync::{AtomicU64, Ordering};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Room of a page that much is written to.
pub(super) const ROOM: usize = 64 * 1024;
/// A page that became no longer than this is followed by one that is no longer.
const LITTLE: usize = ROOM / 4;
/// Spares that are kept at most: about as much as is not durable under load, while a sync takes its time.
const MOST: usize = 512;
/// So far ahead of what is written the page's lines are asked for: two records of middling length.
const AHEAD: usize = 256;
/// Bytes that the processor brings at a time.
const LINE: usize = 64;

/// Where records stand in a [`Page`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The place of the first in the one order, from 1 on.
    pub first: u64,
    /// That of the last.
    pub last: u64,
    /// Their bytes.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// The database that must be selected before them.
    pub db: u32,
    /// The one that is selected after them.
    pub db_after: u32,
}

/// Records of one thread, in ascending order of their numbers.
#[derive(Debug, Default)]
pub struct Page {
    /// Commands in RESP.
    pub bytes: Vec<u8>,
    /// The records. Bytes that belong to none mean nothing.
    pub marks: Vec<Mark>,
    /// Where the records end: that of the last mark, or of one before it that stands behind it.
    pub(super) end: usize,
}

impl Page {
    /// Adds the record with the next number of `order`, of bytes that are there.
    #[inline]
    pub(super) fn add(
        &mut self,
        order: &Counter,
        (start, end): (usize, usize),
        (db, db_after): (u32, u32),
    ) -> u64 {
        let number = order.next();
        self.end = self.end.max(end);
        match self.marks.last_mut() {
            Some(mark)
                if (mark.end, mark.last + 1, mark.db_after) == (start, number, db)
                    && mark.last != order.cut.load(Ordering::Relaxed) =>
            {
                (mark.last, mark.end, mark.db_after) = (number, end, db_after);
            }
            _ => self.marks.push(Mark { first: number, last: number, start, end, db, db_after }),
        }
        number
    }

    /// Asks for the lines that will soon be written to. Their memory was last touched megabytes ago, and the
    /// addition that gives a number waits until all that was stored before has reached its line.
    #[inline(always)]
    pub(super) fn ask_ahead(&self) {
        let ahead = self.bytes.as_ptr().wrapping_add(self.bytes.len() + AHEAD);
        mem::prefetch_to_write(ahead);
        mem::prefetch_to_write(ahead.wrapping_add(LINE));
    }

    /// Takes back what belongs to no record.
    pub(super) fn withdraw(&mut self) {
        self.bytes.truncate(self.end);
    }
}

/// The order of records.
#[derive(Debug, Default)]
pub(super) struct Counter {
    /// The greatest number given.
    pub(super) last: AtomicU64,
    /// The same when a log last ended or began: no mark spans that.
    pub(super) cut: AtomicU64,
}

impl Counter {
    fn next(&self) -> u64 {
        // AcqRel: who sees a number given (`Journal::last`) sees what had been done before it.
        self.last.fetch_add(1, Ordering::AcqRel) + 1
    }
}

/// Emptied pages.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// A page to follow `page`: with as much room as that has probably shown to be needed.
    pub(super) fn after(&self, page: &Page) -> Page {
        let len = page.bytes.len();
        let bytes = if len > LITTLE {
            let spare = self.0.lock().pop();
            spare.unwrap_or_else(|| Vec::with_capacity(ROOM))
        } else {
            Vec::with_capacity(len.next_power_of_two())
        };
        Page { bytes, marks: Vec::with_capacity(page.marks.len()), end: 0 }
    }

    /// The bytes of a page, to be passed on in parts. Its memory comes back here when nobody has any.
    pub(super) fn lend(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        if (ROOM..2 * ROOM).contains(&bytes.capacity()) {
            Bytes::from_owner(Lent { spares: Arc::clone(self), bytes })
        } else {
            Bytes::from(bytes)
        }
    }

    /// Gives all of them to the allocator.
    pub(super) fn clear(&self) {
        let spares = std::mem::take(&mut *self.0.lock());
        drop(spares); // not under the lock
    }
}

struct Lent {
    spares: Arc<Spares>,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut spares = self.spares.0.lock();
        if spares.len() < MOST {
            spares.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_follow_each_other_share_a_mark_but_not_across_a_cut() {
        let (order, mut page) = (Counter::default(), Page::default());
        let mut add = |order: &Counter, bytes, dbs| page.add(order, bytes, dbs);
        assert_eq!(add(&order, (0, 10), (0, 0)), 1);
        assert_eq!(add(&order, (10, 15), (0, 2)), 2);
        assert_eq!(add(&order, (15, 20), (0, 0)), 3, "another database");
        assert_eq!(add(&order, (22, 30), (0, 0)), 4, "a gap");
        order.next(); // somebody else
        assert_eq!(add(&order, (30, 40), (0, 0)), 6);
        order.cut.store(6, Ordering::Relaxed);
        assert_eq!(add(&order, (40, 50), (0, 0)), 7);
        assert_eq!(add(&order, (50, 60), (0, 0)), 8);
        let marks: Vec<_> = page.marks.iter().map(|m| (m.first, m.last, m.start, m.end)).collect();
        let want = [(1, 2, 0, 15), (3, 3, 15, 20), (4, 4, 22, 30), (6, 6, 30, 40), (7, 8, 40, 60)];
        assert_eq!(marks, want);
        assert_eq!((page.marks[0].db, page.marks[0].db_after), (0, 2));
    }

    #[test]
    fn long_pages_are_used_again_when_nobody_has_a_part_of_them() {
        let spares = Arc::new(Spares::default());
        let page = Page { bytes: vec![7; ROOM], ..Page::default() };
        let place = page.bytes.as_ptr();
        let bytes = spares.lend(page.bytes);
        let part = bytes.slice(5..9);
        drop(bytes);
        let full = Page { bytes: vec![1; LITTLE + 1], ..Page::default() };
        assert_ne!(spares.after(&full).bytes.as_ptr(), place);
        assert_eq!(part, vec![7; 4]);
        drop(part);
        let again = spares.after(&full).bytes;
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        drop(spares.lend(again));
        assert_eq!(spares.0.lock().len(), 1);
        assert!(spares.after(&Page::default()).bytes.capacity() < ROOM);
        spares.clear();
        assert_eq!(spares.0.lock().len(), 0);
    }
}

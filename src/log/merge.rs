//! Records of all threads in their one order.
//!
//! Each thread's pages come in ascending order of numbers, and numbers have no gaps ([`crate::db::journal`],
//! J2), so the next record is at the front of some lane or has not been handed over yet. A run is what can be
//! taken at once: records of one page that follow each other in number, in bytes and in database. With one
//! busy worker that is whole pages, which go on without a copy.

use crate::db::journal::{Journal, Mark, Page, encode_select};
use bytes::Bytes;
use std::collections::VecDeque;

/// Records of one page, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// Whole commands, each MULTI with its EXEC.
    pub bytes: Bytes,
    /// The number of the last.
    pub last: u64,
}

#[derive(Debug)]
struct Sheet {
    bytes: Bytes,
    marks: Vec<Mark>,
    /// The first mark that was not taken.
    at: usize,
}

#[derive(Debug, Default)]
struct Lane {
    sheets: VecDeque<Sheet>,
}

impl Lane {
    fn first(&mut self) -> Option<(&mut Sheet, Mark)> {
        while self.sheets.front().is_some_and(|sheet| sheet.at == sheet.marks.len()) {
            self.sheets.pop_front();
        }
        let sheet = self.sheets.front_mut()?;
        let mark = sheet.marks[sheet.at];
        Some((sheet, mark))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Merge {
    lanes: Vec<Lane>,
    /// The number that comes next.
    next: u64,
    /// The database that is selected in the stream; none at its beginning.
    db: Option<u32>,
    pages: Vec<Page>,
    /// The lane that had the last record: it probably has the next.
    recent: usize,
}

impl Merge {
    /// Begins with the record after number `last`.
    pub fn new(seats: usize, last: u64) -> Self {
        let lanes = (0..seats).map(|_| Lane::default()).collect();
        Self { lanes, next: last + 1, db: None, pages: Vec::new(), recent: 0 }
    }

    /// The number of the last record taken.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// Begins anew after number `last`; nothing was taken that is not given out.
    pub fn begin(&mut self, last: u64) {
        (self.next, self.db) = (last.max(self.last()) + 1, None);
    }

    /// Whoever reads the stream from here on knows of no database yet.
    pub fn forget_db(&mut self) {
        self.db = None;
    }

    /// Takes over what threads have handed over. Returns how many bytes.
    pub fn collect(&mut self, journal: &Journal) -> usize {
        let mut bytes = 0;
        for seat in 0..journal.seats() {
            journal.take(seat, &mut self.pages);
            for page in self.pages.drain(..) {
                bytes += page.bytes.len();
                let Page { bytes, marks } = page;
                self.lanes[seat].sheets.push_back(Sheet {
                    bytes: Bytes::from(bytes),
                    marks,
                    at: 0,
                });
            }
        }
        bytes
    }

    /// The next run of records with numbers up to `until`, if it has come. What selects its database is
    /// put before it.
    pub fn next(&mut self, until: u64, mut select: impl FnMut(&[u8])) -> Option<Run> {
        if self.next > until {
            return None;
        }
        let lane = self.find()?;
        let (next, db) = (&mut self.next, &mut self.db);
        let (sheet, first) = self.lanes[lane].first()?;
        if *db != Some(first.db) {
            let mut bytes = Vec::new();
            encode_select(&mut bytes, first.db);
            select(&bytes);
        }
        let (start, mut end, mut selected) = (first.start, first.start, first.db);
        while let Some(mark) = sheet.marks.get(sheet.at)
            && mark.number == *next
            && mark.start == end
            && mark.db == selected
            && *next <= until
        {
            (end, selected) = (mark.end, mark.db_after);
            *next += 1;
            sheet.at += 1;
        }
        *db = Some(selected);
        Some(Run { bytes: sheet.bytes.slice(start..end), last: *next - 1 })
    }

    fn find(&mut self) -> Option<usize> {
        let lanes = self.lanes.len();
        let order = (0..lanes).map(|i| (self.recent + i) % lanes);
        for lane in order {
            if self.lanes[lane].first().is_some_and(|(_, mark)| mark.number == self.next) {
                self.recent = lane;
                return Some(lane);
            }
        }
        None
    }
}

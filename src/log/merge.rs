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
    /// The number of the first.
    pub first: u64,
    /// That of the last.
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
    /// The record that comes next in this lane. What is older than `next` was handed over too late for the log
    /// that it was meant for, which has ended.
    fn first(&mut self, next: u64) -> Option<(&mut Sheet, Mark)> {
        while let Some(sheet) = self.sheets.front_mut() {
            match sheet.marks.get(sheet.at) {
                None => _ = self.sheets.pop_front(),
                Some(mark) if mark.last < next => sheet.at += 1,
                Some(_) => break,
            }
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
                let Page { bytes, marks, .. } = page;
                self.lanes[seat].sheets.push_back(Sheet {
                    bytes: journal.lend(bytes),
                    marks,
                    at: 0,
                });
            }
        }
        bytes
    }

    /// The next run of records with numbers up to `until`, if it has come: a cut ([`Journal::cut`]), so no
    /// mark lies on both sides of it. What selects its database is
    /// put before it.
    pub fn next(&mut self, until: u64, mut select: impl FnMut(&[u8])) -> Option<Run> {
        if self.next > until {
            return None;
        }
        let lane = self.find()?;
        let (next, db) = (&mut self.next, &mut self.db);
        let (sheet, first) = self.lanes[lane].first(*next)?;
        if *db != Some(first.db) {
            let mut bytes = Vec::new();
            encode_select(&mut bytes, first.db);
            select(&bytes);
        }
        let (start, mut end, mut selected) = (first.start, first.start, first.db);
        while let Some(mark) = sheet.marks.get(sheet.at)
            && mark.first == *next
            && mark.start == end
            && mark.db == selected
            && mark.last <= until
        {
            (end, selected) = (mark.end, mark.db_after);
            *next = mark.last + 1;
            sheet.at += 1;
        }
        *db = Some(selected);
        Some(Run { bytes: sheet.bytes.slice(start..end), first: first.first, last: *next - 1 })
    }

    fn find(&mut self) -> Option<usize> {
        let lanes = self.lanes.len();
        let order = (0..lanes).map(|i| (self.recent + i) % lanes);
        for lane in order {
            let next = self.next;
            if self.lanes[lane].first(next).is_some_and(|(_, mark)| mark.first == next) {
                self.recent = lane;
                return Some(lane);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::db::{Access, Expiry, Key, Keyspace, Local, New, Wants};
    use crate::resp::args::OwnedArgs;
    use crate::sync;
    use std::sync::Arc;

    /// Sets a key as a worker would, and says so.
    fn set(keyspace: &Keyspace, local: &mut Local, (db, key): (usize, &str)) {
        keyspace.gate.enter(local.seat);
        let pin = sync::pin();
        let mut access = Access::new(keyspace, local, &pin, db);
        access.propose(OwnedArgs::new(["SET", key, "v"]).view());
        access.write(Key::new(key.as_bytes())).set(New::Int(1), Expiry::Never);
        access.withdraw();
        keyspace.gate.leave(local.seat);
    }

    fn drain(merge: &mut Merge, until: u64) -> (String, Vec<u64>) {
        let (mut all, mut lasts) = (String::new(), Vec::new());
        loop {
            let mut select = Vec::new();
            let run = merge.next(until, |bytes| select.extend_from_slice(bytes));
            let Some(run) = run else { return (all.replace("\r\n", " "), lasts) };
            all += std::str::from_utf8(&select).unwrap();
            all += std::str::from_utf8(&run.bytes).unwrap();
            assert_eq!(run.first, lasts.last().map_or(run.first, |last| last + 1));
            lasts.push(run.last);
        }
    }

    #[test]
    fn records_come_in_the_order_of_their_numbers_up_to_the_cut() {
        let keyspace = Keyspace::new(16, 2, Arc::new(Clock::new()));
        keyspace.want(Wants::LOGGED, true);
        let (mut a, mut b) = (keyspace.sit(), keyspace.sit());
        let mut merge = Merge::new(keyspace.journal.seats(), 0);
        set(&keyspace, &mut a, (0, "1"));
        set(&keyspace, &mut b, (0, "2"));
        set(&keyspace, &mut b, (0, "3"));
        set(&keyspace, &mut a, (7, "4"));
        assert_eq!(keyspace.journal.cut(), 4);
        set(&keyspace, &mut a, (7, "5"));
        assert_eq!(keyspace.journal.hand_over(&mut b), Some(3));
        merge.collect(&keyspace.journal);
        assert_eq!(drain(&mut merge, u64::MAX).1, [0; 0], "1 has not come yet");
        assert_eq!(keyspace.journal.hand_over(&mut a), Some(5));
        assert_eq!(keyspace.journal.hand_over(&mut a), None);
        let taken = keyspace.journal.waiting();
        assert_eq!(merge.collect(&keyspace.journal) + 2 * 27, taken);
        let record = |key: &str| format!("*3 $3 SET $1 {key} $1 v ");
        let select = |db: &str| format!("*2 $6 SELECT $1 {db} ");
        let (all, lasts) = drain(&mut merge, 4);
        let want =
            select("0") + &record("1") + &record("2") + &record("3") + &select("7") + &record("4");
        assert_eq!((all, lasts), (want, vec![1, 3, 4]), "with 2 and 3 in one run");
        assert_eq!(merge.last(), 4);
        merge.forget_db();
        assert_eq!(drain(&mut merge, u64::MAX), (select("7") + &record("5"), vec![5]));
    }

    #[test]
    fn what_comes_too_late_keeps_nothing_back() {
        let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
        keyspace.want(Wants::LOGGED, true);
        let mut a = keyspace.sit();
        let mut merge = Merge::new(keyspace.journal.seats(), 0);
        set(&keyspace, &mut a, (0, "1"));
        set(&keyspace, &mut a, (0, "2"));
        assert_eq!(keyspace.journal.cut(), 2);
        merge.begin(2); // another log, which begins with what these have made
        set(&keyspace, &mut a, (0, "3"));
        keyspace.journal.hand_over(&mut a);
        merge.collect(&keyspace.journal);
        let (all, lasts) = drain(&mut merge, u64::MAX);
        assert!(all.ends_with("$1 3 $1 v ") && !all.contains("$1 2 "), "{all}");
        assert_eq!(lasts, [3]);
    }

    #[test]
    fn what_a_panic_left_is_said_by_nobody_else() {
        let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
        keyspace.want(Wants::LOGGED, true);
        let mut a = keyspace.sit();
        let mut merge = Merge::new(keyspace.journal.seats(), 0);
        set(&keyspace, &mut a, (0, "1"));
        keyspace.gate.enter(a.seat);
        let pin = sync::pin();
        let mut access = Access::new(&keyspace, &mut a, &pin, 0);
        let step = std::panic::AssertUnwindSafe(|| {
            access.hold(&[Key::new(b"2")], |access| {
                access.effect(&[b"SAY", b"half"]);
                std::panic::resume_unwind(Box::new("without a word"));
            })
        });
        assert!(std::panic::catch_unwind(step).is_err());
        access.propose(OwnedArgs::new(["SET", "2", "v"]).view());
        keyspace.gate.leave(0);
        keyspace.journal.forsake(&mut a);
        set(&keyspace, &mut a, (0, "3"));
        keyspace.journal.hand_over(&mut a);
        merge.collect(&keyspace.journal);
        let (all, lasts) = drain(&mut merge, u64::MAX);
        assert_eq!(lasts, [3]);
        let want = "$1 1 $1 v *2 $3 SAY $4 half *3 $3 SET $1 3 $1 v ";
        assert!(all.ends_with(want), "a step's end is its end, a proposal's is not: {all}");
    }

    #[test]
    fn what_changed_nothing_leaves_nothing() {
        let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
        let mut a = keyspace.sit();
        set(&keyspace, &mut a, (0, "before")); // nobody wants effects yet
        assert_eq!((keyspace.journal.hand_over(&mut a), keyspace.journal.last()), (None, 0));
        keyspace.want(Wants::LOGGED, true);
        keyspace.gate.enter(a.seat);
        let pin = sync::pin();
        let mut access = Access::new(&keyspace, &mut a, &pin, 0);
        access.propose(OwnedArgs::new(["DEL", "missing"]).view());
        assert!(!access.write(Key::new(b"missing")).remove());
        access.withdraw();
        keyspace.gate.leave(0);
        assert_eq!((keyspace.journal.hand_over(&mut a), keyspace.journal.last()), (None, 0));
    }
}

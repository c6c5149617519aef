//! The cut, and the walk after it.

use super::super::entry::Entry;
use super::super::keyspace::Keyspace;
use super::super::write::keep::{self, Found};
use super::{Kept, Orphan, PARITY, RUNNING, Saved, Sink};
use crate::index::Table;
use crate::sync::{self, Ordering, Pin};
use crate::types::image::Image;
use std::time::Duration;

/// Entries looked at under one stripe at a time: a microsecond's work.
const UNDER_STRIPE: usize = 32;
/// Entries looked at between two command boundaries: what whoever wants the gate waits for.
const UNIT: usize = 128;
/// Stripes taken there at most: a large table with few keys has many that hold nothing.
const STRIPES: usize = 64;
/// Time between two looks for a table that its readers have not left yet.
const PATIENCE: Duration = Duration::from_millis(1);

/// A key with a large value, on its way to the sink.
struct Large {
    db: usize,
    key: Vec<u8>,
    expiry: Option<i64>,
    access: u32,
    image: Box<Image>,
}

/// A walk under way.
pub(super) struct Walk<'k> {
    keyspace: &'k Keyspace,
    seat: usize,
    parity: bool,
    /// Nobody wants the rest; it is marked only (S1).
    failed: bool,
    /// The flushed table that is being walked.
    orphan: Option<Orphan>,
    large: Vec<Large>,
}

impl<'k> Walk<'k> {
    /// Makes the cut.
    pub(super) fn begin(keyspace: &'k Keyspace, seat: usize, sink: &mut impl Sink) -> Self {
        let snapshots = &keyspace.snapshots;
        let databases = keyspace.databases();
        keyspace.gate.enter(seat);
        let alone = keyspace.gate.exclusive(seat);
        let pin = sync::pin();
        for db in 0..databases {
            let is_there = keyspace.table(db, &pin).is_some();
            let name = if is_there { db as u32 + 1 } else { 0 };
            snapshots.names[db].store(name, Ordering::Relaxed);
            snapshots.done[db].store(!is_there, Ordering::Relaxed);
        }
        let sizes: Vec<_> = (0..databases).map(|db| keyspace.size(db)).collect();
        let progress = &snapshots.progress;
        progress.keys.store(0, Ordering::Relaxed);
        progress.total.store(sizes.iter().map(|(keys, _)| keys).sum(), Ordering::Relaxed);
        progress.kept.store(0, Ordering::Relaxed);
        let number = snapshots.count.fetch_add(1, Ordering::Relaxed) + 1;
        snapshots.orphans.0.lock().open = number;
        let parity = !snapshots.parity();
        let word = RUNNING | if parity { PARITY } else { 0 };
        snapshots.word.store(word, Ordering::Relaxed); // carried by the gate
        sink.cut(&sizes);
        drop(pin);
        drop(alone);
        keyspace.gate.leave(seat);
        Self { keyspace, seat, parity, failed: false, orphan: None, large: Vec::new() }
    }

    /// Walks over everything.
    pub(super) fn run<S: Sink>(mut self, sink: &mut S) -> Result<(), S::Error> {
        let mut outcome = Ok(());
        for name in 0..self.keyspace.databases() {
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                cursor = self.unit(name, at, sink);
                // Who shares this core with a worker must not keep it for a slice of the scheduler.
                std::thread::yield_now();
                if outcome.is_ok() {
                    outcome = self.give_out(sink);
                    if outcome.is_err() {
                        self.fail();
                    }
                }
            }
            self.keyspace.snapshots.done[name].store(true, Ordering::Relaxed);
            if let Some(orphan) = self.orphan.take() {
                self.keyspace.free_later(orphan.keys, orphan.table);
            }
        }
        if outcome.is_ok() {
            outcome = self.take_handed(sink); // S3
        }
        self.end();
        outcome
    }

    /// One unit of the walk over the table of `name`; where to go on, unless it is done. What is small
    /// goes to the sink, what is large waits for [`Walk::give_out`].
    fn unit(&mut self, name: usize, cursor: u64, sink: &mut impl Sink) -> Option<u64> {
        let keyspace = self.keyspace;
        if keyspace.snapshots.done[name].load(Ordering::Relaxed) {
            return None;
        }
        keyspace.gate.enter(self.seat);
        let pin = sync::pin();
        let is_it =
            |db: &usize| keyspace.snapshots.names[*db].load(Ordering::Relaxed) == name as u32 + 1;
        let next = match (0..keyspace.databases()).find(is_it) {
            Some(db) => {
                let table = keyspace.table(db, &pin);
                table.and_then(|table| self.some((name, table), cursor, &pin, sink))
            }
            None if self.failed => None, // flushed, and nobody wants it
            None => match self.orphan.take() {
                Some(orphan) => {
                    let next = self.some((name, &orphan.table), cursor, &pin, sink);
                    self.orphan = Some(orphan);
                    next
                }
                None => {
                    self.orphan = self.adopted(name);
                    Some(cursor)
                }
            },
        };
        let waits = next == Some(cursor); // for readers of a flushed table, or for a script
        if waits {
            pin.flush();
        }
        drop(pin);
        keyspace.gate.leave(self.seat);
        if waits {
            std::thread::sleep(PATIENCE);
        }
        next
    }

    /// The flushed table of `name`, once no reader has it any more.
    fn adopted(&self, name: usize) -> Option<Orphan> {
        let mut waiting = self.keyspace.snapshots.orphans.0.lock();
        let at = waiting.tables.iter().position(|orphan| orphan.name == name)?;
        Some(waiting.tables.swap_remove(at))
    }

    /// Walks over some of a table.
    fn some(
        &mut self,
        (db, table): (usize, &Table<Entry>),
        cursor: u64,
        pin: &Pin,
        sink: &mut impl Sink,
    ) -> Option<u64> {
        let mut found: Vec<Found<'_>> = Vec::with_capacity(UNIT + UNDER_STRIPE);
        let (mut next, mut stripes) = (cursor, 0);
        let mark = (self.parity, self.keyspace.clock.now());
        let held = loop {
            // This thread is seated, and a script that holds the stripe may want it to get up (Q2).
            if table.stripe(next).load().is_reserved() {
                break true;
            }
            let wanted = (!self.failed).then_some(&mut found);
            next = keep::mark_some(table, (next, UNDER_STRIPE), mark, pin, wanted);
            stripes += 1;
            if next == 0 || found.len() >= UNIT || stripes == STRIPES {
                break false;
            }
        };
        self.count(found.len());
        for Found { entry, expiry, kind, image } in found {
            let (key, access) = (entry.key(), entry.access());
            match image {
                None => sink.small(Saved { db, key, expiry, access }, kind),
                Some(image) => {
                    self.large.push(Large { db, key: key.to_vec(), expiry, access, image });
                }
            }
        }
        (held || next != 0).then_some(next)
    }

    /// Between two units: gives the sink what may take its time.
    fn give_out<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        for Large { db, key, expiry, access, image } in self.large.drain(..) {
            sink.large(Saved { db, key: &key, expiry, access }, *image)?;
        }
        sink.pause()?;
        self.take_handed(sink)
    }

    /// Gives the sink what others have handed over so far.
    fn take_handed<S: Sink>(&self, sink: &mut S) -> Result<(), S::Error> {
        for seat in &self.keyspace.snapshots.seats {
            let handed = std::mem::take(&mut *seat.lock());
            for block in handed.full.into_iter().chain([handed.last]) {
                self.count(block.len());
                for Kept { db, entry, image } in block {
                    let entry = entry.entry();
                    let (db, key) = (db as usize, entry.key());
                    let (expiry, access) = (entry.expiry(), entry.access());
                    let saved = Saved { db, key, expiry, access };
                    match image {
                        None => sink.small(saved, entry.kind()),
                        Some(image) => sink.large(saved, *image)?,
                    }
                }
                sink.pause()?;
            }
        }
        Ok(())
    }

    fn count(&self, keys: usize) {
        let cell = &self.keyspace.snapshots.progress.keys;
        cell.store(cell.load(Ordering::Relaxed) + keys as u64, Ordering::Relaxed);
    }

    /// Nobody wants the rest.
    fn fail(&mut self) {
        self.failed = true;
        self.large.clear();
        self.keyspace.snapshots.word.fetch_and(!RUNNING, Ordering::Relaxed);
    }

    /// The end: every entry is marked (S1).
    fn end(&mut self) {
        let snapshots = &self.keyspace.snapshots;
        snapshots.word.fetch_and(!RUNNING, Ordering::Relaxed);
        let left = {
            let mut waiting = snapshots.orphans.0.lock();
            waiting.open = 0;
            std::mem::take(&mut waiting.tables)
        };
        left.into_iter().for_each(|orphan| self.keyspace.free_later(orphan.keys, orphan.table));
        if self.failed {
            // Somebody may be about to hand something over, not knowing of the failure: one command
            // later nobody is.
            self.keyspace.gate.enter(self.seat);
            drop(self.keyspace.gate.exclusive(self.seat));
            self.keyspace.gate.leave(self.seat);
            snapshots.seats.iter().for_each(|seat| *seat.lock() = super::Handed::default());
        }
    }
}

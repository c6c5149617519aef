//! What the log is to say: effects of commands, numbered in the one order in which they took hold.
//!
//! An *effect* is a command that makes of a copy of the data set what the original did (mostly the client's
//! own; `EXPIRE` becomes `PEXPIREAT`). Effects of one step make one *record*. Who writes the log takes
//! records from here; while nobody does ([`Wants::LOGGED`] is not set) nothing of this is paid for.
//!
//! - **J1** A record gets its number from one counter while the stripes of all keys that it concerns are
//!   held (or the gate is). So records of one key are numbered in the order of its changes, and
//!   whoever applies all records up to a number, in order, has a state that existed.
//! - **J2** Numbers have no gaps: each that was given belongs to a record that is handed over, at the
//!   latest when its thread leaves the keyspace. Nothing that can fail stands between the two.
//! - **J3** A step is one record, in MULTI and EXEC if it has several effects: nobody who stops at any
//!   number sees half of it.
//! - **J4** The log is turned on and off in exclusive mode only, so no step is half in it.
//!
//! Numbers come from one `fetch_add`, and records travel by turns: a thread fills a [`Page`] and puts it
//! into its tray when its turn with all connections that had something to say is over, which costs one
//! uncontended lock for some hundred commands, and gives pages so long that they go to the file without a
//! copy. See decision 0013 for what was measured against it.

use super::access::Access;
use super::local::Local;
use super::outbox::Wants;
use super::pages::{Counter, ROOM, Spares};
pub use super::pages::{Mark, Page};
use crate::resp::Args;
use crate::resp::args::encode;
use crate::sync::{AtomicUsize, CachePadded, Ordering};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// A page of this length is handed over before the turn is over: what one more batch adds still has room.
const MUCH: usize = ROOM - 8 * 1024;

/// The order of effects, and the way to whoever writes them down.
#[derive(Debug)]
pub struct Journal {
    order: CachePadded<Counter>,
    /// Bytes handed over and not taken care of.
    waiting: CachePadded<AtomicUsize>,
    trays: Box<[CachePadded<Mutex<Vec<Page>>>]>,
    spares: Arc<Spares>,
}

impl Journal {
    pub(super) fn new(seats: usize) -> Self {
        Self {
            order: CachePadded::default(),
            waiting: CachePadded::default(),
            trays: (0..seats).map(|_| CachePadded::default()).collect(),
            spares: Arc::default(),
        }
    }

    /// The greatest number given so far. What a thread has seen in memory has at most this number once the
    /// stripe of it is free.
    #[inline]
    pub fn last(&self) -> u64 {
        self.order.last.load(Ordering::Acquire)
    }

    /// The first record of this run comes after number `last`. Before any thread works.
    pub fn begin(&self, last: u64) {
        self.order.last.store(last, Ordering::Release);
        self.order.cut.store(last, Ordering::Relaxed); // what is older is of another run
    }

    /// One log ends here and the next begins: the greatest number given so far. In exclusive mode.
    pub fn cut(&self) -> u64 {
        let last = self.last();
        self.order.cut.store(last, Ordering::Relaxed); // the gate's edges are around this
        last
    }

    /// Bytes that wait to be written.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many threads there may be.
    pub fn seats(&self) -> usize {
        self.trays.len()
    }

    /// Hands a thread's records over (J2): between commands, with no stripe held. The number of the last,
    /// if there were any.
    #[inline]
    pub fn hand_over(&self, local: &mut Local) -> Option<u64> {
        let last = local.pen.page.marks.last()?.last;
        self.put(local.seat, &mut local.pen.page);
        Some(last)
    }

    /// A command panicked in its midst. What it has recorded stays, for that has happened: a step that held
    /// stripes said what it had done when it gave them back. What was only proposed is dropped, lest the
    /// next change be taken for it.
    pub fn forsake(&self, local: &mut Local) {
        let Pen { page, last, .. } = std::mem::take(&mut local.pen);
        local.pen = Pen { page, last, ..Pen::default() };
        local.pen.page.withdraw();
    }

    /// The same, if so much was recorded that the page should not grow.
    #[inline]
    pub fn hand_over_much(&self, local: &mut Local) -> Option<u64> {
        if local.pen.page.bytes.len() < MUCH { None } else { self.hand_over(local) }
    }

    #[cold]
    fn put(&self, seat: usize, page: &mut Page) {
        self.waiting.fetch_add(page.bytes.len(), Ordering::Relaxed);
        let fresh = self.spares.after(page);
        self.trays[seat].lock().push(std::mem::replace(page, fresh));
    }

    /// Takes what `seat` has handed over, in order.
    pub fn take(&self, seat: usize, into: &mut Vec<Page>) {
        into.append(&mut self.trays[seat].lock());
    }

    /// The bytes of a page that was taken, to be passed on in parts.
    pub fn lend(&self, bytes: Vec<u8>) -> Bytes {
        self.spares.lend(bytes)
    }

    /// Nothing is to be written now: memory that is kept for that is given back.
    pub fn rest(&self) {
        self.spares.clear();
    }

    /// So many bytes that were taken wait no more.
    pub fn done(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One thread's records that are not handed over, and the effects of the step at hand.
#[derive(Debug, Default)]
pub struct Pen {
    pub(super) page: Page,
    /// The number of the last record of this thread.
    last: u64,
    /// Effects of the step at hand.
    bytes: Vec<u8>,
    /// How many.
    effects: usize,
    /// The database that the first of them is for, and the last.
    dbs: (u32, u32),
    /// Where in `page` the command at hand stands, which is to be the effect of the one change that
    /// it makes.
    proposal: Option<(usize, u32)>,
    /// The command at hand has changed something.
    changed: bool,
    /// It said itself what its effect is.
    said: bool,
}

/// The effect that selects a database.
pub fn encode_select(bytes: &mut Vec<u8>, db: u32) {
    let mut number = itoa::Buffer::new();
    encode(bytes, [b"SELECT".as_slice(), number.format(db).as_bytes()].into_iter());
}

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

impl Pen {
    /// Makes room for one more effect of the step, in `db`.
    fn next(&mut self, db: u32) -> &mut Vec<u8> {
        if self.effects == 0 {
            self.dbs = (db, db);
        } else if self.dbs.1 != db {
            self.dbs.1 = db;
            encode_select(&mut self.bytes, db);
        }
        self.effects += 1;
        &mut self.bytes
    }

    /// The effects of the step become a record.
    fn record(&mut self, order: &Counter) {
        let page = &mut self.page;
        let start = page.bytes.len();
        if self.effects > 1 {
            page.bytes.extend_from_slice(MULTI); // J3
        }
        page.bytes.append(&mut self.bytes);
        if self.effects > 1 {
            page.bytes.extend_from_slice(EXEC);
        }
        if self.bytes.capacity() > ROOM {
            self.bytes = Vec::new();
        }
        self.effects = 0;
        let end = page.bytes.len();
        self.last = page.add(order, (start, end), self.dbs);
    }
}

impl Local {
    /// The number of the last record that this thread made; 0 if there was none.
    #[inline]
    pub fn last_record(&self) -> u64 {
        self.pen.last
    }
}

impl Access<'_> {
    /// Whether effects are wanted at all.
    #[inline(always)]
    pub fn logs(&self) -> bool {
        self.keyspace.wants(Wants::LOGGED)
    }

    /// Says the effect of the command at hand, for the selected database, in place of the command as it
    /// was sent. Several make one step. What makes its change by one [`super::Write`] must say it before
    /// that is dropped ([`super::Write::effect`]), and only if there is a change.
    #[inline(always)]
    pub fn effect(&mut self, words: &[&[u8]]) {
        self.effect_in(self.db, words);
    }

    /// As [`Access::effect`], for another database.
    #[inline(always)]
    pub fn effect_in(&mut self, db: usize, words: &[&[u8]]) {
        if self.logs() {
            self.say_effect(db, words);
        }
    }

    /// As [`Access::effect`], if the command at hand has changed anything.
    pub fn effect_of_change(&mut self, words: &[&[u8]]) {
        if self.local.pen.changed {
            self.effect(words);
        }
    }

    #[cold]
    fn say_effect(&mut self, db: usize, words: &[&[u8]]) {
        let within = self.is_in_step();
        let pen = &mut self.local.pen;
        if pen.proposal.is_some() && !within {
            pen.page.withdraw();
            pen.proposal = Some((pen.page.end, db as u32));
            encode(&mut pen.page.bytes, words.iter().copied());
        } else {
            encode(pen.next(db as u32), words.iter().copied());
            pen.said = true;
        }
    }

    /// The command at hand has no effect on a copy, or said all of it.
    #[inline(always)]
    pub fn no_other_effect(&mut self) {
        // Only while somebody asks afterwards: else it would be said of a later command.
        if self.logs() {
            self.local.pen.said = true;
        }
    }

    /// The command at hand changed something that is no key.
    #[inline(always)]
    pub fn changed(&mut self) {
        if self.logs() {
            self.local.pen.changed = true;
        }
    }

    /// The command at hand makes its one change by one [`super::Write`], and its effect is the command
    /// itself. [`Access::withdraw`] must follow.
    #[inline]
    pub fn propose(&mut self, args: Args<'_>) {
        let page = &mut self.local.pen.page;
        page.ask_ahead();
        let start = page.bytes.len();
        args.encode(&mut page.bytes);
        self.local.pen.proposal = Some((start, self.db as u32));
    }

    /// The command of [`Access::propose`] is done.
    #[inline]
    pub fn withdraw(&mut self) {
        let pen = &mut self.local.pen;
        if pen.proposal.take().is_some() {
            pen.page.withdraw();
        }
        (pen.changed, pen.said) = (false, false);
    }

    /// A key was changed under its stripe, which is still held.
    #[inline]
    pub(super) fn log_change(&mut self) {
        let within = self.is_in_step();
        let pen = &mut self.local.pen;
        match pen.proposal {
            Some((start, db)) if !within => {
                pen.proposal = None;
                // A key that was over may have been buried meanwhile: its record stands behind this, as
                // would any other that came first.
                let marks = pen.page.marks.iter().rev();
                let behind = marks.take_while(|mark| mark.start > start).last();
                let end = behind.map_or(pen.page.bytes.len(), |mark| mark.start);
                pen.last = pen.page.add(&self.keyspace.journal.order, (start, end), (db, db));
            }
            _ => pen.changed = true,
        }
    }

    /// A key went by itself: its time was over, or memory short.
    #[cold]
    pub(super) fn log_gone(&mut self, db: usize, key: &[u8], lazily: bool) {
        let word: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
        encode(self.local.pen.next(db as u32), [word, key].into_iter());
    }

    /// Fields of a hash were over.
    #[cold]
    pub(super) fn log_fields_gone(&mut self, db: usize, key: &[u8], fields: &[Vec<u8>]) {
        let words = [b"HDEL".as_slice(), key].into_iter().chain(fields.iter().map(Vec::as_slice));
        let words: Vec<&[u8]> = words.collect();
        encode(self.local.pen.next(db as u32), words.into_iter());
    }

    /// The command at hand is done: unless it said otherwise its effect is what the client sent.
    #[cold]
    pub fn settle_effect(&mut self, args: Args<'_>) {
        let db = self.db as u32;
        let pen = &mut self.local.pen;
        if pen.changed && !pen.said {
            args.encode(pen.next(db));
        }
        (pen.changed, pen.said) = (false, false);
        if !self.is_in_step() {
            self.record();
        }
    }

    /// Somebody was served who waited: what that did was said, and is a record of its own.
    #[inline]
    pub fn served(&mut self) {
        if self.logs() {
            let pen = &mut self.local.pen;
            debug_assert!(!pen.changed || pen.said, "whoever serves says the effect");
            (pen.changed, pen.said) = (false, false);
            self.record();
        }
    }

    /// The effects so far become a record of their own, before the step is over: what follows is not
    /// part of them.
    #[inline]
    pub fn record(&mut self) {
        if self.local.pen.effects > 0 {
            self.local.pen.record(&self.keyspace.journal.order);
        }
    }
}

impl super::Write<'_, '_> {
    /// As [`Access::effect`], for the key's database: before the change is told by dropping this.
    #[inline(always)]
    pub fn effect(&mut self, words: &[&[u8]]) {
        let (access, db) = self.way();
        access.effect_in(db, words);
    }

    /// Whether effects are wanted at all.
    #[inline(always)]
    pub fn logs(&mut self) -> bool {
        self.way().0.logs()
    }
}

//! Snapshots: all that was there at one instant, given out once, while everybody goes on writing.
//!
//! ```text
//!   cut: gate, microseconds      walk: a thread of its own, bucket by bucket      writers: meanwhile
//!   ───────────┬───────────      takes a stripe, marks and notes ~32 entries      hand over what they
//!   parity turns, offset noted   that are not marked, gives the stripe back,      change first, unless
//!                                and encodes                                      it is marked
//! ```
//! An entry carries one bit, SAVED; the cut turns its meaning. So nothing has to be cleared after a
//! snapshot, whatever is made after the cut is born marked, and buckets may be split and merged under
//! the walk: a mark moves with its entry.
//!
//! - **S1** An entry that stands in a table is *saved* if its bit equals the present parity. Unless a
//!   snapshot is under way, all are: who puts an entry into a table gives it the parity (under its stripe, so
//!   no cut is between), and no snapshot ends before every entry has been marked, not even one
//!   that fails.
//! - **S2** Whoever changes, replaces or removes an entry that is not saved marks it and hands over what
//!   it holds first, under its stripe ([`super::Write`]); the walk marks it and notes what it holds
//!   under the same. So everything of the cut comes to the sink, once, as it was; nothing younger does.
//! - **S3** The walk has seen every bucket under its stripe when it ends. What was handed over under a
//!   stripe was handed over before the walk came by, so what it takes from the seats after that is all.
//! - **S4** A table of the cut keeps the number of its database of then ([`Snapshots::names`]), though
//!   databases are exchanged. One that is flushed before it has been walked is given to the walk.
//! - **S5** The sink waits (for a disk) only while the walk holds neither seat, pin nor stripe.
//!
//! Large values are handed over as [`Image`]s, which share their chunks: whoever changes such a value
//! first takes some hundred references for each million elements, and copies each chunk that it
//! touches while the image has it. An image needs the stripe; so while a snapshot is under way, an entry that
//! is not saved is not shared ([`super::share`]). Who shared one before the cut has left it: the gate.
//!
//! `docs/decisions/0011-snapshots.md` has what was measured, and what was rejected.

mod walk;

use super::entry::{Entry, Kind, Owned};
use super::keyspace::Keyspace;
use super::local::Local;
use crate::index::Table;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, CachePadded, Ordering};
use crate::types::image::Image;
use parking_lot::Mutex;

/// What of a key is not its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved<'k> {
    /// Number of its database at the cut.
    pub db: usize,
    /// Its name.
    pub key: &'k [u8],
    /// When it ends, Unix milliseconds. It may be over.
    pub expiry: Option<i64>,
    /// Its access clock, which [`super::Policy`] understands; about that of the cut.
    pub access: u32,
}

/// Who is given a snapshot.
pub trait Sink {
    /// Why it wants no more.
    type Error;

    /// The instant: no other thread is in the keyspace. Must take no longer than that of a command.
    /// `sizes` are the numbers of keys by database, and of those with an expiry.
    fn cut(&mut self, sizes: &[(u64, u64)]);

    /// A key with a small value, which is no object. Must not wait.
    fn small(&mut self, key: Saved<'_>, value: Kind<'_>);

    /// A key with a large value. May take its time.
    fn large(&mut self, key: Saved<'_>, value: Image) -> Result<(), Self::Error>;

    /// Called after every few keys; may take its time, to write out what has come. After an error it
    /// is called no more.
    fn pause(&mut self) -> Result<(), Self::Error>;
}

/// A change of an unsaved entry looks further.
const RUNNING: u32 = 1;
/// The parity: what an entry's bit SAVED is when it is saved (S1).
const PARITY: u32 = 1 << 1;

/// What an entry held when it was about to change.
#[derive(Debug)]
struct Kept {
    /// Of the database at the cut.
    db: u32,
    /// Key, expiry, clock, and the value if that is no object.
    entry: Owned,
    image: Option<Box<Image>>,
}

/// What one thread has handed over and the walk has not taken yet. In blocks, lest a long list move.
#[derive(Debug, Default)]
struct Handed {
    full: Vec<Vec<Kept>>,
    last: Vec<Kept>,
}

/// Entries of such a block.
const BLOCK: usize = 1024;

/// A flushed table that belongs to the snapshot.
struct Orphan {
    name: usize,
    keys: usize,
    table: Table<Entry>,
}

/// Flushed tables on their way to the walk.
#[derive(Default)]
pub(super) struct Orphans(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Which snapshot takes them; 0 if none does.
    open: u64,
    tables: Vec<Orphan>,
}

/// Where a flushed table goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    name: usize,
    snapshot: u64,
}

impl Orphans {
    /// Leaves a table that was flushed to the walk; gives it back if nobody wants it any more.
    pub(super) fn adopt(
        &self,
        claim: Claim,
        keys: usize,
        table: Table<Entry>,
    ) -> Option<Table<Entry>> {
        let mut waiting = self.0.lock();
        if waiting.open != claim.snapshot {
            return Some(table);
        }
        waiting.tables.push(Orphan { name: claim.name, keys, table });
        None
    }
}

/// Snapshots of a keyspace.
pub struct Snapshots {
    /// RUNNING and PARITY. Changes in exclusive mode, but for the end of RUNNING.
    word: AtomicU32,
    /// Whose turn it is: one at a time.
    turn: Mutex<()>,
    /// How many there were.
    count: AtomicU64,
    /// By database, the number at the cut of the table that stands there now, plus one; 0 if that is
    /// younger (S4). Changes in exclusive mode.
    names: Box<[AtomicU32]>,
    /// By database at the cut: nothing in it is unsaved.
    done: Box<[AtomicBool]>,
    seats: Box<[CachePadded<Mutex<Handed>>]>,
    pub(super) orphans: std::sync::Arc<Orphans>,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Progress {
    keys: AtomicU64,
    total: AtomicU64,
    kept: AtomicUsize,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Snapshots {
    pub(super) fn new(databases: usize, seats: usize) -> Self {
        Self {
            word: AtomicU32::new(0),
            turn: Mutex::new(()),
            count: AtomicU64::new(0),
            names: (0..databases).map(|_| AtomicU32::new(0)).collect(),
            done: (0..databases).map(|_| AtomicBool::new(true)).collect(),
            seats: (0..seats).map(|_| CachePadded::default()).collect(),
            orphans: std::sync::Arc::default(),
            progress: Progress::default(),
        }
    }

    /// Whether what is not saved is to be handed over before it is changed.
    #[inline(always)]
    pub(super) fn is_running(&self) -> bool {
        // Relaxed: the gate orders what matters (its cut), and seen too late an end does no harm (S1).
        self.word.load(Ordering::Relaxed) & RUNNING != 0
    }

    /// Marks an entry that is about to be put into a table (S1).
    #[inline(always)]
    pub(super) fn mark(&self, entry: &Entry) {
        entry.set_saved(self.parity());
    }

    #[inline(always)]
    fn parity(&self) -> bool {
        self.word.load(Ordering::Relaxed) & PARITY != 0
    }

    /// Whether the snapshot under way has this entry already, or never wanted it.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        entry.is_saved() == self.parity()
    }

    /// An entry of database `db`, whose stripe is held, is about to change (S2); `image` makes one of its
    /// object, if it has one.
    #[cold]
    pub(super) fn before_change(
        &self,
        (seat, db): (usize, usize),
        entry: &Entry,
        image: impl FnOnce() -> Option<Box<Image>>,
    ) {
        if self.has(entry) {
            return;
        }
        entry.set_saved(self.parity());
        let Some(db) = self.names[db].load(Ordering::Relaxed).checked_sub(1) else {
            return debug_assert!(false, "S1: what is younger than the cut is saved");
        };
        let kept = Kept { db, entry: entry.copy(), image: image() };
        self.progress.kept.fetch_add(kept.entry.entry().block_size(), Ordering::Relaxed);
        let mut handed = self.seats[seat].lock();
        if handed.last.len() == BLOCK {
            let full = std::mem::take(&mut handed.last);
            handed.full.push(full);
        }
        if handed.last.capacity() == 0 {
            handed.last.reserve_exact(BLOCK);
        }
        handed.last.push(kept);
    }

    /// The table of `db` is about to be taken down, in exclusive mode: who is to get it, if the walk
    /// has not ended in it.
    pub(super) fn flushed(&self, db: usize) -> Option<Claim> {
        let name = self.names[db].swap(0, Ordering::Relaxed).checked_sub(1)? as usize;
        let wanted = self.is_running() && !self.done[name].load(Ordering::Relaxed);
        wanted.then(|| Claim { name, snapshot: self.count.load(Ordering::Relaxed) })
    }

    /// Two databases are exchanged, in exclusive mode.
    pub(super) fn swapped(&self, a: usize, b: usize) {
        let (a, b) = (&self.names[a], &self.names[b]);
        b.store(a.swap(b.load(Ordering::Relaxed), Ordering::Relaxed), Ordering::Relaxed);
    }

    /// How many were begun.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Of the last snapshot, or the one under way: keys given out, keys that there are to be, and bytes
    /// copied for it by those who changed something.
    pub fn progress(&self) -> (u64, u64, usize) {
        let Progress { keys, total, kept } = &self.progress;
        let (keys, total) = (keys.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
        (keys, total, kept.load(Ordering::Relaxed))
    }
}

impl Keyspace {
    /// Gives `sink` everything that there is at one instant, while other threads go on. Waits for its
    /// turn if another snapshot is under way. The calling thread, whose part is `local`, is in the keyspace
    /// for moments only, and must not be in it when it calls.
    pub fn snapshot<S: Sink>(&self, local: &Local, sink: &mut S) -> Result<(), S::Error> {
        let _turn = self.snapshots.turn.lock();
        walk::Walk::begin(self, local.seat, sink).run(sink)
    }
}

//! The databases, and what belongs to all of them: stripes, gate, clock.

use super::entry::Entry;
use super::journal::Journal;
use super::lifetimes::Lifetimes;
use super::local::{Counters, Local};
use super::outbox::Herald;
use super::reserve::Reservations;
use super::snapshot::Snapshots;
use super::track::Tracked;
use super::wait::Waits;
use super::watch::Watches;
use crate::clock::Clock;
use crate::index::scan::Census;
use crate::index::{Root, Table};
use crate::sync::gate::{Exclusive, Gate};
use crate::sync::stripe::Stripes;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering, Pin};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// Why a key changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The command at hand.
    Command,
    /// Its time was over; it is gone.
    Expired,
    /// Memory was needed; it is gone.
    Evicted,
}

/// Keys of a table that a worker may free itself: less than a millisecond's work.
const SMALL: usize = 4_000;

/// All databases of one server.
pub struct Keyspace {
    tables: Box<[Root<Entry>]>,
    pub(super) stripes: Arc<Stripes>,
    /// Exclusive mode.
    pub gate: Gate,
    /// Time.
    pub clock: Arc<Clock>,
    /// Whether the background removes expired keys (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: AtomicBool,
    /// How long keys have left, estimated by the background.
    pub lifetimes: Lifetimes,
    counters: Box<[Arc<Counters>]>,
    seats_taken: AtomicUsize,
    /// There have been hashes with fields that end.
    pub(super) field_ends: AtomicBool,
    pub(super) herald: OnceLock<Box<dyn Herald>>,
    /// See [`super::outbox::Wants`].
    pub(super) wants: AtomicU32,
    /// Who is told of changes of single keys.
    pub(super) watches: Watches,
    /// Who waits for single keys.
    pub(super) waits: Waits,
    /// Who keeps copies of single keys.
    pub(super) tracked: Tracked,
    /// What the log is to say.
    pub journal: Journal,
    /// What is to be done about reserved stripes.
    pub(super) reservations: Reservations,
    /// Threads may work on one large collection at once ([`super::share`]).
    pub(super) sharing: bool,
    /// Who gives out everything as it was at one instant.
    pub snapshots: Snapshots,
    flushed: Arc<Flushed>,
}

/// Tables of flushed databases on their way to be freed.
#[derive(Default)]
struct Flushed {
    /// Those that no reader can have any more, and how many keys each held.
    tables: Mutex<Vec<(usize, Table<Entry>)>>,
    /// The thread that frees what workers do not.
    freer: OnceLock<Thread>,
    /// Keys that wait to be freed.
    pending: AtomicUsize,
    /// Keys freed so far.
    freed: AtomicUsize,
}

impl Flushed {
    /// A table that no reader can have any more.
    fn add(&self, keys: usize, table: Table<Entry>) {
        self.tables.lock().push((keys, table));
        if let Some(thread) = self.freer.get().filter(|_| keys > SMALL) {
            thread.unpark();
        }
        self.freed.fetch_add(keys, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyspace").field("databases", &self.tables.len()).finish_non_exhaustive()
    }
}

impl Keyspace {
    /// Empty databases, to be used by at most `seats` threads.
    pub fn new(databases: usize, seats: usize, clock: Arc<Clock>) -> Self {
        Self {
            tables: (0..databases).map(|_| Root::default()).collect(),
            stripes: Arc::new(Stripes::new(Stripes::DEFAULT, seats)),
            gate: Gate::new(seats),
            clock,
            active_expire: AtomicBool::new(true),
            lifetimes: Lifetimes::new(databases),
            counters: (0..seats).map(|_| Arc::new(Counters::new(databases))).collect(),
            seats_taken: AtomicUsize::new(0),
            field_ends: AtomicBool::new(false),
            herald: OnceLock::new(),
            wants: AtomicU32::new(0),
            watches: Watches::default(),
            waits: Waits::default(),
            tracked: Tracked::default(),
            journal: Journal::new(seats),
            reservations: Reservations::default(),
            sharing: false,
            snapshots: Snapshots::new(databases, seats),
            flushed: Arc::default(),
        }
    }

    /// There are several workers: lets them work on different elements of one large collection at
    /// the same time. One worker by itself would only pay for it.
    pub fn share_large(&mut self) {
        self.sharing = true;
        crate::types::table::divide_large();
    }

    /// How many databases there are.
    pub fn databases(&self) -> usize {
        self.tables.len()
    }

    /// Takes a seat for the calling thread. Panics when all are taken: a mistake in the wiring.
    pub fn sit(&self) -> Local {
        let seat = self.seats_taken.fetch_add(1, Ordering::AcqRel);
        Local::new(seat, Arc::clone(&self.counters[seat]))
    }

    /// The table of a database; none while it holds no key.
    #[inline(always)]
    pub(super) fn table<'p>(&self, db: usize, pin: &'p Pin) -> Option<&'p Table<Entry>> {
        self.tables[db].get(pin)
    }

    /// The table of a database, made if there is none.
    #[inline(always)]
    pub(super) fn table_or_new<'p>(&self, db: usize, pin: &'p Pin) -> &'p Table<Entry> {
        self.tables[db].get_or_make(&self.stripes, pin)
    }

    /// Makes the table of `db` if there is none. Its first chunk of buckets counts as used memory
    /// at once (though untouched pages of it do not exist), so it is made when a client selects the
    /// database or empties it, and not by the first write, where `maxmemory` would be surprised.
    pub fn prepare(&self, db: usize, pin: &Pin) {
        self.tables[db].get_or_make(&self.stripes, pin);
    }

    /// Number of keys in `db`, and of those with an expiry.
    pub fn size(&self, db: usize) -> (u64, u64) {
        let sum = self.counters.iter().fold((0, 0), |(keys, volatile), counters| {
            let (k, v) = counters.keys(db);
            (keys + k, volatile + v)
        });
        (u64::try_from(sum.0).unwrap_or(0), u64::try_from(sum.1).unwrap_or(0))
    }

    /// Bytes of the index of `db`, without the keys in it.
    pub fn index_bytes(&self, db: usize, pin: &Pin) -> u64 {
        self.tables[db].get(pin).map_or(0, |table| table.bytes() as u64)
    }

    /// The same of all databases.
    pub fn all_index_bytes(&self, pin: &Pin) -> u64 {
        (0..self.databases()).map(|db| self.index_bytes(db, pin)).sum()
    }

    /// How full the buckets of `db` are; none while it holds no key.
    pub fn census(&self, db: usize, pin: &Pin) -> Option<Census> {
        self.tables[db].get(pin).map(|table| table.census(pin))
    }

    /// Every thread's counters.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// A sum over all threads' counters.
    pub fn total(&self, pick: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(|counters| pick(counters)).sum()
    }

    /// Empties `db`. Returns how many keys it held. `alone` proves exclusive mode (K4).
    pub(super) fn flush(&self, db: usize, pin: &Pin, alone: &Exclusive<'_>) -> u64 {
        let _ = alone;
        let (keys, _) = self.size(db);
        if keys == 0 {
            return 0; // exact, as nobody else is here
        }
        let flushed = Arc::clone(&self.flushed);
        let count = keys as usize;
        flushed.pending.fetch_add(count, Ordering::Relaxed);
        let (claim, orphans) = (self.snapshots.flushed(db), Arc::clone(&self.snapshots.orphans));
        let taken = self.tables[db].take(pin, move |table| {
            let left = match claim {
                Some(claim) => orphans.adopt(claim, count, *table),
                None => Some(*table),
            };
            match left {
                Some(table) => flushed.add(count, table),
                // Whoever waits for the flushed to be freed does not wait for a snapshot.
                None => _ = flushed.pending.fetch_sub(count, Ordering::Relaxed),
            }
        });
        debug_assert!(taken || keys == 0);
        self.counters.iter().for_each(|counters| counters.clear(db));
        self.lifetimes.forget(db);
        if taken {
            self.prepare(db, pin);
        }
        keys
    }

    /// Exchanges two databases. `alone` proves exclusive mode (K4).
    pub(super) fn swap(&self, a: usize, b: usize, alone: &Exclusive<'_>) {
        let _ = alone;
        if a != b {
            self.tables[a].exchange(&self.tables[b]);
            self.counters.iter().for_each(|counters| counters.swap(a, b));
            self.lifetimes.swap(a, b);
            self.snapshots.swapped(a, b);
        }
    }

    /// Leaves the table of a flushed database, which nobody can have any more, to be freed.
    pub(super) fn free_later(&self, keys: usize, table: Table<Entry>) {
        self.flushed.pending.fetch_add(keys, Ordering::Relaxed);
        self.flushed.add(keys, table);
    }

    /// Frees the tables of flushed databases that no reader can have any more: for the background.
    pub fn free_flushed(&self) {
        self.free_up_to(usize::MAX);
    }

    /// Makes the calling thread the one that is woken to [`Keyspace::free_flushed`].
    pub fn wake_to_free(&self) {
        let _ = self.flushed.freer.set(std::thread::current()); // the first one stays
    }

    /// Frees flushed tables that are small enough to do it in passing.
    pub fn free_flushed_small(&self) {
        self.free_up_to(SMALL);
    }

    fn free_up_to(&self, keys: usize) {
        let ready = &self.flushed.tables;
        let tables: Vec<_> = ready.lock().extract_if(.., |(n, _)| *n <= keys).collect();
        for (keys, table) in tables {
            drop(table);
            self.flushed.pending.fetch_sub(keys, Ordering::Relaxed);
        }
    }

    /// Counts keys freed in the background from none on.
    pub fn forget_freed(&self) {
        self.flushed.freed.store(0, Ordering::Relaxed);
        super::grave::forget();
    }

    /// Keys that wait to be freed, and keys freed in the background since they were last forgotten.
    pub fn lazy_free(&self) -> (usize, usize) {
        let flushed = &self.flushed;
        (flushed.pending.load(Ordering::Relaxed), flushed.freed.load(Ordering::Relaxed))
    }
}

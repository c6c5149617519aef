//! What one thread keeps of the keyspace for itself: its seat, its garbage, its counts.

use super::grave;
use super::journal::Pen;
use super::wait::Ready;
use crate::mem;
use crate::sync::limbo::{self, Limbo};
use crate::sync::{AtomicI64, AtomicU64, CachePadded, Ordering, Pin};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One thread's share of the keyspace's statistics. The owner adds with a plain load and store;
/// anybody may read. Sums over all threads are exact once writers pause, and never far off.
#[derive(Debug)]
pub struct Counters {
    cells: CachePadded<Cells>,
    /// What `cells` said at the last reset: only the owner writes those.
    base: Cells,
    keys: Box<[Pair]>,
}

#[derive(Debug, Default)]
struct Cells {
    hits: AtomicU64,
    misses: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Pair {
    keys: AtomicI64,
    volatile: AtomicI64,
}

#[inline(always)]
fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

#[inline(always)]
fn add_signed(cell: &AtomicI64, n: i64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident $add:ident;)*) => {
        impl Counters {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> u64 {
                    let base = self.base.$name.load(Ordering::Relaxed);
                    self.cells.$name.load(Ordering::Relaxed).wrapping_sub(base)
                }

                /// Adds to the count of the same name; the owner only.
                #[inline(always)]
                pub fn $add(&self, n: u64) {
                    add(&self.cells.$name, n);
                }
            )*

            /// Sets the statistics (not the numbers of keys, nor of changes) back to 0.
            pub fn reset(&self) {
                let Cells { hits, misses, expired, evicted, changes: _ } = &*self.cells;
                let base = &self.base;
                for (cell, base) in [
                    (hits, &base.hits),
                    (misses, &base.misses),
                    (expired, &base.expired),
                    (evicted, &base.evicted),
                ] {
                    base.store(cell.load(Ordering::Relaxed), Ordering::Relaxed);
                }
            }
        }
    };
}

counters! {
    /// Look-ups by reading commands that found their key.
    hits add_hits;
    /// Look-ups by reading commands that did not.
    misses add_misses;
    /// Keys removed because their time was over.
    expired add_expired;
    /// Keys removed to make room.
    evicted add_evicted;
    /// Changes of the data set.
    changes add_changes;
}

impl Counters {
    pub(super) fn new(databases: usize) -> Self {
        Self {
            cells: CachePadded::new(Cells::default()),
            base: Cells::default(),
            keys: (0..databases).map(|_| Pair::default()).collect(),
        }
    }

    /// This thread's difference of the number of keys in `db`, and of those with an expiry.
    pub fn keys(&self, db: usize) -> (i64, i64) {
        let pair = &self.keys[db];
        (pair.keys.load(Ordering::Relaxed), pair.volatile.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn add_key(&self, db: usize, n: i64) {
        add_signed(&self.keys[db].keys, n);
    }

    #[inline(always)]
    pub(super) fn add_volatile(&self, db: usize, n: i64) {
        add_signed(&self.keys[db].volatile, n);
    }

    /// In exclusive mode: `db` is empty now.
    pub(super) fn clear(&self, db: usize) {
        self.keys[db].keys.store(0, Ordering::Relaxed);
        self.keys[db].volatile.store(0, Ordering::Relaxed);
    }

    /// In exclusive mode: the databases change names.
    pub(super) fn swap(&self, a: usize, b: usize) {
        for pick in [|pair: &Pair| &pair.keys, |pair: &Pair| &pair.volatile] as [fn(&Pair) -> &_; 2]
        {
            let first: &AtomicI64 = pick(&self.keys[a]);
            let second: &AtomicI64 = pick(&self.keys[b]);
            let kept = first.swap(second.load(Ordering::Relaxed), Ordering::Relaxed);
            second.store(kept, Ordering::Relaxed);
        }
    }
}

/// Bytes in use, less what is on its way out: a removed key's block stays allocated until every
/// reader that may have it has moved on. Counting it would make eviction remove one key after the
/// other for nothing, and would tell users of memory that no data holds.
pub fn used_memory() -> usize {
    mem::used().saturating_sub(limbo::outstanding() + grave::bytes())
}

/// A thread's own part. One per worker, and one for each background thread that changes keys.
#[derive(Debug)]
pub struct Local {
    /// This thread has no seat now: somebody is exclusive for long, and it did not wait. It must not
    /// touch the keyspace.
    pub outside: bool,
    /// The seat at the gate.
    pub seat: usize,
    /// Statistics.
    pub counters: Arc<Counters>,
    pub(super) limbo: Limbo,
    /// Greatest number seen or given: Lamport's clock.
    pub(super) clock: u64,
    /// Records added to each table and not yet passed on to it.
    pub(super) drift: Box<[i32]>,
    /// Keys that this thread changed while somebody waited for them.
    pub(super) ready: VecDeque<Ready>,
    /// What is to be logged.
    pub(super) pen: Pen,
    /// An empty list for the next stripes that are held.
    pub(super) room: Vec<u32>,
    random: u64,
    /// What [`Limbo::mark`] said when the last batch began.
    retired: (u64, usize),
}

/// How long a batch waits for the collector when garbage stands at the first high water; doubled
/// for each further one, up to `PATIENCE << MOST`: beyond half a gigabyte a batch per 64 ms.
const PATIENCE: Duration = Duration::from_millis(1);
const MOST: usize = 6;

impl Local {
    pub(super) fn new(seat: usize, counters: Arc<Counters>) -> Self {
        let drift = counters.keys.iter().map(|_| 0).collect();
        let mut seed = [0; 8];
        let _ = getrandom::fill(&mut seed); // zeroes would only make sampling repeat itself
        let random = u64::from_le_bytes(seed) ^ (seat as u64) << 32 | 1;
        let (limbo, retired, ready) = (Limbo::default(), (0, 0), VecDeque::new());
        let outside = false;
        let (pen, room, clock) = (Pen::default(), Vec::new(), 0);
        Self { outside, seat, counters, limbo, clock, drift, ready, pen, room, random, retired }
    }

    /// What this thread does on this seat from now on is later than what it did on `other`.
    pub fn follow(&mut self, other: &Self) {
        self.clock = self.clock.max(other.clock);
    }

    /// A random number, good enough to sample with (splitmix64).
    #[inline]
    pub fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Hands retired blocks to the collector: call before sleeping.
    pub fn idle(&mut self, pin: &Pin) {
        if self.limbo.bytes() > 0 || limbo::outstanding() > 0 {
            self.limbo.hand_over(pin);
        }
    }

    /// Between two batches: lets the epoch pass, and waits a little if too much garbage is
    /// outstanding and the last batch added to it. The caller holds no stripe and nothing borrowed.
    #[inline]
    pub fn between_batches(&mut self, pin: &mut Pin) {
        pin.repin();
        let retired = self.limbo.mark();
        if retired != self.retired {
            self.retired = retired;
            if limbo::outstanding() > limbo::HIGH_WATER {
                self.wait_for_reclaim(pin);
            }
        }
    }

    #[cold]
    fn wait_for_reclaim(&mut self, pin: &mut Pin) {
        self.limbo.hand_over(pin);
        let excess = limbo::outstanding() / limbo::HIGH_WATER;
        let end = Instant::now() + PATIENCE * (1 << excess.saturating_sub(1).min(MOST));
        while limbo::outstanding() > limbo::HIGH_WATER && Instant::now() < end {
            pin.unpinned(|| std::thread::sleep(Duration::from_micros(100)));
            pin.flush();
            self.limbo.free_due();
        }
        self.retired = self.limbo.mark();
    }

    /// Bytes retired by this thread and not yet handed over.
    pub fn retired_bytes(&self) -> usize {
        self.limbo.bytes()
    }
}

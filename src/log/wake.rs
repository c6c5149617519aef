//! Who sleeps until somebody else has done something, and who wakes whom.
//!
//! Three pairs wait for each other, all in the same way: each side says its half, and after a fence looks
//! at the other's (Dekker's protocol). So of the two at least one sees the other, and nobody sleeps
//! through what it waits for. `tests/loom.rs` runs this file in every interleaving.
//!
//! | | says | and then looks at |
//! |---|---|---|
//! | **K1** a worker | a page in its tray | `asleep`: it wakes the thread |
//! | the thread | `asleep` | the trays, once more |
//! | **K2** a worker | its bit in `waiting` | `promised`: it need not sleep |
//! | the thread | `promised` | `waiting`: it rouses those |
//! | **K3** a worker | more who `arrived` | `target`: it wakes the thread |
//! | the thread | `target` | `arrived` |

use super::{AtomicBool, AtomicU64, CachePadded, Ordering, fence};

/// See the module.
#[derive(Debug)]
pub struct Wake {
    asleep: CachePadded<AtomicBool>,
    promised: CachePadded<AtomicU64>,
    waiting: AtomicU64,
    arrived: CachePadded<AtomicU64>,
    target: AtomicU64,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            asleep: CachePadded::new(AtomicBool::new(false)),
            promised: CachePadded::new(AtomicU64::new(u64::MAX)),
            waiting: AtomicU64::new(0),
            arrived: CachePadded::new(AtomicU64::new(0)),
            target: AtomicU64::new(u64::MAX),
        }
    }
}

impl Wake {
    /// K1, a worker: it has handed something over. Whether the thread must be woken.
    #[inline]
    pub fn handed_over(&self) -> bool {
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed)
    }

    /// K1, the thread: it is about to sleep, and will look at the trays once more before.
    pub fn doze(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// K1, the thread: it is awake.
    pub fn rise(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Up to which number replies may leave.
    #[inline]
    pub fn promised(&self) -> u64 {
        self.promised.load(Ordering::Acquire)
    }

    /// K2, the workers with these bits: whether they may sleep until more is promised than `seen`.
    pub fn wait(&self, workers: u64, seen: u64) -> bool {
        self.waiting.fetch_or(workers, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.promised.load(Ordering::Acquire) <= seen
    }

    /// K2, the thread: promises so much. The workers who must be roused.
    pub fn promise(&self, number: u64) -> u64 {
        if self.promised.load(Ordering::Relaxed) == number {
            return 0;
        }
        self.promised.store(number, Ordering::Release);
        fence(Ordering::SeqCst);
        self.waiting.swap(0, Ordering::Relaxed)
    }

    /// K3, a worker: the replies of so many more connections wait. Whether the thread must be woken.
    pub fn arrive(&self, count: u64) -> bool {
        // Release: what they wait for was handed over.
        let arrived = self.arrived.fetch_add(count, Ordering::Release) + count;
        fence(Ordering::SeqCst);
        arrived >= self.target.load(Ordering::Relaxed)
    }

    /// How many have arrived.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Acquire)
    }

    /// K3, the thread: wants to be woken when so many have arrived.
    pub fn expect(&self, target: u64) {
        self.target.store(target, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

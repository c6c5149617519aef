//! The log: from what threads hand over to blocks on the disk, and back to those who wait for that.
//!
//! ```text
//! workers ──pages──► merge ──runs──► disk::Log ──► file      one thread; waits for the disk so that
//!    ▲                                   │                   nobody else has to
//!    └────────── promised, state ────────┘
//! ```
//! - **L1** [`Log::promised`] is a number up to which replies may leave: with `appendfsync always` everything
//!   up to there is durable. A connection that has seen something younger keeps its replies until then.
//! - **L2** Nobody sleeps through the end of a wait: who waits says so ([`Log::wait`]) and then looks again;
//!   the thread publishes and then looks who waits. The thread itself sleeps the same way ([`wake`]).
//! - **L3** A cut ([`Log::cut_at`]) parts the records: all up to it stand in the file that ends there, all
//!   others in the next. It is told while nobody is in the keyspace, before any younger record exists.
//! - **L4** With `always` the next sync waits, for half of the time that the last one took or a millisecond at
//!   most, until all connections that had replies waiting are back: else those that the one sync releases
//!   and those that arrived during it take turns for ever, and each sync does half of the work that it
//!   could.
//!
//! With `everysec` and `no` workers wake nobody while there is traffic: the thread looks every
//! two milliseconds, so that is how much the end of the process can cost beyond what is written; a thread
//! that has slept is woken by the first batch.

mod merge;
mod thread;
mod wake;

pub use thread::{Outside, Running, remove_history, start};

use crate::disk::{Options, Policy};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, CachePadded, Ordering, fence};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::mpsc::Sender;
use std::thread::Thread;
use wake::Wake;

/// Bytes that may wait to be written before workers stop reading requests.
const FULL: usize = 256 << 20;

/// What others ask of the thread.
pub enum Order {
    /// Works like this from now on.
    Configure(Options),
    /// A rewrite begins where [`Log::cut_at`] says: its base is to be written with the answer.
    Rewrite(Sender<Result<crate::disk::Rewrite, String>>),
    /// The base of a rewrite is written, or will never be.
    Rewritten(crate::disk::Rewrite, Result<(), String>, Sender<Result<(), String>>),
    /// Begins to write this log, with the record after this number.
    Begin(Box<crate::disk::Log>, u64),
    /// Writes what was handed over so far.
    Flush(Sender<()>),
    /// Ends the log: what there is becomes durable first.
    End(Sender<()>),
    /// Somebody else writes much to the disk, or no longer does.
    Saving(bool),
}

/// What the thread tells of itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// There is a log.
    pub enabled: bool,
    /// Why the disk refuses, if it does.
    pub error: Option<String>,
    /// Since when, Unix milliseconds.
    pub failing_since: u64,
    /// Bytes of all files.
    pub size: u64,
    /// The same after the last rewrite.
    pub rewritten_size: u64,
    /// A sync is on its way.
    pub syncing: bool,
    /// Syncs that took so long that the next was late.
    pub delayed: u64,
    /// Bytes that are not written, or not durable.
    pub waiting: usize,
    /// It has grown so much that it should be rewritten.
    pub wants_rewrite: bool,
    /// A new base is being written.
    pub rewriting: bool,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

/// What all threads share of the log.
#[derive(Debug)]
pub struct Log {
    wake: Wake,
    durable: AtomicU64,
    always: AtomicBool,
    /// Bytes that were taken over and are not written.
    behind: AtomicUsize,
    failing: AtomicBool,
    cut: AtomicU64,
    orders: Mutex<VecDeque<Order>>,
    facts: Mutex<Facts>,
    thread: OnceLock<Thread>,
    /// Microseconds that a test wants the disk to take longer.
    delay: AtomicU64,
}

/// Somebody else writes much to the disk.
#[derive(Debug)]
pub struct Busy<'l>(&'l Log);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.order(Order::Saving(false));
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            wake: Wake::default(),
            durable: AtomicU64::new(0),
            always: AtomicBool::new(false),
            behind: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            cut: AtomicU64::new(u64::MAX),
            orders: Mutex::default(),
            facts: Mutex::default(),
            thread: OnceLock::new(),
            delay: AtomicU64::new(0),
        }
    }
}

impl Log {
    /// Whether replies wait for the disk.
    #[inline(always)]
    pub fn is_always(&self) -> bool {
        self.always.load(Ordering::Relaxed)
    }

    /// Up to which number replies may leave (L1).
    #[inline]
    pub fn promised(&self) -> u64 {
        self.wake.promised()
    }

    /// Up to which number records are durable.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The workers with these bits want to be woken when more is promised than `seen` (L2). False if that
    /// is so already.
    pub fn wait(&self, workers: u64, seen: u64) -> bool {
        self.wake.wait(workers, seen)
    }

    /// The replies of so many more connections wait (L4); their records were handed over.
    pub fn arrive(&self, count: u64) {
        if self.wake.arrive(count) {
            self.poke();
        }
    }

    /// Records were handed over: wakes the thread if it sleeps.
    #[inline]
    pub fn handed_over(&self) {
        if self.wake.handed_over() {
            self.poke();
        }
    }

    /// Wakes the thread.
    #[cold]
    pub fn poke(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Asks for something.
    pub fn order(&self, order: Order) {
        self.orders.lock().push_back(order);
        self.poke();
    }

    /// L3: to be called in exclusive mode. `last` is the greatest number given.
    pub fn cut_at(&self, last: u64) {
        self.cut.store(last, Ordering::Release);
    }

    /// Whether so much waits for the disk that no more requests should be read.
    pub fn is_full(&self, waiting: usize) -> bool {
        waiting + self.behind.load(Ordering::Relaxed) > FULL
            && !self.failing.load(Ordering::Relaxed)
    }

    /// Whether the disk refuses what should be written.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// The caller writes much to the disk until the answer is dropped: `no-appendfsync-on-rewrite`.
    pub fn busy(&self) -> Busy<'_> {
        self.order(Order::Saving(true));
        Busy(self)
    }

    /// Lets what comes wait for so many microseconds before it is written.
    pub fn set_delay(&self, micros: u64) {
        self.delay.store(micros, Ordering::Relaxed);
    }

    fn linger(&self) {
        let micros = self.delay.load(Ordering::Relaxed);
        if micros > 0 {
            std::thread::sleep(std::time::Duration::from_micros(micros));
        }
    }

    /// What is known of it.
    pub fn facts(&self) -> Facts {
        self.facts.lock().clone()
    }

    fn set_policy(&self, policy: Policy, enabled: bool) {
        self.always.store(enabled && policy == Policy::Always, Ordering::Release);
    }
}

//! The only door to atomics and epochs.
//!
//! Everything that shares memory without a lock takes its atomics from here. The protocols below this
//! module name theirs by `super::`, so `tests/loom.rs` compiles the same files on top of loom's and
//! checks them in every interleaving. Reclamation is
//! crossbeam-epoch's default collector behind [`Pin`]: only [`pin`] makes one, so "pinned in the
//! right collector" is a fact of types.

#![allow(unsafe_code)]

pub mod gate;
pub mod latch;
pub mod limbo;
pub mod part;
pub mod stripe;

pub use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    Ordering, fence,
};

pub use crossbeam_utils::CachePadded;

/// Proof that this thread is pinned: whatever it reaches through the index stays allocated while
/// the proof lives.
#[derive(Debug)]
pub struct Pin(crossbeam_epoch::Guard);

/// Pins the thread. Cheap (6 ns), nested pins cheaper; hold it for a batch, not for ever.
pub fn pin() -> Pin {
    Pin(crossbeam_epoch::pin())
}

impl Pin {
    /// Lets the epoch pass: nothing borrowed through this pin can outlive the call. Does not
    /// collect by itself; [`limbo::Limbo`] does.
    #[inline]
    pub fn repin(&mut self) {
        self.0.repin();
    }

    /// Runs `work` unpinned: what it waits for may need the epoch to pass. As with
    /// [`Pin::repin`], nothing borrowed through this pin can outlive the call.
    pub fn unpinned<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.0.repin_after(work)
    }

    /// Hands deferred work to the collector and runs what is due.
    pub fn flush(&self) {
        self.0.flush();
    }

    /// Runs `work` once no thread that is pinned now can still be.
    ///
    /// # Safety
    /// What `work` frees must be out of reach of threads that pin after this call.
    pub(crate) unsafe fn defer(&self, work: impl FnOnce() + Send + 'static) {
        // SAFETY: the caller's promise; `work` is `'static` and `Send`, so any thread may run it.
        unsafe { self.0.defer_unchecked(work) }
    }
}

/// Gives way to other threads while waiting: a few spins, then the scheduler, then short sleeps,
/// so that a waiter never burns the core which the thread it waits for needs.
#[derive(Debug, Default)]
pub struct Backoff(u32);

impl Backoff {
    /// Waits a little, longer each time.
    pub fn wait(&mut self) {
        self.0 = self.0.saturating_add(1);
        match self.0 {
            0..64 => std::hint::spin_loop(),
            64..256 => std::thread::yield_now(),
            _ => std::thread::sleep(std::time::Duration::from_micros(20)),
        }
    }

    /// Whether this wait has left the spinning phase.
    pub const fn is_long(&self) -> bool {
        self.0 >= 64
    }
}

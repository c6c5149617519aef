//! A lock for a part of a value, kept for one element's time.
//!
//! - **A1** Between a `lock` and the `unlock` of the same thread no other thread's `lock` returns.
//! - **A2** Holders wait for nothing. So whoever waits backs off and there is no wake-up to lose.
//!
//! | edge | written by | read by | carries |
//! |---|---|---|---|
//! | E1 | `unlock`, Release | `lock`, Acquire | everything done under the latch |

use super::{AtomicU32, Backoff, Ordering};

const FREE: u32 = 0;
const TAKEN: u32 = 1;

/// The lock.
#[derive(Debug, Default)]
pub struct Latch(AtomicU32);

impl Latch {
    /// Takes it (A1, E1).
    #[inline(always)]
    pub fn lock(&self) {
        if self.0.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow();
        }
    }

    #[cold]
    fn lock_slow(&self) {
        let mut backoff = Backoff::default();
        loop {
            // A look first: a failed exchange would take the line from the holder each time.
            if self.0.load(Ordering::Relaxed) == FREE
                && self
                    .0
                    .compare_exchange_weak(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            backoff.wait();
        }
    }

    /// Gives it back. The caller has it.
    #[inline(always)]
    pub fn unlock(&self) {
        debug_assert!(self.0.load(Ordering::Relaxed) == TAKEN, "A1");
        self.0.store(FREE, Ordering::Release); // E1
    }
}

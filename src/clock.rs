//! One shared clock in milliseconds of Unix time, which never goes back.
//!
//! Whoever turns its loop advances it; commands read what their batch started with. Two workers
//! therefore never disagree about whether a key has expired: what one has seen as expired lies in
//! the past of every batch that starts after it.

use crate::sync::{AtomicI64, CachePadded, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The shared clock.
#[derive(Debug, Default)]
pub struct Clock {
    now: CachePadded<AtomicI64>,
}

impl Clock {
    /// A clock that shows the present.
    pub fn new() -> Self {
        let clock = Self::default();
        clock.tick();
        clock
    }

    /// Advances to the system's time and returns the result, in milliseconds. If the system's clock
    /// was set back, this one stands until it is caught up with.
    pub fn tick(&self) -> i64 {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let seen = self.now.load(Ordering::Acquire);
        if time <= seen {
            return seen; // the usual case within a millisecond: no store to the shared line
        }
        self.now.fetch_max(time, Ordering::AcqRel).max(time)
    }

    /// The time as last advanced, in milliseconds.
    pub fn now(&self) -> i64 {
        self.now.load(Ordering::Acquire)
    }
}

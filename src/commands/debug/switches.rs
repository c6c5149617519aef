//! What DEBUG can turn on and off while the server runs.

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Elements of a list from this size on get a node of their own, unless DEBUG says otherwise.
const PACKED_THRESHOLD: u64 = 1 << 30;

/// The switches. Relaxed throughout: each stands for itself, and a turn sooner or later is alike.
#[derive(Debug)]
pub struct Switches {
    cron_paused: AtomicBool,
    packed_threshold: AtomicU64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            cron_paused: AtomicBool::new(false),
            packed_threshold: AtomicU64::new(PACKED_THRESHOLD),
        }
    }
}

impl Switches {
    /// Whether background work is to rest.
    pub fn is_cron_paused(&self) -> bool {
        self.cron_paused.load(Ordering::Relaxed)
    }

    /// Lets background work rest, or go on.
    pub fn pause_cron(&self, on: bool) {
        self.cron_paused.store(on, Ordering::Relaxed);
    }

    /// Bytes from which on an element of a list stands alone.
    pub fn packed_threshold(&self) -> u64 {
        self.packed_threshold.load(Ordering::Relaxed)
    }

    /// Sets that size; 0 restores the usual one.
    pub fn set_packed_threshold(&self, size: u64) {
        let size = if size == 0 { PACKED_THRESHOLD } else { size };
        self.packed_threshold.store(size, Ordering::Relaxed);
    }
}

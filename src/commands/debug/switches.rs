//! What DEBUG can turn on and off while the server runs.

use crate::sync::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Elements of a list from this size on get a node of their own, unless DEBUG says otherwise.
const PACKED_THRESHOLD: u64 = 1 << 30;

/// Milliseconds after which a reply buffer may shrink to what was used since, unless DEBUG says
/// otherwise.
pub const PEAK_RESET_MS: i64 = 5_000;

/// The switches. Relaxed throughout: each stands for itself, and a turn sooner or later is alike.
#[derive(Debug)]
pub struct Switches {
    cron_paused: AtomicBool,
    packed_threshold: AtomicU64,
    replies_shrink: AtomicBool,
    peak_reset_ms: AtomicI64,
    scripts_may_all: AtomicBool,
    sums_ignored: AtomicBool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            cron_paused: AtomicBool::new(false),
            packed_threshold: AtomicU64::new(PACKED_THRESHOLD),
            replies_shrink: AtomicBool::new(true),
            peak_reset_ms: AtomicI64::new(PEAK_RESET_MS),
            scripts_may_all: AtomicBool::new(false),
            sums_ignored: AtomicBool::new(false),
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

    /// Bytes from which on an element of a list stands alone. Read by the handlers of lists, which
    /// pass it to the type together with `list-max-listpack-size`: types know no server.
    pub fn packed_threshold(&self) -> u64 {
        self.packed_threshold.load(Ordering::Relaxed)
    }

    /// Sets that size; 0 restores the usual one.
    pub fn set_packed_threshold(&self, size: u64) {
        let size = if size == 0 { PACKED_THRESHOLD } else { size };
        self.packed_threshold.store(size, Ordering::Relaxed);
    }

    /// Whether scripts may run commands that are not for them.
    pub fn scripts_may_all(&self) -> bool {
        self.scripts_may_all.load(Ordering::Relaxed)
    }

    /// Lets scripts run commands that are not for them, or not.
    pub fn let_scripts(&self, on: bool) {
        self.scripts_may_all.store(on, Ordering::Relaxed);
    }

    /// Whether sums of payloads are not looked at.
    pub fn sums_ignored(&self) -> bool {
        self.sums_ignored.load(Ordering::Relaxed)
    }

    /// Lets sums of payloads be looked at, or not.
    pub fn ignore_sums(&self, on: bool) {
        self.sums_ignored.store(on, Ordering::Relaxed);
    }

    /// Whether reply buffers may shrink.
    pub fn replies_shrink(&self) -> bool {
        self.replies_shrink.load(Ordering::Relaxed)
    }

    /// Lets reply buffers shrink, or stay as large as they have become.
    pub fn shrink_replies(&self, on: bool) {
        self.replies_shrink.store(on, Ordering::Relaxed);
    }

    /// Milliseconds after which a reply buffer's peak is forgotten.
    pub fn peak_reset_ms(&self) -> i64 {
        self.peak_reset_ms.load(Ordering::Relaxed)
    }

    /// Sets that time.
    pub fn reset_peaks_after(&self, ms: i64) {
        self.peak_reset_ms.store(ms, Ordering::Relaxed);
    }
}

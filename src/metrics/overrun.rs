//! How long memory stood above `maxmemory` while eviction could not bring it down.

use crate::sync::{AtomicI64, Ordering};

/// The time over the limit, in milliseconds of the server's clock.
#[derive(Debug, Default)]
pub struct Overrun {
    /// When the limit was passed; 0 while memory is below it.
    since: AtomicI64,
    total_ms: AtomicI64,
}

impl Overrun {
    /// Whether memory is above the limit at time `now`. Costs a load while it is below and was so.
    pub fn observe(&self, over: bool, now: i64) {
        // Relaxed: the figure stands for itself.
        let since = self.since.load(Ordering::Relaxed);
        match (over, since) {
            (true, 0) => {
                // Of several threads that notice, the first sets the time.
                let _ = self.since.compare_exchange(
                    0,
                    now.max(1),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
            }
            (false, since) if since != 0 => {
                let since = self.since.swap(0, Ordering::Relaxed); // one thread gets it
                if since != 0 {
                    self.total_ms.fetch_add((now - since).max(0), Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }

    /// Milliseconds over the limit until `now`: of the present time over it, and of all.
    pub fn millis(&self, now: i64) -> (i64, i64) {
        let since = self.since.load(Ordering::Relaxed);
        let current = if since == 0 { 0 } else { (now - since).max(0) };
        (current, self.total_ms.load(Ordering::Relaxed) + current)
    }

    /// Starts anew; a time over the limit that lasts begins now, at the next look.
    pub fn reset(&self) {
        self.since.store(0, Ordering::Relaxed);
        self.total_ms.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_over_the_limit_add_up() {
        let overrun = Overrun::default();
        overrun.observe(false, 5);
        overrun.observe(true, 10);
        overrun.observe(true, 20);
        assert_eq!(overrun.millis(25), (15, 15));
        overrun.observe(false, 30);
        overrun.observe(true, 100);
        assert_eq!(overrun.millis(101), (1, 21));
        overrun.reset();
        assert_eq!(overrun.millis(200), (0, 0));
    }
}

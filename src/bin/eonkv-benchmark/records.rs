//! What a thread writes down per read: a handful of additions and one histogram cell.
//!
//! Keeps true: a latency is never cut off: the histogram grows up to an hour. Replies that one read
//! completed share one latency, so they are recorded in one step.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::verify::Tally;

/// What a thread has done so far.
#[derive(Debug, Default)]
pub struct Progress {
    pub replies: AtomicU64,
    /// Their latencies, summed up: microseconds.
    pub latency: AtomicU64,
}

/// What one thread measured.
#[derive(Debug)]
pub struct Part {
    pub replies: u64,
    /// Since the start.
    pub last_reply: Duration,
    /// Microseconds.
    pub histogram: Histogram<u64>,
    pub tally: Tally,
    pub cpu: Option<Duration>,
}

/// A thread's own record of a run.
#[derive(Debug)]
pub struct Records {
    replies: u64,
    /// Microseconds, summed up.
    latency: u64,
    /// Nanoseconds since the start.
    last_reply: u64,
    histogram: Histogram<u64>,
    pub tally: Tally,
    cpu_before: Option<Duration>,
}

impl Records {
    /// Nothing yet; latencies will have so many significant digits.
    pub fn new(precision: u8) -> Self {
        Records {
            replies: 0,
            latency: 0,
            last_reply: 0,
            histogram: histogram(precision),
            tally: Tally::default(),
            cpu_before: None,
        }
    }

    /// The run begins: what was used before, for connecting, does not count.
    pub fn begin(&mut self) {
        self.cpu_before = thread_cpu();
    }

    /// `replies` arrived at `now` for a batch begun at `since`: nanoseconds since the start.
    #[inline]
    pub fn add(&mut self, replies: u64, since: u64, now: u64, progress: &Progress) {
        let latency = now.saturating_sub(since) / 1_000;
        self.histogram.saturating_record_n(latency, replies);
        self.replies += replies;
        self.latency += latency * replies;
        self.last_reply = now;
        // Relaxed: the watcher only shows them; the final figures come through a channel.
        progress.replies.store(self.replies, Relaxed);
        progress.latency.store(self.latency, Relaxed);
    }

    /// The thread's result.
    pub fn finish(self) -> Part {
        let cpu = thread_cpu().zip(self.cpu_before).map(|(now, before)| now.saturating_sub(before));
        Part {
            replies: self.replies,
            last_reply: Duration::from_nanos(self.last_reply),
            histogram: self.histogram,
            tally: self.tally,
            cpu,
        }
    }
}

/// An empty histogram of microseconds that grows to whatever is recorded.
pub fn histogram(precision: u8) -> Histogram<u64> {
    let hour = 3_600_000_000;
    match Histogram::new_with_bounds(1, hour, precision.clamp(1, 5)) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("1 to an hour at 1 to 5 digits is within the crate's bounds"),
    }
}

/// CPU time of this thread, on systems that tell by a file.
fn thread_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

//! Open loop: requests are due at fixed times, whatever the server does.
//!
//! Keeps true: a batch that could not be sent when it was due, because the connection still waited,
//! keeps its due time as the beginning of its latency. A stalled server therefore pays for every
//! request that should have been sent meanwhile; a closed loop would have quietly left them out.
//!
//! Each connection has its own beat, and the beats of all connections are spread evenly, so the
//! whole is one steady stream.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The poll's timeout has a grain of a millisecond (it is rounded up), so nearer due times are
/// waited for by polling without a timeout.
const GRAIN: u64 = 1_000_000;

/// When each connection of a thread is to send next. All times are nanoseconds since the start.
#[derive(Debug)]
pub struct Pacer {
    /// Between two batches of one connection.
    period: u64,
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
}

/// A thread's share of the connections.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    pub thread: usize,
    pub threads: usize,
    /// Connections of all threads.
    pub clients: usize,
}

impl Pacer {
    /// Offers `rate` requests a second over all connections, `depth` at a time.
    pub fn new(rate: f64, depth: usize, clients: usize) -> Self {
        let period = 1e9 * depth as f64 * clients as f64 / rate;
        Pacer { period: (period as u64).max(1), waiting: BinaryHeap::new() }
    }

    /// The first due time of a thread's connection number `connection`.
    pub fn first(&self, connection: usize, share: Share) -> u64 {
        let place = (connection * share.threads + share.thread) as u128;
        (u128::from(self.period) * place / share.clients.max(1) as u128) as u64
    }

    /// The due time after `due`.
    pub fn after(&self, due: u64) -> u64 {
        due.saturating_add(self.period)
    }

    /// A connection is free and waits for `due`.
    pub fn wait(&mut self, due: u64, connection: usize) {
        self.waiting.push(Reverse((due, connection)));
    }

    /// Takes a free connection whose time has come: (due time, connection).
    pub fn take_due(&mut self, now: u64) -> Option<(u64, usize)> {
        self.waiting.peek().filter(|first| first.0.0 <= now)?;
        self.waiting.pop().map(|Reverse(first)| first)
    }

    /// Gives up waiting; returns how many connections did.
    pub fn clear(&mut self) -> usize {
        let count = self.waiting.len();
        self.waiting.clear();
        count
    }

    /// How long to sleep at most, so as to be awake at the next due time.
    pub fn timeout(&self, now: u64, most: Duration) -> Duration {
        let Some(Reverse((due, _))) = self.waiting.peek() else { return most };
        match due.saturating_sub(now) {
            wait if wait < 2 * GRAIN => Duration::ZERO,
            wait => Duration::from_nanos(wait - GRAIN).min(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_spread_evenly_over_threads_and_connections() {
        let pacer = Pacer::new(1_000.0, 2, 4); // 500 batches a second: one every 2 ms
        let first = |thread, connection| {
            pacer.first(connection, Share { thread, threads: 2, clients: 4 }) / 1_000_000
        };
        assert_eq!([first(0, 0), first(1, 0), first(0, 1), first(1, 1)], [0, 2, 4, 6]);
        assert_eq!(pacer.after(0), 8_000_000);
    }

    #[test]
    fn the_earliest_due_goes_first_and_keeps_its_time() {
        let mut pacer = Pacer::new(1_000.0, 1, 2);
        pacer.wait(3_000, 1);
        pacer.wait(1_000, 0);
        assert_eq!(pacer.take_due(999), None);
        assert_eq!(pacer.take_due(5_000), Some((1_000, 0)));
        assert_eq!(pacer.take_due(5_000), Some((3_000, 1)));
        assert_eq!(pacer.take_due(5_000), None);
    }

    #[test]
    fn it_never_oversleeps() {
        let mut pacer = Pacer::new(1.0, 1, 1);
        let most = Duration::from_millis(100);
        assert_eq!(pacer.timeout(0, most), most);
        pacer.wait(5_000_000, 0);
        assert_eq!(pacer.timeout(0, most), Duration::from_millis(4));
        assert_eq!(pacer.timeout(3_500_000, most), Duration::ZERO);
        assert_eq!(pacer.timeout(9_000_000, most), Duration::ZERO);
        assert_eq!(pacer.clear(), 1);
    }
}

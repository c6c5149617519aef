//! How long keys have left on average, and what share of them is over but still here: estimates for
//! INFO, from a few keys ten times a second.
//!
//! The background walks the marks of the index ([`crate::index::due`]) in a circle and reads one
//! group that has any, just before it removes what is over. So the sample costs the same however
//! many keys there are, finds keys that expire among many that do not, and sees what the removal
//! has left standing so far. Averages move slowly, by Redis' weights, so that figures can be compared.

use super::access::Access;
use crate::sync::{AtomicI64, AtomicU64, Ordering};

/// Marks read for one sample: a few microseconds.
const MARKS: usize = 4096;

/// The estimates. Written by the background alone, but for resets.
#[derive(Debug)]
pub struct Lifetimes {
    /// Milliseconds left per database; 0 while nothing expires there.
    left_ms: Box<[AtomicI64]>,
    /// Share of keys that are over, in parts of [`WHOLE`].
    stale: AtomicU64,
    rounds_capped: AtomicU64,
    micros: AtomicU64,
}

/// The share that is all.
const WHOLE: f64 = 1e9;

/// What the sampling of one database found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sample {
    /// Keys that have time left.
    alive: i64,
    /// Milliseconds that they have left together.
    left_ms: i64,
    /// Keys that are over.
    over: i64,
}

/// Where the walk stands in each database.
#[derive(Debug, Default)]
pub struct Sampler {
    groups: Vec<usize>,
}

impl Sampler {
    /// Takes a sample of each database.
    pub fn sample(&mut self, access: &mut Access<'_>) {
        let (keyspace, now, pin) = (access.keyspace, access.now, access.pin);
        self.groups.resize(keyspace.databases(), 0);
        let mut sum = Sample::default();
        for (db, group) in self.groups.iter_mut().enumerate() {
            let table = keyspace.table(db, pin).filter(|_| keyspace.size(db).1 > 0);
            let Some(table) = table else {
                keyspace.lifetimes.forget(db);
                continue;
            };
            let mut found = Sample::default();
            *group = table.visit_marked(*group, MARKS, pin, |entry| {
                if let Some(at) = entry.expiry() {
                    found.add(at.saturating_sub(now));
                }
            });
            keyspace.lifetimes.learn(db, found);
            sum.alive += found.alive;
            sum.over += found.over;
        }
        keyspace.lifetimes.learn_stale(sum);
    }
}

impl Sample {
    fn add(&mut self, left_ms: i64) {
        if left_ms > 0 {
            self.alive += 1;
            self.left_ms = self.left_ms.saturating_add(left_ms);
        } else {
            self.over += 1;
        }
    }
}

impl Lifetimes {
    pub(super) fn new(databases: usize) -> Self {
        Self {
            left_ms: (0..databases).map(|_| AtomicI64::new(0)).collect(),
            stale: AtomicU64::new(0),
            rounds_capped: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        }
    }

    /// Milliseconds that keys with an expiry in `db` have left, on average.
    pub fn average_ms(&self, db: usize) -> i64 {
        self.left_ms[db].load(Ordering::Relaxed)
    }

    /// Percentage of the keys with an expiry that are over and not yet removed.
    pub fn stale_percent(&self) -> f64 {
        self.stale.load(Ordering::Relaxed) as f64 / WHOLE * 100.0
    }

    /// Rounds of removal that ran out of time with more to do.
    pub fn rounds_capped(&self) -> u64 {
        self.rounds_capped.load(Ordering::Relaxed)
    }

    /// Milliseconds that all rounds took.
    pub fn millis(&self) -> u64 {
        self.micros.load(Ordering::Relaxed) / 1_000
    }

    /// A round took `micros`, and was `capped` or not.
    pub fn round(&self, micros: u64, capped: bool) {
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.rounds_capped.fetch_add(u64::from(capped), Ordering::Relaxed);
    }

    /// Starts the statistics anew (not the averages, which are of the present).
    pub fn reset(&self) {
        self.stale.store(0, Ordering::Relaxed);
        self.rounds_capped.store(0, Ordering::Relaxed);
        self.micros.store(0, Ordering::Relaxed);
    }

    /// Nothing in `db` expires.
    pub(super) fn forget(&self, db: usize) {
        self.left_ms[db].store(0, Ordering::Relaxed);
    }

    /// The databases change names; in exclusive mode.
    pub(super) fn swap(&self, a: usize, b: usize) {
        let (a, b) = (&self.left_ms[a], &self.left_ms[b]);
        b.store(a.swap(b.load(Ordering::Relaxed), Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A fiftieth of the average is the newest sample's.
    fn learn(&self, db: usize, found: Sample) {
        let Some(mean) = found.left_ms.checked_div(found.alive) else { return };
        let known = self.average_ms(db);
        let learned = if known == 0 { mean } else { known / 50 * 49 + mean / 50 };
        self.left_ms[db].store(learned, Ordering::Relaxed);
    }

    /// A twentieth of the share is the newest sample's.
    fn learn_stale(&self, found: Sample) {
        let seen = found.alive + found.over;
        let share = if seen == 0 { 0.0 } else { found.over as f64 / seen as f64 };
        let known = self.stale.load(Ordering::Relaxed) as f64;
        self.stale.store((known * 0.95 + share * WHOLE * 0.05) as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expiry, Key, Keyspace, New};
    use super::*;
    use crate::clock::Clock;
    use std::sync::Arc;

    /// 300 keys that expire among 30,000 that do not are found, and what is over is told apart.
    #[test]
    fn few_among_many_are_found() {
        let keyspace = Keyspace::new(2, 1, Arc::new(Clock::new()));
        let mut local = keyspace.sit();
        keyspace.gate.enter(local.seat);
        let pin = crate::sync::pin();
        let mut access = Access::new(&keyspace, &mut local, &pin, 1);
        let now = access.now;
        for i in 0..30_000_i64 {
            let expiry = match i % 100 {
                0 if i % 300 == 0 => Expiry::At(now + 1_000),
                0 => Expiry::At(now + 100_000),
                _ => Expiry::Never,
            };
            access.write(Key::new(format!("key:{i}").as_bytes())).set(New::Int(i), expiry);
        }
        let mut sampler = Sampler::default();
        for _ in 0..2_000 {
            sampler.sample(&mut access);
        }
        let lifetimes = &keyspace.lifetimes;
        let mean = lifetimes.average_ms(1);
        assert!((40_000..90_000).contains(&mean), "{mean} instead of about 67 s");
        assert_eq!((lifetimes.average_ms(0), lifetimes.stale_percent()), (0, 0.0));
        access.now += 2_000;
        for _ in 0..2_000 {
            sampler.sample(&mut access);
        }
        let stale = lifetimes.stale_percent();
        assert!((12.0..60.0).contains(&stale), "{stale} % instead of about a third");
        lifetimes.swap(0, 1);
        assert!(lifetimes.average_ms(0) > 90_000 && lifetimes.average_ms(1) == 0);
        lifetimes.round(2_500, true);
        assert_eq!((lifetimes.millis(), lifetimes.rounds_capped()), (2, 1));
        lifetimes.reset();
        assert_eq!((lifetimes.stale_percent(), lifetimes.millis()), (0.0, 0));
        keyspace.gate.leave(0);
    }
}

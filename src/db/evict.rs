//! Making room: sample some keys, remove the one that deserves it most.
//!
//! No list of all keys by age exists; a sample of a few does nearly as well (Redis' insight), and a
//! bucket gives up to seven candidates for one line of memory. A small pool keeps the best candidates
//! of earlier samples, so each removal chooses among more than it just read.

use super::access::{Access, Key};
use std::cell::Cell;

/// What orders the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Longest unused, or least often used: whichever [`super::Policy`] records.
    Stalest,
    /// Any.
    Random,
    /// Nearest to its expiry.
    Soonest,
}

/// Which keys may go, and in what order: a `maxmemory-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evict {
    /// Only keys with an expiry.
    pub volatile_only: bool,
    /// Which first.
    pub order: Order,
    /// Candidates per removal: `maxmemory-samples`.
    pub samples: usize,
}

const POOL: usize = 16;
/// Buckets read at random before a sample is what they gave. If that is nothing (few keys in a table
/// that was larger, few keys with an expiry among many), the table is walked until there is some.
const PATIENCE: usize = 64;

#[derive(Debug)]
struct Candidate {
    score: u64,
    db: usize,
    key: Vec<u8>,
}

/// The best candidates so far, ascending by score.
#[derive(Debug, Default)]
pub struct Candidates {
    pool: Vec<Candidate>,
    next_db: usize,
}

impl Candidates {
    /// Removes one key. Returns the bytes it weighed, or none if no key may go.
    pub fn evict_one(&mut self, access: &mut Access<'_>, how: Evict) -> bool {
        for _ in 0..access.keyspace.databases().max(1) {
            self.fill(access, how);
            while let Some(candidate) = self.pool.pop() {
                if access.is_reserved(Key::new(&candidate.key).hash) {
                    continue; // W7
                }
                let mut write = access.write_in(candidate.db, Key::new(&candidate.key));
                let fits = |entry: &super::Entry| !how.volatile_only || entry.expiry().is_some();
                if write.entry().is_some_and(fits) {
                    return write.evict();
                }
            }
        }
        false
    }

    fn fill(&mut self, access: &mut Access<'_>, how: Evict) {
        let databases = access.keyspace.databases();
        for _ in 0..databases {
            let db = self.next_db % databases;
            self.next_db = (db + 1) % databases;
            let (keys, volatile) = access.keyspace.size(db);
            if keys > 0 && (!how.volatile_only || volatile > 0) {
                self.sample(access, db, how);
            }
        }
    }

    fn sample(&mut self, access: &mut Access<'_>, db: usize, how: Evict) {
        let (pin, now, policy) = (access.pin, access.wall, access.policy);
        let Some(table) = access.keyspace.table(db, pin) else { return };
        let mut noise = access.local.random();
        let seen = Cell::new(0);
        let mut visit = |entry: &super::Entry| {
            let score = match (how.order, entry.expiry()) {
                (_, None) if how.volatile_only => return false,
                (Order::Stalest, _) => policy.staleness(entry.access(), now),
                (Order::Soonest, at) => u64::MAX - at.unwrap_or(i64::MAX).max(0) as u64,
                (Order::Random, _) => {
                    noise = noise.rotate_left(17).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    noise
                }
            };
            seen.set(seen.get() + 1);
            self.offer(score, db, entry.key());
            seen.get() >= how.samples
        };
        for _ in 0..PATIENCE.max(how.samples) {
            let mut enough = false;
            table.sample(access.local.random(), pin, |entry| enough |= visit(entry));
            if enough {
                return;
            }
        }
        if seen.get() == 0 {
            table.walk_from(access.local.random(), how.volatile_only, pin, visit);
        }
    }

    fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        if self.pool.len() == POOL && score <= self.pool[0].score {
            return;
        }
        if self.pool.iter().any(|known| known.db == db && known.key == key) {
            return;
        }
        if self.pool.len() == POOL {
            self.pool.remove(0);
        }
        let at = self.pool.partition_point(|known| known.score < score);
        self.pool.insert(at, Candidate { score, db, key: key.to_vec() });
    }
}

//! Watched keys: who is told that a key, and no other, has changed.
//!
//! The version of a stripe would be told by changes of its other keys too, and a version in the
//! entry would be lost with the entry. So watchers are listed here by key, and the INTEREST bit of
//! the stripe says whether the list need be looked at: a change under a stripe without it costs one
//! test of a word that its writer holds anyway.
//!
//! - **V1** The list of a stripe changes only under that stripe, and INTEREST is set while this list
//!   or another one that the bit stands for is not empty. Whoever commits a change therefore sees everybody who watched the key before it.
//! - **V2** A watcher is told before the stripe is given back: whoever takes the stripe afterwards
//!   (EXEC does, of all keys that it watches) knows.
//! - **V3** What is told once stays true: a key that is removed and made again has changed.
//!
//! What was over when it began to be watched is absent: that it is removed later is no change. What
//! is over by then and was not at the beginning is found by [`Watching::is_intact`].

use super::access::{Access, Key};
use super::keyspace::{Cause, Keyspace};
use super::reserve::{Leaver, Leaves};
use crate::sync::Pin;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Who watches.
pub trait Watcher: Send + Sync {
    /// A watched key has changed. Called under its stripe: a flag to set, no more.
    fn touched(&self);
}

/// One watcher of one key.
struct Seat {
    watcher: Arc<dyn Watcher>,
    /// The key existed when it began to be watched.
    visible: bool,
}

struct Watched {
    db: usize,
    key: Box<[u8]>,
    seats: Vec<Seat>,
}

type Shard = Mutex<HashMap<usize, Vec<Watched>>>;

/// All watched keys of a keyspace, by stripe.
pub(super) struct Watches {
    shards: Box<[Shard]>,
}

/// Stripes share that many locks; none is held for more than a look-up.
const SHARDS: usize = 64;

impl Default for Watches {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Watches {
    fn shard(&self, stripe: usize) -> &Shard {
        &self.shards[stripe % SHARDS]
    }

    /// Adds a watcher. False if it watches this key already. The caller holds the stripe (V1).
    fn add(&self, stripe: usize, db: usize, key: &[u8], seat: Seat) -> bool {
        let mut shard = self.shard(stripe).lock();
        let list = shard.entry(stripe).or_default();
        let known = list.iter().position(|watched| watched.db == db && *watched.key == *key);
        let seats = match known {
            Some(at) => &mut list[at].seats,
            None => {
                list.push(Watched { db, key: key.into(), seats: Vec::new() });
                let last = list.len() - 1;
                &mut list[last].seats
            }
        };
        let fresh = !seats.iter().any(|other| Arc::ptr_eq(&other.watcher, &seat.watcher));
        if fresh {
            seats.push(seat);
        }
        fresh
    }

    /// Whether anybody watches under the stripe, which the caller holds.
    pub(super) fn any(&self, stripe: usize) -> bool {
        self.shard(stripe).lock().contains_key(&stripe)
    }

    /// Removes a watcher. The caller holds the stripe.
    pub(super) fn remove(&self, stripe: usize, db: usize, key: &[u8], watcher: &Arc<dyn Watcher>) {
        let mut shard = self.shard(stripe).lock();
        let Some(list) = shard.get_mut(&stripe) else { return };
        if let Some(at) = list.iter().position(|watched| watched.db == db && *watched.key == *key) {
            let seats = &mut list[at].seats;
            if let Some(seat) = seats.iter().position(|seat| Arc::ptr_eq(&seat.watcher, watcher)) {
                seats.swap_remove(seat);
            }
            if seats.is_empty() {
                list.swap_remove(at);
            }
        }
        if list.is_empty() {
            shard.remove(&stripe);
        }
    }

    /// A change of `key` is committed. The caller holds the stripe (V2).
    #[cold]
    pub(super) fn touch(&self, stripe: usize, db: usize, key: &[u8], cause: Cause) {
        let shard = self.shard(stripe).lock();
        let list = shard.get(&stripe).map_or(&[][..], Vec::as_slice);
        let hit = list.iter().filter(|watched| watched.db == db && *watched.key == *key);
        for seat in hit.flat_map(|watched| &watched.seats) {
            if seat.visible || cause != Cause::Expired {
                seat.watcher.touched();
            }
        }
    }

    /// Tells all whose key in one of `dbs` satisfies `changes`. In exclusive mode.
    pub(super) fn touch_where(&self, dbs: &[usize], mut changes: impl FnMut(&[u8]) -> bool) {
        for shard in &self.shards {
            let shard = shard.lock();
            let all = shard.values().flatten().filter(|watched| dbs.contains(&watched.db));
            for watched in all.filter(|watched| changes(&watched.key)) {
                watched.seats.iter().for_each(|seat| seat.watcher.touched());
            }
        }
    }
}

/// The keys that one client watches; they are watched until this is dropped.
pub struct Watching {
    keyspace: Arc<Keyspace>,
    watcher: Arc<dyn Watcher>,
    keys: Vec<Place>,
    bytes: usize,
}

struct Place {
    db: usize,
    hash: u64,
    key: Box<[u8]>,
    visible: bool,
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Watching {
    /// No keys yet. `watcher` is told of changes.
    pub fn new(keyspace: Arc<Keyspace>, watcher: Arc<dyn Watcher>) -> Self {
        Self { keyspace, watcher, keys: Vec::new(), bytes: 0 }
    }

    /// How many keys are watched.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes that this takes, here and in the keyspace.
    pub fn memory(&self) -> usize {
        self.bytes
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        self.keys.iter().map(|place| Key { bytes: &place.key, hash: place.hash })
    }

    /// Whether no key's time came to its end since it is watched. Under all stripes of the keys (or
    /// alone) this, together with not having been told, says that nothing has changed.
    pub fn is_intact(&self, access: &mut Access<'_>) -> bool {
        self.keys.iter().all(|place| {
            let key = Key { bytes: &place.key, hash: place.hash };
            !place.visible || access.peek_in(place.db, key).is_some()
        })
    }

    /// Begins to watch a key. The caller holds its stripe.
    pub(super) fn add(&mut self, db: usize, key: Key<'_>, visible: bool) {
        let (stripes, watches) = (&self.keyspace.stripes, &self.keyspace.watches);
        let seat = Seat { watcher: Arc::clone(&self.watcher), visible };
        if watches.add(stripes.index(key.hash), db, key.bytes, seat) {
            stripes.of(key.hash).set_interest(true);
            self.keys.push(Place { db, hash: key.hash, key: key.bytes.into(), visible });
            self.bytes +=
                size_of::<Place>() + size_of::<Watched>() + size_of::<Seat>() + 2 * key.bytes.len();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let stripes = &self.keyspace.stripes;
        for place in &self.keys {
            let index = stripes.index(place.hash);
            let watcher = Arc::clone(&self.watcher);
            let leaves = Leaves::Watch(watcher);
            self.keyspace.leave(Leaver { index, db: place.db, key: place.key.clone(), leaves });
        }
    }
}

impl Keyspace {
    /// Tells the watchers of keys that `db` holds: it is about to be emptied.
    pub(super) fn touch_flushed(&self, db: usize, now: i64, pin: &Pin) {
        self.watches.touch_where(&[db], |key| self.holds(db, key, now, pin));
    }

    /// Tells the watchers of keys that one of two databases holds: they are about to be exchanged.
    pub(super) fn touch_swapped(&self, a: usize, b: usize, now: i64, pin: &Pin) {
        if a != b {
            let held = |key: &[u8]| self.holds(a, key, now, pin) || self.holds(b, key, now, pin);
            self.watches.touch_where(&[a, b], held);
        }
    }

    fn holds(&self, db: usize, key: &[u8], now: i64, pin: &Pin) -> bool {
        let key = Key::new(key);
        let entry = self.table(db, pin).and_then(|table| table.get(key.hash, key.bytes, pin).0);
        entry.is_some_and(|entry| !entry.is_expired(now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Expiry, Key, Keyspace, New};
    use super::*;
    use crate::clock::Clock;
    use crate::sync::{AtomicBool, Ordering};

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Watcher for Flag {
        fn touched(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether `change` is seen by who watches `k`.
    fn seen(before: impl FnOnce(&mut Access<'_>), change: impl FnOnce(&mut Access<'_>)) -> bool {
        let keyspace = Arc::new(Keyspace::new(2, 1, Arc::new(Clock::new())));
        let mut local = keyspace.sit();
        keyspace.gate.enter(local.seat);
        let pin = crate::sync::pin();
        let mut access = Access::new(&keyspace, &mut local, &pin, 0);
        before(&mut access);
        let flag = Arc::new(Flag::default());
        let mut watching =
            Watching::new(Arc::clone(&keyspace), Arc::clone(&flag) as Arc<dyn Watcher>);
        let key = Key::new(b"k");
        access.write(key).watch(&mut watching);
        access.write(key).watch(&mut watching);
        assert_eq!(watching.len(), 1);
        change(&mut access);
        let intact = access.hold(&[key], |access| watching.is_intact(access));
        let seen = !intact || flag.0.load(Ordering::Relaxed);
        drop(watching);
        assert!(!keyspace.stripes.of(key.hash).load().has_interest());
        assert!(keyspace.watches.shards.iter().all(|shard| shard.lock().is_empty()));
        keyspace.gate.leave(0);
        seen
    }

    fn set(access: &mut Access<'_>, name: &[u8], expiry: Expiry) {
        access.write(Key::new(name)).set(New::Int(1), expiry);
    }

    #[test]
    fn a_change_of_the_key_is_seen_and_no_other() {
        let k = Key::new(b"k");
        assert!(!seen(|_| {}, |_| {}));
        assert!(seen(|_| {}, |a| set(a, b"k", Expiry::Never)));
        assert!(seen(|a| set(a, b"k", Expiry::Never), |a| assert!(a.write(k).remove())));
        assert!(!seen(|_| {}, |a| assert!(!a.write(k).remove())));
        let neighbours = |a: &mut Access<'_>| {
            (0..100_000).for_each(|i| set(a, i.to_string().as_bytes(), Expiry::Never));
        };
        assert!(!seen(|_| {}, neighbours), "some of them share the stripe");
        let elsewhere = |a: &mut Access<'_>| {
            a.db = 1;
            set(a, b"k", Expiry::Never);
        };
        assert!(!seen(|_| {}, elsewhere));
        let again = |a: &mut Access<'_>| {
            assert!(a.write(k).remove());
            set(a, b"k", Expiry::Never);
        };
        assert!(seen(|a| set(a, b"k", Expiry::Never), again));
    }

    #[test]
    fn time_is_a_change_for_what_was_there() {
        let soon = |a: &mut Access<'_>| {
            let at = a.now + 10;
            set(a, b"k", Expiry::At(at));
        };
        let over = |a: &mut Access<'_>| {
            soon(a);
            a.now += 100;
        };
        assert!(seen(soon, |a| a.now += 100));
        assert!(!seen(over, |a| a.now += 100));
        assert!(!seen(over, |a| assert!(!a.write(Key::new(b"k")).exists())));
        assert!(seen(soon, |a| {
            a.now += 100;
            set(a, b"k", Expiry::Never);
        }));
    }

    #[test]
    fn whole_databases_change_too() {
        let there = |a: &mut Access<'_>| set(a, b"k", Expiry::Never);
        let other = |a: &mut Access<'_>| {
            a.db = 1;
            set(a, b"k", Expiry::Never);
            a.db = 0;
        };
        let swap = |a: &mut Access<'_>| assert!(a.swap(0, 1));
        assert!(
            seen(there, |a| assert!(a.flush(0..1))) && !seen(there, |a| assert!(a.flush(1..2)))
        );
        assert!(
            !seen(|_| {}, |a| assert!(a.flush(0..2))) && !seen(other, |a| assert!(a.flush(0..2)))
        );
        assert!(seen(there, swap) && seen(other, swap) && !seen(|_| {}, swap));
    }
}

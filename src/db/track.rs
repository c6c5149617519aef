//! Keys that clients keep copies of: who must hear when one changes.
//!
//! As for watched keys (`watch`) the stripe's INTEREST bit says whether to look. Readers are numbers
//! here; what they are is the herald's business. A key's readers are told of its next change and then
//! forgotten, until they read it again. A key counts by its name alone, in whatever database, as the
//! protocol has no word for the database of a copy.
//!
//! - **T1** The readers of a key change only under its stripe (or alone in the keyspace), and INTEREST is
//!   set while there are any.
//! - **T2** A reader is entered before it reads ([`Access::track`]): a change that its read did not see
//!   finds it here. It may be told of one that its read did see; a copy thrown away too early is only
//!   slow.
//! - **T3** The thread that changes a key does not tell itself by letter: what it must drop stands in
//!   [`Access::own_stale`], in the order of the changes, to be sent in its place among the replies.

use super::access::{Access, Key};
use super::keyspace::Keyspace;
use super::outbox::{Wants, What};
use crate::sync::{AtomicUsize, Ordering};
use parking_lot::Mutex;
use std::collections::HashMap;

/// What a reader of its own changes must drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// This key. True if its own command changed it, false if time or lack of memory did.
    Key(Box<[u8]>, bool),
    /// Everything.
    All,
}

#[derive(Default)]
struct Shard {
    /// Readers of each key, ascending.
    keys: HashMap<Box<[u8]>, Vec<u64>>,
    /// How many of the keys belong to each stripe.
    stripes: HashMap<usize, usize>,
}

impl Shard {
    fn take(&mut self, stripe: usize, key: &[u8]) -> Option<Vec<u64>> {
        let readers = self.keys.remove(key)?;
        if let Some(count) = self.stripes.get_mut(&stripe) {
            *count -= 1;
            if *count == 0 {
                self.stripes.remove(&stripe);
            }
        }
        Some(readers)
    }
}

/// Stripes share that many locks; none is held for more than a look-up.
const SHARDS: usize = 64;

/// All keys with readers.
pub(super) struct Tracked {
    shards: Box<[Mutex<Shard>]>,
    keys: AtomicUsize,
    items: AtomicUsize,
}

impl Default for Tracked {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
        }
    }
}

/// A key with this many readers, or a multiple by a power of two, is looked through for those gone.
const CROWD: usize = 64;

impl Tracked {
    fn shard(&self, stripe: usize) -> &Mutex<Shard> {
        &self.shards[stripe % SHARDS]
    }

    /// Enters a reader. The caller holds the stripe.
    fn add(&self, stripe: usize, key: &[u8], reader: u64, is_here: impl Fn(u64) -> bool) {
        let mut shard = self.shard(stripe).lock();
        let Some(readers) = shard.keys.get_mut(key) else {
            shard.keys.insert(key.into(), vec![reader]);
            *shard.stripes.entry(stripe).or_default() += 1;
            self.keys.fetch_add(1, Ordering::Relaxed);
            self.items.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Err(at) = readers.binary_search(&reader) else { return };
        readers.insert(at, reader);
        let before = readers.len() - 1;
        if readers.len() >= CROWD && readers.len().is_power_of_two() {
            readers.retain(|reader| is_here(*reader)); // the newest is
        }
        let after = readers.len();
        self.items.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Takes all readers of a key out. The caller holds the stripe.
    fn take(&self, stripe: usize, key: &[u8]) -> Option<Vec<u64>> {
        let readers = self.shard(stripe).lock().take(stripe, key)?;
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.items.fetch_sub(readers.len(), Ordering::Relaxed);
        Some(readers)
    }

    /// Whether any key of the stripe, which the caller holds, has readers.
    pub(super) fn any(&self, stripe: usize) -> bool {
        self.shard(stripe).lock().stripes.contains_key(&stripe)
    }

    /// Some key of the shard that `random` chooses, or of one after it.
    fn some(&self, random: u64) -> Option<Box<[u8]>> {
        let first = random as usize % SHARDS;
        (0..SHARDS).find_map(|i| {
            let shard = self.shards[(first + i) % SHARDS].lock();
            shard.keys.keys().next().cloned()
        })
    }

    /// Forgets everything; the stripes that had keys.
    fn clear(&self) -> Vec<usize> {
        let mut stripes = Vec::new();
        for shard in &self.shards {
            let shard = std::mem::take(&mut *shard.lock());
            stripes.extend(shard.stripes.into_keys());
        }
        self.keys.store(0, Ordering::Relaxed);
        self.items.store(0, Ordering::Relaxed);
        stripes
    }
}

impl Keyspace {
    /// How many keys have readers, and how many readers all of them together.
    pub fn tracked(&self) -> (usize, usize) {
        (self.tracked.keys.load(Ordering::Relaxed), self.tracked.items.load(Ordering::Relaxed))
    }
}

impl Access<'_> {
    /// Enters `reader` for `key`, which it is about to read (T2).
    pub fn track(&mut self, key: Key<'_>, reader: u64) {
        let within = self.is_in_step();
        if self.held.is_some() && !self.holds(key.hash) {
            // The stripe must not be taken while others are held: better told too early than never.
            self.own_stale.push(Stale::Key(key.bytes.into(), false));
            return;
        }
        let keyspace = self.keyspace;
        let index = keyspace.stripes.index(key.hash);
        let stripe = keyspace.stripes.of(key.hash);
        let lock = !within || self.held.is_none();
        if lock {
            keyspace.stripes.lock(index); // what is being changed now was not read yet
        }
        let is_here = |reader| keyspace.herald.get().is_none_or(|herald| herald.is_here(reader));
        keyspace.tracked.add(index, key.bytes, reader, is_here);
        stripe.set_interest(true);
        if lock {
            stripe.unlock_unchanged();
        }
    }

    /// Forgets the readers of up to `count` keys, and tells them that they must drop those. Nothing is
    /// held.
    pub fn untrack(&mut self, count: usize) {
        for _ in 0..count {
            let random = self.local.random();
            let Some(name) = self.keyspace.tracked.some(random) else { return };
            let key = Key::new(&name);
            if self.is_reserved(key.hash) {
                continue; // W7
            }
            let stripes = &self.keyspace.stripes;
            let stripe = stripes.lock(stripes.index(key.hash));
            self.stale(key, false);
            self.deliver();
            stripe.unlock_unchanged();
            self.rouse();
        }
    }

    /// `key` changes: its readers are to drop it. The caller holds the stripe.
    pub(super) fn stale(&mut self, key: Key<'_>, by_command: bool) {
        let keyspace = self.keyspace;
        let index = keyspace.stripes.index(key.hash);
        let Some(mut readers) = keyspace.tracked.take(index, key.bytes) else { return };
        keyspace.stripes.of(key.hash).set_interest(keyspace.is_interesting(index));
        if let Ok(at) = readers.binary_search(&self.actor) {
            readers.remove(at);
            self.own_stale.push(Stale::Key(key.bytes.into(), by_command));
        }
        if !readers.is_empty() {
            self.note(self.db, key.bytes, What::Stale(readers));
        }
    }

    /// Whole databases changed: every reader is to drop everything. Nobody else is in the keyspace.
    pub(super) fn all_stale(&mut self) {
        // Keys may be left of clients that track no more.
        if !self.keyspace.wants(Wants::FLUSHED) && self.keyspace.tracked().0 == 0 {
            return;
        }
        for index in self.keyspace.tracked.clear() {
            let stripe = self.keyspace.stripes.lock(index);
            stripe.set_interest(self.keyspace.is_interesting(index));
            stripe.unlock_unchanged();
        }
        self.own_stale.push(Stale::All);
        self.note(0, b"", What::Flushed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expiry, Herald, New, Notice};
    use super::*;
    use crate::clock::Clock;
    use std::sync::Arc;

    #[derive(Default)]
    struct Listener(Mutex<Vec<(String, What)>>);

    impl Herald for Arc<Listener> {
        fn tell(&self, _: u64, notices: &mut Vec<Notice>) -> u64 {
            let name = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
            self.0.lock().extend(notices.drain(..).map(|n| (name(&n.key), n.what)));
            1
        }

        fn rouse(&self, _: u64) {}

        fn is_here(&self, reader: u64) -> bool {
            reader > 100
        }
    }

    fn with(f: impl FnOnce(&mut Access<'_>, &dyn Fn() -> Vec<(String, What)>)) {
        let keyspace = Keyspace::new(2, 1, Arc::new(Clock::new()));
        let listener = Arc::new(Listener::default());
        assert!(keyspace.appoint(Box::new(Arc::clone(&listener))));
        let mut local = keyspace.sit();
        keyspace.gate.enter(local.seat);
        let pin = crate::sync::pin();
        let mut access = Access::new(&keyspace, &mut local, &pin, 0);
        access.actor = 7;
        f(&mut access, &|| std::mem::take(&mut *listener.0.lock()));
        keyspace.gate.leave(0);
    }

    fn set(access: &mut Access<'_>, key: &[u8], expiry: Expiry) {
        access.write(Key::new(key)).set(New::Int(1), expiry);
    }

    fn interesting(access: &Access<'_>, key: &[u8]) -> bool {
        access.keyspace.stripes.of(Key::new(key).hash).load().has_interest()
    }

    #[test]
    fn readers_hear_of_one_change_and_of_no_other_key() {
        with(|access, told| {
            let k = Key::new(b"k");
            for reader in [9, 8, 7, 8] {
                access.track(k, reader);
            }
            assert_eq!(access.keyspace.tracked(), (1, 3));
            (0..50_000).for_each(|i| set(access, i.to_string().as_bytes(), Expiry::Never));
            assert_eq!(told(), []);
            set(access, b"k", Expiry::Never);
            assert_eq!(told(), [("k".into(), What::Stale(vec![8, 9]))]);
            assert_eq!(access.own_stale, [Stale::Key(b"k".as_slice().into(), true)]);
            set(access, b"k", Expiry::Never);
            assert_eq!((told(), access.own_stale.len()), (vec![], 1));
            assert!(!interesting(access, b"k") && access.keyspace.tracked() == (0, 0));
        });
    }

    #[test]
    fn steps_tell_at_their_end_and_time_is_a_change() {
        with(|access, told| {
            let keys = [Key::new(b"a"), Key::new(b"b")];
            let over = Expiry::At(access.now + 10);
            set(access, b"a", over);
            access.hold(&keys, |access| {
                keys.iter().for_each(|key| access.track(*key, 8));
                access.track(Key::new(b"elsewhere"), 7);
                set(access, b"b", Expiry::Never);
                access.now += 100;
                assert!(access.peek(keys[0]).is_none());
                assert_eq!(told(), []);
            });
            let stale = |key: &str| (key.to_owned(), What::Stale(vec![8]));
            assert_eq!(told(), [stale("b"), stale("a")]);
            let early = Stale::Key(b"elsewhere".as_slice().into(), false);
            assert_eq!(access.own_stale, [early], "it could not be entered");
        });
    }

    #[test]
    fn too_many_keys_go_and_flushed_ones() {
        with(|access, told| {
            access.keyspace.want(Wants::FLUSHED, true);
            for i in 0..100 {
                access.track(Key::new(format!("{i}").as_bytes()), 8);
            }
            access.untrack(30);
            assert_eq!((told().len(), access.keyspace.tracked()), (30, (70, 70)));
            assert!(access.flush(0..1));
            assert_eq!((told().len(), access.keyspace.tracked()), (1, (0, 0)));
            assert_eq!(access.own_stale, [Stale::All]);
            assert!(!(0..100).any(|i| interesting(access, i.to_string().as_bytes())));
        });
    }

    #[test]
    fn readers_that_left_do_not_pile_up() {
        with(|access, _| {
            (1..=100).for_each(|reader| access.track(Key::new(b"hot"), reader));
            (101..=10_000).for_each(|reader| access.track(Key::new(b"hot"), reader));
            assert_eq!(access.keyspace.tracked(), (1, 9_900));
        });
    }
}

//! Keys that somebody waits for: who is served next when one of them gets a value.
//!
//! As for watched keys (`watch`) the waiters of a key stand in a list by stripe, and the stripe's
//! INTEREST bit says whether there is one, so a write that nobody waits for pays one test.
//!
//! - **B1** The list of a stripe changes only under that stripe (or alone in the keyspace). A waiter
//!   joins the lists of all its keys under all their stripes, after it found nothing there: whoever
//!   changes one of them afterwards sees it.
//! - **B2** A change of a key with waiters is noted in the changing thread's `ready` list before the
//!   stripe is given back; that thread serves them, the longest waiting first. Usually it still holds
//!   the stripe then, so nobody who came later can take what they wait for.
//! - **B3** A waiter is served once: whoever serves it claims it first ([`Waiter::claim`]), and who ends
//!   it for another reason (time, CLIENT UNBLOCK, a closed connection) does so by the same word.
//!   A claim that finds nothing to serve is given back; it is held only while the claimer looks, and
//!   takes no lock meanwhile, so others may wait for it ([`Waiter::claim`] does).

use super::access::{Access, Key};
use super::keyspace::Keyspace;
use super::reserve::{Leaver, Leaves};
use crate::sync::{AtomicU8, AtomicUsize, Backoff, Ordering};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
const SERVED: u8 = 2;
const ENDED: u8 = 3;

/// Somebody who waits for keys of one database.
#[derive(Debug)]
pub struct Waiter {
    state: AtomicU8,
    /// The database.
    pub db: usize,
    /// Keys beside those waited for that serving it writes to.
    pub needs: Box<[Box<[u8]>]>,
    /// What its owner knows it by.
    pub what: Box<dyn Any + Send + Sync>,
}

impl Waiter {
    /// One that waits from now on.
    pub fn new(db: usize, needs: &[Key<'_>], what: Box<dyn Any + Send + Sync>) -> Self {
        let needs = needs.iter().map(|key| key.bytes.into()).collect();
        Self { state: AtomicU8::new(WAITING), db, needs, what }
    }

    fn swap(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Leaves WAITING for `to`, unless it ended otherwise; waits for who is just looking (B3).
    fn leave(&self, to: u8) -> Result<u8, u8> {
        let mut backoff = Backoff::default();
        loop {
            match self.swap(WAITING, to) {
                Err(CLAIMED) => backoff.wait(),
                other => return other,
            }
        }
    }

    /// Claims it to be served by the caller; false if it no longer waits. To be followed by
    /// [`Waiter::served`] or [`Waiter::unclaim`] before any lock is taken.
    pub fn claim(&self) -> bool {
        self.leave(CLAIMED).is_ok()
    }

    /// There was nothing for it: it waits on.
    pub fn unclaim(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// It was served.
    pub fn served(&self) {
        self.state.store(SERVED, Ordering::Release);
    }

    /// Ends its wait without serving it; false if it was served already.
    pub fn end(&self) -> bool {
        !matches!(self.leave(ENDED), Err(SERVED))
    }

    /// Whether its wait was ended without serving it.
    pub fn is_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }
}

/// A key that changed while somebody waited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
}

struct Awaited {
    db: usize,
    key: Box<[u8]>,
    queue: VecDeque<Arc<Waiter>>,
}

type Shard = Mutex<HashMap<usize, Vec<Awaited>>>;

/// Stripes share that many locks; none is held for more than a look-up.
const SHARDS: usize = 64;

/// All waiters of a keyspace, by stripe.
pub(super) struct Waits {
    shards: Box<[Shard]>,
    count: AtomicUsize,
}

impl Default for Waits {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), count: AtomicUsize::new(0) }
    }
}

impl Waits {
    fn shard(&self, stripe: usize) -> &Shard {
        &self.shards[stripe % SHARDS]
    }

    /// Calls `f` with the queue of a key, if it has one. The caller holds the stripe (B1).
    fn with<T>(
        &self,
        stripe: usize,
        (db, key): (usize, &[u8]),
        f: impl FnOnce(&mut VecDeque<Arc<Waiter>>) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(stripe).lock();
        let list = shard.get_mut(&stripe)?;
        let at = list.iter().position(|other| other.db == db && *other.key == *key)?;
        let value = f(&mut list[at].queue);
        if list[at].queue.is_empty() {
            list.swap_remove(at);
            if list.is_empty() {
                shard.remove(&stripe);
            }
        }
        Some(value)
    }

    /// Takes a waiter out of the line of a key, if it stands there. The caller holds the stripe.
    pub(super) fn remove(&self, stripe: usize, db: usize, key: &[u8], waiter: &Arc<Waiter>) {
        self.with(stripe, (db, key), |queue| {
            // Whoever served it has taken it from the queue of that key.
            if let Some(at) = queue.iter().position(|other| Arc::ptr_eq(other, waiter)) {
                queue.remove(at);
            }
        });
    }

    fn add(&self, stripe: usize, db: usize, key: &[u8], waiter: Arc<Waiter>) {
        let mut shard = self.shard(stripe).lock();
        let list = shard.entry(stripe).or_default();
        match list.iter_mut().find(|other| other.db == db && *other.key == *key) {
            Some(awaited) => awaited.queue.push_back(waiter),
            None => list.push(Awaited { db, key: key.into(), queue: VecDeque::from([waiter]) }),
        }
    }

    /// Whether anybody waits under the stripe, which the caller holds.
    pub(super) fn any(&self, stripe: usize) -> bool {
        self.shard(stripe).lock().contains_key(&stripe)
    }

    /// Whether anybody waits for the key. The caller holds its stripe.
    pub(super) fn is_awaited(&self, stripe: usize, db: usize, key: &[u8]) -> bool {
        self.with(stripe, (db, key), |_| ()).is_some()
    }

    /// All keys of `dbs` that somebody waits for. In exclusive mode.
    pub(super) fn all(&self, dbs: &[usize]) -> Vec<Ready> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let here = shard.values().flatten().filter(|awaited| dbs.contains(&awaited.db));
            found.extend(here.map(|awaited| Ready { db: awaited.db, key: awaited.key.clone() }));
        }
        found
    }
}

/// A place in the queues of some keys, given up when this is dropped.
pub struct Waiting {
    keyspace: Arc<Keyspace>,
    waiter: Arc<Waiter>,
    keys: Box<[(u64, Box<[u8]>)]>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Waiting {
    /// The waiter.
    pub const fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// Bytes that this takes, here and in the keyspace.
    pub fn memory(&self) -> usize {
        let keys: usize = self.keys.iter().map(|(_, key)| 2 * key.len() + 96).sum();
        size_of::<Self>() + size_of::<Waiter>() + keys
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiter.end();
        for (hash, key) in &self.keys {
            let index = self.keyspace.stripes.index(*hash);
            let (db, key, leaves) =
                (self.waiter.db, key.clone(), Leaves::Line(Arc::clone(&self.waiter)));
            self.keyspace.leave(Leaver { index, db, key, leaves });
        }
        self.keyspace.waits.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Keyspace {
    /// Whether anybody waits for any key.
    pub fn has_waiters(&self) -> bool {
        self.waits.count.load(Ordering::Acquire) > 0
    }

    /// Whether INTEREST must stand on a stripe, which the caller holds.
    pub(super) fn is_interesting(&self, stripe: usize) -> bool {
        self.watches.any(stripe) || self.waits.any(stripe) || self.tracked.any(stripe)
    }
}

impl Access<'_> {
    /// Lets `waiter` wait for `keys`, whose stripes are held, as their last in line.
    pub fn wait(&mut self, keyspace: &Arc<Keyspace>, keys: &[Key<'_>], waiter: Waiter) -> Waiting {
        let (stripes, waits, waiter) = (&keyspace.stripes, &keyspace.waits, Arc::new(waiter));
        waits.count.fetch_add(1, Ordering::AcqRel);
        for key in keys {
            assert!(self.holds(key.hash), "B1");
            // Once in a line is enough, however often a client names the key.
            let known = |queue: &mut VecDeque<Arc<Waiter>>| {
                queue.back().is_some_and(|last| Arc::ptr_eq(last, &waiter))
            };
            let index = stripes.index(key.hash);
            if waits.with(index, (waiter.db, key.bytes), known) == Some(true) {
                continue;
            }
            waits.add(index, waiter.db, key.bytes, Arc::clone(&waiter));
            stripes.of(key.hash).set_interest(true);
        }
        let keys = keys.iter().map(|key| (key.hash, key.bytes.into())).collect();
        Waiting { keyspace: Arc::clone(keyspace), waiter, keys }
    }

    /// The `nth` waiter of a key whose stripe is held.
    pub fn waiter(&self, db: usize, key: Key<'_>, nth: usize) -> Option<Arc<Waiter>> {
        let index = self.keyspace.stripes.index(key.hash);
        self.keyspace.waits.with(index, (db, key.bytes), |queue| queue.get(nth).cloned())?
    }

    /// Takes the `nth` waiter of a key, which was served, out of its line.
    pub fn unqueue(&self, db: usize, key: Key<'_>, nth: usize) {
        let index = self.keyspace.stripes.index(key.hash);
        self.keyspace.waits.with(index, (db, key.bytes), |queue| queue.remove(nth));
    }

    /// Keys that serving the waiters of `keys` would write to and whose stripes are not held.
    pub fn needed_beyond(&self, keys: &[Key<'_>]) -> Vec<Box<[u8]>> {
        if self.is_alone() || !self.keyspace.has_waiters() {
            return Vec::new();
        }
        let mut beyond = Vec::new();
        for key in keys {
            let stripe = self.keyspace.stripes.index(key.hash);
            let shard = self.keyspace.waits.shard(stripe).lock();
            let here = shard.get(&stripe).into_iter().flatten();
            let queued = here.filter(|awaited| *awaited.key == *key.bytes).flat_map(|a| &a.queue);
            beyond.extend(queued.flat_map(|waiter| waiter.needs.iter()).cloned());
        }
        beyond.retain(|key| !self.holds(Key::new(key).hash));
        beyond
    }

    /// Whether all that serving `waiter` writes to is held.
    pub fn holds_needs(&self, waiter: &Waiter) -> bool {
        self.is_alone() || waiter.needs.iter().all(|key| self.holds(Key::new(key).hash))
    }

    /// Whether somebody may be interested in changes of a key: a hint, without its stripe.
    #[inline(always)]
    pub fn may_interest(&self, hash: u64) -> bool {
        self.keyspace.stripes.of(hash).load().has_interest()
    }

    /// Whether what this thread does is one step for everybody else.
    pub fn is_in_step(&self) -> bool {
        self.held.is_some() || self.is_alone()
    }

    /// Whether nobody else is in the keyspace.
    pub fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// Whether this thread changed keys that somebody waits for and that were not looked at yet (B2).
    #[inline(always)]
    pub fn has_ready(&self) -> bool {
        !self.local.ready.is_empty()
    }

    /// The first of those keys.
    pub fn next_ready(&mut self) -> Option<Ready> {
        self.local.ready.pop_front()
    }

    /// A key is to be looked at once more.
    pub fn note_ready(&mut self, ready: Ready) {
        if !self.local.ready.contains(&ready) {
            self.local.ready.push_back(ready);
        }
    }

    /// A key changed; the caller holds its stripe (B2).
    pub(super) fn note_change(&mut self, db: usize, key: Key<'_>) {
        let stripe = self.keyspace.stripes.index(key.hash);
        if self.keyspace.waits.is_awaited(stripe, db, key.bytes) {
            self.note_ready(Ready { db, key: key.bytes.into() });
        }
    }

    /// Databases were exchanged or emptied: all that is waited for in them must be looked at.
    pub(super) fn note_all(&mut self, dbs: &[usize]) {
        if self.keyspace.has_waiters() {
            for ready in self.keyspace.waits.all(dbs) {
                self.note_ready(ready);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Expiry, New};
    use super::*;
    use crate::clock::Clock;

    fn with(f: impl FnOnce(&Arc<Keyspace>, &mut Access<'_>)) {
        let keyspace = Arc::new(Keyspace::new(2, 1, Arc::new(Clock::new())));
        let mut local = keyspace.sit();
        keyspace.gate.enter(local.seat);
        let pin = crate::sync::pin();
        f(&keyspace, &mut Access::new(&keyspace, &mut local, &pin, 0));
        keyspace.gate.leave(0);
    }

    fn join(keyspace: &Arc<Keyspace>, access: &mut Access<'_>, keys: &[&[u8]]) -> Waiting {
        let keys: Vec<Key<'_>> = keys.iter().map(|key| Key::new(key)).collect();
        access.hold(&keys, |access| {
            access.wait(keyspace, &keys, Waiter::new(0, &[], Box::new(keys.len())))
        })
    }

    fn set(access: &mut Access<'_>, name: &[u8]) {
        access.write(Key::new(name)).set(New::Int(1), Expiry::Never);
    }

    #[test]
    fn a_change_of_an_awaited_key_is_noted_and_no_other() {
        with(|keyspace, access| {
            set(access, b"a");
            assert!(!access.has_ready() && !access.may_interest(Key::new(b"a").hash));
            let first = join(keyspace, access, &[b"a", b"b", b"a"]);
            let second = join(keyspace, access, &[b"b"]);
            set(access, b"c");
            assert!(!access.has_ready());
            set(access, b"b");
            set(access, b"b");
            set(access, b"a");
            let ready = |key: &[u8]| Some(Ready { db: 0, key: key.into() });
            assert_eq!((access.next_ready(), access.next_ready()), (ready(b"b"), ready(b"a")));
            assert_eq!(access.next_ready(), None);

            let b = Key::new(b"b");
            let at = |access: &mut Access<'_>, nth| access.hold(&[b], |a| a.waiter(0, b, nth));
            assert!(Arc::ptr_eq(&at(access, 0).unwrap(), first.waiter()));
            assert!(Arc::ptr_eq(&at(access, 1).unwrap(), second.waiter()));
            drop(first);
            assert!(Arc::ptr_eq(&at(access, 0).unwrap(), second.waiter()));
            assert!(access.flush(0..2));
            assert_eq!((access.next_ready(), access.next_ready()), (ready(b"b"), None));
            drop(second);
            assert!(!keyspace.has_waiters() && !access.may_interest(b.hash));
            set(access, b"b");
            assert!(!access.has_ready());
        });
    }

    #[test]
    fn a_wait_ends_in_one_way() {
        let waiter = Waiter::new(0, &[], Box::new(()));
        assert!(waiter.claim());
        waiter.unclaim();
        assert!(waiter.claim());
        waiter.served();
        assert!(!waiter.claim() && !waiter.end() && !waiter.is_ended());
        let waiter = Waiter::new(0, &[], Box::new(()));
        assert!(waiter.end() && waiter.end() && waiter.is_ended() && !waiter.claim());
    }
}

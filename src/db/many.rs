//! Several keys at once: all their stripes, in ascending order.
//!
//! While thousands of keys are held, everybody else waits, so that work is kept short: which stripes
//! there are is found out before the first is taken, whether one is held is a bit to look at, and the
//! lines of a key are asked for while keys before it are worked on ([`Access::each`]).

use super::access::{Access, Key};
use crate::sync::stripe::Stripes;
use std::mem::ManuallyDrop;

/// Stripes that this thread holds, sorted, with the number that its writes get.
#[derive(Debug)]
pub(super) struct Held {
    stripes: Vec<u32>,
    /// The same as a bit each, when there are many.
    bits: Box<[u64]>,
    pub(super) number: u64,
    changed: bool,
    unsettled: bool,
    /// They are held for long (W7).
    pub(super) reserved: bool,
}

/// From this many keys on, held stripes are remembered as bits: 2 KiB.
const MANY: usize = 128;
/// How many keys ahead [`Access::each`] asks for buckets, and for entries.
const BUCKETS_AHEAD: usize = 16;
const ENTRIES_AHEAD: usize = 8;

impl Held {
    /// `room` is an empty list that is not needed any more.
    pub(super) fn lock(
        stripes: &Stripes,
        keys: &[Key<'_>],
        clock: u64,
        mut room: Vec<u32>,
    ) -> Self {
        let indexes = keys.iter().map(|key| stripes.index(key.hash) as u32);
        let (indexes, bits) = if keys.len() < MANY {
            room.extend(indexes);
            let mut indexes = room;
            indexes.sort_unstable();
            indexes.dedup();
            (indexes, Box::default())
        } else {
            let mut bits = vec![0u64; stripes.count().div_ceil(64)].into_boxed_slice();
            indexes.for_each(|index| bits[index as usize / 64] |= 1 << (index % 64));
            let is_set = |index: &u32| bits[*index as usize / 64] >> (index % 64) & 1 == 1;
            ((0..stripes.count() as u32).filter(is_set).collect(), bits)
        };
        let mut number = clock;
        for &index in &indexes {
            let stripe = stripes.lock(index as usize); // W4
            number = number.max(stripe.load().number());
        }
        let (changed, unsettled, reserved) = (false, false, false);
        Self { stripes: indexes, bits, number: number + 1, changed, unsettled, reserved }
    }

    /// Marks all as held for long. Nobody else is seated.
    pub(super) fn reserve(&mut self, stripes: &Stripes) {
        self.reserved = true;
        self.stripes.iter().for_each(|&index| stripes.at(index as usize).reserve());
    }

    /// Takes one more, which is free. Nobody else is seated.
    pub(super) fn add(&mut self, stripes: &Stripes, index: usize) {
        let Err(at) = self.stripes.binary_search(&(index as u32)) else { return };
        let stripe = stripes.lock(index);
        stripe.reserve();
        if self.unsettled {
            stripe.unsettle();
        }
        self.number = self.number.max(stripe.load().number() + 1);
        self.stripes.insert(at, index as u32);
        if let Some(bits) = self.bits.get_mut(index / 64) {
            *bits |= 1 << (index % 64);
        }
    }

    #[inline]
    fn has(&self, index: u32) -> bool {
        match self.bits.get(index as usize / 64) {
            Some(bits) => bits >> (index % 64) & 1 == 1,
            None => self.stripes.binary_search(&index).is_ok(),
        }
    }

    /// Before the first of several changes: lock-free readers wait from here on (W3).
    fn unsettle(&mut self, stripes: &Stripes) {
        if !self.unsettled {
            self.unsettled = true;
            self.stripes.iter().for_each(|&index| stripes.at(index as usize).unsettle());
        }
    }

    /// Returns the list for the next that are locked.
    pub(super) fn release(mut self, stripes: &Stripes) -> Vec<u32> {
        for index in self.stripes.drain(..) {
            let stripe = stripes.at(index as usize);
            if self.changed || self.unsettled {
                stripe.unlock(self.number);
            } else {
                stripe.unlock_unchanged();
            }
        }
        if self.stripes.capacity() > MANY { Vec::new() } else { self.stripes }
    }
}

impl<'a> Access<'a> {
    /// Whether this thread holds the stripe of `hash` for a longer piece of work.
    #[inline]
    pub fn holds(&self, hash: u64) -> bool {
        let index = self.keyspace.stripes.index(hash) as u32;
        self.held.as_ref().is_some_and(|held| held.has(index))
    }

    /// What was read under the stripes counts as seen, whether or not it was changed.
    pub(super) fn follow(&mut self, held: &Held) {
        let seen = held.number - u64::from(!held.changed);
        self.local.clock = self.local.clock.max(seen);
    }

    /// A change is about to be made under a held stripe: everything held becomes unsettled.
    #[inline]
    pub(super) fn about_to_change(&mut self) {
        if let Some(held) = &mut self.held {
            held.changed = true;
            held.unsettle(&self.keyspace.stripes);
        }
    }

    /// Calls `f` with each of `keys` and its place among them, in order, until it returns false; what
    /// a look-up needs is on its way by then. Returns whether it never did.
    pub fn each<'k>(
        &mut self,
        keys: &[Key<'k>],
        mut f: impl FnMut(&mut Self, usize, Key<'k>) -> bool,
    ) -> bool {
        keys.iter().take(BUCKETS_AHEAD).for_each(|key| self.prefetch(key.hash));
        keys.iter().take(ENTRIES_AHEAD).for_each(|key| self.prefetch_entry(key.hash));
        keys.iter().enumerate().all(|(i, key)| {
            if let Some(ahead) = keys.get(i + BUCKETS_AHEAD) {
                self.prefetch(ahead.hash);
            }
            if let Some(ahead) = keys.get(i + ENTRIES_AHEAD) {
                self.prefetch_entry(ahead.hash);
            }
            f(self, i, *key)
        })
    }

    /// Calls `is` with each of `keys`, as [`Access::each`] does, and counts for how many it is true.
    pub fn count<'k>(
        &mut self,
        keys: &[Key<'k>],
        mut is: impl FnMut(&mut Self, Key<'k>) -> bool,
    ) -> usize {
        let mut count = 0;
        self.each(keys, |access, _, key| {
            count += usize::from(is(access, key));
            true
        });
        count
    }

    /// Runs `f` while all stripes of `keys` are held, so that what it reads and writes of them is
    /// one step for everybody else. Inside, the usual doors work without locking. Keys beyond
    /// `keys` must not be written: taking their stripes out of order could wait in a circle.
    pub fn hold<T>(&mut self, keys: &[Key<'_>], f: impl FnOnce(&mut Self) -> T) -> T {
        if self.held.is_some() {
            debug_assert!(keys.iter().all(|key| self.holds(key.hash)), "nested, but not within");
            return f(self);
        }
        let _always = self.seize(Some(keys));
        let held = Release(self);
        let value = f(held.0);
        drop(held);
        self.settle_drift();
        value
    }

    /// The beginning of [`Access::hold`] for work that needs more than a closure can have; without
    /// `keys` nobody else is in the keyspace meanwhile, and any door may be used. [`Access::let_go`]
    /// must follow, also when the work panics. False, and nothing is held, if somebody else is
    /// exclusive for long.
    #[must_use]
    pub fn seize(&mut self, keys: Option<&[Key<'_>]>) -> bool {
        assert!(self.held.is_none(), "what is held must be given back first");
        match keys {
            Some(keys) => {
                let (clock, room) = (self.local.clock, std::mem::take(&mut self.local.room));
                self.held = Some(Held::lock(&self.keyspace.stripes, keys, clock, room));
            }
            None => {
                assert!(self.alone.is_none(), "alone once is alone");
                self.alone = self.try_alone().map(ManuallyDrop::new);
                return self.alone.is_some();
            }
        }
        true
    }

    /// The end of what [`Access::seize`] or [`Access::reserve`] began.
    pub fn let_go(&mut self) {
        let reserved = self.held.as_ref().is_some_and(|held| held.reserved);
        if reserved {
            self.sit(); // a panic may have come while it rested
        }
        let mut reserved_all = false;
        if let Some(alone) = self.alone.take() {
            reserved_all = self.has_token();
            self.deliver();
            drop(ManuallyDrop::into_inner(alone));
            self.rouse();
        }
        if self.held.is_some() {
            drop(Release(self));
            if reserved {
                self.keyspace.unreserve();
            }
            self.settle_drift();
        }
        if reserved || reserved_all {
            self.end_reservation();
        }
    }
}

/// Gives back what [`Access::hold`] took, also when the work panics: a stripe that stayed locked
/// would stop every other thread for ever.
struct Release<'h, 'a>(&'h mut Access<'a>);

impl Drop for Release<'_, '_> {
    fn drop(&mut self) {
        if let Some(held) = self.0.held.take() {
            self.0.follow(&held);
            self.0.deliver(); // N1
            self.0.local.room = held.release(&self.0.keyspace.stripes);
            if self.0.wake != 0 {
                self.0.rouse();
            }
        }
    }
}

//! Several keys at once: all their stripes, in ascending order.

use super::access::{Access, Key};
use crate::sync::stripe::Stripes;

/// Stripes that this thread holds, sorted, with the number that its writes get.
#[derive(Debug)]
pub(super) struct Held {
    stripes: Vec<u32>,
    pub(super) number: u64,
    changed: bool,
    unsettled: bool,
}

impl Held {
    fn lock(stripes: &Stripes, keys: &[Key<'_>], clock: u64) -> Self {
        let mut indexes: Vec<u32> = keys.iter().map(|key| stripes.index(key.hash) as u32).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let mut number = clock;
        for &index in &indexes {
            let stripe = stripes.at(index as usize); // W4
            stripe.lock();
            number = number.max(stripe.load().number());
        }
        Self { stripes: indexes, number: number + 1, changed: false, unsettled: false }
    }

    /// Before the first of several changes: lock-free readers wait from here on (W3).
    fn unsettle(&mut self, stripes: &Stripes) {
        if !self.unsettled {
            self.unsettled = true;
            self.stripes.iter().for_each(|&index| stripes.at(index as usize).unsettle());
        }
    }

    fn release(self, stripes: &Stripes) {
        for index in self.stripes {
            let stripe = stripes.at(index as usize);
            if self.changed || self.unsettled {
                stripe.unlock(self.number);
            } else {
                stripe.unlock_unchanged();
            }
        }
    }
}

impl<'a> Access<'a> {
    /// Whether this thread holds the stripe of `hash` for a longer piece of work.
    #[inline]
    pub(super) fn holds(&self, hash: u64) -> bool {
        let index = self.keyspace.stripes.index(hash) as u32;
        self.held.as_ref().is_some_and(|held| held.stripes.binary_search(&index).is_ok())
    }

    /// A change is about to be made under a held stripe: everything held becomes unsettled.
    #[inline]
    pub(super) fn about_to_change(&mut self) {
        if let Some(held) = &mut self.held {
            held.changed = true;
            held.unsettle(&self.keyspace.stripes);
        }
    }

    /// Runs `f` while all stripes of `keys` are held, so that what it reads and writes of them is
    /// one step for everybody else. Inside, the usual doors work without locking. Keys beyond
    /// `keys` must not be written: taking their stripes out of order could wait in a circle.
    pub fn hold<T>(&mut self, keys: &[Key<'_>], f: impl FnOnce(&mut Self) -> T) -> T {
        if self.held.is_some() {
            debug_assert!(keys.iter().all(|key| self.holds(key.hash)), "nested, but not within");
            return f(self);
        }
        self.held = Some(Held::lock(&self.keyspace.stripes, keys, self.local.clock));
        let held = Release(self);
        let value = f(held.0);
        drop(held);
        self.settle_drift();
        value
    }
}

/// Gives back what [`Access::hold`] took, also when the work panics: a stripe that stayed locked
/// would stop every other thread for ever.
struct Release<'h, 'a>(&'h mut Access<'a>);

impl Drop for Release<'_, '_> {
    fn drop(&mut self) {
        if let Some(held) = self.0.held.take() {
            // What was read under the stripes counts as seen, whether or not it was changed.
            let seen = held.number - u64::from(!held.changed);
            self.0.local.clock = self.0.local.clock.max(seen);
            held.release(&self.0.keyspace.stripes);
        }
    }
}

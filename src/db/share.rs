//! Single elements of a large collection, worked on by several threads at once.
//!
//! Some objects are made of parts, each with a lock of its own ([`Object::is_shareable`]): commands on
//! fields in two parts of a hash need not wait for each other. Such a command announces the key's
//! stripe instead of taking it ([`crate::sync::stripe`], W5) and gets a [`Shared`]; whatever concerns
//! the key or the collection as a whole takes the stripe, and so waits for it and has the object alone.
//!
//! What a shared change does not do, and why nobody misses it:
//! - Watchers, waiters and trackers are not told: with INTEREST on the stripe sharing is refused, and
//!   whoever sets that waits for those who share. The same with [`Wants::CHANGED`]; and a command that
//!   is to tell an event holds its stripes.
//! - The log is not told either: while it is on ([`Wants::LOGGED`]) nothing is shared. It is turned on in
//!   exclusive mode, when nobody shares.
//! - The stripe's number stays: whoever reads several keys at one instant and meets a stripe with
//!   shared values takes the stripes ([`Access::read_many`]). But the change has a number, given
//!   under the lock of the part: one order for each element, the only one in which two such changes do
//!   not commute.
//! - It does not remove or replace the key, or anything else that is not about one element: `f`
//!   refuses what would, and the command is done again under the stripe.
//!
//! With one worker nothing is ever shared, and a command pays for the look at one flag.

use super::access::{Access, Key};
use super::outbox::Wants;
use crate::types::object::{Object, Shared, Type};

/// Several threads have references to one.
const _: () = {
    const fn shared<T: Sync>() {}
    shared::<Object>();
};

impl Access<'_> {
    /// Runs `f` on the object of `key` while other threads may do the same; none if that cannot be
    /// (no such object, or not shareable, or the stripe is wanted whole) or if `f` returns none. The
    /// command must then be done under the stripe. `f` must take no stripe, nor more than one element
    /// at a time.
    #[inline]
    pub fn share<T>(
        &mut self,
        key: Key<'_>,
        kind: Type,
        f: impl FnOnce(&Shared<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.keyspace.sharing { self.try_share(key, Some(kind), f) } else { None }
    }

    /// The same, whatever type of object it is.
    #[inline]
    pub(super) fn share_any(&mut self, key: Key<'_>, f: impl FnOnce(&Shared<'_>)) {
        self.try_share(key, None, |shared| {
            f(shared);
            Some(())
        });
    }

    fn try_share<T>(
        &mut self,
        key: Key<'_>,
        kind: Option<Type>,
        f: impl FnOnce(&Shared<'_>) -> Option<T>,
    ) -> Option<T> {
        let keyspace = self.keyspace;
        let index = keyspace.stripes.index(key.hash);
        if !keyspace.stripes.at(index).load().is_shared()
            || self.is_in_step()
            || self.frozen
            || keyspace.wants(Wants::CHANGED | Wants::LOGGED)
        {
            return None;
        }
        let table = keyspace.table(self.db, self.pin)?;
        let announced = keyspace.stripes.share(index, self.local.seat)?;
        let clock = self.local.clock;
        // A hit is one: whoever would remove the entry must take the stripe, and wait for us. A miss
        // need not be one, as buckets may be split meanwhile; under the stripe we shall know.
        let entry = table.place(key.hash, key.bytes, self.pin)?.record();
        if kind.is_some_and(|kind| entry.type_of() != kind) || entry.is_expired(self.now) {
            return None;
        }
        if keyspace.snapshots.is_running() && !keyspace.snapshots.has(entry) {
            return None; // who changes it first hands it over whole
        }
        let (value, clock, changed) = super::write::lend(entry, &announced, clock, |shared| {
            let value = f(shared);
            (value, shared.shares().clock(), shared.shares().has_changed())
        })?;
        announced.leave(clock);
        drop(announced);
        self.local.clock = clock;
        if changed {
            self.local.counters.add_changes(1);
            self.touch(entry);
        }
        value
    }
}

impl super::Write<'_, '_> {
    /// Lets the next commands share the object, if they can.
    #[inline]
    pub(super) fn offer(&self) {
        if self.shares() && self.peek_object().is_some_and(Object::is_shareable) {
            self.set_shared();
        }
    }
}

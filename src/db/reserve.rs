//! Stripes that are held for long, by scripts.
//!
//! Who takes a stripe for a command lets others spin: it is over at once. A script may run for as long
//! as it likes, so others must not begin what would wait for it, and it may come upon keys that it did not
//! name. It *reserves* its stripes:
//!
//! - **Q1** Stripes become reserved in a [moment](crate::sync::gate::Gate::moment) in which nobody else is
//!   seated. So a seated thread that looks at a stripe, and finds it not reserved, will find it so
//!   until it gets up: to look once, before anything is done, is enough.
//! - **Q2** No seated thread waits for a reserved stripe. Commands that would are not begun; whoever has
//!   other business under one (the sweeper, eviction, growth of a table) leaves it for later, and who
//!   wants out of a list of that stripe is noted down ([`Keyspace::leave`]).
//! - **Q3** A script with reserved stripes is seated only while it runs one of its commands: there may be
//!   other moments meanwhile, in one of which it may reserve more ([`Access::extend`]).
//! - **Q4** Nobody is exclusive while anything is reserved.
//! - **Q5** Who finds what it wants reserved by somebody else waits while it holds stripes only if it has
//!   the one *token*; others give everything back first. Who has the token never finds a stripe that is
//!   held by somebody who waits while it holds: so nobody waits in a circle.

use super::access::{Access, Key};
use super::keyspace::Keyspace;
use super::many::Held;
use super::wait::Waiter;
use super::watch::Watcher;
use crate::sync::gate::Exclusive;
use crate::sync::{AtomicI64, AtomicU32, Ordering};
use parking_lot::Mutex;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// What came of an attempt to reserve stripes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// They are held.
    Held,
    /// One of them is somebody else's: nothing is held.
    Taken,
    /// Somebody waits until nothing is reserved any more: nothing is held.
    Closed,
    /// Somebody is exclusive for long; this thread has no seat any more.
    Outside,
}

/// Somebody who is to leave a list of a stripe.
pub(super) struct Leaver {
    pub index: usize,
    pub db: usize,
    pub key: Box<[u8]>,
    pub leaves: Leaves,
}

/// Which list, and who.
pub(super) enum Leaves {
    /// Those who watch a key.
    Watch(Arc<dyn Watcher>),
    /// Those in line for it.
    Line(Arc<Waiter>),
}

/// See [`Keyspace::leave`] and [`Access::try_token`].
#[derive(Default)]
pub(super) struct Reservations {
    /// Makes one of a change of their count and what the herald is told of it.
    count: Mutex<()>,
    leavers: Mutex<Vec<Leaver>>,
    /// The seat of who has the token, plus one; or 0 (Q5).
    token: AtomicU32,
    /// Until then (Unix milliseconds) nobody else reserves anything.
    closed_until: AtomicI64,
}

impl Keyspace {
    /// Takes somebody out of a list of a stripe, or sees to it that this is done when the stripe is no
    /// longer reserved. May be called without a seat.
    pub(super) fn leave(&self, leaver: Leaver) {
        let index = leaver.index;
        let Some(leaver) = self.try_leave(leaver) else { return };
        self.reservations.leavers.lock().push(leaver);
        if !self.stripes.at(index).load().is_reserved() {
            self.leave_all(); // given back meanwhile, perhaps before this was noted
        }
    }

    /// The leaver again, if its stripe is reserved.
    fn try_leave(&self, leaver: Leaver) -> Option<Leaver> {
        let Leaver { index, db, ref key, ref leaves } = leaver;
        let Some(stripe) = self.stripes.lock_unreserved(index) else { return Some(leaver) };
        match leaves {
            Leaves::Watch(watcher) => self.watches.remove(index, db, key, watcher),
            Leaves::Line(waiter) => self.waits.remove(index, db, key, waiter),
        }
        stripe.set_interest(self.is_interesting(index));
        stripe.unlock_unchanged();
        None
    }

    fn leave_all(&self) {
        let all = std::mem::take(&mut *self.reservations.leavers.lock());
        let kept: Vec<Leaver> =
            all.into_iter().filter_map(|leaver| self.try_leave(leaver)).collect();
        if !kept.is_empty() {
            self.reservations.leavers.lock().extend(kept);
        }
    }

    fn count_reserved(&self, count: impl FnOnce() -> u32) {
        let _one = self.reservations.count.lock();
        let left = count();
        if let Some(herald) = self.herald.get() {
            herald.reserved(left > 0);
        }
    }

    /// Somebody's stripes were given back.
    pub(super) fn unreserve(&self) {
        self.count_reserved(|| self.gate.unreserve());
    }

    /// Whether any stripe is reserved.
    pub fn has_reserved(&self) -> bool {
        self.gate.reserved() > 0
    }

    /// Until `until` (Unix milliseconds) nobody reserves stripes who has none: somebody waits for all of
    /// them.
    pub fn close_reservations(&self, until: i64) {
        self.reservations.closed_until.fetch_max(until, Ordering::Relaxed);
    }
}

impl Keyspace {
    /// The end of [`Keyspace::close_reservations`].
    pub fn open_reservations(&self) {
        self.reservations.closed_until.store(0, Ordering::Relaxed);
    }
}

impl<'a> Access<'a> {
    /// Whether the stripe of `hash` is reserved.
    #[inline]
    pub fn is_reserved(&self, hash: u64) -> bool {
        self.keyspace.stripes.of(hash).load().is_reserved()
    }

    /// Whether a command on `keys`, or serving those in line for them, would wait for reserved stripes.
    pub fn meets_reserved(&self, keys: &[Key<'_>]) -> bool {
        if keys.iter().any(|key| self.is_reserved(key.hash)) {
            return true;
        }
        let (mut beyond, mut known) = (self.needed_beyond(keys), Vec::new());
        while let Some(name) = beyond.pop() {
            let key = Key::new(&name);
            if self.is_reserved(key.hash) {
                return true;
            }
            if !known.contains(&key.hash) {
                known.push(key.hash);
                beyond.extend(self.needed_beyond(&[key]));
            }
        }
        false
    }

    /// Takes the stripes of `keys`, and of what serving those in line for them needs, for long. At a point
    /// where others may run; [`Access::let_go`] must follow if it succeeds. `urgent`: although somebody
    /// waits for all stripes.
    #[must_use]
    pub fn reserve(&mut self, keys: &[Key<'_>], urgent: bool) -> Reserved {
        assert!(self.held.is_none() && self.alone.is_none(), "nothing else is held");
        let keyspace = self.keyspace;
        let Some(moment) = keyspace.gate.moment(self.local.seat) else {
            self.local.outside = true;
            return Reserved::Outside;
        };
        let closed = keyspace.reservations.closed_until.load(Ordering::Relaxed) > self.now;
        if !urgent && (closed || keyspace.gate.is_wanted()) {
            return Reserved::Closed;
        }
        if keys.iter().any(|key| self.is_reserved(key.hash)) {
            return Reserved::Taken;
        }
        let mut held = Held::lock(&keyspace.stripes, keys, self.local.clock, Vec::new());
        held.reserve(&keyspace.stripes);
        self.held = Some(held);
        keyspace.count_reserved(|| keyspace.gate.reserve(&moment));
        if !self.add_needs(keys) {
            drop(moment);
            self.let_go();
            return Reserved::Taken;
        }
        Reserved::Held
    }

    /// Within a moment: what those in line for `keys`, which are held, need besides. False if one of
    /// that is somebody else's.
    fn add_needs(&mut self, keys: &[Key<'_>]) -> bool {
        let mut beyond = self.needed_beyond(keys);
        while let Some(key) = beyond.pop() {
            let key = Key::new(&key);
            if self.holds(key.hash) {
                continue;
            }
            if self.is_reserved(key.hash) {
                return false;
            }
            self.add(key);
            beyond.extend(self.needed_beyond(&[key]));
        }
        true
    }

    fn add(&mut self, key: Key<'_>) {
        let stripes = &self.keyspace.stripes;
        if let Some(held) = &mut self.held {
            held.add(stripes, stripes.index(key.hash));
        }
    }

    /// A moment for who has reserved stripes, and so is never kept out.
    fn moment(&mut self) -> Exclusive<'a> {
        let keyspace = self.keyspace;
        let gate = &keyspace.gate;
        loop {
            if let Some(moment) = gate.moment(self.local.seat) {
                return moment;
            }
            gate.enter(self.local.seat);
        }
    }

    /// Reserves the stripes of `keys` too, and of what serving those in line for them needs. False if
    /// somebody else has one of them. This thread has no seat before and after that.
    #[must_use]
    pub fn extend(&mut self, keys: &[Key<'_>]) -> bool {
        let moment = self.moment();
        let mine = |access: &Self, key: &Key<'_>| access.holds(key.hash);
        let free = keys.iter().all(|key| mine(self, key) || !self.is_reserved(key.hash));
        let free = free && {
            keys.iter().for_each(|key| self.add(*key));
            self.add_needs(keys)
        };
        self.rest();
        drop(moment);
        free
    }

    /// Becomes alone in the keyspace, in the same step, if nobody else has reserved anything. This thread
    /// has no seat before, and has one afterwards if it is alone.
    #[must_use]
    pub fn take_all(&mut self) -> bool {
        let moment = self.moment();
        if self.keyspace.gate.reserved() > 1 {
            self.rest();
            drop(moment);
            return false;
        }
        if let Some(held) = self.held.take() {
            self.follow(&held);
            self.local.room = held.release(&self.keyspace.stripes); // who could take them stands before the gate
            self.keyspace.unreserve();
        }
        self.alone = Some(ManuallyDrop::new(moment));
        true
    }

    /// Sits down to run a command under reserved stripes (Q3).
    pub fn sit(&self) {
        self.keyspace.gate.enter(self.local.seat);
    }

    /// Gets up until the next one. Nothing that was found in the keyspace may still be in use.
    pub fn rest(&self) {
        self.keyspace.gate.leave(self.local.seat);
    }

    /// Takes the token (Q5), if nobody else has it; it goes with the stripes.
    pub fn try_token(&self) -> bool {
        let (token, own) = (&self.keyspace.reservations.token, self.local.seat as u32 + 1);
        match token.compare_exchange(0, own, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(whose) => whose == own,
        }
    }

    /// Whether this thread has the token.
    pub(super) fn has_token(&self) -> bool {
        self.keyspace.reservations.token.load(Ordering::Relaxed) == self.local.seat as u32 + 1
    }

    /// What follows when stripes that may have been reserved are free.
    pub(super) fn end_reservation(&mut self) {
        let (all, own) = (&self.keyspace.reservations, self.local.seat as u32 + 1);
        let _ = all.token.compare_exchange(own, 0, Ordering::AcqRel, Ordering::Relaxed);
        if !all.leavers.lock().is_empty() {
            self.keyspace.leave_all();
        }
        if let Some(herald) = self.keyspace.herald.get() {
            herald.unreserved();
        }
    }
}

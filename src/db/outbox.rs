//! What a step has to tell others once it is done: events of keys, messages, keys that are not what
//! they were.
//!
//! A [`Notice`] is told under the stripe of its key, so that whoever listens hears of one key in the
//! order of its changes:
//!
//! - **N1** What happens to a key is told before its stripe is given back. A step that holds several
//!   stripes, or is alone (EXEC, a script, a command while events are wanted), collects its notices and
//!   tells them all at its end, before it gives anything back: nobody hears of a step that could
//!   still be under way, and its notices are not mixed with those of others.
//! - **N2** The herald only puts letters down while stripes are held; sleepers are woken after
//!   that ([`Herald::rouse`]), as no system call may happen under a stripe.
//!
//! Which notices are wanted at all is one word of the keyspace ([`Wants`]), hardly ever written.

use super::access::Access;
use super::keyspace::Keyspace;
use crate::sync::Ordering;
use bytes::Bytes;

/// What happened to the key of a [`Notice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A command says what it did, in a class of events that means nothing here.
    Said(u32, &'static str),
    /// It was made.
    Created,
    /// A reading command did not find it.
    Missed,
    /// Its time was over; it is gone.
    Expired,
    /// Memory was needed; it is gone.
    Evicted,
    /// It is a hash, and fields of it were over; they are gone.
    FieldsOver,
    /// They were its last ones; so is the key.
    Emptied,
    /// These readers, ascending, must drop their copies of it ([`Access::track`]).
    Stale(Vec<u64>),
    /// It changed, in whatever way.
    Changed {
        /// A command did it, and not time or lack of memory.
        by_command: bool,
    },
    /// Not a key: whole databases changed.
    Flushed,
    /// Not a key but a channel: this was sent to it.
    Sent {
        /// It is a channel of a cluster's slot.
        shard: bool,
        /// What was sent.
        message: Bytes,
    },
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Database.
    pub db: usize,
    /// Key.
    pub key: Box<[u8]>,
    /// What happened.
    pub what: What,
}

/// Who passes notices on.
pub trait Herald: Send + Sync {
    /// Takes all notices. Called under the stripes of their keys: it must be quick, make no system call
    /// and not come back into the keyspace. `actor` is who caused them ([`Access::actor`]). Returns
    /// whom to [`Herald::rouse`], 0 for nobody.
    fn tell(&self, actor: u64, notices: &mut Vec<Notice>) -> u64;

    /// Wakes those that [`Herald::tell`] named; no stripe is held any more.
    fn rouse(&self, whom: u64);

    /// Whether a reader ([`Access::track`]) still exists.
    fn is_here(&self, reader: u64) -> bool;

    /// From now on stripes are reserved ([`Access::reserve`]), or none is any more.
    fn reserved(&self, _any: bool) {}

    /// Reserved stripes were given back: whoever waits for that may look again.
    fn unreserved(&self) {}
}

/// Bits of what a keyspace's herald wants to hear of beside what commands say.
#[derive(Debug, Clone, Copy)]
pub struct Wants;

impl Wants {
    /// [`What::Created`].
    pub const CREATED: u32 = 1;
    /// [`What::Missed`].
    pub const MISSED: u32 = 1 << 1;
    /// [`What::Expired`] and [`What::Evicted`].
    pub const GONE: u32 = 1 << 2;
    /// [`What::FieldsOver`] and [`What::Emptied`].
    pub const FIELDS: u32 = 1 << 4;
    /// [`What::Changed`].
    pub const CHANGED: u32 = 1 << 5;
    /// [`What::Flushed`].
    pub const FLUSHED: u32 = 1 << 6;
    /// Effects, for the log: see [`super::Journal`]. Set in exclusive mode only.
    pub const LOGGED: u32 = 1 << 7;
    /// What goes by itself because its time is over is freed lazily: a matter of its effect's name.
    pub const LAZY_EXPIRE: u32 = 1 << 8;
    /// The same of what is evicted.
    pub const LAZY_EVICT: u32 = 1 << 9;
}

impl Keyspace {
    /// Sets who passes notices on. Once, before any thread works.
    pub fn appoint(&self, herald: Box<dyn Herald>) -> bool {
        self.herald.set(herald).is_ok()
    }

    /// Whether any of `bits` ([`Wants`]) is set.
    #[inline(always)]
    pub fn wants(&self, bits: u32) -> bool {
        // Relaxed: a wish that comes now may be missed by the change at hand.
        self.wants.load(Ordering::Relaxed) & bits != 0
    }

    /// Sets or clears bits of [`Wants`].
    pub fn want(&self, bits: u32, on: bool) {
        if on {
            self.wants.fetch_or(bits, Ordering::AcqRel);
        } else {
            self.wants.fetch_and(!bits, Ordering::AcqRel);
        }
    }
}

impl Access<'_> {
    /// Tells of `key` in `db`: now, or at the end of the step.
    #[cold]
    pub fn say(&mut self, db: usize, key: &[u8], what: What) {
        self.note(db, key, what);
        if !self.is_in_step() {
            self.deliver();
            self.rouse();
        }
    }

    /// A reading command did not find `key`.
    #[inline(always)]
    pub(super) fn missed(&mut self, db: usize, key: &[u8]) {
        self.local.counters.add_misses(1);
        if self.keyspace.wants(Wants::MISSED) {
            self.say(db, key, What::Missed);
        }
    }

    /// Puts a notice with the others, to be told under the stripe that the caller holds.
    pub(super) fn note(&mut self, db: usize, key: &[u8], what: What) {
        self.outbox.push(Notice { db, key: key.into(), what });
    }

    /// Tells what has been collected, before the stripes are given back.
    pub(super) fn deliver(&mut self) {
        self.record();
        if self.outbox.is_empty() {
            return;
        }
        match self.keyspace.herald.get() {
            Some(herald) => {
                self.wake |= herald.tell(self.actor, &mut self.outbox);
                self.told |= self.wake != 0;
            }
            None => self.outbox.clear(),
        }
    }

    /// Wakes who must hear of it; no stripe is held any more (N2).
    #[cold]
    pub(super) fn rouse(&mut self) {
        let whom = std::mem::take(&mut self.wake);
        if whom != 0
            && let Some(herald) = self.keyspace.herald.get()
        {
            herald.rouse(whom);
        }
    }
}

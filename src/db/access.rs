//! One batch's way into the keyspace: look-ups without a lock.

use super::clockwork::Policy;
use super::entry::{Entry, Kind, Padded};
use super::keyspace::{Cause, Keyspace};
use super::local::Local;
use super::many::Held;
use super::outbox::{Notice, Wants, What};
use super::track::Stale;
use crate::index::{self, Table};
use crate::sync::gate::Exclusive;
use crate::sync::stripe::Seen;
use crate::sync::{Backoff, Pin};
use crate::types::object::Type;
use bytes::Bytes;
use std::mem::ManuallyDrop;

/// A key with its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'k> {
    /// The bytes.
    pub bytes: &'k [u8],
    /// Their hash.
    pub hash: u64,
}

impl<'k> Key<'k> {
    /// Hashes `bytes`.
    #[inline(always)]
    pub fn new(bytes: &'k [u8]) -> Self {
        Self { bytes, hash: index::hash(bytes) }
    }
}

/// The key holds another type than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType;

/// A string value as a reader gets it.
#[derive(Debug, Clone)]
pub enum Str<'a> {
    /// An integer; its text is its decimal form.
    Int(i64),
    /// Bytes inside the entry.
    Slice(&'a [u8]),
    /// Digits with leading zeroes.
    Padded(Padded),
    /// A long string, by reference.
    Shared(Bytes),
}

impl Str<'_> {
    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(value) => itoa::Buffer::new().format(*value).len(),
            Self::Slice(bytes) => bytes.len(),
            Self::Padded(padded) => padded.width(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the text.
    #[inline]
    pub fn with<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Int(value) => f(itoa::Buffer::new().format(*value).as_bytes()),
            Self::Slice(bytes) => f(bytes),
            Self::Padded(padded) => {
                let (text, width) = padded.text();
                f(&text[..width])
            }
            Self::Shared(bytes) => f(bytes),
        }
    }

    /// The text as a block of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }
}

/// A change to be told of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub cause: Cause,
    pub created: bool,
}

/// The way of one batch of commands into the keyspace, with one time and one selected database.
/// References it gives out live as long as the batch's pin.
pub struct Access<'a> {
    /// The keyspace.
    pub keyspace: &'a Keyspace,
    /// The thread's own part.
    pub local: &'a mut Local,
    pub(super) pin: &'a Pin,
    /// Selected database.
    pub db: usize,
    /// Time of this batch, Unix milliseconds.
    pub now: i64,
    /// The time by which accesses are recorded: the same, but when a log of the past is replayed.
    pub wall: i64,
    /// How accesses are recorded.
    pub policy: Policy,
    /// Expired keys are hidden but stay: writes are paused, or belong to somebody else.
    pub frozen: bool,
    /// Whose commands these are, as a number that means nothing here; 0 for nobody's.
    pub actor: u64,
    pub(super) held: Option<Held>,
    /// No other thread is in the keyspace: see [`Access::seize`].
    /// Not dropped by itself, so that an `Access` borrows nothing beyond its last use.
    pub(super) alone: Option<ManuallyDrop<Exclusive<'a>>>,
    /// What is to be told when the step at hand is done.
    pub(super) outbox: Vec<Notice>,
    /// Copies that the actor itself must drop.
    pub own_stale: Vec<Stale>,
    /// Somebody was told something since this was cleared.
    pub told: bool,
    /// Whom to wake then.
    pub(super) wake: u64,
}

impl<'a> Access<'a> {
    /// For a thread that is seated and pinned.
    pub fn new(keyspace: &'a Keyspace, local: &'a mut Local, pin: &'a Pin, db: usize) -> Self {
        let now = keyspace.clock.now();
        let policy = Policy::default();
        Self {
            keyspace,
            local,
            pin,
            db,
            now,
            wall: now,
            policy,
            frozen: false,
            actor: 0,
            held: None,
            alone: None,
            outbox: Vec::new(),
            own_stale: Vec::new(),
            told: false,
            wake: 0,
        }
    }

    /// The batch's pin.
    pub const fn pin(&self) -> &'a Pin {
        self.pin
    }

    /// Asks for the lines that a look-up of `hash` will want first: stripe and bucket.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(table) = self.keyspace.table(self.db, self.pin) {
            table.prefetch(hash);
        }
    }

    /// Asks for the entry that a look-up of `hash` will compare, once its bucket has come.
    #[inline(always)]
    pub fn prefetch_entry(&self, hash: u64) {
        if let Some(table) = self.keyspace.table(self.db, self.pin) {
            table.prefetch_record(hash);
        }
    }

    /// Looks a key up without a trace: no access clock, no hit or miss. Expired ones are absent.
    #[inline(always)]
    pub fn peek(&mut self, key: Key<'_>) -> Option<&'a Entry> {
        self.peek_in(self.db, key)
    }

    /// As [`Access::peek`], in another database.
    #[inline(always)]
    pub fn peek_in(&mut self, db: usize, key: Key<'_>) -> Option<&'a Entry> {
        let table = self.keyspace.table(db, self.pin)?;
        let entry = if self.held.is_some() {
            self.held_lookup(table, key)
        } else {
            let (entry, seen) = table.get(key.hash, key.bytes, self.pin);
            self.local.clock = self.local.clock.max(seen.number());
            entry
        };
        match entry {
            Some(entry) if entry.is_expired(self.now) => self.bury(db, key), // K3
            other => other,
        }
    }

    /// Under stripes that this thread holds a miss is a miss; waiting for them would be for ever.
    #[cold]
    fn held_lookup(&self, table: &'a Table<Entry>, key: Key<'_>) -> Option<&'a Entry> {
        if self.holds(key.hash) {
            table.place(key.hash, key.bytes, self.pin).map(|place| place.record())
        } else {
            table.get(key.hash, key.bytes, self.pin).0
        }
    }

    /// A reader met an expired key: removes it, so that sizes and memory say what replies say.
    #[cold]
    fn bury(&mut self, db: usize, key: Key<'_>) -> Option<&'a Entry> {
        // While other stripes are held this one must not be taken (W4); the background will remove it.
        if !self.frozen && (self.held.is_none() || self.holds(key.hash)) {
            drop(self.write_in(db, key)); // taking the stripe removes it
        }
        None
    }

    /// Looks a key up for a reading command: counts hit or miss, records the access.
    #[inline(always)]
    pub fn find(&mut self, key: Key<'_>) -> Option<&'a Entry> {
        let Some(entry) = self.peek(key) else {
            self.missed(self.db, key.bytes);
            return None;
        };
        self.local.counters.add_hits(1);
        self.touch(entry);
        Some(entry)
    }

    /// As [`Access::find`], but the access clock stays: for commands that ask about a key.
    #[inline]
    pub fn find_untouched(&mut self, key: Key<'_>) -> Option<&'a Entry> {
        let entry = self.peek(key);
        if entry.is_some() {
            self.local.counters.add_hits(1);
        } else {
            self.missed(self.db, key.bytes);
        }
        entry
    }

    /// Number of buckets of the selected database, to tell whether a walk saw it shrink.
    pub fn buckets(&self) -> u64 {
        self.buckets_of(self.db)
    }

    /// Number of buckets of a database.
    pub fn buckets_of(&self, db: usize) -> u64 {
        self.keyspace.table(db, self.pin).map_or(0, Table::buckets)
    }

    /// One step of a walk over the selected database: shows `visit` some entries and returns the
    /// next cursor, 0 at the end. Expired keys met on the way are removed.
    pub fn scan(&mut self, cursor: u64, mut visit: impl FnMut(&'a Entry)) -> u64 {
        let Some(table) = self.keyspace.table(self.db, self.pin) else { return 0 };
        let (now, mut over) = (self.now, Vec::new());
        let next = table.scan(cursor, self.pin, |hash, entry| {
            if entry.is_expired(now) { over.push((hash, entry)) } else { visit(entry) }
        });
        for (hash, entry) in over {
            self.bury(self.db, Key { bytes: entry.key(), hash });
        }
        next
    }

    /// A random key of the selected database. Buckets are picked at random, then one of their
    /// entries.
    pub fn random_key(&mut self) -> Option<&'a Entry> {
        let table = self.keyspace.table(self.db, self.pin)?;
        let mut found: Vec<&'a Entry> = Vec::with_capacity(16);
        // A table with one key in 16,384 buckets: look at random a while, then walk.
        for _ in 0..100 {
            table.sample(self.local.random(), self.pin, |entry| {
                if !entry.is_expired(self.now) {
                    found.push(entry);
                }
            });
            if !found.is_empty() {
                return Some(found[self.local.random() as usize % found.len()]);
            }
        }
        let mut cursor = self.local.random();
        for _ in 0..2 * table.buckets() {
            cursor = self.scan(cursor, |entry| found.push(entry));
            if !found.is_empty() {
                return Some(found[self.local.random() as usize % found.len()]);
            }
        }
        None
    }

    /// Runs `f` while no other thread is in the keyspace. None if somebody else is exclusive for
    /// long: then this thread has left the keyspace.
    #[must_use]
    pub fn exclusive<T>(&mut self, f: impl FnOnce(&mut Self, &Exclusive<'_>) -> T) -> Option<T> {
        // The others could be waiting for what is held, for ever.
        assert!(self.held.is_none(), "exclusive mode is entered with nothing held");
        let (within, alone) = match self.alone.take() {
            Some(alone) => (true, ManuallyDrop::into_inner(alone)),
            None => (false, self.try_alone()?),
        };
        let value = f(self, &alone);
        if within {
            self.alone = Some(ManuallyDrop::new(alone));
        } else {
            self.deliver();
            drop(alone);
            self.rouse();
        }
        Some(value)
    }

    /// Takes the gate, unless somebody else has it for long.
    pub(super) fn try_alone(&mut self) -> Option<Exclusive<'a>> {
        let alone = self.keyspace.gate.try_exclusive(self.local.seat);
        self.local.outside = alone.is_none();
        alone
    }

    /// Makes room for so many keys more in a database, for whoever is about to add them; must be called
    /// with 0 when they have been added, or the room stays.
    pub fn expect(&mut self, db: usize, count: u64) {
        let keyspace = self.keyspace;
        if count > 0 {
            keyspace.prepare(db, self.pin);
        }
        if let Some(table) = keyspace.table(db, self.pin) {
            table.expect(count, &mut self.local.limbo, self.pin);
        }
    }

    /// Makes the table of a database before it is written to.
    pub fn prepare(&self, db: usize) {
        self.keyspace.prepare(db, self.pin);
    }

    /// Empties databases in one step; [`Keyspace::free_flushed`] frees their memory. False if somebody
    /// is exclusive for long.
    #[must_use]
    pub fn flush(&mut self, databases: std::ops::Range<usize>) -> bool {
        let done = self.exclusive(|access, alone| {
            access.note_all(&databases.clone().collect::<Vec<_>>());
            access.all_stale();
            for db in databases {
                access.keyspace.touch_flushed(db, access.now, access.pin);
                let keys = access.keyspace.flush(db, access.pin, alone);
                access.local.drift[db] = 0;
                access.local.counters.add_changes(keys);
            }
        });
        self.pin.flush();
        done.is_some()
    }

    /// Exchanges two databases in one step. False if somebody is exclusive for long.
    #[must_use]
    pub fn swap(&mut self, a: usize, b: usize) -> bool {
        let done = self.exclusive(|access, alone| {
            access.keyspace.touch_swapped(a, b, access.now, access.pin);
            access.note_all(&[a, b]);
            access.all_stale();
            access.keyspace.swap(a, b, alone);
            access.local.counters.add_changes(1);
        });
        done.is_some()
    }

    /// Bytes in use, less what is on its way out: see [`super::used_memory`].
    pub fn used_memory(&self) -> usize {
        super::used_memory().saturating_sub(self.local.retired_bytes())
    }

    /// Records a use of `entry`.
    #[inline(always)]
    pub fn touch(&mut self, entry: &Entry) {
        if !self.policy.no_touch {
            let (policy, now) = (self.policy, self.wall);
            entry.touch(policy.used(entry.access(), now, || self.local.random()));
        }
    }

    /// Reads a string for a reading command.
    #[inline(always)]
    pub fn string(&mut self, key: Key<'_>) -> Result<Option<Str<'a>>, WrongType> {
        match self.find(key) {
            Some(entry) => self.text_of(self.db, key, entry),
            None => Ok(None),
        }
    }

    /// The string that `entry`, found under `key`, holds.
    #[inline(always)]
    pub fn text_of(
        &mut self,
        db: usize,
        key: Key<'_>,
        entry: &'a Entry,
    ) -> Result<Option<Str<'a>>, WrongType> {
        match entry.kind() {
            Kind::Inline(bytes) => Ok(Some(Str::Slice(bytes))),
            Kind::Int(value) => Ok(Some(Str::Int(value))),
            Kind::Padded(padded) => Ok(Some(Str::Padded(padded))),
            Kind::Object if entry.type_of() == Type::String => Ok(self.long_string(db, key)),
            Kind::Compact(_) | Kind::Object => Err(WrongType),
        }
    }

    /// A long string is in an object, which is read under the stripe: look again there, and take a
    /// reference.
    #[cold]
    fn long_string(&mut self, db: usize, key: Key<'_>) -> Option<Str<'a>> {
        self.write_in(db, key).text().ok().flatten()
    }

    /// Reads several keys at one moment: `f` is called, and called again if any of their stripes
    /// changed meanwhile (it must then undo what it did); after three failures under all of them.
    pub fn read_many<T>(&mut self, keys: &[Key<'_>], mut f: impl FnMut(&mut Self) -> T) -> T {
        if self.held.is_some() || keys.len() < 2 {
            return f(self);
        }
        if self.keyspace.wants(Wants::MISSED) {
            return self.hold(keys, f); // what is missing must be told once
        }
        let stripes = &self.keyspace.stripes;
        let mut backoff = Backoff::default();
        let mut seen = Vec::with_capacity(keys.len());
        for _ in 0..3 {
            seen.clear();
            seen.extend(keys.iter().map(|key| stripes.of(key.hash).settled()));
            if seen.iter().any(|seen| seen.is_shared()) {
                break; // what is done to shared values leaves no trace in the word (W6)
            }
            let value = f(self);
            let same = |(key, seen): (&Key<'_>, &Seen)| stripes.of(key.hash).validate(*seen);
            if keys.iter().zip(&seen).all(same) {
                return value;
            }
            backoff.wait();
        }
        self.hold(keys, |access| f(access))
    }

    /// Whether anybody is told of changes under the stripe of `hash`. The caller holds it.
    #[inline(always)]
    pub(super) fn is_heard(&self, hash: u64) -> bool {
        self.keyspace.stripes.of(hash).load().has_interest()
            || self.keyspace.wants(Wants::CREATED | Wants::CHANGED)
    }

    /// Tells of a change (K2). `created`: the key was not there before.
    #[cold]
    pub(super) fn commit(&mut self, change: Change, db: usize, key: Key<'_>) {
        let Change { cause, created } = change;
        let (stripes, watches) = (&self.keyspace.stripes, &self.keyspace.watches);
        if stripes.of(key.hash).load().has_interest() {
            watches.touch(stripes.index(key.hash), db, key.bytes, cause);
            self.note_change(db, key);
            self.stale(key, cause == Cause::Command);
        }
        if self.keyspace.wants(Wants::CHANGED) {
            self.note(db, key.bytes, What::Changed { by_command: cause == Cause::Command });
        }
        let said = match cause {
            Cause::Command => created.then_some((Wants::CREATED, What::Created)),
            Cause::Expired => Some((Wants::GONE, What::Expired)),
            Cause::Evicted => Some((Wants::GONE, What::Evicted)),
        };
        if let Some((want, what)) = said
            && self.keyspace.wants(want)
        {
            self.note(db, key.bytes, what);
        }
        if !self.is_in_step() {
            self.deliver(); // the caller holds the stripe, and wakes afterwards
        }
    }
}

//! One key under its stripe: look, change, and tell.
//!
//! This is the one place that turns "the stripe is held" into access to what the stripe guards:
//!
//! - **P1** A [`Write`] exists only while its thread holds the key's stripe (its own lock, or that
//!   of [`Access::hold`]), and there is one per key and thread at a time.
//! - **P2** `place` is where the key stands now, looked up or put under that stripe.
//! - **P3** An entry is lent ([`lend`]) while its stripe is announced, to whoever found it after that;
//!   the borrower reaches single elements only, each under a lock.

#![allow(unsafe_code)]

mod fields;
pub(super) mod keep;

pub use fields::FieldEnds;

use super::access::{Access, Change, Key, Str, WrongType};
use super::entry::{Body, Compact, Entry, INLINE_LIMIT, Kind, Owned, Padded};
use super::expire;
use super::grave;
use super::keyspace::Cause;
use super::outbox::{Wants, What};
use super::watch::Watching;
use crate::index::{Place, Table};
use crate::sync::part::Sharing;
use crate::sync::stripe::{Announced, Seen, Stripe};
use crate::types::list::End;
use crate::types::number;
use crate::types::object::{Object, Shared, Sought, Type};
use crate::types::table::Shares;
use bytes::Bytes;

/// A value to store.
#[derive(Debug)]
pub enum New<'v> {
    /// Text as a client set it: kept as an integer if it is the decimal form of one.
    Text(&'v [u8]),
    /// Text that stays text, even if it reads like an integer.
    Plain(&'v [u8]),
    /// The result of an edit.
    Edited(&'v [u8]),
    /// An integer.
    Int(i64),
    /// A block received or built whole.
    Shared(Bytes),
    /// A small collection.
    Compact(Compact<'v>),
    /// A large one.
    Object(Box<Object>),
    /// A value taken from another key.
    Taken(Taken),
    /// A value of this key and without expiry, made by [`New::ahead`].
    Built(Built),
}

/// An entry that was built before its stripe was taken.
#[derive(Debug)]
pub struct Built(Owned);

impl New<'_> {
    /// Allocates and copies now what storing this value under `key`, to stay, would do then: for
    /// commands of many keys, which keep everybody waiting while they hold their stripes.
    pub fn ahead(self, key: Key<'_>) -> New<'static> {
        New::Built(Built(self.build(key.bytes, None, 0)))
    }

    #[inline(always)]
    fn build(self, key: &[u8], expiry: Option<i64>, access: u32) -> Owned {
        match self {
            New::Text(text) => match number::parse_i64(text) {
                Some(value) => Entry::build(key, Body::Int(value), expiry, access),
                None => plain(key, text, expiry, access, false),
            },
            New::Plain(text) => plain(key, text, expiry, access, false),
            New::Edited(text) => plain(key, text, expiry, access, true),
            New::Int(value) => Entry::build(key, Body::Int(value), expiry, access),
            New::Shared(bytes) if bytes.len() < INLINE_LIMIT => {
                plain(key, &bytes, expiry, access, false)
            }
            New::Shared(bytes) => {
                let object = Box::new(Object::String(bytes));
                Entry::build(key, Body::Object(object), expiry, access)
            }
            New::Compact(compact) => Entry::build(key, Body::Compact(compact), expiry, access),
            New::Object(object) => Entry::build(key, Body::Object(object), expiry, access),
            New::Taken(taken) => taken.build(key, expiry),
            New::Built(Built(entry)) => {
                // An entry says itself whose it is, so these must hold in every build.
                assert!(entry.entry().key() == key && expiry.is_none(), "built for another use");
                entry.entry().touch(access);
                entry
            }
        }
    }
}

/// What becomes of the key's expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It stays as it is.
    Keep,
    /// It goes.
    Never,
    /// Unix time in milliseconds.
    At(i64),
}

/// A value on its way from one key to another.
#[derive(Debug)]
pub struct Taken {
    value: Value,
    /// When the source expires.
    pub expiry: Option<i64>,
    access: u32,
}

#[derive(Debug)]
enum Value {
    Int(i64),
    Plain(Vec<u8>),
    Padded(Padded),
    Edited(Vec<u8>),
    Compact { kind: Type, form: u8, bytes: Vec<u8> },
    Object(Box<Object>),
}

/// Where the value of a collection's key is to be found.
#[derive(Debug, Clone, Copy)]
pub enum Holds<'a> {
    /// The key does not exist.
    Nothing,
    /// In these bytes.
    Compact(Compact<'a>),
    /// Behind [`Write::object`].
    Object,
}

/// An object whose stripe is held, for reading, until this is dropped.
pub(super) struct Reading<'a> {
    stripe: &'a Stripe,
    object: &'a Object,
}

impl Reading<'_> {
    /// The object.
    #[inline(always)]
    pub fn object(&self) -> &Object {
        self.object
    }
}

impl Drop for Reading<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.stripe.unlock_unchanged();
    }
}

/// A key whose stripe is held until this is dropped. An expired key has been removed on the way in.
pub struct Write<'w, 'a> {
    access: &'w mut Access<'a>,
    table: &'a Table<Entry>,
    db: usize,
    key: Key<'w>,
    place: Option<Place<'a, Entry>>,
    /// The command changed the key, and nobody was told yet.
    dirty: bool,
    /// It did not exist before.
    created: bool,
    /// Number of the last change told under this stripe: expiry, eviction.
    told: Option<u64>,
    owns_stripe: bool,
}

impl<'a> Access<'a> {
    /// Takes the stripe of `key` in the selected database.
    #[inline(always)]
    pub fn write<'w>(&'w mut self, key: Key<'w>) -> Write<'w, 'a> {
        self.write_in(self.db, key)
    }

    /// Takes the stripe of `key`, for its value in `db`.
    #[inline(always)]
    pub fn write_in<'w>(&'w mut self, db: usize, key: Key<'w>) -> Write<'w, 'a> {
        let table = self.keyspace.table_or_new(db, self.pin);
        let owns_stripe = self.held.is_none();
        if owns_stripe {
            let stripes = &self.keyspace.stripes;
            stripes.lock(stripes.index(key.hash));
        } else {
            // Without the stripe nothing below would be sound, so this is checked in every build.
            assert!(self.holds(key.hash), "writes stay within what is held");
        }
        let place = table.place(key.hash, key.bytes, self.pin);
        let (dirty, created, told) = (false, false, None);
        let mut write =
            Write { access: self, table, db, key, place, dirty, created, told, owns_stripe };
        if let Some(entry) = write.raw_entry()
            && entry.is_expired(write.access.now)
        {
            write.bury();
        }
        write
    }

    /// The object that a key of the selected database holds, for reading under a stripe that is held.
    /// A [`Write`], which could change it, needs all of `self`.
    pub(super) fn held_object(&self, key: Key<'_>) -> Option<&Object> {
        assert!(self.holds(key.hash), "an object is read under its stripe");
        let table = self.keyspace.table(self.db, self.pin)?;
        let entry = table.place(key.hash, key.bytes, self.pin)?.record();
        // SAFETY: the stripe is held, and while `self` is borrowed there is no `Write` (P1), so the
        // entry found stays (P2) and no reference to its object is mutable.
        unsafe { entry.shared_object() }
    }

    /// The object of type `kind` behind `entry`, which was found under `key` after its stripe had said
    /// `seen`. None if it holds no such object, or if anything may have changed under the stripe
    /// since: then it must be looked up again.
    #[inline]
    pub(super) fn reading(
        &self,
        (key, seen): (Key<'_>, Seen),
        entry: &'a Entry,
        kind: Type,
    ) -> Option<Reading<'a>> {
        let large = matches!(entry.kind(), Kind::Object) && entry.type_of() == kind;
        if !large || seen.is_locked() || self.held.is_some() {
            return None;
        }
        let stripes = &self.keyspace.stripes;
        let stripe = stripes.lock(stripes.index(key.hash));
        let same = stripe.load().number() == seen.number(); // W2: so the key still has this entry
        // SAFETY: the stripe is held until `Reading` is dropped, and there is no `Write` of the key on
        // this thread: one would have all of `self`, or `self.held` would be set.
        match same.then(|| unsafe { entry.shared_object() }).flatten() {
            Some(object) => {
                if self.keyspace.sharing && object.is_shareable() {
                    stripe.set_shared();
                }
                Some(Reading { stripe, object })
            }
            None => {
                stripe.unlock_unchanged();
                None
            }
        }
    }

    /// Asks ahead for what commands on these elements of a large collection will touch. If its stripe
    /// is not to be had at once, they do without.
    pub fn ask_ahead<'e>(&mut self, key: Key<'_>, sought: impl Iterator<Item = Sought<'e>>) {
        let keyspace = self.keyspace;
        let Some(table) = keyspace.table(self.db, self.pin) else { return };
        let index = keyspace.stripes.index(key.hash);
        if self.held.is_some() {
            return;
        }
        if keyspace.stripes.at(index).load().is_shared() {
            self.share_any(key, |shared| shared.ask_ahead(sought));
            return;
        }
        let Some(stripe) = keyspace.stripes.try_lock_unshared(index) else { return };
        if let Some(place) = table.place(key.hash, key.bytes, self.pin) {
            // SAFETY: the stripe is held, the entry was found under it, and there is no `Write` here
            // that could have a mutable reference.
            if let Some(object) = unsafe { place.record().shared_object() } {
                object.ask_ahead(sought);
            }
        }
        stripe.unlock_unchanged();
    }

    /// Asks ahead for the ends of long lists that are to be changed there, all at once what is one
    /// step further from each key. A list whose stripe is not to be had at once does without.
    pub fn ask_ends_ahead<'k>(&self, lists: impl Iterator<Item = (Key<'k>, End)> + Clone) {
        let Some(table) = self.keyspace.table(self.db, self.pin) else { return };
        if self.held.is_some() {
            return;
        }
        let (mut entries, mut long) = ([None; ENDS_AHEAD], false);
        for (entry, (key, _)) in entries.iter_mut().zip(lists.clone()) {
            let free = (!self.is_reserved(key.hash)).then_some(key); // W7
            let found = free.and_then(|key| table.get(key.hash, key.bytes, self.pin).0);
            *entry = found.filter(|found| found.type_of() == Type::List && found.prefetch_object());
            long |= entry.is_some();
        }
        for block in [false, true] {
            for (entry, (key, end)) in entries.iter().zip(lists.clone()).filter(|_| long) {
                let stripe = table.stripe(key.hash);
                let Some(entry) = entry.filter(|_| stripe.try_lock()) else { continue };
                // SAFETY: the stripe of the entry's key is held, and there is no `Write` here. Should
                // the entry have left the table, it keeps what was not taken out of it for as long as
                // this pin lasts.
                if let Some(Object::List(list)) = unsafe { entry.shared_object() } {
                    list.ask_ahead(end, block);
                }
                stripe.unlock_unchanged();
            }
        }
    }

    /// Passes the counted differences of all tables on, and lets them grow or shrink.
    #[cold]
    pub(super) fn settle_drift(&mut self) {
        for db in 0..self.local.drift.len() {
            let drift = std::mem::take(&mut self.local.drift[db]);
            if drift != 0
                && let Some(table) = self.keyspace.table(db, self.pin)
            {
                let count = table.adjust(i64::from(drift));
                table.resize(count, &mut self.local.limbo, self.pin);
            }
        }
    }
}

/// Differences of a table's count are passed on beyond this; also how many inserts pay for growth
/// at a time.
const DRIFT: i32 = 16;

/// Lists asked for ahead at most: those of a batch.
const ENDS_AHEAD: usize = 64;

impl<'a> Write<'_, 'a> {
    #[inline(always)]
    fn raw_entry(&self) -> Option<&'a Entry> {
        self.place.map(|place| place.record())
    }

    /// The entry, if the key exists.
    #[inline(always)]
    pub fn entry(&self) -> Option<&'a Entry> {
        match self.raw_entry() {
            // Only while expiry is frozen can an expired entry still stand here.
            Some(entry) if self.access.frozen && entry.is_expired(self.access.now) => None,
            other => other,
        }
    }

    /// Whether the key exists.
    #[inline]
    pub fn exists(&self) -> bool {
        self.entry().is_some()
    }

    /// Time of this batch, Unix milliseconds.
    pub fn now(&self) -> i64 {
        self.access.now
    }

    /// The string value.
    pub fn text(&self) -> Result<Option<Str<'a>>, WrongType> {
        let Some(entry) = self.entry() else { return Ok(None) };
        match entry.kind() {
            Kind::Inline(bytes) => Ok(Some(Str::Slice(bytes))),
            Kind::Int(value) => Ok(Some(Str::Int(value))),
            Kind::Padded(padded) => Ok(Some(Str::Padded(padded))),
            Kind::Compact(_) => Err(WrongType),
            Kind::Object => match self.object_of(entry) {
                Some(Object::String(bytes)) => Ok(Some(Str::Shared(bytes.clone()))),
                _ => Err(WrongType),
            },
        }
    }

    /// What there is of a collection of type `kind`. The bytes of a compact one stay valid for the
    /// whole batch, also when the key gets another value.
    #[inline]
    pub fn holds(&self, kind: Type) -> Result<Holds<'a>, WrongType> {
        let Some(entry) = self.entry() else { return Ok(Holds::Nothing) };
        match entry.kind() {
            Kind::Compact(compact) if compact.kind == kind => Ok(Holds::Compact(compact)),
            Kind::Object if entry.type_of() == kind => Ok(Holds::Object),
            _ => Err(WrongType),
        }
    }

    /// The way in that it was taken by, and its database.
    pub(super) fn way(&mut self) -> (&mut Access<'a>, usize) {
        (&mut *self.access, self.db)
    }

    /// The object, for reading.
    pub fn peek_object(&self) -> Option<&Object> {
        self.object_of(self.entry()?)
    }

    /// Ok if the key is absent or holds a string.
    pub fn check_string(&self) -> Result<(), WrongType> {
        match self.entry() {
            Some(entry) if entry.type_of() != Type::String => Err(WrongType),
            _ => Ok(()),
        }
    }

    /// The object, when the value is one.
    pub fn object(&mut self) -> Option<&mut Object> {
        let entry = self.entry()?;
        self.preserve();
        // SAFETY: P1: the stripe is held, and `&mut self` is the only way to the object.
        unsafe { entry.object() }
    }

    fn object_of(&self, entry: &'a Entry) -> Option<&Object> {
        // SAFETY: P1; mutable references come through `&mut self` only.
        unsafe { entry.object() }.map(|object| &*object)
    }

    /// The value without the entry, which must be replaced or removed next: an object has left it.
    fn move_out(&mut self) -> Option<Taken> {
        let entry = self.entry()?;
        self.preserve();
        let value = match entry.kind() {
            // SAFETY: P1, and no reference to the object is alive.
            Kind::Object => Value::Object(unsafe { entry.take_object() }?),
            other => Value::of(other, entry.is_edited())?,
        };
        Some(Taken { value, expiry: entry.expiry(), access: entry.access() })
    }

    /// Records a use of the key.
    #[inline]
    pub fn touch(&mut self) {
        if let Some(entry) = self.entry() {
            self.access.touch(entry);
        }
    }

    /// Counts the look-up as a hit or miss, for commands that also read.
    pub fn count_lookup(&mut self) {
        if self.exists() {
            self.access.local.counters.add_hits(1);
        } else {
            self.access.local.counters.add_misses(1);
            if self.access.keyspace.wants(Wants::MISSED) {
                self.access.note(self.db, self.key.bytes, What::Missed);
                if !self.access.is_in_step() {
                    self.access.deliver(); // whom it concerns is woken when the stripe is free
                }
            }
        }
    }

    /// Stores an integer in place when the key holds one, keeping its expiry.
    #[inline]
    pub fn set_int(&mut self, value: i64) {
        self.access.about_to_change();
        self.preserve();
        if !self.entry().is_some_and(|entry| entry.set_int(value)) {
            return self.set(New::Int(value), Expiry::Keep);
        }
        self.touch();
        self.dirty = true;
    }

    /// Stores a value in the place of whatever is there.
    #[inline]
    pub fn set(&mut self, value: New<'_>, expiry: Expiry) {
        self.access.about_to_change();
        let old = self.entry();
        let expiry = match expiry {
            Expiry::Keep => old.and_then(Entry::expiry),
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
        };
        let access = match old {
            Some(old) => {
                let (policy, now) = (self.access.policy, self.access.wall);
                let local = &mut *self.access.local;
                policy.used(old.access(), now, || local.random())
            }
            None => self.access.policy.fresh(self.access.wall),
        };
        let entry = value.build(self.key.bytes, expiry, access);
        self.put(entry);
    }

    /// Edits the text of a string: `f` gets it as a growable buffer (a copy, unless it is long and
    /// nobody else holds it). The key must be absent or hold a string.
    pub fn edit<T>(&mut self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.access.about_to_change();
        if let Some(Object::String(bytes)) = self.object() {
            let mut buffer = Vec::from(std::mem::take(bytes)); // a copy only if a reply holds it
            let value = f(&mut buffer);
            *bytes = Bytes::from(buffer);
            self.touch();
            self.dirty = true;
            return value;
        }
        let mut buffer = Vec::new();
        if let Ok(Some(text)) = self.text() {
            text.with(|text| buffer.extend_from_slice(text));
        }
        let value = f(&mut buffer);
        if buffer.len() < INLINE_LIMIT {
            self.set(New::Edited(&buffer), Expiry::Keep);
        } else {
            self.set(New::Shared(Bytes::from(buffer)), Expiry::Keep);
        }
        value
    }

    /// Changes the expiry. False if the key does not exist.
    pub fn expire(&mut self, at: Option<i64>) -> bool {
        let Some(entry) = self.entry() else { return false };
        self.access.about_to_change();
        self.preserve();
        match at {
            Some(at) if entry.set_expiry(at) => {
                self.table.note_due(self.key.hash, expire::tick(at));
                self.dirty = true;
            }
            None if entry.expiry().is_none() => {}
            _ => {
                if let Some(taken) = self.move_out() {
                    let fresh = taken.build(self.key.bytes, at);
                    self.put(fresh);
                }
            }
        }
        true
    }

    /// Whether objects may be shared at all, and this key's stripe does not say so yet.
    #[inline(always)]
    pub(super) fn shares(&self) -> bool {
        self.access.keyspace.sharing && !self.table.stripe(self.key.hash).load().is_shared()
    }

    /// Lets the object be shared.
    #[cold]
    pub(super) fn set_shared(&self) {
        self.table.stripe(self.key.hash).set_shared();
    }

    /// To be called before a change through [`Write::object`], which counts as a use of the key.
    #[inline]
    pub fn changing(&mut self) {
        self.offer();
        self.access.about_to_change();
        self.touch();
        self.dirty = true;
    }

    /// Removes the key. False if it did not exist.
    pub fn remove(&mut self) -> bool {
        let existed = self.exists();
        if self.place.is_some() {
            self.access.about_to_change();
            self.take_away();
            self.dirty = true;
        }
        existed
    }

    /// Lets `watching` hear of every change of the key from now on.
    pub fn watch(&self, watching: &mut Watching) {
        watching.add(self.db, self.key, self.exists());
    }

    /// Removes the key on behalf of eviction, and tells so.
    pub(super) fn evict(&mut self) -> bool {
        if self.place.is_none() {
            return false;
        }
        self.access.about_to_change();
        self.take_away();
        self.access.local.counters.add_evicted(1);
        if self.access.logs() {
            let lazily = self.access.keyspace.wants(Wants::LAZY_EVICT);
            self.access.log_gone(self.db, self.key.bytes, lazily);
        }
        self.tell(Cause::Evicted);
        true
    }

    /// Removes the key and returns what it held, to be stored under another.
    pub fn take(&mut self) -> Option<Taken> {
        let taken = self.move_out()?;
        self.remove();
        Some(taken)
    }

    /// A copy of what the key holds, to be stored under another.
    pub fn copy(&self) -> Option<Taken> {
        let entry = self.entry()?;
        let value = match entry.kind() {
            Kind::Object => Value::Object(Box::new(self.object_of(entry)?.duplicate())),
            other => Value::of(other, entry.is_edited())?,
        };
        Some(Taken { value, expiry: entry.expiry(), access: entry.access() })
    }

    fn put(&mut self, entry: Owned) {
        self.preserve();
        self.access.keyspace.snapshots.mark(entry.entry());
        let old = self.raw_entry().map(|old| old.expiry().is_some());
        let due = entry.entry().expiry();
        let field = fields::first_end(&entry);
        let (limbo, pin) = (&mut self.access.local.limbo, self.access.pin);
        let (hash, record) = (self.key.hash, entry.into_raw());
        // SAFETY: a whole entry of this key, given away by `into_raw`; the stripe is held (P1) and
        // the place is the key's, or the key is absent (P2).
        self.place = Some(unsafe {
            match self.place {
                Some(place) => self.table.replace(place, record, limbo, pin),
                None => self.table.insert(hash, record, pin),
            }
        });
        let counters = &self.access.local.counters;
        if old.is_none() {
            counters.add_key(self.db, 1);
            self.access.local.drift[self.db] += 1;
            self.created = true;
        }
        match (old.unwrap_or(false), due) {
            (false, Some(_)) => counters.add_volatile(self.db, 1),
            (true, None) => counters.add_volatile(self.db, -1),
            _ => {}
        }
        if let Some(at) = due {
            self.table.note_due(self.key.hash, expire::tick(at));
        }
        if let Some(at) = field {
            self.note_fields(at);
        }
        self.dirty = true;
    }

    fn take_away(&mut self) {
        self.preserve();
        let Some(place) = self.place.take() else { return };
        let volatile = place.record().expiry().is_some();
        // SAFETY: the stripe is held (P1), and nobody else refers to the object while `self` is borrowed.
        if let Some(object) = unsafe { place.record().shared_object() } {
            grave::note(object);
        }
        let local = &mut *self.access.local;
        // SAFETY: P1, P2.
        unsafe { self.table.remove(place, &mut local.limbo, self.access.pin) };
        local.counters.add_key(self.db, -1);
        local.counters.add_volatile(self.db, -i64::from(volatile));
        local.drift[self.db] -= 1;
    }

    /// Removes an expired key and tells so, as a change of its own before the command's.
    #[cold]
    fn bury(&mut self) {
        if self.access.frozen {
            return;
        }
        self.access.about_to_change();
        self.take_away();
        self.access.local.counters.add_expired(1);
        if self.access.logs() {
            let lazily = self.access.keyspace.wants(Wants::LAZY_EXPIRE);
            self.access.log_gone(self.db, self.key.bytes, lazily);
        }
        self.tell(Cause::Expired);
    }

    /// Ends a change under a number of its own, keeping the stripe.
    fn tell(&mut self, cause: Cause) {
        let number = self.next_number();
        self.access.local.clock = number;
        self.access.local.counters.add_changes(1);
        let change = Change { cause, created: false };
        self.access.commit(change, self.db, self.key);
        if !self.access.is_in_step() {
            self.access.record();
        }
        self.told = Some(number);
    }

    fn next_number(&self) -> u64 {
        match &self.access.held {
            Some(held) => held.number,
            None => {
                let stripe = self.table.stripe(self.key.hash);
                self.access.local.clock.max(stripe.load().number()) + 1
            }
        }
    }
}

impl Drop for Write<'_, '_> {
    #[inline(always)]
    fn drop(&mut self) {
        let stripe = self.table.stripe(self.key.hash);
        let number = match self.told {
            _ if self.dirty => self.next_number(),
            Some(told) => told, // the version must rise, though the command did nothing
            None => {
                if self.owns_stripe {
                    let access = &mut *self.access;
                    access.local.clock = access.local.clock.max(stripe.load().number());
                    stripe.unlock_unchanged();
                    if access.wake != 0 {
                        access.rouse();
                    }
                }
                return;
            }
        };
        if self.dirty {
            self.access.local.counters.add_changes(1);
            if self.access.logs() {
                self.access.log_change();
            }
            if self.access.is_heard(self.key.hash) {
                let (cause, created) = (Cause::Command, self.created);
                self.access.commit(Change { cause, created }, self.db, self.key);
            }
        }
        if self.owns_stripe {
            self.access.local.clock = stripe.unlock(number);
            if self.access.wake != 0 {
                self.access.rouse();
            }
            if self.access.local.drift[self.db].abs() >= DRIFT {
                self.access.settle_drift();
            }
        }
    }
}

impl Value {
    fn of(kind: Kind<'_>, edited: bool) -> Option<Self> {
        match kind {
            Kind::Int(value) => Some(Self::Int(value)),
            Kind::Padded(padded) => Some(Self::Padded(padded)),
            Kind::Inline(bytes) if edited => Some(Self::Edited(bytes.to_vec())),
            Kind::Inline(bytes) => Some(Self::Plain(bytes.to_vec())),
            Kind::Compact(Compact { kind, form, bytes }) => {
                Some(Self::Compact { kind, form, bytes: bytes.to_vec() })
            }
            Kind::Object => None,
        }
    }
}

impl Taken {
    /// Builds an entry of `key` with the value.
    fn build(self, key: &[u8], expiry: Option<i64>) -> Owned {
        let body = match &self.value {
            Value::Int(value) => Body::Int(*value),
            Value::Plain(bytes) => Body::Inline(bytes),
            Value::Padded(padded) => Body::Padded(*padded),
            Value::Edited(bytes) => Body::Edited(bytes),
            Value::Compact { kind, form, bytes } => {
                Body::Compact(Compact { kind: *kind, form: *form, bytes })
            }
            Value::Object(_) => {
                let Value::Object(object) = self.value else { unreachable!("matched above") };
                return Entry::build(key, Body::Object(object), expiry, self.access);
            }
        };
        Entry::build(key, body, expiry, self.access)
    }
}

/// Shows `f` the object of an entry that was found after `announced` was got (P3).
#[inline]
pub(super) fn lend<T>(
    entry: &Entry,
    announced: &Announced<'_>,
    clock: u64,
    f: impl FnOnce(&Shared<'_>) -> T,
) -> Option<T> {
    let _ = announced;
    // SAFETY: P3: whoever takes the stripe waits until it is no longer announced, so there is no
    // mutable reference.
    let object = unsafe { entry.shared_object() }?;
    // SAFETY: others who have the object now have it from here, with a proof of their own (W5): whoever
    // holds the stripe has waited for us, and who reads without a lock never reaches an object.
    let sharing = unsafe { Sharing::promise() };
    Some(f(&Shared::new(object, Shares::new(sharing, clock))))
}

/// The object of an entry that is about to be stored.
fn fresh_object(fresh: &Owned) -> Option<&Object> {
    // SAFETY: nobody else has the entry, and no other reference to its object is alive.
    unsafe { fresh.entry().object() }.map(|object| &*object)
}

fn plain(key: &[u8], text: &[u8], expiry: Option<i64>, access: u32, edited: bool) -> Owned {
    if text.len() >= INLINE_LIMIT {
        let object = Box::new(Object::String(Bytes::copy_from_slice(text)));
        Entry::build(key, Body::Object(object), expiry, access)
    } else if edited {
        Entry::build(key, Body::Edited(text), expiry, access)
    } else if let Some(padded) = Padded::parse(text) {
        Entry::build(key, Body::Padded(padded), expiry, access)
    } else {
        Entry::build(key, Body::Inline(text), expiry, access)
    }
}

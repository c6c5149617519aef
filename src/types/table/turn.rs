//! Single elements of a table that threads share.
//!
//! A [`Turn`] has the part of one hash for itself. It can look an element up, rewrite it, add and
//! remove it; it refuses what concerns the table as a whole: to divide a part that is full, to take
//! the last element out of a part, which might be the last of all. Who is refused does it again with
//! the table for itself alone.
//!
//! Each change gets a number, Lamport's like those of whole keys ([`crate::sync::stripe`]), while the
//! part is held: so the numbers of one element's changes rise in the order of the changes.

use super::parts::Parts;
use super::shard::Shard;
use super::{At, Hashing, Layout, Table};
use crate::sync::part::{self, Sharing};
use std::cell::Cell;
use std::marker::PhantomData;

/// What one thread takes along when it works on a shared object.
pub struct Shares {
    sharing: Sharing,
    clock: Cell<u64>,
    changed: Cell<bool>,
}

impl Shares {
    /// With the greatest number that the thread knows.
    pub fn new(sharing: Sharing, clock: u64) -> Self {
        Self { sharing, clock: Cell::new(clock), changed: Cell::new(false) }
    }

    /// The proof that the object is shared.
    pub(in crate::types) const fn proof(&self) -> &Sharing {
        &self.sharing
    }

    /// The greatest number that it knows now.
    pub fn clock(&self) -> u64 {
        self.clock.get()
    }

    /// Whether it has changed anything.
    pub fn has_changed(&self) -> bool {
        self.changed.get()
    }

    /// It sees what was done under `number`.
    #[inline(always)]
    fn see(&self, number: u64) {
        self.clock.set(self.clock.get().max(number));
    }

    /// It changes what it has seen: under this number.
    #[inline(always)]
    fn change(&self) -> u64 {
        let number = self.clock.get() + 1;
        self.clock.set(number);
        self.changed.set(true);
        number
    }
}

/// The part of one hash, until this is dropped.
pub struct Turn<'t, L> {
    shard: part::Turn<'t, Shard>,
    parts: &'t Parts,
    hashing: &'t Hashing,
    shares: &'t Shares,
    hash: u64,
    changed: bool,
    layout: PhantomData<L>,
}

impl<L: Layout> Table<L> {
    /// The part of `hash`, for this thread alone. None if the table is not divided.
    #[inline]
    pub fn turn<'t>(&'t self, hash: u64, shares: &'t Shares) -> Option<Turn<'t, L>> {
        let (parts, hashing) = (self.parts.as_deref()?, &self.hashing);
        let shard = parts.part(parts.id(hash)).lock(&shares.sharing);
        shares.see(shard.number);
        Some(Turn { shard, parts, hashing, shares, hash, changed: false, layout: PhantomData })
    }
}

impl<L: Layout> Turn<'_, L> {
    /// Asks for the bucket of the hash.
    #[inline(always)]
    pub(super) fn ask_bucket(&self) {
        self.shard.index.prefetch(self.hash);
    }

    /// Asks for the content that a look-up will very likely compare, and perhaps change.
    #[inline(always)]
    pub(super) fn ask_ahead(&self, to_change: bool) {
        if to_change {
            self.shard.ask_to_change(self.hash);
        } else {
            self.shard.ask_ahead(self.hash);
        }
    }

    /// The place of the element with this key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.shard.find::<L>(self.hash, key)
    }

    /// Where an element is, of this part, as the table would say.
    #[inline(always)]
    pub fn at(&self, place: u32) -> At {
        At { part: self.parts.id(self.hash), place }
    }

    /// The content of an element.
    #[inline]
    pub fn content(&self, place: u32) -> &[u8] {
        self.shard.store.content(place)
    }

    /// Whether an element may be added.
    #[inline]
    pub fn has_room(&self) -> bool {
        !self.parts.is_due(self.hash, self.shard.len())
    }

    /// Adds an element whose key is not there yet. None if that is refused.
    #[inline]
    pub fn add(&mut self, content: &[&[u8]]) -> Option<At> {
        if !self.has_room() {
            return None;
        }
        let place = self.shard.add::<L>(self.hashing, self.hash, content);
        self.parts.outdate();
        self.change();
        Some(self.at(place))
    }

    /// The content of an element, to be changed without a change of its key or length.
    #[inline]
    pub fn content_mut(&mut self, place: u32) -> &mut [u8] {
        self.change();
        self.shard.store.content_mut(place)
    }

    /// Whether an element may be removed.
    #[inline]
    pub fn has_others(&self) -> bool {
        self.shard.len() > 1
    }

    /// Gives an element another content with the same key.
    #[inline]
    pub fn rewrite(&mut self, place: u32, content: &[&[u8]]) {
        self.shard.rewrite(self.hash, place, content);
        self.change();
    }

    /// Removes an element. False if that is refused.
    #[inline]
    pub fn remove(&mut self, place: u32) -> bool {
        if !self.has_others() {
            return false;
        }
        self.shard.remove(self.hash, place);
        self.parts.outdate();
        self.change();
        true
    }

    #[inline(always)]
    fn change(&mut self) {
        if !self.changed {
            self.changed = true;
            self.shard.number = self.shares.change();
        }
    }
}

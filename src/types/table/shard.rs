//! A table's elements, or those of one part of it: a store and the index over it.

use super::index::Index;
use super::store::Store;
use super::{Hashing, Layout};

/// Store and index, which hold the same elements (H1). What every look-up reads, and a change of one
/// element writes, stands first: behind a latch it is in the same line ([`crate::sync::part::Part`]).
#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct Shard {
    /// Number of the last change that was made while threads shared the table.
    pub(super) number: u64,
    pub(super) index: Index,
    pub(super) store: Store,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self { store: Store::new(), index: Index::new(), number: 0 }
    }

    /// The contents alone.
    pub(super) fn contents(&self) -> Self {
        Self { store: self.store.clone(), index: Index::new(), number: self.number }
    }

    /// Frees one piece of memory; false if none is left.
    pub(super) fn shed(&mut self) -> bool {
        self.store.shed() || self.index.shed()
    }

    pub(super) const fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    pub(super) fn find<L: Layout>(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |place| L::key(self.store.content(place)) == key)
    }

    /// Asks for the content that a look-up of a hash will very likely compare, by its bucket.
    #[inline(always)]
    pub(super) fn ask_ahead(&self, hash: u64) {
        if let Some(place) = self.index.candidate(hash) {
            self.store.prefetch(place);
        }
    }

    /// The same, for who changes the content.
    #[inline(always)]
    pub(super) fn ask_to_change(&self, hash: u64) {
        if let Some(place) = self.index.candidate(hash) {
            self.store.prefetch_owner(place);
            self.store.prefetch(place);
        }
    }

    #[inline]
    pub(super) fn add<L: Layout>(&mut self, hashing: &Hashing, hash: u64, parts: &[&[u8]]) -> u32 {
        let place = self.store.insert(parts);
        let store = &self.store;
        self.index.insert(hash, place, |place| hashing.hash(L::key(store.content(place))));
        place
    }

    /// Gives an element another content with the same key, and tells where it is now.
    #[inline]
    pub(super) fn rewrite(&mut self, hash: u64, place: u32, parts: &[&[u8]]) -> u32 {
        if self.store.rewrite(place, parts) {
            return place;
        }
        let now = self.store.insert(parts);
        self.store.remove(place);
        self.index.replace(hash, place, now);
        now
    }

    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        self.index.remove(hash, place);
        self.store.remove(place);
    }

    pub(super) fn weight(&self) -> usize {
        self.store.weight() + self.index.weight()
    }
}

//! The large form of hashes and sets: elements in a store, found by their keys.
//!
//! ```text
//!   index (hash of key) ──► place ──► store: content, once each
//! ```
//! - [`index`]: from key to place, grown one bucket at a time; walked by cursors, picked from at random;
//! - [`store`]: the contents, in chunks that copies and readers may share; [`walk`]: such a reader;
//! - [`pages`]: arrays that grow without being copied.
//!
//! What a content consists of, and which part of it is the key, says the [`Layout`]: a set's content
//! is the member, a hash's is field and value.
//!
//! **No operation stalls**: an insert or a removal touches one or two buckets and one chunk of at
//! most 64 KiB, whatever the size. A copy takes chunks and pages of the index by reference; a view of
//! all elements at one instant takes the chunks only.
//!
//! **Memory**: about 7.5 bytes per element for the index, one for the slot's head, and on average one
//! and a half for the rounding of slots. Chunks go back to the allocator with their last element.
//!
//! **Not scc's map**, whose buckets are locked one by one: an element there is a block of the
//! allocator behind a counted pointer, it offers no walk that survives growth, no element at random
//! and no view of one instant, so it wants an array of all elements beside it: 55 bytes an element
//! by its layout, and a lock for the array after all.
//!
//! - **H1** Index and store hold the same elements; each one's place stands in its key's bucket.

mod index;
mod pages;
mod store;
#[cfg(test)]
mod tests;
mod walk;

pub(in crate::types) use index::Index;
pub(in crate::types) use pages::{PAGE, Pages};
pub(in crate::types) use store::Store;
pub use walk::View;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// What contents look like.
pub trait Layout {
    /// The key of a content. An element's key never changes.
    fn key(content: &[u8]) -> &[u8];
}

/// Contents that are keys and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Whole;

impl Layout for Whole {
    #[inline(always)]
    fn key(content: &[u8]) -> &[u8] {
        content
    }
}

/// Keys asked for ahead at most: those of a batch.
pub(in crate::types) const AHEAD: usize = 64;

/// Where an element is; valid until the table changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(u32);

impl At {
    /// The least of all.
    pub const FIRST: Self = Self(0);
}

/// The table.
#[derive(Debug)]
pub struct Table<L> {
    store: Store,
    index: Index,
    hashing: Hashing,
    layout: PhantomData<L>,
}

impl<L> Clone for Table<L> {
    /// A copy that changes on its own.
    fn clone(&self) -> Self {
        let (store, index) = (self.store.clone(), self.index.clone());
        Self { store, index, hashing: self.hashing.clone(), layout: PhantomData }
    }
}

impl<L: Layout> Default for Table<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Layout> Table<L> {
    /// An empty table.
    pub fn new() -> Self {
        Self::hashed(Hashing::of_process())
    }

    /// An empty table that takes the same shape each time, for tests.
    pub fn with_seed(seed: u64) -> Self {
        Self::hashed(Hashing::with_seed(seed))
    }

    fn hashed(hashing: Hashing) -> Self {
        Self { store: Store::new(), index: Index::new(), hashing, layout: PhantomData }
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Is there none?
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held beyond the table itself. Takes constant time.
    pub fn weight(&self) -> usize {
        self.store.weight() + self.index.weight()
    }

    /// Number of blocks that freeing it gives back.
    pub fn pieces(&self) -> usize {
        self.store.pieces() + self.len() / 8192
    }

    /// The hash of a key, which the methods below want.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hashing.hash(key)
    }

    /// Asks for what looking up these keys will touch, so that the look-ups need not wait for memory
    /// one after the other: first all buckets, then the contents that they name.
    #[inline]
    pub fn ask_ahead<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let (mut hashes, mut count) = ([0; AHEAD], 0);
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = self.hash(key);
            self.index.prefetch(*hash);
            count += 1;
        }
        for hash in &hashes[..count] {
            if let Some(place) = self.index.candidate(*hash) {
                self.store.prefetch(place);
            }
        }
    }

    /// Where the element with this key is.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<At> {
        self.index.find(hash, |place| L::key(self.store.content(place)) == key).map(At)
    }

    /// The content of the element with this key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(self.hash(key), key).map(|at| self.at(at))
    }

    /// The content of an element.
    #[inline(always)]
    pub fn at(&self, at: At) -> &[u8] {
        self.store.content(at.0)
    }

    /// The content of an element, to be changed without a change of its key or length.
    #[inline]
    pub fn at_mut(&mut self, at: At) -> &mut [u8] {
        self.store.content_mut(at.0)
    }

    /// Adds an element whose key, with this hash, is not there yet. Its content is given in parts.
    #[inline]
    pub fn add(&mut self, hash: u64, parts: &[&[u8]]) -> At {
        let place = self.store.insert(parts);
        let (store, hashing) = (&self.store, &self.hashing);
        self.index.insert(hash, place, |place| hashing.hash(L::key(store.content(place))));
        At(place)
    }

    /// Gives an element another content with the same key, and tells where it is now.
    pub fn rewrite(&mut self, hash: u64, at: At, parts: &[&[u8]]) -> At {
        if self.store.rewrite(at.0, parts) {
            return at;
        }
        let place = self.store.insert(parts);
        self.store.remove(at.0);
        self.index.replace(hash, at.0, place);
        At(place)
    }

    /// Removes an element.
    pub fn remove(&mut self, hash: u64, at: At) {
        self.index.remove(hash, at.0);
        self.store.remove(at.0);
    }

    /// Removes an element of which nothing but the place is known.
    pub fn remove_at(&mut self, at: At) {
        self.remove(self.hash(L::key(self.at(at))), at);
    }

    /// Shows a few elements and returns the next cursor, 0 at the end: elements that are there from
    /// the first call to the last are shown at least once, whatever comes and goes in between.
    pub fn scan(&self, cursor: u64, mut each: impl FnMut(At, &[u8])) -> u64 {
        self.index.scan(cursor, |place| each(At(place), self.store.content(place)))
    }

    /// An element at random, each as likely as any other. Takes a few steps, each a random number.
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<At> {
        self.index.random(random).map(At)
    }

    /// All contents, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.store.contents()
    }

    /// All elements as they are at this instant, whatever becomes of the table.
    pub fn view(&self) -> View {
        self.store.view()
    }
}

/// How keys are hashed: with the process's own random seed, lest they be crafted to collide.
#[derive(Debug, Clone)]
pub(in crate::types) struct Hashing {
    state: SeedableRandomState,
    pub(in crate::types) seed: u64,
}

impl Hashing {
    pub(in crate::types) fn of_process() -> Self {
        static SEED: OnceLock<(u64, SharedSeed)> = OnceLock::new();
        let (seed, shared) = SEED.get_or_init(|| {
            let mut bytes = [0; 8];
            // Without a source of entropy, the library's own mix of clock and addresses serves.
            let seed = match getrandom::fill(&mut bytes) {
                Ok(()) => u64::from_le_bytes(bytes),
                Err(_) => SeedableRandomState::random().build_hasher().finish(),
            };
            (seed, SharedSeed::from_u64(seed.rotate_left(32)))
        });
        Self { state: SeedableRandomState::with_seed(*seed, shared), seed: *seed }
    }

    pub(in crate::types) fn with_seed(seed: u64) -> Self {
        let shared = SharedSeed::global_fixed();
        Self { state: SeedableRandomState::with_seed(seed, shared), seed }
    }

    #[inline(always)]
    pub(in crate::types) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

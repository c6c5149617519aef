//! The large form of hashes and sets: elements in a store, found by their keys.
//!
//! ```text
//!   index (hash of key) ──► place ──► store: content, once each
//! ```
//! - [`index`]: from key to place, grown one bucket at a time; walked by cursors, picked from at random;
//! - [`store`]: the contents, in chunks that copies and readers may share; [`walk`]: such a reader;
//! - [`pages`]: arrays that grow without being copied;
//! - [`parts`]: how a large table is divided, if there are several threads; [`turn`]: how they share it.
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
mod parts;
mod shard;
mod store;
#[cfg(test)]
mod tests;
mod turn;
mod walk;

pub(in crate::types) use pages::Pages;
pub use turn::{Shares, Turn};
pub use walk::View;

use crate::sync::part::Part;
use crate::sync::{AtomicBool, Ordering};
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use parts::{Division, Parts};
use shard::Shard;
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
pub struct At {
    part: u8,
    place: u32,
}

impl At {
    /// The least of all.
    pub const FIRST: Self = Self { part: 0, place: 0 };
}

static DIVISIBLE: AtomicBool = AtomicBool::new(false);

/// Lets all tables made from now on be divided as they grow: there are several threads, which may
/// then work on different parts of one at the same time.
pub fn divide_large() {
    DIVISIBLE.store(true, Ordering::Relaxed);
}

/// The table.
#[derive(Debug)]
pub struct Table<L> {
    /// All elements, unless there are `parts`.
    one: Part<Shard>,
    parts: Option<Box<Parts>>,
    divisible: bool,
    hashing: Hashing,
    layout: PhantomData<L>,
}

impl<L> Clone for Table<L> {
    /// A copy that changes on its own.
    fn clone(&self) -> Self {
        Self {
            one: Part::new(self.one.get().clone()),
            parts: self.parts.clone(),
            divisible: self.divisible,
            hashing: self.hashing.clone(),
            layout: PhantomData,
        }
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
        Self {
            one: Part::new(Shard::new()),
            parts: None,
            divisible: DIVISIBLE.load(Ordering::Relaxed),
            hashing,
            layout: PhantomData,
        }
    }

    #[inline(always)]
    fn shard(&self, hash: u64) -> (u8, &Shard) {
        match &self.parts {
            None => (0, self.one.get()),
            Some(parts) => {
                let id = parts.id(hash);
                (id, parts.part(id).get())
            }
        }
    }

    #[inline(always)]
    fn shard_at(&self, at: At) -> &Shard {
        match &self.parts {
            None => self.one.get(),
            Some(parts) => parts.part(at.part).get(),
        }
    }

    #[inline(always)]
    fn shard_mut(&mut self, part: u8) -> &mut Shard {
        match &mut self.parts {
            None => self.one.get_mut(),
            Some(parts) => parts.part_mut(part),
        }
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        let one = self.parts.is_none().then(|| self.one.get());
        one.into_iter().chain(self.parts.iter().flat_map(|parts| parts.shards()))
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.parts {
            None => self.one.get().len(),
            Some(parts) => parts.len(),
        }
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether threads may share it ([`Table::turn`]).
    #[inline]
    pub const fn is_divided(&self) -> bool {
        self.parts.is_some()
    }

    /// Bytes held beyond the table itself. Takes constant time, or a look at each part.
    pub fn weight(&self) -> usize {
        let parts = match &self.parts {
            None => 0,
            Some(parts) => size_of_val(&**parts) + parts.shards().count() * size_of::<Shard>(),
        };
        parts + self.shards().map(Shard::weight).sum::<usize>()
    }

    /// Number of blocks that freeing it gives back.
    pub fn pieces(&self) -> usize {
        self.shards().map(|shard| shard.store.pieces()).sum::<usize>() + self.len() / 8192
    }

    /// As if there were several threads.
    #[cfg(test)]
    pub(in crate::types) const fn set_divisible(&mut self, divisible: bool) {
        self.divisible = divisible;
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
        let (hashes, count) = self.hashes(keys, |hash| self.shard(hash).1.index.prefetch(hash));
        hashes[..count].iter().for_each(|&hash| self.shard(hash).1.ask_ahead(hash));
    }

    /// The same of a table that threads share ([`Table::turn`]), with whether each element will be
    /// changed. The parts' latches come first: as often as not another processor had them last.
    #[inline]
    pub fn ask_ahead_shared<'k>(
        &self,
        sought: impl Iterator<Item = (&'k [u8], bool)>,
        shares: &Shares,
    ) {
        let Some(parts) = self.parts.as_deref() else { return };
        let mut changes = 0_u64;
        let keys = sought.enumerate().map(|(i, (key, change))| {
            changes |= u64::from(change) << (i % AHEAD);
            key
        });
        let (hashes, count) = self.hashes(keys, |hash| parts.part(parts.id(hash)).ask());
        let hashes = &hashes[..count];
        let turn = |hash| self.turn(hash, shares);
        hashes.iter().for_each(|&hash| turn(hash).map_or((), |turn| turn.ask_bucket()));
        for (i, &hash) in hashes.iter().enumerate() {
            if let Some(turn) = turn(hash) {
                turn.ask_ahead(changes >> i & 1 == 1);
            }
        }
    }

    /// Asks for the bucket of a hash.
    #[inline(always)]
    pub(in crate::types) fn ask_bucket(&self, hash: u64) {
        self.shard(hash).1.index.prefetch(hash);
    }

    /// The element that a look-up of a hash will very likely compare first.
    #[inline(always)]
    pub(in crate::types) fn candidate(&self, hash: u64) -> Option<At> {
        let (part, shard) = self.shard(hash);
        shard.index.candidate(hash).map(|place| At { part, place })
    }

    /// Asks for a content.
    #[inline(always)]
    pub(in crate::types) fn prefetch(&self, at: At) {
        self.shard_at(at).store.prefetch(at.place);
    }

    #[inline]
    fn hashes<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        each: impl Fn(u64),
    ) -> ([u64; AHEAD], usize) {
        let (mut hashes, mut count) = ([0; AHEAD], 0);
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = self.hash(key);
            each(*hash);
            count += 1;
        }
        (hashes, count)
    }

    /// Where the element with this key is.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<At> {
        let (part, shard) = self.shard(hash);
        shard.find::<L>(hash, key).map(|place| At { part, place })
    }

    /// The content of the element with this key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hash(key);
        let (_, shard) = self.shard(hash);
        shard.find::<L>(hash, key).map(|place| shard.store.content(place))
    }

    /// The content of an element.
    #[inline(always)]
    pub fn at(&self, at: At) -> &[u8] {
        self.shard_at(at).store.content(at.place)
    }

    /// The content of an element, to be changed without a change of its key or length.
    #[inline]
    pub fn at_mut(&mut self, at: At) -> &mut [u8] {
        self.shard_mut(at.part).store.content_mut(at.place)
    }

    /// To be called before [`Table::add`] with the same hash: divides the part that will get the
    /// element, if it is full, and shows the contents that move, with their old and new places.
    #[inline]
    pub fn make_room(&mut self, hash: u64, mut moved: impl FnMut(&[u8], At, At)) {
        if let Some(division) = self.begin_division(hash) {
            division.moves().for_each(|(old, new)| moved(self.at(new), old, new));
            self.end_division(division);
        }
    }

    /// The first half of [`Table::make_room`]: copies what will move, if there is anything to do. Until
    /// the second half elements are found in their old places; both hold their content.
    #[inline]
    pub(in crate::types) fn begin_division(&mut self, hash: u64) -> Option<Division> {
        if self.divisible { self.divide(hash) } else { None }
    }

    fn divide(&mut self, hash: u64) -> Option<Division> {
        if self.parts.is_none() {
            if !parts::is_full(self.one.get().len()) {
                return None;
            }
            let all = std::mem::replace(self.one.get_mut(), Shard::new());
            self.parts = Some(Box::new(Parts::of(all)));
        }
        self.parts.as_mut()?.begin::<L>(hash, &self.hashing)
    }

    /// The second half.
    pub(in crate::types) fn end_division(&mut self, division: Division) {
        if let Some(parts) = &mut self.parts {
            parts.end(division);
        }
    }

    /// A place in four bytes, for who keeps places of his own; [`Table::unpack`] undoes it.
    #[inline(always)]
    pub(in crate::types) fn pack(&self, at: At) -> u32 {
        debug_assert!(
            self.parts.is_none() || at.place & parts::PART_BITS == 0,
            "parts are bounded"
        );
        at.place | u32::from(at.part) << parts::PART_SHIFT
    }

    /// See [`Table::pack`].
    #[inline(always)]
    pub(in crate::types) fn unpack(&self, packed: u32) -> At {
        match &self.parts {
            None => At { part: 0, place: packed },
            Some(_) => At {
                part: ((packed & parts::PART_BITS) >> parts::PART_SHIFT) as u8,
                place: packed & !parts::PART_BITS,
            },
        }
    }

    /// The contents at this instant, in the same places; no element can be found among them.
    pub(in crate::types) fn contents(&self) -> Self {
        let one = self.one.get().contents();
        Self {
            one: Part::new(one),
            parts: self.parts.as_ref().map(|parts| Box::new(parts.contents())),
            divisible: self.divisible,
            hashing: self.hashing.clone(),
            layout: PhantomData,
        }
    }

    /// Frees one piece of memory; false if none is left.
    pub(in crate::types) fn shed(&mut self) -> bool {
        self.one.get_mut().shed() || self.parts.as_mut().is_some_and(|parts| parts.shed())
    }

    /// Adds an element whose key, with this hash, is not there yet. Its content is given in parts.
    #[inline]
    pub fn add(&mut self, hash: u64, content: &[&[u8]]) -> At {
        match &mut self.parts {
            None => {
                let place = self.one.get_mut().add::<L>(&self.hashing, hash, content);
                At { part: 0, place }
            }
            Some(parts) => {
                let part = parts.id(hash);
                parts.count(part, true);
                let place = parts.part_mut(part).add::<L>(&self.hashing, hash, content);
                At { part, place }
            }
        }
    }

    /// Gives an element another content with the same key, and tells where it is now.
    #[inline]
    pub fn rewrite(&mut self, hash: u64, at: At, content: &[&[u8]]) -> At {
        let place = self.shard_mut(at.part).rewrite(hash, at.place, content);
        At { place, ..at }
    }

    /// Removes an element.
    pub fn remove(&mut self, hash: u64, at: At) {
        self.shard_mut(at.part).remove(hash, at.place);
        if let Some(parts) = &mut self.parts {
            parts.count(at.part, false);
        }
    }

    /// Removes an element of which nothing but the place is known.
    pub fn remove_at(&mut self, at: At) {
        self.remove(self.hash(L::key(self.at(at))), at);
    }

    /// Shows a few elements and returns the next cursor, 0 at the end: elements that are there from
    /// the first call to the last are shown at least once, whatever comes and goes in between.
    pub fn scan(&self, cursor: u64, mut each: impl FnMut(At, &[u8])) -> u64 {
        match &self.parts {
            None => {
                let Shard { index, store, .. } = self.one.get();
                let at = |place| At { part: 0, place };
                index.scan(cursor, |place| each(at(place), store.content(place)))
            }
            Some(parts) => parts.scan(cursor, |at, shard| each(at, shard.store.content(at.place))),
        }
    }

    /// An element at random, each as likely as any other. Takes a few steps, each a random number.
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<At> {
        match &self.parts {
            None => self.one.get().index.random(random).map(|place| At { part: 0, place }),
            Some(parts) => parts.random(random),
        }
    }

    /// All contents, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.shards().flat_map(|shard| shard.store.contents())
    }

    /// All elements as they are at this instant, whatever becomes of the table.
    pub fn view(&self) -> View {
        View::of(self.shards().map(|shard| &shard.store))
    }
}

/// How keys are hashed: with the process's own random seed, lest they be crafted to collide.
#[derive(Debug, Clone)]
pub(in crate::types) struct Hashing {
    state: SeedableRandomState,
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
        Self { state: SeedableRandomState::with_seed(*seed, shared) }
    }

    pub(in crate::types) fn with_seed(seed: u64) -> Self {
        let shared = SharedSeed::global_fixed();
        Self { state: SeedableRandomState::with_seed(seed, shared) }
    }

    #[inline(always)]
    pub(in crate::types) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

//! Buckets, look-up, and the single-step changes under a held stripe. See the module's essay.

use super::hash::hash;
use crate::sync::limbo::Limbo;
use crate::sync::stripe::{Seen, Stripe, Stripes};
use crate::sync::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Backoff, CachePadded, Ordering, Pin,
};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

/// A block that the table can hold: it carries its key.
///
/// # Safety
/// `key` must give the same bytes for the whole life of the block; `free` must free a block that
/// [`Table`] got as a pointer, on any thread; pointers must fit in 48 bits (they do on all machines
/// this runs on; checked on insert).
pub unsafe trait Record: Send + Sync + 'static {
    /// The key inside.
    fn key(&self) -> &[u8];
    /// Bytes that the block holds, itself included.
    fn weight(&self) -> usize;
    /// Frees the block.
    ///
    /// # Safety
    /// `block` came from a pointer given to the table; nobody uses it any more.
    unsafe fn free(block: *mut u8);
}

/// Slots of a bucket; the eighth word is the chain.
pub(super) const SLOTS: usize = 7;
const CHAIN: usize = 7;
pub(super) const POINTER: u64 = (1 << 48) - 1;

/// Buckets of a chunk: 1 MiB, small enough to be had without a stall, whatever the table's size.
pub(super) const CHUNK: usize = 1 << 14;
/// Buckets that share one deadline.
pub(super) const GROUP: usize = 64;
/// Chunks at most: 2^29 buckets, 2,600 million keys at the usual load; beyond, chains grow.
const CHUNKS: usize = 1 << 15;

/// One cache line.
#[repr(C, align(64))]
pub(super) struct Bucket {
    words: [AtomicU64; 8],
}

impl Bucket {
    #[inline(always)]
    pub(super) fn slots(&self) -> &[AtomicU64; SLOTS] {
        let [slots @ .., _] = &self.words;
        slots
    }

    #[inline(always)]
    pub(super) fn chain(&self) -> &AtomicU64 {
        &self.words[CHAIN]
    }

    /// The next bucket of the chain.
    #[inline(always)]
    pub(super) fn next<'p>(&self) -> Option<&'p Self> {
        let next = self.words[CHAIN].load(Ordering::Acquire) as *const Self; // O2
        // SAFETY: a chain word is 0 or a bucket that is retired, not freed, when it leaves the
        // chain (I4); callers are pinned or hold the stripe, and do not keep it longer.
        unsafe { next.as_ref() }
    }

    /// A zeroed bucket of its own, for a chain.
    pub(super) fn alloc() -> NonNull<Self> {
        // SAFETY: the layout is not empty, and all zeroes is a valid bucket.
        let block = unsafe { alloc_zeroed(Layout::new::<Self>()) };
        NonNull::new(block.cast()).unwrap_or_else(|| handle_alloc_error(Layout::new::<Self>()))
    }

    /// Frees a bucket made by [`Bucket::alloc`].
    ///
    /// # Safety
    /// `block` came from there and is out of reach.
    pub(super) unsafe fn free(block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { dealloc(block, Layout::new::<Self>()) }
    }
}

/// 16,384 buckets and the deadlines of their groups.
pub(super) struct Chunk {
    buckets: NonNull<Bucket>,
    pub(super) due: Box<[AtomicU32]>,
}

// SAFETY: a chunk is plain shared atomics.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    pub(super) const LAYOUT: Layout = match Layout::array::<Bucket>(CHUNK) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn alloc() -> Box<Self> {
        // SAFETY: the layout is not empty, and all zeroes are valid buckets.
        let block = unsafe { alloc_zeroed(Self::LAYOUT) };
        let buckets =
            NonNull::new(block.cast()).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT));
        let due = (0..CHUNK / GROUP).map(|_| AtomicU32::new(0)).collect();
        Box::new(Self { buckets, due })
    }

    #[inline(always)]
    fn bucket(&self, at: usize) -> &Bucket {
        debug_assert!(at < CHUNK);
        // SAFETY: the chunk has CHUNK buckets; callers mask `at`.
        unsafe { self.buckets.add(at).as_ref() }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.buckets.as_ptr().cast(), Self::LAYOUT) }
    }
}

/// A slot found under a held stripe: where a record stands, and which.
#[derive(Debug)]
pub struct Place<'t, R> {
    slot: &'t AtomicU64,
    word: u64,
    _record: PhantomData<&'t R>,
}

impl<R> Clone for Place<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Place<'_, R> {}

impl<'t, R> Place<'t, R> {
    /// The record.
    #[inline(always)]
    pub fn record(&self) -> &'t R {
        // SAFETY: I1; the stripe is held and the thread pinned while the place is used.
        unsafe { &*((self.word & POINTER) as *const R) }
    }
}

/// The table. Records are owned by it.
pub struct Table<R: Record> {
    directory: Box<[AtomicPtr<Chunk>]>,
    buckets: CachePadded<AtomicU64>,
    /// Records, give or take what the writers have not passed on yet.
    count: CachePadded<AtomicI64>,
    pub(super) resizing: AtomicBool,
    /// Buckets that stay, however few records there are ([`Table::expect`]).
    pub(super) floor: AtomicU64,
    pub(super) stripes: Arc<Stripes>,
    _records: PhantomData<R>,
}

impl<R: Record> std::fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("buckets", &self.buckets()).finish_non_exhaustive()
    }
}

impl<R: Record> Table<R> {
    /// An empty table whose keys are ordered by `stripes`.
    pub fn new(stripes: Arc<Stripes>) -> Self {
        assert!(stripes.count() <= CHUNK, "a bucket needs a stripe of its own");
        let mut directory = Vec::new();
        directory.resize_with(CHUNKS, || AtomicPtr::new(null_mut()));
        directory[0] = AtomicPtr::new(Box::into_raw(Chunk::alloc()));
        Self {
            directory: directory.into_boxed_slice(),
            buckets: CachePadded::new(AtomicU64::new(stripes.count() as u64)),
            count: CachePadded::new(AtomicI64::new(0)),
            resizing: AtomicBool::new(false),
            floor: AtomicU64::new(0),
            stripes,
            _records: PhantomData,
        }
    }

    /// How many buckets there are.
    #[inline(always)]
    pub fn buckets(&self) -> u64 {
        self.buckets.load(Ordering::Acquire) // O3
    }

    /// The approximate number of records, and a correction to it.
    #[inline]
    pub fn count(&self) -> i64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Passes on how many more (or fewer) records there are since the last call by this thread.
    #[inline]
    pub fn adjust(&self, difference: i64) -> i64 {
        self.count.fetch_add(difference, Ordering::Relaxed) + difference
    }

    #[inline(always)]
    pub(super) fn set_buckets(&self, n: u64) {
        self.buckets.store(n, Ordering::Release); // O3
    }

    /// The chunk with number `at`, if there is one now.
    #[inline(always)]
    pub(super) fn chunk(&self, at: usize) -> Option<&Chunk> {
        let chunk = self.directory[at & (CHUNKS - 1)].load(Ordering::Acquire); // O2
        // SAFETY: null or a chunk that is retired, not freed, when it leaves the directory (I4).
        unsafe { chunk.as_ref() }
    }

    /// Bucket `b`; none when a merge has just given its chunk back.
    #[inline(always)]
    pub(super) fn bucket(&self, b: u64) -> Option<&Bucket> {
        let chunk = self.chunk((b as usize) / CHUNK)?;
        Some(chunk.bucket(b as usize % CHUNK))
    }

    /// Bytes of the table, without its records and without chained buckets (a few in a hundred).
    pub fn bytes(&self) -> usize {
        let chunks = (self.buckets() as usize).div_ceil(CHUNK);
        let marks = CHUNK / GROUP * size_of::<AtomicU32>();
        let chunk = size_of::<Chunk>() + Chunk::LAYOUT.size() + marks;
        size_of::<Self>() + CHUNKS * size_of::<AtomicPtr<Chunk>>() + chunks * chunk
    }

    /// Makes sure that the chunk of bucket `b` exists. False when the table is full.
    pub(super) fn ensure_chunk(&self, b: u64) -> bool {
        let at = b as usize / CHUNK;
        if at >= CHUNKS {
            return false;
        }
        if self.directory[at].load(Ordering::Relaxed).is_null() {
            self.directory[at].store(Box::into_raw(Chunk::alloc()), Ordering::Release); // O2
        }
        true
    }

    /// Takes chunk `at` out and retires it.
    pub(super) fn drop_chunk(&self, at: usize, limbo: &mut Limbo, pin: &Pin) {
        unsafe fn free(block: *mut u8) {
            // SAFETY: it came from `Box::into_raw` in `ensure_chunk`.
            drop(unsafe { Box::from_raw(block.cast::<Chunk>()) });
        }
        let chunk = self.directory[at].swap(null_mut(), Ordering::AcqRel);
        if !chunk.is_null() {
            // SAFETY: the swap took it out of reach, once (I4, I5).
            unsafe { limbo.retire(chunk.cast(), Chunk::LAYOUT.size(), free, pin) }
        }
    }

    /// Which bucket `hash` lives in, of `n`.
    #[inline(always)]
    pub(super) const fn address(hash: u64, n: u64) -> u64 {
        let level = 63 - n.leading_zeros(); // 2^level <= n
        let wide = hash & ((2 << level) - 1);
        if wide < n { wide } else { wide - (1 << level) }
    }

    #[inline(always)]
    pub(super) fn home(&self, hash: u64) -> Option<&Bucket> {
        self.bucket(Self::address(hash, self.buckets()))
    }

    /// Asks for the lines that a look-up of `hash` will want first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.home(hash) {
            prefetch(bucket);
        }
        prefetch(self.stripes.of(hash));
    }

    /// Asks for the record that a look-up of `hash` will compare; its bucket should be here by now.
    #[inline(always)]
    pub fn prefetch_record(&self, hash: u64) {
        let Some(bucket) = self.home(hash) else { return };
        for slot in bucket.slots() {
            let word = slot.load(Ordering::Relaxed);
            if word >> 48 == hash >> 48 && word != 0 {
                let record = (word & POINTER) as *const u8;
                prefetch(record);
                // Blocks are not aligned to lines: what follows the key is usually in the next.
                return prefetch(record.wrapping_add(64));
            }
        }
    }

    #[inline(always)]
    fn find<'t>(&'t self, hash: u64, key: &[u8]) -> Option<Place<'t, R>> {
        let mut bucket = self.home(hash)?;
        loop {
            for slot in bucket.slots() {
                let word = slot.load(Ordering::Acquire); // O1
                if word >> 48 == hash >> 48 && word != 0 {
                    let place: Place<'t, R> = Place { slot, word, _record: PhantomData };
                    if same(place.record().key(), key) {
                        return Some(place);
                    }
                }
            }
            bucket = bucket.next()?;
        }
    }

    /// Looks `key` up without a lock. Returns also what the stripe said before the look-up.
    #[inline(always)]
    pub fn get<'p>(&'p self, hash: u64, key: &[u8], _pin: &'p Pin) -> (Option<&'p R>, Seen) {
        let stripe = self.stripes.of(hash);
        let mut backoff = Backoff::default();
        loop {
            let seen = stripe.settled();
            if let Some(place) = self.find(hash, key) {
                return (Some(place.record()), seen);
            }
            if stripe.validate(seen) {
                return (None, seen);
            }
            backoff.wait();
        }
    }

    /// The stripe of a hash.
    #[inline(always)]
    pub fn stripe(&self, hash: u64) -> &Stripe {
        self.stripes.of(hash)
    }

    /// Looks `key` up for whoever holds its stripe. Without the stripe a miss may not be one.
    #[inline(always)]
    pub fn place<'t>(&'t self, hash: u64, key: &[u8], _pin: &'t Pin) -> Option<Place<'t, R>> {
        self.find(hash, key)
    }

    /// Puts a record whose key is not there. The caller holds the stripe.
    ///
    /// # Safety
    /// `record` is owned by the caller, fully built, with a key that hashes to `hash` and is absent.
    #[inline]
    pub unsafe fn insert<'t>(
        &'t self,
        hash: u64,
        record: NonNull<R>,
        _pin: &'t Pin,
    ) -> Place<'t, R> {
        let word = Self::word(hash, record);
        let Some(home) = self.home(hash) else {
            unreachable!("I5: under its stripe a home bucket cannot be merged away")
        };
        Place { slot: put(home, word), word, _record: PhantomData }
    }

    /// Puts `record` in the place of another with the same key, in one step, and retires that.
    ///
    /// # Safety
    /// As [`Table::insert`], with the key of `place`; the caller holds the stripe and has found
    /// `place` under it.
    #[inline]
    pub unsafe fn replace<'t>(
        &'t self,
        place: Place<'t, R>,
        record: NonNull<R>,
        limbo: &mut Limbo,
        pin: &Pin,
    ) -> Place<'t, R> {
        let word = (record.as_ptr() as u64) | (place.word & !POINTER);
        place.slot.store(word, Ordering::Release); // O1
        Self::retire(place.word, limbo, pin);
        Place { word, ..place }
    }

    /// Takes the record out and retires it.
    ///
    /// # Safety
    /// The caller holds the stripe and has found `place` under it.
    #[inline]
    pub unsafe fn remove(&self, place: Place<'_, R>, limbo: &mut Limbo, pin: &Pin) {
        place.slot.store(0, Ordering::Release);
        Self::retire(place.word, limbo, pin);
    }

    #[inline(always)]
    fn retire(word: u64, limbo: &mut Limbo, pin: &Pin) {
        let block = (word & POINTER) as *mut R;
        // SAFETY: a record that was in a slot is whole (I1).
        let bytes = unsafe { (*block).weight() };
        // SAFETY: it has just left its only slot (I3, I4) under the stripe.
        unsafe { limbo.retire(block.cast(), bytes, R::free, pin) }
    }

    #[inline(always)]
    fn word(hash: u64, record: NonNull<R>) -> u64 {
        let pointer = record.as_ptr() as u64;
        assert!(pointer & !POINTER == 0, "pointers have 48 bits");
        pointer | (hash >> 48) << 48
    }

    /// The record of a slot's word.
    ///
    /// # Safety
    /// `word` was loaded (Acquire) from a slot while pinned, and is not 0.
    #[inline(always)]
    pub(super) unsafe fn record_of<'p>(word: u64) -> &'p R {
        // SAFETY: I1 and the caller's promise.
        unsafe { &*((word & POINTER) as *const R) }
    }

    /// The hash of the record of a slot's word.
    ///
    /// # Safety
    /// As [`Table::record_of`].
    pub(super) unsafe fn hash_of(word: u64) -> u64 {
        // SAFETY: the caller's promise.
        hash(unsafe { Self::record_of(word) }.key())
    }
}

/// Puts `word` into the first free slot of a chain, which grows if there is none.
pub(super) fn put(mut bucket: &Bucket, word: u64) -> &AtomicU64 {
    loop {
        for slot in bucket.slots() {
            if slot.load(Ordering::Relaxed) == 0 {
                slot.store(word, Ordering::Release); // O1
                return slot;
            }
        }
        match bucket.next() {
            Some(next) => bucket = next,
            None => {
                let next = Bucket::alloc();
                // SAFETY: fresh, and in the chain from the next line on, for as long as `bucket`.
                let slot = &unsafe { next.as_ref() }.slots()[0];
                slot.store(word, Ordering::Relaxed);
                bucket.chain().store(next.as_ptr() as u64, Ordering::Release); // O2
                return slot;
            }
        }
    }
}

/// Whether two keys are equal, without a call for the usual lengths: eight bytes at a time, the
/// last eight overlapping (`==` calls `memcmp`, a seventh of a GET).
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    let n = a.len();
    if n != b.len() {
        return false;
    }
    if !(8..=64).contains(&n) {
        return a == b;
    }
    let word = |bytes: &[u8], at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let mut at = 0;
    while at + 8 < n {
        if word(a, at) != word(b, at) {
            return false;
        }
        at += 8;
    }
    word(a, n - 8) == word(b, n - 8)
}

/// Asks the processor to bring a line; never faults.
#[inline(always)]
pub(super) fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is allowed and has no effect that a program can see.
    unsafe {
        std::arch::x86_64::_mm_prefetch(place.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

impl<R: Record> Drop for Table<R> {
    fn drop(&mut self) {
        for b in 0..self.buckets() {
            let mut bucket = self.bucket(b);
            let mut first = true;
            while let Some(here) = bucket {
                for slot in here.slots() {
                    let word = slot.load(Ordering::Relaxed);
                    if word != 0 {
                        // SAFETY: `&mut self`: nobody else reads; each record stands once (I3).
                        unsafe { R::free((word & POINTER) as *mut u8) }
                    }
                }
                bucket = here.next();
                if !first {
                    // SAFETY: a chained bucket, and we have read its successor.
                    unsafe { Bucket::free(std::ptr::from_ref(here).cast_mut().cast()) }
                }
                first = false;
            }
        }
        for chunk in &self.directory {
            let chunk = chunk.load(Ordering::Relaxed);
            if !chunk.is_null() {
                // SAFETY: from `Box::into_raw`, and nobody else has it.
                drop(unsafe { Box::from_raw(chunk) });
            }
        }
    }
}

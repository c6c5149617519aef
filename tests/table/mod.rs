//! A record and a safe hand on [`Table`] for the tests of the index: lock, look, change, unlock, as
//! the keyspace does it, with nothing of the keyspace.

use eonkv::index::{Record, Table, hash};
use eonkv::sync::limbo::Limbo;
use eonkv::sync::stripe::Stripes;
use eonkv::sync::{AtomicI64, Ordering, Pin};
use std::ptr::NonNull;
use std::sync::Arc;

/// Records alive: what leaks or is freed twice shows here.
pub static ALIVE: AtomicI64 = AtomicI64::new(0);

/// A key, a value that tells whether it is whole, and a deadline (0: none).
pub struct Rec {
    key: Box<[u8]>,
    value: Box<[u64]>,
    pub due: u32,
}

impl Rec {
    fn new(key: &[u8], value: u64, words: usize, due: u32) -> NonNull<Self> {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        let value = (0..=words as u64).map(|at| value ^ at << 48).collect();
        NonNull::from(Box::leak(Box::new(Self { key: key.into(), value, due })))
    }

    /// The value; panics if it is not one that was written whole.
    pub fn value(&self) -> u64 {
        let first = self.value[0];
        for (at, word) in self.value.iter().enumerate() {
            assert_eq!(*word, first ^ (at as u64) << 48, "torn at word {at}");
        }
        first
    }
}

impl Drop for Rec {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
        self.value.fill(0xdead); // a reader that comes too late must notice
    }
}

// SAFETY: the key never changes; `free` undoes `Rec::new`.
unsafe impl Record for Rec {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.key.len() + self.value.len() * 8
    }

    unsafe fn free(block: *mut u8) {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(block.cast::<Self>()) })
    }
}

/// One thread's hand.
pub struct Hand<'t> {
    pub table: &'t Table<Rec>,
    limbo: Limbo,
}

impl<'t> Hand<'t> {
    pub fn new(table: &'t Table<Rec>) -> Self {
        Self { table, limbo: Limbo::default() }
    }

    /// Sets `key`; returns what it was before.
    #[allow(clippy::too_many_arguments)] // the table's own door, spelled out for tests
    pub fn put(
        &mut self,
        key: &[u8],
        value: u64,
        words: usize,
        due: u32,
        pin: &Pin,
    ) -> Option<u64> {
        let hash = hash(key);
        let record = Rec::new(key, value, words, due);
        let stripe = self.table.stripe(hash);
        stripe.lock();
        let place = self.table.place(hash, key, pin);
        let old = place.map(|place| place.record().value());
        // SAFETY: the stripe is held, the record whole, the place found under the stripe.
        let placed = unsafe {
            match place {
                Some(place) => self.table.replace(place, record, &mut self.limbo, pin),
                None => self.table.insert(hash, record, pin),
            }
        };
        assert_eq!(placed.record().value(), value);
        if due != 0 {
            self.table.note_due(hash, due);
        }
        stripe.unlock(0);
        if old.is_none() {
            self.table.adjust(1);
        }
        old
    }

    /// Removes `key`; returns what it was.
    pub fn remove(&mut self, key: &[u8], pin: &Pin) -> Option<u64> {
        let hash = hash(key);
        let stripe = self.table.stripe(hash);
        stripe.lock();
        let Some(place) = self.table.place(hash, key, pin) else {
            stripe.unlock_unchanged();
            return None;
        };
        let old = place.record().value();
        // SAFETY: found under the stripe, which is held.
        unsafe { self.table.remove(place, &mut self.limbo, pin) };
        stripe.unlock(0);
        self.table.adjust(-1);
        Some(old)
    }

    /// What `key` holds, read without a lock.
    pub fn get(&self, key: &[u8], pin: &Pin) -> Option<u64> {
        self.table.get(hash(key), key, pin).0.map(Rec::value)
    }

    /// A few steps towards what `count` records need.
    pub fn resize(&mut self, count: i64, pin: &Pin) {
        self.table.resize(count, &mut self.limbo, pin);
    }

    /// Grows or shrinks until the table fits `count` records.
    #[allow(dead_code)] // each test binary takes what it needs
    pub fn settle(&mut self, count: i64, pin: &Pin) {
        loop {
            let before = self.table.buckets();
            self.resize(count, pin);
            if self.table.buckets() == before {
                return;
            }
        }
    }
}

/// A table with few stripes, so that it grows soon.
pub fn table(stripes: usize) -> Table<Rec> {
    Table::new(Arc::new(Stripes::new(stripes, 0)))
}

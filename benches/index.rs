//! What a key costs in the keyspace: look-ups, writes, growth; in the cache's reach and beyond it.
//!
//! `cargo bench --bench index`. One thread, no protocol, no sockets. Times are per 64 operations
//! under one pin, as a worker's batch has it; `Mitem/s` counts single operations.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use eonkv::clock::Clock;
use eonkv::db::{Access, Expiry, Key, Keyspace, Local, New};
use eonkv::sync;
use std::sync::Arc;

const BATCH: usize = 64;
const VALUE: [u8; 32] = [b'v'; 32];

fn main() {
    divan::main();
}

/// Sixteen bytes, as the comparisons with other tables used.
fn key(i: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = i;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

struct Store {
    keyspace: Keyspace,
    local: Local,
    random: u64,
}

impl Store {
    fn with_keys(keys: u64) -> Self {
        let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
        let local = keyspace.sit();
        keyspace.gate.enter(local.seat);
        let mut store = Self { keyspace, local, random: 1 };
        let mut next = 0;
        while next < keys {
            store.batch(|access, _| {
                access.write(Key::new(&key(next))).set(New::Plain(&VALUE), Expiry::Never);
                next += 1;
            });
        }
        store
    }

    /// 64 operations under one pin, each given a random number.
    fn batch(&mut self, mut operation: impl FnMut(&mut Access<'_>, u64)) {
        let pin = sync::pin();
        let mut access = Access::new(&self.keyspace, &mut self.local, &pin, 0);
        for _ in 0..BATCH {
            // xorshift: cheap beside a cache miss
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            operation(&mut access, self.random);
        }
    }
}

#[divan::bench(args = [10_000, 1_000_000])]
fn get_hit(bencher: Bencher, keys: u64) {
    let mut store = Store::with_keys(keys);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        store.batch(|access, random| {
            black_box(access.find(Key::new(&key(random % keys))));
        });
    });
}

#[divan::bench(args = [10_000, 1_000_000])]
fn get_hit_prefetched(bencher: Bencher, keys: u64) {
    let mut store = Store::with_keys(keys);
    let mut batch: Vec<[u8; 16]> = Vec::with_capacity(BATCH);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        batch.clear();
        store.batch(|_, random| batch.push(key(random % keys)));
        let pin = sync::pin();
        let mut access = Access::new(&store.keyspace, &mut store.local, &pin, 0);
        let keys: Vec<Key<'_>> = batch.iter().map(|key| Key::new(key)).collect();
        keys.iter().for_each(|key| access.prefetch(key.hash));
        keys.iter().for_each(|key| access.prefetch_entry(key.hash));
        for key in &keys {
            black_box(access.find(*key));
        }
    });
}

#[divan::bench(args = [10_000, 1_000_000])]
fn get_miss(bencher: Bencher, keys: u64) {
    let mut store = Store::with_keys(keys);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        store.batch(|access, random| {
            black_box(access.find(Key::new(&key(keys + random % keys))));
        });
    });
}

#[divan::bench(args = [10_000, 1_000_000])]
fn set_overwrites(bencher: Bencher, keys: u64) {
    let mut store = Store::with_keys(keys);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        store.batch(|access, random| {
            let key = key(random % keys);
            access.write(Key::new(&key)).set(New::Plain(&VALUE), Expiry::Never);
        });
    });
}

#[divan::bench(args = [10_000, 1_000_000])]
fn delete_then_insert(bencher: Bencher, keys: u64) {
    let mut store = Store::with_keys(keys);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        store.batch(|access, random| {
            let key = key(random % keys);
            access.write(Key::new(&key)).remove();
            access.write(Key::new(&key)).set(New::Plain(&VALUE), Expiry::Never);
        });
    });
}

/// Growth from empty; the time is that of all inserts together.
#[divan::bench(args = [10_000, 1_000_000], sample_count = 10)]
fn insert_from_empty(bencher: Bencher, keys: u64) {
    bencher.counter(ItemsCount::new(keys)).bench(|| Store::with_keys(keys));
}

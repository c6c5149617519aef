//! The table under several threads that grow it, shrink it, overwrite, delete, read, walk, sweep.
//!
//! Checked at every moment: a permanent key is never missed, by a look-up or by a whole walk; a
//! value is one that was written, whole; a key's value never goes back; no deadline is lost; at the
//! end everything that was taken out is freed, once.
//!
//! `EONKV_STRESS_SECS=60 cargo test --release --test index_stress` looks for longer.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod table;

use eonkv::index::Record;
use eonkv::sync::{self, AtomicBool, AtomicU64, Ordering};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use table::{ALIVE, Hand, table};

/// Keys that stay; each is overwritten by all writers.
const PERMANENT: u64 = 400;
/// Keys that each writer puts and removes in one wave.
const WAVE: u64 = 6_000;
/// The tables think that they hold this many times what they do: growth by far more buckets.
const INFLATE: i64 = 24;
const DUE: u32 = 10;

fn permanent(key: u64) -> Vec<u8> {
    format!("permanent:{key}").into_bytes()
}

fn passing(writer: u64, key: u64) -> Vec<u8> {
    format!("w{writer}:{key}").into_bytes()
}

/// What the threads share.
struct Field {
    table: eonkv::index::Table<table::Rec>,
    stop: AtomicBool,
    /// Greatest round that a writer has finished, per permanent key.
    floor: Vec<AtomicU64>,
    peak: AtomicU64,
    waves: AtomicU64,
    /// Records with a deadline that were put, and that the sweep has shown.
    due_put: AtomicU64,
    due_seen: AtomicU64,
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Grows the table by a wave of keys and shrinks it again, and overwrites permanent keys between.
fn write(field: &Field, me: u64, writers: u64) {
    let mut hand = Hand::new(&field.table);
    let mut seed = me + 99;
    let mut round = 0;
    while !field.stop.load(Ordering::Relaxed) {
        for phase in 0..2 {
            for key in 0..WAVE {
                let mut pin = sync::pin();
                let name = passing(me, key);
                let words = random(&mut seed) as usize % 30;
                if phase == 0 {
                    assert_eq!(hand.put(&name, round, words, 0, &pin), None);
                } else {
                    assert_eq!(hand.remove(&name, &pin), Some(round));
                }
                hand.resize(field.table.count() * INFLATE, &pin);
                pin.repin();
                // Each permanent key has one writer, so that its values rise.
                let mine = random(&mut seed) % (PERMANENT / writers) * writers + me;
                let floor = &field.floor[mine as usize];
                let next = floor.load(Ordering::Relaxed) + 1;
                assert_eq!(hand.put(&permanent(mine), next, words, 0, &pin), Some(next - 1));
                floor.store(next, Ordering::Release);
                if key % 16 == 0 {
                    let name =
                        format!("due:{me}:{}", field.due_put.fetch_add(1, Ordering::Relaxed));
                    hand.put(name.as_bytes(), 1, 0, DUE, &pin);
                }
            }
            field.peak.fetch_max(field.table.buckets(), Ordering::Relaxed);
        }
        round += 1;
        field.waves.fetch_add(1, Ordering::Relaxed);
    }
}

fn read(field: &Field, seed: u64) {
    let (hand, mut seed) = (Hand::new(&field.table), seed);
    let mut last = vec![0; PERMANENT as usize];
    while !field.stop.load(Ordering::Relaxed) {
        let pin = sync::pin();
        for _ in 0..64 {
            let key = random(&mut seed) % PERMANENT;
            let floor = field.floor[key as usize].load(Ordering::Acquire);
            let value = hand.get(&permanent(key), &pin);
            let value = value.unwrap_or_else(|| panic!("permanent:{key} was missed"));
            assert!(value >= floor, "permanent:{key} gave {value} after {floor} was written");
            assert!(value >= last[key as usize], "permanent:{key} went back to {value}");
            last[key as usize] = value;
            assert_eq!(hand.get(&passing(99, key), &pin), None);
        }
    }
}

fn walk(field: &Field) {
    while !field.stop.load(Ordering::Relaxed) {
        let (mut seen, mut cursor) = (HashSet::new(), 0);
        loop {
            let pin = sync::pin();
            cursor = field.table.scan(cursor, &pin, |_, record| {
                record.value();
                if record.key().starts_with(b"permanent:") {
                    seen.insert(record.key().to_vec());
                }
            });
            if cursor == 0 || field.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        assert!(cursor != 0 || seen.len() == PERMANENT as usize, "a walk showed {}", seen.len());
    }
}

/// Removes what is due, while buckets move under it.
fn sweep(field: &Field, hand: &mut Hand<'_>) {
    let mut due = Vec::new();
    for group in 0..field.table.groups() {
        let pin = sync::pin();
        field.table.sweep_group(group, DUE, &pin, |_, record| {
            if record.due != 0 {
                due.push(record.key().to_vec());
            }
            None
        });
        for key in due.drain(..) {
            if hand.remove(&key, &pin).is_some() {
                field.due_seen.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn stress(writers: u64, duration: Duration) -> (u64, u64) {
    let field = Field {
        table: table(256),
        stop: AtomicBool::new(false),
        floor: (0..PERMANENT).map(|_| AtomicU64::new(0)).collect(),
        peak: AtomicU64::new(0),
        waves: AtomicU64::new(0),
        due_put: AtomicU64::new(0),
        due_seen: AtomicU64::new(0),
    };
    let mut hand = Hand::new(&field.table);
    for key in 0..PERMANENT {
        hand.put(&permanent(key), 0, 3, 0, &sync::pin());
    }
    std::thread::scope(|threads| {
        let field = &field;
        let mut others = Vec::new();
        others.extend((0..writers).map(|me| threads.spawn(move || write(field, me, writers))));
        others.extend((0..2).map(|me| threads.spawn(move || read(field, me + 7))));
        others.push(threads.spawn(|| walk(field)));
        others.push(threads.spawn(|| {
            let mut hand = Hand::new(&field.table);
            while !field.stop.load(Ordering::Relaxed) {
                sweep(field, &mut hand);
            }
        }));
        let end = Instant::now() + duration;
        let failed = |others: &[std::thread::ScopedJoinHandle<'_, ()>]| {
            others.iter().any(|thread| thread.is_finished())
        };
        while Instant::now() < end && !failed(&others) {
            std::thread::sleep(Duration::from_millis(10));
        }
        field.stop.store(true, Ordering::Relaxed);
    });
    sweep(&field, &mut hand);
    let (put, seen) =
        (field.due_put.load(Ordering::Relaxed), field.due_seen.load(Ordering::Relaxed));
    assert_eq!(put, seen, "deadlines were lost");
    assert_eq!(field.table.count(), PERMANENT as i64);
    (field.waves.load(Ordering::Relaxed), field.peak.load(Ordering::Relaxed))
}

#[test]
fn nothing_is_missed_torn_lost_or_leaked() {
    let secs = std::env::var("EONKV_STRESS_SECS").ok().and_then(|secs| secs.parse().ok());
    let (waves, peak) = stress(2, Duration::from_secs_f64(secs.unwrap_or(1.2)));
    println!("{waves} waves, {peak} buckets at most");
    assert!(waves > 0 && peak > 256);
    // The table is gone; what waits in the collector goes as epochs pass.
    let end = Instant::now() + Duration::from_secs(20);
    while ALIVE.load(Ordering::Relaxed) != 0 && Instant::now() < end {
        sync::pin().flush();
        std::thread::yield_now();
    }
    assert_eq!(ALIVE.load(Ordering::Relaxed), 0, "records leaked");
}

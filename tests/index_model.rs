//! The table against a plain map: every history of changes, growth and shrinking gives what a
//! `BTreeMap` gives; a walk shows every permanent key; no deadline is lost.
//!
//! One thread: what several do to each other is asked in `index_stress.rs` and `loom.rs`.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod table;

use eonkv::sync;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use table::{Hand, table};

#[derive(Debug, Clone)]
enum Op {
    /// Key, value, words of value, deadline (0: none).
    Put(u16, u64, u8, u32),
    Remove(u16),
    Get(u16),
    /// Steps towards a table for so many records.
    Resize(i64),
    /// A whole walk must show exactly the map.
    Walk,
    /// What is due by then must be shown.
    Sweep(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0u16..400; // few keys: collisions find bugs
    prop_oneof![
        8 => (key.clone(), any::<u64>(), any::<u8>(), 0u32..50)
            .prop_map(|(key, value, words, due)| Op::Put(key, value >> 16, words % 20, due)),
        3 => key.clone().prop_map(Op::Remove),
        3 => key.prop_map(Op::Get),
        4 => (0i64..6000).prop_map(Op::Resize),
        1 => Just(Op::Walk),
        1 => (1u32..50).prop_map(Op::Sweep),
    ]
}

fn name(key: u16) -> Vec<u8> {
    format!("key:{key}").into_bytes()
}

fn walk(hand: &Hand<'_>, pin: &sync::Pin) -> BTreeMap<Vec<u8>, u64> {
    let (mut found, mut cursor) = (BTreeMap::new(), 0);
    loop {
        cursor = hand.table.scan(cursor, pin, |_, record| {
            let key = eonkv::index::Record::key(record).to_vec();
            assert!(found.insert(key, record.value()).is_none(), "shown twice in a still table");
        });
        if cursor == 0 {
            return found;
        }
    }
}

/// Shows what is due at `now` and removes it, as active expiry does.
fn sweep(hand: &mut Hand<'_>, now: u32, pin: &sync::Pin) -> BTreeSet<Vec<u8>> {
    let mut due = BTreeSet::new();
    for group in 0..hand.table.groups() {
        hand.table.sweep_group(group, now, pin, |_, record| {
            if record.due == 0 {
                return None;
            }
            if record.due > now {
                return Some(record.due);
            }
            due.insert(eonkv::index::Record::key(record).to_vec());
            None
        });
    }
    for key in &due {
        assert!(hand.remove(key, pin).is_some());
    }
    due
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_what_a_map_gives(history in vec(op(), 1..600)) {
        let table = table(16);
        let mut hand = Hand::new(&table);
        let pin = sync::pin();
        let mut model: BTreeMap<Vec<u8>, (u64, u32)> = BTreeMap::new();
        for op in history {
            match op {
                Op::Put(key, value, words, due) => {
                    let old = model.insert(name(key), (value, due)).map(|(value, _)| value);
                    prop_assert_eq!(hand.put(&name(key), value, words.into(), due, &pin), old);
                }
                Op::Remove(key) => {
                    let old = model.remove(&name(key)).map(|(value, _)| value);
                    prop_assert_eq!(hand.remove(&name(key), &pin), old);
                }
                Op::Get(key) => {
                    let value = model.get(&name(key)).map(|(value, _)| *value);
                    prop_assert_eq!(hand.get(&name(key), &pin), value);
                }
                Op::Resize(count) => hand.resize(count, &pin),
                Op::Walk => {
                    let values = model.iter().map(|(key, (value, _))| (key.clone(), *value));
                    prop_assert_eq!(walk(&hand, &pin), values.collect::<BTreeMap<_, _>>());
                }
                Op::Sweep(now) => {
                    let over = |due: u32| due != 0 && due <= now;
                    let due: BTreeSet<_> = model.iter().filter(|(_, (_, due))| over(*due))
                        .map(|(key, _)| key.clone()).collect();
                    prop_assert_eq!(sweep(&mut hand, now, &pin), due);
                    model.retain(|_, (_, due)| !over(*due));
                }
            }
            prop_assert_eq!(table.count(), model.len() as i64);
        }
        prop_assert_eq!(table.census(&pin).records, model.len() as u64);
    }

    /// Between two steps of the walk the table grows and shrinks by any amount, and other keys
    /// come and go.
    #[test]
    fn a_walk_shows_every_permanent_key(
        start in 0i64..4000,
        turns in vec((any::<bool>(), 0i64..4000, 0u16..300), 1..400),
    ) {
        let table = table(16);
        let mut hand = Hand::new(&table);
        let pin = sync::pin();
        for key in 0..500u16 {
            hand.put(&name(key), key.into(), 0, 0, &pin);
        }
        hand.settle(start, &pin);
        let mut missing: BTreeSet<Vec<u8>> = (0..500).map(name).collect();
        let (mut cursor, mut turn) = (0, 0);
        loop {
            cursor = table.scan(cursor, &pin, |_, record| {
                let key = eonkv::index::Record::key(record).to_vec();
                assert!(key.starts_with(b"key:"), "never present");
                missing.remove(&key);
            });
            if cursor == 0 {
                break;
            }
            let (far, count, other) = turns[turn % turns.len()];
            turn += 1;
            if far && turn < 40 { hand.settle(count, &pin) } else { hand.resize(count, &pin) }
            if hand.remove(&name(1000 + other), &pin).is_none() {
                hand.put(&name(1000 + other), 7, 3, 0, &pin);
            }
        }
        prop_assert!(missing.is_empty(), "{} keys were not shown", missing.len());
    }
}

/// A table that grows while one of its groups is swept keeps every deadline: with the mark cleared,
/// a record must not leave for a group that then has none.
#[test]
fn growth_during_a_sweep_loses_no_deadline() {
    let table = table(16);
    let (mut hand, mut other) = (Hand::new(&table), Hand::new(&table));
    let pin = sync::pin();
    for key in 0..300 {
        hand.put(&name(key), key.into(), 0, 5, &pin);
    }
    let mut shown = BTreeSet::new();
    for _ in 0..2 {
        for group in 0..table.groups() {
            table.sweep_group(group, 9, &pin, |_, record| {
                other.settle(4000, &pin);
                shown.insert(eonkv::index::Record::key(record).to_vec());
                None
            });
        }
        hand.settle(4000, &pin);
    }
    assert_eq!(shown.len(), 300);
}

/// Growing beyond one chunk of 16,384 buckets and back, which gives chunks back.
#[test]
fn chunks_come_and_go() {
    let table = table(256);
    let mut hand = Hand::new(&table);
    let mut pin = sync::pin();
    for key in 0..1000u16 {
        hand.put(&name(key), key.into(), 1, u32::from(key % 3), &pin);
    }
    for round in 0..3 {
        hand.settle(200_000, &pin);
        assert!(table.buckets() > 40_000);
        hand.settle(0, &pin);
        assert_eq!(table.buckets(), 256);
        pin.repin();
        let all = (0..1000u16).all(|key| hand.get(&name(key), &pin) == Some(key.into()));
        assert!(all && walk(&hand, &pin).len() == 1000, "round {round}");
    }
    assert_eq!(sweep(&mut hand, 1, &pin).len(), 333);
    assert_eq!(sweep(&mut hand, 2, &pin).len(), 333);
    assert_eq!(sweep(&mut hand, 99, &pin).len(), 0);
}

//! The table against a plain model, with its own invariants checked on the way.

use super::{At, Layout, Table, Whole};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A key of four bytes, then whatever belongs to it.
#[derive(Debug)]
struct Keyed;

impl Layout for Keyed {
    fn key(content: &[u8]) -> &[u8] {
        &content[..content.len().min(4)]
    }
}

impl<L: Layout> Table<L> {
    /// One that is divided as it grows.
    fn divisible(seed: u64) -> Self {
        Self { divisible: true, ..Self::with_seed(seed) }
    }

    /// Adds an element as sets and hashes do.
    fn put(&mut self, key: &[u8], content: &[&[u8]]) -> At {
        let hash = self.hash(key);
        self.make_room(hash, |content, old, new| assert!(old != new && L::key(content) != key));
        self.add(hash, content)
    }

    /// H1, T2, D1, D3.
    fn check(&self) {
        let mut elements = 0;
        for (part, shard) in self.shards().enumerate() {
            let places = shard.index.places();
            assert_eq!(places.len(), places.iter().collect::<HashSet<_>>().len(), "T2");
            for &place in &places {
                let key = L::key(shard.store.content(place));
                let at = At { part: part as u8, place };
                assert_eq!(self.find(self.hash(key), key), Some(at), "H1, D1");
            }
            assert_eq!(shard.store.contents().count(), places.len(), "H1");
            elements += places.len();
        }
        assert_eq!((self.iter().count(), self.len()), (elements, elements), "D3");
    }
}

fn all<L: Layout>(table: &Table<L>) -> BTreeSet<Vec<u8>> {
    table.iter().map(<[u8]>::to_vec).collect()
}

fn value(number: u16) -> Vec<u8> {
    vec![number as u8; [0, 3, 8, 300, 15, 0, 2500][usize::from(number) % 7]]
}

#[derive(Debug, Clone)]
enum Op {
    Put(u16, u16, u16),
    Remove(u16, u16),
    View(usize),
    Copy,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..1500u16, 0..40u16, 0..7u16).prop_map(|(n, k, v)| Op::Put(n, k, v)),
        4 => (0..1500u16, 0..40u16).prop_map(|(n, k)| Op::Remove(n, k)),
        1 => (1..200usize).prop_map(Op::View),
        1 => Just(Op::Copy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 400, ..Default::default() })]

    /// Any history leaves what a plain map would hold; views and copies keep what they were made of.
    #[test]
    fn histories_match_the_model(history in vec(op(), 1..200), seed: u64, divisible: bool) {
        let mut table = Table::<Keyed>::with_seed(seed);
        table.divisible = divisible;
        let mut model: BTreeMap<[u8; 4], Vec<u8>> = BTreeMap::new();
        let mut copies = Vec::new();
        let mut views = Vec::new();
        for op in &history {
            match *op {
                Op::Put(from, count, kind) => for number in from..from + count {
                    let (key, value) = (u32::from(number).to_be_bytes(), value(number % 50 + kind));
                    let hash = table.hash(&key);
                    match table.find(hash, &key) {
                        Some(at) => {
                            let at = table.rewrite(hash, at, &[&key, &value]);
                            prop_assert_eq!(table.find(hash, &key), Some(at));
                        }
                        None => _ = table.put(&key, &[&key, &value]),
                    }
                    model.insert(key, value);
                }
                Op::Remove(from, count) => for number in from..from + count {
                    let key = u32::from(number).to_be_bytes();
                    let hash = table.hash(&key);
                    let at = table.find(hash, &key);
                    prop_assert_eq!(at.is_some(), model.remove(&key).is_some());
                    at.map(|at| table.remove(hash, at)).unwrap_or_default();
                }
                Op::View(step) => views.push((table.view(), step, all(&table))),
                Op::Copy => copies.push((table.clone(), all(&table))),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        table.check();
        let want: BTreeSet<_> = model.iter().map(|(k, v)| [&k[..], v].concat()).collect();
        prop_assert_eq!(all(&table), want);
        for (view, step, want) in &mut views {
            let mut got = BTreeSet::new();
            while view.next(*step, |content| assert!(got.insert(content.to_vec()))) {}
            prop_assert_eq!(&got, &*want);
        }
        for (copy, want) in &copies {
            copy.check();
            prop_assert_eq!(&all(copy), want);
        }
    }
}

fn numbers(count: u32, divisible: bool) -> Table<Whole> {
    let mut table = if divisible { Table::divisible(11) } else { Table::with_seed(11) };
    for number in 0..count {
        let key = number.to_be_bytes();
        table.put(&key, &[&key]);
    }
    table
}

#[test]
fn a_scan_sees_who_stays_while_the_table_grows_and_shrinks() {
    walk_while_it_changes(numbers(5000, false));
}

/// The walk begins in one part and ends in many.
#[test]
fn a_scan_sees_who_stays_while_the_table_is_divided() {
    let mut table = numbers(5000, false);
    table.divisible = true;
    walk_while_it_changes(table);
    walk_while_it_changes(numbers(5000, true));
    let mut table = numbers(30, true);
    let (mut seen, mut cursor) = (HashSet::new(), 0);
    for round in 0.. {
        cursor = table.scan(cursor, |_, key| _ = seen.insert(key.to_vec()));
        if cursor == 0 {
            break;
        }
        for number in 0..50u32 {
            let key = (1000 + round * 50 + number).to_be_bytes();
            if round < 40 {
                table.put(&key, &[&key]);
            }
        }
    }
    assert!((0..30u32).all(|number| seen.contains(&number.to_be_bytes()[..])));
    assert!(table.shards().count() > 20, "it was divided meanwhile");
    table.check();
}

fn walk_while_it_changes(mut table: Table<Whole>) {
    let (mut seen, mut cursor, mut next) = (HashSet::new(), 0, 5000u32);
    for step in 0.. {
        cursor = table.scan(cursor, |_, key| _ = seen.insert(key.to_vec()));
        if cursor == 0 {
            break;
        }
        if step % 400 < 200 {
            for number in next..next + 40 {
                let key = number.to_be_bytes();
                table.put(&key, &[&key]);
            }
            next += 40;
        } else {
            for number in next - 40..next {
                let key = number.to_be_bytes();
                table.remove_at(table.find(table.hash(&key), &key).unwrap());
            }
            next -= 40;
        }
    }
    assert!((0..5000u32).all(|number| seen.contains(&number.to_be_bytes()[..])));
}

#[test]
fn picks_are_fair() {
    fair_picks(numbers(3000, false));
    fair_picks(numbers(3000, true));
}

fn fair_picks(mut table: Table<Whole>) {
    for number in 100..3000u32 {
        let key = number.to_be_bytes();
        table.remove_at(table.find(table.hash(&key), &key).unwrap());
    }
    let (mut state, mut counts) = (1u64, [0u32; 100]);
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ mixed >> 31
    };
    for _ in 0..100_000 {
        let at = table.random(&mut random).unwrap();
        counts[u32::from_be_bytes(table.at(at).try_into().unwrap()) as usize] += 1;
    }
    // Each count is about 1000 with a deviation of 32.
    assert!(counts.iter().all(|&count| (800..1200).contains(&count)), "{counts:?}");
    assert!(Table::<Whole>::new().random(random).is_none());
}

#[test]
fn an_element_costs_few_bytes_and_the_memory_comes_back() {
    let mut table = numbers(100_000, false);
    let beyond = table.weight() / 100_000 - 4;
    assert!(beyond <= 16, "{beyond} bytes beyond the key");
    for number in 0..100_000u32 {
        let key = number.to_be_bytes();
        table.remove_at(table.find(table.hash(&key), &key).unwrap());
    }
    assert!(table.is_empty() && table.weight() < 300_000, "{} bytes are left", table.weight());
}

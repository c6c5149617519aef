//! The set against a plain model, with its own invariants checked on the way.

use super::node::Node;
use super::tree::{HEAD, NIL};
use super::{Cut, SortedSet};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl SortedSet {
    /// L1 to L5, T2 and Z1.
    fn check(&self) {
        let (root, depth) = self.order().root();
        let mut below = Vec::new();
        self.check_node(root, depth, &mut below);
        let mut rank = 0;
        let mut last: Option<(f64, Vec<u8>)> = None;
        let mut places = HashSet::new();
        for (at, leaf) in below.iter().copied().enumerate() {
            let block = self.order().block(leaf);
            assert!(!block.places().is_empty() || self.is_empty(), "L2");
            for (&score, &place) in block.scores().iter().zip(block.places()) {
                let entry = (score, self.members.member(place).to_vec());
                assert!(last.as_ref().is_none_or(|last| *last < entry), "L1");
                assert_eq!(self.members.score(place), score, "Z1");
                assert!(places.insert(place), "Z1");
                assert_eq!(self.place(self.hash(&entry.1), &entry.1), Some(place), "Z1");
                last = Some(entry);
            }
            if let Some(&first) = block.places().first() {
                assert_eq!(self.order().first(leaf, 0), first, "L5");
            }
            rank += block.places().len();
            assert_eq!(self.order().next(leaf), below.get(at + 1).copied().unwrap_or(NIL));
            let before = at.checked_sub(1).map_or(NIL, |at| below[at]);
            assert_eq!(self.order().before(leaf), before);
        }
        assert_eq!(below.first(), Some(&HEAD), "L6");
        assert_eq!((below.last(), rank), (Some(&self.order().tail()), self.len()));
        let mut indexed = HashSet::new();
        let mut cursor = 0;
        loop {
            let table = &self.members.0;
            cursor = table.scan(cursor, |at, _| assert!(indexed.insert(table.pack(at)), "T2"));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((indexed.len(), self.members.0.len()), (self.len(), self.len()), "T2");
        assert_eq!(indexed, places, "T2");
    }
}

impl SortedSet {
    /// Checks a node and what is below it, and adds its blocks to `leaves`. Returns the lowest and the
    /// highest score below, and how many entries there are.
    fn check_node(&self, node: &Node, levels: usize, leaves: &mut Vec<u32>) -> (f64, f64, usize) {
        let (mut low, mut high, mut total) = (f64::NAN, f64::NAN, 0);
        assert!(node.len() > 0, "L2");
        for slot in 0..node.len() {
            let child = node.child(slot);
            let (first, last, count) = if levels > 1 {
                self.check_node(self.order().node(child), levels - 1, leaves)
            } else {
                leaves.push(child);
                let scores = self.order().block(child).scores();
                let end = |score: Option<&f64>| score.copied().unwrap_or(f64::NAN);
                (end(scores.first()), end(scores.last()), scores.len())
            };
            assert_eq!(node.count(slot), count, "L3");
            if let Some(separator) = node.separator(slot) {
                assert!(high <= separator && separator <= first, "L4");
            } else {
                low = first;
            }
            (high, total) = (last, total + count);
        }
        assert_eq!(node.separator(node.len()), None);
        let infinite = node.up_to(f64::MAX).max(node.below(f64::INFINITY));
        assert!(infinite < node.len(), "N1");
        (low, high, total)
    }
}

#[derive(Default)]
struct Model {
    scores: BTreeMap<Vec<u8>, f64>,
    order: BTreeSet<(u64, Vec<u8>)>,
}

/// Numbers in the order of the scores.
fn sortable(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn score(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

impl Model {
    fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let old = self.remove(member);
        self.scores.insert(member.to_vec(), score + 0.0);
        self.order.insert((sortable(score), member.to_vec()));
        old
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let old = self.scores.remove(member)?;
        self.order.remove(&(sortable(old), member.to_vec()));
        Some(old)
    }

    fn rank_of(&self, cut: &Cut<'_>) -> usize {
        let count = |before: &dyn Fn(f64, &[u8]) -> bool| {
            self.order.iter().take_while(|(key, member)| before(score(*key), member)).count()
        };
        match *cut {
            Cut::Start => 0,
            Cut::End => self.order.len(),
            Cut::BeforeScore(at) => count(&|score, _| score < at),
            Cut::AfterScore(at) => count(&|score, _| score <= at),
            Cut::BeforeMember(at) => count(&|_, member| member < at),
            Cut::AfterMember(at) => count(&|_, member| member <= at),
            Cut::BeforeEntry(s, m) => count(&|score, member| (score, member) < (s, m)),
            Cut::AfterEntry(s, m) => count(&|score, member| (score, member) <= (s, m)),
        }
    }

    fn list(&self) -> Vec<(Vec<u8>, f64)> {
        self.order.iter().map(|(key, member)| (member.clone(), score(*key))).collect()
    }
}

/// Short, long and very long members, all distinct.
fn member(number: u16) -> Vec<u8> {
    let mut text = format!("m{number:03}").into_bytes();
    text.resize(text.len() + [0, 3, 0, 300, 15, 0, 2500][usize::from(number) % 7], b'.');
    text
}

#[derive(Debug, Clone)]
enum Op {
    /// So many members from a number on, each with the score plus a multiple of the step.
    Insert(u16, u16, f64, f64),
    Remove(u16, u16),
    RemoveRange(u16, u16),
    PopMin,
    PopMax,
    Ask(u16, f64),
    Walk(u16, u16),
}

fn scores() -> impl Strategy<Value = f64> {
    let odd = prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1.5]);
    prop_oneof![3 => (0..20i32).prop_map(f64::from), 1 => odd, 2 => -1e3..1e3f64]
}

fn op() -> impl Strategy<Value = Op> {
    let step = prop::sample::select(vec![0.0, 1.0, -1.0, 0.25, 1e-3]);
    let from = || 0..2000u16;
    prop_oneof![
        4 => (from(), 0..4u16, scores(), step.clone()).prop_map(|(n, k, s, d)| Op::Insert(n, k, s, d)),
        1 => (from(), 0..300u16, scores(), step).prop_map(|(n, k, s, d)| Op::Insert(n, k, s, d)),
        3 => (from(), 0..50u16).prop_map(|(n, k)| Op::Remove(n, k)),
        1 => (from(), 0..200u16).prop_map(|(n, k)| Op::RemoveRange(n, k)),
        1 => Just(Op::PopMin),
        1 => Just(Op::PopMax),
        4 => (from(), scores()).prop_map(|(n, s)| Op::Ask(n, s)),
        1 => (from(), 0..100u16).prop_map(|(n, k)| Op::Walk(n, k)),
    ]
}

fn owned(entry: (&[u8], f64)) -> (Vec<u8>, f64) {
    (entry.0.to_vec(), entry.1)
}

fn ask(set: &SortedSet, model: &Model, number: u16, at: f64) {
    let name = member(number);
    assert_eq!(set.score(&name), model.scores.get(&name).copied());
    let rank = model.scores.get(&name).map(|&s| (model.rank_of(&Cut::BeforeEntry(s, &name)), s));
    assert_eq!(set.rank(&name), rank);
    assert_eq!(set.reverse_rank(&name), rank.map(|(rank, s)| (set.len() - 1 - rank, s)));
    let cuts = [
        Cut::Start,
        Cut::BeforeEntry(at, &name),
        Cut::AfterEntry(at, &name),
        Cut::BeforeScore(at),
        Cut::AfterScore(at),
        Cut::End,
    ];
    let all = model.list();
    for cut in &cuts {
        let rank = model.rank_of(cut);
        assert_eq!(set.rank_of(cut), rank, "{cut:?}");
        assert_eq!(set.first(cut).map(owned), all.get(rank).cloned());
        assert_eq!(set.last(cut).map(owned), rank.checked_sub(1).map(|rank| all[rank].clone()));
    }
    let between = model.rank_of(&cuts[4]) - model.rank_of(&cuts[3]);
    assert_eq!(set.count(&cuts[3], &cuts[4]), between);
    let equal = all.first().zip(all.last()).is_some_and(|(first, last)| first.1 == last.1);
    for cut in [Cut::BeforeMember(&name), Cut::AfterMember(&name)] {
        let rank = set.rank_of(&cut);
        assert!(!equal || rank == model.rank_of(&cut), "{cut:?}");
    }
}

fn apply(set: &mut SortedSet, model: &mut Model, op: &Op) {
    match *op {
        Op::Insert(from, count, score, step) => {
            for k in 0..=count {
                let (name, score) = (member((from + k) % 2000), score + step * f64::from(k));
                assert_eq!(set.insert(&name, score), model.insert(&name, score));
            }
        }
        Op::Remove(from, count) => {
            for name in (from..=from + count).map(member) {
                assert_eq!(set.remove(&name), model.remove(&name));
            }
        }
        Op::RemoveRange(rank, count) => {
            let (rank, count) = (usize::from(rank) % (set.len() + 1), usize::from(count));
            let want: Vec<_> = model.list().into_iter().skip(rank).take(count).collect();
            let mut got = Vec::new();
            let removed = set.remove_range(rank, count, |m, s| got.push(owned((m, s))));
            assert_eq!((removed, &got), (want.len(), &want));
            want.iter().for_each(|(name, _)| _ = model.remove(name));
        }
        Op::PopMin | Op::PopMax => {
            let list = model.list();
            let min = matches!(op, Op::PopMin);
            let want = if min { list.first() } else { list.last() };
            assert_eq!(if min { set.pop_min() } else { set.pop_max() }.as_ref(), want);
            want.map(|(name, _)| model.remove(name));
        }
        Op::Ask(number, at) => ask(set, model, number, at),
        Op::Walk(rank, count) => {
            let (rank, count) = (usize::from(rank) % (set.len() + 1), usize::from(count));
            let list = model.list();
            let up: Vec<_> = set.range(rank, count).map(owned).collect();
            assert_eq!(up, list.iter().skip(rank).take(count).cloned().collect::<Vec<_>>());
            let down: Vec<_> = set.range_back(rank, count).map(owned).collect();
            let want: Vec<_> = list[..rank].iter().rev().take(count).cloned().collect();
            assert_eq!(down, want);
        }
    }
    assert_eq!(set.len(), model.order.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, ..Default::default() })]

    /// Any history leaves what a plain ordered set would hold, with every answer on the way.
    #[test]
    fn histories_match_the_model(history in vec(op(), 1..500), seed: u64, divisible: bool) {
        let (mut set, mut model) = (SortedSet::with_seed(seed), Model::default());
        set.members.0.set_divisible(divisible);
        for (turn, op) in history.iter().enumerate() {
            apply(&mut set, &mut model, op);
            if turn % 10 == 0 {
                set.check();
            }
        }
        set.check();
        let got: Vec<_> = set.range(0, usize::MAX).map(owned).collect();
        prop_assert_eq!(got, model.list());
    }

    /// With equal scores, cuts by member find their place.
    #[test]
    fn equal_scores_are_in_order_of_members(
        numbers in vec(0..2000u16, 1..800),
        seed: u64,
        divisible: bool,
    ) {
        let (mut set, mut model) = (SortedSet::with_seed(seed), Model::default());
        set.members.0.set_divisible(divisible);
        for &number in &numbers {
            set.insert(&member(number), 0.0);
            model.insert(&member(number), -0.0);
        }
        set.check();
        for &number in numbers.iter().step_by(7) {
            ask(&set, &model, number, 0.0);
            ask(&set, &model, 1999 - number, 0.0);
        }
    }
}

#[test]
fn thousands_come_and_go() {
    let mut set = SortedSet::with_seed(7);
    let empty = set.weight();
    let name = |i: u64| format!("member:{i:09}").into_bytes();
    let score = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64;
    for round in 0..2 {
        (0..30_000).for_each(|i| assert_eq!(set.insert(&name(i), score(i)), None));
        set.check();
        assert!(set.weight() < 30_000 * (24 + 48), "{} bytes, round {round}", set.weight());
        (0..30_000).for_each(|i| assert_eq!(set.insert(&name(i), -score(i)), Some(score(i))));
        set.check();
        (0..29_900).for_each(|i| assert_eq!(set.remove(&name(i)), Some(-score(i))));
        set.check();
        // A hundred blocks at most hold a hundred members.
        assert!(set.weight() < 320_000, "{} bytes are left", set.weight());
        assert_eq!(set.remove_range(0, 1000, |_, _| ()), 100);
        set.check();
    }
    // Nodes, directories and part of a page stay for the next who come.
    assert!(set.weight() < empty + 9 * 30_000, "{} bytes are left of none", set.weight());
}

#[test]
fn a_scan_sees_who_stays_while_the_table_grows_and_shrinks() {
    let mut set = SortedSet::with_seed(3);
    let name = |i: u32| i.to_be_bytes();
    (0..5000).for_each(|i| _ = set.insert(&name(i), 1.0));
    let (mut seen, mut cursor, mut next) = (HashSet::new(), 0, 5000);
    for step in 0.. {
        cursor = set.scan(cursor, |member, _| _ = seen.insert(member.to_vec()));
        if cursor == 0 {
            break;
        }
        match step % 400 {
            0..200 => (next..next + 40).for_each(|i| _ = set.insert(&name(i), 2.0)),
            _ => (next - 80..next - 40).for_each(|i| _ = set.remove(&name(i))),
        }
        next = if step % 400 < 200 { next + 40 } else { (next - 40).max(5080) };
    }
    assert!((0..5000).all(|i| seen.contains(&name(i)[..])));
}

#[test]
fn remains_come_apart_in_steps() {
    let mut set = SortedSet::new();
    (0..10_000u32).for_each(|i| _ = set.insert(&i.to_be_bytes(), f64::from(i)));
    let mut remains = set.into_remains();
    let steps = std::iter::from_fn(|| remains.free(100).then_some(())).count();
    assert!((10..1000).contains(&steps), "{steps} steps");
}

/// Trees of several levels, grown and drained in every direction; equal scores as well.
#[test]
fn deep_trees_grow_and_shrink_at_either_end() {
    const MANY: u64 = 40_000;
    let name = |i: u64| format!("m:{i:06}").into_bytes();
    let scattered = |i: u64| (i * 7919) % MANY;
    let orders: [fn(u64) -> u64; 3] = [|i| i, |i| MANY - 1 - i, |i| (i * 7919) % MANY];
    for (at, order) in orders.into_iter().enumerate() {
        for equal in [false, true] {
            let score = |i: u64| if equal { 0.5 } else { i as f64 };
            let mut set = SortedSet::with_seed(at as u64);
            for i in (0..MANY).map(order) {
                set.insert(&name(i), score(i));
            }
            set.check();
            for i in (0..MANY).step_by(997) {
                assert_eq!(set.rank(&name(i)), Some((i as usize, score(i))));
                assert_eq!(set.at(i as usize), Some((&name(i)[..], score(i))));
                assert_eq!(set.rank_of(&Cut::BeforeEntry(score(i), &name(i))), i as usize);
                assert_eq!(set.rank_of(&Cut::AfterEntry(score(i), &name(i))), i as usize + 1);
            }
            let mut left: BTreeSet<u64> = (0..MANY).collect();
            for i in (0..MANY).map(scattered).take(MANY as usize / 2) {
                let gone = match i % 3 {
                    0 => left.pop_first(),
                    1 => left.pop_last(),
                    _ => {
                        let next = left.range(i..).next().copied();
                        next.filter(|next| left.remove(next))
                    }
                };
                let Some(gone) = gone else { continue };
                let want = Some((name(gone), score(gone)));
                match i % 3 {
                    0 => assert_eq!(set.pop_min(), want),
                    1 => assert_eq!(set.pop_max(), want),
                    _ => assert_eq!(set.remove(&name(gone)), Some(score(gone))),
                }
            }
            set.check();
            let middle = set.len() / 3;
            set.remove_range(middle, middle, |_, _| ());
            set.check();
            assert_eq!(set.remove_range(0, usize::MAX, |_, _| ()), left.len() - middle);
            set.check();
            set.insert(b"again", 1.0);
            set.check();
        }
    }
}

/// Long histories of trees of several levels; `EONKV_SEEDS=1000` tries more of them.
#[test]
fn long_histories_keep_every_invariant() {
    let seeds = std::env::var("EONKV_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    for seed in 1..=seeds {
        long_history(seed);
    }
}

fn long_history(seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    let (mut set, mut model) = (SortedSet::with_seed(seed), BTreeMap::new());
    let name = |i: u64| format!("m:{i}").into_bytes();
    let mut ascending = 0.0;
    for phase in 0..8 {
        // Growing or shrinking; scores all different, of few kinds, of one, or ever greater.
        let (grows, kinds) = (random(3) > 0, random(4));
        let names = [300, 3_000, 20_000][random(3) as usize];
        for turn in 0..3_000 {
            let removes = random(10) < if grows { 2 } else { 8 };
            match (removes, random(8)) {
                (true, 0..=2) => assert_eq!(set.pop_min().is_some(), !model.is_empty()),
                (true, 3) => assert_eq!(set.pop_max().is_some(), !model.is_empty()),
                (true, 4) if random(20) == 0 => {
                    let from = random(set.len() as u64 + 1) as usize;
                    set.remove_range(from, random(200) as usize, |_, _| ());
                }
                (true, _) => {
                    let name = name(random(names));
                    assert_eq!(set.remove(&name), model.remove(&name), "seed {seed}");
                    continue;
                }
                (false, _) => {
                    ascending += 1.0;
                    let score = match kinds {
                        0 => random(1 << 30) as f64 - 5e8,
                        1 => random(7) as f64,
                        2 => [0.0, -0.0, f64::INFINITY][random(3) as usize],
                        _ => ascending,
                    };
                    let name = name(random(names));
                    assert_eq!(set.insert(&name, score), model.insert(name, score), "seed {seed}");
                    continue;
                }
            }
            // What went by rank is taken from the model afterwards.
            model.retain(|name, _| set.score(name).is_some());
            assert_eq!(set.len(), model.len(), "seed {seed}, {phase}, {turn}");
        }
        set.check();
        let mut want: Vec<_> = model.iter().map(|(name, score)| (name.clone(), *score)).collect();
        want.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
        assert_eq!(set.range(0, usize::MAX).map(owned).collect::<Vec<_>>(), want, "seed {seed}");
    }
}

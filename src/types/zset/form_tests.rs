//! Both forms against a plain model, across the change from one to the other, and frozen copies.

use super::{Cut, Done, Draft, Frozen, Limits, Small, SortedSet, View};
use crate::types::packed::{Element, Packed};
use proptest::collection::vec;
use proptest::prelude::*;

/// Entries in order.
type Model = Vec<(Vec<u8>, f64)>;

fn put(model: &mut Model, member: &[u8], score: f64) -> Option<f64> {
    let old = remove(model, member);
    let before = |(own, at): &(Vec<u8>, f64)| (*at, &own[..]) < (score, member);
    model.insert(model.partition_point(before), (member.to_vec(), score));
    old
}

fn remove(model: &mut Model, member: &[u8]) -> Option<f64> {
    let at = model.iter().position(|(own, _)| own == member)?;
    Some(model.remove(at).1)
}

fn rank_of(model: &Model, cut: &Cut<'_>) -> usize {
    let count = |is: &dyn Fn(f64, &[u8]) -> bool| {
        model.iter().take_while(|(member, score)| is(*score, member)).count()
    };
    match *cut {
        Cut::Start => 0,
        Cut::End => model.len(),
        Cut::BeforeScore(at) => count(&|score, _| score < at),
        Cut::AfterScore(at) => count(&|score, _| score <= at),
        Cut::BeforeMember(at) => count(&|_, member| member < at),
        Cut::AfterMember(at) => count(&|_, member| member <= at),
        Cut::BeforeEntry(s, m) => count(&|score, member| (score, member) < (s, m)),
        Cut::AfterEntry(s, m) => count(&|score, member| (score, member) <= (s, m)),
    }
}

/// Few, so that they meet again; some are numbers, whose order as texts is another.
fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-20..120i64).prop_map(|n| n.to_string().into_bytes()),
        2 => "[a-c]{0,2}".prop_map(String::into_bytes),
        1 => prop::sample::select(vec!["007", "-0", "1e3", "9223372036854775808", "0.5"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (0..40usize).prop_map(|n| vec![b'x'; n]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    let odd = vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1.5, 1e15, 0.1];
    prop_oneof![3 => (-3..4i32).prop_map(f64::from), 1 => prop::sample::select(odd)]
}

#[derive(Debug, Clone)]
enum Op {
    Put(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveRange(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (member(), score()).prop_map(|(m, s)| Op::Put(m, s)),
        2 => member().prop_map(Op::Remove),
        1 => (0..30usize, 0..5usize).prop_map(|(from, count)| Op::RemoveRange(from, count)),
    ]
}

fn text((member, score): (Element<'_>, f64)) -> (Vec<u8>, f64) {
    let mut text = Vec::new();
    member.write_text(&mut text);
    (text, score)
}

/// Every question has the answer of the model.
fn ask(view: &View<'_>, model: &Model, member: &[u8], at: f64) {
    assert_eq!((view.len(), view.is_empty()), (model.len(), model.is_empty()));
    assert!(view.iter().map(text).eq(model.iter().cloned()));
    let rank = model.iter().position(|(own, _)| own == member);
    let want = rank.map(|rank| (rank, model[rank].1));
    assert_eq!((view.rank(member), view.score(member)), (want, want.map(|(_, score)| score)));
    let lone = model.iter().all(|(_, score)| *score == model[0].1);
    for cut in [
        Cut::Start,
        Cut::BeforeScore(at),
        Cut::AfterScore(at),
        Cut::BeforeEntry(at, member),
        Cut::AfterEntry(at, member),
        Cut::End,
    ] {
        assert_eq!(view.rank_of(&cut), rank_of(model, &cut), "{cut:?}");
    }
    for cut in [Cut::BeforeMember(member), Cut::AfterMember(member)] {
        assert!(!lone || view.rank_of(&cut) == rank_of(model, &cut), "{cut:?}");
    }
    for (from, count) in [(0, 3), (model.len() / 2, 4), (model.len(), 1), (2, usize::MAX)] {
        let want = model.iter().skip(from).take(count).cloned();
        assert!(view.range(from, count).map(text).eq(want));
        let want = model.iter().take(from).rev().take(count).cloned();
        assert!(view.range_back(from, count).map(text).eq(want));
    }
}

/// Applies an operation to the value that a key would hold.
fn apply(value: &mut Value, model: &mut Model, op: &Op, limits: Limits) {
    let held = std::mem::take(value);
    let mut large = None;
    let mut draft = match &held {
        Value::Small(bytes) => Draft::small(bytes),
        Value::Large(set) => Draft::Place(large.insert(set.clone())),
    };
    match op {
        Op::Put(member, score) => {
            let spot = draft.spot(member);
            assert_eq!(spot.score(), put(model, member, *score));
            draft.put(spot, member, *score, limits);
        }
        Op::Remove(member) => {
            assert_eq!(draft.remove(member), remove(model, member).is_some());
        }
        Op::RemoveRange(from, count) => {
            let (from, to) = ((*from).min(model.len()), (from + count).min(model.len()));
            let want: Model = model.drain(from..to).collect();
            let mut got = Model::new();
            let gone = draft.remove_range(from, *count, |member, score| {
                got.push(text((*member, score)));
            });
            assert_eq!((gone, got), (want.len(), want));
        }
    }
    assert_eq!(draft.len(), model.len());
    *value = match draft.done() {
        Done::Empty => Value::default(),
        Done::Small(bytes) => Value::Small(bytes),
        Done::Fresh(set) => Value::Large(*set),
        Done::Place => Value::Large(large.unwrap()),
    };
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test has one of them")]
enum Value {
    Small(Vec<u8>),
    Large(SortedSet),
}

impl Default for Value {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..Default::default() })]

    /// Compact as long as the limits allow, then large: the answers are those of the model.
    #[test]
    fn both_forms_match_the_model(
        history in vec(op(), 1..120),
        entries in 0..40usize,
        question in (member(), score()),
    ) {
        let limits = Limits { entries, value: 30 };
        let (mut value, mut model) = (Value::default(), Model::new());
        for op in &history {
            apply(&mut value, &mut model, op, limits);
            match &value {
                Value::Small(bytes) => {
                    prop_assert!(Packed::validate(bytes).is_ok_and(|(_, n)| n == 2 * model.len()));
                    prop_assert!(model.len() <= entries);
                    ask(&View::Small(Small::new(bytes)), &model, &question.0, question.1);
                }
                Value::Large(set) => ask(&View::Large(set), &model, &question.0, question.1),
            }
        }
    }

    /// What was built large becomes compact if it may.
    #[test]
    fn built_sets_settle(entries in vec((member(), score()), 0..40), most in 0..40usize) {
        let (mut set, mut model) = (Box::<SortedSet>::default(), Model::new());
        for (member, score) in entries {
            set.insert(&member, score);
            put(&mut model, &member, score);
        }
        let fits = model.len() <= most && model.iter().all(|(member, _)| member.len() <= 30);
        let draft = Draft::settled(set, Limits { entries: most, value: 30 });
        prop_assert_eq!(matches!(draft, Draft::Small { .. }), fits);
        ask(&draft.view(), &model, b"5", 1.0);
    }

    /// A frozen copy stays what it was, whatever becomes of the set, and knows whether anything did.
    #[test]
    fn frozen_copies_stay(
        entries in vec((member(), score()), 1..200),
        history in vec(op(), 0..30),
    ) {
        let (mut set, mut model) = (SortedSet::with_seed(1), Model::new());
        for (i, (member, score)) in entries.iter().enumerate() {
            let member = [&member[..], &(i % 90).to_string().into_bytes()].concat();
            set.insert(&member, *score);
            put(&mut model, &member, *score);
        }
        let (frozen, ranges) = (Frozen::of(&set, true), Frozen::of(&set, false));
        prop_assert!(frozen.is_still(&set));
        let (mut value, mut later) = (Value::Large(set), model.clone());
        for op in &history {
            apply(&mut value, &mut later, op, Limits { entries: 0, value: 0 });
            ask(&View::Frozen(&frozen), &model, b"150", 1.0);
            prop_assert_eq!(ranges.range(0, usize::MAX).len(), model.len());
            prop_assert_eq!(ranges.score(b"150"), None);
        }
        if let Value::Large(set) = &value {
            ask(&View::Large(set), &later, b"150", 1.0);
            prop_assert!(!frozen.is_still(set) || later == model);
        }
    }
}

#[test]
fn twenty_members_take_their_names_and_a_few_bytes() {
    let mut bytes = Vec::new();
    for i in 0..20 {
        let member = format!("member{i:02}");
        let mut out = Vec::new();
        Small::new(&bytes).put(member.as_bytes(), f64::from(i), None, &mut out);
        bytes = out;
    }
    assert_eq!(bytes.len(), 20 * (8 + 1 + 1));
}

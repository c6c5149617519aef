//! Both forms, and the way from one to the other, against a plain map.

use super::super::object::PACKED;
use super::{Draft, EXPIRING, End, Field, Large, Small};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

/// Either form.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test has one of them")]
enum Hash {
    Small(Draft),
    Large(Large),
}

fn text(field: Field<'_>) -> (Vec<u8>, (Vec<u8>, Option<i64>)) {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    field.name.write_text(&mut name);
    field.value.write_text(&mut value);
    (name, (value, field.end))
}

impl Hash {
    fn set(&mut self, name: &[u8], value: &[u8], end: End, now: i64) -> bool {
        match self {
            Self::Small(draft) => draft.set(name, value, end, now),
            Self::Large(large) => large.set(name, value, end, now),
        }
    }

    fn set_end(&mut self, name: &[u8], end: Option<i64>, now: i64) -> bool {
        match self {
            Self::Small(draft) => draft.set_end(name, end, now),
            Self::Large(large) => large.set_end(name, end, now),
        }
    }

    fn remove(&mut self, name: &[u8], now: i64) -> bool {
        match self {
            Self::Small(draft) => draft.remove(name, now),
            Self::Large(large) => large.remove(name, now),
        }
    }

    fn expire(&mut self, now: i64) -> usize {
        match self {
            Self::Small(draft) => draft.expire(now),
            Self::Large(large) => large.expire(now, usize::MAX),
        }
    }

    fn get(&self, name: &[u8], now: i64) -> Option<(Vec<u8>, Option<i64>)> {
        match self {
            Self::Small(draft) => draft.view().get(name, now).map(|field| text(field).1),
            Self::Large(large) => large.get(name, now).map(|field| text(field).1),
        }
    }

    fn len(&self, now: i64) -> usize {
        match self {
            Self::Small(draft) => draft.view().len(now),
            Self::Large(large) => large.len(now),
        }
    }

    fn all(&self, now: i64) -> Model {
        match self {
            Self::Small(draft) => draft.view().iter(now).map(text).collect(),
            Self::Large(large) => {
                let (mut all, mut seen) = (Model::new(), Model::new());
                large.each(now, |field| all.extend([text(field)]));
                let mut rest = large.view(now);
                while rest.next(7, |field| seen.extend([text(field)])) {}
                assert_eq!(all, seen);
                seen.clear();
                let mut cursor = 0;
                loop {
                    cursor = large.scan(cursor, now, |field| seen.extend([text(field)]));
                    if cursor == 0 {
                        break;
                    }
                }
                assert_eq!(all, seen);
                all
            }
        }
    }

    fn earliest(&self) -> Option<i64> {
        match self {
            Self::Small(draft) => draft.view().earliest(),
            Self::Large(large) => large.earliest(),
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Set(u8, u8, End),
    SetEnd(u8, Option<i64>),
    Remove(u8),
    Pass(i64),
    Expire,
    Grow,
}

fn name(number: u8) -> Vec<u8> {
    match number % 4 {
        0 => number.to_string().into_bytes(),
        1 => format!("field:{number}").into_bytes(),
        2 => vec![number; usize::from(number) + 1],
        _ => [b"-".repeat(200), vec![number]].concat(),
    }
}

fn value(number: u8) -> Vec<u8> {
    match number % 5 {
        0 => (i64::from(number) * 1_000_003).to_string().into_bytes(),
        1 => Vec::new(),
        2 => vec![number; usize::from(number) * 20],
        3 => b"00012".to_vec(),
        _ => format!("value {number}").into_bytes(),
    }
}

fn op() -> impl Strategy<Value = Op> {
    let end = prop_oneof![
        4 => Just(End::Never),
        2 => Just(End::Keep),
        1 => (1..300i64).prop_map(End::At),
    ];
    prop_oneof![
        10 => (0..60u8, any::<u8>(), end).prop_map(|(n, v, e)| Op::Set(n, v, e)),
        3 => (0..60u8, proptest::option::of(1..300i64)).prop_map(|(n, e)| Op::SetEnd(n, e)),
        4 => (0..60u8).prop_map(Op::Remove),
        1 => (0..20i64).prop_map(Op::Pass),
        1 => Just(Op::Expire),
        1 => Just(Op::Grow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 1000, ..Default::default() })]

    /// Any history leaves what a plain map would hold, in either form, with every answer on the way.
    #[test]
    fn histories_match_the_model(history in vec(op(), 1..300), large: bool) {
        let mut hash = Hash::Small(Draft::new(vec![1, 2, 3], PACKED, &[]));
        let mut model = Model::new();
        let mut now = 1;
        for op in &history {
            // F1: what is over is absent in the model.
            model.retain(|_, (_, end)| end.is_none_or(|at| at > now));
            match *op {
                Op::Set(n, v, end) => {
                    let (name, value) = (name(n), value(v));
                    let old = model.get(&name).map(|(_, end)| *end);
                    let end_now = end.after(old.flatten());
                    model.insert(name.clone(), (value.clone(), end_now));
                    prop_assert_eq!(hash.set(&name, &value, end, now), old.is_none());
                }
                Op::SetEnd(n, end) => {
                    let name = name(n);
                    let known = model.get_mut(&name).map(|(_, old)| *old = end).is_some();
                    prop_assert_eq!(hash.set_end(&name, end, now), known);
                }
                Op::Remove(n) => {
                    let name = name(n);
                    prop_assert_eq!(hash.remove(&name, now), model.remove(&name).is_some());
                }
                Op::Pass(time) => now += time,
                Op::Expire => {
                    hash.expire(now);
                    prop_assert!(hash.earliest().is_none_or(|at| at > now));
                }
                Op::Grow => if let (true, Hash::Small(draft)) = (large, &hash) {
                    hash = Hash::Large(draft.to_large());
                },
            }
            model.retain(|_, (_, end)| end.is_none_or(|at| at > now));
            prop_assert_eq!(hash.len(now), model.len());
            let name = name(history.len() as u8 % 60);
            prop_assert_eq!(hash.get(&name, now), model.get(&name).cloned());
        }
        prop_assert_eq!(hash.all(now), model.clone());
        hash.expire(now);
        prop_assert_eq!(hash.earliest(), model.values().filter_map(|(_, end)| *end).min());
        if let Hash::Small(draft) = &hash {
            let count = draft.view().len(i64::MIN);
            prop_assert!(draft.has_at_most(count) && (count == 0 || !draft.has_at_most(count - 1)));
        }
    }

    /// No bytes make a reader panic, and editing them neither.
    #[test]
    fn any_bytes_can_be_read(bytes in vec(any::<u8>(), 0..60), expiring: bool) {
        let form = if expiring { EXPIRING } else { PACKED };
        let small = Small::new(form, &bytes);
        small.iter(0).for_each(drop);
        let _ = small.get(b"x", 0);
        let _ = small.earliest();
        let mut draft = Draft::new(Vec::new(), form, &bytes);
        draft.set(b"x", b"y", End::At(5), 0);
        draft.expire(1);
        draft.remove(b"x", 0);
    }
}

#[test]
fn a_small_hash_stays_in_order_and_a_large_one_is_picked_from_fairly() {
    let mut draft = Draft::new(Vec::new(), PACKED, &[]);
    for number in 0..50u8 {
        draft.set(&[b'f', number], b"v", End::Never, 0);
    }
    draft.set(b"f\x07", b"longer than before", End::At(9), 0);
    let names: Vec<_> = draft.view().iter(0).map(|field| text(field).0[1]).collect();
    assert_eq!(names, (0..50).collect::<Vec<u8>>());
    let large = draft.to_large();
    let mut state = 7u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state ^ state >> 33
    };
    let mut counts = [0; 50];
    for _ in 0..50_000 {
        let field = large.random(10, &mut random).unwrap();
        counts[usize::from(text(field).0[1])] += 1;
    }
    assert_eq!(counts[7], 0, "that one is over");
    let fair = |&(at, &count): &(usize, &i32)| at == 7 || (800..1300).contains(&count);
    assert!(counts.iter().enumerate().all(|pair| fair(&pair)), "{counts:?}");
    assert!(Large::new().random(0, random).is_none());
}

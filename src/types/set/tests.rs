//! Sets of all forms against a tree of texts.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Model = BTreeSet<Vec<u8>>;

const LIMITS: Limits = Limits::new(8, 6, 10);

/// A set as a key holds it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test has one of them")]
enum Held {
    Compact(u8, Vec<u8>),
    Large(Large),
}

impl Held {
    fn view(&self) -> View<'_> {
        match self {
            Self::Compact(form, bytes) => View::compact(*form, bytes),
            Self::Large(set) => View::Large(set),
        }
    }

    fn become_(&mut self, made: Made) {
        *self = match made {
            Made::Empty => Self::Compact(INTSET, Vec::new()),
            Made::Compact { form, bytes } => Self::Compact(form, bytes),
            Made::Large(set) => Self::Large(set),
        };
    }
}

fn members(view: View<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    view.each(|member| all.push(member.with(<[u8]>::to_vec)));
    all
}

/// Few enough to meet again: numbers, what only looks like one, texts, and some beyond the limit.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-9i64..9).prop_map(|value| value.to_string().into_bytes()),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(70_000)].prop_map(|v| v.to_string().into_bytes()),
        1 => prop_oneof![Just("01"), Just("-0"), Just("+1"), Just(""), Just("1.0")].prop_map(|t| t.as_bytes().to_vec()),
        3 => "[a-d]{1,2}".prop_map(String::into_bytes),
        1 => "[a-b]{11,12}".prop_map(String::into_bytes),
    ]
}

fn check(held: &Held, model: &Model) -> Result<(), TestCaseError> {
    let view = held.view();
    prop_assert_eq!((view.len(), view.is_empty()), (model.len(), model.is_empty()));
    let all = members(view);
    prop_assert_eq!(all.iter().cloned().collect::<Model>(), model.clone());
    prop_assert_eq!(all.len(), model.len(), "each once");
    for text in &all {
        prop_assert!(view.contains(text) && view.has(&Member::Text(text)));
        if let Some(value) = parse_i64(text) {
            prop_assert!(view.has(&Member::Int(value)), "S1");
        }
    }
    if let View::Large(set) = view {
        let mut roll = 0;
        let random = set.random(|| {
            roll += 0x9E37_79B9_7F4A_7C15_u64 >> 3;
            roll
        });
        prop_assert_eq!(random.is_some_and(|text| model.contains(text)), !model.is_empty());
    } else {
        for (index, text) in all.iter().enumerate() {
            prop_assert!(view.nth(index, |member| member.with(|nth| nth == text)).unwrap(), "S2");
        }
        prop_assert!(view.nth(all.len(), |_| ()).is_none());
    }
    Ok(())
}

fn built(texts: &[Vec<u8>], limits: Limits) -> (Held, Model) {
    let mut draft = Draft::new(limits);
    texts.iter().for_each(|text| _ = draft.insert(&Member::Text(text)));
    let mut held = Held::Compact(INTSET, Vec::new());
    held.become_(draft.finish());
    (held, texts.iter().cloned().collect())
}

proptest! {
    #[test]
    fn histories_match_a_tree(history in vec((0..8u8, vec(text(), 1..6)), 0..60)) {
        let (mut held, mut model) = (Held::Compact(INTSET, Vec::new()), Model::new());
        for (op, texts) in history {
            let texts = if op % 2 == 0 { &texts[..1] } else { &texts[..] };
            let adds = op < 5;
            let slices = texts.iter().map(Vec::as_slice);
            let want = texts.iter().filter(|&text| {
                if adds { model.insert(text.clone()) } else { model.remove(text) }
            }).count();
            let got = if let Held::Large(set) = &mut held {
                slices.filter(|text| if adds { set.insert(text) } else { set.remove(text) }).count()
            } else {
                let limits = LIMITS;
                let (count, made) = if adds {
                    edit::add(held.view(), slices, limits)
                } else {
                    edit::remove(held.view(), slices, limits)
                };
                if count > 0 {
                    held.become_(made);
                }
                count
            };
            prop_assert_eq!(got, want);
            check(&held, &model)?;
            if let Held::Compact(form, _) = &held {
                let most = if *form == INTSET { LIMITS.numbers } else { LIMITS.members };
                prop_assert!(model.len() <= most);
            }
            if let Held::Compact(INTSET, _) = &held {
                prop_assert!(model.iter().all(|text| parse_i64(text).is_some()));
            }
        }
    }

    /// A draft has the form that the same additions give one by one.
    #[test]
    fn drafts_take_the_form_of_sets_in_use(texts in vec(text(), 0..14)) {
        let mut held = Held::Compact(INTSET, Vec::new());
        for text in &texts {
            if let Held::Large(set) = &mut held {
                set.insert(text);
                continue;
            }
            let (count, made) = edit::add(held.view(), std::iter::once(text.as_slice()), LIMITS);
            if count > 0 {
                held.become_(made);
            }
        }
        let (draft, model) = built(&texts, LIMITS);
        check(&draft, &model)?;
        match (&held, &draft) {
            (Held::Compact(a, one), Held::Compact(b, other)) => prop_assert_eq!((a, one), (b, other)),
            (Held::Large(_), Held::Large(_)) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn what_is_taken_goes(texts in vec(text(), 0..6), bits in any::<u8>()) {
        let (mut held, mut model) = built(&texts, LIMITS);
        prop_assume!(matches!(held, Held::Compact(..)));
        let (mut at, mut gone) = (0, Vec::new());
        let (count, made) = edit::take(held.view(), |member| {
            let goes = bits >> at & 1 == 1;
            at += 1;
            if goes {
                gone.push(member.with(<[u8]>::to_vec));
            }
            goes
        });
        prop_assert_eq!((count, at), (gone.len(), model.len()));
        held.become_(made);
        gone.iter().for_each(|text| _ = model.remove(text));
        check(&held, &model)?;
    }

    #[test]
    fn algebra_matches_that_of_trees(
        sets in vec((vec(text(), 0..20), 0..3usize), 1..5),
    ) {
        let limits = [LIMITS, Limits::new(0, 0, 0), Limits::new(512, 128, 64)];
        let sets: Vec<_> = sets.iter().map(|(texts, form)| built(texts, limits[*form])).collect();
        let views: Vec<View<'_>> = sets.iter().map(|(held, _)| held.view()).collect();
        let models: Vec<&Model> = sets.iter().map(|(_, model)| model).collect();

        let mut got = Vec::new();
        algebra::intersect(&views, |member| { got.push(member.with(<[u8]>::to_vec)); true });
        let all = |text: &&Vec<u8>| models.iter().all(|set| set.contains(*text));
        let want: Model = models[0].iter().filter(all).cloned().collect();
        prop_assert_eq!(got.len(), want.len());
        prop_assert_eq!(got.into_iter().collect::<Model>(), want.clone());
        let mut few = 0;
        algebra::intersect(&views, |_| { few += 1; few < 2 });
        prop_assert_eq!(few, want.len().min(2));

        let mut held = Held::Compact(INTSET, Vec::new());
        held.become_(algebra::unite(&views, LIMITS).finish());
        check(&held, &models.iter().flat_map(|set| set.iter().cloned()).collect())?;

        let mut got = Vec::new();
        algebra::subtract(&views, LIMITS, |member| got.push(member.with(<[u8]>::to_vec)));
        let none = |text: &&Vec<u8>| !models[1..].iter().any(|set| set.contains(*text));
        let want: Model = models[0].iter().filter(none).cloned().collect();
        prop_assert_eq!(got.len(), want.len());
        prop_assert_eq!(got.into_iter().collect::<Model>(), want);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in vec(any::<u8>(), 0..40), form in 0..2u8, text in text()) {
        let view = View::compact(form, &bytes);
        let _ = (view.contains(&text), members(view).len(), view.nth(3, |_| ()));
        let one = || std::iter::once(text.as_slice());
        let _ = (edit::add(view, one(), LIMITS), edit::remove(view, one(), LIMITS));
    }
}

/// Scans miss nothing that stays, whatever comes and goes meanwhile.
#[test]
fn scans_miss_nothing_that_stays() {
    let mut set = Large::new();
    let name = |prefix: &str, i: usize| format!("{prefix}{i}").into_bytes();
    (0..1000).for_each(|i| _ = set.insert(&name("stays", i)));
    (0..1000).for_each(|i| _ = set.insert(&name("goes", i)));
    let (mut cursor, mut seen, mut step) = (0, Model::new(), 0);
    loop {
        cursor = set.scan(cursor, |text| _ = seen.insert(text.to_vec()));
        if cursor == 0 {
            break;
        }
        set.remove(&name("goes", step));
        if step > 200 && step < 600 {
            (0..3).for_each(|i| _ = set.insert(&name("comes", step * 3 + i)));
        }
        step += 1;
    }
    assert!((0..1000).all(|i| seen.contains(&name("stays", i))));
}

//! Sorted sets: any bytes taken for a compact one are read and edited without a panic; whatever is
//! done to a set, in either form and across the change between them, it is what a sorted list is.

#![no_main]

use arbitrary::Arbitrary;
use eonkv::types::packed::Element;
use eonkv::types::zset::{Cut, Done, Draft, Frozen, Limits, Small, SortedSet, View};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Op<'a> {
    Put(&'a [u8], f64),
    PutNumber(i16, i8),
    Remove(&'a [u8]),
    RemoveNumber(i16),
    RemoveRange(u8, u8),
    Freeze,
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// The set to begin with, if it is to be a crafted one.
    crafted: Option<&'a [u8]>,
    entries: u8,
    value: u8,
    ops: Vec<Op<'a>>,
    question: (&'a [u8], f64),
}

type Model = Vec<(Vec<u8>, f64)>;

fn place(model: &Model, member: &[u8]) -> Option<usize> {
    model.iter().position(|(own, _)| own == member)
}

fn put(model: &mut Model, member: &[u8], score: f64) {
    if let Some(at) = place(model, member) {
        model.remove(at);
    }
    let at = model.partition_point(|(own, at)| (*at, &own[..]) < (score, member));
    model.insert(at, (member.to_vec(), score));
}

fn text((member, score): (Element<'_>, f64)) -> (Vec<u8>, f64) {
    let mut text = Vec::new();
    member.write_text(&mut text);
    (text, score)
}

/// Asks all there is to ask; with a model the answers must be its own.
fn ask(view: &View<'_>, model: Option<&Model>, (member, score): (&[u8], f64)) {
    let cuts = [
        Cut::Start,
        Cut::BeforeScore(score),
        Cut::AfterScore(score),
        Cut::BeforeMember(member),
        Cut::AfterMember(member),
        Cut::BeforeEntry(score, member),
        Cut::AfterEntry(score, member),
        Cut::End,
    ];
    let ranks: Vec<usize> = cuts.iter().map(|cut| view.rank_of(cut)).collect();
    let all: Model = view.iter().map(text).collect();
    let mut back: Model = view.range_back(view.len(), usize::MAX).map(text).collect();
    back.reverse();
    let found = view.rank(member);
    if let Some(model) = model {
        assert!(ranks.iter().all(|rank| *rank <= all.len()));
        assert_eq!((view.len(), &all, &back), (model.len(), model, model));
        assert_eq!(found, place(model, member).map(|rank| (rank, model[rank].1)));
        let before = model.iter().filter(|(_, own)| *own < score).count();
        assert!(score.is_nan() || ranks[1] == before);
    }
}

/// One operation on a draft and on the model, if there is one.
fn apply(draft: &mut Draft<'_>, model: &mut Option<Model>, op: &Op<'_>, limits: Limits) {
    let number;
    let (member, score) = match op {
        Op::Put(member, score) if !score.is_nan() => (*member, Some(*score)),
        Op::PutNumber(n, score) => {
            number = n.to_string();
            (number.as_bytes(), Some(f64::from(*score)))
        }
        Op::Remove(member) => (*member, None),
        Op::RemoveNumber(n) => {
            number = n.to_string();
            (number.as_bytes(), None)
        }
        Op::RemoveRange(from, count) => {
            let (from, count) = (usize::from(*from), usize::from(*count));
            let gone = draft.remove_range(from, count, |_, _| ());
            if let Some(model) = model {
                let (from, to) = (from.min(model.len()), (from + count).min(model.len()));
                assert_eq!(gone, model.drain(from..to).len());
            }
            return;
        }
        Op::Put(..) | Op::Freeze => return,
    };
    match score {
        Some(score) => {
            draft.put(draft.spot(member), member, score, limits);
            if let Some(model) = model {
                put(model, member, score);
            }
        }
        None => {
            let removed = draft.remove(member);
            if let Some(model) = model {
                let at = place(model, member);
                assert_eq!(removed, at.is_some());
                at.map(|at| model.remove(at));
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let limits = Limits { entries: input.entries.into(), value: input.value.into() };
    let mut model = if input.crafted.is_some() { None } else { Some(Model::new()) };
    let mut bytes = input.crafted.unwrap_or_default().to_vec();
    let mut large: Option<SortedSet> = None;
    let mut frozen: Option<(Frozen, Model)> = None;
    for op in input.ops.iter().take(200) {
        let mut set = large.take();
        let mut draft = match &mut set {
            Some(set) => Draft::Place(set),
            None => Draft::small(&bytes),
        };
        apply(&mut draft, &mut model, op, limits);
        ask(&draft.view(), model.as_ref(), input.question);
        match draft.done() {
            Done::Empty => bytes = Vec::new(),
            Done::Small(new) => bytes = new,
            Done::Fresh(set) => large = Some(*set),
            Done::Place => large = set,
        }
        if let (Op::Freeze, Some(set), Some(model)) = (op, &large, &model) {
            frozen = Some((Frozen::of(set, true), model.clone()));
        }
        if let Some((frozen, model)) = &frozen {
            ask(&View::Frozen(frozen), Some(model), input.question);
        }
    }
    ask(&View::Small(Small::new(&bytes)), None, input.question);
});

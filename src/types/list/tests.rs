//! Lists against a `VecDeque`, with blocks so small that everything splits and joins.

use super::*;
use crate::types::packed::tests::text;
use proptest::collection::vec;
use proptest::prelude::*;

fn limit() -> impl Strategy<Value = Limit> {
    let bytes = prop_oneof![8usize..40, 100usize..600];
    let count = prop_oneof![Just(usize::MAX), 1usize..5];
    (bytes, count).prop_map(|(bytes, count)| Limit { bytes, count })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

#[derive(Debug, Clone)]
enum Op {
    Push(End, Vec<u8>),
    Drop(End, usize),
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(Vec<u8>, i64),
    Trim(usize, usize),
    /// Keep a share of this much, and see at the end that it did not change.
    Share(usize, usize),
    Repack,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (end(), text()).prop_map(|(end, text)| Op::Push(end, text)),
        4 => (end(), 0usize..4).prop_map(|(end, count)| Op::Drop(end, count)),
        4 => (0usize..40, text()).prop_map(|(at, text)| Op::Set(at, text)),
        6 => (0usize..40, text()).prop_map(|(at, text)| Op::Insert(at, text)),
        2 => ("[ab]{0,2}", -3i64..4).prop_map(|(text, count)| Op::Remove(text.into_bytes(), count)),
        1 => (0usize..10, 0usize..60).prop_map(|(from, count)| Op::Trim(from, count)),
        1 => (0usize..40, 0usize..40).prop_map(|(from, count)| Op::Share(from, count)),
        1 => Just(Op::Repack),
    ]
}

type Model = VecDeque<Vec<u8>>;

fn texts<'b>(elements: impl Iterator<Item = Element<'b>>) -> Vec<Vec<u8>> {
    let mut scratch = Vec::new();
    elements.map(|element| element.text(&mut scratch).to_vec()).collect()
}

fn remove(model: &mut Model, text: &[u8], count: i64) -> usize {
    let mut at: Vec<_> = (0..model.len()).filter(|&at| model[at] == text).collect();
    if count < 0 {
        at.reverse();
    }
    at.truncate(if count == 0 { usize::MAX } else { count.unsigned_abs() as usize });
    at.sort_unstable();
    at.iter().rev().for_each(|&at| drop(model.remove(at)));
    at.len()
}

fn apply(list: &mut List, model: &mut Model, op: &Op) {
    match op {
        Op::Push(end, text) => {
            list.push(*end, text);
            match end {
                End::Front => model.push_front(text.clone()),
                End::Back => model.push_back(text.clone()),
            }
        }
        Op::Drop(end, count) => {
            list.drop(*end, *count);
            for _ in 0..*count {
                match end {
                    End::Front => model.pop_front(),
                    End::Back => model.pop_back(),
                };
            }
        }
        Op::Set(at, text) => {
            assert_eq!(list.set(*at, text), *at < model.len());
            if let Some(old) = model.get_mut(*at) {
                old.clone_from(text);
            }
        }
        Op::Insert(at, text) => {
            assert_eq!(list.insert(*at, text), *at <= model.len());
            if *at <= model.len() {
                model.insert(*at, text.clone());
            }
        }
        Op::Remove(text, count) => {
            assert_eq!(list.remove(text, *count), remove(model, text, *count));
        }
        Op::Trim(from, count) => {
            list.trim(*from, *count);
            *model = model.iter().skip(*from).take(*count).cloned().collect();
        }
        Op::Share(..) => {}
        Op::Repack => {
            let mut bytes = Vec::new();
            list.to_packed(&mut bytes);
            let (packed, count) = Packed::validate(&bytes).unwrap();
            assert_eq!(count, model.len());
            *list = List::from_packed(
                packed,
                if packed.bytes().len() % 2 == 0 { End::Front } else { End::Back },
                list.limit,
            );
        }
    }
}

/// Q1, Q2, and that each chunk is what it says (C1), read from both ends.
fn check(list: &List) {
    assert_eq!(list.len, list.chunks.iter().map(Chunk::len).sum::<usize>(), "Q1");
    for chunk in &list.chunks {
        let one = chunk.len() == 1;
        let fine = chunk.used().len() <= list.limit.bytes && chunk.len() <= list.limit.count;
        assert!(!chunk.used().is_empty() && (fine || one), "Q1, Q2: {chunk:?}");
        let (mut rest, mut count) = (chunk.used(), 0);
        while let Some((_, size)) = chunk::last(rest) {
            rest = &rest[..rest.len() - size];
            count += 1;
        }
        assert!(rest.is_empty() && count == chunk.len(), "C1: {chunk:?}");
    }
}

proptest! {
    #[test]
    fn histories_match_a_deque(limit in limit(), history in vec(op(), 0..120)) {
        let (mut list, mut model) = (List::new(limit), Model::new());
        let mut shares: Vec<(List, Vec<Vec<u8>>)> = Vec::new();
        for op in &history {
            apply(&mut list, &mut model, op);
            if let Op::Share(from, count) = *op {
                let share = list.share(from, count);
                check(&share);
                shares.push((share, model.iter().skip(from).take(count).cloned().collect()));
            }
            check(&list);
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.is_empty(), model.is_empty());
            prop_assert!(texts(list.iter()).iter().eq(model.iter()));
            prop_assert!(texts(list.walk(End::Back)).iter().eq(model.iter().rev()));
            for end in [End::Front, End::Back] {
                let want = if end == End::Front { model.front() } else { model.back() };
                prop_assert!(texts(list.peek(end).into_iter()).iter().eq(want));
            }
        }
        for (mut share, texts_then) in shares {
            prop_assert_eq!(&texts(share.iter()), &texts_then, "a share does not change (C2)");
            share.push(End::Back, b"more");
            share.push(End::Front, b"more");
            prop_assert_eq!(share.len(), texts_then.len() + 2);
        }
        prop_assert!(texts(list.iter()).iter().eq(model.iter()), "nor does what it shares");
    }

    #[test]
    fn reads_match_a_vector(
        limit in limit(),
        model in vec(text(), 0..60),
        from in 0usize..62,
        count in 0usize..62,
    ) {
        let mut list = List::new(limit);
        model.iter().for_each(|text| list.push(End::Back, text));
        for at in 0..model.len() + 2 {
            prop_assert!(texts(list.get(at).into_iter()).iter().eq(model.get(at)));
        }
        prop_assert!(texts(list.range(from, count)).iter().eq(model.iter().skip(from).take(count)));
        let back = texts(list.range_back(from, count));
        prop_assert!(back.iter().eq(model.iter().rev().skip(from).take(count)));
        prop_assert_eq!(list.range(from, count).len(), back.len());
        let share = list.share(from, count);
        prop_assert!(texts(share.iter()).iter().eq(model.iter().skip(from).take(count)));
    }

    #[test]
    fn positions_match_a_vector(
        limit in limit(),
        model in vec("[ab]", 0..40),
        rank in prop_oneof![-5i64..0, 1i64..5],
        count in 0usize..4,
        maxlen in 0usize..40,
    ) {
        let (mut list, mut bytes) = (List::new(limit), Vec::new());
        model.iter().for_each(|text| list.push(End::Back, text.as_bytes()));
        list.to_packed(&mut bytes);
        let mut at: Vec<_> = (0..model.len()).collect();
        if rank < 0 {
            at.reverse();
        }
        at.truncate(if maxlen == 0 { usize::MAX } else { maxlen });
        at.retain(|&at| model[at] == "a");
        at.drain(..at.len().min(rank.unsigned_abs() as usize - 1));
        at.truncate(if count == 0 { usize::MAX } else { count });

        let query = Query { needle: Element::of(b"a"), rank, count, maxlen };
        prop_assert_eq!(list.positions(&query), at.clone());
        let packed = Packed::new(&bytes);
        let found = match query.from() {
            End::Front => query.positions(packed.iter(), model.len()),
            End::Back => query.positions(packed.iter_back(), model.len()),
        };
        prop_assert_eq!(found, at);
    }
}

#[test]
fn limits_of_the_parameter() {
    let kib = |value| (Limit::from_parameter(value).bytes + COUNTS) / 1024;
    assert_eq!([-1, -2, -3, -4, -5, -9, i64::MIN].map(kib), [4, 8, 16, 32, 64, 64, 64]);
    let count = |value| Limit::from_parameter(value).count;
    assert_eq!([0, 1, 128, i64::MAX].map(count), [1, 1, 128, 32767]);
    assert_eq!(count(-1), usize::MAX);
}

/// 66 bytes for 64: full blocks waste little, and in all directions alike.
#[test]
fn what_long_lists_weigh() {
    for end in [End::Front, End::Back] {
        let mut list = List::new(Limit::from_parameter(-2));
        (0..100_000).for_each(|_| list.push(end, &[b'x'; 64]));
        assert!(list.weight() < 100_000 * 68, "{} bytes", list.weight());
        list.trim(5, 3);
        assert!(list.weight() < 5000, "{} bytes after a trim", list.weight());
    }
}

/// A queue that is pushed at one end and popped at the other stays as small as its contents.
#[test]
fn queues_stay_small() {
    for (len, most) in [(3, 1024), (50, 8192), (115, 3 * 8192)] {
        let mut list = List::new(Limit::from_parameter(-2));
        for round in 0..10_000 {
            list.push(End::Front, &[b'x'; 64]);
            if round >= len {
                list.drop(End::Back, 1);
            }
            assert!(list.chunks.iter().map(Chunk::weight).sum::<usize>() <= most, "{len}");
        }
    }
}

/// An element larger than a block stands alone, and its block goes when it does.
#[test]
fn large_elements_stand_alone() {
    let mut list = List::new(Limit::from_parameter(-1));
    let large = vec![b'x'; 1_000_000];
    list.push(End::Back, b"a");
    list.push(End::Back, &large);
    list.push(End::Back, b"b");
    assert_eq!(list.chunks.len(), 3);
    assert_eq!(texts(list.iter()), [b"a".to_vec(), large.clone(), b"b".to_vec()]);
    assert!(list.set(1, b"small"));
    assert!(list.weight() < 2000, "{}", list.weight());
    assert!(list.insert(1, &large) && list.set(0, &large));
    assert_eq!(list.get(1), Some(Element::Str(&large)));
    assert_eq!(list.remove(&large, 0), 2);
    assert_eq!(texts(list.iter()), [b"small".to_vec(), b"b".to_vec()]);
}

/// One change of a short list, or the same list with `long` true where it has outgrown the form.
fn apply_short(bytes: &mut Vec<u8>, limit: Limit, op: &Op) -> bool {
    let (list, mut out) = (Short::new(bytes), Vec::new());
    let stays = match op {
        Op::Push(end, text) => {
            list.push(*end, [text.as_slice(), b"7"].into_iter(), limit, &mut out)
        }
        Op::Drop(end, count) => {
            list.drop(*end, (*count).min(list.len()), &mut out);
            true
        }
        Op::Set(at, text) => *at >= list.len() || list.set(*at, text, limit, &mut out),
        Op::Insert(at, text) => *at > list.len() || list.insert(*at, text, limit, &mut out),
        Op::Remove(text, count) => {
            list.remove(text, *count, &mut out);
            true
        }
        Op::Trim(from, count) => {
            let from = (*from).min(list.len());
            list.keep(from, (*count).min(list.len() - from), &mut out);
            true
        }
        Op::Share(..) | Op::Repack => true,
    };
    if !out.is_empty() {
        assert!(stays);
        *bytes = out;
    }
    stays
}

proptest! {
    /// Both forms and the model agree on every history, up to the change that ends the short form.
    #[test]
    fn short_lists_match_a_deque(limit in limit(), history in vec(op(), 0..60)) {
        let (mut bytes, mut model) = (Vec::new(), Model::new());
        for op in &history {
            let before = model.clone();
            let mut long = List::new(limit);
            before.iter().for_each(|text| long.push(End::Back, text));
            apply(&mut long, &mut model, op);
            if let Op::Push(end, _) = op {
                apply(&mut long, &mut model, &Op::Push(*end, b"7".to_vec()));
            }
            if !apply_short(&mut bytes, limit, op) {
                let mut packed = Vec::new();
                long.to_packed(&mut packed);
                prop_assert!(!limit.keeps_short(packed.len(), model.len()), "it would have stayed");
                break;
            }
            let list = Short::new(&bytes);
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.is_empty(), model.is_empty());
            let (_, count) = Packed::validate(list.packed().bytes()).unwrap();
            prop_assert_eq!(count, list.len(), "the count is true");
            prop_assert!(texts(list.range(0, usize::MAX)).iter().eq(model.iter()));
            prop_assert!(texts(list.range(2, 3)).iter().eq(model.iter().skip(2).take(3)));
            prop_assert!(texts(list.get(1).into_iter()).iter().eq(model.get(1)));
            for rank in [1, -1, 2] {
                let needle = Element::of(b"a");
                let query = Query { needle, rank, count: 2, maxlen: 9 };
                prop_assert_eq!(list.positions(&query), long.positions(&query));
            }
        }
    }
}

/// A short list has at most 255 elements and a KiB, whatever the parameter allows.
#[test]
fn what_is_short() {
    let limit = Limit::from_parameter(-5);
    assert!(limit.keeps_short(1024, 255));
    assert!(!limit.keeps_short(1025, 1) && !limit.keeps_short(1, 256));
    assert!(!Limit::from_parameter(3).keeps_short(10, 4));
    assert!(!limit.alone_from(10).keeps_short(11, 1));
}

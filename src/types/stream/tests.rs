//! Streams against a plain vector, groups against plain maps, with blocks so small that they begin
//! and end all the time.

use super::*;
use crate::types::packed::tests::text;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap as Map;
use std::sync::Arc;

type Texts = Vec<Vec<u8>>;

fn limit() -> impl Strategy<Value = Limit> {
    let bytes = prop_oneof![Just(0u64), 20u64..200];
    (bytes, 0u64..6).prop_map(|(bytes, entries)| Limit::from_parameters(bytes, entries))
}

/// Mostly the same names, so that entries share them.
fn texts() -> impl Strategy<Value = Texts> {
    let names = prop_oneof![
        6 => Just(vec![b"name".to_vec(), b"7".to_vec()]),
        2 => Just(vec![b"7".to_vec(), b"name".to_vec()]),
        2 => vec(text(), 1..4),
    ];
    names.prop_flat_map(|names| {
        vec(text(), names.len()).prop_map(move |values| {
            names.iter().cloned().zip(values).flat_map(|(name, value)| [name, value]).collect()
        })
    })
}

#[derive(Debug, Clone)]
enum Op {
    /// So many milliseconds and numbers beyond the last one.
    Add(u64, u64, Texts),
    /// The entry with this number, or some name that may be none.
    Delete(usize),
    DeleteName(Id),
    Trim(Trim),
    /// XSETID to the last entry that is there.
    SetLast,
    /// Keep a range, and see at the end that it did not change.
    Range(usize, usize, usize, bool),
}

fn id() -> impl Strategy<Value = Id> {
    (0u64..40, 0u64..4).prop_map(|(ms, seq)| Id { ms, seq })
}

fn op() -> impl Strategy<Value = Op> {
    let keep = prop_oneof![(0u64..30).prop_map(Keep::Last), id().prop_map(Keep::From)];
    let trim = (keep, any::<bool>(), 0u64..9).prop_map(|(keep, whole, most)| Trim {
        keep,
        whole,
        most: if whole { most } else { 0 },
    });
    prop_oneof![
        16 => (0u64..3, 0u64..3, texts()).prop_map(|(ms, seq, texts)| Op::Add(ms, seq, texts)),
        6 => (0usize..40).prop_map(Op::Delete),
        1 => id().prop_map(Op::DeleteName),
        1 => trim.prop_map(Op::Trim),
        1 => Just(Op::SetLast),
        2 => (0usize..40, 0usize..40, 0usize..40, any::<bool>())
            .prop_map(|(from, to, most, back)| Op::Range(from, to, most, back)),
    ]
}

type Model = Vec<(Id, Texts)>;

fn read(mut range: Range) -> Model {
    let (mut all, mut scratch) = (Model::new(), Vec::new());
    let len = range.len();
    while let Some(entry) = range.next_entry() {
        let mut texts = Texts::new();
        for (name, value) in entry.fields() {
            texts.push(name.text(&mut scratch).to_vec());
            texts.push(value.text(&mut scratch).to_vec());
        }
        assert_eq!(texts.len(), 2 * entry.len());
        all.push((entry.id, texts));
    }
    assert!(range.is_empty() && range.next_entry().is_none());
    assert_eq!(all.len(), len, "the length is told before");
    all
}

/// S1, R1, T1 and T2, and the weight.
fn check(stream: &Stream, model: &Model) {
    let bounds = stream.bounds();
    assert_eq!(bounds.len, model.len() as u64, "S1");
    assert_eq!(bounds.first, model.first().map_or(Id::MIN, |(id, _)| *id), "S1");
    assert_eq!(stream.last_there(), model.last().map(|(id, _)| *id));
    assert!(stream.last_there().is_none_or(|id| id <= bounds.last), "S1");
    let (mut len, mut weight, mut before) = (0, 0, None);
    for (key, block) in stream.tree.each() {
        assert!(*key == block.first && block.live > 0 && before < Some(*key), "R1");
        before = Some(block.last);
        let (mut at, mut live) = (block.places().0, 0);
        let mut previous = None;
        while let Some((entry, next)) = block.entry(at) {
            assert!(previous < Some(entry.id) && entry.id <= block.last, "T2");
            assert_eq!(block.entry_before(next).map(|entry| entry.place()), Some(at), "T1");
            previous = Some(entry.id);
            live += usize::from(!entry.is_gone());
            at = next;
        }
        assert_eq!((at, live), (block.places().1, block.live), "T1");
        len += live;
        weight += block.weight();
    }
    assert_eq!((len, weight), (model.len(), stream.tree.block_weight()));
}

fn add(stream: &mut Stream, (ms, seq): (u64, u64), texts: &Texts, limit: Limit) -> Option<Id> {
    let last = stream.bounds().last;
    let id = Id { ms: last.ms + ms, seq: if ms > 0 { seq } else { last.seq + seq } };
    let id = Wanted::Exactly(id).after(last, 0)?;
    let texts = texts.iter().map(Vec::as_slice);
    stream.add(id, texts.clone(), texts.map(<[u8]>::len).sum(), limit);
    Some(id)
}

/// What a trim of whole blocks may leave: at least what an exact one does.
fn trim(stream: &mut Stream, model: &mut Model, trim: Trim) {
    let would = stream.would_trim(trim);
    let count = stream.trim(trim) as usize;
    assert_eq!(would, count > 0);
    let goes = match trim.keep {
        Keep::Last(keep) => model.len().saturating_sub(keep as usize),
        Keep::From(from) => model.iter().filter(|(id, _)| *id < from).count(),
    };
    assert!(count <= goes && (trim.whole || count == goes));
    assert!(trim.most == 0 || count as u64 <= trim.most);
    model.drain(..count);
}

fn apply(stream: &mut Stream, model: &mut Model, op: &Op, limit: Limit) {
    match op {
        Op::Add(ms, seq, texts) => {
            if let Some(id) = add(stream, (*ms, *seq), texts, limit) {
                model.push((id, texts.clone()));
            }
        }
        Op::Delete(at) => {
            if let Some((id, _)) = model.get(*at).cloned() {
                assert!(stream.contains(id) && stream.delete(id) && !stream.delete(id));
                assert!(stream.bounds().deleted >= id && !stream.contains(id));
                model.remove(*at);
            }
        }
        Op::DeleteName(id) => {
            let at = model.iter().position(|(there, _)| there == id);
            assert_eq!(stream.delete(*id), at.is_some());
            at.map(|at| model.remove(at));
        }
        Op::Trim(how) => trim(stream, model, *how),
        Op::SetLast => {
            if let Some(last) = stream.last_there() {
                stream.set_last(last, None, None);
            }
        }
        Op::Range(..) => {}
    }
}

fn part(model: &Model, (from, to, most, back): (Id, Id, usize, bool)) -> Model {
    let within = |(id, _): &&(Id, Texts)| (from..=to).contains(id);
    let mut part: Model = model.iter().filter(within).cloned().collect();
    if back {
        part.reverse();
    }
    part.truncate(most);
    part
}

proptest! {
    #[test]
    fn histories_match_a_vector(limit in limit(), history in vec(op(), 0..150)) {
        let (mut stream, mut model) = (Stream::default(), Model::new());
        let mut ranges = Vec::new();
        for op in &history {
            apply(&mut stream, &mut model, op, limit);
            check(&stream, &model);
            if let Op::Range(from, to, most, back) = *op {
                // Names that are there, and their neighbours.
                let name = |at: usize| model.get(at / 2).map_or(
                    Id { ms: at as u64, seq: 0 },
                    |(id, _)| if at.is_multiple_of(2) { *id } else { id.next().unwrap() },
                );
                let asked = (name(from), name(to), most, back);
                let range = stream.range(asked.0, asked.1, asked.2, asked.3);
                let want = part(&model, asked);
                prop_assert_eq!(&read(range.again()), &want);
                ranges.push((range, want));
            }
            prop_assert_eq!(&read(stream.range(Id::MIN, Id::MAX, usize::MAX, false)), &model);
        }
        for (range, want) in ranges {
            prop_assert_eq!(read(range), want, "R2");
        }
        let mut copy = stream.clone();
        copy.trim(Trim { keep: Keep::Last(0), whole: false, most: 0 });
        check(&copy, &Model::new());
        check(&stream, &model);
    }
}

#[derive(Debug, Clone)]
enum GroupOp {
    Add,
    Deliver(u8, usize, bool),
    History(u8, usize, usize),
    Acknowledge(usize),
    Assign(usize, u8),
    AddConsumer(u8),
    RemoveConsumer(u8),
    Delete(usize),
}

fn group_op() -> impl Strategy<Value = GroupOp> {
    prop_oneof![
        6 => Just(GroupOp::Add),
        6 => (0u8..4, 1usize..5, any::<bool>())
            .prop_map(|(who, most, forget)| GroupOp::Deliver(who, most, forget)),
        2 => (0u8..4, 0usize..30, 0usize..9).prop_map(|(w, from, most)| GroupOp::History(w, from, most)),
        4 => (0usize..40).prop_map(GroupOp::Acknowledge),
        3 => (0usize..40, 0u8..4).prop_map(|(at, who)| GroupOp::Assign(at, who)),
        3 => (0u8..4).prop_map(GroupOp::AddConsumer),
        1 => (0u8..4).prop_map(GroupOp::RemoveConsumer),
        1 => (0usize..40).prop_map(GroupOp::Delete),
    ]
}

/// Consumers by name, pending entries with their consumer and count, how far the group has read.
#[derive(Default)]
struct GroupModel {
    ids: Vec<Id>,
    gone: Vec<Id>,
    consumers: Vec<u8>,
    pending: Map<Id, (u8, u64)>,
    last: Id,
}

impl GroupModel {
    fn apply(&mut self, stream: &mut Stream, op: &GroupOp) {
        let owner = |stream: &Stream, who: u8| stream.group(b"g").unwrap().owner(&[who]);
        match *op {
            GroupOp::Add => {
                let limit = Limit::from_parameters(0, 3);
                let texts = vec![b"n".to_vec(), b"v".to_vec()];
                self.ids.extend(add(stream, (1, 0), &texts, limit));
            }
            GroupOp::Deliver(who, most, forget) => {
                let Some(owner) = owner(stream, who) else { return };
                let given = read(stream.deliver(b"g", owner, most, (forget, 5)).unwrap());
                let there = |id: &&Id| **id > self.last && !self.gone.contains(id);
                let want: Vec<Id> = self.ids.iter().filter(there).take(most).copied().collect();
                assert!(given.iter().map(|(id, _)| id).eq(&want));
                self.last = want.last().copied().unwrap_or(self.last);
                if !forget {
                    self.pending.extend(want.iter().map(|id| (*id, (who, 1))));
                }
            }
            GroupOp::History(who, from, most) => {
                let Some(owner) = owner(stream, who) else { return };
                let from = self.ids.get(from).copied().unwrap_or_default();
                let mut shown = Vec::new();
                let each = |id, entry: Option<Entry<'_>>| shown.push((id, entry.is_some()));
                stream.history(b"g", owner, (from, most, 6), each);
                let mine = self.pending.iter_mut().filter(|(id, of)| of.0 == who && **id >= from);
                let mut want = Vec::new();
                for (id, (_, count)) in mine.take(most) {
                    let there = !self.gone.contains(id);
                    *count += u64::from(there);
                    want.push((*id, there));
                }
                assert_eq!(shown, want);
            }
            GroupOp::Acknowledge(at) => {
                let id = self.ids.get(at).copied().unwrap_or_default();
                let group = stream.group_mut(b"g").unwrap();
                assert_eq!(group.acknowledge(id), self.pending.remove(&id).is_some());
            }
            GroupOp::Assign(at, who) => {
                let (Some(id), Some(owner)) = (self.ids.get(at), owner(stream, who)) else {
                    return;
                };
                let pending = Pending { owner, delivered: 7, count: 3 };
                stream.group_mut(b"g").unwrap().assign(*id, pending);
                self.pending.insert(*id, (who, 3));
            }
            GroupOp::AddConsumer(who) => {
                let added = stream.group_mut(b"g").unwrap().add_consumer(&[who], 1);
                assert_eq!(added, !self.consumers.contains(&who));
                if added {
                    self.consumers.push(who);
                }
            }
            GroupOp::RemoveConsumer(who) => {
                let before = self.pending.len();
                self.pending.retain(|_, of| of.0 != who);
                let count = stream.group_mut(b"g").unwrap().remove_consumer(&[who]);
                let was = self.consumers.contains(&who);
                assert_eq!(count, was.then_some(before - self.pending.len()));
                self.consumers.retain(|there| *there != who);
            }
            GroupOp::Delete(at) => {
                let Some(id) = self.ids.get(at).copied() else { return };
                assert_eq!(stream.delete(id), !self.gone.contains(&id));
                self.gone.push(id);
            }
        }
    }

    /// P1, P2, and all that can be asked.
    fn check(&mut self, stream: &Stream) {
        let group = stream.group(b"g").unwrap();
        self.consumers.sort_unstable();
        let names: Vec<u8> = group.consumers().map(|consumer| consumer.name()[0]).collect();
        assert_eq!((&names, group.consumers_len()), (&self.consumers, names.len()));
        let pending = group.pending(Id::MIN, Id::MAX);
        let pending: Map<Id, (u8, u64)> =
            pending.map(|(id, of)| (id, (group.name(of.owner)[0], of.count))).collect();
        assert_eq!((&pending, group.len()), (&self.pending, pending.len()));
        for consumer in group.consumers() {
            let mine = self.pending.iter().filter(|(_, of)| of.0 == consumer.name()[0]);
            assert!(consumer.pending(Id::MIN).eq(mine.map(|(id, _)| *id)), "P1");
        }
        assert_eq!(group.last, self.last);
        for id in &self.ids {
            let needed = *id > self.last || self.pending.contains_key(id);
            assert_eq!(stream.is_needed(*id), needed);
        }
    }
}

proptest! {
    #[test]
    fn groups_match_maps(history in vec(group_op(), 0..150)) {
        let (mut stream, mut model) = (Stream::default(), GroupModel::default());
        prop_assert!(stream.add_group(b"g", Id::MIN, None) && !stream.add_group(b"g", Id::MAX, None));
        for op in &history {
            model.apply(&mut stream, op);
            model.check(&stream);
        }
        let removed = stream.remove_group(b"g").unwrap();
        model.check(&removed);
        prop_assert!(removed.is_empty() && stream.group(b"g").is_none());
    }

    /// Where nothing was deleted by name the lag is exact, whatever was trimmed and read.
    #[test]
    fn the_lag_without_gaps(reads in vec((0u64..5, 0usize..5), 1..20)) {
        let mut stream = Stream::default();
        stream.add_group(b"g", Id::MIN, None);
        stream.group_mut(b"g").unwrap().add_consumer(b"c", 0);
        let owner = stream.group(b"g").unwrap().owner(b"c").unwrap();
        let (mut added, mut read) = (0, 0);
        for (more, most) in reads {
            for _ in 0..more {
                let texts = vec![b"n".to_vec(), b"v".to_vec()];
                add(&mut stream, (1, 0), &texts, Limit::from_parameters(0, 3));
            }
            added += more;
            read += stream.deliver(b"g", owner, most, (false, 0)).unwrap().len() as u64;
            let group = stream.group(b"g").unwrap();
            prop_assert_eq!(stream.bounds().lag(group), Some((added - read) as i64));
        }
    }
}

/// What a stream's memory is: names once a block, a value with about six bytes beside it.
#[test]
fn what_streams_weigh() {
    let mut stream = Stream::default();
    let limit = Limit::from_parameters(4096, 100);
    for i in 0..100_000u64 {
        let id = Id { ms: 1_700_000_000_000 + i, seq: 0 };
        let texts: [&[u8]; 4] = [b"temperature", b"0123456789abcdef", b"sensor", b"12345"];
        stream.add(id, texts.into_iter(), 38, limit);
    }
    let each = stream.weight() as f64 / 100_000.0;
    assert!(each < 34.0, "{each} bytes for an entry of 21 in text");
    assert_eq!(stream.blocks(), 1000);
}

/// A reader does not make writers copy more than the block that both use.
#[test]
fn ranges_share_blocks() {
    let mut stream = Stream::default();
    let texts = vec![b"n".to_vec(), b"v".to_vec()];
    let limit = Limit::from_parameters(0, 10);
    for _ in 0..95 {
        add(&mut stream, (1, 0), &texts, limit);
    }
    let range = stream.range(Id::MIN, Id::MAX, usize::MAX, false);
    add(&mut stream, (1, 0), &texts, limit);
    let shared = stream.tree.each().filter(|(_, block)| Arc::strong_count(block) == 2).count();
    assert_eq!((shared, read(range).len()), (9, 95));
}

/// Deleted entries give their room back before their block goes.
#[test]
fn what_is_deleted_is_squeezed_out() {
    let mut stream = Stream::default();
    let texts = vec![b"n".to_vec(), vec![b'v'; 30]];
    let limit = Limit::from_parameters(0, 0);
    for _ in 0..1000 {
        add(&mut stream, (1, 0), &texts, limit);
    }
    let before = stream.weight();
    (1..1000).for_each(|ms| assert!(stream.delete(Id { ms, seq: 0 })));
    assert!(stream.weight() < before / 20, "{} of {before}", stream.weight());
}

//! DEBUG DIGEST: a number of forty digits that depends on keys, values and whether they expire, and on
//! nothing else: not on order, encoding or history.

use super::super::slice::{self, Slice};
use super::super::{Args, Cx, Error, hash as hashes, set, zset};
use crate::db::{Counters, Entry, Key, Seen, Str};
use crate::types::hash::{Field, Rest};
use crate::types::list::{List, Short};
use crate::types::object::{Object, Type};
use crate::types::packed::Element;
use crate::types::stream::{Entry as StreamEntry, Id, Range};
use crate::types::table::View;
use crate::types::zset::Frozen;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// As wide as SHA-1, since clients expect forty digits.
type Digest = [u8; 20];

const NOTHING: Digest = [0; 20];

fn hash(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| add(&mut hasher, part));
    finish(hasher)
}

fn add(hasher: &mut Sha256, part: &[u8]) {
    hasher.update((part.len() as u64).to_le_bytes()); // so that ("ab", "c") is not ("a", "bc")
    hasher.update(part);
}

fn finish(hasher: Sha256) -> Digest {
    let whole = hasher.finalize();
    let mut digest = NOTHING;
    digest.copy_from_slice(&whole[..20]);
    digest
}

/// Adds an element whose place among the others does not matter.
fn mix(sum: &mut Digest, part: &Digest) {
    sum.iter_mut().zip(part).for_each(|(a, b)| *a ^= b);
}

fn text(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of a long value hashed between two looks at the time: a tenth of a millisecond.
const PIECE: usize = 64 * 1024;

/// Elements of a large collection hashed between two looks at the time.
const ELEMENTS: usize = 256;

/// A long value being hashed, piece by piece.
#[derive(Debug)]
struct Long {
    work: Work,
    expires: bool,
}

#[derive(Debug)]
enum Work {
    /// A text, from a place on.
    Text { text: Bytes, at: usize, hasher: Sha256 },
    /// Elements in a row, as they were at one moment.
    Row { list: List, at: usize, hasher: Sha256 },
    /// A sorted set as it was at one moment, from a rank on.
    Ranked { set: Box<Frozen>, at: usize, sum: Digest },
    /// Fields of a hash, as they were at one moment.
    Fields { rest: Rest, sum: Digest },
    /// Elements whose order does not matter, as they were at one moment.
    Elements { kind: Type, view: View, sum: Digest },
    /// The entries of a stream, behind its last name. Who has read them is not part of it.
    Entries { range: Range, hasher: Sha256 },
}

/// The content of a collection without order, from the sum of its elements' digests.
fn unordered(kind: Type, sum: &Digest) -> Digest {
    hash(&[kind.name().as_bytes(), sum])
}

/// The digest of a value from that of its content.
fn with_expiry(content: &Digest, expires: bool) -> Digest {
    hash(&[content, if expires { b"expires" } else { b"stays" }])
}

/// A member of a sorted set.
fn ranked(member: &[u8], score: f64) -> Digest {
    hash(&[member, &score.to_bits().to_le_bytes()])
}

/// A field of a hash: what it holds, and whether it ends.
fn field(field: Field<'_>) -> Digest {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let end: &[u8] = if field.end.is_some() { b"ends" } else { b"stays" };
    hash(&[field.name.text(&mut name), field.value.text(&mut value), end])
}

/// A value: its digest, or the work left to get it.
enum Value {
    Known(Digest),
    Long(Box<Long>),
}

/// Looks at one value; an absent key's digest is zero. A long value is taken by reference, so no
/// stripe is held while it is hashed.
fn value(cx: &mut Cx<'_>, db: usize, key: Key<'_>) -> Value {
    let Some(entry) = cx.db.peek_in(db, key) else { return Value::Known(NOTHING) };
    let (kind, expires) = (entry.type_of().name().as_bytes(), entry.expiry().is_some());
    let content = match cx.db.text_of(db, key, entry) {
        Ok(Some(Str::Shared(text))) if text.len() > PIECE => {
            let mut hasher = Sha256::new();
            add(&mut hasher, kind);
            hasher.update((text.len() as u64).to_le_bytes());
            let work = Work::Text { text, at: 0, hasher };
            return Value::Long(Box::new(Long { work, expires }));
        }
        Ok(Some(text)) => text.with(|bytes| hash(&[kind, bytes])),
        Ok(None) => return Value::Known(NOTHING), // removed since
        Err(_) => match collection(cx, db, key, entry) {
            Some(Content::Known(content)) => content,
            Some(Content::Long(work)) => return Value::Long(Box::new(Long { work, expires })),
            None => return Value::Known(NOTHING),
        },
    };
    Value::Known(with_expiry(&content, expires))
}

/// A hasher for the content of a collection with order.
fn row_of(kind: Type) -> Sha256 {
    let mut hasher = Sha256::new();
    add(&mut hasher, kind.name().as_bytes());
    hasher
}

/// Adds elements in their order. Says how many.
fn add_row<'e>(hasher: &mut Sha256, elements: impl Iterator<Item = Element<'e>>) -> usize {
    let (mut count, mut scratch) = (0, Vec::new());
    for element in elements {
        add(hasher, element.text(&mut scratch));
        count += 1;
    }
    count
}

/// What a collection holds, as far as it is known at once.
enum Content {
    Known(Digest),
    Long(Work),
}

/// Looks at a value that is no string; none if it has become another since.
fn collection<'a>(cx: &mut Cx<'a>, db: usize, key: Key<'_>, entry: &'a Entry) -> Option<Content> {
    let (kind, now) = (entry.type_of(), cx.db.now);
    let look = |seen: Seen<'_>| match (kind, seen) {
        (_, Seen::Object(Object::Set(set))) => {
            Content::Long(Work::Elements { kind, view: set.snapshot(), sum: NOTHING })
        }
        (_, Seen::Object(Object::List(list))) => {
            let (list, hasher) = (list.share(0, list.len()), row_of(kind));
            Content::Long(Work::Row { list, at: 0, hasher })
        }
        (Type::List, Seen::Compact(compact)) => {
            let mut hasher = row_of(kind);
            add_row(&mut hasher, Short::new(compact.bytes).packed().iter());
            Content::Known(finish(hasher))
        }
        (_, Seen::Object(Object::Hash(hash))) => {
            Content::Long(Work::Fields { rest: hash.view(now), sum: NOTHING })
        }
        (Type::Hash, seen) => {
            let mut sum = NOTHING;
            if let Some(hash) = hashes::View::of(seen) {
                hash.each(now, |each| mix(&mut sum, &field(each)));
            }
            Content::Known(unordered(kind, &sum))
        }
        (Type::Set, seen) => {
            let mut sum = NOTHING;
            set::view(seen).each(|member| member.with(|text| mix(&mut sum, &hash(&[text]))));
            Content::Known(unordered(kind, &sum))
        }
        (_, Seen::Object(Object::Stream(stream))) => {
            let mut hasher = Sha256::new();
            add(&mut hasher, kind.name().as_bytes());
            add(&mut hasher, &stream.bounds().last.text());
            let range = stream.range(Id::MIN, Id::MAX, usize::MAX, false);
            Content::Long(Work::Entries { range, hasher })
        }
        (_, Seen::Object(Object::ZSet(set))) => {
            let set = Box::new(Frozen::of(set, false));
            Content::Long(Work::Ranked { set, at: 0, sum: NOTHING })
        }
        (Type::ZSet, seen) => {
            let (mut sum, mut text) = (NOTHING, Vec::new());
            zset::access::view_of(seen)
                .iter()
                .for_each(|(member, score)| mix(&mut sum, &ranked(member.text(&mut text), score)));
            Content::Known(unordered(kind, &sum))
        }
        _ => Content::Known(hash(&[kind.name().as_bytes()])),
    };
    cx.db.collection_of((db, key), entry, kind, look).ok().flatten()
}

fn add_entry(hasher: &mut Sha256, entry: &StreamEntry<'_>) {
    let mut scratch = Vec::new();
    add(hasher, &entry.id.text());
    hasher.update((entry.len() as u64).to_le_bytes());
    for (name, value) in entry.fields() {
        add(hasher, name.text(&mut scratch));
        add(hasher, value.text(&mut scratch));
    }
}

impl Long {
    /// Goes on until `slice` is over. The digest, once all is hashed.
    fn go_on(&mut self, slice: &Slice) -> Option<Digest> {
        let content = loop {
            match &mut self.work {
                Work::Text { text, at, hasher } if *at == text.len() => {
                    break finish(std::mem::take(hasher));
                }
                Work::Text { text, at, hasher } => {
                    let end = (*at + PIECE).min(text.len());
                    hasher.update(&text[*at..end]);
                    *at = end;
                }
                Work::Row { list, at, hasher } if *at == list.len() => {
                    break finish(std::mem::take(hasher));
                }
                Work::Row { list, at, hasher } => {
                    *at += add_row(hasher, list.range(*at, ELEMENTS));
                }
                Work::Entries { range, hasher } => match range.next_entry() {
                    Some(entry) => add_entry(hasher, &entry),
                    None => break finish(std::mem::take(hasher)),
                },
                Work::Ranked { set, at, sum } => {
                    set.range(*at, ELEMENTS).for_each(|(m, score)| mix(sum, &ranked(m, score)));
                    *at += ELEMENTS;
                    if *at >= set.len() {
                        break unordered(Type::ZSet, sum);
                    }
                }
                Work::Fields { rest, sum } => {
                    if !rest.next(ELEMENTS, |each| mix(sum, &field(each))) {
                        break unordered(Type::Hash, sum);
                    }
                }
                Work::Elements { kind, view, sum } => {
                    if !view.next(ELEMENTS, |element| mix(sum, &hash(&[element]))) {
                        break unordered(*kind, sum);
                    }
                }
            }
            if slice.is_over() {
                return None;
            }
        };
        Some(with_expiry(&content, self.expires))
    }
}

/// Where DEBUG DIGEST-VALUE stands.
#[derive(Debug, Default)]
struct Values {
    done: Vec<Digest>,
    long: Option<Box<Long>>,
}

pub fn values(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut state = slice::resume::<Values>(cx).unwrap_or_default();
    let (slice, selected) = (Slice::begin(), cx.db.db);
    while state.done.len() < args.len() - 2 {
        if let Some(long) = &mut state.long {
            let Some(digest) = long.go_on(&slice) else { return Slice::pause(cx, state) };
            state.long = None;
            state.done.push(digest);
        } else {
            match value(cx, selected, Key::new(args.get(2 + state.done.len()))) {
                Value::Known(digest) => state.done.push(digest),
                Value::Long(long) => state.long = Some(long),
            }
        }
        if slice.is_over() {
            return Slice::pause(cx, state);
        }
    }
    cx.reply.array(state.done.len());
    state.done.iter().for_each(|digest| cx.reply.simple(&text(digest)));
    Ok(())
}

/// Walks over all data that other clients may disturb before the result is given as it is.
const WALKS: u32 = 4;

/// Where DEBUG DIGEST stands: in a walk over all databases.
#[derive(Debug, Default)]
struct Walk {
    number: u32,
    before: State,
    db: usize,
    cursor: u64,
    /// Keys shown by the walk and not looked at yet.
    keys: Vec<Vec<u8>>,
    /// The long value at hand, with its key.
    long: Option<(Vec<u8>, Box<Long>)>,
    sum: Digest,
}

/// What changes whenever the data do: the number of changes, and the sizes of the tables, since
/// a table that shrinks may show a key twice.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    changes: u64,
    buckets: Vec<u64>,
}

impl State {
    fn of(cx: &Cx<'_>) -> Self {
        let databases = 0..cx.db.keyspace.databases();
        Self {
            changes: cx.db.keyspace.total(Counters::changes),
            buckets: databases.map(|db| cx.db.buckets_of(db)).collect(),
        }
    }
}

/// The digest is that of one moment if nothing changed while it was computed. If something did, it
/// is computed anew, up to [`WALKS`] times; under writes that never pause the last result stands, in
/// which each key counts as it was at some moment of the last walk.
pub fn digest(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let begin = |cx: &Cx<'_>, number| Walk { number, before: State::of(cx), ..Walk::default() };
    let mut walk = slice::resume::<Walk>(cx).unwrap_or_else(|| Box::new(begin(cx, 1)));
    let slice = Slice::begin();
    loop {
        while walk.step(cx, &slice) {
            if slice.is_over() {
                return Slice::pause(cx, walk);
            }
        }
        if walk.number >= WALKS || walk.before == State::of(cx) {
            break;
        }
        *walk = begin(cx, walk.number + 1);
    }
    cx.reply.simple(&text(&walk.sum));
    Ok(())
}

impl Walk {
    /// A piece of the work. False when there is none left.
    fn step(&mut self, cx: &mut Cx<'_>, slice: &Slice) -> bool {
        if let Some((key, mut long)) = self.long.take() {
            match long.go_on(slice) {
                Some(digest) => self.add(&key, &digest),
                None => self.long = Some((key, long)),
            }
        } else if let Some(key) = self.keys.pop() {
            match value(cx, self.db, Key::new(&key)) {
                Value::Known(NOTHING) => {} // gone since the walk showed it
                Value::Known(digest) => self.add(&key, &digest),
                Value::Long(long) => self.long = Some((key, long)),
            }
        } else if self.cursor == END {
            (self.db, self.cursor) = (self.db + 1, 0);
        } else if self.db < cx.db.keyspace.databases() {
            let selected = std::mem::replace(&mut cx.db.db, self.db);
            let keys = &mut self.keys;
            let next = cx.db.scan(self.cursor, |entry| keys.push(entry.key().to_vec()));
            self.cursor = if next == 0 { END } else { next };
            cx.db.db = selected;
        } else {
            return false;
        }
        true
    }

    fn add(&mut self, key: &[u8], value: &Digest) {
        let database = (self.db as u64).to_le_bytes();
        mix(&mut self.sum, &hash(&[&database, key, value]));
    }
}

/// The cursor of a walk that is through: no cursor of a table, which has fewer buckets.
const END: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together_and_order_does_not_matter() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        let (a, b) = (hash(&[b"a"]), hash(&[b"b"]));
        let (mut one, mut two) = (NOTHING, NOTHING);
        [&a, &b].into_iter().for_each(|part| mix(&mut one, part));
        [&b, &a].into_iter().for_each(|part| mix(&mut two, part));
        assert_eq!(one, two);
        assert_eq!(text(&NOTHING), "0".repeat(40));
    }
}

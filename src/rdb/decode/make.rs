//! Building values of elements that come one by one.
//!
//! - **M1** No element gets in twice. In large forms the value itself tells; a compact one is looked
//!   through once at its end, by hashes, since looking for each element as it comes takes quadratic time.

use super::super::cursor::{Fault, Text};
use super::{Forms, Read};
use crate::db::{Compact, New};
use crate::types::hash::{self, EXPIRING, End, Small};
use crate::types::intset;
use crate::types::list::{self, List};
use crate::types::number::parse_f64;
use crate::types::object::{INTSET, Object, PACKED, Type};
use crate::types::packed::{Element, Packed, Place};
use crate::types::set;
use crate::types::zset::{self, SortedSet};
use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// In the words for which Redis' tests look in the log, whatever the form.
const TWICE: Fault = Fault::Bad("integrity check failed: listpack with dup elements");
/// No compact value grows beyond this, whatever the limits.
const COMPACT_MAX: usize = 1 << 29;
/// Compact hashes beyond this are edited where they stand.
const IN_PLACE: usize = 2 * 1024;

/// Memory that is used for one value after the other.
#[derive(Debug, Default)]
pub struct Room {
    bytes: Vec<u8>,
    sorted: Vec<u8>,
    places: Vec<(u64, Place)>,
    scored: Vec<Scored>,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Scored {
    score: f64,
    from: usize,
    to: usize,
}

/// Room beyond this goes back after each value.
const KEPT: usize = 1 << 20;

impl Room {
    /// Makes it empty.
    pub fn clear(&mut self) {
        for bytes in [&mut self.bytes, &mut self.sorted] {
            bytes.clear();
            bytes.shrink_to(KEPT);
        }
        self.places.clear();
        self.places.shrink_to(KEPT / 16);
        self.scored.clear();
        self.scored.shrink_to(KEPT / 16);
    }

    /// Memory for one text.
    pub const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether every `stride`-th element of `bytes` is another one.
    fn are_distinct(&mut self, stride: usize) -> bool {
        let Self { bytes, places, hasher, .. } = self;
        let packed = Packed::new(bytes);
        let mut iter = packed.iter();
        loop {
            let place = iter.place();
            if iter.next().is_none() {
                break;
            }
            places.push((hasher.hash_one(packed.between(place, iter.place())), place));
            for _ in 1..stride {
                iter.next();
            }
        }
        places.sort_unstable();
        let same = |pair: &[(u64, Place)]| {
            pair[0].0 == pair[1].0 && packed.at(pair[0].1) == packed.at(pair[1].1)
        };
        !places.windows(2).any(same)
    }
}

fn compact(kind: Type, form: u8, bytes: &[u8]) -> Read<'_> {
    Read::Value(New::Compact(Compact { kind, form, bytes }))
}

fn object<'d>(object: Object) -> Read<'d> {
    Read::Value(New::Object(Box::new(object)))
}

/// A hash.
pub struct HashMaker<'d> {
    fields: usize,
    text: usize,
    now: i64,
    room: &'d mut Room,
    large: Option<Box<hash::Large>>,
    /// Three elements for each field.
    timed: bool,
    /// A field has an end.
    ends: bool,
    count: usize,
    over: bool,
}

impl<'d> HashMaker<'d> {
    /// For about `count` fields; `timed` if any may have an end.
    pub fn new(forms: &Forms, now: i64, count: usize, timed: bool, room: &'d mut Room) -> Self {
        let (fields, text) = (forms.hash_fields, forms.hash_text);
        let large = (count > fields).then(Box::default);
        Self { fields, text, now, room, large, timed, ends: false, count: 0, over: false }
    }

    /// Adds a field.
    pub fn add(
        &mut self,
        name: &Text<'_>,
        value: &Text<'_>,
        end: Option<i64>,
    ) -> Result<(), Fault> {
        match end {
            Some(end) if end <= 0 => return Err(super::BAD_TIME),
            Some(end) if end <= self.now => {
                self.over = true;
                return Ok(());
            }
            _ => {}
        }
        self.count += 1;
        self.ends |= end.is_some();
        if self.large.is_none() {
            let grown = self.count > self.fields || self.room.bytes.len() > COMPACT_MAX;
            if grown || name.is_longer_than(self.text) || value.is_longer_than(self.text) {
                self.enlarge()?;
            }
        }
        let Some(large) = &mut self.large else {
            let bytes = &mut self.room.bytes;
            name.element().push(bytes);
            value.element().push(bytes);
            if self.timed {
                Element::Int(end.unwrap_or(0)).push(bytes);
            }
            return Ok(());
        };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let end = end.map_or(End::Never, End::At);
        match large.set(name.bytes(&mut one), value.bytes(&mut two), end, i64::MIN) {
            true => Ok(()),
            false => Err(TWICE),
        }
    }

    fn stride(&self) -> usize {
        if self.timed { 3 } else { 2 }
    }

    fn enlarge(&mut self) -> Result<(), Fault> {
        if !self.room.are_distinct(self.stride()) {
            return Err(TWICE);
        }
        let form = if self.timed { EXPIRING } else { PACKED };
        self.large = Some(Box::new(Small::new(form, &self.room.bytes).to_large()));
        Ok(())
    }

    /// The hash.
    pub fn finish(mut self) -> Result<Read<'d>, Fault> {
        if self.count == 0 {
            return Ok(if self.over { Read::Over } else { Read::Empty });
        }
        if let Some(large) = self.large {
            return Ok(object(Object::Hash(large)));
        }
        if !self.room.are_distinct(self.stride()) {
            return Err(TWICE);
        }
        if self.timed && !self.ends {
            let Room { bytes, sorted, .. } = &mut *self.room;
            let elements = Packed::new(bytes).iter().enumerate();
            elements.filter(|(n, _)| n % 3 < 2).for_each(|(_, element)| element.push(sorted));
            std::mem::swap(bytes, sorted);
            self.timed = false;
        }
        let form = if self.timed { EXPIRING } else { PACKED };
        let bytes = &self.room.bytes;
        if bytes.len() > IN_PLACE {
            return Ok(object(Object::Draft(hash::Draft::new(Vec::new(), form, bytes))));
        }
        Ok(compact(Type::Hash, form, bytes))
    }
}

/// A list.
pub struct ListMaker<'d> {
    limit: list::Limit,
    room: &'d mut Room,
    long: Option<List>,
    count: usize,
}

impl<'d> ListMaker<'d> {
    /// Within `limit`.
    pub fn new(limit: list::Limit, room: &'d mut Room) -> Self {
        room.bytes.push(0); // for the count
        Self { limit, room, long: None, count: 0 }
    }

    /// Adds an element at the end.
    pub fn add(&mut self, text: &Text<'_>) {
        self.count += 1;
        if let Some(list) = &mut self.long {
            let mut digits = Vec::new();
            list.push(list::End::Back, text.bytes(&mut digits));
            return;
        }
        let bytes = &mut self.room.bytes;
        text.element().push(bytes);
        if !self.limit.keeps_short(bytes.len() - 1, self.count) {
            let packed = Packed::new(&bytes[1..]);
            self.long = Some(List::from_packed(packed, list::End::Back, self.limit));
        }
    }

    /// The list.
    pub fn finish(self) -> Read<'d> {
        match self.long {
            _ if self.count == 0 => Read::Empty,
            Some(list) => object(Object::List(list)),
            None => {
                self.room.bytes[0] = self.count as u8; // a short list has no more
                compact(Type::List, PACKED, &self.room.bytes)
            }
        }
    }
}

/// A set.
pub struct SetMaker<'d> {
    limits: set::Limits,
    room: &'d mut Room,
    numbers: Vec<i64>,
    longest: usize,
    count: usize,
    large: Option<set::Large>,
}

impl<'d> SetMaker<'d> {
    /// For about `count` members.
    pub fn new(limits: set::Limits, count: usize, room: &'d mut Room) -> Self {
        let large = count > limits.numbers.max(limits.members);
        let large = large.then(set::Large::new);
        Self { limits, room, numbers: Vec::new(), longest: 0, count: 0, large }
    }

    /// Adds a member.
    pub fn add(&mut self, member: &Text<'_>) -> Result<(), Fault> {
        self.count += 1;
        let mut digits = Vec::new();
        if let Some(set) = &mut self.large {
            return if set.insert(member.bytes(&mut digits)) { Ok(()) } else { Err(TWICE) };
        }
        self.longest = self.longest.max(member.len());
        let element = member.element();
        if let Element::Int(value) = element {
            self.numbers.push(value);
        }
        element.push(&mut self.room.bytes);
        let numbers = self.numbers.len() == self.count && self.count <= self.limits.numbers;
        if !numbers && !self.is_packed() { self.enlarge() } else { Ok(()) }
    }

    fn is_packed(&self) -> bool {
        self.count <= self.limits.members
            && self.longest <= self.limits.text
            && self.room.bytes.len() <= set::COMPACT_MAX
    }

    fn enlarge(&mut self) -> Result<(), Fault> {
        let (mut set, mut digits) = (set::Large::new(), Vec::new());
        for element in Packed::new(&self.room.bytes) {
            if !set.insert(element.text(&mut digits)) {
                return Err(TWICE);
            }
        }
        self.large = Some(set);
        Ok(())
    }

    /// The set.
    pub fn finish(mut self) -> Result<Read<'d>, Fault> {
        if self.count == 0 {
            return Ok(Read::Empty);
        }
        if let Some(set) = self.large {
            return Ok(object(Object::Set(Box::new(set))));
        }
        if self.numbers.len() == self.count && self.count <= self.limits.numbers {
            intset::build(&mut self.numbers, &mut self.room.sorted);
            if self.numbers.len() < self.count {
                return Err(TWICE);
            }
            return Ok(compact(Type::Set, INTSET, &self.room.sorted));
        }
        if !self.room.are_distinct(1) {
            return Err(TWICE);
        }
        Ok(compact(Type::Set, PACKED, &self.room.bytes))
    }
}

/// A sorted set. Its entries are sorted before they enter: each then stands beside the one before it.
pub struct ZSetMaker<'d> {
    limits: zset::Limits,
    room: &'d mut Room,
    longest: usize,
}

impl<'d> ZSetMaker<'d> {
    /// Within `limits`.
    pub fn new(limits: zset::Limits, room: &'d mut Room) -> Self {
        Self { limits, room, longest: 0 }
    }

    /// Adds a member; the score is a number.
    pub fn add(&mut self, member: &Text<'_>, score: f64) {
        let mut digits = Vec::new();
        let Room { bytes, scored, .. } = &mut *self.room;
        let from = bytes.len();
        bytes.extend_from_slice(member.bytes(&mut digits));
        self.longest = self.longest.max(bytes.len() - from);
        scored.push(Scored { score, from, to: bytes.len() });
    }

    /// Adds a member with its score as it stands in a packed form.
    pub fn add_packed(&mut self, member: &Text<'_>, score: &Text<'_>) -> Result<(), Fault> {
        let mut digits = Vec::new();
        let value = match score {
            Text::Int(value) => *value as f64,
            text => {
                let value = parse_f64(text.bytes(&mut digits)).filter(|value| !value.is_nan());
                value.ok_or(Fault::Bad("a score that is no number"))?
            }
        };
        self.add(member, value);
        Ok(())
    }

    /// The set.
    pub fn finish(self) -> Result<Read<'d>, Fault> {
        let Room { bytes, sorted, scored, .. } = &mut *self.room;
        if scored.is_empty() {
            return Ok(Read::Empty);
        }
        let text = |one: &Scored| &bytes[one.from..one.to];
        // The scores are no NaN, and zero and its negative are one, as they are in a set.
        scored.sort_unstable_by(|one, two| {
            let by_score = one.score.partial_cmp(&two.score).unwrap_or(std::cmp::Ordering::Equal);
            by_score.then_with(|| text(one).cmp(text(two)))
        });
        let fits = scored.len() <= self.limits.entries && self.longest <= self.limits.value;
        if !fits || bytes.len() + 16 * scored.len() > COMPACT_MAX {
            let mut set = SortedSet::new();
            for one in scored.iter() {
                if set.insert(text(one), one.score).is_some() {
                    return Err(TWICE);
                }
            }
            return Ok(object(Object::ZSet(Box::new(set))));
        }
        for one in scored.iter() {
            Element::of(text(one)).push(sorted);
            Element::of_score(one.score + 0.0).push(sorted); // no negative zero
        }
        std::mem::swap(bytes, sorted);
        if !self.room.are_distinct(2) {
            return Err(TWICE);
        }
        Ok(compact(Type::ZSet, PACKED, &self.room.bytes))
    }
}

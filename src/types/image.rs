//! What a value in a block of its own holds at one instant, to be written out in pieces while the
//! value itself goes on changing.
//!
//! An image shares the value's chunks: taking one costs a counted pointer for each, about two hundred
//! for a million elements of 16 bytes, and whoever changes the value meanwhile copies the chunk that it touches,
//! 64 KiB at most. Of tables and sorted sets it takes the contents only: indexes and orders, which a
//! file does not hold, are not shared and so are never copied.
//!
//! - **V1** [`Image::len`] is the number of elements that [`Image::next`] and its kin show, each once.
//! - **V2** What has been shown is let go of, so that a change of it copies nothing any more.

use super::hash;
use super::list::{End, List};
use super::object::{Object, Type};
use super::packed::Element;
use super::stream::Stream;
use super::table::View;
use super::zset;
use bytes::Bytes;

/// The value at that instant.
#[derive(Debug)]
pub enum Image {
    /// A long string.
    Text(Bytes),
    /// A compact hash that is edited in place: its form, and its bytes.
    Compact { kind: Type, form: u8, bytes: Vec<u8> },
    /// A list, in order.
    List(List),
    /// A set: number of members, and the members in no order.
    Set(usize, View),
    /// A sorted set: number of members, and members with scores in no order.
    ZSet(usize, zset::Rest),
    /// A hash: number of fields, the earliest end of one if any has an end, and the fields in no order,
    /// without those that were over.
    Hash(usize, Option<i64>, hash::Rest),
    /// A stream with its groups.
    Stream(Box<Stream>),
}

impl Image {
    /// Of `object` as it is now, in Unix milliseconds.
    pub fn of(object: &Object, now: i64) -> Self {
        match object {
            Object::Draft(draft) => {
                let (form, bytes) = (draft.form(), draft.bytes().to_vec());
                Self::Compact { kind: Type::Hash, form, bytes }
            }
            Object::Hash(hash) => {
                let earliest = hash.earliest().map(|at| at.max(now));
                Self::Hash(hash.len(now), earliest, hash.view(now))
            }
            Object::String(bytes) => Self::Text(bytes.clone()),
            Object::List(list) => Self::List(list.clone()),
            Object::Set(set) => Self::Set(set.len(), set.snapshot()),
            Object::ZSet(set) => Self::ZSet(set.len(), set.view()),
            Object::Stream(stream) => Self::Stream(stream.clone()),
        }
    }

    /// The type of the value.
    pub const fn type_of(&self) -> Type {
        match self {
            Self::Text(_) => Type::String,
            Self::Compact { kind, .. } => *kind,
            Self::List(_) => Type::List,
            Self::Set(..) => Type::Set,
            Self::ZSet(..) => Type::ZSet,
            Self::Hash(..) => Type::Hash,
            Self::Stream(_) => Type::Stream,
        }
    }

    /// Elements still to be shown of a list, set, sorted set or hash.
    pub const fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Set(len, _) | Self::ZSet(len, _) | Self::Hash(len, ..) => *len,
            Self::Text(_) | Self::Compact { .. } | Self::Stream(_) => 0,
        }
    }

    /// Whether nothing is left to be shown.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows about `count` further elements, front first if they have an order (V1, V2): the text of
    /// a list's or set's; the name of a field with its value, a member with its score in the second
    /// place. False if there are no more.
    pub fn next(&mut self, count: usize, mut each: impl FnMut(Element<'_>, Beside<'_>)) -> bool {
        match self {
            Self::List(list) => {
                let shown = count.min(list.len());
                list.range(0, shown).for_each(|text| each(text, Beside::Nothing));
                list.drop(End::Front, shown);
                !list.is_empty()
            }
            Self::Set(left, view) => view.next_released(count, |text| {
                *left = left.saturating_sub(1);
                each(Element::Str(text), Beside::Nothing);
            }),
            Self::ZSet(left, rest) => rest.next(count, |member, score| {
                *left = left.saturating_sub(1);
                each(Element::Str(member), Beside::Score(score));
            }),
            Self::Hash(left, _, rest) => rest.next_released(count, |field| {
                *left = left.saturating_sub(1);
                each(field.name, Beside::Value { value: field.value, end: field.end });
            }),
            Self::Text(_) | Self::Compact { .. } | Self::Stream(_) => false,
        }
    }
}

/// What belongs to an element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beside<'e> {
    /// Of lists and sets.
    Nothing,
    /// Of sorted sets.
    Score(f64),
    /// Of hashes; with the Unix time in milliseconds at which the field ends, if it does.
    Value { value: Element<'e>, end: Option<i64> },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::list::Limit;
    use crate::types::{hash::Large, set, zset::SortedSet};
    use std::collections::BTreeMap;

    /// Everything that an image shows, in pieces of an awkward size; between them `change` is called.
    fn drain(image: &mut Image, mut change: impl FnMut()) -> Vec<(Vec<u8>, String)> {
        let mut shown = Vec::new();
        let all = image.len();
        loop {
            let more = image.next(7, |element, beside| {
                let text = element.text(&mut Vec::new()).to_vec();
                let beside = match beside {
                    Beside::Nothing => String::new(),
                    Beside::Score(score) => score.to_string(),
                    Beside::Value { value, end } => {
                        format!("{:?} {end:?}", value.text(&mut Vec::new()))
                    }
                };
                shown.push((text, beside));
            });
            assert_eq!(image.len() + shown.len(), all, "V1");
            if !more {
                break;
            }
            change();
        }
        assert!(image.is_empty());
        shown
    }

    /// Each large type shows what it was, whatever happens to it meanwhile.
    #[test]
    fn images_stay_as_they_were_while_their_values_change() {
        const N: u32 = 20_000;
        let name = |i: u32| format!("element:{i}").into_bytes();
        let (mut hash, mut members, mut scores) =
            (Large::new(), set::Large::new(), SortedSet::new());
        let mut list = List::new(Limit::from_parameter(-2));
        for i in 0..N {
            let end = if i % 5 == 0 { hash::End::At(i64::from(i) + 1) } else { hash::End::Never };
            hash.set(&name(i), b"value", end, 0);
            members.insert(&name(i));
            scores.insert(&name(i), f64::from(i));
            list.push(End::Back, &name(i));
        }
        let mut turn = 0;

        let mut object = Object::List(list);
        let mut image = Image::of(&object, 0);
        let shown = drain(&mut image, || {
            let Object::List(list) = &mut object else { unreachable!() };
            turn += 1;
            list.set(turn * 5 % list.len(), b"other");
            list.push(End::Front, b"front");
            list.drop(End::Back, 2);
        });
        assert!(shown.iter().map(|(text, _)| text).eq((0..N).map(name).collect::<Vec<_>>().iter()));

        let mut object = Object::Set(Box::new(members));
        let mut image = Image::of(&object, 0);
        let shown = drain(&mut image, || {
            let Object::Set(set) = &mut object else { unreachable!() };
            turn += 1;
            set.remove(&name(turn as u32 * 7 % N));
            set.insert(format!("new:{turn}").as_bytes());
        });
        let shown: BTreeMap<_, _> = shown.into_iter().collect();
        assert_eq!(shown.len(), N as usize);
        assert!((0..N).all(|i| shown.contains_key(&name(i))));

        let mut object = Object::ZSet(Box::new(scores));
        let mut image = Image::of(&object, 0);
        let shown = drain(&mut image, || {
            let Object::ZSet(set) = &mut object else { unreachable!() };
            turn += 1;
            set.remove(&name(turn as u32 * 7 % N));
            set.insert(&name(turn as u32 * 11 % N), -1.0);
        });
        let shown: BTreeMap<_, _> = shown.into_iter().collect();
        assert_eq!(shown.len(), N as usize);
        assert!((0..N).all(|i| shown.get(&name(i)) == Some(&i.to_string())));

        let mut object = Object::Hash(Box::new(hash));
        let mut image = Image::of(&object, 0);
        let shown = drain(&mut image, || {
            let Object::Hash(hash) = &mut object else { unreachable!() };
            turn += 1;
            hash.expire(i64::from(N), 3);
            hash.set(&name(turn as u32 * 11 % N), b"changed", hash::End::Never, 0);
        });
        let shown: BTreeMap<_, _> = shown.into_iter().collect();
        assert_eq!(shown.len(), N as usize);
        for i in 0..N {
            let end = (i % 5 == 0).then_some(i64::from(i) + 1);
            let beside = format!("{:?} {end:?}", b"value".to_vec());
            assert_eq!(shown.get(&name(i)), Some(&beside));
        }
    }
}

//! The next value of a compact set.
//!
//! A compact value never changes: a command builds the next one from it and swaps them. Most add or
//! remove one member, for which the bytes are copied once, around it; several go through a
//! [`Draft`].

use super::draft::text_len;
use super::{Draft, Limits, Made, Member, View};
use crate::types::number::parse_i64;
use crate::types::object::{INTSET, PACKED};
use crate::types::packed::Element;

/// What a command did to a set: how many members it added or removed, and the set after it if that
/// is not 0.
pub type Edited = (usize, Made);

/// Adds members to a compact set, in their order.
pub fn add<'m>(
    set: View<'_>,
    mut members: impl ExactSizeIterator<Item = &'m [u8]>,
    limits: Limits,
) -> Edited {
    if members.len() == 1
        && let Some(member) = members.next()
    {
        return add_one(set, member, limits);
    }
    let mut draft = Draft::of(set, limits);
    let added = members.filter(|member| draft.insert(&Member::Text(member))).count();
    (added, if added == 0 { Made::Empty } else { draft.finish() })
}

fn add_one(set: View<'_>, member: &[u8], limits: Limits) -> Edited {
    let mut bytes = Vec::new();
    match set {
        View::Ints(ints) if ints.len() < limits.numbers => {
            if let Some(value) = parse_i64(member) {
                let added = ints.insert(value, &mut bytes);
                return (usize::from(added), Made::Compact { form: INTSET, bytes });
            }
        }
        View::Packed(packed) => {
            let element = Element::of(member);
            if packed.find(&element, 1).is_some() {
                return (0, Made::Empty);
            }
            let (len, size) = (packed.len() + 1, packed.bytes().len() + element.size());
            if limits.allow(len, size, text_len(&element)) {
                bytes.reserve_exact(size);
                bytes.extend_from_slice(packed.bytes());
                element.push(&mut bytes);
                return (1, Made::Compact { form: PACKED, bytes });
            }
        }
        _ => {}
    }
    let mut draft = Draft::of(set, limits);
    if draft.insert(&Member::Text(member)) { (1, draft.finish()) } else { (0, Made::Empty) }
}

/// Removes members from a compact set.
pub fn remove<'m>(
    set: View<'_>,
    mut members: impl ExactSizeIterator<Item = &'m [u8]>,
    limits: Limits,
) -> Edited {
    if members.len() == 1
        && let Some(member) = members.next()
    {
        return remove_one(set, member);
    }
    let mut draft = Draft::of(set, limits);
    let removed = members.filter(|member| draft.remove(&Member::Text(member))).count();
    (removed, if removed == 0 { Made::Empty } else { draft.finish() })
}

fn remove_one(set: View<'_>, member: &[u8]) -> Edited {
    let mut bytes = Vec::new();
    let form = match set {
        View::Ints(ints) => match parse_i64(member) {
            Some(value) if ints.remove(value, &mut bytes) => INTSET,
            _ => return (0, Made::Empty),
        },
        View::Packed(packed) => match packed.find(&Element::of(member), 1) {
            Some((_, place)) => {
                packed.remove(place, 1, &mut bytes);
                PACKED
            }
            None => return (0, Made::Empty),
        },
        View::Large(_) => return (0, Made::Empty), // changed in place
    };
    (1, if bytes.is_empty() { Made::Empty } else { Made::Compact { form, bytes } })
}

/// Removes those members of a compact set that `goes` picks, which sees all of them.
pub fn take(set: View<'_>, mut goes: impl FnMut(Member<'_>) -> bool) -> Edited {
    let mut bytes = Vec::new();
    let (taken, form) = match set {
        View::Ints(ints) => {
            let mut rest: Vec<i64> = Vec::with_capacity(ints.len());
            rest.extend(ints.iter().filter(|value| !goes(Member::Int(*value))));
            let taken = ints.len() - rest.len();
            crate::types::intset::build(&mut rest, &mut bytes);
            (taken, INTSET)
        }
        View::Packed(packed) => {
            let taken =
                packed.retain(1, &mut bytes, |_, element| !super::with_member(&element, &mut goes));
            (taken, PACKED)
        }
        View::Large(_) => return (0, Made::Empty),
    };
    (taken, if bytes.is_empty() { Made::Empty } else { Made::Compact { form, bytes } })
}

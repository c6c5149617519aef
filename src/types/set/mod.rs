//! Sets of texts in three forms, and what commands do with them.
//!
//! ```text
//!   numbers only, few      intset      one sorted array                    compact
//!   any texts, few, short  packed      one sequence, in order of arrival   compact
//!   all others             large       a table, changed in place
//! ```
//! A set begins as numbers and becomes packed with its first text, or large when a limit is passed
//! ([`Limits`]); it never goes back, but for what a whole new value replaces. [`View`] reads all three,
//! [`edit`] makes the next value of a compact one, [`Draft`] grows a new set, [`algebra`] combines.
//!
//! - **S1** A member is its text; a number is the text that [`parse_i64`] accepts. So a number
//!   is found in every form, however it was added.
//! - **S2** What [`View`] shows of a set of either compact form are its members in a fixed order, so a
//!   number below the length stands for one of them.

pub mod algebra;
pub mod draft;
pub mod edit;
mod large;
pub mod long;
#[cfg(test)]
mod tests;

pub use draft::{Draft, Made};
pub use large::{Large, Slot};

use super::intset::Intset;
use super::number::parse_i64;
use super::object::{INTSET, PACKED};
use super::packed::{self, Element, Packed};

/// A member on its way from one set to another, or to a reply.
#[derive(Debug, Clone, Copy)]
pub enum Member<'v> {
    /// A number.
    Int(i64),
    /// A text, which may still read like a number.
    Text(&'v [u8]),
}

impl Member<'_> {
    /// Calls `f` with the text.
    #[inline]
    pub fn with<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Int(value) => f(itoa::Buffer::new().format(*value).as_bytes()),
            Self::Text(text) => f(text),
        }
    }

    /// The number that it is, if it is one (S1).
    #[inline]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Text(text) => parse_i64(text),
        }
    }
}

/// Up to where sets stay compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members of a set of numbers.
    pub numbers: usize,
    /// Members of a packed set.
    pub members: usize,
    /// Bytes of each of its texts.
    pub text: usize,
}

/// Whatever the limits, a compact value is no longer: each change builds it anew.
pub const COMPACT_MAX: usize = 64 * 1024;

impl Limits {
    /// The limits of the configuration.
    pub const fn new(numbers: usize, members: usize, text: usize) -> Self {
        const NUMBERS_MAX: usize = COMPACT_MAX / 8 - 1;
        Self { numbers: if numbers < NUMBERS_MAX { numbers } else { NUMBERS_MAX }, members, text }
    }

    /// Whether a packed set of `members` in `bytes` is within them, once it has a text of `text`.
    const fn allow(&self, members: usize, bytes: usize, text: usize) -> bool {
        members <= self.members && text <= self.text && bytes <= COMPACT_MAX
    }
}

/// A set to be read.
#[derive(Debug, Clone, Copy)]
pub enum View<'v> {
    /// A few numbers.
    Ints(Intset<'v>),
    /// A few texts.
    Packed(Packed<'v>),
    /// Any number of texts.
    Large(&'v Large),
}

impl<'v> View<'v> {
    /// The empty set.
    pub fn empty() -> Self {
        Self::compact(INTSET, &[])
    }

    /// A compact set.
    #[inline]
    pub fn compact(form: u8, bytes: &'v [u8]) -> Self {
        if form == INTSET {
            Self::Ints(Intset::new(bytes))
        } else {
            Self::Packed(Packed::new(bytes))
        }
    }

    /// Form and bytes of a compact set.
    pub const fn parts(&self) -> Option<(u8, &'v [u8])> {
        match self {
            Self::Ints(set) => Some((INTSET, set.bytes())),
            Self::Packed(set) => Some((PACKED, set.bytes())),
            Self::Large(_) => None,
        }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Ints(set) => set.len(),
            Self::Packed(set) => set.len(),
            Self::Large(set) => set.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Ints(set) => set.is_empty(),
            Self::Packed(set) => set.is_empty(),
            Self::Large(set) => set.len() == 0,
        }
    }

    /// Whether a text is a member.
    #[inline]
    pub fn contains(&self, text: &[u8]) -> bool {
        match self {
            Self::Ints(set) => parse_i64(text).is_some_and(|value| set.contains(value)),
            Self::Packed(set) => set.find(&Element::of(text), 1).is_some(),
            Self::Large(set) => set.contains(text),
        }
    }

    /// The same, for a member of another set.
    #[inline]
    pub fn has(&self, member: &Member<'_>) -> bool {
        match (self, member) {
            (Self::Ints(set), Member::Int(value)) => set.contains(*value),
            (Self::Packed(set), Member::Int(value)) => set.find(&Element::Int(*value), 1).is_some(),
            _ => member.with(|text| self.contains(text)),
        }
    }

    /// Calls `f` with all members until it returns false. Returns whether it never did.
    #[inline]
    pub fn all(&self, mut f: impl FnMut(Member<'_>) -> bool) -> bool {
        match self {
            Self::Ints(set) => set.iter().all(|value| f(Member::Int(value))),
            Self::Packed(set) => set.iter().all(|element| with_member(&element, &mut f)),
            Self::Large(set) => set.iter().all(|text| f(Member::Text(text))),
        }
    }

    /// Calls `f` with all members.
    #[inline]
    pub fn each(&self, mut f: impl FnMut(Member<'_>)) {
        self.all(|member| {
            f(member);
            true
        });
    }

    /// Calls `f` with the member of this number (S2). None if there are not as many. Not for large
    /// sets, whose members have no numbers.
    pub fn nth<T>(&self, index: usize, f: impl FnOnce(Member<'_>) -> T) -> Option<T> {
        match self {
            Self::Ints(set) => Some(f(Member::Int(set.nth(index)?))),
            Self::Packed(set) => Some(with_member(&set.nth(index)?, f)),
            Self::Large(_) => None,
        }
    }
}

/// Calls `f` with an element of a packed set.
#[inline]
fn with_member<T>(element: &Element<'_>, f: impl FnOnce(Member<'_>) -> T) -> T {
    match *element {
        Element::Int(value) => f(Member::Int(value)),
        Element::Str(text) => f(Member::Text(text)),
        Element::Double(_) => {
            let mut text = Vec::new();
            element.write_text(&mut text);
            f(Member::Text(&text)) // no set is built with one, but these may be any bytes
        }
    }
}

/// The longest member that a set can hold; commands must refuse more.
pub const MEMBER_MAX: usize = packed::ELEMENT_MAX;

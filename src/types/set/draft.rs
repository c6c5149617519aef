//! A set that grows and shrinks while nobody else can see it: the result of set algebra, or the next
//! value of a compact set when several members change at once.
//!
//! Its form follows the rules for sets in use (see the head of [`super`]), so that what is built in
//! one go has the form that the same members would have if they were added one by one.

use super::{Large, Limits, Member, View};
use crate::types::intset;
use crate::types::object::{INTSET, PACKED};
use crate::types::packed::{Element, Packed};

/// The set.
#[derive(Debug)]
pub struct Draft {
    limits: Limits,
    form: Form,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one of them lives for one command")]
enum Form {
    /// In ascending order.
    Ints(Vec<i64>),
    Packed {
        bytes: Vec<u8>,
        len: usize,
    },
    Large(Large),
}

/// A finished set.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one of them lives for one command")]
pub enum Made {
    /// It has no members.
    Empty,
    /// A compact one.
    Compact {
        /// [`INTSET`] or [`PACKED`].
        form: u8,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A large one.
    Large(Large),
}

impl Draft {
    /// An empty set.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, form: Form::Ints(Vec::new()) }
    }

    /// A set to hold about `members`: as [`Draft::new`], but large at once if it will be anyway.
    pub fn sized(limits: Limits, members: usize) -> Self {
        if members > limits.numbers.max(limits.members) {
            return Self { limits, form: Form::Large(Large::new()) };
        }
        Self::new(limits)
    }

    /// A copy of a set.
    pub fn of(view: View<'_>, limits: Limits) -> Self {
        let form = match view {
            View::Ints(set) => Form::Ints(set.iter().collect()),
            View::Packed(set) => Form::Packed { bytes: set.bytes().to_vec(), len: set.len() },
            View::Large(set) => Form::Large(set.clone()),
        };
        Self { limits, form }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Ints(values) => values.len(),
            Form::Packed { len, .. } => *len,
            Form::Large(set) => set.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a member. False if it was there.
    pub fn insert(&mut self, member: &Member<'_>) -> bool {
        match &mut self.form {
            Form::Large(set) => member.with(|text| set.insert(text)),
            Form::Packed { bytes, len } => {
                let Some(element) = absent(bytes, member) else { return false };
                let size = bytes.len() + element.size();
                if self.limits.allow(*len + 1, size, text_len(&element)) {
                    element.push(bytes);
                    *len += 1;
                } else {
                    member.with(|text| self.enlarge().insert(text));
                }
                true
            }
            Form::Ints(values) => {
                let Some(value) = member.number() else {
                    self.pack();
                    return self.insert(member);
                };
                let Err(at) = values.binary_search(&value) else { return false };
                values.insert(at, value);
                if values.len() > self.limits.numbers {
                    self.pack();
                }
                true
            }
        }
    }

    /// Removes a member. False if it was not there.
    pub fn remove(&mut self, member: &Member<'_>) -> bool {
        match &mut self.form {
            Form::Large(set) => member.with(|text| set.remove(text)),
            Form::Packed { bytes, len } => member.with(|text| {
                let packed = Packed::new(bytes);
                let Some((_, place)) = packed.find(&Element::of(text), 1) else { return false };
                let mut rest = Vec::new();
                packed.remove(place, 1, &mut rest);
                *bytes = rest;
                *len -= 1;
                true
            }),
            Form::Ints(values) => {
                let at = member.number().and_then(|value| values.binary_search(&value).ok());
                at.map(|at| values.remove(at)).is_some()
            }
        }
    }

    /// Calls `f` with the set.
    pub fn with<T>(&self, f: impl FnOnce(View<'_>) -> T) -> T {
        match &self.form {
            Form::Ints(values) => {
                let mut bytes = Vec::new();
                intset::build(&mut values.clone(), &mut bytes);
                f(View::compact(INTSET, &bytes))
            }
            Form::Packed { bytes, .. } => f(View::compact(PACKED, bytes)),
            Form::Large(set) => f(View::Large(set)),
        }
    }

    /// Calls `f` with all members.
    pub fn each(&self, mut f: impl FnMut(Member<'_>)) {
        match &self.form {
            Form::Ints(values) => values.iter().for_each(|value| f(Member::Int(*value))),
            Form::Packed { bytes, .. } => View::compact(PACKED, bytes).each(f),
            Form::Large(set) => View::Large(set).each(f),
        }
    }

    /// The set as it is to be stored.
    pub fn finish(self) -> Made {
        if self.is_empty() {
            return Made::Empty;
        }
        match self.form {
            Form::Ints(mut values) => {
                let mut bytes = Vec::new();
                intset::build(&mut values, &mut bytes);
                Made::Compact { form: INTSET, bytes }
            }
            Form::Packed { bytes, .. } => Made::Compact { form: PACKED, bytes },
            Form::Large(set) => Made::Large(set),
        }
    }

    /// From numbers to what comes next.
    fn pack(&mut self) {
        let Form::Ints(values) = &self.form else { return };
        let mut bytes = Vec::new();
        values.iter().for_each(|&value| Element::Int(value).push(&mut bytes));
        let len = values.len();
        let longest = values.iter().map(|&value| text_len(&Element::Int(value))).max();
        let fits = self.limits.allow(len, bytes.len(), longest.unwrap_or(0));
        self.form = Form::Packed { bytes, len };
        if !fits {
            self.enlarge();
        }
    }

    /// From a compact form to the large one.
    fn enlarge(&mut self) -> &mut Large {
        if !matches!(self.form, Form::Large(_)) {
            let mut set = Large::new();
            self.each(|member| _ = member.with(|text| set.insert(text)));
            self.form = Form::Large(set);
        }
        match &mut self.form {
            Form::Large(set) => set,
            _ => unreachable!("made so just above"),
        }
    }
}

/// The element that `member` would be in a packed set, if it is not in there.
fn absent<'v>(bytes: &[u8], member: &Member<'v>) -> Option<Element<'v>> {
    let element = match *member {
        Member::Int(value) => Element::Int(value),
        Member::Text(text) => Element::of(text),
    };
    Packed::new(bytes).find(&element, 1).is_none().then_some(element)
}

/// Length of an element's text.
pub(super) fn text_len(element: &Element<'_>) -> usize {
    match element {
        Element::Str(text) => text.len(),
        Element::Int(value) => itoa::Buffer::new().format(*value).len(),
        Element::Double(_) => 24,
    }
}

//! The sets that a command combines, as they were at one instant: sorted ones, or plain ones, whose
//! members count 1 each.

use super::Error;
use crate::db::{Access, Compact, Holds, Key};
use crate::types::intset::Intset;
use crate::types::object::{INTSET, Object, Type};
use crate::types::packed::{Element, Packed};
use crate::types::set::Large;
use crate::types::table;
use crate::types::zset::{Frozen, Small, View};

/// One of them.
#[derive(Debug)]
pub enum Source {
    /// The key does not exist.
    Absent,
    /// A compact sorted set.
    Small(Vec<u8>),
    /// A large sorted set.
    Large(Box<Frozen>),
    /// A plain set of integers.
    Numbers(Vec<u8>),
    /// A plain set of a few texts.
    Texts(Vec<u8>),
    /// A large plain set: its members, and what is asked for them if there are look-ups.
    Plain(table::View, Option<Box<Large>>, usize),
}

/// How a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// There is more.
    Partly,
    /// That was all.
    Whole,
    /// The caller wants no more.
    Enough,
}

/// Members looked at between two looks at the time.
const STEP: usize = 64;

impl Source {
    /// Takes what is under a key: large ones by reference, with what it needs to be asked for
    /// members if there will be `lookups`. Counts as a use of the key.
    fn take(db: &mut Access<'_>, key: Key<'_>, lookups: bool) -> Result<Self, Error> {
        let Some(entry) = db.find(key) else { return Ok(Self::Absent) };
        let kind = entry.type_of();
        if !matches!(kind, Type::Set | Type::ZSet) {
            return Err(Error::WrongType);
        }
        let mut write = db.write(key);
        match write.holds(kind)? {
            Holds::Nothing => Ok(Self::Absent),
            Holds::Compact(Compact { kind: Type::ZSet, bytes, .. }) => {
                Ok(Self::Small(bytes.to_vec()))
            }
            Holds::Compact(Compact { form: INTSET, bytes, .. }) => {
                Ok(Self::Numbers(bytes.to_vec()))
            }
            Holds::Compact(Compact { bytes, .. }) => Ok(Self::Texts(bytes.to_vec())),
            Holds::Object => match write.object() {
                Some(Object::ZSet(set)) => Ok(Self::Large(Box::new(Frozen::of(set, lookups)))),
                Some(Object::Set(set)) => {
                    let asked = lookups.then(|| set.clone());
                    Ok(Self::Plain(set.snapshot(), asked, set.len()))
                }
                _ => Err(Error::WrongType),
            },
        }
    }

    /// Takes the sorted set under a key, which may not be a plain one; see [`Source::take`].
    pub fn of_zset(db: &mut Access<'_>, key: Key<'_>, lookups: bool) -> Result<Self, Error> {
        match Self::take(db, key, lookups)? {
            Self::Numbers(_) | Self::Texts(_) | Self::Plain(..) => Err(Error::WrongType),
            source => Ok(source),
        }
    }

    /// The sorted set that it is; plain ones show as empty.
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Small(bytes) => View::Small(Small::new(bytes)),
            Self::Large(set) => View::Frozen(set),
            _ => View::EMPTY,
        }
    }

    /// Takes what is under several keys, which must be held or validated by the caller; see
    /// [`Source::take`].
    pub fn take_all(
        db: &mut Access<'_>,
        keys: &[Key<'_>],
        lookups: bool,
    ) -> Result<Vec<Self>, Error> {
        keys.iter().map(|key| Self::take(db, *key, lookups)).collect()
    }

    /// Whether the key still holds this.
    pub fn is_still(&self, db: &mut Access<'_>, key: Key<'_>) -> bool {
        let Some(entry) = db.peek(key) else { return matches!(self, Self::Absent) };
        let kind = entry.type_of();
        let mut write = db.write(key);
        match (write.holds(kind), self) {
            (Ok(Holds::Compact(Compact { kind: Type::ZSet, bytes, .. })), Self::Small(own)) => {
                bytes == own
            }
            (Ok(Holds::Compact(Compact { kind: Type::Set, form, bytes })), Self::Numbers(own)) => {
                form == INTSET && bytes == own
            }
            (Ok(Holds::Compact(Compact { kind: Type::Set, form, bytes })), Self::Texts(own)) => {
                form != INTSET && bytes == own
            }
            (Ok(Holds::Object), own) => match (write.object(), own) {
                (Some(Object::ZSet(set)), Self::Large(own)) => own.is_still(set),
                (Some(Object::Set(set)), Self::Plain(own, ..)) => own.is(&set.snapshot()),
                _ => false,
            },
            _ => false,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Small(bytes) => Small::new(bytes).len(),
            Self::Large(set) => set.len(),
            Self::Numbers(bytes) => Intset::new(bytes).len(),
            Self::Texts(bytes) => Packed::new(bytes).len(),
            Self::Plain(_, _, len) => *len,
        }
    }

    /// A member's score.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        let one = |found: bool| found.then_some(1.0);
        match self {
            Self::Absent => None,
            Self::Small(bytes) => Small::new(bytes).score(member),
            Self::Large(set) => set.score(member),
            Self::Numbers(bytes) => match Element::of(member) {
                Element::Int(value) => one(Intset::new(bytes).contains(value)),
                _ => None,
            },
            Self::Texts(bytes) => one(Packed::new(bytes).find(&Element::of(member), 1).is_some()),
            Self::Plain(_, set, _) => one(set.as_ref().is_some_and(|set| set.contains(member))),
        }
    }

    /// Shows the next members, of a sorted set those from rank `from` to before `end`, until `f`
    /// returns false. Moves `from` on; large sets are shown a few members at a time.
    pub fn walk(
        &mut self,
        from: &mut usize,
        end: usize,
        mut f: impl FnMut(&[u8], f64) -> bool,
    ) -> Walked {
        let mut text = Vec::new();
        let (left, mut more) = (end.saturating_sub(*from), false);
        let wanted = match self {
            Self::Absent => true,
            Self::Small(bytes) => {
                let mut entries = View::Small(Small::new(bytes)).range(*from, left);
                entries.all(|(member, score)| f(member.text(&mut text), score))
            }
            Self::Large(set) => {
                let first = *from;
                *from += STEP.min(left);
                more = *from < end;
                set.range(first, STEP.min(left)).all(|(member, score)| f(member, score))
            }
            Self::Numbers(bytes) => {
                let mut numbers = Intset::new(bytes).iter();
                numbers.all(|value| f(Element::Int(value).text(&mut text), 1.0))
            }
            Self::Texts(bytes) => {
                Packed::new(bytes).iter().all(|element| f(element.text(&mut text), 1.0))
            }
            Self::Plain(view, ..) => {
                let mut wanted = true;
                more = view.next(STEP, |member| wanted = wanted && f(member, 1.0));
                wanted
            }
        };
        match (wanted, more) {
            (false, _) => Walked::Enough,
            (true, true) => Walked::Partly,
            (true, false) => Walked::Whole,
        }
    }
}

//! A hash where it is kept: reading it in either form, and changing it under its stripe.
//!
//! Handlers say what happens to fields; here is what that means for a compact hash, which is replaced
//! by its next value, for a large one, which is changed where it stands, and for one that outgrows
//! the compact form. An emptied hash is no key any more.

use super::super::Cx;
use crate::db::{Compact, Expiry, Holds, Key, New, Seen, Write, WrongType};
use crate::types::hash::{Draft, End, Field, Large, Small};
use crate::types::object::{Object, Type};

/// A hash being read.
#[derive(Debug, Clone, Copy)]
pub enum View<'v> {
    Small(Small<'v>),
    /// Its stripe is held: whatever takes long is done with a view of it.
    Large(&'v Large),
}

impl<'v> View<'v> {
    /// What a reader was shown; nothing of another type.
    #[inline]
    pub fn of(seen: Seen<'v>) -> Option<Self> {
        match seen {
            Seen::Compact(compact) => Some(Self::Small(Small::new(compact.form, compact.bytes))),
            Seen::Object(Object::Hash(large)) => Some(Self::Large(large)),
            Seen::Object(_) => None,
        }
    }

    /// A field by its name.
    #[inline]
    pub fn get(&self, name: &[u8], now: i64) -> Option<Field<'v>> {
        match self {
            Self::Small(small) => small.get(name, now),
            Self::Large(large) => large.get(name, now),
        }
    }

    /// Number of fields.
    pub fn len(&self, now: i64) -> usize {
        match self {
            Self::Small(small) => small.len(now),
            Self::Large(large) => large.len(now),
        }
    }

    /// Shows all fields.
    pub fn each(&self, now: i64, each: impl FnMut(Field<'_>)) {
        match self {
            Self::Small(small) => small.iter(now).for_each(each),
            Self::Large(large) => large.each(now, each),
        }
    }
}

/// What a hash is compact up to.
#[derive(Debug, Clone, Copy)]
struct Limits {
    fields: usize,
    length: usize,
}

enum State {
    /// The next value of a compact hash, or the first one of an absent key.
    Draft(Draft),
    /// It was compact when the command began.
    Grown(Box<Large>),
    /// It stands in the keyspace.
    There,
}

/// A hash being changed. Nothing of it is kept before [`Change::finish`], but for a large one's.
pub struct Change<'w, 'a> {
    write: Write<'w, 'a>,
    state: State,
    limits: Limits,
    now: i64,
    changed: bool,
}

/// What became of a hash.
#[derive(Debug)]
pub struct Outcome {
    /// The last field went, and the key with it.
    pub emptied: bool,
    /// Memory for the next draft.
    buffer: Vec<u8>,
}

impl Outcome {
    /// Gives the buffer back and says whether the key is gone.
    pub fn settle(self, buffer: &mut Vec<u8>) -> bool {
        *buffer = self.buffer;
        self.emptied
    }
}

/// Fields that are over and removed before a command changes their hash, at most: the others are
/// left to the background, and absent for the command all the same.
const EXPIRE: usize = 1000;

/// Takes a hash to be changed; an absent key is an empty one.
#[inline]
pub fn change<'c, 'a>(cx: &'c mut Cx<'a>, key: Key<'c>) -> Result<Change<'c, 'a>, WrongType> {
    let config = &cx.local.config;
    let limits =
        Limits { fields: config.hash_max_listpack_entries, length: config.hash_max_listpack_value };
    let buffer = std::mem::take(&mut cx.local.scratch);
    let mut write = cx.db.write(key);
    write.expire_fields(EXPIRE);
    let now = write.now();
    let state = match write.holds(Type::Hash)? {
        Holds::Nothing => State::Draft(Draft::new(buffer, 0, &[])),
        Holds::Compact(compact) => State::Draft(Draft::new(buffer, compact.form, compact.bytes)),
        Holds::Object => State::There,
    };
    Ok(Change { write, state, limits, now, changed: false })
}

impl Change<'_, '_> {
    /// As readers see it.
    #[inline]
    pub fn view(&self) -> View<'_> {
        match &self.state {
            State::Draft(draft) => View::Small(draft.view()),
            State::Grown(large) => View::Large(large),
            State::There => match self.write.peek_object() {
                Some(Object::Hash(large)) => View::Large(large),
                _ => View::Small(Small::new(0, &[])), // `change` saw a hash there
            },
        }
    }

    /// A field by its name.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<Field<'_>> {
        self.view().get(name, self.now)
    }

    /// Gives a field a value. True if the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], end: End) -> bool {
        let now = self.now;
        if let State::Draft(draft) = &mut self.state {
            if name.len().max(value.len()) <= self.limits.length {
                self.changed = true;
                return draft.set(name, value, end, now);
            }
            self.state = State::Grown(Box::new(draft.to_large()));
        }
        self.large().is_some_and(|large| large.set(name, value, end, now))
    }

    /// Gives a field that is there another end.
    pub fn set_end(&mut self, name: &[u8], end: Option<i64>) {
        let now = self.now;
        match &mut self.state {
            State::Draft(draft) => {
                self.changed = true;
                draft.set_end(name, end, now);
            }
            _ => _ = self.large().map(|large| large.set_end(name, end, now)),
        }
    }

    /// Removes a field. False if there is no such field.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let now = self.now;
        if self.get(name).is_none() {
            return false;
        }
        match &mut self.state {
            State::Draft(draft) => {
                self.changed = true;
                draft.remove(name, now)
            }
            _ => self.large().is_some_and(|large| large.remove(name, now)),
        }
    }

    /// The large form, about to be changed.
    fn large(&mut self) -> Option<&mut Large> {
        let there = matches!(self.state, State::There);
        if there && !self.changed {
            self.write.changing();
        }
        self.changed = true;
        match &mut self.state {
            State::Draft(_) => None,
            State::Grown(large) => Some(large),
            State::There => match self.write.object() {
                Some(Object::Hash(large)) => Some(large),
                _ => None,
            },
        }
    }

    /// Keeps what was changed.
    pub fn finish(self) -> Outcome {
        let mut outcome = Outcome { emptied: false, buffer: Vec::new() };
        if self.changed {
            outcome.emptied = match &self.view() {
                View::Small(small) => small.is_empty(),
                View::Large(large) => large.is_empty(),
            };
        }
        let Self { mut write, state, limits, changed, .. } = self;
        if outcome.emptied {
            write.remove();
        }
        let keep = changed && !outcome.emptied;
        match state {
            State::Draft(draft) => {
                if keep && draft.has_at_most(limits.fields) {
                    let (kind, form, bytes) = (Type::Hash, draft.form(), draft.bytes());
                    write.set(New::Compact(Compact { kind, form, bytes }), Expiry::Keep);
                } else if keep {
                    let object = Object::Hash(Box::new(draft.to_large()));
                    write.set(New::Object(Box::new(object)), Expiry::Keep);
                }
                outcome.buffer = draft.into_buffer();
            }
            State::Grown(large) if keep => {
                write.set(New::Object(Box::new(Object::Hash(large))), Expiry::Keep);
            }
            State::There if keep => write.note_field_ends(),
            _ => {}
        }
        outcome
    }
}

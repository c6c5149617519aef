//! A hash where it is kept: reading it in either form, and changing it under its stripe.
//!
//! Handlers say what happens to fields; here is what that means for a compact hash, which is replaced
//! by its next value, for a longer or large one, which is changed where it stands, and for one that
//! outgrows its form. An emptied hash is no key any more.

use super::super::{Cx, Local};
use crate::db::{Access, Compact, Door, Expiry, Holds, Key, New, Seen, Write, WrongType};
use crate::types::hash::{Draft, End, Field, Large, Slot, Small};
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
            Seen::Object(Object::Draft(draft)) => Some(Self::Small(draft.view())),
            Seen::Object(_) => None,
        }
    }

    /// Asks ahead for fields, if the hash is large.
    pub fn ask_ahead<'k>(&self, names: impl Iterator<Item = &'k [u8]>) {
        if let Self::Large(large) = self {
            large.ask_ahead(names);
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

    /// Bytes held.
    pub fn weight(&self) -> usize {
        match self {
            Self::Small(small) => small.bytes().len(),
            Self::Large(large) => large.weight(),
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
    /// It is large and stands in the keyspace.
    There,
    /// It is compact and edited where it stands.
    Packed,
}

/// Bytes from which on a compact hash is edited in place: under the stripe, which its readers then
/// take too, but without writing it anew for each change.
const IN_PLACE: usize = 2 * 1024;

/// A hash being changed. Nothing of it is kept before [`Change::finish`], but for a large one's.
pub struct Change<'w, 'a> {
    write: Write<'w, 'a>,
    state: State,
    limits: Limits,
    now: i64,
    changed: bool,
    /// Fields were added, so there may be too many for the form.
    added: bool,
}

/// A hash in the form in which it is changed.
enum Form<'f> {
    Small(&'f mut Draft),
    Large(&'f mut Large),
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
pub fn change<'c, 'a>(cx: &'c mut Cx<'a>, key: Key<'c>) -> Result<Change<'c, 'a>, WrongType> {
    change_held(cx.db.write(key), cx.local)
}

/// Sets a field of a large hash none of whose fields ends: the shortest way. Tells whether the field
/// is new, or nothing, with nothing done, if this is no such hash.
#[inline]
pub fn set_large(write: &mut Write<'_, '_>, name: &[u8], value: &[u8]) -> Option<bool> {
    match write.peek_object() {
        Some(Object::Hash(large)) if large.earliest().is_none() => {}
        _ => return None,
    }
    write.changing();
    match write.object() {
        Some(Object::Hash(large)) => Some(large.set(name, value, End::Never, 0)),
        _ => None, // not reached
    }
}

/// As [`change`], for whoever holds the stripe.
pub fn change_held<'c, 'a>(
    mut write: Write<'c, 'a>,
    local: &mut Local,
) -> Result<Change<'c, 'a>, WrongType> {
    let config = &local.config;
    let limits =
        Limits { fields: config.hash_max_listpack_entries, length: config.hash_max_listpack_value };
    let buffer = std::mem::take(&mut local.scratch);
    write.expire_fields(EXPIRE);
    let now = write.now();
    let state = match write.holds(Type::Hash)? {
        Holds::Nothing => State::Draft(Draft::new(buffer, 0, &[])),
        Holds::Compact(compact) => State::Draft(Draft::new(buffer, compact.form, compact.bytes)),
        Holds::Object => match write.peek_object() {
            Some(Object::Draft(_)) => State::Packed,
            _ => State::There,
        },
    };
    Ok(Change { write, state, limits, now, changed: false, added: false })
}

/// One field of a hash being changed, by a command that concerns no other.
pub enum One<'o, 'w, 'a> {
    /// Other threads may be changing other fields.
    Shared {
        slot: Slot<'o>,
        /// What was asked for concerns more than this field.
        refused: bool,
    },
    /// The hash is taken for it.
    Alone(&'o mut Change<'w, 'a>, &'o [u8]),
}

impl One<'_, '_, '_> {
    /// The field, if it is there.
    #[inline]
    pub fn get(&self) -> Option<Field<'_>> {
        match self {
            Self::Shared { slot, .. } => slot.get(),
            Self::Alone(hash, name) => hash.get(name),
        }
    }

    /// Gives it a value. True if the field is new.
    #[inline]
    pub fn set(&mut self, value: &[u8], end: End) -> bool {
        match self {
            // No field of a shared hash has an end.
            Self::Shared { slot, refused } => {
                let done = if matches!(end, End::At(_)) { None } else { slot.set(value) };
                *refused |= done.is_none();
                done.unwrap_or(false)
            }
            Self::Alone(hash, name) => hash.set(name, value, end),
        }
    }

    /// Removes it. False if there is no such field.
    #[inline]
    pub fn remove(&mut self) -> bool {
        match self {
            Self::Shared { slot, refused } => {
                let done = slot.remove();
                *refused |= done.is_none();
                done.unwrap_or(false)
            }
            Self::Alone(hash, name) => hash.remove(name),
        }
    }
}

/// Changes one field by `f`, which changes it once at most, and may run twice: what it was refused
/// the first time did not happen. Returns also whether the last field went, and the key with it.
#[inline]
pub fn change_one<T>(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    name: &[u8],
    f: impl Fn(&mut One<'_, '_, '_>) -> T,
) -> Result<(T, bool), WrongType> {
    if let Some(value) = share_one(cx, key, name, &f) {
        return Ok((value, false));
    }
    let mut hash = change(cx, key)?;
    let value = f(&mut One::Alone(&mut hash, name));
    let emptied = hash.finish().settle(&mut cx.local.scratch);
    Ok((value, emptied))
}

/// The first half of [`change_one`]: beside others that work on the hash, or none if that cannot be.
#[inline]
pub fn share_one<T>(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    name: &[u8],
    f: impl Fn(&mut One<'_, '_, '_>) -> T,
) -> Option<T> {
    cx.db.share(key, Type::Hash, |shared| {
        let mut one = One::Shared { slot: shared.field(name)?, refused: false };
        let value = f(&mut one);
        let done = !matches!(one, One::Shared { refused: true, .. });
        done.then_some(value)
    })
}

/// Reads one field by `f`. None if there is no such key.
#[inline]
pub fn read_one<T>(
    db: &mut Access<'_>,
    key: Key<'_>,
    name: &[u8],
    mut f: impl FnMut(Option<Field<'_>>) -> T,
) -> Result<Option<T>, WrongType> {
    let now = db.now;
    db.element(key, Type::Hash, |door| match door {
        Door::Shared(shared) => shared.field(name).map(|slot| f(slot.get())),
        Door::Alone(seen) => Some(f(View::of(seen).and_then(|hash| hash.get(name, now)))),
    })
}

impl Change<'_, '_> {
    /// As readers see it.
    #[inline]
    pub fn view(&self) -> View<'_> {
        match &self.state {
            State::Draft(draft) => View::Small(draft.view()),
            State::Grown(large) => View::Large(large),
            State::There | State::Packed => {
                let there = self.write.peek_object();
                let view = there.and_then(|object| View::of(Seen::Object(object)));
                view.unwrap_or(View::Small(Small::new(0, &[]))) // `change` saw a hash there
            }
        }
    }

    /// A field by its name.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<Field<'_>> {
        self.view().get(name, self.now)
    }

    /// Gives a field a value. True if the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], end: End) -> bool {
        let (now, fits) = (self.now, name.len().max(value.len()) <= self.limits.length);
        let is_new = match self.form() {
            Some(Form::Small(draft)) if fits => draft.set(name, value, end, now),
            Some(Form::Large(large)) => large.set(name, value, end, now),
            Some(Form::Small(draft)) => {
                let mut large = Box::new(draft.to_large());
                let is_new = large.set(name, value, end, now);
                self.state = State::Grown(large);
                is_new
            }
            None => false,
        };
        self.added |= is_new;
        is_new
    }

    /// Gives a field that is there another end.
    pub fn set_end(&mut self, name: &[u8], end: Option<i64>) {
        let now = self.now;
        match self.form() {
            Some(Form::Small(draft)) => _ = draft.set_end(name, end, now),
            Some(Form::Large(large)) => _ = large.set_end(name, end, now),
            None => {}
        }
    }

    /// Removes a field. False if there is no such field.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let now = self.now;
        if self.get(name).is_none() {
            return false; // nothing changes, and nobody must hear of a change
        }
        match self.form() {
            Some(Form::Small(draft)) => draft.remove(name, now),
            Some(Form::Large(large)) => large.remove(name, now),
            None => false,
        }
    }

    /// The form at hand, about to be changed.
    #[inline]
    fn form(&mut self) -> Option<Form<'_>> {
        let there = matches!(self.state, State::There | State::Packed);
        if there && !self.changed {
            self.write.changing();
        }
        self.changed = true;
        match &mut self.state {
            State::Draft(draft) => Some(Form::Small(draft)),
            State::Grown(large) => Some(Form::Large(large)),
            State::There | State::Packed => match self.write.object() {
                Some(Object::Hash(large)) => Some(Form::Large(large)),
                Some(Object::Draft(draft)) => Some(Form::Small(draft)),
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
        let Self { mut write, state, limits, changed, added, .. } = self;
        if outcome.emptied {
            write.remove();
        }
        let keep = changed && !outcome.emptied;
        match state {
            State::Draft(draft) => {
                if keep {
                    store(&mut write, &draft, limits);
                }
                outcome.buffer = draft.into_buffer();
            }
            State::Grown(large) if keep => put(&mut write, Object::Hash(large)),
            State::There if keep => write.note_field_ends(),
            State::Packed if keep => {
                write.note_field_ends();
                if added
                    && let Some(Object::Draft(draft)) = write.peek_object()
                    && !draft.has_at_most(limits.fields)
                {
                    let large = Box::new(draft.to_large());
                    put(&mut write, Object::Hash(large));
                }
            }
            _ => {}
        }
        outcome
    }
}

/// Stores the next value of a compact hash, in the form that it is small enough for.
fn store(write: &mut Write<'_, '_>, draft: &Draft, limits: Limits) {
    if !draft.has_at_most(limits.fields) {
        put(write, Object::Hash(Box::new(draft.to_large())));
    } else if draft.bytes().len() > IN_PLACE {
        put(write, Object::Draft(draft.clone()));
    } else {
        let (kind, form, bytes) = (Type::Hash, draft.form(), draft.bytes());
        write.set(New::Compact(Compact { kind, form, bytes }), Expiry::Keep);
    }
}

fn put(write: &mut Write<'_, '_>, object: Object) {
    write.set(New::Object(Box::new(object)), Expiry::Keep);
}

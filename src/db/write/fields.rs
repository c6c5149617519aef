//! Fields of hashes that end by themselves.
//!
//! A key whose value has such fields is marked in the index as if the key expired when the first of
//! them does; who follows the mark ([`crate::db::Sweeper`]) or changes the hash removes what is over.

use super::super::access::Access;
use super::super::entry::{Compact, Entry, Kind, Owned};
use super::super::expire;
use super::super::keyspace::Cause;
use super::super::outbox::{Wants, What};
use super::{Expiry, New, Write};
use crate::sync::Ordering;
use crate::types::hash::{Draft, EXPIRING, Small};
use crate::types::object::{Object, Type};

/// What a reader without a lock can tell of the fields of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldEnds {
    /// None ends.
    Never,
    /// The first ends then.
    At(i64),
    /// Only [`Write::first_field_end`] can tell.
    Unknown,
}

impl FieldEnds {
    /// Of the value of an entry.
    #[inline]
    pub fn of(entry: &Entry) -> Self {
        if entry.type_of() != Type::Hash {
            return Self::Never;
        }
        match entry.kind() {
            Kind::Compact(compact) if compact.form == EXPIRING => {
                Small::new(EXPIRING, compact.bytes).earliest().map_or(Self::Never, Self::At)
            }
            Kind::Object => Self::Unknown,
            _ => Self::Never,
        }
    }
}

impl Write<'_, '_> {
    /// Removes fields that are over from a hash, `most` of a large one's, and tells so as a change of
    /// its own before the command's. Returns how many. To be called before anything is changed.
    #[inline]
    pub fn expire_fields(&mut self, most: usize) -> usize {
        match self.entry() {
            Some(entry) if entry.type_of() == Type::Hash => self.bury_fields(most),
            _ => 0,
        }
    }

    fn bury_fields(&mut self, most: usize) -> usize {
        let now = self.access.now;
        let first = match self.entry().map(FieldEnds::of) {
            Some(FieldEnds::At(at)) => Some(at),
            Some(FieldEnds::Unknown) => self.first_field_end(),
            _ => None,
        };
        if self.access.frozen || first.is_none_or(|at| at > now) {
            return 0;
        }
        debug_assert!(!self.dirty, "what is over goes first");
        if self.access.logs() {
            let fields = match self.entry().map(Entry::kind) {
                Some(Kind::Compact(compact)) => Small::new(compact.form, compact.bytes).over(now),
                _ => match self.peek_object() {
                    Some(Object::Hash(hash)) => hash.over(now, most),
                    Some(Object::Draft(draft)) => draft.view().over(now),
                    _ => Vec::new(),
                },
            };
            self.access.log_fields_gone(self.db, self.key.bytes, &fields);
        }
        let (gone, emptied) = match self.entry().map(Entry::kind) {
            Some(Kind::Compact(Compact { kind, form, bytes })) => {
                let mut draft = Draft::new(Vec::new(), form, bytes);
                let gone = draft.expire(now);
                if !draft.view().is_empty() {
                    let bytes = draft.bytes();
                    self.set(New::Compact(Compact { kind, form, bytes }), Expiry::Keep);
                }
                (gone, draft.view().is_empty())
            }
            _ => {
                self.access.about_to_change();
                match self.object() {
                    Some(Object::Hash(hash)) => (hash.expire(now, most), hash.is_empty()),
                    Some(Object::Draft(draft)) => (draft.expire(now), draft.view().is_empty()),
                    _ => return 0,
                }
            }
        };
        if emptied {
            self.access.about_to_change();
            self.take_away();
        }
        self.dirty = false;
        self.tell(Cause::Command);
        self.access.fields_over(self.db, self.key.bytes, emptied);
        gone
    }

    /// When the first field of a hash that is an object ends.
    pub fn first_field_end(&self) -> Option<i64> {
        self.peek_object().and_then(earliest)
    }

    /// Marks the key in the index: to be called after ends of fields of such a hash changed.
    #[inline]
    pub fn note_field_ends(&mut self) {
        if let Some(at) = self.first_field_end() {
            self.note_fields(at);
        }
    }

    pub(super) fn note_fields(&mut self, at: i64) {
        self.table.note_due(self.key.hash, expire::tick(at));
        let ends = &self.access.keyspace.field_ends;
        if !ends.load(Ordering::Relaxed) {
            ends.store(true, Ordering::Release);
        }
    }
}

/// When the first field of a value that is about to be stored ends.
pub(super) fn first_end(fresh: &Owned) -> Option<i64> {
    match FieldEnds::of(fresh.entry()) {
        FieldEnds::Never => None,
        FieldEnds::At(at) => Some(at),
        FieldEnds::Unknown => super::fresh_object(fresh).and_then(earliest),
    }
}

fn earliest(object: &Object) -> Option<i64> {
    match object {
        Object::Hash(hash) => hash.earliest(),
        Object::Draft(draft) => draft.view().earliest(),
        _ => None,
    }
}

impl Access<'_> {
    /// Tells that fields of a hash are over, under its stripe.
    fn fields_over(&mut self, db: usize, key: &[u8], emptied: bool) {
        if !self.keyspace.wants(Wants::FIELDS) {
            return;
        }
        self.note(db, key, What::FieldsOver);
        if emptied {
            self.note(db, key, What::Emptied);
        }
        if !self.is_in_step() {
            self.deliver(); // whom it concerns is woken when the stripe is free
        }
    }
}

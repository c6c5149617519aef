//! Reading a value that is not a string.
//!
//! A compact value is read like a short string, without a lock: its bytes never change (N1 of
//! [`super::entry`]), so a reply made of them is of one instant. An object is read under its key's
//! stripe. Whoever reads several keys at one instant wraps this in [`Access::read_many`] as for
//! strings; under held stripes both forms are simply there.

use super::access::{Access, Key, WrongType};
use super::entry::{Compact, Entry, Kind};
use crate::types::object::{Object, Shared, Type};

/// A collection as a reader gets it.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'v> {
    /// A small one.
    Compact(Compact<'v>),
    /// A large one, whose stripe is held meanwhile: work on it must be short.
    Object(&'v Object),
}

/// How a reader of one element gets at it.
pub enum Door<'v> {
    /// Others may be working on other elements.
    Shared(&'v Shared<'v>),
    /// As readers of the whole do.
    Alone(Seen<'v>),
}

impl<'a> Access<'a> {
    /// As [`Access::collection`], for one element, at which other threads' commands on other elements
    /// need not wait. `f` returns none for what it is refused, and then runs again.
    #[inline]
    pub fn element<T>(
        &mut self,
        key: Key<'_>,
        kind: Type,
        mut f: impl FnMut(Door<'_>) -> Option<T>,
    ) -> Result<Option<T>, WrongType> {
        let seen = self.keyspace.stripes.of(key.hash).load();
        let Some(entry) = self.find(key) else { return Ok(None) };
        if entry.type_of() == kind && matches!(entry.kind(), Kind::Object) {
            let shared = self.share(key, kind, |shared| f(Door::Shared(shared)));
            if shared.is_some() {
                return Ok(shared);
            }
        }
        if let Some(reading) = self.reading((key, seen), entry, kind) {
            return Ok(f(Door::Alone(Seen::Object(reading.object()))));
        }
        let seen = self.collection_of((self.db, key), entry, kind, |seen| f(Door::Alone(seen)));
        Ok(seen?.flatten())
    }

    /// Reads a collection for a reading command: counts hit or miss, records the access. None if the
    /// key does not exist. `f` runs once at most.
    #[inline]
    pub fn collection<T>(
        &mut self,
        key: Key<'_>,
        kind: Type,
        f: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>, WrongType> {
        let seen = self.keyspace.stripes.of(key.hash).load();
        let Some(entry) = self.find(key) else { return Ok(None) };
        match self.reading((key, seen), entry, kind) {
            Some(reading) => Ok(Some(f(Seen::Object(reading.object())))),
            None => self.collection_of((self.db, key), entry, kind, f),
        }
    }

    /// Reads the collection that `entry`, found under `key`, holds.
    #[inline]
    pub fn collection_of<T>(
        &mut self,
        (db, key): (usize, Key<'_>),
        entry: &'a Entry,
        kind: Type,
        f: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>, WrongType> {
        match entry.kind() {
            Kind::Compact(compact) if compact.kind == kind => Ok(Some(f(Seen::Compact(compact)))),
            Kind::Object if entry.type_of() == kind => {
                // Look again under the stripe: it may be another one by now.
                let write = self.write_in(db, key);
                write.offer();
                match write.holds(kind)? {
                    super::Holds::Nothing => Ok(None),
                    super::Holds::Compact(compact) => Ok(Some(f(Seen::Compact(compact)))),
                    super::Holds::Object => {
                        Ok(write.peek_object().map(|object| f(Seen::Object(object))))
                    }
                }
            }
            _ => Err(WrongType),
        }
    }

    /// Reads several collections, each of one of `kinds`, as they are at one instant; None for keys
    /// that do not exist. If all are small `f` runs without a lock, and runs again if one of them
    /// changed meanwhile; else it runs while all stripes are held.
    pub fn collections<T>(
        &mut self,
        keys: &[Key<'_>],
        kinds: &[Type],
        mut f: impl FnMut(&[Option<Seen<'_>>]) -> T,
    ) -> Result<T, WrongType> {
        let small = self.read_many(keys, |access| {
            let mut seen = Vec::with_capacity(keys.len());
            for key in keys {
                seen.push(match access.find(*key).map(|entry| (entry, entry.kind())) {
                    None => None,
                    Some((_, Kind::Compact(compact))) if kinds.contains(&compact.kind) => {
                        Some(Seen::Compact(compact))
                    }
                    Some((entry, Kind::Object)) if kinds.contains(&entry.type_of()) => {
                        return Ok(None);
                    }
                    Some(_) => return Err(WrongType),
                });
            }
            Ok(Some(f(&seen)))
        })?;
        match small {
            Some(value) => Ok(value),
            None => self.hold(keys, |access| access.held_collections(keys, kinds, f)),
        }
    }

    /// See [`Access::collections`]; all stripes of `keys` are held.
    fn held_collections<T>(
        &mut self,
        keys: &[Key<'_>],
        kinds: &[Type],
        mut f: impl FnMut(&[Option<Seen<'_>>]) -> T,
    ) -> Result<T, WrongType> {
        // Removes expired keys, which needs `self` whole, before references to objects are taken.
        let entries: Vec<_> = keys.iter().map(|key| self.peek(*key)).collect();
        let mut seen = Vec::with_capacity(keys.len());
        for (key, entry) in keys.iter().zip(entries) {
            let Some(entry) = entry else {
                seen.push(None);
                continue;
            };
            seen.push(match entry.kind() {
                Kind::Compact(compact) if kinds.contains(&compact.kind) => {
                    Some(Seen::Compact(compact))
                }
                Kind::Object if kinds.contains(&entry.type_of()) => {
                    self.held_object(*key).map(Seen::Object)
                }
                _ => return Err(WrongType),
            });
        }
        Ok(f(&seen))
    }
}

//! The large form of a set: a table whose elements are the members and nothing else.

use crate::types::table::{Table, View, Whole};

/// The set.
#[derive(Debug, Clone, Default)]
pub struct Large(Table<Whole>);

impl Large {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of members.
    #[inline]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a text is a member.
    #[inline]
    pub fn contains(&self, text: &[u8]) -> bool {
        self.0.find(self.0.hash(text), text).is_some()
    }

    /// Adds a member. False if it was there.
    #[inline]
    pub fn insert(&mut self, text: &[u8]) -> bool {
        let hash = self.0.hash(text);
        let absent = self.0.find(hash, text).is_none();
        if absent {
            self.0.add(hash, &[text]);
        }
        absent
    }

    /// Removes a member. False if it was not there.
    #[inline]
    pub fn remove(&mut self, text: &[u8]) -> bool {
        let hash = self.0.hash(text);
        let at = self.0.find(hash, text);
        at.map(|at| self.0.remove(hash, at)).is_some()
    }

    /// Takes out a member that `roll` chooses and shows it to `f`. False if there is none.
    #[inline]
    pub fn pop(&mut self, roll: impl FnMut() -> u64, f: impl FnOnce(&[u8])) -> bool {
        let Some(at) = self.0.random(roll) else { return false };
        f(self.0.at(at));
        self.0.remove_at(at);
        true
    }

    /// A member that `roll` chooses, each as likely as any other.
    pub fn random(&self, roll: impl FnMut() -> u64) -> Option<&[u8]> {
        self.0.random(roll).map(|at| self.0.at(at))
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter()
    }

    /// All members as they are at this instant, whatever becomes of the set.
    pub fn snapshot(&self) -> View {
        self.0.view()
    }

    /// Shows a few members and returns the next cursor, 0 at the end: what is there from the first
    /// call to the last is shown at least once.
    pub fn scan(&self, cursor: u64, mut each: impl FnMut(&[u8])) -> u64 {
        self.0.scan(cursor, |_, text| each(text))
    }

    /// Bytes held, itself included. Takes constant time.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.0.weight()
    }

    /// Number of blocks that freeing it gives back.
    pub fn pieces(&self) -> usize {
        self.0.pieces()
    }
}

//! The large form of a set: a table whose elements are the members and nothing else.

use crate::types::table::{Shares, Table, Turn, View, Whole};
use std::sync::{Arc, OnceLock};

/// The set.
#[derive(Debug, Default)]
pub struct Large {
    table: Table<Whole>,
    /// See [`Large::token`].
    token: OnceLock<Arc<()>>,
}

impl Clone for Large {
    /// A copy that changes on its own.
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), token: OnceLock::new() }
    }
}

impl Large {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether a text is a member.
    #[inline]
    pub fn contains(&self, text: &[u8]) -> bool {
        self.table.find(self.table.hash(text), text).is_some()
    }

    /// Asks ahead for what commands on these members will touch.
    pub fn ask_ahead<'k>(&self, members: impl Iterator<Item = &'k [u8]>) {
        self.table.ask_ahead(members);
    }

    /// The same while threads share it.
    pub fn ask_ahead_shared<'k>(
        &self,
        members: impl Iterator<Item = (&'k [u8], bool)>,
        shares: &Shares,
    ) {
        self.table.ask_ahead_shared(members, shares);
    }

    /// Stands for the set as it is now: whoever keeps it will get the same one as long as, and only if,
    /// nothing was added or removed.
    pub fn token(&self) -> Arc<()> {
        Arc::clone(self.token.get_or_init(Arc::default))
    }

    /// The table, to be changed.
    #[inline]
    fn changing(&mut self) -> &mut Table<Whole> {
        if self.token.get().is_some() {
            self.token.take();
        }
        &mut self.table
    }

    /// Adds a member. False if it was there.
    #[inline]
    pub fn insert(&mut self, text: &[u8]) -> bool {
        let hash = self.table.hash(text);
        let absent = self.table.find(hash, text).is_none();
        if absent {
            let table = self.changing();
            table.make_room(hash, |_, _, _| ());
            table.add(hash, &[text]);
        }
        absent
    }

    /// Removes a member. False if it was not there.
    #[inline]
    pub fn remove(&mut self, text: &[u8]) -> bool {
        let hash = self.table.hash(text);
        let at = self.table.find(hash, text);
        at.map(|at| self.changing().remove(hash, at)).is_some()
    }

    /// Whether threads may share it: not while somebody keeps its token, which a change would have to
    /// take away.
    #[inline]
    pub fn is_shareable(&self) -> bool {
        self.table.is_divided() && self.token.get().is_none()
    }

    /// A text, member or not, of a set that threads share, for this one alone. None if they cannot
    /// share it.
    #[inline]
    pub fn slot<'s>(&'s self, text: &'s [u8], shares: &'s Shares) -> Option<Slot<'s>> {
        if !self.is_shareable() {
            return None;
        }
        let turn = self.table.turn(self.table.hash(text), shares)?;
        let place = turn.find(text);
        Some(Slot { turn, text, place })
    }

    /// Takes out a member that `roll` chooses and shows it to `f`. False if there is none.
    #[inline]
    pub fn pop(&mut self, roll: impl FnMut() -> u64, f: impl FnOnce(&[u8])) -> bool {
        let Some(at) = self.table.random(roll) else { return false };
        f(self.table.at(at));
        self.changing().remove_at(at);
        true
    }

    /// A member that `roll` chooses, each as likely as any other.
    pub fn random(&self, roll: impl FnMut() -> u64) -> Option<&[u8]> {
        self.table.random(roll).map(|at| self.table.at(at))
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.table.iter()
    }

    /// All members as they are at this instant, whatever becomes of the set.
    pub fn snapshot(&self) -> View {
        self.table.view()
    }

    /// Shows a few members and returns the next cursor, 0 at the end: what is there from the first
    /// call to the last is shown at least once.
    pub fn scan(&self, cursor: u64, mut each: impl FnMut(&[u8])) -> u64 {
        self.table.scan(cursor, |_, text| each(text))
    }

    /// Bytes held, itself included. Takes constant time.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.table.weight()
    }

    /// Number of blocks that freeing it gives back.
    pub fn pieces(&self) -> usize {
        self.table.pieces()
    }
}

/// A text, member or not, of a set that threads share.
pub struct Slot<'s> {
    turn: Turn<'s, Whole>,
    text: &'s [u8],
    place: Option<u32>,
}

impl Slot<'_> {
    /// Whether it is a member.
    #[inline]
    pub const fn is_member(&self) -> bool {
        self.place.is_some()
    }

    /// Makes it a member. False if it was; None if that is refused. It is not used after that.
    #[inline]
    pub fn insert(mut self) -> Option<bool> {
        match self.place {
            Some(_) => Some(false),
            None => self.turn.add(&[self.text]).map(|_| true),
        }
    }

    /// Removes it. False if it was no member; None if that is refused. It is not used after that.
    #[inline]
    pub fn remove(mut self) -> Option<bool> {
        match self.place {
            Some(place) => self.turn.remove(place).then_some(true),
            None => Some(false),
        }
    }
}

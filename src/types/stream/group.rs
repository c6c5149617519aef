//! A consumer group: how far it has read, and which entries are given out and not acknowledged.
//!
//! - **P1** An entry is pending once in a group, and with exactly one consumer: the `owner` of an id
//!   in `pending` is a consumer whose own set has the id, and there are no other ids in those sets.
//! - **P2** A consumer keeps its number as long as it lives; numbers are used again.

use super::id::Id;
use crate::mem;
use std::collections::{BTreeMap, BTreeSet};

/// A consumer's number in its group (P2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u32);

/// An entry given out and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub owner: Owner,
    /// When last, Unix milliseconds.
    pub delivered: i64,
    /// How often.
    pub count: u64,
}

/// Who reads for a group.
#[derive(Debug, Clone)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last asked for entries, Unix milliseconds.
    pub seen: i64,
    /// When it last got any; none if it never did.
    pub active: Option<i64>,
    pending: BTreeSet<Id>,
}

impl Consumer {
    /// Its name.
    pub const fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries it has to acknowledge.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The entries that it has to acknowledge, from `from` on.
    pub fn pending(&self, from: Id) -> impl Iterator<Item = Id> {
        self.pending.range(from..).copied()
    }
}

/// What consumers are called, by their numbers.
#[derive(Debug)]
pub struct Names(Vec<Box<[u8]>>);

impl Names {
    /// The name of a consumer.
    pub fn of(&self, owner: Owner) -> &[u8] {
        self.0.get(owner.0 as usize).map_or(b"", |name| name)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Group {
    /// The last entry given out.
    pub last: Id,
    /// How many entries of the stream lie up to there, those deleted included, if that is known.
    pub read: Option<u64>,
    pending: BTreeMap<Id, Pending>,
    names: BTreeMap<Box<[u8]>, Owner>,
    consumers: Vec<Option<Consumer>>,
    free: Vec<Owner>,
}

impl Group {
    pub(super) fn new(last: Id, read: Option<u64>) -> Self {
        let (pending, names) = (BTreeMap::new(), BTreeMap::new());
        Self { last, read, pending, names, consumers: Vec::new(), free: Vec::new() }
    }

    /// How many entries are to be acknowledged.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Pending entries from `from` to `to`, both included.
    pub fn pending(&self, from: Id, to: Id) -> impl DoubleEndedIterator<Item = (Id, &Pending)> {
        let bounds = if from <= to { Some(from..=to) } else { None };
        bounds.into_iter().flat_map(|bounds| self.pending.range(bounds)).map(|(id, of)| (*id, of))
    }

    /// What a consumer has pending from `from` on, at most `most`.
    pub fn pending_of(
        &self,
        owner: Owner,
        from: Id,
        most: usize,
    ) -> impl Iterator<Item = (Id, &Pending)> {
        let consumer = self.consumer(owner);
        // Of all of them, if they are not few, one walk finds more than a look-up for each.
        let len = consumer.map_or(0, Consumer::len);
        let walks = most >= len && len >= self.len() / 8;
        let all = walks.then(|| self.pending.range(from..)).into_iter().flatten();
        let own = all.filter(move |(_, pending)| pending.owner == owner).map(|(id, of)| (*id, of));
        let ids = consumer.filter(|_| !walks).map(|consumer| consumer.pending(from));
        let found = ids.into_iter().flatten().filter_map(|id| Some((id, self.find(id)?)));
        own.chain(found).take(most)
    }

    /// The pending entry `id`.
    pub fn find(&self, id: Id) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// A pending entry's times and counts, to be changed.
    pub fn find_mut(&mut self, id: Id) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    /// How many consumers there are.
    pub fn consumers_len(&self) -> usize {
        self.names.len()
    }

    /// All consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.names.values().filter_map(|owner| self.consumer(*owner))
    }

    /// The number of the consumer with this name.
    pub fn owner(&self, name: &[u8]) -> Option<Owner> {
        self.names.get(name).copied()
    }

    /// A consumer by its number.
    pub fn consumer(&self, owner: Owner) -> Option<&Consumer> {
        self.consumers.get(owner.0 as usize)?.as_ref()
    }

    /// A consumer by its number, to be changed.
    pub fn consumer_mut(&mut self, owner: Owner) -> Option<&mut Consumer> {
        self.consumers.get_mut(owner.0 as usize)?.as_mut()
    }

    /// A consumer's name, by its number.
    pub fn name(&self, owner: Owner) -> &[u8] {
        self.consumer(owner).map_or(b"", Consumer::name)
    }

    /// The names of all consumers, to be had when the group is not at hand any more.
    pub fn names(&self) -> Names {
        let name = |consumer: &Option<Consumer>| consumer.as_ref().map(|one| one.name.clone());
        Names(self.consumers.iter().map(|consumer| name(consumer).unwrap_or_default()).collect())
    }

    /// Adds a consumer that was seen at a time. False if there is one with this name.
    pub fn add_consumer(&mut self, name: &[u8], seen: i64) -> bool {
        if self.names.contains_key(name) {
            return false;
        }
        let owner = self.free.pop().unwrap_or(Owner(self.consumers.len() as u32));
        let consumer = Consumer { name: name.into(), seen, active: None, pending: BTreeSet::new() };
        match self.consumers.get_mut(owner.0 as usize) {
            Some(slot) => *slot = Some(consumer),
            None => self.consumers.push(Some(consumer)),
        }
        self.names.insert(name.into(), owner);
        true
    }

    /// Removes a consumer and forgets its pending entries; says how many they were.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let owner = self.names.remove(name)?;
        let consumer = self.consumers.get_mut(owner.0 as usize)?.take()?;
        self.free.push(owner);
        if consumer.pending.len() == self.pending.len() {
            self.pending.clear();
        } else {
            for id in &consumer.pending {
                self.pending.remove(id);
            }
        }
        Some(consumer.pending.len())
    }

    /// Makes an entry pending with a consumer, whoever had it before.
    #[inline]
    pub fn assign(&mut self, id: Id, pending: Pending) {
        let before = self.pending.insert(id, pending);
        if let Some(before) = before
            && before.owner != pending.owner
            && let Some(consumer) = self.consumer_mut(before.owner)
        {
            consumer.pending.remove(&id);
        }
        if before.is_none_or(|before| before.owner != pending.owner)
            && let Some(consumer) = self.consumer_mut(pending.owner)
        {
            consumer.pending.insert(id);
        }
    }

    /// Acknowledges an entry. False if it is not pending.
    #[inline]
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumer_mut(pending.owner) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// Bytes that it takes, about: nodes of the trees are taken to be two thirds full.
    pub(super) fn weight(&self) -> usize {
        const PENDING: usize = (size_of::<(Id, Pending)>() + size_of::<Id>()) * 3 / 2;
        let consumer = |consumer: &Consumer| 2 * mem::class(consumer.name.len());
        let names: usize = self.consumers().map(consumer).sum();
        let slots = self.consumers.capacity() * size_of::<Option<Consumer>>();
        let entry = size_of::<(Box<[u8]>, Owner)>() * 3 / 2;
        self.pending.len() * PENDING + names + slots + self.names.len() * entry
    }
}

//! Streams: entries in the order of their names, and consumer groups that remember who got which.
//!
//! ```text
//!   Stream ── tree ── 5-0: Block [5-0 5-1 7-0 ...]      shared with ranges being read
//!         │           9-2: Block [9-2 9-3 ...]
//!         ├─ bounds   len, first, last, deleted, added
//!         └─ groups   "mail": Group ── pending  5-0: owner 0, delivered, count
//!                                  ╲── consumers  0: "ann" ── pending {5-0}
//! ```
//! - Adding an entry writes to the last block only; a block holds a hundred entries by default, so
//!   the tree is small.
//! - A long reply takes a [`Range`]: references to the blocks, in which nothing changes any more.
//!
//! # Invariants
//! - **S1** `bounds.len` is the number of entries in the tree, `bounds.first` the first one's name (the
//!   lowest if there is none), and no entry lies beyond `bounds.last`.
//! - **S2** `last` and `added` never go back but by XSETID.

mod block;
mod claim;
mod group;
mod id;
#[cfg(test)]
mod tests;
mod tree;
mod trim;

pub use block::{Entry, Fields, LARGEST, Limit};
pub use claim::{Claim, Swept};
pub use group::{Consumer, Group, Names, Owner, Pending};
pub use id::{Id, Text, Wanted};
pub use tree::Range;
pub use trim::{Keep, Trim};

use crate::mem;
use std::collections::BTreeMap;
use std::sync::Arc;
use tree::{Seeker, Tree};

/// What is known of a stream's extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// How many entries there are.
    pub len: u64,
    /// The first one; the lowest name if there is none.
    pub first: Id,
    /// The last one ever added.
    pub last: Id,
    /// The highest one that was deleted by name.
    pub deleted: Id,
    /// How many were ever added.
    pub added: u64,
}

impl Bounds {
    /// How many entries were ever added up to `id`, if that can be told.
    pub fn read_up_to(&self, id: Id) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last || id == self.last {
            return Some(self.added);
        }
        if id > self.last {
            return None; // a future one
        }
        let whole = self.deleted == Id::MIN || self.deleted < self.first;
        let before = self.added.wrapping_sub(self.len);
        match id.cmp(&self.first) {
            std::cmp::Ordering::Less if whole => Some(before),
            std::cmp::Ordering::Equal if whole => Some(before.wrapping_add(1)),
            _ => None,
        }
    }

    /// Whether an entry from `id` on may have been deleted by name.
    pub fn has_gaps_from(&self, id: Id) -> bool {
        self.len > 0 && self.first <= self.deleted && id <= self.deleted
    }

    /// How many entries a group has read when it goes on to the next one, `id`, if that can be told.
    fn read_on(&self, read: Option<u64>, id: Id) -> Option<u64> {
        match read {
            Some(read) if !self.has_gaps_from(id) => Some(read.wrapping_add(1)),
            read if self.added == 0 => read,
            _ => self.read_up_to(id),
        }
    }

    /// How many entries a group has not read yet, if that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let left = |read: u64| self.added.wrapping_sub(read).cast_signed();
        if self.added == 0 {
            return Some(0);
        }
        match group.read {
            Some(read) if !self.has_gaps_from(group.last) => Some(left(read)),
            _ => self.read_up_to(group.last).map(left),
        }
    }
}

type Groups = BTreeMap<Box<[u8]>, Arc<Group>>;

/// A group by its name, to be changed.
fn own<'g>(groups: &'g mut Groups, name: &[u8]) -> Option<&'g mut Group> {
    groups.get_mut(name).map(Arc::make_mut)
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    tree: Tree,
    bounds: Bounds,
    /// Shared with copies: whoever changes a group that is shared copies that one first.
    groups: Groups,
}

impl Stream {
    /// What is known of its extent.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many entries there are.
    #[inline]
    pub const fn len(&self) -> u64 {
        self.bounds.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bounds.len == 0
    }

    /// How many blocks hold them.
    pub fn blocks(&self) -> usize {
        self.tree.blocks()
    }

    /// How many pieces of memory it takes, roughly.
    pub fn pieces(&self) -> usize {
        let pending: usize = self.groups.values().map(|group| group.len()).sum();
        2 * self.blocks() + pending / 3
    }

    /// Bytes of all blocks and groups. Takes longer the more consumers there are.
    pub fn weight(&self) -> usize {
        let group = |(name, group): (&[u8], &Group)| {
            size_of::<(Box<[u8]>, Group)>() + mem::class(name.len()) + group.weight()
        };
        self.tree.weight() + self.groups().map(group).sum::<usize>()
    }

    /// Adds an entry of `texts`, names and values in turn, `size` bytes in all and [`LARGEST`] at
    /// most. Its name must lie beyond the last one: [`Wanted::after`].
    #[inline]
    pub fn add<'t>(
        &mut self,
        id: Id,
        texts: impl Iterator<Item = &'t [u8]> + Clone,
        size: usize,
        limit: Limit,
    ) {
        debug_assert!(id > self.bounds.last, "names rise");
        self.tree.push(id, texts, size, limit);
        if self.bounds.len == 0 {
            self.bounds.first = id;
        }
        self.bounds.len += 1;
        self.bounds.added = self.bounds.added.wrapping_add(1);
        self.bounds.last = id;
    }

    /// Whether there is an entry `id`.
    pub fn contains(&self, id: Id) -> bool {
        self.tree.contains(id)
    }

    /// The last entry that is there.
    pub fn last_there(&self) -> Option<Id> {
        self.tree.last()
    }

    /// The name before that of the last entry that is there; the last one's if there is none.
    pub fn before_last(&self) -> Id {
        self.last_there().and_then(Id::previous).unwrap_or(self.bounds.last)
    }

    /// At most `most` entries from `from` to `to`, both included, in order or in reverse.
    pub fn range(&self, from: Id, to: Id, most: usize, back: bool) -> Range {
        self.tree.range(from, to, most, back)
    }

    /// The entry `id`.
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.tree.get(id)
    }

    /// Deletes an entry. False if there is none.
    pub fn delete(&mut self, id: Id) -> bool {
        if !self.tree.delete(id) {
            return false;
        }
        self.bounds.len -= 1;
        self.bounds.deleted = self.bounds.deleted.max(id);
        if id == self.bounds.first || self.bounds.len == 0 {
            self.renew_first();
        }
        true
    }

    fn renew_first(&mut self) {
        self.bounds.first = self.tree.first().unwrap_or(Id::MIN);
    }

    /// Sets what XSETID sets. No entry that is there may lie beyond `last`.
    pub fn set_last(&mut self, last: Id, added: Option<u64>, deleted: Option<Id>) {
        self.tree.forget_beyond(last);
        self.bounds.last = last;
        if let Some(added) = added {
            self.bounds.added = added;
        }
        if let Some(deleted) = deleted {
            self.bounds.deleted = deleted;
        }
    }

    /// All groups in the order of their names.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, &**group))
    }

    /// A group by its name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name).map(|group| &**group)
    }

    /// A group by its name, to be changed.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        own(&mut self.groups, name)
    }

    /// Adds a group. False if there is one with this name.
    pub fn add_group(&mut self, name: &[u8], last: Id, read: Option<u64>) -> bool {
        let fresh = !self.groups.contains_key(name);
        if fresh {
            self.groups.insert(name.into(), Arc::new(Group::new(last, read)));
        }
        fresh
    }

    /// Removes a group: a stream of nothing else, to be freed like any.
    pub fn remove_group(&mut self, name: &[u8]) -> Option<Self> {
        let groups = BTreeMap::from([self.groups.remove_entry(name)?]);
        Some(Self { groups, ..Self::default() })
    }

    /// Gives out at most `most` new entries of a group to one of its consumers, and remembers them as
    /// pending unless `forget` says that they need no acknowledgement. None if there is no such group.
    pub fn deliver(
        &mut self,
        name: &[u8],
        owner: Owner,
        most: usize,
        (forget, now): (bool, i64),
    ) -> Option<Range> {
        let group = own(&mut self.groups, name)?;
        let from = group.last.next().unwrap_or(Id::MAX);
        let range = self.tree.range(from, Id::MAX, most, false);
        let mut given = range.again();
        while let Some(entry) = given.next_entry() {
            group.read = self.bounds.read_on(group.read, entry.id);
            group.last = entry.id;
            if !forget {
                group.assign(entry.id, Pending { owner, delivered: now, count: 1 });
            }
        }
        if !range.is_empty()
            && let Some(consumer) = group.consumer_mut(owner)
        {
            consumer.active = Some(now);
        }
        Some(range)
    }

    /// Moves a group on to `last`, if that is further. It counts as read if it is the next entry.
    pub fn advance(&mut self, name: &[u8], last: Id) {
        if self.group(name).is_none_or(|group| group.last >= last) {
            return;
        }
        let Some(group) = own(&mut self.groups, name) else { return };
        let from = group.last.next().unwrap_or(Id::MAX);
        let next = self.tree.range(from, Id::MAX, 1, false).next_entry().map(|entry| entry.id);
        if next == Some(last) {
            group.read = self.bounds.read_on(group.read, last);
        }
        group.last = last;
    }

    /// What a consumer has pending from `from` on, at most `most`: shows `each` the name, and the entry
    /// if it is still there, which then counts as given out once more.
    pub fn history(
        &mut self,
        name: &[u8],
        owner: Owner,
        (from, most, now): (Id, usize, i64),
        mut each: impl FnMut(Id, Option<Entry<'_>>),
    ) {
        let Some(group) = own(&mut self.groups, name) else { return };
        let Some(consumer) = group.consumer(owner) else { return };
        let ids: Vec<Id> = consumer.pending(from).take(most).collect();
        let mut seeker = Seeker::new(&self.tree);
        for id in ids {
            let entry = seeker.find(id);
            if entry.is_some()
                && let Some(pending) = group.find_mut(id)
            {
                pending.delivered = now;
                pending.count = pending.count.wrapping_add(1);
            }
            each(id, entry);
        }
    }

    /// Whether a group still needs an entry: it has it pending, or has not come to it yet.
    pub fn is_needed(&self, id: Id) -> bool {
        self.groups.values().any(|group| group.last < id || group.find(id).is_some())
    }

    /// Takes an entry from all groups that have it pending.
    pub fn forget(&mut self, id: Id) {
        for group in self.groups.values_mut().filter(|group| group.find(id).is_some()) {
            Arc::make_mut(group).acknowledge(id);
        }
    }
}

//! Sorted sets: the compact form ([`small`]), the large form, and one [`view`] and one [`draft`] of both.
//!
//! The large form is a counting tree and a member table over one store.
//!
//! ```text
//!   index (hash of member) ──► place ──► members: score, bytes, once each
//!   order (score, member)  ──► place ──►
//! ```
//! - [`tree`]: the order, [`node`]s over [`block`]s, so that rank, position and ranges take logarithmic time;
//! - [`range`]: cuts between entries and walks from them, from which all range commands follow;
//! - [`members`]: the contents and the index, from member to place: a [`super::table`].
//!
//! **No operation stalls**: whatever the size, an insert or a removal touches one block, one or two
//! buckets and one chunk of at most 64 KiB; nothing is rehashed or copied as a whole. A range is
//! removed block by block, and a set to be dropped comes apart in steps ([`Remains`]).
//!
//! **Memory** follows the members down: blocks and chunks go back as soon as they are empty. Nodes,
//! directories and chained buckets wait for the next members, about 3 bytes for each that the set
//! ever held at once. Places and ranks are `u32`: a set is good for 2^31 members.
//!
//! Threads may share a set whose table is divided: [`shared`].
//!
//! - **Z1** Index, order and store hold the same members; each entry's score in the order is the one
//!   in the store.
//! - **Z2** No score is NaN. Negative zero is equal to zero, and shown as what it is.

mod block;
mod draft;
#[cfg(test)]
mod form_tests;
mod frozen;
mod members;
mod node;
mod range;
mod shared;
mod shelves;
mod small;
#[cfg(test)]
mod tests;
mod tree;
mod view;

pub use draft::{Done, Draft, Limits};
pub use frozen::Frozen;
pub use range::{Backward, Cut, Forward};
pub use shared::Slot;
pub use small::{Entry, Small};
pub use view::{Entries, View};

use super::object::Sought;
use super::table::{AHEAD, Layout, Table};
use crate::sync::part::Part;
use members::{Members, Scored, score_of};
use tree::{GOALS, Goal, HEAD, Order};

/// The entries of an instant that are still to be shown.
#[derive(Debug)]
pub struct Rest(super::table::View);

impl Rest {
    /// Shows about `count` entries, and lets go of them; false if there are no more.
    pub fn next(&mut self, count: usize, mut each: impl FnMut(&[u8], f64)) -> bool {
        self.0.next_released(count, |content| each(Scored::key(content), score_of(content)))
    }
}

/// The set. A clone shares all memory but the nodes, until either changes.
#[derive(Debug)]
pub struct SortedSet {
    members: Members,
    order: Part<Order>,
}

impl Clone for SortedSet {
    fn clone(&self) -> Self {
        Self { members: self.members.clone(), order: Part::new(self.order().clone()) }
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl SortedSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::of(Table::new())
    }

    /// An empty set that takes the same shape each time, for tests.
    pub fn with_seed(seed: u64) -> Self {
        Self::of(Table::with_seed(seed))
    }

    fn of(table: Table<Scored>) -> Self {
        let order = Part::new(Order::new());
        Self { members: Members(table), order }
    }

    #[inline(always)]
    fn order(&self) -> &Order {
        self.order.get()
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.order().len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, itself included.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.members.0.weight() + self.order().weight()
    }

    /// A member's score.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.place(self.hash(member), member).map(|place| self.members.score(place))
    }

    /// Looks a member up, for [`SortedSet::put`].
    #[inline]
    pub fn seat(&self, member: &[u8]) -> Seat {
        let hash = self.hash(member);
        let place = self.place(hash, member);
        Seat { hash, place, score: place.map(|place| self.members.score(place)) }
    }

    /// Asks ahead for what commands on these members will touch: first the index, then the members
    /// that it names, then the blocks of the order where they stand or are to stand.
    pub fn ask_ahead<'k>(&self, sought: impl Iterator<Item = Sought<'k>>) {
        self.ask(self.order(), sought);
    }

    fn ask<'k>(&self, order: &Order, sought: impl Iterator<Item = Sought<'k>>) {
        let (mut asked, mut count) = ([Asked::default(); AHEAD], 0);
        let (mut goals, mut ways) = ([Goal::default(); GOALS], 0);
        for (one, element) in asked.iter_mut().zip(sought) {
            let (hash, changes) = (self.hash(element.name), element.score.is_some());
            self.members.0.ask_bucket(hash);
            *one = Asked { hash, place: None, ordered: element.ordered, changes };
            count += 1;
            if let Some(score) = element.score {
                goals[ways] = Goal { score, scores: true };
                ways += 1;
            }
        }
        for one in &mut asked[..count] {
            one.place = self.members.candidate(one.hash);
            one.place.inspect(|&place| self.members.prefetch(place));
        }
        for one in asked[..count].iter().filter(|one| one.ordered) {
            if let Some(place) = one.place {
                goals[ways] = Goal { score: self.members.score(place), scores: one.changes };
                ways += 1;
            }
        }
        order.ask_ahead(&goals[..ways]);
    }

    /// Adds a member or gives it another score; the one it had.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        self.put(self.seat(member), member, score)
    }

    /// As [`SortedSet::insert`], with the member's seat: the set has not changed since it was found.
    pub fn put(&mut self, seat: Seat, member: &[u8], score: f64) -> Option<f64> {
        debug_assert!(!score.is_nan(), "Z2");
        let Seat { hash, place, .. } = seat;
        let Some(place) = place else {
            self.make_room(hash);
            let Self { members, order } = self;
            let order = order.get_mut();
            let path = order.seek(&Cut::BeforeEntry(score, member), members);
            order.insert(path, score, members.insert(hash, member, score));
            return None;
        };
        let old = self.members.score(place);
        if old.to_bits() != score.to_bits() {
            let Self { members, order } = self;
            order.get_mut().shift(members, (member, place), old, score);
            members.set_score(place, score);
        }
        Some(old)
    }

    /// Divides the part of the table that a new member is to enter, if it is full.
    fn make_room(&mut self, hash: u64) {
        let Self { members, order } = self;
        let Some(division) = members.0.begin_division(hash) else { return };
        for (old, new) in division.moves() {
            // Both places hold the member, so that the order stands, whichever it names.
            let (old, new) = (members.0.pack(old), members.0.pack(new));
            let (score, member) = (members.score(new), members.member(new));
            order.get_mut().rename(members, (score, member, old), new);
        }
        members.0.end_division(division);
    }

    /// Removes a member; the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.hash(member);
        let place = self.place(hash, member)?;
        let score = self.members.score(place);
        let Self { members, order } = self;
        order.get_mut().take(members, (score, member, place));
        members.remove(hash, place);
        Some(score)
    }

    /// A member's rank, counted from the lowest, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let place = self.place(self.hash(member), member)?;
        let score = self.members.score(place);
        let order = self.order();
        Some((order.rank(&order.seek_entry((score, member, place), &self.members)), score))
    }

    /// A member's rank, counted from the highest, and its score.
    pub fn reverse_rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        self.rank(member).map(|(rank, score)| (self.len() - 1 - rank, score))
    }

    /// How many entries lie before a cut.
    pub fn rank_of(&self, cut: &Cut<'_>) -> usize {
        let order = self.order();
        order.rank(&order.seek(cut, &self.members))
    }

    /// How many entries lie between two cuts.
    pub fn count(&self, from: &Cut<'_>, to: &Cut<'_>) -> usize {
        self.rank_of(to).saturating_sub(self.rank_of(from))
    }

    /// The entry of a rank: also how to pick one at random.
    pub fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.range(rank, 1).next()
    }

    /// The first entry behind a cut.
    pub fn first(&self, from: &Cut<'_>) -> Option<(&[u8], f64)> {
        self.at(self.rank_of(from))
    }

    /// The last entry before a cut.
    pub fn last(&self, to: &Cut<'_>) -> Option<(&[u8], f64)> {
        self.at(self.rank_of(to).checked_sub(1)?)
    }

    /// `count` entries from `rank` on, upwards, as far as there are any.
    pub fn range(&self, rank: usize, count: usize) -> Forward<'_> {
        let rank = rank.min(self.len());
        Forward::new(self.order(), &self.members, rank, count.min(self.len() - rank))
    }

    /// `count` entries downwards, the first of them the one before rank `end`.
    pub fn range_back(&self, end: usize, count: usize) -> Backward<'_> {
        let end = end.min(self.len());
        Backward::new(self.order(), &self.members, end, count.min(end))
    }

    /// Removes `count` entries from `rank` on, as far as there are any, shows each to `each` and
    /// tells how many. Whoever must not stall others asks for a few hundred at a time.
    pub fn remove_range(
        &mut self,
        rank: usize,
        count: usize,
        mut each: impl FnMut(&[u8], f64),
    ) -> usize {
        let count = count.min(self.len().saturating_sub(rank));
        let mut left = count;
        let Self { members, order } = self;
        let order = order.get_mut();
        while left > 0 {
            let path = order.seek_rank(rank);
            let here = order.block(path.leaf).len() - path.offset;
            let taken = here.min(left);
            order.remove(&path, taken, |place| {
                let member = members.member(place);
                each(member, members.score(place));
                members.remove(members.0.hash(member), place);
            });
            left -= taken;
        }
        if count == 1 {
            self.ask_next(rank);
        }
        count
    }

    /// Asks for what the next pops at an end will touch, after one there: they come in rows, and their
    /// members lie anywhere.
    fn ask_next(&self, rank: usize) {
        /// Pops between a member's being asked for and its bucket's, and between that and its turn.
        const SOON: usize = 5;
        const NEXT: usize = 1;
        let block = match rank {
            0 => self.order().block(HEAD),
            _ if rank == self.len() => self.order().block(self.order().tail()),
            _ => return,
        };
        let nth = |n: usize| {
            let at = if rank == 0 { Some(n) } else { block.len().checked_sub(n + 1) };
            at.and_then(|at| block.places().get(at))
        };
        if let Some(&soon) = nth(SOON) {
            self.members.prefetch(soon);
        }
        if let Some(&next) = nth(NEXT) {
            self.members.0.ask_bucket(self.hash(self.members.member(next)));
        }
    }

    /// Takes out the entry with the lowest score.
    pub fn pop_min(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(0)
    }

    /// Takes out the entry with the highest score.
    pub fn pop_max(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(self.len().checked_sub(1)?)
    }

    fn pop(&mut self, rank: usize) -> Option<(Vec<u8>, f64)> {
        let mut popped = None;
        self.remove_range(rank, 1, |member, score| popped = Some((member.to_vec(), score)));
        popped
    }

    /// Shows a few members and returns the next cursor, 0 at the end: members that are there from
    /// the first call to the last are shown at least once, whatever comes and goes in between.
    pub fn scan(&self, cursor: u64, mut each: impl FnMut(&[u8], f64)) -> u64 {
        let table = &self.members.0;
        table.scan(cursor, |_, content| each(Scored::key(content), score_of(content)))
    }

    /// All entries as they are at this instant, in no order, whatever becomes of the set.
    pub fn view(&self) -> Rest {
        Rest(self.members.0.view())
    }

    /// Gives up the set for its memory to be freed in steps.
    pub fn into_remains(self) -> Remains {
        Remains(self)
    }

    fn hash(&self, member: &[u8]) -> u64 {
        self.members.0.hash(member)
    }

    #[inline]
    fn place(&self, hash: u64, member: &[u8]) -> Option<u32> {
        self.members.find(hash, member)
    }
}

/// A member that is asked for ahead.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    hash: u64,
    /// Where it stands, very likely.
    place: Option<u32>,
    /// Its place in the order is wanted, too.
    ordered: bool,
    /// It will get another score.
    changes: bool,
}

/// What the index knows of a member, until the next change.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    hash: u64,
    place: Option<u32>,
    /// Its score, if it is in the set.
    pub score: Option<f64>,
}

/// What is left of a set that nobody can reach any more.
#[derive(Debug)]
pub struct Remains(SortedSet);

impl Remains {
    /// Frees up to `pieces` pieces of memory; false when none is left. A piece takes a few microseconds.
    pub fn free(&mut self, pieces: usize) -> bool {
        let Self(set) = self;
        (0..pieces).all(|_| set.order.get_mut().shed() || set.members.0.shed())
    }
}

//! A sorted set as it was at one instant, to be read in pieces while the set itself goes on changing.
//!
//! It shares all memory with the set ([`super::shelves`], [`crate::types::table`]) but the nodes of
//! its order; what a change would overwrite it copies first, a shelf, a chunk or a page of the member
//! table at a time. So only those take the member table who ask for scores.

use super::SortedSet;
use super::members::{Members, score_of};
use super::range::{Backward, Cut, Forward};
use super::tree::Order;

/// The set at that instant.
#[derive(Debug)]
pub struct Frozen {
    order: Order,
    members: Members,
    lookups: bool,
}

impl Frozen {
    /// The set as it is now; with `lookups`, members can be asked for.
    pub fn of(set: &SortedSet, lookups: bool) -> Self {
        Self {
            order: set.order().clone(),
            members: if lookups { set.members.clone() } else { Members(set.members.0.contents()) },
            lookups,
        }
    }

    /// Whether the set is still as it was.
    pub fn is_still(&self, set: &SortedSet) -> bool {
        self.order.is(set.order())
    }

    /// Number of members.
    pub const fn len(&self) -> usize {
        self.order.len()
    }

    /// Is there none?
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A member's score. None, too, if it was frozen without the member table.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        let table = self.lookups.then_some(&self.members.0)?;
        table.get(member).map(score_of)
    }

    /// A member's rank, counted from the lowest, and its score; None as for [`Frozen::score`].
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.rank_of(&Cut::BeforeEntry(score, member)), score))
    }

    /// How many entries lie before a cut.
    pub fn rank_of(&self, cut: &Cut<'_>) -> usize {
        self.order.rank(&self.order.seek(cut, &self.members))
    }

    /// `count` entries from `rank` on, upwards, as far as there are any.
    pub fn range(&self, rank: usize, count: usize) -> Forward<'_> {
        let rank = rank.min(self.len());
        Forward::new(&self.order, &self.members, rank, count.min(self.len() - rank))
    }

    /// `count` entries downwards, the first of them the one before rank `end`.
    pub fn range_back(&self, end: usize, count: usize) -> Backward<'_> {
        let end = end.min(self.len());
        Backward::new(&self.order, &self.members, end, count.min(end))
    }
}

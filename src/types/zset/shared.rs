//! Single members of a set that threads share.
//!
//! Of a change, looking the member up (a bucket and a content, neither in any cache as a rule) is done
//! beside others; what is left, the walk down the order and the edit of a block, is one thread's at a
//! time. A question about one member does not touch the order.
//!
//! - **Z3** While threads share the set, the order is changed by who has it locked, and a part of the
//!   member table by who has the order *and* that part locked. So whoever has the order locked may read
//!   all parts, as the walk must on ties, and whoever has a part locked may read that.
//! - **Z4** The order is locked before a part, and one part at a time: nobody waits in a circle.

use super::members::{Members, Scored, rescore, score_of};
use super::{Cut, SortedSet};
use crate::types::object::Sought;
use crate::types::table::{Shares, Turn};

/// A member, there or not, of a set that threads share.
pub struct Slot<'z> {
    set: &'z SortedSet,
    shares: &'z Shares,
    member: &'z [u8],
    hash: u64,
}

impl SortedSet {
    /// Whether threads may share it.
    #[inline]
    pub const fn is_shareable(&self) -> bool {
        self.members.0.is_divided()
    }

    /// As [`SortedSet::ask_ahead`], while threads share the set.
    pub fn ask_ahead_shared<'k>(&self, sought: impl Iterator<Item = Sought<'k>>, shares: &Shares) {
        let mut sought = sought.peekable();
        if !self.is_shareable() {
            return;
        }
        if sought.peek().is_some_and(|one| one.ordered) {
            let order = self.order.lock(shares.proof());
            self.ask(&order, sought); // Z3
        } else {
            self.members.0.ask_ahead_shared(sought.map(|one| (one.name, one.changed)), shares);
        }
    }

    /// A member of a set that threads share. None if they cannot share it.
    #[inline]
    pub fn slot<'z>(&'z self, member: &'z [u8], shares: &'z Shares) -> Option<Slot<'z>> {
        let hash = self.hash(member);
        self.is_shareable().then_some(Slot { set: self, shares, member, hash })
    }
}

impl<'z> Slot<'z> {
    #[inline(always)]
    fn turn(&self) -> Option<Turn<'z, Scored>> {
        self.set.members.0.turn(self.hash, self.shares)
    }

    /// Its score, if it is there.
    #[inline]
    pub fn score(&self) -> Option<f64> {
        let turn = self.turn()?;
        turn.find(self.member).map(|place| score_of(turn.content(place)))
    }

    /// Gives it the score that `decide` makes of the one it has, if any. `decide` may be asked twice;
    /// what else it says of the score that counted is returned, or none if the change is refused.
    #[inline]
    pub fn change<T>(&self, decide: impl Fn(Option<f64>) -> (Option<f64>, T)) -> Option<T> {
        if let (None, value) = decide(self.score()) {
            return Some(value);
        }
        let Members(table) = &self.set.members;
        let mut order = self.set.order.lock(self.shares.proof()); // Z4
        let mut turn = self.turn()?;
        let place = turn.find(self.member);
        let old = place.map(|place| (place, score_of(turn.content(place))));
        let (score, value) = decide(old.map(|(_, score)| score));
        let Some(score) = score else { return Some(value) };
        match old {
            Some((place, old)) => {
                let packed = table.pack(turn.at(place));
                order.shift(&self.set.members, (self.member, packed), old, score); // Z3
                rescore(turn.content_mut(place), score);
            }
            None if !turn.has_room() => return None,
            None => {
                let cut = Cut::BeforeEntry(score, self.member);
                let path = order.seek(&cut, &self.set.members); // Z3
                let at = turn.add(&[&score.to_le_bytes(), self.member])?;
                order.insert(path, score, table.pack(at));
            }
        }
        Some(value)
    }

    /// Removes it. False if it is not there; None if that is refused.
    #[inline]
    pub fn remove(&self) -> Option<bool> {
        if self.score().is_none() {
            return Some(false);
        }
        let mut order = self.set.order.lock(self.shares.proof()); // Z4
        let mut turn = self.turn()?;
        let Some(place) = turn.find(self.member) else { return Some(false) };
        if !turn.has_others() {
            return None;
        }
        let packed = self.set.members.0.pack(turn.at(place));
        let entry = (score_of(turn.content(place)), self.member, packed);
        order.take(&self.set.members, entry); // Z3
        Some(turn.remove(place))
    }
}

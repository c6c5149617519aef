//! A sorted set being changed, in whichever form it is: a compact one is rewritten, and becomes large
//! when it passes its limits; a large one changes in place.

use super::small::{self, Found, Small};
use super::view::View;
use super::{Seat, SortedSet};
use crate::types::object::Sought;
use crate::types::packed::Element;
use std::borrow::Cow;

/// Up to where a sorted set is kept compactly.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Number of members.
    pub entries: usize,
    /// Length of a member.
    pub value: usize,
}

/// A sorted set being changed.
#[derive(Debug)]
pub enum Draft<'b> {
    /// Compact.
    Small {
        /// The set so far.
        bytes: Cow<'b, [u8]>,
        /// Its members.
        len: usize,
    },
    /// Large since a moment ago, or built anew.
    Fresh(Box<SortedSet>),
    /// Large where it stands.
    Place(&'b mut SortedSet),
}

/// What has become of a set, with nothing borrowed from it.
#[derive(Debug)]
pub enum Done {
    /// Nothing is left.
    Empty,
    /// These bytes take its place.
    Small(Vec<u8>),
    /// This takes its place.
    Fresh(Box<SortedSet>),
    /// It is where it was.
    Place,
}

/// Bytes that no compact set passes, whatever the limits.
const SMALL_MAX: usize = 1 << 29;

/// A member that was looked up; it means nothing after the next change.
#[derive(Debug, Clone, Copy)]
pub struct Spot(At);

#[derive(Debug, Clone, Copy)]
enum At {
    Small(Option<Found>),
    Large(Seat),
}

impl Spot {
    /// The member's score, if it is there.
    pub fn score(&self) -> Option<f64> {
        match self.0 {
            At::Small(found) => found.map(|found| found.score),
            At::Large(seat) => seat.score,
        }
    }
}

impl<'b> Draft<'b> {
    /// A new set, which begins with a member of this length.
    pub fn new(limits: Limits, member: usize) -> Self {
        if limits.entries == 0 || member > limits.value {
            Self::Fresh(Box::default())
        } else {
            Self::Small { bytes: Cow::Borrowed(&[]), len: 0 }
        }
    }

    /// A compact set.
    pub fn small(bytes: &'b [u8]) -> Self {
        Self::Small { bytes: Cow::Borrowed(bytes), len: Small::new(bytes).len() }
    }

    /// A set built anew; compact if the limits allow.
    pub fn settled(set: Box<SortedSet>, limits: Limits) -> Self {
        let fits = |(member, _): (&[u8], f64)| member.len() <= limits.value;
        if set.len() > limits.entries || !set.range(0, usize::MAX).all(fits) {
            return Self::Fresh(set);
        }
        let mut bytes = Vec::new();
        for (member, score) in set.range(0, usize::MAX) {
            small::push_last(&Element::of(member), score, &mut bytes);
        }
        Self::Small { bytes: Cow::Owned(bytes), len: set.len() }
    }

    /// The set as it is now.
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Small { bytes, .. } => View::Small(Small::new(bytes)),
            Self::Fresh(set) => View::Large(set),
            Self::Place(set) => View::Large(set),
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match self {
            Self::Small { len, .. } => *len,
            Self::Fresh(set) => set.len(),
            Self::Place(set) => set.len(),
        }
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks ahead for what is about to be done to these members, if the set is large.
    pub fn ask_ahead<'k>(&self, sought: impl Iterator<Item = Sought<'k>>) {
        match self {
            Self::Small { .. } => {}
            Self::Fresh(set) => set.ask_ahead(sought),
            Self::Place(set) => set.ask_ahead(sought),
        }
    }

    /// Looks a member up.
    #[inline]
    pub fn spot(&self, member: &[u8]) -> Spot {
        Spot(match self {
            Self::Small { bytes, .. } => At::Small(Small::new(bytes).find(member)),
            Self::Fresh(set) => At::Large(set.seat(member)),
            Self::Place(set) => At::Large(set.seat(member)),
        })
    }

    /// Adds a member or gives it another score; `spot` is where it was found.
    #[inline]
    pub fn put(&mut self, spot: Spot, member: &[u8], score: f64, limits: Limits) {
        if let (Self::Small { bytes, len }, At::Small(found)) = (&mut *self, spot.0) {
            let added = usize::from(found.is_none());
            let fits = *len < limits.entries && member.len() <= limits.value;
            if (added == 0 || fits) && bytes.len() + member.len() < SMALL_MAX {
                let mut out = Vec::new();
                Small::new(bytes).put(member, score, found, &mut out);
                (*bytes, *len) = (Cow::Owned(out), *len + added);
                return;
            }
        }
        let set = self.grow();
        match spot.0 {
            At::Large(seat) => set.put(seat, member, score),
            At::Small(_) => set.insert(member, score),
        };
    }

    /// The large form.
    fn grow(&mut self) -> &mut SortedSet {
        if let Self::Small { bytes, .. } = self {
            let (mut set, mut text) = (Box::<SortedSet>::default(), Vec::new());
            for (member, score) in Small::new(bytes).range(0, usize::MAX) {
                set.insert(member.text(&mut text), score);
            }
            *self = Self::Fresh(set);
        }
        match self {
            Self::Fresh(set) => set,
            Self::Place(set) => set,
            Self::Small { .. } => unreachable!("replaced above"),
        }
    }

    /// Removes a member. False if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Self::Small { bytes, len } => {
                let small = Small::new(bytes);
                let Some(found) = small.find(member) else { return false };
                let mut out = Vec::new();
                small.remove(found, &mut out);
                (*bytes, *len) = (Cow::Owned(out), *len - 1);
                true
            }
            Self::Fresh(set) => set.remove(member).is_some(),
            Self::Place(set) => set.remove(member).is_some(),
        }
    }

    /// Removes `count` entries from `rank` on, as far as there are any, shows each to `each`, the
    /// lowest first, and tells how many.
    pub fn remove_range(
        &mut self,
        rank: usize,
        count: usize,
        mut each: impl FnMut(&Element<'_>, f64),
    ) -> usize {
        match self {
            Self::Small { bytes, len } => {
                let count = count.min(len.saturating_sub(rank));
                let small = Small::new(bytes);
                small.range(rank, count).for_each(|(member, score)| each(&member, score));
                let mut out = Vec::new();
                small.remove_range(rank, count, &mut out);
                (*bytes, *len) = (Cow::Owned(out), *len - count);
                count
            }
            Self::Fresh(set) => set.remove_range(rank, count, |m, s| each(&Element::Str(m), s)),
            Self::Place(set) => set.remove_range(rank, count, |m, s| each(&Element::Str(m), s)),
        }
    }

    /// Removes all, at once whatever the size: what was there is freed by whoever stores the result.
    pub fn clear(&mut self) {
        *self = Self::Small { bytes: Cow::Borrowed(&[]), len: 0 };
    }

    /// What has become of it.
    pub fn done(self) -> Done {
        match self {
            draft if draft.is_empty() => Done::Empty,
            Self::Small { bytes, .. } => Done::Small(bytes.into_owned()),
            Self::Fresh(set) => Done::Fresh(set),
            Self::Place(_) => Done::Place,
        }
    }
}

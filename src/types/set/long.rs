//! Set algebra over many members, in pieces: who does it may do other things in between.
//!
//! The sets are taken at one instant. Those that are walked cost a reference for each few thousand
//! members, those that are asked a copy of their index, and then nothing need be held. A result that
//! is stored must fit the keys as they are then: a [`Witness`] tells whether a set is still the same.

use super::algebra::asking_is_cheaper;
use super::{Draft, Large, Limits, Member, View};
use crate::types::table;
use std::sync::Arc;

/// How sets are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// What all have.
    Inter,
    /// What any has.
    Union,
    /// What only the first has.
    Diff,
}

/// Members that are looked at to combine sets, roughly.
pub fn cost(op: Op, sets: &[View<'_>]) -> usize {
    let sum = || sets.iter().map(View::len).fold(0, usize::saturating_add);
    match op {
        _ if sets.len() == 1 => sum(),
        Op::Union => sum(),
        Op::Inter => sets.iter().map(View::len).min().unwrap_or(0).saturating_mul(sets.len()),
        Op::Diff => sets.first().map_or(0, View::len).saturating_mul(sets.len()).min(sum()),
    }
}

/// All members of a set as they were at one instant.
#[derive(Debug)]
pub enum Walk {
    /// A compact set, as long as it was not shown.
    Compact(Option<(u8, Vec<u8>)>),
    /// A large one.
    Large(table::View),
}

impl Walk {
    /// Over a set that may change meanwhile.
    pub fn over(set: View<'_>) -> Self {
        match set {
            View::Large(set) => Self::Large(set.snapshot()),
            compact => Self::Compact(compact.parts().map(|(form, bytes)| (form, bytes.to_vec()))),
        }
    }

    /// Shows the next members, about `count` of them; false if there are no more.
    pub fn next(&mut self, count: usize, mut f: impl FnMut(Member<'_>)) -> bool {
        match self {
            Self::Compact(set) => {
                let Some((form, bytes)) = set.take() else { return false };
                View::compact(form, &bytes).each(f);
                true
            }
            Self::Large(view) => view.next(count, |text| f(Member::Text(text))),
        }
    }
}

/// A set of its own.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one of them lives for one command")]
pub enum Copied {
    /// A compact one.
    Compact(u8, Vec<u8>),
    /// A large one.
    Large(Large),
}

impl Copied {
    /// A copy of a set.
    pub fn of(set: View<'_>) -> Self {
        match set {
            View::Large(set) => Self::Large(set.clone()),
            compact => {
                let (form, bytes) = compact.parts().unwrap_or_default();
                Self::Compact(form, bytes.to_vec())
            }
        }
    }

    /// The set.
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Compact(form, bytes) => View::compact(*form, bytes),
            Self::Large(set) => View::Large(set),
        }
    }
}

/// Tells whether a set is the one it was taken from, unchanged.
#[derive(Debug)]
pub enum Witness {
    /// There was none.
    Absent,
    /// These were its form and bytes.
    Compact(u8, Vec<u8>),
    /// A large set keeps this as long as it does not change.
    Large(Arc<()>),
}

impl Witness {
    /// Of a set as it is now.
    pub fn of(set: Option<View<'_>>) -> Self {
        match set {
            None => Self::Absent,
            Some(View::Large(set)) => Self::Large(set.token()),
            Some(compact) => {
                let (form, bytes) = compact.parts().unwrap_or_default();
                Self::Compact(form, bytes.to_vec())
            }
        }
    }

    /// Whether it is still that.
    pub fn is_still(&self, set: Option<View<'_>>) -> bool {
        match (self, set) {
            (Self::Absent, None) => true,
            (Self::Large(token), Some(View::Large(set))) => Arc::ptr_eq(token, &set.token()),
            (Self::Compact(form, bytes), Some(set)) => set.parts() == Some((*form, bytes)),
            _ => false,
        }
    }
}

/// The work at hand.
#[derive(Debug)]
pub struct Combining {
    op: Op,
    /// Sets still to be walked, the next one last.
    walks: Vec<Walk>,
    /// Sets that are asked for each member of the one that is walked.
    asked: Vec<Copied>,
    /// Members that are walked over leave the result.
    removing: bool,
    limit: usize,
    found: usize,
    result: Draft,
}

impl Combining {
    /// Takes what is needed of `sets`, none of which is missing.
    pub fn new(op: Op, sets: &[View<'_>], limits: Limits) -> Self {
        let mut work = Self {
            op,
            walks: Vec::new(),
            asked: Vec::new(),
            removing: false,
            limit: usize::MAX,
            found: 0,
            result: Draft::new(limits),
        };
        let Some((first, others)) = sets.split_first() else { return work };
        match op {
            Op::Union => {
                let most = sets.iter().map(View::len).max().unwrap_or(0);
                work.result = Draft::sized(limits, most);
                work.walks = sets.iter().map(|set| Walk::over(*set)).collect();
            }
            Op::Inter => {
                let mut sets: Vec<(usize, View<'_>)> =
                    sets.iter().map(|set| (set.len(), *set)).collect();
                sets.sort_by_key(|(len, _)| *len);
                work.walks.extend(sets.first().map(|(_, set)| Walk::over(*set)));
                work.asked = sets.iter().skip(1).map(|(_, set)| Copied::of(*set)).collect();
            }
            Op::Diff if asking_is_cheaper(first.len(), others.iter().map(View::len)) => {
                work.walks.push(Walk::over(*first));
                work.asked = others.iter().map(|set| Copied::of(*set)).collect();
            }
            Op::Diff => {
                work.removing = true;
                work.result = Draft::of(*first, limits);
                work.walks = others.iter().map(|set| Walk::over(*set)).collect();
            }
        }
        work
    }

    /// Only counts, and no further than to `limit`.
    pub fn counting(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Looks at about `count` members. False if that was all.
    pub fn go_on(&mut self, count: usize) -> bool {
        let Self { op, walks, asked, removing, limit, found, result } = self;
        let Some(walk) = walks.last_mut() else { return false };
        let counting = *limit < usize::MAX;
        let more = walk.next(count, |member| {
            let wanted = match op {
                Op::Union => true,
                Op::Inter => asked.iter().all(|set| set.view().has(&member)),
                Op::Diff => !asked.iter().any(|set| set.view().has(&member)),
            };
            if *removing {
                result.remove(&member);
            } else if wanted && counting {
                *found += 1;
            } else if wanted {
                result.insert(&member);
            }
        });
        if !more {
            walks.pop();
        }
        let done = *found >= *limit || *removing && result.is_empty();
        !walks.is_empty() && !done
    }

    /// Members counted.
    pub fn found(&self) -> usize {
        self.found.min(self.limit)
    }

    /// What came of it.
    pub fn into_result(self) -> Draft {
        self.result
    }
}

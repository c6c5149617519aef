//! Combining sets into one, in slices: what ZUNIONSTORE and its kin have in common.
//!
//! The sources are taken at one instant, large ones by reference, so nothing is held while they are
//! combined.
//!
//! Sets are combined the smallest first, as Redis does: sums of doubles depend on the order.

use super::sources::{Source, Walked};
use super::storing::Work;
use crate::commands::slice::Slice;
use crate::db::{Access, Key};
use crate::types::zset::SortedSet;
use std::ops::Range;

/// What is made of the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// What any has.
    Union,
    /// What all have.
    Inter,
    /// What only the first has.
    Diff,
}

/// How the scores of one member become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// All together.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => defined(a + b),
            Self::Min if b < a => b,
            Self::Max if b > a => b,
            _ => a,
        }
    }
}

/// Infinities that cancel out count as nothing.
fn defined(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// How sets are combined.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What is made of them.
    pub operation: Operation,
    /// What happens to scores.
    pub aggregate: Aggregate,
    /// What each set's scores are multiplied by.
    pub weights: Vec<f64>,
    /// Only these ranks of the one set there is.
    pub window: Option<Range<usize>>,
    /// Members to be found at most; 0 for all.
    pub limit: usize,
}

impl Recipe {
    /// Whether sources will be asked for members.
    pub fn looks_up(&self) -> bool {
        self.operation != Operation::Union && self.weights.len() > 1
    }
}

/// The work at hand.
#[derive(Debug)]
pub struct Combining {
    recipe: Recipe,
    /// With their weights, and their numbers among the keys.
    sources: Vec<(Source, f64, usize)>,
    /// Members of the first are removed by walking over the others, not by asking them.
    removing: bool,
    /// The source and the member to go on with.
    at: (usize, usize),
    /// The result so far.
    pub result: Box<SortedSet>,
    /// Members found so far, if they are only counted.
    pub found: usize,
}

impl Combining {
    /// Begins the work.
    pub fn new(recipe: Recipe, sources: Vec<Source>) -> Self {
        let weighed = sources.into_iter().zip(recipe.weights.iter().copied()).enumerate();
        let mut sources: Vec<_> = weighed.map(|(i, (source, by))| (source, by, i)).collect();
        let mut removing = false;
        if recipe.operation == Operation::Diff {
            let first = sources.first().map_or(0, |first| first.0.len());
            let all: usize = sources.iter().map(|source| source.0.len()).sum();
            removing = first.saturating_mul(sources.len()) / 2 > all;
        } else {
            sources.sort_by_key(|(source, ..)| source.len());
        }
        let from = recipe.window.as_ref().map_or(0, |window| window.start);
        Self { recipe, sources, removing, at: (0, from), result: Box::default(), found: 0 }
    }

    /// Looks at some members of the source at hand.
    fn step(&mut self) -> Walked {
        let Self { recipe, sources, removing, result, found, at } = self;
        let (aggregate, (number, from)) = (recipe.aggregate, at);
        let (before, rest) = sources.split_at_mut(*number);
        let Some(((source, weight, _), others)) = rest.split_first_mut() else {
            return Walked::Enough;
        };
        let len = source.len();
        let end = recipe.window.as_ref().map_or(len, |window| window.end.min(len));
        match recipe.operation {
            Operation::Union => source.walk(from, end, |member, own| {
                let (seat, own) = (result.seat(member), defined(own * *weight));
                let score = seat.score.map_or(own, |old| aggregate.of(old, own));
                result.put(seat, member, score);
                true
            }),
            Operation::Inter => source.walk(from, end, |member, own| {
                let mut score = defined(own * *weight);
                for (other, weight, _) in &*others {
                    let Some(own) = other.score(member) else { return true };
                    score = aggregate.of(score, own * *weight); // infinity times zero spoils the sum
                }
                *found += 1;
                if recipe.limit == 0 {
                    result.insert(member, score);
                }
                *found != recipe.limit
            }),
            Operation::Diff if !before.is_empty() => source.walk(from, end, |member, _| {
                result.remove(member);
                !result.is_empty()
            }),
            Operation::Diff => source.walk(from, end, |member, own| {
                if *removing || !others.iter().any(|(other, ..)| other.score(member).is_some()) {
                    result.insert(member, own);
                }
                true
            }),
        }
    }
}

impl Work for Combining {
    fn go_on(&mut self, slice: Option<&Slice>) -> bool {
        let walked = match self.recipe.operation {
            Operation::Union => self.sources.len(),
            Operation::Diff if self.removing => self.sources.len(),
            _ => self.sources.len().min(1),
        };
        while self.at.0 < walked {
            match self.step() {
                Walked::Partly => {}
                Walked::Whole => self.at = (self.at.0 + 1, 0),
                Walked::Enough => return true,
            }
            if slice.is_some_and(Slice::is_over) && self.at.0 < walked {
                return false;
            }
        }
        true
    }

    fn is_still(&self, db: &mut Access<'_>, keys: &[Key<'_>]) -> bool {
        self.sources.iter().all(|(source, _, number)| source.is_still(db, keys[*number]))
    }

    fn take_result(&mut self) -> Box<SortedSet> {
        std::mem::take(&mut self.result)
    }
}

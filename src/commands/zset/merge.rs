//! ZUNION, ZINTER, ZDIFF, their storing forms, and ZINTERCARD: how they are written, and replied.

use super::access::{limits, parse};
use super::combine::{Aggregate, Combining, Operation, Recipe};
use super::sources::Source;
use super::storing::{Storing, Work as _};
use super::stretch;
use super::{Args, Cx, Error};
use crate::commands::args::{integer, integer_in};
use crate::commands::slice::{self, Slice};
use crate::db::{Access, Entry, Key};
use crate::types::object::Type;
use crate::types::zset::View;

/// What becomes of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Show,
    Store,
    Count,
}

/// What is to be combined, and how.
#[derive(Debug)]
struct Plan<'k> {
    keys: Vec<Key<'k>>,
    recipe: Recipe,
    with_scores: bool,
}

impl<'k> Plan<'k> {
    /// Reads `numkeys key …` and the options behind them.
    fn parse(
        cx: &mut Cx<'_>,
        args: Args<'k>,
        operation: Operation,
        purpose: Use,
    ) -> Result<Self, Error> {
        let at = if purpose == Use::Store { 2 } else { 1 };
        let count = integer(args.get(at))?;
        if count < 1 {
            let name = cx.row.command.name;
            return Err(format!("ERR at least 1 input key is needed for '{name}' command").into());
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > args.len() - (at + 1) {
            return Err(Error::Syntax);
        }
        let keys: Vec<_> = (at + 1..at + 1 + count).map(|i| Key::new(args.get(i))).collect();
        // What the keys hold is looked at before the options are.
        let is_set = |entry: &Entry| matches!(entry.type_of(), Type::Set | Type::ZSet);
        if keys.iter().any(|key| cx.db.peek(*key).is_some_and(|entry| !is_set(entry))) {
            return Err(Error::WrongType);
        }
        let (aggregate, weights) = (Aggregate::Sum, vec![1.0; count]);
        // What is only counted is not collected, which a limit says.
        let limit = if purpose == Use::Count { usize::MAX } else { 0 };
        let recipe = Recipe { operation, aggregate, weights, window: None, limit };
        let mut plan = Self { keys, recipe, with_scores: false };
        plan.options(args.from(at + 1 + count), purpose)?;
        Ok(plan)
    }

    fn options(&mut self, args: Args<'_>, purpose: Use) -> Result<(), Error> {
        let combines = self.recipe.operation != Operation::Diff && purpose != Use::Count;
        let mut at = 0;
        while at < args.len() {
            let left = args.len() - at - 1;
            if combines && left >= self.keys.len() && args.is(at, "WEIGHTS") {
                for (i, weight) in self.recipe.weights.iter_mut().enumerate() {
                    *weight = parse(args.get(at + 1 + i))
                        .map_err(|_| Error::new("ERR weight value is not a float"))?;
                }
                at += 1 + self.keys.len();
            } else if combines && left >= 1 && args.is(at, "AGGREGATE") {
                self.recipe.aggregate = match args.get(at + 1) {
                    word if word.eq_ignore_ascii_case(b"SUM") => Aggregate::Sum,
                    word if word.eq_ignore_ascii_case(b"MIN") => Aggregate::Min,
                    word if word.eq_ignore_ascii_case(b"MAX") => Aggregate::Max,
                    _ => return Err(Error::Syntax),
                };
                at += 2;
            } else if purpose == Use::Show && args.is(at, "WITHSCORES") {
                self.with_scores = true;
                at += 1;
            } else if purpose == Use::Count && left >= 1 && args.is(at, "LIMIT") {
                let negative = "ERR LIMIT can't be negative";
                let limit = integer_in(args.get(at + 1), 0.., negative)? as usize;
                self.recipe.limit = if limit == 0 { usize::MAX } else { limit };
                at += 2;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(())
    }

    /// Takes the sources and begins.
    fn begin(&self, db: &mut Access<'_>) -> Result<Combining, Error> {
        let lookups = self.recipe.looks_up();
        let sources = db.read_many(&self.keys, |db| Source::take_all(db, &self.keys, lookups))?;
        Ok(Combining::new(self.recipe.clone(), sources))
    }

    /// Goes on until the result is whole; None if that will be later.
    fn combine(&self, cx: &mut Cx<'_>) -> Result<Option<Box<Combining>>, Error> {
        let mut work = match slice::resume::<Combining>(cx) {
            Some(work) => work,
            None => Box::new(self.begin(&mut cx.db)?),
        };
        if work.go_on(Some(&Slice::begin())) {
            return Ok(Some(work));
        }
        Slice::pause(cx, work)?;
        Ok(None)
    }
}

fn show(cx: &mut Cx<'_>, args: Args<'_>, operation: Operation) -> Result<(), Error> {
    if let Some(done) = stretch::resume(cx) {
        return done;
    }
    let plan = Plan::parse(cx, args, operation, Use::Show)?;
    let Some(work) = plan.combine(cx)? else { return Ok(()) };
    let set = &work.result;
    let span = stretch::Span::all(set.len());
    match stretch::show(View::Large(set), span, plan.with_scores, cx.reply) {
        Some(long) => stretch::begin(cx, long),
        None => Ok(()),
    }
}

fn store(cx: &mut Cx<'_>, args: Args<'_>, operation: Operation) -> Result<(), Error> {
    let plan = Plan::parse(cx, args, operation, Use::Store)?;
    let (to, limits, word) = (cx.key(args, 1), limits(cx), cx.row.command.name);
    let storing = match slice::resume::<Storing<Combining>>(cx) {
        Some(storing) => storing,
        None => Storing::new(plan.begin(&mut cx.db)?),
    };
    storing.go_on(cx, (to, &plan.keys), (limits, word), |db| plan.begin(db))
}

pub fn zunion(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    show(cx, args, Operation::Union)
}

pub fn zinter(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    show(cx, args, Operation::Inter)
}

pub fn zdiff(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    show(cx, args, Operation::Diff)
}

pub fn zunionstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    store(cx, args, Operation::Union)
}

pub fn zinterstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    store(cx, args, Operation::Inter)
}

pub fn zdiffstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    store(cx, args, Operation::Diff)
}

pub fn zintercard(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let plan = Plan::parse(cx, args, Operation::Inter, Use::Count)?;
    if let Some(work) = plan.combine(cx)? {
        cx.reply.count(work.found);
    }
    Ok(())
}

//! Ranges: ZRANGE, which can do all of it, its five older relatives, and ZRANGESTORE.

use super::access::{limits, read};
use super::bounds::{self, Bounds};
use super::combine::{Aggregate, Combining, Operation, Recipe};
use super::sources::Source;
use super::storing::Storing;
use super::stretch::{self, Span};
use super::{Args, Cx, Error};
use crate::commands::args::integer;
use crate::commands::slice;
use crate::db::{Access, Key};
use crate::types::zset::View;

/// What ranges are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Text,
}

/// What a command says by its name, and what its options may still say.
#[derive(Debug, Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    store: bool,
}

const fn form(by: By, reverse: bool) -> Form {
    Form { by: Some(by), reverse: Some(reverse), store: false }
}

/// What is asked for.
#[derive(Debug)]
struct Query<'a> {
    range: Range<'a>,
    reverse: bool,
    offset: i64,
    /// How many at most; negative for all.
    limit: i64,
    with_scores: bool,
}

#[derive(Debug)]
enum Range<'a> {
    Ranks(i64, i64),
    Between(Bounds<'a>),
}

impl<'a> Query<'a> {
    /// Reads `min max` and the options behind them, as `form` allows.
    fn parse(args: Args<'a>, form: Form) -> Result<Self, Error> {
        let Form { mut by, mut reverse, store } = form;
        let (mut limit, mut with_scores) = (None, false);
        let mut at = 2;
        while at < args.len() {
            if !store && args.is(at, "WITHSCORES") {
                with_scores = true;
            } else if args.is(at, "LIMIT") && at + 2 < args.len() {
                limit = Some((integer(args.get(at + 1))?, integer(args.get(at + 2))?));
                at += 2;
            } else if form.reverse.is_none() && args.is(at, "REV") {
                reverse = Some(true);
            } else if form.by.is_none() && args.is(at, "BYLEX") {
                by = Some(By::Text);
            } else if form.by.is_none() && args.is(at, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        let (offset, limit) = limit.unwrap_or((0, -1));
        if limit != -1 && by == By::Rank {
            return Err(Error::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX",
            ));
        }
        if with_scores && by == By::Text {
            return Err(Error::new(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (min, max) = match (by, reverse) {
            (By::Rank, _) | (_, false) => (args.get(0), args.get(1)),
            (_, true) => (args.get(1), args.get(0)),
        };
        let range = match by {
            By::Rank => Range::Ranks(integer(min)?, integer(max)?),
            By::Score => Range::Between(Bounds::scores(min, max)?),
            By::Text => Range::Between(Bounds::texts(min, max)?),
        };
        Ok(Self { range, reverse, offset, limit, with_scores })
    }

    /// Which entries of a set those are.
    fn span(&self, view: &View<'_>) -> Span {
        let reverse = self.reverse;
        match &self.range {
            Range::Ranks(start, stop) => {
                let len = view.len();
                let ranks = bounds::ranks(*start, *stop, len);
                let from = if reverse { len - ranks.end } else { ranks.start };
                Span { from, count: ranks.len(), reverse }
            }
            Range::Between(bounds) => {
                let ranks = bounds.ranks(view);
                // A negative offset passes all that there is.
                let skip = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
                let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
                let count = (ranks.len() - skip).min(limit);
                let from = if reverse { ranks.end - skip - count } else { ranks.start + skip };
                Span { from, count, reverse }
            }
        }
    }
}

fn range(cx: &mut Cx<'_>, args: Args<'_>, form: Form) -> Result<(), Error> {
    if let Some(done) = stretch::resume(cx) {
        return done;
    }
    let query = Query::parse(args.from(2), form)?;
    let key = cx.key(args, 1);
    let shown = read(cx, key, |view, reply| {
        stretch::show(view, query.span(&view), query.with_scores, reply)
    })?;
    match shown {
        Some(Some(long)) => return stretch::begin(cx, long),
        Some(None) => {}
        None => cx.reply.array(0),
    }
    Ok(())
}

pub fn zrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    range(cx, args, Form { by: None, reverse: None, store: false })
}

pub fn zrevrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    range(cx, args, form(By::Rank, true))
}

pub fn zrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    range(cx, args, form(By::Score, false))
}

pub fn zrevrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    range(cx, args, form(By::Score, true))
}

pub fn zrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    range(cx, args, form(By::Text, false))
}

pub fn zrevrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    range(cx, args, form(By::Text, true))
}

pub fn zrangestore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let query = Query::parse(args.from(3), Form { by: None, reverse: None, store: true })?;
    let (to, from, limits) = (cx.key(args, 1), Key::new(args.get(2)), limits(cx));
    let begin = |db: &mut Access<'_>| -> Result<Combining, Error> {
        let source = Source::of_zset(db, from, false)?;
        let span = query.span(&source.view());
        let recipe = Recipe {
            operation: Operation::Union,
            aggregate: Aggregate::Sum,
            weights: vec![1.0],
            window: Some(span.from..span.from + span.count),
            limit: 0,
        };
        Ok(Combining::new(recipe, vec![source]))
    };
    let storing = match slice::resume::<Storing<Combining>>(cx) {
        Some(storing) => storing,
        None => Storing::new(begin(&mut cx.db)?),
    };
    storing.go_on(cx, (to, &[from]), (limits, "zrangestore"), begin)
}

//! ZADD and ZINCRBY.

use super::access::{self, draft, limits, parse, settle, told};
use super::{Args, Cx, Error};
use crate::commands::ahead::in_groups;
use crate::db::{Expiry, Key};
use crate::types::object::{Sought, Type};
use crate::types::zset::{Draft, Limits};

const NAN: Error = Error::new("ERR resulting score is not a number (NaN)");

/// What ZADD's options ask for.
#[derive(Debug, Default, Clone, Copy)]
pub struct How {
    /// Only members that are not there.
    pub nx: bool,
    /// Only members that are there.
    pub xx: bool,
    /// Those that are there only get greater scores.
    pub gt: bool,
    /// Or smaller ones.
    pub lt: bool,
    /// The reply counts changes too.
    pub ch: bool,
    /// The score is added.
    pub incr: bool,
}

impl How {
    /// Reads the options; also where the first score stands.
    #[inline]
    fn parse(args: Args<'_>) -> (Self, usize) {
        let mut how = Self::default();
        let mut at = 2;
        while let Some(word) = args.opt(at) {
            let is = |text: &[u8]| word.eq_ignore_ascii_case(text);
            match word.len() {
                2 if is(b"NX") => how.nx = true,
                2 if is(b"XX") => how.xx = true,
                2 if is(b"GT") => how.gt = true,
                2 if is(b"LT") => how.lt = true,
                2 if is(b"CH") => how.ch = true,
                4 if is(b"INCR") => how.incr = true,
                _ => break,
            }
            at += 1;
        }
        (how, at)
    }

    fn check(self, pairs: usize) -> Result<(), Error> {
        if self.nx && self.xx {
            return Err(Error::new("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.gt || self.lt) && self.nx || self.gt && self.lt {
            return Err(Error::new(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && pairs > 1 {
            return Err(Error::new("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }
}

/// What became of the members.
#[derive(Debug, Default)]
struct Tally {
    added: usize,
    updated: usize,
    /// The last one's score, unless an option kept it from being looked at.
    score: Option<f64>,
}

/// What is to be done about one member.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    /// The score that it gets.
    put: Option<f64>,
    /// The score to tell of, unless an option kept it from being looked at.
    score: Option<f64>,
    is_new: bool,
}

impl How {
    /// What `score` means for a member that has `old`, if it is there.
    #[inline]
    fn judge(self, old: Option<f64>, score: f64) -> Result<Verdict, Error> {
        const NOTHING: Verdict = Verdict { put: None, score: None, is_new: false };
        let Some(old) = old else {
            let put = Some(score).filter(|_| !self.xx);
            return Ok(Verdict { put, score: put, is_new: true });
        };
        if self.nx {
            return Ok(NOTHING);
        }
        let score = if self.incr { old + score } else { score };
        if score.is_nan() {
            return Err(NAN);
        }
        if self.gt && score <= old || self.lt && score >= old {
            return Ok(NOTHING);
        }
        Ok(Verdict {
            put: Some(score).filter(|score| *score != old),
            score: Some(score),
            is_new: false,
        })
    }
}

impl Tally {
    #[inline]
    fn note(&mut self, verdict: Verdict) {
        match verdict.put {
            Some(_) if verdict.is_new => self.added += 1,
            Some(_) => self.updated += 1,
            None => {}
        }
        self.score = verdict.score.or(self.score);
    }

    #[inline]
    fn put(
        &mut self,
        draft: &mut Draft<'_>,
        how: How,
        (score, member): (f64, &[u8]),
        limits: Limits,
    ) -> Result<(), Error> {
        let spot = draft.spot(member);
        let verdict = how.judge(spot.score(), score)?;
        if let Some(score) = verdict.put {
            draft.put(spot, member, score, limits);
        }
        self.note(verdict);
        Ok(())
    }
}

pub fn zadd(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (how, at) = How::parse(args);
    let words = args.len() - at;
    if words == 0 || !words.is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    how.check(words / 2)?;
    let pair = |i: usize| Ok((parse(args.get(i))?, args.get(i + 1)));
    let first = pair(at)?;
    // All scores are looked at before anything is changed.
    let rest: Vec<_> = (at + 2..args.len()).step_by(2).map(pair).collect::<Result<_, Error>>()?;
    let key = cx.key(args, 1);
    add(cx, key, first, &rest, how)
}

pub fn zincrby(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, how) = (cx.key(args, 1), How { incr: true, ..How::default() });
    add(cx, key, (parse(args.get(2))?, args.get(3)), &[], how)
}

/// Adds members with scores, and replies with what became of them.
#[inline]
pub fn add(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    first: (f64, &[u8]),
    rest: &[(f64, &[u8])],
    how: How,
) -> Result<(), Error> {
    if rest.is_empty()
        && let Some(tally) = add_shared(cx, key, first, how)
    {
        return reply(cx, key, &tally?, how);
    }
    let limits = limits(cx);
    let mut write = cx.db.write(key);
    let mut tally = Tally::default();
    let set = match draft(&mut write)? {
        None if how.xx => None,
        None => Some(Draft::new(limits, first.1.len())),
        some => some,
    };
    if let Some(mut set) = set {
        tally.put(&mut set, how, first, limits)?;
        let ask = |set: &Draft<'_>, group: &[&(f64, &[u8])]| {
            let sought = |pair: &&(f64, _)| (pair.1, Some(pair.0));
            let sought = group.iter().map(sought);
            set.ask_ahead(sought.map(|(name, score)| Sought {
                name,
                ordered: true,
                score,
                changed: true,
            }));
        };
        let mut put = Ok(());
        in_groups(&mut set, rest.iter(), ask, |set, pair| {
            if put.is_ok() {
                put = tally.put(set, how, *pair, limits);
            }
        });
        put?;
        if tally.added + tally.updated > 0 {
            let done = set.done();
            settle(&mut write, done, Expiry::Keep);
        }
    }
    drop(write);
    reply(cx, key, &tally, how)
}

/// Adds one member beside others that work on the set, or none if that cannot be.
#[inline]
fn add_shared(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    (score, member): (f64, &[u8]),
    how: How,
) -> Option<Result<Tally, Error>> {
    let verdict = cx.db.share(key, Type::ZSet, |shared| {
        shared.scored(member)?.change(|old| {
            let verdict = how.judge(old, score);
            (verdict.as_ref().ok().and_then(|verdict| verdict.put), verdict)
        })
    })?;
    let mut tally = Tally::default();
    Some(verdict.map(|verdict| {
        tally.note(verdict);
        tally
    }))
}

/// Tells what was done to the sorted set, and replies.
#[inline]
fn reply(cx: &mut Cx<'_>, key: Key<'_>, tally: &Tally, how: How) -> Result<(), Error> {
    if tally.added + tally.updated > 0 {
        told(cx, key.bytes, if how.incr { "zincr" } else { "zadd" }, false);
    }
    match tally.score {
        Some(score) if how.incr => access::score(cx.reply, score),
        None if how.incr => cx.reply.null(),
        _ => cx.reply.count(tally.added + if how.ch { tally.updated } else { 0 }),
    }
    Ok(())
}

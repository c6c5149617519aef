//! Taking members out: ZREM, ZREMRANGEBY…, ZPOPMIN, ZPOPMAX, ZMPOP.

use super::access::{draft, score, settle, told};
use super::bounds::{self, Bounds};
use super::shrink::{Outcome, Removed, shrink};
use super::stretch::{self, Span, Stretch};
use super::{Args, Cx, Error};
use crate::commands::ahead::in_groups;
use crate::commands::args::{integer, integer_in};
use crate::commands::elements;
use crate::commands::event::{Class, Voice};
use crate::db::{Access, Expiry, Key};
use crate::resp::Reply;
use crate::types::object::{Sought, Type};
use crate::types::packed::Element;
use crate::types::zset::{Draft, View};
use std::ops::Range;

pub fn zrem(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let members = args.from(2);
    let remove = |set: &mut Draft<'_>| {
        let mut count = 0;
        let ask = |set: &Draft<'_>, names: &[&[u8]]| {
            let names = names.iter().copied();
            set.ask_ahead(names.map(|name| Sought {
                name,
                ordered: true,
                score: None,
                changed: true,
            }));
        };
        in_groups(set, members.iter(), ask, |set, member| {
            count += usize::from(!set.is_empty() && set.remove(member));
        });
        count
    };
    let key = cx.key(args, 1);
    let one = |db: &mut Access<'_>| {
        db.share(key, Type::ZSet, |shared| shared.scored(members.get(0))?.remove())
    };
    let count = match (members.len() == 1).then(|| one(&mut cx.db)).flatten() {
        Some(removed) => {
            if removed {
                told(cx, key.bytes, "zrem", false);
            }
            usize::from(removed)
        }
        None => change(cx, key, "zrem", remove)?,
    };
    cx.reply.count(count);
    Ok(())
}

/// Changes the sorted set under a key, if it exists. `f` tells how many members it took out.
fn change(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    word: &'static str,
    f: impl FnOnce(&mut Draft<'_>) -> usize,
) -> Result<usize, Error> {
    let mut write = cx.db.write(key);
    let Some(mut set) = draft(&mut write)? else { return Ok(0) };
    let count = f(&mut set);
    if count == 0 {
        return Ok(0);
    }
    let done = set.done();
    let emptied = settle(&mut write, done, Expiry::Keep);
    drop(write);
    told(cx, key.bytes, word, emptied);
    Ok(count)
}

pub fn zremrangebyrank(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (start, stop) = (integer(args.get(2))?, integer(args.get(3))?);
    remove_range(cx, args, "zremrangebyrank", |set| bounds::ranks(start, stop, set.len()))
}

pub fn zremrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let bounds = Bounds::scores(args.get(2), args.get(3))?;
    remove_range(cx, args, "zremrangebyscore", |set| bounds.ranks(set))
}

pub fn zremrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let bounds = Bounds::texts(args.get(2), args.get(3))?;
    remove_range(cx, args, "zremrangebylex", |set| bounds.ranks(set))
}

fn remove_range(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    word: &'static str,
    range: impl Fn(&View<'_>) -> Range<usize>,
) -> Result<(), Error> {
    let key = cx.key(args, 1);
    match shrink(cx, key, &range)? {
        Outcome::Few => {}
        Outcome::Later => return Ok(()),
        Outcome::Done(removed) => {
            told(cx, key.bytes, word, removed.emptied());
            cx.reply.count(removed.range.len());
            return Ok(());
        }
    }
    let count = change(cx, key, word, |set| {
        let range = range(&set.view());
        if range.len() == set.len() {
            set.clear();
            return range.len();
        }
        set.remove_range(range.start, range.len(), |_, _| ())
    })?;
    cx.reply.count(count);
    Ok(())
}

/// Which end members are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl End {
    /// The command that takes members off it.
    pub const fn command(self) -> &'static [u8] {
        match self {
            Self::Min => b"ZPOPMIN",
            Self::Max => b"ZPOPMAX",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        }
    }

    /// What was taken off this end, as a reply with scores.
    fn shown(self, removed: Box<Removed>) -> Box<Stretch> {
        let Removed { was, range } = *removed;
        let span = Span { from: range.start, count: range.len(), reverse: self == Self::Max };
        Stretch::with_scores(was, span)
    }

    /// From an option's word.
    fn of(args: Args<'_>, at: usize) -> Result<Self, Error> {
        if args.is(at, "MIN") {
            Ok(Self::Min)
        } else if args.is(at, "MAX") {
            Ok(Self::Max)
        } else {
            Err(Error::Syntax)
        }
    }
}

/// How popped members are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Member, score, member, score.
    Flat,
    /// An array for each.
    Pairs,
}

fn show(reply: &mut Reply, shape: Shape, member: &Element<'_>, own: f64) {
    if shape == Shape::Pairs {
        return stretch::pair(member, own, reply);
    }
    elements::bulk(reply, member);
    score(reply, own);
}

/// Takes up to `count` members out of the sorted set under a key, and shows them after what `head`
/// encodes, which gets their number. False if there is none.
pub fn pop(
    (db, reply, voice): (&mut Access<'_>, &mut Reply, Voice),
    key: Key<'_>,
    (end, count): (End, usize),
    shape: Shape,
    head: impl FnOnce(&mut Reply, usize),
) -> Result<bool, Error> {
    let mut write = db.write(key);
    let Some(mut set) = draft(&mut write)? else { return Ok(false) };
    let len = set.len();
    let count = count.min(len);
    head(reply, count);
    if count == 0 {
        return Ok(true);
    }
    match end {
        End::Min => _ = set.remove_range(0, count, |m, s| show(reply, shape, m, s)),
        End::Max if count == 1 => {
            set.remove_range(len - 1, 1, |m, s| show(reply, shape, m, s));
        }
        End::Max => {
            let back = set.view().range_back(len, count);
            back.for_each(|(m, s)| show(reply, shape, &m, s));
            set.remove_range(len - count, count, |_, _| ());
        }
    }
    let done = set.done();
    let emptied = settle(&mut write, done, Expiry::Keep);
    drop(write);
    voice.event(db, Class::ZSET, end.word(), key.bytes);
    if emptied {
        voice.event(db, Class::GENERIC, "del", key.bytes);
    }
    Ok(true)
}

pub fn zpopmin(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_one_key(cx, args, End::Min)
}

pub fn zpopmax(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    pop_one_key(cx, args, End::Max)
}

fn pop_one_key(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let count = match args.len() {
        2 => None,
        3 => {
            let positive = "ERR value is out of range, must be positive";
            Some(integer_in(args.get(2), 0.., positive)? as usize)
        }
        _ => return Err(Error::Syntax),
    };
    if let Some(done) = stretch::resume(cx) {
        return done;
    }
    let nested = cx.reply.resp3 && count.is_some();
    let shape = if nested { Shape::Pairs } else { Shape::Flat };
    let head = |reply: &mut Reply, n| reply.array(if nested { n } else { 2 * n });
    let (key, voice, count) = (cx.key(args, 1), cx.voice(), count.unwrap_or(1));
    match pop_many(cx, key, (end, count))? {
        Outcome::Few => {}
        Outcome::Later => return Ok(()),
        Outcome::Done(removed) => {
            told(cx, key.bytes, end.word(), removed.emptied());
            return stretch::begin(cx, end.shown(removed));
        }
    }
    let Cx { db, reply, .. } = cx;
    if !pop((db, reply, voice), key, (end, count), shape, head)? {
        cx.reply.array(0);
    }
    Ok(())
}

/// Takes `count` members off an end of a sorted set, if they are many.
fn pop_many(cx: &mut Cx<'_>, key: Key<'_>, (end, count): (End, usize)) -> Result<Outcome, Error> {
    if count <= MANY && cx.session.resume.is_none() {
        return Ok(Outcome::Few);
    }
    shrink(cx, key, |set| {
        let (len, count) = (set.len(), count.min(set.len()));
        match end {
            End::Min => 0..count,
            End::Max => len - count..len,
        }
    })
}

/// From this count on it is worth looking whether many members will go.
const MANY: usize = 1_024;

/// A number of keys, the keys and what they are to be popped by: `numkeys key … MIN|MAX [COUNT n]`.
pub struct Multi<'k> {
    /// The keys.
    pub keys: Vec<Key<'k>>,
    /// From which end.
    pub end: End,
    /// How many.
    pub count: usize,
}

impl<'k> Multi<'k> {
    /// Reads the arguments, of which `at` is the number of keys.
    pub fn parse(args: Args<'k>, at: usize) -> Result<Self, Error> {
        let positive = |arg, text| integer_in(arg, 1.., text).map(|n| n as usize);
        let count = positive(args.get(at), "ERR numkeys should be greater than 0")?;
        let end_at = at.saturating_add(1).saturating_add(count);
        if end_at >= args.len() {
            return Err(Error::Syntax);
        }
        let end = End::of(args, end_at)?;
        let count = match args.len() - end_at {
            1 => 1,
            3 if args.is(end_at + 1, "COUNT") => {
                positive(args.get(end_at + 2), "ERR count should be greater than 0")?
            }
            _ => return Err(Error::Syntax),
        };
        let keys = (at + 1..end_at).map(|i| Key::new(args.get(i))).collect();
        Ok(Self { keys, end, count })
    }
}

/// Takes members out of one of the keys of ZMPOP; false if it has none.
pub fn pop_named(
    to: (&mut Access<'_>, &mut Reply, Voice),
    key: Key<'_>,
    what: (End, usize),
) -> Result<bool, Error> {
    let (db, reply, voice) = to;
    let head = |reply: &mut Reply, n| stretch::popped_head(reply, key.bytes, n);
    let popped = pop((db, reply, voice), key, what, Shape::Pairs, head)?;
    if popped {
        effect(db, key, what);
    }
    Ok(popped)
}

/// What ZMPOP and BZMPOP do is to take members off one key.
fn effect(db: &mut Access<'_>, key: Key<'_>, (end, count): (End, usize)) {
    let mut number = itoa::Buffer::new();
    db.effect(&[end.command(), key.bytes, number.format(count).as_bytes()]);
}

pub fn zmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if let Some(done) = stretch::resume(cx) {
        return done;
    }
    let Multi { keys, end, count } = Multi::parse(args, 1)?;
    if count > MANY
        && let Some(done) = pop_many_of(cx, &keys, (end, count))?
    {
        return done;
    }
    let voice = cx.voice();
    let Cx { db, reply, .. } = cx;
    let popped = db.hold(&keys, |db| {
        for key in &keys {
            if pop_named((db, reply, voice), *key, (end, count))? {
                return Ok(true);
            }
        }
        Ok::<_, Error>(false)
    })?;
    if !popped {
        cx.reply.null_array();
    }
    Ok(())
}

/// ZMPOP of many members of the first key that has any; None if they are few.
fn pop_many_of(
    cx: &mut Cx<'_>,
    keys: &[Key<'_>],
    (end, count): (End, usize),
) -> Result<Option<Result<(), Error>>, Error> {
    // Which key is the first can change until it is held, so many are only taken off an only one.
    let [key] = *keys else { return Ok(None) };
    Ok(match pop_many(cx, key, (end, count))? {
        Outcome::Few => None,
        Outcome::Later => Some(Ok(())),
        Outcome::Done(removed) => {
            effect(&mut cx.db, key, (end, count));
            told(cx, key.bytes, end.word(), removed.emptied());
            Some(stretch::begin(cx, end.shown(removed).popped(key.bytes)))
        }
    })
}

//! Commands that only read a hash.

use super::super::ahead::in_groups;
use super::super::args::integer;
use super::super::cursor::Cursor;
use super::super::elements::bulk;
use super::super::long::{self, Source};
use super::place::read_one;
use super::{Args, Cx, Error, View};
use crate::resp::Reply;
use crate::types::hash::{Field, Large, Rest};
use crate::types::object::Type;
use crate::types::sample::{Dice, Pick};
use std::collections::HashSet;

/// Fields of a large hash that are encoded under its stripe; a reply of more is made of a view.
const UNDER_STRIPE: usize = 200;

pub fn hget(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, reply) = (cx.key(args, 1), &mut *cx.reply);
    let found = read_one(&mut cx.db, key, args.get(2), |field| {
        field.map(|field| bulk(reply, &field.value))
    })?;
    if found.flatten().is_none() {
        cx.reply.null();
    }
    Ok(())
}

pub fn hmget(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now, reply) = (cx.key(args, 1), cx.db.now, &mut *cx.reply);
    let mark = reply.mark();
    reply.array(args.len() - 2);
    let found = cx.db.collection(key, Type::Hash, |seen| {
        let ask = |hash: &Option<View<'_>>, names: &[&[u8]]| {
            hash.inspect(|hash| hash.ask_ahead(names.iter().copied()));
        };
        in_groups(&mut View::of(seen), args.from(2).iter(), ask, |hash, name| {
            match hash.and_then(|hash| hash.get(name, now)) {
                Some(field) => bulk(reply, &field.value),
                None => reply.null(),
            }
        });
    });
    match found {
        Ok(Some(())) => {}
        Ok(None) => (2..args.len()).for_each(|_| cx.reply.null()),
        Err(error) => {
            cx.reply.cut(mark);
            return Err(error.into());
        }
    }
    Ok(())
}

/// Reads one field, or what the absence of the key or field means.
fn of_field(cx: &mut Cx<'_>, args: Args<'_>, f: impl Fn(Field<'_>) -> usize) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let found = read_one(&mut cx.db, key, args.get(2), |field| field.map_or(0, &f))?;
    cx.reply.count(found.unwrap_or(0));
    Ok(())
}

pub fn hexists(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    of_field(cx, args, |_| 1)
}

pub fn hstrlen(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    of_field(cx, args, |field| field.value.text(&mut Vec::new()).len())
}

pub fn hlen(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now) = (cx.key(args, 1), cx.db.now);
    let len =
        cx.db.collection(key, Type::Hash, |seen| View::of(seen).map_or(0, |hash| hash.len(now)))?;
    cx.reply.count(len.unwrap_or(0));
    Ok(())
}

/// What a reply shows of each field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    Names,
    Values,
    Both,
    /// Both, in protocol 3 as a pair of their own.
    Pairs,
}

impl Show {
    fn head(self, reply: &mut Reply, fields: usize) {
        match self {
            Self::Both => reply.map(fields),
            Self::Pairs if !reply.resp3 => reply.array(2 * fields),
            Self::Names | Self::Values | Self::Pairs => reply.array(fields),
        }
    }

    fn field(self, reply: &mut Reply, field: &Field<'_>) {
        if self == Self::Pairs && reply.resp3 {
            reply.array(2);
        }
        if self != Self::Values {
            bulk(reply, &field.name);
        }
        if self != Self::Names {
            bulk(reply, &field.value);
        }
    }
}

/// Fields of a large hash, as they were when the command began.
#[derive(Debug)]
struct Whole {
    rest: Rest,
    show: Show,
    /// Which of them.
    pick: Pick,
    dice: Dice,
    headed: bool,
}

impl Whole {
    /// `wanted` of the fields of a hash.
    fn of(hash: &Large, now: i64, show: Show, wanted: usize, dice: Dice) -> Self {
        let pick = Pick::new(wanted, hash.len(now));
        Self { rest: hash.view(now), show, pick, dice, headed: false }
    }
}

impl Source for Whole {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let Self { rest, show, pick, dice, headed } = self;
        if !std::mem::replace(headed, true) {
            show.head(reply, pick.wanted());
        }
        rest.next(256, |field| {
            if pick.takes(dice) {
                show.field(reply, &field);
            }
        })
    }
}

fn all(cx: &mut Cx<'_>, args: Args<'_>, show: Show) -> Result<(), Error> {
    if let Some(result) = resumed::<Whole>(cx) {
        return result;
    }
    let (key, now, reply) = (cx.key(args, 1), cx.db.now, &mut *cx.reply);
    let rest = cx.db.collection(key, Type::Hash, |seen| {
        let hash = View::of(seen)?;
        let fields = hash.len(now);
        match hash {
            View::Large(large) if fields > UNDER_STRIPE => {
                Some(Whole::of(large, now, show, fields, Dice::new(0)))
            }
            _ => {
                show.head(reply, fields);
                hash.each(now, |field| show.field(reply, &field));
                None
            }
        }
    })?;
    match rest {
        None => show.head(cx.reply, 0),
        Some(None) => {}
        Some(Some(whole)) => return long::begin(cx, whole),
    }
    Ok(())
}

fn resumed<S: Source>(cx: &mut Cx<'_>) -> Option<Result<(), Error>> {
    if cx.session.resume.is_some() { long::resume::<S>(cx) } else { None }
}

pub fn hgetall(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    all(cx, args, Show::Both)
}

pub fn hkeys(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    all(cx, args, Show::Names)
}

pub fn hvals(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    all(cx, args, Show::Values)
}

/// Buckets of a large hash that one HSCAN opens at most, whatever COUNT says.
const SCAN_BUCKETS: usize = 4_000;

/// One step of a walk over a hash: the fields that it shows.
struct Step {
    cursor: Cursor,
    show: Show,
    reply: Reply,
    looked: usize,
    shown: usize,
    scratch: Vec<u8>,
}

impl Step {
    fn new(mut cursor: Cursor, args: Args<'_>, resp3: bool) -> Result<Self, Error> {
        let mut show = Show::Both;
        cursor.options(args, |word| {
            let known = word.eq_ignore_ascii_case(b"NOVALUES");
            show = if known { Show::Names } else { show };
            known
        })?;
        let (reply, scratch) = (Reply::of_protocol(resp3), Vec::new());
        Ok(Self { cursor, show, reply, looked: 0, shown: 0, scratch })
    }

    fn field(&mut self, field: &Field<'_>) {
        self.looked += 1;
        if self.cursor.wants(field.name.text(&mut self.scratch)) {
            self.shown += 1;
            self.show.field(&mut self.reply, field);
        }
    }

    /// Looks at some fields and returns the next cursor.
    fn walk(&mut self, hash: View<'_>, now: i64) -> u64 {
        let mut next = 0;
        match hash {
            View::Small(small) => small.iter(now).for_each(|field| self.field(&field)),
            View::Large(large) => {
                next = self.cursor.at;
                for _ in 0..SCAN_BUCKETS {
                    next = large.scan(next, now, |field| self.field(&field));
                    if next == 0 || self.looked >= self.cursor.count {
                        break;
                    }
                }
            }
        }
        next
    }
}

pub fn hscan(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = Cursor::parse(args)?;
    let (key, now, reply) = (cx.key(args, 1), cx.db.now, &mut *cx.reply);
    let found = cx.db.collection(key, Type::Hash, |seen| {
        let mut step = Step::new(cursor, args, reply.resp3)?;
        let next = View::of(seen).map_or(0, |hash| step.walk(hash, now));
        reply.array(2);
        reply.bulk(next.to_string().as_bytes());
        reply.array(step.shown * if step.show == Show::Both { 2 } else { 1 });
        reply.append(&mut step.reply);
        Ok::<_, Error>(())
    })?;
    let Some(result) = found else {
        // The options of a walk over nothing are not read, as in Redis.
        cx.reply.array(2);
        cx.reply.bulk(b"0");
        cx.reply.array(0);
        return Ok(());
    };
    result
}

/// Fields picked with repetition from a hash as it was when the command began.
struct Picks {
    hash: Large,
    show: Show,
    now: i64,
    left: u64,
    dice: Dice,
    headed: bool,
}

impl Source for Picks {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let Self { hash, show, now, left, dice, headed } = self;
        if !std::mem::replace(headed, true) {
            show.head(reply, usize::try_from(*left).unwrap_or(usize::MAX));
        }
        for _ in 0..128.min(*left) {
            if let Some(field) = hash.random(*now, || dice.roll()) {
                show.field(reply, &field);
            }
        }
        *left -= 128.min(*left);
        *left > 0
    }
}

/// Fields that are looked up at random under the stripe; for more a copy or a view is taken.
const FEW: usize = 1000;

/// What is left to do for HRANDFIELD when the stripe has been given back.
enum Random {
    Some(Whole),
    Picks(Box<Picks>),
}

impl Source for Random {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        match self {
            Self::Some(whole) => whole.encode(reply),
            Self::Picks(picks) => picks.encode(reply),
        }
    }
}

/// What HRANDFIELD wants, with the source of its choice.
struct Wish {
    now: i64,
    show: Show,
    dice: Dice,
}

impl Wish {
    /// `count` different fields.
    fn some(mut self, reply: &mut Reply, hash: &View<'_>, count: usize) -> Option<Random> {
        let (now, show) = (self.now, self.show);
        match hash {
            View::Small(small) => {
                let mut pick = Pick::new(count, small.len(now));
                show.head(reply, pick.wanted());
                let picked = small.iter(now).filter(|_| pick.takes(&mut self.dice));
                picked.for_each(|field| show.field(reply, &field));
                None
            }
            View::Large(large) if count > FEW || count > large.len(now) / 3 => {
                Some(Random::Some(Whole::of(large, now, show, count, self.dice)))
            }
            View::Large(large) => {
                let mut names = HashSet::with_capacity(count);
                show.head(reply, count);
                while names.len() < count
                    && let Some(field) = large.random(now, || self.dice.roll())
                {
                    if names.insert(field.name.text(&mut Vec::new()).to_vec()) {
                        show.field(reply, &field);
                    }
                }
                None
            }
        }
    }

    /// `count` fields, of which some may be the same.
    fn repeated(mut self, reply: &mut Reply, hash: &View<'_>, count: u64) -> Option<Random> {
        let Self { now, show, .. } = self;
        let few = usize::try_from(count).ok().filter(|&count| count <= FEW);
        match (few, hash) {
            (Some(count), View::Small(small)) => {
                let fields: Vec<_> = small.iter(now).collect();
                let count = if fields.is_empty() { 0 } else { count };
                show.head(reply, count);
                for _ in 0..count {
                    show.field(reply, &fields[self.dice.below(fields.len())]);
                }
                None
            }
            (_, hash) => {
                let hash = match hash {
                    View::Small(small) => small.to_large(),
                    View::Large(large) => (*large).clone(),
                };
                let left = if hash.len(now) == 0 { 0 } else { count };
                let dice = self.dice;
                Some(Random::Picks(Box::new(Picks { hash, show, now, left, dice, headed: false })))
            }
        }
    }
}

pub fn hrandfield(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if let Some(result) = resumed::<Random>(cx) {
        return result;
    }
    if args.len() == 2 {
        return random_one(cx, args);
    }
    let count = integer(args.get(2))?;
    if count == i64::MIN {
        return Err(Error::new(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ));
    }
    let show = match args.len() {
        3 => Show::Names,
        4 if args.is(3, "WITHVALUES") => Show::Pairs,
        _ => return Err(Error::Syntax),
    };
    if show == Show::Pairs && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::new("ERR value is out of range"));
    }
    let (key, now, reply) = (cx.key(args, 1), cx.db.now, &mut *cx.reply);
    let wish = Wish { now, show, dice: Dice::new(cx.db.local.random()) };
    let config = &cx.local.config;
    let found = cx.db.collection(key, Type::Hash, |seen| -> Result<_, Error> {
        let Some(hash) = View::of(seen) else { return Ok(None) };
        Ok(Some(match usize::try_from(count) {
            Ok(count) => wish.some(reply, &hash, count),
            Err(_) => {
                let count = count.unsigned_abs();
                long::refuse_beyond(config, count as usize, hash.weight(), hash.len(now))?;
                wish.repeated(reply, &hash, count)
            }
        }))
    })?;
    match found.transpose()?.flatten() {
        None => cx.reply.array(0),
        Some(None) => {}
        Some(Some(random)) => return long::begin(cx, random),
    }
    Ok(())
}

fn random_one(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, now, reply) = (cx.key(args, 1), cx.db.now, &mut *cx.reply);
    let mut dice = Dice::new(cx.db.local.random());
    let found = cx.db.collection(key, Type::Hash, |seen| {
        let field = match View::of(seen)? {
            View::Small(small) => small.iter(now).nth(dice.below(small.len(now))),
            View::Large(large) => large.random(now, || dice.roll()),
        };
        field.map(|field| bulk(reply, &field.name))
    })?;
    if found.flatten().is_none() {
        cx.reply.null();
    }
    Ok(())
}

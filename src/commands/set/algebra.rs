//! Commands on whole sets: all members of one, and what several have in common or apart.
//!
//! They see their sets as these are at one instant, and a result is stored in the same instant.

use super::super::args::integer_in;
use super::super::event::Class;
use super::{Cx, Error};
use super::{limits, put, view};
use crate::db::{Access, Expiry, Key, Seen};
use crate::resp::{Args, Reply};
use crate::types::object::Type;
use crate::types::set::{Draft, Limits, Made, View, algebra};

/// How sets are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Inter,
    Union,
    Diff,
}

impl Op {
    /// The event of a stored result.
    const fn stored(self) -> &'static str {
        match self {
            Self::Inter => "sinterstore",
            Self::Union => "sunionstore",
            Self::Diff => "sdiffstore",
        }
    }
}

/// The sets that were found, if `op` has any work with them: without the first there is no
/// difference, and without any of them no intersection.
fn found<'v>(seen: &[Option<Seen<'v>>], op: Op) -> Option<Vec<View<'v>>> {
    let needed = match op {
        Op::Inter => seen.iter().all(Option::is_some),
        Op::Union => true,
        Op::Diff => seen.first().is_some_and(Option::is_some),
    };
    needed.then(|| seen.iter().flatten().map(|seen| view(*seen)).collect())
}

/// Members already encoded.
#[derive(Debug, Default)]
struct Members {
    count: usize,
    text: Reply,
}

/// Combines the sets of `keys` and replies with the result.
fn answer(cx: &mut Cx<'_>, args: Args<'_>, op: Op) -> Result<(), Error> {
    let keys: Vec<Key<'_>> = args.iter().map(Key::new).collect();
    let limits = limits(&cx.local.config);
    let members = cx.db.collections(&keys, &[Type::Set], |seen| {
        let mut members = Members::default();
        let mut show = |member: crate::types::set::Member<'_>| {
            members.count += 1;
            members.text.member(&member);
        };
        let Some(sets) = found(seen, op) else { return members };
        match op {
            _ if sets.len() == 1 => sets[0].each(show),
            Op::Inter => algebra::intersect(&sets, |member| {
                show(member);
                true
            }),
            Op::Union => algebra::unite(&sets, limits).each(show),
            Op::Diff => algebra::subtract(&sets, limits, show),
        }
        members
    })?;
    cx.reply.set(members.count);
    cx.reply.raw(&members.text.bytes);
    Ok(())
}

pub fn smembers(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    answer(cx, args.from(1), Op::Union)
}

pub fn sinter(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    answer(cx, args.from(1), Op::Inter)
}

pub fn sunion(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    answer(cx, args.from(1), Op::Union)
}

pub fn sdiff(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    answer(cx, args.from(1), Op::Diff)
}

pub fn sintercard(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    const KEYS: &str = "ERR numkeys should be greater than 0";
    let count = integer_in(args.get(1), 1.., KEYS)?;
    let end = usize::try_from(count).ok().and_then(|count| count.checked_add(2));
    let Some(end) = end.filter(|end| *end <= args.len()) else {
        return Err(Error::new("ERR Number of keys can't be greater than number of args"));
    };
    let (mut at, mut limit) = (end, 0);
    while at < args.len() {
        if !args.is(at, "LIMIT") || at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        limit = integer_in(args.get(at + 1), 0.., "ERR LIMIT can't be negative")?;
        at += 2;
    }
    let limit = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let keys: Vec<Key<'_>> = (2..end).map(|at| Key::new(args.get(at))).collect();
    let count = cx.db.collections(&keys, &[Type::Set], |seen| {
        let Some(sets) = found(seen, Op::Inter) else { return 0 };
        let mut count = 0;
        algebra::intersect(&sets, |_| {
            count += 1;
            count < limit
        });
        count
    })?;
    cx.reply.count(count);
    Ok(())
}

/// Combines the sets of all keys but the first, and stores the result there.
fn store(cx: &mut Cx<'_>, args: Args<'_>, op: Op) -> Result<(), Error> {
    let keys: Vec<Key<'_>> = args.from(1).iter().map(Key::new).collect();
    let limits = limits(&cx.local.config);
    let (to, sources) = (keys[0], &keys[1..]);
    let stored = cx.db.hold(&keys, |db| {
        let made = combine(db, sources, op, limits)?;
        let (len, made) = made.map_or((0, Made::Empty), |draft| (draft.len(), draft.finish()));
        let mut write = db.write(to);
        let existed = write.exists();
        put(&mut write, made, Expiry::Never);
        Ok::<_, Error>((len, existed))
    })?;
    let (stored, existed) = stored;
    if stored > 0 {
        cx.event(Class::SET, op.stored(), to.bytes);
    } else if existed {
        cx.event(Class::GENERIC, "del", to.bytes);
    }
    cx.reply.count(stored);
    Ok(())
}

/// A set of what `op` makes of those of `keys`.
fn combine(
    db: &mut Access<'_>,
    keys: &[Key<'_>],
    op: Op,
    limits: Limits,
) -> Result<Option<Draft>, Error> {
    let made = db.collections(keys, &[Type::Set], |seen| {
        let sets = found(seen, op)?;
        let mut draft = Draft::new(limits);
        match op {
            Op::Inter => algebra::intersect(&sets, |member| {
                draft.insert(&member);
                true
            }),
            Op::Union => draft = algebra::unite(&sets, limits),
            Op::Diff => algebra::subtract(&sets, limits, |member| _ = draft.insert(&member)),
        }
        Some(draft)
    })?;
    Ok(made)
}

pub fn sinterstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    store(cx, args, Op::Inter)
}

pub fn sunionstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    store(cx, args, Op::Union)
}

pub fn sdiffstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    store(cx, args, Op::Diff)
}

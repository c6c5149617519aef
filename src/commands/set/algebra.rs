//! Commands on whole sets: all members of one, and what several have in common or apart.
//!
//! They see their sets as these are at one instant, and a result is stored in the same instant. What
//! is too much for one go is done in slices, from references to the members as they were: nobody is
//! held up meanwhile. A result for a key is stored if its sources are still the same then; if not, the
//! work is done anew, and after some tries while all keys are held.

use super::super::args::integer_in;
use super::super::event::Class;
use super::super::long::{self, Source};
use super::super::slice::{self, Slice};
use super::{Cx, Error};
use super::{limits, put, view};
use crate::db::{Expiry, Key, Seen};
use crate::resp::{Args, Reply};
use crate::types::object::Type;
use crate::types::set::long::{Combining, Op, Walk, Witness, cost};
use crate::types::set::{Draft, Limits, Member, View, algebra};

/// Members that are combined or shown in one go; what is more is done in slices.
const AT_ONCE: usize = 4_000;
/// Members between two looks at the time.
const STEP: usize = 256;

/// The event of a stored result.
const fn stored(op: Op) -> &'static str {
    match op {
        Op::Inter => "sinterstore",
        Op::Union => "sunionstore",
        Op::Diff => "sdiffstore",
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

/// A reply with all members of a set, in slices.
pub struct Shown {
    /// The reply's head is still to come: for so many members.
    head: Option<usize>,
    members: Walk,
}

impl Shown {
    /// All members of `set` as it is now.
    pub fn all(set: View<'_>) -> Self {
        Self { head: Some(set.len()), members: Walk::over(set) }
    }
}

impl Source for Shown {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        if let Some(count) = self.head.take() {
            reply.set(count);
        }
        self.members.next(STEP, |member| reply.member(&member))
    }
}

/// How far a command came in its first step.
enum Begun {
    /// All members are encoded.
    Done(usize, Reply),
    /// There is only one set to show.
    One(Shown),
    /// There is more to combine than is done in one go.
    Long(Box<Combining>),
}

/// Combines the sets of `keys` and replies with the result.
fn answer(cx: &mut Cx<'_>, args: Args<'_>, op: Op) -> Result<(), Error> {
    if let Some(result) = long::resume::<Shown>(cx) {
        return result;
    }
    if let Some(work) = slice::resume::<Combining>(cx) {
        return show(cx, work);
    }
    let keys: Vec<Key<'_>> = args.iter().map(Key::new).collect();
    let limits = limits(&cx.local.config);
    let begun = cx.db.collections(&keys, &[Type::Set], |seen| {
        let Some(sets) = found(seen, op) else { return Begun::Done(0, Reply::default()) };
        let much = cost(op, &sets) > AT_ONCE;
        match sets[..] {
            [] => Begun::Done(0, Reply::default()),
            [set] if much => Begun::One(Shown::all(set)),
            _ if much => Begun::Long(Box::new(Combining::new(op, &sets, limits))),
            _ => at_once(op, &sets, limits),
        }
    })?;
    match begun {
        Begun::Done(count, members) => {
            cx.reply.set(count);
            cx.reply.raw(&members.bytes);
            Ok(())
        }
        Begun::One(shown) => long::begin(cx, shown),
        Begun::Long(work) => show(cx, work),
    }
}

fn at_once(op: Op, sets: &[View<'_>], limits: Limits) -> Begun {
    let (mut count, mut members) = (0, Reply::default());
    let mut show = |member: Member<'_>| {
        count += 1;
        members.member(&member);
    };
    match op {
        _ if sets.len() == 1 => sets[0].each(show),
        Op::Inter => algebra::intersect(sets, |member| {
            show(member);
            true
        }),
        Op::Union => algebra::unite(sets, limits).each(show),
        Op::Diff => algebra::subtract(sets, limits, show),
    }
    Begun::Done(count, members)
}

/// Goes on with the work, and then with the reply.
fn show(cx: &mut Cx<'_>, mut work: Box<Combining>) -> Result<(), Error> {
    if go_on(&mut work) {
        return Slice::pause(cx, work);
    }
    let result = work.into_result();
    long::begin(cx, result.with(Shown::all))
}

/// Works for a slice. False if nothing is left to do.
fn go_on(work: &mut Combining) -> bool {
    let slice = Slice::begin();
    while work.go_on(STEP) {
        if slice.is_over() {
            return true;
        }
    }
    false
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
    if let Some(work) = slice::resume::<Combining>(cx) {
        return count_on(cx, work);
    }
    let keys: Vec<Key<'_>> = (2..end).map(|at| Key::new(args.get(at))).collect();
    let limits = limits(&cx.local.config);
    let begun = cx.db.collections(&keys, &[Type::Set], |seen| {
        let Some(sets) = found(seen, Op::Inter) else { return Ok(0) };
        if let [set] = sets[..] {
            return Ok(set.len().min(limit));
        }
        if cost(Op::Inter, &sets).min(limit) > AT_ONCE {
            // One short of "all", so that it counts.
            let limit = limit.min(usize::MAX - 1);
            return Err(Box::new(Combining::new(Op::Inter, &sets, limits).counting(limit)));
        }
        let mut count = 0;
        algebra::intersect(&sets, |_| {
            count += 1;
            count < limit
        });
        Ok(count)
    })?;
    match begun {
        Ok(count) => {
            cx.reply.count(count);
            Ok(())
        }
        Err(work) => count_on(cx, work),
    }
}

fn count_on(cx: &mut Cx<'_>, mut work: Box<Combining>) -> Result<(), Error> {
    if go_on(&mut work) {
        return Slice::pause(cx, work);
    }
    cx.reply.count(work.found());
    Ok(())
}

/// A result on its way to its key.
struct Storing {
    work: Combining,
    /// What the sources were, in the order of their keys.
    sources: Vec<Witness>,
    tries: u32,
}

/// Times that a result whose sources have changed is computed anew before they are held meanwhile.
const TRIES: u32 = 3;

impl Storing {
    fn new(seen: &[Option<Seen<'_>>], work: Combining, tries: u32) -> Self {
        let sources = seen.iter().map(|seen| Witness::of(seen.map(view))).collect();
        Self { work, sources, tries }
    }

    fn is_still(&self, seen: &[Option<Seen<'_>>]) -> bool {
        self.sources.iter().zip(seen).all(|(source, seen)| source.is_still(seen.map(view)))
    }
}

/// What became of a STORE under its keys' stripes.
enum Stored {
    /// It is done: members, and whether the key was there before.
    Done(usize, bool),
    /// It is to be computed first, from the sources as they were then.
    Long(Box<Storing>),
}

/// Combines the sets of all keys but the first, and stores the result there.
fn store(cx: &mut Cx<'_>, args: Args<'_>, op: Op) -> Result<(), Error> {
    let mut ready = slice::resume::<Storing>(cx);
    if let Some(storing) = &mut ready
        && go_on(&mut storing.work)
    {
        return Slice::pause(cx, ready.unwrap_or_else(|| unreachable!("looked at just above")));
    }
    let keys: Vec<Key<'_>> = args.from(1).iter().map(Key::new).collect();
    let limits = limits(&cx.local.config);
    let (to, sources) = (keys[0], &keys[1..]);
    let outcome = cx.db.hold(&keys, |db| {
        let mut ready = ready.take();
        let draft = db.collections(sources, &[Type::Set], |seen| {
            let tries = match ready.take() {
                Some(storing) if storing.is_still(seen) => return Ok(storing.work.into_result()),
                Some(storing) => storing.tries + 1,
                None => 0,
            };
            let Some(sets) = found(seen, op) else { return Ok(Draft::new(limits)) };
            if cost(op, &sets) > AT_ONCE && tries < TRIES {
                return Err(Box::new(Storing::new(seen, Combining::new(op, &sets, limits), tries)));
            }
            Ok(combine(op, &sets, limits))
        })?;
        match draft {
            Ok(draft) => {
                let (len, made) = (draft.len(), draft.finish());
                let mut write = db.write(to);
                let existed = write.exists();
                put(&mut write, made, Expiry::Never);
                Ok(Stored::Done(len, existed))
            }
            Err(storing) => Ok::<_, Error>(Stored::Long(storing)),
        }
    })?;
    match outcome {
        Stored::Done(len, existed) => {
            if len > 0 {
                cx.event(Class::SET, stored(op), to.bytes);
            } else if existed {
                cx.event(Class::GENERIC, "del", to.bytes);
            }
            cx.reply.count(len);
            Ok(())
        }
        Stored::Long(storing) => Slice::pause(cx, storing),
    }
}

/// A set of what `op` makes of `sets`.
fn combine(op: Op, sets: &[View<'_>], limits: Limits) -> Draft {
    let mut draft = Draft::new(limits);
    match op {
        Op::Inter => algebra::intersect(sets, |member| {
            draft.insert(&member);
            true
        }),
        Op::Union => return algebra::unite(sets, limits),
        Op::Diff => algebra::subtract(sets, limits, |member| _ = draft.insert(&member)),
    }
    draft
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

//! SPOP and SRANDMEMBER: members by chance, each as likely as any other.
//!
//! SRANDMEMBER may be asked for any number of members, again and again: what is more than the client's
//! output limit is refused before it is begun.

use super::super::args::{integer, integer_in};
use super::super::long::{self, Blocks, Source};
use super::super::slice::{self, Slice};
use super::algebra::Shown;
use super::{Cx, Error};
use super::{change, put, tell_removed, view};
use crate::db::{Access, Expiry, Holds, Key, New};
use crate::resp::{Args, Reply};
use crate::types::object::{Object, Type};
use crate::types::sample::{Dice, Pick};
use crate::types::set::long::{Copied, Walk, Witness};
use crate::types::set::{Large, Made, View, edit};

pub fn spop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        2 => pop_one(cx, args),
        3 => pop_several(cx, args),
        _ => Err(Error::Syntax),
    }
}

fn pop_one(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    match pop(cx, key, 1, |_, _| ())? {
        None => cx.reply.null(),
        Some(empty) => tell_removed(cx, "spop", key, empty),
    }
    Ok(())
}

fn pop_several(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    const RANGE: &str = "ERR value is out of range, must be positive";
    let wanted = usize::try_from(integer_in(args.get(2), 0.., RANGE)?).unwrap_or(usize::MAX);
    if let Some(result) = long::resume::<Shown>(cx) {
        return result;
    }
    let key = cx.key(args, 1);
    if wanted > AT_ONCE {
        if let Some(all) = take_all(cx, key, wanted) {
            cx.db.effect(&[b"DEL", key.bytes]);
            tell_removed(cx, "spop", key, true);
            return long::begin(cx, all);
        }
        match pop_many(cx, key, wanted) {
            Popped::Few => {}
            Popped::Later => return Ok(()),
            Popped::Done => {
                tell_removed(cx, "spop", key, false);
                return Ok(());
            }
        }
    }
    match pop(cx, key, wanted, Reply::set)? {
        None => cx.reply.set(0),
        Some(empty) => tell_removed(cx, "spop", key, empty),
    }
    Ok(())
}

/// Removes a large set of no more than `wanted` members, and keeps them to be shown.
fn take_all(cx: &mut Cx<'_>, key: Key<'_>, wanted: usize) -> Option<Shown> {
    let mut write = cx.db.write(key);
    let all = match write.peek_object() {
        Some(Object::Set(set)) if set.len() <= wanted => Shown::all(View::Large(set)),
        _ => return None,
    };
    write.remove();
    Some(all)
}

/// Many members on their way out. They leave a twin of the set, in slices, while the set stands as it
/// was; then the twin takes its place, if nothing has changed. What has is begun anew, and after some
/// tries done where it stands.
struct Popping {
    /// Tells whether the set is still the one that the twin was made of.
    was: Witness,
    twin: Box<Large>,
    popped: Blocks,
    /// Their names, if the log wants them.
    gone: Option<Vec<Vec<u8>>>,
    wanted: usize,
    left: usize,
    tries: u32,
}

/// What has become of many members.
enum Popped {
    Few,
    Later,
    Done,
}

/// Times that members are taken out of a twin anew.
const TRIES: u32 = 3;

impl Popping {
    /// None unless the set is large, and more than `wanted` are in it.
    fn begin(cx: &mut Cx<'_>, key: Key<'_>, wanted: usize, tries: u32) -> Option<Box<Self>> {
        let (popped, gone) = (Blocks::new(cx), cx.db.logs().then(Vec::new));
        match cx.db.write(key).peek_object() {
            Some(Object::Set(set)) if set.len() > wanted => {
                let (was, twin) = (Witness::of(Some(View::Large(set))), set.clone());
                Some(Box::new(Self { was, twin, popped, gone, wanted, left: wanted, tries }))
            }
            _ => None,
        }
    }

    /// Takes a few out. False if those were all.
    fn step(&mut self, dice: &mut Dice) -> bool {
        let (count, reply) = (self.left.min(STEP / 2), self.popped.block());
        let gone = &mut self.gone;
        let mut take = |text: &[u8]| {
            reply.bulk(text);
            gone.iter_mut().for_each(|gone| gone.push(text.to_vec()));
        };
        (0..count).for_each(|_| _ = self.twin.pop(|| dice.roll(), &mut take));
        self.left -= count;
        self.left > 0
    }
}

/// Takes `wanted` members out of a larger set and replies with them.
fn pop_many(cx: &mut Cx<'_>, key: Key<'_>, wanted: usize) -> Popped {
    let begun = slice::resume::<Popping>(cx).or_else(|| Popping::begin(cx, key, wanted, 0));
    let Some(mut work) = begun else { return Popped::Few };
    let (slice, mut dice) = (Slice::begin(), Dice::new(cx.db.local.random()));
    while work.step(&mut dice) {
        if slice.is_over() {
            return later(cx, work);
        }
    }
    let named = work.gone.is_some() || !cx.db.logs(); // the log may have begun meanwhile
    let mut write = cx.db.write(key);
    if let Some(Object::Set(set)) = write.peek_object()
        && named
        && work.was.is_still(Some(View::Large(set)))
    {
        let Popping { twin, popped, gone, .. } = *work;
        write.set(New::Object(Box::new(Object::Set(twin))), Expiry::Keep);
        drop(write);
        removed(&mut cx.db, key, &gone.unwrap_or_default(), AT_ONCE);
        cx.reply.set(wanted);
        popped.end(cx.reply);
        return Popped::Done;
    }
    drop(write);
    match Popping::begin(cx, key, work.wanted, work.tries + 1) {
        Some(work) if work.tries <= TRIES => later(cx, work),
        _ => Popped::Few,
    }
}

/// The effect of members gone: SREM, of so many `at_once`.
fn removed(db: &mut Access<'_>, key: Key<'_>, gone: &[Vec<u8>], at_once: usize) {
    for some in gone.chunks(at_once) {
        let words = [b"SREM".as_slice(), key.bytes].into_iter();
        let words: Vec<&[u8]> = words.chain(some.iter().map(Vec::as_slice)).collect();
        db.effect(&words);
    }
}

fn later(cx: &mut Cx<'_>, work: Box<Popping>) -> Popped {
    Slice::pause(cx, work).map_or(Popped::Few, |()| Popped::Later)
}

/// Takes up to `wanted` members out and replies with them, after what `head` says of their number.
/// Whether these were the last; none if there was nothing to take.
#[inline]
fn pop(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    wanted: usize,
    head: impl FnOnce(&mut Reply, usize),
) -> Result<Option<bool>, Error> {
    let mut dice = Dice::new(cx.db.local.random());
    let (logs, mut gone) = (cx.db.logs(), Vec::new());
    let reply = &mut *cx.reply;
    let mut write = cx.db.write(key);
    let popped = match write.holds(Type::Set)? {
        Holds::Compact(compact) if wanted > 0 => {
            let set = View::compact(compact.form, compact.bytes);
            let mut pick = Pick::new(wanted, set.len());
            head(reply, pick.wanted());
            let (_, made) = edit::take(set, |member| {
                let goes = pick.takes(&mut dice);
                if goes {
                    reply.member(&member);
                    if logs {
                        gone.push(member.with(<[u8]>::to_vec));
                    }
                }
                goes
            });
            let empty = matches!(made, Made::Empty);
            put(&mut write, made, Expiry::Keep);
            Some(empty)
        }
        Holds::Object if wanted > 0 => {
            let mut empty = false;
            change(&mut write, |set| {
                let count = wanted.min(set.len());
                head(reply, count);
                let mut take = |text: &[u8]| {
                    reply.bulk(text);
                    if logs {
                        gone.push(text.to_vec());
                    }
                };
                (0..count).for_each(|_| _ = set.pop(|| dice.roll(), &mut take));
                empty = set.is_empty();
                count
            });
            if empty {
                write.remove();
            }
            Some(empty)
        }
        _ => None,
    };
    drop(write);
    if logs {
        match popped {
            Some(true) if wanted > 1 => cx.db.effect(&[b"DEL", key.bytes]),
            _ => removed(&mut cx.db, key, &gone, 1), // as Redis, one by one
        }
    }
    Ok(popped)
}

pub fn srandmember(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut dice = Dice::new(cx.db.local.random());
    if args.len() == 2 {
        let reply = &mut *cx.reply;
        let found = cx.db.collection(key, Type::Set, |seen| one(reply, view(seen), &mut dice))?;
        if found.is_none() {
            cx.reply.null();
        }
        return Ok(());
    }
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    let count = integer(args.get(2))?;
    if count == i64::MIN {
        let max = i64::MAX;
        let text = format!("ERR value is out of range, value must between -{max} and {max}");
        return Err(text.into());
    }
    if let Some(result) = long::resume::<Again>(cx).or_else(|| long::resume::<Picked>(cx)) {
        return result;
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let (config, reply) = (&cx.local.config, &mut *cx.reply);
    let begun = cx.db.collection(key, Type::Set, |seen| -> Result<_, Error> {
        let set = view(seen);
        let taken = if count < 0 { wanted } else { wanted.min(set.len()) };
        long::refuse_beyond(config, taken, weight(set), set.len())?;
        if taken > AT_ONCE {
            let dice = std::mem::replace(&mut dice, Dice::new(0));
            return Ok(Some(if count < 0 {
                Long::Again(Again { head: Some(taken), set: Copied::of(set), left: taken, dice })
            } else {
                let pick = Pick::new(taken, set.len());
                Long::Picked(Picked { head: Some(taken), members: Walk::over(set), pick, dice })
            }));
        }
        if count < 0 {
            reply.array(taken);
            (0..taken).for_each(|_| one(reply, set, &mut dice));
        } else {
            different(reply, set, taken, &mut dice);
        }
        Ok(None)
    })?;
    match begun.transpose()? {
        Some(Some(Long::Again(again))) => long::begin(cx, again),
        Some(Some(Long::Picked(picked))) => long::begin(cx, picked),
        Some(None) => Ok(()),
        None => {
            cx.reply.array(0);
            Ok(())
        }
    }
}

/// Members that are chosen in one go; more are chosen in slices, from what the set was at first.
const AT_ONCE: usize = 4_000;
/// Members between two looks at the time.
const STEP: usize = 128;

#[expect(clippy::large_enum_variant, reason = "one of them lives for one command")]
enum Long {
    Again(Again),
    Picked(Picked),
}

/// Any members, again and again.
struct Again {
    head: Option<usize>,
    set: Copied,
    left: usize,
    dice: Dice,
}

impl Source for Again {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        if let Some(count) = self.head.take() {
            reply.array(count);
        }
        let step = self.left.min(STEP);
        (0..step).for_each(|_| one(reply, self.set.view(), &mut self.dice));
        self.left -= step;
        self.left > 0
    }
}

/// Some of all members.
struct Picked {
    head: Option<usize>,
    members: Walk,
    pick: Pick,
    dice: Dice,
}

impl Source for Picked {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        if let Some(count) = self.head.take() {
            reply.array(count);
        }
        let Self { members, pick, dice, .. } = self;
        let more = members.next(STEP, |member| {
            if pick.takes(dice) {
                reply.member(&member);
            }
        });
        more && pick.wanted() > 0
    }
}

/// Bytes that a set holds.
fn weight(set: View<'_>) -> usize {
    match set {
        View::Large(set) => set.weight(),
        compact => compact.parts().map_or(0, |(_, bytes)| bytes.len()),
    }
}

/// One member.
fn one(reply: &mut Reply, set: View<'_>, dice: &mut Dice) {
    match set {
        View::Large(set) => _ = set.random(|| dice.roll()).map(|text| reply.bulk(text)),
        _ => _ = set.nth(dice.below(set.len()), |member| reply.member(&member)),
    }
}

/// As many different members as are wanted and there.
fn different(reply: &mut Reply, set: View<'_>, wanted: usize, dice: &mut Dice) {
    let len = set.len();
    let mut pick = Pick::new(wanted, len);
    reply.array(pick.wanted());
    match set {
        // Far fewer than there are: hits are seldom repeated, and no walk is worth it.
        View::Large(large) if wanted < len / 8 => {
            let mut taken = std::collections::HashSet::with_capacity(wanted);
            while taken.len() < wanted {
                let Some(text) = large.random(|| dice.roll()) else { break };
                if taken.insert(text) {
                    reply.bulk(text);
                }
            }
        }
        _ => {
            _ = set.all(|member| {
                if pick.takes(dice) {
                    reply.member(&member);
                }
                pick.wanted() > 0
            })
        }
    }
}

//! SPOP and SRANDMEMBER: members by chance, each as likely as any other.

use super::super::args::integer_in;
use super::{Cx, Error};
use super::{change, put, tell_removed, view};
use crate::db::{Expiry, Holds, Key};
use crate::resp::{Args, Reply};
use crate::types::object::Type;
use crate::types::sample::{Dice, Pick};
use crate::types::set::{Made, View, edit};

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
    let key = cx.key(args, 1);
    match pop(cx, key, wanted, Reply::set)? {
        None => cx.reply.set(0),
        Some(empty) => tell_removed(cx, "spop", key, empty),
    }
    Ok(())
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
    let reply = &mut *cx.reply;
    let mut write = cx.db.write(key);
    match write.holds(Type::Set)? {
        Holds::Compact(compact) if wanted > 0 => {
            let set = View::compact(compact.form, compact.bytes);
            let mut pick = Pick::new(wanted, set.len());
            head(reply, pick.wanted());
            let (_, made) = edit::take(set, |member| {
                let goes = pick.takes(&mut dice);
                if goes {
                    reply.member(&member);
                }
                goes
            });
            let empty = matches!(made, Made::Empty);
            put(&mut write, made, Expiry::Keep);
            Ok(Some(empty))
        }
        Holds::Object if wanted > 0 => {
            let mut empty = false;
            change(&mut write, |set| {
                let count = wanted.min(set.len());
                head(reply, count);
                (0..count).for_each(|_| _ = set.pop(|| dice.roll(), |text| reply.bulk(text)));
                empty = set.is_empty();
                count
            });
            if empty {
                write.remove();
            }
            Ok(Some(empty))
        }
        _ => Ok(None),
    }
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
    let count = super::super::args::integer(args.get(2))?;
    if count == i64::MIN {
        let max = i64::MAX;
        let text = format!("ERR value is out of range, value must between -{max} and {max}");
        return Err(text.into());
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let reply = &mut *cx.reply;
    let found = cx.db.collection(key, Type::Set, |seen| {
        let set = view(seen);
        if count < 0 {
            reply.array(wanted);
            (0..wanted).for_each(|_| one(reply, set, &mut dice));
        } else {
            different(reply, set, wanted, &mut dice);
        }
    })?;
    if found.is_none() {
        cx.reply.array(0);
    }
    Ok(())
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

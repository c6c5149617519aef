//! Questions about members and numbers: ZCARD, ZSCORE, ZRANK and their kin.

use super::access::{read, score, view_of};
use super::bounds::Bounds;
use super::{Args, Cx, Error};
use crate::commands::ahead::in_groups;
use crate::db::Door;
use crate::types::object::{Sought, Type};
use crate::types::zset::View;

pub fn zcard(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let len = read(cx, key, |set, _| set.len())?;
    cx.reply.count(len.unwrap_or(0));
    Ok(())
}

pub fn zscore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let found = cx.db.element(key, Type::ZSet, |door| match door {
        Door::Shared(shared) => shared.scored(args.get(2)).map(|slot| slot.score()),
        Door::Alone(seen) => Some(view_of(seen).score(args.get(2))),
    })?;
    match found.flatten() {
        Some(found) => score(cx.reply, found),
        None => cx.reply.null(),
    }
    Ok(())
}

pub fn zmscore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, members) = (cx.key(args, 1), args.from(2));
    let scores = read(cx, key, |mut set, _| {
        let mut scores = Vec::with_capacity(members.len());
        let ask = |set: &View<'_>, names: &[&[u8]]| {
            let names = names.iter().copied();
            let sought =
                names.map(|name| Sought { name, ordered: false, score: None, changed: false });
            if let View::Large(set) = set {
                set.ask_ahead(sought);
            }
        };
        in_groups(&mut set, members.iter(), ask, |set, member| scores.push(set.score(member)));
        scores
    })?;
    cx.reply.array(members.len());
    for found in scores.unwrap_or_else(|| vec![None; members.len()]) {
        match found {
            Some(found) => score(cx.reply, found),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

pub fn zrank(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    rank(cx, args, |rank, _| rank)
}

pub fn zrevrank(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    rank(cx, args, |rank, len| len - 1 - rank)
}

fn rank(cx: &mut Cx<'_>, args: Args<'_>, f: fn(usize, usize) -> usize) -> Result<(), Error> {
    let with_score = match args.len() {
        3 => false,
        4 if args.is(3, "WITHSCORE") => true,
        4 => return Err(Error::Syntax),
        _ => return Err(Error::Arity),
    };
    let key = cx.key(args, 1);
    let find = |set: crate::types::zset::View<'_>| {
        set.rank(args.get(2)).map(|(rank, score)| (f(rank, set.len()), score))
    };
    match read(cx, key, |set, _| find(set))?.flatten() {
        Some((rank, found)) if with_score => {
            cx.reply.array(2);
            cx.reply.count(rank);
            score(cx.reply, found);
        }
        Some((rank, _)) => cx.reply.count(rank),
        None if with_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
    Ok(())
}

pub fn zcount(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    count(cx, args, Bounds::scores(args.get(2), args.get(3))?)
}

pub fn zlexcount(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    count(cx, args, Bounds::texts(args.get(2), args.get(3))?)
}

fn count(cx: &mut Cx<'_>, args: Args<'_>, bounds: Bounds<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let count = read(cx, key, |set, _| bounds.ranks(&set).len())?;
    cx.reply.count(count.unwrap_or(0));
    Ok(())
}

//! Commands that change one list.

use super::super::args::{integer, integer_in};
use super::super::elements::bulk;
use super::super::event::Class;
use super::super::long;
use super::read::Rest;
use super::{Args, Cx, Error, Tools, View, index, range, words};
use crate::types::list::{End, Query};
use crate::types::packed::{ELEMENT_MAX, Element};

/// An element to add: the forms that keep it have no room for longer ones.
pub fn check(texts: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<(), Error> {
    texts.into_iter().try_for_each(|text| {
        if text.as_ref().len() > ELEMENT_MAX { Err(Error::TooLong) } else { Ok(()) }
    })
}

pub fn lpush(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Front, false)
}

pub fn rpush(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Back, false)
}

pub fn lpushx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Front, true)
}

pub fn rpushx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Back, true)
}

#[inline]
fn push(cx: &mut Cx<'_>, args: Args<'_>, end: End, present: bool) -> Result<(), Error> {
    let texts = args.from(2).iter();
    check(texts.clone())?;
    let key = cx.key(args, 1);
    let mut tools = Tools::new(cx.shared, cx.local);
    let mut write = cx.db.write(key);
    if present && View::held(&write)?.is_none() {
        drop(write);
        cx.reply.int(0);
        return Ok(());
    }
    let len = tools.push(&mut write, end, texts)?;
    drop(write);
    cx.event(Class::LIST, words(end).0, key.bytes);
    cx.reply.count(len);
    Ok(())
}

pub fn lpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(cx, args, End::Front)
}

pub fn rpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(cx, args, End::Back)
}

/// Elements that a pop encodes under the stripe; more are taken by reference.
const FEW: usize = 256;

#[inline]
fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(Error::Arity);
    }
    let Some(count) = args.opt(2) else { return pop_one(cx, args, end) };
    if let Some(result) = long::resume::<Rest>(cx) {
        return result;
    }
    let count = integer_in(count, 0.., "ERR value is out of range, must be positive")?;
    let (key, mut rest) = (cx.key(args, 1), None);
    let (mut tools, reply) = (Tools::new(cx.shared, cx.local), &mut *cx.reply);
    let mut write = cx.db.write(key);
    let mut taken = 0;
    let left = tools.pop(&mut write, end, count as usize, |popped| {
        taken = popped.count;
        if taken > FEW {
            rest = popped.share();
        }
        if rest.is_none() {
            reply.array(taken);
            popped.each(|element| bulk(reply, &element));
        }
    })?;
    drop(write);
    let Some(left) = left else {
        cx.reply.null_array();
        return Ok(());
    };
    if taken > 0 {
        popped(cx, end, key.bytes, left);
    }
    let backwards = end == End::Back;
    rest.map_or(Ok(()), |list| long::begin(cx, Rest { list, at: 0, head: true, backwards }))
}

/// The usual pop, of one element.
#[inline]
fn pop_one(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let (mut tools, reply) = (Tools::new(cx.shared, cx.local), &mut *cx.reply);
    let mut write = cx.db.write(key);
    let left = tools.pop(&mut write, end, 1, |popped| {
        popped.first().iter().for_each(|element| bulk(reply, element));
    })?;
    drop(write);
    match left {
        Some(left) => popped(cx, end, key.bytes, left),
        None => cx.reply.null(),
    }
    Ok(())
}

/// Tells that elements were taken off a list, of which `left` are left.
pub fn popped(cx: &mut Cx<'_>, end: End, key: &[u8], left: usize) {
    cx.event(Class::LIST, words(end).1, key);
    shrunk(cx, key, left);
}

/// Tells that a list is no more, if `left` says so.
pub fn shrunk(cx: &mut Cx<'_>, key: &[u8], left: usize) {
    if left == 0 {
        cx.event(Class::GENERIC, "del", key);
    }
}

pub fn lset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    check(args.from(3).iter())?;
    let key = cx.key(args, 1);
    let mut tools = Tools::new(cx.shared, cx.local);
    let mut write = cx.db.write(key);
    let len = View::held(&write)?.ok_or(Error::NoSuchKey)?.len();
    let at = index(integer(args.get(2))?, len);
    let at = at.ok_or(Error::new("ERR index out of range"))?;
    tools.set(&mut write, at, args.get(3))?;
    drop(write);
    cx.event(Class::LIST, "lset", key.bytes);
    cx.reply.ok();
    Ok(())
}

pub fn linsert(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let behind = match () {
        () if args.is(2, "BEFORE") => 0,
        () if args.is(2, "AFTER") => 1,
        () => return Err(Error::Syntax),
    };
    check(args.from(4).iter())?;
    let key = cx.key(args, 1);
    let mut tools = Tools::new(cx.shared, cx.local);
    let mut write = cx.db.write(key);
    let Some(list) = View::held(&write)? else {
        drop(write);
        cx.reply.int(0);
        return Ok(());
    };
    let query = Query { needle: Element::of(args.get(3)), rank: 1, count: 1, maxlen: 0 };
    let (pivot, len) = (list.positions(&query).first().copied(), list.len());
    if let Some(at) = pivot {
        tools.insert(&mut write, at + behind, args.get(4))?;
    }
    drop(write);
    if pivot.is_some() {
        cx.event(Class::LIST, "linsert", key.bytes);
        cx.reply.count(len + 1);
    } else {
        cx.reply.int(-1);
    }
    Ok(())
}

pub fn lrem(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let count = integer(args.get(2))?;
    let key = cx.key(args, 1);
    let mut tools = Tools::new(cx.shared, cx.local);
    let mut write = cx.db.write(key);
    let (removed, left) = tools.remove(&mut write, args.get(3), count)?;
    drop(write);
    if removed > 0 {
        cx.event(Class::LIST, "lrem", key.bytes);
        shrunk(cx, key.bytes, left);
    }
    cx.reply.count(removed);
    Ok(())
}

pub fn ltrim(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (start, stop) = (integer(args.get(2))?, integer(args.get(3))?);
    let key = cx.key(args, 1);
    let mut tools = Tools::new(cx.shared, cx.local);
    let mut write = cx.db.write(key);
    let kept = match View::held(&write)?.map(|list| list.len()) {
        None => None,
        Some(len) => {
            let (from, count) = range(start, stop, len);
            if count < len {
                tools.trim(&mut write, from, count)?;
            }
            Some(count)
        }
    };
    drop(write);
    if let Some(left) = kept {
        cx.event(Class::LIST, "ltrim", key.bytes);
        shrunk(cx, key.bytes, left);
    }
    cx.reply.ok();
    Ok(())
}

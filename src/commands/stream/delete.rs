//! XDEL, XDELEX, XACK and XACKDEL.

use super::super::args::integer;
use super::super::{Args, Cx, Error};
use super::{change, id, ids, stream, tell};
use crate::types::stream::{Id, Stream};

pub fn xdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let mut count = 0;
    if let Some(found) = stream(&mut write)? {
        let ids = ids(args, 2)?;
        if ids.iter().any(|id| found.contains(*id)) {
            let delete = |stream: &mut Stream| ids.iter().filter(|id| stream.delete(**id)).count();
            count = change(&mut write, delete).unwrap_or_default();
        }
    }
    drop(write);
    cx.reply.count(count);
    if count > 0 {
        tell(cx, "xdel", key.bytes);
    }
    Ok(())
}

pub fn xack(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name) = (cx.key(args, 1), args.get(2));
    let mut write = cx.db.write(key);
    let mut count = 0;
    if let Some(group) = stream(&mut write)?.and_then(|stream| stream.group(name)) {
        let ids = ids(args, 3)?;
        if ids.iter().any(|id| group.find(*id).is_some()) {
            let acknowledge = |stream: &mut Stream| match stream.group_mut(name) {
                Some(group) => ids.iter().filter(|id| group.acknowledge(**id)).count(),
                None => 0,
            };
            count = change(&mut write, acknowledge).unwrap_or_default();
        }
    }
    drop(write);
    cx.reply.count(count);
    Ok(())
}

/// What becomes of pending entries that are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum References {
    /// They stay pending.
    Keep,
    /// They are pending no more, in no group.
    Delete,
    /// Only entries that no group needs are deleted.
    Acknowledged,
}

/// The options of XDELEX and XACKDEL, and their names.
fn parse(args: Args<'_>, from: usize) -> Result<(References, Vec<Id>), Error> {
    let (mut references, mut found) = (None, None);
    let mut i = from;
    while i < args.len() {
        let kind = if args.is(i, "KEEPREF") {
            Some(References::Keep)
        } else if args.is(i, "DELREF") {
            Some(References::Delete)
        } else if args.is(i, "ACKED") {
            Some(References::Acknowledged)
        } else {
            None
        };
        if kind.is_some() && references.is_none() {
            references = kind;
            i += 1;
        } else if args.is(i, "IDS") && found.is_none() && i + 1 < args.len() {
            let count = usize::try_from(integer(args.get(i + 1)).unwrap_or(0)).unwrap_or(0);
            if count == 0 {
                return Err(Error::new("ERR Number of IDs must be a positive integer"));
            }
            if count > args.len() - (i + 2) {
                return Err(Error::new(
                    "ERR The `numids` parameter must match the number of arguments",
                ));
            }
            let all: Result<_, _> = (i + 2..i + 2 + count).map(|i| id(args.get(i))).collect();
            found = Some(all?);
            i += 2 + count;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok((references.unwrap_or(References::Keep), found.ok_or(Error::Syntax)?))
}

/// No such entry; deleted; left because a group needs it.
const NONE: i64 = -1;
const DELETED: i64 = 1;
const NEEDED: i64 = 2;

/// Deletes an entry as far as a group's need for it allows.
fn delete(stream: &mut Stream, id: Id, references: References) -> i64 {
    let there = stream.contains(id);
    match references {
        References::Keep => {}
        References::Delete => stream.forget(id),
        References::Acknowledged if there && stream.is_needed(id) => return NEEDED,
        References::Acknowledged => {}
    }
    stream.delete(id);
    if there { DELETED } else { NONE }
}

pub fn xdelex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (references, ids) = parse(args, 2)?;
    let all = |stream: &mut Stream| -> Vec<i64> {
        ids.iter().map(|id| delete(stream, *id, references)).collect()
    };
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let known = stream(&mut write)?.is_some_and(|stream| {
        // DELREF also forgets what is pending and deleted already.
        ids.iter().any(|id| stream.contains(*id) || stream.is_needed(*id))
    });
    let done = if known { change(&mut write, all) } else { None };
    drop(write);
    reply(cx, key.bytes, &done.unwrap_or_else(|| vec![NONE; ids.len()]));
    Ok(())
}

pub fn xackdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (references, ids) = parse(args, 3)?;
    let name = args.get(2);
    let one = |stream: &mut Stream, id: Id| {
        if !stream.group_mut(name).is_some_and(|group| group.acknowledge(id)) {
            return NONE;
        }
        delete(stream, id, references).max(DELETED) // gone already is as good
    };
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let group = stream(&mut write)?.and_then(|stream| stream.group(name));
    let known = group.is_some_and(|group| ids.iter().any(|id| group.find(*id).is_some()));
    let all = |stream: &mut Stream| ids.iter().map(|id| one(stream, *id)).collect();
    let done: Option<Vec<i64>> = if known { change(&mut write, all) } else { None };
    drop(write);
    reply(cx, key.bytes, &done.unwrap_or_else(|| vec![NONE; ids.len()]));
    Ok(())
}

fn reply(cx: &mut Cx<'_>, key: &[u8], done: &[i64]) {
    cx.reply.array(done.len());
    done.iter().for_each(|what| cx.reply.int(*what));
    if done.contains(&DELETED) {
        tell(cx, "xdel", key);
    }
}

//! XINFO.

use super::super::args::integer;
use super::super::{Args, Cx, Error, help};
use super::{no_group_of, read};
use crate::resp::Reply;
use crate::types::stream::{Bounds, Consumer, Group, Id, Stream};

/// How many entries and pending entries FULL shows unless it is told.
const SHOWN: usize = 10;

fn int(reply: &mut Reply, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}

fn int_or_null(reply: &mut Reply, name: &str, value: Option<i64>) {
    reply.bulk(name.as_bytes());
    match value {
        Some(value) => reply.int(value),
        None => reply.null(),
    }
}

fn id(reply: &mut Reply, name: &str, value: Id) {
    reply.bulk(name.as_bytes());
    reply.stream_id(value);
}

/// What XINFO STREAM is to show: with FULL, how many entries.
fn shown(args: Args<'_>) -> Result<Option<usize>, Error> {
    let full = args.is(3, "FULL");
    match args.len() {
        3 => return Ok(None),
        4 if full => return Ok(Some(SHOWN)),
        6 if full && args.is(4, "COUNT") => {}
        _ => return Err(help::wrong(args)),
    }
    Ok(Some(match integer(args.get(5))? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(SHOWN),
    }))
}

pub fn stream(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 2);
    let reply = &mut *cx.reply;
    // That there is no stream is said before that the arguments are wrong.
    let done = read(&mut cx.db, key, |stream| {
        let full = shown(args)?;
        reply.map(if full.is_some() { 9 } else { 10 });
        head(reply, stream);
        match full {
            Some(most) => whole(reply, stream, most),
            None => ends(reply, stream),
        }
        Ok(())
    })?;
    done.unwrap_or(Err(Error::NoSuchKey))
}

/// What both forms begin with. There is no radix tree: its keys are blocks.
fn head(reply: &mut Reply, stream: &Stream) {
    let bounds = stream.bounds();
    int(reply, "length", bounds.len.cast_signed());
    int(reply, "radix-tree-keys", stream.blocks() as i64);
    int(reply, "radix-tree-nodes", stream.blocks() as i64 + 1);
    id(reply, "last-generated-id", bounds.last);
    id(reply, "max-deleted-entry-id", bounds.deleted);
    int(reply, "entries-added", bounds.added.cast_signed());
    id(reply, "recorded-first-entry-id", bounds.first);
}

fn ends(reply: &mut Reply, stream: &Stream) {
    int(reply, "groups", stream.groups().len() as i64);
    for (name, back) in [("first-entry", false), ("last-entry", true)] {
        reply.bulk(name.as_bytes());
        match stream.range(Id::MIN, Id::MAX, 1, back).next_entry() {
            Some(entry) => reply.stream_entry(&entry),
            None => reply.null(),
        }
    }
}

fn whole(reply: &mut Reply, stream: &Stream, most: usize) {
    let mut range = stream.range(Id::MIN, Id::MAX, most, false);
    reply.bulk(b"entries");
    reply.array(range.len());
    while let Some(entry) = range.next_entry() {
        reply.stream_entry(&entry);
    }
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        id(reply, "last-delivered-id", group.last);
        progress(reply, stream.bounds(), group);
        int(reply, "pel-count", group.len() as i64);
        reply.bulk(b"pending");
        reply.array(group.len().min(most));
        for (id, pending) in group.pending(Id::MIN, Id::MAX).take(most) {
            reply.array(4);
            reply.stream_id(id);
            reply.bulk(group.name(pending.owner));
            reply.int(pending.delivered);
            reply.int(pending.count.cast_signed());
        }
        reply.bulk(b"consumers");
        reply.array(group.consumers_len());
        group.consumers().for_each(|one| consumer(reply, group, one, most));
    }
}

fn consumer(reply: &mut Reply, group: &Group, consumer: &Consumer, most: usize) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    int(reply, "seen-time", consumer.seen);
    int(reply, "active-time", consumer.active.unwrap_or(NEVER));
    int(reply, "pel-count", consumer.len() as i64);
    reply.bulk(b"pending");
    reply.array(consumer.len().min(most));
    for id in consumer.pending(Id::MIN).take(most) {
        let pending = group.find(id);
        reply.array(3);
        reply.stream_id(id);
        reply.int(pending.map_or(0, |pending| pending.delivered));
        reply.int(pending.map_or(0, |pending| pending.count.cast_signed()));
    }
}

/// Where a consumer never got an entry.
const NEVER: i64 = -1;

fn progress(reply: &mut Reply, bounds: Bounds, group: &Group) {
    int_or_null(reply, "entries-read", group.read.map(u64::cast_signed));
    int_or_null(reply, "lag", bounds.lag(group));
}

pub fn groups(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 2);
    let reply = &mut *cx.reply;
    let done = read(&mut cx.db, key, |stream| {
        reply.array(stream.groups().len());
        for (name, group) in stream.groups() {
            reply.map(6);
            reply.bulk(b"name");
            reply.bulk(name);
            int(reply, "consumers", group.consumers_len() as i64);
            int(reply, "pending", group.len() as i64);
            id(reply, "last-delivered-id", group.last);
            progress(reply, stream.bounds(), group);
        }
    })?;
    done.ok_or(Error::NoSuchKey)
}

pub fn consumers(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name, now) = (cx.key(args, 2), args.get(3), cx.db.now);
    let reply = &mut *cx.reply;
    let done = read(&mut cx.db, key, |stream| {
        let group = stream.group(name)?;
        reply.array(group.consumers_len());
        for consumer in group.consumers() {
            let since = |time: i64| now.wrapping_sub(time).max(0);
            reply.map(4);
            reply.bulk(b"name");
            reply.bulk(consumer.name());
            int(reply, "pending", consumer.len() as i64);
            int(reply, "idle", since(consumer.seen));
            int(reply, "inactive", consumer.active.map_or(NEVER, since));
        }
        Some(())
    })?;
    done.ok_or(Error::NoSuchKey)?.ok_or_else(|| no_group_of(key.bytes, name))
}

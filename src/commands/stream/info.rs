//! XINFO.

use super::super::args::integer;
use super::super::long::{self, Source};
use super::super::{Args, Cx, Error, help};
use super::{no_group_of, read};
use crate::resp::Reply;
use crate::types::stream::{Bounds, Consumer, Group, Id, Names, Pending, Range, Stream};
use std::collections::VecDeque;
use std::vec::IntoIter;

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
    if let Some(done) = long::resume::<Whole>(cx) {
        return done;
    }
    let key = cx.key(args, 2);
    let reply = &mut *cx.reply;
    // That there is no stream is said before that the arguments are wrong.
    let done = read(&mut cx.db, key, |stream| {
        let Some(most) = shown(args)? else {
            reply.map(10);
            head(reply, stream);
            ends(reply, stream);
            return Ok(None);
        };
        let text = Reply::of_protocol(reply.resp3);
        let mut whole = Whole { pieces: VecDeque::new(), text };
        whole.text.map(9);
        head(&mut whole.text, stream);
        whole.stream(stream, most);
        Ok(Some(whole))
    })?;
    match done.unwrap_or(Err(Error::NoSuchKey))? {
        None => Ok(()),
        Some(mut whole) if whole.pieces.is_empty() => {
            cx.reply.append(&mut whole.text);
            Ok(())
        }
        Some(mut whole) => {
            whole.seal();
            long::begin(cx, whole)
        }
    }
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

/// Entries, or pending entries, that are encoded while the stripe is held.
const AT_ONCE: usize = 512;
/// And between two looks at the clock.
const BETWEEN: usize = 64;

/// What the reply to FULL is made of: what is short is encoded, what is long was copied, entries by
/// reference, and is encoded in slices.
struct Whole {
    pieces: VecDeque<Piece>,
    /// What follows the pieces.
    text: Reply,
}

enum Piece {
    Text(Vec<u8>),
    Entries(Range),
    /// Pending entries of a group and of a consumer, the next one first.
    Given(Names, IntoIter<(Id, Pending)>),
    Own(IntoIter<(Id, Pending)>),
}

impl Source for Whole {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let Some(piece) = self.pieces.front_mut() else { return false };
        let mut left = BETWEEN;
        match piece {
            Piece::Text(text) => reply.raw(text),
            Piece::Entries(range) => {
                while left > 0
                    && let Some(entry) = range.next_entry()
                {
                    reply.stream_entry(&entry);
                    left -= 1;
                }
            }
            Piece::Given(names, rows) => {
                for row in rows.by_ref().take(BETWEEN) {
                    given(reply, row, names.of(row.1.owner));
                    left -= 1;
                }
            }
            Piece::Own(rows) => {
                for row in rows.by_ref().take(BETWEEN) {
                    own(reply, row);
                    left -= 1;
                }
            }
        }
        if left > 0 {
            self.pieces.pop_front();
        }
        !self.pieces.is_empty()
    }
}

fn given(reply: &mut Reply, (id, pending): (Id, Pending), name: &[u8]) {
    reply.array(4);
    reply.stream_id(id);
    reply.bulk(name);
    reply.int(pending.delivered);
    reply.int(pending.count.cast_signed());
}

fn own(reply: &mut Reply, (id, pending): (Id, Pending)) {
    reply.array(3);
    reply.stream_id(id);
    reply.int(pending.delivered);
    reply.int(pending.count.cast_signed());
}

impl Whole {
    /// Ends the text at hand.
    fn seal(&mut self) {
        self.pieces.push_back(Piece::Text(std::mem::take(&mut self.text.bytes)));
    }

    fn piece(&mut self, piece: Piece) {
        self.seal();
        self.pieces.push_back(piece);
    }

    fn stream(&mut self, stream: &Stream, most: usize) {
        let mut range = stream.range(Id::MIN, Id::MAX, most, false);
        self.text.bulk(b"entries");
        self.text.array(range.len());
        if range.len() > AT_ONCE {
            self.piece(Piece::Entries(range));
        } else {
            while let Some(entry) = range.next_entry() {
                self.text.stream_entry(&entry);
            }
        }
        self.text.bulk(b"groups");
        self.text.array(stream.groups().len());
        for (name, group) in stream.groups() {
            let reply = &mut self.text;
            reply.map(7);
            reply.bulk(b"name");
            reply.bulk(name);
            id(reply, "last-delivered-id", group.last);
            progress(reply, stream.bounds(), group);
            int(reply, "pel-count", group.len() as i64);
            reply.bulk(b"pending");
            let shown = group.len().min(most);
            reply.array(shown);
            let rows = group.pending(Id::MIN, Id::MAX).map(|(id, pending)| (id, *pending));
            if shown > AT_ONCE {
                let rows: Vec<_> = rows.take(most).collect();
                self.piece(Piece::Given(group.names(), rows.into_iter()));
            } else {
                rows.take(most).for_each(|row| given(reply, row, group.name(row.1.owner)));
            }
            self.text.bulk(b"consumers");
            self.text.array(group.consumers_len());
            group.consumers().for_each(|one| self.consumer(group, one, most));
        }
    }

    fn consumer(&mut self, group: &Group, consumer: &Consumer, most: usize) {
        let reply = &mut self.text;
        reply.map(5);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        int(reply, "seen-time", consumer.seen);
        int(reply, "active-time", consumer.active.unwrap_or(NEVER));
        int(reply, "pel-count", consumer.len() as i64);
        reply.bulk(b"pending");
        let owner = group.owner(consumer.name()).into_iter();
        let rows = owner.flat_map(|owner| group.pending_of(owner, Id::MIN, most));
        let rows = rows.map(|(id, pending)| (id, *pending));
        let shown = consumer.len().min(most);
        reply.array(shown);
        if shown > AT_ONCE {
            let rows: Vec<_> = rows.collect();
            self.piece(Piece::Own(rows.into_iter()));
        } else {
            rows.for_each(|row| own(reply, row));
        }
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

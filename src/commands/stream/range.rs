//! XRANGE, XREVRANGE and XLEN; and lists of entries in replies, long ones in slices.

use super::super::args::integer;
use super::super::{Args, Cx, Error, long};
use super::{lower, read, upper};
use crate::resp::Reply;
use crate::types::stream::Range;
use std::collections::VecDeque;

/// Replies of no more entries are encoded in one go.
const AT_ONCE: usize = 1_000;
/// Entries encoded between two looks at the clock.
const BETWEEN: usize = 64;

/// A part of a reply: what stands first, and entries behind it.
pub struct Part {
    /// Encoded.
    pub head: Vec<u8>,
    /// To be encoded.
    pub range: Option<Range>,
}

/// The parts of a long reply: the stripe is given back, the entries do not change any more.
struct Parts(VecDeque<Part>);

impl long::Source for Parts {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let Some(part) = self.0.front_mut() else { return false };
        reply.raw(&std::mem::take(&mut part.head));
        if let Some(range) = &mut part.range {
            for _ in 0..BETWEEN {
                let Some(entry) = range.next_entry() else { break };
                reply.stream_entry(&entry);
            }
        }
        if part.range.as_ref().is_none_or(Range::is_empty) {
            self.0.pop_front();
        }
        !self.0.is_empty()
    }
}

/// Sends the parts of a reply.
pub fn send(cx: &mut Cx<'_>, parts: impl IntoIterator<Item = Part>) -> Result<(), Error> {
    let parts: VecDeque<Part> = parts.into_iter().collect();
    let count: usize = parts.iter().flat_map(|part| &part.range).map(Range::len).sum();
    if count > AT_ONCE {
        return long::begin(cx, Parts(parts));
    }
    for part in parts {
        cx.reply.raw(&part.head);
        part.range.into_iter().for_each(|range| all(cx.reply, range));
    }
    Ok(())
}

/// Goes on with a reply that was begun in an earlier slice, if one was.
pub fn resume(cx: &mut Cx<'_>) -> Option<Result<(), Error>> {
    long::resume::<Parts>(cx)
}

/// All of a range, its length before.
pub fn entries(reply: &mut Reply, range: Range) {
    reply.array(range.len());
    all(reply, range);
}

fn all(reply: &mut Reply, mut range: Range) {
    while let Some(entry) = range.next_entry() {
        reply.stream_entry(&entry);
    }
}

/// The number behind COUNT; none if all are wanted.
fn count(args: Args<'_>) -> Result<Option<usize>, Error> {
    let (mut i, mut count) = (4, None);
    while i < args.len() {
        if !args.is(i, "COUNT") || i + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        let value = integer(args.get(i + 1))?.max(0);
        count = Some(usize::try_from(value).unwrap_or(usize::MAX));
        i += 2;
    }
    Ok(count)
}

pub fn xrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    between(cx, args, false)
}

pub fn xrevrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    between(cx, args, true)
}

fn between(cx: &mut Cx<'_>, args: Args<'_>, back: bool) -> Result<(), Error> {
    if let Some(done) = resume(cx) {
        return done;
    }
    let (from, to) = if back { (3, 2) } else { (2, 3) };
    let (from, to) = (lower(args.get(from))?, upper(args.get(to))?);
    let count = count(args)?;
    let key = cx.key(args, 1);
    let most = count.unwrap_or(usize::MAX);
    match read(&mut cx.db, key, |stream| stream.range(from, to, most, back))? {
        None => cx.reply.array(0),
        Some(_) if count == Some(0) => cx.reply.null_array(),
        Some(range) if range.len() <= AT_ONCE => entries(cx.reply, range),
        Some(range) => {
            let mut head = Reply::default();
            head.array(range.len());
            return send(cx, [Part { head: head.bytes, range: Some(range) }]);
        }
    }
    Ok(())
}

pub fn xlen(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let len = read(&mut cx.db, key, |stream| stream.len())?.unwrap_or_default();
    cx.reply.int(len.cast_signed());
    Ok(())
}

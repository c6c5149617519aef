//! Replies over many elements: encoded in slices, from what was taken under the stripe.
//!
//! The handler takes what it needs at one instant (references to shared blocks cost little) and hands
//! it to [`begin`] as a [`Source`]. Short replies are encoded at once. For long ones the worker serves
//! its other clients in between ([`super::slice`]): nobody waits for a million elements. A reply
//! grows by blocks, never by one that must be moved, and goes to the connection by reference.
//!
//! A client whose output limit the reply passes will be closed when it gets there, so from that size
//! on encoding it is idle: what there is goes out, and the limit does the rest.

use super::slice::{self, Slice};
use super::{Cx, Error, run};
use crate::config::Config;
use crate::metrics::Stat;
use crate::resp::Reply;
use crate::session::After;
use crate::session::registry::Class;
use bytes::Bytes;
use std::any::Any;

/// What a long reply is made of.
pub trait Source: Any + Send {
    /// Encodes some elements, some ten microseconds of work. False if there are none left.
    fn encode(&mut self, reply: &mut Reply) -> bool;
}

/// Bytes of a block of a long reply.
const BLOCK: usize = 256 * 1024;

/// A part of a reply that grows by blocks.
pub struct Blocks {
    done: Vec<Bytes>,
    bytes: usize,
    /// The block at hand.
    reply: Reply,
}

impl Blocks {
    /// Nothing yet, for the client of `cx`.
    pub fn new(cx: &Cx<'_>) -> Self {
        let mut reply = Reply::default();
        reply.resp3 = cx.reply.resp3;
        Self { done: Vec::new(), bytes: 0, reply }
    }

    /// Where the next few elements go.
    pub fn block(&mut self) -> &mut Reply {
        if self.reply.len() >= BLOCK {
            self.seal();
        }
        &mut self.reply
    }

    /// Replies with all of it.
    pub fn end(mut self, reply: &mut Reply) {
        self.done.drain(..).for_each(|block| reply.raw_shared(block));
        reply.append(&mut self.reply);
    }

    /// Puts the block at hand aside.
    fn seal(&mut self) {
        let (mut from, bytes) = (0, Bytes::from(std::mem::take(&mut self.reply.bytes)));
        self.bytes += bytes.len();
        for (at, value) in self.reply.take_shared() {
            self.bytes += value.len();
            self.done.push(bytes.slice(from..at));
            self.done.push(value);
            from = at;
        }
        self.done.push(bytes.slice(from..));
        self.reply.bytes.reserve(BLOCK + BLOCK / 8);
    }
}

/// A reply that is being encoded.
struct Long<S> {
    source: S,
    blocks: Blocks,
}

/// Encodes a reply from `source`, head included. The command is called again until it is whole, and
/// must then return what [`resume`] says.
pub fn begin<S: Source>(cx: &mut Cx<'_>, source: S) -> Result<(), Error> {
    let blocks = Blocks::new(cx);
    go_on(cx, Box::new(Long { source, blocks }))
}

/// Goes on with a reply from a source of this type, if that is what the command is at.
pub fn resume<S: Source>(cx: &mut Cx<'_>) -> Option<Result<(), Error>> {
    let state = slice::resume::<Long<S>>(cx)?;
    Some(go_on(cx, state))
}

fn go_on<S: Source>(cx: &mut Cx<'_>, mut long: Box<Long<S>>) -> Result<(), Error> {
    let (slice, limit) = (Slice::begin(), limit(cx));
    let Long { source, blocks } = &mut *long;
    while source.encode(blocks.block()) {
        if blocks.bytes > limit {
            break;
        }
        if slice.is_over() {
            return Slice::pause(cx, long);
        }
    }
    long.blocks.end(cx.reply);
    Ok(())
}

/// Bytes of unsent replies beyond which the client will be closed.
fn limit(cx: &Cx<'_>) -> usize {
    let limits = &cx.local.config.client_output_buffer_limit;
    let limit = match cx.session.client.class() {
        Class::Normal => limits.normal,
        Class::Replica => limits.replica,
        Class::Pubsub => limits.pubsub,
        Class::Primary => return usize::MAX,
    };
    match limit.hard {
        0 => usize::MAX,
        hard => usize::try_from(hard).unwrap_or(usize::MAX),
    }
}

/// A reply was refused: says whether it is by the client's own limit. Then the client is closed, as it
/// would be if the reply had been built.
pub fn closes(cx: &mut Cx<'_>) -> bool {
    let closes = limit(cx) < usize::MAX && !cx.session.in_exec;
    if closes {
        tracing::warn!(
            "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer limits.",
            cx.session.client.id,
            cx.session.client.origin.peer,
        );
        run::worker(cx).add(Stat::OutputLimit, 1);
        cx.session.after = After::Close;
    }
    closes
}

/// Refuses a reply with `count` of the `len` elements that take `weight` bytes, some of them perhaps
/// often, if it would pass what the client may leave unread, or what there is at all. Without a
/// limit for either it is as much as leaves room for others.
pub fn refuse_beyond(
    config: &Config,
    count: usize,
    weight: usize,
    len: usize,
) -> Result<(), Error> {
    const UNLIMITED: u64 = 1 << 30;
    const HEAD: usize = 6;
    let limit = match (config.client_output_buffer_limit.normal.hard, config.maxmemory) {
        (0, 0) => UNLIMITED,
        (0, limit) | (limit, _) => limit,
    };
    let size = count.saturating_mul(HEAD + weight / len.max(1));
    if size as u64 > limit {
        return Err(Error::TooMuch);
    }
    Ok(())
}

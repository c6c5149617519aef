//! One connection, as its worker sees it.

use super::output::Output;
use super::room::Room;
use super::socket::Socket;
use crate::config::{Config, OutputLimit};
use crate::resp::request::{Batch, Limits, Parser};
use crate::session::registry::Class;
use crate::session::{Client, Gates, Session};
use crate::sync::Ordering::Relaxed;
use bytes::Bytes;
use std::sync::Arc;

/// A client that takes no replies is not read any more from here on, if no limit of the
/// configuration closes it earlier. Generous, as many libraries send a whole pipeline before they
/// read the first reply of it.
pub const STALL_AT: usize = 256 << 20;
/// What a connection takes besides its buffers: itself, its client's record, the kernel's share not
/// counted.
const BASE: usize = size_of::<Conn>() + size_of::<Client>() + 256;

/// Requests that could not all run at once, with the input they point into.
#[derive(Debug)]
pub struct Parked {
    /// Serve the client again at this time (Unix milliseconds).
    pub until: u64,
    /// Why it waits.
    pub why: Why,
    /// The requests, and how many of them are done.
    pub batch: Batch,
    /// See `batch`.
    pub done: usize,
    /// What the spans of `batch` point into.
    pub input: Vec<u8>,
    /// The reply of the command that waits.
    pub withheld: Vec<u8>,
}

/// See [`Parked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its command has replied, later. True if CLIENT UNBLOCK may end that.
    Reply(bool),
    /// Its command is not done and must run again.
    Again,
    /// Clients are paused; its command must run again after that.
    Paused,
}

/// A connection.
#[derive(Debug)]
pub struct Conn {
    /// The stream.
    pub socket: Socket,
    /// State of the protocol.
    pub session: Session,
    /// State of the request that has begun.
    pub parser: Parser,
    /// Bytes of that request, and room for such of one who has just spoken (N1).
    pub input: Vec<u8>,
    /// How much room.
    pub room: Room,
    /// Replies not sent yet.
    pub output: Output,
    /// Requests that wait.
    pub parked: Option<Box<Parked>>,
    /// Replies wait until the log promises this number (0: they do not wait).
    pub barrier: u64,
    /// When `output` passed the soft limit, Unix milliseconds.
    pub soft_since: Option<i64>,
    /// To be closed once `output` is empty.
    pub closing: bool,
    /// There may be more to read (N2).
    pub readable: bool,
    /// The other end has said its last.
    pub hung_up: bool,
    /// In the worker's `ready` list.
    pub queued: bool,
}

impl Conn {
    /// A connection that has said nothing yet.
    pub fn new(socket: Socket, client: Arc<Client>, must_authenticate: bool) -> Self {
        Self {
            socket,
            session: Session::new(client, must_authenticate),
            parser: Parser::default(),
            input: Vec::new(),
            room: Room::default(),
            output: Output::default(),
            parked: None,
            barrier: 0,
            soft_since: None,
            closing: false,
            readable: false,
            hung_up: false,
            queued: false,
        }
    }

    /// What the parser may accept.
    pub fn limits(&self, config: &Config) -> Limits {
        let authenticated = !self.session.has(Gates::AUTH);
        let limits = Limits { max_bulk: config.proto_max_bulk_len, ..Limits::default() };
        // One request at a time before AUTH: it may lift the limits for the next.
        let requests = if authenticated { limits.requests } else { 1 };
        Limits { authenticated, requests, ..limits }
    }

    /// Whether reading must wait: for a park to end, for the log, or for replies to be taken.
    pub fn is_held(&self) -> bool {
        let waits = self.parked.is_some() || self.barrier != 0;
        waits || self.closing || self.output.len() > STALL_AT
    }

    /// Bytes of requests that have not run.
    pub fn pending_input(&self) -> usize {
        let parked = self.parked.as_ref().map_or(0, |parked| parked.input.len());
        // Beside a big argument the few bytes before it do not count.
        match self.parser.received() {
            0 => parked + self.input.len(),
            received => parked + received,
        }
    }

    /// Bytes that this connection takes.
    pub fn memory(&self) -> usize {
        let parked = self.parked.as_ref().map_or(0, |p| {
            p.input.capacity() + p.batch.blobs.iter().map(Bytes::len).sum::<usize>()
        });
        let transaction = self.session.multi_memory() + self.session.watch_memory();
        let listens = self.session.subscriptions.as_ref().map_or(0, |to| to.weight());
        let tracks = self.session.tracking.as_ref().map_or(0, |how| how.memory());
        let buffers = self.input.capacity() + self.parser.held() + self.output.len();
        BASE + buffers + transaction + listens + tracks + parked
    }

    /// Shows other threads how full the buffers are.
    pub fn publish(&self) {
        let view = &self.session.client.view;
        view.query.store(self.pending_input(), Relaxed);
        view.query_free.store(self.input.capacity() - self.input.len(), Relaxed);
        view.args_memory.store(self.parser.begun() * 8, Relaxed);
        view.output_pieces.store(self.output.pieces(), Relaxed);
        view.output_bytes.store(self.output.len(), Relaxed);
    }

    /// The output limit of this client's class.
    pub fn output_limit(&self, config: &Config) -> OutputLimit {
        let limits = &config.client_output_buffer_limit;
        match self.session.client.class() {
            Class::Normal => limits.normal,
            Class::Replica => limits.replica,
            Class::Pubsub => limits.pubsub,
            Class::Primary => OutputLimit::default(),
        }
    }

    /// Whether `bytes` of unsent replies are too many, now or for too long.
    pub fn is_over_limit(&mut self, bytes: usize, config: &Config, now: i64) -> bool {
        let limit = self.output_limit(config);
        let bytes = bytes as u64;
        if limit.hard > 0 && bytes > limit.hard {
            return true;
        }
        if limit.soft == 0 || bytes <= limit.soft {
            self.soft_since = None;
            return false;
        }
        let since = *self.soft_since.get_or_insert(now);
        let patience = i64::try_from(limit.soft_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        now - since > patience
    }
}

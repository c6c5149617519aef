//! One worker: its poll, its connections, its turns.
//!
//! ```text
//! sleep -> mail -> events -> read -> parse, run, encode (batches of 64) -> one write -> ...
//!       -> mail -> due -> sleep
//! ```
//! A read shorter than the room it was given has emptied the socket, so no second call asks. After
//! [`READ_BUDGET`] bytes a connection goes to the end of the `ready` list: nobody starves behind a
//! firehose.

mod barrier;
mod door;
mod letters;
mod meanwhile;
mod parking;
mod upkeep;

use super::conn::{Conn, Why};
use super::engine::Engine;
use super::{shrink, socket::Socket};
use crate::commands::Shared;
use crate::mem;
use crate::metrics::Stat;
use crate::resp::request::Status;
use crate::session::mail::{Mail, RollCall};
use crate::session::{After, Client, Flag, Gates};
use crate::sync::Ordering;
use crossbeam_queue::SegQueue;
use mio::{Events, Poll, Token, Waker};
use parking::Waiting;
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::mem::take;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKE: Token = Token(usize::MAX);
/// Size of the scratch buffer, and so of the longest read.
const SCRATCH: usize = 256 * 1024;
/// Bytes read in a row before others have their turn.
const READ_BUDGET: usize = 4 * SCRATCH;
/// Replies of one batch after another are collected up to this many bytes before they are written.
const WRITE_AT: usize = 256 * 1024;
/// Time between two looks at what only time changes, in milliseconds.
const TICK: i64 = 100;
/// From this time on (milliseconds) a wait has no limit.
const FOREVER: u64 = i64::MAX as u64;
/// A roll call is answered by the first turn that finds nothing to read, or else after this many.
const ROLL_CALL_TURNS: u32 = 4;
/// How long replies may take to leave when the server stops.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// What other threads hold of a worker: the door for new connections.
#[derive(Debug, Default)]
pub struct Handle {
    arrivals: SegQueue<(Socket, Arc<Client>)>,
}

impl Handle {
    /// Hands a connection over to the worker that `client` was registered for.
    pub fn adopt(&self, shared: &Shared, socket: Socket, client: Arc<Client>) {
        let number = client.origin.worker;
        self.arrivals.push((socket, client));
        shared.clients.mailbox(number).rouse();
    }
}

/// A worker, in its own thread.
pub struct Worker {
    engine: Box<Engine>,
    /// Serves while `engine` runs what takes long; away while it does.
    stand_in: Option<Box<Engine>>,
    /// Other clients were served while a command ran.
    was_busy: bool,
    /// The client whose command runs, while others are served.
    away: u64,
    /// A message to a channel that it listens to waits for it.
    held_back: bool,
    /// Mail that must wait until the keyspace may be used again.
    deferred: VecDeque<Mail>,
    handle: Arc<Handle>,
    poll: Poll,
    conns: Vec<Option<Box<Conn>>>,
    free: Vec<usize>,
    ready: VecDeque<usize>,
    /// When waits end, each with its connection's slot. What ended otherwise is skipped when its time
    /// comes.
    parked: BTreeSet<(u64, usize)>,
    /// Connections whose replies wait for the log, by slot.
    barred: Vec<usize>,
    /// How many of them came in this turn.
    arrivals: u64,
    /// Roll calls to be answered, and after how many turns at the latest.
    calls: Vec<(Arc<RollCall>, u32)>,
    scratch: Box<[u8]>,
    /// There are cores to spare, so polling for a while takes nothing from other workers.
    may_spin: bool,
    /// Slots of connections that messages were queued for and not yet written to.
    told: Vec<usize>,
    next_tick: i64,
    /// The slot that the next look at connections begins with.
    cursor: usize,
    stop_at: Option<Instant>,
}

/// What reading brought.
enum Got {
    Bytes(usize),
    Nothing,
    End,
}

/// What is to happen to a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Keep,
    Close,
}

impl Worker {
    /// Worker `number`. To be called in its own thread.
    pub fn new(shared: Arc<Shared>, handle: Arc<Handle>, number: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        shared.clients.mailbox(number).connect(move || {
            // The poll lives as long as the thread; if waking fails the next tick finds the mail.
            let _ = waker.wake();
        });
        let engine = Box::new(Engine::new(shared, number));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            may_spin: engine.shared.clients.workers() < cores,
            told: Vec::new(),
            stand_in: Some(Box::new(engine.stand_in())),
            was_busy: false,
            away: 0,
            held_back: false,
            deferred: VecDeque::new(),
            engine,
            handle,
            poll,
            conns: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            parked: BTreeSet::new(),
            barred: Vec::new(),
            arrivals: 0,
            calls: Vec::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            next_tick: 1,
            cursor: 0,
            stop_at: None,
        })
    }

    /// Serves until told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.is_done() {
            if let Err(error) = self.wait(&mut events) {
                tracing::warn!("Waiting for events failed: {error}");
            }
            // Commands are guarded one connection at a time (N4). Should the loop itself panic, the
            // connection in its hands is lost, but the worker goes on.
            if catch_unwind(AssertUnwindSafe(|| self.turn(&events))).is_err() {
                tracing::error!("The loop of worker {} panicked", self.engine.local.worker);
                self.scratch = vec![0; SCRATCH].into_boxed_slice();
                self.engine.reset();
                self.engine.end(true);
            }
        }
        for slot in 0..self.conns.len() {
            if let Some(conn) = self.conns[slot].take() {
                self.bury(slot, conn);
            }
        }
        mem::settle();
    }

    fn is_done(&self) -> bool {
        self.stop_at.is_some_and(|deadline| {
            let unsent = self.conns.iter().flatten().any(|conn| !conn.output.is_empty());
            !unsent || Instant::now() >= deadline
        })
    }

    fn turn(&mut self, events: &Events) {
        let began = Instant::now();
        self.engine.refresh();
        self.engine.begin();
        let calls = take(&mut self.calls);
        self.unbar();
        // What was told before the requests of this turn were sent precedes their replies.
        self.read_mail();
        for event in events.iter().filter(|event| event.token() != WAKE) {
            let slot = event.token().0;
            if let Some(Some(conn)) = self.conns.get_mut(slot) {
                conn.readable |= event.is_readable() || event.is_error();
                conn.hung_up |= event.is_read_closed();
                self.serve(slot);
            }
        }
        for _ in 0..self.ready.len() {
            if let Some(slot) = self.ready.pop_front() {
                if let Some(Some(conn)) = self.conns.get_mut(slot) {
                    conn.queued = false;
                }
                self.serve(slot);
            }
        }
        self.answer(calls, events.iter().all(|event| event.token() == WAKE));
        self.read_mail();
        self.adopt();
        let ticked = self.due();
        self.engine.end(ticked);
        self.tell_barred();
        let stats = self.engine.stats();
        stats.add(Stat::LoopTurns, 1);
        stats.add(Stat::LoopMicros, began.elapsed().as_micros() as u64);
    }

    /// Sleeps until something happens, unless there is work.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.timeout();
        if timeout.is_zero() {
            return self.poll.poll(events, Some(timeout));
        }
        let spin = Duration::from_micros(u64::from(self.engine.config().spin_us));
        if !spin.is_zero() && self.may_spin && !self.conns.is_empty() {
            let began = Instant::now();
            while began.elapsed() < spin {
                self.poll.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() {
                    return Ok(());
                }
            }
        }
        let shared = Arc::clone(&self.engine.shared);
        let mailbox = shared.clients.mailbox(self.engine.local.worker);
        let seen = shared.log.promised();
        if self.is_promised(seen) {
            return self.poll.poll(events, Some(Duration::ZERO));
        }
        let still = || self.barred.is_empty() || shared.log.promised() == seen;
        let quiet = mailbox.sleep(|| self.handle.arrivals.is_empty() && still());
        let result = self.poll.poll(events, Some(if quiet { timeout } else { Duration::ZERO }));
        mailbox.woke();
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    fn timeout(&self) -> Duration {
        if !self.ready.is_empty() || !self.calls.is_empty() {
            return Duration::ZERO;
        }
        if !self.deferred.is_empty() {
            return Duration::from_millis(2); // nobody says when the keyspace is free again
        }
        let now = self.engine.now();
        let first = self.parked.first().and_then(|(until, _)| i64::try_from(*until).ok());
        let next = first.map_or(self.next_tick, |until| until.min(self.next_tick));
        if next == 0 {
            return Duration::ZERO; // a command that runs in slices goes on
        }
        Duration::from_millis(u64::try_from(next - now).unwrap_or(0).clamp(1, TICK as u64))
    }

    /// Does for one connection what can be done now.
    fn serve(&mut self, slot: usize) {
        let Some(mut conn) = self.conns.get_mut(slot).and_then(Option::take) else { return };
        let fate = self.drive(&mut conn);
        self.settle(slot, conn, fate);
    }

    /// Puts a connection back where it belongs after something was done for it.
    fn settle(&mut self, slot: usize, mut conn: Box<Conn>, fate: Fate) {
        let done = conn.closing && conn.output.is_empty();
        if fate == Fate::Close || done || conn.session.client.is_gone() {
            return self.bury(slot, conn);
        }
        if conn.readable && !conn.is_held() && !conn.queued {
            conn.queued = true;
            self.ready.push_back(slot);
        }
        if let Some(parked) = conn.parked.as_ref().filter(|parked| parked.until < FOREVER) {
            self.parked.insert((parked.until, slot));
        }
        conn.publish();
        let gone = self.account(&conn);
        if gone {
            return self.bury(slot, conn);
        }
        self.conns[slot] = Some(conn);
    }

    fn drive(&mut self, conn: &mut Conn) -> Fate {
        if !conn.output.is_empty() && self.flush(conn) == Fate::Close {
            return Fate::Close;
        }
        let mut budget = READ_BUDGET;
        while budget > 0 {
            // A client that waits for a pause or in line may leave; one whose reply is withheld for a
            // time gets it.
            let paused = conn.parked.as_ref().is_some_and(|p| p.why == Why::Paused);
            if conn.hung_up && (paused || conn.session.waiting.is_some()) {
                return Fate::Close;
            }
            if !conn.readable || conn.is_held() || self.stop_at.is_some() {
                break;
            }
            let before = conn.parser.received();
            let got = self.read(conn);
            budget = budget.saturating_sub(conn.parser.received() - before);
            match got {
                Ok(Got::Bytes(n)) if self.feed(conn, n) == Fate::Close => return Fate::Close,
                Ok(Got::Bytes(n)) => {
                    budget = budget.saturating_sub(n.max(1));
                    // Reading opens the sender's window: of a big argument more is there already.
                    conn.readable |= conn.parser.room().is_some();
                }
                Ok(Got::Nothing) => conn.readable = false,
                Ok(Got::End) | Err(_) => return Fate::Close,
            }
        }
        Fate::Keep
    }

    /// Reads once: into the big argument that is being received, then into the scratch buffer.
    /// Returns how many bytes the latter holds.
    fn read(&mut self, conn: &mut Conn) -> io::Result<Got> {
        let first = conn.parser.room().map_or(0, |room| room.len());
        let second = if conn.parser.room_is_last() { self.scratch.len() } else { 0 };
        let room = conn.parser.room().unwrap_or_default();
        let n = match conn.socket.read(room, &mut self.scratch[..second]) {
            Ok(0) => return Ok(Got::End),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Got::Nothing),
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(Got::Bytes(0)),
            Err(error) => return Err(error),
        };
        conn.parser.filled(n.min(first));
        // Short means empty, but for the end of the stream, which only another read shows.
        conn.readable = n == first + second || conn.hung_up;
        let stats = self.engine.stats();
        stats.add(Stat::Reads, 1);
        stats.add(Stat::NetIn, n as u64);
        Ok(Got::Bytes(n.saturating_sub(first)))
    }

    /// Parses and runs what was read, and sends the replies.
    fn feed(&mut self, conn: &mut Conn, n: usize) -> Fate {
        if conn.session.client.is_gone() {
            return Fate::Close; // killed before it sent this: nothing of it may run
        }
        let view = &conn.session.client.view;
        view.seen_ms.store(self.engine.now(), Ordering::Relaxed);
        debug_assert!(self.engine.reply.is_empty(), "a reply of somebody else");
        let mut input = take(&mut conn.input);
        if conn.parser.is_midway() && self.is_too_much(conn, input.len() + n) {
            return Fate::Close;
        }
        let scratch = take(&mut self.scratch);
        if !input.is_empty() {
            input.extend_from_slice(&scratch[..n]);
        }
        let data = if input.is_empty() { &scratch[..n] } else { input.as_slice() };
        let request = data.len() + conn.parser.received();
        let kept = self.guarded(conn, |worker, conn| worker.process(conn, data));
        if let Some(kept) = &kept {
            if input.is_empty() {
                input.extend_from_slice(&scratch[kept.clone()]);
            } else {
                input.truncate(kept.end);
                input.drain(..kept.start);
            }
            conn.input = input;
            if !conn.session.has(Gates::AUTH) {
                conn.room.spoke(&mut conn.input, request);
            }
        }
        self.scratch = scratch;
        match kept {
            Some(_) => self.send(conn),
            None => Fate::Close,
        }
    }

    /// N4: `None` if `work` panicked.
    fn guarded<T>(
        &mut self,
        conn: &mut Conn,
        work: impl FnOnce(&mut Self, &mut Conn) -> T,
    ) -> Option<T> {
        // What a panic may leave inconsistent is dropped: the connection here, the engine's buffers
        // by `reset`. Locks of the keyspace are released by their guards.
        let result = catch_unwind(AssertUnwindSafe(|| work(self, conn)));
        if result.is_err() {
            let client = &conn.session.client;
            tracing::error!(
                "A command panicked; closing client {} of {}",
                client.id,
                client.origin.peer
            );
            self.engine.reset();
        }
        result.ok()
    }

    /// A request that is still incomplete has grown beyond `client-query-buffer-limit`, or its
    /// client beyond its share of `maxmemory-clients`.
    fn is_too_much(&mut self, conn: &mut Conn, buffered: usize) -> bool {
        let held = buffered + conn.parser.held();
        let limit = self.engine.config().client_query_buffer_limit.min(u64::from(u32::MAX / 2));
        if held as u64 > limit {
            tracing::warn!(
                "Closing client that reached max query buffer length: id={} addr={} ({held} bytes)",
                conn.session.client.id,
                conn.session.client.origin.peer,
            );
            self.engine.stats().add(Stat::QueryLimit, 1);
            return true;
        }
        self.account(conn)
    }

    /// Runs all complete requests of `data`. Returns the part that belongs to an incomplete one.
    fn process(&mut self, conn: &mut Conn, data: &[u8]) -> Range<usize> {
        let view = &conn.session.client.view;
        view.query.store(data.len(), Ordering::Relaxed);
        let mut at = 0;
        loop {
            let limits = conn.limits(self.engine.config());
            let mut batch = take(&mut self.engine.batch);
            batch.clear();
            let parsed = conn.parser.parse_batch(&data[at..], &mut batch, &limits);
            let rest = at + parsed.consumed..at + parsed.kept;
            if !batch.reqs.is_empty() {
                let done = self.run_batch(conn, &batch, &data[at..], 0);
                if conn.session.after != After::Continue {
                    self.stop(conn, Waiting { batch, input: &data[at..rest.start], done });
                    return if conn.closing { 0..0 } else { rest };
                }
            }
            self.engine.batch = batch;
            at = rest.start;
            match parsed.status {
                Status::More => return rest,
                Status::Full => {}
                Status::Bad(error) => {
                    tracing::debug!(
                        "Protocol error ({}) from client: id={} addr={}",
                        String::from_utf8_lossy(&error.text()),
                        conn.session.client.id,
                        conn.session.client.origin.peer,
                    );
                    let text = [b"ERR Protocol error: ".as_slice(), &error.text()].concat();
                    self.engine.stats().error(&text);
                    self.engine.reply.error(text);
                    conn.closing = true;
                    return 0..0;
                }
            }
            if self.engine.reply.len() > WRITE_AT && self.send(conn) == Fate::Close {
                conn.session.client.flag(Flag::KILLED, true);
                conn.closing = true;
                conn.output.clear();
                return 0..0;
            }
        }
    }

    /// Sends the replies encoded so far.
    fn send(&mut self, conn: &mut Conn) -> Fate {
        let unsent = conn.output.len() + self.engine.reply.len();
        if unsent == 0 {
            return Fate::Keep;
        }
        if self.is_over_output(conn, unsent) {
            self.engine.reply.clear();
            self.engine.reply.bytes.shrink_to(shrink::FLOOR); // what it asked for is not to be expected again
            return Fate::Close;
        }
        if self.bar(conn) {
            conn.output.queue(&mut self.engine.reply);
            self.engine.reply.clear();
            return Fate::Keep;
        }
        let sent = conn.output.send(&mut conn.socket, &mut self.engine.reply);
        self.wrote(sent)
    }

    /// Sends what is queued.
    fn flush(&mut self, conn: &mut Conn) -> Fate {
        if self.is_barred(conn) {
            return Fate::Keep;
        }
        let sent = conn.output.flush(&mut conn.socket);
        if conn.output.is_empty() {
            conn.soft_since = None;
        }
        self.wrote(sent)
    }

    fn wrote(&self, sent: io::Result<usize>) -> Fate {
        let Ok(n) = sent else { return Fate::Close };
        let stats = self.engine.stats();
        stats.add(Stat::Writes, 1);
        stats.add(Stat::NetOut, n as u64);
        Fate::Keep
    }

    fn is_over_output(&self, conn: &mut Conn, unsent: usize) -> bool {
        let over = conn.is_over_limit(unsent, self.engine.config(), self.engine.now());
        if over {
            tracing::warn!(
                "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer \
                 limits.",
                conn.session.client.id,
                conn.session.client.origin.peer,
            );
            self.engine.stats().add(Stat::OutputLimit, 1);
        }
        over
    }
}

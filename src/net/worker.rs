//! One worker: its poll, its connections, its turns.
//!
//! ```text
//! sleep -> mail -> events -> read -> parse, run, encode (batches of 64) -> one write -> ...
//!       -> mail -> due -> sleep
//! ```
//! A read shorter than the room it was given has emptied the socket, so no second call asks. After
//! [`READ_BUDGET`] bytes a connection goes to the end of the `ready` list: nobody starves behind a
//! firehose.

mod letters;
mod meanwhile;

use super::conn::{Conn, Parked, Why};
use super::engine::Engine;
use super::socket::Socket;
use crate::commands::Shared;
use crate::mem;
use crate::metrics::Stat;
use crate::resp::request::{Batch, Status};
use crate::session::mail::{Mail, RollCall};
use crate::session::pause::Conditions;
use crate::session::{After, Client, Flag, Gates};
use crate::sync::Ordering;
use crossbeam_queue::SegQueue;
use mio::{Events, Poll, Token, Waker};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::mem::{replace, take};
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
/// Ticks in which all connections are looked at once, however many they are …
const SCAN_TICKS: usize = 10;
/// … but so many are looked at in each: few connections need not wait for a second.
const SCAN_LEAST: usize = 64;
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
            deferred: VecDeque::new(),
            engine,
            handle,
            poll,
            conns: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            parked: BTreeSet::new(),
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
        let quiet = mailbox.sleep(|| self.handle.arrivals.is_empty());
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

    /// Tells the registry what the connection takes; true if that was too much.
    fn account(&mut self, conn: &Conn) -> bool {
        let shared = &self.engine.shared;
        let client = &conn.session.client;
        if shared.clients.account(client, conn.memory()) {
            let config = self.engine.config();
            if let Some(limit) = config.maxmemory_clients.limit(config.maxmemory)
                && shared.clients.is_pressing(limit, client)
            {
                self.enforce();
            }
        }
        client.is_gone()
    }

    /// Closes the greatest clients if all together pass `maxmemory-clients`.
    fn enforce(&self) {
        let config = self.engine.config();
        if let Some(limit) = config.maxmemory_clients.limit(config.maxmemory) {
            let killed = self.engine.shared.clients.enforce(limit);
            self.engine.stats().add(Stat::EvictedClients, killed);
        }
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
                Ok(Got::Bytes(n)) => budget = budget.saturating_sub(n.max(1)),
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

    /// A command ended its batch early: does what it asks for.
    fn stop(&mut self, conn: &mut Conn, waiting: Waiting<'_>) {
        let Waiting { batch, input, done } = waiting;
        let now = self.engine.now();
        let after = take(&mut conn.session.after);
        let client = Arc::clone(&conn.session.client);
        let (until, why) = match after {
            After::Continue => return,
            After::Close => {
                conn.closing = true;
                client.flag(Flag::CLOSING, true);
                return;
            }
            After::Park(until) => (until, Why::Reply(conn.session.unblockable && until > 0)),
            After::Retry => (0, Why::Again), // in the next turn, after the others
            After::Await(until) => (until, Why::Again),
            After::Paused => {
                let until = self.engine.shared.conditions.paused(now).map_or(now, |(_, at)| at);
                self.engine.shared.clients.block(&client, true);
                (until.max(now) as u64, Why::Paused)
            }
        };
        if why == Why::Reply(true) {
            self.engine.shared.clients.block(&client, true);
            client.flag(Flag::UNBLOCKABLE, true);
            client.flag(Flag::TIMED, until < FOREVER);
        }
        let from = conn.session.reply_from.min(self.engine.reply.bytes.len());
        let withheld = match why {
            Why::Reply(_) => self.engine.reply.bytes.split_off(from),
            Why::Again | Why::Paused => Vec::new(),
        };
        let left = done < batch.reqs.len();
        let input = if left { input.to_vec() } else { Vec::new() };
        conn.parked = Some(Box::new(Parked { until, why, batch, done, input, withheld }));
    }

    /// Goes on with a parked connection.
    fn resume(&mut self, conn: &mut Conn) -> Fate {
        if let Some(waiting) = &conn.session.waiting
            && !waiting.waiter().end()
        {
            // It was served: its reply is on the way.
            conn.parked.iter_mut().for_each(|parked| parked.until = FOREVER);
            return Fate::Keep;
        }
        self.go_on(conn)
    }

    /// The same, when it no longer waits in line.
    fn go_on(&mut self, conn: &mut Conn) -> Fate {
        let Some(parked) = conn.parked.take() else { return Fate::Keep };
        let Parked { until, batch, done, input, withheld, .. } = *parked;
        let client = Arc::clone(&conn.session.client);
        self.parked.remove(&(until, client.slot.load(Ordering::Relaxed) as usize));
        if conn.session.waiting.take().is_some() {
            client.wait(None);
        }
        self.engine.shared.clients.block(&client, false);
        client.flag(Flag::UNBLOCKABLE | Flag::TIMED, false);
        client.view.seen_ms.store(self.engine.now(), Ordering::Relaxed); // until now it waited for us
        let went = self.guarded(conn, |worker, conn| {
            worker.engine.reply.raw(&withheld);
            if done < batch.reqs.len() {
                let done = worker.run_batch(conn, &batch, &input, done);
                if conn.session.after != After::Continue {
                    worker.stop(conn, Waiting { batch, input: &input, done });
                }
            }
            if !conn.is_held() && !conn.input.is_empty() {
                let data = take(&mut conn.input);
                let kept = worker.process(conn, &data);
                conn.input = data[kept].to_vec();
            }
        });
        if went.is_none() { Fate::Close } else { self.send(conn) }
    }

    /// Sends the replies encoded so far.
    fn send(&mut self, conn: &mut Conn) -> Fate {
        let unsent = conn.output.len() + self.engine.reply.len();
        if unsent == 0 {
            return Fate::Keep;
        }
        if self.is_over_output(conn, unsent) {
            self.engine.reply.clear();
            return Fate::Close;
        }
        let sent = conn.output.send(&mut conn.socket, &mut self.engine.reply);
        self.wrote(sent)
    }

    /// Sends what is queued.
    fn flush(&mut self, conn: &mut Conn) -> Fate {
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

    /// What only time changes: parks that end, idle clients, soft limits. Says whether a tick was due.
    fn due(&mut self) -> bool {
        let now = self.engine.now();
        // Those that are parked again meanwhile have their turn after the other clients.
        let later = self.parked.split_off(&(now as u64 + 1, 0));
        for (until, slot) in replace(&mut self.parked, later) {
            let here = self.conns.get(slot).and_then(Option::as_ref);
            let parked = here.and_then(|conn| conn.parked.as_ref());
            if parked.is_some_and(|parked| parked.until == until)
                && let Some(mut conn) = self.conns[slot].take()
            {
                let fate = self.resume(&mut conn);
                self.settle(slot, conn, fate);
            }
        }
        if now < self.next_tick {
            return false;
        }
        self.next_tick = now + TICK;
        mem::settle();
        self.scan(now);
        true
    }

    /// Looks at some connections, in rotation: closes those that were idle or over their soft limit
    /// for too long, and takes back the room of the silent.
    fn scan(&mut self, now: i64) {
        let timeout = i64::from(self.engine.config().timeout) * 1_000;
        let spared = Flag::BLOCKED | Flag::PUBSUB | Flag::REPLICA | Flag::PRIMARY | Flag::MONITOR;
        let slots = self.conns.len();
        let from = if self.cursor < slots { self.cursor } else { 0 };
        let to = (from + slots.div_ceil(SCAN_TICKS).max(SCAN_LEAST)).min(slots);
        self.cursor = to;
        for slot in from..to {
            let Some(mut conn) = self.conns[slot].take() else { continue };
            let client = &conn.session.client;
            let idle = now - client.view.seen_ms.load(Ordering::Relaxed);
            let waits = conn.parked.is_some(); // for us
            let is_idle = timeout > 0 && idle > timeout && !waits && client.flags() & spared == 0;
            if is_idle {
                tracing::debug!("Closing idle client id={} addr={}", client.id, client.origin.peer);
            }
            conn.room.look(&mut conn.input, idle);
            let unsent = conn.output.len();
            let over = unsent > 0 && self.is_over_output(&mut conn, unsent);
            let fate = if is_idle || over { Fate::Close } else { Fate::Keep };
            self.settle(slot, conn, fate);
        }
    }

    fn adopt(&mut self) {
        while let Some((socket, client)) = self.handle.arrivals.pop() {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.conns.push(None);
                self.conns.len() - 1
            });
            client.slot.store(slot as u32, Ordering::Release);
            let must_authenticate = !self.engine.config().requirepass.is_empty();
            let mut conn = Box::new(Conn::new(socket, client, must_authenticate));
            let token = Token(slot);
            if let Err(error) = conn.socket.register(self.poll.registry(), token) {
                tracing::warn!("Cannot watch a new connection: {error}");
                self.bury(slot, conn);
                continue;
            }
            // Requests usually came with the connection; if not, this costs one read in vain.
            conn.readable = true;
            self.account(&conn);
            self.conns[slot] = Some(conn);
            self.serve(slot);
        }
    }

    /// The end of a connection.
    fn bury(&mut self, slot: usize, mut conn: Box<Conn>) {
        if conn.closing && conn.output.is_empty() {
            // What is unread when a socket is closed makes the kernel reset the connection, and the
            // client might lose the last reply.
            conn.socket.finish();
            let _ = conn.socket.read(&mut [], &mut self.scratch);
        }
        if let Some(parked) = &conn.parked {
            self.parked.remove(&(parked.until, slot));
        }
        if conn.session.waiting.take().is_some() {
            conn.session.client.wait(None);
        }
        let client = &conn.session.client;
        let monitored = client.flags() & Flag::MONITOR != 0;
        if let Some(tracking) = conn.session.tracking.take() {
            let shared = &self.engine.shared;
            shared.clients.trackers.end(client, &tracking, &shared.keyspace);
        }
        if let Some(listened) = conn.session.subscriptions.take() {
            self.engine.shared.clients.hub.unsubscribe_all(client, *listened);
        }
        self.engine.shared.clients.remove(client);
        if monitored {
            let any = self.engine.shared.clients.monitor(client, false);
            self.engine.shared.conditions.set(Conditions::MONITORED, any);
        }
        self.free.push(slot);
    }
}

/// Requests of a batch that ended early.
struct Waiting<'a> {
    batch: Batch,
    input: &'a [u8],
    done: usize,
}

//! A client thread: one event loop over its share of the connections.
//!
//! Keeps true:
//! - **W1** A connection has at most one batch under way: written whole before the next is made.
//! - **W2** A batch costs one write and one read when the server answers it in one piece: a read that
//!   does not fill the buffer has emptied the socket, so there is no second read to learn that.
//! - **W3** A reply's latency ends at the read that completed it, and begins at the time its batch
//!   was due (open loop) or was made (closed loop).
//!
//! One clock reading per read serves the replies it completed and the batch that follows.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::failure::{Failure, plain};
use crate::job::Job;
use crate::pacer::{Pacer, Share};
use crate::pattern::Keys;
use crate::records::{Part, Records};
use crate::rng::Rng;
use crate::stream::Stream;
use crate::target::protocol;
use crate::template::{Batch, Source};
use crate::verify::{Checker, Expect, Expected, Progress};
use crate::walker::{Stop, Walker};

/// Large enough for a batch of long lists; one per thread.
const READ_BUFFER: usize = 256 * 1024;
/// How long a quiet loop sleeps before it looks whether the run was called off.
const NAP: Duration = Duration::from_millis(100);
/// How long after the end of a timed run its last replies are awaited.
const PATIENCE: u64 = 10_000_000_000;
/// Different commands in a workload, at most.
const COMMANDS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Being connected.
    Connecting,
    /// The greeting is on its way, or its replies are awaited.
    Greeting,
    /// Ready for a batch, or done.
    Idle,
    /// A batch is on its way, or its replies are awaited.
    Busy,
}

/// One connection.
struct Conn {
    stream: Stream,
    stage: Stage,
    walker: Walker,
    /// What the socket would not take of the greeting or batch, and how much of that it has taken since.
    unsent: Vec<u8>,
    sent: usize,
    /// Replies still to come.
    awaited: usize,
    /// When the batch began, or for a waiting connection when the next one is due: nanoseconds.
    since: u64,
    /// What each request of the batch expects; empty unless checking.
    expected: Vec<Expected>,
    checking: Progress,
}

impl Conn {
    /// Writes a greeting or batch. The rest of what the socket takes only in parts is kept.
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.stream.write(bytes).map_err(|e| Failure::broken(&e))?.unwrap_or(0);
        if written == bytes.len() {
            return Ok(());
        }
        self.unsent.clear();
        self.unsent.extend_from_slice(&bytes[written..]);
        self.sent = 0;
        self.flush()
    }

    /// Writes what is kept unwritten, until the socket is full: the next writable event continues.
    fn flush(&mut self) -> Result<(), Failure> {
        while self.sent < self.unsent.len() {
            match self.stream.write(&self.unsent[self.sent..]).map_err(|e| Failure::broken(&e))? {
                Some(written) => self.sent += written,
                None => return Ok(()),
            }
        }
        self.unsent.clear();
        self.sent = 0;
        Ok(())
    }
}

/// A client thread's state.
pub struct Worker<'a> {
    job: &'a Job,
    id: usize,
    poll: Poll,
    conns: Vec<Conn>,
    greeting: Vec<u8>,
    source: Source<'a>,
    /// Where batches are made. Only what a socket does not take at once becomes the connection's.
    batch: Batch,
    expects: [Expect; COMMANDS],
    buffer: Vec<u8>,
    records: Records,
    pacer: Option<Pacer>,
    /// Connections not yet ready (before the start) or not yet done (after it).
    active: usize,
    /// The clock of this run; before the start, of connecting.
    start: Instant,
    running: bool,
    /// Nanoseconds after the start; no batch begins later.
    end: u64,
}

impl<'a> Worker<'a> {
    /// Opens this thread's connections and waits until all are greeted.
    pub fn connect(job: &'a Job, id: usize) -> Result<Self, Failure> {
        let keys = Keys::new(
            job.pattern,
            job.key_space,
            Rng::new(job.seed, id as u64),
            job.shared.sequence.clone(),
        );
        let share = job.clients / job.threads + usize::from(id < job.clients % job.threads);
        let mut worker = Worker {
            job,
            id,
            poll: Poll::new().map_err(|error| Failure::broken(&error))?,
            conns: Vec::with_capacity(share),
            greeting: job.greeting.bytes(),
            source: Source::new(&job.workload, &job.values, keys, job.verify),
            batch: Batch::new(&job.workload, job.depth),
            expects: [job.workload.expect(0), job.workload.expect(1)],
            buffer: vec![0; READ_BUFFER],
            records: Records::new(job.precision),
            pacer: job.rate.map(|rate| Pacer::new(rate, job.depth, job.clients)),
            active: share,
            start: Instant::now(),
            running: false,
            end: u64::MAX,
        };
        for i in 0..share {
            let stream = worker.open(i)?;
            worker.conns.push(Conn {
                stream,
                stage: Stage::Connecting,
                walker: Walker::default(),
                unsent: Vec::new(),
                sent: 0,
                awaited: 0,
                since: 0,
                expected: Vec::new(),
                checking: Progress::default(),
            });
        }
        worker.turn_until_idle()?;
        Ok(worker)
    }

    /// Sends, receives and records until the job is done.
    pub fn run(&mut self, start: Instant) -> Result<(), Failure> {
        self.start = start;
        self.end = self.job.duration.map_or(u64::MAX, |length| length.as_nanos() as u64);
        self.running = true;
        self.records.begin();
        self.active = self.conns.len();
        for i in 0..self.conns.len() {
            match &self.pacer {
                Some(pacer) => {
                    let (threads, clients) = (self.job.threads, self.job.clients);
                    let due = pacer.first(i, Share { thread: self.id, threads, clients });
                    self.wait_for(i, due);
                }
                None => self.begin(i, self.now())?,
            }
        }
        self.turn_until_idle()
    }

    /// What was measured.
    pub fn finish(self) -> Part {
        self.records.finish()
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn open(&self, i: usize) -> Result<Stream, Failure> {
        Stream::open(&self.job.server.address, self.poll.registry(), Token(i))
            .map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &std::io::Error) -> Failure {
        Failure::Connect(self.job.server.target.to_string(), plain(error))
    }

    /// The event loop: until no connection is active, or the run is called off.
    fn turn_until_idle(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(1024);
        while self.active > 0 && !self.job.shared.stop.load(Relaxed) {
            let timeout = self.send_what_is_due()?;
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| Failure::broken(&error))?,
            }
            for event in &events {
                let i = event.token().0;
                if event.is_writable() {
                    self.writable(i)?;
                }
                if event.is_readable() || event.is_error() {
                    self.readable(i)?;
                }
            }
            if events.is_empty() && self.running && self.now() > self.end.saturating_add(PATIENCE) {
                let text = "replies are missing 10 seconds after the end";
                return Err(Failure::Broken(text.to_owned()));
            }
        }
        Ok(())
    }

    /// Open loop: sends the batches whose time has come. Returns how long the poll may sleep.
    fn send_what_is_due(&mut self) -> Result<Duration, Failure> {
        if self.pacer.is_none() || !self.running {
            return Ok(NAP);
        }
        loop {
            let now = self.now();
            let exhausted = self.job.exhausted() || now >= self.end;
            let Some(pacer) = &mut self.pacer else { return Ok(NAP) };
            if exhausted {
                self.active -= pacer.clear();
                return Ok(if self.active == 0 { Duration::ZERO } else { NAP });
            }
            match pacer.take_due(now) {
                Some((due, i)) => self.begin(i, due)?,
                None => return Ok(pacer.timeout(now, NAP)),
            }
        }
    }

    /// Open loop: has a free connection wait for its next beat.
    fn wait_for(&mut self, i: usize, due: u64) {
        match &mut self.pacer {
            Some(pacer) if due < self.end && !self.job.exhausted() => {
                self.conns[i].since = due;
                pacer.wait(due, i);
            }
            _ => self.active -= 1,
        }
    }

    /// Makes and sends a connection's next batch, or lets it be done.
    fn begin(&mut self, i: usize, since: u64) -> Result<(), Failure> {
        let requests = if since < self.end { self.job.grant() } else { 0 };
        if requests == 0 {
            self.active -= 1;
            return Ok(());
        }
        self.batch.fill(requests, &mut self.source);
        let conn = &mut self.conns[i];
        conn.stage = Stage::Busy;
        conn.since = since;
        conn.awaited = requests;
        if self.source.verify {
            conn.checking.restart();
            std::mem::swap(&mut conn.expected, &mut self.batch.expected);
        }
        conn.send(self.batch.bytes())
    }

    fn writable(&mut self, i: usize) -> Result<(), Failure> {
        if self.conns[i].stage != Stage::Connecting {
            return self.conns[i].flush();
        }
        if !self.conns[i].stream.connected().map_err(|error| self.refused(&error))? {
            return Ok(());
        }
        if self.greeting.is_empty() {
            return self.ready(i);
        }
        let conn = &mut self.conns[i];
        conn.stage = Stage::Greeting;
        conn.awaited = self.job.greeting.replies();
        conn.send(&self.greeting)
    }

    /// A connection is connected and greeted.
    fn ready(&mut self, i: usize) -> Result<(), Failure> {
        self.conns[i].stage = Stage::Idle;
        if !self.running {
            self.active -= 1;
            return Ok(());
        }
        // Reconnected in the middle of a run (`-k 0`).
        match &self.pacer {
            Some(pacer) => {
                let due = pacer.after(self.conns[i].since);
                self.wait_for(i, due);
                Ok(())
            }
            None => self.begin(i, self.now()),
        }
    }

    fn readable(&mut self, i: usize) -> Result<(), Failure> {
        if self.conns[i].stage == Stage::Connecting {
            return Ok(());
        }
        loop {
            let conn = &mut self.conns[i];
            let read = match conn.stream.read(&mut self.buffer) {
                Ok(Some(0)) => {
                    return Err(Failure::Broken("Server closed the connection".to_owned()));
                }
                Ok(Some(read)) => read,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::broken(&error)),
            };
            self.received(i, read)?;
            if read < self.buffer.len() {
                return Ok(()); // W2
            }
        }
    }

    /// Walks over the bytes just read.
    fn received(&mut self, i: usize, read: usize) -> Result<(), Failure> {
        let conn = &mut self.conns[i];
        let bytes = &self.buffer[..read];
        let result = if self.source.verify && conn.stage == Stage::Busy {
            let mut checker = Checker {
                progress: &mut conn.checking,
                expected: &conn.expected,
                expects: &self.expects,
                values: self.source.values,
                tally: &mut self.records.tally,
            };
            conn.walker.feed(bytes, &mut checker)
        } else {
            conn.walker.feed(bytes, &mut ())
        };
        let replies = result.map_err(|stop| match stop {
            Stop::ErrorReply(text) => Failure::Server(text),
            Stop::Malformed(what) => Failure::Broken(protocol(&what)),
        })?;
        if replies == 0 {
            return Ok(());
        }
        let left = conn.awaited.checked_sub(replies);
        conn.awaited =
            left.ok_or_else(|| Failure::Broken(protocol("more replies than requests")))?;
        let finished = conn.awaited == 0;
        if conn.stage == Stage::Greeting {
            return if finished { self.ready(i) } else { Ok(()) };
        }
        let (since, now) = (conn.since, self.now());
        self.records.add(replies as u64, since, now, &self.job.shared.progress[self.id]);
        if finished { self.finished(i, now) } else { Ok(()) }
    }

    /// A batch has all its replies: on to the next.
    fn finished(&mut self, i: usize, now: u64) -> Result<(), Failure> {
        if !self.job.keep_alive {
            if self.job.exhausted() || now >= self.end {
                self.active -= 1;
                return Ok(());
            }
            let stream = self.open(i)?;
            let conn = &mut self.conns[i];
            conn.stream = stream; // drops, and thereby closes, the old one
            conn.stage = Stage::Connecting;
            conn.walker = Walker::default();
            conn.unsent.clear();
            return Ok(());
        }
        match &self.pacer {
            Some(pacer) => {
                let due = pacer.after(self.conns[i].since);
                self.conns[i].stage = Stage::Idle;
                self.wait_for(i, due);
                Ok(())
            }
            None => self.begin(i, now),
        }
    }
}

//! One measurement: what all its threads share, and the thread that starts, watches and sums them.
//!
//! ```text
//!   main                         worker 1 .. N
//!   spawn ---------------------> connect, greet
//!   <----------------- Ready --- (all connections stand)
//!   start(now) ----------------> send, receive, record
//!   tick every 250 ms            progress counters
//!   <------------ Done(Part) --- last reply
//! ```
//! Keeps true: the clock starts when every connection of every thread stands, so connecting is never
//! part of a figure; the first failure of any thread ends the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::pattern::Pattern;
use crate::records::{Part, Progress, histogram};
use crate::target::{Greeting, Server};
use crate::template::Workload;
use crate::values::Values;
use crate::verify::Tally;
use crate::worker::Worker;

/// How often the progress line changes.
pub const TICK: Duration = Duration::from_millis(250);

/// Everything about one measurement that does not change while it runs, and the shared counters.
#[derive(Debug)]
pub struct Job {
    pub server: Server,
    pub greeting: Greeting,
    pub workload: Workload,
    pub values: Arc<Values>,
    /// Connections in total, at least one per thread.
    pub clients: usize,
    pub threads: usize,
    /// Requests sent before replies are awaited.
    pub depth: usize,
    pub keep_alive: bool,
    pub pattern: Pattern,
    pub key_space: u64,
    pub seed: u64,
    pub verify: bool,
    /// Significant decimal digits of latencies.
    pub precision: u8,
    /// Stop after so many requests …
    pub requests: u64,
    /// … or after so long.
    pub duration: Option<Duration>,
    /// Requests per second to offer; without it each reply triggers the next request.
    pub rate: Option<f64>,
    pub shared: Shared,
}

/// The counters that a job's threads share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Requests handed out to connections. May pass the job's number; see `Job::grant`.
    issued: AtomicU64,
    /// The next key of the sequential pattern.
    pub sequence: Arc<AtomicU64>,
    /// Someone failed: stop.
    pub stop: AtomicBool,
    /// One per thread, each written by it alone.
    pub progress: Vec<CachePadded<Progress>>,
}

impl Shared {
    /// Counters for so many threads, keys counting on from `sequence`.
    pub fn new(threads: usize, sequence: Arc<AtomicU64>) -> Self {
        let progress = (0..threads).map(|_| CachePadded::default()).collect();
        Shared { sequence, progress, ..Shared::default() }
    }
}

/// The state of a run at a tick.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tick {
    pub elapsed: Duration,
    pub replies: u64,
    /// Sum, in microseconds.
    pub latency: u64,
}

/// The result of a measurement.
#[derive(Debug)]
pub struct Outcome {
    pub requests: u64,
    /// From the start to the last reply.
    pub elapsed: Duration,
    /// Microseconds.
    pub histogram: Histogram<u64>,
    pub tally: Tally,
    /// What the threads of this client used, where the system tells.
    pub client_cpu: Option<Duration>,
}

impl Outcome {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl Job {
    /// Takes up to a batch from the requests still to be sent; 0 when there are none.
    #[inline]
    pub fn grant(&self) -> usize {
        // Relaxed: a bare count. It overshoots by at most a batch per connection.
        let before = self.shared.issued.fetch_add(self.depth as u64, Relaxed);
        let left = self.requests.saturating_sub(before);
        self.depth.min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// All requests have been handed out.
    pub fn exhausted(&self) -> bool {
        self.shared.issued.load(Relaxed) >= self.requests
    }

    fn tick(&self, start: Instant) -> Tick {
        let mut tick = Tick { elapsed: start.elapsed(), ..Tick::default() };
        for progress in &self.shared.progress {
            tick.replies += progress.replies.load(Relaxed);
            tick.latency += progress.latency.load(Relaxed);
        }
        tick
    }

    /// Runs the job to its end; `watch` is called at every tick.
    pub fn run(
        self,
        watch: &mut dyn FnMut(Tick) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let job = Arc::new(self);
        let (sender, messages) = mpsc::channel();
        let mut crew = Crew { job: job.clone(), handles: Vec::new(), starts: Vec::new() };
        for id in 0..job.threads {
            crew.hire(id, sender.clone())?;
        }
        drop(sender);
        let result = crew.conduct(&messages, watch);
        crew.dismiss();
        result
    }
}

enum Message {
    Ready,
    Done(Box<Result<Part, Failure>>),
}

/// The running threads.
struct Crew {
    job: Arc<Job>,
    handles: Vec<JoinHandle<()>>,
    starts: Vec<Sender<Instant>>,
}

impl Crew {
    fn hire(&mut self, id: usize, report: Sender<Message>) -> Result<(), Failure> {
        let (start_sender, start) = mpsc::channel();
        let job = self.job.clone();
        let thread = std::thread::Builder::new().name(format!("client-{id}"));
        let work = move || {
            if let Some(done) = work(&job, id, &report, &start) {
                // Nobody listens when another thread's failure has already ended the run.
                let _ = report.send(Message::Done(Box::new(done)));
            }
        };
        let handle = thread.spawn(work).map_err(|error| Failure::broken(&error))?;
        self.handles.push(handle);
        self.starts.push(start_sender);
        Ok(())
    }

    fn conduct(
        &self,
        messages: &Receiver<Message>,
        watch: &mut dyn FnMut(Tick) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let died = || Failure::Broken("a client thread died".to_owned());
        for _ in &self.handles {
            match messages.recv().map_err(|_| died())? {
                Message::Ready => {}
                Message::Done(result) => return Err(result.err().unwrap_or_else(died)),
            }
        }
        let start = Instant::now();
        for sender in &self.starts {
            sender.send(start).map_err(|_| died())?;
        }
        let mut parts = Vec::new();
        let mut next = start + TICK;
        while parts.len() < self.handles.len() {
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Done(result)) => parts.push((*result)?),
                Ok(Message::Ready) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(died()),
                Err(RecvTimeoutError::Timeout) => {
                    watch(self.job.tick(start))?;
                    next += TICK;
                }
            }
        }
        Ok(sum(&self.job, parts))
    }

    /// Makes the threads end, and waits for it.
    fn dismiss(self) {
        self.job.shared.stop.store(true, Relaxed);
        drop(self.starts);
        for handle in self.handles {
            // A panic has printed itself, and `conduct` noticed the missing result.
            let _ = handle.join();
        }
    }
}

/// A thread's life. `None`: the run was called off before it began.
fn work(
    job: &Job,
    id: usize,
    report: &Sender<Message>,
    start: &Receiver<Instant>,
) -> Option<Result<Part, Failure>> {
    let mut worker = match Worker::connect(job, id) {
        Ok(worker) => worker,
        Err(failure) => return Some(Err(failure)),
    };
    report.send(Message::Ready).ok()?;
    let start = start.recv().ok()?;
    Some(worker.run(start).map(|()| worker.finish()))
}

fn sum(job: &Job, parts: Vec<Part>) -> Outcome {
    let mut outcome = Outcome {
        requests: 0,
        elapsed: Duration::ZERO,
        histogram: histogram(job.precision),
        tally: Tally::default(),
        client_cpu: Some(Duration::ZERO),
    };
    for part in parts {
        outcome.requests += part.replies;
        outcome.elapsed = outcome.elapsed.max(part.last_reply);
        // Same bounds and digits on both sides: adding cannot fail.
        let _ = outcome.histogram.add(&part.histogram);
        outcome.tally.add(part.tally);
        outcome.client_cpu = outcome.client_cpu.zip(part.cpu).map(|(sum, cpu)| sum + cpu);
    }
    outcome
}

//! The thread that writes the log.

use super::merge::{Merge, Run};
use super::{Facts, Log, Order};
use crate::db::Keyspace;
use crate::disk;
use crate::disk::log::SyncJob;
use crate::disk::{Policy, State};
use crate::sync::Ordering;
use bytes::Bytes;
use std::io;
use std::mem::take;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs from this length on go to the disk as they are; shorter ones are put together.
const DIRECT: usize = 4 * 1024;
/// How much is put together.
const GROUP: usize = 64 * 1024;
/// Between two looks while there is traffic and nobody waits.
const LOOK: Duration = Duration::from_millis(2);
/// The longest sleep.
const NAP: Duration = Duration::from_millis(500);
/// From so many bytes that are not durable on a sync begins early: they are kept in memory until then.
const EARLY: usize = 8 << 20;
/// Who comes back too late so often in a row is not waited for ...
const MISSES: u32 = 8;
/// ... but in one of so many turns.
const RETRY: u32 = 32;
/// The longest wait for the end of turns.
const DRAIN: Duration = Duration::from_secs(2);
/// How long, at most, who was released is waited for before the next sync (L4).
const GATHER: Duration = Duration::from_millis(2);
/// And on a disk whose syncs take next to no time: fewer turns of the two threads are worth more than
/// that time where they share a core, and who does not come back is soon not waited for.
const LEAST: Duration = Duration::from_millis(1);
/// A sync that takes longer than this delays those after it, milliseconds.
const SLOW_SYNC: u64 = 2_000;

/// What the thread does to others.
pub struct Outside {
    /// Wakes workers by their bits.
    pub rouse: Box<dyn Fn(u64) + Send>,
    /// The disk refuses, or no longer does.
    pub failing: Box<dyn Fn(bool) + Send>,
}

/// Starts the thread; with a log, unless one is begun later. It ends when the sender is dropped.
pub fn start(
    keyspace: Arc<Keyspace>,
    shared: Arc<Log>,
    log: Option<disk::Log>,
    outside: Outside,
) -> io::Result<Running> {
    let (stop, stopped) = mpsc::channel();
    let merge = Merge::new(keyspace.journal.seats(), keyspace.journal.last());
    let syncer = Syncer::start()?;
    let mut writer = Writer {
        keyspace,
        shared,
        log,
        merge,
        group: Vec::new(),
        syncer,
        undurable: 0,
        delayed: 0,
        outside,
        was_failing: false,
        rewrite: None,
        crowd: Crowd::default(),
        saving: false,
    };
    writer.publish();
    let shared = Arc::clone(&writer.shared);
    let thread =
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&stopped))?;
    let _ = shared.thread.set(thread.thread().clone());
    Ok(Running { stop: Some(stop), thread: Some(thread), shared })
}

/// The thread; it ends, with everything durable, when this is dropped.
pub struct Running {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Log>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        self.shared.poke();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Another thread that waits for syncs, so that this one goes on.
struct Syncer {
    jobs: Sender<SyncJob>,
    done: Receiver<(SyncJob, io::Result<()>)>,
    /// When the job at hand began.
    since: Option<Instant>,
    /// Bytes that it will make durable.
    covers: usize,
}

impl Syncer {
    fn start() -> io::Result<Self> {
        let (jobs, wanted) = mpsc::channel::<SyncJob>();
        let (ready, done) = mpsc::channel();
        std::thread::Builder::new().name("sync".into()).spawn(move || {
            for job in wanted {
                let result = job.run();
                if ready.send((job, result)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { jobs, done, since: None, covers: 0 })
    }

    fn begin(&mut self, job: SyncJob, covers: usize) {
        if self.jobs.send(job).is_ok() {
            (self.since, self.covers) = (Some(Instant::now()), covers);
        }
    }
}

struct Writer {
    keyspace: Arc<Keyspace>,
    shared: Arc<Log>,
    log: Option<disk::Log>,
    merge: Merge,
    /// Short runs, put together.
    group: Vec<u8>,
    syncer: Syncer,
    undurable: usize,
    delayed: u64,
    outside: Outside,
    was_failing: bool,
    /// Who waits for the cut.
    rewrite: Option<Sender<Result<disk::Rewrite, String>>>,
    crowd: Crowd,
    /// Somebody else writes much to the disk.
    saving: bool,
}

/// Connections whose replies wait (L4).
#[derive(Default)]
struct Crowd {
    /// Who had arrived when records were last taken over.
    taken: u64,
    /// The same the time before.
    released: u64,
    /// How long the last sync took.
    sync: Duration,
    /// So often in a row they were not back in time.
    missed: u32,
}

impl Writer {
    fn run(&mut self, stopped: &Receiver<()>) {
        let mut idle = false;
        loop {
            let ends = matches!(stopped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
            let busy = self.turn();
            if ends && !busy {
                break;
            }
            if busy {
                if std::mem::take(&mut idle) {
                    self.shared.wake.rise();
                }
                if self.is_awaited() {
                    self.gather();
                } else {
                    std::thread::park_timeout(LOOK);
                }
                continue;
            }
            if !idle {
                // One more turn after this, and only then to sleep (L2).
                idle = true;
                self.keyspace.journal.rest();
                self.shared.wake.doze();
                continue;
            }
            std::thread::park_timeout(self.nap());
            self.shared.wake.rise();
            idle = false;
        }
        if self.log.is_some() {
            self.finish_log();
        }
    }

    /// L4: waits until those are back whose replies left, or a little.
    fn gather(&mut self) {
        let shared = &self.shared;
        let Crowd { taken, released, sync, missed } = self.crowd;
        self.crowd.missed = missed.wrapping_add(1);
        if missed > MISSES && missed % RETRY != 0 {
            return;
        }
        // Those whose replies just left, and those who arrived meanwhile.
        let crowd = shared.wake.arrived() - released;
        let target = taken + crowd;
        let end = Instant::now() + (sync / 2).clamp(LEAST, GATHER);
        shared.wake.expect(target);
        while shared.wake.arrived() < target {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        shared.wake.expect(u64::MAX);
        if shared.wake.arrived() >= target {
            self.crowd.missed = 0;
        }
    }

    /// Whether replies wait.
    fn is_awaited(&self) -> bool {
        self.shared.is_always()
    }

    fn nap(&self) -> Duration {
        let now = self.now();
        let wake = self.log.as_ref().and_then(|log| log.next_wake(now));
        let until = wake.map_or(NAP, |at| Duration::from_millis(at.saturating_sub(now).max(1)));
        if self.syncer.since.is_some() { LOOK.min(until) } else { until.min(NAP) }
    }

    fn now(&self) -> u64 {
        self.keyspace.clock.tick().unsigned_abs()
    }

    /// Does what there is to do; says whether anything came.
    fn turn(&mut self) -> bool {
        let ordered = self.obey();
        self.crowd.released = self.crowd.taken;
        self.crowd.taken = self.shared.wake.arrived(); // handed over before they arrived
        let bytes = self.merge.collect(&self.keyspace.journal);
        let until = self.shared.cut.load(Ordering::Acquire); // after what was collected: L3
        let before = self.merge.last();
        while let Some(run) = self.take(until) {
            self.append(run);
        }
        self.seal();
        self.keyspace.journal.done(bytes);
        let comes = self.merge.last() != before;
        if comes {
            self.shared.linger();
        }
        self.commit();
        if until != u64::MAX && self.merge.last() == until {
            self.obey(); // whoever told the cut had asked before
            self.switch();
        }
        self.publish();
        ordered || comes
    }

    fn take(&mut self, until: u64) -> Option<Run> {
        let group = &mut self.group;
        self.merge.next(until, |select| group.extend_from_slice(select))
    }

    fn append(&mut self, run: Run) {
        if run.bytes.len() < DIRECT {
            self.group.extend_from_slice(&run.bytes);
            if self.group.len() >= GROUP {
                self.seal();
            }
            return;
        }
        self.pass_on(run.first - 1);
        self.undurable += run.bytes.len();
        if let Some(log) = &mut self.log {
            log.append(run.bytes, run.last);
        }
    }

    /// What was put together becomes a group.
    fn seal(&mut self) {
        self.pass_on(self.merge.last());
    }

    fn pass_on(&mut self, last: u64) {
        if self.group.is_empty() {
            return;
        }
        let bytes = Bytes::from(take(&mut self.group));
        self.undurable += bytes.len();
        if let Some(log) = &mut self.log {
            let last = last.max(log.appended());
            log.append(bytes, last);
        }
    }

    fn commit(&mut self) {
        let now = self.now();
        let Some(log) = &mut self.log else {
            self.undurable = 0;
            return;
        };
        while let Ok((job, result)) = self.syncer.done.try_recv() {
            let took = self.syncer.since.take().map_or(0, |since| since.elapsed().as_millis());
            self.delayed += u64::from(took as u64 > SLOW_SYNC);
            if log.sync_done(&job, result, now) {
                self.undurable = self.undurable.saturating_sub(self.syncer.covers);
            }
        }
        if log.options().policy == Policy::Always {
            let began = Instant::now();
            log.commit(now);
            self.crowd.sync = began.elapsed();
            if log.state() == State::Healthy {
                self.undurable = 0;
            }
            return;
        }
        if let Some(job) =
            log.commit_beside(now, self.syncer.since.is_some(), self.undurable > EARLY)
        {
            self.syncer.begin(job, self.undurable);
        }
        if !log.keeps() {
            self.undurable = 0; // nobody syncs, so nothing waits for that
        }
    }

    /// Waits for the sync that is under way: the log lets nobody else sync before it is back.
    fn await_sync(&mut self) {
        if self.syncer.since.take().is_some()
            && let Ok((job, result)) = self.syncer.done.recv()
        {
            let now = self.now();
            if let Some(log) = &mut self.log
                && log.sync_done(&job, result, now)
            {
                self.undurable = self.undurable.saturating_sub(self.syncer.covers);
            }
        }
    }

    /// All records up to the cut are in the file: the next begins.
    fn switch(&mut self) {
        self.shared.cut.store(u64::MAX, Ordering::Release);
        let Some(asker) = self.rewrite.take() else { return };
        self.await_sync();
        let now = self.now();
        let answer = match &mut self.log {
            None => Err("there is no log".into()),
            Some(log) => log.begin_rewrite(now).map_err(|error| error.to_string()),
        };
        if answer.is_ok() {
            self.merge.forget_db();
        }
        if let Err(mpsc::SendError(Ok(rewrite))) = asker.send(answer)
            && let Some(log) = &mut self.log
        {
            log.fail_rewrite(rewrite, now); // who asked has given up
        }
    }

    fn obey(&mut self) -> bool {
        let orders = take(&mut *self.shared.orders.lock());
        let any = !orders.is_empty();
        for order in orders {
            self.follow(order);
        }
        any
    }

    fn follow(&mut self, order: Order) {
        let now = self.now();
        match order {
            Order::Configure(options) => {
                if let Some(log) = &mut self.log {
                    log.set_options(options);
                    remove_history(log);
                }
            }
            Order::Rewrite(asker) => self.rewrite = Some(asker),
            Order::Rewritten(rewrite, result, asker) => {
                let answer = match (&mut self.log, result) {
                    (None, _) => Err("there is no log".into()),
                    (Some(log), Ok(())) => {
                        let done = log.finish_rewrite(rewrite, now).map_err(|e| e.to_string());
                        remove_history(log);
                        done
                    }
                    (Some(log), Err(error)) => {
                        log.fail_rewrite(rewrite, now);
                        Err(error)
                    }
                };
                let _ = asker.send(answer);
            }
            Order::Begin(log, last) => {
                let log = self.log.insert(*log);
                log.set_saving(self.saving);
                remove_history(log);
                self.merge.begin(last);
            }
            Order::Flush(asker) => {
                self.drain();
                if let Some(log) = &mut self.log {
                    log.write(now);
                }
                let _ = asker.send(());
            }
            Order::End(asker) => {
                self.shared.cut.store(u64::MAX, Ordering::Release);
                self.finish_log();
                let _ = asker.send(());
            }
            Order::Saving(saving) => {
                self.saving = saving;
                if let Some(log) = &mut self.log {
                    log.set_saving(saving);
                }
            }
        }
    }

    /// Appends all that was recorded so far. No more is being recorded (J4), but a turn that did may not
    /// be over.
    fn drain(&mut self) {
        let last = self.keyspace.journal.last();
        let began = Instant::now();
        loop {
            let bytes = self.merge.collect(&self.keyspace.journal);
            while let Some(run) = self.take(u64::MAX) {
                self.append(run);
            }
            self.seal();
            self.keyspace.journal.done(bytes);
            if self.merge.last() >= last || began.elapsed() > DRAIN {
                return;
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn finish_log(&mut self) {
        if self.log.is_none() {
            return;
        }
        self.drain();
        self.await_sync();
        if let Some(log) = self.log.take()
            && !log.close(self.now())
        {
            tracing::warn!("Not all of the AOF could be written.");
        }
    }

    /// Tells the others (L1, L2).
    fn publish(&mut self) {
        let shared = &self.shared;
        let (promised, durable, state) = match &self.log {
            Some(log) => (log.promised(), log.durable(), log.state()),
            None => (u64::MAX, u64::MAX, State::Healthy),
        };
        let always = self.log.as_ref().is_some_and(|log| log.options().policy == Policy::Always);
        shared.set_policy(if always { Policy::Always } else { Policy::No }, self.log.is_some());
        let promised = if always { promised } else { u64::MAX };
        shared.durable.store(durable, Ordering::Release);
        shared.behind.store(self.undurable, Ordering::Relaxed);
        let waiting = shared.wake.promise(promised);
        if waiting != 0 {
            (self.outside.rouse)(waiting);
        }
        let failing = state != State::Healthy;
        if failing != self.was_failing {
            self.was_failing = failing;
            shared.failing.store(failing, Ordering::Release);
            (self.outside.failing)(failing);
        }
        self.note_facts(state);
    }

    fn note_facts(&mut self, state: State) {
        let now = self.now();
        let Some(log) = &mut self.log else {
            *self.shared.facts.lock() = Facts::default();
            return;
        };
        let (error, failing_since) = match state {
            State::Healthy => (None, 0),
            State::Failing { error, since } => (Some(error), since),
        };
        *self.shared.facts.lock() = Facts {
            enabled: true,
            error,
            failing_since,
            size: log.size(),
            rewritten_size: log.rewritten_size(),
            syncing: self.syncer.since.is_some(),
            delayed: self.delayed,
            waiting: self.undurable,
            wants_rewrite: log.wants_rewrite(now),
            rewriting: log.is_rewriting(),
        };
    }
}

/// Removes files that nobody needs any more. Their blocks are freed by a thread of its own: it can take long.
pub fn remove_history(log: &mut disk::Log) {
    if log.options().keep_history {
        return;
    }
    match log.directory_mut().remove_history() {
        Ok(files) if files.is_empty() => {}
        Ok(files) => {
            // Without a thread they are freed here.
            let _ = std::thread::Builder::new().name("unlink".into()).spawn(move || drop(files));
        }
        Err(error) => tracing::warn!("Failed to remove history AOF files: {error}"),
    }
}

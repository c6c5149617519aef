//! The background thread: removes what has expired, frees what was flushed, lets the epoch pass.
//!
//! It sits in the keyspace like a worker, a millisecond at a time, and looks for work ten times a
//! second, so it costs an idle server next to nothing and a busy one at most [`BUDGET`] in
//! [`PERIOD`] (a share that `active-expire-effort` raises).

use super::aof;
use crate::commands::{Shared, blocking};
use crate::db::lifetimes::Sampler;
use crate::db::{Access, Local, Sweeper};
use crate::session::pause::Conditions;
use crate::sync::{AtomicBool, Ordering, pin};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(100);
/// Time spent per look at effort 1: five percent of a core.
const BUDGET: Duration = Duration::from_millis(5);
/// Time between two command boundaries: how long others may have to wait for exclusive mode.
const SLICE: Duration = Duration::from_micros(500);

/// Tracked keys forgotten per slice while there are too many.
const UNTRACK: usize = 500;

/// The running thread.
#[derive(Debug)]
pub struct Background {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it.
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = thread::Builder::new().name("background".into()).spawn(move || {
            let mut local = shared.keyspace.sit();
            let mut walks = Walks::default();
            shared.keyspace.wake_to_free();
            while !flag.load(Ordering::Acquire) {
                turn(&shared, &mut local, &mut walks);
                thread::park_timeout(PERIOD);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join(); // its panic was reported when it happened
        }
    }
}

/// Where the background stands in the keyspace.
#[derive(Debug, Default)]
struct Walks {
    sampler: Sampler,
    sweeper: Sweeper,
}

fn turn(shared: &Shared, local: &mut Local, walks: &mut Walks) {
    let keyspace = &shared.keyspace;
    let (used, now) = (crate::db::used_memory(), keyspace.clock.now());
    shared.process.observe(used, now);
    keyspace.free_flushed(); // even when paused: clients wait for it
    crate::db::grave::dig();
    reload(shared, local);
    if shared.switches.is_cron_paused() {
        return;
    }
    let config = shared.config.get();
    if config.maxmemory == 0 || used as u64 <= config.maxmemory {
        // Small commands do not look at memory while it suffices, so nobody else may notice.
        shared.metrics.overrun.observe(false, now);
    }
    // While a log is replayed nothing ends but by its word.
    let loads = shared.conditions.bits() & Conditions::LOADING != 0;
    if keyspace.active_expire.load(Ordering::Relaxed) && !loads {
        expire(shared, local, walks, BUDGET * config.active_expire_effort.clamp(1, 10));
    }
    keyspace.free_flushed();
    pin().flush();
    crate::mem::settle();
}

/// DEBUG LOADAOF while a snapshot is written: the thread that does it otherwise is busy.
fn reload(shared: &Shared, local: &mut Local) {
    let persist = &shared.persist;
    if persist.jobs.is_running()
        && let Some(_turn) = persist.rewrites.turn.try_lock()
        && let Some(asker) = persist.rewrites.take_reload()
    {
        let _ = asker.send(aof::reload(shared, local));
    }
}

/// Removes what is over, for as long as `budget`.
fn expire(shared: &Shared, local: &mut Local, walks: &mut Walks, budget: Duration) {
    let keyspace = &shared.keyspace;
    let began = Instant::now();
    let (mut first, mut cut) = (true, true);
    while cut && began.elapsed() < budget {
        keyspace.gate.enter(local.seat);
        let now = keyspace.clock.tick();
        let pin = pin();
        let mut access = Access::new(keyspace, local, &pin, 0);
        access.frozen = shared.conditions.paused(now).is_some();
        if std::mem::take(&mut first) {
            walks.sampler.sample(&mut access);
        }
        let slice = Instant::now();
        cut = false; // if it stays so, a whole round is done and nothing more is due
        walks.sweeper.sweep(&mut access, || {
            cut = slice.elapsed() >= SLICE;
            cut
        });
        let most = shared.config.get().tracking_table_max_keys;
        let tracked = keyspace.tracked().0 as u64;
        if most > 0 && tracked > most {
            access.untrack(((tracked - most) as usize).min(UNTRACK));
            cut |= tracked - most > UNTRACK as u64;
        }
        blocking::forward(&mut access, &shared.clients);
        if keyspace.journal.hand_over(local).is_some() {
            shared.log.handed_over();
        }
        local.idle(&pin);
        drop(pin);
        keyspace.gate.leave(local.seat);
    }
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    keyspace.lifetimes.round(micros, cut);
}

//! The background thread: removes what has expired, frees what was flushed, lets the epoch pass.
//!
//! It sits in the keyspace like a worker, a millisecond at a time, and looks for work ten times a
//! second, so it costs an idle server next to nothing and a busy one at most [`BUDGET`] in
//! [`PERIOD`] (a share that `active-expire-effort` raises).

use crate::commands::Shared;
use crate::db::{Access, Local, Sweeper};
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
            let mut sweeper = Sweeper::default();
            shared.keyspace.prepare(0, &pin());
            while !flag.load(Ordering::Acquire) {
                turn(&shared, &mut local, &mut sweeper);
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

fn turn(shared: &Shared, local: &mut Local, sweeper: &mut Sweeper) {
    let keyspace = &shared.keyspace;
    shared.process.observe(crate::mem::used(), keyspace.clock.now());
    if shared.switches.is_cron_paused() {
        return;
    }
    let effort = shared.config.get().active_expire_effort;
    let budget = BUDGET * effort.clamp(1, 10);
    let began = Instant::now();
    while keyspace.active_expire.load(Ordering::Relaxed) && began.elapsed() < budget {
        keyspace.gate.enter(local.seat);
        let now = keyspace.clock.tick();
        let pin = pin();
        let mut access = Access::new(keyspace, local, &pin, 0);
        access.frozen = shared.conditions.paused(now).is_some();
        let slice = Instant::now();
        let mut cut = false;
        sweeper.sweep(&mut access, || {
            cut = slice.elapsed() >= SLICE;
            cut
        });
        local.idle(&pin);
        drop(pin);
        keyspace.gate.leave(local.seat);
        if !cut {
            break; // a whole round without running out of time: nothing more is due
        }
    }
    keyspace.free_flushed();
    pin().flush();
    crate::mem::settle();
}

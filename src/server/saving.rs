//! The thread that saves: when BGSAVE asks for it, when a save point is due, and at the end.
//!
//! It is in the keyspace for moments only ([`crate::db::snapshot`]); the disk makes nobody wait but it.

use super::rewriting::Rewriting;
use crate::commands::Shared;
use crate::commands::persist::recorder::{Manner, Recorder};
use crate::commands::persist::save;
use crate::db::{Access, Counters, Local};
use crate::session::control::Shutdown;
use crate::session::pause::{Conditions, PauseKind};
use crate::sync::{AtomicU64, Ordering, pin};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Time between two looks at the save points.
const PERIOD: Duration = Duration::from_millis(100);

/// The running thread.
#[derive(Debug)]
pub struct Saving {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Saving {
    /// Starts it.
    pub fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let shared = Arc::clone(shared);
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("saving".into()).spawn(move || {
            let mut local = own.keyspace.sit();
            let mut rewriting = Rewriting::new(own.config.get().appendonly);
            while !own.control.is_stopping() {
                turn(&own, &mut local);
                if !own.persist.is_loading() {
                    rewriting.turn(&own, &mut local);
                }
                if own.keyspace.journal.hand_over(&mut local).is_some() {
                    own.log.handed_over(); // keys that were over and were met on the way
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        self.shared.persist.jobs.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic was reported when it happened
        }
    }
}

/// Saves if that is asked for, and looks whether a save point asks for it.
pub(super) fn turn(shared: &Shared, local: &mut Local) {
    let (keyspace, persist) = (&shared.keyspace, &shared.persist);
    if persist.jobs.wait(PERIOD, || keyspace.clock.now()) {
        background(shared, local);
        local.idle(&pin());
    }
    let config = shared.config.get();
    let refuses = persist.refuses_writes(&config);
    if refuses != (shared.conditions.bits() & Conditions::UNSAVED != 0) {
        shared.conditions.set(Conditions::UNSAVED, refuses);
    }
    if persist.is_loading() || shared.switches.is_cron_paused() {
        return;
    }
    let (now, changes) = (keyspace.clock.now(), keyspace.total(Counters::changes));
    if let Some((changes, seconds)) = persist.is_due(&config, now, changes, shared.started_ms) {
        tracing::info!("{changes} changes in {seconds} seconds. Saving...");
        persist.jobs.start(now);
    }
}

/// Makes a snapshot, of those that were asked for.
pub(super) fn background(shared: &Shared, local: &Local) {
    let (keyspace, persist) = (&shared.keyspace, &shared.persist);
    let config = shared.config.get();
    tracing::info!("Background saving started by pid {}", std::process::id());
    let _busy = shared.log.busy();
    let manner = Manner { aof_base: false, policy: crate::commands::policy(&config) };
    let (changes, cancelled) = (AtomicU64::new(0), &persist.jobs.cancelled);
    let at_cut = || changes.store(keyspace.total(Counters::changes), Ordering::Relaxed);
    let result = save::replace(shared, &config.dbfilename, |file| {
        let mut recorder = Recorder::new(shared, (file, manner), cancelled, at_cut)?;
        keyspace.snapshot(local, &mut recorder)?;
        let bytes = recorder.finish()?;
        file.finish()?; // now, as whoever wants to save waits for what follows
        let turn = persist.turn.lock();
        match cancelled.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "it was cancelled")),
            false => Ok((bytes, turn)),
        }
    });
    let now = keyspace.clock.now();
    match result {
        Ok((bytes, _turn)) => {
            tracing::info!("DB saved on disk: {bytes} bytes");
            persist.set_saved(now, changes.load(Ordering::Relaxed));
            persist.note_save(true);
            tracing::info!("Background saving terminated with success");
        }
        Err(_) if cancelled.load(Ordering::Relaxed) && !persist.jobs.is_to_fail() => {
            tracing::warn!("Background saving was cancelled");
        }
        Err(error) => {
            tracing::warn!("Background saving error: {error}");
            persist.note_save(false);
        }
    }
    // Whoever waits for the end finds how it went.
    persist.jobs.done(now, keyspace.snapshots.progress().2);
}

/// Saves before the end if `how` or the configuration says so. Writes are held back from the cut on, so
/// that nothing is acknowledged that would be lost. False if that failed and the server is to go on.
pub fn last(shared: &Shared, local: &mut Local, how: Shutdown) -> bool {
    let config = shared.config.get();
    shared.persist.jobs.cancel();
    if how.nosave || !how.save && config.save.is_empty() || shared.persist.is_loading() {
        return true;
    }
    tracing::warn!("Saving the final RDB snapshot before exiting.");
    shared.conditions.pause(PauseKind::Write, i64::MAX);
    let keyspace = &shared.keyspace;
    keyspace.gate.enter(local.seat);
    let alone = keyspace.gate.exclusive(local.seat);
    let pin = pin();
    let mut access = Access::new(keyspace, local, &pin, 0);
    access.policy = crate::commands::policy(&config);
    let saved = save::to_disk(shared, &mut access);
    drop(pin);
    drop(alone);
    keyspace.gate.leave(local.seat);
    if !saved && !how.force {
        tracing::warn!("Error trying to save the DB, can't exit.");
        shared.conditions.unpause();
        return false;
    }
    true
}

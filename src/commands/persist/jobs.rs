//! Snapshots in the background: who asks for one, when the configuration does, and how the last one went.
//!
//! A thread of the server waits here for work ([`Jobs::wait`]). Between the command that asks and the thread that does
//! it, the snapshot counts as under way, so whoever asks a moment later is told so.

use super::super::{Args, Cx, Error};
use super::State;
use crate::config::Config;
use crate::sync::{AtomicBool, Ordering};
use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Seconds between two attempts while saving fails.
const RETRY: i64 = 5;

/// What is asked for, and what became of it.
#[derive(Debug, Default)]
pub struct Jobs {
    inner: Mutex<Inner>,
    wake: Condvar,
    /// The snapshot under way is not wanted any more.
    pub cancelled: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// Since when a snapshot is wanted or under way, Unix milliseconds.
    began: Option<i64>,
    /// The thread has it.
    taken: bool,
    /// Another is to follow.
    scheduled: bool,
    /// When it was last tried.
    tried: i64,
    /// Seconds that the last one took.
    took: Option<i64>,
    /// Bytes copied for it by those who wrote meanwhile.
    copied: usize,
    /// The one under way is to fail.
    fails: bool,
    stopped: bool,
}

/// What INFO says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Since when one is under way, Unix milliseconds.
    pub began: Option<i64>,
    /// Seconds that the last one took.
    pub took: Option<i64>,
    /// Bytes copied for it.
    pub copied: usize,
}

impl Jobs {
    /// Asks for a snapshot at `now`. False if one is under way.
    pub fn start(&self, now: i64) -> bool {
        let mut inner = self.inner.lock();
        if inner.began.is_some() {
            return false;
        }
        (inner.began, inner.taken) = (Some(now), false);
        self.wake.notify_one();
        true
    }

    /// Asks for one when nothing else is under way.
    pub fn schedule(&self) {
        self.inner.lock().scheduled = true;
        self.wake.notify_one();
    }

    /// Has the thread look for other work.
    pub fn rouse(&self) {
        self.wake.notify_one();
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.inner.lock().began.is_some()
    }

    /// Whether one is under way, or will be at once.
    pub fn is_pending(&self) -> bool {
        let inner = self.inner.lock();
        inner.began.is_some() || inner.scheduled
    }

    /// Gives up the one under way (false), or the one that is scheduled (true); none if there is neither.
    pub fn cancel(&self) -> Option<bool> {
        let mut inner = self.inner.lock();
        if inner.began.is_some() {
            inner.scheduled = false;
            self.cancelled.store(true, Ordering::Relaxed);
            return Some(false);
        }
        std::mem::take(&mut inner.scheduled).then_some(true)
    }

    /// Has the one under way fail, as if the disk had. False if there is none.
    pub fn fail(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.fails = inner.began.is_some();
        if inner.fails {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        inner.fails
    }

    /// For the thread: waits a while for work. True if there is a snapshot to be made now.
    pub fn wait(&self, patience: Duration, now: impl FnOnce() -> i64) -> bool {
        let mut inner = self.inner.lock();
        if !inner.stopped && (inner.began.is_none() && !inner.scheduled) {
            self.wake.wait_for(&mut inner, patience);
        }
        if std::mem::take(&mut inner.scheduled) && inner.began.is_none() {
            inner.began = Some(now());
        }
        if inner.stopped || inner.began.is_none() {
            return false;
        }
        inner.taken = true;
        self.cancelled.store(inner.fails, Ordering::Relaxed);
        true
    }

    /// Whether the one under way is to fail.
    pub fn is_to_fail(&self) -> bool {
        self.inner.lock().fails
    }

    /// The thread has done it, or not; a snapshot that was cancelled was none.
    pub fn done(&self, now: i64, copied: usize) {
        let mut inner = self.inner.lock();
        let began = inner.began.take().unwrap_or(now);
        (inner.taken, inner.tried) = (false, now);
        (inner.took, inner.copied, inner.fails) =
            (Some((now - began).max(0) / 1000), copied, false);
    }

    /// No more work: the server ends.
    pub fn stop(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.inner.lock().stopped = true;
        self.wake.notify_all();
    }

    /// What INFO says.
    pub fn report(&self) -> Report {
        let inner = self.inner.lock();
        Report { began: inner.began, took: inner.took, copied: inner.copied }
    }

    fn may_try(&self, now: i64, failed: bool) -> bool {
        let inner = self.inner.lock();
        inner.began.is_none() && (!failed || now - inner.tried > RETRY * 1000)
    }
}

impl State {
    /// The save point that wants a snapshot after so many changes, as seconds and changes.
    pub fn is_due(
        &self,
        config: &Config,
        now: i64,
        changes: u64,
        started: i64,
    ) -> Option<(u64, u64)> {
        if config.save.is_empty() || !self.jobs.may_try(now, !self.is_saved()) {
            return None;
        }
        let since = self.changes_since(changes);
        let passed = (now - self.saved().unwrap_or(started)) / 1000;
        let due = config.save.iter().find(|point| {
            since >= point.changes && passed > i64::try_from(point.seconds).unwrap_or(i64::MAX)
        });
        due.map(|point| (since, point.seconds))
    }

    /// Whether nothing may be written, because what is written cannot be saved.
    pub fn refuses_writes(&self, config: &Config) -> bool {
        config.stop_writes_on_bgsave_error && !config.save.is_empty() && !self.is_saved()
    }
}

/// Why writes are refused then.
pub const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
     persist to disk. Commands that may modify the data set are disabled, because this instance is \
     configured to report errors during writes if RDB snapshotting fails \
     (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";

/// BGSAVE.
pub fn bgsave(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let jobs = &cx.shared.persist.jobs;
    let mut schedules = cx.session.in_exec;
    match args.len() {
        1 => {}
        2 if args.is(1, "SCHEDULE") => schedules = true,
        2 if args.is(1, "CANCEL") => {
            return match jobs.cancel() {
                Some(false) => simple(cx, "Background saving cancelled"),
                Some(true) => simple(cx, "Scheduled background saving cancelled"),
                None => {
                    let text = "ERR Background saving is currently not in progress or scheduled";
                    Err(Error::new(text))
                }
            };
        }
        _ => return Err(Error::Syntax),
    }
    if jobs.is_running() {
        return Err(Error::new("ERR Background save already in progress"));
    }
    if cx.shared.persist.rewrites.is_running() {
        if schedules {
            jobs.schedule();
            return simple(cx, "Background saving scheduled");
        }
        return Err(Error::new(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE \
             in order to schedule a BGSAVE whenever possible.",
        ));
    }
    super::claim(cx.shared)?;
    if cx.session.in_exec && schedules {
        jobs.schedule(); // the state at the end of EXEC, not one in the middle
        return simple(cx, "Background saving scheduled");
    }
    if jobs.start(cx.db.now) {
        simple(cx, "Background saving started")
    } else {
        Err(Error::new("ERR Background save already in progress"))
    }
}

fn simple(cx: &mut Cx<'_>, text: &'static str) -> Result<(), Error> {
    cx.reply.simple(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SavePoint;

    #[test]
    fn one_at_a_time_and_the_scheduled_one_after_it() {
        let jobs = Jobs::default();
        let none = Duration::ZERO;
        assert!(!jobs.wait(none, || 1) && jobs.cancel().is_none());
        assert!(jobs.start(5) && !jobs.start(6) && jobs.is_running());
        jobs.schedule();
        assert!(jobs.wait(none, || 7));
        assert_eq!(jobs.report().began, Some(5));
        jobs.done(2_005, 9);
        let Report { began, took, copied } = jobs.report();
        assert_eq!((began, took, copied), (None, Some(2), 9));
        jobs.schedule();
        assert_eq!(jobs.cancel(), Some(true));
        assert!(!jobs.wait(none, || 8));
        jobs.schedule();
        assert!(jobs.wait(none, || 9));
        assert_eq!((jobs.report().began, jobs.cancel()), (Some(9), Some(false)));
        assert!(jobs.cancelled.load(Ordering::Relaxed));
        jobs.done(10, 0);
        jobs.stop();
        assert!(jobs.start(11) && !jobs.wait(none, || 12));
    }

    #[test]
    fn save_points_are_due_after_their_time_and_changes() {
        let state = State::default();
        let save =
            vec![SavePoint { seconds: 100, changes: 10 }, SavePoint { seconds: 10, changes: 100 }];
        let config = Config { save, ..Config::default() };
        let due = |now, changes| state.is_due(&config, now, changes, 0).is_some();
        assert!(!due(50_000, 50) && due(101_000, 10) && due(11_000, 100) && !due(10_000, 100));
        state.set_saved(1_000_000, 100);
        assert!(!due(1_200_000, 105) && due(1_200_000, 110));
        state.note_save(false);
        assert!(state.refuses_writes(&config));
        state.jobs.start(1_200_000);
        state.jobs.done(1_200_000, 0);
        assert!(!due(1_204_000, 200) && due(1_206_000, 200), "another attempt waits");
    }
}

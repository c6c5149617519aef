//! Rewriting the log, and turning it on and off while the server runs.
//!
//! ```text
//! cut ─ nobody is in the keyspace: what has a number up to here belongs to the old files ─┐
//!  │                                                                                      ▼
//!  └─ walk: everything as it was ──► base ──► manifest names it            the log begins its next file
//! ```
//! A log that is turned on begins with such a cut too: effects are wanted from that instant on.

use super::aof;
use crate::commands::Shared;
use crate::commands::persist::base::{Around, CommandBase, Groups};
use crate::commands::persist::delay::delay;
use crate::commands::persist::recorder::{Manner, Recorder};
use crate::db::{Local, Wants};
use crate::disk::base::BaseWriter;
use crate::disk::{self, Rewrite};
use crate::log::{self, Order};
use crate::sync::Ordering;
use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Between two attempts to turn the log on.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread that saves remembers of the log.
#[derive(Debug, Default)]
pub struct Rewriting {
    /// There is a log, whole from its base on.
    on: bool,
    /// When turning it on has failed.
    failed: Option<Instant>,
}

impl Rewriting {
    /// The log as it was begun at the start.
    pub fn new(on: bool) -> Self {
        Self { on, failed: None }
    }

    /// Does what the configuration, BGREWRITEAOF or the size of the log ask for.
    pub fn turn(&mut self, shared: &Arc<Shared>, local: &mut Local) {
        let rewrites = &shared.persist.rewrites;
        let mut wanted = shared.config.get().appendonly;
        let off = rewrites.take_off();
        if off {
            wanted = shared.config.get().appendonly; // it may be on again, or not
        }
        let _turn = rewrites.turn.lock();
        if let Some(asker) = rewrites.take_reload() {
            let _ = asker.send(aof::reload(shared, local));
        }
        if self.on && (off || !wanted) {
            turn_off(shared, local);
            self.on = false;
        }
        if shared.persist.jobs.is_running() {
            return; // a snapshot was asked for first
        }
        if wanted && !self.on {
            if self.failed.is_none_or(|at| at.elapsed() >= RETRY) && rewrites.begin(true) {
                self.on = run(shared, local, Why::Begins);
                self.failed = (!self.on).then(Instant::now);
            }
        } else if self.on {
            let facts = shared.log.facts();
            let grown = facts.wants_rewrite && !shared.switches.is_cron_paused();
            if grown && !rewrites.report().scheduled {
                let growth = (facts.size.saturating_sub(facts.rewritten_size)) * 100
                    / facts.rewritten_size.max(1);
                tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
            }
            if rewrites.begin(grown) {
                run(shared, local, Why::Goes);
            }
        } else if rewrites.begin(false) {
            run(shared, local, Why::Once);
        }
    }
}

fn turn_off(shared: &Shared, local: &mut Local) {
    aof::want_effects(shared, local, false);
    let (sender, done) = channel();
    shared.log.order(Order::End(sender));
    let _ = done.recv();
}

/// Why a base is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The log goes on from it.
    Goes,
    /// The log begins with it.
    Begins,
    /// There is no log, but somebody wants its files.
    Once,
}

/// Writes a base, and the log with it. False if that failed.
fn run(shared: &Arc<Shared>, local: &mut Local, why: Why) -> bool {
    let rewrites = &shared.persist.rewrites;
    tracing::info!("Background append only file rewriting started by pid {}", std::process::id());
    let busy = shared.log.busy();
    let result = match why {
        Why::Goes => logged(shared, local),
        Why::Begins => begin(shared).and_then(|()| logged(shared, local)),
        Why::Once => once(shared, local),
    };
    drop(busy);
    if why == Why::Begins && result.is_err() {
        turn_off(shared, local); // before anybody is told that it is over
    }
    rewrites.ended(result.is_ok(), shared.keyspace.snapshots.progress().2);
    match result {
        Ok(()) => {
            tracing::info!("Background AOF rewrite terminated with success");
            true
        }
        Err(error) => {
            tracing::warn!("Background AOF rewrite terminated with error: {error}");
            false
        }
    }
}

/// A log that begins with its base, and the number of the last record before it.
fn open(shared: &Shared, now: u64) -> Result<(disk::Log, u64), String> {
    let config = shared.config.get();
    let last = shared.keyspace.journal.last();
    let directory = aof::directory(shared)?;
    let log = disk::Log::open_waiting(directory, aof::options(&config), last, now);
    Ok((log.map_err(|error| error.to_string())?, last))
}

fn begin(shared: &Shared) -> Result<(), String> {
    let _ours = shared.persist.place.claim()?;
    let (log, last) = open(shared, shared.keyspace.clock.tick().unsigned_abs())?;
    shared.log.order(Order::Begin(Box::new(log), last));
    Ok(())
}

/// The base of a log that is off: of the files there are it leaves itself alone.
pub(super) fn once(shared: &Arc<Shared>, local: &Local) -> Result<(), String> {
    let _ours = shared.persist.place.claim()?;
    let now = || shared.keyspace.clock.tick().unsigned_abs();
    let (mut log, _) = open(shared, now())?;
    let (sender, answer) = channel();
    let _ = sender.send(Ok(log.begin_base(now())));
    drop(sender); // there is no second answer to wait for
    match base(shared, local, answer, || {}) {
        (Some(rewrite), Ok(())) => {
            log.finish_rewrite(rewrite, now()).map_err(|error| error.to_string())?;
            // A log that is on settles by itself; of this one nobody will hear again.
            log.directory_mut().settle().map_err(|error| error.to_string())?;
            log::remove_history(&mut log);
            Ok(())
        }
        (Some(rewrite), Err(text)) => {
            log.fail_rewrite(rewrite, now());
            Err(text)
        }
        (None, written) => written,
    }
}

/// The base from which the log goes on: what is younger than the cut is in its next file.
fn logged(shared: &Arc<Shared>, local: &Local) -> Result<(), String> {
    let (sender, answer) = channel();
    // The order is there before the cut, so the thread knows whom to answer when it comes to it.
    shared.log.order(Order::Rewrite(sender));
    let (rewrite, written) = base(shared, local, answer, || {
        shared.keyspace.want(Wants::LOGGED, true);
        shared.log.cut_at(shared.keyspace.journal.cut());
    });
    // Without an answer there was no cut, or the log could not begin the next file: nothing to undo.
    let Some(rewrite) = rewrite else {
        return written.and(Err("the log has ended".into()));
    };
    let (sender, answer) = channel();
    shared.log.order(Order::Rewritten(rewrite, written, sender));
    answer.recv().map_err(|_| "the log has ended".to_string())?
}

/// Where the base goes, as soon as the log has come to the cut.
struct Late {
    answer: Receiver<Result<Rewrite, String>>,
    rewrite: Option<Rewrite>,
    out: Option<BaseWriter>,
}

impl Late {
    fn out(&mut self) -> io::Result<&mut BaseWriter> {
        if self.out.is_none() {
            if self.rewrite.is_some() {
                return Err(io::Error::other("the base could not be created"));
            }
            let answer = self.answer.recv().map_err(|_| io::Error::other("the log has ended"))?;
            // Kept whether or not it can be opened: the log waits for it to come back.
            let rewrite = self.rewrite.insert(answer.map_err(io::Error::other)?);
            self.out = Some(rewrite.open()?);
        }
        self.out.as_mut().ok_or_else(|| io::Error::other("the log has ended"))
    }
}

impl Write for Late {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out()?.flush()
    }
}

impl Groups for Late {
    fn group(&mut self, commands: &[u8]) -> io::Result<()> {
        self.out()?.group(commands)
    }
}

/// Writes a base to the place that is answered, and says what came of that.
fn base(
    shared: &Shared,
    local: &Local,
    answer: Receiver<Result<Rewrite, String>>,
    mut at_cut: impl FnMut(),
) -> (Option<Rewrite>, Result<(), String>) {
    let config = shared.config.get();
    let mut late = Late { answer, rewrite: None, out: None };
    let cancelled = &shared.persist.rewrites.cancelled;
    let is_cut = Cell::new(false);
    let at_cut = || {
        is_cut.set(true);
        at_cut();
    };
    let written = if config.aof_use_rdb_preamble {
        let policy = crate::commands::policy(&config);
        let manner = Manner { aof_base: true, policy };
        Recorder::new(shared, (&mut late, manner), cancelled, at_cut).and_then(|mut recorder| {
            shared.keyspace.snapshot(local, &mut recorder)?;
            recorder.finish()
        })
    } else {
        let libraries = &shared.catalog;
        let functions =
            || libraries.libraries(|all| all.libraries.values().map(|l| l.text.clone()).collect());
        let heed = || match cancelled.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "it was cancelled")),
            false => Ok(()),
        };
        let pause = |keys| heed().and_then(|()| delay(keys, config.rdb_key_save_delay, heed));
        let around = Around {
            now: shared.keyspace.clock.now(),
            compress: config.rdbcompression,
            functions: &functions,
            pause: &pause,
        };
        let mut sink = CommandBase::new(&mut late, around, at_cut);
        shared.keyspace.snapshot(local, &mut sink).and_then(|()| sink.finish().map(|_| 0))
    };
    let written = written.and_then(|_| late.out()?.finish()).map_err(|error| error.to_string());
    // After a cut there is an answer: it may be on its way.
    let late_answer = || is_cut.get().then(|| late.answer.recv().ok()?.ok()).flatten();
    (late.rewrite.or_else(late_answer), written)
}

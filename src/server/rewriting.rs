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
use crate::commands::persist::base::{CommandBase, Groups};
use crate::commands::persist::recorder::{Durable, Manner, Recorder};
use crate::db::{Local, Wants};
use crate::disk::base::BaseWriter;
use crate::disk::{self, Rewrite};
use crate::log::Order;
use crate::sync::AtomicBool;
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
        let wanted = shared.config.get().appendonly;
        let rewrites = &shared.persist.rewrites;
        if let Some(asker) = rewrites.take_reload() {
            let _ = asker.send(aof::reload(shared, local, self.on));
        }
        if self.on && !wanted {
            turn_off(shared, local);
            self.on = false;
        } else if wanted && !self.on {
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
    let result = if why == Why::Goes { Ok(()) } else { begin(shared) };
    let result = result.and_then(|()| base(shared, local));
    if why == Why::Once || why == Why::Begins && result.is_err() {
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

fn begin(shared: &Shared) -> Result<(), String> {
    let _ours = shared.persist.place.claim()?;
    let config = shared.config.get();
    let last = shared.keyspace.journal.last();
    let now = shared.keyspace.clock.tick().unsigned_abs();
    let directory = aof::directory(shared)?;
    let log = disk::Log::open_waiting(directory, aof::options(&config), last, now);
    let log = log.map_err(|error| error.to_string())?;
    shared.log.order(Order::Begin(Box::new(log), last));
    Ok(())
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
            let answer = self.answer.recv().map_err(|_| io::Error::other("the log has ended"))?;
            let rewrite = answer.map_err(io::Error::other)?;
            self.out = Some(rewrite.open()?);
            self.rewrite = Some(rewrite);
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

impl Durable for Late {
    /// A base is forced to the disk as it grows by itself.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Groups for Late {
    fn group(&mut self, commands: &[u8]) -> io::Result<()> {
        self.out()?.group(commands)
    }
}

fn base(shared: &Arc<Shared>, local: &Local) -> Result<(), String> {
    let config = shared.config.get();
    let (sender, answer) = channel();
    let mut late = Late { answer, rewrite: None, out: None };
    let at_cut = || {
        // The order is there before the cut, so the thread knows whom to answer when it comes to it.
        shared.keyspace.want(Wants::LOGGED, true);
        shared.log.cut_at(shared.keyspace.journal.last());
    };
    shared.log.order(Order::Rewrite(sender));
    let never = AtomicBool::new(false);
    let written = if config.aof_use_rdb_preamble {
        let policy = crate::commands::policy(&config);
        let manner = Manner { aof_base: true, incremental: false, policy };
        Recorder::new(shared, (&mut late, manner), &never, at_cut).and_then(|mut recorder| {
            shared.keyspace.snapshot(local, &mut recorder)?;
            recorder.finish()
        })
    } else {
        let now = shared.keyspace.clock.now();
        let catalog = Arc::clone(shared);
        let functions = move || {
            let libraries = &catalog.catalog;
            libraries.libraries(|all| all.libraries.values().map(|lib| lib.text.clone()).collect())
        };
        let how = (now, config.rdbcompression);
        let mut sink = CommandBase::new(&mut late, how, Box::new(functions), at_cut);
        shared.keyspace.snapshot(local, &mut sink).and_then(|()| sink.finish().map(|_| 0))
    };
    let written = written.and_then(|_| late.out()?.finish());
    let written = written.map_err(|error| error.to_string());
    // Without an answer there was no cut, or the log could not begin the next file: nothing to undo.
    let Some(rewrite) = late.rewrite.or_else(|| late.answer.try_recv().ok()?.ok()) else {
        return written.and(Err("the log has ended".into()));
    };
    let (sender, answer) = channel();
    shared.log.order(Order::Rewritten(rewrite, written, sender));
    answer.recv().map_err(|_| "the log has ended".to_string())?
}

//! The data of the last run, loaded while the server already answers that it is loading.
//!
//! ```text
//!   scanner ── batches of whole keys, a short queue ──► inserters, one a worker ──► keyspace
//! ```
//! Commands that need data are refused until all of it is there (`Conditions::LOADING`). A snapshot that
//! cannot be loaded ends the process: to go on without the data would be to lose it at the next save.

use super::aof;
use crate::commands::Shared;
use crate::commands::persist::load::{self, Mode, Source};
use crate::commands::persist::replay::Seat;
use crate::db::{Access, Counters};
use crate::rdb::file::{Batch, Counts, LoadError, Scanner};
use crate::session::control::{Order, Shutdown};
use crate::session::pause::Conditions;
use crate::sync::{AtomicBool, Ordering, pin};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Batches that wait for an inserter, for each inserter.
const QUEUE: usize = 2;

/// A thread that loads, and what became of it.
#[derive(Debug)]
pub struct Loading {
    thread: Option<JoinHandle<Result<(), String>>>,
    /// It ends the server itself, because of what it found.
    failed: Arc<AtomicBool>,
}

impl Loading {
    /// Begins to load the snapshot, if there is one.
    pub fn start(shared: &Arc<Shared>) -> Result<Self, String> {
        let config = shared.config.get();
        if config.appendonly {
            return Self::start_log(shared);
        }
        let path = Path::new(&config.dbfilename);
        let opened = load::open(shared, path);
        let Some(scanner) = opened.map_err(|error| fatal(&error.to_string()))? else {
            return Ok(Self { thread: None, failed: Arc::default() });
        };
        Self::spawn(shared, move |shared| run(shared, scanner))
    }

    fn spawn(
        shared: &Arc<Shared>,
        load: impl FnOnce(&Shared) -> Result<(), String> + Send + 'static,
    ) -> Result<Self, String> {
        shared.conditions.set(Conditions::LOADING, true);
        let shared = Arc::clone(shared);
        let failed: Arc<AtomicBool> = Arc::default();
        let fails = Arc::clone(&failed);
        let thread = thread::Builder::new().name("loading".into());
        let thread = thread.spawn(move || {
            let result = load(&shared);
            if result.is_err() {
                fails.store(true, Ordering::Release);
                // What is wrong is said by who waits for the end.
                shared
                    .control
                    .order(Order::Shutdown(Shutdown { nosave: true, ..Shutdown::default() }));
            } else {
                tracing::info!("Ready to accept connections");
            }
            result
        });
        let thread = thread.map(|thread| Self { thread: Some(thread), failed });
        thread.map_err(|error| format!("Cannot start: {error}"))
    }

    /// Begins to load the append-only file, and then to write it.
    fn start_log(shared: &Arc<Shared>) -> Result<Self, String> {
        let mut directory = aof::directory(shared)?;
        Self::spawn(shared, move |shared| {
            let mut local = shared.keyspace.sit();
            let loaded = aof::load(shared, &mut directory, Seat::Lent(&mut local))?;
            aof::begin(shared, &mut local, directory, &loaded)?;
            shared.conditions.set(Conditions::LOADING, false);
            shared.persist.end_loading();
            Ok(())
        })
    }

    /// Whether there is nothing to load.
    pub const fn is_over(&self) -> bool {
        self.thread.is_none()
    }

    /// Whether it goes on, and nothing is wrong: then nobody need wait for it who wants to end.
    pub fn is_under_way(&self) -> bool {
        let goes_on = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        goes_on && !self.failed.load(Ordering::Acquire)
    }

    /// Waits for the end.
    pub fn end(self) -> Result<(), String> {
        match self.thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err("Loading the data ended by a panic".into()),
        }
    }
}

/// In words for which tests look in the log.
fn fatal(text: &str) -> String {
    format!(
        "Fatal error loading the DB: {text}. Terminating server after rdb file reading failure."
    )
}

fn run(shared: &Shared, mut scanner: Scanner<Source>) -> Result<(), String> {
    let began = Instant::now();
    let threads = shared.clients.workers().max(1);
    let (sender, batches) = sync_channel(QUEUE * threads);
    let batches = Mutex::new(batches);
    let mut counts = Counts::default();
    let result = thread::scope(|scope| {
        let inserting: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| insert(shared, &batches))).collect();
        let mut result = scan(shared, &mut scanner, sender);
        for thread in inserting {
            match thread.join() {
                Ok(Ok(more)) => counts += more,
                Ok(Err(error)) => result = Err(error), // the scanner ended because of it
                Err(_) => {
                    let fault = crate::rdb::Fault::Bad("a thread that loads panicked");
                    result = Err(LoadError::At(0, fault));
                }
            }
        }
        result
    });
    let mode = Mode::default();
    let result = result.map_err(|error| error.to_string());
    let result = result.and_then(|()| load::functions(shared, &scanner.functions, mode));
    result.map_err(|text| fatal(&text))?;
    load::report(counts);
    shared.persist.rebase(shared.keyspace.total(Counters::changes));
    shared.persist.note_loaded(counts);
    shared.conditions.set(Conditions::LOADING, false);
    shared.persist.end_loading();
    tracing::info!("DB loaded from disk: {:.3} seconds", began.elapsed().as_secs_f64());
    Ok(())
}

fn scan(
    shared: &Shared,
    scanner: &mut Scanner<Source>,
    sender: SyncSender<Batch>,
) -> Result<(), LoadError> {
    load::scan(shared, scanner, |batch| {
        let stopped = |_| std::io::Error::other("loading was given up").into();
        sender.send(batch).map_err(stopped)
    })
}

/// Stores batches until there are no more.
fn insert(shared: &Shared, batches: &Mutex<Receiver<Batch>>) -> Result<Counts, LoadError> {
    let keyspace = &shared.keyspace;
    let mut local = keyspace.sit();
    let mut inserter = load::inserter(shared, keyspace.clock.now(), Mode::default());
    inserter = inserter.make_room(load::size(shared));
    let policy = crate::commands::policy(&shared.config.get());
    let mut inside = |work: &mut dyn FnMut(&mut Access<'_>) -> Result<(), LoadError>| {
        keyspace.gate.enter(local.seat);
        let pin = pin();
        let mut access = Access::new(keyspace, &mut local, &pin, 0);
        access.policy = policy;
        let result = work(&mut access);
        local.idle(&pin);
        drop(pin);
        keyspace.gate.leave(local.seat);
        result
    };
    loop {
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { break };
        if let Err(error) = inside(&mut |access| inserter.insert(access, &batch)) {
            // Nobody takes what follows: the scanner finds the queue closed when all have ended.
            drain(batches);
            return Err(error);
        }
    }
    inside(&mut |access| {
        inserter.settle(access);
        Ok(())
    })?;
    Ok(inserter.counts)
}

/// Takes what is left, lest the scanner wait for ever.
fn drain(batches: &Mutex<Receiver<Batch>>) {
    while batches.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok() {}
}

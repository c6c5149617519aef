//! What all workers know of scripts and functions: texts, and which of them runs now.
//!
//! Interpreters belong to workers, so texts are kept here and compiled where they are used. A worker
//! learns by two numbers that what it compiled may be out of date: how often scripts were flushed, and
//! the version of the libraries.
//!
//! - **C1** A script that EVAL brought may go when [`EVAL_MAX`] others came after it; one of SCRIPT
//!   LOAD stays until SCRIPT FLUSH.
//! - **C2** All changes of libraries are made under one lock and become visible together.

use crate::script::Registered;
use crate::script::text::Flags;
use crate::sync::{AtomicI64, AtomicU32, AtomicU64, CachePadded, Ordering};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Scripts of EVAL that are remembered.
const EVAL_MAX: usize = 500;

/// A script's text.
#[derive(Debug)]
pub struct Script {
    /// All of it, first line included.
    pub text: Bytes,
    /// SHA1 of the text.
    pub sha: String,
    /// What its first line says; none without one.
    pub flags: Option<Flags>,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// All of its text.
    pub text: Bytes,
    /// What it registered.
    pub functions: Vec<Registered>,
    /// Another number for each library ever loaded, also under an old name.
    pub id: u64,
}

/// All libraries.
#[derive(Debug, Default, Clone)]
pub struct Libraries {
    /// By name.
    pub libraries: BTreeMap<String, Arc<Library>>,
    /// Which library a function is in, by its name in lower case.
    pub functions: HashMap<String, Arc<Library>>,
}

impl Libraries {
    /// Adds a library; what stands in the way if that fails.
    pub fn add(&mut self, library: Arc<Library>, replace: bool) -> Result<(), String> {
        if self.libraries.contains_key(&library.name) {
            if !replace {
                return Err(format!("Library '{}' already exists", library.name));
            }
            self.remove(&library.name);
        }
        for function in &library.functions {
            if self.functions.contains_key(&function.name.to_ascii_lowercase()) {
                return Err(format!("Function {} already exists", function.name));
            }
        }
        for function in &library.functions {
            self.functions.insert(function.name.to_ascii_lowercase(), Arc::clone(&library));
        }
        self.libraries.insert(library.name.clone(), library);
        Ok(())
    }

    /// Removes a library; false if there is none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(library) = self.libraries.remove(name) else { return false };
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        true
    }
}

#[derive(Debug, Default)]
struct Scripts {
    by_sha: HashMap<String, Arc<Script>>,
    /// Those that EVAL brought, oldest first (C1).
    passing: VecDeque<String>,
    bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Catalog {
    scripts: RwLock<Scripts>,
    flushes: AtomicU64,
    libraries: RwLock<Libraries>,
    version: AtomicU64,
    ids: AtomicU64,
    seats: Box<[CachePadded<Seat>]>,
}

impl Catalog {
    /// For that many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            scripts: RwLock::default(),
            flushes: AtomicU64::new(0),
            libraries: RwLock::default(),
            version: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            seats: (0..workers).map(|_| CachePadded::default()).collect(),
        }
    }

    /// How often scripts were flushed.
    #[inline]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// The script of a SHA1 in lower case.
    pub fn script(&self, sha: &str) -> Option<Arc<Script>> {
        self.scripts.read().by_sha.get(sha).cloned()
    }

    /// Remembers a script that compiled. `stays`: until it is flushed.
    pub fn remember(&self, script: &Arc<Script>, stays: bool) {
        let mut scripts = self.scripts.write();
        if stays {
            scripts.passing.retain(|sha| *sha != script.sha);
        }
        if scripts.by_sha.contains_key(&script.sha) {
            return;
        }
        scripts.bytes += script.text.len();
        scripts.by_sha.insert(script.sha.clone(), Arc::clone(script));
        if !stays {
            scripts.passing.push_back(script.sha.clone());
            if scripts.passing.len() > EVAL_MAX
                && let Some(oldest) = scripts.passing.pop_front()
                && let Some(gone) = scripts.by_sha.remove(&oldest)
            {
                scripts.bytes -= gone.text.len();
            }
        }
    }

    /// Forgets all scripts.
    pub fn flush_scripts(&self) {
        let mut scripts = self.scripts.write();
        *scripts = Scripts::default();
        self.flushes.fetch_add(1, Ordering::AcqRel);
    }

    /// How many scripts are remembered, and bytes of their texts.
    pub fn count(&self) -> (usize, usize) {
        let scripts = self.scripts.read();
        (scripts.by_sha.len(), scripts.bytes)
    }

    /// Changes with every change of libraries.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// A number for a new library.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Looks at the libraries.
    pub fn libraries<T>(&self, look: impl FnOnce(&Libraries) -> T) -> T {
        look(&self.libraries.read())
    }

    /// Changes the libraries: all of `change` or, if it fails, nothing (C2).
    pub fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Libraries) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut libraries = self.libraries.write();
        let mut changed = libraries.clone();
        let value = change(&mut changed)?;
        *libraries = changed;
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(value)
    }

    /// Bytes of all libraries' texts.
    pub fn library_bytes(&self) -> usize {
        self.libraries(|all| all.libraries.values().map(|library| library.text.len()).sum())
    }

    /// Bytes of all interpreters.
    pub fn interpreters(&self) -> u64 {
        self.seats.iter().map(|seat| seat.memory.load(Ordering::Relaxed)).sum()
    }

    /// The place of a worker's running script.
    pub fn seat(&self, worker: usize) -> Option<&Seat> {
        self.seats.get(worker).map(|seat| &**seat)
    }

    /// The places in which something has run for longer than `busy-reply-threshold`.
    pub fn busy(&self) -> impl Iterator<Item = &Seat> {
        self.running().filter(|seat| seat.is(Seat::BUSY))
    }

    /// The places in which something runs that has been there for more than a moment.
    pub fn running(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().map(|seat| &**seat).filter(|seat| seat.is(Seat::RUNS))
    }
}

/// What a worker shows of the script that it runs, once it runs for long.
#[derive(Debug, Default)]
pub struct Seat {
    state: AtomicU32,
    since_ms: AtomicI64,
    memory: AtomicU64,
    about: Mutex<Option<About>>,
}

/// A running function or script.
#[derive(Debug, Clone)]
pub struct About {
    /// Its name, or its SHA1.
    pub name: String,
    /// The command that runs it.
    pub command: Vec<Vec<u8>>,
}

impl Seat {
    /// Runs for longer than others are willing to wait.
    pub const BUSY: u32 = 1;
    /// Has written.
    pub const WROTE: u32 = 1 << 1;
    /// Is a function, not a script.
    pub const FUNCTION: u32 = 1 << 2;
    /// Is to be ended.
    pub const KILL: u32 = 1 << 3;

    /// It runs, and not only since a moment ago. What other bits there are it alone has set, but KILL.
    pub const RUNS: u32 = 1 << 4;

    /// Whether `bit` is set.
    pub fn is(&self, bit: u32) -> bool {
        self.state.load(Ordering::Acquire) & bit != 0
    }

    /// What runs may be seen, and ended.
    pub fn show(&self, function: bool, wrote: bool, since_ms: i64, about: About) {
        *self.about.lock() = Some(about);
        self.since_ms.store(since_ms, Ordering::Relaxed);
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let state = Self::RUNS | bit(function, Self::FUNCTION) | bit(wrote, Self::WROTE);
        self.state.store(state, Ordering::Release);
    }

    /// What runs, and is shown, has become busy.
    pub fn set_busy(&self) {
        self.state.fetch_or(Self::BUSY, Ordering::AcqRel);
    }

    /// What runs is about to write. False if it was killed before: then it must not.
    pub fn set_wrote(&self) -> bool {
        // A change and a kill at the same time: one of them comes first in this word.
        self.state.fetch_or(Self::WROTE, Ordering::AcqRel) & Self::KILL == 0
    }

    /// Asks for the end of what runs; false if it has written.
    pub fn kill(&self) -> bool {
        let kill = |state: u32| (state & Self::WROTE == 0).then_some(state | Self::KILL);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, kill).is_ok()
    }

    /// What ran, and perhaps was `shown`, has ended. Says whether it was busy.
    pub fn end(&self, memory: usize, shown: bool) -> bool {
        self.memory.store(memory as u64, Ordering::Relaxed);
        if !shown {
            return false; // what is shown here is a script within which the worker ran this one
        }
        *self.about.lock() = None;
        self.state.swap(0, Ordering::AcqRel) & Self::BUSY != 0
    }

    /// What runs here, and since when in Unix milliseconds.
    pub fn about(&self) -> Option<(About, i64)> {
        let about = self.about.lock().clone()?;
        Some((about, self.since_ms.load(Ordering::Relaxed)))
    }
}

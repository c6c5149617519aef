//! Snapshots of all data: SAVE, BGSAVE, LASTSAVE, and what loading and saving share with the rest.
//!
//! BGSAVE, and what save points ask for, is written by a thread of its own while everybody goes on
//! ([`jobs`], [`recorder`]). SAVE keeps everybody out of the keyspace while it writes, as its name has always meant. A snapshot
//! has a temporary name until all of it is on the disk; so under its own name there is only ever a
//! whole one, the last that succeeded.

pub mod base;
pub mod delay;
pub mod jobs;
pub mod load;
pub mod place;
pub mod recorder;
pub mod replay;
pub mod rewrite;
pub mod save;

use super::notes::{Notes, at};
use super::{Args, Command, Cx, Error, Flags, Group, Shared, scripting};
use crate::rdb::file::Counts;
use crate::sync::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use parking_lot::Mutex;

const SAVE: Flags =
    Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI);
const LASTSAVE: Flags = Flags::LOADING.and(Flags::STALE).and(Flags::FAST);

const BGSAVE: Notes =
    Notes::args(&[at("SCHEDULE").since("3.2.2")]).changed(&[("3.2.2", "The option `SCHEDULE`.")]);

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    Command::new("bgrewriteaof", 1, Group::Server, rewrite::bgrewriteaof)
        .flags(Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING))
        .doc("1.0.0", "", "Writes the append-only file anew, as short as it can be.")
        .cost("O(N) in the size of the data, on a thread of its own"),
    Command::new("bgsave", -1, Group::Server, jobs::bgsave)
        .notes(&BGSAVE)
        .flags(Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING))
        .doc(
            "1.0.0",
            "[SCHEDULE | CANCEL]",
            "Saves all data to a file while everybody goes on; CANCEL gives that up.",
        )
        .cost("O(N) in the size of the data, on a thread of its own"),
    Command::new("lastsave", 1, Group::Server, lastsave)
        .flags(LASTSAVE)
        .acl(&["admin", "dangerous"])
        .tips(&["nondeterministic_output"])
        .doc("1.0.0", "", "Says when the data was last saved, in seconds of Unix time."),
    Command::new("save", 1, Group::Server, run_save)
        .flags(SAVE)
        .doc("1.0.0", "", "Saves all data to a file, and lets everybody wait until it is done.")
        .cost("O(N) in the size of the data"),
    Command::new("waitaof", 4, Group::Generic, rewrite::waitaof)
        .flags(Flags::NOSCRIPT.and(Flags::WAITS))
        .acl(&["connection", "blocking"])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .doc(
            "7.2.0",
            "numlocal numreplicas timeout",
            "Waits until the client's writes are on the disk, here and with so many replicas.",
        ),
];

/// How far loading is, and what became of loading and saving so far. Relaxed but for the end of
/// loading: figures for INFO, each by itself.
#[derive(Debug, Default)]
pub struct State {
    loading: AtomicBool,
    /// When loading began, Unix milliseconds.
    began: AtomicI64,
    total: AtomicU64,
    done: AtomicU64,
    /// Bytes of memory that the data took where the file was written, as far as that says so.
    used_memory: AtomicU64,
    loaded_keys: AtomicU64,
    expired_keys: AtomicU64,
    /// When the data was last saved, Unix milliseconds; 0 for never.
    saved: AtomicI64,
    /// Changes of the data until then.
    saved_changes: AtomicU64,
    failed: AtomicBool,
    saves: AtomicU64,
    /// One snapshot gets its name at a time.
    pub turn: Mutex<()>,
    /// Snapshots in the background.
    pub jobs: jobs::Jobs,
    /// Rewriting the log.
    pub rewrites: rewrite::Rewrites,
    /// The data directory.
    pub place: place::Place,
    /// How often the server was to end and did not, because saving failed.
    refusals: AtomicU64,
}

impl State {
    /// In a data directory.
    pub fn at(place: place::Place) -> Self {
        Self { place, ..Self::default() }
    }

    /// Data is being loaded from now on, of a file of `total` bytes.
    pub fn begin_loading(&self, now: i64, total: u64) {
        self.began.store(now, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        self.used_memory.store(0, Ordering::Relaxed);
        self.loading.store(true, Ordering::Relaxed);
    }

    /// What the file says that the data took in memory.
    pub fn set_used_memory(&self, bytes: u64) {
        self.used_memory.store(bytes, Ordering::Relaxed);
    }

    /// The same.
    pub fn used_memory(&self) -> u64 {
        self.used_memory.load(Ordering::Relaxed)
    }

    /// So many bytes of it are loaded.
    pub fn progress(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// What became of its keys.
    pub fn note_loaded(&self, counts: Counts) {
        self.loaded_keys.store(counts.loaded, Ordering::Relaxed);
        self.expired_keys.store(counts.expired, Ordering::Relaxed);
    }

    /// It is loaded, and clients are served: who reads that nothing is loading is not refused.
    pub fn end_loading(&self) {
        self.loading.store(false, Ordering::Release);
    }

    /// Whether data is being loaded.
    pub fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    /// Since when in Unix milliseconds, bytes of the file, and bytes done.
    pub fn loading(&self) -> Option<(i64, u64, u64)> {
        let of = |value: &AtomicU64| value.load(Ordering::Relaxed);
        self.is_loading()
            .then(|| (self.began.load(Ordering::Relaxed), of(&self.total), of(&self.done)))
    }

    /// Keys that the last loading stored, and keys that were over by then.
    pub fn last_loaded(&self) -> (u64, u64) {
        (self.loaded_keys.load(Ordering::Relaxed), self.expired_keys.load(Ordering::Relaxed))
    }

    /// The data as it was after so many `changes` is saved, or known to be what is on the disk.
    pub fn set_saved(&self, now: i64, changes: u64) {
        self.saved.store(now, Ordering::Relaxed);
        self.saved_changes.store(changes, Ordering::Relaxed);
        self.failed.store(false, Ordering::Relaxed);
    }

    /// Changes are counted from here on: those before were none, but the loading of what is on the disk.
    pub fn rebase(&self, changes: u64) {
        self.saved_changes.store(changes, Ordering::Relaxed);
    }

    /// An attempt to save has ended.
    pub fn note_save(&self, ok: bool) {
        self.failed.store(!ok, Ordering::Relaxed);
        if ok {
            self.saves.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// When the data was last saved, Unix milliseconds, if it was.
    pub fn saved(&self) -> Option<i64> {
        Some(self.saved.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// How many of so many changes came after that.
    pub fn changes_since(&self, changes: u64) -> u64 {
        changes.saturating_sub(self.saved_changes.load(Ordering::Relaxed))
    }

    /// Whether the last attempt to save succeeded.
    pub fn is_saved(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// The server does not end, as it was asked to, because saving failed.
    pub fn refuse_end(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was so.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Snapshots written.
    pub fn saves(&self) -> u64 {
        self.saves.load(Ordering::Relaxed)
    }
}

fn lastsave(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let at = cx.shared.persist.saved().unwrap_or(cx.shared.started_ms);
    cx.reply.int(at / 1000);
    Ok(())
}

/// Takes the data directory, or says who has it.
fn claim(shared: &Shared) -> Result<(), Error> {
    shared.persist.place.claim().map(drop).map_err(|text| format!("ERR {text}").into())
}

fn run_save(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let shared = cx.shared;
    if shared.persist.jobs.is_running() {
        return Err(Error::new("ERR Background save already in progress"));
    }
    claim(shared)?;
    match cx.db.exclusive(|access, _| save::to_disk(shared, access)) {
        None => Err(scripting::busy(cx)),
        Some(false) => Err(Error::new("ERR")),
        Some(true) => {
            cx.reply.ok();
            Ok(())
        }
    }
}

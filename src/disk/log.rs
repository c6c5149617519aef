//! The log while it is written: what was accepted, what is in the file, what is durable.
//!
//! ```text
//!   append          write               sync
//!     |  queue        |  undurable        |  (forgotten)
//!     v               v                   v
//! ----+---------------+-------------------+----------> back in time
//!   appended        written             durable
//! ```
//! - **G1** `len` of the file is always the end of a whole group; what a failed or short write left
//!   behind it is `torn` and is cut off before anything else is written.
//! - **G2** A group leaves `undurable` only when a sync that began after it was written succeeded
//!   (or when nobody asked for syncs, see below).
//! - **G3** When a sync fails, nothing is known of the bytes since the last good one: the kernel may
//!   have dropped them and call the next sync good. So the file is cut back to what was durable, and
//!   the groups are queued again, which makes new bytes of them that the next sync does cover. The
//!   same file will do: to cut it drops the doubtful pages, and what is written then is dirty anew.
//! - **G4** A log that fails tries again at most once a second, and is healthy again when everything
//!   was written, and after a failed sync also synced.
//! - **G5** A new increment begins only when the old one is durable to its end, so only the last file
//!   of a log can be torn, and `undurable` speaks of one file.
//!
//! With `appendfsync no`, or while `no-appendfsync-on-rewrite` suspends syncs, groups are forgotten
//! when they are written: to keep them would mean to keep everything. If a later sync fails, they are
//! read back from the file and written again in place ([`super::Disk::refresh`]), as they are at a start:
//! the process before may have ended between a failed sync and its mending.
//!
//! Times are milliseconds since 1970, told by the caller. A clock that jumps back makes things due
//! at once rather than late.

mod current;

use super::base::{BaseWriter, Rewrite};
use super::directory::Directory;
use super::error::Error;
use super::file::File;
use super::options::{Options, Policy};
use crate::config::os_reason;
use bytes::Bytes;
use current::{Current, Group, Written, resume};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Milliseconds between attempts of a log that fails.
pub const RETRY_MS: u64 = 500; // a disk with room again is noticed within a second
/// Milliseconds between syncs with `everysec`.
pub const SYNC_MS: u64 = 1000;

/// Whether writes reach the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Healthy,
    /// The disk refused; nothing that was accepted is lost, and nothing more should be.
    Failing {
        /// The operating system's words.
        error: String,
        /// Since when.
        since: u64,
    },
}

#[derive(Debug)]
struct Failing {
    error: String,
    since: u64,
    retry_at: u64,
    /// Only a good sync ends it.
    by_sync: bool,
}

/// How far a rewrite is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The manifest names the file that is written.
    Normal,
    /// The same, and a new base is being made.
    Rewriting,
    /// The log was turned on, and nothing is valid before the first base: no file.
    Waiting,
    /// The first base is being made; the increment has a temporary name.
    First,
    /// A base is being made of a log that is off: nothing is written but that.
    Alone,
}

/// A log that is being written. Made by [`Log::open`] or [`Log::open_waiting`].
pub struct Log {
    directory: Directory,
    options: Options,
    current: Option<Current>,
    phase: Phase,
    queue: VecDeque<Group>,
    undurable: VecDeque<Written>,
    appended: u64,
    written: u64,
    durable: u64,
    failing: Option<Failing>,
    /// A [`SyncJob`] is out. Until it is back nobody else syncs: a failure is reported once only,
    /// and the other sync would seem to be good.
    job_out: bool,
    synced_at: u64,
    suspended: bool,
    /// The first manifest of a log that was turned on is not known to be durable.
    unproven: bool,
    /// Bytes of all files but the current.
    other_size: u64,
    /// Bytes of all files after the last rewrite, or of the base at the start.
    rewritten_size: u64,
    attempts: Attempts,
}

/// A sync to be run by another thread, while this one goes on writing.
pub struct SyncJob {
    file: Arc<dyn File>,
    len: u64,
    last: u64,
}

impl SyncJob {
    pub fn run(&self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Log {
    /// Goes on with the last increment of the directory, after it was loaded, or begins a log.
    ///
    /// `last` is the sequence that the loaded stream ends with. `base` writes the base of a log that
    /// has nothing yet (an empty RDB file; nothing for a base in commands).
    pub fn open(
        mut directory: Directory,
        options: Options,
        last: u64,
        now: u64,
        base: &mut dyn FnMut(&mut BaseWriter) -> io::Result<()>,
    ) -> Result<Self, Error> {
        directory.make()?;
        directory.sweep();
        let mut manifest = directory.manifest().clone();
        if manifest.is_empty() {
            let entry = manifest.add_base(&directory.names().file, options.rdb_base);
            let mut writer = BaseWriter::create(&directory, &entry.file, options.checksums)
                .map_err(Error::io("Can't create the AOF base file", &entry.file))?;
            base(&mut writer)
                .and_then(|()| writer.finish())
                .map_err(Error::io("Can't write the AOF base file", &entry.file))?;
            tracing::info!("Creating AOF base file {} on server start", entry.file);
        }
        if directory.keys().is_some()
            && let Some(old) = manifest.increments.last()
        {
            // Sealed files are never continued (nonces), so the old one ends here, durable (G5).
            let synced = resume(&directory, &old.file);
            synced.map_err(Error::io("Fail to fsync the AOF file", &old.file))?;
            manifest.add_increment(&directory.names().file);
        }
        let name = match manifest.increments.last() {
            Some(entry) => entry.file.clone(),
            None => manifest.add_increment(&directory.names().file).file,
        };
        let is_new = manifest.increments.len() > directory.manifest().increments.len();
        let what = "Can't open the append-only file";
        let path = directory.path(&name);
        let current = if is_new {
            // A crash may have left a file of that name that no manifest came to know.
            let keys = directory.keys().cloned();
            Current::create(&**directory.disk(), path, keys.as_deref())
        } else {
            resume(&directory, &name).map(|(file, len)| Current::new(file, path, len))
        };
        let current = current.map_err(Error::io(what, &name))?;
        if manifest != *directory.manifest() {
            directory.persist(manifest).map_err(Error::io("Can't write the manifest of", &name))?;
        }
        directory.settle().map_err(Error::io("Fail to fsync AOF directory of", &name))?;
        let opening = if is_new { "Creating" } else { "Opening" };
        tracing::info!("{opening} AOF incr file {name} on server start");
        let mut log = Self::new(directory, options, last, now);
        log.other_size = log.directory.size()? - current.len;
        log.current = Some(current);
        log.rewritten_size = match &log.directory.manifest().base {
            Some(base) => log.directory.length(&base.file)?,
            None => 0,
        };
        Ok(log)
    }

    /// A log that is turned on while the server runs: nothing of it counts before the first
    /// rewrite, which should begin at once, has finished. What a log before it left stays as it is
    /// until then.
    pub fn open_waiting(
        mut directory: Directory,
        options: Options,
        last: u64,
        now: u64,
    ) -> Result<Self, Error> {
        directory.make()?;
        directory.sweep();
        let mut log = Self::new(directory, options, last, now);
        log.phase = Phase::Waiting;
        Ok(log)
    }

    fn new(directory: Directory, options: Options, last: u64, now: u64) -> Self {
        Self {
            directory,
            options,
            current: None,
            phase: Phase::Normal,
            queue: VecDeque::new(),
            undurable: VecDeque::new(),
            appended: last,
            written: last,
            durable: last,
            failing: None,
            job_out: false,
            synced_at: now,
            suspended: false,
            unproven: false,
            other_size: 0,
            rewritten_size: 0,
            attempts: Attempts::default(),
        }
    }

    /// Accepts a group: whole commands, a MULTI with its EXEC. `last` is the sequence of its end and
    /// never less than the one before. Nothing is written before [`Log::commit`].
    pub fn append(&mut self, bytes: Bytes, last: u64) {
        debug_assert!(last >= self.appended, "sequences do not go back");
        self.appended = last;
        if matches!(self.phase, Phase::Waiting | Phase::Alone) {
            // The base that will begin this log holds it.
            (self.written, self.durable) = (last, last);
        } else if !bytes.is_empty() {
            self.queue.push_back(Group { bytes, last });
        }
    }

    /// Writes what was accepted and syncs it if that is due, or tries again if the disk failed and
    /// it is time to. To be called after appends and at [`Log::next_wake`].
    pub fn commit(&mut self, now: u64) {
        if !self.is_resting(now) && self.write(now) && self.sync_due(now) {
            self.sync(now);
        }
    }

    /// As [`Log::commit`], for a caller who has syncs run by another thread: gives it the job that is
    /// due, or wanted `early`. `syncing`: one is on its way.
    pub fn commit_beside(&mut self, now: u64, syncing: bool, early: bool) -> Option<SyncJob> {
        if self.is_resting(now) || !self.write(now) || syncing {
            return None;
        }
        let early = early && self.has_undurable() && self.keeps();
        if early || self.sync_due(now) { self.sync_job() } else { None }
    }

    /// Whether the log fails and the next attempt is not due.
    fn is_resting(&self, now: u64) -> bool {
        // `now` before `since` is a clock that was set back.
        self.failing.as_ref().is_some_and(|f| now < f.retry_at && now >= f.since)
    }

    /// Writes what was accepted. True if everything is in the file.
    pub fn write(&mut self, now: u64) -> bool {
        let keeps = self.keeps();
        let Some(current) = &mut self.current else { return true };
        let mut result = current.mend(&**self.directory.disk());
        while result.is_ok() && !self.queue.is_empty() {
            let stamp = (self.options.timestamps, now / 1000);
            let before = self.undurable.len();
            let checksums = self.options.checksums;
            result = current.write(&mut self.queue, &mut self.undurable, checksums, stamp);
            if let Some(newest) = self.undurable.back().filter(|_| self.undurable.len() > before) {
                self.written = newest.group.last;
            }
        }
        if !keeps {
            current.kept_from = current.len;
            self.undurable.clear();
        }
        match result {
            Ok(()) => {
                if self.failing.as_ref().is_some_and(|failing| !failing.by_sync) {
                    self.recovered();
                }
                true
            }
            Err(error) => {
                let short = error.kind() == io::ErrorKind::WriteZero;
                let what = if short { "Short write while writing" } else { "Error writing" };
                self.fail(what, &error, now, false);
                false
            }
        }
    }

    /// Whether groups are kept until they are durable.
    pub fn keeps(&self) -> bool {
        self.options.policy != Policy::No && !self.is_suspended()
    }

    fn is_suspended(&self) -> bool {
        self.suspended && self.options.no_sync_on_rewrite
    }

    /// Whether the policy wants a sync now.
    pub fn sync_due(&self, now: u64) -> bool {
        let by_sync = self.failing.as_ref().is_some_and(|failing| failing.by_sync);
        if by_sync {
            return true;
        }
        if !(self.has_undurable() || self.is_unsettled()) || self.is_suspended() {
            return false;
        }
        match self.options.policy {
            Policy::Always => true,
            Policy::Everysec => now >= self.synced_at + SYNC_MS || now < self.synced_at,
            Policy::No => false,
        }
    }

    /// Whether the manifest that counts may not be the one on the disk.
    fn is_unsettled(&self) -> bool {
        self.is_named() && self.directory.is_unsettled()
    }

    /// Whether the manifest names the file that is written.
    fn is_named(&self) -> bool {
        matches!(self.phase, Phase::Normal | Phase::Rewriting)
    }

    /// Whether there is something in the file that a power cut might take.
    fn has_undurable(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.durable < current.len)
    }

    /// Makes durable what was written, whatever the policy. True if everything written is.
    pub fn sync(&mut self, now: u64) -> bool {
        let Some(job) = self.sync_job() else { return self.current.is_none() };
        let result = job.run();
        self.sync_done(&job, result, now)
    }

    /// The same in two steps, so that another thread may wait for the disk: run the job there, and
    /// bring it back to [`Log::sync_done`], in any case. `None` if the log has no file, must be
    /// mended first, or a job is out already.
    pub fn sync_job(&mut self) -> Option<SyncJob> {
        let current = self.current.as_ref().filter(|current| !current.needs_mending())?;
        if self.job_out {
            return None;
        }
        self.job_out = true;
        Some(SyncJob { file: Arc::clone(&current.file), len: current.len, last: self.written })
    }

    /// What became of a job. True if everything that was in the file when it began is durable.
    pub fn sync_done(&mut self, job: &SyncJob, result: io::Result<()>, now: u64) -> bool {
        self.job_out = false;
        let current = self.current.as_mut().filter(|c| Arc::ptr_eq(&c.file, &job.file));
        let Some(current) = current else { return false };
        // A file without a durable name is not durable; a temporary name does not matter yet.
        let named = matches!(self.phase, Phase::Normal | Phase::Rewriting);
        let result = result.and_then(|()| if named { self.directory.settle() } else { Ok(()) });
        self.synced_at = now;
        if let Err(error) = result {
            if !self.undurable.is_empty() {
                self.written = self.durable;
            }
            current.roll_back(&mut self.queue, &mut self.undurable);
            self.fail("Fail to fsync", &error, now, true);
            return false;
        }
        current.durable = current.durable.max(job.len);
        current.kept_from = current.kept_from.max(job.len);
        while self.undurable.front().is_some_and(|written| written.end <= job.len) {
            self.undurable.pop_front();
        }
        self.durable = self.durable.max(job.last);
        self.unproven = self.unproven && !named;
        if self.failing.is_some() && self.queue.is_empty() {
            self.recovered();
        }
        true
    }

    fn fail(&mut self, what: &str, error: &io::Error, now: u64, by_sync: bool) {
        let error = os_reason(error);
        let retry_at = now + RETRY_MS;
        match &mut self.failing {
            Some(failing) => {
                *failing =
                    Failing { error, retry_at, by_sync: failing.by_sync || by_sync, ..*failing };
                // After a clock was set back.
                failing.since = failing.since.min(now);
            }
            None => {
                tracing::warn!("{what} to the AOF file: {error}");
                self.failing = Some(Failing { error, since: now, retry_at, by_sync });
            }
        }
    }

    fn recovered(&mut self) {
        self.failing = None;
        tracing::warn!("AOF write error looks solved. The server can write again.");
    }

    /// When [`Log::commit`] should be called although nothing was appended; `None` = never.
    pub fn next_wake(&self, now: u64) -> Option<u64> {
        if let Some(failing) = &self.failing {
            return Some(if now < failing.since { now } else { failing.retry_at });
        }
        let waits = self.options.policy == Policy::Everysec && !self.is_suspended();
        (waits && (self.has_undurable() || self.is_unsettled())).then_some(self.synced_at + SYNC_MS)
    }

    pub fn state(&self) -> State {
        match &self.failing {
            None => State::Healthy,
            Some(Failing { error, since, .. }) => {
                State::Failing { error: error.clone(), since: *since }
            }
        }
    }

    /// Sequence up to which groups were accepted.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Sequence up to which groups are in the file; they survive the end of this process.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Sequence up to which groups survive a power cut. Before the first rewrite of a log that was
    /// turned on has finished ([`Log::is_complete`]) that is true of the file, which does not count.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Sequence up to which replies may leave: with `always` what is durable, or what is written
    /// while syncs are suspended; else everything, as the policy promises nothing about it.
    pub fn promised(&self) -> u64 {
        match self.options.policy {
            Policy::Always if self.is_suspended() => self.written,
            Policy::Always => self.durable,
            Policy::Everysec | Policy::No => self.appended,
        }
    }

    /// Bytes accepted that are not durable and are kept for it.
    pub fn kept_bytes(&self) -> usize {
        let written = self.undurable.iter().map(|written| &written.group);
        self.queue.iter().chain(written).map(|group| group.bytes.len()).sum()
    }

    /// Whether what is durable here is the whole keyspace: false until a log that was turned on at
    /// run time has its first base.
    pub fn is_complete(&self) -> bool {
        self.is_named() && !self.unproven
    }

    pub fn is_rewriting(&self) -> bool {
        matches!(self.phase, Phase::Rewriting | Phase::First | Phase::Alone)
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// CONFIG SET. Groups that were written while nobody wanted syncs stay forgotten.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// A snapshot or a rewrite writes to the disk, or no longer does: `no-appendfsync-on-rewrite`.
    pub fn set_saving(&mut self, saving: bool) {
        self.suspended = saving;
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// For [`Directory::remove_history`] and [`Directory::settle`].
    pub fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }

    /// Bytes of all files, `aof_current_size`.
    pub fn size(&self) -> u64 {
        self.other_size + self.current.as_ref().map_or(0, |current| current.len)
    }

    /// Bytes after the last rewrite, `aof_base_size`.
    pub fn rewritten_size(&self) -> u64 {
        self.rewritten_size
    }

    /// Whether the log has grown by what `auto-aof-rewrite-percentage` says, and repeated failures
    /// do not forbid an attempt.
    pub fn wants_rewrite(&mut self, now: u64) -> bool {
        let percentage = u64::from(self.options.rewrite_percentage);
        let (size, base) = (self.size(), self.rewritten_size.max(1));
        let grown = u128::from(size.saturating_sub(base)) * 100 / u128::from(base);
        self.phase == Phase::Normal
            && percentage > 0
            && size > self.options.rewrite_min_size
            && grown >= u128::from(percentage)
            && !self.attempts.limited(now)
    }

    /// Begins a rewrite: what is appended from here on goes into a new increment, and a base that
    /// holds everything before is to be written with the [`Rewrite`]. The cut must be between two
    /// groups: call it with nothing in hand that belongs before it.
    pub fn begin_rewrite(&mut self, now: u64) -> Result<Rewrite, Error> {
        match self.phase {
            Phase::Normal => self.switch(now)?,
            Phase::Waiting => self.begin_first()?,
            Phase::Rewriting | Phase::First | Phase::Alone => {
                return Err(Error::Failing("a rewrite is under way".into()));
            }
        }
        Ok(Rewrite::new(&self.directory, &self.options, now))
    }

    /// Begins to write a base of a log that was made by [`Log::open_waiting`] and is to have no
    /// increment: nothing follows the base, as the log is off.
    pub fn begin_base(&mut self, now: u64) -> Rewrite {
        debug_assert!(self.phase == Phase::Waiting, "there is no file");
        self.phase = Phase::Alone;
        Rewrite::new(&self.directory, &self.options, now)
    }

    /// Ends the current increment, durable to its end (G5), and begins the next.
    fn switch(&mut self, now: u64) -> Result<(), Error> {
        if self.job_out {
            return Err(Error::Failing("a sync is under way".into()));
        }
        if self.is_resting(now) || !self.write(now) || !self.sync(now) {
            let text = self.failing.as_ref().map_or("no file", |failing| &failing.error);
            return Err(Error::Failing(text.into()));
        }
        let mut manifest = self.directory.manifest().clone();
        let name = manifest.add_increment(&self.directory.names().file).file;
        let path = self.directory.path(&name);
        let what = "Can't open the append-only file";
        let keys = self.directory.keys().cloned();
        let current = Current::create(&**self.directory.disk(), path.clone(), keys.as_deref());
        let current = current.map_err(Error::io(what, &name))?;
        if let Err(error) = self.directory.persist(manifest) {
            let _ = self.directory.disk().remove(&path); // no manifest names it
            return Err(Error::io("Can't write the manifest for", name)(error));
        }
        tracing::info!("Creating AOF incr file {name} on background rewrite");
        self.other_size = self.size();
        self.current = Some(current);
        self.phase = Phase::Rewriting;
        Ok(())
    }

    fn begin_first(&mut self) -> Result<(), Error> {
        let name = self.directory.temporary_increment();
        let path = self.directory.path(&name);
        let what = "Can't open the append-only file";
        let keys = self.directory.keys().cloned();
        let current = Current::create(&**self.directory.disk(), path, keys.as_deref());
        self.current = Some(current.map_err(Error::io(what, &name))?);
        tracing::info!("Creating AOF incr file {name} on background rewrite");
        self.phase = Phase::First;
        Ok(())
    }

    /// Puts the base that was written in force; what it replaces becomes history. After an
    /// error the log goes on as before, as if the rewrite had failed.
    pub fn finish_rewrite(&mut self, rewrite: Rewrite, now: u64) -> Result<(), Error> {
        let result = self.replace(&rewrite);
        if result.is_err() {
            self.fail_rewrite(rewrite, now);
        } else {
            self.phase = Phase::Normal;
            self.attempts = Attempts::default();
            self.rewritten_size = self.size();
        }
        result
    }

    fn replace(&mut self, rewrite: &Rewrite) -> Result<(), Error> {
        let log = self.directory.names().file.clone();
        let mut manifest = self.directory.manifest().clone();
        let base = manifest.add_base(&log, rewrite.is_rdb());
        let what = "Error trying to rename the temporary AOF base file into";
        let disk = Arc::clone(self.directory.disk());
        let (old, new) = (self.directory.path(rewrite.name()), self.directory.path(&base.file));
        disk.rename(&old, &new).map_err(Error::io(what, &base.file))?;
        // From the moment the manifest is written there is no way back, so nothing may fail after it.
        let size = self.directory.length(&base.file)?;
        if matches!(self.phase, Phase::First | Phase::Alone) {
            manifest.retire_increments(0);
        }
        if self.phase == Phase::First {
            let increment = manifest.add_increment(&log);
            let what = "Error trying to rename the temporary AOF incr file into";
            let temporary = self.directory.path(&self.directory.temporary_increment());
            let path = self.directory.path(&increment.file);
            disk.rename(&temporary, &path).map_err(Error::io(what, &increment.file))?;
            self.current.iter_mut().for_each(|current| current.path = path.clone());
        } else if self.phase == Phase::Rewriting {
            manifest.retire_increments(1);
        }
        let persisted = self.directory.persist(manifest);
        persisted.map_err(Error::io("Can't write the manifest for", &base.file))?;
        self.unproven = self.phase == Phase::First && self.directory.is_unsettled();
        self.other_size = size;
        Ok(())
    }

    /// A rewrite that came to nothing. The log is as it was, in one more file.
    pub fn fail_rewrite(&mut self, rewrite: Rewrite, now: u64) {
        self.attempts.failed(now);
        let _ = self.directory.disk().remove(&self.directory.path(rewrite.name()));
        match self.phase {
            Phase::First => {
                let name = self.directory.temporary_increment();
                tracing::info!("Removing the temp incr aof file {name} in the background");
                let _ = self.directory.disk().remove(&self.directory.path(&name));
                self.current = None;
                self.queue.clear();
                self.undurable.clear();
                (self.written, self.durable) = (self.appended, self.appended);
                self.failing = None;
                self.phase = Phase::Waiting;
            }
            Phase::Rewriting => self.phase = Phase::Normal,
            Phase::Alone => self.phase = Phase::Waiting,
            Phase::Normal | Phase::Waiting => {}
        }
    }

    /// The last sync, whatever the policy: for an orderly end. False if something is not durable. A
    /// [`SyncJob`] that is out must be back.
    pub fn close(mut self, now: u64) -> bool {
        self.write(now) && self.sync(now) && self.failing.is_none()
    }
}

/// Failures in a row put off what only growth asks for: each attempt leaves an increment behind.
#[derive(Debug, Default)]
struct Attempts {
    failures: u32,
    /// When growth may ask again; 0 = it was not put off.
    not_before: u64,
    delay_minutes: u64,
}

/// So many may fail without consequence.
const FREE_FAILURES: u32 = 3;
const DELAY_MINUTES_MAX: u64 = 60;

impl Attempts {
    fn failed(&mut self, now: u64) {
        self.failures += 1;
        if now >= self.not_before {
            self.not_before = 0; // the attempt that was put off: the next is for longer
        }
    }

    /// Whether growth, which asks now, is put off.
    fn limited(&mut self, now: u64) -> bool {
        if self.failures < FREE_FAILURES {
            return false;
        }
        if self.not_before != 0 {
            return now < self.not_before;
        }
        let next = (self.delay_minutes * 2).clamp(1, DELAY_MINUTES_MAX);
        self.delay_minutes = next;
        self.not_before = now + next * 60_000;
        tracing::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in \
             {next} minutes"
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_put_off_for_longer_with_each_failure() {
        const MINUTE: u64 = 60_000;
        let mut attempts = Attempts::default();
        for now in 0..3 {
            assert!(!attempts.limited(now));
            attempts.failed(now);
        }
        assert!(attempts.limited(5) && attempts.limited(MINUTE + 4));
        attempts.failed(6); // somebody asked for that one
        assert!(
            attempts.limited(7) && !attempts.limited(MINUTE + 5) && !attempts.limited(2 * MINUTE)
        );
        attempts.failed(2 * MINUTE);
        assert!(attempts.limited(2 * MINUTE) && attempts.limited(4 * MINUTE - 1));
        assert!(!attempts.limited(4 * MINUTE));
    }
}

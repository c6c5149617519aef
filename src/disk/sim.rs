//! A disk in memory that keeps no more than it promises, by a seeded plan.
//!
//! What a write leaves is visible at once but survives [`SimDisk::crash`] only if it was synced; of
//! the rest, any pages survive, in any order, and those that do not leave zeros. Names survive in
//! the order in which they were changed, up to some point. A sync that fails keeps some pages and
//! forgets about the others: a later sync does not write them, as Linux does. Everything that is
//! random comes from the seed.

use super::file::{Disk, File, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that survive or do not as one.
const PAGE: usize = 512;

/// xorshift64*: a sequence of numbers that a seed decides.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n as u64) as usize
    }

    /// True `n` times in a thousand.
    pub fn permille(&mut self, n: u32) -> bool {
        self.below(1000) < n as usize
    }
}

/// What goes wrong, each so many times in a thousand operations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub write: u32,
    /// Takes only a part, without an error.
    pub short: u32,
    pub sync: u32,
    pub names: u32,
    pub read: u32,
}

/// What is called done and is not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lies {
    pub sync: bool,
    pub names: bool,
}

#[derive(Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// How far it was cut since the last sync. Pages that are written behind a cut are new ones: they
    /// survive only if the cut does, and where they do not, there are zeros and nothing older.
    cut: Option<usize>,
}

/// What happens to names in one step: where they lead, or nowhere.
type Change = Vec<(PathBuf, Option<usize>)>;

/// The number of a directory, which has no bytes.
const DIRECTORY: usize = usize::MAX;

struct Inner {
    dice: Dice,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    changes: Vec<Change>,
    faults: Faults,
    full: bool,
    /// Operations until the crash.
    left: Option<u64>,
    crashed: bool,
    /// Syncs of files that succeeded.
    syncs: u64,
    lies: Lies,
}

/// The disk; its clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Inner>>);

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            dice: Dice::new(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            faults: Faults::default(),
            full: false,
            left: None,
            crashed: false,
            syncs: 0,
            lies: Lies::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// No space left, or space again.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Everything fails after so many operations, until [`SimDisk::crash`] or [`SimDisk::kill`].
    pub fn crash_after(&self, operations: u64) {
        self.lock().left = Some(operations);
    }

    /// Which syncs are skipped, to see that a test would notice.
    pub fn set_lies(&self, lies: Lies) {
        self.lock().lies = lies;
    }

    /// How often a file was forced to the disk.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    pub fn has_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// The process ended: what was written is there.
    pub fn kill(&self) {
        let mut inner = self.lock();
        (inner.crashed, inner.left) = (false, None);
    }

    /// The power failed.
    pub fn crash(&self) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        (inner.crashed, inner.left) = (false, None);
        let kept = match inner.dice.below(3) {
            0 => 0,
            1 => inner.changes.len(),
            _ => inner.dice.below(inner.changes.len() + 1),
        };
        for change in inner.changes.drain(..).take(kept) {
            apply(&mut inner.durable_names, change);
        }
        inner.names = inner.durable_names.clone();
        for inode in &mut inner.inodes {
            inode.lose(&mut inner.dice);
        }
    }

    /// The bytes of a file, for tests that look at it or harm it.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let inner = self.lock();
        inner.names.get(path).map(|inode| inner.inodes[*inode].data.clone())
    }

    /// Puts bytes in a file, durably.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut inner = self.lock();
        let inode = inner.inode(path);
        let (data, durable) = (bytes.to_vec(), bytes.to_vec());
        inner.inodes[inode] = Inode { data, durable, dirty: BTreeSet::new(), cut: None };
        inner.durable_names.insert(path.to_path_buf(), inode);
    }

    fn open(&self, path: &Path, empty: bool) -> io::Result<Arc<dyn File>> {
        let mut inner = self.lock();
        inner.step(|faults| faults.names, libc::EIO)?;
        if inner.full && !inner.names.contains_key(path) {
            return Err(error(libc::ENOSPC));
        }
        let inode = inner.inode(path);
        if empty {
            inner.inodes[inode].truncate(0);
        }
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: Change) {
    for (path, inode) in change {
        match inode {
            Some(inode) => names.insert(path, inode),
            None => names.remove(&path),
        };
    }
}

impl Inner {
    /// One operation: it may be the last, and it may fail.
    fn step(&mut self, rate: impl Fn(&Faults) -> u32, number: i32) -> io::Result<()> {
        match &mut self.left {
            Some(0) => self.crashed = true,
            Some(left) => *left -= 1,
            None => {}
        }
        let rate = rate(&self.faults);
        if self.crashed || self.dice.permille(rate) { Err(error(number)) } else { Ok(()) }
    }

    fn inode(&mut self, path: &Path) -> usize {
        if let Some(inode) = self.names.get(path) {
            return *inode;
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change(vec![(path.to_path_buf(), Some(inode))]);
        inode
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, change.clone());
        self.changes.push(change);
    }
}

impl Inode {
    fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / PAGE..=to.max(from) / PAGE);
    }

    fn append(&mut self, bytes: &[u8]) {
        let from = self.data.len();
        self.data.extend_from_slice(bytes);
        self.touch(from, self.data.len());
    }

    fn truncate(&mut self, len: usize) {
        let from = self.data.len().max(self.durable.len());
        self.data.resize(len, 0);
        self.touch(len, from);
        self.cut = Some(self.cut.unwrap_or(len).min(len));
    }

    /// A cut comes to be durable.
    fn keep_cut(&mut self) {
        if let Some(len) = self.cut.take() {
            self.durable.truncate(len);
        }
    }

    /// Writes a page to where it survives.
    fn keep(&mut self, page: usize) {
        let begin = page * PAGE;
        let end = (begin + PAGE).min(self.data.len());
        if begin < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[begin..end].copy_from_slice(&self.data[begin..end]);
        }
    }

    fn sync(&mut self) {
        self.keep_cut();
        for page in std::mem::take(&mut self.dirty) {
            self.keep(page);
        }
        self.durable.resize(self.data.len(), 0);
    }

    /// Some pages are written, and of the others the kernel knows nothing any more.
    fn fail_to_sync(&mut self, dice: &mut Dice) {
        if self.cut.is_some() && dice.below(2) == 0 {
            self.dirty.clear();
            return;
        }
        self.keep_cut();
        for page in std::mem::take(&mut self.dirty) {
            if dice.below(2) == 0 {
                self.keep(page);
            }
        }
        if dice.below(2) == 0 {
            self.durable.resize(self.data.len(), 0);
        }
    }

    /// What a power cut leaves.
    fn lose(&mut self, dice: &mut Dice) {
        if self.cut.is_some() && dice.below(2) == 0 {
            self.cut = None;
            self.dirty.clear();
            self.data = self.durable.clone();
            return;
        }
        self.keep_cut();
        let (before, after) = (self.durable.len(), self.data.len());
        let changed = !self.dirty.is_empty();
        let mode = dice.below(4);
        let border = dice.below(self.data.len() / PAGE + 2);
        for page in std::mem::take(&mut self.dirty) {
            let survives = match mode {
                0 => false,
                1 => true,
                2 => page < border,
                _ => dice.below(2) == 0,
            };
            if survives {
                self.keep(page);
            }
        }
        let len = match mode {
            0 => before,
            1 => after,
            _ if dice.below(2) == 0 => after,
            _ => before.min(after) + dice.below(before.abs_diff(after) + 1),
        };
        // Synced bytes that nobody cut stay, whatever happens to the length.
        if changed {
            self.durable.resize(len, 0);
        }
        self.data = self.durable.clone();
    }
}

impl Disk for SimDisk {
    fn append(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open(path, false)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open(path, true)
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let mut inner = self.lock();
        inner.step(|faults| faults.read, libc::EIO)?;
        let inode = inner.names.get(path).copied().ok_or_else(|| error(libc::ENOENT))?;
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut inner = self.lock();
        inner.step(|faults| faults.read, libc::EIO)?;
        let inode = inner.names.get(path).copied().filter(|inode| *inode != DIRECTORY);
        Ok(inode.map(|inode| inner.inodes[inode].data.len() as u64))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(|faults| faults.names, libc::EIO)?;
        let inode = inner.names.get(from).copied().ok_or_else(|| error(libc::ENOENT))?;
        inner.change(vec![(from.to_path_buf(), None), (to.to_path_buf(), Some(inode))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(|faults| faults.names, libc::EIO)?;
        inner.change(vec![(path.to_path_buf(), None)]);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(|faults| faults.names, libc::ENOSPC)?;
        inner.change(vec![(path.to_path_buf(), Some(DIRECTORY))]);
        Ok(())
    }

    fn has_dir(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.lock().names.get(path) == Some(&DIRECTORY)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut inner = self.lock();
        inner.step(|faults| faults.read, libc::EIO)?;
        let within = inner.names.keys().filter(|name| name.parent() == Some(path));
        let names = within.filter_map(|name| name.file_name()?.to_str().map(String::from));
        Ok(names.collect())
    }

    fn refresh(&self, path: &Path, from: u64) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(|faults| faults.write, libc::EIO)?;
        let inode = inner.names.get(path).copied().ok_or_else(|| error(libc::ENOENT))?;
        let file = &mut inner.inodes[inode];
        file.touch(from as usize, file.data.len());
        drop(inner);
        File::sync(&SimFile { disk: self.clone(), inode })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(|faults| faults.sync, libc::EIO)?;
        if inner.lies.names {
            return Ok(());
        }
        let inner = &mut *inner;
        let mut left = Vec::new();
        for change in inner.changes.drain(..) {
            let here = change.iter().any(|(name, _)| name.parent() == Some(path));
            if here { apply(&mut inner.durable_names, change) } else { left.push(change) }
        }
        inner.changes = left;
        Ok(())
    }
}

impl File for SimFile {
    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut inner = self.disk.lock();
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let was_up = !inner.crashed;
        let result = inner.step(|faults| faults.write, libc::ENOSPC);
        let full = inner.full;
        let short = inner.faults.short;
        let cut = was_up && (result.is_err() || inner.dice.permille(short)) || full;
        if cut {
            let most = inner.dice.below(bytes.len() + 1);
            bytes.truncate(most);
        }
        if was_up {
            inner.inodes[self.inode].append(&bytes);
        }
        // A full disk takes what fits, and refuses the next write.
        if full && bytes.is_empty() {
            return Err(error(libc::ENOSPC));
        }
        match result {
            Err(error) => Err(error),
            Ok(()) if bytes.is_empty() && !parts.is_empty() => Err(error(libc::ENOSPC)),
            Ok(()) => Ok(bytes.len()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let was_up = !inner.crashed;
        let result = inner.step(|faults| faults.sync, libc::EIO);
        let inner = &mut *inner;
        inner.syncs += u64::from(result.is_ok());
        let inode = &mut inner.inodes[self.inode];
        match &result {
            Ok(()) if inner.lies.sync => {}
            Ok(()) => inode.sync(),
            Err(_) if was_up => inode.fail_to_sync(&mut inner.dice),
            Err(_) => {}
        }
        result
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.step(|faults| faults.names, libc::EIO)?;
        inner.inodes[self.inode].truncate(len as usize);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].data.len() as u64)
    }
}

impl Source for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.disk.lock();
        inner.step(|faults| faults.read, libc::EIO)?;
        let data = &inner.inodes[self.inode].data;
        let from = data.len().min(offset as usize);
        let count = buffer.len().min(data.len() - from);
        buffer[..count].copy_from_slice(&data[from..from + count]);
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        File::len(self)
    }
}

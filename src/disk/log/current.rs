//! The increment that is being written, and what goes into it.

use crate::disk::crc::crc32c;
use crate::disk::directory::Directory;
use crate::disk::file::{self, Disk, File};
use crate::disk::frame::{self, Header};
use crate::disk::seal::{Keyring, Sealer};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes at the end of the last file that are written again at a start, at most: what is older has
/// long been written by the kernel.
const REFRESH_MAX: u64 = 64 << 20;
/// Sealed bytes in one write, or one group.
const SEAL_MAX: usize = 1 << 20;
/// Groups in one write, which hands two slices each to the kernel.
const WRITE_GROUPS: usize = 256;

/// What stands before groups, and for each its end in that and in the file.
type Lines = (Vec<u8>, Vec<(usize, u64)>);

/// What one `append` brought.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) bytes: Bytes,
    pub(super) last: u64,
}

/// A group in the file.
pub(super) struct Written {
    pub(super) group: Group,
    /// Offset in the file behind it.
    pub(super) end: u64,
}

/// The increment that is being written.
pub(super) struct Current {
    pub(super) file: Arc<dyn File>,
    /// What seals the groups of an encrypted log.
    pub(super) sealer: Option<Sealer>,
    pub(super) path: PathBuf,
    /// End of the last whole group (G1).
    pub(super) len: u64,
    /// What the last good sync covered.
    pub(super) durable: u64,
    /// Where `undurable` begins: below, groups are durable or were forgotten.
    pub(super) kept_from: u64,
    /// There may be bytes behind `len`.
    pub(super) torn: bool,
    /// A sync failed when groups above `durable` were forgotten already.
    pub(super) doubtful: bool,
    /// The second of the last annotation of time; 0 = none in this file yet.
    pub(super) stamped: u64,
}

/// Opens a file that was loaded, to go on with it: what is in it must not be lost by a later crash.
pub(super) fn resume(directory: &Directory, name: &str) -> io::Result<(Arc<dyn File>, u64)> {
    let (path, known) = (directory.path(name), directory.known_durable);
    let file = directory.disk().append(&path)?;
    let len = file.len()?;
    if known < len {
        directory.disk().refresh(&path, known.max(len.saturating_sub(REFRESH_MAX)))?;
    }
    file.sync()?;
    Ok((file, len))
}

impl Current {
    /// A new increment. Its header, if it is sealed, is durable before anybody knows of the file.
    pub(super) fn create(
        disk: &dyn Disk,
        path: PathBuf,
        keys: Option<&Keyring>,
    ) -> io::Result<Self> {
        let file = disk.create(&path)?;
        let (mut sealer, mut len) = (None, 0);
        if let Some(keys) = keys {
            let (header, new) = keys.seal()?;
            file::write_all(&*file, &header)?;
            (sealer, len) = (Some(new), header.len() as u64);
        }
        // Whatever a crash had left under this name.
        file.sync()?;
        Ok(Self { sealer, ..Self::new(file, path, len) })
    }

    pub(super) fn new(file: Arc<dyn File>, path: PathBuf, len: u64) -> Self {
        Self {
            file,
            sealer: None,
            path,
            len,
            durable: len,
            kept_from: len,
            torn: false,
            doubtful: false,
            stamped: 0,
        }
    }

    pub(super) fn needs_mending(&self) -> bool {
        self.torn || self.doubtful
    }

    /// Cuts off what is behind the last whole group (G1), and writes again in place what is in doubt
    /// and no longer in memory.
    pub(super) fn mend(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.torn {
            self.file.truncate(self.len)?;
            self.torn = false;
        }
        if self.doubtful {
            disk.refresh(&self.path, self.durable)?;
            self.doubtful = false;
        }
        Ok(())
    }

    /// After a failed sync (G3).
    pub(super) fn roll_back(
        &mut self,
        queue: &mut VecDeque<Group>,
        undurable: &mut VecDeque<Written>,
    ) {
        while let Some(written) = undurable.pop_back() {
            queue.push_front(written.group);
        }
        self.len = self.kept_from;
        self.torn = true;
        self.doubtful = self.durable < self.kept_from;
        self.stamped = 0;
    }

    /// One write of some groups from the front of the queue.
    pub(super) fn write(
        &mut self,
        queue: &mut VecDeque<Group>,
        undurable: &mut VecDeque<Written>,
        checksums: bool,
        (timestamps, second): (bool, u64),
    ) -> io::Result<()> {
        let stamp = (timestamps && second != self.stamped).then(|| frame::time(second));
        let count = queue.len().min(WRITE_GROUPS);
        let groups = queue.range(..count);
        let sealed = self.sealer.is_some();
        let (heads, ends) = match self.sealed(groups.clone(), stamp.as_deref()) {
            Some(sealed) => sealed,
            None => self.heads(groups, checksums, stamp.as_deref()),
        };
        let mut parts = Vec::with_capacity(2 * count);
        let mut begin = 0;
        for (group, (end, _)) in queue.iter().zip(&ends) {
            parts.push(IoSlice::new(&heads[begin..*end]));
            if !sealed {
                parts.push(IoSlice::new(&group.bytes));
            }
            begin = *end;
        }
        let (taken, result) = write_parts(&*self.file, &mut parts);
        let reached = self.len + taken;
        let whole = ends.iter().take_while(|(_, end)| *end <= reached).count();
        if whole > 0 && stamp.is_some() {
            self.stamped = second;
        }
        for (group, (_, end)) in queue.drain(..whole).zip(&ends) {
            self.len = *end;
            undurable.push_back(Written { group, end: *end });
        }
        self.torn = reached > self.len || result.is_err();
        result
    }

    /// The same groups, sealed: the bytes, and for each group its end in them and in the file.
    pub(super) fn sealed<'a>(
        &mut self,
        groups: impl Iterator<Item = &'a Group>,
        stamp: Option<&str>,
    ) -> Option<Lines> {
        let sealer = self.sealer.as_mut()?;
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        let mut before = stamp.unwrap_or_default().as_bytes();
        for Group { bytes, last } in groups {
            if out.len() > SEAL_MAX {
                break;
            }
            let at = self.len + out.len() as u64;
            let whole = [before, bytes].concat();
            sealer.group(&mut out, at, &whole, (self.durable, *last));
            ends.push((out.len(), self.len + out.len() as u64));
            before = b"";
        }
        Some((out, ends))
    }

    /// The lines before some groups, and for each group the end of its lines in them, and of itself
    /// in the file.
    pub(super) fn heads<'a>(
        &self,
        groups: impl Iterator<Item = &'a Group>,
        checksums: bool,
        stamp: Option<&str>,
    ) -> Lines {
        let (mut heads, mut ends) = (Vec::new(), Vec::new());
        let mut at = self.len;
        let mut before = stamp.unwrap_or_default().as_bytes();
        for Group { bytes, last } in groups {
            let begin = heads.len();
            heads.extend_from_slice(before);
            if checksums {
                let (len, crc) = (bytes.len() as u64, crc32c(bytes));
                let header = Header { at, len, durable: self.durable, last: *last, crc };
                frame::write(&mut heads, before, &header);
            }
            at += (heads.len() - begin + bytes.len()) as u64;
            ends.push((heads.len(), at));
            before = b"";
        }
        (heads, ends)
    }
}

/// Writes all parts, or as much as goes; says how much that was.
pub(super) fn write_parts(file: &dyn File, parts: &mut [IoSlice<'_>]) -> (u64, io::Result<()>) {
    let (mut rest, mut taken) = (parts, 0);
    IoSlice::advance_slices(&mut rest, 0); // leaves out empty ones
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                taken += count as u64;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

//! A file that is written from its begin to its end: a base of the log, or a snapshot.
//!
//! - **O1** It is whole, and on the disk, when [`Output::finish`] has said so, and not before.
//! - **O2** Once something failed it fails for good: a sync that succeeds later says nothing of what an
//!   earlier one lost, and what follows a part that is missing is of no use.
//! - **O3** Sealed, if there is a key, in records that say which of them is the last.

use super::file::{self, File};
use super::seal::{self, Keyring, Kind, Sealer};
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes that are collected before they are written.
pub(super) const BUFFER: usize = 256 << 10;
/// Bytes between syncs while the file is written, so that the last one does not find gigabytes that nobody
/// has begun to write, and does not hold up everybody else who syncs.
pub(super) const SYNC_EVERY: u64 = 4 << 20;

/// See the module.
pub struct Output {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    sealer: Option<Sealer>,
    /// Syncs while writing.
    incremental: bool,
    written: u64,
    synced: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Whole,
    Failed,
}

impl Output {
    /// Begins it in an empty file.
    pub fn new(file: Arc<dyn File>, keys: Option<&Keyring>, incremental: bool) -> io::Result<Self> {
        let buffer = Vec::with_capacity(BUFFER);
        let (mut sealer, mut written) = (None, 0);
        if let Some(keys) = keys {
            let (header, new) = keys.seal()?;
            file::write_all(&*file, &header)?;
            (sealer, written) = (Some(new), header.len() as u64);
        }
        let (synced, state) = (0, State::Open);
        Ok(Self { file, buffer, sealer, incremental, written, synced, state })
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of it that are on the disk.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    pub fn is_sealed(&self) -> bool {
        self.sealer.is_some()
    }

    /// Writes the end and makes all of it durable. A second time nothing is left to do.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.state == State::Whole {
            return Ok(());
        }
        self.flush()?;
        self.try_to(|this| {
            if this.sealer.is_some() {
                this.put(Kind::StreamEnd, &[])?;
            }
            this.file.sync()
        })?;
        self.state = State::Whole;
        Ok(())
    }

    /// Does what may fail once (O2).
    fn try_to(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        match self.state {
            State::Open => {}
            State::Whole => return Err(io::Error::other("the file has been finished")),
            State::Failed => return Err(io::Error::other("the file could not be written")),
        }
        let result = act(self);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// Writes bytes to the file, as they are or sealed.
    fn put(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let Some(sealer) = &mut self.sealer else {
            file::write_all(&*self.file, bytes)?;
            self.written += bytes.len() as u64;
            return Ok(());
        };
        let empty = [&[][..]];
        let chunks = bytes.chunks(seal::CHUNK);
        for chunk in empty.into_iter().take(usize::from(bytes.is_empty())).chain(chunks) {
            let mut record = Vec::with_capacity(chunk.len() + 64);
            sealer.record(&mut record, (self.written, kind), chunk, (0, 0));
            file::write_all(&*self.file, &record)?;
            self.written += record.len() as u64;
        }
        Ok(())
    }

    fn put_buffer(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            let put = self.put(Kind::StreamPart, &buffer);
            self.buffer = buffer;
            self.buffer.clear();
            put?;
        }
        if self.incremental && self.written - self.synced >= SYNC_EVERY {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.state != State::Open || self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.try_to(|this| this.put(Kind::StreamPart, bytes))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.try_to(Self::put_buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::file::Disk;
    use crate::disk::sim::{Faults, SimDisk};
    use std::path::Path;

    #[test]
    fn a_file_is_forced_to_the_disk_as_it_grows_if_that_is_wanted() {
        for incremental in [true, false] {
            let disk = SimDisk::new(1);
            let file = disk.create(Path::new("file")).unwrap();
            let mut out = Output::new(file, None, incremental).unwrap();
            let mut most = 0;
            for _ in 0..100 {
                out.write_all(&[0; 100_000]).unwrap();
                most = most.max(out.len() - out.synced());
            }
            assert_eq!(most < SYNC_EVERY + 2 * BUFFER as u64, incremental, "{most} bytes waited");
            assert_eq!(disk.syncs(), if incremental { 2 } else { 0 });
            out.finish().unwrap();
            out.finish().unwrap();
            assert_eq!(disk.syncs(), if incremental { 3 } else { 1 });
            assert!(out.write(b"more").is_err());
        }
    }

    #[test]
    fn what_failed_once_is_never_called_whole() {
        for faults in [
            Faults { write: 1000, ..Faults::default() },
            Faults { sync: 1000, ..Faults::default() },
        ] {
            let disk = SimDisk::new(1);
            let file = disk.create(Path::new("file")).unwrap();
            let mut out = Output::new(file, None, true).unwrap();
            out.write_all(b"words").unwrap();
            disk.set_faults(faults);
            assert!(out.finish().is_err());
            disk.set_faults(Faults::default());
            assert!(out.write(b"more").is_err() && out.finish().is_err());
        }
    }
}

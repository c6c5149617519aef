//! The base of a log: a snapshot, in RDB form or as commands, written beside the log and put in
//! force by [`super::Log::finish_rewrite`].

use super::crc::crc32c;
use super::directory::Directory;
use super::file::{self, Disk, File};
use super::frame::{self, Header};
use super::options::Options;
use super::seal::{self, Keyring, Kind, Sealer};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;
/// Bytes between syncs while the file is written ([`Options::incremental`]), so that the last one does
/// not hold up everybody else who syncs.
const SYNC_EVERY: u64 = 4 << 20;

/// A rewrite that has begun: says where its base goes. May be sent to another thread for writing;
/// must come back for `finish_rewrite` or `fail_rewrite`.
pub struct Rewrite {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    name: String,
    rdb: bool,
    checksums: bool,
    incremental: bool,
    /// The second in which it began, if the log tells the time.
    second: Option<u64>,
    keys: Option<Arc<Keyring>>,
}

impl Rewrite {
    pub(super) fn new(directory: &Directory, options: &Options, now: u64) -> Self {
        let name = format!("temp-rewriteaof-bg-{}.aof", std::process::id());
        Self {
            disk: Arc::clone(directory.disk()),
            path: directory.path(&name),
            name,
            rdb: options.rdb_base,
            checksums: options.checksums,
            incremental: options.incremental,
            second: options.timestamps.then_some(now / 1000),
            keys: directory.keys().cloned(),
        }
    }

    /// Opens the base for writing; [`BaseWriter::finish`] must have succeeded before the rewrite is
    /// finished.
    pub fn open(&self) -> io::Result<BaseWriter> {
        let file = self.disk.create(&self.path)?;
        let mut out = BaseWriter::new(file, self.checksums, self.keys.as_deref())?;
        out.incremental = self.incremental;
        out.stamp = self.second.map(frame::time).unwrap_or_default();
        Ok(out)
    }

    /// Whether the base is in RDB form, else in commands.
    pub fn is_rdb(&self) -> bool {
        self.rdb
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Writes a base: an RDB file through [`Write`], or whole commands through [`BaseWriter::group`].
pub struct BaseWriter {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    checksums: bool,
    sealer: Option<Sealer>,
    /// Syncs while writing.
    incremental: bool,
    /// The line of time that is to precede the first group.
    stamp: String,
    written: u64,
    synced: u64,
}

impl BaseWriter {
    fn new(file: Arc<dyn File>, checksums: bool, keys: Option<&Keyring>) -> io::Result<Self> {
        let buffer = Vec::with_capacity(BUFFER);
        let (mut sealer, mut written) = (None, 0);
        if let Some(keys) = keys {
            let (header, new) = keys.seal()?;
            file::write_all(&*file, &header)?;
            (sealer, written) = (Some(new), header.len() as u64);
        }
        let (incremental, stamp, synced) = (true, String::new(), 0);
        Ok(Self { file, buffer, checksums, sealer, incremental, stamp, written, synced })
    }

    pub(super) fn create(directory: &Directory, name: &str, checksums: bool) -> io::Result<Self> {
        let file = directory.disk().create(&directory.path(name))?;
        Self::new(file, checksums, directory.keys().map(|keys| &**keys))
    }

    /// Writes commands, with a checksum of their own; best some hundred kilobytes at a time.
    pub fn group(&mut self, commands: &[u8]) -> io::Result<()> {
        if commands.is_empty() {
            return Ok(());
        }
        let stamp = std::mem::take(&mut self.stamp);
        let at = self.len();
        self.buffer.extend_from_slice(stamp.as_bytes());
        if self.checksums && self.sealer.is_none() {
            let (len, crc) = (commands.len() as u64, crc32c(commands));
            let header = Header { at, len, durable: self.synced, last: 0, crc };
            frame::write(&mut self.buffer, stamp.as_bytes(), &header);
        }
        self.write_all(commands)
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes it durable.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.sealer.is_some() {
            self.put(Kind::StreamEnd, &[])?;
        }
        self.file.sync()
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
}

impl Write for BaseWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.put(Kind::StreamPart, bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Names;
    use crate::disk::sim::SimDisk;

    #[test]
    fn a_base_is_forced_to_the_disk_as_it_grows_if_that_is_wanted() {
        for incremental in [true, false] {
            let disk = Arc::new(SimDisk::new(1));
            let mut directory = Directory::open(disk, Names::default()).unwrap();
            directory.make().unwrap();
            let options = Options { incremental, ..Options::default() };
            let mut out = Rewrite::new(&directory, &options, 0).open().unwrap();
            let mut most = 0;
            for _ in 0..100 {
                out.write_all(&[0; 100_000]).unwrap();
                most = most.max(out.len() - out.synced);
            }
            assert_eq!(most < SYNC_EVERY + 2 * BUFFER as u64, incremental, "{most} bytes waited");
        }
    }
}

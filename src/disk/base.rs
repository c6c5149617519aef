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
/// Bytes between syncs while the file is written (`aof-rewrite-incremental-fsync`), so that the last
/// one does not hold up everybody else who syncs.
const SYNC_EVERY: u64 = 4 << 20;

/// A rewrite that has begun: says where its base goes. May be sent to another thread for writing;
/// must come back for `finish_rewrite` or `fail_rewrite`.
pub struct Rewrite {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    name: String,
    rdb: bool,
    checksums: bool,
    keys: Option<Arc<Keyring>>,
}

impl Rewrite {
    pub(super) fn new(directory: &Directory, options: &Options) -> Self {
        let name = format!("temp-rewriteaof-bg-{}.aof", std::process::id());
        Self {
            disk: Arc::clone(directory.disk()),
            path: directory.path(&name),
            name,
            rdb: options.rdb_base,
            checksums: options.checksums,
            keys: directory.keys().cloned(),
        }
    }

    /// Opens the base for writing; [`BaseWriter::finish`] must have succeeded before the rewrite is
    /// finished.
    pub fn open(&self) -> io::Result<BaseWriter> {
        let file = self.disk.create(&self.path)?;
        BaseWriter::new(file, self.checksums, self.keys.as_deref())
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
    pub incremental: bool,
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
        Ok(Self { file, buffer, checksums, sealer, incremental: true, written, synced: 0 })
    }

    pub(super) fn create(directory: &Directory, name: &str, checksums: bool) -> io::Result<Self> {
        let file = directory.disk().create(&directory.path(name))?;
        Self::new(file, checksums, directory.keys().map(|keys| &**keys))
    }

    /// Writes commands, with a checksum of their own; best some hundred kilobytes at a time.
    pub fn group(&mut self, commands: &[u8]) -> io::Result<()> {
        if self.checksums && self.sealer.is_none() && !commands.is_empty() {
            let at = self.written + self.buffer.len() as u64;
            let (len, crc) = (commands.len() as u64, crc32c(commands));
            let header = Header { at, len, durable: self.synced, last: 0, crc };
            frame::write(&mut self.buffer, b"", &header);
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

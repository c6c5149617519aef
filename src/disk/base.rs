//! The base of a log: a snapshot, in RDB form or as commands, written beside the log and put in
//! force by [`super::Log::finish_rewrite`].

use super::crc::crc32c;
use super::directory::Directory;
use super::file::Disk;
use super::frame::{self, Header};
use super::options::Options;
use super::output::Output;
use super::seal::Keyring;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

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
        let name = Directory::temporary_base();
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
        let out = Output::new(file, self.keys.as_deref(), self.incremental)?;
        let stamp = self.second.map(frame::time).unwrap_or_default();
        Ok(BaseWriter { out, checksums: self.checksums, stamp })
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
    out: Output,
    checksums: bool,
    /// The line of time that is to precede the first group.
    stamp: String,
}

impl BaseWriter {
    pub(super) fn create(directory: &Directory, name: &str, checksums: bool) -> io::Result<Self> {
        let file = directory.disk().create(&directory.path(name))?;
        let out = Output::new(file, directory.keys().map(|keys| &**keys), true)?;
        Ok(Self { out, checksums, stamp: String::new() })
    }

    /// Writes commands, with a checksum of their own; best some hundred kilobytes at a time.
    pub fn group(&mut self, commands: &[u8]) -> io::Result<()> {
        if commands.is_empty() {
            return Ok(());
        }
        let stamp = std::mem::take(&mut self.stamp);
        let mut lines = stamp.clone().into_bytes();
        if self.checksums && !self.out.is_sealed() {
            let (len, crc) = (commands.len() as u64, crc32c(commands));
            let (at, durable) = (self.out.len(), self.out.synced());
            frame::write(&mut lines, stamp.as_bytes(), &Header { at, len, durable, last: 0, crc });
        }
        self.out.write_all(&lines)?;
        self.out.write_all(commands)
    }

    /// Makes it durable.
    pub fn finish(&mut self) -> io::Result<()> {
        self.out.finish()
    }
}

impl Write for BaseWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

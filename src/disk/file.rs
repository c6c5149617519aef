//! The file layer: the few things that the log and snapshots ask of a disk, and nothing that they do not.
//!
//! Everything in `disk` goes through [`Disk`] and [`File`], because a disk that forgets what was not
//! synced, writes half of what it was given and fails now and then can only be had in simulation.
//! What each operation promises is therefore what the weakest disk promises:
//! - Bytes of a file survive a power cut only after [`File::sync`] of that file succeeded.
//! - A name, new or renamed or removed, survives only after [`Disk::sync_dir`] of its directory.
//! - After a failed sync nothing is known about the bytes since the last good one, and a later good
//!   sync says nothing about them either: the kernel may have dropped them.

use std::fmt;
use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// A place with names and files in it.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file to append to; makes it if it is missing.
    fn append(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file to append to, empty whatever was there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file to read.
    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>>;
    /// The length of a file, `None` if there is none of that name.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Gives a file another name, in place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; a file that is not there is removed.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The same; what is returned, if anything, still has the bytes, and to drop it may take long: a file of
    /// many gigabytes has many blocks to give back.
    fn unlink(&self, path: &Path) -> io::Result<Option<Unlinked>> {
        self.remove(path).map(|()| None)
    }
    /// Makes a directory; one that is there already will do.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a directory of that name.
    fn has_dir(&self, path: &Path) -> bool;
    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Writes the bytes from an offset to the end again where they are, and syncs them. For bytes that
    /// were read and found good but may be on the disk no more: a sync that failed may have made the
    /// kernel take them for written. A crash in between leaves the same bytes or the old ones.
    fn refresh(&self, path: &Path, from: u64) -> io::Result<()>;
    /// Makes durable which names a directory has.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file without a name.
pub type Unlinked = Box<dyn Send>;

/// A file that is appended to. By shared reference, so that one thread may sync while another writes.
pub trait File: Send + Sync {
    /// Appends; may take less than it was given, never nothing without an error.
    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Makes durable what was written (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, len: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Whether there is nothing in it.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}

/// A file that is read, from several places at once.
pub trait Source: Send {
    /// Reads into `buffer` from an offset; 0 only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn len(&self) -> io::Result<u64>;
    /// Whether there is nothing in it.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}

/// Writes all of it, however little the file takes at a time.
pub fn write_all(file: &dyn File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(&[IoSlice::new(bytes)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The whole of a small file.
pub fn read_all(disk: &dyn Disk, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let source = disk.read(path)?;
    if source.len()? > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large"));
    }
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match source.read_at(&mut chunk, bytes.len() as u64) {
            Ok(0) => return Ok(bytes),
            Ok(got) if bytes.len() as u64 + got as u64 > most => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large"));
            }
            Ok(got) => bytes.extend_from_slice(&chunk[..got]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file that is read from its begin on.
pub struct Stream {
    source: Box<dyn Source>,
    at: u64,
}

impl Stream {
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source, at: 0 }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The operating system's files; relative paths start at the working directory.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options
}

impl Disk for RealDisk {
    fn append(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(options().open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = options().open(path)?;
        file.set_len(0)?;
        Ok(Arc::new(file))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        Ok(Box::new(fs::File::open(path)?))
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<Option<Unlinked>> {
        let file = fs::File::open(path).ok(); // if it cannot be held it is freed at once
        self.remove(path)?;
        Ok(file.map(|file| Box::new(file) as Unlinked))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if !(error.kind() == io::ErrorKind::AlreadyExists && path.is_dir()) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn has_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string()));
        let names: Vec<Result<String, _>> = names.collect::<io::Result<_>>()?;
        let mut names: Vec<String> = names.into_iter().flatten().collect();
        names.sort();
        Ok(names)
    }

    fn refresh(&self, path: &Path, from: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        let (mut at, mut chunk) = (from, vec![0; 256 << 10]);
        loop {
            match FileExt::read_at(&file, &mut chunk, at) {
                Ok(0) => return file.sync_data(),
                Ok(count) => {
                    file.write_all_at(&chunk[..count], at)?;
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        fs::File::open(path)?.sync_all()
    }
}

impl File for fs::File {
    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut file = self;
        file.write_vectored(parts)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Source for fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

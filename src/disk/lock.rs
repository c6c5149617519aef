//! A data directory belongs to one process: the lock that says so.
//!
//! The lock is advisory (`flock`) on a file in the directory, and the kernel gives it back when the
//! process ends, however it ends; so a file that a crash left behind stops nobody. The file stays:
//! to remove it would let a third process lock a new file of the same name beside the old one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The name of the file, in the data directory.
pub const FILE: &str = "eonkv.lock";

/// The exit code of a process that finds its data directory taken.
pub const EXIT_LOCKED: u8 = 3;

/// Why a directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Somebody has it, or may have.
    #[error("{0}")]
    Taken(String),
    /// Nobody can write there, so that nobody can destroy anything either.
    #[error("{0}")]
    ReadOnly(String),
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        refusal.to_string()
    }
}

/// As long as it lives the directory is ours.
#[derive(Debug)]
pub struct Guard {
    file: File,
}

impl Guard {
    /// Takes the directory, or says who has it.
    pub fn take(dir: &Path) -> Result<Self, Refusal> {
        let path = dir.join(FILE);
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let text = |error: &io::Error| {
            format!("Cannot lock the data directory by {}: {error}", path.display())
        };
        let mut file = open.map_err(|error| match error.kind() {
            // A file that is there may be held by a process that may open it.
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem if !path.exists() => {
                Refusal::ReadOnly(text(&error))
            }
            _ => Refusal::Taken(text(&error)),
        })?;
        match file.try_lock() {
            Ok(()) => {
                // Who has it, for the message of the next; the lock does not depend on it.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.rewind().and_then(|()| file.take(20).read_to_string(&mut holder));
                let holder = holder.trim();
                let by = if holder.is_empty() {
                    "another process".into()
                } else {
                    format!("process {holder}")
                };
                let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
                Err(Refusal::Taken(format!(
                    "The data directory {} is in use by {by}: two servers would destroy each \
                     other's files. Stop that one, or give this one another `dir`",
                    dir.display()
                )))
            }
            Err(TryLockError::Error(error)) => Err(Refusal::Taken(text(&error))),
        }
    }

    /// Whether this is the lock of `dir`, under whatever name: to take it twice would fail.
    pub fn is_of(&self, dir: &Path) -> bool {
        let place = |about: std::fs::Metadata| (about.dev(), about.ino());
        let ours = self.file.metadata().map(place);
        ours.is_ok_and(|ours| {
            std::fs::metadata(dir.join(FILE)).is_ok_and(|about| place(about) == ours)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let dir = std::env::temp_dir().join(format!("eonkv-lock-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let first = Guard::take(&dir).unwrap();
        assert!(first.is_of(&dir) && !first.is_of(&std::env::temp_dir()));
        let text = Guard::take(&dir).unwrap_err().to_string();
        assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
        drop(first);
        Guard::take(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

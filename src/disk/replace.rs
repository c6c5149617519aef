//! A file that is replaced whole: a snapshot.
//!
//! ```text
//! temp-PID-N.rdb: create ─ write ─ sync ─┐
//! dump.rdb:                              └─ rename ─ sync of the directory ─ done
//! ```
//! - **W1** Under its name there is at every moment, and after every crash, a whole file: the old one or the
//!   new one; none only if there was none. So the sync comes before the rename.
//! - **W2** Success says that the new one is there after a power cut too. So the directory is synced.
//! - **W3** After an error the old one is there, but for an error of that last step: then the new one
//!   is, and a power cut may bring the old one back.
//! - **W4** What a process left that ended in between is removed by the next who has the directory
//!   ([`sweep`]), and by nobody else, as another process may be writing there.

use super::file::Disk;
use super::output::Output;
use super::seal::Keyring;
use crate::config::os_reason;
use std::io;
use std::path::Path;

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'k> {
    /// By which it is sealed, if it is.
    pub keys: Option<&'k Keyring>,
    /// It is forced to the disk as it grows.
    pub incremental: bool,
    /// Different from that of any other file this process is writing.
    pub number: u64,
}

/// Puts what `fill` writes in the place of the file `path`, or leaves what is there.
pub fn replace<T>(
    disk: &dyn Disk,
    path: &Path,
    manner: Manner<'_>,
    fill: impl FnOnce(&mut Output) -> io::Result<T>,
) -> io::Result<T> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let temporary = folder.join(format!("temp-{}-{}.rdb", std::process::id(), manner.number));
    let written = disk.create(&temporary).and_then(|file| {
        let mut out = Output::new(file, manner.keys, manner.incremental)?;
        let value = fill(&mut out)?;
        out.finish()?;
        disk.rename(&temporary, path)?;
        Ok(value)
    });
    match written {
        Ok(value) => disk.sync_dir(folder).map(|()| value),
        Err(error) => {
            let _ = disk.remove(&temporary); // it may not even be there; if it stays, see `sweep`
            Err(error)
        }
    }
}

/// Removes what was left in a folder by those who ended while they wrote. For who has it to itself.
pub fn sweep(disk: &dyn Disk, folder: &Path) {
    remove(disk, folder, |name| numbers(name, "temp-", ".rdb") == Some(2));
}

/// Removes files by their names, as far as that goes: they cost room, and no more.
pub(super) fn remove(disk: &dyn Disk, folder: &Path, goes: impl Fn(&str) -> bool) {
    let names = match disk.list(folder) {
        Ok(names) => names,
        Err(error) => {
            let (folder, why) = (folder.display(), os_reason(&error));
            tracing::warn!("Cannot look for temporary files in {folder}: {why}");
            return;
        }
    };
    for name in names.into_iter().filter(|name| goes(name)) {
        match disk.remove(&folder.join(&name)) {
            Ok(()) => tracing::info!("Removed {name}, which was left by a crash"),
            Err(error) => tracing::warn!("Cannot remove {name}: {}", os_reason(&error)),
        }
    }
}

/// How many numbers, with `-` between them, stand between `begin` and `end`; none if something else does.
pub(super) fn numbers(name: &str, begin: &str, end: &str) -> Option<usize> {
    let middle = name.strip_prefix(begin)?.strip_suffix(end)?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    middle.split('-').all(is_number).then(|| middle.split('-').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_leftovers_go() {
        let ours = |name| numbers(name, "temp-", ".rdb") == Some(2);
        assert!(ours("temp-1-0.rdb") && ours("temp-4711-12.rdb"));
        for name in ["temp-1.rdb", "temp-1-.rdb", "temp--1.rdb", "temp-1-2-3.rdb", "temp-a-1.rdb"] {
            assert!(!ours(name), "{name}");
        }
        assert!(!ours("dump.rdb") && !ours("temp-1-2.rdb.old") && !ours("my-temp-1-2.rdb"));
    }
}

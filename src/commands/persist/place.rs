//! The data directory as this process has it: whether it is ours, and with which keys files are sealed.
//!
//! It is taken when there is first something to write there, which may be long after the start, and kept
//! until the end or until `dir` is another one. Who is writing holds it by itself: a snapshot that was
//! begun before `dir` changed ends where it began, and nobody else may come there before.

use crate::disk::lock::{Guard, Refusal};
use crate::disk::seal::Keyring;
use crate::disk::{Disk, RealDisk, replace};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// See the module.
#[derive(Debug)]
pub struct Place {
    disk: Arc<dyn Disk>,
    guard: Mutex<Option<Arc<Guard>>>,
    keys: OnceLock<Arc<Keyring>>,
}

impl Default for Place {
    fn default() -> Self {
        let (guard, keys) = (Mutex::default(), OnceLock::new());
        Self { disk: Arc::new(RealDisk), guard, keys }
    }
}

impl Place {
    /// On another disk than the machine's, which is ours.
    #[cfg(test)]
    pub fn on(disk: Arc<dyn Disk>, guard: Guard) -> Self {
        Self { disk, guard: Mutex::new(Some(Arc::new(guard))), ..Self::default() }
    }

    /// Where its files are.
    pub const fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Removes what a process before us left there when it ended. The directory is ours.
    pub fn sweep(&self) {
        if let Ok(folder) = std::path::absolute(".") {
            replace::sweep(&*self.disk, &folder);
        }
    }

    /// The keys of the start. Once.
    pub fn seal_with(&self, keys: Keyring) {
        // A second call would be a mistake in the wiring; the first keys stay in force.
        let _ = self.keys.set(Arc::new(keys));
    }

    /// The keys by which files are sealed, if they are.
    pub fn keys(&self) -> Option<&Arc<Keyring>> {
        self.keys.get()
    }

    /// Takes the working directory, if it is not ours yet, for as long as what is returned lives at
    /// least. The error says who has it.
    pub fn claim(&self) -> Result<Arc<Guard>, Refusal> {
        let mut guard = self.guard.lock();
        if let Some(guard) = &*guard {
            return Ok(Arc::clone(guard));
        }
        let taken = Arc::new(Guard::take(Path::new("."))?);
        *guard = Some(Arc::clone(&taken));
        self.sweep();
        Ok(taken)
    }

    /// The same for who may write there later, or not at all: what cannot be written is no harm yet.
    pub fn prepare(&self) -> Result<(), Refusal> {
        match self.claim() {
            Err(Refusal::ReadOnly(text)) => {
                tracing::warn!("{text}: nothing can be saved there");
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Makes `dir` the working directory. If the old one is ours the new one must become so.
    pub fn move_to(&self, dir: &str) -> Result<(), String> {
        let mut guard = self.guard.lock();
        let taken = match &*guard {
            Some(old) if old.is_of(Path::new(dir)) => None,
            Some(_) => Some(Guard::take(Path::new(dir))?),
            None => None,
        };
        std::env::set_current_dir(dir).map_err(|error| crate::config::os_reason(&error))?;
        if let Some(taken) = taken {
            *guard = Some(Arc::new(taken));
            self.sweep();
        }
        Ok(())
    }
}

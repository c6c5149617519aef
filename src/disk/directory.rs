//! The directory of the log: its manifest, kept in step with the files, and its names.
//!
//! A manifest is replaced whole: written under another name, synced, renamed, and the directory is
//! synced. Files that it names are made before it, and those that it no longer names are removed
//! after it, so that whatever manifest a crash leaves names files that are there.
//!
//! Between the rename and the sync of the directory nobody knows which manifest a power cut would
//! leave. If that sync fails the new one counts, as it is what a restart of the process would find,
//! and [`Directory::settle`] must succeed before anything in a file that only the new one names may
//! be called durable.

use super::error::Error;
use super::file::{self, Disk, File, Unlinked};
use super::manifest::Manifest;
use super::replace;
use super::seal::Keyring;
use crate::config::os_reason;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No manifest of a log that anybody could have written is larger.
const MANIFEST_MAX: u64 = 16 << 20;

/// How the name of a base begins while it is written.
const TEMPORARY_BASE: &str = "temp-rewriteaof-bg-";

/// What the files are called.
#[derive(Debug, Clone)]
pub struct Names {
    /// The data directory; empty = the working directory.
    pub root: PathBuf,
    /// `appenddirname`
    pub dir: String,
    /// `appendfilename`
    pub file: String,
}

impl Default for Names {
    fn default() -> Self {
        let (dir, file) = ("appendonlydir".into(), "appendonly.aof".into());
        Self { root: PathBuf::new(), dir, file }
    }
}

impl Names {
    fn folder(&self) -> PathBuf {
        self.root.join(&self.dir)
    }

    fn manifest(&self) -> String {
        format!("{}.manifest", self.file)
    }
}

/// The directory and the manifest in it.
pub struct Directory {
    disk: Arc<dyn Disk>,
    names: Names,
    manifest: Manifest,
    unsettled: bool,
    keys: Option<Arc<Keyring>>,
    /// Bytes at the begin of the last file that its own lines say are durable; set by the load.
    pub(super) known_durable: u64,
}

impl Directory {
    /// Reads the manifest, and takes over the single file of a Redis before version 7. A directory
    /// that is not there is an empty log; nothing is made on the disk for it.
    pub fn open(disk: Arc<dyn Disk>, names: Names) -> Result<Self, Error> {
        let path = names.folder().join(names.manifest());
        let manifest =
            match disk.len(&path).map_err(Error::io("Can't look for", names.manifest()))? {
                None => Manifest::default(),
                Some(_) => {
                    let what = "Fatal error: can't open the AOF manifest file for reading";
                    let bytes = file::read_all(&*disk, &path, MANIFEST_MAX);
                    Manifest::parse(&bytes.map_err(Error::io(what, names.manifest()))?)?
                }
            };
        let mut directory =
            Self { disk, names, manifest, unsettled: true, keys: None, known_durable: u64::MAX };
        directory.upgrade()?;
        Ok(directory)
    }

    /// A single file that no manifest names, to be looked at.
    pub fn of_file(disk: Arc<dyn Disk>, path: &Path) -> Self {
        let root = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let base = Some(super::manifest::Entry { file: file.clone(), seq: 1 });
        let manifest = Manifest { base, ..Manifest::default() };
        let names = Names { root, dir: String::new(), file };
        Self { disk, names, manifest, unsettled: true, keys: None, known_durable: u64::MAX }
    }

    /// Encryption at rest: what is read may be sealed with any of the keys, and new files are with the
    /// first. Files that are there stay as they are until a rewrite.
    pub fn set_keys(&mut self, keys: Option<Arc<Keyring>>) {
        self.keys = keys;
    }

    pub fn keys(&self) -> Option<&Arc<Keyring>> {
        self.keys.as_ref()
    }

    /// An old-style file is named as the base by a manifest first and then moved: a crash between
    /// the two leaves what the third condition recognises.
    fn upgrade(&mut self) -> Result<(), Error> {
        let old = self.names.root.join(&self.names.file);
        let name = self.names.file.clone();
        let found = self.disk.len(&old).map_err(Error::io("Can't look for", &name))?;
        if found.is_none() || self.disk.has_dir(&old) {
            return Ok(());
        }
        let moving = self.manifest.increments.is_empty()
            && self.manifest.base.as_ref().is_some_and(|base| base.file == name);
        let inside =
            self.disk.len(&self.path(&name)).map_err(Error::io("Can't look for", &name))?;
        if !(self.manifest.is_empty() || moving && inside.is_none()) {
            return Ok(());
        }
        let mut manifest = Manifest::default();
        manifest.base = Some(super::manifest::Entry { file: name.clone(), seq: 1 });
        self.make()?;
        self.persist(manifest).map_err(Error::io("Can't write the manifest of", &name))?;
        let what = "Error trying to move the old AOF file into the AOF directory:";
        self.disk.rename(&old, &self.path(&name)).map_err(Error::io(what, &name))?;
        self.disk.sync_dir(&self.names.root).map_err(Error::io(what, &name))?;
        self.disk.sync_dir(&self.names.folder()).map_err(Error::io(what, &name))?;
        tracing::info!(
            "Successfully migrated an old-style AOF file ({name}) into the AOF directory ({}).",
            self.names.dir
        );
        Ok(())
    }

    /// Makes the directory if it is missing.
    pub fn make(&mut self) -> Result<(), Error> {
        let what = "Can't open or create append-only dir";
        let folder = self.names.folder();
        if !self.disk.has_dir(&folder) {
            self.disk.create_dir(&folder).map_err(Error::io(what, &self.names.dir))?;
            self.unsettled = true;
        }
        Ok(())
    }

    /// Removes what was left by those who ended while they wrote a base, a first increment or a manifest.
    pub fn sweep(&self) {
        let (manifest, increment) = (self.names.manifest(), self.temporary_increment());
        replace::remove(&*self.disk, &self.names.folder(), |name| {
            let base = replace::numbers(name, TEMPORARY_BASE, ".aof") == Some(1);
            base || name == increment || name.strip_prefix("temp-") == Some(&*manifest)
        });
    }

    /// The name of a base that is being written.
    pub(super) fn temporary_base() -> String {
        format!("{TEMPORARY_BASE}{}.aof", std::process::id())
    }

    /// The name of the first increment of a log whose first base is being written.
    pub(super) fn temporary_increment(&self) -> String {
        format!("temp-{}.incr", self.names.file)
    }

    /// Replaces the manifest. After an error the old one is in force, here and on the disk.
    pub fn persist(&mut self, manifest: Manifest) -> io::Result<()> {
        let temporary = self.path(&format!("temp-{}", self.names.manifest()));
        let written = (|| {
            let file = self.disk.create(&temporary)?;
            file::write_all(&*file, &manifest.text())?;
            file.sync()?;
            self.disk.rename(&temporary, &self.path(&self.names.manifest()))
        })();
        if let Err(error) = written {
            let _ = self.disk.remove(&temporary); // it would be overwritten anyway
            return Err(error);
        }
        self.manifest = manifest;
        self.unsettled = true;
        if let Err(error) = self.settle() {
            tracing::warn!(
                "Fail to fsync AOF directory {}: {}.",
                self.names.dir,
                os_reason(&error)
            );
        }
        Ok(())
    }

    /// Makes durable what names there are. Costs nothing if they are.
    pub fn settle(&mut self) -> io::Result<()> {
        if self.unsettled {
            self.disk.sync_dir(&self.names.root)?;
            self.disk.sync_dir(&self.names.folder())?;
            self.unsettled = false;
        }
        Ok(())
    }

    /// Removes what the manifest calls history, then the names from the manifest: in that order, as a file
    /// without a name in the manifest would stay for ever. Nothing goes while a power cut might bring
    /// back a manifest that needs it. To drop what is returned may take long.
    pub fn remove_history(&mut self) -> io::Result<Vec<Unlinked>> {
        if self.manifest.history.is_empty() {
            return Ok(Vec::new());
        }
        self.settle()?;
        let mut files = Vec::new();
        for entry in &self.manifest.history {
            files.extend(self.disk.unlink(&self.path(&entry.file))?);
        }
        self.persist(Manifest { history: Vec::new(), ..self.manifest.clone() })?;
        Ok(files)
    }

    /// Whether the names of files may be lost by a power cut.
    pub fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Bytes of all files that would be loaded.
    pub fn size(&self) -> Result<u64, Error> {
        self.manifest.files().map(|entry| self.length(&entry.file)).sum()
    }

    /// Bytes of one file of the manifest, which must be there.
    pub fn length(&self, file: &str) -> Result<u64, Error> {
        let len = self.disk.len(&self.path(file)).map_err(Error::io("Can't look for", file))?;
        len.ok_or_else(|| Error::Missing { file: file.into() })
    }

    pub fn open_file(&self, file: &str) -> io::Result<Arc<dyn File>> {
        self.disk.append(&self.path(file))
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.names.folder().join(file)
    }

    pub fn folder(&self) -> PathBuf {
        self.names.folder()
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// For messages: the manifest's path as a user would type it.
    pub fn manifest_path(&self) -> PathBuf {
        Path::new(&self.names.dir).join(self.names.manifest())
    }
}

//! A snapshot on its way to a file, while everybody goes on.
//!
//! What the walk gives is encoded into memory, as it must not wait ([`Sink::small`]); it goes to the file
//! when the walk pauses.

use super::super::Shared;
use super::delay::delay;
use super::save::head;
use crate::config::{EvictionPolicy, REDIS_VERSION};
use crate::db::snapshot::{Saved, Sink};
use crate::db::{Kind, Policy};
use crate::rdb::Value;
use crate::rdb::encode::Head;
use crate::rdb::file::{Settings, Writer};
use crate::sync::{AtomicBool, Ordering};
use crate::types::image::Image;
use bytes::Bytes;
use std::io::{self, Write};

/// Bytes that gather before they go to the file.
const GATHERED: usize = 256 * 1024;

/// What waits to be written to the file.
#[derive(Debug, Default)]
struct Pile(Vec<u8>);

impl Write for Pile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a snapshot is written.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// It is the beginning of an append-only file.
    pub aof_base: bool,
    /// What access clocks mean.
    pub policy: Policy,
}

/// Writes a snapshot to a file; `at_cut` is called at the cut.
pub struct Recorder<'r, F, C> {
    shared: &'r Shared,
    file: &'r mut F,
    cancelled: &'r AtomicBool,
    at_cut: C,
    eviction: EvictionPolicy,
    policy: Policy,
    now: i64,
    sizes: Vec<(u64, u64)>,
    functions: Vec<Bytes>,
    /// The database whose keys come now.
    db: Option<usize>,
    writer: Writer<Pile>,
    /// What went wrong where nothing may be waited for.
    failed: Option<io::Error>,
    /// Keys since the last pause.
    keys: u64,
    /// Microseconds to wait for each, as when it began: a child process would know of no other.
    each: i32,
}

impl<'r, F: Write, C: FnMut()> Recorder<'r, F, C> {
    /// Writes to `file`, until `cancelled`.
    pub fn new(
        shared: &'r Shared,
        (file, manner): (&'r mut F, Manner),
        cancelled: &'r AtomicBool,
        at_cut: C,
    ) -> io::Result<Self> {
        let (config, now) = (shared.config.get(), shared.keyspace.clock.now());
        let settings = Settings {
            server: REDIS_VERSION,
            now,
            used_memory: crate::db::used_memory() as u64,
            aof_base: manner.aof_base,
            compress: config.rdbcompression,
            summed: config.rdbchecksum,
        };
        Ok(Self {
            shared,
            file,
            cancelled,
            at_cut,
            eviction: config.maxmemory_policy,
            policy: manner.policy,
            now,
            sizes: Vec::new(),
            functions: Vec::new(),
            db: None,
            writer: Writer::begin(Pile::default(), settings)?,
            failed: None,
            keys: 0,
            each: config.rdb_key_save_delay,
        })
    }

    /// Writes the end; the size.
    pub fn finish(mut self) -> io::Result<u64> {
        self.libraries()?; // there may have been no key
        let Self { file, writer, .. } = self;
        let (pile, bytes) = writer.finish()?;
        file.write_all(&pile.0)?;
        Ok(bytes)
    }

    /// Libraries of functions, which stand before all keys.
    fn libraries(&mut self) -> io::Result<()> {
        self.functions.drain(..).try_for_each(|text| self.writer.function(&text))
    }

    /// The head of a key, whose database is begun if it is another than that of the last.
    fn head(&mut self, key: Saved<'_>) -> io::Result<Head> {
        self.keys += 1;
        self.libraries()?;
        if self.db != Some(key.db) {
            let (keys, volatile) = self.sizes.get(key.db).copied().unwrap_or_default();
            self.writer.database(key.db, keys, volatile)?;
            self.db = Some(key.db);
        }
        Ok(head(key.expiry, key.access, (self.eviction, self.policy), self.now))
    }

    fn put(&mut self, key: Saved<'_>, value: Kind<'_>) -> io::Result<()> {
        let head = self.head(key)?;
        self.writer.key(&head, key.key, &Value::Inside(value)).map(|_| ())
    }

    /// Gives what has gathered to the file, if it is more than `most`.
    fn write_out(&mut self, most: usize) -> io::Result<()> {
        let Pile(bytes) = self.writer.out();
        if bytes.len() <= most {
            return Ok(());
        }
        self.file.write_all(bytes)?;
        bytes.clear();
        bytes.shrink_to(4 * GATHERED);
        self.heed()
    }

    /// An error if nobody wants the snapshot any more.
    fn heed(&self) -> io::Result<()> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "it was cancelled")),
            false => Ok(()),
        }
    }

    /// Waits as long as a test wants it.
    fn delay(&mut self) -> io::Result<()> {
        delay(std::mem::take(&mut self.keys), self.each, || self.heed())
    }
}

impl<F: Write, C: FnMut()> Sink for Recorder<'_, F, C> {
    type Error = io::Error;

    fn cut(&mut self, sizes: &[(u64, u64)]) {
        (self.at_cut)();
        self.now = self.shared.keyspace.clock.now();
        self.sizes = sizes.to_vec();
        let libraries = &self.shared.catalog;
        self.functions =
            libraries.libraries(|all| all.libraries.values().map(|lib| lib.text.clone()).collect());
    }

    fn small(&mut self, key: Saved<'_>, value: Kind<'_>) {
        if let Err(error) = self.put(key, value) {
            self.failed.get_or_insert(error);
        }
    }

    fn large(&mut self, key: Saved<'_>, value: Image) -> io::Result<()> {
        let head = self.head(key)?;
        let Some(mut rest) = self.writer.image(&head, key.key, value)? else { return Ok(()) };
        while self.writer.go_on(&mut rest)? {
            self.write_out(GATHERED)?;
        }
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => {
                self.delay()?;
                self.write_out(GATHERED)
            }
        }
    }
}

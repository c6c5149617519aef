//! Storing the keys of a snapshot: what each loading thread does with the batches that it gets.

use super::super::cursor::{Cursor, Fault, Text};
use super::super::decode::{Decoder, Forms, Read};
use super::scan::{Batch, LoadError, Record};
use crate::db::{Access, Expiry, Key};
use std::borrow::Cow;

/// What became of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stored.
    pub loaded: u64,
    /// Over when they were read.
    pub expired: u64,
    /// Without elements.
    pub empty: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.loaded += other.loaded;
        self.expired += other.expired;
        self.empty += other.empty;
    }
}

/// Keys whose place in the index is asked for ahead.
const AHEAD: usize = 8;
/// Empty keys that are named in the log, at most, for each thread.
const NAMED: u64 = 10;

/// See the module.
#[derive(Debug)]
pub struct Inserter {
    decoder: Decoder,
    /// A key that is there already is replaced; else it is an error.
    replaces: bool,
    /// Keys that are over are stored all the same.
    keeps_expired: bool,
    /// Keys for which room is made when they are announced, at most.
    ahead: u64,
    /// So far.
    pub counts: Counts,
}

impl Inserter {
    /// For values in these forms. `now` decides what is over.
    pub fn new(forms: Forms, now: i64, replaces: bool) -> Self {
        let (keeps_expired, ahead, counts) = (false, 0, Counts::default());
        Self { decoder: Decoder::new(forms, now), replaces, keeps_expired, ahead, counts }
    }

    /// Keys that are over are stored: what follows the snapshot says what becomes of them.
    pub fn keep_expired(mut self) -> Self {
        self.keeps_expired = true;
        self.decoder.now = i64::MIN;
        self
    }

    /// Room is made when keys are announced, for as many as a file of this size can hold at most.
    /// [`Inserter::settle`] must follow.
    pub fn make_room(self, size: u64) -> Self {
        const SMALLEST: u64 = 8; // bytes of a key with its value, nearly always
        Self { ahead: size / SMALLEST, ..self }
    }

    /// No more keys are coming.
    pub fn settle(&self, access: &mut Access<'_>) {
        if self.ahead > 0 {
            (0..access.keyspace.databases()).for_each(|db| access.expect(db, 0));
        }
    }

    /// Stores the keys of a batch.
    pub fn insert(&mut self, access: &mut Access<'_>, batch: &Batch) -> Result<(), LoadError> {
        for &(db, keys) in batch.expected.iter().filter(|_| self.ahead > 0) {
            access.expect(db, keys.min(self.ahead));
        }
        let mut names = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            let name = Cursor::new(&batch.bytes[record.key.clone()]).short_text();
            names.push(match name.map_err(|fault| LoadError::At(record.at, fault))? {
                Text::Slice(name) => Cow::Borrowed(name),
                other => Cow::Owned(other.into_vec()),
            });
        }
        let keys: Vec<Key<'_>> = names.iter().map(|name| Key::new(name)).collect();
        keys.iter().take(AHEAD).for_each(|key| access.prefetch(key.hash));
        for (at, record) in batch.records.iter().enumerate() {
            if let Some(ahead) = keys.get(at + AHEAD) {
                access.prefetch(ahead.hash);
            }
            self.one(access, batch, record, keys[at])
                .map_err(|fault| LoadError::At(record.at, fault))?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        access: &mut Access<'_>,
        batch: &Batch,
        record: &Record,
        key: Key<'_>,
    ) -> Result<(), Fault> {
        let now = self.decoder.now;
        if !self.keeps_expired && record.expiry.is_some_and(|at| at < now) {
            self.counts.expired += 1;
            return Ok(());
        }
        let mut cursor = Cursor::new(&batch.bytes[record.value.clone()]);
        let ends = match &record.ends {
            Some(range) => Some(Cursor::new(&batch.bytes[range.clone()]).blob()?),
            None => None,
        };
        let kind = (record.kind, batch.dialect);
        let new = match self.decoder.value(kind, &mut cursor, ends.as_deref())? {
            Read::Value(new) => new,
            Read::Over => {
                self.counts.expired += 1;
                return Ok(());
            }
            Read::Empty => {
                if self.counts.empty < NAMED {
                    let name = String::from_utf8_lossy(key.bytes);
                    tracing::info!("Loading a snapshot, skipping empty key: {name}");
                }
                self.counts.empty += 1;
                return Ok(());
            }
        };
        let expiry = record.expiry.map_or(Expiry::Never, Expiry::At);
        let access_clock = access.policy.restored(record.idle, record.freq, access.now);
        let mut write = access.write_in(record.db, key);
        if write.exists() {
            if !self.replaces {
                let name = String::from_utf8_lossy(key.bytes);
                return Err(Fault::Refused(format!("the key '{name}' is there twice").into()));
            }
            write.remove(); // what is set then is a new key
        }
        write.set(new, expiry);
        if let (Some(clock), Some(entry)) = (access_clock, write.entry()) {
            entry.touch(clock);
        }
        drop(write);
        self.counts.loaded += 1;
        Ok(())
    }
}

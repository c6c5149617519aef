//! Finding the keys of a snapshot: where each begins and ends, without looking into values.
//!
//! The file is read block by block; a block grows until it holds a whole key, by bytes that are there
//! and never for what is merely announced, and leaves with the keys that are whole in it. Only the
//! beginning of the next one is copied.

use super::super::decode::{Dialect, skip, skip_module};
use super::super::sum::Sum;
use super::super::{Cursor, Fault, code};
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes read at once.
const BLOCK: usize = 256 * 1024;

/// Why a snapshot could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// It could not be read.
    Io(io::Error),
    /// It is not what it should be; the offset is that of the key, or of what else begins there.
    At(u64, Fault),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::At(at, fault) => write!(f, "at byte {at}: {fault}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A key that was found.
#[derive(Debug, Clone)]
pub struct Record {
    pub db: usize,
    /// The type of its value.
    pub kind: u8,
    /// Where it begins in the file.
    pub at: u64,
    pub expiry: Option<i64>,
    pub idle: Option<u64>,
    pub freq: Option<u8>,
    /// Its name, encoded, in the batch's bytes.
    pub key: Range<usize>,
    pub value: Range<usize>,
    /// When its fields end.
    pub ends: Option<Range<usize>>,
}

/// Keys in a row.
#[derive(Debug)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
    pub dialect: Dialect,
    /// Databases that begin here or did just before, and how many keys are said to be in each.
    pub expected: Vec<(usize, u64)>,
}

/// A snapshot being read.
#[derive(Debug)]
pub struct Scanner<R> {
    from: R,
    /// Of the file; what lies before `at` is done.
    block: Vec<u8>,
    at: usize,
    /// Where in the file the block begins.
    offset: u64,
    ended: bool,
    sum: Option<Sum>,
    version: u16,
    db: usize,
    databases: usize,
    expected: Vec<(usize, u64)>,
    done: bool,
    /// Texts of libraries.
    pub functions: Vec<Vec<u8>>,
    /// What the file says of itself.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What stands between keys.
enum Found {
    Select(u64),
    Sizes(u64),
    Function(Vec<u8>),
    Aux(Vec<u8>, Vec<u8>),
    Nothing,
    End,
}

/// What one step came upon.
enum Step {
    Key(Record),
    Other,
    End,
}

impl<R: Read> Scanner<R> {
    /// Reads the beginning. `databases`: how many there are here; `summed`: the sum is looked at.
    pub fn new(from: R, databases: usize, summed: bool) -> Result<Self, LoadError> {
        const MAGIC: usize = 9;
        let mut scanner = Self {
            from,
            block: Vec::new(),
            at: 0,
            offset: 0,
            ended: false,
            sum: summed.then(Sum::default),
            version: 0,
            db: 0,
            databases,
            expected: Vec::new(),
            done: false,
            functions: Vec::new(),
            aux: Vec::new(),
        };
        scanner.read_more()?;
        let magic = scanner.block.first_chunk::<MAGIC>();
        let version = magic.and_then(version_of);
        scanner.version = version.ok_or_else(|| {
            let what = "this is no snapshot: it does not begin like one";
            LoadError::At(0, Fault::Bad(what))
        })?;
        let known = 1..=code::NEWEST;
        if !known.contains(&scanner.version) && scanner.version < code::VALKEY {
            let what = format!("Can't handle RDB format version {}", scanner.version);
            return Err(LoadError::At(0, Fault::Refused(what.into())));
        }
        scanner.at = MAGIC;
        Ok(scanner)
    }

    /// Bytes done.
    pub fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// Whether the end was reached.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// The next keys; none at the end, whose sum is right then.
    #[expect(clippy::should_implement_trait, reason = "it may fail, which ends it")]
    pub fn next(&mut self) -> Result<Option<Batch>, LoadError> {
        let mut records = Vec::new();
        while !self.done {
            match self.step() {
                Ok(Step::Key(record)) => records.push(record),
                Ok(Step::Other) => {}
                Ok(Step::End) => self.end()?,
                Err(Fault::Short) if !records.is_empty() => break,
                Err(Fault::Short) if !self.ended => self.read_more()?,
                Err(fault) => return Err(LoadError::At(self.position(), fault)),
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        let rest = self.block[self.at..].to_vec();
        let mut bytes = std::mem::replace(&mut self.block, rest);
        bytes.truncate(self.at);
        if let Some(sum) = self.sum.as_mut().filter(|_| !self.done) {
            sum.add(&bytes);
        }
        self.offset += self.at as u64;
        self.at = 0;
        let (dialect, expected) = (Dialect::of(self.version), std::mem::take(&mut self.expected));
        Ok(Some(Batch { bytes, records, dialect, expected }))
    }

    /// Reads what stands behind the end, which says nothing, for the sake of a source that looks at it.
    pub fn close(&mut self) -> io::Result<()> {
        io::copy(&mut self.from, &mut io::sink()).map(drop)
    }

    /// What was read beyond the end, and where the rest is to be had.
    pub fn into_rest(mut self) -> (Vec<u8>, R) {
        (self.block.split_off(self.at), self.from)
    }

    /// Doubles what is there of the block.
    fn read_more(&mut self) -> io::Result<()> {
        let wanted = BLOCK.max(self.block.len() - self.at) as u64;
        let read = self.from.by_ref().take(wanted).read_to_end(&mut self.block)?;
        self.ended = (read as u64) < wanted;
        Ok(())
    }

    /// Goes over one key with all that is said before it, or one of the other things.
    fn step(&mut self) -> Result<Step, Fault> {
        let mut cursor = Cursor::new(&self.block[self.at..]);
        let (mut expiry, mut idle, mut freq) = (None, None, None);
        let base = self.at;
        let kind = loop {
            match cursor.byte()? {
                code::EXPIRE_MS => expiry = Some(cursor.time()?),
                code::EXPIRE_S => {
                    expiry = Some(i64::from(i32::from_le_bytes(cursor.array()?)) * 1000);
                }
                code::IDLE => idle = Some(cursor.length()?),
                code::FREQ => freq = Some(cursor.byte()?),
                kind => break kind,
            }
        };
        let lone = expiry.is_none() && idle.is_none() && freq.is_none();
        if kind >= code::SLOT_IMPORT {
            if !lone {
                return Err(Fault::Bad("a time that belongs to no key"));
            }
            let found = other(kind, &mut cursor)?;
            let taken = cursor.at();
            let step = self.apply(found)?;
            self.at += taken;
            return Ok(step);
        }
        let dialect = Dialect::of(self.version);
        let key = cursor.at();
        cursor.skip_text()?;
        let value = cursor.at();
        skip((kind, dialect), &mut cursor)?;
        let end = cursor.at();
        let mut ends = None;
        if kind == code::HASH && cursor.peek()? == code::AUX {
            let mut behind = cursor.clone();
            behind.byte()?;
            if behind.blob()?.as_ref() == code::HASH_ENDS {
                let from = behind.at();
                behind.skip_text()?;
                ends = Some(base + from..base + behind.at());
                cursor = behind;
            }
        }
        let record = Record {
            db: self.db,
            kind,
            at: self.offset + base as u64,
            expiry,
            idle,
            freq,
            key: base + key..base + value,
            value: base + value..base + end,
            ends,
        };
        self.at += cursor.at();
        Ok(Step::Key(record))
    }

    /// What `other` found has its effect.
    fn apply(&mut self, found: Found) -> Result<Step, Fault> {
        match found {
            Found::End => return Ok(Step::End),
            Found::Nothing => {}
            Found::Select(db) => match usize::try_from(db) {
                Ok(db) if db < self.databases => self.db = db,
                _ => {
                    let what = format!("a key of database {db}, and there are {}", self.databases);
                    return Err(Fault::Refused(what.into()));
                }
            },
            Found::Sizes(keys) => self.expected.push((self.db, keys)),
            Found::Function(text) => self.functions.push(text),
            Found::Aux(name, value) => self.aux.push((name, value)),
        }
        Ok(Step::Other)
    }

    /// Looks at the sum.
    fn end(&mut self) -> Result<(), LoadError> {
        const SUMMED_FROM: u16 = 5;
        self.done = true;
        if self.version < SUMMED_FROM {
            return Ok(());
        }
        while self.block.len() - self.at < 8 && !self.ended {
            self.read_more()?;
        }
        let at = self.position();
        let said = self.block[self.at..].first_chunk::<8>();
        let said = u64::from_le_bytes(*said.ok_or(LoadError::At(at, Fault::Short))?);
        if let Some(mut sum) = self.sum.take() {
            sum.add(&self.block[..self.at]);
            if said != 0 && said != sum.value() {
                return Err(LoadError::At(
                    at,
                    Fault::Bad("CRC error: the file is damaged, its checksum is another one"),
                ));
            }
        }
        self.at += 8;
        Ok(())
    }
}

/// Goes over what is no key.
fn other(kind: u8, cursor: &mut Cursor<'_>) -> Result<Found, Fault> {
    let numbers = |cursor: &mut Cursor<'_>, count: usize| {
        (0..count).try_for_each(|_| cursor.length().map(drop)).map(|()| Found::Nothing)
    };
    match kind {
        code::EOF => Ok(Found::End),
        code::SELECT => Ok(Found::Select(cursor.length()?)),
        code::RESIZE => {
            let keys = cursor.length()?;
            cursor.length()?; // how many of them expire
            Ok(Found::Sizes(keys))
        }
        code::SLOT_INFO => numbers(cursor, 3),
        code::FUNCTION => Ok(Found::Function(cursor.text()?.into_vec())),
        code::AUX => {
            let name = cursor.text()?.into_vec();
            Ok(Found::Aux(name, cursor.text()?.into_vec()))
        }
        code::MODULE_AUX => {
            numbers(cursor, 1)?; // the module
            skip_module(cursor)?;
            tracing::warn!("The snapshot holds data of a module, which was passed over");
            Ok(Found::Nothing)
        }
        code::FUNCTION_OLD => {
            Err(Fault::Refused("functions in the form of a release candidate of Redis 7".into()))
        }
        code::SLOT_IMPORT => Err(Fault::Refused("slots on their way between servers".into())),
        _ => Err(Fault::Bad("neither a key nor anything else begins like this")),
    }
}

/// The version that the beginning of a file tells.
fn version_of(magic: &[u8; 9]) -> Option<u16> {
    let digits = magic.strip_prefix(b"REDIS").or_else(|| magic.strip_prefix(b"VALKEY"))?;
    let value =
        |sum: u16, digit: &u8| Some(sum * 10 + u16::from((*digit as char).to_digit(10)? as u8));
    digits.iter().try_fold(0, value)
}

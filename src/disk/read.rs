//! Loading a log: base and increments in order, command by command, in bounded memory.
//!
//! What is wrong with a file is told apart by what a crash can do and what it cannot:
//!
//! | what is found | what it is | what happens |
//! |---|---|---|
//! | the last file ends inside a command, a group or a MULTI | a write that was cut | its longest valid prefix counts, the rest is cut off (`aof-load-truncated yes`), or the load is refused |
//! | the same in a file that others follow | impossible: it was durable before the next began | refused |
//! | a group that is there to its end and fails its checksum, or bytes that are no command, or a damaged annotation | bit rot, or | refused, with file and offset |
//! | …with blocks of zeros in it, in the last file, and nothing behind says that it was durable | pages that a power cut took | cut |
//!
//! A group is verified before any of its commands is handed over. Commands that stand in no group
//! (Redis wrote them, or `aof-checksums` was off) are handed over as they come, as Redis does.

use super::crc::crc32c;
use super::directory::Directory;
use super::error::Error;
use super::file::Source;
use super::frame::{self, Header, Line};
use super::resp::{Parsed, Parser};
use super::seal;
use super::tail;
use super::unseal::{Broken, Unsealed};
use super::window::Window;
use std::io::{self, BufRead};
use std::time::Instant;

/// Bytes between reports of progress.
const PROGRESS: u64 = 1 << 20;
/// Groups up to this size are verified where they are parsed; larger ones are read twice.
const GROUP_BUFFERED: u64 = 4 << 20;

/// Where something stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub file: &'a str,
    pub offset: u64,
}

/// Who takes what is loaded. An `Err` ends the load; its text is what the operator reads.
pub trait Sink {
    /// A file in RDB form, or the part in front of an old-style file: returns how many bytes that is.
    /// More may be read from the source; commands may follow.
    fn rdb(&mut self, source: &mut dyn BufRead, place: Place<'_>) -> Result<u64, String>;

    /// One command. Those between MULTI and EXEC are to be kept until EXEC comes, and forgotten if
    /// the load ends before it.
    fn command(&mut self, arguments: &[&[u8]], place: Place<'_>) -> Result<(), String>;

    /// So many bytes of all are done. Called about every megabyte.
    fn progress(&mut self, loaded: u64, total: u64) {
        let _ = (loaded, total);
    }
}

/// What was cut off the last file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub file: String,
    /// Where the file ends now, apart from what was saved.
    pub offset: u64,
    /// Bytes that were behind.
    pub lost: u64,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Commands handed over, in files of commands.
    pub commands: u64,
    /// Bytes of all files, before a cut.
    pub bytes: u64,
    /// The highest sequence of a group, 0 if none had one.
    pub last: u64,
    /// There was nothing: no manifest, or only empty files.
    pub is_empty: bool,
    pub cut: Option<Cut>,
}

/// How a file ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// At `offset` begins what cannot be kept as it is; of that, the commands of a group that was
    /// begun, at `saved`, can be kept in a group of their own. `multi`: a MULTI without its EXEC.
    Cut {
        offset: u64,
        saved: std::ops::Range<u64>,
        last: u64,
        multi: bool,
    },
}

/// Loads the log of a directory. With `truncate` (`aof-load-truncated`), the last file is cut to its
/// longest valid prefix if it stops in the middle.
pub fn load(
    directory: &mut Directory,
    truncate: bool,
    sink: &mut dyn Sink,
) -> Result<Loaded, Error> {
    let mut loaded = Loaded { bytes: directory.size()?, ..Loaded::default() };
    loaded.is_empty = loaded.bytes == 0;
    let files: Vec<_> = directory.manifest().files().map(|entry| entry.file.clone()).collect();
    let mut before = 0;
    for (at, file) in files.iter().enumerate() {
        let started = Instant::now();
        let is_base = directory.manifest().base.as_ref().is_some_and(|base| base.file == *file);
        let is_last = at + 1 == files.len();
        let what = "Fatal error: can't open the append log file for reading";
        let source = directory.disk().read(&directory.path(file));
        let source = source.map_err(Error::io(what, file))?;
        let total = loaded.bytes;
        let keys = directory.keys().cloned();
        let kind = (is_last, is_base);
        let mut reader = Reader::new(&*source, file, kind, keys.as_deref(), sink)?;
        reader.tell = (before, total);
        let end = reader.run(*file == directory.names().file)?;
        if let Some(unsealed) = reader.window.unsealed() {
            reader.last = unsealed.last;
            reader.durable = Some(unsealed.durable);
        }
        before += reader.window.len();
        loaded.commands += reader.commands;
        loaded.last = loaded.last.max(reader.last);
        // Files that say nothing of it are left as they are.
        directory.known_durable = reader.durable.unwrap_or(u64::MAX);
        if let End::Cut { offset, multi, .. } = &end {
            let (file, offset) = (file.clone(), *offset);
            if *multi {
                tracing::warn!("Revert incomplete MULTI/EXEC transaction in AOF file {file}");
            }
            if !truncate {
                return Err(Error::CutRefused { file, offset });
            }
            if !is_last {
                return Err(Error::CutInside { file, offset });
            }
            loaded.cut = Some(tail::cut(directory, &*source, &file, &end)?);
        }
        let kind = if is_base { "base" } else { "incr" };
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!("DB loaded from {kind} file {file}: {seconds:.3} seconds");
    }
    sink.progress(loaded.bytes, loaded.bytes);
    Ok(loaded)
}

/// Reads one file to its end.
pub(super) struct Reader<'a> {
    pub(super) window: Window<'a>,
    source: &'a dyn Source,
    file: &'a str,
    is_last: bool,
    sink: &'a mut dyn Sink,
    parser: Parser,
    /// Where the verified group ends that is being read.
    group_end: Option<u64>,
    /// The line of time directly before here.
    before: Vec<u8>,
    /// Memory for the views of a command.
    views: Vec<&'static [u8]>,
    /// There was a group already, so lines that are not known were not there from the start.
    grouped: bool,
    /// Begin of the MULTI that is open.
    multi: Option<u64>,
    commands: u64,
    last: u64,
    /// The most that a line says is durable.
    durable: Option<u64>,
    /// Bytes of files before this one, and of all.
    tell: (u64, u64),
    told: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        file: &'a str,
        (is_last, is_base): (bool, bool),
        keys: Option<&seal::Keyring>,
        sink: &'a mut dyn Sink,
    ) -> Result<Self, Error> {
        let failed = || Error::io("Can't read", file);
        let mut header = [0; seal::HEADER];
        let got = tail::read_full(source, &mut header, 0).map_err(failed())?;
        let window = if seal::is_sealed(&header[..got]) {
            let opener = seal::open(&header[..got], keys);
            let opener = opener.map_err(|why| Error::Sealed { file: file.into(), why })?;
            let unsealed = Unsealed::new(source, opener, is_last, is_base).map_err(failed())?;
            Window::sealed(unsealed, source.len().map_err(failed())?)
        } else {
            Window::new(source).map_err(failed())?
        };
        let tell = (0, window.len());
        Ok(Self {
            window,
            source,
            file,
            is_last,
            sink,
            parser: Parser::default(),
            group_end: None,
            before: Vec::new(),
            views: Vec::new(),
            grouped: false,
            multi: None,
            commands: 0,
            last: 0,
            durable: None,
            tell,
            told: 0,
        })
    }

    pub(super) fn run(&mut self, old_style: bool) -> Result<End, Error> {
        self.rdb(old_style)?;
        loop {
            self.report();
            let at = self.window.offset();
            if self.group_end == Some(at) {
                self.group_end = None;
            }
            let end = match self.peek(1)?.first() {
                None => break,
                Some(b'#') => self.annotation(at)?,
                Some(b'*') => self.command(at)?,
                Some(_) => Some(self.unreadable(at, "neither a command nor an annotation")?),
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
        if let Some(unsealed) = self.window.unsealed() {
            let cut = unsealed.cut.map_or(End::Whole, |offset| self.cut_at(offset, false));
            return match self.multi {
                None => Ok(cut),
                Some(at) => self.unreadable(at, "a transaction without its end"),
            };
        }
        Ok(self.multi.map_or(End::Whole, |offset| self.cut_at(offset, true)))
    }

    /// At least `count` bytes from here, or all that are left.
    fn peek(&mut self, count: usize) -> Result<&[u8], Error> {
        let failed = self.unreadable_file();
        self.window.peek(count).map_err(failed)
    }

    fn rdb(&mut self, old_style: bool) -> Result<(), Error> {
        if !self.peek(5)?.starts_with(b"REDIS") {
            return Ok(());
        }
        if old_style {
            tracing::info!("Reading RDB preamble from AOF file...");
        } else {
            tracing::info!("Reading RDB base file on AOF loading...");
        }
        let place = Place { file: self.file, offset: 0 };
        let result = self.sink.rdb(&mut self.window, place);
        let offset = self.window.offset();
        let len = result.map_err(|why| Error::Refused { file: self.file.into(), offset, why })?;
        self.window.seek(len);
        if old_style {
            tracing::info!("Reading the remaining AOF tail...");
        }
        Ok(())
    }

    fn report(&mut self) {
        let at = self.window.offset();
        if at - self.told >= PROGRESS {
            self.told = at;
            self.sink.progress(self.tell.0 + at, self.tell.1);
        }
    }

    /// A line that begins with `#`.
    fn annotation(&mut self, at: u64) -> Result<Option<End>, Error> {
        let bytes = self.peek(frame::LINE_MAX)?;
        let Some(end) = memchr::memchr(b'\n', bytes).map(|end| end + 1) else {
            if bytes.len() < frame::LINE_MAX {
                // A MULTI that is open is dropped whole, as with any other cut.
                return Ok(Some(self.cut_at(self.multi.unwrap_or(at), self.multi.is_some())));
            }
            return self.unreadable(at, "an annotation without end").map(Some);
        };
        let line = bytes[..end].to_vec();
        match frame::parse(&line, at, &self.before) {
            Line::Header(header)
                if self.group_end.is_none() && self.window.unsealed().is_none() =>
            {
                self.window.consume(end);
                self.before.clear();
                self.grouped = true;
                return self.group(&header);
            }
            Line::Header(_) => {
                return self.unreadable(at, "a group inside a group").map(Some);
            }
            Line::Time(_) => self.before = line,
            Line::Other if !self.grouped => self.before.clear(),
            Line::Other | Line::Damaged => {
                // The line of time before it may be what changed.
                let at = at - self.before.len() as u64;
                return self.unreadable(at, "a damaged annotation").map(Some);
            }
        }
        self.window.consume(end);
        Ok(None)
    }

    /// Verifies the group behind a header.
    fn group(&mut self, header: &Header) -> Result<Option<End>, Error> {
        let begin = self.window.offset();
        let left = self.window.len().saturating_sub(begin);
        if header.len > left {
            let source = self.source;
            return tail::salvage(self, source, header).map(Some);
        }
        let crc = if header.len <= GROUP_BUFFERED {
            let len = usize::try_from(header.len).unwrap_or(usize::MAX);
            let bytes = self.peek(len)?;
            crc32c(&bytes[..len.min(bytes.len())])
        } else {
            let crc = tail::checksum(self.source, begin, header.len);
            crc.map_err(Error::io("Unrecoverable error reading", self.file))?
        };
        if crc != header.crc {
            let why = "the checksum of a group does not match";
            return self.unreadable(header.at, why).map(Some);
        }
        self.last = self.last.max(header.last);
        self.durable = self.durable.max(Some(header.durable));
        self.group_end = Some(begin + header.len);
        Ok(None)
    }

    /// One command, handed over; or how the file ends inside it.
    fn command(&mut self, at: u64) -> Result<Option<End>, Error> {
        self.before.clear();
        match self.whole(at)? {
            Ok(whole) => {
                self.hand_over(at, whole)?;
                self.window.consume(whole);
                Ok(None)
            }
            Err(end) => Ok(Some(end)),
        }
    }

    /// How long the command here is.
    fn whole(&mut self, at: u64) -> Result<Result<usize, End>, Error> {
        self.parser.reset();
        let mut wanted = 1;
        loop {
            let limit = self.group_end.map_or(u64::MAX, |end| end - at);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let failed = self.unreadable_file();
            let bytes = self.window.peek(wanted).map_err(failed)?;
            let seen = bytes.len();
            match self.parser.parse(&bytes[..seen.min(limit)]) {
                Parsed::Whole(whole) => return Ok(Ok(whole)),
                Parsed::Bad(why) => return self.unreadable(at, why).map(Err),
                Parsed::More if seen >= limit => {
                    let why = "a command that runs over the end of its group";
                    return self.unreadable(at, why).map(Err);
                }
                Parsed::More if seen < wanted && self.window.unsealed().is_some() => {
                    return self.unreadable(at, "a command without its end").map(Err);
                }
                Parsed::More if seen < wanted => {
                    let end = match self.multi {
                        Some(offset) => self.cut_at(offset, true),
                        None => self.cut_at(at, false),
                    };
                    return Ok(Err(end));
                }
                Parsed::More => wanted = seen + 1,
            }
        }
    }

    pub(super) fn hand_over(&mut self, at: u64, whole: usize) -> Result<(), Error> {
        let mut arguments: Vec<&[u8]> = std::mem::take(&mut self.views);
        self.parser.arguments(&self.window.available()[..whole], &mut arguments);
        match arguments[..] {
            [name] if name.eq_ignore_ascii_case(b"multi") && self.multi.is_none() => {
                self.multi = Some(at);
            }
            [name] if name.eq_ignore_ascii_case(b"exec") => self.multi = None,
            _ => {}
        }
        let place = Place { file: self.file, offset: at };
        let result = self.sink.command(&arguments, place);
        self.commands += 1;
        arguments.clear();
        // The memory serves again; collecting in place keeps it.
        self.views = arguments.into_iter().map(|_| -> &'static [u8] { &[] }).collect();
        result.map_err(|why| Error::Refused { file: self.file.into(), offset: at, why })
    }

    /// For a disk that does not give what it has.
    pub(super) fn unreadable_file(&self) -> impl FnOnce(io::Error) -> Error + use<'a> {
        let file = self.file;
        move |error| match error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>()) {
            Some(Broken { offset, why }) => {
                Error::Damaged { file: file.into(), offset: *offset, why: (*why).into() }
            }
            None => Error::io("Unrecoverable error reading", file)(error),
        }
    }

    /// Begin of the MULTI that has no EXEC yet.
    pub(super) fn open_multi(&self) -> Option<u64> {
        self.multi
    }

    /// The highest sequence so far.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Takes over a parser that has seen the command here.
    pub(super) fn use_parser(&mut self, parser: Parser) {
        self.parser = parser;
    }

    fn cut_at(&self, offset: u64, multi: bool) -> End {
        End::Cut { offset, saved: 0..0, last: self.last, multi }
    }

    /// Bytes that are not what they should be: a tear by a power cut, or damage.
    fn unreadable(&mut self, at: u64, why: &str) -> Result<End, Error> {
        let damaged = || Error::Damaged { file: self.file.into(), offset: at, why: why.into() };
        if !self.is_last || self.window.unsealed().is_some() {
            return Err(damaged());
        }
        let torn = tail::is_torn(self.source, at);
        if torn.map_err(Error::io("Unrecoverable error reading", self.file))? {
            return Ok(match self.multi {
                Some(offset) => self.cut_at(offset.min(at), true),
                None => self.cut_at(at, false),
            });
        }
        Err(damaged())
    }
}

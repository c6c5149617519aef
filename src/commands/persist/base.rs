//! A base of the log in commands (`aof-use-rdb-preamble no`): each key is one RESTORE.
//!
//! The value is that of DUMP, so one way to write values serves both; whoever reads the log needs no
//! other reader than that of commands. A very large value is one very large argument.

use crate::db::Kind;
use crate::db::snapshot::{Saved, Sink};
use crate::rdb::encode::{Encoder, Head};
use crate::rdb::{Value, payload};
use crate::resp::args::encode;
use crate::types::image::Image;
use bytes::Bytes;
use std::io::{self, Write};

/// Bytes that gather before they are given away.
const GATHERED: usize = 256 * 1024;
/// Elements of a large value that are encoded at a time.
const SLICE: usize = 500;

/// Takes commands, whole ones, some hundred kilobytes at a time.
pub trait Groups: Write {
    /// Writes them.
    fn group(&mut self, commands: &[u8]) -> io::Result<()>;
}

impl<F: Groups> Groups for &mut F {
    fn group(&mut self, commands: &[u8]) -> io::Result<()> {
        (**self).group(commands)
    }
}

/// What of a server a base in commands needs to know.
pub struct Around<'a> {
    /// Unix milliseconds at the cut, about.
    pub now: i64,
    /// Long strings are compressed.
    pub compress: bool,
    /// The texts of libraries at the cut.
    pub functions: &'a dyn Fn() -> Vec<Bytes>,
    /// Called between keys, with how many there were since; an error ends it.
    pub pause: &'a dyn Fn(u64) -> io::Result<()>,
}

/// Writes a base in commands; `at_cut` is called at the cut.
pub struct CommandBase<'a, F, C> {
    file: F,
    at_cut: C,
    around: Around<'a>,
    encoder: Encoder,
    db: Option<usize>,
    bytes: Vec<u8>,
    value: Vec<u8>,
    /// Keys since the last pause.
    keys: u64,
}

impl<'a, F: Groups, C: FnMut()> CommandBase<'a, F, C> {
    /// Writes to `file`.
    pub fn new(file: F, around: Around<'a>, at_cut: C) -> Self {
        let encoder = Encoder::for_payload(around.now, around.compress);
        let (bytes, value) = (Vec::new(), Vec::new());
        Self { file, at_cut, around, encoder, db: None, bytes, value, keys: 0 }
    }

    /// Writes the end, and gives the file back.
    pub fn finish(mut self) -> io::Result<F> {
        self.file.group(&self.bytes)?;
        Ok(self.file)
    }

    /// The command that makes `key` hold what was encoded.
    fn restore(&mut self, key: Saved<'_>) {
        self.keys += 1;
        if self.value.is_empty() {
            return; // it holds nothing any more
        }
        self.value.remove(1); // the name, which is empty
        payload::seal(&mut self.value);
        if self.db != Some(key.db) {
            self.db = Some(key.db);
            let db = key.db.to_string();
            encode(&mut self.bytes, [b"SELECT".as_slice(), db.as_bytes()].into_iter());
        }
        let ends = key.expiry.unwrap_or(0).to_string();
        let words = [b"RESTORE".as_slice(), key.key, ends.as_bytes(), &self.value, b"ABSTTL"];
        encode(&mut self.bytes, words.into_iter());
        self.value.clear();
        self.value.shrink_to(4 * GATHERED);
    }
}

impl<F: Groups, C: FnMut()> Sink for CommandBase<'_, F, C> {
    type Error = io::Error;

    fn cut(&mut self, _: &[(u64, u64)]) {
        (self.at_cut)();
        for text in (self.around.functions)() {
            let words = [b"FUNCTION".as_slice(), b"LOAD", &text];
            encode(&mut self.bytes, words.into_iter());
        }
    }

    fn small(&mut self, key: Saved<'_>, value: Kind<'_>) {
        let value = Value::Inside(value);
        let _ = self.encoder.record(&Head::default(), b"", &value, &mut self.value);
        self.restore(key);
    }

    fn large(&mut self, key: Saved<'_>, value: Image) -> io::Result<()> {
        let rest = self.encoder.image(&Head::default(), b"", value, &mut self.value);
        if let Some(mut rest) = rest {
            while self.encoder.go_on(&mut rest, SLICE, &mut self.value) {}
        }
        self.restore(key);
        self.pause()
    }

    fn pause(&mut self) -> io::Result<()> {
        (self.around.pause)(std::mem::take(&mut self.keys))?;
        if self.bytes.len() > GATHERED {
            self.file.group(&self.bytes)?;
            self.bytes.clear();
            self.bytes.shrink_to(4 * GATHERED);
        }
        Ok(())
    }
}

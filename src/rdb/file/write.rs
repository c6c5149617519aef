//! Writing a snapshot to anything that takes bytes.

use super::super::encode::{Encoder, Head, Rest, Value};
use super::super::sum::Sum;
use super::super::{code, wire};
use crate::types::image::Image;
use std::io::{self, Write};

/// What a snapshot says of itself, and how it is written.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'s> {
    /// The version that the server goes by.
    pub server: &'s str,
    /// Unix milliseconds; fields of hashes that end before are left out.
    pub now: i64,
    /// Bytes that the data takes in memory.
    pub used_memory: u64,
    /// It is the beginning of an append-only file.
    pub aof_base: bool,
    /// Texts that LZF makes shorter are written so.
    pub compress: bool,
    /// There is a sum at the end; else a zero, which says that there is none.
    pub summed: bool,
}

/// Bytes that are gathered before they are given away.
const BLOCK: usize = 64 * 1024;
/// Elements of a large value that are written between two looks at what has gathered.
const SLICE: usize = 500;

/// A snapshot being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    sum: Option<Sum>,
    block: Vec<u8>,
    encoder: Encoder,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the beginning.
    pub fn begin(out: W, settings: Settings<'_>) -> io::Result<Self> {
        let mut writer = Self {
            out,
            sum: settings.summed.then(Sum::default),
            block: Vec::with_capacity(2 * BLOCK),
            encoder: Encoder::for_file(settings.now, settings.compress),
            written: 0,
        };
        let magic = format!("REDIS{:04}", code::VERSION);
        writer.block.extend_from_slice(magic.as_bytes());
        writer.aux(b"redis-ver", settings.server.as_bytes());
        writer.aux(b"redis-bits", b"64");
        writer.aux(b"ctime", (settings.now / 1000).to_string().as_bytes());
        writer.aux(b"used-mem", settings.used_memory.to_string().as_bytes());
        writer.aux(b"aof-base", if settings.aof_base { b"1" } else { b"0" });
        writer.give(0)?;
        Ok(writer)
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.block.push(code::AUX);
        wire::text(&mut self.block, name, None);
        wire::text(&mut self.block, value, None);
    }

    /// Adds a library of functions.
    pub fn function(&mut self, text: &[u8]) -> io::Result<()> {
        self.block.push(code::FUNCTION);
        wire::text(&mut self.block, text, None);
        self.give(BLOCK)
    }

    /// Begins a database with about so many keys, of which so many expire.
    pub fn database(&mut self, db: usize, keys: u64, volatile: u64) -> io::Result<()> {
        self.block.push(code::SELECT);
        wire::length(&mut self.block, db as u64);
        self.block.push(code::RESIZE);
        wire::length(&mut self.block, keys);
        wire::length(&mut self.block, volatile);
        self.give(BLOCK)
    }

    /// Adds a key; false if it holds nothing any more.
    pub fn key(&mut self, head: &Head, key: &[u8], value: &Value<'_>) -> io::Result<bool> {
        let before = self.block.len();
        let rest = self.encoder.record(head, key, value, &mut self.block);
        let any = self.block.len() > before;
        if let Some(mut rest) = rest {
            while self.encoder.go_on(&mut rest, SLICE, &mut self.block) {
                self.give(BLOCK)?;
            }
        }
        self.give(BLOCK)?;
        Ok(any)
    }

    /// Begins a key of which a snapshot has kept a large value; what remains is for [`Writer::go_on`].
    pub fn image(&mut self, head: &Head, key: &[u8], image: Image) -> io::Result<Option<Rest>> {
        let rest = self.encoder.image(head, key, image, &mut self.block);
        self.give(BLOCK)?;
        Ok(rest)
    }

    /// Goes on with it for some hundred elements; false if it is whole.
    pub fn go_on(&mut self, rest: &mut Rest) -> io::Result<bool> {
        let more = self.encoder.go_on(rest, SLICE, &mut self.block);
        self.give(BLOCK)?;
        Ok(more)
    }

    /// What it is written to.
    pub const fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Adds what was written elsewhere, by an [`Encoder`] for files.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.block.extend_from_slice(bytes);
        self.give(BLOCK)
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written + self.block.len() as u64
    }

    /// Writes the end. What it was written to, and its size.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.block.push(code::EOF);
        self.give(0)?;
        let sum = self.sum.as_ref().map_or(0, Sum::value);
        self.out.write_all(&sum.to_le_bytes())?;
        self.out.flush()?;
        Ok((self.out, self.written + 8))
    }

    /// Gives what has gathered away if there is more than `most`.
    fn give(&mut self, most: usize) -> io::Result<()> {
        if self.block.len() <= most {
            return Ok(());
        }
        if let Some(sum) = &mut self.sum {
            sum.add(&self.block);
        }
        self.out.write_all(&self.block)?;
        self.written += self.block.len() as u64;
        self.block.clear();
        self.block.shrink_to(8 * BLOCK);
        Ok(())
    }
}

//! A part of a file in memory, which moves forward and grows only as bytes arrive.

use super::file::Source;
use super::unseal::Unsealed;
use std::io::{self, BufRead, Read};

/// What is read at a time: about the second-level cache.
const CHUNK: usize = 256 << 10;
/// A buffer that grew beyond this for one command is given back after it.
const KEPT: usize = 8 << 20;

/// Where the bytes come from.
enum Feed<'a> {
    Plain(&'a dyn Source),
    Sealed(Box<Unsealed<'a>>),
}

pub(super) struct Window<'a> {
    feed: Feed<'a>,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// Offset in the file of the first byte of `buffer`.
    base: u64,
    len: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(source: &'a dyn Source) -> io::Result<Self> {
        let len = source.len()?;
        let feed = Feed::Plain(source);
        Ok(Self { feed, buffer: Vec::new(), begin: 0, end: 0, base: 0, len })
    }

    /// The plain bytes of a sealed file of so many bytes; offsets are those of the plain bytes.
    pub(super) fn sealed(unsealed: Unsealed<'a>, len: u64) -> Self {
        let feed = Feed::Sealed(Box::new(unsealed));
        Self { feed, buffer: Vec::new(), begin: 0, end: 0, base: 0, len }
    }

    /// What is behind, if the file is sealed.
    pub(super) fn unsealed(&self) -> Option<&Unsealed<'a>> {
        match &self.feed {
            Feed::Plain(_) => None,
            Feed::Sealed(unsealed) => Some(unsealed),
        }
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where in the file the next byte stands.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.begin as u64
    }

    /// Goes on at `offset`, which was read before.
    pub(super) fn seek(&mut self, offset: u64) {
        match offset.checked_sub(self.base) {
            Some(ahead) if ahead <= self.end as u64 => self.begin = ahead as usize,
            _ => (self.begin, self.end, self.base) = (0, 0, offset),
        }
    }

    /// What is here without reading.
    pub(super) fn available(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// At least `count` bytes, or all that are left.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.begin < count && self.read_more()? {}
        Ok(self.available())
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.begin += count;
        debug_assert!(self.begin <= self.end);
    }

    /// Reads what there is room for; false at the end of the file.
    fn read_more(&mut self) -> io::Result<bool> {
        self.make_room();
        let at = self.base + self.end as u64;
        loop {
            let room = &mut self.buffer[self.end..];
            let read = match &mut self.feed {
                Feed::Plain(source) => source.read_at(room, at),
                Feed::Sealed(unsealed) => unsealed.read(room),
            };
            match read {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Room for a chunk behind `end`: by moving what is left to the front, else by growing.
    fn make_room(&mut self) {
        if self.buffer.len() - self.end >= CHUNK {
            return;
        }
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.base += self.begin as u64;
            self.end -= self.begin;
            self.begin = 0;
        }
        if self.end < CHUNK && self.buffer.len() > KEPT {
            self.buffer.truncate(2 * CHUNK);
            self.buffer.shrink_to_fit();
        }
        if self.buffer.len() - self.end < CHUNK {
            let more = self.end.max(CHUNK);
            self.buffer.resize(self.end + more, 0);
        }
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Window<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        Window::consume(self, count);
    }
}

//! The plain bytes of a sealed file of the log, in order: groups whole or not at all.

use super::file::Source;
use super::seal::{CHUNK, HEADER, Head, Kind, Opener, RECORD};
use super::tail;
use std::io;

/// How far behind a broken record others are looked for.
const SCAN: u64 = 64 << 20;

/// Bytes that are not what was written, as the inner error of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Broken {
    pub(super) offset: u64,
    pub(super) why: &'static str,
}

pub(super) struct Unsealed<'a> {
    source: &'a dyn Source,
    opener: Opener,
    /// Offset of the next record.
    at: u64,
    len: u64,
    plain: Vec<u8>,
    begin: usize,
    /// Records up to here were verified as parts of a whole group.
    verified: u64,
    is_last: bool,
    /// A base says where it ends.
    is_base: bool,
    ended: bool,
    /// Where the file must be cut, once that is known.
    pub(super) cut: Option<u64>,
    pub(super) durable: u64,
    pub(super) last: u64,
}

impl<'a> Unsealed<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        opener: Opener,
        is_last: bool,
        is_base: bool,
    ) -> io::Result<Self> {
        let at = HEADER as u64;
        let (len, plain) = (source.len()?, Vec::new());
        let (begin, verified, ended, cut, durable, last) = (0, at, false, None, 0, 0);
        Ok(Self {
            source,
            opener,
            at,
            len,
            plain,
            begin,
            verified,
            is_last,
            is_base,
            ended,
            cut,
            durable,
            last,
        })
    }

    /// The next plain bytes; 0 at the end, or where the file must be cut.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.begin == self.plain.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.plain.len() - self.begin);
        buffer[..count].copy_from_slice(&self.plain[self.begin..self.begin + count]);
        self.begin += count;
        Ok(count)
    }

    fn next(&mut self) -> io::Result<bool> {
        if self.cut.is_some() {
            return Ok(false);
        }
        if self.at == self.len {
            let missing = self.is_base && !self.ended;
            return if missing { self.broken("a base without its end") } else { Ok(false) };
        }
        let Some(head) = self.head(self.at)? else { return self.unreadable() };
        let is_group = matches!(head.kind, Kind::GroupPart | Kind::GroupEnd);
        if self.ended || is_group == self.is_base {
            return self.broken("a record that does not belong here");
        }
        if is_group && self.at >= self.verified && !self.verify(head)? {
            return Ok(false);
        }
        let mut body = std::mem::take(&mut self.plain);
        self.begin = 0;
        if !self.body(&head, self.at, &mut body)? {
            return self.unreadable();
        }
        if self.opener.open(&head, self.at, &mut body).is_err() {
            return self.unreadable();
        }
        body.truncate(head.len);
        self.plain = body;
        self.at += (RECORD + head.body()) as u64;
        self.ended = head.kind == Kind::StreamEnd;
        self.durable = self.durable.max(head.durable);
        self.last = self.last.max(head.last);
        Ok(true)
    }

    /// Goes through a group of several records before any of it is given away. False if the file
    /// must be cut before it.
    fn verify(&mut self, first: Head) -> io::Result<bool> {
        let (mut at, mut head, mut body) = (self.at, first, Vec::new());
        while head.kind == Kind::GroupPart {
            if !self.body(&head, at, &mut body)?
                || self.opener.verify(&head, at, &mut body).is_err()
            {
                return self.unreadable();
            }
            at += (RECORD + head.body()) as u64;
            match self.head(at)? {
                Some(next) if matches!(next.kind, Kind::GroupPart | Kind::GroupEnd) => head = next,
                _ => return self.unreadable(),
            }
        }
        if head != first
            && (!self.body(&head, at, &mut body)?
                || self.opener.verify(&head, at, &mut body).is_err())
        {
            return self.unreadable();
        }
        self.verified = at + 1;
        Ok(true)
    }

    fn head(&self, at: u64) -> io::Result<Option<Head>> {
        let mut bytes = [0; RECORD];
        let got = tail::read_full(self.source, &mut bytes, at)?;
        Ok(Head::parse(&bytes[..got]))
    }

    /// The ciphertext behind a head; false if the file ends in it.
    fn body(&self, head: &Head, at: u64, body: &mut Vec<u8>) -> io::Result<bool> {
        body.resize(head.body(), 0);
        Ok(tail::read_full(self.source, body, at + RECORD as u64)? == head.body())
    }

    /// The record or group here is not whole: a file that was cut or torn, or damage.
    fn unreadable(&mut self) -> io::Result<bool> {
        if self.is_last && !self.is_base && (self.ends_here()? || self.is_torn()?) {
            self.cut = Some(self.at);
            return Ok(false);
        }
        self.broken("a record that is not what was written")
    }

    /// Whether the group here is good as far as the file goes.
    fn ends_here(&self) -> io::Result<bool> {
        let (mut at, mut body) = (self.at, Vec::new());
        while self.len - at >= RECORD as u64 {
            let Some(head) = self.head(at)? else { return Ok(false) };
            if !self.body(&head, at, &mut body)? {
                return Ok(true);
            }
            if self.opener.verify(&head, at, &mut body).is_err() {
                return Ok(false);
            }
            at += (RECORD + head.body()) as u64;
        }
        Ok(true)
    }

    /// Whether there are zeros where a power cut takes pages, and nothing says that they were durable.
    fn is_torn(&self) -> io::Result<bool> {
        if tail::first_zeros(self.source, self.at..self.len)?.is_none() {
            return Ok(false);
        }
        let end = self.len.min(self.at + SCAN);
        let (mut at, mut buffer) = (self.at + 1, vec![0; CHUNK]);
        let mut next = self.len;
        while at + RECORD as u64 <= end {
            let got = tail::read_full(self.source, &mut buffer, at)?;
            for (offset, bytes) in buffer[..got].windows(RECORD).enumerate() {
                let Some(head) = Head::parse(bytes) else { continue };
                if head.durable > self.at {
                    return Ok(false);
                }
                next = next.min(at + offset as u64);
            }
            if got < RECORD {
                break;
            }
            at += (got - RECORD + 1) as u64;
        }
        Ok(tail::first_zeros(self.source, self.at..next)?.is_some())
    }

    fn broken<T>(&self, why: &'static str) -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::InvalidData, Broken { offset: self.at, why }))
    }
}

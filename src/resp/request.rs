//! The parser: bytes in, requests out, no I/O and no copies.
//!
//! What it keeps true:
//! - A request's spans point into the slice given to [`Parser::parse_batch`]; nothing is copied.
//! - No byte is looked at twice because a request came in pieces: the parser remembers how far the
//!   begun request has been read, so one byte at a time costs O(n) and a huge value is skipped by
//!   its length.
//! - Nothing grows by announcement. A big argument that has not arrived whole gets a block of its
//!   own (the *big* argument), which the caller reads into directly; the block doubles as bytes
//!   arrive and ends at exactly the announced length, so the value can be kept as it is.
//! - The caller keeps `input[consumed..kept]` and hands it in again, first, with what came after.
//!
//! Most requests have counts and lengths of one or two digits: those lines are recognised in one
//! eight-byte word. Everything else takes the loop below it, which is also the reference.

mod inline;

use super::args::{Args, Span};
use bytes::Bytes;
use std::borrow::Cow;

/// Requests that one batch holds at most: enough to hide the latency of main memory.
pub const MAX_REQUESTS: usize = 64;
/// Longest inline request, and longest line that announces a count or a length.
const MAX_LINE: usize = 64 * 1024;
/// Most arguments and longest argument that a client may send before it has authenticated.
const MAX_UNAUTHENTICATED: (i64, i64) = (10, 16 * 1024);
/// First step of a big argument's block.
const BIG_STEP: usize = 64 * 1024;
/// Spans kept allocated between two requests that come in pieces.
const SPANS_KEPT: usize = 64;

/// What the connection's state and the configuration allow.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `proto-max-bulk-len`, in bytes.
    pub max_bulk: u64,
    /// From this length on an argument that has not arrived whole gets its own block.
    pub big_from: usize,
    /// Whether the small limits before AUTH are lifted.
    pub authenticated: bool,
    /// Requests per batch, at most [`MAX_REQUESTS`].
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bulk: 512 * 1024 * 1024,
            big_from: 32 * 1024,
            authenticated: true,
            requests: MAX_REQUESTS,
        }
    }
}

/// Why a connection cannot be understood any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of arguments is no number or too big.
    Multibulk,
    /// More arguments than allowed before AUTH.
    UnauthenticatedMultibulk,
    /// An argument's length is no number, negative or too big.
    Bulk,
    /// A longer argument than allowed before AUTH.
    UnauthenticatedBulk,
    /// Something else where an argument should begin.
    Expected(u8),
    /// A count without end.
    LongMultibulkLine,
    /// A length without end.
    LongBulkLine,
    /// An inline request without end.
    LongInline,
    /// An inline request whose quotes do not close.
    Quotes,
}

impl ProtocolError {
    /// The text after `ERR Protocol error: `.
    pub fn text(self) -> Cow<'static, [u8]> {
        let fixed: &'static str = match self {
            Self::Multibulk => "invalid multibulk length",
            Self::UnauthenticatedMultibulk => "unauthenticated multibulk length",
            Self::Bulk => "invalid bulk length",
            Self::UnauthenticatedBulk => "unauthenticated bulk length",
            Self::Expected(byte) => {
                return Cow::Owned([b"expected '$', got '".as_slice(), &[byte], b"'"].concat());
            }
            Self::LongMultibulkLine => "too big mbulk count string",
            Self::LongBulkLine => "too big bulk count string",
            Self::LongInline => "too big inline request",
            Self::Quotes => "unbalanced quotes in request",
        };
        Cow::Borrowed(fixed.as_bytes())
    }
}

/// One request of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Req {
    /// Index of its first span.
    pub first_span: u32,
    /// Number of arguments, the name included; never 0.
    pub n: u32,
    /// Offset of the first byte after it.
    pub end_offset: u32,
}

/// Complete requests, in order. Reused from batch to batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The requests.
    pub reqs: Vec<Req>,
    /// Spans of all of them.
    pub spans: Vec<Span>,
    /// Arguments with a block of their own.
    pub blobs: Vec<Bytes>,
}

impl Batch {
    /// Request `i` over the input it was parsed from.
    #[inline(always)]
    pub fn args<'a>(&'a self, i: usize, input: &'a [u8]) -> Args<'a> {
        let Req { first_span, n, .. } = self.reqs[i];
        let spans = &self.spans[first_span as usize..first_span as usize + n as usize];
        Args::new(input, spans, &self.blobs)
    }

    /// Forgets the requests; keeps the room, unless an unusual request made it large.
    pub fn clear(&mut self) {
        self.reqs.clear();
        self.spans.clear();
        self.spans.shrink_to(16 * MAX_REQUESTS);
        self.blobs.clear();
        self.blobs.shrink_to(MAX_REQUESTS);
    }
}

/// What one call found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    /// Length of the complete requests.
    pub consumed: usize,
    /// `input[consumed..kept]` belongs to a begun request: hand it in again with what follows.
    pub kept: usize,
    /// What to do next.
    pub status: Status,
}

/// See [`Parsed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All is parsed that can be: read more.
    More,
    /// The batch is full: run it, then parse on from `consumed`.
    Full,
    /// Run what was complete, answer this, close.
    Bad(ProtocolError),
}

/// A big argument that is being received.
#[derive(Debug)]
struct Big {
    block: Vec<u8>,
    filled: usize,
    len: usize,
}

/// What one connection has begun to say.
#[derive(Debug, Default)]
pub struct Parser {
    /// Arguments that the begun request still lacks; 0 when no count was read yet.
    missing: u32,
    /// How far the begun request is parsed, from its first byte.
    parsed: usize,
    /// Bytes of the line after `parsed` that were searched for its end in vain.
    searched: usize,
    /// Arguments of the begun request, relative to its first byte.
    spans: Vec<Span>,
    blobs: Vec<Bytes>,
    big: Option<Big>,
    /// Length of the line end that a received big argument still lacks: it stays missing until then.
    skip: usize,
}

/// A line that announces a number.
enum Line {
    Number(i64, usize),
    Malformed,
    Partial(usize),
}

enum Argument {
    At(Span),
    Begun { body: usize, len: usize },
    Partial,
}

impl Parser {
    /// Whether a request has been begun and not completed.
    pub fn is_midway(&self) -> bool {
        self.missing > 0 || self.searched > 0
    }

    /// Bytes held outside of the caller's buffer.
    pub fn held(&self) -> usize {
        let blobs: usize = self.blobs.iter().map(Bytes::len).sum();
        let big = self.big.as_ref().map_or(0, |big| big.block.capacity());
        blobs + big + self.spans.capacity() * size_of::<Span>()
    }

    /// Bytes received of the begun request's big arguments.
    pub fn received(&self) -> usize {
        let blobs: usize = self.blobs.iter().map(Bytes::len).sum();
        blobs + self.big.as_ref().map_or(0, |big| big.filled)
    }

    /// Number of arguments that the begun request has so far.
    pub fn begun(&self) -> usize {
        self.spans.len()
    }

    /// Whether [`Parser::room`] ends where the big argument does: only then may bytes that do not
    /// fit into it be read at the same time, into the caller's buffer.
    pub fn room_is_last(&self) -> bool {
        self.big.as_ref().is_none_or(|big| big.block.len() == big.len)
    }

    /// Room of the big argument that the next bytes belong to, when there is one.
    pub fn room(&mut self) -> Option<&mut [u8]> {
        let big = self.big.as_mut()?;
        if big.filled == big.block.len() && big.filled < big.len {
            let step = big.len.min((2 * big.filled).max(BIG_STEP)) - big.filled;
            big.block.reserve_exact(step);
            big.block.resize(big.filled + step, 0);
        }
        Some(&mut big.block[big.filled..])
    }

    /// Says how many bytes of [`Parser::room`] were filled.
    pub fn filled(&mut self, n: usize) {
        if let Some(big) = &mut self.big {
            big.filled = (big.filled + n).min(big.block.len());
        }
    }

    /// Adds the complete requests at the start of `input` to `batch`.
    pub fn parse_batch(&mut self, input: &[u8], batch: &mut Batch, limits: &Limits) -> Parsed {
        let mut at = 0;
        loop {
            let step = if self.missing > 0 {
                self.resume(input, batch, limits)
            } else if batch.reqs.len() >= limits.requests.min(MAX_REQUESTS) {
                return Parsed { consumed: at, kept: input.len(), status: Status::Full };
            } else {
                match input.get(at) {
                    None => return Parsed { consumed: at, kept: at, status: Status::More },
                    Some(b'*') => self.multibulk(input, at, batch, limits),
                    Some(_) => self.inline(input, at, batch),
                }
            };
            match step {
                Ok(Some(end)) => at = end,
                Ok(None) => {
                    // A big argument took the bytes from where the arguments before it end.
                    let kept = if self.big.is_some() { at + self.parsed } else { input.len() };
                    return Parsed { consumed: at, kept, status: Status::More };
                }
                Err(error) => {
                    let status = Status::Bad(error);
                    return Parsed { consumed: at, kept: input.len(), status };
                }
            }
        }
    }

    /// A request from its first byte, `input[start] == b'*'`. Returns its end if it is complete.
    #[inline]
    fn multibulk(
        &mut self,
        input: &[u8],
        start: usize,
        batch: &mut Batch,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let (count, mut at) = match short_line(input, start, b'*') {
            Some(short) => short,
            None => match number_line(input, start, self.searched) {
                Line::Number(count, at) => (count, at),
                Line::Malformed => return Err(ProtocolError::Multibulk),
                Line::Partial(seen) if seen > MAX_LINE => {
                    return Err(ProtocolError::LongMultibulkLine);
                }
                Line::Partial(seen) => {
                    self.searched = seen;
                    return Ok(None);
                }
            },
        };
        self.searched = 0;
        if count > i64::from(i32::MAX) {
            return Err(ProtocolError::Multibulk);
        }
        if count > MAX_UNAUTHENTICATED.0 && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulk);
        }
        if count <= 0 {
            return Ok(Some(at));
        }
        let first = batch.spans.len();
        for done in 0..count {
            match argument(input, at, 0, limits)? {
                Argument::At(span) => {
                    batch.spans.push(span);
                    at = span.at as usize + span.len as usize + 2;
                }
                other => {
                    self.missing = (count - done) as u32;
                    self.parsed = at - start;
                    let begun = batch.spans.drain(first..);
                    self.spans.extend(begun.map(|s| Span { at: s.at - start as u32, ..s }));
                    self.pause(&input[start..], other)?;
                    return Ok(None);
                }
            }
        }
        let req = Req { first_span: first as u32, n: count as u32, end_offset: at as u32 };
        batch.reqs.push(req);
        Ok(Some(at))
    }

    /// Goes on with the begun request, whose first byte is `input[0]`.
    #[cold]
    fn resume(
        &mut self,
        input: &[u8],
        batch: &mut Batch,
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        if let Some(big) = self.big.take_if(|big| big.filled == big.len) {
            let at = self.blobs.len() as u32 | Span::BLOB;
            self.spans.push(Span { at, len: big.len as u32 });
            self.blobs.push(Bytes::from(big.block));
            self.skip = 2;
        }
        if self.big.is_some() || input.len() < self.parsed + self.skip {
            return Ok(None);
        }
        if self.skip > 0 {
            self.parsed += std::mem::take(&mut self.skip);
            self.missing -= 1;
        }
        while self.missing > 0 {
            match argument(input, self.parsed, self.searched, limits)? {
                Argument::At(span) => {
                    self.spans.push(span);
                    self.parsed = span.at as usize + span.len as usize + 2;
                    self.searched = 0;
                    self.missing -= 1;
                }
                other => {
                    self.pause(input, other)?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(self.complete(batch)))
    }

    /// Notes why the begun request, which starts at `input[0]`, cannot go on.
    #[cold]
    fn pause(&mut self, input: &[u8], why: Argument) -> Result<(), ProtocolError> {
        match why {
            Argument::Begun { body, len } => {
                // `body` counts from the slice that was parsed; what is there of it is the tail.
                let have = &input[input.len() - body..];
                let mut block = Vec::new();
                block.reserve_exact(have.len());
                block.extend_from_slice(have);
                self.big = Some(Big { filled: have.len(), block, len });
                self.spans.reserve(1); // so that what the request takes does not change at its end
                self.parsed = input.len() - body;
                self.searched = 0;
            }
            Argument::Partial | Argument::At(_) => {
                let line = &input[self.parsed.min(input.len())..];
                if let Line::Partial(seen) = number_line(line, 0, self.searched) {
                    if seen > MAX_LINE {
                        return Err(ProtocolError::LongBulkLine);
                    }
                    self.searched = seen;
                }
            }
        }
        Ok(())
    }

    /// Moves the begun request, now whole, into `batch`; returns its end.
    fn complete(&mut self, batch: &mut Batch) -> usize {
        let (first, blobs) = (batch.spans.len(), batch.blobs.len() as u32);
        let moved =
            |s: Span| if s.at & Span::BLOB == 0 { s } else { Span { at: s.at + blobs, ..s } };
        batch.reqs.push(Req {
            first_span: first as u32,
            n: self.spans.len() as u32,
            end_offset: self.parsed as u32,
        });
        batch.spans.extend(self.spans.drain(..).map(moved));
        batch.blobs.append(&mut self.blobs);
        self.spans.shrink_to(SPANS_KEPT);
        self.blobs = Vec::new();
        std::mem::take(&mut self.parsed)
    }

    /// A request typed by hand: one line of words.
    #[cold]
    fn inline(
        &mut self,
        input: &[u8],
        start: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(found) = memchr::memchr(b'\n', &input[start + self.searched..]) else {
            self.searched = input.len() - start;
            let long = self.searched > MAX_LINE;
            return if long { Err(ProtocolError::LongInline) } else { Ok(None) };
        };
        let end = start + self.searched + found;
        self.searched = 0;
        if end - start > MAX_LINE {
            return Err(ProtocolError::LongInline);
        }
        let line = &input[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let first = batch.spans.len();
        inline::words(line, start, batch)?;
        let n = batch.spans.len() - first;
        if n > 0 {
            let end_offset = (end + 1) as u32;
            batch.reqs.push(Req { first_span: first as u32, n: n as u32, end_offset });
        }
        Ok(Some(end + 1))
    }
}

/// `<kind><one or two digits>\r\n` in one word: the number and the offset after the line.
#[inline(always)]
fn short_line(input: &[u8], at: usize, kind: u8) -> Option<(i64, usize)> {
    let word = u64::from_le_bytes(*input.get(at..)?.first_chunk()?);
    let digit = |place: u32| (word >> place & 0xff).wrapping_sub(u64::from(b'0'));
    if word & 0xffff_00ff == 0x0a0d_0000 | u64::from(kind) {
        let value = digit(8);
        return (value <= 9).then_some((value as i64, at + 4));
    }
    if word & 0xff_ff00_00ff == 0x0a_0d00_0000 | u64::from(kind) {
        let (tens, ones) = (digit(8), digit(16));
        let valid = tens.wrapping_sub(1) <= 8 && ones <= 9;
        return valid.then(|| ((tens * 10 + ones) as i64, at + 5));
    }
    None
}

/// The argument that begins at `at`. `searched` bytes of its first line have no end.
#[inline(always)]
fn argument(
    input: &[u8],
    at: usize,
    searched: usize,
    limits: &Limits,
) -> Result<Argument, ProtocolError> {
    if let Some((len, body)) = short_line(input, at, b'$')
        && body + len as usize + 2 <= input.len()
        && len as u64 <= limits.max_bulk
    {
        return Ok(Argument::At(Span { at: body as u32, len: len as u32 }));
    }
    long_argument(input, at, searched, limits)
}

/// An argument whose length has more than two digits, or which has not arrived whole.
fn long_argument(
    input: &[u8],
    at: usize,
    searched: usize,
    limits: &Limits,
) -> Result<Argument, ProtocolError> {
    let (len, body) = match number_line(input, at, searched) {
        Line::Partial(_) => return Ok(Argument::Partial),
        // The kind is judged before the number, and both only once the line is there.
        _ if input[at] != b'$' => return Err(ProtocolError::Expected(input[at])),
        Line::Malformed => return Err(ProtocolError::Bulk),
        Line::Number(len, body) => (len, body),
    };
    if len < 0 || len as u64 > limits.max_bulk || len >= i64::from(Span::BLOB) {
        return Err(ProtocolError::Bulk);
    }
    if len > MAX_UNAUTHENTICATED.1 && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedBulk);
    }
    let (len, have) = (len as usize, input.len() - body);
    if have >= len + 2 {
        return Ok(Argument::At(Span { at: body as u32, len: len as u32 }));
    }
    if len >= limits.big_from && have < len {
        return Ok(Argument::Begun { body: have, len });
    }
    Ok(Argument::Partial)
}

/// The number on the line that starts at `at` with a byte for its kind. The line ends two bytes
/// after the number's last digit; `searched` bytes of it are known to have no `\r`.
fn number_line(input: &[u8], at: usize, searched: usize) -> Line {
    let line = input.get(at..).unwrap_or_default();
    let Some(found) = memchr::memchr(b'\r', &line[searched.min(line.len())..]) else {
        return Line::Partial(line.len());
    };
    let end = searched + found;
    if end + 2 > line.len() {
        return Line::Partial(end); // the `\r` is there, the `\n` is not
    }
    match line.get(1..end).and_then(integer) {
        Some(number) => Line::Number(number, at + end + 2),
        None => Line::Malformed,
    }
}

/// A decimal integer in its only spelling: no sign but `-`, no leading zeros, no blanks.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [b'0', ..] => false,
        _ => digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit),
    };
    if !canonical {
        return None;
    }
    let magnitude = digits
        .iter()
        .try_fold(0_i64, |n, digit| n.checked_mul(10)?.checked_sub(i64::from(digit - b'0')))?;
    if digits.len() == text.len() { magnitude.checked_neg() } else { Some(magnitude) }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

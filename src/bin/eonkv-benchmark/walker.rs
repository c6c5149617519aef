//! Counts replies in a stream of bytes without building them.
//!
//! Keeps true: [`Walker::feed`] gives the same result however the stream is cut into reads; bytes
//! that are not RESP are an error, never a miscount; memory does not grow with announced lengths.
//!
//! Why not the library's parser: a load generator only needs to know where replies end. A reply of
//! 600 elements is walked as 600 header lines, and bulk bodies are skipped without being looked at.
//! Whoever wants the contents (checks, the first questions to the server) is an [`Observer`]; the
//! empty observer compiles to nothing.

use memchr::memchr;

/// How much of a text line is kept: enough for any error message worth printing.
const LINE_KEPT: usize = 512;
/// A length has a sign, at most twenty digits and a carriage return; anything longer is no length.
const NUMBER_MAX: usize = 24;

/// Sees a reply's parts pass by. A reply is one or more `line`s, each bulk's followed by `body`s.
/// Push messages, which answer nothing, are not shown.
pub trait Observer {
    /// It looks at nothing, so equal replies may be counted without showing each.
    const BLIND: bool = false;
    /// A header line without its CRLF: the type byte and the rest (cut after 512 bytes).
    #[inline]
    fn line(&mut self, _line: &[u8]) {}
    /// Some bytes of the current bulk's body.
    #[inline]
    fn body(&mut self, _bytes: &[u8]) {}
    /// The top-level reply is complete.
    #[inline]
    fn end(&mut self) {}
}

/// Observes nothing.
impl Observer for () {
    const BLIND: bool = true;
}

/// Why a stream cannot be walked on.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server answered with an error: its text, without the `-`.
    ErrorReply(String),
    /// These bytes are not RESP.
    Malformed(String),
}

/// Where in a stream of replies we are. One per connection.
#[derive(Debug, Default)]
pub struct Walker {
    state: State,
    /// Elements that must still end before the current reply does; 0 between replies.
    open: u64,
    /// The current top-level value is a push message, which answers nothing.
    push: bool,
    /// The current bulk is a top-level error (RESP3 `!`); its text gathers in `held`.
    blob_error: bool,
    /// The beginning of a line whose end has not arrived, or of a blob error's text.
    held: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// Within a header line.
    #[default]
    Line,
    /// Within a bulk's body; so many bytes are to come.
    Body(u64),
    /// After a body: the `\r` (false) or the `\n` (true) is next.
    Tail(bool),
}

impl Walker {
    /// Walks over `bytes` and returns how many replies ended within them.
    ///
    /// After an error the walker must not be used again.
    pub fn feed<O: Observer>(&mut self, bytes: &[u8], observer: &mut O) -> Result<usize, Stop> {
        let (mut rest, mut replies) = (bytes, 0);
        // Unequal once, unequal again: short replies are then cheaper to step over than to compare.
        let mut vary = false;
        while !rest.is_empty() {
            let fresh = O::BLIND && self.is_between();
            if fresh && vary {
                let (short, length) = step_over(rest);
                replies += short;
                rest = &rest[length..];
                if rest.is_empty() {
                    break;
                }
            }
            let (mut after, ended) = self.walk_one(rest, observer)?;
            replies += ended;
            if fresh && self.is_between() {
                // From the same state the same bytes lead the same way: a batch of equal replies
                // costs one walk and one comparison.
                let unit = rest.len() - after.len();
                let again = repeats(rest, unit);
                replies += again * ended;
                after = &after[again * unit..];
                vary = true;
            }
            rest = after;
        }
        Ok(replies)
    }

    /// No reply has begun.
    fn is_between(&self) -> bool {
        self.open == 0 && self.held.is_empty() && matches!(self.state, State::Line)
    }

    /// Walks to the end of a reply or of the bytes. Returns what is left of them, and how many
    /// replies ended: 0 or 1.
    #[inline]
    fn walk_one<'b, O: Observer>(
        &mut self,
        bytes: &'b [u8],
        observer: &mut O,
    ) -> Result<(&'b [u8], usize), Stop> {
        let (mut rest, mut ended) = (bytes, 0);
        while let Some(&first) = rest.first() {
            match self.state {
                State::Line => {
                    let Some(end) = memchr(b'\n', rest) else {
                        self.hold(rest)?;
                        return Ok((&[], 0));
                    };
                    let (line, after) = rest.split_at(end + 1);
                    rest = after;
                    ended = if self.held.is_empty() {
                        self.header(line, observer)?
                    } else {
                        self.hold(line)?;
                        let whole = std::mem::take(&mut self.held);
                        self.header(&whole, observer)?
                    };
                }
                State::Body(left) => {
                    let taken =
                        usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    let (body, after) = rest.split_at(taken);
                    rest = after;
                    self.body(body, observer);
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::Tail(false) } else { State::Body(left) };
                }
                State::Tail(newline) => {
                    if first != if newline { b'\n' } else { b'\r' } {
                        return Err(Stop::Malformed(malformed("a bulk's length is wrong", rest)));
                    }
                    rest = &rest[1..];
                    self.state = if newline { State::Line } else { State::Tail(true) };
                    if newline {
                        ended = self.element_ended(observer)?;
                    }
                }
            }
            if self.is_between() {
                break;
            }
        }
        Ok((rest, ended))
    }

    /// Keeps the beginning of a line; of a long text line the first bytes and the last two, which
    /// tell whether it ended in CRLF.
    fn hold(&mut self, part: &[u8]) -> Result<(), Stop> {
        let room = LINE_KEPT + 2 - self.held.len().min(LINE_KEPT + 2);
        if part.len() <= room {
            self.held.extend_from_slice(part);
        } else {
            let held_last = self.held.last().copied().unwrap_or_default();
            let tail = match *part {
                [.., a, b] => [a, b],
                [b] => [held_last, b],
                [] => return Ok(()),
            };
            self.held.extend_from_slice(&part[..room]);
            self.held.truncate(LINE_KEPT);
            self.held.extend_from_slice(&tail);
        }
        let is_length = matches!(
            self.held.first(),
            Some(b'$' | b'*' | b'%' | b'~' | b'>' | b'|' | b'=' | b'!')
        );
        if is_length && self.held.len() > NUMBER_MAX {
            return Err(Stop::Malformed(malformed("a length without end", &self.held)));
        }
        Ok(())
    }

    /// A whole header line, with its newline. Returns 1 if it also ended a reply.
    #[inline]
    fn header<O: Observer>(&mut self, line: &[u8], observer: &mut O) -> Result<usize, Stop> {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(Stop::Malformed(malformed("a line without carriage return", line)));
        };
        let Some((&kind, value)) = text.split_first() else {
            return Err(Stop::Malformed(malformed("an empty line", line)));
        };
        let top = self.open == 0;
        if top {
            self.open = 1;
            self.push = kind == b'>';
        }
        let text = &text[..text.len().min(LINE_KEPT)];
        if !self.push {
            observer.line(text);
        }
        match kind {
            b'$' => match length(value, line)? {
                Some(size) => self.state = State::Body(size),
                None => return self.element_ended(observer),
            },
            b'+' | b':' | b'_' | b',' | b'#' | b'(' => return self.element_ended(observer),
            b'*' | b'~' | b'>' => return self.aggregate(length(value, line)?, 1, observer),
            b'%' => return self.aggregate(length(value, line)?, 2, observer),
            // Attributes stand before the reply they describe: their parts count, they do not.
            b'|' => {
                self.add(length(value, line)?.unwrap_or(0), 2)?;
                if top {
                    self.push = false;
                }
            }
            b'-' if top => return Err(Stop::ErrorReply(lossy(&text[1..]))),
            b'-' => return self.element_ended(observer),
            b'=' | b'!' => {
                let Some(size) = length(value, line)? else {
                    return Err(Stop::Malformed(malformed("a length below zero", line)));
                };
                self.blob_error = top && kind == b'!';
                self.state = State::Body(size);
            }
            _ => return Err(Stop::Malformed(malformed("an unknown reply type", line))),
        }
        if let State::Body(0) = self.state {
            self.state = State::Tail(false);
        }
        Ok(0)
    }

    #[inline]
    fn body<O: Observer>(&mut self, bytes: &[u8], observer: &mut O) {
        if self.blob_error {
            let room = LINE_KEPT.saturating_sub(self.held.len());
            self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        if !self.push {
            observer.body(bytes);
        }
    }

    /// An array, set, map or push of `count` times `each` elements begins.
    fn aggregate<O: Observer>(
        &mut self,
        count: Option<u64>,
        each: u64,
        observer: &mut O,
    ) -> Result<usize, Stop> {
        self.add(count.unwrap_or(0), each)?;
        self.element_ended(observer) // itself: its elements are now what is open
    }

    fn add(&mut self, count: u64, each: u64) -> Result<(), Stop> {
        let sum = count.checked_mul(each).and_then(|parts| self.open.checked_add(parts));
        self.open = sum.ok_or_else(|| Stop::Malformed("more elements than can be".to_owned()))?;
        Ok(())
    }

    #[inline]
    fn element_ended<O: Observer>(&mut self, observer: &mut O) -> Result<usize, Stop> {
        if self.blob_error {
            return Err(Stop::ErrorReply(lossy(&self.held)));
        }
        self.open -= 1; // at least 1: `header` opened the reply this element belongs to
        if self.open > 0 || self.push {
            return Ok(0);
        }
        observer.end();
        Ok(1)
    }
}

/// A length: `None` for null (-1). Anything but digits is malformed.
#[inline]
fn length(digits: &[u8], line: &[u8]) -> Result<Option<u64>, Stop> {
    if digits == b"-1" {
        return Ok(None);
    }
    let mut number: u64 = 0;
    // Eighteen digits fit without overflow, and no reply has an exabyte.
    let valid = !digits.is_empty()
        && digits.len() <= 18
        && digits.iter().all(|digit| {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
            digit.is_ascii_digit()
        });
    if valid { Ok(Some(number)) } else { Err(Stop::Malformed(malformed("not a length", line))) }
}

/// How many of the replies at the beginning of `bytes` are of the shortest and most frequent kinds,
/// and how many bytes they take. Whatever is not whole or not well-formed ends it.
#[inline]
fn step_over(bytes: &[u8]) -> (usize, usize) {
    let (mut rest, mut replies) = (bytes, 0);
    loop {
        let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
        let end = match *rest {
            [b'$', b'-', b'1', b'\r', b'\n', ..] => 3,
            [b'+', b'O', b'K', b'\r', b'\n', ..] => 3,
            [b'$', a, b'\r', b'\n', ..] if digit(a) < 10 => 4 + digit(a),
            [b'$', a, b, b'\r', b'\n', ..] if digit(a) < 10 && digit(b) < 10 => {
                5 + digit(a) * 10 + digit(b)
            }
            [b':', ..] => 1 + rest[1..].iter().take(18).take_while(|b| digit(**b) < 10).count(),
            _ => break,
        };
        match rest.get(end..end + 2) {
            Some(b"\r\n") => rest = &rest[end + 2..],
            _ => break,
        }
        replies += 1;
    }
    (replies, bytes.len() - rest.len())
}

/// How often the first `unit` bytes (at least 1) come again right after themselves.
#[inline]
fn repeats(bytes: &[u8], unit: usize) -> usize {
    let after = &bytes[unit..];
    let most = after.len() / unit;
    let span = most * unit;
    // Bytes that equal themselves shifted by a unit consist of that unit.
    if after[..span] == bytes[..span] {
        return most;
    }
    let first = &bytes[..unit];
    after.chunks_exact(unit).take_while(|chunk| *chunk == first).count()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn malformed(what: &str, near: &[u8]) -> String {
    format!("{what}, near \"{}\"", near[..near.len().min(40)].escape_ascii())
}

#[cfg(test)]
#[path = "walker_tests.rs"]
mod tests;

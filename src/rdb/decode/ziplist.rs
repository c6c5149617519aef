//! Reading ziplists, in which Redis kept small collections before version 7.
//!
//! ```text
//!   total size, u32 | offset of the last, u32 | elements, u16 | size of the one before, element | ... | 0xff
//! ```

use super::super::cursor::{Fault, Text};
use super::run::{self, Run};

const HEAD: usize = 10;
const END: u8 = 0xff;
/// The size of the one before stands in the four bytes that follow.
const LONG: u8 = 0xfe;

/// A ziplist being read.
#[derive(Debug)]
pub struct Ziplist<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Where the element before begins.
    before: usize,
    /// Where the last one is said to begin.
    last: usize,
    announced: Option<usize>,
    taken: usize,
    /// What is said of a damaged one.
    bad: &'static str,
}

impl<'b> Ziplist<'b> {
    /// From its beginning; `bad` is what is said if it is damaged.
    pub fn new(bytes: &'b [u8], bad: &'static str) -> Result<Self, Fault> {
        let head: &[u8; HEAD] = bytes.first_chunk().ok_or(Fault::Bad(bad))?;
        let word = |at: usize| {
            u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize
        };
        let count = u16::from_le_bytes([head[8], head[9]]);
        if word(0) != bytes.len() {
            return Err(Fault::Bad(bad));
        }
        let announced = (count < u16::MAX).then_some(usize::from(count));
        Ok(Self { bytes, at: HEAD, before: HEAD, last: word(4), announced, taken: 0, bad })
    }
}

impl<'b> Run<'b> for Ziplist<'b> {
    fn next(&mut self) -> Result<Option<Text<'b>>, Fault> {
        let rest = self.bytes.get(self.at..).ok_or(Fault::Bad(self.bad))?;
        if rest == [END] {
            let complete = self.announced.is_none_or(|announced| announced == self.taken);
            return if complete && self.last == self.before {
                Ok(None)
            } else {
                Err(Fault::Bad(self.bad))
            };
        }
        let (&first, _) = rest.split_first().ok_or(Fault::Bad(self.bad))?;
        let (size, head) = match first {
            END => return Err(Fault::Bad(self.bad)),
            LONG => {
                let size =
                    rest.get(1..).and_then(<[u8]>::first_chunk).ok_or(Fault::Bad(self.bad))?;
                (u32::from_le_bytes(*size) as usize, 5)
            }
            size => (usize::from(size), 1),
        };
        if size != self.at - self.before {
            return Err(Fault::Bad(self.bad));
        }
        let (text, size) = element(&rest[head..]).ok_or(Fault::Bad(self.bad))?;
        self.before = self.at;
        self.at += head + size;
        self.taken += 1;
        Ok(Some(text))
    }
}

/// The first element, without the size before it, and its size.
fn element(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let text = |skip, len| run::text(bytes, skip, len);
    let int = |len| run::int(bytes, len);
    match first {
        ..0x40 => text(1, usize::from(first)),
        0x40..0x80 => text(2, usize::from(first & 0x3f) << 8 | usize::from(*rest.first()?)),
        0x80 => text(5, u32::from_be_bytes(*rest.first_chunk()?) as usize),
        0xc0 => int(2),
        0xd0 => int(4),
        0xe0 => int(8),
        0xf0 => int(3),
        0xfe => int(1),
        0xf1..=0xfd => Some((Text::Int(i64::from(first & 0xf) - 1), 1)),
        _ => None,
    }
}

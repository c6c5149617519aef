//! Reading listpacks ([`super::super::encode`] writes them): each element is checked as it is taken.

use super::super::cursor::{Fault, Text};
use super::super::encode::width_of;
use super::run::{self, Run};

const HEAD: usize = 6;
const END: u8 = 0xff;

/// A listpack being read.
#[derive(Debug)]
pub struct Listpack<'b> {
    rest: &'b [u8],
    /// How many elements its head announces; none if more than the head can say.
    announced: Option<usize>,
    taken: usize,
    /// What is said of a damaged one.
    bad: &'static str,
}

impl<'b> Listpack<'b> {
    /// From its beginning; `bad` is what is said if it is damaged.
    pub fn new(bytes: &'b [u8], bad: &'static str) -> Result<Self, Fault> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(Fault::Bad(bad))?;
        let total = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let count = u16::from_le_bytes([head[4], head[5]]);
        if total as usize != bytes.len() {
            return Err(Fault::Bad(bad));
        }
        let announced = (count < u16::MAX).then_some(usize::from(count));
        Ok(Self { rest, announced, taken: 0, bad })
    }

    /// The next element, which is a number.
    pub fn number(&mut self) -> Result<i64, Fault> {
        self.next()?.ok_or(Fault::Bad(self.bad))?.number().ok_or(Fault::Bad(self.bad))
    }
}

impl<'b> Run<'b> for Listpack<'b> {
    fn next(&mut self) -> Result<Option<Text<'b>>, Fault> {
        if self.rest == [END] {
            let complete = self.announced.is_none_or(|announced| announced == self.taken);
            return if complete { Ok(None) } else { Err(Fault::Bad(self.bad)) };
        }
        let (text, size) = element(self.rest).ok_or(Fault::Bad(self.bad))?;
        let width = width_of(size);
        let back = self.rest.get(size..size + width).ok_or(Fault::Bad(self.bad))?;
        for (at, byte) in back.iter().enumerate() {
            let at = width - 1 - at;
            let more = if at + 1 == width { 0 } else { 0x80 };
            if *byte != (size >> (7 * at) & 0x7f) as u8 | more {
                return Err(Fault::Bad(self.bad));
            }
        }
        self.rest = &self.rest[size + width..];
        self.taken += 1;
        Ok(Some(text))
    }
}

/// The first element and its size.
fn element(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let text = |skip, len| run::text(bytes, skip, len);
    let int = |len| run::int(bytes, len);
    match first {
        ..0x80 => Some((Text::Int(first.into()), 1)),
        0x80..0xc0 => text(1, usize::from(first & 0x3f)),
        0xc0..0xe0 => {
            let value = i64::from(first & 0x1f) << 8 | i64::from(*rest.first()?);
            Some((Text::Int(value << 51 >> 51), 2))
        }
        0xe0..0xf0 => text(2, usize::from(first & 0xf) << 8 | usize::from(*rest.first()?)),
        0xf0 => text(5, u32::from_le_bytes(*rest.first_chunk()?) as usize),
        0xf1 => int(2),
        0xf2 => int(3),
        0xf3 => int(4),
        0xf4 => int(8),
        _ => None,
    }
}

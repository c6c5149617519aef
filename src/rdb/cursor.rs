//! Reading bytes that nobody vouches for: what is not there is not taken, and nothing is reserved for
//! what is merely announced.

use super::lzf;
use crate::types::number::{parse_i64, write_i64};
use crate::types::packed::{ELEMENT_MAX, Element};
use std::borrow::Cow;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// They end too early.
    Short,
    /// They are not what they should be.
    Bad(&'static str),
    /// They may be well, but are nothing that this server can hold.
    Refused(Cow<'static, str>),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("integrity check failed: it ends too early"),
            Self::Bad(what) => f.write_str(what),
            Self::Refused(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Fault {}

/// A text that was read.
#[derive(Debug, Clone)]
pub enum Text<'d> {
    /// Where it stands.
    Slice(&'d [u8]),
    /// The decimal form of a number.
    Int(i64),
    /// Expanded.
    Owned(Vec<u8>),
}

impl Text<'_> {
    /// The element that stands for it.
    #[inline]
    pub fn element(&self) -> Element<'_> {
        match self {
            Self::Slice(text) => Element::of(text),
            Self::Int(value) => Element::Int(*value),
            Self::Owned(text) => Element::of(text),
        }
    }

    /// Its bytes; those of a number are written to `room`, which is cleared first.
    #[inline]
    pub fn bytes<'t>(&'t self, room: &'t mut Vec<u8>) -> &'t [u8] {
        match self {
            Self::Slice(text) => text,
            Self::Owned(text) => text,
            Self::Int(value) => {
                room.clear();
                write_i64(room, *value);
                room
            }
        }
    }

    /// Whether it is longer than that.
    pub fn is_longer_than(&self, most: usize) -> bool {
        self.len() > most
    }

    /// Its length.
    pub fn len(&self) -> usize {
        match self {
            Self::Slice(text) => text.len(),
            Self::Owned(text) => text.len(),
            Self::Int(value) => itoa::Buffer::new().format(*value).len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number that it is the decimal form of.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Slice(text) => parse_i64(text),
            Self::Owned(text) => parse_i64(text),
            Self::Int(value) => Some(*value),
        }
    }

    /// The same, owned.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Slice(text) => text.to_vec(),
            Self::Owned(text) => text,
            Self::Int(value) => value.to_string().into_bytes(),
        }
    }
}

/// What stands at the beginning of a text.
enum Form {
    Plain(u64),
    Int(i64),
    Packed { packed: u64, length: u64 },
}

/// Bytes being read.
#[derive(Debug, Clone)]
pub struct Cursor<'d> {
    all: &'d [u8],
    at: usize,
}

impl<'d> Cursor<'d> {
    /// From their beginning.
    pub const fn new(bytes: &'d [u8]) -> Self {
        Self { all: bytes, at: 0 }
    }

    /// How many were taken.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many are left.
    pub const fn left(&self) -> usize {
        self.all.len() - self.at
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'d [u8], Fault> {
        let end = self.at.checked_add(count).ok_or(Fault::Short)?;
        let taken = self.all.get(self.at..end).ok_or(Fault::Short)?;
        self.at = end;
        Ok(taken)
    }

    /// As many bytes as the array has.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.first_chunk().copied().ok_or(Fault::Short)
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next byte, which stays.
    #[inline]
    pub fn peek(&self) -> Result<u8, Fault> {
        self.all.get(self.at).copied().ok_or(Fault::Short)
    }

    /// A length, or, with true, the number of another form of text.
    #[inline]
    fn marked(&mut self) -> Result<(u64, bool), Fault> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        Ok(match first >> 6 {
            0 => (low, false),
            1 => (low << 8 | u64::from(self.byte()?), false),
            3 => (low, true),
            _ => match first {
                0x80 => (u32::from_be_bytes(self.array()?).into(), false),
                0x81 => (u64::from_be_bytes(self.array()?), false),
                _ => return Err(Fault::Bad("no length begins like this")),
            },
        })
    }

    /// A length or a number.
    #[inline]
    pub fn length(&mut self) -> Result<u64, Fault> {
        match self.marked()? {
            (length, false) => Ok(length),
            (_, true) => Err(Fault::Bad("a text stands in the place of a length")),
        }
    }

    /// How many things follow that take `least` bytes each, or more.
    #[inline]
    pub fn count(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.length()?).map_err(|_| Fault::Bad("a count beyond all memory"))
    }

    fn form(&mut self) -> Result<Form, Fault> {
        Ok(match self.marked()? {
            (length, false) => Form::Plain(length),
            (0, true) => Form::Int(i8::from_le_bytes(self.array()?).into()),
            (1, true) => Form::Int(i16::from_le_bytes(self.array()?).into()),
            (2, true) => Form::Int(i32::from_le_bytes(self.array()?).into()),
            (3, true) => Form::Packed { packed: self.length()?, length: self.length()? },
            _ => return Err(Fault::Bad("a text in an unknown form")),
        })
    }

    /// A text.
    #[inline]
    pub fn text(&mut self) -> Result<Text<'d>, Fault> {
        let size = |length: u64| usize::try_from(length).map_err(|_| Fault::Short);
        match self.form()? {
            Form::Plain(length) => Ok(Text::Slice(self.take(size(length)?)?)),
            Form::Int(value) => Ok(Text::Int(value)),
            Form::Packed { packed, length } => {
                let packed = self.take(size(packed)?)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let text = lzf::expand(packed, length);
                text.map(Text::Owned).ok_or(Fault::Bad("a compressed text does not expand"))
            }
        }
    }

    /// A compressed text expanded into `out`; false if the next one is not compressed, and stays.
    #[inline]
    pub fn expand_into(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        const PACKED: u8 = 0xc3;
        if self.peek()? != PACKED {
            return Ok(false);
        }
        self.at += 1;
        let (packed, length) = (self.count()?, self.count()?);
        let packed = self.take(packed)?;
        if lzf::expand_into(packed, length, out) {
            Ok(true)
        } else {
            Err(Fault::Bad("a compressed text does not expand"))
        }
    }

    /// A text that is to be part of a collection, or a key.
    #[inline]
    pub fn short_text(&mut self) -> Result<Text<'d>, Fault> {
        let text = self.text()?;
        if text.is_longer_than(ELEMENT_MAX) {
            return Err(Fault::Bad("an element of more than 4 GiB"));
        }
        Ok(text)
    }

    /// A text whose bytes are structure.
    pub fn blob(&mut self) -> Result<Cow<'d, [u8]>, Fault> {
        Ok(match self.text()? {
            Text::Slice(bytes) => Cow::Borrowed(bytes),
            other => Cow::Owned(other.into_vec()),
        })
    }

    /// Goes over a text.
    pub fn skip_text(&mut self) -> Result<(), Fault> {
        let length = match self.form()? {
            Form::Plain(length) => length,
            Form::Int(_) => 0,
            Form::Packed { packed, .. } => packed,
        };
        self.take(usize::try_from(length).map_err(|_| Fault::Short)?).map(drop)
    }

    /// A score as text, as it was before version 8.
    pub fn double_text(&mut self) -> Result<f64, Fault> {
        match self.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Err(Fault::Bad("a score that is no number")),
            length => {
                let text = self.take(usize::from(length))?;
                let value = crate::types::number::parse_f64(text);
                value.filter(|value| !value.is_nan()).ok_or(Fault::Bad("a score that is no number"))
            }
        }
    }

    /// A score.
    #[inline]
    pub fn double(&mut self) -> Result<f64, Fault> {
        let value = f64::from_le_bytes(self.array()?);
        if value.is_nan() { Err(Fault::Bad("a score that is no number")) } else { Ok(value) }
    }

    /// A time in milliseconds.
    #[inline]
    pub fn time(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_le_bytes)
    }
}

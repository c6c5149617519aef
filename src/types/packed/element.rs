//! One element of a packed sequence: its value, and the bytes that stand for it.
//!
//! ```text
//!   0x00..=0x7f  string, length in the head             then the bytes
//!   0x80..=0x8f  string, 12 bits of length: 4 + 8       then the bytes
//!   0x90..=0xf3  the integers 0 to 99, all in the head
//!   0xf4..=0xfb  integer of 1 to 8 bytes, little endian, sign in the top bit
//!   0xfc         double, 8 bytes, little endian
//!   0xfd         string, 32 bits of length              then the bytes
//!   0xfe, 0xff   never written
//! ```
//! No integer takes more bytes than its decimal text, and from four characters on it takes fewer; a
//! string up to 127 bytes takes one byte more than its text.
//!
//! - **P1** A value has one encoding: text that is a canonical integer is an integer, a double that
//!   is exactly one (but not -0) too, and lengths and integers take the narrowest form. So equal
//!   values have equal bytes, and comparing needs no text.

use crate::types::number::{format_f64, parse_i64, write_i64};

/// The longest string that an element can hold; commands must refuse more.
pub const ELEMENT_MAX: usize = u32::MAX as usize - 64;

const MEDIUM: u8 = 0x80;
const MEDIUM_MAX: usize = 0xfff;
const SMALL: u8 = 0x90;
const SMALL_MAX: i64 = 99;
/// An integer of `n` bytes has the head `WIDE + n`.
const WIDE: u8 = 0xf3;
const DOUBLE: u8 = 0xfc;
const LONG: u8 = 0xfd;

/// A value of a packed sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element<'b> {
    /// Text that is not a canonical integer.
    Str(&'b [u8]),
    /// An integer, of a text or of a score.
    Int(i64),
    /// A score that is not an integer.
    Double(f64),
}

/// The bytes of an element before those of its string.
pub(in crate::types) struct Head {
    bytes: [u8; 9],
    len: u8,
}

impl Head {
    pub(in crate::types) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(first: u8, rest: &[u8]) -> Self {
        let mut bytes = [first; 9];
        bytes[1..=rest.len()].copy_from_slice(rest);
        Self { bytes, len: 1 + rest.len() as u8 }
    }
}

impl<'b> Element<'b> {
    /// The element that stands for a text.
    #[inline]
    pub fn of(text: &'b [u8]) -> Self {
        match parse_i64(text) {
            Some(value) => Self::Int(value),
            None => Self::Str(text),
        }
    }

    /// The element that stands for a score.
    pub fn of_score(score: f64) -> Self {
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        let whole = score.trunc() == score && (-BEYOND..BEYOND).contains(&score);
        if whole && (score != 0.0 || score.is_sign_positive()) {
            Self::Int(score as i64) // exact: a whole number within the range
        } else {
            Self::Double(score)
        }
    }

    /// The number, if it was made by [`Element::of_score`].
    pub fn score(&self) -> Option<f64> {
        match *self {
            Self::Str(_) => None,
            Self::Int(value) => Some(value as f64),
            Self::Double(value) => Some(value),
        }
    }

    /// Appends the text.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Str(text) => out.extend_from_slice(text),
            Self::Int(value) => write_i64(out, value),
            Self::Double(value) => format_f64(out, value),
        }
    }

    /// The text: a string where it stands, a number written to `scratch`, which is cleared first.
    #[inline]
    pub fn text<'t>(&'t self, scratch: &'t mut Vec<u8>) -> &'t [u8] {
        if let Self::Str(text) = self {
            return text;
        }
        scratch.clear();
        self.write_text(scratch);
        scratch
    }

    /// Bytes that the element takes in a packed sequence.
    #[inline]
    pub fn size(&self) -> usize {
        self.head().bytes().len() + self.payload().len()
    }

    #[inline]
    pub(in crate::types) fn head(&self) -> Head {
        match *self {
            Self::Str(_) => match self.payload().len() {
                len @ 0..=0x7f => Head::new(len as u8, &[]),
                len @ ..=MEDIUM_MAX => Head::new(MEDIUM | (len >> 8) as u8, &[len as u8]),
                len => Head::new(LONG, &(len as u32).to_le_bytes()),
            },
            Self::Int(value @ 0..=SMALL_MAX) => Head::new(SMALL + value as u8, &[]),
            Self::Int(value) => {
                let signs = value.leading_zeros().max(value.leading_ones());
                let len = (65 - signs).div_ceil(8);
                Head::new(WIDE + len as u8, &value.to_le_bytes()[..len as usize])
            }
            Self::Double(value) => Head::new(DOUBLE, &value.to_le_bytes()),
        }
    }

    /// What follows the head. A string that no element may hold is cut, lest its length lie.
    #[inline]
    pub(in crate::types) fn payload(&self) -> &'b [u8] {
        match *self {
            Self::Str(text) => {
                debug_assert!(text.len() <= ELEMENT_MAX, "commands refuse longer elements");
                &text[..text.len().min(ELEMENT_MAX)]
            }
            Self::Int(_) | Self::Double(_) => &[],
        }
    }

    /// Whether `bytes`, from which this was read, are the ones that [`Element::push`] writes (P1).
    pub(super) fn is_canonical(&self, bytes: &[u8]) -> bool {
        let same = match *self {
            Self::Str(text) => text.len() <= ELEMENT_MAX && parse_i64(text).is_none(),
            Self::Int(_) => true,
            Self::Double(value) => !value.is_nan() && Self::of_score(value) == *self,
        };
        same && bytes.starts_with(self.head().bytes())
    }

    /// Appends the element to a packed sequence.
    #[inline]
    pub fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head().bytes());
        out.extend_from_slice(self.payload());
    }
}

/// Bytes that the first element of `bytes` takes. None if there is none, or not all of it.
#[inline]
pub(in crate::types) fn size(bytes: &[u8]) -> Option<usize> {
    let head = *bytes.first()?;
    let size = match head {
        ..MEDIUM => 1 + usize::from(head),
        MEDIUM..SMALL => 2 + (usize::from(head - MEDIUM) << 8 | usize::from(*bytes.get(1)?)),
        SMALL..=WIDE => 1,
        _ if head < DOUBLE => 1 + usize::from(head - WIDE),
        DOUBLE => 9,
        LONG => 5 + u32::from_le_bytes(*bytes.get(1..)?.first_chunk()?) as usize,
        _ => return None,
    };
    (size <= bytes.len()).then_some(size)
}

/// The first element of `bytes` and its size; None as for [`size`].
#[inline]
pub(in crate::types) fn decode(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let size = size(bytes)?;
    let (&head, rest) = bytes[..size].split_first()?;
    let element = match head {
        ..MEDIUM => Element::Str(rest),
        MEDIUM..SMALL => Element::Str(rest.get(1..)?),
        SMALL..=WIDE => Element::Int(i64::from(head - SMALL)),
        DOUBLE => Element::Double(f64::from_le_bytes(*rest.first_chunk()?)),
        LONG => Element::Str(rest.get(4..)?),
        _ => {
            let mut raw = [0; 8];
            raw.get_mut(..rest.len())?.copy_from_slice(rest);
            let unused = 64 - 8 * rest.len() as u32; // a width is never zero
            Element::Int(i64::from_le_bytes(raw) << unused >> unused)
        }
    };
    Some((element, size))
}

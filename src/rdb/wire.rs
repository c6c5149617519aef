//! Writing what values are made of.
//!
//! Whoever changes a large value while it is being saved writes the elements concerned with these
//! functions, one by one, and gets what [`super::encode`] would have written.

use super::lzf::Packer;
use crate::types::number::{parse_i64, write_i64};
use crate::types::packed::Element;

/// Texts up to this length are not worth the attempt to compress them.
const WORTH: usize = 20;
/// The longest text of a number that has a short form.
const NUMBER_MAX: usize = 11;

/// A length or a count.
#[inline]
pub fn length(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&[0x40 | (value >> 8) as u8, value as u8]),
        _ => match u32::try_from(value) {
            Ok(value) => {
                out.push(0x80);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Err(_) => {
                out.push(0x81);
                out.extend_from_slice(&value.to_be_bytes());
            }
        },
    }
}

/// A text as it is.
#[inline]
pub fn raw(out: &mut Vec<u8>, text: &[u8]) {
    length(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// A text that is the decimal form of a number.
#[inline]
pub fn number(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[0xc0, value as u8]);
    } else if let Ok(value) = i16::try_from(value) {
        let [a, b] = value.to_le_bytes();
        out.extend_from_slice(&[0xc1, a, b]);
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xc2);
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        let at = out.len();
        out.push(0);
        write_i64(out, value);
        out[at] = (out.len() - at - 1) as u8; // twenty at most
    }
}

/// A text, in the shortest of its forms; compressed only with a `packer`.
#[inline]
pub fn text(out: &mut Vec<u8>, text: &[u8], packer: Option<&mut Packer>) {
    if text.len() <= NUMBER_MAX
        && let Some(value) = parse_i64(text)
        && i32::try_from(value).is_ok()
    {
        return number(out, value);
    }
    plain(out, text, packer);
}

/// A text that is no number.
#[inline]
fn plain(out: &mut Vec<u8>, text: &[u8], packer: Option<&mut Packer>) {
    if text.len() > WORTH
        && let Some(packed) = packer.and_then(|packer| packer.pack(text))
    {
        out.push(0xc3);
        length(out, packed.len() as u64);
        length(out, text.len() as u64);
        out.extend_from_slice(packed);
        return;
    }
    raw(out, text);
}

/// An element of a compact collection.
#[inline]
pub fn element(out: &mut Vec<u8>, element: &Element<'_>, packer: Option<&mut Packer>) {
    match *element {
        Element::Str(text) => plain(out, text, packer),
        Element::Int(value) => number(out, value),
        Element::Double(_) => {
            let mut text = Vec::new();
            element.write_text(&mut text);
            raw(out, &text);
        }
    }
}

/// A score.
#[inline]
pub fn double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A time in milliseconds.
#[inline]
pub fn time(out: &mut Vec<u8>, ms: i64) {
    out.extend_from_slice(&ms.to_le_bytes());
}

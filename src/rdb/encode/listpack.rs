//! Building listpacks, in which streams keep their entries.
//!
//! ```text
//!   total size, u32 | elements, u16 | element, its size | ... | 0xff
//! ```
//! The size behind an element is for walking back: seven bits a byte, the high ones first.

use crate::types::packed::Element;

const HEAD: usize = 6;
const END: u8 = 0xff;

/// A listpack in the making.
#[derive(Debug)]
pub struct Pack {
    bytes: Vec<u8>,
    count: usize,
}

impl Pack {
    /// The empty one.
    pub fn new() -> Self {
        Self { bytes: vec![0; HEAD], count: 0 }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.bytes.truncate(HEAD);
        self.count = 0;
    }

    /// Adds a number.
    pub fn int(&mut self, value: i64) {
        let from = self.bytes.len();
        let bytes = value.to_le_bytes();
        match value {
            0..=127 => self.bytes.push(bytes[0]),
            -4096..=4095 => self.bytes.extend_from_slice(&[0xc0 | bytes[1] & 0x1f, bytes[0]]),
            _ => {
                let bits = 65 - value.leading_zeros().max(value.leading_ones());
                let (code, len) = match bits {
                    ..=16 => (0xf1, 2),
                    17..=24 => (0xf2, 3),
                    25..=32 => (0xf3, 4),
                    _ => (0xf4, 8),
                };
                self.bytes.push(code);
                self.bytes.extend_from_slice(&bytes[..len]);
            }
        }
        self.close(from);
    }

    /// Adds an element.
    pub fn element(&mut self, element: &Element<'_>) {
        match *element {
            Element::Int(value) => self.int(value),
            Element::Str(text) => self.text(text),
            Element::Double(_) => {
                let mut text = Vec::new();
                element.write_text(&mut text);
                self.text(&text);
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        let (from, len) = (self.bytes.len(), text.len());
        match len {
            ..0x40 => self.bytes.push(0x80 | len as u8),
            0x40..0x1000 => self.bytes.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]),
            _ => {
                self.bytes.push(0xf0);
                self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
        self.close(from);
    }

    /// Writes the size of the element that began at `from`.
    fn close(&mut self, from: usize) {
        let size = self.bytes.len() - from;
        let width = width_of(size);
        for at in (0..width).rev() {
            let more = if at + 1 == width { 0 } else { 0x80 };
            self.bytes.push((size >> (7 * at) & 0x7f) as u8 | more);
        }
        self.count += 1;
    }

    /// How many elements there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// The whole listpack.
    pub fn finish(&mut self) -> &[u8] {
        self.bytes.push(END);
        let total = (self.bytes.len() as u32).to_le_bytes();
        let count = u16::try_from(self.count).unwrap_or(u16::MAX).to_le_bytes();
        self.bytes[..4].copy_from_slice(&total);
        self.bytes[4..HEAD].copy_from_slice(&count);
        &self.bytes
    }
}

/// Bytes that the size of an element takes. The bounds are one less than they could be, in Redis, and
/// so everywhere.
pub const fn width_of(size: usize) -> usize {
    match size {
        ..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

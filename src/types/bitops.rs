//! Bits of a string: bit 0 is the highest bit of the first byte, as SETBIT counts them.
//!
//! A string ends in infinitely many zero bits: reading past its end gives zeros, writing past it
//! makes it longer. Integers inside ([`Field`]) are big-endian and need no alignment.
//!
//! Offsets are 64-bit. [`parse_offset`] is the gate that keeps them below the longest string the
//! server allows; functions that lengthen a string expect offsets that passed it.

use crate::types::number;

/// The bit offset `text` spells, or None if it is no number or lies beyond `len_max` bytes.
/// Given a field width, `#n` means the n-th field of that width (BITFIELD).
pub fn parse_offset(text: &[u8], field_bits: Option<u32>, len_max: u64) -> Option<u64> {
    let offset = match (text, field_bits) {
        ([b'#', index @ ..], Some(bits)) => {
            number::parse_i64(index)?.checked_mul(i64::from(bits))?
        }
        _ => number::parse_i64(text)?,
    };
    u64::try_from(offset).ok().filter(|offset| offset >> 3 < len_max)
}

/// The length in bytes of the shortest string that holds the bit.
pub fn len_holding(offset: u64) -> u64 {
    (offset >> 3) + 1
}

/// The bit at `offset`.
pub fn get_bit(bytes: &[u8], offset: u64) -> bool {
    byte_at(bytes, offset >> 3) & mask(offset) != 0
}

/// Writes the bit, lengthening the string if needed, and returns what it was.
pub fn set_bit(bytes: &mut Vec<u8>, offset: u64, on: bool) -> bool {
    grow(bytes, offset);
    let byte = &mut bytes[(offset >> 3) as usize];
    let was = *byte & mask(offset) != 0;
    if on {
        *byte |= mask(offset);
    } else {
        *byte &= !mask(offset);
    }
    was
}

/// Appends zero bytes until the string holds the bit; says whether there were any to append.
pub fn grow(bytes: &mut Vec<u8>, offset: u64) -> bool {
    let len = len_holding(offset) as usize;
    let longer = len > bytes.len();
    if longer {
        bytes.resize(len, 0);
    }
    longer
}

fn mask(offset: u64) -> u8 {
    0x80 >> (offset & 7)
}

fn byte_at(bytes: &[u8], index: u64) -> u8 {
    usize::try_from(index).ok().and_then(|index| bytes.get(index)).copied().unwrap_or(0)
}

/// What the ends of a [`Range`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Byte,
    Bit,
}

/// A part of a string as BITCOUNT and BITPOS name it: both ends belong to it, negative numbers
/// count from the end of the string, an open end is the end of the string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub start: i64,
    pub end: Option<i64>,
    pub unit: Unit,
}

impl Range {
    /// The whole string.
    pub const ALL: Range = Range { start: 0, end: None, unit: Unit::Byte };

    /// First and last bit of the range in a string of `len` bytes, both included; None if empty.
    pub fn resolve(self, len: usize) -> Option<(u64, u64)> {
        let unit_bits = if self.unit == Unit::Byte { 8 } else { 1 };
        let total = (len as i64).checked_mul(8 / unit_bits)?;
        let from_end = |index: i64| if index < 0 { (total + index).max(0) } else { index };
        let start = from_end(self.start);
        let end = from_end(self.end.unwrap_or(-1)).min(total - 1);
        if start > end {
            return None;
        }
        let bits = unit_bits as u64;
        Some((start as u64 * bits, end as u64 * bits + bits - 1))
    }
}

/// How many bits of the range are set.
pub fn count(bytes: &[u8], range: Range) -> u64 {
    let Some((first, last)) = range.resolve(bytes.len()) else { return 0 };
    let covered = &bytes[(first >> 3) as usize..=(last >> 3) as usize];
    let (words, rest) = covered.as_chunks::<8>();
    let in_words: u64 =
        words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    let in_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    // Take back what the edge bytes hold outside of the range.
    let before = bytes[(first >> 3) as usize] & !(0xff >> (first & 7));
    let after = bytes[(last >> 3) as usize] & !(0xff << (7 - (last & 7)));
    in_words + in_rest - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// Where in the range the first bit equal to `bit` is.
///
/// The zeros after the string count only for a range with an open end. An empty range holds none.
pub fn position(bytes: &[u8], bit: bool, range: Range) -> Option<u64> {
    let (first, last) = range.resolve(bytes.len())?;
    // Looking for ones only: for zeros every byte is turned over on the way.
    let flip = if bit { 0 } else { 0xff };
    let (first_byte, last_byte) = ((first >> 3) as usize, (last >> 3) as usize);
    let edge = (bytes[first_byte] ^ flip) & (0xff >> (first & 7));
    let found = if edge != 0 {
        Some(at(first_byte, edge))
    } else {
        let rest = &bytes[first_byte + 1..=last_byte];
        first_nonzero(rest, flip).map(|(index, byte)| at(first_byte + 1 + index, byte))
    };
    match found {
        Some(position) if position <= last => Some(position),
        _ if !bit && range.end.is_none() => Some(bytes.len() as u64 * 8),
        _ => None,
    }
}

fn at(index: usize, byte: u8) -> u64 {
    index as u64 * 8 + u64::from(byte.leading_zeros())
}

/// The first byte that is not zero after `^ flip`, and its index. Whole words are skipped at once.
fn first_nonzero(bytes: &[u8], flip: u8) -> Option<(usize, u8)> {
    let (words, _) = bytes.as_chunks::<8>();
    let skip = words.iter().take_while(|word| **word == [flip; 8]).count() * 8;
    let index = skip + bytes[skip..].iter().position(|&byte| byte != flip)?;
    Some((index, bytes[index] ^ flip))
}

/// How BITOP combines its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    And,
    Or,
    Xor,
    /// Of one source.
    Not,
    /// In the first source and in no other.
    Diff,
    /// In any of the others and not in the first source.
    Diff1,
    /// In the first source and in any of the others.
    AndOr,
    /// In exactly one of the sources.
    One,
}

impl Op {
    /// The operation named `text`, in any case.
    pub fn parse(text: &[u8]) -> Option<Op> {
        const NAMES: [(&str, Op); 8] = [
            ("AND", Op::And),
            ("OR", Op::Or),
            ("XOR", Op::Xor),
            ("NOT", Op::Not),
            ("DIFF", Op::Diff),
            ("DIFF1", Op::Diff1),
            ("ANDOR", Op::AndOr),
            ("ONE", Op::One),
        ];
        let named = |(name, _): &&(&str, Op)| text.eq_ignore_ascii_case(name.as_bytes());
        NAMES.iter().find(named).map(|(_, op)| *op)
    }

    /// Why this operation cannot work on so many sources, as an error reply after its `-`.
    pub fn check_sources(self, sources: usize) -> Result<(), &'static str> {
        match self {
            Op::Not if sources != 1 => {
                Err("ERR BITOP NOT must be called with a single source key.")
            }
            Op::Diff if sources < 2 => {
                Err("ERR BITOP DIFF must be called with at least two source keys.")
            }
            Op::Diff1 if sources < 2 => {
                Err("ERR BITOP DIFF1 must be called with at least two source keys.")
            }
            Op::AndOr if sources < 2 => {
                Err("ERR BITOP ANDOR must be called with at least two source keys.")
            }
            _ => Ok(()),
        }
    }

    /// The result, as long as the longest source; shorter ones end in zeros.
    pub fn combine(self, sources: &[&[u8]]) -> Vec<u8> {
        let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let mut out = Vec::with_capacity(len);
        self.extend(sources, &mut out, len);
        out
    }

    /// Lengthens `out`, which holds the beginning of the result, to its first `until` bytes: at most
    /// as many as the longest source has.
    pub fn extend(self, sources: &[&[u8]], out: &mut Vec<u8>, until: usize) {
        let from = out.len();
        out.resize(until.max(from), 0);
        // By blocks, so that a result of many megabytes stays in the cache while its sources pass.
        for (index, block) in out[from..].chunks_mut(BLOCK).enumerate() {
            let (start, len) = (from + index * BLOCK, block.len());
            let parts = sources.iter().map(|source| {
                let tail = source.get(start..).unwrap_or(&[]);
                &tail[..tail.len().min(len)]
            });
            self.combine_block(block, parts);
        }
    }

    /// Fills `out`, all zeros before, with this block of the result. The loops are written over
    /// plain bytes; the compiler makes vector instructions of them.
    fn combine_block<'a>(self, out: &mut [u8], mut parts: impl Iterator<Item = &'a [u8]>) {
        match self {
            Op::Or => parts.for_each(|part| merge(out, part, |a, b| a | b)),
            Op::Xor => parts.for_each(|part| merge(out, part, |a, b| a ^ b)),
            Op::Not => {
                parts.for_each(|part| merge(out, part, |_, b| b));
                out.iter_mut().for_each(|byte| *byte = !*byte);
            }
            Op::And => {
                merge(out, parts.next().unwrap_or(&[]), |_, b| b);
                for part in parts {
                    merge(out, part, |a, b| a & b);
                    out[part.len()..].fill(0);
                }
            }
            Op::Diff | Op::Diff1 | Op::AndOr => {
                let first = parts.next().unwrap_or(&[]);
                parts.for_each(|part| merge(out, part, |a, b| a | b));
                match self {
                    Op::Diff => merge(out, first, |any, x| x & !any),
                    Op::Diff1 => merge(out, first, |any, x| any & !x),
                    _ => merge(out, first, |any, x| any & x),
                }
                if self != Op::Diff1 {
                    out[first.len()..].fill(0);
                }
            }
            Op::One => {
                let mut twice = [0; BLOCK];
                for part in parts {
                    for ((once, twice), byte) in out.iter_mut().zip(&mut twice).zip(part) {
                        *twice |= *once & byte;
                        *once |= byte;
                    }
                }
                merge(out, &twice, |once, twice| once & !twice);
            }
        }
    }
}

const BLOCK: usize = 4096;

fn merge(out: &mut [u8], part: &[u8], apply: impl Fn(u8, u8) -> u8) {
    for (byte, other) in out.iter_mut().zip(part) {
        *byte = apply(*byte, *other);
    }
}

/// An integer inside a string: `u1` to `u63`, `i1` to `i64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    signed: bool,
    bits: u32,
}

/// What to do with a number that does not fit its [`Field`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Drop the high bits.
    #[default]
    Wrap,
    /// Use the nearest number that fits.
    Sat,
    /// Write nothing.
    Fail,
}

impl Overflow {
    /// The behaviour named `text`, in any case.
    pub fn parse(text: &[u8]) -> Option<Overflow> {
        match text.to_ascii_lowercase().as_slice() {
            b"wrap" => Some(Overflow::Wrap),
            b"sat" => Some(Overflow::Sat),
            b"fail" => Some(Overflow::Fail),
            _ => None,
        }
    }
}

impl Field {
    /// Reads `u8`, `i64` and the like.
    pub fn parse(text: &[u8]) -> Option<Field> {
        let (signed, bits) = match text {
            [b'i', bits @ ..] => (true, bits),
            [b'u', bits @ ..] => (false, bits),
            _ => return None,
        };
        // u64 would need replies beyond the range of signed integers.
        let bits_max = if signed { 64 } else { 63 };
        let bits = number::parse_i64(bits).filter(|bits| (1..=bits_max).contains(bits))?;
        Some(Field { signed, bits: bits as u32 })
    }

    /// The width.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// The last bit of the field that begins at `offset`.
    pub fn last_bit(self, offset: u64) -> u64 {
        offset + u64::from(self.bits) - 1
    }

    /// The number at `offset`.
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let last = self.last_bit(offset);
        // At most nine bytes.
        let raw = ((offset >> 3)..=(last >> 3))
            .fold(0u128, |raw, index| raw << 8 | u128::from(byte_at(bytes, index)));
        self.extend((raw >> (7 - (last & 7))) as u64)
    }

    /// The number that is written when `value` is asked for; None if nothing is.
    pub fn setting(self, value: i64, over: Overflow) -> Option<i64> {
        // Unsigned fields see a negative value as a very large one.
        let wide = if self.signed { i128::from(value) } else { i128::from(value as u64) };
        self.fit(wide, over)
    }

    /// The number that is written when `by` is to be added to `current`; None if nothing is.
    pub fn adding(self, current: i64, by: i64, over: Overflow) -> Option<i64> {
        self.fit(i128::from(current) + i128::from(by), over)
    }

    fn fit(self, value: i128, over: Overflow) -> Option<i64> {
        let (min, max) = if self.signed {
            (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        };
        match over {
            Overflow::Fail if !(min..=max).contains(&value) => None,
            Overflow::Fail | Overflow::Sat => Some(value.clamp(min, max) as i64),
            Overflow::Wrap => Some(self.extend(value as u64)),
        }
    }

    /// Reads the low bits of `raw` as a number of this field.
    fn extend(self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed {
            (raw << unused) as i64 >> unused
        } else {
            (raw << unused >> unused) as i64
        }
    }

    /// Writes a number of this field at `offset`, lengthening the string if needed.
    pub fn put(self, bytes: &mut Vec<u8>, offset: u64, value: i64) {
        let last = self.last_bit(offset);
        grow(bytes, last);
        let low = 7 - (last & 7);
        let keep = !(((1u128 << self.bits) - 1) << low);
        let window = &mut bytes[(offset >> 3) as usize..=(last >> 3) as usize];
        let old = window.iter().fold(0u128, |raw, byte| raw << 8 | u128::from(*byte));
        let mut raw = old & keep | u128::from(value as u64) << low & !keep;
        for byte in window.iter_mut().rev() {
            *byte = raw as u8;
            raw >>= 8;
        }
    }
}

#[cfg(test)]
mod tests;

//! The arithmetic of INCRBYFLOAT and HINCRBYFLOAT: x87 extended precision, in software.
//!
//! Redis adds `long double`s, which on x86-64 have a 64-bit mantissa, and prints 17 decimals of the
//! sum. Doubles would print other digits (0.1 + 0.2 gives `0.3` there), and replicas and log files
//! carry those digits, so the result must not depend on the machine we run on. Every step here is
//! exact until one rounding to nearest, ties to even, at the end of parsing, adding and printing.
//!
//! A number is `mant * 2^exp`; nothing requires the top bit of `mant` to be set.

use crate::types::big::Big;
use crate::types::number;

/// Texts of this length and more are no numbers (the size of the buffer Redis parses from); it
/// bounds the work as well.
const TEXT_LEN_MAX: usize = 5 * 1024;

/// What a floating-point format holds: `bits` of mantissa, whose lowest may count from `2^exp_min`
/// to `2^exp_max`.
pub(super) struct Layout {
    pub bits: i32,
    pub exp_min: i32,
    pub exp_max: i32,
}

const EXTENDED: Layout = Layout { bits: 64, exp_min: -16445, exp_max: 16320 };

/// A positive number known exactly: `(mant + a fraction in (0, 1) if sticky) * 2^exp`. If `sticky`,
/// `mant` has at least two bits more than any layout keeps.
pub(super) struct Exact {
    pub mant: u128,
    pub sticky: bool,
    pub exp: i32,
}

/// What became of an [`Exact`] in a layout.
pub(super) enum Rounded {
    Finite { mant: u64, exp: i32 },
    Overflow,
}

impl Exact {
    /// To nearest, ties to even. A value below half the smallest one gives a mantissa of zero.
    pub(super) fn round(&self, layout: &Layout) -> Rounded {
        let len = 128 - self.mant.leading_zeros() as i32;
        let mut exp = (self.exp + len - layout.bits).max(layout.exp_min);
        let dropped = exp - self.exp;
        if dropped <= 0 {
            // All bits fit (`len <= bits`), so the mantissa is below 2^64.
            let fits = self.exp + len <= layout.exp_max + layout.bits;
            let finite = Rounded::Finite { mant: self.mant as u64, exp: self.exp };
            return if fits { finite } else { Rounded::Overflow };
        }
        let mut kept = shift_right(self.mant, dropped);
        let rest = if dropped >= 128 { self.mant } else { self.mant & ((1 << dropped) - 1) };
        let half = if dropped > 128 { u128::MAX } else { 1 << (dropped - 1) };
        if rest > half || (rest == half && dropped <= 128 && (self.sticky || kept & 1 == 1)) {
            kept += 1;
        }
        if kept == 1 << layout.bits {
            kept >>= 1;
            exp += 1;
        }
        if exp > layout.exp_max {
            return Rounded::Overflow;
        }
        Rounded::Finite { mant: kept as u64, exp }
    }
}

fn shift_right(value: u128, by: i32) -> u128 {
    if by >= 128 { 0 } else { value >> by }
}

/// An 80-bit floating-point number, never NaN.
#[derive(Debug, Clone, Copy)]
pub struct Extended {
    negative: bool,
    size: Size,
}

#[derive(Debug, Clone, Copy)]
enum Size {
    Finite { mant: u64, exp: i32 },
    Infinite,
}

/// Why INCRBYFLOAT refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatError {
    /// The stored value or the increment is no number.
    NotAFloat,
    /// The sum is infinite, or infinity minus infinity.
    NanOrInfinity,
}

impl FloatError {
    /// The reply after its `-`.
    pub const fn text(self) -> &'static str {
        match self {
            FloatError::NotAFloat => "ERR value is not a valid float",
            FloatError::NanOrInfinity => "ERR increment would produce NaN or Infinity",
        }
    }
}

/// The value INCRBYFLOAT stores: `current + increment`, both as text.
pub fn incr_by_float(current: &[u8], increment: &[u8]) -> Result<Vec<u8>, FloatError> {
    let current = Extended::parse(current).ok_or(FloatError::NotAFloat)?;
    let increment = Extended::parse(increment).ok_or(FloatError::NotAFloat)?;
    let sum = current.checked_add(increment).ok_or(FloatError::NanOrInfinity)?;
    let mut out = Vec::new();
    sum.write(&mut out);
    Ok(out)
}

impl Extended {
    /// Zero, the value of a missing key.
    pub const ZERO: Extended = Extended { negative: false, size: Size::Finite { mant: 0, exp: 0 } };

    /// The integer, exactly.
    pub fn from_i64(value: i64) -> Extended {
        let size = Size::Finite { mant: value.unsigned_abs(), exp: 0 };
        Extended { negative: value < 0, size }
    }

    /// Reads what C's `strtold` reads, all of `text`: decimal, hexadecimal, `inf`, `infinity`.
    ///
    /// None for NaN, blanks, 5 KiB and more, and numbers beyond the range or too close to zero.
    pub fn parse(text: &[u8]) -> Option<Extended> {
        if text.len() >= TEXT_LEN_MAX {
            return None;
        }
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
            return Some(Extended { negative, size: Size::Infinite });
        }
        let exact = match unsigned {
            [b'0', b'x' | b'X', digits @ ..] => parse_hex(digits)?,
            _ => parse_decimal(unsigned)?,
        };
        let size = match exact.map(|exact| exact.round(&EXTENDED)) {
            None => Size::Finite { mant: 0, exp: 0 },
            Some(Rounded::Finite { mant, exp }) if mant != 0 => Size::Finite { mant, exp },
            Some(_) => return None,
        };
        Some(Extended { negative, size })
    }

    /// Whether this is an infinity (parsed from its name).
    pub fn is_infinite(self) -> bool {
        matches!(self.size, Size::Infinite)
    }

    /// The sum, rounded once; None if it is not a finite number.
    pub fn checked_add(self, other: Extended) -> Option<Extended> {
        let (Size::Finite { mant: a, exp: a_exp }, Size::Finite { mant: b, exp: b_exp }) =
            (self.size, other.size)
        else {
            return None;
        };
        if a == 0 || b == 0 {
            return Some(if a == 0 { other } else { self });
        }
        let (a, b) = (align_left(a, a_exp), align_left(b, b_exp));
        let swap = (b.1, b.0) > (a.1, a.0);
        let ((big, exp), (small, small_exp)) = if swap { (b, a) } else { (a, b) };
        let negative = if swap { other.negative } else { self.negative };
        // Both have bit 126 set. Folding what falls off into the lowest bit keeps the rounding
        // right: if anything falls off, the result has 125 bits or more, far more than are kept.
        let distance = exp - small_exp;
        let shifted = shift_right(small, distance);
        let lost = distance >= 127 || shifted << distance != small;
        let small = shifted | u128::from(lost);
        let mant = if self.negative == other.negative { big + small } else { big - small };
        if mant == 0 {
            return Some(Extended::ZERO);
        }
        match (Exact { mant, sticky: false, exp }).round(&EXTENDED) {
            Rounded::Finite { mant, exp } => {
                Some(Extended { negative, size: Size::Finite { mant, exp } })
            }
            Rounded::Overflow => None,
        }
    }

    /// Appends the number with at most 17 decimals and no trailing zeros, never in scientific form.
    pub fn write(self, out: &mut Vec<u8>) {
        let Size::Finite { mant, exp } = self.size else {
            return out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" });
        };
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        if exp >= 0 {
            write_shifted(out, mant, exp as u32);
        } else {
            write_fixed(out, mant, exp.unsigned_abs());
        }
        if out[start..] == *b"-0" {
            out.truncate(start);
            out.push(b'0');
        }
    }
}

/// The same number with bit 126 set, so that sums of two have a spare bit on top.
fn align_left(mant: u64, exp: i32) -> (u128, i32) {
    let by = u128::from(mant).leading_zeros() as i32 - 1;
    (u128::from(mant) << by, exp - by)
}

/// Appends the integer `mant * 2^exp`.
fn write_shifted(out: &mut Vec<u8>, mant: u64, exp: u32) {
    if exp < 64 {
        let value = u128::from(mant) << exp;
        return out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
    let mut rest = Big::from(mant);
    rest.shift_left(exp as usize);
    let mut chunks = Vec::new();
    while !rest.is_zero() {
        chunks.push(rest.divide(10u64.pow(19)));
    }
    for (index, chunk) in chunks.iter().rev().enumerate() {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(*chunk).as_bytes();
        if index > 0 {
            out.resize(out.len() + (19 - digits.len()), b'0');
        }
        out.extend_from_slice(digits);
    }
}

/// Appends `mant / 2^down` rounded to 17 decimals, ties to even.
fn write_fixed(out: &mut Vec<u8>, mant: u64, down: u32) {
    const SCALE: u128 = 10u128.pow(17);
    // 64 bits of mantissa and 57 of scale: from 122 bits down, the result is below one half.
    let scaled = u128::from(mant) * SCALE;
    let decimals = if down > 122 {
        0
    } else {
        let (kept, rest) = (scaled >> down, scaled & ((1 << down) - 1));
        let half = 1u128 << (down - 1);
        kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
    };
    out.extend_from_slice(itoa::Buffer::new().format(decimals / SCALE).as_bytes());
    let mut fraction = (decimals % SCALE) as u64;
    if fraction == 0 {
        return;
    }
    let mut width = 17;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    out.push(b'.');
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(fraction).as_bytes();
    out.resize(out.len() + (width - digits.len()), b'0');
    out.extend_from_slice(digits);
}

/// The parts of `12.5e-3`: the digits around the point, and the power of the base they end with.
struct Literal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// Splits a literal whose digits satisfy `is_digit` and whose exponent follows `mark`.
fn split_literal(text: &[u8], is_digit: fn(&u8) -> bool, mark: u8) -> Option<Literal<'_>> {
    let run = |from: &[u8]| from.iter().take_while(|byte| is_digit(byte)).count();
    let (whole, mut rest) = text.split_at(run(text));
    let mut fraction = &[][..];
    if let [b'.', tail @ ..] = rest {
        (fraction, rest) = tail.split_at(run(tail));
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [byte, tail @ ..] if byte.eq_ignore_ascii_case(&mark) => parse_exponent(tail)?,
        _ => return None,
    };
    Some(Literal { whole, fraction, exponent })
}

/// `[+-]digits`, held within ±10^9: far outside every range, and far from overflow.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let first = digits.iter().position(|&byte| byte != b'0').unwrap_or(digits.len() - 1);
    let size = number::parse_i64(&digits[first..]).unwrap_or(i64::MAX).min(1_000_000_000);
    Some(if negative { -size } else { size })
}

/// Reads `12.5e-3`. The inner None is zero.
fn parse_decimal(text: &[u8]) -> Option<Option<Exact>> {
    let literal = split_literal(text, u8::is_ascii_digit, b'e')?;
    let mut digits: Vec<u8> = literal.whole.iter().chain(literal.fraction).copied().collect();
    let mut exponent = literal.exponent - literal.fraction.len() as i64;
    while digits.last() == Some(&b'0') {
        digits.pop();
        exponent += 1;
    }
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return Some(None);
    }
    // The range of the format is 10^-4951 to 10^4932; outside of it there is nothing to round.
    let magnitude = digits.len() as i64 + exponent;
    if !(-4960..=4940).contains(&magnitude) {
        return None;
    }
    let exponent = exponent as i32; // within 5 * 1024 + 4960
    if digits.len() <= 19 && (-18..=19).contains(&exponent) {
        return Some(Some(small_decimal(number::parse_u64(digits)?, exponent)));
    }
    Some(Some(big_decimal(digits, exponent)))
}

/// `mantissa * 10^exponent` for a nonzero mantissa and an exponent from -18 to 19.
fn small_decimal(mantissa: u64, exponent: i32) -> Exact {
    if exponent >= 0 {
        let mant = u128::from(mantissa) * 10u128.pow(exponent.unsigned_abs());
        return Exact { mant, sticky: false, exp: 0 };
    }
    // The dividend has 128 bits and the divisor at most 60, which leaves 68 or more.
    let by = u128::from(mantissa).leading_zeros();
    let dividend = u128::from(mantissa) << by;
    let divisor = 10u128.pow(exponent.unsigned_abs());
    Exact { mant: dividend / divisor, sticky: dividend % divisor != 0, exp: -(by as i32) }
}

/// `digits * 10^exponent` for any number of digits, the first of them not zero.
fn big_decimal(digits: &[u8], exponent: i32) -> Exact {
    let mut value = Big::from(0);
    for chunk in digits.chunks(18) {
        let number = chunk.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        value.multiply_add(10u64.pow(chunk.len() as u32), number);
    }
    if exponent >= 0 {
        value.multiply_power_of_ten(exponent.unsigned_abs());
        return value.top();
    }
    let mut divisor = Big::from(1);
    divisor.multiply_power_of_ten(exponent.unsigned_abs());
    value.quotient(divisor)
}

/// Reads `1f.8p-3`, the part after `0x`. The inner None is zero.
pub(super) fn parse_hex(text: &[u8]) -> Option<Option<Exact>> {
    let literal = split_literal(text, u8::is_ascii_hexdigit, b'p')?;
    let (mut mant, mut sticky, mut dropped) = (0u128, false, 0i64);
    for byte in literal.whole.iter().chain(literal.fraction) {
        let digit = char::from(*byte).to_digit(16).unwrap_or(0);
        if mant >> 124 == 0 {
            mant = mant << 4 | u128::from(digit);
        } else {
            sticky |= digit != 0;
            dropped += 4;
        }
    }
    if mant == 0 {
        return Some(None);
    }
    let exp = literal.exponent + dropped - 4 * literal.fraction.len() as i64;
    // Far outside of every range either way; the clamp only keeps the arithmetic small.
    Some(Some(Exact { mant, sticky, exp: exp.clamp(-1_000_000, 1_000_000) as i32 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `value TAB increment TAB reply`, the replies given by redis-server 7.0.15 on x86-64.
    fn check(lines: &str) {
        for line in lines.lines() {
            let mut parts = line.split('\t').map(|part| part.replace("\\0", "\0"));
            let (Some(a), Some(b), Some(want)) = (parts.next(), parts.next(), parts.next()) else {
                panic!("bad line {line}");
            };
            let got = match incr_by_float(a.as_bytes(), b.as_bytes()) {
                Ok(sum) => String::from_utf8(sum).unwrap(),
                Err(error) => format!("-{}", error.text()),
            };
            assert_eq!(got, want, "{a} + {b}");
        }
    }

    #[test]
    fn sums_print_as_in_redis() {
        check(include_str!("testdata/incrbyfloat.tsv"));
    }

    #[test]
    fn integers_are_exact() {
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            Extended::from_i64(value).write(&mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn text_length_is_bounded() {
        assert!(Extended::parse(&[b'0'; TEXT_LEN_MAX - 1]).is_some());
        assert!(Extended::parse(&[b'0'; TEXT_LEN_MAX]).is_none());
        assert!(Extended::parse(b"-inf").is_some_and(Extended::is_infinite));
    }
}

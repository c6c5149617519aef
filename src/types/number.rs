//! Numbers as clients write and read them.
//!
//! One text per integer: [`parse_i64`] accepts exactly what [`write_i64`] prints, so a string that
//! parses may be stored as a number and read back byte for byte. Doubles are the opposite: any
//! spelling C's `strtod` takes is a score, and printing uses 17 digits as Redis 7.0 does.

use std::io::Write;

use crate::types::extended::{Layout, Rounded, parse_hex};

/// The integer `text` spells in its one canonical form: no `+`, no blank, no leading zero, no `-0`.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match *digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 10^19, which fits.
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// As [`parse_i64`] for numbers that cannot be negative, up to `u64::MAX`.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match *text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ref rest @ ..] => {
            let mut value = u64::from(text[0] - b'0');
            for byte in rest {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return None;
                }
                value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
            }
            Some(value)
        }
        _ => None,
    }
}

/// The number that eight digits spell; all are looked at together.
#[inline]
pub fn parse_eight(text: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(text); // the first digit is the lowest byte
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    // Digits are 0x30 to 0x39: the high half is 3, also after six more.
    let carried = word.wrapping_add(0x0606_0606_0606_0606);
    if (word & HIGH) ^ ZEROS | (carried & HIGH) ^ ZEROS != 0 {
        return None;
    }
    // Neighbours become one number each: eight of one digit, four of two, two of four.
    let pairs = ((word ^ ZEROS).wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// Appends the canonical decimal form.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The double `text` spells, all of it: decimal or hexadecimal, `inf`, `infinity`, any case.
///
/// None for NaN, blanks, and what a double cannot hold: beyond its range, or so small that it would
/// silently become zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let unsigned = match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    };
    let negative = text.first() == Some(&b'-');
    if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
        let magnitude = hex_f64(digits)?;
        return Some(if negative { -magnitude } else { magnitude });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let spelled_out = unsigned.first().is_some_and(u8::is_ascii_alphabetic);
    let significant = || unsigned.iter().take_while(|b| !b.eq_ignore_ascii_case(&b'e'));
    if value.is_nan()
        || (value.is_infinite() && !spelled_out)
        || (value == 0.0 && significant().any(|byte| matches!(byte, b'1'..=b'9')))
    {
        return None;
    }
    Some(value)
}

fn hex_f64(digits: &[u8]) -> Option<f64> {
    const DOUBLE: Layout = Layout { bits: 53, exp_min: -1074, exp_max: 971 };
    let Some(exact) = parse_hex(digits)? else { return Some(0.0) };
    match exact.round(&DOUBLE) {
        Rounded::Finite { mant, exp } if mant != 0 => Some(assemble_f64(mant, exp)),
        Rounded::Finite { .. } | Rounded::Overflow => None,
    }
}

/// `mant * 2^exp`, which a double holds exactly: `mant` below 2^53, not zero; `exp` at least -1074.
fn assemble_f64(mant: u64, exp: i32) -> f64 {
    // Both factors stay exact: the first power is normal, the second only scales within range.
    let half = exp / 2;
    mant as f64 * 2f64.powi(half) * 2f64.powi(exp - half)
}

/// Appends a double as C's `%.17g`, and `inf`, `-inf`, `nan`: the text of Redis 7.0 for scores and
/// RESP3 doubles. It reads back as the same double.
pub fn format_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    }
    // Small integers are nearly all scores there are; no other double prints like one of them.
    if value.fract() == 0.0 && value.abs() < 1e15 && (value != 0.0 || value.is_sign_positive()) {
        return write_i64(out, value as i64);
    }
    // d.dddddddddddddddde[-]x, rounded exactly, ties to even, like C.
    let mut scientific = Vec::with_capacity(32);
    let written = write!(scientific, "{value:.16e}");
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
    let unsigned = match *scientific {
        [b'-', ref rest @ ..] => {
            out.push(b'-');
            rest
        }
        ref all => all,
    };
    let Some(mark) = unsigned.iter().position(|&byte| byte == b'e') else { return };
    let exponent = parse_i64(&unsigned[mark + 1..]).unwrap_or(0);
    let mut digits: Vec<u8> = unsigned[..mark].iter().copied().filter(|b| *b != b'.').collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    lay_out(out, &digits, exponent);
}

/// Places `digits` (no trailing zeros) so that the first one counts `10^exponent`: plainly for
/// exponents from -4 to 16, else in scientific form with at least two digits of exponent.
fn lay_out(out: &mut Vec<u8>, digits: &[u8], exponent: i64) {
    let point = match exponent {
        0..=16 => exponent as usize + 1,
        -4..=-1 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-exponent - 1) as usize, b'0');
            return out.extend_from_slice(digits);
        }
        _ => 1,
    };
    let (whole, fraction) = digits.split_at(point.min(digits.len()));
    out.extend_from_slice(whole);
    out.resize(out.len() + (point - whole.len()), b'0');
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    if !(0..=16).contains(&exponent) {
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        write_i64(out, exponent.abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn f64_text(value: f64) -> String {
        let mut out = Vec::new();
        format_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn eight_digits_are_what_they_say(value in 0u64..100_000_000, other: [u8; 8]) {
            let text = format!("{value:08}");
            prop_assert_eq!(parse_eight(text.as_bytes().try_into().unwrap()), Some(value));
            let digits = other.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(parse_eight(other).is_some(), digits);
            for at in 0..8 {
                let mut text: [u8; 8] = text.as_bytes().try_into().unwrap();
                text[at] = other[at];
                let digits = text.iter().all(u8::is_ascii_digit);
                prop_assert_eq!(parse_eight(text).is_some(), digits);
            }
        }

        #[test]
        fn integers_round_trip(value: i64) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            prop_assert_eq!(parse_i64(&out), Some(value));
            prop_assert_eq!(parse_u64(&out), u64::try_from(value).ok());
        }

        #[test]
        fn only_the_canonical_text_parses(text in "[-+ 0-9]{0,21}") {
            let canonical = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), canonical);
            let canonical = text.parse::<u64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_u64(text.as_bytes()), canonical);
        }

        #[test]
        fn doubles_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(parse_f64(f64_text(value).as_bytes()).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn hexadecimal_doubles(mant in 1u64..1 << 53, exp in -1074i32..960) {
            let text = format!("0x{mant:x}p{exp}");
            let want = mant as f64 * 2f64.powi(exp / 2) * 2f64.powi(exp - exp / 2);
            prop_assert_eq!(parse_f64(text.as_bytes()), Some(want));
        }
    }

    #[test]
    fn integer_limits() {
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        for text in [
            "",
            "-",
            "+1",
            " 1",
            "1 ",
            "01",
            "-0",
            "-01",
            "00",
            "1x",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
    }

    #[test]
    fn double_spellings() {
        for (text, want) in [
            ("1", 1.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            ("-0x.8p1", -1.0),
            ("INF", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0e999999999999", 0.0),
            ("4.9e-324", 5e-324),
            ("0x1.8p0", 1.5),
            ("0x0p99999", 0.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(want), "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "1e",
            ".",
            "e5",
            "1e400",
            "1e-400",
            "0x",
            "0x1p",
            "0xg",
            "0x1p5000",
            "0x1p-5000",
            "1_0",
            "++1",
            "infx",
            "0x+1",
            "\u{661}",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_f64(b"-0").map(f64::is_sign_negative), Some(true));
    }

    /// Texts of C's printf.
    #[test]
    fn doubles_print_as_percent_17_g() {
        for (value, want) in [
            (0.1, "0.10000000000000001"),
            (3.0, "3"),
            (-0.0, "-0"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (1e-4, "0.0001"),
            (1.2345e-5, "1.2345e-05"),
            (5e-324, "4.9406564584124654e-324"),
            (2f64.powi(-25), "2.9802322387695312e-08"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (-17.25, "-17.25"),
            (123456789012345.67, "123456789012345.67"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(f64_text(value), want);
        }
    }
}

//! Numbers as C reads them from a command line: as far as the text makes sense, else 0.
//!
//! redis-cli's users rely on it (`-p 6379,` in an unquoted shell variable works), so a strict parser would
//! break scripts. Numbers from the server are never read with these.

/// The integer at the start of `text`, clamped to 64 bits; 0 when there is none.
pub fn leading_int(text: &[u8]) -> i64 {
    split_int(text).map_or(0, |(value, _)| value)
}

/// The integer at the start of `text` and what follows it; `None` when no digit is there.
pub fn split_int(text: &[u8]) -> Option<(i64, &[u8])> {
    let start = text.iter().take_while(|byte| crate::quote::is_space(**byte)).count();
    let rest = text.get(start..)?;
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = digits.split_at_checked(len)?;
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        value = value.saturating_mul(10);
        value = if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) };
    }
    Some((value, after))
}

/// The decimal number at the start of `text`; 0 when there is none.
pub fn leading_float(text: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start();
    (1..=text.len())
        .rev()
        .filter_map(|end| text.get(..end))
        .find_map(|part| part.parse().ok())
        .filter(|value: &f64| value.is_finite())
        .unwrap_or(0.0)
}

/// Seconds as whole microseconds; what is negative or no number is no time at all.
pub fn micros(seconds: f64) -> u64 {
    // A float-to-integer cast saturates, which is what a wait of centuries wants.
    (seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_far_as_it_makes_sense() {
        for (text, want) in [
            ("12", 12),
            (" +7x", 7),
            ("-3", -3),
            ("", 0),
            ("-", 0),
            ("x1", 0),
            ("9223372036854775808", i64::MAX),
            ("-9223372036854775809", i64::MIN),
        ] {
            assert_eq!(leading_int(text.as_bytes()), want, "{text}");
        }
        for (text, want) in
            [("0.5", 0.5), ("1.5s", 1.5), (".25", 0.25), ("1e2x", 100.0), ("x", 0.0), ("", 0.0)]
        {
            assert!((leading_float(text.as_bytes()) - want).abs() < 1e-12, "{text}");
        }
        assert_eq!(micros(0.1), 100_000);
        assert_eq!(micros(-1.0), 0);
        assert_eq!(micros(f64::NAN), 0);
    }
}

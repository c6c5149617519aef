//! The text of single values: numbers, sizes, yes and no.
//!
//! Strict on purpose and equal to Redis: ` 5`, `+5`, `05` and `0x5` are not numbers, so a typing
//! error never becomes a value. Where Redis lets a size overflow or be empty, this refuses it.

/// How a number may be written, and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Count,
    /// Bytes; `1k` is 1000, `1kb` is 1024, and so for m, mb, g, gb.
    Bytes,
    /// Octal digits, as file modes are written.
    Octal,
}

/// The reason Redis gives for a word that is not in a list.
pub fn one_of(words: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", words.join(", "))
}

/// Where `word` stands in `words`, letter case aside.
pub fn index_of(words: &[&str], word: &[u8]) -> Result<usize, String> {
    words.iter().position(|w| w.as_bytes().eq_ignore_ascii_case(word)).ok_or_else(|| one_of(words))
}

/// `yes` or `no`.
pub fn boolean(text: &[u8]) -> Result<bool, String> {
    if text.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

/// A signed 64-bit number in its one canonical spelling.
pub fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A number of bytes: digits and an optional unit.
pub fn memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let count: u64 = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    count.checked_mul(unit)
}

/// A number within bounds, or the reason Redis gives.
pub fn number(text: &[u8], unit: Unit, min: i128, max: i128) -> Result<i128, String> {
    let value = match unit {
        Unit::Bytes => memory(text)
            .map(i128::from)
            .ok_or_else(|| "argument must be a memory value".to_string())?,
        Unit::Count => integer(text)
            .map(i128::from)
            .ok_or_else(|| "argument couldn't be parsed into an integer".to_string())?,
        Unit::Octal => octal(text)
            .ok_or_else(|| "argument couldn't be parsed as an octal number".to_string())?,
    };
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(match unit {
        Unit::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        _ => format!("argument must be between {min} and {max} inclusive"),
    })
}

fn octal(text: &[u8]) -> Option<i128> {
    if text.is_empty() || !text.iter().all(|b| (b'0'..=b'7').contains(b)) {
        return None;
    }
    i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok().map(i128::from)
}

/// The one value of a parameter that takes one.
pub fn single(words: &[Vec<u8>]) -> Result<&[u8], String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

/// Text that must be UTF-8: paths, names, templates.
pub fn utf8(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes)
        .map(str::to_string)
        .map_err(|_| "argument must be valid UTF-8 text".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for good in ["0", "5", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(integer(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in ["", "-", "+5", "05", " 5", "5 ", "0x5", "-0", "1e3", "9223372036854775808"] {
            assert_eq!(integer(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn sizes_take_units_of_both_kinds() {
        for (text, bytes) in [("0", 0), ("5b", 5), ("1k", 1000), ("1KB", 1024), ("2m", 2_000_000)] {
            assert_eq!(memory(text.as_bytes()), Some(bytes), "{text}");
        }
        assert_eq!(memory(b"1gb"), Some(1 << 30));
        for bad in
            ["", "kb", "-1", "1 gb", "1KiB", "1.5gb", "99999999999999999999", "99999999999gb"]
        {
            assert_eq!(memory(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn bounds_are_named_in_the_reason() {
        let reason = number(b"70000", Unit::Count, 0, 65535);
        assert_eq!(reason, Err("argument must be between 0 and 65535 inclusive".into()));
        assert_eq!(number(b"755", Unit::Octal, 0, 0o777), Ok(0o755));
        assert!(number(b"88", Unit::Octal, 0, 0o777).is_err());
    }
}

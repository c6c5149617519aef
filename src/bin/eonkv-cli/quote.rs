//! Quoting: how one typed line becomes arguments, and how bytes are shown so that they can be typed again.
//!
//! The rules are those of redis-cli and of redis.conf, byte by byte: `"..."` knows `\n \r \t \b \a \\ \"`
//! and `\xHH`, `'...'` knows only `\'`, and a closing quote must be followed by a blank or the end.

/// Splits a line into arguments. `None` means the quotes are unbalanced, or text touches a closing quote.
/// The line ends at its first NUL, as lines did when they were C strings.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut args = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start_c();
        if rest.is_empty() {
            return Some(args);
        }
        let (arg, after) = token(rest)?;
        args.push(arg);
        rest = after;
    }
}

/// The one argument that `text` holds when read as a quoted string.
pub fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let mut args = split(text)?;
    let only = args.pop()?;
    args.is_empty().then_some(only)
}

/// One argument from the start of `rest`, and what follows it.
fn token(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut arg = Vec::new();
    loop {
        match rest {
            [] => return Some((arg, rest)),
            [blank, ..] if is_space(*blank) => return Some((arg, rest)),
            [b'"', after @ ..] => {
                rest = double_quoted(after, &mut arg)?;
                return at_boundary(rest).then_some((arg, rest));
            }
            [b'\'', after @ ..] => {
                rest = single_quoted(after, &mut arg)?;
                return at_boundary(rest).then_some((arg, rest));
            }
            [byte, after @ ..] => {
                arg.push(*byte);
                rest = after;
            }
        }
    }
}

/// Reads up to the closing quote; the text behind it.
fn double_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                arg.push(hex(*high) << 4 | hex(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                arg.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return Some(after),
            [byte, after @ ..] => {
                arg.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'\'', after @ ..] => {
                arg.push(b'\'');
                after
            }
            [b'\'', after @ ..] => return Some(after),
            [byte, after @ ..] => {
                arg.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

fn at_boundary(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| is_space(*byte))
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// What C calls white space: unlike Rust's ASCII set it has the vertical tab.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

trait TrimC {
    fn trim_ascii_start_c(&self) -> &[u8];
}

impl TrimC for [u8] {
    fn trim_ascii_start_c(&self) -> &[u8] {
        let blanks = self.iter().take_while(|byte| is_space(**byte)).count();
        self.get(blanks..).unwrap_or_default()
    }
}

/// Bytes in double quotes, such that [`split`] gives them back.
pub fn repr(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    push_repr(&mut out, bytes);
    out
}

/// Appends [`repr`]'s text to `out`.
pub fn push_repr(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(*byte),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'x', DIGITS[high], DIGITS[low]]);
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let args = split(line.as_bytes())?;
        Some(args.into_iter().map(|arg| String::from_utf8_lossy(&arg).into_owned()).collect())
    }

    #[test]
    fn lines_split_as_in_redis_cli() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t\r\n", &[]),
            ("set k v", &["set", "k", "v"]),
            ("  set\t k \x0b v \n", &["set", "k", "v"]),
            (r#"set k "a b""#, &["set", "k", "a b"]),
            (r#"set k """#, &["set", "k", ""]),
            ("set k ''", &["set", "k", ""]),
            (r#"ab"cd" e"#, &["abcd", "e"]),
            (r#""\x41\n\r\t\b\a\\\"\q""#, &["A\n\r\t\u{8}\u{7}\\\"q"]),
            (r#""\x4g""#, &["x4g"]),
            (r"'a\'b\n'", &["a'b\\n"]),
            (r#"a\"b"#, &[]),
            ("a'b'", &["ab"]),
            ("k\0rest", &["k"]),
        ];
        for (line, want) in cases {
            if *line == r#"a\"b"# {
                assert_eq!(words(line), None, "the backslash outside quotes does not escape");
                continue;
            }
            let want: Vec<String> = want.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(words(line), Some(want), "{line:?}");
        }
    }

    #[test]
    fn unbalanced_lines_are_refused() {
        for line in [r#"""#, "'", r#"set "a"#, r#""a"b"#, "'a'b", r#""a\"#, "'a\\'"] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }

    #[test]
    fn unquote_takes_exactly_one() {
        assert_eq!(unquote(br#""a\x00b""#), Some(b"a\0b".to_vec()));
        assert_eq!(unquote(b"plain"), Some(b"plain".to_vec()));
        assert_eq!(unquote(b"two words"), None);
        assert_eq!(unquote(b""), None);
        assert_eq!(unquote(br#""open"#), None);
    }

    #[test]
    fn repr_is_printable() {
        assert_eq!(
            repr(b"a\"\\\n\r\t\x07\x08\x00\x7f\xff e"),
            br#""a\"\\\n\r\t\a\b\x00\x7f\xff e""#.to_vec()
        );
    }

    proptest! {
        #[test]
        fn repr_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unquote(&repr(&bytes)), Some(bytes));
        }

        #[test]
        fn any_line_ends(bytes in proptest::collection::vec(prop_oneof![
            Just(b'"'), Just(b'\''), Just(b'\\'), Just(b'x'), Just(b' '), any::<u8>()], 0..40)) {
            let _ = split(&bytes);
        }
    }
}

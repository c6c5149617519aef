//! Splitting a line into words, and quoting a word, as redis.conf does.
//!
//! A word may be bare, `'single quoted'` (only `\'` is special) or `"double quoted"` (with `\n`,
//! `\r`, `\t`, `\a`, `\b`, `\xHH`, and `\` before anything else meaning that character). A closing
//! quote must end the word. [`quote`] writes what [`split`] reads back byte for byte.

/// The words of a line, or `None` if quotes do not balance.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    // C strings end at NUL; so do lines in a configuration file.
    let line = &line[..line.iter().position(|b| *b == 0).unwrap_or(line.len())];
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = skip_blank(rest);
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = one_word(rest)?;
        words.push(word);
        rest = after;
    }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn skip_blank(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| is_blank(**b)).count()..]
}

/// Reads one word from the start of `rest`, which is not blank there.
fn one_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'"' => return closed(double_quoted(tail, word)?),
            b'\'' => return closed(single_quoted(tail, word)?),
            b' ' | b'\n' | b'\r' | b'\t' => return Some((word, tail)),
            other => {
                word.push(other);
                rest = tail;
            }
        }
    }
    Some((word, rest))
}

/// A closing quote is followed by a blank or by nothing.
fn closed((word, rest): (Vec<u8>, &[u8])) -> Option<(Vec<u8>, &[u8])> {
    rest.first().is_none_or(|b| is_blank(*b)).then_some((word, rest))
}

fn single_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        match rest {
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return Some((word, tail)),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn double_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        match rest {
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) * 16 + hex(*low));
                rest = tail;
            }
            [b'\\', byte, tail @ ..] => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [b'"', tail @ ..] => return Some((word, tail)),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

/// The value of a hexadecimal digit that was checked to be one.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// A word in double quotes, escaped so that it is one printable line.
pub fn quote(word: &[u8]) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for byte in word {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

/// A word as it may stand in a file: bare if it reads back as itself, else quoted.
pub fn plain_or_quoted(word: &[u8]) -> String {
    let plain = !word.is_empty()
        && word.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'#'));
    if plain { word.iter().map(|b| char::from(*b)).collect() } else { quote(word) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let words = split(line.as_bytes())?;
        Some(words.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect())
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(words(r#"save ''"#), Some(vec!["save".into(), "".into()]));
        assert_eq!(words(r#"a "\x41\n" 'it\'s'"#).unwrap(), ["a", "A\n", "it's"]);
        assert_eq!(words("  maxmemory   '700mb' \r").unwrap(), ["maxmemory", "700mb"]);
        assert_eq!(words(r#"a b"c d""#).unwrap(), ["a", "bc d"]);
        assert_eq!(words(""), Some(vec![]));
        for bad in [r#"port "1"#, "port '1", r#"a "b"c"#, "a 'b'c", r#"a "\"#] {
            assert_eq!(words(bad), None, "{bad}");
        }
    }

    proptest! {
        /// Whatever bytes a value holds, a written file reads back the same.
        #[test]
        fn quoting_reads_back(list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let line: Vec<String> = list.iter().map(|w| plain_or_quoted(w)).collect();
            prop_assert_eq!(split(line.join(" ").as_bytes()), Some(list));
        }

        /// No bytes make the splitter panic.
        #[test]
        fn any_bytes_are_split_or_refused(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&line);
        }
    }
}

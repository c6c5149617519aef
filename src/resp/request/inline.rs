//! Inline commands: a line of words, as a person types it.

use super::{Batch, ProtocolError, Span};
use bytes::Bytes;

/// Splits a line into words as a shell would: `"a\tb\x00"`, `'it\'s'`, plain. Plain words stay
/// where they are; those with quotes are spelled out into blocks.
pub(super) fn words(line: &[u8], base: usize, batch: &mut Batch) -> Result<(), ProtocolError> {
    let line = memchr::memchr(0, line).map_or(line, |nul| &line[..nul]);
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&b| is_blank(b)) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let rest = &line[at..];
        let stop = |&b: &u8| ends_word(b) || b == b'"' || b == b'\'';
        let plain = rest.iter().position(stop).unwrap_or(rest.len());
        if rest.get(plain).is_none_or(|&b| ends_word(b)) {
            batch.spans.push(Span { at: (base + at) as u32, len: plain as u32 });
            at += plain;
            continue;
        }
        let (word, end) = quoted(rest).ok_or(ProtocolError::Quotes)?;
        let number = batch.blobs.len() as u32 | Span::BLOB;
        batch.spans.push(Span { at: number, len: word.len() as u32 });
        batch.blobs.push(Bytes::from(word));
        at += end;
    }
}

/// A word with quotes in it, spelled out, and where it ends; `None` if the quotes do not close or
/// something follows the closing one.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b if ends_word(b) => break,
            b'"' | b'\'' => {
                at = quoted_part(text, at, &mut word)?;
                return text.get(at).is_none_or(|&b| is_blank(b)).then_some((word, at));
            }
            other => {
                word.push(other);
                at += 1;
            }
        }
    }
    Some((word, at))
}

/// The part between the quote at `text[at]` and its match; returns the offset after that.
fn quoted_part(text: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    let quote = text[at];
    at += 1;
    loop {
        match text[at..] {
            [b, ..] if b == quote => return Some(at + 1),
            [b'\\', b'\'', ..] if quote == b'\'' => {
                word.push(b'\'');
                at += 2;
            }
            [b'\\', b'x', high, low, ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(high) << 4 | hex(low));
                at += 4;
            }
            [b'\\', letter, ..] if quote == b'"' => {
                word.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                at += 2;
            }
            [other, ..] => {
                word.push(other);
                at += 1;
            }
            [] => return None,
        }
    }
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).map_or(0, |value| value as u8)
}

/// What parts two bare words. A form feed or vertical tab does not, though between words both are
/// skipped: so Redis has it.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What C calls white space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

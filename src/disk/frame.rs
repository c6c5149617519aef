//! The line before each group by which a flipped bit is found, and which Redis skips.
//!
//! ```text
//! #TS:1700000000\r\n                        if there is a time to be told (Redis' own annotation)
//! #EK:AT LEN DURABLE LAST CRC CHECK\r\n     all numbers in hexadecimal
//! *3\r\n$3\r\nSET\r\n...                    LEN bytes: the group
//! ```
//! AT is the offset in the file at which the group's lines begin, so that a group that moved, or one
//! that is missing before it, is seen. DURABLE is how much of the file was known to be durable when the line was written:
//! damage below a DURABLE that stands further on cannot come from a crash. LAST is the sequence of
//! the group's end. CRC is the CRC-32C of the group, CHECK that of the lines from AT up to itself. There is one way to write a header, so a parsed one is written again and compared: any
//! other spelling of the same numbers is damage too.
//!
//! Redis ignores lines that begin with `#` between commands if they are shorter than 1024 bytes.
//! `#EK:` differs from `#TS:` in more than one bit, so that one flip cannot make either the other.

use super::crc::Crc;
use std::fmt::Write;

/// The longest line that Redis skips.
pub const LINE_MAX: usize = 1024;
/// How a header begins.
pub const MARK: &[u8] = b"#EK:";
/// How Redis' annotation of time begins.
pub const TIME: &[u8] = b"#TS:";

/// What the line says of the group that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Offset in the file of this line, or of the line of time in front of it that belongs to it.
    pub at: u64,
    /// Bytes of the group.
    pub len: u64,
    /// Bytes of the file that were durable when this was written.
    pub durable: u64,
    /// Sequence of the end of the group.
    pub last: u64,
    /// CRC-32C of the group.
    pub crc: u32,
}

/// What a line that begins with `#` is.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Header(Header),
    /// Seconds since 1970.
    Time(u64),
    /// Ours or Redis', but not as either writes it.
    Damaged,
    /// Somebody's comment.
    Other,
}

/// Appends the line of a header; `before` is the `#TS:` line that belongs to it.
pub fn write(out: &mut Vec<u8>, before: &[u8], header: &Header) {
    let Header { at, len, durable, last, crc } = header;
    let mut text = String::with_capacity(80);
    // Writing to a String cannot fail.
    let _ = write!(text, "#EK:{at:x} {len:x} {durable:x} {last:x} {crc:08x} ");
    let mut check = Crc::new();
    check.update(before);
    check.update(text.as_bytes());
    let _ = write!(text, "{:08x}\r\n", check.value());
    out.extend_from_slice(text.as_bytes());
}

/// The annotation of time.
pub fn time(seconds: u64) -> String {
    format!("#TS:{seconds}\r\n")
}

/// Where the group of a line begins, if the line is a header; nothing is checked.
pub fn begin(line: &[u8]) -> Option<u64> {
    header(line).map(|header| header.at)
}

/// Reads the line at an offset, its end included; `before` is the `#TS:` line directly in front.
pub fn parse(line: &[u8], offset: u64, before: &[u8]) -> Line {
    let here = |header: &Header| {
        header.at == offset || header.at.saturating_add(before.len() as u64) == offset
    };
    if let Some(header) = header(line).filter(|header| header.at <= offset && here(header)) {
        let before = if header.at == offset { b"" } else { before };
        let mut again = Vec::new();
        write(&mut again, before, &header);
        if again == line {
            return Line::Header(header);
        }
    }
    if let Some(seconds) = seconds(line) {
        return Line::Time(seconds);
    }
    if resembles(line, MARK) || resembles(line, TIME) { Line::Damaged } else { Line::Other }
}

fn header(line: &[u8]) -> Option<Header> {
    let text = std::str::from_utf8(line.strip_prefix(MARK)?.strip_suffix(b"\r\n")?).ok()?;
    let mut fields = text.split(' ');
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let (at, len, durable, last, crc) = (number()?, number()?, number()?, number()?, number()?);
    Some(Header { at, len, durable, last, crc: u32::try_from(crc).ok()? })
}

fn seconds(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.strip_prefix(TIME)?.strip_suffix(b"\r\n")?).ok()?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Whether the line begins as `mark` does but for two bits: then it is that, damaged.
fn resembles(line: &[u8], mark: &[u8]) -> bool {
    let bits = |(a, b): (&u8, &u8)| (a ^ b).count_ones();
    line.len() >= mark.len() && line.iter().zip(mark).map(bits).sum::<u32>() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 7;

    fn line(before: &[u8]) -> Vec<u8> {
        let header = Header { at: AT, len: 0x1f, durable: 0, last: 99, crc: 0xab };
        let mut out = Vec::new();
        write(&mut out, before, &header);
        assert_eq!(read(&out, before), Line::Header(header));
        out
    }

    fn read(line: &[u8], before: &[u8]) -> Line {
        parse(line, AT + before.len() as u64, before)
    }

    #[test]
    fn every_flip_of_a_line_is_seen() {
        let before = time(1_700_000_000);
        for before in ["", &before] {
            let whole = line(before.as_bytes());
            for bit in 8..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read(&flipped, before.as_bytes()), Line::Damaged, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_time_that_changed_is_seen_by_the_header_behind_it() {
        let whole = line(b"#TS:1700000000\r\n");
        assert_eq!(read(&whole, b"#TS:1700000001\r\n"), Line::Damaged);
        assert_eq!(read(&whole, b""), Line::Damaged);
    }

    #[test]
    fn a_time_that_a_crash_left_alone_is_no_part_of_the_next_group() {
        let (whole, left) = (line(b""), b"#TS:1700000000\r\n");
        assert!(matches!(parse(&whole, AT, left), Line::Header(_)));
        assert_eq!(parse(&whole, AT + 1, left), Line::Damaged);
    }

    #[test]
    fn what_others_write_is_left_alone() {
        assert_eq!(read(b"#TS:12\r\n", b""), Line::Time(12));
        assert_eq!(read(b"# a comment\n", b""), Line::Other);
        assert_eq!(read(b"#TS:\r\n", b""), Line::Damaged);
        assert_eq!(read(b"#TS:1x\r\n", b""), Line::Damaged);
    }
}

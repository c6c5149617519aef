//! Ranges as clients write them: `5`, `(5`, `-inf`; `[a`, `(a`, `-`, `+`; ranks, negative from the end.

use super::Error;
use crate::types::number;
use crate::types::zset::{Cut, View};
use std::ops::Range;

/// A range between two cuts.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    from: Cut<'a>,
    to: Cut<'a>,
}

impl<'a> Bounds<'a> {
    /// From the lowest score to the highest.
    pub fn scores(min: &[u8], max: &[u8]) -> Result<Self, Error> {
        let bound = |text| bound(text).ok_or(Error::new("ERR min or max is not a float"));
        let (min, max) = (bound(min)?, bound(max)?);
        Ok(Self {
            from: if min.open { Cut::AfterScore(min.score) } else { Cut::BeforeScore(min.score) },
            to: if max.open { Cut::BeforeScore(max.score) } else { Cut::AfterScore(max.score) },
        })
    }

    /// From the first text to the last.
    pub fn texts(min: &'a [u8], max: &'a [u8]) -> Result<Self, Error> {
        let cut =
            |text: &'a [u8], closed: fn(&'a [u8]) -> Cut<'a>, open: fn(&'a [u8]) -> Cut<'a>| {
                match text {
                    b"-" => Ok(Cut::Start),
                    b"+" => Ok(Cut::End),
                    [b'[', text @ ..] => Ok(closed(text)),
                    [b'(', text @ ..] => Ok(open(text)),
                    _ => Err(Error::new("ERR min or max not valid string range item")),
                }
            };
        Ok(Self {
            from: cut(min, Cut::BeforeMember, Cut::AfterMember)?,
            to: cut(max, Cut::AfterMember, Cut::BeforeMember)?,
        })
    }

    /// The ranks of what lies between.
    pub fn ranks(&self, view: &View<'_>) -> Range<usize> {
        let from = view.rank_of(&self.from);
        from..view.rank_of(&self.to).max(from)
    }
}

/// The ranks from `start` to `stop`, both included and negative ones counted from the end.
pub fn ranks(start: i64, stop: i64, len: usize) -> Range<usize> {
    let size = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at.saturating_add(size).max(-1) } else { at.min(size) };
    let (from, to) = (place(start).max(0), (place(stop) + 1).min(size));
    from as usize..to.max(from) as usize
}

struct Bound {
    score: f64,
    open: bool,
}

fn bound(text: &[u8]) -> Option<Bound> {
    let (open, text) = match text {
        [b'(', text @ ..] => (true, text),
        _ => (false, text),
    };
    Some(Bound { score: lenient(text)?, open })
}

/// A number as C's `strtod` takes it: blanks before it, nothing at all for zero, an end at a NUL, and
/// what is out of range as the nearest that there is.
fn lenient(text: &[u8]) -> Option<f64> {
    let text = memchr::memchr(0, text).map_or(text, |end| &text[..end]);
    if text.is_empty() {
        return Some(0.0);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().take_while(|byte| blank(byte)).count()..];
    let beyond =
        || std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| !value.is_nan());
    number::parse_f64(text).or_else(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_c_reads_them() {
        for (text, want) in [
            ("", Some(0.0)),
            (" 1", Some(1.0)),
            ("\t-inf", Some(f64::NEG_INFINITY)),
            ("1e400", Some(f64::INFINITY)),
            ("1e-400", Some(0.0)),
            ("1\0x", Some(1.0)),
            (" ", None),
            ("1 ", None),
            ("nan", None),
            ("x", None),
        ] {
            assert_eq!(lenient(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn ranks_are_cut_to_what_there_is() {
        for (start, stop, want) in [
            (0, -1, 0..5),
            (1, 2, 1..3),
            (-2, -1, 3..5),
            (-100, 100, 0..5),
            (3, 1, 3..3),
            (5, 9, 5..5),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
        ] {
            assert_eq!(ranks(start, stop, 5), want, "{start} {stop}");
        }
        assert!(ranks(0, -1, 0).is_empty() && ranks(-1, 0, 0).is_empty());
    }
}

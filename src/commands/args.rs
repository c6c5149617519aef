//! Reading arguments: numbers, times, and the errors that go with them.

use super::error::Error;
use crate::types::number;

/// An argument as an integer.
#[inline]
pub fn integer(text: &[u8]) -> Result<i64, Error> {
    number::parse_i64(text).ok_or(Error::NotAnInteger)
}

/// A finite or infinite number, as text the whole of the argument.
pub fn float(text: &[u8]) -> Option<f64> {
    let value = std::str::from_utf8(text).ok()?.parse::<f64>().ok()?;
    (!value.is_nan()).then_some(value)
}

/// An argument as an integer that must lie in a range; `text` is the whole error reply.
pub fn integer_in(
    arg: &[u8],
    range: impl std::ops::RangeBounds<i64>,
    text: &'static str,
) -> Result<i64, Error> {
    number::parse_i64(arg).filter(|value| range.contains(value)).ok_or(Error::new(text))
}

/// How an expiry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds or milliseconds from now.
    After {
        /// Milliseconds per unit.
        ms: i64,
    },
    /// Seconds or milliseconds of Unix time.
    At {
        /// Milliseconds per unit.
        ms: i64,
    },
}

impl Unit {
    /// From an option's word: EX, PX, EXAT or PXAT.
    pub fn of(word: &[u8]) -> Option<Self> {
        let is = |text: &str| word.eq_ignore_ascii_case(text.as_bytes());
        if is("EX") {
            Some(Self::After { ms: 1000 })
        } else if is("PX") {
            Some(Self::After { ms: 1 })
        } else if is("EXAT") {
            Some(Self::At { ms: 1000 })
        } else if is("PXAT") {
            Some(Self::At { ms: 1 })
        } else {
            None
        }
    }

    /// The point in Unix milliseconds; none when it overflows.
    pub fn point(self, value: i64, now: i64) -> Option<i64> {
        match self {
            Self::After { ms } => value.checked_mul(ms)?.checked_add(now),
            Self::At { ms } => value.checked_mul(ms),
        }
    }
}

/// The expiry of SET and its kin, which must lie after time zero. `command` is for the error.
pub fn expiry(arg: &[u8], unit: Unit, now: i64, command: &str) -> Result<i64, Error> {
    let value = integer(arg)?;
    let point = if value <= 0 { None } else { unit.point(value, now) };
    point.ok_or_else(|| format!("ERR invalid expire time in '{command}' command").into())
}

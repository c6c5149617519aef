//! Elements of collections: how they stand in replies, and walks over them.

use super::args::integer;
use super::error::Error;
use crate::resp::{Args, Reply};
use crate::types::glob::Pattern;
use crate::types::packed::Element;

/// Encodes an element as a bulk string.
#[inline(always)]
pub fn bulk(reply: &mut Reply, element: &Element<'_>) {
    match *element {
        Element::Str(text) => reply.bulk(text),
        Element::Int(value) => reply.bulk_int(value),
        Element::Double(_) => double(reply, element),
    }
}

#[cold]
fn double(reply: &mut Reply, element: &Element<'_>) {
    let mut text = Vec::with_capacity(24);
    element.write_text(&mut text);
    reply.bulk(&text);
}

/// The cursor of a walk (SSCAN and its kin), read as C reads unsigned numbers: a sign may stand
/// before it, and what is negative counts down from the end.
pub fn cursor(text: &[u8]) -> Result<u64, Error> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    let value = digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    });
    match value {
        Some(value) if negative => Ok(value.wrapping_neg()),
        Some(value) => Ok(value),
        None => Err(Error::new("ERR invalid cursor")),
    }
}

/// What a walk over the elements of a collection is to show.
#[derive(Debug)]
pub struct Walk {
    pattern: Option<Pattern>,
    /// About how many elements to look at.
    pub count: usize,
}

impl Walk {
    /// From `[MATCH pattern] [COUNT count]`; the last of each counts.
    pub fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut walk = Self { pattern: None, count: 10 };
        for i in (0..args.len()).step_by(2) {
            match args.opt(i + 1) {
                Some(value) if args.is(i, "COUNT") => {
                    let count = integer(value)?;
                    if count < 1 {
                        return Err(Error::Syntax);
                    }
                    walk.count = usize::try_from(count).unwrap_or(usize::MAX);
                }
                Some(value) if args.is(i, "MATCH") => walk.pattern = Some(Pattern::new(value)),
                _ => return Err(Error::Syntax),
            }
        }
        Ok(walk)
    }

    /// Whether an element is to be shown.
    pub fn wants(&self, text: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
    }
}

//! The arguments of HSCAN, SSCAN and ZSCAN, and the beginning of their replies.
//!
//! A compact collection is shown whole, whatever COUNT says; a large one bucket by bucket, until as
//! many elements as COUNT asks for have been looked at.

use super::args::integer;
use super::{Args, Error};
use crate::types::glob::Pattern;

/// What a scanning command asks for.
pub struct Cursor {
    /// Where to go on.
    pub at: u64,
    /// Elements to look at, at least.
    pub count: usize,
    pattern: Option<Pattern>,
}

impl Cursor {
    /// Reads the cursor, argument 2. It comes first: an absent key is answered before the options
    /// are looked at.
    pub fn parse(args: Args<'_>) -> Result<Self, Error> {
        let at = std::str::from_utf8(args.get(2)).ok().and_then(|text| text.parse().ok());
        let at = at.ok_or(Error::new("ERR invalid cursor"))?;
        Ok(Self { at, count: 10, pattern: None })
    }

    /// Reads the options behind it. `word` gets each that is not common to all these commands and
    /// says whether it knows it.
    pub fn options(
        &mut self,
        args: Args<'_>,
        mut word: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut i = 3;
        while i < args.len() {
            match args.opt(i + 1) {
                Some(value) if args.is(i, "COUNT") => {
                    let count = integer(value)?;
                    if count < 1 {
                        return Err(Error::Syntax);
                    }
                    self.count = usize::try_from(count).unwrap_or(usize::MAX);
                    i += 2;
                }
                Some(value) if args.is(i, "MATCH") => {
                    self.pattern = Some(Pattern::new(value));
                    i += 2;
                }
                _ if word(args.get(i)) => i += 1,
                _ => return Err(Error::Syntax),
            }
        }
        Ok(())
    }

    /// Whether an element is to be shown.
    pub fn wants(&self, text: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
    }
}

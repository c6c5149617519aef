//! Lua's patterns, with a count of steps: a pattern that would match for hours can be stopped (S2).
//!
//! A matcher that tries, and takes back what did not lead to a match. Its depth is that of the
//! pattern, not of the subject, and bounded.

use super::Pace;

/// Captures in one pattern.
const CAPTURES: usize = 32;
/// Depth of the search: longer chains of repeated items are refused.
const DEPTH: usize = 200;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The pattern is wrong.
    Malformed(String),
    /// The script must stop.
    Stopped(mlua::Error),
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        Self::Malformed(text.to_owned())
    }
}

type Found = Result<Option<usize>, Trouble>;

/// A captured part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    /// Bytes of the subject.
    Text(usize, usize),
    /// A position, from 0.
    Position(usize),
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Open(usize),
    Closed(usize, usize),
    Position(usize),
}

/// One search.
pub(super) struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    slots: Vec<Slot>,
    depth: usize,
    pace: Pace,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(text: &'a [u8], pattern: &'a [u8]) -> Self {
        Self { text, pattern, slots: Vec::new(), depth: 0, pace: Pace::default() }
    }

    /// Matches at `at` exactly; where the match ends. The pattern's `^` is the caller's affair.
    pub(super) fn at(&mut self, at: usize) -> Found {
        self.slots.clear();
        self.depth = 0;
        self.find(at, 0)
    }

    /// What was captured by the last match, the whole match if the pattern captures nothing.
    pub(super) fn captures(&self, from: usize, to: usize) -> Result<Vec<Capture>, Trouble> {
        if self.slots.is_empty() {
            return Ok(vec![Capture::Text(from, to)]);
        }
        let done = |slot: &Slot| match *slot {
            Slot::Closed(from, to) => Ok(Capture::Text(from, to)),
            Slot::Position(at) => Ok(Capture::Position(at)),
            Slot::Open(_) => Err(Trouble::from("unfinished capture")),
        };
        self.slots.iter().map(done).collect()
    }

    fn find(&mut self, at: usize, p: usize) -> Found {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("pattern too complex".into());
        }
        let found = self.find_here(at, p);
        self.depth -= 1;
        found
    }

    fn find_here(&mut self, mut at: usize, mut p: usize) -> Found {
        loop {
            self.pace.step().map_err(Trouble::Stopped)?;
            let Some(&item) = self.pattern.get(p) else { return Ok(Some(at)) };
            match item {
                b'(' if self.pattern.get(p + 1) == Some(&b')') => {
                    return self.capture(Slot::Position(at), at, p + 2);
                }
                b'(' => return self.capture(Slot::Open(at), at, p + 1),
                b')' => return self.close(at, p + 1),
                b'$' if p + 1 == self.pattern.len() => {
                    return Ok((at == self.text.len()).then_some(at));
                }
                b'%' => match self.pattern.get(p + 1) {
                    Some(b'b') => match self.balance(at, p + 2)? {
                        Some(end) => {
                            (at, p) = (end, p + 4);
                            continue;
                        }
                        None => return Ok(None),
                    },
                    Some(b'f') => {
                        if !self.is_frontier(at, p + 2)? {
                            return Ok(None);
                        }
                        p = self.class_end(p + 2)?;
                        continue;
                    }
                    Some(digit) if digit.is_ascii_digit() => match self.back(at, *digit)? {
                        Some(end) => {
                            (at, p) = (end, p + 2);
                            continue;
                        }
                        None => return Ok(None),
                    },
                    _ => {}
                },
                _ => {}
            }
            let end = self.class_end(p)?;
            let here = at < self.text.len() && self.is_single(self.text[at], p, end);
            match self.pattern.get(end) {
                Some(b'?') => {
                    if here && let Some(found) = self.find(at + 1, end + 1)? {
                        return Ok(Some(found));
                    }
                    p = end + 1;
                }
                Some(b'*') => return self.most(at, p, end),
                Some(b'+') if !here => return Ok(None),
                Some(b'+') => return self.most(at + 1, p, end),
                Some(b'-') => return self.least(at, p, end),
                _ if !here => return Ok(None),
                _ => (at, p) = (at + 1, end),
            }
        }
    }

    fn most(&mut self, at: usize, p: usize, end: usize) -> Found {
        let mut n = 0;
        while at + n < self.text.len() && self.is_single(self.text[at + n], p, end) {
            self.pace.step().map_err(Trouble::Stopped)?;
            n += 1;
        }
        loop {
            if let Some(found) = self.find(at + n, end + 1)? {
                return Ok(Some(found));
            }
            if n == 0 {
                return Ok(None);
            }
            n -= 1;
        }
    }

    fn least(&mut self, mut at: usize, p: usize, end: usize) -> Found {
        loop {
            if let Some(found) = self.find(at, end + 1)? {
                return Ok(Some(found));
            }
            if at < self.text.len() && self.is_single(self.text[at], p, end) {
                at += 1;
            } else {
                return Ok(None);
            }
        }
    }

    fn capture(&mut self, slot: Slot, at: usize, p: usize) -> Found {
        if self.slots.len() >= CAPTURES {
            return Err("too many captures".into());
        }
        let level = self.slots.len();
        self.slots.push(slot);
        let found = self.find(at, p)?;
        if found.is_none() {
            self.slots.truncate(level);
        }
        Ok(found)
    }

    fn close(&mut self, at: usize, p: usize) -> Found {
        let open = self.slots.iter().rposition(|slot| matches!(slot, Slot::Open(_)));
        let Some(open) = open else { return Err("invalid pattern capture".into()) };
        let Slot::Open(from) = self.slots[open] else { return Ok(None) };
        self.slots[open] = Slot::Closed(from, at);
        let found = self.find(at, p)?;
        if found.is_none() {
            self.slots[open] = Slot::Open(from);
        }
        Ok(found)
    }

    fn balance(&mut self, at: usize, p: usize) -> Found {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err("unbalanced pattern".into());
        };
        if self.text.get(at) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for (i, &byte) in self.text.iter().enumerate().skip(at + 1) {
            self.pace.step().map_err(Trouble::Stopped)?;
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(i + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    fn is_frontier(&self, at: usize, p: usize) -> Result<bool, Trouble> {
        if self.pattern.get(p) != Some(&b'[') {
            return Err("missing '[' after '%f' in pattern".into());
        }
        let end = self.class_end(p)?;
        let before = at.checked_sub(1).map_or(0, |before| self.text[before]);
        let next = self.text.get(at).copied().unwrap_or(0);
        Ok(!self.is_in_set(before, p, end) && self.is_in_set(next, p, end))
    }

    fn back(&self, at: usize, digit: u8) -> Found {
        let slot = usize::from(digit).checked_sub(usize::from(b'1'));
        let Some(Slot::Closed(from, to)) = slot.and_then(|slot| self.slots.get(slot)) else {
            return Err("invalid capture index".into());
        };
        let part = &self.text[*from..*to];
        Ok(self.text[at..].starts_with(part).then(|| at + part.len()))
    }

    /// Where the item at `p` ends: behind its class, before what repeats it.
    fn class_end(&self, p: usize) -> Result<usize, Trouble> {
        match self.pattern.get(p) {
            Some(b'%') if p + 1 >= self.pattern.len() => {
                Err("malformed pattern (ends with '%')".into())
            }
            Some(b'%') => Ok(p + 2),
            Some(b'[') => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                loop {
                    // The first may be a bracket that closes nothing.
                    let byte = self.pattern.get(at);
                    at += 1;
                    match byte {
                        None => return Err("malformed pattern (missing ']')".into()),
                        Some(b'%') => at += 1,
                        _ => {}
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn is_single(&self, byte: u8, p: usize, end: usize) -> bool {
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_class(byte, self.pattern[p + 1]),
            b'[' => self.is_in_set(byte, p, end),
            other => byte == other,
        }
    }

    fn is_in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let set = &self.pattern[p + 1..end - 1];
        let (set, wanted) = match set.split_first() {
            Some((b'^', rest)) => (rest, false),
            _ => (set, true),
        };
        let mut at = 0;
        while at < set.len() {
            if set[at] == b'%' && at + 1 < set.len() {
                if is_class(byte, set[at + 1]) {
                    return wanted;
                }
                at += 2;
            } else if at + 2 < set.len() && set[at + 1] == b'-' {
                if (set[at]..=set[at + 2]).contains(&byte) {
                    return wanted;
                }
                at += 3;
            } else {
                if set[at] == byte {
                    return wanted;
                }
                at += 1;
            }
        }
        !wanted
    }
}

fn is_class(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0B,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return byte == class,
    };
    is != class.is_ascii_uppercase()
}

//! The name of an entry: milliseconds and a number within them. Names only rise in a stream.

/// An entry's name, `ms-seq` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Id {
    /// Milliseconds, usually Unix time.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

/// The name that a client asks a new entry to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `*`: the time, or what follows the last entry if that is later.
    Any,
    /// `ms-*`: the next free number within a millisecond.
    Within(u64),
    /// All of it.
    Exactly(Id),
}

impl Id {
    /// The lowest.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The highest.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The one that follows; none after the highest.
    pub const fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The one before; none before the lowest.
    pub const fn previous(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// From `ms-seq`, or from `ms` with the number that is missing.
    pub fn parse(text: &[u8], missing: u64) -> Option<Self> {
        let (ms, seq) = split(text);
        let seq = match seq {
            Some(seq) => number(seq)?,
            None => missing,
        };
        Some(Self { ms: number(ms)?, seq })
    }

    /// As [`Id::parse`] without a missing number, and `-` and `+` for the lowest and the highest.
    pub fn parse_bound(text: &[u8], missing: u64) -> Option<Self> {
        match text {
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            _ => Self::parse(text, missing),
        }
    }

    /// The text.
    #[inline]
    pub fn text(self) -> Text {
        let mut text = Text { bytes: [0; 41], len: 0 };
        text.push(itoa::Buffer::new().format(self.ms).as_bytes());
        text.push(b"-");
        text.push(itoa::Buffer::new().format(self.seq).as_bytes());
        text
    }
}

/// The text of a name.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    bytes: [u8; 41],
    len: u8,
}

impl Text {
    #[inline]
    fn push(&mut self, part: &[u8]) {
        let from = usize::from(self.len);
        self.bytes[from..from + part.len()].copy_from_slice(part);
        self.len += part.len() as u8;
    }
}

impl std::ops::Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Wanted {
    /// From the argument of XADD.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" {
            return Some(Self::Any);
        }
        match split(text) {
            (ms, Some(b"*")) => number(ms).map(Self::Within),
            _ => Id::parse(text, 0).map(Self::Exactly),
        }
    }

    /// The name that a new entry gets at a time, behind the `last` one. None if it would not be
    /// behind it.
    pub fn after(self, last: Id, now: u64) -> Option<Id> {
        match self {
            Self::Any if now > last.ms => Some(Id { ms: now, seq: 0 }),
            Self::Any => last.next(),
            Self::Within(ms) if ms == last.ms => last.seq.checked_add(1).map(|seq| Id { ms, seq }),
            Self::Within(ms) => Some(Id { ms, seq: 0 }).filter(|id| *id > last),
            Self::Exactly(id) => Some(id).filter(|id| *id > last),
        }
    }
}

/// The parts before and behind the first `-`.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == b'-') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// A half of a name, as C's `strtoull` reads one: blanks, a `+` and zeroes may stand before.
fn number(text: &[u8]) -> Option<u64> {
    if text.len() > LONGEST {
        return None;
    }
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// No half of a name is longer.
const LONGEST: usize = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let id = |ms, seq| Some(Id { ms, seq });
        for (text, want) in [
            ("1-2", id(1, 2)),
            ("5", id(5, 7)),
            ("0-0", id(0, 0)),
            ("007-+01", id(7, 1)),
            ("18446744073709551615-18446744073709551615", Some(Id::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-", None),
            ("1-", None),
            ("-1", None),
            ("1-2-3", None),
            ("1-*", None),
            ("a", None),
            ("+", None),
        ] {
            assert_eq!(Id::parse(text.as_bytes(), 7), want, "{text}");
        }
        assert_eq!(Id::parse_bound(b"+", 0), Some(Id::MAX));
        assert_eq!(Wanted::parse(b"3-*"), Some(Wanted::Within(3)));
        assert_eq!(Wanted::parse(b"*-3"), None);
        assert_eq!(&*Id::MAX.text(), b"18446744073709551615-18446744073709551615");
        assert_eq!(&*Id { ms: 12, seq: 3 }.text(), b"12-3");
    }

    #[test]
    fn neighbours() {
        let id = Id { ms: 4, seq: u64::MAX };
        assert_eq!(id.next(), Some(Id { ms: 5, seq: 0 }));
        assert_eq!(id.next().and_then(Id::previous), Some(id));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
    }

    #[test]
    fn wanted_names() {
        let (last, max) = (Id { ms: 5, seq: 3 }, Id { ms: 5, seq: u64::MAX });
        assert_eq!(Wanted::Any.after(last, 9), Some(Id { ms: 9, seq: 0 }));
        assert_eq!(Wanted::Any.after(last, 5), Some(Id { ms: 5, seq: 4 }));
        assert_eq!(Wanted::Any.after(max, 1), Some(Id { ms: 6, seq: 0 }));
        assert_eq!(Wanted::Within(5).after(last, 0), Some(Id { ms: 5, seq: 4 }));
        assert_eq!(Wanted::Within(5).after(max, 0), None);
        assert_eq!(Wanted::Within(4).after(last, 0), None);
        assert_eq!(Wanted::Within(0).after(Id::MIN, 0), Some(Id { ms: 0, seq: 1 }));
        assert_eq!(Wanted::Exactly(last).after(last, 0), None);
        assert_eq!(Wanted::Any.after(Id::MAX, 0), None);
    }
}

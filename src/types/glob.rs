//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and ACL rules understand them, on bytes.
//!
//! `*` any run, `?` any byte, `[a-z]` `[^a-z]` classes, `\x` the byte `x` itself. Nothing is an
//! error: a class that is never closed ends with the pattern, a last lone `\` is a backslash, a
//! range written backwards is turned around. Like Redis, an empty text matches the empty pattern
//! only (so the pattern `**` misses it); [`Pattern`] makes the one exception for `*`, see there.
//!
//! # Why a hostile pattern cannot stall the server
//! A recursive matcher tries every split of the text among the stars: exponential. Here only the
//! **last** star passed is ever revisited. That loses nothing: between two stars stands a fixed
//! number of single-byte elements, and if they fit at several places the leftmost leaves the most
//! text to the later star, so whatever a later placement would allow, the leftmost allows too. Each
//! retry moves that star's end one byte on and the end never moves back, so there are at most
//! `text.len()` retries, each reading at most the pattern once: time is at most
//! `text.len() * pattern.len()` steps, memory constant.

/// Tells whether `text` matches `pattern`; `nocase` folds ASCII letters.
///
/// Ranges compare bytes as unsigned numbers. As in Redis, a byte escaped inside a class keeps its
/// case even under `nocase`.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Where to resume when the elements after the last star fail: (pattern after it, text it ate).
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            star = Some((p, t));
            continue;
        }
        match step(pattern, p, text[t], nocase) {
            Some(next) => {
                p = next;
                t += 1;
            }
            None => {
                let Some((after, eaten)) = star else { return false };
                let Some(skip) = next_candidate(pattern[after], &text[eaten + 1..], nocase) else {
                    return false;
                };
                t = eaten + 1 + skip;
                p = after;
                star = Some((after, t));
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Compares the single-byte element at `pattern[at]` with `byte`; on success says where the next
/// element begins. `None` also at the end of the pattern. The element is not a star.
fn step(pattern: &[u8], at: usize, byte: u8, nocase: bool) -> Option<usize> {
    let (expected, next) = match *pattern.get(at)? {
        b'?' => return Some(at + 1),
        b'[' => {
            let (hit, next) = class(pattern, at + 1, byte, nocase);
            return hit.then_some(next);
        }
        b'\\' => match pattern.get(at + 1) {
            Some(&escaped) => (escaped, at + 2),
            None => (b'\\', at + 1),
        },
        literal => (literal, at + 1),
    };
    same(expected, byte, nocase).then_some(next)
}

/// Reads the class whose first byte after `[` is `pattern[at]`: whether it holds `byte`, and where
/// the pattern goes on.
fn class(pattern: &[u8], mut at: usize, byte: u8, nocase: bool) -> (bool, usize) {
    let negated = pattern.get(at) == Some(&b'^');
    if negated {
        at += 1;
    }
    let mut hit = false;
    loop {
        match pattern[at.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                hit |= escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                hit |= in_range(from, to, byte, nocase);
                at += 3;
            }
            [single, ..] => {
                hit |= same(single, byte, nocase);
                at += 1;
            }
        }
    }
    (hit != negated, at)
}

/// Redis turns the range around before it folds case, so `[A-_]` is empty under `nocase`.
fn in_range(from: u8, to: u8, byte: u8, nocase: bool) -> bool {
    let (low, high) = (from.min(to), from.max(to));
    if nocase {
        let byte = byte.to_ascii_lowercase();
        low.to_ascii_lowercase() <= byte && byte <= high.to_ascii_lowercase()
    } else {
        low <= byte && byte <= high
    }
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

/// How many bytes of `text` a star may swallow at once because the element after it, which begins
/// with `first`, cannot match them; `None` when no place is left.
fn next_candidate(first: u8, text: &[u8], nocase: bool) -> Option<usize> {
    if nocase || matches!(first, b'?' | b'[' | b'\\') {
        return (!text.is_empty()).then_some(0);
    }
    memchr::memchr(first, text)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

/// A pattern examined once and matched often (SCAN over a table, a channel pattern, an ACL rule).
///
/// It matches exactly what [`matches()`] does, with one exception: the pattern `*` alone matches the
/// empty text too, since KEYS and SCAN treat it as "no filter".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    source: Box<[u8]>,
    kind: Kind,
}

/// What of a pattern can be decided without stepping through it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// `*`
    All,
    /// No wildcard: exactly these bytes, escapes removed.
    Literal(Box<[u8]>),
    /// These bytes, then stars only.
    Prefix(Box<[u8]>),
    General {
        nocase: bool,
    },
}

impl Pattern {
    /// Examines `source`; letters match in their own case only.
    pub fn new(source: &[u8]) -> Pattern {
        Pattern { source: source.into(), kind: Kind::of(source) }
    }

    /// Examines `source`; ASCII letters match in either case.
    pub fn nocase(source: &[u8]) -> Pattern {
        let kind = if source == b"*" { Kind::All } else { Kind::General { nocase: true } };
        Pattern { source: source.into(), kind }
    }

    /// Tells whether `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        match &self.kind {
            Kind::All => true,
            Kind::Literal(literal) => **literal == *text,
            Kind::Prefix(prefix) => text.starts_with(prefix) && !text.is_empty(),
            Kind::General { nocase } => matches(&self.source, text, *nocase),
        }
    }

    /// Whether this is `*`, so that callers may skip the filter.
    pub fn is_all(&self) -> bool {
        self.kind == Kind::All
    }

    /// The only text that matches, if the pattern has no wildcard: a look-up then replaces a scan.
    pub fn literal(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Literal(literal) => Some(literal),
            _ => None,
        }
    }

    /// The bytes every match begins with (empty if none are known).
    pub fn prefix(&self) -> &[u8] {
        match &self.kind {
            Kind::Literal(bytes) | Kind::Prefix(bytes) => bytes,
            Kind::All | Kind::General { nocase: true } => b"",
            Kind::General { nocase: false } => {
                let end = self.source.iter().position(|&byte| is_special(byte));
                &self.source[..end.unwrap_or(self.source.len())]
            }
        }
    }

    /// The pattern as written.
    pub fn source(&self) -> &[u8] {
        &self.source
    }
}

impl Kind {
    fn of(source: &[u8]) -> Kind {
        if source == b"*" {
            return Kind::All;
        }
        let mut literal = Vec::with_capacity(source.len());
        let mut rest = source;
        loop {
            match *rest {
                [] => return Kind::Literal(literal.into()),
                [b'\\', escaped, ref tail @ ..] => {
                    literal.push(escaped);
                    rest = tail;
                }
                [b'*', ..] if rest.iter().all(|&byte| byte == b'*') => {
                    return Kind::Prefix(literal.into());
                }
                [b'*' | b'?' | b'[', ..] => return Kind::General { nocase: false },
                [byte, ref tail @ ..] => {
                    literal.push(byte);
                    rest = tail;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The meaning, spelled out: each star tries every length.
    fn model(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        let Some(&first) = pattern.first() else { return text.is_empty() };
        if first == b'*' {
            return (0..=text.len()).any(|eaten| model(&pattern[1..], &text[eaten..], nocase));
        }
        let Some(&byte) = text.first() else { return false };
        match first {
            b'?' => model(&pattern[1..], &text[1..], nocase),
            b'[' => {
                let (members, rest) = model_class(&pattern[1..], nocase);
                members[usize::from(byte)] && model(rest, &text[1..], nocase)
            }
            _ => {
                let escaped = first == b'\\' && pattern.len() > 1;
                let at = usize::from(escaped);
                let equal = if nocase {
                    pattern[at].eq_ignore_ascii_case(&byte)
                } else {
                    pattern[at] == byte
                };
                equal && model(&pattern[at + 1..], &text[1..], nocase)
            }
        }
    }

    fn model_class(mut rest: &[u8], nocase: bool) -> ([bool; 256], &[u8]) {
        let mut members = [false; 256];
        let lower = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
        let negated = rest.first() == Some(&b'^');
        if negated {
            rest = &rest[1..];
        }
        while !rest.is_empty() && rest[0] != b']' {
            let (from, to, exact, used) = if rest[0] == b'\\' && rest.len() > 1 {
                (rest[1], rest[1], true, 2)
            } else if rest.len() > 2 && rest[1] == b'-' {
                (rest[0].min(rest[2]), rest[0].max(rest[2]), false, 3)
            } else {
                (rest[0], rest[0], false, 1)
            };
            for byte in 0..=255u8 {
                let hit = if exact {
                    from == byte
                } else {
                    lower(from) <= lower(byte) && lower(byte) <= lower(to)
                };
                members[usize::from(byte)] |= hit;
            }
            rest = &rest[used..];
        }
        let rest = if rest.is_empty() { rest } else { &rest[1..] };
        (members.map(|hit| hit != negated), rest)
    }

    fn pattern_bytes() -> impl Strategy<Value = Vec<u8>> {
        vec(proptest::sample::select(b"**??[]^-\\abAB_c".to_vec()), 0..12)
    }

    fn text_bytes() -> impl Strategy<Value = Vec<u8>> {
        vec(proptest::sample::select(b"abAB_c-]\\".to_vec()), 0..12)
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(pattern in pattern_bytes(), text in text_bytes(), nocase: bool) {
            let want = if text.is_empty() { pattern.is_empty() } else { model(&pattern, &text, nocase) };
            prop_assert_eq!(matches(&pattern, &text, nocase), want);
        }

        #[test]
        fn compiled_agrees(pattern in pattern_bytes(), text in text_bytes()) {
            let compiled = Pattern::new(&pattern);
            let want = matches(&pattern, &text, false) || pattern == b"*";
            prop_assert_eq!(compiled.matches(&text), want);
            prop_assert!(!want || text.starts_with(compiled.prefix()));
            let folded = Pattern::nocase(&pattern);
            prop_assert_eq!(folded.matches(&text), matches(&pattern, &text, true) || pattern == b"*");
        }
    }

    /// Every line was asked of redis-server 7.0.15 (PSUBSCRIBE, then PUBLISH).
    #[test]
    fn odd_patterns_read_as_redis_reads_them() {
        let hits: &[(&[u8], &[&[u8]])] = &[
            (b"", &[b""]),
            (b"*", &[b"a", b"\\", b"-"]),
            (b"**", &[b"a", b"\\", b"-"]),
            (b"[", &[]),
            (b"[^", &[b"a", b"\\", b"-"]),
            (b"[]", &[]),
            (b"[^]", &[b"a", b"\\", b"-"]),
            (b"[a", &[b"a"]),
            (b"[a-", &[b"a", b"-"]),
            (b"[a\\", &[b"a", b"\\"]),
            (b"[^a-]", &[b"\\", b"-"]),
            (b"[A-z]", &[b"a", b"\\"]),
            (b"\\", &[b"\\"]),
            (b"a\\", &[]),
        ];
        for (pattern, texts) in hits {
            for text in [&b""[..], b"a", b"\\", b"-"] {
                assert_eq!(
                    matches(pattern, text, false),
                    texts.contains(&text),
                    "{pattern:?} {text:?}"
                );
            }
        }
    }

    #[test]
    fn kinds() {
        assert!(Pattern::new(b"*").is_all());
        assert!(Pattern::new(b"*").matches(b""));
        assert_eq!(Pattern::new(b"a\\*b").literal(), Some(&b"a*b"[..]));
        assert_eq!(Pattern::new(b"user:*").kind, Kind::Prefix(b"user:"[..].into()));
        assert_eq!(Pattern::new(b"user:*:x").prefix(), b"user:");
        assert!(Pattern::nocase(b"GET*").matches(b"getex"));
    }

    /// Exponential for a recursive matcher: 2^24 splits and more.
    #[test]
    fn many_stars_stay_cheap() {
        let pattern: Vec<u8> = b"a*".iter().copied().cycle().take(100).chain(*b"b").collect();
        assert!(!matches(&pattern, &[b'a'; 10_000], false));
    }
}

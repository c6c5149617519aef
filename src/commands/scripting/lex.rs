//! Lua's tokens, for who looks through a script without running it.
//!
//! What Lua would not compile may come out in any way: it never runs. What is not understood (`:` among
//! others, which begins methods) gives nothing at all.

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'t> {
    /// A name or keyword.
    Name(&'t [u8]),
    /// A string, as it is written between its quotes.
    Text(&'t [u8]),
    /// A number.
    Number,
    /// Anything else, the longest that it can be.
    Sign(&'t [u8]),
}

const SIGNS: &[&[u8]] = &[b"...", b"..", b"==", b"~=", b"<=", b">="];

/// The tokens of a text; none if it is not understood.
pub fn tokens(text: &[u8]) -> Option<Vec<Token<'_>>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(&first) = rest.first() {
        let len = if first.is_ascii_whitespace() {
            1
        } else if rest.starts_with(b"--") {
            match long(&rest[2..]) {
                Some((_, len)) => len + 2,
                None => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            }
        } else if first.is_ascii_alphabetic() || first == b'_' {
            let len = run(rest, |b| b.is_ascii_alphanumeric() || b == b'_');
            found.push(Token::Name(&rest[..len]));
            len
        } else if first.is_ascii_digit() {
            found.push(Token::Number);
            // As far as a number can go: what is no number does not compile.
            run(rest, |b| b.is_ascii_alphanumeric()) + fraction(rest)
        } else if first == b'"' || first == b'\'' {
            let len = quoted(rest)?;
            found.push(Token::Text(&rest[1..len - 1]));
            len
        } else if let Some((inner, len)) = long(rest) {
            found.push(Token::Text(inner));
            len
        } else {
            let long = SIGNS.iter().find(|sign| rest.starts_with(sign));
            let len = long.map_or(1, |sign| sign.len());
            if !b"+-*/%^#<>=(){}[];,.~".contains(&first) {
                return None; // `:` among others
            }
            found.push(Token::Sign(&rest[..len]));
            len
        };
        rest = rest.get(len..)?;
    }
    Some(found)
}

fn run(text: &[u8], fits: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|b| !fits(*b)).unwrap_or(text.len())
}

/// How many more bytes a number has, from its point on.
fn fraction(text: &[u8]) -> usize {
    let rest = &text[run(text, |b| b.is_ascii_alphanumeric())..];
    match rest {
        [b'.', b'.', ..] => 0,
        [b'.', more @ ..] => 1 + run(more, |b| b.is_ascii_alphanumeric()),
        _ => 0,
    }
}

/// The length of a string in quotes, with them.
fn quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'\\' => at += 2,
            b'\n' => return None,
            b if b == text[0] => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// What stands in long brackets, and the length with them.
fn long(text: &[u8]) -> Option<(&[u8], usize)> {
    let level = text.strip_prefix(b"[").map(|rest| run(rest, |b| b == b'='))?;
    if text.get(level + 1) != Some(&b'[') {
        return None;
    }
    let close = [b"]".as_slice(), &vec![b'='; level], b"]"].concat();
    let inner = &text[level + 2..];
    let end = memchr::memmem::find(inner, &close)?;
    Some((&inner[..end], level + 2 + end + close.len()))
}

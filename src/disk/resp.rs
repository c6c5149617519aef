//! One command of the stream at a time, from bytes that may stop anywhere.
//!
//! The parser remembers where it was, so a command of a million arguments that arrives in pieces is
//! looked at once. It allocates for arguments that are there, not for those that are announced.

/// What has become of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// They are the beginning of a command.
    More,
    /// They are no command, whatever follows.
    Bad(&'static str),
    /// A command of so many bytes.
    Whole(usize),
}

/// A number in a header has no more digits; Redis writes none that is larger.
const DIGITS_MAX: usize = 18;

#[derive(Debug, Default)]
pub(super) struct Parser {
    /// Begin and end of each argument, from the begin of the command.
    spans: Vec<(usize, usize)>,
    announced: Option<usize>,
    at: usize,
}

impl Parser {
    /// Looks at a command from its first byte; called again with more of it after [`Parsed::More`].
    pub(super) fn parse(&mut self, bytes: &[u8]) -> Parsed {
        let announced = match self.announced {
            Some(announced) => announced,
            None => {
                self.spans.clear();
                self.at = 0;
                match number(bytes, b'*') {
                    Number::Is(0, _) => return Parsed::Bad("a command without arguments"),
                    Number::Is(count, end) => {
                        self.announced = Some(count);
                        self.at = end;
                        count
                    }
                    Number::More => return Parsed::More,
                    Number::Bad => return Parsed::Bad("expected '*' and a number"),
                }
            }
        };
        while self.spans.len() < announced {
            let (len, begin) = match number(&bytes[self.at..], b'$') {
                Number::Is(len, used) => (len, self.at + used),
                Number::More => return Parsed::More,
                Number::Bad => return Parsed::Bad("expected '$' and a number"),
            };
            let end = begin + len;
            match bytes.get(end..) {
                None | Some([]) => return Parsed::More,
                Some([b'\r']) => return Parsed::More,
                Some([b'\r', b'\n', ..]) => {}
                Some(_) => return Parsed::Bad("an argument does not end where it should"),
            }
            self.spans.push((begin, end));
            self.at = end + 2;
        }
        self.announced = None;
        Parsed::Whole(self.at)
    }

    /// Forgets a command that was begun.
    pub(super) fn reset(&mut self) {
        self.announced = None;
    }

    /// How many bytes of the command are needed before it is worth looking again.
    pub(super) fn arguments<'a>(&self, bytes: &'a [u8], into: &mut Vec<&'a [u8]>) {
        into.clear();
        into.extend(self.spans.iter().map(|(begin, end)| &bytes[*begin..*end]));
    }
}

enum Number {
    Is(usize, usize),
    More,
    Bad,
}

/// `mark`, digits, CRLF: the number and how many bytes it took.
fn number(bytes: &[u8], mark: u8) -> Number {
    match bytes.first() {
        None => return Number::More,
        Some(first) if *first != mark => return Number::Bad,
        Some(_) => {}
    }
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' if at <= DIGITS_MAX => value = value * 10 + usize::from(byte - b'0'),
            b'\r' if at > 1 => {
                return match bytes.get(at + 1) {
                    None => Number::More,
                    Some(b'\n') => Number::Is(value, at + 2),
                    Some(_) => Number::Bad,
                };
            }
            _ => return Number::Bad,
        }
    }
    Number::More
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";

    #[test]
    fn every_prefix_asks_for_more_and_is_not_read_twice() {
        let mut parser = Parser::default();
        for cut in 0..COMMAND.len() {
            assert_eq!(parser.parse(&COMMAND[..cut]), Parsed::More, "cut at {cut}");
        }
        assert_eq!(parser.parse(COMMAND), Parsed::Whole(COMMAND.len()));
        let mut arguments = Vec::new();
        parser.arguments(COMMAND, &mut arguments);
        assert_eq!(arguments, [&b"SET"[..], b"k", b""]);
    }

    #[test]
    fn nonsense_is_seen() {
        for bad in
            ["x", "*0\r\n", "*\r\n", "*-1\r\n", "*1\r\n*1\r\n", "*1\r\n$1\r\nab\r\n", "*1\r\r"]
        {
            assert!(matches!(Parser::default().parse(bad.as_bytes()), Parsed::Bad(_)), "{bad:?}");
        }
        let long = "*9999999999999999999\r\n";
        assert!(matches!(Parser::default().parse(long.as_bytes()), Parsed::Bad(_)));
    }
}

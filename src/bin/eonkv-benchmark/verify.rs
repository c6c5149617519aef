//! `--verify`: every reply is looked at, and GET must return what SET stored for that key.
//!
//! Keeps true: a value is compared byte by byte as it passes, across any number of reads, without
//! being gathered. A missing key is no mistake (nobody may have set it yet) and is counted apart.

use crate::values::Values;
use crate::walker::Observer;

/// What a right reply to a command looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any reply but an error.
    Anything,
    /// `+OK`
    Ok,
    /// `+PONG`
    Pong,
    /// An integer.
    Integer,
    /// A string or null.
    MaybeString,
    /// The value of the request's first key, or null.
    Value,
    /// An array.
    Array,
}

impl Expect {
    /// What a command of these words is answered with. Only forms without options are known.
    pub fn of<W: AsRef<[u8]>>(words: &[W]) -> Self {
        let Some(name) = words.first() else { return Expect::Anything };
        match (name.as_ref().to_ascii_uppercase().as_slice(), words.len()) {
            (b"PING", 1) => Expect::Pong,
            (b"SET", 3) | (b"MSET", _) => Expect::Ok,
            // Only keys of the tests' form: their number says what was stored.
            (b"GET", 2) if words[1].as_ref().starts_with(b"key:__rand_int__") => Expect::Value,
            (b"GET", 2) | (b"LPOP" | b"RPOP" | b"SPOP", 2) => Expect::MaybeString,
            (b"INCR" | b"DECR", 2) | (b"LPUSH" | b"RPUSH" | b"SADD" | b"HSET" | b"ZADD", _) => {
                Expect::Integer
            }
            (b"LRANGE" | b"ZPOPMIN", _) => Expect::Array,
            _ => Expect::Anything,
        }
    }
}

/// What one request of a batch expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The command's index in its workload.
    pub command: usize,
    /// The first key drawn for it.
    pub key: u64,
}

/// The result of checking.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Replies looked at.
    pub checked: u64,
    /// GETs of a key that nobody had set.
    pub missing: u64,
    pub wrong: u64,
    /// The first wrong reply, in words.
    pub first_wrong: Option<String>,
}

impl Tally {
    /// Adds another thread's result.
    pub fn add(&mut self, other: Tally) {
        self.checked += other.checked;
        self.missing += other.missing;
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }
}

/// A connection's place in the checking of its current batch.
#[derive(Debug, Default)]
pub struct Progress {
    /// Replies of this batch already checked.
    done: usize,
    /// The current reply's first line has been seen.
    begun: bool,
    /// Its body is to equal the value of the key.
    comparing: bool,
    /// Bytes of it compared so far.
    compared: usize,
    wrong: bool,
}

impl Progress {
    /// Begins a new batch.
    pub fn restart(&mut self) {
        *self = Progress::default();
    }
}

/// Checks the replies passing through the walker.
pub struct Checker<'a> {
    pub progress: &'a mut Progress,
    pub expected: &'a [Expected],
    /// What the workload's commands expect, by index.
    pub expects: &'a [Expect],
    pub values: &'a Values,
    pub tally: &'a mut Tally,
}

impl Checker<'_> {
    fn current(&self) -> (Expect, u64) {
        match self.expected.get(self.progress.done) {
            Some(e) => (self.expects.get(e.command).copied().unwrap_or(Expect::Anything), e.key),
            None => (Expect::Anything, 0), // too many replies: the connection notices
        }
    }

    fn complain(&mut self, got: &[u8]) {
        self.progress.wrong = true;
        if self.tally.first_wrong.is_none() {
            let (expect, key) = self.current();
            let expected = match expect {
                Expect::Value => format!("\"{}\"", preview(self.values.of(key))),
                other => format!("{other:?}"),
            };
            self.tally.first_wrong =
                Some(format!("key {key}: expected {expected}, got \"{}\"", preview(got)));
        }
    }
}

fn preview(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(40)].escape_ascii().to_string()
}

impl Observer for Checker<'_> {
    fn line(&mut self, line: &[u8]) {
        if self.progress.begun {
            return;
        }
        self.progress.begun = true;
        let (expect, key) = self.current();
        let null = matches!(line, b"$-1" | b"_" | b"*-1");
        let right = match expect {
            Expect::Anything => true,
            Expect::Ok => line == b"+OK",
            Expect::Pong => line == b"+PONG",
            Expect::Integer => line.starts_with(b":"),
            Expect::MaybeString => null || line.starts_with(b"$"),
            Expect::Array => line.starts_with(b"*"),
            Expect::Value if null => {
                self.tally.missing += 1;
                true
            }
            Expect::Value => {
                self.progress.comparing = true;
                line == format!("${}", self.values.of(key).len()).as_bytes()
            }
        };
        if !right {
            self.complain(line);
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        if !self.progress.comparing || self.progress.wrong {
            return;
        }
        let (_, key) = self.current();
        let (from, to) = (self.progress.compared, self.progress.compared + bytes.len());
        self.progress.compared = to;
        if self.values.of(key).get(from..to) != Some(bytes) {
            self.complain(bytes);
        }
    }

    fn end(&mut self) {
        self.tally.checked += 1;
        self.tally.wrong += u64::from(self.progress.wrong);
        *self.progress = Progress { done: self.progress.done + 1, ..Progress::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walker::Walker;

    fn check(expects: &[Expect], replies: &[u8], cut: usize) -> Tally {
        let (values, mut tally, mut progress) =
            (Values::new(4), Tally::default(), Progress::default());
        let expected: Vec<_> =
            (0..expects.len()).map(|i| Expected { command: i, key: i as u64 }).collect();
        let mut walker = Walker::default();
        for part in [&replies[..cut], &replies[cut..]] {
            let mut checker = Checker {
                progress: &mut progress,
                expected: &expected,
                expects,
                values: &values,
                tally: &mut tally,
            };
            walker.feed(part, &mut checker).unwrap();
        }
        tally
    }

    #[test]
    fn right_replies_pass_at_every_cut() {
        let values = Values::new(4);
        let replies = [
            b"+OK\r\n:1\r\n$4\r\n".as_slice(),
            values.of(2),
            b"\r\n$-1\r\n*1\r\n$1\r\nx\r\n+PONG\r\n$1\r\ny\r\n",
        ]
        .concat();
        use Expect::*;
        for cut in 0..replies.len() {
            let tally =
                check(&[Ok, Integer, Value, Value, Array, Pong, MaybeString], &replies, cut);
            assert_eq!(tally, Tally { checked: 7, missing: 1, ..Tally::default() }, "cut {cut}");
        }
    }

    #[test]
    fn wrong_replies_are_counted_once_and_the_first_is_told() {
        for (expect, reply) in [
            (Expect::Value, &b"$4\r\nnope\r\n"[..]),
            (Expect::Value, b"$5\r\nnopes\r\n"),
            (Expect::Value, b"+OK\r\n"),
            (Expect::Ok, b"$2\r\nOK\r\n"),
            (Expect::Integer, b"$-1\r\n"),
        ] {
            for cut in 0..reply.len() {
                let tally = check(&[expect], reply, cut);
                assert_eq!((tally.checked, tally.wrong), (1, 1));
                assert!(tally.first_wrong.unwrap().starts_with("key 0: expected "));
            }
        }
    }

    #[test]
    fn commands_are_known_by_their_plain_form() {
        assert_eq!(Expect::of(&["get", "key:__rand_int__"]), Expect::Value);
        assert_eq!(Expect::of(&["get", "other"]), Expect::MaybeString);
        assert_eq!(Expect::of(&["SET", "a", "b", "GET"]), Expect::Anything);
        assert_eq!(Expect::of::<&str>(&[]), Expect::Anything);
    }
}

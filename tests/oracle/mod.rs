//! Two servers that should answer alike, and random words to ask them with.

#![allow(dead_code, clippy::unwrap_used)] // each test that includes this uses a part of it

#[path = "../server/port.rs"]
mod port;
pub mod template;
pub mod writes;

use port::free_port;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A reply as a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null(u8),
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// The head (`*`, `%`, `~`, `>`) and the elements, keys and values of maps in turn.
    Many(u8, Vec<Value>),
    /// RESP3's other kinds: head and text.
    Other(u8, Vec<u8>),
}

impl Value {
    /// The same with elements in groups of `group` sorted; 0 leaves them as they are.
    fn canonical(self, group: usize) -> Self {
        match self {
            Self::Many(head, values) if group > 0 => {
                // RESP3 gives pairs of some commands as arrays of two.
                let group = if matches!(values.first(), Some(Self::Many(..))) { 1 } else { group };
                let mut groups: Vec<Vec<Self>> =
                    values.chunks(group).map(<[Self]>::to_vec).collect();
                groups.sort();
                Self::Many(head, groups.concat())
            }
            other => other,
        }
    }
}

/// A server of this test's own, killed at the end of it.
pub struct Server {
    child: Child,
    pub input: BufReader<TcpStream>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts it; none if there is no such program.
    pub fn start(program: &str) -> Option<Self> {
        let port = free_port();
        let mut child = Command::new(program)
            .args(["--port", &port.to_string(), "--save", "", "--dbfilename", "nothing.rdb"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        for _ in 0..200 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                return Some(Self { child, input: BufReader::new(stream) });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
        panic!("{program} does not listen");
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        self.send_all(&[words.to_vec()]);
    }

    /// Sends several commands in one piece.
    pub fn send_all(&mut self, commands: &[Vec<Vec<u8>>]) {
        let mut out = Vec::new();
        for words in commands {
            out.extend(format!("*{}\r\n", words.len()).bytes());
            for word in words {
                out.extend(format!("${}\r\n", word.len()).bytes());
                out.extend_from_slice(word);
                out.extend_from_slice(b"\r\n");
            }
        }
        self.input.get_mut().write_all(&out).unwrap();
    }

    fn reply(&mut self) -> Value {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line).unwrap();
        assert!(line.len() > 2, "the connection was closed");
        let (head, text) = (line[0], line[1..line.len() - 2].to_vec());
        let number = || std::str::from_utf8(&text).unwrap().parse::<i64>().unwrap();
        match head {
            b'+' => Value::Simple(text),
            b'-' => Value::Error(text),
            b':' => Value::Int(number()),
            b'$' | b'*' if number() < 0 => Value::Null(head),
            b'_' => Value::Null(head),
            b'$' | b'=' => {
                let mut bytes = vec![0; number() as usize + 2];
                self.input.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                if head == b'$' { Value::Bulk(bytes) } else { Value::Other(head, bytes) }
            }
            b'*' | b'~' | b'>' => Value::Many(head, (0..number()).map(|_| self.reply()).collect()),
            b'%' => Value::Many(head, (0..2 * number()).map(|_| self.reply()).collect()),
            _ => Value::Other(head, text),
        }
    }
}

/// redis-server and ours.
pub struct Pair {
    redis: Server,
    ours: Server,
    notes: VecDeque<String>,
}

impl Pair {
    /// Starts both; none if there is no redis-server here.
    pub fn start(program: &str) -> Option<Self> {
        let redis = Server::start("redis-server")?;
        let ours = Server::start(program).unwrap();
        Some(Self { redis, ours, notes: VecDeque::new() })
    }

    /// Changes the protocol of both connections.
    pub fn protocol(&mut self, version: u64) {
        for server in [&mut self.redis, &mut self.ours] {
            server.send(&["HELLO".into(), version.to_string().into()]);
            server.reply();
        }
    }

    /// Keeps a line to be told if there is a difference later.
    pub fn note(&mut self, line: String) {
        if self.notes.len() == 5_000 {
            self.notes.pop_front();
        }
        self.notes.push_back(line);
    }

    /// Asks both; panics if they answer differently. Returns the answer.
    pub fn same(&mut self, words: &[Vec<u8>], group: usize) -> Value {
        self.redis.send(words);
        self.ours.send(words);
        let want = self.redis.reply().canonical(group);
        let got = self.ours.reply().canonical(group);
        if want != got {
            let about = |line: &&String| {
                words.iter().skip(1).any(|word| {
                    let word = String::from_utf8_lossy(word).into_owned();
                    word.len() == 2 && line.split(' ').any(|part| part == word)
                })
            };
            let before: Vec<&String> = self.notes.iter().rev().filter(about).take(40).collect();
            panic!(
                "{}\nredis: {}\nours:  {}\nlast commands on its keys, the latest first:\n{}",
                show(words),
                tell(&want),
                tell(&got),
                before.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n"),
            );
        }
        got
    }
}

fn tell(value: &Value) -> String {
    match value {
        Value::Null(head) => format!("{}null", char::from(*head)),
        Value::Int(number) => number.to_string(),
        Value::Simple(text) => format!("+{}", escape(text)),
        Value::Error(text) => format!("-{}", escape(text)),
        Value::Bulk(text) => format!("\"{}\"", escape(text)),
        Value::Other(head, text) => format!("{}{}", char::from(*head), escape(text)),
        Value::Many(head, values) => {
            let inner: Vec<String> = values.iter().map(tell).collect();
            format!("{}[{}]", char::from(*head), inner.join(" "))
        }
    }
}

fn escape(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).escape_debug().to_string()
}

/// A command in one line.
pub fn show(words: &[Vec<u8>]) -> String {
    words.iter().map(|word| escape(word)).collect::<Vec<_>>().join(" ")
}

/// A number from the environment.
pub fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Xorshift: the same seed gives the same commands everywhere.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    /// A small number of either sign, rarely no number or a great one.
    pub fn index(&mut self) -> Vec<u8> {
        match self.below(80) {
            0 => b"9223372036854775807".to_vec(),
            1 => b"-9223372036854775808".to_vec(),
            2 => b"9223372036854775808".to_vec(),
            3 => b"x".to_vec(),
            _ => (self.below(14) as i64 - 5).to_string().into_bytes(),
        }
    }

    /// A value: a word of few, a number, bytes, now and then long.
    pub fn element(&mut self) -> Vec<u8> {
        match self.below(14) {
            0..6 => self.member(),
            6..10 => (self.below(40) as i64 - 20).to_string().into_bytes(),
            10 => self.next().to_string().into_bytes(),
            11 => format!("{}.{}", self.below(9), self.below(99)).into_bytes(),
            12 => (0..self.below(90)).map(|_| self.next() as u8).collect(),
            _ => vec![b'x'; if self.once_in(5) { 5_000 } else { 70 }],
        }
    }

    /// A field or member: one of a few words, sometimes of many.
    pub fn member(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => format!("m{}", self.below(300)).into_bytes(),
            1 => self.below(50).to_string().into_bytes(),
            2 if self.once_in(6) => vec![b'y'; 66],
            _ => self.of(&["a", "b", "c", "d", "e", "aa", "ab", "abc", "n", "1", "2", "-3"]).into(),
        }
    }

    /// A score.
    pub fn score(&mut self) -> Vec<u8> {
        match self.below(40) {
            0 => b"inf".to_vec(),
            1 => b"-inf".to_vec(),
            2 => self.of(&["nan", "x", "", "1e", "1 "]).into(),
            3..6 => format!("{}e{}", self.below(100), self.below(30) as i64 - 10).into_bytes(),
            6..20 => format!("{}.{}", self.below(9) as i64 - 4, self.below(100)).into_bytes(),
            _ => (self.below(12) as i64 - 4).to_string().into_bytes(),
        }
    }

    /// A bound of a range of scores.
    pub fn bound(&mut self) -> Vec<u8> {
        match self.below(10) {
            0 => b"-inf".to_vec(),
            1 => b"+inf".to_vec(),
            2..4 => [b"(".as_slice(), &self.score()].concat(),
            _ => self.score(),
        }
    }

    /// A bound of a range of members.
    pub fn lex_bound(&mut self) -> Vec<u8> {
        match self.below(10) {
            0..2 => b"-".to_vec(),
            2..4 => b"+".to_vec(),
            4 => self.member(),
            5..7 => [b"(".as_slice(), &self.member()].concat(),
            _ => [b"[".as_slice(), &self.member()].concat(),
        }
    }
}

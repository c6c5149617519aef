//! A real process on a port of its own, and a client that checks every byte: for tests of the server
//! as clients meet it.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code
#![allow(dead_code)] // each test file uses what it needs

pub mod folder;
pub mod port;
pub mod transfers;

use port::free_port;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server on a port of its own, ended with the test.
pub struct Server {
    pub process: Child,
    pub port: u16,
    /// Its data directory, if it got one of its own.
    dir: Option<PathBuf>,
}

static DIRS: AtomicUsize = AtomicUsize::new(0);

/// A fresh data directory: a snapshot of another test is none of this one's business.
fn fresh_dir() -> PathBuf {
    let name =
        format!("eonkv-data-{}-{}", std::process::id(), DIRS.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(options, &[])
    }

    /// With variables of its environment.
    pub fn start_with(options: &[&str], variables: &[(&str, &str)]) -> Self {
        let own = (!options.contains(&"--dir")).then(fresh_dir);
        let dir: Vec<&str> = own.iter().flat_map(|dir| ["--dir", dir.to_str().unwrap()]).collect();
        for _ in 0..5 {
            let port = free_port();
            let mut process = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--io-threads", "2"])
                .args(["--save", ""])
                .args(&dir)
                .args(options)
                .envs(variables.iter().copied())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, port, dir: own };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("the server does not start");
    }

    pub fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { stream }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.process.try_wait()
            && std::thread::panicking()
        {
            eprintln!("the server at port {} ended before its test: {status}", self.port);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Exactly the expected bytes come next.
    pub fn expect(&mut self, want: &[u8]) {
        let mut got = vec![0; want.len()];
        let mut have = 0;
        while have < got.len() {
            match self.stream.read(&mut got[have..]) {
                Ok(n) if n > 0 => have += n,
                other => panic!("{other:?} after {:?}", text(&got[..have])),
            }
        }
        assert!(got == want, "{} instead of {}", text(&got), text(want));
    }

    pub fn ask(&mut self, request: &[u8], want: &[u8]) {
        self.send(request);
        self.expect(want);
    }

    /// A command, its words between blanks.
    pub fn say(&mut self, command: &str) {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        self.send(&request(&words));
    }

    /// A command and its exact reply.
    pub fn check(&mut self, command: &str, want: &str) {
        self.say(command);
        self.expect(want.as_bytes());
    }

    /// A command that replies with an integer.
    pub fn int(&mut self, command: &str) -> i64 {
        self.say(command);
        let line = self.line();
        let number = line.strip_prefix(':').and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{command}: {line}"))
    }

    /// The texts of an array, set or map (of protocol 2) that comes next.
    pub fn texts(&mut self) -> Vec<String> {
        let head = self.line();
        let count = head[1..].parse().unwrap_or_else(|_| panic!("{head}"));
        (0..count).map(|_| self.bulk()).collect()
    }

    /// The text that comes next.
    pub fn bulk(&mut self) -> String {
        let head = self.line();
        assert!(head.starts_with('$'), "{head}");
        self.line()
    }

    /// A section of INFO.
    pub fn info(&mut self, section: &str) -> String {
        self.say(&format!("INFO {section}"));
        let head = self.line();
        let mut text = vec![0; head[1..].parse::<usize>().unwrap() + 2];
        self.stream.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// A whole walk by `command`, SCAN or one of its kin up to the cursor, with `rest` behind it.
    pub fn walk(&mut self, command: &str, rest: &str) -> Vec<String> {
        let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
        loop {
            self.say(&format!("{command} {cursor}{rest}"));
            self.expect(b"*2\r\n");
            cursor = self.bulk();
            found.extend(self.texts());
            if cursor == "0" {
                return found;
            }
        }
    }

    /// All bytes until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        // A reset after the last byte is a close too.
        let _ = self.stream.read_to_end(&mut got);
        got
    }

    pub fn is_quiet(&mut self) -> bool {
        self.is_quiet_for(Duration::from_millis(100))
    }

    /// Nothing comes within `time`; what comes stays there to be read.
    pub fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let quiet = self.stream.peek(&mut [0; 16]).is_err();
        self.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        quiet
    }

    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        text(&line).trim_end().to_owned()
    }
}

/// The error of a command on a value of another type.
pub const WRONG_TYPE: &str =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// An array of texts as protocol 2 has it; `(nil)` stands for what is not there.
pub fn bulks(texts: &[&str]) -> String {
    let each = |text: &&str| match *text {
        "(nil)" => "$-1\r\n".to_owned(),
        text => format!("${}\r\n{text}\r\n", text.len()),
    };
    format!("*{}\r\n{}", texts.len(), texts.iter().map(each).collect::<String>())
}

/// Numbers without an order, from a state that is not 0.
pub fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 33) as usize
}

/// Runs a test on servers of 1, 2 and 4 workers.
pub fn at_each_width(test: impl Fn(&Server)) {
    for workers in ["1", "2", "4"] {
        test(&Server::start(&["--io-threads", workers]));
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}

pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

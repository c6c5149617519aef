//! A real process on a port of its own, and a client that checks every byte: for tests of the server
//! as clients meet it.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code
#![allow(dead_code)] // each test file uses what it needs

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server on a port of its own, ended with the test.
pub struct Server {
    pub process: Child,
    pub port: u16,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        for _ in 0..5 {
            let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = probe.local_addr().unwrap().port();
            drop(probe);
            let mut process = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--io-threads", "2"])
                .args(["--save", ""])
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, port };
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
        let _ = self.process.kill();
        let _ = self.process.wait();
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

//! A server of the test's own, and a client that reads replies as they come.

#[path = "../server/port.rs"]
mod port;

use super::model::Reply;
use port::free_port;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running `eonkv-server`, killed when dropped.
pub struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one with so many workers on a free port.
    pub fn start(workers: usize) -> Self {
        let port = free_port();
        let child = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
            .args(["--port", &port.to_string(), "--io-threads", &workers.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--dbfilename", "nothing.rdb"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("the server does not listen");
    }

    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream: BufReader::new(stream) }
    }
}

pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Sends commands in one write.
    pub fn send<C: AsRef<[W]>, W: AsRef<[u8]>>(&mut self, commands: &[C]) {
        let mut out = Vec::new();
        for words in commands {
            out.extend(format!("*{}\r\n", words.as_ref().len()).bytes());
            for word in words.as_ref() {
                out.extend(format!("${}\r\n", word.as_ref().len()).bytes());
                out.extend_from_slice(word.as_ref());
                out.extend_from_slice(b"\r\n");
            }
        }
        self.stream.get_mut().write_all(&out).unwrap();
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "+" => Reply::Ok,
            "-" => Reply::Error,
            ":" => Reply::Int(rest.parse().unwrap()),
            "$" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.stream.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array((0..rest.parse().unwrap()).map(|_| self.reply()).collect()),
            _ => panic!("not a reply: {line:?}"),
        }
    }

    /// One command and its reply; words parted by spaces.
    pub fn ask(&mut self, command: &str) -> Reply {
        self.send(&[command.split(' ').collect::<Vec<_>>()]);
        self.reply()
    }
}

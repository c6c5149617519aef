//! The data directory as an operator meets it: taken, damaged, encrypted.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server};
use std::path::PathBuf;
use std::process::{Command, Output};

/// A directory of its own, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eonkv-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn server(&self, more: &[&str]) -> Server {
        let options = ["--dir", self.path(), "--appendonly", "yes", "--appendfsync", "always"];
        Server::start(&[&options, more].concat())
    }

    fn increment(&self) -> PathBuf {
        self.0.join("appendonlydir/appendonly.aof.1.incr.aof")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_eonkv-server")).args(arguments).output();
    let Output { status, stdout, stderr } = command.unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// A client of a server that has loaded its data.
fn client(server: &Server) -> Client {
    let mut client = server.client();
    loop {
        client.say("PING");
        if client.line() == "+PONG" {
            return client;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn set(server: &Server, key: &str, value: &str) {
    client(server).check(&format!("SET {key} {value}"), "+OK\r\n");
}

#[test]
fn a_second_server_is_told_who_was_first() {
    let folder = Folder::new("taken");
    let first = folder.server(&[]);
    let arguments = ["--dir", folder.path(), "--appendonly", "yes", "--port", "0"];
    let (code, text) = run(&arguments);
    let holder = format!("in use by process {}", first.process.id());
    assert!(code == Some(3) && text.contains(&holder), "{code:?} {text}");
}

#[test]
fn a_damaged_log_is_refused_and_repaired() {
    let folder = Folder::new("damaged");
    let server = folder.server(&[]);
    for key in ["a", "b", "c"] {
        set(&server, key, "value");
    }
    drop(server);
    let mut bytes = std::fs::read(folder.increment()).unwrap();
    let place = bytes.windows(7).position(|window| window == b"b\r\n$5\r\n").unwrap();
    bytes[place + 9] ^= 4;
    std::fs::write(folder.increment(), &bytes).unwrap();
    let arguments = ["--dir", folder.path(), "--appendonly", "yes", "--port", "0", "--save", ""];
    let with_socket = [&arguments[..], &["--unixsocket", "s"]].concat();
    let (code, text) = run(&with_socket);
    assert!(code != Some(0) && text.contains("appendonly.aof.1.incr.aof at offset"), "{text}");

    let (code, text) = run(&["--repair-aof", folder.path()]);
    assert!(code == Some(1) && text.contains("Nothing was changed"), "{code:?} {text}");
    assert_eq!(std::fs::read(folder.increment()).unwrap(), bytes);
    let (code, text) = run(&["--repair-aof", folder.path(), "--fix"]);
    assert!(code == Some(0) && text.contains("can be loaded again"), "{code:?} {text}");

    let server = folder.server(&[]);
    client(&server).check("MGET a b c", "*3\r\n$5\r\nvalue\r\n$-1\r\n$-1\r\n");
}

#[test]
fn an_encrypted_log_wants_its_key() {
    let folder = Folder::new("encrypted");
    std::fs::write(folder.0.join("key"), "ab".repeat(32)).unwrap();
    std::fs::write(folder.0.join("other"), "cd".repeat(32)).unwrap();
    let server = folder.server(&["--encryption-key-file", "key"]);
    set(&server, "secret", "hidden-words");
    drop(server);
    let bytes = std::fs::read(folder.increment()).unwrap();
    assert!(!bytes.windows(12).any(|window| window == b"hidden-words"));

    let arguments = [
        "--dir",
        folder.path(),
        "--appendonly",
        "yes",
        "--port",
        "0",
        "--save",
        "",
        "--unixsocket",
        "s",
    ];
    let (code, text) = run(&arguments);
    assert!(code != Some(0) && text.contains("is encrypted with the key"), "{text}");
    let (code, text) = run(&[&arguments[..], &["--encryption-key-file", "other"]].concat());
    assert!(code != Some(0) && text.contains("and the encryption key file holds"), "{text}");

    let server = folder.server(&["--encryption-key-file", "key"]);
    client(&server).check("GET secret", "$12\r\nhidden-words\r\n");
}

//! `eonkv-cli` as a program: the built binary against a tiny server that answers from a script.
//!
//! The server is a thread with a listening socket; each test gives it a function from request to reply
//! bytes. So every byte on stdout, the exit code and every request sent can be checked, without any real
//! server's state or timing.

#![allow(clippy::unwrap_used, reason = "a helper that fails shall fail its test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What the fake server does after a request.
enum Answer {
    Reply(Vec<u8>),
    /// Sends the bytes and closes.
    Hang(Vec<u8>),
}

type Script = fn(&[String]) -> Answer;

struct Fake {
    port: u16,
    /// Every request, words joined by blanks; `(closed)` after the last of a connection.
    seen: Receiver<String>,
}

impl Fake {
    fn start(script: Script) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, seen) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let tell = tell.clone();
                std::thread::spawn(move || serve(stream.unwrap(), script, &tell));
            }
        });
        Fake { port, seen }
    }

    /// The requests of the oldest connection not asked about yet.
    fn requests(&self) -> Vec<String> {
        let wait = std::time::Duration::from_secs(5);
        let mut all = Vec::new();
        while let Ok(request) = self.seen.recv_timeout(wait) {
            if request == "(closed)" {
                break;
            }
            all.push(request);
        }
        all
    }

    /// Runs the client with these words, after the port.
    fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, b"", &[])
    }

    fn run_with(&self, words: &[&str], stdin: &[u8], env: &[(&str, &str)]) -> Output {
        let port = self.port.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_eonkv-cli"))
            .args(["-p", &port])
            .args(words)
            .env_remove("REDISCLI_AUTH")
            .env_remove("FAKETTY")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A client that fails early does not read its stdin.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }
}

fn serve(stream: TcpStream, script: Script, tell: &Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader) {
        let _ = tell.send(request.join(" "));
        let (bytes, hang) = match script(&request) {
            Answer::Reply(bytes) => (bytes, false),
            Answer::Hang(bytes) => (bytes, true),
        };
        // In pieces, as a network may do it.
        for piece in bytes.chunks(3) {
            let _ = writer.write_all(piece);
        }
        if hang {
            break;
        }
    }
    // Told first: once the client sees the end it may be back on a new connection at once.
    let _ = tell.send("(closed)".to_owned());
    let _ = writer.shutdown(std::net::Shutdown::Both);
}

fn read_request(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut line = String::new();
    // `--pipe` sends a bare line end before its last request.
    while line.trim().is_empty() {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
    }
    let count: usize = line.trim().strip_prefix('*')?.parse().ok()?;
    (0..count).map(|_| read_word(reader)).collect()
}

/// One argument, a char for each byte.
fn read_word(reader: &mut impl BufRead) -> Option<String> {
    let mut header = String::new();
    reader.read_line(&mut header).ok()?;
    let len: usize = header.trim().strip_prefix('$')?.parse().ok()?;
    let mut text = vec![0; len + 2];
    reader.read_exact(&mut text).ok()?;
    text.truncate(len);
    Some(text.into_iter().map(char::from).collect())
}

/// The bytes of a word that [`read_word`] read.
fn raw(word: &str) -> Vec<u8> {
    word.chars().filter_map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

fn reply(text: &str) -> Answer {
    Answer::Reply(text.as_bytes().to_vec())
}

/// Knows a handful of commands, at least one per reply type.
fn small(request: &[String]) -> Answer {
    let words: Vec<String> = request.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ping"] => reply("+PONG\r\n"),
        ["get", "nothing"] => reply("$-1\r\n"),
        ["get", ..] => reply("$5\r\na\"b\r\n\r\n"),
        ["lrange", ..] => reply("*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n"),
        ["hgetall", ..] => reply("%1\r\n$1\r\nf\r\n,1.50\r\n"),
        ["info"] => reply("$11\r\n# Server\r\nx\r\n"),
        ["hello", ..] => reply("%1\r\n+proto\r\n:3\r\n"),
        ["auth", .., "good"] | ["select", "0" | "1" | "2"] => reply("+OK\r\n"),
        ["auth", ..] => reply("-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        ["select", ..] => reply("-ERR DB index is out of range\r\n"),
        ["set", ..] => reply("+OK\r\n"),
        ["echo", _] => {
            let text = raw(&request[1]);
            let head = format!("${}\r\n", text.len());
            Answer::Reply([head.as_bytes(), &text, b"\r\n"].concat())
        }
        ["scan", "0", ..] => reply("*2\r\n$1\r\n7\r\n*2\r\n$1\r\na\r\n$2\r\nb\n\r\n"),
        ["scan", "7", ..] => reply("*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n"),
        ["dbsize"] => reply(":3\r\n"),
        ["type", "a"] => reply("+string\r\n"),
        ["type", ..] => reply("+list\r\n"),
        ["strlen", ..] => reply(":5\r\n"),
        ["llen", ..] => reply(":9\r\n"),
        ["push"] => reply(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+OK\r\n"),
        ["garbage"] => reply("hello\r\n"),
        ["subscribe", ..] => Answer::Hang(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n".to_vec()),
        ["die" | "shutdown"] => Answer::Hang(Vec::new()),
        _ => reply("-ERR unknown command\r\n"),
    }
}

#[track_caller]
fn check(output: &Output, stdout: &str, stderr: &str, code: i32) {
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn replies_in_each_format() {
    let fake = Fake::start(small);
    check(&fake.run(&["ping"]), "PONG\n", "", 0);
    check(&fake.run(&["get", "k"]), "a\"b\r\n\n", "", 0);
    check(&fake.run(&["--no-raw", "get", "k"]), "\"a\\\"b\\r\\n\"\n", "", 0);
    check(&fake.run(&["--csv", "lrange", "l", "0", "-1"]), "\"a\",1,2\n", "", 0);
    check(&fake.run(&["--json", "hgetall", "h"]), "{\"f\":1.50}\n", "", 0);
    check(&fake.run(&["-d", "|", "-D", "!", "lrange", "l", "0", "-1"]), "a|1|2!", "", 0);
    let person = [("FAKETTY", "1")];
    let output = fake.run_with(&["lrange", "l", "0", "-1"], b"", &person);
    check(&output, "1) \"a\"\n2) 1) (integer) 1\n   2) (integer) 2\n", "", 0);
    check(&fake.run_with(&["get", "nothing"], b"", &person), "(nil)\n", "", 0);
    check(&fake.run_with(&["info"], b"", &person), "# Server\r\nx", "", 0);
    check(&fake.run_with(&["-3", "push"], b"", &person), "-> invalidate: 'k'\nOK\n", "", 0);
    check(&fake.run(&["-3", "push"]), "OK\n", "", 0);
}

#[test]
fn errors_and_exit_codes() {
    let fake = Fake::start(small);
    check(&fake.run(&["nope"]), "ERR unknown command\n\n", "", 0);
    check(&fake.run(&["-e", "nope"]), "", "ERR unknown command\n", 1);
    check(&fake.run(&["die"]), "", "Error: Server closed the connection\n", 1);
    let garbage = "Error: Protocol error, got \"h\" as reply type byte\n";
    check(&fake.run(&["garbage"]), "", garbage, 1);
    check(&fake.run(&["shutdown"]), "", "", 0);
    let unknown = "Unrecognized option or bad number of args for: '--nope'\n";
    check(&fake.run(&["--nope"]), "", unknown, 1);
    let refused = "Could not connect to Redis at 127.0.0.1:1: Connection refused\n";
    check(&fake.run(&["-p", "1", "ping"]), "", refused, 1);
    check(&fake.run(&["-p", "1", "--scan"]), "", refused, 1);
}

#[test]
fn a_connection_is_made_ready_first() {
    let fake = Fake::start(small);
    let words = ["-n", "2", "-3", "--user", "joe", "--pass", "good", "--no-auth-warning", "ping"];
    check(&fake.run(&words), "PONG\n", "", 0);
    assert_eq!(fake.requests(), ["AUTH joe good", "SELECT 2", "HELLO 3", "ping"]);
    let output = fake.run_with(&["ping"], b"", &[("REDISCLI_AUTH", "bad")]);
    let refused = "AUTH failed: WRONGPASS invalid username-password pair or user is disabled.\n";
    check(&output, "PONG\n", refused, 0);
    assert_eq!(fake.requests(), ["AUTH bad", "ping"]);
    let uri = format!("redis://:good@127.0.0.1:{}/9", fake.port);
    let output = fake.run(&["-u", &uri, "--no-auth-warning", "ping"]);
    check(&output, "PONG\n", "SELECT 9 failed: ERR DB index is out of range\n", 0);
    check(&fake.run_with(&["--askpass", "ping"], b"good\n", &[]), "PONG\n", "", 0);
}

#[test]
fn arguments_from_stdin_and_quotes() {
    let fake = Fake::start(small);
    check(&fake.run_with(&["-x", "set", "k"], b"a\nb", &[]), "OK\n", "", 0);
    assert_eq!(fake.requests(), ["set k a\nb"]);
    check(&fake.run_with(&["-X", "TAG", "set", "TAG", "v"], b"key", &[]), "OK\n", "", 0);
    assert_eq!(fake.requests(), ["set key v"]);
    let output = fake.run(&["-X", "TAG", "set", "k", "v"]);
    check(&output, "", "Using -X option but stdin tag not match.\n", 1);
    assert!(fake.requests().is_empty());
    check(&fake.run(&["--quoted-input", "set", "k", r#""\x01 b""#]), "OK\n", "", 0);
    assert_eq!(fake.requests(), ["set k \u{1} b"]);
    let open = fake.run(&["--quoted-input", "set", "k", "\"open"]);
    check(&open, "Invalid quoted string\n", "", 1);
    check(&fake.run(&["-r", "3", "ping"]), "PONG\nPONG\nPONG\n", "", 0);
}

#[test]
fn commands_from_a_pipe() {
    let fake = Fake::start(small);
    let lines = b"ping\n\n  \n2 ping\nset k \"a b\"\nset k \"open\n0 ping\nnope\nquit\nping\n";
    let want = "PONG\nPONG\nPONG\nOK\nInvalid argument(s)\n\
                Invalid eonkv-cli repeat command option value.\nERR unknown command\n\n";
    check(&fake.run_with(&["-e"], lines, &[]), want, "", 0);
    assert_eq!(fake.requests(), ["ping", "ping", "ping", "set k a b", "nope"]);
}

#[test]
fn a_lost_connection_is_made_again_with_its_state() {
    let fake = Fake::start(small);
    let output = fake.run_with(&[], b"auth good\nselect 2\ndie\nping\n", &[]);
    check(&output, "OK\nOK\nPONG\n", "Error: Server closed the connection\n", 0);
    assert_eq!(fake.requests(), ["auth good", "select 2", "die"]);
    assert_eq!(fake.requests(), ["AUTH good", "SELECT 2", "ping"]);
}

#[test]
fn a_subscription_streams() {
    let fake = Fake::start(small);
    let output = fake.run(&["--csv", "subscribe", "c"]);
    let want = "Reading messages... (press Ctrl-C to quit)\n\"subscribe\",\"c\",1\n";
    check(&output, want, "Error: Server closed the connection\n", 1);
}

#[test]
fn walks_over_the_keys() {
    let fake = Fake::start(small);
    check(&fake.run(&["--scan"]), "a\nb\n\nc\n", "", 0);
    assert_eq!(fake.requests(), ["SCAN 0", "SCAN 7"]);
    let output = fake.run(&["--no-raw", "--scan", "--pattern", "x*", "--count", "5"]);
    check(&output, "\"a\"\n\"b\\n\"\n\"c\"\n", "", 0);
    assert_eq!(fake.requests()[0], "SCAN 0 MATCH x* COUNT 5");
    let output = fake.run(&["--bigkeys"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "[00.00%] Biggest string found so far '\"a\"' with 5 bytes",
        "[00.00%] Biggest list   found so far '\"b\\n\"' with 9 items",
        "Sampled 3 keys in the keyspace!",
        "Total key length in bytes is 4 (avg len 1.33)",
        "Biggest   list found '\"b\\n\"' has 9 items",
        "2 lists with 18 items (66.67% of keys, avg size 9.00)",
        "0 zsets with 0 members (00.00% of keys, avg size 0.00)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn mass_insertion_counts_replies() {
    let fake = Fake::start(small);
    let good = b"*1\r\n$4\r\nPING\r\n".repeat(100);
    let sent = "All data transferred. Waiting for the last reply...\n\
                Last reply received from server.\n";
    let output = fake.run_with(&["--pipe"], &good, &[]);
    check(&output, &format!("{sent}errors: 0, replies: 100\n"), "", 0);
    let bad = [good.as_slice(), b"*1\r\n$4\r\nNOPE\r\n"].concat();
    let output = fake.run_with(&["--pipe"], &bad, &[]);
    check(&output, &format!("{sent}errors: 1, replies: 101\n"), "ERR unknown command\n", 1);
}

#[test]
fn help_and_version() {
    let fake = Fake::start(small);
    let version = concat!("eonkv-cli ", env!("CARGO_PKG_VERSION"), "\n");
    check(&fake.run(&["--version"]), version, "", 0);
    for words in [&["--help"][..], &["-h"]] {
        let output = fake.run(words);
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: eonkv-cli"));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn a_reader_that_leaves_ends_the_program() {
    let fake = Fake::start(|_| reply("*2\r\n$1\r\n1\r\n*1\r\n$4\r\nmore\r\n"));
    let port = fake.port.to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_eonkv-cli"))
        .args(["-p", &port, "--scan"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 5];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"more\n");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success());
}

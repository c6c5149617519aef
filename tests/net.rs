//! The server as clients meet it: a real process, real sockets, every byte checked.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, request, text};
use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

#[test]
fn requests_in_any_pieces_and_sizes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for byte in request(&[b"ECHO", b"piece\r\nby piece"]) {
        client.send(&[byte]);
    }
    client.expect(b"$15\r\npiece\r\nby piece\r\n");
    client
        .ask(b"PING\r\n\r\nECHO 'a \"b' \"\\x41\"\r\n", b"+PONG\r\n-ERR wrong number of arguments");
    client.expect(b" for 'echo' command\r\n");
    // Pipelines longer than a batch, in one piece.
    client.ask(&b"*1\r\n$4\r\nPING\r\n".repeat(1_000), &b"+PONG\r\n".repeat(1_000));
    for size in [0, 1, 99, 100, 32_767, 32_768, 65_536, 262_144, 1_000_003, 5_000_000] {
        let value: Vec<u8> = (0..size).map(|i: usize| (i * 31 % 251) as u8).collect();
        let mut stream = client.stream.try_clone().unwrap();
        let bytes =
            [request(&[b"SET", b"k", &value]), request(&[b"GET", b"k"]), request(&[b"PING"])];
        let writer = std::thread::spawn(move || stream.write_all(&bytes.concat()).unwrap());
        client.expect(format!("+OK\r\n${size}\r\n").as_bytes());
        client.expect(&value);
        client.expect(b"\r\n+PONG\r\n");
        writer.join().unwrap();
    }
    // Half-closed: what was sent before is answered.
    client.send(b"PING\r\nPING\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"+PONG\r\n+PONG\r\n");
}

#[test]
fn errors_end_the_connection_after_their_reply() {
    let server = Server::start(&["--proto-max-bulk-len", "1mb"]);
    for (bytes, want) in [
        (
            b"PING\r\n*1\r\nfoo\r\n".as_slice(),
            "+PONG\r\n-ERR Protocol error: expected '$', got 'f'",
        ),
        (b"*3000000000\r\n", "-ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n$1048577\r\n", "-ERR Protocol error: invalid bulk length"),
        (b"get \"a\r\n", "-ERR Protocol error: unbalanced quotes in request"),
        (b"QUIT\r\nPING\r\n", "+OK"),
    ] {
        let mut client = server.client();
        client.send(bytes);
        assert_eq!(text(&client.rest()).trim_end(), want);
    }
    let mut client = server.client();
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(text(&client.rest()).starts_with("-ERR unknown command 'POST'"));
    server.client().ask(b"PING\r\n", b"+PONG\r\n");
}

#[test]
fn little_is_possible_before_auth() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.client();
    client.ask(b"GET a\r\n", b"-NOAUTH Authentication required.\r\n");
    client.ask(b"NOPE a\r\n", b"-ERR unknown command 'NOPE', with args beginning with: 'a' \r\n");
    client.ask(
        b"AUTH wrong\r\n",
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    );
    // AUTH lifts the limits for what follows in the same pipeline.
    let many: Vec<&[u8]> = std::iter::repeat_n(b"k".as_slice(), 20).collect();
    let exists = [[b"EXISTS".as_slice()].as_slice(), &many].concat();
    client.ask(&[b"AUTH secret\r\n".to_vec(), request(&exists)].concat(), b"+OK\r\n:0\r\n");
    client.ask(b"RESET\r\n", b"+RESET\r\n");
    client.send(&request(&exists));
    assert_eq!(
        text(&client.rest()).trim_end(),
        "-ERR Protocol error: unauthenticated multibulk length"
    );
}

#[test]
fn replies_are_silenced_and_monitored() {
    let server = Server::start(&[]);
    let (mut client, mut monitor) = (server.client(), server.client());
    monitor.ask(b"MONITOR\r\n", b"+OK\r\n");
    client.ask(b"CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", b"$1\r\na\r\n");
    client.ask(b"CLIENT REPLY OFF\r\nPING\r\nNOPE\r\nCLIENT REPLY ON\r\n", b"+OK\r\n");
    client.ask(b"CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n", b"+OK\r\n+PONG\r\n");
    client.ask(
        b"AUTH x y z\r\nHELLO 2 AUTH u p\r\nECHO \"\\x01\"\r\n",
        b"-ERR syntax error\r\n-WRONGPASS",
    );
    let mut lines: Vec<String> = (0..12).map(|_| monitor.line()).collect();
    lines.iter_mut().for_each(|line| *line = line.split("] ").nth(1).unwrap_or("").to_owned());
    let want = [
        r#""CLIENT" "REPLY" "SKIP""#,
        r#""PING""#,
        r#""ECHO" "a""#,
        r#""CLIENT" "REPLY" "OFF""#,
        r#""PING""#,
        r#""CLIENT" "REPLY" "ON""#,
        r#""CLIENT" "REPLY" "SKIP""#,
        r#""CLIENT" "REPLY" "ON""#,
        r#""PING""#,
        r#""AUTH" "(redacted)" "(redacted)" "(redacted)""#,
        r#""HELLO" "2" "AUTH" "(redacted)" "(redacted)""#,
        r#""ECHO" "\x01""#,
    ];
    assert_eq!(lines, want);
}

#[test]
fn pauses_hold_writers_back_and_others_go_on() {
    let server = Server::start(&[]);
    let (mut boss, mut writer) = (server.client(), server.client());
    boss.ask(b"CLIENT PAUSE 60000 WRITE\r\n", b"+OK\r\n");
    writer.send(b"GET a\r\nSET a 1\r\nGET a\r\n");
    writer.expect(b"$-1\r\n");
    assert!(writer.is_quiet());
    boss.ask(b"GET a\r\nCLIENT UNPAUSE\r\n", b"$-1\r\n+OK\r\n");
    writer.expect(b"+OK\r\n$1\r\n1\r\n");
    boss.ask(b"CLIENT PAUSE 150\r\n", b"+OK\r\n");
    let began = Instant::now();
    writer.ask(b"PING\r\n", b"+PONG\r\n");
    assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
}

#[test]
fn clients_are_killed_and_counted() {
    let server = Server::start(&["--maxclients", "5"]);
    let (mut boss, mut other) = (server.client(), server.client());
    // Whoever looked whether the server is there may not be known to be gone.
    let known = |boss: &mut Client| {
        boss.send(b"INFO clients\r\n");
        let length: usize = boss.line().trim_start_matches('$').parse().unwrap();
        let mut info = String::new();
        while info.len() < length {
            info += &(boss.line() + "\r\n");
        }
        assert_eq!(boss.line(), "");
        info.contains("connected_clients:2\r\n")
    };
    while !known(&mut boss) {
        std::thread::sleep(Duration::from_millis(1));
    }
    other.ask(b"CLIENT SETNAME other\r\n", b"+OK\r\n");
    other.send(b"CLIENT ID\r\n");
    let id = other.line().trim_start_matches(':').to_owned();
    boss.ask(format!("CLIENT KILL ID {id}\r\n").as_bytes(), b":1\r\n");
    boss.ask(format!("CLIENT KILL ID {id}\r\n").as_bytes(), b":0\r\n");
    assert_eq!(other.rest(), b"");
    let mut others: Vec<Client> = (0..4).map(|_| server.client()).collect();
    others.iter_mut().for_each(|client| client.ask(b"PING\r\n", b"+PONG\r\n"));
    let refused = server.client().rest();
    assert_eq!(text(&refused), "-ERR max number of clients reached\r\n");
    boss.ask(b"CLIENT KILL SKIPME NO TYPE normal\r\n", b":5\r\n");
    assert_eq!(boss.rest(), b"");
}

#[test]
fn unread_replies_are_limited() {
    let server = Server::start(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut client = server.client();
    client.ask(&request(&[b"SET", b"k", &[b'x'; 400_000]]), b"+OK\r\n");
    let mut greedy = server.client();
    greedy.send(&b"GET k\r\n".repeat(200));
    std::thread::sleep(Duration::from_millis(200));
    assert!(greedy.rest().len() < 200 * 400_000);
    client.ask(b"PING\r\n", b"+PONG\r\n");
}

#[test]
fn a_stopping_server_answers_what_it_took() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    client.ask(&request(&[b"SET", b"k", &[b'x'; 300_000]]), b"+OK\r\n");
    let mut slow = server.client();
    slow.send(&b"GET k\r\n".repeat(20));
    std::thread::sleep(Duration::from_millis(100));
    client.send(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(slow.rest().len(), 20 * (300_000 + b"$300000\r\n\r\n".len()));
    assert_eq!(client.rest(), b"");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn idle_clients_are_closed_and_busy_ones_stay() {
    let server = Server::start(&["--timeout", "1"]);
    let (mut idle, mut busy) = (server.client(), server.client());
    idle.ask(b"PING\r\n", b"+PONG\r\n");
    let began = Instant::now();
    let watch = std::thread::spawn(move || idle.rest());
    while !watch.is_finished() && began.elapsed() < Duration::from_secs(8) {
        busy.ask(b"PING\r\n", b"+PONG\r\n");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(watch.is_finished() && began.elapsed() > Duration::from_secs(1));
    busy.ask(b"PING\r\n", b"+PONG\r\n");
}

#[test]
fn idle_connections_cost_little() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let files = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files });
    // As many as a client process may hold, less what the test itself needs.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let many = files.saturating_sub(200).clamp(100, 10_000);
    let server = Server::start(&["--maxclients", "11000"]);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut warm: Vec<Client> = (0..50).map(|_| server.client()).collect();
    warm.iter_mut().for_each(|client| client.ask(b"PING\r\n", b"+PONG\r\n"));
    let used = |client: &mut Client| {
        client.send(b"INFO memory\r\n");
        let (mut used, length) = (0u64, client.line()[1..].parse::<usize>().unwrap());
        let mut read = 0;
        while read < length {
            let line = client.line();
            read += line.len() + 2;
            used = line.strip_prefix("used_memory:").map_or(used, |n| n.parse().unwrap());
        }
        client.expect(b"\r\n");
        used
    };
    let before = (resident() * 1024, used(&mut warm[0]));
    let mut clients: Vec<Client> = (0..many).map(|_| server.client()).collect();
    clients
        .iter_mut()
        .for_each(|client| client.ask(b"SET k v\r\nGET k\r\n", b"+OK\r\n$1\r\nv\r\n"));
    // Who has just spoken keeps some room for two seconds, until the worker's next look.
    std::thread::sleep(Duration::from_millis(3_300));
    let after = (resident() * 1024, used(&mut warm[0]));
    let each = (after.0.saturating_sub(before.0) / many, after.1.saturating_sub(before.1) / many);
    println!("{many} idle connections: {} bytes resident, {} used_memory, each", each.0, each.1);
    assert!(each.0 <= 4096 && each.1 <= 4096, "{each:?} bytes for an idle connection");
}

/// Replies that nobody takes any more are nobody's: not those of the client that is served next.
#[test]
fn replies_to_the_dead_go_to_nobody() {
    let server = Server::start(&["--io-threads", "1"]);
    let mut client = server.client();
    for round in 0..500 {
        // Unread replies make the kernel reset the connection when it is closed.
        let mut short = server.client();
        for _ in 0..4 {
            short.send(&b"PING\r\n".repeat(20));
        }
        drop(short);
        let echo = format!("ECHO {round:04}\r\n");
        client.ask(echo.as_bytes(), format!("$4\r\n{round:04}\r\n").as_bytes());
    }
}

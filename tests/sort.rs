//! SORT over the wire: by what, which part, what of it, and into which key; and that sorting a lot
//! stops nobody.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Server, bulks, request};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn elements_are_sorted_as_asked() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.check("RPUSH l 3 1.5 -2 10", ":4\r\n");
    client.check("MSET w3 a w10 b w-2 c x3 30 x10 -1 x-2 5", "+OK\r\n");
    client.check("HSET h3 f 7 g three", ":2\r\n");
    client.check("HSET h10 f 8", ":1\r\n");
    for (command, want) in [
        ("SORT l", bulks(&["-2", "1.5", "3", "10"])),
        ("SORT l DESC", bulks(&["10", "3", "1.5", "-2"])),
        ("SORT l ALPHA", bulks(&["-2", "1.5", "10", "3"])),
        ("SORT l LIMIT 1 2", bulks(&["1.5", "3"])),
        ("SORT l LIMIT 9 2", bulks(&[])),
        ("SORT l LIMIT -1 -1 DESC", bulks(&["10", "3", "1.5", "-2"])),
        ("SORT l BY nosort", bulks(&["3", "1.5", "-2", "10"])),
        ("SORT l BY nosort LIMIT 2 5", bulks(&["-2", "10"])),
        ("SORT l BY x*", bulks(&["10", "1.5", "-2", "3"])),
        ("SORT l BY w* ALPHA", bulks(&["1.5", "3", "10", "-2"])),
        ("SORT l BY h*->f DESC LIMIT 0 2", bulks(&["10", "3"])),
        ("SORT l GET w* GET # LIMIT 0 2", bulks(&["c", "-2", "(nil)", "1.5"])),
        ("SORT_RO l GET h*->g LIMIT 2 2", bulks(&["three", "(nil)"])),
        ("SORT l GET none", bulks(&["(nil)", "(nil)", "(nil)", "(nil)"])),
        ("SORT none", bulks(&[])),
        ("SORT l GET w* STORE d", ":4\r\n".to_owned()),
        ("LRANGE d 0 -1", bulks(&["c", "", "a", "b"])),
        ("SORT none STORE d", ":0\r\n".to_owned()),
        ("EXISTS d", ":0\r\n".to_owned()),
        ("SORT l STORE l", ":4\r\n".to_owned()),
        ("LRANGE l 0 -1", bulks(&["-2", "1.5", "3", "10"])),
        ("SADD s b a 3", ":3\r\n".to_owned()),
        ("SORT s ALPHA DESC", bulks(&["b", "a", "3"])),
        ("SORT s BY nosort STORE d", ":3\r\n".to_owned()),
        ("LRANGE d 0 -1", bulks(&["3", "a", "b"])),
    ] {
        client.check(command, &want);
    }
}

#[test]
fn errors_are_those_of_redis() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.check("SET s v", "+OK\r\n");
    client.check("RPUSH l a 1", ":2\r\n");
    let syntax = "-ERR syntax error\r\n";
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    for (command, want) in [
        ("SORT s", wrong),
        ("SORT l", "-ERR One or more scores can't be converted into double\r\n"),
        ("SORT l STORE d", "-ERR One or more scores can't be converted into double\r\n"),
        ("SORT l LIMIT 1", syntax),
        ("SORT l LIMIT x 1", "-ERR value is not an integer or out of range\r\n"),
        ("SORT l BY", syntax),
        ("SORT l UP", syntax),
        ("SORT_RO l STORE d", syntax),
        ("SORT", "-ERR wrong number of arguments for 'sort' command\r\n"),
    ] {
        client.check(command, want);
    }
}

/// A transaction sorts as a step of its own.
#[test]
fn inside_transactions_nothing_comes_between() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.check("RPUSH l 2 1", ":2\r\n");
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n";
    client.send(b"MULTI\r\nSET w1 9\r\nSORT l BY w* GET w* STORE d\r\nLRANGE d 0 -1\r\nEXEC\r\n");
    client.expect(format!("{queued}+OK\r\n:2\r\n{}", bulks(&["", "9"])).as_bytes());
}

/// Many elements are sorted and stored while others are served, and come out in order.
#[test]
fn sorting_much_stops_nobody() {
    const LEN: usize = 200_000;
    let server = Server::start(&["--io-threads", "1"]);
    let (mut client, mut other) = (server.client(), server.client());
    // 7919 has no factor in common with the length, so each number comes once.
    let numbers: Vec<String> = (0..LEN).map(|i| (i * 7919 % LEN).to_string()).collect();
    for piece in numbers.chunks(1000) {
        let mut words = vec![b"RPUSH".as_slice(), b"l"];
        words.extend(piece.iter().map(|text| text.as_bytes()));
        client.send(&request(&words));
        client.line();
    }
    let mut sorted = format!("*{LEN}\r\n");
    for i in 0..LEN {
        let text = i.to_string();
        let _ = write!(sorted, "${}\r\n{text}\r\n", text.len());
    }
    let done = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        let done = &done;
        let probe = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                other.check("SET k v", "+OK\r\n");
                slowest = slowest.max(began.elapsed());
            }
            slowest
        });
        client.ask(b"SORT l\r\n", sorted.as_bytes());
        client.ask(b"SORT l STORE d\r\n", format!(":{LEN}\r\n").as_bytes());
        client.ask(b"LRANGE d 0 -1\r\n", sorted.as_bytes());
        client.ask(b"SORT l BY w* LIMIT 0 1\r\n", b"*1\r\n$1\r\n0\r\n");
        done.store(true, Ordering::Relaxed);
        probe.join().unwrap()
    });
    assert!(slowest < Duration::from_millis(500), "a client waited {slowest:?}");
}

/// What is stored is what the source was at that moment, whatever others do to it meanwhile.
#[test]
fn what_is_stored_is_of_one_moment() {
    let server = Server::start(&["--io-threads", "2"]);
    let mut client = server.client();
    let until = Instant::now() + Duration::from_secs(1);
    client.check("RPUSH l 0 1", ":2\r\n");
    std::thread::scope(|scope| {
        let mut changer = server.client();
        scope.spawn(move || {
            while Instant::now() < until {
                // The list has one pair of numbers or another, never parts of both.
                changer.send(b"MULTI\r\nDEL l\r\nRPUSH l 3 2\r\nEXEC\r\n");
                changer.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n");
                changer.send(b"MULTI\r\nDEL l\r\nRPUSH l 1 0\r\nEXEC\r\n");
                changer.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n");
            }
        });
        while Instant::now() < until {
            client.ask(b"SORT l STORE d\r\n", b":2\r\n");
            client.send(b"LRANGE d 0 -1\r\n");
            let words: Vec<String> = (0..5).map(|_| client.line()).collect();
            assert!(matches!((&*words[2], &*words[4]), ("0", "1") | ("2", "3")), "{words:?}");
        }
    });
}

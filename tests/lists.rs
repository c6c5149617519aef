//! Lists over the wire: both forms, every error, long replies, and what must be one step.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, WRONG_TYPE, bulks, request};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn elements_come_and_go_at_both_ends() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (command, want) in [
        ("LPUSHX l a", ":0\r\n"),
        ("LPUSH l a b c", ":3\r\n"),
        ("RPUSHX l 1 -7", ":5\r\n"),
        ("LLEN l", ":5\r\n"),
        ("LLEN none", ":0\r\n"),
        ("LRANGE l -100 100", &bulks(&["c", "b", "a", "1", "-7"])),
        ("LRANGE l 3 1", "*0\r\n"),
        ("LRANGE none 0 -1", "*0\r\n"),
        ("LINDEX l -1", "$2\r\n-7\r\n"),
        ("LINDEX l 5", "$-1\r\n"),
        ("LSET l 0 x", "+OK\r\n"),
        ("LINSERT l AFTER x y", ":6\r\n"),
        ("LINSERT l BEFORE nothing y", ":-1\r\n"),
        ("LINSERT none BEFORE a y", ":0\r\n"),
        ("LPOS l 1", ":4\r\n"),
        ("LPOS l 1 COUNT 0 RANK -1", "*1\r\n:4\r\n"),
        ("LPOS l 1 MAXLEN 2", "$-1\r\n"),
        ("LREM l 0 b", ":1\r\n"),
        ("LRANGE l 0 -1", &bulks(&["x", "y", "a", "1", "-7"])),
        ("LTRIM l 1 -2", "+OK\r\n"),
        ("LPOP l", "$1\r\ny\r\n"),
        ("RPOP l 5", &bulks(&["1", "a"])),
        ("EXISTS l", ":0\r\n"),
        ("LPOP l", "$-1\r\n"),
        ("LPOP l 2", "*-1\r\n"),
        ("OBJECT ENCODING l", "$-1\r\n"),
        ("RPUSH l a", ":1\r\n"),
        ("OBJECT ENCODING l", "$9\r\nquicklist\r\n"),
        ("TYPE l", "+list\r\n"),
    ] {
        client.check(command, want);
    }
}

#[test]
fn several_lists_change_in_one_step() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (command, want) in [
        ("RPUSH a 1 2 3", ":3\r\n"),
        ("RPOPLPUSH a b", "$1\r\n3\r\n"),
        ("LMOVE a b LEFT RIGHT", "$1\r\n1\r\n"),
        ("LMOVE a b RIGHT LEFT", "$1\r\n2\r\n"),
        ("EXISTS a", ":0\r\n"),
        ("LMOVE a b LEFT LEFT", "$-1\r\n"),
        ("LRANGE b 0 -1", &bulks(&["2", "3", "1"])),
        ("LMOVE b b LEFT RIGHT", "$1\r\n2\r\n"),
        ("RPOPLPUSH b b", "$1\r\n2\r\n"),
        ("LMPOP 2 a b RIGHT COUNT 2", "*2\r\n$1\r\nb\r\n*2\r\n$1\r\n1\r\n$1\r\n3\r\n"),
        ("LMPOP 1 b LEFT", "*2\r\n$1\r\nb\r\n*1\r\n$1\r\n2\r\n"),
        ("LMPOP 2 a b LEFT", "*-1\r\n"),
        ("RPUSH one x", ":1\r\n"),
        ("EXPIRE one 100", ":1\r\n"),
        ("RPOPLPUSH one one", "$1\r\nx\r\n"),
        ("TTL one", ":100\r\n"),
    ] {
        client.check(command, want);
    }
}

#[test]
fn errors_are_those_of_redis() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.check("SET s v", "+OK\r\n");
    client.check("RPUSH l a", ":1\r\n");
    for command in [
        "LPUSH s a",
        "RPUSHX s a",
        "LPOP s",
        "RPOP s 1",
        "LLEN s",
        "LRANGE s 0 -1",
        "LINDEX s 0",
        "LSET s 0 a",
        "LINSERT s BEFORE a b",
        "LREM s 0 a",
        "LTRIM s 0 1",
        "LPOS s a",
        "RPOPLPUSH s l",
        "RPOPLPUSH l s",
        "LMOVE s l LEFT LEFT",
        "LMPOP 1 s LEFT",
    ] {
        client.check(command, WRONG_TYPE);
    }
    client.check("GET l", WRONG_TYPE);
    let not_an_integer = "-ERR value is not an integer or out of range\r\n";
    for (command, want) in [
        ("LPOP", "-ERR wrong number of arguments for 'lpop' command\r\n"),
        ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command\r\n"),
        ("LPOP l -1", "-ERR value is out of range, must be positive\r\n"),
        ("LRANGE l x 1", not_an_integer),
        ("LTRIM l 0 y", not_an_integer),
        ("LINDEX l z", not_an_integer),
        ("LREM l z a", not_an_integer),
        ("LSET l 1 a", "-ERR index out of range\r\n"),
        ("LSET l -2 a", "-ERR index out of range\r\n"),
        ("LSET none 0 a", "-ERR no such key\r\n"),
        ("LINSERT l ON a b", "-ERR syntax error\r\n"),
        ("LMOVE l l UP LEFT", "-ERR syntax error\r\n"),
        ("LMPOP 0 l LEFT", "-ERR numkeys should be greater than 0\r\n"),
        ("LMPOP 2 l LEFT", "-ERR syntax error\r\n"),
        ("LMPOP 1 l LEFT COUNT 0", "-ERR count should be greater than 0\r\n"),
        ("LMPOP 1 l LEFT COUNT 1 COUNT 1", "-ERR syntax error\r\n"),
        ("LPOS l a COUNT -1", "-ERR COUNT can't be negative\r\n"),
        ("LPOS l a MAXLEN -1", "-ERR MAXLEN can't be negative\r\n"),
        ("LPOS l a RANK", "-ERR syntax error\r\n"),
        ("LRANGE l 0 -1", &bulks(&["a"])),
    ] {
        client.check(command, want);
    }
}

/// A list of `count` elements, made by one client in pieces.
fn fill(client: &mut Client, key: &str, count: usize) {
    for from in (0..count).step_by(1000) {
        let texts: Vec<String> = (from..count.min(from + 1000)).map(|i| i.to_string()).collect();
        let mut words = vec![b"RPUSH".as_slice(), key.as_bytes()];
        words.extend(texts.iter().map(|text| text.as_bytes()));
        client.send(&request(&words));
        assert_eq!(client.line(), format!(":{}", count.min(from + 1000)));
    }
}

fn numbers(range: impl ExactSizeIterator<Item = usize>) -> Vec<u8> {
    let mut reply = format!("*{}\r\n", range.len());
    range.for_each(|i| {
        let text = i.to_string();
        reply.push_str(&format!("${}\r\n{text}\r\n", text.len()));
    });
    reply.into_bytes()
}

/// A reply of a million elements is of one moment, and others are served while it is made.
#[test]
fn long_replies_are_of_one_moment_and_stop_nobody() {
    const LEN: usize = 300_000;
    let server = Server::start(&["--io-threads", "1"]);
    let (mut client, mut other) = (server.client(), server.client());
    fill(&mut client, "l", LEN);
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
        for _ in 0..3 {
            client.send(b"LRANGE l 0 -1\r\n");
            client.expect(&numbers(0..LEN));
        }
        client.send(format!("LPOP l {}\r\n", LEN / 2).as_bytes());
        client.expect(&numbers(0..LEN / 2));
        client.send(format!("MULTI\r\nRPOP l {LEN}\r\nEXISTS l\r\nEXEC\r\n").as_bytes());
        client.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
        client.expect(&numbers((LEN / 2..LEN).rev().collect::<Vec<_>>().into_iter()));
        client.expect(b":0\r\n");
        done.store(true, Ordering::Relaxed);
        probe.join().unwrap()
    });
    assert!(slowest < Duration::from_millis(500), "a client waited {slowest:?}");
}

/// Elements go round a ring of lists and are neither lost nor made, at 1, 2 and 4 workers.
#[test]
fn rings_keep_their_elements() {
    for workers in ["1", "2", "4"] {
        let server = Server::start(&["--io-threads", workers]);
        let mut client = server.client();
        fill(&mut client, "ring:0", 100);
        let until = Instant::now() + Duration::from_secs(1);
        std::thread::scope(|scope| {
            for mover in 0..4_usize {
                let mut client = server.client();
                scope.spawn(move || {
                    for turn in mover.. {
                        if Instant::now() >= until {
                            break;
                        }
                        let (from, to) = (turn % 3, (turn + 1) % 3);
                        client.send(format!("RPOPLPUSH ring:{from} ring:{to}\r\n").as_bytes());
                        if client.line() != "$-1" {
                            client.line();
                        }
                    }
                });
            }
            let mut client = server.client();
            scope.spawn(move || {
                while Instant::now() < until {
                    client.send(b"MULTI\r\nLLEN ring:0\r\nLLEN ring:1\r\nLLEN ring:2\r\nEXEC\r\n");
                    client.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n");
                    let sum: usize =
                        (0..3).map(|_| client.line()[1..].parse::<usize>().unwrap()).sum();
                    assert_eq!(sum, 100);
                }
            });
        });
        let mut all: Vec<usize> = Vec::new();
        for i in 0..3 {
            client.send(format!("LRANGE ring:{i} 0 -1\r\n").as_bytes());
            let len: usize = client.line()[1..].parse().unwrap();
            for _ in 0..len {
                client.line();
                all.push(client.line().parse().unwrap());
            }
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100), "{workers} workers");
    }
}

/// With a limit on its output a client that asks for too much is closed, and the reply is not built.
#[test]
fn replies_beyond_the_limit_are_not_built() {
    let limit = ["--client-output-buffer-limit", "normal 1mb 0 0"];
    let server = Server::start(&limit);
    let mut client = server.client();
    fill(&mut client, "l", 200_000);
    client.send(b"LRANGE l 0 99999\r\n");
    assert!(client.rest().is_empty());
    let mut client = server.client();
    client.send(b"LRANGE l 0 9999\r\n");
    client.expect(&numbers(0..10_000));
}

//! Clients that wait for a key, at 1, 2 and 4 workers: the longest waiting is served first, each
//! element reaches one client, and whatever ends a wait otherwise (time, CLIENT UNBLOCK, a closed
//! connection) loses none.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn start(workers: &str) -> Server {
    Server::start(&["--io-threads", workers])
}

fn run(client: &mut Client, line: &str) {
    client.send(format!("{line}\r\n").as_bytes());
}

/// What BLPOP answers: the element, unless the time is over.
fn popped(client: &mut Client) -> Option<String> {
    match client.line().as_str() {
        "*-1" => None,
        "*2" => {
            client.line();
            client.line();
            client.line();
            Some(client.line())
        }
        other => panic!("{other}"),
    }
}

/// Waits until so many clients wait.
fn await_blocked(control: &mut Client, count: usize) {
    let want = format!("blocked_clients:{count}\r");
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if control.info("clients").contains(&want) {
            return;
        }
        assert!(Instant::now() < end, "never {count} waiting");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until one client, and no matter who else, waits.
fn await_waiting(control: &mut Client, id: i64) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        run(control, &format!("CLIENT LIST ID {id}"));
        let head = control.line();
        let mut text = vec![0; head[1..].parse::<usize>().unwrap() + 2];
        std::io::Read::read_exact(&mut control.stream, &mut text).unwrap();
        if String::from_utf8_lossy(&text).contains(" flags=b ") {
            return;
        }
        assert!(Instant::now() < end, "it does not wait");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets those go who wait for a number, also when the test fails.
struct Starter<'a>(&'a AtomicU64);

impl Drop for Starter<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}

fn at_each_width(test: impl Fn(&str)) {
    ["1", "2", "4"].into_iter().for_each(test);
}

#[test]
fn the_longest_waiting_is_served_first() {
    at_each_width(|workers| {
        let server = start(workers);
        let (mut control, mut pusher) = (server.client(), server.client());
        let mut waiting: Vec<Client> = (0..12).map(|_| server.client()).collect();
        for (n, client) in waiting.iter_mut().enumerate() {
            // Some wait for other keys, too, or in another way; it is one line all the same.
            run(client, ["BLPOP k 0", "BRPOP other k 0", "BLPOP k other k 0"][n % 3]);
            await_blocked(&mut control, n + 1);
        }
        assert_eq!(pusher.int("RPUSH k 0 1 2"), 3);
        for n in 3..12 {
            assert_eq!(pusher.int(&format!("RPUSH k {n}")), 1);
        }
        // BRPOP took the last of the first three.
        let order = [0, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        for (client, want) in waiting.iter_mut().zip(order) {
            assert_eq!(popped(client), Some(want.to_string()));
        }
        await_blocked(&mut control, 0);
        assert_eq!(control.int("EXISTS k"), 0);
    });
}

/// A client that is known to wait gets the next element, whoever else wants it at that moment.
#[test]
fn nobody_comes_between() {
    at_each_width(|workers| {
        let server = start(workers);
        let (mut control, mut first) = (server.client(), server.client());
        let id = first.int("CLIENT ID");
        let (go, over, rounds) = (AtomicU64::new(0), AtomicU64::new(0), 100);
        std::thread::scope(|scope| {
            for how in ["LPOP k", "BLPOP k 0.001", "RPOPLPUSH k k"] {
                let (mut thief, go, over) = (server.client(), &go, &over);
                scope.spawn(move || {
                    for round in 1..=rounds {
                        while go.load(Ordering::Acquire) < round {
                            std::thread::yield_now();
                        }
                        run(&mut thief, how);
                        assert!(thief.line().ends_with("-1"), "{how} took what was waited for");
                        over.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
            let mut pusher = server.client();
            let _starter = Starter(&go);
            for round in 1..=rounds {
                run(&mut first, "BLPOP k 0");
                await_waiting(&mut control, id);
                go.store(round, Ordering::Release);
                assert_eq!(pusher.int(&format!("LPUSH k {round}")), 1);
                assert_eq!(popped(&mut first), Some(round.to_string()));
                while over.load(Ordering::Acquire) < 3 * round {
                    std::thread::yield_now(); // lest a thief stand in the next line before the first
                }
            }
        });
    });
}

/// Takes what it gets until all is done, waiting for short times.
fn consume(client: &mut Client, way: usize, done: &AtomicBool) -> Vec<i64> {
    let line = ["BLPOP a b c 0.002", "BRPOP c a 0.003", "BLMPOP 0.002 2 b c LEFT"][way % 3];
    let mut mine = Vec::new();
    while !done.load(Ordering::Acquire) {
        run(client, line);
        if way % 3 < 2 {
            mine.extend(popped(client));
        } else if client.line() == "*2" {
            (0..4).for_each(|_| _ = client.line());
            mine.push(client.line());
        }
    }
    mine.into_iter().map(|text| text.parse().unwrap()).collect()
}

/// Pushes a number in one of many ways.
fn produce(client: &mut Client, own: usize, value: usize) {
    let key = ["a", "b", "c"][value * 7 % 3];
    match value % 4 {
        0 => assert!(client.int(&format!("LPUSH {key} {value}")) > 0),
        1 => {
            run(client, &format!("MULTI\r\nRPUSH {key} {value}\r\nEXEC"));
            client.expect(b"+OK\r\n+QUEUED\r\n*1\r\n");
            client.line();
        }
        2 => {
            // By way of a list of its own, moved over.
            assert_eq!(client.int(&format!("RPUSH own{own} {value}")), 1);
            run(client, &format!("LMOVE own{own} {key} LEFT RIGHT"));
            client.line();
            client.line();
        }
        _ => {
            assert_eq!(client.int(&format!("RPUSH own{own} {value}")), 1);
            while client.int(&format!("RENAMENX own{own} {key}")) == 0 {
                std::thread::yield_now();
            }
        }
    }
}

/// Many push in many ways while many wait for short times: all that was pushed arrives, once.
#[test]
fn every_element_arrives_once() {
    const EACH: usize = 400;
    at_each_width(|workers| {
        let (server, done) = (start(workers), AtomicBool::new(false));
        let mut got: Vec<i64> = std::thread::scope(|scope| {
            let consumers: Vec<_> = (0..6)
                .map(|way| {
                    let (mut client, done) = (server.client(), &done);
                    scope.spawn(move || consume(&mut client, way, done))
                })
                .collect();
            let producers: Vec<_> = (0..4)
                .map(|own| {
                    let mut client = server.client();
                    scope.spawn(move || {
                        (0..EACH).for_each(|i| produce(&mut client, own, own * EACH + i));
                    })
                })
                .collect();
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            let mut control = server.client();
            while control.int("EXISTS a b c") > 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(20));
            done.store(true, Ordering::Release);
            consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect()
        });
        got.sort_unstable();
        assert_eq!(got, (0..4 * EACH as i64).collect::<Vec<_>>());
    });
}

#[test]
fn transactions_serve_at_their_end() {
    let server = start("2");
    let (mut control, mut waiting, mut client) =
        (server.client(), server.client(), server.client());
    run(&mut waiting, "BLPOP k 0");
    await_blocked(&mut control, 1);
    // What is gone by the end was never there.
    client.send(b"MULTI\r\nRPUSH k 1\r\nDEL k\r\nEXEC\r\n");
    client.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
    assert!(waiting.is_quiet());
    client.send(b"MULTI\r\nRPUSH k 1 2\r\nLPOP k\r\nLLEN k\r\nEXEC\r\n");
    client.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:2\r\n$1\r\n1\r\n:1\r\n");
    assert_eq!(popped(&mut waiting).as_deref(), Some("2"));
    // Inside a transaction nobody waits.
    client.send(b"MULTI\r\nBLPOP k 0\r\nBLMOVE k l LEFT LEFT 0\r\nEXEC\r\n");
    client.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n*-1\r\n$-1\r\n");
}

#[test]
fn a_list_may_come_from_anywhere() {
    let server = start("2");
    let (mut control, mut waiting, mut client) =
        (server.client(), server.client(), server.client());
    let ways: [&[&str]; 6] = [
        &["RPUSH x v", "RENAME x k"],
        &["RPUSH x v", "COPY x k", "DEL x"],
        &["SELECT 1", "RPUSH k v", "MOVE k 0", "SELECT 0"],
        &["SELECT 1", "RPUSH k v", "SWAPDB 0 1", "SELECT 0"],
        &["SET k string", "DEL k", "RPUSH k v"],
        &["RPUSH x v", "SORT x ALPHA STORE k", "DEL x"],
    ];
    for way in ways {
        run(&mut waiting, "BLPOP k 0");
        await_blocked(&mut control, 1);
        way.iter().for_each(|line| {
            run(&mut client, line);
            let reply = client.line();
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        });
        assert_eq!(popped(&mut waiting).as_deref(), Some("v"), "{way:?}");
        assert_eq!(control.int("EXISTS k"), 0, "{way:?}");
    }
}

/// A served client's push serves the next, over as many keys as it takes.
#[test]
fn moves_form_chains() {
    at_each_width(|workers| {
        let server = start(workers);
        let mut control = server.client();
        let mut links: Vec<Client> = (0..5).map(|_| server.client()).collect();
        for (n, client) in links.iter_mut().enumerate() {
            run(client, &format!("BLMOVE k{n} k{} LEFT RIGHT 0", n + 1));
            await_blocked(&mut control, n + 1);
        }
        let mut last = server.client();
        run(&mut last, "BLPOP k5 0");
        await_blocked(&mut control, 6);
        assert_eq!(control.int("RPUSH k0 v"), 1);
        links.iter_mut().for_each(|client| client.expect(b"$1\r\nv\r\n"));
        assert_eq!(popped(&mut last).as_deref(), Some("v"));
        assert_eq!(control.int("DBSIZE"), 0);
        // A destination of another type is the mover's error, and the element stays.
        run(&mut links[0], "BLMOVE k0 wrong LEFT RIGHT 0");
        await_blocked(&mut control, 1);
        control.ask(b"SET wrong string\r\n", b"+OK\r\n");
        assert_eq!(control.int("RPUSH k0 v"), 1);
        assert!(links[0].line().starts_with("-WRONGTYPE"));
        assert_eq!(control.int("LLEN k0"), 1);
    });
}

/// CLIENT UNBLOCK says 1 exactly if the client got nothing, whatever is pushed meanwhile.
#[test]
fn unblocked_or_served_but_not_both() {
    let server = start("4");
    let (mut control, mut waiting, mut pusher) =
        (server.client(), server.client(), server.client());
    let id = waiting.int("CLIENT ID");
    for round in 0..200 {
        run(&mut waiting, "BLPOP k 0");
        await_blocked(&mut control, 1);
        let pushed = std::thread::scope(|scope| {
            let push = scope.spawn(|| pusher.int(&format!("RPUSH k {round}")));
            let ended = control.int(&format!("CLIENT UNBLOCK {id}"));
            push.join().unwrap();
            ended == 0
        });
        assert_eq!(popped(&mut waiting).is_some(), pushed);
        assert_eq!(control.int("DEL k"), i64::from(!pushed));
    }
    run(&mut waiting, "BLPOP k 0");
    await_blocked(&mut control, 1);
    assert_eq!(control.int(&format!("CLIENT UNBLOCK {id} ERROR")), 1);
    assert_eq!(waiting.line(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

#[test]
fn those_who_leave_take_nothing() {
    let server = start("2");
    let mut control = server.client();
    let gone: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for client in &gone {
        let mut client = Client { stream: client.stream.try_clone().unwrap() };
        run(&mut client, "BLPOP k l 0");
    }
    await_blocked(&mut control, 50);
    drop(gone);
    await_blocked(&mut control, 0);
    assert_eq!(control.int("RPUSH k a b"), 2);
    assert_eq!(control.int("LLEN k"), 2);
}

#[test]
fn time_is_kept() {
    let server = start("2");
    let mut client = server.client();
    for (line, error) in [
        ("BLPOP k -1", "-ERR timeout is negative"),
        ("BLPOP k x", "-ERR timeout is not a float or out of range"),
        ("BLPOP k 1e300", "-ERR timeout is out of range"),
    ] {
        run(&mut client, line);
        assert_eq!(client.line(), error);
    }
    let began = Instant::now();
    run(&mut client, "BLPOP k 0.2");
    assert_eq!(popped(&mut client), None);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    // Pipelined requests wait behind it and keep their order.
    client.send(b"BLPOP k 0.05\r\nPING\r\nRPUSH k 1\r\nBLPOP k 0\r\nPING\r\n");
    client.expect(b"*-1\r\n+PONG\r\n:1\r\n*2\r\n$1\r\nk\r\n$1\r\n1\r\n+PONG\r\n");
}

#[test]
fn one_transaction_serves_many() {
    // A thousand waiters for as many keys, all served by one transaction.
    let server = start("2");
    let mut control = server.client();
    let mut waiting: Vec<Client> = (0..200).map(|_| server.client()).collect();
    for (n, client) in waiting.iter_mut().enumerate() {
        run(client, &format!("BLPOP k{n} 0"));
    }
    await_blocked(&mut control, 200);
    control.send(b"MULTI\r\n");
    control.expect(b"+OK\r\n");
    for n in 0..200 {
        control.send(format!("RPUSH k{n} {n}\r\n").as_bytes());
        control.expect(b"+QUEUED\r\n");
    }
    control.send(b"EXEC\r\n");
    control.expect(b"*200\r\n");
    (0..200).for_each(|_| control.expect(b":1\r\n"));
    let got: BTreeSet<String> = waiting.iter_mut().filter_map(popped).collect();
    assert_eq!(got.len(), 200);
}

/// Commands in front of one that waits have their replies at once, and it counts when it has its own.
#[test]
fn what_waits_keeps_its_place_and_counts_at_its_end() {
    at_each_width(|workers| {
        let server = start(workers);
        let (mut waiter, mut other) = (server.client(), server.client());
        waiter.send(b"SET x 1\r\nGET x\r\nBZPOPMIN z 0\r\nGET x\r\n");
        waiter.expect(b"+OK\r\n$1\r\n1\r\n");
        await_blocked(&mut other, 1);
        assert!(!other.info("commandstats").contains("bzpopmin"));
        assert_eq!(other.int("ZADD z 1 m"), 1);
        waiter.expect(b"*3\r\n$1\r\nz\r\n$1\r\nm\r\n$1\r\n1\r\n$1\r\n1\r\n");
        let id = waiter.int("CLIENT ID");
        waiter.say("BZPOPMIN z 0");
        await_blocked(&mut other, 1);
        assert_eq!(other.int(&format!("CLIENT UNBLOCK {id} ERROR")), 1);
        waiter.expect(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        let stats = other.info("commandstats");
        let ours = stats.lines().find(|line| line.starts_with("cmdstat_bzpopmin:")).unwrap();
        assert!(ours.contains(":calls=2,") && ours.ends_with(",failed_calls=1"), "{ours}");
        assert!(other.info("errorstats").contains("errorstat_UNBLOCKED:count=1\r"));
    });
}

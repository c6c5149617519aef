//! Transactions among many clients at 1, 2 and 4 workers: what EXEC reads is of one moment, what it
//! writes is seen whole, and of two who watched the same key only one wins.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, random};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ACCOUNTS: usize = 8;
const EACH: i64 = 1_000;
const TIME: Duration = Duration::from_secs(2);

/// One value of a reply that holds integers, `OK`s and nothing else; `None` for a null.
fn value(client: &mut Client) -> Option<i64> {
    let line = client.line();
    match line.as_bytes()[0] {
        b'$' if line == "$-1" => None,
        b'$' => Some(client.line().parse().unwrap()),
        b':' => Some(line[1..].parse().unwrap()),
        b'+' => Some(0),
        _ => panic!("{line}"),
    }
}

/// What EXEC answers; `None` if it was refused because a key had changed.
fn exec(client: &mut Client, commands: &[String]) -> Option<Vec<Option<i64>>> {
    let text = format!("MULTI\r\n{}\r\nEXEC\r\n", commands.join("\r\n"));
    client.send(text.as_bytes());
    client.expect(b"+OK\r\n");
    commands.iter().for_each(|_| client.expect(b"+QUEUED\r\n"));
    let head = client.line();
    let count: i64 = head.strip_prefix('*').unwrap_or_else(|| panic!("{head}")).parse().unwrap();
    (count >= 0).then(|| (0..count).map(|_| value(client)).collect())
}

fn start(workers: &str) -> Server {
    let server = Server::start(&["--io-threads", workers]);
    let mut client = server.client();
    let set = |i| format!("SET account:{i} {EACH}");
    let commands: Vec<String> = (0..ACCOUNTS).map(set).collect();
    assert!(exec(&mut client, &commands).is_some());
    server
}

/// Moves money between accounts, now and then together with what concerns other keys, or all.
fn pay(client: &mut Client, mut seed: u64, until: Instant) {
    while Instant::now() < until {
        let (from, to) = (random(&mut seed) % ACCOUNTS, random(&mut seed) % ACCOUNTS);
        let amount = random(&mut seed) % 10;
        let mut commands = vec![
            format!("DECRBY account:{from} {amount}"),
            format!("INCRBY account:{to} {amount}"),
        ];
        match random(&mut seed) % 16 {
            0 => commands.push("DBSIZE".to_owned()), // the whole keyspace is its own
            1 => commands.insert(1, "SET aside 1".to_owned()),
            _ => {}
        }
        assert!(exec(client, &commands).is_some());
    }
}

/// Money moves between accounts while others count it, in every way there is to look at once.
fn transfers(workers: &str) {
    let server = start(workers);
    let until = Instant::now() + TIME;
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for teller in 0..4_u64 {
            let mut client = server.client();
            scope.spawn(move || {
                pay(&mut client, 0x9E37_79B9 + teller, until);
            });
        }
        for reader in 0..4 {
            let (mut client, reads) = (server.client(), &reads);
            scope.spawn(move || {
                let gets = (0..ACCOUNTS).map(|i| format!("GET account:{i}"));
                let mut commands: Vec<String> = gets.collect();
                if reader == 0 {
                    commands.push("DBSIZE".to_owned());
                }
                while Instant::now() < until {
                    let got = exec(&mut client, &commands).unwrap();
                    let sum: i64 = got[..ACCOUNTS].iter().flatten().sum();
                    assert_eq!(sum, EACH * ACCOUNTS as i64, "{got:?}");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut client = server.client();
        scope.spawn(move || {
            let names: Vec<String> = (0..ACCOUNTS).map(|i| format!("account:{i}")).collect();
            let mget = format!("MGET {}\r\n", names.join(" "));
            while Instant::now() < until {
                client.send(mget.as_bytes());
                client.expect(format!("*{ACCOUNTS}\r\n").as_bytes());
                let sum: i64 = (0..ACCOUNTS).filter_map(|_| value(&mut client)).sum();
                assert_eq!(sum, EACH * ACCOUNTS as i64);
            }
        });
        // Two keys rise together; a client without a transaction reads the first written last.
        let mut client = server.client();
        scope.spawn(move || {
            let commands = ["INCR one", "INCR two"].map(str::to_owned);
            while Instant::now() < until {
                assert!(exec(&mut client, &commands).is_some());
            }
        });
        let mut client = server.client();
        scope.spawn(move || {
            while Instant::now() < until {
                client.send(b"GET two\r\n");
                let two = value(&mut client).unwrap_or(0);
                client.send(b"GET one\r\n");
                let one = value(&mut client).unwrap_or(0);
                client.send(b"GET two\r\n");
                let later = value(&mut client).unwrap_or(0);
                assert!(two <= one && one <= later, "{two} {one} {later}: half a transaction");
            }
        });
    });
    assert!(reads.load(Ordering::Relaxed) > 20);
}

/// Everybody adds one by WATCH, GET, SET: no addition is lost, and there are as many as were won.
/// The key is removed and made again now and then, which must not be mistaken for no change.
fn watchers(workers: &str) {
    let server = start(workers);
    let until = Instant::now() + TIME;
    let (won, lost) = (AtomicU64::new(0), AtomicU64::new(0));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rivals = (0..6_u64).map(|rival| {
            let (mut client, won, lost) = (server.client(), &won, &lost);
            scope.spawn(move || {
                let mut seed = 77 + rival;
                while Instant::now() < until {
                    client.ask(b"WATCH counter\r\n", b"+OK\r\n");
                    client.send(b"GET counter\r\n");
                    let next = value(&mut client).unwrap_or(0) + 1;
                    let mut commands = vec![format!("SET counter {next}")];
                    if random(&mut seed).is_multiple_of(4) {
                        commands.insert(0, "DEL counter".to_owned());
                    }
                    let counter = if exec(&mut client, &commands).is_some() { won } else { lost };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let rivals: Vec<_> = rivals.collect();
        // Somebody who changes another key, and one who watches what nobody changes.
        let (mut client, done) = (server.client(), &done);
        scope.spawn(move || {
            let commands = ["INCR mine".to_owned()];
            while !done.load(Ordering::Relaxed) {
                client.ask(b"WATCH mine nobody:changes:this\r\n", b"+OK\r\n");
                assert!(exec(&mut client, &commands).is_some(), "a false abort");
            }
        });
        rivals.into_iter().for_each(|rival| rival.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let mut client = server.client();
    client.send(b"GET counter\r\n");
    let (won, lost) = (won.into_inner(), lost.into_inner());
    assert_eq!(value(&mut client), Some(won as i64), "{won} won and {lost} lost");
    assert!(won > 0 && lost > 0, "{won} won and {lost} lost");
}

#[test]
fn transfers_keep_their_total() {
    ["1", "2", "4"].into_iter().for_each(transfers);
}

#[test]
fn two_watchers_never_both_win() {
    ["1", "2", "4"].into_iter().for_each(watchers);
}

/// Commands that run in slices, wait or sleep by themselves come to their end inside EXEC, and a
/// client that leaves or starts anew leaves no trace of what it queued and watched.
#[test]
fn nothing_waits_inside_and_nothing_stays_behind() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    client.ask(b"DEBUG POPULATE 200000\r\n", b"+OK\r\n");
    client.ask(
        b"MULTI\r\nKEYS nothing*\r\nFLUSHALL\r\nWAIT 1 0\r\nFLUSHALL SYNC\r\nDBSIZE\r\nEXEC\r\n",
        b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n\
          *5\r\n*0\r\n+OK\r\n:0\r\n+OK\r\n:0\r\n",
    );
    let began = Instant::now();
    client.ask(
        b"MULTI\r\nDEBUG SLEEP 0.2\r\nPING\r\nEXEC\r\n",
        b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n",
    );
    assert!(began.elapsed() >= Duration::from_millis(190));
    let mut other = server.client();
    client.ask(b"WATCH k\r\nMULTI\r\nGET k\r\n", b"+OK\r\n+OK\r\n+QUEUED\r\n");
    other.ask(b"SET k 1\r\n", b"+OK\r\n");
    client.ask(
        b"RESET\r\nMULTI\r\nGET k\r\nEXEC\r\n",
        b"+RESET\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n",
    );
    client.ask(b"WATCH k\r\nMULTI\r\n", b"+OK\r\n+OK\r\n");
    drop(client);
    other.ask(
        b"SET k 2\r\nWATCH k\r\nMULTI\r\nGET k\r\nEXEC\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n",
    );
}

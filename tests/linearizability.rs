//! Many clients, few keys, one server: every history must be one that a single thread could have
//! produced. With one worker, with two, and with more than there are processors here.
//!
//! `EONKV_LIN_ROUNDS=200 cargo test --release --test linearizability` looks for longer.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod lin;

use lin::checker::{Event, check};
use lin::client::{Client, Server};
use lin::model::{Op, Reply};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WORKERS: [usize; 3] = [1, 2, 4];

/// How many times as much as usual is asked for.
fn rounds(usual: usize) -> usize {
    let asked = std::env::var("EONKV_LIN_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    asked.unwrap_or(usual)
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What one client sees: some commands, up to four of them in one write.
fn record(client: &mut Client, seed: u64, ops: usize, start: Instant) -> Vec<Event> {
    let mut state = seed;
    let now = || start.elapsed().as_nanos() as u64;
    let mut events = Vec::new();
    while events.len() < ops {
        let depth = 1 + random(&mut state) as usize % 4;
        let batch: Vec<Op> = (0..depth)
            .map(|at| Op::random(random(&mut state), seed * 1000 + (events.len() + at) as u64))
            .collect();
        let began = now();
        client.send(&batch.iter().map(Op::words).collect::<Vec<_>>());
        for op in batch {
            let reply = client.reply();
            events.push(Event { op, reply, began, ended: now() });
        }
    }
    events
}

#[test]
fn histories_are_linearizable() {
    for workers in WORKERS {
        let server = Server::start(workers);
        let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
        for round in 0..rounds(25) {
            clients[0].ask("FLUSHALL");
            let barrier = Barrier::new(clients.len());
            let start = Instant::now();
            let history: Vec<Vec<Event>> = std::thread::scope(|threads| {
                let threads: Vec<_> = (1u64..)
                    .zip(&mut clients)
                    .map(|(at, client)| {
                        let barrier = &barrier;
                        threads.spawn(move || {
                            barrier.wait();
                            record(client, round as u64 * 100 + at, 60, start)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            if let Err(stuck) = check(&history) {
                panic!("{workers} workers, round {round}: no order explains the replies; {stuck}");
            }
        }
    }
}

/// Runs `work` on so many clients at once.
fn together<T: Send>(
    server: &Server,
    clients: usize,
    work: impl Fn(usize, &mut Client) -> T + Sync,
) -> Vec<T> {
    std::thread::scope(|threads| {
        let threads: Vec<_> = (0..clients)
            .map(|at| {
                let work = &work;
                threads.spawn(move || work(at, &mut server.connect()))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The replies of INCR are 1 to N, each once, and rise for each client.
#[test]
fn no_increment_is_lost() {
    const TURNS: usize = 60;
    const DEPTH: usize = 25;
    for workers in WORKERS {
        let server = Server::start(workers);
        let replies = together(&server, 6, |_, client| {
            let mut mine = Vec::new();
            for _ in 0..TURNS {
                client.send(&[["INCR", "counter"]; DEPTH]);
                mine.extend((0..DEPTH).map(|_| match client.reply() {
                    Reply::Int(n) => n,
                    other => panic!("{other:?}"),
                }));
            }
            assert!(mine.is_sorted());
            mine
        });
        let mut all: Vec<i64> = replies.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(1..=(6 * TURNS * DEPTH) as i64), "{workers} workers");
    }
}

/// One client writes the same number to all keys at once, padded to different lengths; what others
/// read in one command is equal, and what they read in several does not go back.
#[test]
fn what_is_written_at_once_is_seen_at_once() {
    const KEYS: usize = 8;
    let number = |reply: &Reply| match reply {
        Reply::Bulk(text) => {
            let text = std::str::from_utf8(text).unwrap();
            text.trim_end_matches('.').parse::<u64>().unwrap()
        }
        other => panic!("{other:?}"),
    };
    let length = |key: usize| [0, 5, 300, 20_000][key % 4];
    let names: Vec<String> = (0..KEYS).map(|key| format!("pair:{key}")).collect();
    let mset = |n: u64| -> Vec<String> {
        let pairs = names.iter().enumerate().flat_map(|(key, name)| {
            let value = format!("{n}{}", ".".repeat(length(key)));
            [name.clone(), value]
        });
        std::iter::once("MSET".to_string()).chain(pairs).collect()
    };
    for workers in WORKERS {
        let server = Server::start(workers);
        let stop = AtomicBool::new(false);
        let mut first = server.connect();
        first.send(&[mset(0)]);
        assert_eq!(first.reply(), Reply::Ok);
        let counts = together(&server, 4, |at, client| {
            let (mut turns, end) = (0u64, Instant::now() + Duration::from_millis(400));
            while !stop.load(Ordering::Relaxed) {
                turns += 1;
                if at == 0 {
                    client.send(&[mset(turns)]);
                    assert_eq!(client.reply(), Reply::Ok);
                    stop.store(Instant::now() > end, Ordering::Relaxed);
                } else if at == 1 {
                    let mget = std::iter::once("MGET").chain(names.iter().map(String::as_str));
                    client.send(&[mget.collect::<Vec<_>>()]);
                    let Reply::Array(values) = client.reply() else { panic!("not an array") };
                    let numbers: Vec<u64> = values.iter().map(number).collect();
                    assert!(numbers.iter().all(|n| *n == numbers[0]), "torn: {numbers:?}");
                } else {
                    let gets: Vec<_> = names.iter().map(|name| ["GET", name]).collect();
                    client.send(&gets);
                    let numbers: Vec<u64> = gets.iter().map(|_| number(&client.reply())).collect();
                    assert!(numbers.is_sorted(), "went back: {numbers:?}");
                }
            }
            turns
        });
        assert!(counts.iter().all(|turns| *turns > 5), "{workers} workers: {counts:?} turns");
    }
}

/// Tokens move between places by RENAMENX; in every single moment all of them are somewhere, once.
#[test]
fn what_moves_is_never_lost_nor_doubled() {
    const PLACES: u64 = 16;
    const TOKENS: i64 = 8;
    for workers in WORKERS {
        let server = Server::start(workers);
        let mut first = server.connect();
        for token in 0..TOKENS {
            assert_eq!(first.ask(&format!("SET place:{token} token:{token}")), Reply::Ok);
        }
        let all: Vec<String> = (0..PLACES).map(|place| format!("place:{place}")).collect();
        together(&server, 5, |at, client| {
            let (mut state, end) = (at as u64, Instant::now() + Duration::from_millis(300));
            while Instant::now() < end {
                if at < 3 {
                    let moves: Vec<Vec<String>> = (0..8)
                        .map(|_| {
                            let [from, to] = [(); 2].map(|()| random(&mut state) % PLACES);
                            vec![
                                "RENAMENX".into(),
                                all[from as usize].clone(),
                                all[to as usize].clone(),
                            ]
                        })
                        .collect();
                    client.send(&moves);
                    moves.iter().for_each(|_| drop(client.reply()));
                    continue;
                }
                let count = format!("EXISTS {}", all.join(" "));
                assert_eq!(client.ask(&count), Reply::Int(TOKENS));
                let Reply::Array(values) = client.ask(&format!("MGET {}", all.join(" "))) else {
                    panic!("not an array")
                };
                let mut tokens: Vec<_> = values.iter().filter(|v| **v != Reply::Nil).collect();
                tokens.sort_unstable_by_key(|token| format!("{token:?}"));
                tokens.dedup();
                assert_eq!(tokens.len() as i64, TOKENS, "{values:?}");
            }
        });
        assert_eq!(first.ask("DBSIZE"), Reply::Int(TOKENS));
    }
}

//! Many clients on one hot hash, set or sorted set at 1, 2 and 4 workers: commands on single elements run
//! beside each other, and whatever concerns the whole sees one instant. Nothing is lost, nothing torn.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, request};
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many that large tables are divided ten times.
const ELEMENTS: usize = 12_000;
const PAIRS: usize = 50;
const CLIENTS: u64 = 6;
const TIME: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq)]
enum Reply {
    Null,
    Int(i64),
    Text(String),
    Array(Vec<Reply>),
}

impl Reply {
    fn int(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            Self::Text(text) => text.parse().unwrap_or_else(|_| panic!("{text}")),
            other => panic!("{other:?}"),
        }
    }

    fn items(self) -> Vec<Reply> {
        match self {
            Self::Array(items) => items,
            other => panic!("{other:?}"),
        }
    }

    /// Names and numbers in turns.
    fn pairs(self) -> Vec<(String, i64)> {
        let items = self.items();
        let pair = |pair: &[Reply]| match &pair[0] {
            Self::Text(name) => (name.clone(), pair[1].int()),
            other => panic!("{other:?}"),
        };
        items.chunks_exact(2).map(pair).collect()
    }
}

/// Reads replies in big pieces: HGETALL has thousands of lines.
struct Asker {
    client: Client,
    input: Vec<u8>,
    at: usize,
    random: u64,
}

impl Asker {
    fn new(server: &Server, seed: u64) -> Self {
        Self { client: server.client(), input: Vec::new(), at: 0, random: seed * 7919 + 12_345 }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) as usize % bound
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.input[self.at..].iter().position(|&byte| byte == b'\n') {
                let line = &self.input[self.at..self.at + end - 1];
                let line = String::from_utf8(line.to_vec()).unwrap();
                self.at += end + 1;
                return line;
            }
            self.input.drain(..self.at);
            self.at = 0;
            let mut more = [0; 65_536];
            let count = self.client.stream.read(&mut more).unwrap();
            assert!(count > 0, "the server closed");
            self.input.extend_from_slice(&more[..count]);
        }
    }

    fn reply(&mut self) -> Reply {
        let line = self.line();
        let (kind, rest) = line.split_at(1);
        match kind {
            "+" => Reply::Text(rest.to_owned()),
            ":" => Reply::Int(rest.parse().unwrap()),
            "$" if rest == "-1" => Reply::Null,
            "$" => Reply::Text(self.line()),
            "*" if rest == "-1" => Reply::Null,
            "*" => Reply::Array((0..rest.parse().unwrap()).map(|_| self.reply()).collect()),
            _ => panic!("{line}"),
        }
    }

    /// Sends commands, their words parted by spaces, in one write.
    fn send(&mut self, commands: &[&str]) {
        let words =
            |command: &&str| request(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        self.client.send(&commands.iter().flat_map(words).collect::<Vec<u8>>());
    }

    fn ask(&mut self, command: &str) -> Reply {
        self.send(&[command]);
        self.reply()
    }

    fn ask_all(&mut self, commands: &[String]) -> Vec<Reply> {
        self.send(&commands.iter().map(String::as_str).collect::<Vec<_>>());
        commands.iter().map(|_| self.reply()).collect()
    }

    /// What EXEC answers to these.
    fn exec(&mut self, commands: &[&str]) -> Vec<Reply> {
        self.send(&[&["MULTI"], commands, &["EXEC"]].concat());
        (0..=commands.len()).for_each(|_| _ = self.reply());
        self.reply().items()
    }
}

/// Fills a key with commands that each take one element's number.
fn fill(server: &Server, command: impl Fn(usize) -> String) {
    let mut client = Asker::new(server, 0);
    for first in (0..ELEMENTS).step_by(500) {
        let commands: Vec<String> = (first..first + 500).map(&command).collect();
        client.ask_all(&commands);
    }
}

/// Runs `work` for some time with clients of their own, and returns the sum of what it returns.
fn on_clients(server: &Server, work: impl Fn(&mut Asker) -> i64 + Sync) -> i64 {
    let until = Instant::now() + TIME;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=CLIENTS)
            .map(|seed| {
                let (mut client, work) = (Asker::new(server, seed), &work);
                scope.spawn(move || {
                    let mut sum = 0;
                    while Instant::now() < until {
                        sum += work(&mut client);
                    }
                    sum
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn for_workers(test: impl Fn(&Server)) {
    for workers in ["1", "2", "4"] {
        test(&Server::start(&["--io-threads", workers]));
    }
}

/// Pairs are equal, and the counters' sum is returned.
fn check(all: &[(String, i64)], pairs: &str) -> i64 {
    let mut sides: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut sum = 0;
    for (name, value) in all {
        match name.split_once(':').unwrap() {
            ("counter", _) => sum += value,
            (side, pair) if pairs.contains(side) => sides.entry(pair).or_default().push(*value),
            _ => {}
        }
    }
    for (pair, values) in sides {
        assert!(values.len() == 2 && values[0] == values[1], "pair {pair} is torn: {values:?}");
    }
    sum
}

#[test]
fn a_hash_loses_and_tears_nothing() {
    for_workers(|server| {
        fill(server, |i| format!("HSET hot counter:{i} 0"));
        let (begun, ended, pairs) = (AtomicI64::new(0), AtomicI64::new(0), AtomicU64::new(0));
        let total = on_clients(server, |client| match client.below(100) {
            0 => {
                let least = ended.load(Ordering::SeqCst);
                let all = client.ask("HGETALL hot").pairs();
                let sum = check(&all, "left right");
                assert!((least..=begun.load(Ordering::SeqCst)).contains(&sum), "one instant");
                0
            }
            1 => {
                let got = client.exec(&["HLEN hot", "HKEYS hot", "HLEN hot"]);
                let names = got[1].clone().items().len() as i64;
                assert!(got[0].int() == names && got[2].int() == names, "EXEC is isolated");
                0
            }
            2..10 => {
                let (pair, to) = (client.below(PAIRS), pairs.fetch_add(1, Ordering::Relaxed));
                if to.is_multiple_of(2) {
                    client.ask(&format!("HSET hot left:{pair} {to} right:{pair} {to}"));
                } else {
                    let side = |side| format!("HSET hot {side}:{pair} {to}");
                    client.exec(&[&side("left"), &side("right")]);
                }
                0
            }
            10..20 => {
                let pair = client.below(PAIRS);
                let both = client.ask(&format!("HMGET hot left:{pair} right:{pair}")).items();
                assert_eq!(both[0], both[1], "a pair is torn");
                0
            }
            20..40 => {
                let passing = |i: usize| format!("passing:{i}");
                let commands = [
                    format!("HSET hot {} 1", passing(client.below(ELEMENTS))),
                    format!("HDEL hot {}", passing(client.below(ELEMENTS))),
                    format!("HSETNX hot {} 1", passing(client.below(ELEMENTS))),
                    format!("HEXISTS hot {}", passing(client.below(ELEMENTS))),
                ];
                client.ask_all(&commands);
                0
            }
            _ => {
                let mut command = || {
                    let counter = client.below(ELEMENTS);
                    if client.below(4) == 0 {
                        format!("HGET hot counter:{counter}")
                    } else {
                        format!("HINCRBY hot counter:{counter} 1")
                    }
                };
                let commands: Vec<String> = (0..16).map(|_| command()).collect();
                let added = commands.iter().filter(|text| text.starts_with("HINC")).count() as i64;
                begun.fetch_add(added, Ordering::SeqCst);
                client.ask_all(&commands);
                ended.fetch_add(added, Ordering::SeqCst);
                added
            }
        });
        let all = Asker::new(server, 0).ask("HGETALL hot").pairs();
        assert_eq!(check(&all, "left right"), total);
    });
}

/// A hash goes, comes and changes its name under those who use its fields: what they read was written to
/// the hash that had the name then.
#[test]
fn a_hash_goes_and_comes_while_its_fields_are_used() {
    for_workers(|server| {
        let whole = |value: u64| {
            let fields: Vec<String> = (0..ELEMENTS).map(|i| format!("f:{i} {value}")).collect();
            format!("HSET spare {}", fields.join(" "))
        };
        let mut client = Asker::new(server, 0);
        client.ask(&whole(0));
        client.ask("RENAME spare hot");
        let versions = AtomicU64::new(1);
        on_clients(server, |client| match client.below(400) {
            0 => {
                let version = versions.fetch_add(1, Ordering::Relaxed);
                client.exec(&["DEL spare", &whole(version), "RENAME spare hot"]);
                0
            }
            1 => {
                let all = client.ask("HVALS hot").items();
                assert!(all.is_empty() || all.len() == ELEMENTS, "{} fields", all.len());
                0
            }
            2 => client.exec(&["RENAMENX hot away", "RENAMENX away hot"]).len() as i64,
            _ => {
                let name = |i: usize| format!("f:{i}");
                let commands = [
                    format!("HGET hot {}", name(client.below(ELEMENTS))),
                    format!("HINCRBY hot {} 0", name(client.below(ELEMENTS))),
                    format!("HSTRLEN hot {}", name(client.below(ELEMENTS))),
                    format!("HINCRBY hot {} 1", name(client.below(ELEMENTS))),
                ];
                let got = client.ask_all(&commands);
                assert!(got[0] != Reply::Null && got[2].int() > 0, "the name always has a hash");
                0
            }
        });
    });
}

#[test]
fn a_set_loses_and_tears_nothing() {
    for_workers(|server| {
        fill(server, |i| format!("SADD hot stays:{i}"));
        let moved = "passing";
        let grown = on_clients(server, |client| match client.below(100) {
            0 => {
                let all = client.ask("SMEMBERS hot").items();
                let text = |reply: &Reply| match reply {
                    Reply::Text(text) => text.clone(),
                    other => panic!("{other:?}"),
                };
                let names: std::collections::HashSet<String> = all.iter().map(text).collect();
                assert_eq!(names.len(), all.len(), "each once");
                assert_eq!(names.iter().filter(|name| name.starts_with('s')).count(), ELEMENTS);
                let torn = |pair: &usize| {
                    let has = |side: &str| names.contains(&format!("{side}:{pair}"));
                    has("left") != has("right")
                };
                assert_eq!((0..PAIRS).find(torn), None, "a pair is torn");
                0
            }
            1..5 => {
                let (pair, word) = (client.below(PAIRS), ["SADD", "SREM"][client.below(2)]);
                client.ask(&format!("{word} hot left:{pair} right:{pair}")).int()
                    * if word == "SADD" { 1 } else { -1 }
            }
            5..10 => {
                let members = format!("{0}:{1} {0}:{2}", moved, client.below(99), client.below(99));
                let got = client.exec(&[
                    "SCARD hot",
                    &format!("SADD hot {members}"),
                    "SCARD hot",
                    &format!("SREM hot {members}"),
                    "SCARD hot",
                ]);
                let [before, added, between, removed, after] =
                    [0, 1, 2, 3, 4].map(|i| got[i].int());
                assert_eq!((before + added, between - removed), (between, after), "isolated");
                added - removed
            }
            _ => {
                let mut command = || {
                    let word = ["SADD", "SREM", "SISMEMBER"][client.below(3)];
                    format!("{word} hot {moved}:{}", client.below(ELEMENTS))
                };
                let commands: Vec<String> = (0..16).map(|_| command()).collect();
                let got = client.ask_all(&commands);
                let change = |(command, reply): (&String, &Reply)| match &command[..4] {
                    "SADD" => reply.int(),
                    "SREM" => -reply.int(),
                    _ => 0,
                };
                commands.iter().zip(&got).map(change).sum()
            }
        });
        let len = Asker::new(server, 0).ask("SCARD hot").int();
        assert_eq!(len, ELEMENTS as i64 + grown);
    });
}

/// Scores add up, and every range is in order and of one instant.
#[test]
fn a_sorted_set_loses_and_tears_nothing() {
    for_workers(|server| {
        fill(server, |i| format!("ZADD hot 0 counter:{i}"));
        let pairs = AtomicU64::new(1);
        let total = on_clients(server, |client| match client.below(100) {
            0 => {
                let all = client.ask("ZRANGE hot 0 -1 WITHSCORES").pairs();
                check(&all, "left right");
                let key = |(name, score): &(String, i64)| (*score, name.clone());
                assert!(all.windows(2).all(|two| key(&two[0]) < key(&two[1])), "in order");
                0
            }
            1..5 => {
                let (pair, to) = (client.below(PAIRS), pairs.fetch_add(1, Ordering::Relaxed));
                client.ask(&format!("ZADD hot {to} left:{pair} {to} right:{pair}"));
                0
            }
            5..10 => {
                let member = format!("counter:{}", client.below(ELEMENTS));
                let got = client.exec(&[
                    &format!("ZSCORE hot {member}"),
                    &format!("ZINCRBY hot 3 {member}"),
                    &format!("ZRANK hot {member}"),
                    "ZCOUNT hot -inf +inf",
                    "ZCARD hot",
                ]);
                assert_eq!(got[0].int() + 3, got[1].int(), "isolated");
                assert_eq!(got[3], got[4]);
                assert!(got[2].int() < got[4].int());
                3
            }
            10..30 => {
                let passing = |i: usize| format!("passing:{i}");
                let (score, i, j) = (client.below(1000), client.below(500), client.below(500));
                client.ask_all(&[
                    format!("ZADD hot {score} {}", passing(i)),
                    format!("ZSCORE hot {}", passing(j)),
                    format!("ZREM hot {}", passing(j)),
                ]);
                0
            }
            _ => {
                let mut command = || format!("ZINCRBY hot 1 counter:{}", client.below(ELEMENTS));
                let commands: Vec<String> = (0..16).map(|_| command()).collect();
                client.ask_all(&commands).len() as i64
            }
        });
        let all = Asker::new(server, 0).ask("ZRANGE hot 0 -1 WITHSCORES").pairs();
        assert_eq!(check(&all, "left right"), total);
    });
}

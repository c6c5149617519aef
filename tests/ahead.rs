//! Deep batches on large collections: what they ask for ahead changes no reply, at 1 and 2 workers.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server};

const DEPTH: usize = 64;
const BATCHES: usize = 60;
const ELEMENTS: usize = 2000;
const LISTS: usize = 24;

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 33) as usize
}

/// A reply of one line, or of a string and its length.
fn reply(client: &mut Client) -> String {
    let line = client.line();
    if line.starts_with('$') && line != "$-1" { client.line() } else { line }
}

/// A command on the collections whose names begin with `of`.
fn command(of: &str, seed: &mut u64) -> String {
    let (i, n) = (random(seed) % ELEMENTS, random(seed) % 500);
    let (list, text) = (random(seed) % LISTS, "x".repeat(60 + n % 9));
    match random(seed) % 100 {
        0..8 => format!("HSET {of}h f{i} {text}"),
        8..16 => format!("HGET {of}h f{i}"),
        16..20 => format!("HDEL {of}h f{i}"),
        20..24 => format!("HINCRBY {of}n f{i} {n}"),
        24..30 => format!("SADD {of}s m{i}"),
        30..36 => format!("SISMEMBER {of}s m{i}"),
        36..40 => format!("SREM {of}s m{i}"),
        40..48 => format!("ZADD {of}z {n} m{i}"),
        48..54 => format!("ZRANK {of}z m{i}"),
        54..58 => format!("ZREVRANK {of}z m{i}"),
        58..62 => format!("ZSCORE {of}z m{i}"),
        62..66 => format!("ZREM {of}z m{i}"),
        66..70 => format!("ZINCRBY {of}z {n} m{i}"),
        70..72 => format!("ZADD {of}z NX {n} m{i}"),
        72..78 => format!("LPUSH {of}l{list} {text}"),
        78..84 => format!("RPUSH {of}l{list} {text}"),
        84..87 => format!("LPOP {of}l{list}"),
        87..90 => format!("RPOP {of}l{list}"),
        90..92 => format!("ZADD {of}l{list} {n} m{i}"),
        92..94 => format!("RPUSHX {of}none {text}"),
        94..96 => format!("LLEN {of}l{list}"),
        _ => format!("ZCOUNT {of}z {n} 400"),
    }
}

/// A batch with runs of like commands: asking ahead begins with several in a row.
fn batch(of: &str, seed: &mut u64) -> Vec<String> {
    let mut all = Vec::new();
    let (mut word, mut left) = (String::new(), 0);
    while all.len() < DEPTH {
        let next = command(of, seed);
        if left == 0 {
            left = 1 + random(seed) % 20;
            word = next.split(' ').next().unwrap_or_default().to_owned();
        }
        if next.starts_with(&word) {
            all.push(next);
            left -= 1;
        }
    }
    all
}

fn fill(client: &mut Client, of: &str) {
    for i in 0..ELEMENTS {
        let text = "v".repeat(i % 90);
        let all = format!(
            "HSET {of}h f{i} '{text}'\r\nHSET {of}n f{i} {i}\r\nSADD {of}s m{i}\r\nZADD {of}z {} m{i}\r\n\
             RPUSH {of}l{} {i}{text}\r\n",
            i % 300,
            i % LISTS
        );
        client.send(all.as_bytes());
        (0..5).for_each(|_| _ = reply(client));
    }
}

fn same_replies(workers: &str) {
    let server = Server::start(&["--io-threads", workers]);
    let (mut deep, mut alone) = (server.client(), server.client());
    fill(&mut deep, "a:");
    fill(&mut alone, "b:");
    let (mut one, mut other) = (0x9e37_79b9, 0x9e37_79b9);
    for _ in 0..BATCHES {
        let (batch, single) = (batch("a:", &mut one), batch("b:", &mut other));
        deep.send(format!("{}\r\n", batch.join("\r\n")).as_bytes());
        for (deeply, singly) in batch.iter().zip(&single) {
            alone.send(format!("{singly}\r\n").as_bytes());
            assert_eq!(reply(&mut deep), reply(&mut alone), "{deeply}");
        }
    }
}

#[test]
fn a_deep_batch_is_answered_as_its_commands_alone() {
    ["1", "2"].into_iter().for_each(same_replies);
}

/// Two clients change the same collections in deep batches: each command takes effect once.
#[test]
fn batches_of_several_clients_lose_nothing() {
    let server = Server::start(&["--io-threads", "2"]);
    let there = &server;
    std::thread::scope(|scope| {
        for who in 0..4 {
            scope.spawn(move || {
                let mut client = there.client();
                for round in 0..100 {
                    let mut all = String::new();
                    for i in 0..DEPTH {
                        all += &match i % 4 {
                            0 => format!("ZADD z {} m{who}:{round}:{i}\r\n", (i * round) % 97),
                            1 => format!("RPUSH l{} {}\r\n", i % 16, "x".repeat(100)),
                            2 => format!("LPUSH l{} {}\r\n", i % 16, "y".repeat(100)),
                            _ => "ZINCRBY sum 1 all\r\n".to_owned(),
                        };
                    }
                    client.send(all.as_bytes());
                    (0..DEPTH).for_each(|_| _ = reply(&mut client));
                }
            });
        }
    });
    let mut client = server.client();
    client.ask(b"ZCARD z\r\n", b":6400\r\n");
    client.ask(b"ZSCORE sum all\r\n", b"$4\r\n6400\r\n");
    let mut sum = 0;
    for i in 0..16 {
        client.send(format!("LLEN l{i}\r\n").as_bytes());
        sum += client.line()[1..].parse::<usize>().unwrap();
    }
    assert_eq!(sum, 12_800);
}

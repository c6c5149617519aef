//! What many clients see together, at 1, 2 and 4 workers: collections that change in steps are read
//! whole, walks miss nothing that stays, messages keep their publisher's order, and nobody comes between
//! the commands of a script. (Transfers and WATCH: `transactions`. Waiting: `blocking`. Rings of lists:
//! `lists`. Members that move: `sets`.)

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, at_each_width, bulks, random, request};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_millis(500);

/// Members in two sorted sets and fields in a hash: more than compact blocks hold, and fewer.
const SIZES: [usize; 2] = [60, 600];

/// EXEC with `commands`, each of which replies with an integer.
fn exec(client: &mut Client, commands: &[String]) -> Vec<i64> {
    client.send(format!("MULTI\r\n{}\r\nEXEC\r\n", commands.join("\r\n")).as_bytes());
    client.expect(format!("+OK\r\n{}", "+QUEUED\r\n".repeat(commands.len())).as_bytes());
    client.expect(format!("*{}\r\n", commands.len()).as_bytes());
    commands.iter().map(|_| client.line()[1..].parse().unwrap()).collect()
}

/// Members move from one sorted set to the other, and all fields of a hash get the same new value.
fn change(client: &mut Client, members: usize, mut seed: u64, until: Instant) {
    while Instant::now() < until {
        let (from, member) = (random(&mut seed) % 2, random(&mut seed) % members);
        let to = 1 - from;
        client.say(&format!("ZSCORE z:{from} m:{member}"));
        if client.line() != "$-1" {
            client.line();
            // Somebody else may have moved it meanwhile: then it comes back from where it went.
            exec(
                client,
                &[
                    format!("ZREM z:{from} m:{member}"),
                    format!("ZREM z:{to} m:{member}"),
                    format!("ZADD z:{to} {member} m:{member}"),
                ],
            );
        }
        let value = random(&mut seed);
        let pairs: String = (0..members).map(|field| format!(" {field} {value}")).collect();
        assert_eq!(client.int(&format!("HSET h{pairs}")), 0);
    }
}

/// Looks at everything in every way; how often it did.
fn look(client: &mut Client, members: usize, until: Instant) -> usize {
    let all: Vec<String> =
        (0..members).flat_map(|member| [format!("m:{member}"), member.to_string()]).collect();
    let want = bulks(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let mut looks = 0;
    while Instant::now() < until {
        client.check("ZUNION 2 z:0 z:1 WITHSCORES", &want);
        assert_eq!(client.int("ZINTERCARD 2 z:0 z:1"), 0);
        assert_eq!(client.int("ZUNIONSTORE all 2 z:1 z:0"), members as i64);
        client.say("HGETALL h");
        let pairs = client.texts();
        let values: BTreeSet<&String> = pairs.iter().skip(1).step_by(2).collect();
        assert_eq!((pairs.len(), values.len()), (2 * members, 1), "{values:?}");
        client.say("HVALS h");
        assert_eq!(client.texts().into_iter().collect::<BTreeSet<_>>().len(), 1);
        looks += 1;
    }
    looks
}

/// What one command shows of several keys, or of many fields, is of one instant.
#[test]
fn reads_are_never_torn() {
    at_each_width(|server| {
        for members in SIZES {
            let mut first = server.client();
            first.check("FLUSHALL", "+OK\r\n");
            let scores: String = (0..members).map(|i| format!(" {i} m:{i}")).collect();
            assert_eq!(first.int(&format!("ZADD z:0{scores}")), members as i64);
            let pairs: String = (0..members).map(|field| format!(" {field} 0")).collect();
            assert_eq!(first.int(&format!("HSET h{pairs}")), members as i64);
            let until = Instant::now() + TIME;
            std::thread::scope(|scope| {
                for seed in 1..=2 {
                    let mut client = server.client();
                    scope.spawn(move || change(&mut client, members, seed, until));
                }
                let lookers: Vec<_> = (0..2)
                    .map(|_| {
                        let mut client = server.client();
                        scope.spawn(move || look(&mut client, members, until))
                    })
                    .collect();
                assert!(lookers.into_iter().all(|looker| looker.join().unwrap() > 2));
            });
        }
    });
}

/// How to put an element into a collection and out of it, and how to walk over it.
struct Walk {
    put: fn(&str) -> String,
    out: fn(&str) -> String,
    walk: &'static str,
    /// How many texts a walk shows for an element; the first is its name.
    texts: usize,
}

const WALKS: [Walk; 4] = [
    Walk { put: |n| format!("SET {n} 1"), out: |n| format!("DEL {n}"), walk: "SCAN", texts: 1 },
    Walk {
        put: |n| format!("HSET h {n} 1"),
        out: |n| format!("HDEL h {n}"),
        walk: "HSCAN h",
        texts: 2,
    },
    Walk {
        put: |n| format!("SADD s {n}"),
        out: |n| format!("SREM s {n}"),
        walk: "SSCAN s",
        texts: 1,
    },
    Walk {
        put: |n| format!("ZADD z 1 {n}"),
        out: |n| format!("ZREM z {n}"),
        walk: "ZSCAN z",
        texts: 2,
    },
];

/// Sends many commands and skips their replies, of one line each.
fn pipeline(client: &mut Client, commands: impl Iterator<Item = String>) {
    let (mut bytes, mut count) = (Vec::new(), 0);
    for command in commands {
        bytes.extend(command.as_bytes());
        bytes.extend(b"\r\n");
        count += 1;
    }
    client.send(&bytes);
    (0..count).for_each(|_| drop(client.line()));
}

/// Whatever comes and goes meanwhile, and however often the collection changes its form: a walk shows
/// all that is there from its beginning to its end.
#[test]
fn walks_miss_nothing_that_stays() {
    at_each_width(|server| {
        for Walk { put, out, walk, texts } in WALKS {
            let mut client = server.client();
            let stays: BTreeSet<String> = (0..40).map(|i| format!("stays:{i}")).collect();
            pipeline(&mut client, stays.iter().map(|name| put(name)));
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let (mut other, done) = (server.client(), &done);
                scope.spawn(move || {
                    let names = || (0..1500).map(|i| format!("comes:{i}"));
                    while !done.load(Ordering::Relaxed) {
                        pipeline(&mut other, names().map(|name| put(&name)));
                        pipeline(&mut other, names().map(|name| out(&name)));
                    }
                });
                let until = Instant::now() + TIME / 2;
                let mut walks = 0;
                while Instant::now() < until || walks < 5 {
                    let found = client.walk(walk, " COUNT 7");
                    let found: BTreeSet<String> = found.into_iter().step_by(texts).collect();
                    if !stays.is_subset(&found) {
                        done.store(true, Ordering::Relaxed);
                        let missing: Vec<_> = stays.difference(&found).collect();
                        panic!("{walk} misses {missing:?}");
                    }
                    walks += 1;
                }
                done.store(true, Ordering::Relaxed);
            });
        }
    });
}

const PUBLISHERS: usize = 3;
const MESSAGES: usize = 900;

/// Publishes numbers to two channels in turn: by themselves, in transactions and in scripts.
fn publish(server: &Server, publisher: usize) {
    let mut client = server.client();
    let script: &[u8] = b"redis.call('publish', KEYS[1], ARGV[1])
        return redis.call('publish', KEYS[2], ARGV[2])";
    for first in (0..MESSAGES).step_by(6) {
        let word = |i: usize| (format!("c:{}", i % 2), format!("{publisher}:{i}"));
        let line = |i: usize| {
            let (channel, text) = word(i);
            format!("PUBLISH {channel} {text}")
        };
        pipeline(&mut client, (first..first + 2).map(line));
        exec(&mut client, &[line(first + 2), line(first + 3)]);
        let [(one, text), (two, more)] = [word(first + 4), word(first + 5)];
        let words = [&one, &two, &text, &more].map(String::as_bytes);
        client.send(&request(&[&[b"EVAL", script, b"2"], &words[..]].concat()));
        client.line();
    }
}

/// Reads all messages: of each publisher they come in its order, and none is missing.
fn listen(client: &mut Client, resp3: bool, pattern: bool) {
    let mut next = [0; PUBLISHERS];
    let head = match (resp3, pattern) {
        (true, false) => ">3\r\n$7\r\nmessage\r\n",
        (false, false) => "*3\r\n$7\r\nmessage\r\n",
        _ => "*4\r\n$8\r\npmessage\r\n$3\r\nc:*\r\n",
    };
    for _ in 0..PUBLISHERS * MESSAGES {
        client.expect(head.as_bytes());
        let (channel, text) = (client.bulk(), client.bulk());
        let (publisher, number) = text.split_once(':').unwrap();
        let next = &mut next[publisher.parse::<usize>().unwrap()];
        assert_eq!((number, channel), (&*next.to_string(), format!("c:{}", *next % 2)), "{text}");
        *next += 1;
    }
}

#[test]
fn messages_keep_their_publishers_order() {
    at_each_width(|server| {
        let listeners = [(false, false), (true, false), (false, true), (false, false)];
        let listeners = listeners.map(|(resp3, pattern)| {
            let mut client = server.client();
            if resp3 {
                client.say("HELLO 3");
                while client.line() != "modules" {} // the last field of the reply
                client.expect(b"*0\r\n");
            }
            let (kind, command) = match pattern {
                true => ("psubscribe", "PSUBSCRIBE c:*"),
                false => ("subscribe", "SUBSCRIBE c:0 c:1"),
            };
            client.say(command);
            let sign = if resp3 { '>' } else { '*' };
            for (i, name) in command.split(' ').skip(1).enumerate() {
                let (a, b) = (kind.len(), name.len());
                let count = i + 1;
                let want = format!("{sign}3\r\n${a}\r\n{kind}\r\n${b}\r\n{name}\r\n:{count}\r\n");
                client.expect(want.as_bytes());
            }
            (client, resp3, pattern)
        });
        std::thread::scope(|scope| {
            for (mut client, resp3, pattern) in listeners {
                scope.spawn(move || listen(&mut client, resp3, pattern));
            }
            (0..PUBLISHERS)
                .for_each(|publisher| _ = scope.spawn(move || publish(server, publisher)));
        });
    });
}

/// Reads a number, works for a while and writes the next one, into two keys that it does not declare.
const ADD: &str = "local n = redis.call('get', 'one') or 0
    for i = 1, 20 do redis.call('set', 'aside', i) end
    redis.call('set', 'one', n + 1)
    redis.call('incr', 'two')
    return redis.call('get', 'two')";

#[test]
fn nobody_comes_between_the_commands_of_a_script() {
    at_each_width(|server| {
        let library = format!("#!lua name=l\nredis.register_function('add', function() {ADD} end)");
        let mut first = server.client();
        first.ask(&request(&[b"FUNCTION", b"LOAD", library.as_bytes()]), b"$1\r\nl\r\n");
        let until = Instant::now() + TIME;
        let added: usize = std::thread::scope(|scope| {
            let adders: Vec<_> = (0..3)
                .map(|adder| {
                    let mut client = server.client();
                    scope.spawn(move || {
                        let mut added = 0;
                        while Instant::now() < until {
                            match (adder + added) % 3 {
                                0 => client.send(&request(&[b"EVAL", ADD.as_bytes(), b"0"])),
                                1 => client.say("FCALL add 0"),
                                _ => {
                                    exec(&mut client, &["INCR one".into(), "INCR two".into()]);
                                    added += 1;
                                    continue;
                                }
                            }
                            client.bulk();
                            added += 1;
                        }
                        added
                    })
                })
                .collect();
            let mut client = server.client();
            scope.spawn(move || {
                while Instant::now() < until {
                    client.say("MGET one two");
                    let head = client.line();
                    let (one, two) = (client.line(), client.line());
                    if one.starts_with("$-1") {
                        assert!(two.starts_with("$-1"), "{two}");
                        continue;
                    }
                    let (two, _, more) = (two, client.line(), client.line());
                    assert_eq!((head.as_str(), two), ("*2", more));
                }
            });
            adders.into_iter().map(|adder| adder.join().unwrap()).sum()
        });
        first.check("MGET one two", &bulks(&[&added.to_string(), &added.to_string()]));
        assert!(added > 30, "{added}");
    });
}

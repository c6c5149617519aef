//! What is loaded equals what was in memory: the log (law L2) and a snapshot, for every command that writes.
//!
//! Clients send batches of random commands, transactions, scripts and functions over few keys that are soon
//! over, on servers of one, two and four workers, some of them short of memory; the log is rewritten, turned
//! off and on meanwhile. Then the server ends, and whoever loads its log, or the snapshot that it saved last,
//! must have the same keys with the same content and the same times.
//!
//! `EONKV_REPLAY_SEED` and `EONKV_REPLAY_ROUNDS` repeat or prolong a run. The same seed gives the same commands;
//! how those of several clients mix differs from run to run, so a failure tells what was said of the keys.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code
#![allow(clippy::duplicate_mod)] // ports are given out by `server`; of `oracle` only words are used

mod oracle;
mod server;

use oracle::template::{Slot, expand};
use oracle::writes::{RARE, WRITES};
use oracle::{Random, environment, show};
use server::folder::{Folder, commands, kill, stop, until};
use server::{Client, Server, request};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Words = Vec<Vec<u8>>;

/// Runs the commands that its arguments are, each behind the number of its words.
const BODY: &str = "local at=1 while at<=#ARGV do local n=tonumber(ARGV[at]) \
    redis.call(unpack(ARGV,at+1,at+n)) at=at+n+1 end";

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function(keys, ARGV) BODY end)";

/// Writing commands that no template has, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("migrate", "needs another server: tests/admin.rs"),
    ("restore-asking", "is RESTORE"),
    ("function", "its subcommands are there"),
    ("xgroup", "its subcommands are there"),
];

/// A connection for batches.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn new(server: &Server) -> Self {
        Self(BufReader::new(server.client().stream))
    }

    fn send(&mut self, batch: &[Words]) {
        let bytes: Vec<u8> = batch
            .iter()
            .flat_map(|words| request(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()))
            .collect();
        self.0.get_mut().write_all(&bytes).unwrap();
    }

    /// The bytes of a whole reply.
    fn reply(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_until(b'\n', &mut bytes).unwrap();
        assert!(bytes.ends_with(b"\r\n"), "the connection was closed");
        let head = bytes[0];
        let count =
            std::str::from_utf8(&bytes[1..bytes.len() - 2]).ok().and_then(|n| n.parse().ok());
        match (head, count) {
            (b'$', Some(length @ 0i64..)) => {
                let from = bytes.len();
                bytes.resize(from + length as usize + 2, 0);
                self.0.read_exact(&mut bytes[from..]).unwrap();
            }
            (b'*', Some(count)) => (0..count).for_each(|_| bytes.extend(self.reply())),
            _ => {}
        }
        bytes
    }

    fn ask(&mut self, words: &[&[u8]]) -> Vec<u8> {
        self.send(&[words.iter().map(|word| word.to_vec()).collect()]);
        self.reply()
    }
}

/// Every key with its content and its time, and the functions.
fn state(server: &Server) -> BTreeMap<String, String> {
    let (mut client, mut peer) = (server.client(), Peer::new(server));
    let mut found = BTreeMap::new();
    let functions = peer.ask(&[b"FUNCTION", b"LIST", b"WITHCODE"]);
    found.insert("functions".to_owned(), String::from_utf8_lossy(&functions).into_owned());
    for db in ["0", "1", "2"] {
        client.check(&format!("SELECT {db}"), "+OK\r\n");
        peer.ask(&[b"SELECT", db.as_bytes()]);
        for key in client.walk("SCAN", " COUNT 1000") {
            let mut told = Vec::new();
            for words in
                [&[b"TYPE".as_slice()][..], &[b"DEBUG", b"DIGEST-VALUE"], &[b"PEXPIRETIME"]]
            {
                told.extend(peer.ask(&[words, &[key.as_bytes()]].concat()));
            }
            found
                .insert(format!("{db} {key}"), String::from_utf8_lossy(&told).replace("\r\n", " "));
        }
    }
    found
}

fn slot(dumps: &[Vec<u8>], name: &str, random: &mut Random) -> Vec<u8> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    match name {
        "s" | "p" | "l" | "h" | "d" | "z" | "g" | "x" | "k" => {
            let any = name == "k" || random.once_in(50);
            let kind =
                if any { random.of(&["s", "p", "l", "h", "d", "z", "g", "x"]) } else { name };
            format!("{kind}{}", random.below(3)).into_bytes()
        }
        "e" => random.element(),
        "m" => match random.below(20) {
            0 => random.member(),
            _ => random.of(&["a", "b", "c", "d", "e"]).into(),
        },
        "i" => (random.below(12) as i64 - 5).to_string().into_bytes(),
        "f" => random.score(),
        "n" => random.below(6).to_string().into_bytes(),
        "n1" => (1 + random.below(5)).to_string().into_bytes(),
        "t" if random.once_in(8) => random.of(&["100000", "0", "-1", "30"]).into(),
        "t" => (1 + random.below(8)).to_string().into_bytes(),
        "at" => (now() + u128::from(random.below(25)) - 5).to_string().into_bytes(),
        "id" if random.once_in(10) => format!("{}-0", now()).into_bytes(),
        "id" => format!("{}-{}", random.below(9), random.below(4)).into_bytes(),
        "dump" => dumps[random.below(dumps.len() as u64) as usize].clone(),
        "lib" => LIBRARY.replace("BODY", BODY).into_bytes(),
        other => panic!("no slot {other}"),
    }
}

/// Payloads of values of each type.
fn dumps(server: &Server) -> Vec<Vec<u8>> {
    let mut client = Peer::new(server);
    let values = ["SET v a", "SET v 17", "RPUSH v a b", "HSET v a 1", "SADD v 1 2", "ZADD v 1 a"];
    let each = |value: &&str| {
        client.ask(&[b"DEL", b"v"]);
        client.ask(&value.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let reply = client.ask(&[b"DUMP", b"v"]);
        let begin = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        reply[begin..reply.len() - 2].to_vec()
    };
    let mut payloads: Vec<Vec<u8>> = values.iter().map(each).collect();
    client.ask(&[b"DEL", b"v"]);
    payloads.push(b"no payload".to_vec());
    payloads
}

fn from(templates: &[&str], slot: &Slot<'_>, random: &mut Random) -> Words {
    let tokens: Vec<&str> = random.of(templates).split_whitespace().collect();
    let mut words = Vec::new();
    expand(&tokens, slot, random, &mut words);
    words
}

/// Several commands as one, the last of which may end in an error.
fn script(slot: &Slot<'_>, random: &mut Random) -> Words {
    let mut words: Words = match random.below(4) {
        0 => vec!["FCALL".into(), "f".into(), "0".into()],
        1 => vec!["EVAL".into(), format!("{BODY} error('over')").into(), "0".into()],
        2 => vec!["EVAL".into(), BODY.replace("call", "pcall").into(), "0".into()],
        _ => vec!["EVAL".into(), BODY.into(), "0".into()],
    };
    for _ in 0..1 + random.below(5) {
        let command = from(WRITES, slot, random);
        words.push(command.len().to_string().into());
        words.extend(command);
    }
    words
}

fn batch(slot: &Slot<'_>, random: &mut Random, most: u64) -> Vec<Words> {
    let mut batch = Vec::new();
    let length = 1 + random.below(most) as usize;
    while batch.len() < length {
        match random.below(200) {
            0 => batch.push(from(RARE, slot, random)),
            1..20 => batch.push(script(slot, random)),
            20..35 => {
                if random.once_in(3) {
                    batch.push(vec!["WATCH".into(), slot("k", random)]);
                }
                batch.push(vec!["MULTI".into()]);
                for _ in 0..random.below(6) {
                    batch.push(from(WRITES, slot, random));
                }
                batch.push(vec![random.of(&["EXEC", "EXEC", "EXEC", "DISCARD"]).into()]);
            }
            _ => batch.push(from(WRITES, slot, random)),
        }
    }
    batch
}

/// Less memory than the keys want, so that some are evicted.
fn shorten(client: &mut Client, random: &mut Random) {
    let policies = ["allkeys-lru", "allkeys-random", "volatile-ttl", "allkeys-lfu"];
    client.check(&format!("CONFIG SET maxmemory-policy {}", random.of(&policies)), "+OK\r\n");
    let info = client.info("memory");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let most = used.parse::<u64>().unwrap() + 2_000 + random.below(40_000);
    client.check(&format!("CONFIG SET maxmemory {most}"), "+OK\r\n");
}

/// What differs, and what was said of it.
fn differs(
    (before, after): (&BTreeMap<String, String>, &BTreeMap<String, String>),
    (said, folder): (&[String], &Folder),
) -> String {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut text = String::new();
    for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
        text += &format!("\n{name}: {:?} became {:?}", before.get(name), after.get(name));
        let key = name.split(' ').next_back().unwrap();
        let logged = commands(&folder.increments());
        for (what, lines) in [("said", said), ("logged", &logged)] {
            let about = lines.iter().filter(|line| line.split(' ').any(|word| word == key));
            let about: Vec<&String> = about.collect();
            for line in &about[about.len().saturating_sub(20)..] {
                text += &format!("\n  {what}: {line}");
            }
        }
    }
    text
}

/// One server's life. Its log and its last snapshot are loaded afterwards.
fn round(seed: u64, workers: &str) {
    let mut random = Random::new(seed);
    let folder = Folder::new();
    let preamble = random.of(&["yes", "no"]);
    let log = ["--appendonly", "yes", "--appendfsync", "no", "--aof-use-rdb-preamble", preamble];
    let rest = ["--io-threads", workers, "--databases", "3", "--auto-aof-rewrite-percentage", "0"];
    let options = [&log[..], &rest].concat();
    let server = folder.server(&options);
    let mut client = server.client();
    let dumps = dumps(&server);
    let slot = |name: &str, random: &mut Random| slot(&dumps, name, random);
    let mut peer = Peer::new(&server);
    peer.ask(&[b"FUNCTION", b"LOAD", LIBRARY.replace("BODY", BODY).as_bytes()]);
    client.check(&format!("DEBUG SET-ACTIVE-EXPIRE {}", random.below(2)), "+OK\r\n");
    if random.once_in(4) {
        shorten(&mut client, &mut random);
    }
    let (clients, most) = (1 + random.below(4), [8, 40, 150][random.below(3) as usize]);
    let seeds: Vec<u64> = (0..clients).map(|_| random.next()).collect();
    let said: Vec<String> = std::thread::scope(|scope| {
        let talk = |seed: u64| {
            let (mut random, mut peer) = (Random::new(seed), Peer::new(&server));
            let mut said = Vec::new();
            for _ in 0..12 {
                let batch = batch(&slot, &mut random, most);
                said.extend(batch.iter().map(|words| show(words)));
                peer.send(&batch);
                batch.iter().for_each(|_| drop(peer.reply()));
                if random.once_in(3) {
                    std::thread::sleep(Duration::from_millis(random.below(12)));
                }
            }
            said
        };
        let talks: Vec<_> =
            seeds.iter().map(|seed| (*seed, scope.spawn(move || talk(*seed)))).collect();
        talks.into_iter().flat_map(|(_, talk)| talk.join().unwrap()).collect()
    });
    for command in [
        "CLIENT UNPAUSE",
        "CONFIG SET maxmemory 0",
        "DEBUG SET-ACTIVE-EXPIRE 1",
        "CONFIG SET appendonly yes",
    ] {
        client.check(command, "+OK\r\n");
    }
    for busy in ["aof_rewrite_scheduled", "aof_rewrite_in_progress", "rdb_bgsave_in_progress"] {
        until(&mut client, busy, "0");
    }
    // Until what lives short is over and found to be.
    std::thread::sleep(Duration::from_millis(300));
    let before = state(&server);
    client.check("SAVE", "+OK\r\n");
    if random.once_in(2) {
        kill(server)
    } else {
        stop(server)
    }
    for options in [options, [&["--appendonly", "no"], &rest[..]].concat()] {
        let server = folder.server(&options);
        let after = state(&server);
        assert!(
            before == after,
            "seed {seed}, {workers} workers, {options:?}:{}",
            differs((&before, &after), (&said, &folder))
        );
        kill(server);
    }
}

#[test]
fn what_is_loaded_is_what_was_there() {
    let seed = environment("EONKV_REPLAY_SEED", 0x9e37_79b9_7f4a_7c15);
    let mut random = Random::new(seed);
    for number in 0..environment("EONKV_REPLAY_ROUNDS", 5) {
        // A seed that a failure named is that of its first round.
        let seed = if number == 0 { seed } else { random.next() };
        round(seed, ["1", "2", "4"][(seed % 3) as usize]);
    }
}

#[test]
fn every_command_that_writes_is_among_them() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.say("COMMAND LIST FILTERBY ACLCAT write");
    let mut first: BTreeSet<String> = BTreeSet::new();
    for template in WRITES.iter().chain(RARE) {
        let words: Vec<Vec<String>> = template
            .split(' ')
            .take(2)
            .map(|word| {
                let word = word.trim_matches(['<', '>']).to_lowercase();
                word.split('|').map(str::to_owned).collect()
            })
            .collect();
        for word in &words[0] {
            first.insert(word.clone());
            first.extend(words.get(1).into_iter().flatten().map(|sub| format!("{word}|{sub}")));
        }
    }
    let missing = |name: &String| {
        !first.contains(name) && !LEFT_OUT.iter().any(|(left_out, _)| left_out == name)
    };
    let missing: Vec<String> = client.texts().into_iter().filter(missing).collect();
    assert!(missing.is_empty(), "no template has {missing:?}");
}

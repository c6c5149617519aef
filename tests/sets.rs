//! Sets over the wire: texts of errors, shapes of replies, encodings, and what many clients may rely
//! on: SMOVE loses and doubles nothing, SUNION and SMEMBERS are of one instant, SPOP gives each member
//! to one client. (Walks: `histories`.)

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, WRONG_TYPE, random};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(2);
fn members(client: &mut Client, command: &str) -> BTreeSet<String> {
    client.say(command);
    let all = client.texts();
    let set: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), set.len(), "{command} shows a member twice");
    set
}

#[expect(clippy::too_many_lines, reason = "a list of requests and their replies")]
#[test]
fn replies_and_errors_are_those_of_redis() {
    let server = Server::start(&[]);
    let client = &mut server.client();
    client.check("SET string x", "+OK\r\n");
    for command in [
        "SADD string a",
        "SREM string a",
        "SCARD string",
        "SISMEMBER string a",
        "SMISMEMBER string a b",
        "SMEMBERS string",
        "SPOP string",
        "SPOP string 0",
        "SRANDMEMBER string",
        "SRANDMEMBER string 0",
        "SMOVE string other a",
        "SINTER string",
        "SINTER none string",
        "SINTERCARD 2 none string",
        "SUNION none string",
        "SDIFF none string",
        "SUNIONSTORE other string",
        "SSCAN string 0",
    ] {
        client.check(command, WRONG_TYPE);
    }
    client.check("EXISTS other", ":0\r\n");
    client.check("SADD s b a b 1", ":3\r\n");
    client.check("SMOVE s string a", WRONG_TYPE);
    client.check("SMOVE none string a", ":0\r\n");
    client.check("SMOVE s s a", ":1\r\n");
    client.check("SMOVE s s x", ":0\r\n");
    client.check("SMISMEMBER s a x 1 01", "*4\r\n:1\r\n:0\r\n:1\r\n:0\r\n");
    client.check("SMISMEMBER none a b", "*2\r\n:0\r\n:0\r\n");
    for (command, error) in [
        ("SADD s", "wrong number of arguments for 'sadd' command"),
        ("SPOP s 1 2", "syntax error"),
        ("SPOP s -1", "value is out of range, must be positive"),
        ("SPOP string x", "value is out of range, must be positive"),
        ("SRANDMEMBER s x", "value is not an integer or out of range"),
        ("SRANDMEMBER s 1 2", "syntax error"),
        (
            "SRANDMEMBER s -9223372036854775808",
            "value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
        ("SINTERCARD 0 s", "numkeys should be greater than 0"),
        ("SINTERCARD a s", "numkeys should be greater than 0"),
        ("SINTERCARD 2 s", "Number of keys can't be greater than number of args"),
        ("SINTERCARD 1 s LIMIT", "syntax error"),
        ("SINTERCARD 1 s LIMIT -1", "LIMIT can't be negative"),
        ("SINTERCARD 1 s NONE 1", "syntax error"),
        ("SSCAN s x", "invalid cursor"),
        ("SSCAN s 0 TYPE set", "syntax error"),
        ("SSCAN s 0 COUNT 0", "syntax error"),
        ("SSCAN s 0 COUNT x", "value is not an integer or out of range"),
    ] {
        client.check(command, &format!("-ERR {error}\r\n"));
    }
    client.check("SSCAN none 0 NONSENSE", "*2\r\n$1\r\n0\r\n*0\r\n");
    client.check("SREM s a 1 1 x", ":2\r\n");
    for (version, set, null) in [(2, "*", "$-1"), (3, "~", "_")] {
        client.say(&format!("HELLO {version}"));
        while client.line() != "modules" {}
        client.line();
        client.check("SMEMBERS s", &format!("{set}1\r\n$1\r\nb\r\n"));
        client.check("SMEMBERS none", &format!("{set}0\r\n"));
        client.check("SINTER s s", &format!("{set}1\r\n$1\r\nb\r\n"));
        client.check("SDIFF s s", &format!("{set}0\r\n"));
        client.check("SPOP none", &format!("{null}\r\n"));
        client.check("SPOP none 3", &format!("{set}0\r\n"));
        client.check("SPOP s 0", &format!("{set}0\r\n"));
        client.check("SRANDMEMBER none", &format!("{null}\r\n"));
        client.check("SRANDMEMBER none 3", "*0\r\n");
        client.check("SRANDMEMBER s 3", "*1\r\n$1\r\nb\r\n");
        client.check("SRANDMEMBER s -2", "*2\r\n$1\r\nb\r\n$1\r\nb\r\n");
        client.check("SSCAN s 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
    }
    client.check("SPOP s 5", "~1\r\n$1\r\nb\r\n");
    client.check("EXISTS s", ":0\r\n");
}

#[test]
fn encodings_follow_the_limits_and_the_key_goes_with_the_last_member() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let client = &mut server.client();
    let encoding = |client: &mut Client, name: &str| {
        client.check("OBJECT ENCODING s", &format!("${}\r\n{name}\r\n", name.len()));
    };
    for i in 0..512 {
        assert_eq!(client.int(&format!("SADD s {i}")), 1);
    }
    encoding(client, "intset");
    assert_eq!(client.int("SADD s 511 512"), 1);
    encoding(client, "hashtable");
    assert_eq!(client.int("SCARD s"), 513);
    assert_eq!(members(client, "SMEMBERS s"), (0..513).map(|i| i.to_string()).collect());
    client.check("COPY s copy", ":1\r\n");
    assert_eq!(client.int("SREM s 512"), 1);
    assert_eq!(client.int("SCARD copy"), 513);
    assert_eq!(members(client, "SDIFF copy s"), BTreeSet::from(["512".to_owned()]));
    assert_eq!(client.int("SINTERSTORE small copy copy"), 513);
    assert_eq!(members(client, "SPOP s 600").len(), 512);
    client.check("EXISTS s", ":0\r\n");
    assert_eq!(client.int("SADD s 1 2 3 a"), 4);
    encoding(client, "hashtable");
    assert_eq!(client.int("SREM s a"), 1);
    encoding(client, "hashtable");
    assert_eq!(members(client, "SINTER s copy"), ["1", "2", "3"].map(str::to_owned).into());
    // What is equal is equal in every form, whatever the order.
    assert_eq!(client.int("SADD t 3 1 2"), 3);
    let digest = |client: &mut Client, key: &str| {
        client.say(&format!("DEBUG DIGEST-VALUE {key}"));
        client.line();
        client.line()
    };
    assert_eq!(digest(client, "s"), digest(client, "t"));
    assert_eq!(digest(client, "copy"), digest(client, "small"));
    assert_ne!(digest(client, "t"), digest(client, "copy"));
    client.check("CONFIG SET set-max-intset-entries 0 set-max-listpack-entries 2", "+OK\r\n");
    assert_eq!(client.int("SUNIONSTORE large t"), 3);
    assert_eq!(digest(client, "t"), digest(client, "large"));
    client.check("EXPIRE large 100", ":1\r\n");
    assert_eq!(client.int("SREM large 1 2 3"), 3);
    client.check("EXISTS large", ":0\r\n");
    // STORE replaces whatever was there, its expiry too, and removes it if there is no result.
    client.check("SET into x EX 100", "+OK\r\n");
    assert_eq!(client.int("SUNIONSTORE into t"), 3);
    client.check("TTL into", ":-1\r\n");
    assert_eq!(client.int("SDIFFSTORE into t t"), 0);
    client.check("EXISTS into", ":0\r\n");
}

/// Members move between sets, small ones and large ones, while others look at all sets at once: there
/// are always all of them, each in one place.
fn moves(workers: &str, count: usize) {
    const SETS: usize = 4;
    let server = Server::start(&["--io-threads", workers]);
    let mut client = server.client();
    let all: BTreeSet<String> = (0..count).map(|i| format!("m{i}")).collect();
    for member in &all {
        assert_eq!(client.int(&format!("SADD set:0 {member}")), 1);
    }
    let until = Instant::now() + TIME;
    let looks = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for mover in 0..4_u64 {
            let mut client = server.client();
            scope.spawn(move || {
                let mut seed = 0x9E37_79B9 + mover;
                while Instant::now() < until {
                    let (from, to) = (random(&mut seed) % SETS, random(&mut seed) % SETS);
                    let member = random(&mut seed) % count;
                    client.int(&format!("SMOVE set:{from} set:{to} m{member}"));
                }
            });
        }
        for _ in 0..2 {
            let (mut client, all, looks) = (server.client(), &all, &looks);
            scope.spawn(move || {
                while Instant::now() < until {
                    let union = "SUNION set:0 set:1 set:2 set:3";
                    assert_eq!(members(&mut client, union), *all);
                    assert_eq!(client.int("SINTERCARD 2 set:0 set:1"), 0);
                    let store = "SUNIONSTORE all set:3 set:2 set:1 set:0";
                    assert_eq!(client.int(store), count as i64);
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(looks.into_inner() > 5);
    let left: usize = (0..SETS).map(|i| client.int(&format!("SCARD set:{i}")) as usize).sum();
    assert_eq!(left, count);
}

#[test]
fn moved_members_are_neither_lost_nor_doubled() {
    for workers in ["1", "2", "4"] {
        moves(workers, 40);
        moves(workers, 400);
    }
}

/// Each member that is popped was added, and goes to one client only.
#[test]
fn popped_members_go_to_one_client_each() {
    let server = Server::start(&["--io-threads", "4"]);
    let done = AtomicBool::new(false);
    let mut popped: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        let poppers: Vec<_> = (0..4)
            .map(|popper| {
                let (mut client, done) = (server.client(), &done);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    loop {
                        let last = done.load(Ordering::Relaxed);
                        let command = if popper % 2 == 0 { "SPOP s 3" } else { "SPOP s 1" };
                        client.say(command);
                        let got = client.texts();
                        if last && got.is_empty() {
                            return mine;
                        }
                        mine.extend(got);
                    }
                })
            })
            .collect();
        let mut client = server.client();
        for i in (0..20_000).step_by(4) {
            let command = format!("SADD s {i} {} m{} m{}", i + 1, i + 2, i + 3);
            assert_eq!(client.int(&command), 4);
        }
        done.store(true, Ordering::Relaxed);
        popped.extend(poppers.into_iter().flat_map(|popper| popper.join().unwrap()));
    });
    assert_eq!(popped.len(), 20_000);
    assert_eq!(popped.into_iter().collect::<BTreeSet<_>>().len(), 20_000);
}

//! What the log says of each command: the list as Redis 7.0.15 writes it, measured there. `<ms>` stands for
//! a time in milliseconds.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::Client;
use server::folder::{Folder, commands, stop};
use std::time::Duration;

/// What clients say, and what the log says of it (none: nothing). Between `|` are commands of the log.
const GOLDEN: &[(&str, &str)] = &[
    ("SET a 1", "SELECT 0 | SET a 1"),
    ("SET a 2 EX 100", "SET a 2 PXAT <ms>"),
    ("SETEX b 100 x", "SET b x PXAT <ms>"),
    ("PSETEX b 100000 x", "SET b x PXAT <ms>"),
    ("SET a 3 GET", "SET a 3"),
    ("SET a 3 NX", ""),
    ("SET a 3 XX KEEPTTL", "SET a 3 KEEPTTL"),
    ("EXPIRE a 100", "PEXPIREAT a <ms>"),
    ("EXPIRE missing 100", ""),
    ("EXPIREAT a 9999999999", "PEXPIREAT a <ms>"),
    ("EXPIRE a -1", "DEL a"),
    ("GETEX b EX 10", "PEXPIREAT b <ms>"),
    ("GETEX b PERSIST", "PERSIST b"),
    ("GETEX b PERSIST", ""),
    ("GETDEL b", "DEL b"),
    ("GETSET g 5", "SET g 5"),
    ("SETNX g 5", ""),
    ("APPEND g x", "APPEND g x"),
    ("SETRANGE g 1 y", "SETRANGE g 1 y"),
    ("INCR n", "INCR n"),
    ("DECRBY n 5", "DECRBY n 5"),
    ("INCRBYFLOAT f 1.5", "SET f 1.5 KEEPTTL"),
    ("HINCRBYFLOAT h x 2.5", "HSET h x 2.5"),
    ("HSET h a 1 b 2", "HSET h a 1 b 2"),
    ("HDEL h a zz", "HDEL h a zz"),
    ("HDEL h zz", ""),
    ("HEXPIRE h 100 FIELDS 2 b nope", "HPEXPIREAT h <ms> FIELDS 1 b"),
    ("HGETEX h PERSIST FIELDS 1 b", "HPERSIST h FIELDS 1 b"),
    ("HSETEX h EX 100 FIELDS 1 c 3", "MULTI | HSET h c 3 | HPEXPIREAT h <ms> FIELDS 1 c | EXEC"),
    ("HEXPIRE h 0 FIELDS 1 c", "HDEL h c"),
    ("HGETDEL h FIELDS 1 b", "HDEL h b"),
    ("SADD s 1", "SADD s 1"),
    ("SPOP s", "SREM s 1"),
    ("SPOP s", ""),
    ("SADD s 1 2", "SADD s 1 2"),
    ("SPOP s 10", "DEL s"),
    ("XADD st 5-5 f v", "XADD st 5-5 f v"),
    ("XADD st 6-* f v", "XADD st 6-0 f v"),
    ("XADD st MAXLEN ~ 100 7-1 f v", "XADD st MAXLEN = 3 7-1 f v"),
    ("XTRIM st MAXLEN 3", ""),
    ("XTRIM st MAXLEN 1", "XTRIM st MAXLEN = 1"),
    ("XGROUP CREATE st g 0", "XGROUP CREATE st g 0"),
    (
        "XREADGROUP GROUP g c1 STREAMS st >",
        "XCLAIM st g c1 0 7-1 TIME <ms> RETRYCOUNT 1 FORCE JUSTID LASTID 7-1",
    ),
    ("XREADGROUP GROUP g c1 STREAMS st 0", ""),
    ("XREADGROUP GROUP g new STREAMS st >", "XGROUP CREATECONSUMER st g new"),
    ("XCLAIM st g c2 0 7-1", "XCLAIM st g c2 0 7-1 TIME <ms> RETRYCOUNT 3 FORCE JUSTID LASTID 7-1"),
    (
        "XAUTOCLAIM st g c3 0 0",
        "XCLAIM st g c3 0 7-1 TIME <ms> RETRYCOUNT 4 FORCE JUSTID LASTID 7-1",
    ),
    ("XACK st g 7-1", "XACK st g 7-1"),
    ("XADD st 9-1 f v", "XADD st 9-1 f v"),
    ("XREADGROUP GROUP g c1 NOACK STREAMS st >", "XGROUP SETID st g 9-1 ENTRIESREAD 4"),
    ("XADD none 5-1 f v", "XADD none 5-1 f v"),
    ("XTRIM none MINID ~ 9", "XTRIM none MINID = 18446744073709551615-18446744073709551615"),
    (
        "XADD none MINID ~ 9 6-1 f v",
        "XADD none MINID = 18446744073709551615-18446744073709551615 6-1 f v",
    ),
    ("RPUSH l 1 2 3 4", "RPUSH l 1 2 3 4"),
    ("LMPOP 2 nol l LEFT COUNT 2", "LPOP l 2"),
    ("BLPOP l 1", "LPOP l"),
    ("BRPOPLPUSH l l2 1", "RPOPLPUSH l l2"),
    ("BLMOVE l2 l LEFT RIGHT 1", "LMOVE l2 l LEFT RIGHT"),
    ("LREM l 0 none", ""),
    ("GEOADD geo 13.361389 38.115556 Palermo", "ZADD geo 3479099956230698 Palermo"),
    ("ZADD z 1 a 2 b 3 c 4 d", "ZADD z 1 a 2 b 3 c 4 d"),
    ("ZMPOP 1 z MIN", "ZPOPMIN z 1"),
    ("BZPOPMIN z 1", "ZPOPMIN z"),
    ("BZMPOP 1 1 z MAX", "ZPOPMAX z 1"),
    ("DEL missing", ""),
    ("DEL g missing", "DEL g missing"),
    ("MULTI", ""),
    ("SET m1 1", ""),
    ("INCR m2", ""),
    ("EXEC", "MULTI | SET m1 1 | INCR m2 | EXEC"),
    ("MULTI", ""),
    ("GET m1", ""),
    ("EXEC", ""),
    ("MULTI", ""),
    ("SET m1 2", ""),
    ("EXEC", "SET m1 2"),
    (
        "EVAL redis.call('set',KEYS[1],1);redis.call('incr',KEYS[1]) 1 e1",
        "MULTI | set e1 1 | incr e1 | EXEC",
    ),
    ("EVAL redis.call('set',KEYS[1],1) 1 e1", "set e1 1"),
    ("EVAL return(redis.call('get',KEYS[1])) 1 e1", ""),
    ("SELECT 3", ""),
    ("SET in3 1", "SELECT 3 | SET in3 1"),
    ("SELECT 0", ""),
    ("SET in0 1", "SELECT 0 | SET in0 1"),
    ("MOVE in0 4", "MOVE in0 4"),
    ("COPY m1 m3", "COPY m1 m3"),
    ("RENAME m3 m4", "RENAME m3 m4"),
    ("SWAPDB 0 5", "SWAPDB 0 5"),
    ("SWAPDB 0 5", "SWAPDB 0 5"),
    ("PUBLISH ch x", ""),
    ("PFADD pf a b c", "PFADD pf a b c"),
    ("PFMERGE pf2 pf", "PFMERGE pf2 pf"),
    ("SETBIT bits 5 1", "SETBIT bits 5 1"),
    ("BITOP NOT bits2 bits", "BITOP NOT bits2 bits"),
    ("MSET q 1 w 2", "MSET q 1 w 2"),
    ("MSETNX q 1 w 2", ""),
    ("SUNIONSTORE un nothing", ""),
    ("SET ex 1 PX 20", "SET ex 1 PXAT <ms>"),
    ("(wait)", ""),
    ("GET ex", "DEL ex"),
    ("FLUSHDB", "FLUSHDB"),
    ("FLUSHALL", "FLUSHALL"),
];

/// Reads a whole reply, of protocol 2.
fn reply(client: &mut Client) -> String {
    let head = client.line();
    let many = head[1..].parse::<i64>().unwrap_or(0);
    match head.as_bytes()[0] {
        b'$' if many >= 0 => client.line(),
        b'*' => (0..many).map(|_| reply(client)).collect::<Vec<_>>().join(" "),
        _ => head,
    }
}

fn without_times(command: &str) -> String {
    let word = |word: &str| {
        let time = word.len() == 13 && word.bytes().all(|byte| byte.is_ascii_digit());
        if time { "<ms>".to_owned() } else { word.to_owned() }
    };
    command.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn logged(folder: &Folder) -> Vec<String> {
    commands(&folder.increments()).iter().map(|command| without_times(command)).collect()
}

#[test]
fn each_command_is_logged_as_redis_logs_it() {
    let folder = Folder::new();
    let options = ["--appendonly", "yes", "--appendfsync", "no"];
    let server = folder.server(&options);
    let mut client = server.client();
    client.check("DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
    for (command, _) in GOLDEN {
        if *command == "(wait)" {
            std::thread::sleep(Duration::from_millis(40));
            continue;
        }
        client.say(command);
        let reply = reply(&mut client);
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }
    stop(server);
    let want = GOLDEN.iter().flat_map(|(_, logged)| logged.split(" | "));
    let want: Vec<&str> = want.filter(|command| !command.is_empty()).collect();
    let got = logged(&folder);
    for (i, want) in want.iter().enumerate() {
        assert_eq!(got.get(i).map(String::as_str), Some(*want), "after {:?}", &got[..i]);
    }
    assert_eq!(got.len(), want.len(), "{:?}", &got[want.len()..]);
}

#[test]
fn who_waited_is_served_in_a_record_of_its_own_behind_what_served_it() {
    let folder = Folder::new();
    let server = folder.server(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (mut client, mut waits) = (server.client(), server.client());
    let blocked = |client: &mut Client| {
        while !client.info("clients").contains("blocked_clients:1") {
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    for (wait, push) in [
        ("BLPOP bl 0", "RPUSH bl x y"),
        ("BZPOPMAX bz 0", "ZADD bz 1 x 2 y"),
        ("BLMOVE from to LEFT LEFT 0", "RPUSH from a"),
    ] {
        waits.say(wait);
        blocked(&mut client);
        client.say(push);
        reply(&mut client);
        reply(&mut waits);
    }
    client.check("XGROUP CREATE xs g $ MKSTREAM", "+OK\r\n");
    waits.say("XREADGROUP GROUP g c BLOCK 0 STREAMS xs >");
    blocked(&mut client);
    client.say("XADD xs 1-1 f v");
    reply(&mut client);
    reply(&mut waits);
    stop(server);
    let want = [
        "SELECT 0",
        "RPUSH bl x y",
        "LPOP bl",
        "ZADD bz 1 x 2 y",
        "ZPOPMAX bz",
        "RPUSH from a",
        "LMOVE from to LEFT LEFT",
        "XGROUP CREATE xs g $ MKSTREAM",
        "XGROUP CREATECONSUMER xs g c",
        "XADD xs 1-1 f v",
        "XCLAIM xs g c 0 1-1 TIME <ms> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
    ];
    assert_eq!(logged(&folder), want);
}

#[test]
fn functions_and_what_ends_by_itself_are_logged() {
    let folder = Folder::new();
    let options = ["--appendonly", "yes", "--lazyfree-lazy-expire", "yes"];
    let server = folder.server(&options);
    let mut client = server.client();
    let library = "#!lua name=lib\nredis.register_function('f', function(k) \
                   return redis.call('set', k[1], 1) end)";
    client.send(&server::request(&[b"FUNCTION", b"LOAD", library.as_bytes()]));
    assert_eq!(reply(&mut client), "lib");
    client.check("FCALL f 1 fk", "+OK\r\n");
    client.check("FUNCTION DELETE lib", "+OK\r\n");
    client.check("SET k v PX 5", "+OK\r\n");
    client.say("HSETEX h PX 5 FIELDS 1 a 1");
    reply(&mut client);
    client.check("HSET h b 1", ":1\r\n");
    while client.int("DBSIZE") > 2 || client.int("HLEN h") > 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(150)); // the background has been there
    stop(server);
    let got = logged(&folder);
    assert_eq!(got[1], format!("FUNCTION LOAD {library}"));
    assert_eq!(got[2..4], ["set fk 1", "FUNCTION DELETE lib"]);
    assert!(
        got.contains(&"UNLINK k".to_owned()) && got.contains(&"HDEL h a".to_owned()),
        "{got:?}"
    );
}

/// A key that is over goes in a record of its own, under the change that met it; what comes next in the
/// same batch and changes nothing leaves both alone.
#[test]
fn a_key_that_was_over_is_logged_before_the_change_that_met_it() {
    let folder = Folder::new();
    let server = folder.server(&["--appendonly", "yes", "--appendfsync", "no"]);
    let mut client = server.client();
    client.check("DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
    client.send(b"SET k v PX 1\r\nSET e 1\r\n");
    client.expect(b"+OK\r\n+OK\r\n");
    std::thread::sleep(Duration::from_millis(20));
    client.send(b"INCR k\r\nSETNX e 5\r\nSETNX e 6\r\nINCR k\r\n");
    client.expect(b":1\r\n:0\r\n:0\r\n:2\r\n");
    stop(server);
    let want = ["SELECT 0", "SET k v PXAT <ms>", "SET e 1", "DEL k", "INCR k", "INCR k"];
    assert_eq!(logged(&folder), want);
}

/// Long batches over few keys that are over soon, with many commands that change nothing: what is loaded
/// equals what was in memory.
#[test]
fn batches_over_keys_that_end_soon_are_loaded_as_they_were() {
    let folder = Folder::new();
    let options = ["--appendonly", "yes", "--appendfsync", "no"];
    let server = folder.server(&options);
    let mut client = server.client();
    client.check("DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
    let mut seed = 7u64;
    let mut dice = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..60 {
        let mut batch = String::new();
        for _ in 0..80 {
            let key = dice(12);
            batch += &match dice(12) {
                0 | 1 => format!("SET s{key} {key} PX {}", 1 + dice(6)),
                2 => format!("SETNX s{key} 5"),
                3 | 4 => format!("INCR s{key}"),
                5 => format!("APPEND s{key} 1"),
                6 => format!("SADD t{key} {}", dice(3)),
                7 => format!("SREM t{key} {}", dice(3)),
                8 => format!("PEXPIRE t{key} {}", 1 + dice(6)),
                9 => format!("HSETNX h{key} {} v", dice(3)),
                10 => format!("DEL s{key} t{key} h{key}"),
                _ => format!("PEXPIRE h{key} {}", 1 + dice(6)),
            };
            batch += "\r\n";
        }
        client.send(batch.as_bytes());
        for _ in 0..80 {
            reply(&mut client);
        }
    }
    std::thread::sleep(Duration::from_millis(20));
    client.check("DEBUG SET-ACTIVE-EXPIRE 1", "+OK\r\n");
    let digest = |client: &mut Client| {
        // Whoever walks the keys meets none that is over.
        client.walk("SCAN", "");
        client.say("DEBUG DIGEST");
        (client.line(), client.int("DBSIZE"))
    };
    while client.info("keyspace").contains("avg_ttl=")
        && !client.info("keyspace").contains("expires=0")
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = digest(&mut client);
    assert!(before.1 > 3, "{before:?}");
    stop(server);
    let server = folder.server(&options);
    assert_eq!(digest(&mut server.client()), before);
}

//! Hashes over the wire: errors and shapes, both encodings, fields that end, and whole-hash readers
//! among writers.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server};
use std::time::{Duration, Instant};

#[test]
fn errors_and_shapes() {
    let server = Server::start(&["--io-threads", "1"]);
    let mut client = server.client();
    let client = &mut client;
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    client.check("SET s 1", "+OK\r\n");
    let commands = [
        "HSET s f v",
        "HGET s f",
        "HMGET s f",
        "HGETALL s",
        "HDEL s f",
        "HLEN s",
        "HEXISTS s f",
        "HINCRBY s f 1",
        "HINCRBYFLOAT s f 1",
        "HSTRLEN s f",
        "HRANDFIELD s",
        "HRANDFIELD s 2",
        "HSCAN s 0",
        "HSETNX s f v",
        "HKEYS s",
        "HVALS s",
        "HTTL s FIELDS 1 f",
        "HEXPIRE s 1 FIELDS 1 f",
        "HPERSIST s FIELDS 1 f",
        "HGETEX s FIELDS 1 f",
        "HGETDEL s FIELDS 1 f",
        "HSETEX s FIELDS 1 f v",
    ];
    commands.iter().for_each(|command| client.check(command, wrong));
    client.check("HSET h f v", ":1\r\n");
    client.check("GET h", wrong);
    let arity = |name: &str| format!("-ERR wrong number of arguments for '{name}' command\r\n");
    client.check("HSET h f", &arity("hset"));
    client.check("HSET h f v g", &arity("hset"));
    client.check("HMSET h f v g", &arity("hmset"));
    client.check("HGET h", &arity("hget"));
    client.check("HSET n f abc g 5 h 1.5", ":3\r\n");
    client.check("HINCRBY n f 1", "-ERR hash value is not an integer\r\n");
    client.check("HINCRBY n g x", "-ERR value is not an integer or out of range\r\n");
    client
        .check("HINCRBY n g 9223372036854775807", "-ERR increment or decrement would overflow\r\n");
    client.check("HINCRBYFLOAT n f 1", "-ERR hash value is not a float\r\n");
    client.check("HINCRBYFLOAT n h x", "-ERR value is not a valid float\r\n");
    client.check("HINCRBYFLOAT n h 0.25", "$4\r\n1.75\r\n");
    client.check("HRANDFIELD n 1 X", "-ERR syntax error\r\n");
    client.check("HSCAN n x", "-ERR invalid cursor\r\n");
    client.check("HSCAN n 0 COUNT 0", "-ERR syntax error\r\n");
    client.check("HSCAN none 0 COUNT 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    client.check("HSCAN n 0 MATCH g NOVALUES", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\ng\r\n");
    client.check("HGETALL h", "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    client.check("HMGET h f g", "*2\r\n$1\r\nv\r\n$-1\r\n");
    client.check("HDEL h g", ":0\r\n");
    client.check("HDEL h f f", ":1\r\n");
    client.check("EXISTS h", ":0\r\n");
    client.send(b"HELLO 3\r\nHSET h f v\r\n");
    while client.line() != ":1" {}
    client.check("HGETALL h", "%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
    client.check("HRANDFIELD h 1 WITHVALUES", "*1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    client.check("HGET h g", "_\r\n");
}

fn encoding(client: &mut Client, key: &str, name: &str) {
    client.check(&format!("OBJECT ENCODING {key}"), &format!("${}\r\n{name}\r\n", name.len()));
}

#[test]
fn a_hash_grows_by_number_and_by_length() {
    let server = Server::start(&["--io-threads", "1", "--hash-max-listpack-entries", "4"]);
    let mut client = server.client();
    let client = &mut client;
    for i in 0..4 {
        client.check(&format!("HSET h f{i} {i}"), ":1\r\n");
    }
    encoding(client, "h", "listpack");
    client.check("HSET h f3 9", ":0\r\n");
    encoding(client, "h", "listpack");
    client.check("HSET h f4 4", ":1\r\n");
    encoding(client, "h", "hashtable");
    client.check("HMGET h f0 f3 f4 f5", "*4\r\n$1\r\n0\r\n$1\r\n9\r\n$1\r\n4\r\n$-1\r\n");
    client.check("CONFIG SET hash-max-listpack-value 10", "+OK\r\n");
    client.check("HSET long f 01234567890", ":1\r\n");
    encoding(client, "long", "hashtable");
    client.check("COPY h copy", ":1\r\n");
    client.check("HINCRBY copy f0 5", ":5\r\n");
    client.check("HGET h f0", "$1\r\n0\r\n");
    client.check("HDEL h f0 f1 f2 f3 f4", ":5\r\n");
    client.check("EXISTS h copy", ":1\r\n");
}

/// A compact hash of some kilobytes is edited in place; in every encoding it is the same value.
#[test]
fn a_long_compact_hash_is_the_same_value() {
    let server = Server::start(&["--io-threads", "1", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    let client = &mut client;
    let mut digests = Vec::new();
    for (key, entries) in [("packed", 512), ("large", 1)] {
        client.check(&format!("CONFIG SET hash-max-listpack-entries {entries}"), "+OK\r\n");
        for i in 0..300 {
            client.check(&format!("HSET {key} field:{i} some-value-{i}"), ":1\r\n");
        }
        client.check(&format!("HSET {key} field:7 other field:8 9"), ":0\r\n");
        client.check(&format!("HDEL {key} field:9 field:10 none"), ":2\r\n");
        client.check(&format!("HINCRBY {key} field:8 1"), ":10\r\n");
        client.check(&format!("HLEN {key}"), ":298\r\n");
        encoding(client, key, if entries == 1 { "hashtable" } else { "listpack" });
        client.check(&format!("HEXPIRE {key} 100 FIELDS 1 field:8"), "*1\r\n:1\r\n");
        encoding(client, key, if entries == 1 { "hashtable" } else { "listpackex" });
        client.send(format!("DEBUG DIGEST-VALUE {key}\r\n").as_bytes());
        client.expect(b"*1\r\n");
        digests.push(client.line());
    }
    assert_eq!(digests[0], digests[1]);
    client.check("CONFIG SET hash-max-listpack-entries 512", "+OK\r\n");
    client.check("COPY packed copy", ":1\r\n");
    client.check("HPEXPIRE copy 1 FIELDS 1 field:7", "*1\r\n:1\r\n");
    std::thread::sleep(Duration::from_millis(5));
    client.check("HSET copy field:8 x", ":0\r\n");
    client.check("HMGET copy field:7 field:8", "*2\r\n$-1\r\n$1\r\nx\r\n");
    client.check("HMGET packed field:7 field:8", "*2\r\n$5\r\nother\r\n$2\r\n10\r\n");
    client.check(&format!("HSET copy field:8 {}", "x".repeat(65)), ":0\r\n");
    encoding(client, "copy", "hashtable");
    client.check("HLEN copy", ":297\r\n");
}

#[test]
fn fields_end() {
    let server = Server::start(&["--io-threads", "2", "--hash-max-listpack-entries", "3"]);
    let (mut client, mut other) = (server.client(), server.client());
    let client = &mut client;
    client.check("CONFIG SET notify-keyspace-events KEA", "+OK\r\n");
    other.send(b"SUBSCRIBE __keyevent@0__:hexpired __keyevent@0__:del\r\n");
    (0..12).for_each(|_| _ = other.line());
    for (key, fields) in [("small", 3), ("large", 9)] {
        for i in 0..fields {
            client.check(&format!("HSET {key} f{i} v"), ":1\r\n");
        }
        let all = format!("HEXPIRE {key} 100 FIELDS 4 f0 f1 f2 none");
        client.check(&all, "*4\r\n:1\r\n:1\r\n:1\r\n:-2\r\n");
        encoding(client, key, if fields == 3 { "listpackex" } else { "hashtable" });
        client.check(&format!("HTTL {key} FIELDS 2 f0 none"), "*2\r\n:100\r\n:-2\r\n");
        client.check(&format!("HEXPIRE {key} 50 GT FIELDS 1 f0"), "*1\r\n:0\r\n");
        client.check(&format!("HEXPIRE {key} 50 LT FIELDS 1 f0"), "*1\r\n:1\r\n");
        client.check(&format!("HEXPIRE {key} 90 NX FIELDS 1 f0"), "*1\r\n:0\r\n");
        client.check(&format!("HPERSIST {key} FIELDS 2 f0 f0"), "*2\r\n:1\r\n:-1\r\n");
        client.check(&format!("HEXPIRE {key} 90 XX FIELDS 1 f0"), "*1\r\n:0\r\n");
        client.check(&format!("HEXPIREAT {key} 1 FIELDS 1 f0"), "*1\r\n:2\r\n");
        client.check(&format!("HEXISTS {key} f0"), ":0\r\n");
        client.check(&format!("HSET {key} f1 w"), ":0\r\n");
        client.check(&format!("HTTL {key} FIELDS 1 f1"), "*1\r\n:-1\r\n");
        client.check(&format!("HINCRBY {key} f2 1"), "-ERR hash value is not an integer\r\n");
        client.check(&format!("HSETEX {key} FNX EX 5 FIELDS 1 f1 x"), ":0\r\n");
        client.check(&format!("HSETEX {key} PX 200 FIELDS 1 f1 x"), ":1\r\n");
        client.check(&format!("HGETEX {key} PX 200 FIELDS 2 f2 no"), "*2\r\n$1\r\nv\r\n$-1\r\n");
        let rest = fields - 3;
        for i in 3..fields {
            client.check(&format!("HGETDEL {key} FIELDS 1 f{i}"), "*1\r\n$1\r\nv\r\n");
        }
        client.check(&format!("HLEN {key}"), ":2\r\n");
        assert!(rest == 0 || rest == 6);
        let began = Instant::now();
        loop {
            client.send(format!("HLEN {key}\r\n").as_bytes());
            if client.line() == ":0" {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(5));
        }
        client.check(&format!("HGETALL {key}"), "*0\r\n");
        // The background takes the fields and the empty hash away, and tells so.
        for event in ["hexpired", "del"] {
            let channel = format!("__keyevent@0__:{event}");
            let (a, b) = (channel.len(), key.len());
            let message = format!("*3\r\n$7\r\nmessage\r\n${a}\r\n{channel}\r\n${b}\r\n{key}\r\n");
            other.expect(message.as_bytes());
        }
        client.check(&format!("EXISTS {key}"), ":0\r\n");
    }
}

/// What HGETALL shows is of one instant though it is encoded in slices: all fields have one value.
#[test]
fn a_hash_is_read_whole_among_writers() {
    const FIELDS: usize = 20_000;
    let server = Server::start(&["--io-threads", "2"]);
    let (mut writer, mut reader) = (server.client(), server.client());
    let whole = |value: usize| {
        let mut command = format!("*{}\r\n$4\r\nHSET\r\n$1\r\nh\r\n", 2 + 2 * FIELDS);
        for i in 0..FIELDS {
            let (i, v) = (i.to_string(), value.to_string());
            command += &format!("${}\r\n{i}\r\n${}\r\n{v}\r\n", i.len(), v.len());
        }
        command.into_bytes()
    };
    writer.send(&whole(0));
    assert_eq!(writer.line(), format!(":{FIELDS}"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..40 {
                writer.send(&whole(value));
                assert_eq!(writer.line(), ":0");
            }
        });
        for _ in 0..20 {
            reader.send(b"HVALS h\r\n");
            assert_eq!(reader.line(), format!("*{FIELDS}"));
            let mut values: Vec<String> = Vec::new();
            for _ in 0..FIELDS {
                reader.line();
                values.push(reader.line());
            }
            values.dedup();
            assert_eq!(values.len(), 1, "{values:?}");
        }
    });
}

#[test]
fn random_fields_and_walks_over_large_hashes() {
    let server = Server::start(&["--io-threads", "1"]);
    let mut client = server.client();
    let client = &mut client;
    for i in 0..3000 {
        client.check(&format!("HSET h f{i} {i}"), ":1\r\n");
    }
    let mut names = |command: &str| {
        client.say(command);
        client.texts()
    };
    for count in [1, 10, 999, 1500, 2999, 3000, 4000] {
        let mut found = names(&format!("HRANDFIELD h {count}"));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), count.min(3000));
    }
    assert_eq!(names("HRANDFIELD h -5000").len(), 5000);
    assert_eq!(names("HRANDFIELD h -50 WITHVALUES").len(), 100);
    let seen = client.walk("HSCAN h", " COUNT 50");
    let seen: std::collections::HashSet<_> = seen.into_iter().step_by(2).collect();
    assert_eq!(seen.len(), 3000);
}

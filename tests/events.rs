//! What clients are told without asking: events of keys, messages out of transactions, invalidations of
//! copies. In their order, and none missing, with several workers.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, request};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn words(line: &str) -> Vec<u8> {
    request(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
}

fn ok(client: &mut Client, line: &str) {
    client.ask(&words(line), b"+OK\r\n");
}

/// Skips a reply, whatever it is.
fn skip(client: &mut Client, line: &str) {
    client.send(&words(line));
    value(client);
}

/// A client that listens to `pattern`.
fn listener(server: &Server, pattern: &str) -> Client {
    let mut client = server.client();
    let want = format!("*3\r\n$10\r\npsubscribe\r\n${}\r\n{pattern}\r\n:1\r\n", pattern.len());
    client.ask(&words(&format!("PSUBSCRIBE {pattern}")), want.as_bytes());
    client
}

/// The next value of a stream, nested ones in brackets.
fn value(client: &mut Client) -> String {
    let line = client.line();
    let (kind, rest) = line.split_at(1);
    let count = || rest.parse::<i64>().unwrap();
    match kind {
        "$" if count() < 0 => "nil".into(),
        "$" if count() == 0 => client.line(),
        "$" => client.line(),
        "_" => "nil".into(),
        "*" | ">" | "~" => {
            let all: Vec<String> = (0..count().max(0)).map(|_| value(client)).collect();
            format!("{kind}[{}]", all.join(" "))
        }
        "%" => (0..2 * count()).map(|_| value(client)).collect::<Vec<_>>().join(" "),
        _ => line,
    }
}

/// The next message to a pattern: channel and text.
fn message(client: &mut Client) -> String {
    let text = value(client);
    text.trim_start_matches("*[pmessage ").split_once(' ').unwrap().1.trim_end_matches(']').into()
}

#[test]
fn commands_tell_what_they_did() {
    let server = Server::start(&["--notify-keyspace-events", "KEAmn"]);
    let mut keys = listener(&server, "__key*__:*");
    let mut client = server.client();
    let mut check = |line: &str, events: &[&str]| {
        skip(&mut client, line);
        for event in events {
            let (word, key) = event.split_once(' ').unwrap();
            let (db, key) = key.split_once('/').unwrap_or(("0", key));
            assert_eq!(message(&mut keys), format!("__keyspace@{db}__:{key} {word}"), "{line}");
            assert_eq!(message(&mut keys), format!("__keyevent@{db}__:{word} {key}"), "{line}");
        }
        assert!(keys.is_quiet_for(Duration::from_millis(5)), "{line}");
    };
    check("SET k 1", &["new k", "set k"]);
    check("SET k 1 EX 100", &["set k", "expire k"]);
    check("SET k 2 NX", &[]);
    check("GET gone", &["keymiss gone"]);
    check("MGET gone k away", &["keymiss gone", "keymiss away"]);
    check("INCR k", &["incrby k"]);
    check("GETEX k PERSIST", &["persist k"]);
    check("PERSIST k", &[]);
    check("APPEND k x", &["append k"]);
    check("RENAME k l", &["new l", "rename_from k", "rename_to l"]);
    check("COPY l m DB 3", &["new 3/m", "copy_to 3/m"]);
    check("MOVE l 4", &["new 4/l", "move_from l", "move_to 4/l"]);
    check("MSET a 1 b 2", &["new a", "set a", "new b", "set b"]);
    check("DEL a b c", &["del a", "del b"]);
    check("SETBIT s 7 1", &["new s", "setbit s"]);
    check("SETBIT s 7 1", &[]);
    check("EXPIRE s -1", &["del s"]);
    check("PFADD h x", &["new h", "pfadd h"]);
    check("BITOP NOT n h", &["new n", "set n"]);
    check("BITOP NOT n none", &["keymiss none", "del n"]);
    check("CONFIG SET notify-keyspace-events \u{78}E", &[]);
    check("SET k 1 PX 30", &[]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(message(&mut keys), "__keyevent@0__:expired k");
}

#[test]
fn what_makes_room_goes_with_a_word() {
    let server = Server::start(&["--notify-keyspace-events", "Ee"]);
    let mut keys = listener(&server, "__key*__:*");
    let mut client = server.client();
    ok(&mut client, "SET k 1");
    ok(&mut client, "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1");
    assert_eq!(message(&mut keys), "__keyevent@0__:evicted k");
}

/// A transaction's events and messages leave when it is done, in their order, and not among others'.
#[test]
fn transactions_tell_at_their_end() {
    let server = Server::start(&["--notify-keyspace-events", "KA"]);
    let mut all = listener(&server, "*");
    let mut client = server.client();
    ok(&mut client, "MULTI");
    for line in ["SET a 1", "PUBLISH news x", "DEL a", "SET b 1"] {
        client.ask(&words(line), b"+QUEUED\r\n");
    }
    assert!(all.is_quiet());
    client.ask(&words("EXEC"), b"*4\r\n+OK\r\n:1\r\n:1\r\n+OK\r\n");
    let want = ["__keyspace@0__:a set", "news x", "__keyspace@0__:a del", "__keyspace@0__:b set"];
    want.iter().for_each(|want| assert_eq!(message(&mut all), *want));
    // One that fails in the middle tells what it did.
    ok(&mut client, "MULTI");
    let mut queue = |line: &str| client.ask(&words(line), b"+QUEUED\r\n");
    ["SET c 1", "INCRBYFLOAT c x"].into_iter().for_each(&mut queue);
    client.send(&words("EXEC"));
    client.expect(b"*2\r\n+OK\r\n-ERR value is not a valid float\r\n");
    assert_eq!(message(&mut all), "__keyspace@0__:c set");
}

/// Who listens to what it causes hears it before its reply, as from Redis.
#[test]
fn messages_to_oneself_precede_the_reply() {
    let server = Server::start(&["--notify-keyspace-events", "K$"]);
    let mut client = server.client();
    skip(&mut client, "HELLO 3");
    client.ask(&words("SUBSCRIBE c"), b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    client.ask(
        &words("SUBSCRIBE __keyspace@0__:k"),
        b">3\r\n$9\r\nsubscribe\r\n$16\r\n__keyspace@0__:k\r\n:2\r\n",
    );
    let lines = ["SET x 1", "PUBLISH c one", "PING", "SET k 1", "GET k", "PUBLISH c two"];
    client.send(&lines.map(words).concat());
    let want = [
        "+OK",
        ">[message c one]",
        ":1",
        "+PONG",
        ">[message __keyspace@0__:k set]",
        "+OK",
        "1",
        ">[message c two]",
        ":1",
    ];
    want.iter().for_each(|want| assert_eq!(value(&mut client), *want));
    client.send(&["MULTI", "PUBLISH c three", "SET k 2", "EXEC"].map(words).concat());
    let want = [
        "+OK",
        "+QUEUED",
        "+QUEUED",
        ">[message c three]",
        ">[message __keyspace@0__:k set]",
        "*[:1 +OK]",
    ];
    want.iter().for_each(|want| assert_eq!(value(&mut client), *want));
}

/// Only one of many can make a key that is absent, and then it is removed: the events must alternate.
#[test]
fn events_of_a_key_come_in_the_order_of_its_changes() {
    let server = Server::start(&["--notify-keyspace-events", "K$g", "--io-threads", "4"]);
    let mut keys = listener(&server, "__keyspace@0__:k");
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = server.client();
                let end = Instant::now() + Duration::from_secs(2);
                while Instant::now() < end {
                    client.send(&words("SETNX k 1"));
                    if value(&mut client) == ":1" {
                        made.fetch_add(1, Ordering::Relaxed);
                        client.ask(&words("DEL k"), b":1\r\n");
                    }
                }
            });
        }
    });
    let made = made.load(Ordering::Relaxed);
    assert!(made > 100, "{made}");
    for i in 0..made {
        assert_eq!(message(&mut keys), "__keyspace@0__:k set", "number {i} of {made}");
        assert_eq!(message(&mut keys), "__keyspace@0__:k del", "number {i} of {made}");
    }
}

#[test]
fn own_changes_are_told_after_the_reply_and_others_at_once() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.client(), server.client());
    skip(&mut client, "HELLO 3");
    ok(&mut client, "CLIENT TRACKING ON");
    client.send(&["SET k 1", "GET k", "SET k 2", "PING"].map(words).concat());
    let want = ["+OK", "1", "+OK", ">[invalidate *[k]]", "+PONG"];
    want.iter().for_each(|want| assert_eq!(value(&mut client), *want));
    client.ask(&words("GET absent"), b"_\r\n");
    ok(&mut other, "SET absent 1");
    assert_eq!(value(&mut client), ">[invalidate *[absent]]");
    ok(&mut other, "SET absent 2");
    assert!(client.is_quiet(), "told once");
    client.send(&["MULTI", "GET k", "SET k 3", "EXEC", "PING"].map(words).concat());
    let want = ["+OK", "+QUEUED", "+QUEUED", "*[2 +OK]", ">[invalidate *[k]]", "+PONG"];
    want.iter().for_each(|want| assert_eq!(value(&mut client), *want));
    skip(&mut client, "GET k");
    ok(&mut other, "FLUSHALL");
    assert_eq!(value(&mut client), ">[invalidate nil]");
}

#[test]
fn prefixes_are_told_once_a_step_and_redirected() {
    let server = Server::start(&[]);
    let (mut client, mut ear, mut other) = (server.client(), server.client(), server.client());
    ear.send(&words("CLIENT ID"));
    let id = value(&mut ear)[1..].to_owned();
    skip(&mut ear, "SUBSCRIBE __redis__:invalidate");
    ok(&mut client, &format!("CLIENT TRACKING ON BCAST REDIRECT {id} PREFIX a: PREFIX b: NOLOOP"));
    ok(&mut other, "MSET a:1 1 a:2 2 b:1 1 c:1 1");
    for keys in ["a:1 a:2", "b:1"] {
        assert_eq!(value(&mut ear), format!("*[message __redis__:invalidate *[{keys}]]"));
    }
    ok(&mut client, "SET a:1 x");
    ok(&mut other, "SET b:1 PX");
    assert_eq!(value(&mut ear), "*[message __redis__:invalidate *[b:1]]");
    client.send(&words("CLIENT TRACKINGINFO"));
    let info = format!("*[flags *[on bcast noloop] redirect :{id} prefixes *[a: b:]]");
    assert_eq!(value(&mut client), info);
    other.send(&words("CLIENT LIST"));
    let mut list = vec![0; other.line()[1..].parse::<usize>().unwrap() + 2];
    other.stream.read_exact(&mut list).unwrap();
    let list = String::from_utf8(list).unwrap();
    assert!(list.contains("flags=tB") && list.contains(&format!("redir={id}")), "{list}");
    drop(ear);
    std::thread::sleep(Duration::from_millis(100));
    ok(&mut other, "SET a:1 y");
    client.send(&words("CLIENT TRACKINGINFO"));
    assert!(value(&mut client).contains("broken_redirect"));
    ok(&mut client, "CLIENT TRACKING OFF");
    client.ask(&words("CLIENT GETREDIR"), b":-1\r\n");
}

/// A copy that was not called back is what the server holds, whatever others do meanwhile.
#[test]
fn copies_that_are_not_called_back_are_true() {
    let server = Server::start(&["--io-threads", "4"]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for i in 0..3 {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || {
                let mut client = server.client();
                let writes = ["INCR k", "SET k 0", "DEL k", "SET k 5 PX 1", "GETSET k 7"];
                for n in i.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    skip(&mut client, writes[n % writes.len()]);
                    if n % 7 == 0 {
                        client.send(&["MULTI", "INCR k", "INCR k", "EXEC"].map(words).concat());
                        (0..4).for_each(|_| drop(value(&mut client)));
                    }
                    if n % 50 == 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            });
        }
        let (mut reader, mut checks) = (server.client(), server.client());
        skip(&mut reader, "HELLO 3");
        ok(&mut reader, "CLIENT TRACKING ON");
        let (mut copies, end) = (0, Instant::now() + Duration::from_secs(3));
        while Instant::now() < end {
            reader.send(&words("GET k"));
            let copy = loop {
                let value = value(&mut reader);
                if !value.starts_with('>') {
                    break value;
                }
            };
            // If nothing has come by now the copy is true, or was a moment ago: what was changed before
            // this PING has been told before its reply.
            checks.send(&words("GET k"));
            let now = value(&mut checks);
            if now != copy {
                assert_eq!(value(&mut reader), ">[invalidate *[k]]", "{copy} became {now}");
            } else {
                copies += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(copies > 10, "{copies}");
    });
}

#[test]
fn tracking_refuses_what_redis_refuses() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut refused = |line: &str, text: &str| {
        client.send(&words(line));
        assert_eq!(value(&mut client), format!("-ERR {text}"), "{line}");
    };
    refused("CLIENT TRACKING MAYBE", "syntax error");
    refused("CLIENT TRACKING ON PREFIX a", "PREFIX option requires BCAST mode to be enabled");
    refused("CLIENT TRACKING ON OPTIN OPTOUT", "You can't use both OPTIN and OPTOUT");
    refused("CLIENT TRACKING ON BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST");
    refused("CLIENT TRACKING ON REDIRECT 99", "The client ID you want redirect to does not exist");
    refused(
        "CLIENT CACHING YES",
        "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT \
         mode enabled",
    );
    refused(
        "CLIENT TRACKING ON BCAST PREFIX ab PREFIX a",
        "Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not \
         overlap.",
    );
    ok(&mut client, "CLIENT TRACKING ON OPTIN");
    client.send(&words("CLIENT CACHING NO"));
    let text = "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
    assert_eq!(value(&mut client), format!("-ERR {text}"));
}

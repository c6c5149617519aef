//! What an administrator sees and asks: figures of INFO that must be true, commands that run in
//! slices, the ways to shut down.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, request, text};
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

/// The reply of a command whose reply is one string.
fn bulk(client: &mut Client, command: &str) -> String {
    client.send(format!("{command}\r\n").as_bytes());
    let head = client.line();
    let Some(length) = head.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) else {
        return head;
    };
    let mut body = vec![0; length + 2];
    client.stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap().trim_end().to_owned()
}

fn info(client: &mut Client) -> HashMap<String, String> {
    let text = bulk(client, "INFO everything");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn number(client: &mut Client, name: &str) -> f64 {
    info(client)[name].parse().unwrap()
}

/// Waits for something that the background does.
fn soon(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < deadline, "{what} never comes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Keys that KEYS returns, none twice.
fn keys(client: &mut Client, pattern: &str) -> Vec<String> {
    client.send(format!("KEYS {pattern}\r\n").as_bytes());
    let count: usize = client.line()[1..].parse().unwrap();
    let mut names: Vec<String> = (0..count).map(|_| (client.line(), client.line()).1).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(all, names.len(), "a key came twice");
    names
}

#[test]
fn lifetimes_are_estimated() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let average = |client: &mut Client, db: &str| -> i64 {
        let line = info(client).get(db).cloned().unwrap_or_default();
        line.split("avg_ttl=").nth(1).map_or(-1, |left| left.parse().unwrap())
    };
    for i in 0..1_000 {
        client.ask(format!("SET live:{i} v PX 500000\r\n").as_bytes(), b"+OK\r\n");
        client.ask(format!("SET stay:{i} v\r\n").as_bytes(), b"+OK\r\n");
    }
    soon("avg_ttl", || (400_000..=500_000).contains(&average(&mut client, "db0")));
    client.ask(b"SWAPDB 0 3\r\n", b"+OK\r\n");
    assert!(average(&mut client, "db0") == -1 && average(&mut client, "db3") > 400_000);
    client.ask(b"FLUSHALL\r\nSET k v\r\n", b"+OK\r\n+OK\r\n");
    assert_eq!(average(&mut client, "db0"), 0);
    for i in 0..20_000 {
        client.send(format!("SET gone:{i} v PX 300\r\n").as_bytes());
    }
    client.expect(&b"+OK\r\n".repeat(20_000));
    soon("stale keys", || number(&mut server.client(), "expired_stale_perc") > 0.1);
    soon("expiry", || number(&mut server.client(), "expired_keys") == 20_000.0);
    let spent = || number(&mut server.client(), "expire_cycle_cpu_milliseconds");
    soon("time of the search", || spent() > 0.0);
    client.ask(b"CONFIG RESETSTAT\r\n", b"+OK\r\n");
    assert!(number(&mut client, "expired_stale_perc") < 1.0);
}

#[test]
fn time_over_the_limit_is_counted() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let mut client = server.client();
    let now = |client: &mut Client| number(client, "current_eviction_exceeded_time");
    let all = |client: &mut Client| number(client, "total_eviction_exceeded_time");
    assert_eq!((now(&mut client), all(&mut client)), (0.0, 0.0));
    client.ask(b"CONFIG SET maxmemory 1\r\n", b"+OK\r\n");
    client.ask(b"SET k v\r\n", b"-OOM command not allowed");
    client.line();
    std::thread::sleep(Duration::from_millis(50));
    assert!(now(&mut client) >= 50.0 && all(&mut client) >= 50.0);
    client.ask(b"CONFIG SET maxmemory 0\r\n", b"+OK\r\n");
    soon("the end of it", || now(&mut client) == 0.0);
    assert!(all(&mut client) >= 50.0);
    client.ask(b"CONFIG RESETSTAT\r\n", b"+OK\r\n");
    assert_eq!(all(&mut client), 0.0);
}

#[test]
fn waits_with_a_limit_are_told_apart() {
    let server = Server::start(&[]);
    let (mut boss, mut timed, mut endless) = (server.client(), server.client(), server.client());
    endless.send(b"WAIT 1 0\r\n");
    timed.send(b"WAIT 1 700\r\n");
    soon("both waits", || number(&mut boss, "blocked_clients") == 2.0);
    assert_eq!(number(&mut boss, "clients_in_timeout_table"), 1.0);
    timed.expect(b":0\r\n");
    assert_eq!(number(&mut boss, "clients_in_timeout_table"), 0.0);
    assert_eq!(number(&mut boss, "blocked_clients"), 1.0);
}

/// A command that runs in slices is shown to MONITOR, counted and answered once, and its worker
/// serves others meanwhile.
#[test]
fn slices_are_one_command() {
    let server =
        Server::start(&[DEBUG, &["--io-threads", "1", "--slowlog-log-slower-than", "0"]].concat());
    let (mut client, mut other) = (server.client(), server.client());
    client.ask(b"CONFIG RESETSTAT\r\nSLOWLOG RESET\r\n", b"+OK\r\n+OK\r\n");
    let mut monitor = server.client();
    monitor.ask(b"MONITOR\r\n", b"+OK\r\n");
    client.send(b"DEBUG POPULATE 300000\r\n");
    let mut pings = 0;
    while client.is_quiet_for(Duration::from_millis(1)) {
        other.ask(b"PING\r\n", b"+PONG\r\n");
        pings += 1;
    }
    client.expect(b"+OK\r\n");
    assert!(pings > 10, "{pings} PINGs while a worker was busy");
    assert_eq!(keys(&mut client, "key:29999*").len(), 11);
    // Nobody hears of a reply that is to be skipped, however many slices it took.
    client.ask(b"CLIENT REPLY SKIP\r\nKEYS *\r\nECHO end\r\n", b"$3\r\nend\r\n");
    let stats = info(&mut client);
    for (name, calls) in [("cmdstat_debug", 1), ("cmdstat_keys", 2)] {
        assert!(stats[name].starts_with(&format!("calls={calls},")), "{name}: {}", stats[name]);
        let micros = stats[name].split("usec=").nth(1).unwrap().split(',').next().unwrap();
        assert!(micros.parse::<u64>().unwrap() > 5_000, "{name}: {}", stats[name]);
    }
    let lines: Vec<String> = std::iter::repeat_with(|| monitor.line())
        .take_while(|line| !line.contains("ECHO"))
        .filter(|line| !line.contains("PING"))
        .collect();
    let shown = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert_eq!((shown("POPULATE"), shown("\"KEYS\"")), (0, 2), "{lines:?}"); // DEBUG is never shown
    client.send(b"SLOWLOG LEN\r\n");
    let slow: u32 = client.line()[1..].parse().unwrap();
    assert!(slow < pings + 30, "{slow} entries");
}

/// KEYS is not of one moment, but what is there all the time is always returned.
#[test]
fn keys_finds_what_stays_while_the_table_grows_and_shrinks() {
    let server = Server::start(DEBUG);
    let mut client = server.client();
    client.ask(b"DEBUG POPULATE 50000 stay\r\n", b"+OK\r\n");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = server.client();
            while !done.load(Ordering::Relaxed) {
                writer.ask(b"DEBUG POPULATE 150000 come\r\n", b"+OK\r\n");
                for from in (0..150_000).step_by(1_000) {
                    let names = (from..from + 1_000).map(|i| format!("come:{i}").into_bytes());
                    let words: Vec<Vec<u8>> =
                        [b"UNLINK".to_vec()].into_iter().chain(names).collect();
                    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    writer.ask(&request(&words), b":1000\r\n");
                }
            }
        });
        let before = Instant::now();
        let mut rounds = 0;
        while rounds < 10 || before.elapsed() < Duration::from_secs(3) {
            let found = keys(&mut client, "stay:*");
            assert_eq!(found.len(), 50_000, "round {rounds}");
            rounds += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn digests_depend_on_the_data_alone() {
    let (one, two) = (Server::start(DEBUG), Server::start(DEBUG));
    let digest = |server: &Server| {
        let mut client = server.client();
        client.send(b"DEBUG DIGEST\r\n");
        client.line()
    };
    assert_eq!(digest(&one), format!("+{}", "0".repeat(40)));
    let long = vec![b'x'; 3_000_000];
    for (server, reverse) in [(&one, false), (&two, true)] {
        let mut client = server.client();
        client.ask(&request(&[b"SET", b"long", &long]), b"+OK\r\n");
        for i in 0..3_000 {
            let i = if reverse { 2_999 - i } else { i };
            client.ask(format!("SET key:{i} {i} EX {}\r\n", 1_000 + i).as_bytes(), b"+OK\r\n");
        }
        client.ask(b"SELECT 5\r\nSET key:1 a\r\nAPPEND key:1 b\r\n", b"+OK\r\n+OK\r\n:2\r\n");
    }
    let whole = digest(&one);
    assert_eq!(whole, digest(&two));
    two.client().ask(b"APPEND long y\r\n", b":3000001\r\n");
    assert_ne!(whole, digest(&two));
    let mut client = one.client();
    client.send(b"DEBUG DIGEST-VALUE long key:1 absent key:1\r\n");
    client.expect(b"*4\r\n");
    let values: Vec<String> = (0..4).map(|_| client.line()).collect();
    assert!(values[1] == values[3] && values[0] != values[1]);
    assert_eq!(values[2], format!("+{}", "0".repeat(40)));
    // Under writes that never pause it ends all the same.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = one.client();
            while !done.load(Ordering::Relaxed) {
                writer.ask(b"SELECT 7\r\nSET a b\r\n", b"+OK\r\n+OK\r\n");
            }
        });
        assert_eq!(digest(&one).len(), 41);
        done.store(true, Ordering::Relaxed);
    });
}

/// What a key takes, added up, is what memory grew by.
#[test]
fn memory_usage_is_the_truth() {
    let server = Server::start(&["--io-threads", "1"]);
    let mut client = server.client();
    let used = |client: &mut Client| {
        number(client, "used_memory_dataset") + number(client, "eonkv_index_bytes")
    };
    let before = used(&mut client);
    let count = 40_000;
    for i in 0..count {
        let value = "v".repeat(i * 37 % 400 + if i % 1_000 == 0 { 60_000 } else { 0 });
        client.send(&request(&[b"SET", format!("key:{i}").as_bytes(), value.as_bytes()]));
        if i % 100 == 99 {
            client.expect(&b"+OK\r\n".repeat(100));
        }
    }
    let mut sum = 0.0;
    for i in 0..count {
        client.send(format!("MEMORY USAGE key:{i}\r\n").as_bytes());
        sum += client.line()[1..].parse::<f64>().unwrap();
    }
    let grown = used(&mut client) - before;
    assert!((0.93..1.07).contains(&(sum / grown)), "{sum} told, {grown} taken");
}

#[test]
fn shutdown_is_refused_as_in_redis() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    for words in ["FOO", "SAVE NOSAVE", "ABORT SAVE", "NOW ABORT", "ABORT FORCE", "NOW FORCE FOO"] {
        client.ask(format!("SHUTDOWN {words}\r\n").as_bytes(), b"-ERR syntax error\r\n");
    }
    for words in ["ABORT", "abort ABORT"] {
        let none = b"-ERR No shutdown in progress.\r\n";
        client.ask(format!("SHUTDOWN {words}\r\n").as_bytes(), none);
    }
    client.ask(b"SET k v\r\n", b"+OK\r\n");
    client.send(b"SHUTDOWN SAVE FORCE NOW\r\nPING\r\n");
    assert_eq!(text(&client.rest()), "");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    for words in ["", " NOW", " nosave FORCE", " NOSAVE NOSAVE"] {
        let mut server = Server::start(&[]);
        let mut client = server.client();
        client.send(format!("SHUTDOWN{words}\r\n").as_bytes());
        assert_eq!(text(&client.rest()), "");
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
    }
}

/// DEBUG REPLYBUFFER RESIZING 0 keeps what a worker's reply buffer has grown to.
#[test]
fn reply_buffers_shrink_unless_told_not_to() {
    let server = Server::start(&[DEBUG, &["--io-threads", "1"]].concat());
    let mut client = server.client();
    let big = vec![b'x'; 10_000];
    client.ask(&request(&[b"SET", b"k", &big]), b"+OK\r\n");
    let mut mget = vec![b"MGET".as_slice()];
    mget.resize(401, b"k");
    let fill = |server: &Server| {
        let mut other = server.client();
        other.send(&request(&mget));
        other.expect(b"*400\r\n");
        let mut left = vec![0; 400 * (10_000 + b"$10000\r\n\r\n".len())];
        other.stream.read_exact(&mut left).unwrap();
    };
    client.ask(b"DEBUG REPLYBUFFER RESIZING 0\r\n", b"+OK\r\n");
    fill(&server);
    let (kept, shrinks) =
        (number(&mut client, "used_memory"), number(&mut client, "reply_buffer_shrinks"));
    assert_eq!(shrinks, 0.0);
    assert!(number(&mut client, "reply_buffer_expands") >= 1.0);
    client.ask(b"DEBUG REPLYBUFFER RESIZING 1\r\n", b"+OK\r\n");
    soon("shrinking", || number(&mut client, "reply_buffer_shrinks") >= 1.0);
    assert!(number(&mut client, "used_memory") < kept - 3e6);
    fill(&server);
    client.ask(b"DEBUG REPLYBUFFER PEAK-RESET-TIME 100\r\n", b"+OK\r\n");
    soon("a peak's end", || number(&mut client, "reply_buffer_shrinks") >= 3.0);
    client.ask(b"DEBUG REPLYBUFFER RESIZING x\r\n", b"-ERR value is not an integer");
}

/// Long strings are worked on in slices: the answers are those of the whole, at one moment.
#[test]
fn bits_of_long_strings() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut seed = 7_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    };
    let (a, b) = (noise(3_000_001), noise(1_500_000));
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
    let mut ask = |words: &[&[u8]], want: String| {
        client.send(&request(words));
        assert_eq!(client.line(), want, "{}", text(words[0]));
    };
    ask(&[b"SET", b"a", &a], "+OK".into());
    ask(&[b"SET", b"b", &b], "+OK".into());
    ask(&[b"BITCOUNT", b"a"], format!(":{}", ones(&a)));
    ask(&[b"BITCOUNT", b"a", b"5", b"-7"], format!(":{}", ones(&a[5..a.len() - 6])));
    let (from, to) = (8_003_usize, 20_000_004_usize);
    let bit = |i: usize| u64::from(a[i / 8] >> (7 - i % 8) & 1);
    let counted = (from..=to).map(bit).sum::<u64>();
    let (from, to) = (from.to_string(), to.to_string());
    let range = [from.as_bytes(), to.as_bytes(), b"BIT"];
    ask(&[[b"BITCOUNT".as_slice(), b"a"].as_slice(), &range].concat(), format!(":{counted}"));
    let xor: Vec<u8> =
        a.iter().enumerate().map(|(i, x)| x ^ b.get(i).copied().unwrap_or(0)).collect();
    ask(&[b"BITOP", b"XOR", b"a", b"a", b"b", b"none"], format!(":{}", a.len()));
    ask(&[b"BITCOUNT", b"a"], format!(":{}", ones(&xor)));
    ask(&[b"BITOP", b"NOT", b"c", b"a"], format!(":{}", a.len()));
    ask(&[b"BITOP", b"AND", b"c", b"c", b"a"], format!(":{}", a.len()));
    ask(&[b"BITPOS", b"c", b"1"], ":-1".into());
    ask(&[b"BITPOS", b"c", b"0", b"2999999"], ":23999992".into());
    ask(&[b"SETBIT", b"c", b"20000003", b"1"], ":0".into());
    ask(&[b"BITPOS", b"c", b"1"], ":20000003".into());
    ask(&[b"BITPOS", b"c", b"1", b"0", b"20000002", b"BIT"], ":-1".into());
    ask(&[b"BITOP", b"NOT", b"c", b"c"], format!(":{}", a.len()));
    ask(&[b"SETBIT", b"c", b"20000003", b"1"], ":0".into());
    ask(&[b"BITPOS", b"c", b"0"], format!(":{}", a.len() * 8));
    ask(&[b"BITPOS", b"c", b"0", b"0", b"-1"], ":-1".into());
    // Sources that change all the time: it ends, and the result is of one moment.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = server.client();
            for n in 0.. {
                let value = vec![n as u8; 2_000_000];
                writer.ask(&request(&[b"SET", b"w", &value]), b"+OK\r\n");
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut client = server.client();
        for _ in 0..20 {
            client.ask(&request(&[b"SET", b"d", b"x"]), b"+OK\r\n");
            client.send(b"BITOP XOR d w w\r\nBITCOUNT d\r\n");
            let len = client.line();
            assert!(len == ":2000000" || len == ":0", "{len}");
            client.expect(b":0\r\n");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn thousands_of_keys_at_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let count = 5_000;
    let names: Vec<String> = (0..count).map(|i| format!("key:{i}")).collect();
    let with = |word: &'static str, names: &[String]| {
        let words = [word].into_iter().chain(names.iter().map(String::as_str));
        request(&words.map(str::as_bytes).collect::<Vec<_>>())
    };
    let pairs: Vec<String> = names.iter().flat_map(|name| [name.clone(), name.clone()]).collect();
    client.ask(&with("MSETNX", &pairs), b":1\r\n");
    client.ask(&with("MSETNX", &pairs[2 * count - 2..]), b":0\r\n");
    client.ask(&with("MSET", &pairs), b"+OK\r\n");
    client.ask(&with("EXISTS", &pairs), format!(":{}\r\n", 2 * count).as_bytes());
    client.ask(&with("TOUCH", &names), format!(":{count}\r\n").as_bytes());
    client.send(&with("MGET", &names));
    client.expect(format!("*{count}\r\n").as_bytes());
    for name in &names {
        client.expect(format!("${}\r\n{name}\r\n", name.len()).as_bytes());
    }
    client.ask(&with("DEL", &pairs), format!(":{count}\r\n").as_bytes());
    client.ask(b"DBSIZE\r\n", b":0\r\n");
}

/// `timeout` is for clients that say nothing, not for those that wait for an answer.
#[test]
fn who_waits_is_not_idle() {
    let server = Server::start(&[DEBUG, &["--timeout", "1"]].concat());
    let mut client = server.client();
    client.ask(b"DEBUG SLEEP 2.6\r\n", b"+OK\r\n");
    std::thread::sleep(Duration::from_millis(300));
    client.ask(b"PING\r\n", b"+PONG\r\n");
}

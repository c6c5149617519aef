//! Streams over the wire: replies byte by byte, what is refused, clients that wait, and groups that
//! many consumers read at once.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Sends words split at blanks; the reply must be this, with `\r\n` written as a blank.
fn ask(client: &mut Client, words: &str, want: &str) {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    client.send(&request(&words));
    client.expect(format!("{want} ").replace(' ', "\r\n").as_bytes());
}

/// The same for replies in which blanks stand: an error, or one line.
fn says(client: &mut Client, words: &str, want: &str) {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    client.ask(&request(&words), format!("{want}\r\n").as_bytes());
}

#[test]
fn entries_come_back_in_order() {
    let server = Server::start(&[]);
    let mut one = server.client();
    ask(&mut one, "XADD s 1-1 a 1 b x", "$3 1-1");
    ask(&mut one, "XADD s 1-* a 2 b y", "$3 1-2");
    ask(&mut one, "XADD s 5 c 3", "$3 5-0");
    ask(&mut one, "XADD s NOMKSTREAM MAXLEN = 3 9-9 c 4", "$3 9-9");
    ask(&mut one, "XADD none NOMKSTREAM * a 1", "$-1");
    ask(&mut one, "XLEN s", ":3");
    let (second, fifth, ninth) =
        ("*2 $3 1-2 *4 $1 a $1 2 $1 b $1 y", "*2 $3 5-0 *2 $1 c $1 3", "*2 $3 9-9 *2 $1 c $1 4");
    ask(&mut one, "XRANGE s - +", &format!("*3 {second} {fifth} {ninth}"));
    ask(&mut one, "XREVRANGE s + (1-2 COUNT 1", &format!("*1 {ninth}"));
    ask(&mut one, "XRANGE s (1-2 (9-9", &format!("*1 {fifth}"));
    ask(&mut one, "XRANGE s - + COUNT 0", "*-1");
    ask(&mut one, "XREAD COUNT 1 STREAMS s t 1-2 0", &format!("*1 *2 $1 s *1 {fifth}"));
    ask(&mut one, "XREAD STREAMS s +", &format!("*1 *2 $1 s *1 {ninth}"));
    ask(&mut one, "XDEL s 1-2 1-2 7-7", ":1");
    ask(&mut one, "XTRIM s MINID 9", ":1");
    ask(&mut one, "XRANGE s - +", &format!("*1 {ninth}"));
    ask(&mut one, "TYPE s", "+stream");
    ask(&mut one, "OBJECT ENCODING s", "$6 stream");
    ask(&mut one, "COPY s t", ":1");
    ask(&mut one, "XDEL s 9-9", ":1");
    ask(&mut one, "EXISTS s t", ":2");
    ask(&mut one, "XRANGE t - +", &format!("*1 {ninth}"));
    says(&mut one, "XADD s 9-9 a 1", NOT_BEYOND);
}

const NOT_BEYOND: &str =
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item";

#[test]
fn what_makes_no_sense_is_refused() {
    let server = Server::start(&[]);
    let mut one = server.client();
    ask(&mut one, "SET string x", "+OK");
    ask(&mut one, "XGROUP CREATE s g 0 MKSTREAM", "+OK");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    for command in [
        "XADD string * a b",
        "XLEN string",
        "XRANGE string - +",
        "XREAD STREAMS string 0",
        "XDEL string 1",
        "XTRIM string MAXLEN 1",
        "XSETID string 1",
        "XACK string g 1",
        "XPENDING string g",
        "XCLAIM string g c 0 1",
        "XAUTOCLAIM string g c 0 0",
        "XGROUP CREATE string g 0",
        "XREADGROUP GROUP g c STREAMS string >",
        "XINFO STREAM string",
        "XDELEX string IDS 1 1",
        "XACKDEL string g IDS 1 1",
    ] {
        says(&mut one, command, wrong);
    }
    let id = "-ERR Invalid stream ID specified as stream command argument";
    for (command, want) in [
        ("XADD s", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD s 1-1 a b c", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD s 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0"),
        ("XADD s - a b", id),
        ("XADD s MAXLEN x * a b", "-ERR value is not an integer or out of range"),
        ("XADD s MAXLEN -1 * a b", "-ERR The MAXLEN argument must be >= 0."),
        (
            "XADD s MAXLEN 1 LIMIT 2 * a b",
            "-ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        ("XTRIM s FOO 1", "-ERR syntax error"),
        ("XRANGE s x +", id),
        ("XRANGE s - + FOO", "-ERR syntax error"),
        ("XDEL s 1 x", id),
        ("XSETID none 1-1", "-ERR no such key"),
        ("XREAD COUNT 1 STREAMS s t 0", UNBALANCED),
        ("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists"),
        ("XGROUP SETID s h 0", "-NOGROUP No such consumer group 'h' for key name 's'"),
        ("XPENDING s h", "-NOGROUP No such key 's' or consumer group 'h'"),
        ("XCLAIM s g c 0 1-1 WHAT", "-ERR Unrecognized XCLAIM option 'WHAT'"),
        ("XAUTOCLAIM s g c 0 0 COUNT 0", "-ERR COUNT must be > 0"),
        ("XDELEX s IDS 0 1", "-ERR Number of IDs must be a positive integer"),
        ("XDELEX s KEEPREF ACKED IDS 1 1", "-ERR syntax error"),
    ] {
        says(&mut one, command, want);
    }
    ask(&mut one, "XLEN s", ":0");
}

const UNBALANCED: &str = "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' \
                          must be specified.";

#[test]
fn groups_give_out_and_remember() {
    let server = Server::start(&[]);
    let mut one = server.client();
    for id in 1..=4 {
        ask(&mut one, &format!("XADD s {id}-0 n {id}"), &format!("$3 {id}-0"));
    }
    ask(&mut one, "XGROUP CREATE s g 0", "+OK");
    ask(&mut one, "XGROUP CREATE s h $", "+OK");
    let entry = |id: u32| format!("*2 $3 {id}-0 *2 $1 n $1 {id}");
    let two = format!("*1 *2 $1 s *2 {} {}", entry(1), entry(2));
    ask(&mut one, "XREADGROUP GROUP g ann COUNT 2 STREAMS s >", &two);
    let one_more = format!("*1 *2 $1 s *1 {}", entry(3));
    ask(&mut one, "XREADGROUP GROUP g bob COUNT 1 STREAMS s >", &one_more);
    ask(&mut one, "XREADGROUP GROUP g ann STREAMS s 0", &two);
    let summary = "*4 :3 $3 1-0 $3 3-0 *2 *2 $3 ann $1 2 *2 $3 bob $1 1";
    ask(&mut one, "XPENDING s g", summary);
    ask(&mut one, "XACK s g 1-0 1-0 4-0", ":1");
    ask(&mut one, "XCLAIM s g bob 0 2-0 JUSTID", "*1 $3 2-0");
    ask(&mut one, "XDEL s 3-0", ":1");
    let swept = format!("*3 $3 0-0 *1 {} *1 $3 3-0", entry(2));
    ask(&mut one, "XAUTOCLAIM s g ann 0 -", &swept);
    // 2-0 is pending in g, 4-0 was not read by g yet; h needs neither.
    ask(&mut one, "XDELEX s ACKED IDS 3 2-0 4-0 9-0", "*3 :2 :2 :-1");
    ask(&mut one, "XACKDEL s g ACKED IDS 2 2-0 4-0", "*2 :1 :-1");
    ask(&mut one, "XDELEX s DELREF IDS 1 4-0", "*1 :1");
    ask(&mut one, "XPENDING s g", "*4 :0 $-1 $-1 *-1");
    ask(&mut one, "XLEN s", ":1");
    ask(&mut one, "XGROUP DELCONSUMER s g ann", ":0");
    ask(&mut one, "XGROUP DESTROY s h", ":1");
    let groups = "*1 *12 $4 name $1 g $9 consumers :1 $7 pending :0 $17 last-delivered-id $3 3-0";
    one.send(&request(&[b"XINFO", b"GROUPS", b"s"]));
    one.expect(format!("{groups} ").replace(' ', "\r\n").as_bytes());
}

#[test]
fn who_waits_is_served() {
    let server = Server::start(&[]);
    let (mut one, mut reader) = (server.client(), server.client());
    ask(&mut one, "XGROUP CREATE s g $ MKSTREAM", "+OK");
    reader.send(b"XREAD BLOCK 0 STREAMS t s $ $\r\n");
    assert!(reader.is_quiet());
    ask(&mut one, "XADD s 1-1 a b", "$3 1-1");
    let entry = "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 b ".replace(' ', "\r\n");
    reader.expect(entry.as_bytes());
    // Two consumers of a group: the longest waiting gets it. A plain reader gets it too.
    let (mut first, mut second) = (server.client(), server.client());
    ask(&mut one, "XGROUP SETID s g $", "+OK");
    for client in [&mut first, &mut second] {
        client.send(b"XREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n");
        assert!(client.is_quiet());
    }
    reader.send(b"XREAD BLOCK 0 STREAMS s $\r\n");
    assert!(reader.is_quiet());
    one.send(b"MULTI\r\nXADD s 2-1 a b\r\nXADD s 2-2 a b\r\nEXEC\r\n");
    let both = "*1 *2 $1 s *2 *2 $3 2-1 *2 $1 a $1 b *2 $3 2-2 *2 $1 a $1 b ".replace(' ', "\r\n");
    first.expect(both.as_bytes());
    reader.expect(both.as_bytes());
    assert!(second.is_quiet());
    one.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$3\r\n2-1\r\n$3\r\n2-2\r\n");
    ask(&mut one, "XGROUP DESTROY s g", ":1");
    second.expect(b"-NOGROUP the consumer group this client was blocked on no longer exists\r\n");
    reader.ask(b"XREAD BLOCK 20 STREAMS s $\r\n", b"*-1\r\n");
}

/// Each entry goes to one consumer, in order, and none is lost, however many add and read.
#[test]
fn entries_are_given_out_once() {
    const EACH: usize = 2_000;
    let server = Server::start(&["--io-threads", "2"]);
    ask(&mut server.client(), "XGROUP CREATE s g 0 MKSTREAM", "+OK");
    let done = AtomicBool::new(false);
    let given = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || {
                    for _ in 0..EACH / 10 {
                        client.send(&b"XADD s * n v\r\n".repeat(10));
                        (0..20).for_each(|_| drop(client.line()));
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..4)
            .map(|n| {
                let (mut client, done) = (server.client(), &done);
                scope.spawn(move || {
                    let mut mine: Vec<(u64, u64)> = Vec::new();
                    loop {
                        let last = done.load(Ordering::Acquire);
                        let ask =
                            format!("XREADGROUP GROUP g c{n} COUNT 7 BLOCK 50 STREAMS s >\r\n");
                        client.send(ask.as_bytes());
                        let head = client.line();
                        if head == "*-1" {
                            if last {
                                return mine;
                            }
                            continue;
                        }
                        (0..3).for_each(|_| drop(client.line())); // *2 $1 s
                        let count: usize = client.line()[1..].parse().unwrap();
                        for _ in 0..count {
                            (0..2).for_each(|_| drop(client.line())); // *2 $..
                            let id = client.line();
                            let (ms, seq) = id.split_once('-').unwrap();
                            mine.push((ms.parse().unwrap(), seq.parse().unwrap()));
                            (0..5).for_each(|_| drop(client.line())); // *2 $1 n $1 v
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        std::thread::sleep(Duration::from_millis(100));
        done.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    let mut all = BTreeSet::new();
    let mut owners = BTreeMap::new();
    for (n, mine) in given.iter().enumerate() {
        assert!(mine.is_sorted(), "c{n} got them in order");
        for id in mine {
            assert!(all.insert(*id), "{id:?} went to {:?} and {n}", owners.get(id));
            owners.insert(*id, n);
        }
    }
    assert_eq!(all.len(), 2 * EACH);
    let mut client = server.client();
    client.send(b"XPENDING s g\r\n");
    assert_eq!((client.line(), client.line()), ("*4".into(), format!(":{}", 2 * EACH)));
}

/// A reply of many entries is of one moment, though it is encoded while others write.
#[test]
fn long_replies_are_of_one_moment() {
    let server = Server::start(&[]);
    let mut one = server.client();
    let count = 20_000;
    for _ in 0..count / 100 {
        one.send(&b"XADD s * n 0123456789\r\n".repeat(100));
        (0..200).for_each(|_| drop(one.line()));
    }
    let mut reader = server.client();
    reader.send(b"XRANGE s - +\r\n");
    one.send(b"XTRIM s MAXLEN 0\r\nXADD s * n v\r\n");
    let head = reader.line();
    let count: usize = head[1..].parse().unwrap();
    assert!([20_000, 0, 1].contains(&count), "{head}");
    for _ in 0..count {
        let lines: Vec<String> = (0..8).map(|_| reader.line()).collect();
        assert_eq!((&*lines[0], &*lines[3], &*lines[5]), ("*2", "*2", "n"));
    }
    reader.ask(b"PING\r\n", b"+PONG\r\n");
}

/// What is pending is shown as it was at one moment, though it is encoded while others acknowledge.
#[test]
fn many_pending_entries_are_of_one_moment() {
    let server = Server::start(&[]);
    let mut one = server.client();
    let (count, of_ann) = (20_000, 15_000);
    let add = |id: usize| format!("XADD s {id}-1 n 0\r\n");
    for from in (1..=count).step_by(100) {
        one.send((from..from + 100).map(add).collect::<String>().as_bytes());
        (0..200).for_each(|_| drop(one.line()));
    }
    ask(&mut one, "XGROUP CREATE s g 0", "+OK");
    let lines = |client: &mut Client, command: &str| {
        client.send(format!("{command}\r\nPING\r\n").as_bytes());
        std::iter::repeat_with(|| client.line()).take_while(|line| line != "+PONG").collect()
    };
    for (name, most) in [("ann", of_ann), ("bob", count)] {
        let given: Vec<String> =
            lines(&mut one, &format!("XREADGROUP GROUP g {name} COUNT {most} STREAMS s >"));
        assert!(given.len() > 1_000);
    }
    let number = |lines: &[String], what: &str| lines.iter().filter(|line| **line == what).count();
    let whole: Vec<String> = lines(&mut one, "XINFO STREAM s FULL COUNT 0");
    assert_eq!((number(&whole, "*4"), number(&whole, "*3")), (count, count));
    assert_eq!((number(&whole, "bob"), number(&whole, "*5000")), (5_001, 1));
    let some: Vec<String> = lines(&mut one, "XINFO STREAM s FULL COUNT 7000");
    assert_eq!((number(&some, "*4"), number(&some, "*3")), (7_000, 12_000));
    let bob: Vec<String> = lines(&mut one, "XPENDING s g IDLE 0 (15001-1 + 9999 bob");
    assert_eq!((bob[0].as_str(), bob[3].as_str(), bob.len()), ("*4999", "15002-1", 1 + 4_999 * 7));

    let mut other = server.client();
    for i in 1..=3_000 {
        other.send(format!("XACK s g {i}-1 {}-1\r\n", count + 1 - i).as_bytes());
    }
    loop {
        let reply: Vec<String> = lines(&mut one, &format!("XPENDING s g - + {count}"));
        let ids: Vec<&str> = reply[1..].chunks(7).map(|row| row[2].as_str()).collect();
        assert_eq!(reply[0], format!("*{}", ids.len()));
        let gone = (count - ids.len()) / 2;
        let want: Vec<String> = (gone + 1..=count - gone).map(|id| format!("{id}-1")).collect();
        assert!(ids == want, "{} of {count}", ids.len());
        if gone == 3_000 {
            break;
        }
    }
}

//! Commands on many elements of one collection: they run in slices, and nobody sees a part of what
//! they do.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Members of the collections here: several times what is changed in one go.
const MEMBERS: usize = 40_000;

fn int(client: &mut Client, command: &str) -> i64 {
    client.send(format!("{command}\r\n").as_bytes());
    let line = client.line();
    line.strip_prefix(':').unwrap_or_else(|| panic!("{command}: {line}")).parse().unwrap()
}

/// The texts of an array, of pairs too, in their order.
fn texts(client: &mut Client, command: &str) -> Vec<String> {
    client.send(format!("{command}\r\n").as_bytes());
    let mut texts = Vec::new();
    let mut left = 1;
    while left > 0 {
        left -= 1;
        let line = client.line();
        match line.split_at(1) {
            ("*" | "~", count) => left += count.parse::<usize>().unwrap(),
            ("$", _) => texts.push(client.line()),
            (":", number) => texts.push(number.to_owned()),
            _ => panic!("{command}: {line}"),
        }
    }
    texts
}

/// Adds all members, `word` making the arguments of one.
fn fill(client: &mut Client, head: &str, word: impl Fn(usize) -> String) {
    for from in (0..MEMBERS).step_by(1_000) {
        let words: String = (from..from + 1_000).map(|i| word(i) + " ").collect();
        int(client, &format!("{head} {words}"));
    }
}

/// What happens to a set of all members, whose number is asked for meanwhile: it is seen whole, or
/// with `left` members.
fn seen_whole(head: &str, word: impl Fn(usize) -> String, change: &str, size: &str, left: usize) {
    let server = Server::start(&["--io-threads", "2"]);
    let mut client = server.client();
    fill(&mut client, head, word);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut other = server.client();
            scope.spawn({
                let over = &over;
                move || {
                    while !over.load(Ordering::Relaxed) {
                        let seen = int(&mut other, size);
                        let whole = [MEMBERS as i64, left as i64].contains(&seen);
                        assert!(whole, "{change}: {seen}");
                    }
                }
            });
        }
        let count = texts(&mut client, change).len();
        over.store(true, Ordering::Relaxed);
        assert!(count > 0);
    });
    assert_eq!(int(&mut client, size), left as i64, "{change}");
}

#[test]
fn members_that_go_are_seen_to_go_at_once() {
    let sorted = |i: usize| format!("{i} m{i}");
    let gone = MEMBERS - 11_500;
    for change in ["ZREMRANGEBYRANK z 5 11504", "ZREMRANGEBYSCORE z 5 (11505", "ZPOPMIN z 11500"] {
        seen_whole("ZADD z", sorted, change, "ZCARD z", gone);
    }
    seen_whole("SADD s", |i| format!("m{i}"), "SPOP s 11500", "SCARD s", gone);
}

#[test]
fn what_is_popped_is_what_was_there() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let pairs = |range: &mut dyn Iterator<Item = usize>| -> Vec<String> {
        range.flat_map(|i| [format!("m{i}"), i.to_string()]).collect()
    };
    fill(&mut client, "ZADD z", |i| format!("{i} m{i}"));
    assert_eq!(texts(&mut client, "ZPOPMIN z 9000"), pairs(&mut (0..9_000)));
    let max = pairs(&mut (MEMBERS - 9_000..MEMBERS).rev());
    assert_eq!(texts(&mut client, "ZPOPMAX z 9000"), max);
    let popped = texts(&mut client, "ZMPOP 1 z MIN COUNT 9000");
    assert_eq!((&popped[0][..], &popped[1..]), ("z", &pairs(&mut (9_000..18_000))[..]));
    assert_eq!(texts(&mut client, "ZPOPMIN z 90000"), pairs(&mut (18_000..MEMBERS - 9_000)));
    assert_eq!(int(&mut client, "EXISTS z"), 0);

    fill(&mut client, "SADD s", |i| format!("m{i}"));
    let popped: BTreeSet<String> = texts(&mut client, "SPOP s 9000").into_iter().collect();
    let left: BTreeSet<String> = texts(&mut client, "SMEMBERS s").into_iter().collect();
    assert_eq!((popped.len(), left.len()), (9_000, MEMBERS - 9_000));
    assert!(popped.is_disjoint(&left));
}

/// The set changes while members are taken out of what it was: the work is done anew, and nothing is
/// lost or found twice.
#[test]
fn changes_meanwhile_are_kept() {
    let server = Server::start(&["--io-threads", "2"]);
    let mut client = server.client();
    fill(&mut client, "ZADD z", |i| format!("{i} m{i}"));
    fill(&mut client, "SADD s", |i| format!("m{i}"));
    let over = AtomicBool::new(false);
    let (gone, added) = std::thread::scope(|scope| {
        let mut other = server.client();
        let over = &over;
        let adding = scope.spawn(move || {
            let mut added = 0;
            while !over.load(Ordering::Relaxed) {
                added += int(&mut other, &format!("ZADD z {} n{added}", MEMBERS + added as usize));
                assert_eq!(int(&mut other, &format!("SADD s n{added}")), 1);
            }
            added
        });
        let mut gone = 0;
        for _ in 0..3 {
            gone += int(&mut client, "ZREMRANGEBYRANK z 0 9999");
            assert_eq!(texts(&mut client, "SPOP s 10000").len(), 10_000);
        }
        over.store(true, Ordering::Relaxed);
        (gone, adding.join().unwrap())
    });
    assert_eq!(gone, 30_000);
    assert_eq!(int(&mut client, "ZCARD z"), MEMBERS as i64 - gone + added);
    assert_eq!(int(&mut client, "SCARD s"), MEMBERS as i64 - gone + added);
    assert_eq!(int(&mut client, &format!("ZCOUNT z {MEMBERS} +inf")), added);
}

#[test]
fn many_places_are_found_as_few_are() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let at = |i: usize| ((i * 7 % 3_600) as f64 / 10.0 - 180.0, (i % 160) as f64 - 80.0);
    for from in (0..MEMBERS).step_by(1_000) {
        let words = (from..from + 1_000).map(|i| format!("{} {} p{i} ", at(i).0, at(i).1));
        int(&mut client, &format!("GEOADD g {}", words.collect::<String>()));
    }
    let within = "FROMLONLAT 10 20 BYRADIUS 4000 km";
    let sorted = texts(&mut client, &format!("GEOSEARCH g {within} ASC WITHDIST"));
    let distances: Vec<f64> =
        sorted.iter().skip(1).step_by(2).map(|d| d.parse().unwrap()).collect();
    assert!(distances.len() > 3_000 && distances.is_sorted(), "{}", distances.len());
    let any: BTreeSet<String> =
        texts(&mut client, &format!("GEOSEARCH g {within}")).into_iter().collect();
    assert!(
        sorted.iter().step_by(2).eq(sorted.iter().step_by(2).filter(|name| any.contains(*name)))
    );
    assert_eq!(any.len(), distances.len());
    // A place is within if it is no farther away than the radius.
    int(&mut client, "GEOADD g 10 20 centre");
    for i in (0..MEMBERS).step_by(97) {
        let distance = texts(&mut client, &format!("GEODIST g centre p{i} km")).remove(0);
        let distance: f64 = distance.parse().unwrap();
        assert_eq!(any.contains(&format!("p{i}")), distance <= 4_000.0, "p{i} {distance}");
    }
    let farthest = texts(&mut client, &format!("GEOSEARCH g {within} DESC COUNT 1500 WITHDIST"));
    let last: Vec<f64> = farthest.iter().skip(1).step_by(2).map(|d| d.parse().unwrap()).collect();
    let want: Vec<f64> = distances.iter().rev().take(1_500).copied().collect();
    assert_eq!(last, want);
    let all = any.len() as i64 + 1;
    assert_eq!(int(&mut client, &format!("GEOSEARCHSTORE d g {within}")), all);
    assert_eq!(int(&mut client, "ZINTERCARD 2 d g"), all);
    assert_eq!(
        int(&mut client, &format!("GEOSEARCHSTORE d g {within} STOREDIST COUNT 2000")),
        2_000
    );
    let nearest = texts(&mut client, "ZRANGE d 0 -1 WITHSCORES");
    let nearest: Vec<f64> = nearest.iter().skip(1).step_by(2).map(|d| d.parse().unwrap()).collect();
    assert!(nearest.iter().skip(1).zip(&distances).all(|(a, b)| (a - b).abs() < 0.0001));
}

/// A reply that nobody could take is refused before it is begun, however small the collection.
#[test]
fn more_than_fits_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask(b"HSET h a 1\r\n", b":1\r\n");
    client.ask(b"SADD s a\r\n", b":1\r\n");
    client.ask(b"ZADD z 1 a\r\n", b":1\r\n");
    let commands = ["HRANDFIELD h", "SRANDMEMBER s", "ZRANDMEMBER z"];
    for command in commands {
        client.ask(
            format!("{command} -200000000000\r\n").as_bytes(),
            b"-ERR reply would exceed the client's output limit\r\n",
        );
    }
    // By a limit of its own a client is closed, as it would be with the reply on its way.
    client.ask(b"CONFIG SET client-output-buffer-limit \"normal 1mb 0 0\"\r\n", b"+OK\r\n");
    for command in commands {
        let mut greedy = server.client();
        greedy.send(format!("PING\r\n{command} -200000\r\nPING\r\n").as_bytes());
        assert_eq!(greedy.rest(), b"+PONG\r\n");
    }
    assert_eq!(texts(&mut client, "HRANDFIELD h -2000").len(), 2_000);
}

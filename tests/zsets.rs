//! Sorted sets over the wire: replies in both protocols and both encodings, errors in Redis' words,
//! and many clients on one set.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, WRONG_TYPE, bulks};
use std::time::{Duration, Instant};

/// Lines are requests, each with the reply that it must get.
fn talk(client: &mut Client, lines: &[(&str, &str)]) {
    for (request, want) in lines {
        client.send(format!("{request}\r\n").as_bytes());
        let mut got = vec![0; want.len()];
        std::io::Read::read_exact(&mut client.stream, &mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), *want, "{request}");
    }
    client.ask(b"PING\r\n", b"+PONG\r\n"); // and nothing besides
}

#[test]
fn members_and_scores() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for entries in ["128", "0"] {
        talk(
            &mut client,
            &[
                ("FLUSHALL", "+OK\r\n"),
                (&format!("CONFIG SET zset-max-listpack-entries {entries}"), "+OK\r\n"),
                ("ZADD z 1 a 2 b 3 c", ":3\r\n"),
                ("ZADD z CH 2.5 b 3 c 4 d", ":2\r\n"),
                ("ZADD z NX 9 a 9 e", ":1\r\n"),
                ("ZADD z XX CH 8 e 1 f", ":1\r\n"),
                ("ZADD z GT CH 7 e 5 d", ":1\r\n"),
                ("ZADD z LT INCR -1 d", "$1\r\n4\r\n"),
                ("ZADD z NX INCR 1 d", "$-1\r\n"),
                ("ZINCRBY z inf a", "$3\r\ninf\r\n"),
                ("ZINCRBY z -inf a", "-ERR resulting score is not a number (NaN)\r\n"),
                ("ZSCORE z b", "$3\r\n2.5\r\n"),
                ("ZSCORE z none", "$-1\r\n"),
                ("ZMSCORE z b none c", "*3\r\n$3\r\n2.5\r\n$-1\r\n$1\r\n3\r\n"),
                ("ZRANGE z 0 -1", &bulks(&["b", "c", "d", "e", "a"])),
                ("ZRANK z d", ":2\r\n"),
                ("ZREVRANK z d WITHSCORE", "*2\r\n:2\r\n$1\r\n4\r\n"),
                ("ZRANK z none", "$-1\r\n"),
                ("ZRANK z none WITHSCORE", "*-1\r\n"),
                ("ZCARD z", ":5\r\n"),
                ("ZCOUNT z (2.5 8", ":3\r\n"),
                ("ZREM z a e none", ":2\r\n"),
                ("ZPOPMIN z", &bulks(&["b", "2.5"])),
                ("ZPOPMAX z 5", &bulks(&["d", "4", "c", "3"])),
                ("EXISTS z", ":0\r\n"),
                ("ZPOPMIN z", "*0\r\n"),
                ("ZADD z XX 1 a", ":0\r\n"),
                ("EXISTS z", ":0\r\n"),
            ],
        );
    }
}

#[test]
fn ranges() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for entries in ["128", "0"] {
        talk(
            &mut client,
            &[
                ("FLUSHALL", "+OK\r\n"),
                (&format!("CONFIG SET zset-max-listpack-entries {entries}"), "+OK\r\n"),
                ("ZADD z 0 a 0 b 0 c 0 d 0 10 0 9", ":6\r\n"),
                ("ZRANGE z 1 2 REV WITHSCORES", &bulks(&["c", "0", "b", "0"])),
                ("ZRANGE z [b + BYLEX LIMIT 1 5", &bulks(&["c", "d"])),
                ("ZRANGE z + [b BYLEX REV LIMIT 1 1", &bulks(&["c"])),
                ("ZLEXCOUNT z - (b", ":3\r\n"),
                ("ZREVRANGEBYLEX z (b -", &bulks(&["a", "9", "10"])),
                ("ZRANGESTORE out z 0 2", ":3\r\n"),
                ("ZRANGE out 0 -1", &bulks(&["10", "9", "a"])),
                ("ZRANGESTORE out z 7 9", ":0\r\n"),
                ("EXISTS out", ":0\r\n"),
                ("ZREMRANGEBYLEX z [a [b", ":2\r\n"),
                ("ZREMRANGEBYRANK z 0 0", ":1\r\n"),
                ("ZINCRBY z 5 d", "$1\r\n5\r\n"),
                ("ZRANGEBYSCORE z (0 +inf WITHSCORES", &bulks(&["d", "5"])),
                ("ZREVRANGEBYSCORE z 5 -inf LIMIT 0 2", &bulks(&["d", "c"])),
                ("ZREMRANGEBYSCORE z -inf inf", ":3\r\n"),
                ("EXISTS z", ":0\r\n"),
            ],
        );
    }
}

#[test]
fn combinations() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for entries in ["128", "0"] {
        talk(
            &mut client,
            &[
                ("FLUSHALL", "+OK\r\n"),
                (&format!("CONFIG SET zset-max-listpack-entries {entries}"), "+OK\r\n"),
                ("ZADD a 1 x 2 y 3 z", ":3\r\n"),
                ("ZADD b 10 y 20 z 30 w", ":3\r\n"),
                ("ZUNIONSTORE u 2 a b WEIGHTS 2 1", ":4\r\n"),
                ("ZRANGE u 0 -1 WITHSCORES", &bulks(&["x", "2", "y", "14", "z", "26", "w", "30"])),
                ("ZINTER 2 a b AGGREGATE MAX WITHSCORES", &bulks(&["y", "10", "z", "20"])),
                ("ZDIFF 2 a b", &bulks(&["x"])),
                ("ZDIFFSTORE a 2 a b", ":1\r\n"),
                ("ZINTERSTORE u 2 a b", ":0\r\n"),
                ("EXISTS u", ":0\r\n"),
                ("ZINTERCARD 2 b b LIMIT 2", ":2\r\n"),
                ("ZADD i inf m", ":1\r\n"),
                ("ZADD j -inf m", ":1\r\n"),
                ("ZUNION 2 i j WITHSCORES", &bulks(&["m", "0"])),
                (
                    "ZMPOP 3 none b a MAX COUNT 2",
                    "*2\r\n$1\r\nb\r\n*2\r\n*2\r\n$1\r\nw\r\n$2\r\n30\r\n*2\r\n$1\r\nz\r\n$2\r\n20\r\n",
                ),
                ("ZMPOP 1 none MIN", "*-1\r\n"),
            ],
        );
    }
}

#[test]
fn protocol_3() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(b"HELLO 3\r\n");
    while client.line() != "*0" {}
    talk(
        &mut client,
        &[
            ("ZADD z 1 a 2.5 b", ":2\r\n"),
            ("ZSCORE z b", ",2.5\r\n"),
            ("ZADD z INCR 1 a", ",2\r\n"),
            ("ZSCORE z none", "_\r\n"),
            ("ZRANGE z 0 -1 WITHSCORES", "*2\r\n*2\r\n$1\r\na\r\n,2\r\n*2\r\n$1\r\nb\r\n,2.5\r\n"),
            ("ZRANK z b WITHSCORE", "*2\r\n:1\r\n,2.5\r\n"),
            (
                "ZRANDMEMBER z 5 WITHSCORES",
                "*2\r\n*2\r\n$1\r\na\r\n,2\r\n*2\r\n$1\r\nb\r\n,2.5\r\n",
            ),
            ("ZSCAN z 0", "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n$1\r\n2\r\n$1\r\nb\r\n$3\r\n2.5\r\n"),
            ("ZUNION 1 z WITHSCORES", "*2\r\n*2\r\n$1\r\na\r\n,2\r\n*2\r\n$1\r\nb\r\n,2.5\r\n"),
            ("ZPOPMAX z", "*2\r\n$1\r\nb\r\n,2.5\r\n"),
            ("ZPOPMAX z 1", "*1\r\n*2\r\n$1\r\na\r\n,2\r\n"),
        ],
    );
}

#[test]
fn what_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    talk(
        &mut client,
        &[
            ("SET s x", "+OK\r\n"),
            ("ZADD s 1 a", WRONG_TYPE),
            ("ZSCORE s a", WRONG_TYPE),
            ("ZRANGE s 0 -1", WRONG_TYPE),
            ("ZUNIONSTORE out 1 s", WRONG_TYPE),
            ("ZRANGESTORE out s 0 -1", WRONG_TYPE),
            ("ZPOPMIN s", WRONG_TYPE),
            ("ZMPOP 1 s MIN", WRONG_TYPE),
            ("BZPOPMIN s 1", WRONG_TYPE),
            ("GEOADD s 1 1 m", WRONG_TYPE),
            ("GEOSEARCH s bad", "-ERR wrong number of arguments for 'geosearch' command\r\n"),
            ("ZADD z 1", "-ERR wrong number of arguments for 'zadd' command\r\n"),
            ("ZADD z 1 a 2", "-ERR syntax error\r\n"),
            ("ZADD z nan a", "-ERR value is not a valid float\r\n"),
            ("ZADD z 1 a x b", "-ERR value is not a valid float\r\n"),
            ("EXISTS z", ":0\r\n"),
            ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible\r\n"),
            (
                "ZADD z GT LT 1 a",
                "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n",
            ),
            (
                "ZADD z INCR 1 a 2 b",
                "-ERR INCR option supports a single increment-element pair\r\n",
            ),
            ("ZCOUNT z x 1", "-ERR min or max is not a float\r\n"),
            ("ZLEXCOUNT z a b", "-ERR min or max not valid string range item\r\n"),
            ("ZRANGE z 0 x", "-ERR value is not an integer or out of range\r\n"),
            (
                "ZRANGE z 0 1 LIMIT 0 1",
                "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX\r\n",
            ),
            (
                "ZRANGE z - + BYLEX WITHSCORES",
                "-ERR syntax error, WITHSCORES not supported in combination with BYLEX\r\n",
            ),
            ("ZPOPMIN z -1", "-ERR value is out of range, must be positive\r\n"),
            ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0\r\n"),
            ("ZUNION 0 z", "-ERR at least 1 input key is needed for 'zunion' command\r\n"),
            ("ZUNION 2 z WITHSCORES", "*0\r\n"),
            ("ZUNIONSTORE d 1 z WITHSCORES", "-ERR syntax error\r\n"),
            ("ZUNION 1 z WEIGHTS x", "-ERR weight value is not a float\r\n"),
            ("BZPOPMIN z -1", "-ERR timeout is negative\r\n"),
            ("BZPOPMIN z x", "-ERR timeout is not a float or out of range\r\n"),
            ("GEOADD g 181 1 m", "-ERR invalid longitude,latitude pair 181.000000,1.000000\r\n"),
            (
                "GEOSEARCH g BYRADIUS 1 km FROMLONLAT 1 1 ANY",
                "-ERR the ANY argument requires COUNT argument\r\n",
            ),
        ],
    );
}

#[test]
fn places() {
    let server = Server::start(&[]);
    let mut client = server.client();
    talk(
        &mut client,
        &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2\r\n"),
            ("ZSCORE g Palermo", "$16\r\n3479099956230698\r\n"),
            ("GEODIST g Palermo Catania km", "$8\r\n166.2742\r\n"),
            ("GEODIST g Palermo none", "$-1\r\n"),
            ("GEOHASH g Palermo none", "*2\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n"),
            (
                "GEOPOS g Palermo none",
                "*2\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*-1\r\n",
            ),
            ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC", &bulks(&["Catania", "Palermo"])),
            (
                "GEORADIUS g 15 37 200 km WITHDIST COUNT 1",
                "*1\r\n*2\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n",
            ),
            ("GEOSEARCHSTORE near g FROMMEMBER Catania BYBOX 10 10 km STOREDIST", ":1\r\n"),
            ("ZRANGE near 0 -1 WITHSCORES", &bulks(&["Catania", "0"])),
        ],
    );
}

/// Who waits is served with what comes, in both senses of order.
#[test]
fn waiting_for_members() {
    let server = Server::start(&[]);
    let (mut first, mut second, mut giver) = (server.client(), server.client(), server.client());
    first.send(b"BZPOPMIN none z 5\r\n");
    assert!(first.is_quiet());
    second.send(b"BZMPOP 5 2 none z MAX COUNT 2\r\n");
    assert!(second.is_quiet());
    giver.ask(b"ZADD z 1 a 2 b 3 c\r\n", b":3\r\n");
    first.expect(b"*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n");
    second
        .expect(b"*2\r\n$1\r\nz\r\n*2\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
    giver.ask(b"EXISTS z\r\n", b":0\r\n");
    first.ask(b"BZPOPMAX z 0.05\r\n", b"*-1\r\n");
    first.ask(b"MULTI\r\nBZPOPMAX z 0\r\nEXEC\r\n", b"+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n");
}

/// A million members: whoever reads them all sees one instant, and others hardly wait.
#[test]
fn large_sets_are_read_and_stored_whole_while_they_change() {
    const MEMBERS: usize = 100_000;
    let server = Server::start(&[]);
    let mut client = server.client();
    for from in (0..MEMBERS).step_by(1000) {
        let pairs: String = (from..from + 1000).map(|i| format!(" {i} m:{i}")).collect();
        client.ask(format!("ZADD z{pairs}\r\n").as_bytes(), b":1000\r\n");
    }
    let port = server.port;
    let until = Instant::now() + Duration::from_secs(2);
    let mover = std::thread::spawn(move || {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut client = Client { stream };
        let (mut moves, mut longest) = (0, Duration::ZERO);
        while Instant::now() < until {
            // One member goes and one comes: every instant has as many.
            let (out, back) = (moves % MEMBERS, (moves + MEMBERS) % (2 * MEMBERS));
            let begun = Instant::now();
            let text = format!(
                "MULTI\r\nZREM z m:{out}\r\nZADD z 0 n:{back}\r\nZREM z n:{back}\r\nZADD z {out} m:{out}\r\nEXEC\r\n"
            );
            client.ask(text.as_bytes(), b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
            longest = longest.max(begun.elapsed());
            moves += 1;
        }
        (moves, longest)
    });
    let mut reads = 0;
    while Instant::now() < until {
        client.send(b"ZRANGE z 0 -1\r\n");
        assert_eq!(client.line(), format!("*{MEMBERS}"));
        for i in 0..MEMBERS {
            client.line();
            assert_eq!(client.line(), format!("m:{i}"));
        }
        let want = format!(":{MEMBERS}\r\n");
        client.ask(b"ZUNIONSTORE out 1 z WEIGHTS 2\r\n", want.as_bytes());
        client.ask(b"ZCARD out\r\n", want.as_bytes());
        client.ask(b"ZSCORE out m:70000\r\n", b"$6\r\n140000\r\n");
        reads += 1;
    }
    let (moves, longest) = mover.join().unwrap();
    assert!(moves > 0 && reads > 0);
    println!("{moves} transactions beside {reads} readings, the longest {longest:?}");
    client.ask(b"DEL z out\r\n", b":2\r\n");
}

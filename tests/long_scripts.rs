//! Scripts that run for long, and scripts that touch keys which they did not declare, at 1, 2 and 4
//! workers: others go on unless they need what the script holds, whose whole effect they then see; and
//! nobody waits in a circle.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, random, request};
use std::time::{Duration, Instant};

/// Servers on which scripts run for as long as they like.
fn at_each_width(test: impl Fn(&Server)) {
    for workers in ["1", "2", "4"] {
        test(&Server::start(&["--io-threads", workers, "--busy-reply-threshold", "0"]));
    }
}

fn eval(script: &str, keys: &[&str], args: &[&str]) -> Vec<u8> {
    let count = keys.len().to_string();
    let mut words = vec!["EVAL", script, &count];
    words.extend_from_slice(keys);
    words.extend_from_slice(args);
    request(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>())
}

/// Asks until the answer begins with `want`.
fn until(client: &mut Client, question: &str, want: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        client.say(question);
        let line = client.line();
        if line.starts_with(want) {
            return;
        }
        assert!(Instant::now() < deadline, "{line} instead of {want}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// While a script runs that does not end by itself, everything runs that does not need its keys.
#[test]
fn others_go_on_while_a_script_runs() {
    at_each_width(|server| {
        let mut runner = server.client();
        let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
        let mut waiting: Vec<Client> = (0..8).map(|_| server.client()).collect();
        others[0].check("MSET mine before other before", "+OK\r\n");
        let mut listener = server.client();
        listener.check("SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
        runner.send(&eval("while true do redis.call('get', KEYS[1]) end", &["mine"], &[]));
        // It can be seen, so it has reserved what it needs.
        until(&mut others[1], "FUNCTION KILL", "-BUSY");
        for (i, other) in others.iter_mut().enumerate() {
            for key in 0..50 {
                let key = format!("key:{i}:{key}");
                other.check(&format!("SET {key} {i}"), "+OK\r\n");
                other.check(&format!("GET {key}"), &format!("$1\r\n{i}\r\n"));
            }
            other.check("MGET other none", "*2\r\n$6\r\nbefore\r\n$-1\r\n");
            other.check("PING", "+PONG\r\n");
            other.send(b"MULTI\r\nINCR count\r\nEXEC\r\n");
            other.expect(format!("+OK\r\n+QUEUED\r\n*1\r\n:{}\r\n", i + 1).as_bytes());
            other.send(&eval("return redis.call('incr', KEYS[1])", &["tame"], &[]));
            other.expect(format!(":{}\r\n", i + 1).as_bytes());
            other.check("BLPOP none 0.01", "*-1\r\n");
            other.say("CONFIG GET maxmemory");
            assert_eq!(other.texts().len(), 2);
        }
        others[0].check("PUBLISH news x", ":1\r\n");
        listener.expect(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
        // Those who need its key wait, and keep their order.
        for (i, client) in waiting.iter_mut().enumerate() {
            let first = ["SET mine after", "GETSET mine after", "DEL mine", "RENAME mine there"];
            let second = ["MGET other mine", "EXISTS mine", "DBSIZE", "FLUSHALL"];
            client.say(if i < 4 { first[i] } else { second[i - 4] });
            client.say("ECHO then");
        }
        let mut gone = server.client();
        gone.say("WATCH mine");
        drop(gone);
        assert!(waiting.iter_mut().all(|client| client.is_quiet_for(Duration::from_millis(20))));
        assert!(runner.is_quiet_for(Duration::from_millis(1)));
        others[7].check("SCRIPT KILL", "+OK\r\n");
        assert!(runner.line().starts_with("-ERR Script killed by user"));
        for (i, client) in waiting.iter_mut().enumerate() {
            let line = client.line();
            match (i, line.as_bytes()[0]) {
                (4, _) => {
                    (0..2).for_each(|_| drop((client.line() != "$-1").then(|| client.line())))
                }
                (_, b'$') if line != "$-1" => drop(client.line()),
                _ => {}
            }
            client.expect(b"$4\r\nthen\r\n");
        }
        runner.check("PING", "+PONG\r\n");
    });
}

/// Who needs a script's keys sees all that it did, and nothing of it before.
#[test]
fn a_long_script_is_one_step() {
    at_each_width(|server| {
        let script = "redis.call('set', KEYS[1], 'half') local began = os.clock() \
                      while os.clock() - began < 0.2 do end \
                      redis.call('mset', KEYS[1], 'whole', 'undeclared', 'whole', KEYS[2], 'whole') return 1";
        let mut runner = server.client();
        let mut first = server.client();
        for _ in 0..2 {
            first.check("MSET a old b old undeclared old", "+OK\r\n");
            runner.send(&eval(script, &["a", "b"], &[]));
            until(&mut first, "FUNCTION KILL", "-BUSY");
            let mut lookers: Vec<Client> = (0..6).map(|_| server.client()).collect();
            for (i, looker) in lookers.iter_mut().enumerate() {
                match i % 3 {
                    0 => looker.say("GET b"),
                    1 => looker.send(b"MULTI\r\nGET a\r\nEXEC\r\n"),
                    _ => looker.say("MGET undeclared b a"),
                }
            }
            for (i, looker) in lookers.iter_mut().enumerate() {
                match i % 3 {
                    0 => looker.expect(b"$5\r\nwhole\r\n"),
                    1 => looker.expect(b"+OK\r\n+QUEUED\r\n*1\r\n$5\r\nwhole\r\n"),
                    _ => looker.expect(b"*3\r\n$5\r\nwhole\r\n$5\r\nwhole\r\n$5\r\nwhole\r\n"),
                }
            }
            runner.expect(b":1\r\n");
        }
    });
}

const KEYS: usize = 8;

/// Every key gets the same value, in ways that differ in what they declare and when they stray.
const WRITERS: [&str; 5] = [
    "for i = 1, #KEYS do redis.call('set', KEYS[i], ARGV[1]) end return 1",
    "for i = 0, 7 do redis.call('set', 'k:' .. i, ARGV[1]) for j = 1, tonumber(ARGV[2]) do end end return 1",
    "for i = 0, 7 do redis.call('get', 'k:' .. i) end for i = 7, 0, -1 do redis.call('set', 'k:' .. i, ARGV[1]) end return 1",
    "for i = 7, 0, -1 do pcall(redis.call, 'set', 'k:' .. i, ARGV[1]) end redis.call('publish', 'x', 'y') return 1",
    "redis.call('set', KEYS[1], ARGV[1]) redis.call('dbsize') for i = 0, 7 do redis.call('set', 'k:' .. i, ARGV[1]) end return 1",
];

fn write(client: &mut Client, which: usize, seed: &mut u64) {
    let value = (random(seed) % 1000).to_string();
    let names: Vec<String> =
        (0..KEYS).map(|i| format!("k:{}", (i * 3 + random(seed) % 2 * 8) % KEYS)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let loops = ["0", "10", "100000"][random(seed) % 3];
    let declared = if which == 1 { 0 } else { random(seed) % KEYS + 1 };
    let declared = if which == 0 { KEYS } else { declared };
    match WRITERS.get(which) {
        Some(script) => {
            client.send(&eval(script, &names[..declared], &[&value, loops]));
            client.expect(b":1\r\n");
        }
        None if which == WRITERS.len() => {
            let pairs: String = names.iter().map(|name| format!(" {name} {value}")).collect();
            client.check(&format!("MSET{pairs}"), "+OK\r\n");
        }
        None => {
            client.check("MULTI", "+OK\r\n");
            names
                .iter()
                .for_each(|name| client.check(&format!("SET {name} {value}"), "+QUEUED\r\n"));
            client.check("EXEC", &format!("*{KEYS}\r\n{}", "+OK\r\n".repeat(KEYS)));
        }
    }
}

fn look(client: &mut Client, how: usize) {
    let script = "local seen for i = 0, 7 do local v = redis.call('get', 'k:' .. i) \
                  if seen and seen ~= v then return seen .. v end seen = v end return 'same'";
    if how == 0 {
        client.send(&eval(script, &[], &[]));
        return client.expect(b"$4\r\nsame\r\n");
    }
    let names: String = (0..KEYS).map(|i| format!(" k:{i}")).collect();
    if how == 1 {
        client.say(&format!("MGET{names}"));
    } else {
        client.check("MULTI", "+OK\r\n");
        client.check(&format!("MGET{names}"), "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n");
    }
    let values = client.texts();
    assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
}

/// Elements come and go under the writers' feet: what scripts hold is what others wait for.
fn stir(client: &mut Client, seed: &mut u64) {
    let list = |seed: &mut u64| format!("l:{}", random(seed) % 3);
    match random(seed) % 5 {
        0 => {
            let script = "redis.call('rpush', KEYS[1], 'x') redis.call('rpush', 'l:' .. ARGV[1], 'x') return 1";
            let other = (random(seed) % 3).to_string();
            client.send(&eval(script, &[&list(seed)], &[&other]));
            client.expect(b":1\r\n");
        }
        1 => {
            client.say(&format!("BLMOVE {} {} LEFT RIGHT 0.02", list(seed), list(seed)));
            if client.line() == "$1" {
                client.line();
            }
        }
        2 => {
            client.say(&format!("BLPOP {} {} 0.02", list(seed), list(seed)));
            if client.line() == "*2" {
                (0..4).for_each(|_| drop(client.line()));
            }
        }
        3 => {
            client.say(&format!("WATCH {}", list(seed)));
            client.line();
            client.check("RENAME k:0 k:0", "+OK\r\n");
            client.check("UNWATCH", "+OK\r\n");
        }
        _ => {
            assert!(client.int("DBSIZE") >= KEYS as i64);
            client.say("RANDOMKEY");
            client.bulk();
        }
    }
}

/// Readers never see a step half done, and all come to their end.
#[test]
fn scripts_that_stray_are_one_step_and_wait_in_no_circle() {
    at_each_width(|server| {
        let names: String = (0..KEYS).map(|i| format!(" k:{i} 0")).collect();
        server.client().check(&format!("MSET{names}"), "+OK\r\n");
        let until = Instant::now() + Duration::from_millis(1500);
        std::thread::scope(|scope| {
            for n in 0..16_usize {
                let mut client = server.client();
                scope.spawn(move || {
                    let mut seed = n as u64 + 1;
                    while Instant::now() < until {
                        match n {
                            ..8 => write(&mut client, n % 7, &mut seed),
                            8..13 => look(&mut client, n % 3),
                            _ => stir(&mut client, &mut seed),
                        }
                    }
                });
            }
        });
    });
}

/// Functions are no different.
#[test]
fn functions_reserve_their_keys_too() {
    at_each_width(|server| {
        let library = b"#!lua name=lib\n\
            redis.register_function('wait', function(k) while true do redis.call('get', k[1]) end end)\n\
            redis.register_function('stray', function(k, a) redis.call('set', k[1], a[1]) return redis.call('set', 'elsewhere', a[1]) end)";
        let mut runner = server.client();
        let mut other = server.client();
        other.ask(&request(&[b"FUNCTION", b"LOAD", library]), b"$3\r\nlib\r\n");
        runner.say("FCALL wait 1 k");
        until(&mut other, "SCRIPT KILL", "-BUSY");
        other.check("SET other 1", "+OK\r\n");
        other.check("FUNCTION KILL", "+OK\r\n");
        assert!(runner.line().starts_with("-ERR Script killed by user with FUNCTION KILL"));
        (0..3).for_each(|_| runner.check("FCALL stray 1 k v", "+OK\r\n"));
        other.check("MGET k elsewhere", "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
    });
}

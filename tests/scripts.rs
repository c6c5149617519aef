//! Scripts and functions over the wire, on two workers: texts, conversions, the sandbox, and what
//! they are for, one step for everybody.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::{Client, Server, request};
use std::time::{Duration, Instant};

fn eval(client: &mut Client, script: &str, want: &str) {
    client.ask(&request(&[b"EVAL", script.as_bytes(), b"0"]), want.as_bytes());
}

/// The beginning of an error, and that a whole line came.
fn fails(client: &mut Client, script: &str, want: &str) {
    client.send(&request(&[b"EVAL", script.as_bytes(), b"0"]));
    let line = client.line();
    assert!(line.starts_with(want), "{line} instead of {want} for {script}");
}

#[test]
fn values_go_both_ways() {
    let server = Server::start(&[]);
    let mut client = server.client();
    eval(
        &mut client,
        "return {1, 2.9, 'x', true, false, {ok='fine'}, {3}}",
        "*7\r\n:1\r\n:2\r\n$1\r\nx\r\n:1\r\n$-1\r\n+fine\r\n*1\r\n:3\r\n",
    );
    eval(&mut client, "return {1, nil, 3}", "*1\r\n:1\r\n");
    eval(&mut client, "return {err='MY error'}", "-MY error\r\n");
    eval(&mut client, "redis.call('set', 'k', 12) return redis.call('incr', 'k')", ":13\r\n");
    eval(&mut client, "return type(redis.call('get', 'none'))", "$7\r\nboolean\r\n");
    eval(&mut client, "return redis.call('set', 'k', 'v').ok", "$2\r\nOK\r\n");
    eval(
        &mut client,
        "return redis.pcall('incr', 'k').err",
        "$43\r\nERR value is not an integer or out of range\r\n",
    );
    client.ask(
        &request(&[b"EVAL", b"return {KEYS[1], ARGV[1], #ARGV}", b"1", b"a", b"b", b"c"]),
        b"*3\r\n$1\r\na\r\n$1\r\nb\r\n:2\r\n",
    );
    client.ask(
        b"SCRIPT LOAD \"return 7\"\r\n",
        b"$40\r\n59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9\r\n",
    );
}

#[test]
fn no_run_sees_the_lists_of_another() {
    let server = Server::start(&["--io-threads", "1"]);
    let mut client = server.client();
    let mut ask = |script: &str, keys: &[&[u8]], argv: &[&[u8]], want: &[u8]| {
        let count = keys.len().to_string();
        let words = [&[b"EVAL", script.as_bytes(), count.as_bytes()], keys, argv].concat();
        client.ask(&request(&words), want);
    };
    let all =
        "return {#KEYS, #ARGV, KEYS[1] or '-', KEYS[2] or '-', ARGV[1] or '-', ARGV[2] or '-'}";
    let keys = "return {KEYS[1], KEYS[2], KEYS[3]}";
    let changing = "KEYS[2] = 'x' KEYS.y = 1 ARGV[2] = 'x' ARGV[1] = nil return #KEYS";
    let none = b"*6\r\n:0\r\n:0\r\n$1\r\n-\r\n$1\r\n-\r\n$1\r\n-\r\n$1\r\n-\r\n";
    for _ in 0..3 {
        ask(all, &[], &[], none);
        ask(
            all,
            &[b"a", b"b", b"c"],
            &[b"1", b"\xff\0"],
            b"*6\r\n:3\r\n:2\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\n1\r\n$2\r\n\xff\0\r\n",
        );
        ask(keys, &[b"\xfe"], &[b"1"], b"*1\r\n$1\r\n\xfe\r\n");
        ask(changing, &[b"a"], &[b"1"], b":2\r\n");
        ask(all, &[], &[], none);
        ask("return ARGV", &[b"k"], &[b"1", b"2"], b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        ask(
            all,
            &[b"d"],
            &[b"2"],
            b"*6\r\n:1\r\n:1\r\n$1\r\nd\r\n$1\r\n-\r\n$1\r\n2\r\n$1\r\n-\r\n",
        );
        let many: Vec<&[u8]> = vec![b"k"; 100];
        ask("return #KEYS + #ARGV", &many, &many[..40], b":140\r\n");
        ask(
            "for i, v in ipairs(ARGV) do redis.call('set', KEYS[1], v) end",
            &[b"k"],
            &[b"1"],
            b"$-1\r\n",
        );
        ask("return redis.call('get', KEYS[1])", &[b"k"], &[], b"$1\r\n1\r\n");
        ask("error(KEYS[1])", &[b"k"], &[], b"-ERR user_script:1: k script: 272419bac95b214f65cab6a17bb8713b1de3fcca, on @user_script:1.\r\n");
    }
}

#[test]
fn errors_are_those_of_redis() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (script, want) in [
        ("return redis.call('nope')", "-ERR Unknown Redis command called from script script: "),
        (
            "return redis.call('get')",
            "-ERR Wrong number of args calling Redis command from script script: ",
        ),
        (
            "return redis.call('subscribe', 'x')",
            "-ERR This Redis command is not allowed from script script: ",
        ),
        (
            "return x",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: ",
        ),
        ("x = 1", "-ERR user_script:1: Attempt to modify a readonly table script: "),
        ("redis.call = 1", "-ERR user_script:1: Attempt to modify a readonly table script: "),
        ("string.rep = 1", "-ERR user_script:1: Attempt to modify a readonly table script: "),
        (
            "getmetatable(_G).__index = 1",
            "-ERR user_script:1: Attempt to modify a readonly table script: ",
        ),
        (
            "getmetatable('').__index = 1",
            "-ERR user_script:1: Attempt to modify a readonly table script: ",
        ),
        ("setmetatable(_G, {})", "-ERR Attempt to modify a readonly table script: "),
        ("rawset(redis, 'x', 1)", "-ERR Attempt to modify a readonly table script: "),
        ("\n\nerror('here')", "-ERR user_script:3: here script: "),
        (
            "syntax error",
            "-ERR Error compiling script (new function): user_script:1: '=' expected near 'error'",
        ),
        (
            "#!lua flags=no-writes\nredis.call('set', 'a', 1)",
            "-ERR Write commands are not allowed from read-only scripts. script: ",
        ),
        ("#!lua flags=odd\nreturn 1", "-ERR Unexpected flag in script shebang: odd"),
    ] {
        fails(&mut client, script, want);
    }
    client.ask(b"EVALSHA 00 0\r\n", b"-NOSCRIPT No matching script. Please use EVAL.\r\n");
    client.ask(
        b"EVAL \"return 1\" 2 a\r\n",
        b"-ERR Number of keys can't be greater than number of args\r\n",
    );
}

/// What could be a way out or a way to spoil the interpreter for others is not there.
#[test]
fn the_sandbox_holds() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for name in [
        "io", "debug", "package", "require", "dofile", "loadfile", "print", "setfenv", "getfenv",
        "newproxy",
    ] {
        fails(
            &mut client,
            &format!("return {name}"),
            "-ERR user_script:1: Script attempted to access nonexistent global",
        );
    }
    eval(&mut client, "return loadstring(string.dump(function() end)) == nil", ":1\r\n");
    eval(&mut client, "return loadstring('\\27Lua') == nil", ":1\r\n");
    eval(&mut client, "return loadstring('return 1 + 1')()", ":2\r\n");
    fails(&mut client, "loadstring('y = 1')()", "-ERR user_script:1: Attempt to modify");
    fails(&mut client, "return unpack({}, -2^31, 2^31 - 1)", "-ERR too many results to unpack");
    fails(&mut client, "return string.rep('x', 2^40)", "-ERR not enough memory");
    fails(&mut client, "local s = 'x' while true do s = s .. s end", "-ERR ");
    eval(&mut client, "return string.rep('', 2^52)", "$0\r\n\r\n");
    eval(&mut client, "return 1", ":1\r\n"); // and it works after lack of memory
}

#[test]
fn functions_are_known_to_every_worker() {
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    let library = b"#!lua name=lib\nredis.register_function('set_it', function(k, a) return redis.call('set', k[1], a[1]) end)\n\
                    redis.register_function{function_name='get_it', callback=function(k) return redis.call('get', k[1]) end, flags={'no-writes'}}";
    clients[0].ask(&request(&[b"FUNCTION", b"LOAD", library]), b"$3\r\nlib\r\n");
    clients[1].ask(b"FCALL set_it 1 k v\r\n", b"+OK\r\n");
    for client in &mut clients {
        client.ask(b"FCALL_RO get_it 1 k\r\n", b"$1\r\nv\r\n");
        client.ask(
            b"FCALL_RO set_it 1 k v\r\n",
            b"-ERR Can not execute a script with write flag using *_ro command.\r\n",
        );
    }
    clients[2].ask(b"FUNCTION DELETE lib\r\n", b"+OK\r\n");
    for client in &mut clients {
        client.ask(b"FCALL_RO get_it 1 k\r\n", b"-ERR Function not found\r\n");
    }
}

/// Scripts that declare their keys, and scripts that do not, move money; the sum is always the same.
#[test]
fn a_script_is_one_step() {
    ["1", "2", "4"].into_iter().for_each(one_step);
}

/// Money moves by scripts that are tame, by others, and by EXEC, in both orders of the keys; it stays
/// the same in whatever way it is counted.
fn one_step(workers: &str) {
    let server = Server::start(&["--io-threads", workers]);
    let mut client = server.client();
    (0..8).for_each(|i| client.ask(format!("SET account:{i} 100\r\n").as_bytes(), b"+OK\r\n"));
    let until = Instant::now() + Duration::from_secs(1);
    let pay = "redis.call('decrby', 'account:' .. ARGV[1], ARGV[3]) redis.call('incrby', 'account:' .. ARGV[2], ARGV[3]) return 1";
    let declared =
        "redis.call('decrby', KEYS[1], ARGV[1]) redis.call('incrby', KEYS[2], ARGV[1]) return 1";
    let all = "return redis.call('mget', unpack(KEYS))";
    let sum = "local s = 0 for i = 0, 7 do s = s + redis.call('get', 'account:' .. i) end return s";
    std::thread::scope(|scope| {
        for n in 0..8_usize {
            let mut client = server.client();
            scope.spawn(move || {
                let mut i = n;
                while Instant::now() < until {
                    i = i.wrapping_mul(31).wrapping_add(7);
                    let (from, to, amount) = ((i % 8).to_string(), (i / 8 % 8).to_string(), (i % 9).to_string());
                    let (a, b) = (format!("account:{from}"), format!("account:{to}"));
                    match n {
                        0 | 1 => client.ask(&request(&[b"EVAL", pay.as_bytes(), b"0", from.as_bytes(), to.as_bytes(), amount.as_bytes()]), b":1\r\n"),
                        2 | 3 => client.ask(&request(&[b"EVAL", declared.as_bytes(), b"2", a.as_bytes(), b.as_bytes(), amount.as_bytes()]), b":1\r\n"),
                        4 => eval(&mut client, sum, ":800\r\n"),
                        5 => {
                            client.send(format!("MULTI\r\nDECRBY {a} {amount}\r\nINCRBY {b} {amount}\r\nEXEC\r\n").as_bytes());
                            (0..6).for_each(|_| drop(client.line()));
                        }
                        _ => {
                            let names: Vec<String> = (0..8).map(|i| format!("account:{i}")).collect();
                            let mut words = vec![b"EVAL".as_slice(), all.as_bytes(), b"8"];
                            words.extend(names.iter().map(|name| name.as_bytes()));
                            if n == 6 {
                                client.send(&request(&words));
                            } else {
                                client.send(b"MGET account:0 account:1 account:2 account:3 account:4 account:5 account:6 account:7\r\n");
                            }
                            assert_eq!(client.line(), "*8");
                            let sum: i64 = (0..8).map(|_| { client.line(); client.line().parse::<i64>().unwrap() }).sum();
                            assert_eq!(sum, 800);
                        }
                    }
                }
            });
        }
    });
}

/// Asks until the answer begins with `want`.
fn until(client: &mut Client, question: &[u8], want: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        client.send(question);
        let line = client.line();
        if line.starts_with(want) {
            return;
        }
        assert!(Instant::now() < deadline, "{line} instead of {want}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whatever a script does, others are told after a while that it is busy, on its worker too, and
/// SCRIPT KILL ends it.
#[test]
fn a_script_that_never_ends_is_ended() {
    for workers in ["1", "2", "4"] {
        let server = Server::start(&["--io-threads", workers, "--busy-reply-threshold", "30"]);
        let mut runner = server.client();
        let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
        for script in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "while true do pcall(redis.call, 'get', 'k') end",
            "coroutine.wrap(function() while true do pcall(error, 'x') end end)()",
            "return string.find(string.rep('a', 5000), string.rep('a*', 20) .. 'b')",
            "return string.gsub(string.rep('a', 5000), string.rep('.-', 20) .. 'b', '')",
        ] {
            runner.send(&request(&[b"EVAL", script.as_bytes(), b"0"]));
            for other in &mut others {
                until(other, b"PING\r\n", "-BUSY ");
                other.send(b"MULTI\r\nGET k\r\nEXEC\r\n");
                other.expect(b"+OK\r\n-BUSY");
                other.line();
                assert!(other.line().starts_with("-EXECABORT"));
            }
            let mut late = server.client();
            until(&mut late, b"GET k\r\n", "-BUSY ");
            late.ask(b"FUNCTION KILL\r\n", b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n");
            late.ask(b"SCRIPT KILL\r\n", b"+OK\r\n");
            let line = runner.line();
            assert!(line.starts_with("-ERR Script killed by user with SCRIPT KILL."), "{line}");
            others
                .iter_mut()
                .chain([&mut runner])
                .for_each(|client| until(client, b"PING\r\n", "+PONG"));
        }
    }
}

#[test]
fn a_script_that_wrote_ends_with_the_server() {
    let mut server = Server::start(&["--busy-reply-threshold", "30"]);
    let mut runner = server.client();
    runner.send(&request(&[
        b"EVAL",
        b"redis.call('set', KEYS[1], 1) while true do end",
        b"1",
        b"k",
    ]));
    let mut other = server.client();
    until(&mut other, b"PING\r\n", "-BUSY ");
    until(&mut other, b"SCRIPT KILL\r\n", "-UNKILLABLE ");
    until(&mut other, b"PING\r\n", "-BUSY ");
    other.send(b"SHUTDOWN NOSAVE\r\n");
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.process.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the server does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

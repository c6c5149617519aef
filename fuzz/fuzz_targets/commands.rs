//! Any words sent as a command get exactly one reply that is whole, and no panic.

#![no_main]

#[path = "common/server.rs"]
mod server;

use arbitrary::Arbitrary;
use eonkv::commands::{Flags, table};
use libfuzzer_sys::fuzz_target;
use server::Server;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// Commands that stop, sleep, write files, connect to others, or end the conversation by design, and
/// those that answer once for each name.
const APART: &[&str] = &[
    "shutdown",
    "debug",
    "config",
    "client",
    "monitor",
    "quit",
    "reset",
    "auth",
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "sunsubscribe",
    "migrate",
    "save",
    "bgrewriteaof",
];

#[derive(Debug, Arbitrary)]
enum Word<'a> {
    Key(u8),
    Bytes(&'a [u8]),
    Number(i64),
    Small(i8),
    Option(u8),
}

const OPTIONS: &[&str] = &[
    "NX",
    "XX",
    "GET",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "KEEPTTL",
    "PERSIST",
    "MATCH",
    "COUNT",
    "TYPE",
    "REPLACE",
    "DB",
    "LEN",
    "IDX",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "AND",
    "OR",
    "XOR",
    "NOT",
    "BIT",
    "BYTE",
    "SET",
    "INCRBY",
    "OVERFLOW",
    "WRAP",
    "SAT",
    "FAIL",
    "u8",
    "i64",
    "u63",
    "#1",
    "#0",
    "+inf",
    "-inf",
    "nan",
    "1e400",
    "0x10",
    "*",
    "[",
    "string",
    "ENCODING",
    "FREQ",
    "HELP",
    "3",
    "2",
    "-0",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "RANK",
    "MAXLEN",
    "MINID",
    "NOMKSTREAM",
    "LIMIT",
    "FIELDS",
    "FNX",
    "FXX",
    "WITHVALUES",
    "WITHSCORES",
    "BYSCORE",
    "BYLEX",
    "REV",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "MIN",
    "MAX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "STORE",
    "STOREDIST",
    "ASC",
    "DESC",
    "ALPHA",
    "BY",
    "FROMMEMBER",
    "FROMLONLAT",
    "BYRADIUS",
    "BYBOX",
    "ANY",
    "WITHCOORD",
    "WITHDIST",
    "WITHHASH",
    "km",
    "(1",
    "[a",
    "(b",
    "-",
    "+",
    "~",
    "=",
    "1-1",
    "2-*",
    ">",
    "$",
    "STREAMS",
    "GROUP",
    "CREATE",
    "CREATECONSUMER",
    "DESTROY",
    "SETID",
    "DELCONSUMER",
    "MKSTREAM",
    "ENTRIESREAD",
    "NOACK",
    "JUSTID",
    "IDLE",
    "FORCE",
    "LASTID",
    "STREAM",
    "GROUPS",
    "CONSUMERS",
    "FULL",
    "return redis.call(KEYS[1], ARGV[1])",
    "return {KEYS, ARGV, {ok='x'}, 1.5}",
    "#!lua name=l\nredis.register_function('f', function(k, a) return k end)",
    "LOAD",
    "f",
];

#[derive(Debug, Arbitrary)]
struct Call<'a> {
    row: u16,
    words: Vec<Word<'a>>,
}

thread_local! {
    // Never dropped: the maps in it want thread-locals that may be gone when this one goes.
    static SERVER: RefCell<ManuallyDrop<Server>> =
        RefCell::new(ManuallyDrop::new(Server::new()));
}

/// What follows one whole reply.
fn after_one(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a line");
    let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
    let n: i64 = std::str::from_utf8(&line[1..]).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    match line[0] {
        b'$' | b'=' | b'!' if n >= 0 => &rest[n as usize + 2..],
        b'*' | b'~' | b'>' => (0..n).fold(rest, |rest, _| after_one(rest)),
        b'%' => (0..2 * n).fold(rest, |rest, _| after_one(rest)),
        b'|' => after_one((0..2 * n).fold(rest, |rest, _| after_one(rest))),
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' | b'$' => rest,
        other => panic!("not a reply: {other}"),
    }
}

fuzz_target!(|calls: Vec<Call<'_>>| {
    let rows = &table().rows;
    SERVER.with_borrow_mut(|server| {
        server.run(&[vec!["DISCARD"], vec!["FLUSHALL"]]);
        server.run(&[vec!["SCRIPT", "FLUSH"], vec!["FUNCTION", "FLUSH"]]);
        server.tidy();
        for call in calls.iter().take(20) {
            let name = rows[usize::from(call.row) % rows.len()].command.name.to_ascii_lowercase();
            // Who waits in line for a key has no reply yet.
            let waits = rows[usize::from(call.row) % rows.len()].command.flags.has(Flags::BLOCKING);
            if waits || APART.contains(&name.as_str()) {
                continue;
            }
            let mut words = vec![name.into_bytes()];
            words.extend(call.words.iter().map(|word| match word {
                Word::Key(key) => format!("key:{}", key % 4).into_bytes(),
                Word::Bytes(bytes) => bytes.to_vec(),
                // Bits and ranges far out ask for half a gigabyte, which is right but slow.
                Word::Number(n) if n.unsigned_abs() > 1 << 20 && n.unsigned_abs() < 1 << 33 => {
                    (n % 1000).to_string().into_bytes()
                }
                Word::Number(n) => n.to_string().into_bytes(),
                Word::Small(n) => n.to_string().into_bytes(),
                Word::Option(at) => OPTIONS[usize::from(*at) % OPTIONS.len()].into(),
            }));
            let reply = server.run(std::slice::from_ref(&words));
            assert!(!reply.is_empty(), "{words:?} has no reply");
            assert!(after_one(&reply).is_empty(), "{words:?} -> {reply:?}");
        }
    });
});

//! RESTORE takes a value or refuses it, never more; what it takes behaves under all commands of its type,
//! and what DUMP says of it is restored again.

#![no_main]

#[path = "common/server.rs"]
mod server;

use eonkv::rdb::sum;
use libfuzzer_sys::fuzz_target;
use server::Server;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

thread_local! {
    // Never dropped: thread locals end in no order, and the server needs the epoch's own.
    static SERVER: RefCell<ManuallyDrop<Server>> = RefCell::new(ManuallyDrop::new(Server::new()));
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Commands of each type, so that all of a value is read and some of it changed.
const ABOUT: &[(&str, &[&str])] = &[
    (
        "string",
        &[
            "GET k",
            "STRLEN k",
            "INCR k",
            "APPEND k x",
            "PFCOUNT k",
            "GETRANGE k 0 -1",
            "BITCOUNT k",
        ],
    ),
    (
        "list",
        &[
            "LRANGE k 0 -1",
            "LLEN k",
            "LINDEX k -1",
            "LPUSH k x",
            "LREM k 0 x",
            "LINSERT k BEFORE a b",
            "RPOP k 2",
        ],
    ),
    (
        "set",
        &[
            "SMEMBERS k",
            "SCARD k",
            "SADD k x 1",
            "SRANDMEMBER k 5",
            "SREM k a",
            "SPOP k",
            "SSCAN k 0",
        ],
    ),
    (
        "zset",
        &[
            "ZRANGE k 0 -1 WITHSCORES",
            "ZADD k 1 x",
            "ZRANK k a",
            "ZINCRBY k 1 a",
            "ZRANGEBYSCORE k -inf +inf",
            "ZPOPMIN k",
            "ZSCAN k 0",
            "ZREVRANGE k 0 -1",
        ],
    ),
    (
        "hash",
        &[
            "HGETALL k",
            "HLEN k",
            "HSET k f x",
            "HRANDFIELD k 3 WITHVALUES",
            "HTTL k FIELDS 1 f",
            "HDEL k a",
            "HINCRBY k n 1",
            "HSCAN k 0",
        ],
    ),
    (
        "stream",
        &[
            "XRANGE k - +",
            "XREVRANGE k + -",
            "XINFO STREAM k FULL",
            "XADD k * f v",
            "XLEN k",
            "XPENDING k g",
            "XREADGROUP GROUP g c STREAMS k >",
            "XACK k g 5-1",
            "XAUTOCLAIM k g c 0 0",
            "XTRIM k MAXLEN 1",
            "XGROUP DESTROY k g",
        ],
    ),
];

fuzz_target!(|data: &[u8]| {
    // A type, whose highest bit says by whose version the value is to be taken, and the value.
    let Some((kind, value)) = data.split_first() else { return };
    let mut payload = vec![kind & 0x7f];
    payload.extend_from_slice(value);
    let version: u16 = if kind & 0x80 == 0 { 12 } else { 80 };
    payload.extend_from_slice(&version.to_le_bytes());
    payload.extend_from_slice(&sum::of(&payload).to_le_bytes());
    SERVER.with_borrow_mut(|server| {
        let mut restore = words("RESTORE k 0");
        restore.extend([payload, b"REPLACE".to_vec()]);
        if server.run(&[restore]) == b"+OK\r\n" && server.run(&[words("EXISTS k")]) == b":1\r\n" {
            let dump = server.run(&[words("DUMP k")]);
            let from = dump.iter().position(|byte| *byte == b'\n').expect("a length") + 1;
            let mut again = words("RESTORE l 0");
            again.extend([dump[from..dump.len() - 2].to_vec(), b"REPLACE".to_vec()]);
            assert_eq!(server.run(&[again]), b"+OK\r\n", "what was dumped is restored");
            let kind = server.run(&[words("TYPE k")]);
            let (_, about) = ABOUT
                .iter()
                .find(|(name, _)| kind == format!("+{name}\r\n").into_bytes())
                .expect("a known type");
            for command in *about {
                assert!(!server.run(&[words(command)]).is_empty(), "{command}");
            }
        }
        server.run(&[words("DEL k l")]);
        server.tidy();
    });
});

//! What Redis' weaknesses were used by, as far as it comes in values, files or logs: each input is refused,
//! or taken and then used by every command of its type. `tests/rdb_seeds.py` makes them, named after the
//! weakness; the fuzz targets begin with them.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use eonkv::rdb::sum;
use server::folder::Folder;
use server::{Client, Server, request};
use std::process::Command;
use std::time::{Duration, Instant};

/// What RESTORE says, in part; `+OK` for those that it takes.
const RESTORE: &[(&str, &str)] = &[
    ("cve-2019-10192", "+OK"),
    ("cve-2019-10193", "+OK"),
    ("cve-2021-29478", "Bad data format"),
    ("cve-2021-32627-hash", "Bad data format"),
    ("cve-2021-32627-stream", "Bad data format"),
    ("cve-2021-32627-total", "Bad data format"),
    ("cve-2021-32628-hash", "Bad data format"),
    ("cve-2021-32628-list", "Bad data format"),
    ("cve-2021-32628-zset", "Bad data format"),
    ("cve-2021-32687-16", "Bad data format"),
    ("cve-2021-32687-32", "Bad data format"),
    ("cve-2021-32687-64", "Bad data format"),
    ("cve-2022-31144", "+OK"),
    ("cve-2022-35951", "+OK"),
    ("cve-2023-28856-zset", "Bad data format"),
    ("cve-2025-32023", "+OK"),
    ("cve-2026-21864", "Bad data format"),
    ("cve-2026-25243-back", "Bad data format"),
    ("cve-2026-25243-count", "Bad data format"),
    ("cve-2026-25243-empty", "Bad data format"),
    ("cve-2026-25243-last", "Bad data format"),
    ("cve-2026-25243-lzf", "Bad data format"),
    ("cve-2026-25243-lzf-size", "Bad data format"),
    ("cve-2026-66373-consumer", "Bad data format"),
    ("cve-2026-66373-field", "Bad data format"),
    ("cve-2026-66373-member", "Bad data format"),
    ("cve-2026-66373-one-twice", "Bad data format"),
    ("cve-2026-66373-two-owners", "Bad data format"),
];

/// Commands for what is taken, and what they reply at least in part.
const AFTER: &[(&str, &str, &str)] = &[
    ("cve-2019-1019", "PFCOUNT k", "-INVALIDOBJ"),
    ("cve-2019-1019", "PFMERGE other k", "-INVALIDOBJ"),
    ("cve-2019-1019", "PFDEBUG GETREG k", "-INVALIDOBJ"),
    ("cve-2025-32023", "PFCOUNT k", "-INVALIDOBJ"),
    ("cve-2025-32023", "PFMERGE other k", "-INVALIDOBJ"),
    ("cve-20", "PFADD k x", ""),
    ("cve-2022-3", "XAUTOCLAIM k g d 0 0 COUNT 9223372036854775807", "-ERR"),
    ("cve-2022-3", "XAUTOCLAIM k g d 0 0 COUNT 1", "*3"),
    ("cve-2022-3", "XAUTOCLAIM k g d 0 0 COUNT 100 JUSTID", "*3"),
    ("cve-2022-3", "XPENDING k g", "*4"),
    ("cve-2022-3", "XINFO STREAM k FULL", "*"),
];

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let mut seeds: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .filter(|(name, _)| name.starts_with("cve-"))
        .collect();
    seeds.sort();
    seeds
}

/// A reply of any kind is there, and the next one is that of PING.
fn answers(client: &mut Client, command: &str) -> String {
    client.say(command);
    let first = client.line();
    client.say("ECHO the-end-of-it");
    while client.line() != "the-end-of-it" {}
    first
}

#[test]
fn values_are_refused_or_used_safely() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    let seeds = seeds("restore");
    let names: Vec<&str> = seeds.iter().map(|(name, _)| &**name).collect();
    let known: Vec<&str> = RESTORE.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, known, "each has its line in the table");
    for ((name, seed), (_, expected)) in seeds.iter().zip(RESTORE) {
        let mut payload = seed.clone();
        payload.extend_from_slice(&10_u16.to_le_bytes());
        payload.extend_from_slice(&sum::of(&payload).to_le_bytes());
        client.send(&request(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE"]));
        let line = client.line();
        assert!(line.contains(expected), "{name}: {line}");
        for (_, command, reply) in AFTER.iter().filter(|(of, ..)| name.starts_with(of)) {
            let line = answers(&mut client, command);
            assert!(line.starts_with(reply), "{name}, {command}: {line}");
        }
        if line == "+OK" {
            for command in ["DUMP k", "COPY k l REPLACE", "DEBUG RELOAD", "DEL k l other"] {
                let line = answers(&mut client, command);
                assert!(!line.starts_with('-'), "{name}, {command}: {line}");
            }
        }
        client.check("PING", "+PONG\r\n");
    }
}

#[test]
fn snapshots_of_them_are_refused_in_words() {
    let folder = Folder::new();
    for ((name, seed), (_, expected)) in seeds("restore").iter().zip(RESTORE) {
        let mut file = b"REDIS0010\xfe\x00".to_vec();
        file.push(seed[0]);
        file.extend_from_slice(b"\x01k");
        file.extend_from_slice(&seed[1..]);
        file.push(0xff);
        file.extend_from_slice(&[0; 8]);
        std::fs::write(folder.snapshot(), file).unwrap();
        if *expected == "+OK" {
            assert_eq!(folder.server(&[]).client().int("DBSIZE"), 1, "{name}");
        } else if !name.ends_with("-empty") {
            let (code, text) = folder.fails(&[]);
            let fatal = "Fatal error loading the DB: at byte";
            assert!(code == Some(1) && text.contains(fatal), "{name}: {code:?} {text}");
        }
    }
}

#[test]
fn logs_and_manifests_announce_what_is_not_there() {
    let folder = Folder::new();
    let place = folder.0.join("appendonlydir");
    std::fs::create_dir(&place).unwrap();
    let manifest = place.join("appendonly.aof.manifest");
    for (name, seed) in seeds("aof") {
        std::fs::write(&manifest, "file a seq 1 type i\n").unwrap();
        std::fs::write(place.join("a"), &seed).unwrap();
        let began = Instant::now();
        let options = ["--appendonly", "yes", "--aof-load-truncated", "no"];
        let (code, text) = folder.fails(&options);
        assert!(code == Some(1) && text.contains("file a at offset 0"), "{name}: {text}");
        assert!(began.elapsed() < Duration::from_secs(10), "{name} took long");
    }
    for (name, seed) in seeds("manifest") {
        std::fs::write(&manifest, &seed).unwrap();
        let (code, text) = folder.fails(&["--appendonly", "yes"]);
        assert!(code == Some(1) && text.contains("manifest"), "{name}: {text}");
    }
    // The tool that is given such a path by hand.
    let path = "a/".repeat(40_000);
    let output = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
        .args(["--repair-aof", &path])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

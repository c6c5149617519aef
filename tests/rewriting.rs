//! What is written in the background can fail, be given up, take long and be loaded again, and nobody is
//! told anything else; and what the disk is spared meanwhile.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::folder::{Folder, digest, field, stop, until};
use server::{Client, request};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

const LOG: &[&str] = &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"];
const OK: &str = "+OK\r\n";
/// Microseconds for each key: nothing ends by itself before the test does.
const SLOW: &str = "CONFIG SET rdb-key-save-delay 60000000";

fn manifest(folder: &Folder) -> Vec<String> {
    let path = folder.0.join("appendonlydir/appendonly.aof.manifest");
    let text = std::fs::read_to_string(path).unwrap();
    let short = |line: &str| line.replace("file appendonly.aof.", "");
    text.lines().map(short).collect()
}

fn rewrite(client: &mut Client) {
    client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    until(client, "aof_rewrite_in_progress", "0");
}

/// A snapshot that is under way until the test ends it.
fn save_for_long(client: &mut Client) {
    client.check(SLOW, OK);
    client.check("BGSAVE", "+Background saving started\r\n");
    until(client, "rdb_bgsave_in_progress", "1");
}

/// In a base of commands, too, values are whole that are kept in their large form, with the ends of fields.
#[test]
fn a_base_of_commands_has_large_hashes_with_fields_that_end() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("CONFIG SET hash-max-listpack-entries 1", OK);
    client.check("HSET some a 1 b 2 c 3", ":3\r\n");
    client.check("HPEXPIREAT some 9999999999999 FIELDS 1 a", "*1\r\n:1\r\n");
    client.check("HPEXPIREAT some 9999999999000 FIELDS 1 b", "*1\r\n:1\r\n");
    client.check("HSET none a 1 b 2", ":2\r\n");
    rewrite(&mut client);
    stop(server);
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("DBSIZE", ":2\r\n");
    let ends = "*3\r\n:9999999999999\r\n:9999999999000\r\n:-1\r\n";
    client.check("HPEXPIRETIME some FIELDS 3 a b c", ends);
    client.check("HGET some c", "$1\r\n3\r\n");
}

#[test]
fn nothing_is_synced_while_a_snapshot_is_written_if_that_is_wanted() {
    let folder = Folder::new();
    let always = [LOG, &["--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes"]].concat();
    let server = folder.server(&always);
    let mut client = server.client();
    client.check("SET a 1", OK);
    client.check("WAITAOF 1 0 1000", "*2\r\n:1\r\n:0\r\n");
    save_for_long(&mut client);
    // The order to spare the disk is on its way when INFO says that the snapshot is under way.
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        client.check("SET b 1", OK); // the reply waits for no sync
        client.say("WAITAOF 1 0 100");
        let reply = [client.line(), client.line(), client.line()];
        if reply == ["*2", ":0", ":0"] {
            break;
        }
        assert!(Instant::now() < end, "{reply:?}");
    }
    client.check("CONFIG SET no-appendfsync-on-rewrite no", OK);
    client.check("SET c 1", OK);
    client.check("WAITAOF 1 0 5000", "*2\r\n:1\r\n:0\r\n");
    client.check("CONFIG SET no-appendfsync-on-rewrite yes", OK);
    client.check("SET d 1", OK);
    client.check("BGSAVE CANCEL", "+Background saving cancelled\r\n");
    client.check("WAITAOF 1 0 5000", "*2\r\n:1\r\n:0\r\n");
    stop(server);
    assert_eq!(folder.server(LOG).client().int("DBSIZE"), 4);
}

#[test]
fn a_snapshot_that_fails_has_writes_refused_and_the_next_ends_that() {
    let folder = Folder::new();
    let server = folder.server(&["--save", "3600 1000000"]);
    let mut client = server.client();
    client.check("DEBUG FAIL-SAVE", "-ERR Neither a snapshot nor a rewrite is under way\r\n");
    client.check("SET k v", OK);
    save_for_long(&mut client);
    client.check("DEBUG FAIL-SAVE", OK);
    until(&mut client, "rdb_bgsave_in_progress", "0");
    assert_eq!(field(&mut client, "rdb_last_bgsave_status"), "err");
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        client.say("SET k w");
        let reply = client.line();
        if reply.starts_with("-MISCONF") {
            break;
        }
        assert!(Instant::now() < end, "{reply}");
    }
    assert!(
        std::fs::read_dir(&folder.0)
            .unwrap()
            .all(|file| { !file.unwrap().file_name().to_string_lossy().starts_with("temp-") })
    );
    client.check("CONFIG SET rdb-key-save-delay 0", OK);
    client.check("BGSAVE", "+Background saving started\r\n");
    until(&mut client, "rdb_last_bgsave_status", "ok");
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        client.say("SET k w");
        if client.line() == "+OK" {
            break;
        }
        assert!(Instant::now() < end);
    }
}

#[test]
fn rewrites_fail_and_are_given_up_and_the_log_is_whole() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("SET k v", OK);
    client.check(SLOW, OK);
    for (round, increments) in [(1, 2), (2, 3)] {
        client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
        client.check(
            "BGREWRITEAOF",
            "-ERR Background append only file rewriting already in progress\r\n",
        );
        client.check("INCR n", &format!(":{round}\r\n"));
        client.check("DEBUG FAIL-SAVE", OK);
        until(&mut client, "aof_rewrite_in_progress", "0");
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "err");
        assert_eq!(manifest(&folder).len(), 1 + increments);
    }
    let before = digest(&mut client);
    client.check("DEBUG LOADAOF", OK);
    assert_eq!(digest(&mut client), before);
    // Turned off in the middle: nobody waits for the base.
    client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    client.check("CONFIG SET appendonly no", OK);
    until(&mut client, "aof_rewrite_in_progress", "0");
    client.check("CONFIG SET rdb-key-save-delay 0 appendonly yes", OK);
    until(&mut client, "aof_rewrite_in_progress", "0");
    client.check("INCR n", ":3\r\n");
    // Off and on again: what was not written in between is in the base.
    client.check("CONFIG SET appendonly no", OK);
    client.check("INCR n", ":4\r\n");
    client.check("CONFIG SET appendonly yes", OK);
    client.check("INCR n", ":5\r\n");
    until(&mut client, "aof_rewrite_in_progress", "0");
    stop(server);
    folder.server(LOG).client().check("GET n", "$1\r\n5\r\n");
}

#[test]
fn a_rewrite_of_a_log_that_is_off_leaves_a_base_alone() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("SET k v", OK);
    rewrite(&mut client);
    assert_eq!(manifest(&folder), ["2.base.aof seq 2 type b", "2.incr.aof seq 2 type i"]);
    client.check("CONFIG SET appendonly no", OK);
    client.check("SET k w", OK);
    rewrite(&mut client);
    assert_eq!(manifest(&folder), ["3.base.aof seq 3 type b"]);
    client.check("SET k x", OK);
    client.check("DEBUG LOADAOF", OK);
    client.check("GET k", "$1\r\nw\r\n");
    client.check("CONFIG SET appendonly yes", OK);
    until(&mut client, "aof_rewrite_in_progress", "0");
    assert_eq!(manifest(&folder), ["4.base.aof seq 4 type b", "1.incr.aof seq 1 type i"]);
}

/// A base that cannot even be created is a rewrite that failed, whether there is a log or not, and the next
/// one is another matter.
#[test]
fn a_base_that_cannot_be_created_does_not_stand_in_the_way_of_the_next() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    let name = format!("appendonlydir/temp-rewriteaof-bg-{}.aof", server.process.id());
    let base = folder.0.join(name);
    for value in ["log", "none"] {
        client.check(&format!("SET k {value}"), OK);
        std::fs::create_dir(&base).unwrap();
        rewrite(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "err");
        std::fs::remove_dir(&base).unwrap();
        rewrite(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
        client.check("CONFIG SET appendonly no", OK);
    }
    stop(server);
    folder.server(LOG).client().check("GET k", "$4\r\nnone\r\n");
}

#[test]
fn what_is_no_longer_needed_stays_if_that_is_wanted() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("CONFIG SET aof-disable-auto-gc yes", OK);
    rewrite(&mut client);
    let whole = ["2.base.aof seq 2 type b", "1.incr.aof seq 1 type h", "1.base.aof seq 1 type h"];
    let last = "2.incr.aof seq 2 type i";
    assert_eq!(manifest(&folder), [&whole[..], &[last]].concat());
    client.check("CONFIG SET aof-disable-auto-gc no", OK);
    assert_eq!(manifest(&folder), [whole[0], last]);
    let old = folder.0.join("appendonlydir/appendonly.aof.1.incr.aof");
    let end = Instant::now() + Duration::from_secs(5);
    while old.exists() {
        assert!(Instant::now() < end, "the file is still there");
    }
}

#[test]
fn the_log_is_loaded_again_while_a_snapshot_is_written() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("SET kept 1", OK);
    rewrite(&mut client);
    client.check("CONFIG SET appendonly no", OK);
    client.check("SET lost 1", OK);
    save_for_long(&mut client);
    client.check("CONFIG SET appendonly yes", OK);
    assert_eq!(field(&mut client, "aof_rewrite_scheduled"), "1");
    client.check("DEBUG LOADAOF", OK);
    client.check("EXISTS kept lost", ":1\r\n");
    assert_eq!(field(&mut client, "rdb_bgsave_in_progress"), "1");
    client.check("CONFIG SET rdb-key-save-delay 0", OK);
    client.check("BGSAVE CANCEL", "+Background saving cancelled\r\n");
    until(&mut client, "aof_rewrite_scheduled", "0");
    until(&mut client, "aof_rewrite_in_progress", "0");
    client.check("SET more 1", OK);
    client.check("DEBUG LOADAOF", OK);
    client.check("EXISTS kept more", ":2\r\n");
}

#[test]
fn what_is_over_is_saved_like_the_rest() {
    let folder = Folder::new();
    let server = folder.server(&["--save", ""]);
    let mut client = server.client();
    client.check("DEBUG SET-ACTIVE-EXPIRE 0", OK);
    client.check("SET stays 1", OK);
    for db in 0..3 {
        client.check(&format!("SELECT {db}"), OK);
        client.check("SET over 1 PX 1", OK);
    }
    std::thread::sleep(Duration::from_millis(20));
    client.check("SAVE", OK);
    stop(server);
    let server = folder.server(&["--save", ""]);
    let mut client = server.client();
    assert_eq!(field(&mut client, "rdb_last_load_keys_expired"), "3");
    assert_eq!(field(&mut client, "rdb_last_load_keys_loaded"), "1");
}

#[test]
fn a_long_script_in_a_log_is_run_and_clients_are_told_of_the_loading() {
    let folder = Folder::new();
    let server = folder.server(&[LOG, &["--busy-reply-threshold", "1"]].concat());
    let mut client = server.client();
    let text = "redis.call('set', KEYS[1], 'y') for i = 1, 300000 do redis.call('ping') end";
    let script = request(&[b"EVAL", text.as_bytes(), b"1", b"x"]);
    let log = [request(&[b"SELECT", b"0"]), script, request(&[b"INCR", b"n"])].concat();
    std::fs::write(folder.0.join("appendonlydir/appendonly.aof.1.incr.aof"), log).unwrap();
    let mut loader = server.client();
    loader.say("DEBUG LOADAOF");
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        client.say("PING");
        if client.line().starts_with("-LOADING") {
            break;
        }
        assert!(Instant::now() < end);
    }
    assert_eq!(loader.line(), "+OK");
    client.check("GET x", "$1\r\ny\r\n");
    client.check("GET n", "$1\r\n1\r\n");
}

#[test]
fn replies_wait_for_a_slow_disk_if_they_must() {
    let folder = Folder::new();
    let server = folder.server(&[LOG, &["--appendfsync", "always"]].concat());
    let mut client = server.client();
    client.check("DEBUG AOF-FLUSH-SLEEP 200000", OK);
    let began = Instant::now();
    client.check("SET k v", OK);
    assert!(began.elapsed() >= Duration::from_millis(200));
    client.check("DEBUG AOF-FLUSH-SLEEP 0", OK);
    let began = Instant::now();
    client.check("SET k v", OK);
    assert!(began.elapsed() < Duration::from_millis(200));
}

#[test]
fn a_restored_key_ends_when_it_should_also_after_a_restart() {
    let folder = Folder::new();
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("SET a 7", OK);
    client.say("DUMP a");
    let mut payload = vec![0; client.line()[1..].parse::<usize>().unwrap() + 2];
    client.stream.read_exact(&mut payload).unwrap();
    payload.truncate(payload.len() - 2);
    client.ask(&request(&[b"RESTORE", b"k", b"600000", &payload]), OK.as_bytes());
    client.check("SET gone x", OK);
    client.ask(
        &request(&[b"RESTORE", b"gone", b"5", &payload, b"ABSTTL", b"REPLACE"]),
        OK.as_bytes(),
    );
    client.check("INCR gone", ":1\r\n");
    stop(server);
    let server = folder.server(LOG);
    let mut client = server.client();
    client.check("GET k", "$1\r\n7\r\n");
    let left = client.int("PTTL k");
    assert!((500_000..=600_000).contains(&left), "{left}");
    client.check("GET gone", "$1\r\n1\r\n");
}

/// What a server says before a signal ends it, and which signal that is.
#[test]
fn who_dies_says_where() {
    for (segfault, signal) in [(true, 11), (false, 6)] {
        let folder = Folder::new();
        let log = folder.0.join("log");
        let mut server = folder.server(&["--logfile", log.to_str().unwrap(), "--save", ""]);
        match segfault {
            true => server.client().say("DEBUG SEGFAULT"),
            false => {
                let pid = server.process.id().to_string();
                Command::new("kill").args(["-ABRT", &pid]).status().unwrap();
            }
        }
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = server.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.signal(), Some(signal));
        let text = std::fs::read_to_string(&log).unwrap();
        for part in ["crashed by signal", "STACK TRACE", "worker-0", "END of the report"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}

//! What is acknowledged is kept: the server is killed at random moments under load, its log cut and
//! damaged, its disk filled, and what it has after the next start is compared with what it said before.
//!
//! `EONKV_CRASH_ROUNDS` says how often each is done (3 if it says nothing).

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::folder::{Folder, digest, field, stop, until};
use server::{Client, Server, request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ALWAYS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
const EVERYSEC: &[&str] = &["--appendonly", "yes", "--appendfsync", "everysec"];

fn rounds() -> usize {
    let rounds = std::env::var("EONKV_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    rounds.unwrap_or(3)
}

/// A client that pushes numbers in order onto its own list, adds to its own counter and moves money in a
/// transaction, in pipelines, until the server dies. Counts what was acknowledged.
fn load(port: u16, number: usize, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (list, counter) = (format!("list:{number}"), format!("counter:{number}"));
    let mut next = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut batch = Vec::new();
        for _ in 0..16 {
            next += 1;
            let text = next.to_string();
            let amount = (next % 7).to_string();
            let (from, to) = (format!("account:{}", next % 5), format!("account:{}", next % 3 + 5));
            batch.extend(request(&[b"RPUSH", list.as_bytes(), text.as_bytes()]));
            batch.extend(request(&[b"INCR", counter.as_bytes()]));
            batch.extend(request(&[b"MULTI"]));
            batch.extend(request(&[b"DECRBY", from.as_bytes(), amount.as_bytes()]));
            batch.extend(request(&[b"INCRBY", to.as_bytes(), amount.as_bytes()]));
            batch.extend(request(&[b"EXEC"]));
        }
        if stream.write_all(&batch).is_err() {
            return;
        }
        // Each round replies `:n :n +OK +QUEUED +QUEUED *2 :n :n`: eight lines.
        let mut lines = 0;
        let mut buffer = [0; 4096];
        while lines < 16 * 8 {
            match stream.read(&mut buffer) {
                Ok(n) if n > 0 => {
                    lines += buffer[..n].iter().filter(|byte| **byte == b'\n').count();
                    acknowledged.store(next - 16 + (lines / 8) as u64, Ordering::SeqCst);
                }
                _ => return,
            }
        }
    }
}

/// Runs `work` on a server under the load of four clients, ends it, and returns what each client was told.
fn under_load(server: Server, work: impl FnOnce(&Server), end: impl FnOnce(Server)) -> Vec<u64> {
    let acknowledged: Vec<Arc<AtomicU64>> = (0..4).map(|_| Arc::default()).collect();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = acknowledged
        .iter()
        .enumerate()
        .map(|(number, acknowledged)| {
            let (acknowledged, over, port) =
                (Arc::clone(acknowledged), Arc::clone(&over), server.port);
            std::thread::spawn(move || load(port, number, &acknowledged, &over))
        })
        .collect();
    work(&server);
    end(server);
    over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect()
}

/// Lists are `1, 2, 3 …` without a gap, counters and lists agree up to what a cut between them may leave, and
/// no money came or went. Returns how far each client's list goes.
fn check(client: &mut Client) -> Vec<u64> {
    let total: i64 = (0..8).map(|i| value(client, &format!("GET account:{i}"))).sum();
    assert_eq!(total, 0, "half a transaction is there");
    (0..4)
        .map(|number| {
            client.say(&format!("LRANGE list:{number} 0 -1"));
            let list = client.texts();
            let is_whole = list.iter().enumerate().all(|(i, text)| *text == (i + 1).to_string());
            assert!(is_whole, "list {number} has gaps");
            let counted = value(client, &format!("GET counter:{number}"));
            let len = list.len() as i64;
            assert!(counted == len || counted == len - 1, "{counted} counted, {len} pushed");
            list.len() as u64
        })
        .collect()
}

/// Lets redis-server load the log and write it anew. False if there is none.
fn through_redis(folder: &Folder) -> bool {
    let Some((mut redis, mut client)) = folder.redis() else { return false };
    client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    until(&mut client, "aof_rewrite_in_progress", "0");
    assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
    client.say("SHUTDOWN NOSAVE");
    redis.0.wait().unwrap();
    true
}

fn value(client: &mut Client, command: &str) -> i64 {
    client.say(command);
    let head = client.line();
    if head == "$-1" { 0 } else { client.line().parse().unwrap() }
}

fn kill(mut server: Server) {
    server.process.kill().unwrap();
    server.process.wait().unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_with_always() {
    for round in 0..rounds() {
        let folder = Folder::new();
        let pause = Duration::from_millis(100 + round as u64 * 37 % 200);
        let told = under_load(folder.server(ALWAYS), |_| std::thread::sleep(pause), kill);
        let server = folder.server(ALWAYS);
        let kept = check(&mut server.client());
        for (told, kept) in told.iter().zip(&kept) {
            assert!(kept >= told, "round {round}: {told} acknowledged, {kept} kept");
        }
        assert!(told.iter().sum::<u64>() > 0, "the clients did nothing");
    }
}

#[test]
fn what_everysec_keeps_is_a_prefix() {
    for round in 0..rounds() {
        let folder = Folder::new();
        let pause = Duration::from_millis(150 + round as u64 * 53 % 300);
        under_load(folder.server(EVERYSEC), |_| std::thread::sleep(pause), kill);
        check(&mut folder.server(EVERYSEC).client());
    }
}

#[test]
fn rewrites_under_load_lose_and_double_nothing() {
    for round in 0..rounds() {
        let folder = Folder::new();
        let rewrite = |server: &Server| {
            let mut client = server.client();
            for i in 0..4 {
                let preamble = if (round + i) % 2 == 0 { "yes" } else { "no" };
                client.check(&format!("CONFIG SET aof-use-rdb-preamble {preamble}"), "+OK\r\n");
                std::thread::sleep(Duration::from_millis(30));
                client.say("BGREWRITEAOF");
                assert!(client.line().starts_with("+Background append only file rewriting"));
                until(&mut client, "aof_rewrite_scheduled", "0");
                until(&mut client, "aof_rewrite_in_progress", "0");
                assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
            }
        };
        let told = under_load(folder.server(ALWAYS), rewrite, kill);
        let server = folder.server(ALWAYS);
        let kept = check(&mut server.client());
        assert!(told.iter().zip(&kept).all(|(told, kept)| kept >= told), "{told:?} {kept:?}");
        let sum = digest(&mut server.client());
        kill(server);
        let server = folder.server(ALWAYS);
        assert_eq!(digest(&mut server.client()), sum, "another start, other data");
        kill(server);
        if through_redis(&folder) {
            let server = folder.server(ALWAYS);
            assert_eq!(digest(&mut server.client()), sum, "Redis read something else");
        }
    }
}

#[test]
fn the_log_is_turned_on_and_off_while_clients_write() {
    let folder = Folder::new();
    let toggle = |server: &Server| {
        let mut client = server.client();
        for _ in 0..3 {
            client.check("CONFIG SET appendonly yes", "+OK\r\n");
            until(&mut client, "aof_rewrites_consecutive_failures", "0");
            std::thread::sleep(Duration::from_millis(300));
            client.check("CONFIG SET appendonly no", "+OK\r\n");
            std::thread::sleep(Duration::from_millis(200));
        }
        client.check("CONFIG SET appendonly yes", "+OK\r\n");
        until(&mut client, "aof_rewrite_scheduled", "0");
        until(&mut client, "aof_rewrite_in_progress", "0");
    };
    let told = under_load(folder.server(&["--appendfsync", "always"]), toggle, kill);
    let kept = check(&mut folder.server(ALWAYS).client());
    assert!(told.iter().zip(&kept).all(|(told, kept)| kept >= told), "{told:?} {kept:?}");
}

#[test]
fn what_redis_wrote_is_loaded_and_the_other_way_round() {
    let folder = Folder::new();
    let Some((mut redis, mut client)) = folder.redis() else { return };
    for i in 1..=200 {
        client.check(&format!("RPUSH list {i}"), &format!(":{i}\r\n"));
        client.check(&format!("ZADD zset {i} m{i}"), ":1\r\n");
        client.say(&format!("XADD stream {i}-1 field {i}"));
        assert_eq!(client.bulk(), format!("{i}-1"));
    }
    client.check("SET after 1 EX 1000", "+OK\r\n");
    client.say("SHUTDOWN NOSAVE");
    redis.0.wait().unwrap();
    let server = folder.server(ALWAYS);
    let sum = digest(&mut server.client());
    server.client().check("LINDEX list 199", "$3\r\n200\r\n");
    kill(server);
    assert!(through_redis(&folder)); // now there is a base as Redis writes it
    let server = folder.server(ALWAYS);
    let mut client = server.client();
    assert_eq!(digest(&mut client), sum);
    client.check("HSET ours a 1", ":1\r\n");
    let sum = digest(&mut client);
    kill(server);
    let check = Command::new("redis-check-aof")
        .arg(folder.0.join("appendonlydir/appendonly.aof.manifest"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    assert!(through_redis(&folder));
    let server = folder.server(ALWAYS);
    assert_eq!(digest(&mut server.client()), sum);
}

#[test]
fn waitaof_comes_back_when_the_disk_has_it() {
    let folder = Folder::new();
    let server = folder.server(EVERYSEC);
    let mut client = server.client();
    client.check("SET k v", "+OK\r\n");
    client.check("WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n");
    client.check("WAITAOF 0 1 20", "*2\r\n:1\r\n:0\r\n");
    client.check("WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1\r\n");
    client.check("CONFIG SET appendonly no", "+OK\r\n");
    client.check(
        "WAITAOF 1 0 0",
        "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n",
    );
}

#[test]
fn a_cut_tail_is_its_longest_prefix_and_damage_is_refused() {
    let folder = Folder::new();
    let server = folder.server(ALWAYS);
    let mut client = server.client();
    for i in 1..=20 {
        client.check(&format!("RPUSH l {i}"), &format!(":{i}\r\n"));
    }
    client.check("MULTI", "+OK\r\n");
    client.check("SET a 1", "+QUEUED\r\n");
    client.check("SET b 1", "+QUEUED\r\n");
    client.check("EXEC", "*2\r\n+OK\r\n+OK\r\n");
    stop(server);
    let path = folder.0.join("appendonlydir/appendonly.aof.1.incr.aof");
    let whole = std::fs::read(&path).unwrap();
    for cut in [1, 5, 20, 40, 60, 100, 200] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let server = folder.server(ALWAYS);
        let mut client = server.client();
        let both = client.int("EXISTS a b");
        assert!(both == 0, "cut by {cut}: half a transaction");
        client.say("LRANGE l 0 -1");
        let list = client.texts();
        assert!(list.iter().enumerate().all(|(i, text)| *text == (i + 1).to_string()));
        kill(server);
    }
    // One flipped bit in the middle: refused, with the place.
    for at in [whole.len() / 3, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--unixsocket"])
            .arg(folder.0.join("socket"))
            .arg("--dir")
            .arg(&folder.0)
            .output()
            .unwrap();
        assert!(!output.status.success(), "a flipped bit at {at} was served");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("appendonly.aof.1.incr.aof"), "{said}");
    }
}

/// A small disk of its own, if this machine lets us have one.
struct Small(Folder);

impl Small {
    fn new() -> Option<Self> {
        let folder = Folder::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&folder.0)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: a small disk cannot be mounted here");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0.0).output();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    for policy in ["always", "everysec", "no"] {
        let Some(disk) = Small::new() else { return };
        let options = ["--appendonly", "yes", "--appendfsync", policy];
        let server = disk.0.server(&options);
        let mut client = server.client();
        std::fs::write(disk.0.0.join("ballast"), vec![0; 1 << 20]).unwrap();
        let value = "x".repeat(20_000);
        let mut acknowledged = 0;
        let mut other = server.client();
        other.stream.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
        // With `always` the reply of the write that finds the disk full waits until it is not.
        let refused = (0..200).any(|i| {
            std::thread::sleep(Duration::from_millis(5));
            other.send(&request(&[b"SET", format!("k{i}").as_bytes(), value.as_bytes()]));
            let mut reply = [0; 128];
            match other.stream.read(&mut reply) {
                Ok(n) if reply[..n].starts_with(b"+OK") => {
                    acknowledged = i + 1;
                    false
                }
                Ok(n) => {
                    let text = String::from_utf8_lossy(&reply[..n]).into_owned();
                    assert!(
                        text.starts_with("-MISCONF Errors writing to the AOF file: "),
                        "{text}"
                    );
                    true
                }
                Err(_) => true,
            }
        });
        assert!(refused, "{policy}: the disk never was full");
        client.check("GET missing", "$-1\r\n");
        client.say("SET more 1");
        let line = client.line();
        assert!(line.starts_with("-MISCONF"), "{policy}: {line}");
        assert_eq!(field(&mut client, "aof_last_write_status"), "err");
        std::fs::remove_file(disk.0.0.join("ballast")).unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            client.say("SET more 1");
            match client.line() {
                ok if ok == "+OK" => break,
                other => assert!(other.starts_with("-MISCONF") && Instant::now() < end, "{other}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if policy == "no" {
            std::thread::sleep(Duration::from_millis(300)); // nobody says when it is written
        } else {
            client.check("WAITAOF 1 0 3000", "*2\r\n:1\r\n:0\r\n");
        }
        kill(server);
        let server = disk.0.server(&options);
        let mut client = server.client();
        for i in 0..acknowledged {
            assert_eq!(
                client.int(&format!("STRLEN k{i}")),
                20_000,
                "{policy}: k{i} was acknowledged"
            );
        }
        client.check("GET more", "$1\r\n1\r\n");
        kill(server);
    }
}

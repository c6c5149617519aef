//! What is acknowledged is kept: the server is killed at random moments under load, its log cut and
//! damaged, its disk filled, and what it has after the next start is compared with what it said before.
//!
//! `EONKV_CRASH_ROUNDS` says how often each is done (3 if it says nothing).

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::folder::{Folder, digest, field, kill, stop, until};
use server::transfers::{ALWAYS, EVERYSEC, Load, check, rounds, under_load, while_loaded};
use server::{Client, Server, random, request};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

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

#[test]
fn nothing_acknowledged_is_lost_with_always() {
    for round in 0..rounds() {
        let folder = Folder::new();
        let pause = Duration::from_millis(100 + round as u64 * 37 % 200);
        let told = under_load(folder.server(ALWAYS), |_, _| std::thread::sleep(pause), kill);
        let server = folder.server(ALWAYS);
        let kept = check(&mut server.client());
        for (told, kept) in told.iter().zip(&kept) {
            assert!(kept >= told, "round {round}: {told} acknowledged, {kept} kept");
        }
        assert!(told.iter().sum::<u64>() > 0, "the clients did nothing");
    }
}

#[test]
fn what_everysec_keeps_is_a_prefix_up_to_about_now() {
    for round in 0..rounds() {
        let folder = Folder::new();
        let pause = Duration::from_millis(150 + round as u64 * 53 % 300);
        let mut safe = Vec::new();
        let work = |_: &Server, load: &Load| {
            std::thread::sleep(pause);
            safe = load.told();
            std::thread::sleep(Duration::from_secs(2)); // the window, on a busy machine
        };
        under_load(folder.server(EVERYSEC), work, kill);
        let kept = check(&mut folder.server(EVERYSEC).client());
        assert!(safe.iter().zip(&kept).all(|(safe, kept)| kept >= safe), "{safe:?} {kept:?}");
    }
}

#[test]
fn rewrites_under_load_lose_and_double_nothing() {
    for round in 0..rounds() {
        let folder = Folder::new();
        let rewrite = |server: &Server, _: &Load| {
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

/// BGREWRITEAOF and BGSAVE under load: what is loaded afterwards, from either, is what was there.
#[test]
fn log_and_snapshot_say_the_same() {
    for round in 0..rounds() {
        let (folder, copy) = (Folder::new(), Folder::new());
        let server = folder.server(ALWAYS);
        let save = |client: &mut Client| {
            client.check("BGSAVE", "+Background saving started\r\n");
            until(client, "rdb_bgsave_in_progress", "0");
            assert_eq!(field(client, "rdb_last_bgsave_status"), "ok");
        };
        while_loaded(&server, || {
            let mut client = server.client();
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(30 + round as u64 * 41 % 100));
                client.say("BGREWRITEAOF");
                assert!(client.line().starts_with('+'));
                until(&mut client, "aof_rewrite_in_progress", "0");
                save(&mut client);
            }
            std::fs::copy(folder.snapshot(), copy.snapshot()).unwrap();
        });
        let mut client = server.client();
        let sum = digest(&mut client);
        save(&mut client);
        assert_eq!(digest(&mut client), sum);
        kill(server);
        let server = folder.server(ALWAYS);
        assert_eq!(digest(&mut server.client()), sum, "round {round}: the log says something else");
        kill(server);
        let server = folder.server(&[]);
        assert_eq!(digest(&mut server.client()), sum, "round {round}: the snapshot does");
        // The one that was made under load is of one instant: no gaps, and all the money is there.
        check(&mut copy.server(&[]).client());
    }
}

#[test]
fn the_log_is_turned_on_and_off_while_clients_write() {
    let folder = Folder::new();
    let toggle = |server: &Server, _: &Load| {
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

/// What a tool of Redis says of a file; none if it is not installed.
fn tool(name: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let Ok(output) = Command::new(name).args(arguments).arg(file).output() else {
        eprintln!("SKIPPED: there is no {name}");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name} {}: {said}", file.display());
    Some(said)
}

/// With times in the log, and either kind of base; and a log that was cut at a time is loaded.
#[test]
fn the_tools_of_redis_accept_what_is_written() {
    for preamble in ["yes", "no"] {
        let folder = Folder::new();
        let more = ["--aof-timestamp-enabled", "yes", "--aof-use-rdb-preamble", preamble];
        let options = [ALWAYS, &more].concat();
        let server = folder.server(&options);
        let mut client = server.client();
        client.check("SET a 1", "+OK\r\n");
        client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
        until(&mut client, "aof_rewrite_in_progress", "0");
        client.check("SET b 1", "+OK\r\n");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        std::thread::sleep(Duration::from_millis(2_100)); // times are whole seconds
        client.check("SET c 1", "+OK\r\n");
        client.check("SAVE", "+OK\r\n");
        stop(server);
        let manifest = folder.0.join("appendonlydir/appendonly.aof.manifest");
        let Some(said) = tool("redis-check-aof", &[], &manifest) else { return };
        assert!(said.contains("All AOF files and manifest are valid"), "{said}");
        let Some(said) = tool("redis-check-rdb", &[], &folder.snapshot()) else { return };
        assert!(said.contains("RDB looks OK"), "{said}");
        let at = now.as_secs().to_string();
        let Some(said) = tool("redis-check-aof", &["--truncate-to-timestamp", &at], &manifest)
        else {
            return;
        };
        assert!(said.contains("Successfully truncated AOF"), "{said}");
        let server = folder.server(&options);
        server.client().check("MGET a b c", "*3\r\n$1\r\n1\r\n$1\r\n1\r\n$-1\r\n");
    }
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

/// A log whose last group is a transaction.
fn small_log(folder: &Folder) -> Vec<u8> {
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
    std::fs::read(folder.increment()).unwrap()
}

/// At every byte of the last records, and further towards the beginning the more rounds there are.
#[test]
fn a_cut_tail_is_its_longest_prefix() {
    let folder = Folder::new();
    let whole = small_log(&folder);
    let mut least = usize::MAX;
    for cut in 1..whole.len().min(60 * rounds()) {
        std::fs::write(folder.increment(), &whole[..whole.len() - cut]).unwrap();
        let server = folder.server(ALWAYS);
        let mut client = server.client();
        let both = client.int("EXISTS a b");
        assert!(both == 0, "cut by {cut}: half a transaction");
        client.say("LRANGE l 0 -1");
        let list = client.texts();
        assert!(list.iter().enumerate().all(|(i, text)| *text == (i + 1).to_string()));
        assert!(list.len() <= least, "cut by {cut}: more than before");
        least = list.len();
        kill(server);
    }
    assert!(least < 20, "no record was cut");
}

/// One bit anywhere, in the log, its base, or a snapshot: the start is refused, with words, not with a crash.
#[test]
fn a_flipped_bit_is_found() {
    let folder = Folder::new();
    let whole = small_log(&folder);
    let mut state = 88_172_645_463_325_252;
    let mut flips = |path: &Path, whole: &[u8], options: &[&str], name: &str| {
        for _ in 0..5 * rounds() {
            let (at, bit) = (random(&mut state) % whole.len(), random(&mut state) % 8);
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1 << bit;
            std::fs::write(path, &damaged).unwrap();
            let (code, said) = folder.fails(options);
            assert!(code == Some(1), "bit {bit} of byte {at} of {name}: {code:?} {said}");
            assert!(said.contains(name), "bit {bit} of byte {at}: {said}");
        }
        std::fs::write(path, whole).unwrap();
    };
    flips(&folder.increment(), &whole, ALWAYS, "appendonly.aof.1.incr.aof");
    let server = folder.server(ALWAYS);
    let mut client = server.client();
    client.check("DEBUG POPULATE 1000 key 20", "+OK\r\n");
    client.check("SAVE", "+OK\r\n");
    client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    until(&mut client, "aof_rewrite_in_progress", "0");
    let sum = digest(&mut client);
    stop(server);
    let base = folder.base();
    let name = base.file_name().unwrap().to_str().unwrap();
    flips(&base, &std::fs::read(&base).unwrap(), ALWAYS, name);
    let snapshot = std::fs::read(folder.snapshot()).unwrap();
    flips(&folder.snapshot(), &snapshot, &[], "Fatal error loading the DB");
    for options in [ALWAYS, &[]] {
        assert_eq!(digest(&mut folder.server(options).client()), sum);
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

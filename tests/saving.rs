//! BGSAVE, save points, the save before the end, and what happens when saving fails: of a real server,
//! in a folder of its own.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::Client;
use server::folder::{Folder, digest, ended, field, until};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What redis-check-rdb says of a file, where there is one.
fn is_whole(path: &Path) {
    if let Ok(output) = Command::new("redis-check-rdb").arg(path).output() {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("RDB looks OK"), "{said}");
    }
}

/// Values of all types, small and large.
fn fill(client: &mut Client) {
    for i in 0..1_000 {
        client.check(&format!("SET string:{i} value:{i}"), "+OK\r\n");
        client.check(&format!("INCRBY number:{i} {i}"), &format!(":{i}\r\n"));
    }
    client.check("SELECT 5", "+OK\r\n");
    for kind in ["few", "many"] {
        let count = if kind == "few" { 5 } else { 3_000 };
        for i in 0..count {
            client.say(&format!("HSET hash:{kind} field:{i} {i}"));
            client.say(&format!("SADD set:{kind} member:{i}"));
            client.say(&format!("ZADD zset:{kind} {i}.5 member:{i}"));
            client.say(&format!("RPUSH list:{kind} element:{i}"));
            client.say(&format!("XADD stream:{kind} {}-1 field {i}", i + 1));
            (0..4).for_each(|_| _ = client.line());
            client.bulk();
        }
    }
    client.check("XGROUP CREATE stream:many group 0", "+OK\r\n");
    client.check("EXPIRE hash:few 10000", ":1\r\n");
}

#[test]
fn what_is_saved_in_the_background_comes_back() {
    let folder = Folder::new();
    let mut server = folder.server(&[]);
    let mut client = server.client();
    fill(&mut client);
    let before = digest(&mut client);
    client.check("BGSAVE whatever", "-ERR syntax error\r\n");
    let none = "-ERR Background saving is currently not in progress or scheduled\r\n";
    client.check("BGSAVE CANCEL", none);
    client.check("BGSAVE", "+Background saving started\r\n");
    until(&mut client, "rdb_bgsave_in_progress", "0");
    assert_eq!(field(&mut client, "rdb_last_bgsave_status"), "ok");
    assert_eq!(field(&mut client, "rdb_changes_since_last_save"), "0");
    assert_eq!(field(&mut client, "rdb_saves"), "1");
    is_whole(&folder.snapshot());
    client.check("MULTI", "+OK\r\n");
    client.check("BGSAVE", "+QUEUED\r\n");
    client.check("EXEC", "*1\r\n+Background saving scheduled\r\n");
    until(&mut client, "rdb_saves", "2");
    let _ = server.process.kill();
    ended(&mut server);
    let server = folder.server(&[]);
    let mut client = server.client();
    assert_eq!(digest(&mut client), before);
}

/// Transfers go on while snapshots are made: each file that is loaded has the total.
#[test]
fn snapshots_under_load_keep_the_total() {
    const ACCOUNTS: usize = 300;
    let folder = Folder::new();
    for round in 0..3 {
        let mut server = folder.server(&[]);
        let mut client = server.client();
        if round == 0 {
            for i in 0..ACCOUNTS {
                client.check(&format!("SET account:{i} 100"), "+OK\r\n");
            }
        }
        let mut total = 0;
        for i in 0..ACCOUNTS {
            client.say(&format!("GET account:{i}"));
            total += client.bulk().parse::<i64>().unwrap();
        }
        assert_eq!(total, 100 * ACCOUNTS as i64, "round {round}");
        let mut other = server.client();
        let mut ran = 0;
        client.check("BGSAVE", "+Background saving started\r\n");
        while ran < 200 || field(&mut client, "rdb_bgsave_in_progress") == "1" {
            for i in 0..50 {
                let (from, to) = ((ran * 7 + i) % ACCOUNTS, (ran * 13 + 3 * i) % ACCOUNTS);
                other.say("MULTI");
                other.say(&format!("DECR account:{from}"));
                other.say(&format!("INCR account:{to}"));
                other.say("EXEC");
                (0..6).for_each(|_| _ = other.line());
            }
            ran += 50;
        }
        assert_eq!(field(&mut client, "rdb_last_bgsave_status"), "ok");
        let _ = server.process.kill();
        ended(&mut server);
    }
}

#[test]
fn save_points_and_flushall_save_by_themselves() {
    let folder = Folder::new();
    let server = folder.server(&["--save", "1 3"]);
    let mut client = server.client();
    (0..3).for_each(|i| client.check(&format!("SET {i} 1"), "+OK\r\n"));
    until(&mut client, "rdb_saves", "1");
    assert_eq!(field(&mut client, "rdb_changes_since_last_save"), "0");
    let size = std::fs::metadata(folder.snapshot()).unwrap().len();
    client.check("FLUSHALL", "+OK\r\n");
    until(&mut client, "rdb_saves", "2");
    assert!(std::fs::metadata(folder.snapshot()).unwrap().len() < size);
}

#[test]
fn while_saving_fails_writes_are_refused_and_the_server_does_not_end() {
    let folder = Folder::new();
    let mut server = folder.server(&["--save", "1000 1000000"]);
    let mut client = server.client();
    client.check("SET key value", "+OK\r\n");
    std::fs::create_dir(folder.0.join("folder")).unwrap();
    client.check("CONFIG SET dbfilename folder", "+OK\r\n");
    client.check("BGSAVE", "+Background saving started\r\n");
    until(&mut client, "rdb_last_bgsave_status", "err");
    std::thread::sleep(Duration::from_millis(300));
    for command in ["SET key other", "PING"] {
        client.say(command);
        let line = client.line();
        assert!(line.starts_with("-MISCONF Redis is configured to save RDB snapshots"), "{line}");
    }
    client.check("GET key", "$5\r\nvalue\r\n");
    client.check("CONFIG SET stop-writes-on-bgsave-error no", "+OK\r\n");
    std::thread::sleep(Duration::from_millis(300));
    client.check("SET key other", "+OK\r\n");
    client.check("SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    client.check("SET key third", "+OK\r\n");
    client.check("CONFIG SET dbfilename dump.rdb", "+OK\r\n");
    client.say("SHUTDOWN");
    assert!(ended(&mut server).success());
    let left: Vec<_> =
        std::fs::read_dir(&folder.0).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("temp-")), "{left:?}");
    let server = folder.server(&[]);
    let mut client = server.client();
    client.check("GET key", "$5\r\nthird\r\n");
}

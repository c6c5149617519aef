//! The data directory as an operator meets it: taken, damaged, encrypted, left while it is read.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::Server;
use server::folder::{Folder, digest, ended, field, kill, stop, until};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const ALWAYS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
const KEY: &[&str] = &["--encryption-key-file", "key"];

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_eonkv-server")).args(arguments).output();
    let Output { status, stdout, stderr } = command.unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// What a server says that does not start on a folder.
fn refusal(folder: &Folder, options: &[&str]) -> String {
    let (code, text) = folder.fails(options);
    assert_eq!(code, Some(1), "{text}");
    text
}

fn set(server: &Server, key: &str, value: &str) {
    server.client().check(&format!("SET {key} {value}"), "+OK\r\n");
}

/// Two key files, and one with the second key in front of the first.
fn keys(folder: &Folder) {
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    std::fs::write(folder.0.join("key"), &one).unwrap();
    std::fs::write(folder.0.join("other"), &two).unwrap();
    std::fs::write(folder.0.join("both"), format!("# new\n{two}\n# old\n{one}\n")).unwrap();
}

fn holds(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn a_second_server_is_told_who_was_first() {
    let folder = Folder::new();
    let first = folder.server(ALWAYS);
    let arguments = ["--dir", folder.path(), "--appendonly", "yes", "--port", "0"];
    let (code, text) = run(&arguments);
    let holder = format!("in use by process {}", first.process.id());
    assert!(code == Some(3) && text.contains(&holder), "{code:?} {text}");
}

/// Servers that have nothing to write share a directory, until one of them has.
#[test]
fn the_first_to_write_takes_the_directory() {
    let folder = Folder::new();
    let (first, second) = (folder.server(&[]), folder.server(&[]));
    let (mut one, mut other) = (first.client(), second.client());
    one.check("SAVE", "+OK\r\n");
    let holder = format!("in use by process {}", first.process.id());
    for (command, begin) in [
        ("SAVE", "-ERR The data directory "),
        ("BGSAVE", "-ERR The data directory "),
        ("BGREWRITEAOF", "-ERR The data directory "),
        (
            "CONFIG SET appendonly yes",
            "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - The data directory ",
        ),
        (
            "CONFIG SET maxmemory 1gb appendonly yes",
            "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - The data directory ",
        ),
    ] {
        other.say(command);
        let line = other.line();
        assert!(line.starts_with(begin) && line.contains(&holder), "{command}: {line}");
    }
    other.send(&server::request(&[b"CONFIG", b"SET", b"save", b"1 1"]));
    let line = other.line();
    assert!(line.contains("argument 'save'") && line.contains(&holder), "{line}");
    other.check("CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
    other.check("CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n");
    other.check("SET key value", "+OK\r\n");
    kill(first);
    other.check("CONFIG SET appendonly yes", "+OK\r\n");
    until(&mut other, "aof_rewrite_in_progress", "0");
    assert_eq!(field(&mut other, "aof_last_bgrewrite_status"), "ok");
    kill(second);
    folder.server(ALWAYS).client().check("GET key", "$5\r\nvalue\r\n");
}

/// Files that a crash left under temporary names go when a server takes the directory, and no others.
#[test]
fn what_a_crash_left_is_removed() {
    let folder = Folder::new();
    kill(folder.server(ALWAYS));
    let files =
        ["temp-1-0.rdb", "appendonlydir/temp-rewriteaof-bg-1.aof", "temp-1.rdb", "temp.txt"];
    let put = || files.iter().for_each(|name| std::fs::write(folder.0.join(name), "x").unwrap());
    let there = || files.map(|name| folder.0.join(name).exists());
    put();
    kill(folder.server(ALWAYS));
    assert_eq!(there(), [false, false, true, true]);
    put();
    let server = folder.server(&[]);
    assert_eq!(there(), [true; 4], "nothing is ours yet");
    server.client().check("SAVE", "+OK\r\n");
    assert_eq!(there(), [false, true, true, true]);
}

/// A directory where nobody can write is no reason not to start: only saving fails.
#[test]
fn a_directory_that_is_read_only_is_nobodys() {
    let server = Server::start(&["--dir", "/sys", "--save", "10000 10000"]);
    let mut client = server.client();
    client.check("SET key value", "+OK\r\n");
    for command in ["SAVE", "BGSAVE"] {
        client.say(command);
        let line = client.line();
        let begin = "-ERR Cannot lock the data directory by ./eonkv.lock: Permission denied";
        assert!(line.starts_with(begin), "{command}: {line}");
    }
    client.check("GET key", "$5\r\nvalue\r\n");
}

#[test]
fn another_dir_is_taken_and_the_old_one_given_back() {
    let (here, there) = (Folder::new(), Folder::new());
    let (first, second) = (here.server(&["--save", "10000 1"]), there.server(ALWAYS));
    let mut client = first.client();
    client.check("SET key value", "+OK\r\n");
    let path = there.path();
    client.say(&format!("CONFIG SET dir {path}"));
    let holder = format!("argument 'dir') - The data directory {path} is in use by process");
    let line = client.line();
    assert!(line.contains(&holder), "{line}");
    client.check("CONFIG SET dir /nonexistent/place", "-ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or directory\r\n");
    client.check(&format!("CONFIG SET dir {}/.", here.path()), "+OK\r\n");
    second.client().check(&format!("CONFIG SET dir {}", here.path()), "-ERR CONFIG SET failed (possibly related to argument 'dir') - the append only file is written in the old directory: set appendonly to no first\r\n");
    kill(second);
    client.check(&format!("CONFIG SET dir {path}"), "+OK\r\n");
    client.check("SAVE", "+OK\r\n");
    assert!(there.snapshot().is_file() && !here.snapshot().is_file());
    let (code, _) = run(&["--dir", path, "--port", "0"]);
    assert_eq!(code, Some(3), "the new one is ours");
    drop(here.server(ALWAYS)); // the old one is not any more
}

#[test]
fn a_damaged_log_is_refused_and_repaired() {
    let folder = Folder::new();
    let server = folder.server(ALWAYS);
    for key in ["a", "b", "c"] {
        set(&server, key, "value");
    }
    drop(server);
    let mut bytes = std::fs::read(folder.increment()).unwrap();
    let place = bytes.windows(7).position(|window| window == b"b\r\n$5\r\n").unwrap();
    bytes[place + 9] ^= 4;
    std::fs::write(folder.increment(), &bytes).unwrap();
    let text = refusal(&folder, &["--appendonly", "yes"]);
    assert!(text.contains("appendonly.aof.1.incr.aof at offset"), "{text}");

    let (code, text) = run(&["--repair-aof", folder.path()]);
    assert!(code == Some(1) && text.contains("Nothing was changed"), "{code:?} {text}");
    assert_eq!(std::fs::read(folder.increment()).unwrap(), bytes);
    let (code, text) = run(&["--repair-aof", folder.path(), "--fix"]);
    assert!(code == Some(0) && text.contains("can be loaded again"), "{code:?} {text}");

    let server = folder.server(ALWAYS);
    server.client().check("MGET a b c", "*3\r\n$5\r\nvalue\r\n$-1\r\n$-1\r\n");
}

#[test]
fn a_damaged_base_is_left_alone_and_what_helps_is_said() {
    let folder = Folder::new();
    let server = folder.server(ALWAYS);
    let mut client = server.client();
    client.check("DEBUG POPULATE 5000 key 100", "+OK\r\n");
    client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    until(&mut client, "aof_rewrite_in_progress", "0");
    kill(server);
    let base = folder.base();
    let mut bytes = std::fs::read(&base).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&base, &bytes).unwrap();
    let text = refusal(&folder, ALWAYS);
    assert!(text.contains("base.rdb"), "{text}");
    let look = |expected: &str| {
        for options in [&[][..], &["--fix"]] {
            let (code, text) = run(&[&["--repair-aof", folder.path()], options].concat());
            assert!(code == Some(2) && text.contains("which no cut can mend"), "{code:?} {text}");
            assert!(text.contains(expected) && text.contains("stand before"), "{text}");
            assert_eq!(std::fs::read(&base).unwrap(), bytes);
        }
    };
    look("There is no snapshot");
    let server = folder.server(&[]);
    server.client().check("DEBUG POPULATE 77 key", "+OK\r\n");
    server.client().check("SAVE", "+OK\r\n");
    // The lock is that of the data directory, also if only a file in it is named.
    let (code, text) = run(&["--repair-aof", base.to_str().unwrap(), "--fix"]);
    assert!(code == Some(2) && text.contains("is in use by process"), "{code:?} {text}");
    kill(server);
    look("77 keys, is good");
    let mut snapshot = std::fs::read(folder.snapshot()).unwrap();
    snapshot[100] ^= 1;
    std::fs::write(folder.snapshot(), snapshot).unwrap();
    look("is damaged, too");
}

#[test]
fn an_encrypted_log_wants_its_key() {
    let folder = Folder::new();
    keys(&folder);
    let server = folder.server(&[ALWAYS, KEY].concat());
    set(&server, "secret", "hidden-words");
    drop(server);
    assert!(!holds(&std::fs::read(folder.increment()).unwrap(), "hidden-words"));

    let text = refusal(&folder, ALWAYS);
    assert!(text.contains("is encrypted with the key"), "{text}");
    let text = refusal(&folder, &[ALWAYS, &["--encryption-key-file", "other"]].concat());
    assert!(text.contains("and the encryption key file holds"), "{text}");

    let server = folder.server(&[ALWAYS, KEY].concat());
    server.client().check("GET secret", "$12\r\nhidden-words\r\n");
}

/// SAVE, BGSAVE, save points, the save at the end and DEBUG RELOAD all write what only the key opens.
#[test]
fn encrypted_snapshots_are_written_by_everybody_and_read_again() {
    let folder = Folder::new();
    keys(&folder);
    let server = folder.server(&[KEY, &["--rdbcompression", "no"]].concat());
    let mut client = server.client();
    set(&server, "secret", "hidden-words");
    client.check("DEBUG POPULATE 20000 filler 100", "+OK\r\n"); // more than a record
    let sum = digest(&mut client);
    let is_sealed = || {
        let bytes = std::fs::read(folder.snapshot()).unwrap();
        assert!(bytes.starts_with(b"EONKSEAL") && bytes.len() > 1 << 20);
        assert!(!holds(&bytes, "hidden-words") && !holds(&bytes, "filler:1"));
        std::fs::remove_file(folder.snapshot()).unwrap();
    };
    client.check("SAVE", "+OK\r\n");
    is_sealed();
    client.check("BGSAVE", "+Background saving started\r\n");
    until(&mut client, "rdb_bgsave_in_progress", "0");
    is_sealed();
    client.check("DEBUG RELOAD", "+OK\r\n");
    assert_eq!(digest(&mut client), sum);
    is_sealed();
    client.send(&server::request(&[b"CONFIG", b"SET", b"save", b"1 1"]));
    client.expect(b"+OK\r\n");
    client.check("APPEND secret 1", ":13\r\n");
    let end = Instant::now() + Duration::from_secs(20);
    while !folder.snapshot().is_file() {
        assert!(Instant::now() < end, "no save point");
        std::thread::sleep(Duration::from_millis(10));
    }
    is_sealed();
    client.check("APPEND secret 2", ":14\r\n");
    let (sum, mut server) = (digest(&mut client), server);
    client.say("SHUTDOWN SAVE");
    assert!(ended(&mut server).success());
    let server = folder.server(KEY);
    assert_eq!(digest(&mut server.client()), sum);
    stop(server);
    is_sealed();
}

#[test]
fn an_encrypted_snapshot_wants_its_key_and_all_of_its_bytes() {
    let folder = Folder::new();
    keys(&folder);
    let server = folder.server(KEY);
    server.client().check("DEBUG POPULATE 20000 key 100", "+OK\r\n");
    server.client().check("SAVE", "+OK\r\n");
    kill(server);
    let text = refusal(&folder, &[]);
    assert!(text.contains("dump.rdb: the file is encrypted with the key"), "{text}");
    let text = refusal(&folder, &["--encryption-key-file", "other"]);
    assert!(text.contains("and the encryption key file holds"), "{text}");
    let text = refusal(&folder, &["--encryption-key-file", "missing"]);
    assert!(text.contains("Can't read the encryption key file missing"), "{text}");

    let whole = std::fs::read(folder.snapshot()).unwrap();
    let at = |at: usize| format!("it cannot be decrypted from offset {at} on");
    let (first, later) = (at(48), "it cannot be decrypted from offset".to_owned());
    for (place, found) in [(60, &first), (1_000, &first), (whole.len() - 1_000, &later)] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(folder.snapshot(), damaged).unwrap();
        let text = refusal(&folder, KEY);
        assert!(text.contains(found), "{place}: {text}");
        assert_eq!(text.contains(&first), place <= 1_000, "{place}: {text}");
    }
    for (bytes, why) in [
        (whole[..whole.len() - 52].to_vec(), "it ends in the middle"),
        (whole[..100].to_vec(), "it ends in the middle"),
        ([&whole[..], b"more"].concat(), "something stands behind its end"),
    ] {
        std::fs::write(folder.snapshot(), bytes).unwrap();
        let text = refusal(&folder, KEY);
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[test]
fn keys_of_snapshots_are_introduced_and_exchanged_by_saving() {
    let folder = Folder::new();
    keys(&folder);
    let both = ["--encryption-key-file", "both"];
    let saved = |options: &[&str]| {
        let server = folder.server(options);
        let mut client = server.client();
        client.say("INCR times");
        let times = client.line();
        client.check("SAVE", "+OK\r\n");
        kill(server);
        times
    };
    assert_eq!(saved(&[]), ":1");
    assert!(std::fs::read(folder.snapshot()).unwrap().starts_with(b"REDIS"));
    assert_eq!(saved(KEY), ":2", "a plain snapshot is read, and replaced by a sealed one");
    assert!(std::fs::read(folder.snapshot()).unwrap().starts_with(b"EONKSEAL"));
    assert_eq!(saved(&both), ":3");
    assert!(refusal(&folder, KEY).contains("and the encryption key file holds"));
    assert_eq!(saved(&["--encryption-key-file", "other"]), ":4");
}

/// A log and a snapshot that take long to load.
fn long_to_load(folder: &Folder) {
    let server = folder.server(&["--appendonly", "yes", "--rdbcompression", "no"]);
    let mut client = server.client();
    client.check("DEBUG POPULATE 10000 key 200", "+OK\r\n");
    client.check("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    until(&mut client, "aof_rewrite_in_progress", "0");
    client.check("SAVE", "+OK\r\n");
    stop(server);
}

#[test]
fn a_server_that_loads_tells_how_far_it_is() {
    let folder = Folder::new();
    long_to_load(&folder);
    for appendonly in ["no", "yes"] {
        let server = folder.start(&["--appendonly", appendonly, "--key-load-delay", "150"]);
        let mut client = server.client();
        let number = |client: &mut server::Client, name: &str| -> f64 {
            field(client, name).parse().unwrap()
        };
        let total = number(&mut client, "loading_total_bytes");
        assert!(total > 2e6 && number(&mut client, "loading_start_time") > 1.7e9, "{total}");
        assert_eq!(field(&mut client, "async_loading"), "0");
        let (mut seen, mut before) = (0, 0.0);
        let end = Instant::now() + Duration::from_secs(60);
        while field(&mut client, "loading") == "1" {
            assert!(Instant::now() < end, "it does not end");
            let info = client.info("persistence");
            let of = |name: &str| -> Option<f64> {
                info.lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
            };
            let Some(done) = of("loading_loaded_bytes") else { break };
            assert!(done >= before && done <= total, "{before} {done} {total}");
            if done > before {
                seen += 1;
                let share = of("loading_loaded_perc").unwrap();
                assert!((share - done * 100.0 / total).abs() < 0.1, "{share}");
                // It takes some seconds, so what is left takes fewer than that, on a busy machine too.
                assert!(of("loading_eta_seconds").unwrap() < 60.0);
                assert!(appendonly == "yes" || of("loading_rdb_used_mem").unwrap() > 1e6);
            }
            before = done;
            client.say("GET key:1");
            let line = client.line();
            assert!(line.starts_with("-LOADING") || line == "$200", "{line}");
            if line == "$200" {
                client.line();
            }
            client.say("CONFIG SET dir .");
            let line = client.line();
            assert!(line.starts_with("-LOADING") || line.starts_with("-ERR") || line == "+OK");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(seen > 2, "{seen} steps were seen with appendonly {appendonly}");
        assert_eq!(client.int("DBSIZE"), 10_000);
        assert!(!client.info("persistence").contains("loading_eta_seconds"));
    }
}

#[test]
fn a_signal_ends_a_server_that_loads_at_once() {
    let folder = Folder::new();
    long_to_load(&folder);
    for (appendonly, signal) in [("no", "TERM"), ("yes", "TERM"), ("no", "INT"), ("yes", "INT")] {
        let options = ["--appendonly", appendonly, "--key-load-delay", "100000", "--save", "1 1"];
        let mut server = folder.start(&options);
        assert_eq!(field(&mut server.client(), "loading"), "1");
        let (began, pid) = (Instant::now(), server.process.id().to_string());
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success());
        assert_eq!(ended(&mut server).code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    let mut server = folder.start(&["--key-load-delay", "100000"]);
    server.client().say("SHUTDOWN");
    assert_eq!(ended(&mut server).code(), Some(0));
    let server = folder.server(&[]);
    assert_eq!(server.client().int("DBSIZE"), 10_000, "nothing was saved over it");
}

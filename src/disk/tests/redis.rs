//! Files go both ways: redis-server 7.0 loads ours, goes on with them, and we load what it left;
//! redis-check-aof finds nothing wrong. Says loudly if they are not installed.

use super::files::Folder;
use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Server {
    child: Child,
    stream: TcpStream,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    // Others of the kind may run at the same time; the kernel knows what is free.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(folder: &Folder, more: &[&str]) -> Option<Self> {
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "yes"])
            .args(more)
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("NOT TESTED: there is no redis-server to exchange files with");
            return None;
        };
        for _ in 0..200 {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut server = Self { child, stream };
                while server.ask("PING") != "+PONG\r\n" {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("redis-server does not listen: it did not take the files");
    }

    /// An inline command, and a reply that comes in one piece.
    fn ask(&mut self, text: &str) -> String {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        let mut reply = [0; 4096];
        let count = self.stream.read(&mut reply).unwrap();
        String::from_utf8_lossy(&reply[..count]).into_owned()
    }

    fn stop(mut self) {
        let _ = self.stream.write_all(b"SHUTDOWN\r\n");
        let _ = self.child.wait();
    }
}

fn check_aof(folder: &Folder) {
    let manifest = folder.0.join("appendonlydir/appendonly.aof.manifest");
    let Ok(output) = Command::new("redis-check-aof").arg(manifest).output() else {
        eprintln!("NOT TESTED: there is no redis-check-aof");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("All AOF files and manifest are valid"),
        "{text}"
    );
}

fn loaded(folder: &Folder) -> Vec<String> {
    let mut taken = Taken::default();
    read::load(&mut folder.open(), false, &mut taken).unwrap();
    taken.commands
}

#[test]
fn redis_goes_on_with_our_files_and_we_with_its() {
    let folder = Folder::new("exchange");
    let options = Options { timestamps: true, rdb_base: false, ..Options::default() };
    let mut base = |base: &mut BaseWriter| base.group(&set("base", "1"));
    let mut log = Log::open(folder.open(), options.clone(), 0, 0, &mut base).unwrap();
    let transaction = [&command(&["MULTI"])[..], &set("t1", "1"), &set("t2", "2")].concat();
    log.append([transaction, command(&["EXEC"])].concat().into(), 1);
    log.append(command(&["RPUSH", "list", "#EK:1", "*3", "\r\n"]).into(), 2);
    assert!(log.close(1_700_000_000_000));
    check_aof(&folder);

    let Some(mut server) = Server::start(&folder, &["--aof-timestamp-enabled", "yes"]) else {
        return;
    };
    assert_eq!(server.ask("DBSIZE"), ":4\r\n");
    assert_eq!(server.ask("GET t2"), "$1\r\n2\r\n");
    assert_eq!(server.ask("LLEN list"), ":3\r\n");
    assert_eq!(server.ask("SET theirs 1"), "+OK\r\n");
    server.stop();
    check_aof(&folder);

    let before = loaded(&folder);
    assert_eq!(before[before.len() - 1], "SET theirs 1");
    let mut log = Log::open(folder.open(), options, 9, 0, &mut no_base).unwrap();
    log.append(set("ours", "2"), 10);
    assert!(log.close(1_800_000_000_000));
    check_aof(&folder);
    assert_eq!(loaded(&folder).len(), before.len() + 1);

    let Some(mut server) = Server::start(&folder, &[]) else { return };
    assert_eq!(server.ask("MGET theirs ours"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert!(server.ask("BGREWRITEAOF").starts_with('+'));
    while server.ask("INFO persistence").contains("aof_rewrite_in_progress:1") {
        std::thread::sleep(Duration::from_millis(20));
    }
    server.ask("SET after 1");
    server.stop();
    let mut taken = Taken::default();
    read::load(&mut folder.open(), false, &mut taken).unwrap();
    assert!(taken.rdb.starts_with(b"REDIS0010"), "the base is in RDB form");
    assert_eq!(taken.commands.last().unwrap(), "SET after 1");
}

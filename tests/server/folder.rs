//! A server with a folder of its own for its data.

use super::{Client, Server};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A folder that is removed with the test.
pub struct Folder(pub PathBuf);

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Folder {
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("eonkv-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A server that has loaded what is there.
    pub fn server(&self, options: &[&str]) -> Server {
        self.server_with(options, &[])
    }

    /// The same, with variables of its own.
    pub fn server_with(&self, options: &[&str], variables: &[(&str, &str)]) -> Server {
        let server = self.start_with(options, variables);
        let end = Instant::now() + Duration::from_secs(60);
        let mut client = server.client();
        loop {
            client.say("PING");
            match client.line() {
                pong if pong == "+PONG" => return server,
                other => assert!(other.starts_with("-LOADING") && Instant::now() < end, "{other}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A server that may still be loading what is there.
    pub fn start(&self, options: &[&str]) -> Server {
        self.start_with(options, &[])
    }

    fn start_with(&self, options: &[&str], variables: &[(&str, &str)]) -> Server {
        let place = ["--dir", self.path(), "--enable-protected-configs", "yes"];
        let options = [&place[..], &["--enable-debug-command", "yes"], options].concat();
        Server::start_with(&options, variables)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Where the snapshot is.
    pub fn snapshot(&self) -> PathBuf {
        self.0.join("dump.rdb")
    }

    /// Where a log that was never rewritten is.
    pub fn increment(&self) -> PathBuf {
        self.0.join("appendonlydir/appendonly.aof.1.incr.aof")
    }

    /// Where the log's base is.
    pub fn base(&self) -> PathBuf {
        let files = std::fs::read_dir(self.0.join("appendonlydir")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        files.find(|path| path.to_str().unwrap().contains(".base.")).unwrap()
    }

    /// The exit code of a server that is to refuse what is there, and what it says. No code: it was killed,
    /// or it started all the same.
    pub fn fails(&self, options: &[&str]) -> (Option<i32>, String) {
        let said = self.0.join("said");
        let mut process = Command::new(env!("CARGO_BIN_EXE_eonkv-server"))
            .args(["--port", "0", "--save", "", "--unixsocket", "s", "--dir", self.path()])
            .args(["--logfile", "said"])
            .args(options)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            match process.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() > end => {
                    process.kill().unwrap();
                    process.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let text = std::fs::read(&said).map(|text| String::from_utf8_lossy(&text).into_owned());
        let _ = std::fs::remove_file(said);
        (status, text.unwrap_or_default())
    }

    /// The increments of the log, one after the other.
    pub fn increments(&self) -> Vec<u8> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.0.join("appendonlydir"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with(".incr.aof"))
            .collect();
        files.sort();
        files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// redis-server on the same data, if there is one.
    pub fn redis(&self) -> Option<(Redis, Client)> {
        let port = super::port::free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(&self.0)
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("SKIPPED: there is no redis-server to compare with");
            return None;
        };
        let mut redis = Redis(process);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < end && redis.0.try_wait().unwrap().is_none(), "redis-server");
            std::thread::sleep(Duration::from_millis(20));
            let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut client = Client { stream };
            client.say("PING");
            if client.line() == "+PONG" {
                return Some((redis, client));
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Another server, ended with the test.
pub struct Redis(pub Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends a server in the orderly way.
pub fn stop(mut server: Server) {
    server.client().say("SHUTDOWN NOSAVE");
    ended(&mut server);
}

/// Waits until a server has ended, as it was told to.
pub fn ended(server: &mut Server) -> ExitStatus {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = server.process.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "the server does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a server as a crash would.
pub fn kill(mut server: Server) {
    server.process.kill().unwrap();
    server.process.wait().unwrap();
}

/// A sum over all data.
pub fn digest(client: &mut Client) -> String {
    client.say("DEBUG DIGEST");
    client.line()
}

/// A field of INFO persistence.
pub fn field(client: &mut Client, name: &str) -> String {
    let info = client.info("persistence");
    let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("{name} is not in INFO")).to_owned()
}

/// Waits until a field of INFO persistence has a value.
pub fn until(client: &mut Client, name: &str, value: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while field(client, name) != value {
        assert!(Instant::now() < end, "{name} does not become {value}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The commands of a log, their words between blanks; lines that begin with # say nothing.
pub fn commands(mut log: &[u8]) -> Vec<String> {
    let mut commands = Vec::new();
    let line = |log: &mut &[u8]| {
        let end = log.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let line = String::from_utf8_lossy(&log[..end]).into_owned();
        *log = &log[end + 2..];
        line
    };
    while !log.is_empty() {
        if log[0] == b'#' {
            line(&mut log);
            continue;
        }
        let count: usize = line(&mut log)[1..].parse().unwrap();
        let words: Vec<String> = (0..count)
            .map(|_| {
                let len: usize = line(&mut log)[1..].parse().unwrap();
                let word = String::from_utf8_lossy(&log[..len]).into_owned();
                log = &log[len + 2..];
                word
            })
            .collect();
        commands.push(words.join(" "));
    }
    commands
}

//! Clients whose writes can be counted afterwards: what they were told is there, is there; nothing is there by
//! half, and nothing twice.

use super::{Client, Server, request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub const ALWAYS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
pub const EVERYSEC: &[&str] = &["--appendonly", "yes", "--appendfsync", "everysec"];

/// How often each kind of accident is to happen: `EONKV_CRASH_ROUNDS`, or a few times.
pub fn rounds() -> usize {
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

/// Four clients at work.
pub struct Load {
    told: Vec<Arc<AtomicU64>>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(port: u16) -> Self {
        let told: Vec<Arc<AtomicU64>> = (0..4).map(|_| Arc::default()).collect();
        let over = Arc::new(AtomicBool::new(false));
        let begin = |(number, told): (usize, &Arc<AtomicU64>)| {
            let (told, over) = (Arc::clone(told), Arc::clone(&over));
            std::thread::spawn(move || load(port, number, &told, &over))
        };
        let clients = told.iter().enumerate().map(begin).collect();
        Self { told, over, clients }
    }

    /// What each client has been told so far.
    pub fn told(&self) -> Vec<u64> {
        self.told.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    fn end(mut self) -> Vec<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.clients.drain(..).for_each(|client| client.join().unwrap());
        self.told()
    }
}

/// Runs `work` on a server under load, ends it, and returns what each client was told.
pub fn under_load(
    server: Server,
    work: impl FnOnce(&Server, &Load),
    end: impl FnOnce(Server),
) -> Vec<u64> {
    let load = Load::begin(server.port);
    work(&server, &load);
    end(server);
    load.end()
}

/// Runs `work` on a server under load, which ends before the server does.
pub fn while_loaded(server: &Server, work: impl FnOnce()) -> Vec<u64> {
    let load = Load::begin(server.port);
    work();
    load.end()
}

/// Lists are `1, 2, 3 …` without a gap, counters and lists agree up to what a cut between them may leave, and
/// no money came or went. Returns how far each client's list goes.
pub fn check(client: &mut Client) -> Vec<u64> {
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

pub fn value(client: &mut Client, command: &str) -> i64 {
    client.say(command);
    let head = client.line();
    if head == "$-1" { 0 } else { client.line().parse().unwrap() }
}

//! The way to other servers: connections, kept for a while, and what is said over them.

use super::Parcel;
use crate::rdb::Encoder;
use parking_lot::Mutex;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Where to, and how.
#[derive(Debug)]
pub struct Route {
    pub host: String,
    pub port: String,
    pub db: i64,
    /// Password, or name and password; or nothing.
    pub login: Vec<Vec<u8>>,
    pub replace: bool,
    pub timeout: Duration,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Sent {
    /// Keys that the other server has now.
    pub arrived: Vec<Vec<u8>>,
    /// What went wrong: the reply, without its `-`.
    pub error: Option<Vec<u8>>,
}

/// A connection that nobody uses at the moment.
struct Idle {
    to: (String, String),
    link: Link,
    since: Instant,
}

struct Link {
    stream: BufReader<TcpStream>,
    /// The database that was selected; none yet.
    db: Option<i64>,
}

/// Connections kept, and for how long, as in Redis.
const KEPT: usize = 64;
const KEEP: Duration = Duration::from_secs(10);
/// The longest line that a server replies with.
const LINE: u64 = 16 * 1024;

static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

/// How many connections are kept.
pub fn kept() -> usize {
    let mut idle = IDLE.lock();
    idle.retain(|one| one.since.elapsed() < KEEP);
    idle.len()
}

enum Failure {
    Io(&'static str, io::Error),
    /// The other server refused something.
    Said(Vec<u8>),
}

impl Failure {
    fn reply(self) -> Vec<u8> {
        match self {
            Self::Io(what, _) => {
                format!("IOERR error or timeout {what} to target instance").into_bytes()
            }
            Self::Said(text) => [b"ERR Target instance replied with error: ", &text[..]].concat(),
        }
    }
}

/// Sends all parcels and waits for what the other server says of each.
pub fn send(route: &Route, mut encoder: Encoder, mut parcels: Vec<Parcel>) -> Sent {
    let mut requests = Vec::new();
    for parcel in &mut parcels {
        request(route, parcel, &mut encoder, &mut requests);
    }
    let names: Vec<_> = parcels.into_iter().map(|parcel| parcel.key).collect();
    loop {
        let (link, kept) = match connect(route) {
            Ok(link) => link,
            Err(_) => {
                let text = b"IOERR error or timeout connecting to the client";
                return Sent { arrived: Vec::new(), error: Some(text.to_vec()) };
            }
        };
        let mut sent = Sent::default();
        match talk(route, link, &requests, &names, &mut sent) {
            Ok(()) => return sent,
            // A kept connection may have been closed by the other side, which nobody has noticed.
            Err(Failure::Io(_, error))
                if kept && sent.arrived.is_empty() && error.kind() != ErrorKind::WouldBlock => {}
            Err(failure) => {
                sent.error.get_or_insert(failure.reply());
                return sent;
            }
        }
    }
}

fn words(words: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn request(route: &Route, parcel: &mut Parcel, encoder: &mut Encoder, out: &mut Vec<u8>) {
    let (key, ttl) = (std::mem::take(&mut parcel.key), parcel.ttl.to_string());
    let payload = parcel.seal(encoder);
    let all: [&[u8]; 5] = [b"RESTORE", &key, ttl.as_bytes(), payload, b"REPLACE"];
    words(&all[..if route.replace { 5 } else { 4 }], out);
    (parcel.key, parcel.payload) = (key, Vec::new());
}

/// A connection, and whether it is a kept one.
fn connect(route: &Route) -> io::Result<(Link, bool)> {
    let to = (route.host.clone(), route.port.clone());
    let kept = {
        let mut idle = IDLE.lock();
        idle.retain(|one| one.since.elapsed() < KEEP);
        let found = idle.iter().rposition(|one| one.to == to);
        found.map(|at| idle.swap_remove(at).link)
    };
    if let Some(link) = kept {
        return Ok((link, true));
    }
    let port: u16 = to.1.parse().map_err(|_| io::Error::other("no port"))?;
    let mut last = io::Error::other("no address");
    for address in (to.0.as_str(), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, route.timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok((Link { stream: BufReader::new(stream), db: None }, false));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn talk(
    route: &Route,
    mut link: Link,
    requests: &[u8],
    names: &[Vec<u8>],
    sent: &mut Sent,
) -> Result<(), Failure> {
    let writing = |error| Failure::Io("writing", error);
    let stream = link.stream.get_ref();
    stream.set_read_timeout(Some(route.timeout)).map_err(writing)?;
    stream.set_write_timeout(Some(route.timeout)).map_err(writing)?;
    let mut opening = Vec::new();
    if !route.login.is_empty() {
        let mut login: Vec<&[u8]> = vec![b"AUTH"];
        login.extend(route.login.iter().map(Vec::as_slice));
        words(&login, &mut opening);
    }
    let selects = link.db != Some(route.db);
    if selects {
        words(&[b"SELECT", route.db.to_string().as_bytes()], &mut opening);
    }
    let mut out = link.stream.get_ref();
    out.write_all(&opening).map_err(writing)?;
    out.write_all(requests).map_err(writing)?;
    let before = usize::from(!route.login.is_empty()) + usize::from(selects);
    let mut refused = None;
    for _ in 0..before {
        let said = reply(&mut link.stream)?;
        refused = refused.or(said);
    }
    let entered = refused.is_none();
    for name in names {
        match reply(&mut link.stream)? {
            // Without its database the key has gone elsewhere, if anywhere.
            None if entered => sent.arrived.push(name.clone()),
            None => {}
            Some(text) => refused = refused.or(Some(text)),
        }
    }
    if entered {
        link.db = Some(route.db);
        let mut idle = IDLE.lock();
        if idle.len() >= KEPT {
            idle.swap_remove(0);
        }
        let to = (route.host.clone(), route.port.clone());
        idle.push(Idle { to, link, since: Instant::now() });
    }
    refused.map_or(Ok(()), |text| Err(Failure::Said(text)))
}

/// A line of reply: nothing if it is well, else what the error says.
fn reply(stream: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>, Failure> {
    let reading = |error| Failure::Io("reading", error);
    let mut line = Vec::new();
    stream.by_ref().take(LINE).read_until(b'\n', &mut line).map_err(reading)?;
    if line.pop() != Some(b'\n') {
        return Err(reading(ErrorKind::UnexpectedEof.into()));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match line.split_first() {
        Some((b'-', text)) => Ok(Some(text.to_vec())),
        Some((b'+', _)) => Ok(None),
        _ => Err(reading(ErrorKind::InvalidData.into())),
    }
}

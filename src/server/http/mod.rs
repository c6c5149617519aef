//! The HTTP port: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts and stops
//! servers. One thread of its own with a poll of its own; it reads counters and never waits for a
//! worker, and no worker waits for it.
//!
//! - **H1** At most [`CONNECTIONS`] at a time, each for at most [`PATIENCE`] and with at most
//!   [`HEAD_MAX`] bytes of request: what strangers can hold is bounded.

mod request;

use crate::commands::Shared;
use crate::commands::info::export;
use crate::session::control::Metrics;
use crate::sync::{AtomicBool, Ordering};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use request::{HEAD_MAX, Page, Parsed, Status, parse, response};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Connections served at the same time.
const CONNECTIONS: usize = 32;
/// How long one connection may last.
const PATIENCE: Duration = Duration::from_secs(10);
const LISTENER: Token = Token(0);
const WAKE: Token = Token(1);
const FIRST: usize = 2;

const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const INDEX: &str = "EonKV\n\n/metrics  figures for Prometheus\n/healthz  the process lives\n\
                     /readyz   the server serves\n";

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Http {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    /// Listens at `place`; nothing if its port is 0.
    pub fn start(shared: Arc<Shared>, place: &Metrics) -> Result<Option<Self>, String> {
        let Metrics { port, bind } = place;
        if *port == 0 {
            return Ok(None);
        }
        let place = format!("{bind}:{port}");
        let failed = |error: io::Error| format!("Failed listening on {place} (metrics): {error}");
        let address = address(bind, *port).map_err(failed)?;
        let mut listener = TcpListener::bind(address).map_err(failed)?;
        let poll = Poll::new().map_err(failed)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut server = Server {
            shared,
            stop: Arc::clone(&stop),
            poll,
            listener,
            connections: BTreeMap::new(),
            next: FIRST,
        };
        let thread = thread::Builder::new().name("http".into()).spawn(move || server.run());
        tracing::info!("Metrics are served on http://{place}/metrics");
        Ok(Some(Self { stop, waker, thread: Some(thread.map_err(failed)?) }))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // If waking fails the thread sees the flag at its next look, at most PATIENCE from now.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic was reported when it happened
        }
    }
}

fn address(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = if host == "*" { "0.0.0.0" } else { host };
    let mut found = (host.trim_start_matches('[').trim_end_matches(']'), port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no such address"))
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    since: Instant,
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Keep,
    Close,
}

struct Server {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    poll: Poll,
    listener: TcpListener,
    connections: BTreeMap<usize, Connection>,
    next: usize,
}

impl Server {
    fn run(&mut self) {
        let mut events = Events::with_capacity(CONNECTIONS + 2);
        while !self.stop.load(Ordering::Acquire) {
            let wait = if self.connections.is_empty() { PATIENCE } else { PATIENCE / 10 };
            if let Err(error) = self.poll.poll(&mut events, Some(wait)) {
                if error.kind() != ErrorKind::Interrupted {
                    tracing::error!("The HTTP port is closed: {error}");
                    return;
                }
                continue;
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKE => {}
                    _ => self.serve(event),
                }
            }
            self.connections.retain(|_, connection| connection.since.elapsed() < PATIENCE);
        }
    }

    fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // Nobody is there, or descriptors ran out: the next event tries again.
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                Err(_) => continue,
            };
            if self.connections.len() >= CONNECTIONS {
                continue; // H1: dropped, and so closed
            }
            self.add(stream);
        }
    }

    fn add(&mut self, mut stream: TcpStream) {
        let number = self.next;
        self.next = self.next.wrapping_add(1).max(FIRST);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut stream, Token(number), interest).is_ok() {
            let (input, output, since) = (Vec::new(), Vec::new(), Instant::now());
            let connection = Connection { stream, input, output, sent: 0, since };
            self.connections.insert(number, connection);
        }
    }

    fn serve(&mut self, event: &Event) {
        let number = event.token().0;
        let Some(mut connection) = self.connections.remove(&number) else { return };
        let mut fate = Fate::Keep;
        if event.is_readable() && connection.output.is_empty() {
            fate = self.read(&mut connection);
        }
        if fate == Fate::Keep && !connection.output.is_empty() {
            fate = connection.write();
        }
        if fate == Fate::Keep {
            self.connections.insert(number, connection);
        }
    }

    fn read(&self, connection: &mut Connection) -> Fate {
        let mut buffer = [0; 2048];
        loop {
            match connection.stream.read(&mut buffer) {
                Ok(0) => return Fate::Close,
                Ok(n) => connection.input.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Fate::Keep,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Fate::Close,
            }
            match parse(&connection.input) {
                Parsed::Incomplete if connection.input.len() < HEAD_MAX => {}
                parsed => {
                    connection.output = self.answer(parsed);
                    return Fate::Keep;
                }
            }
        }
    }

    fn answer(&self, parsed: Parsed) -> Vec<u8> {
        let (page, body) = match parsed {
            Parsed::Request { page, body } => (page, body),
            Parsed::Refused(status) => return response(status, PLAIN, status.line(), true),
            Parsed::Incomplete => {
                return response(Status::TooLarge, PLAIN, Status::TooLarge.line(), true);
            }
        };
        match page {
            Page::Index => response(Status::Ok, PLAIN, INDEX, body),
            Page::Health => response(Status::Ok, PLAIN, "ok\n", body),
            Page::Ready if self.shared.control.is_stopping() => {
                response(Status::Unavailable, PLAIN, "stopping\n", body)
            }
            Page::Ready if self.shared.persist.is_loading() => {
                response(Status::Unavailable, PLAIN, "loading\n", body)
            }
            Page::Ready => response(Status::Ok, PLAIN, "ready\n", body),
            Page::Metrics => response(Status::Ok, PROMETHEUS, &export::page(&self.shared), body),
        }
    }
}

impl Connection {
    fn write(&mut self) -> Fate {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return Fate::Close,
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Fate::Keep,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Fate::Close,
            }
        }
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        Fate::Close
    }
}

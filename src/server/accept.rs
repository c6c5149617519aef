//! The main thread's loop: connections, signals, orders.

use super::http::Http;
use super::saving;
use super::stop::{self, Signals};
use crate::commands::Shared;
use crate::config::Config;
use crate::db::Local;
use crate::metrics::{Stat, Worker};
use crate::net::listen::{self, Accepted, Listener};
use crate::net::{Handle, Socket};
use crate::session::control::{Listen, Metrics, Order, Shutdown};
use crate::session::registry::Origin;
use crate::sync::Ordering;
use mio::event::Source;
use mio::{Events, Interest, Poll, Token, Waker};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

const WAKE: Token = Token(0);
const SIGNALS: Token = Token(1);
/// First token of a listening socket.
const LISTENERS: usize = 2;
/// Connections accepted in a row from one socket.
const ACCEPTS: usize = 1_000;
/// Time between two samples of the rates.
const TICK: Duration = Duration::from_millis(100);

const FULL: &[u8] = b"-ERR max number of clients reached\r\n";
const PROTECTED: &[u8] =
    b"-DENIED This server runs in protected mode: no password is set, so only \
clients of its own machine are served. Set one with 'requirepass', or allow others by 'CONFIG SET \
protected-mode no' from the machine itself.\r\n";

/// The main thread once everything is set up.
pub struct Acceptor {
    shared: Arc<Shared>,
    workers: Vec<Arc<Handle>>,
    poll: Poll,
    signals: Signals,
    tcp: Vec<Listener>,
    unix: Option<Listener>,
    /// Where `tcp` listens.
    place: Listen,
    /// The metrics port, and where that is.
    http: Option<Http>,
    metrics: Metrics,
    /// Descriptors ran out: accept again at the next tick.
    starved: bool,
    /// The signal by which the process is to end.
    crash: Option<i32>,
    /// This thread's part of the keyspace, once it has saved.
    local: Option<Local>,
}

impl Acceptor {
    /// Watches `tcp`, `unix`, signals and orders.
    pub fn new(
        shared: Arc<Shared>,
        workers: Vec<Arc<Handle>>,
        tcp: Vec<Listener>,
        unix: Option<Listener>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        shared.control.connect(move || {
            // The poll lives as long as the process; if waking fails the next tick finds the order.
            let _ = waker.wake();
        });
        let signals = Signals::register(poll.registry(), SIGNALS)?;
        let (starved, config) = (false, shared.config.get());
        let place = Listen { port: config.port, bind: config.bind.clone() };
        let mut acceptor = Self {
            shared,
            workers,
            poll,
            signals,
            tcp,
            unix,
            place,
            http: None,
            metrics: Metrics::default(),
            starved,
            crash: None,
            local: None,
        };
        acceptor.watch()?;
        Ok(acceptor)
    }

    /// (Re)registers all listening sockets under their places.
    fn watch(&mut self) -> io::Result<()> {
        let registry = self.poll.registry();
        for (i, listener) in self.tcp.iter_mut().chain(&mut self.unix).enumerate() {
            let token = Token(LISTENERS + i);
            source(listener).register(registry, token, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Runs until the server is to stop.
    pub fn run(&mut self) -> Shutdown {
        let mut events = Events::with_capacity(64);
        let mut how = None;
        while how.is_none() && self.crash.is_none() {
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::warn!("Waiting for connections failed: {error}");
                    std::thread::sleep(TICK);
                }
                _ => {}
            }
            let now = self.shared.keyspace.clock.tick();
            self.shared.metrics.sample(now);
            self.observe_memory(now);
            let ready: Vec<usize> = events.iter().map(|event| event.token().0).collect();
            if ready.contains(&SIGNALS.0) {
                let is_loading = self.shared.persist.is_loading();
                how = self.signals.shutdown(&self.shared.config.get(), is_loading);
            }
            how = self.orders().or(how).filter(|how| self.save(*how));
            let count = self.tcp.len() + usize::from(self.unix.is_some());
            for i in 0..count {
                if self.starved || ready.contains(&(LISTENERS + i)) {
                    self.accept(i);
                }
            }
        }
        how.unwrap_or_default()
    }

    /// The signal by which the process is to end, if it is not to end in an orderly way.
    pub const fn crashed(&self) -> Option<i32> {
        self.crash
    }

    /// Saves before the end; false if that fails and the server goes on.
    fn save(&mut self, how: Shutdown) -> bool {
        let shared = &self.shared;
        let local = self.local.get_or_insert_with(|| shared.keyspace.sit());
        let saved = saving::last(shared, local, how);
        if !saved {
            shared.persist.refuse_end();
        }
        saved
    }

    fn observe_memory(&self, now: i64) {
        let used = crate::db::used_memory();
        // The index is counted by itself: part of it was there before the first key.
        let index = self.shared.keyspace.all_index_bytes(&crate::sync::pin());
        self.shared.process.started(used.saturating_sub(index as usize));
        self.shared.process.observe(used, now);
    }

    fn orders(&mut self) -> Option<Shutdown> {
        while let Some(order) = self.shared.control.take() {
            match order {
                Order::Shutdown(how) => return Some(how),
                Order::Crash(signal) => self.crash = Some(signal),
                Order::Listen(answer, place) => {
                    let result = self.listen(&place).map_err(|error| error.to_string());
                    // Nobody waits any longer: then nobody is told.
                    let _ = answer.send(result);
                }
                Order::Metrics(answer, place) => {
                    let _ = answer.send(self.move_metrics(place));
                }
            }
        }
        None
    }

    /// The metrics port that runs already, at `place`.
    pub fn serve_metrics(&mut self, http: Option<Http>, place: Metrics) {
        (self.http, self.metrics) = (http, place);
    }

    /// Serves the metrics elsewhere, or, if that fails, where they were before.
    fn move_metrics(&mut self, place: Metrics) -> Result<(), String> {
        self.http = None; // the addresses may overlap
        let result = Http::start(Arc::clone(&self.shared), &place);
        match result {
            Ok(http) => {
                self.serve_metrics(http, place);
                Ok(())
            }
            Err(error) => {
                tracing::warn!("{error}");
                self.http = Http::start(Arc::clone(&self.shared), &self.metrics)?;
                Err(error)
            }
        }
    }

    /// Listens elsewhere, or, if that fails, where it did before.
    fn listen(&mut self, place: &Listen) -> io::Result<()> {
        let backlog = self.shared.config.get().tcp_backlog;
        let opened = if place.port == self.place.port {
            // Addresses may overlap with those in use, so these must be closed first.
            self.tcp.clear();
            listen::tcp(&place.bind, place.port, backlog)
        } else {
            listen::tcp(&place.bind, place.port, backlog)
        };
        let result = match opened {
            Ok(listeners) => {
                self.tcp = listeners;
                self.place = place.clone();
                Ok(())
            }
            Err(error) if self.tcp.is_empty() => {
                self.tcp = listen::tcp(&self.place.bind, self.place.port, backlog)?;
                Err(error)
            }
            Err(error) => Err(error),
        };
        for listener in self.tcp.iter_mut().chain(&mut self.unix) {
            // Those that are new are not registered yet, which is no harm.
            let _ = source(listener).deregister(self.poll.registry());
        }
        self.watch()?;
        result
    }

    fn stats(&self) -> &Worker {
        // The cells after those of the workers are the main thread's.
        self.shared.metrics.worker(self.shared.clients.workers())
    }

    fn accept(&mut self, i: usize) {
        let config = self.shared.config.get();
        for _ in 0..ACCEPTS {
            let Some(listener) = self.tcp.get(i).or(self.unix.as_ref()) else { return };
            match listener.accept(&config) {
                Ok(Some(accepted)) => self.admit(accepted, &config),
                Ok(None) => {
                    self.starved = false;
                    return;
                }
                Err(error) => {
                    if !self.starved {
                        tracing::warn!("Accepting client connection: {error}");
                    }
                    self.starved = true;
                    return;
                }
            }
        }
        self.starved = true; // there may be more
    }

    fn admit(&self, accepted: Accepted, config: &Config) {
        let Accepted { mut socket, peer, local, is_local, unix } = accepted;
        let clients = &self.shared.clients;
        self.stats().add(Stat::Connections, 1);
        if clients.len() >= config.maxclients as usize {
            self.stats().add(Stat::Rejected, 1);
            return refuse(&mut socket, FULL);
        }
        if config.protected_mode && config.requirepass.is_empty() && !is_local {
            self.stats().add(Stat::Rejected, 1);
            return refuse(&mut socket, PROTECTED);
        }
        tracing::debug!("Accepted {peer}");
        let worker = clients.idlest();
        let since_ms = self.shared.keyspace.clock.now();
        let fd = socket.fd();
        let client = clients.add(Origin { worker, fd, peer, local, unix, since_ms });
        let connected = clients.len() as u64;
        self.shared.metrics.peak_clients.fetch_max(connected, Ordering::Relaxed);
        self.workers[worker].adopt(&self.shared, socket, client);
    }

    /// Stops listening, lets the workers send what they owe, and says good-bye.
    pub fn stop(self, threads: Vec<std::thread::JoinHandle<()>>) {
        let Self { shared, tcp, unix, .. } = self;
        drop((tcp, unix));
        stop::stop(&shared, threads);
    }
}

fn refuse(socket: &mut Socket, text: &[u8]) {
    // The socket is new, so its buffer has room; whoever left already needs no explanation.
    let _ = socket.write(text);
    socket.finish();
    let _ = socket.read(&mut [], &mut [0; 1024]);
}

fn source(listener: &mut Listener) -> &mut dyn Source {
    match listener {
        Listener::Tcp(listener) => listener,
        Listener::Unix(listener) => listener,
    }
}

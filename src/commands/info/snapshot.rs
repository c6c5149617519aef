//! What the rows of INFO read: references to the parts of the server, and figures that are costly to
//! get, fetched at most once for each reply.

use crate::commands::Shared;
use crate::config::Config;
use crate::db::{self, Keyspace};
use crate::mem;
use crate::metrics::process::{self, Cpu};
use crate::metrics::{Metrics, Stat};
use crate::session::Flag;
use crate::sync::Ordering;
use std::cell::OnceCell;
use std::sync::Arc;

/// The server at one moment, as far as INFO tells.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// What all workers share.
    pub shared: &'a Shared,
    /// The data.
    pub keyspace: &'a Keyspace,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Unix milliseconds.
    pub now: i64,
    used: usize,
    allocator: OnceCell<mem::Stats>,
    resident: OnceCell<u64>,
    cpu: OnceCell<Cpu>,
    clients: OnceCell<Clients>,
    index: OnceCell<u64>,
}

/// Sums over the clients.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clients {
    /// Largest request buffer.
    pub input_max: u64,
    /// Largest reply buffer.
    pub output_max: u64,
    /// Bytes of all ordinary clients.
    pub memory: u64,
    /// Clients that subscribe to anything.
    pub subscribers: u64,
    /// Clients that watch keys.
    pub watching: u64,
    /// Keys that they watch.
    pub watched: u64,
    /// Clients whose blocking command ends by itself at some time.
    pub timed: u64,
}

impl<'a> Snapshot<'a> {
    /// The present state. `retired` is what the asking thread knows to be on its way out.
    pub fn new(shared: &'a Shared, keyspace: &'a Keyspace, retired: usize) -> Self {
        let now = keyspace.clock.now();
        let used = db::used_memory().saturating_sub(retired);
        shared.process.observe(used, now);
        Self {
            shared,
            keyspace,
            config: shared.config.get(),
            now,
            used,
            allocator: OnceCell::new(),
            resident: OnceCell::new(),
            cpu: OnceCell::new(),
            clients: OnceCell::new(),
            index: OnceCell::new(),
        }
    }

    /// What is counted.
    pub const fn metrics(&self) -> &'a Metrics {
        &self.shared.metrics
    }

    /// A count over all workers.
    pub fn stat(&self, stat: Stat) -> i64 {
        signed(self.metrics().total(stat))
    }

    /// Bytes in use.
    pub const fn used(&self) -> u64 {
        self.used as u64
    }

    /// Bytes in use that hold no data: what an empty server needs, clients, the index.
    pub fn overhead(&self) -> u64 {
        self.shared.process.startup() as u64 + self.clients().memory + self.index()
    }

    /// Bytes of the indexes of all databases, without the keys in them.
    pub fn index(&self) -> u64 {
        *self.index.get_or_init(|| self.keyspace.all_index_bytes(&crate::sync::pin()))
    }

    /// What the allocator says.
    pub fn allocator(&self) -> &mem::Stats {
        self.allocator.get_or_init(mem::stats)
    }

    /// Bytes of this process in memory.
    pub fn resident(&self) -> u64 {
        *self.resident.get_or_init(process::resident)
    }

    /// Processor time of this process.
    pub fn cpu(&self) -> Cpu {
        *self.cpu.get_or_init(process::cpu)
    }

    /// Sums over the clients.
    pub fn clients(&self) -> Clients {
        *self.clients.get_or_init(|| {
            let mut sum = Clients::default();
            for client in self.shared.clients.all() {
                let view = &client.view;
                // Relaxed: figures of different clients belong to no common moment anyway.
                let input =
                    view.query.load(Ordering::Relaxed) + view.query_free.load(Ordering::Relaxed);
                let output = view.output_bytes.load(Ordering::Relaxed);
                let watched = u64::from(view.watched.load(Ordering::Relaxed));
                let subscriptions = view.subscriptions.load(Ordering::Relaxed)
                    + view.patterns.load(Ordering::Relaxed)
                    + view.shard_subscriptions.load(Ordering::Relaxed);
                sum.input_max = sum.input_max.max(input as u64);
                sum.output_max = sum.output_max.max(output as u64);
                sum.memory += client.total_memory() as u64;
                sum.watching += u64::from(watched > 0);
                sum.watched += watched;
                sum.timed += u64::from(client.flags() & Flag::TIMED != 0);
                sum.subscribers += u64::from(subscriptions > 0);
            }
            sum
        })
    }

    /// Milliseconds since the start.
    pub fn uptime_ms(&self) -> i64 {
        (self.now - self.shared.started_ms).max(0)
    }
}

/// A count as INFO prints it; none can pass `i64::MAX`.
pub fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `a / b`, 0 when there is nothing to divide by.
pub fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

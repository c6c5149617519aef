//! What a worker does between read and write, without sockets: parse, find, prefetch, run, encode.
//!
//! `cargo bench --bench loop`. Each thread runs batches of 64 requests on one keyspace of a million
//! keys with values of 64 bytes. The same work per thread on one thread and on two: if nothing is
//! shared that need not be, two threads take the time of one. Needs two idle cores for that.

use divan::Bencher;
use divan::counter::ItemsCount;
use eonkv::clock::Clock;
use eonkv::commands::run::{Turn, run_batch};
use eonkv::commands::{self, Shared, table};
use eonkv::config::Config;
use eonkv::config::live::Live;
use eonkv::db::{self, Access, Candidates, Keyspace};
use eonkv::metrics::{Metrics, Process};
use eonkv::resp::Reply;
use eonkv::resp::request::{Batch, Limits, Parser};
use eonkv::session::control::Control;
use eonkv::session::pause::Conditions;
use eonkv::session::{Registry, Session, registry::Origin};
use eonkv::sync;
use std::sync::Arc;
use std::time::Duration;

const KEYS: u64 = 1_000_000;
const DEPTH: usize = 64;
/// Prepared batches per thread: enough that no cache holds their keys.
const PREPARED: usize = 2048;
/// Batches that each thread runs per sample.
const ROUNDS: usize = 8 * PREPARED;
const THREADS: usize = 2;

fn main() {
    divan::main();
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Which key: all alike, or the few often (exponent 0.99, by the usual approximation).
#[derive(Clone, Copy)]
enum Spread {
    Uniform,
    Zipf,
}

impl Spread {
    fn pick(self, random: &mut Random, zeta: f64) -> u64 {
        const THETA: f64 = 0.99;
        if matches!(self, Self::Uniform) {
            return random.next() % KEYS;
        }
        let n = KEYS as f64;
        let (u, two) = (random.unit(), 1.0 + 0.5f64.powf(THETA));
        let uz = u * zeta;
        let rank = if uz < 1.0 {
            0
        } else if uz < two {
            1
        } else {
            let eta = (1.0 - (2.0 / n).powf(1.0 - THETA)) / (1.0 - two / zeta);
            (n * (eta * u - eta + 1.0).powf(1.0 / (1.0 - THETA))) as u64
        };
        // Ranks are scattered over the keys, as hot keys are in life.
        rank.min(KEYS - 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS
    }
}

fn zeta() -> f64 {
    (1..=KEYS).map(|i| 1.0 / (i as f64).powf(0.99)).sum()
}

fn push_get(input: &mut Vec<u8>, key: u64) {
    input.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n").as_bytes());
}

fn push_set(input: &mut Vec<u8>, key: u64) {
    let text = format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n{:064}\r\n", key % 97);
    input.extend_from_slice(text.as_bytes());
}

fn shared() -> Arc<Shared> {
    let clock = Arc::new(Clock::new());
    let started_ms = clock.now();
    Arc::new(Shared {
        config: Live::new(Config::default()),
        config_file: None,
        keyspace: Arc::new(Keyspace::new(16, THREADS, clock)),
        clients: Registry::new(THREADS),
        conditions: Conditions::default(),
        metrics: Metrics::new(THREADS, table().rows.len()),
        control: Control::default(),
        started_ms,
        run_id: "0".repeat(40),
        process: Process::new(),
        switches: commands::debug::Switches::default(),
    })
}

/// A worker without sockets.
struct Worker {
    shared: Arc<Shared>,
    local: commands::Local,
    seat: db::Local,
    session: Session,
    parser: Parser,
    batch: Batch,
    reply: Reply,
    prepared: Vec<Vec<u8>>,
}

impl Worker {
    fn new(shared: &Arc<Shared>, number: usize) -> Self {
        let origin = Origin {
            worker: number,
            fd: -1,
            peer: String::new(),
            local: String::new(),
            unix: false,
            since_ms: 0,
        };
        Self {
            local: commands::Local {
                config: shared.config.get(),
                worker: number,
                candidates: Candidates::default(),
                waited: Duration::ZERO,
            },
            seat: shared.keyspace.sit(),
            session: Session::new(shared.clients.add(origin), false),
            parser: Parser::default(),
            batch: Batch::default(),
            reply: Reply::with_capacity(64 * 1024),
            prepared: Vec::new(),
            shared: Arc::clone(shared),
        }
    }

    /// One turn of the loop: `input` is what a read brought.
    fn turn(&mut self, input: &[u8]) {
        self.batch.clear();
        self.parser.parse_batch(input, &mut self.batch, &Limits::default());
        self.shared.keyspace.clock.tick();
        let pin = sync::pin();
        let db = Access::new(&self.shared.keyspace, &mut self.seat, &pin, 0);
        let turn = Turn {
            shared: &self.shared,
            local: &mut self.local,
            db,
            reply: &mut self.reply,
            session: &mut self.session,
        };
        run_batch(turn, &self.batch, input, 0);
        self.reply.clear();
    }

    fn load(&mut self) {
        let mut input = Vec::new();
        for first in (0..KEYS).step_by(DEPTH) {
            input.clear();
            (first..(first + DEPTH as u64).min(KEYS)).for_each(|key| push_set(&mut input, key));
            self.turn(&input);
        }
    }

    fn prepare(&mut self, number: u64, spread: Spread, reads: u64, zeta: f64) {
        let mut random = Random(number * 7919 + reads);
        self.prepared = (0..PREPARED)
            .map(|_| {
                let mut input = Vec::new();
                for _ in 0..DEPTH {
                    let key = spread.pick(&mut random, zeta);
                    if random.next() % 100 < reads {
                        push_get(&mut input, key);
                    } else {
                        push_set(&mut input, key);
                    }
                }
                input
            })
            .collect();
    }

    fn rounds(&mut self) {
        let prepared = std::mem::take(&mut self.prepared);
        self.shared.keyspace.gate.enter(self.seat.seat);
        for input in prepared.iter().cycle().take(ROUNDS) {
            self.turn(input);
        }
        self.shared.keyspace.gate.leave(self.seat.seat);
        self.prepared = prepared;
    }
}

fn mix(bencher: Bencher, threads: usize, spread: Spread, reads: u64) {
    let shared = shared();
    let mut workers: Vec<Worker> = (0..threads).map(|n| Worker::new(&shared, n)).collect();
    workers[0].load();
    let zeta = zeta();
    for (number, worker) in workers.iter_mut().enumerate() {
        worker.prepare(number as u64, spread, reads, zeta);
    }
    bencher.counter(ItemsCount::new(threads * ROUNDS * DEPTH)).bench_local(|| {
        std::thread::scope(|scope| {
            workers.iter_mut().for_each(|worker| {
                scope.spawn(|| worker.rounds());
            });
        });
    });
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn uniform_90_get(bencher: Bencher, threads: usize) {
    mix(bencher, threads, Spread::Uniform, 90);
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn uniform_50_get(bencher: Bencher, threads: usize) {
    mix(bencher, threads, Spread::Uniform, 50);
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn zipf_90_get(bencher: Bencher, threads: usize) {
    mix(bencher, threads, Spread::Zipf, 90);
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn zipf_50_get(bencher: Bencher, threads: usize) {
    mix(bencher, threads, Spread::Zipf, 50);
}

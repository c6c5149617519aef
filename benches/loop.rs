//! What a worker does between read and write, without sockets: parse, find, prefetch, run, encode.
//!
//! `cargo bench --bench loop`. One keyspace of a million keys with values of 64 bytes, keys picked at
//! random; pipelines of 1, 16 and 64 requests. What the server costs beyond this is the kernel's.

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
use eonkv::session::{Registry, Session, registry::Origin};
use eonkv::sync;
use std::sync::Arc;
use std::time::Duration;

const KEYS: u64 = 1_000_000;
/// Requests a batch while loading.
const DEPTH: usize = 64;
/// Prepared batches: enough that no cache holds their keys.
const PREPARED: usize = 2048;

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
        keyspace: Arc::new(Keyspace::new(16, 1, clock)),
        clients: Arc::new(Registry::new(1)),
        conditions: Arc::default(),
        metrics: Metrics::new(1, table().rows.len()),
        control: Control::default(),
        started_ms,
        run_id: "0".repeat(40),
        process: Process::new(),
        switches: commands::debug::Switches::default(),
        persist: commands::persist::State::default(),
        log: Arc::default(),
        catalog: commands::scripting::Catalog::new(1),
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
}

impl Worker {
    fn new(shared: &Arc<Shared>) -> Self {
        let origin = Origin {
            worker: 0,
            fd: -1,
            peer: String::new(),
            local: String::new(),
            unix: false,
            since_ms: 0,
        };
        Self {
            local: commands::Local {
                config: shared.config.get(),
                worker: 0,
                candidates: Candidates::default(),
                interpreter: None,
                waited: Duration::ZERO,
                scratch: Vec::new(),
            },
            seat: shared.keyspace.sit(),
            session: Session::new(shared.clients.add(origin), false),
            parser: Parser::default(),
            batch: Batch::default(),
            reply: Reply::with_capacity(64 * 1024),
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
            meanwhile: None,
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
}

/// Runs batches of `depth` requests, of which `reads` in a hundred are GETs.
fn run(bencher: Bencher, depth: usize, reads: u64) {
    let mut worker = Worker::new(&shared());
    worker.shared.keyspace.gate.enter(worker.seat.seat);
    worker.load();
    let mut random = Random(reads + 1);
    let prepared: Vec<Vec<u8>> = (0..PREPARED * DEPTH / depth)
        .map(|_| {
            let mut input = Vec::new();
            for _ in 0..depth {
                let key = random.next() % KEYS;
                let push = if random.next() % 100 < reads { push_get } else { push_set };
                push(&mut input, key);
            }
            input
        })
        .collect();
    let mut inputs = prepared.iter().cycle();
    bencher.counter(ItemsCount::new(depth)).bench_local(|| {
        if let Some(input) = inputs.next() {
            worker.turn(input);
        }
    });
    worker.shared.keyspace.gate.leave(worker.seat.seat);
}

#[divan::bench(args = [1, 16, 64])]
fn get(bencher: Bencher, depth: usize) {
    run(bencher, depth, 100);
}

#[divan::bench(args = [1, 16, 64])]
fn set(bencher: Bencher, depth: usize) {
    run(bencher, depth, 0);
}

#[divan::bench(args = [1, 16, 64])]
fn nine_reads_in_ten(bencher: Bencher, depth: usize) {
    run(bencher, depth, 90);
}

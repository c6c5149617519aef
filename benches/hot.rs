//! Do two workers do twice the work of one on a single key? One hash, set or sorted set of a million
//! elements, all commands on single elements of it, picked at random.
//!
//! ```text
//! cargo bench --bench hot [-- ELEMENTS COMMANDS [DEPTH]]
//! ```
//! Everything but the sockets: parsing, running in batches of DEPTH (16), encoding. `one` is the only
//! worker of its server, as with `io-threads 1`; the two share the key. Nanoseconds a command; wall
//! time decides, as who waits for a lock may do so without using its core, and the best of three
//! rounds counts. CPU time, which neighbours on the machine do not lengthen, stands beside it.

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
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
/// Prepared commands of each worker, again and again.
const PREPARED: u64 = 1 << 17;

/// A command on element `n`, with a random number for its value.
type Push = fn(&mut Vec<u8>, n: u64, random: u64);

struct Case {
    name: &'static str,
    fill: Push,
    push: Push,
}

const CASES: [Case; 8] = [
    Case { name: "HGET", fill: hset, push: hget },
    Case { name: "HSET", fill: hset, push: hset },
    Case { name: "HINCRBY", fill: hincrby, push: hincrby },
    Case { name: "SISMEMBER", fill: sadd, push: sismember },
    Case { name: "SADD and SREM", fill: sadd, push: sadd_or_srem },
    Case { name: "ZSCORE", fill: zadd, push: zscore },
    Case { name: "ZADD", fill: zadd, push: zadd },
    Case { name: "ZINCRBY", fill: zadd, push: zincrby },
];

fn command(input: &mut Vec<u8>, words: &[&str]) {
    input.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        input.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

fn element(n: u64) -> String {
    format!("element:{n:08}")
}

fn hget(input: &mut Vec<u8>, n: u64, _: u64) {
    command(input, &["HGET", "hot", &element(n)]);
}

fn hset(input: &mut Vec<u8>, n: u64, random: u64) {
    command(input, &["HSET", "hot", &element(n), &format!("{:016}", random % 1_000_000)]);
}

fn hincrby(input: &mut Vec<u8>, n: u64, random: u64) {
    command(input, &["HINCRBY", "hot", &element(n), &(random % 100).to_string()]);
}

fn sadd(input: &mut Vec<u8>, n: u64, _: u64) {
    command(input, &["SADD", "hot", &element(n)]);
}

fn sismember(input: &mut Vec<u8>, n: u64, _: u64) {
    command(input, &["SISMEMBER", "hot", &element(n)]);
}

fn sadd_or_srem(input: &mut Vec<u8>, n: u64, random: u64) {
    let word = if random.is_multiple_of(2) { "SADD" } else { "SREM" };
    command(input, &[word, "hot", &element(n)]);
}

fn zadd(input: &mut Vec<u8>, n: u64, random: u64) {
    command(input, &["ZADD", "hot", &(random % 1_000_000_000).to_string(), &element(n)]);
}

fn zscore(input: &mut Vec<u8>, n: u64, _: u64) {
    command(input, &["ZSCORE", "hot", &element(n)]);
}

fn zincrby(input: &mut Vec<u8>, n: u64, random: u64) {
    command(input, &["ZINCRBY", "hot", &(random % 1000).to_string(), &element(n)]);
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

fn shared(workers: usize) -> Arc<Shared> {
    let clock = Arc::new(Clock::new());
    let started_ms = clock.now();
    let mut keyspace = Keyspace::new(1, 1 + ROUNDS * workers, clock); // each round's threads sit down
    if workers > 1 {
        keyspace.share_large();
    }
    Arc::new(Shared {
        config: Live::new(Config::default()),
        config_file: None,
        keyspace: Arc::new(keyspace),
        clients: Arc::new(Registry::new(workers)),
        conditions: Arc::default(),
        metrics: Metrics::new(workers, table().rows.len()),
        control: Control::default(),
        started_ms,
        run_id: "0".repeat(40),
        process: Process::new(),
        switches: commands::debug::Switches::default(),
        persist: commands::persist::State::default(),
        log: Arc::default(),
        catalog: commands::scripting::Catalog::new(workers),
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
    fn new(shared: &Arc<Shared>, worker: usize) -> Self {
        let origin = Origin {
            worker,
            fd: -1,
            peer: String::new(),
            local: String::new(),
            unix: false,
            since_ms: 0,
        };
        Self {
            local: commands::Local {
                config: shared.config.get(),
                worker,
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
        self.shared.keyspace.gate.enter(self.seat.seat);
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
        self.shared.keyspace.gate.leave(self.seat.seat);
        assert!(!self.reply.bytes.starts_with(b"-"), "refused");
        self.reply.clear();
    }

    fn fill(&mut self, case: &Case, elements: u64) {
        let (mut input, mut random) = (Vec::new(), Random(5));
        for first in (0..elements).step_by(64) {
            input.clear();
            let until = (first + 64).min(elements);
            (first..until).for_each(|n| (case.fill)(&mut input, n, random.next()));
            self.turn(&input);
        }
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds a command: of wall time all threads together, of CPU time each by itself.
fn cost(shared: &Arc<Shared>, inputs: &[Vec<Vec<u8>>], run: Run) -> (f64, f64) {
    let start = Barrier::new(inputs.len() + 1);
    let work = |worker, inputs: &[Vec<u8>]| {
        let mut worker = Worker::new(shared, worker);
        start.wait();
        let began = cpu();
        for input in inputs.iter().cycle().take((run.commands / run.depth) as usize) {
            worker.turn(input);
        }
        cpu() - began
    };
    std::thread::scope(|scope| {
        let (work, numbered) = (&work, inputs.iter().enumerate());
        let threads: Vec<_> =
            numbered.map(|(worker, inputs)| scope.spawn(move || work(worker, inputs))).collect();
        start.wait();
        let began = Instant::now();
        let spent: Duration = threads.into_iter().filter_map(|thread| thread.join().ok()).sum();
        let commands = (run.commands * inputs.len() as u64) as f64;
        (began.elapsed().as_nanos() as f64 / commands, spent.as_nanos() as f64 / commands)
    })
}

#[derive(Clone, Copy)]
struct Run {
    elements: u64,
    commands: u64,
    depth: u64,
}

fn measure(case: &Case, count: usize, run: Run) -> (f64, f64) {
    let shared = shared(count);
    Worker::new(&shared, 0).fill(case, run.elements);
    let inputs: Vec<Vec<Vec<u8>>> = (0..count as u64)
        .map(|worker| {
            let mut random = Random(worker + 99);
            let batch = |_| {
                let mut input = Vec::new();
                for _ in 0..run.depth {
                    (case.push)(&mut input, random.next() % run.elements, random.next());
                }
                input
            };
            (0..PREPARED / run.depth).map(batch).collect()
        })
        .collect();
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let (wall, cpu) = cost(&shared, &inputs, run);
        best = (best.0.min(wall), best.1.min(cpu));
    }
    best
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let mut numbers = words.iter().filter_map(|text| text.parse::<u64>().ok());
    let elements = numbers.next().unwrap_or(1_000_000);
    let commands = numbers.next().unwrap_or(2_000_000);
    let run = Run { elements, commands, depth: numbers.next().unwrap_or(16).max(1) };
    let named = |case: &&Case| {
        let mut names = words.iter().filter(|word| word.parse::<u64>().is_err()).peekable();
        names.peek().is_none() || names.any(|name| case.name.starts_with(name.as_str()))
    };
    println!("{elements} elements, {commands} commands a worker, {} in a batch", run.depth);
    println!("{:14} {:>9} {:>9} {:>9} {:>9}", "ns a command", "one", "two", "speed-up", "of CPU");
    // All that is for one worker comes first: where there are two, tables are divided for good.
    let alone: Vec<_> = CASES.iter().filter(named).map(|case| measure(case, 1, run)).collect();
    for (case, one) in CASES.iter().filter(named).zip(alone) {
        let two = measure(case, 2, run);
        let (wall, cpu) = (one.0 / two.0, 2.0 * one.1 / two.1);
        println!("{:14} {:9.1} {:9.1} {wall:9.2} {cpu:9.2}", case.name, one.0, two.0);
    }
}

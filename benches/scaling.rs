//! Do two workers do twice the work of one? The keyspace without sockets: batches of 64 commands on
//! a million keys, uniform and zipf 0.99, reads and writes mixed.
//!
//! ```text
//! cargo bench --bench scaling [-- KEYS OPERATIONS]
//! ```
//! Prints CPU nanoseconds per operation of each thread (wall time would measure the neighbours on a
//! shared machine) and the speed-up: `threads × cost alone / cost together`.

use eonkv::clock::Clock;
use eonkv::db::{Access, Expiry, Key, Keyspace, Local, New};
use eonkv::sync;
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Barrier};

const BATCH: usize = 64;
const VALUE: [u8; 64] = [b'v'; 64];

#[derive(Clone, Copy)]
struct Mix {
    name: &'static str,
    reads_in_ten: u64,
    zipf: bool,
}

const MIXES: [Mix; 4] = [
    Mix { name: "uniform 90/10", reads_in_ten: 9, zipf: false },
    Mix { name: "uniform 50/50", reads_in_ten: 5, zipf: false },
    Mix { name: "zipf 0.99 90/10", reads_in_ten: 9, zipf: true },
    Mix { name: "zipf 0.99 50/50", reads_in_ten: 5, zipf: true },
];

/// Gray's approximation of a zipf distribution, as YCSB uses it.
struct Zipf {
    n: f64,
    alpha: f64,
    eta: f64,
    zeta: f64,
}

impl Zipf {
    fn new(n: u64, theta: f64) -> Self {
        let zeta: f64 = (1..=n).map(|i| (i as f64).powf(-theta)).sum();
        let two = 1.0 + 0.5f64.powf(theta);
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - theta)) / (1.0 - two / zeta);
        Self { n: n as f64, alpha: 1.0 / (1.0 - theta), eta, zeta }
    }

    fn rank(&self, uniform: f64) -> u64 {
        let scaled = uniform * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(0.99) {
            return 1;
        }
        (self.n * (self.eta * uniform - self.eta + 1.0).powf(self.alpha)) as u64
    }
}

fn key(text: &mut [u8; 16], number: u64) {
    text[..4].copy_from_slice(b"key:");
    let mut rest = number;
    for place in text[4..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn fill(keyspace: &Keyspace, local: &mut Local, keys: u64) {
    let mut pin = sync::pin();
    let mut text = [0; 16];
    for number in 0..keys {
        key(&mut text, number);
        Access::new(keyspace, local, &pin, 0)
            .write(Key::new(&text))
            .set(New::Plain(&VALUE), Expiry::Never);
        if number % 64 == 0 {
            pin.repin();
        }
    }
}

/// Runs `operations` and returns CPU nanoseconds per operation.
fn work(keyspace: &Keyspace, local: &mut Local, (keys, operations, mix): Run) -> f64 {
    let zipf = Zipf::new(keys, 0.99);
    let mut pin = sync::pin();
    let mut texts = [[0u8; 16]; BATCH];
    let mut writes = [false; BATCH];
    let (mut total, mut found) = (0, 0usize);
    for _ in 0..operations / BATCH as u64 {
        for (text, write) in texts.iter_mut().zip(&mut writes) {
            let uniform = (local.random() >> 11) as f64 / (1u64 << 53) as f64;
            let rank = if mix.zipf { zipf.rank(uniform) } else { (uniform * keys as f64) as u64 };
            // Ranks are spread over the keys, so that hot ones are no neighbours.
            key(text, rank.wrapping_mul(2_654_435_761) % keys);
            *write = local.random() % 10 >= mix.reads_in_ten;
        }
        let began = cpu_ns();
        keyspace.gate.enter(local.seat);
        pin.repin();
        let mut access = Access::new(keyspace, local, &pin, 0);
        let hashed = texts.each_ref().map(|text| Key::new(text));
        hashed.iter().for_each(|key| access.prefetch(key.hash));
        hashed.iter().for_each(|key| access.prefetch_entry(key.hash));
        for (key, write) in hashed.iter().zip(writes) {
            if write {
                access.write(*key).set(New::Plain(&VALUE), Expiry::Never);
            } else if let Ok(Some(text)) = access.string(*key) {
                found += text.len();
            }
        }
        keyspace.gate.leave(local.seat);
        total += cpu_ns() - began;
    }
    assert!(found > 0);
    total as f64 / operations as f64
}

/// Keys, operations per thread, mix.
type Run = (u64, u64, Mix);

fn together(keyspace: &Arc<Keyspace>, locals: Vec<Local>, run: Run) -> (f64, Vec<Local>) {
    let start = Arc::new(Barrier::new(locals.len()));
    let threads: Vec<_> = locals
        .into_iter()
        .map(|mut local| {
            let (keyspace, start) = (Arc::clone(keyspace), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let cost = work(&keyspace, &mut local, run);
                (cost, local)
            })
        })
        .collect();
    let count = threads.len() as f64;
    let done: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
    let mean = done.iter().map(|(cost, _)| cost).sum::<f64>() / count;
    (mean, done.into_iter().map(|(_, local)| local).collect())
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let keys = numbers.next().unwrap_or(1_000_000);
    let operations = numbers.next().unwrap_or(4_000_000);
    let keyspace = Arc::new(Keyspace::new(1, 2, Arc::new(Clock::new())));
    let mut first = keyspace.sit();
    fill(&keyspace, &mut first, keys);
    let mut locals = vec![first, keyspace.sit()];
    println!("{keys} keys, {operations} operations a thread; CPU ns per operation");
    for mix in MIXES {
        let run = (keys, operations, mix);
        let (mut alone, mut both) = (f64::MAX, f64::MAX);
        for _ in 0..3 {
            let second = locals.pop();
            let (cost, mut back) = together(&keyspace, locals, run);
            alone = alone.min(cost);
            back.extend(second);
            let (cost, back) = together(&keyspace, back, run);
            both = both.min(cost);
            locals = back;
        }
        let speed_up = 2.0 * alone / both;
        println!("{:16} one {alone:6.1}   two {both:6.1}   speed-up {speed_up:.2}", mix.name);
    }
}

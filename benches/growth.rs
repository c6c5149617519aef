//! How long does the worst insert take while the table grows to ten million keys? And what does a key
//! cost in memory?
//!
//! ```text
//! cargo bench --bench growth [-- KEYS]
//! ```
//! Prints the distribution of each command's own CPU time (the scheduler's doings do not count) and
//! the bytes per key beyond its own 16 + 32.

use eonkv::clock::Clock;
use eonkv::db::{Access, Expiry, Key, Keyspace, New};
use eonkv::{mem, sync};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() {
    let keys =
        std::env::args().skip(1).find_map(|text| text.parse::<u64>().ok()).unwrap_or(10_000_000);
    let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    let before = mem::used();
    let mut by_power = [0u64; 32];
    let mut worst = 0;
    let mut pin = sync::pin();
    for number in 0..keys {
        let key = format!("key:{number:012}");
        let began = cpu_ns();
        Access::new(&keyspace, &mut local, &pin, 0)
            .write(Key::new(key.as_bytes()))
            .set(New::Plain(&[b'v'; 32]), Expiry::Never);
        let took = cpu_ns() - began;
        worst = worst.max(took);
        by_power[took.max(1).ilog2() as usize] += 1;
        if number % 64 == 0 {
            pin.repin();
        }
    }
    println!("{keys} inserts, worst {:.3} ms of CPU", worst as f64 / 1e6);
    for (power, count) in by_power.iter().enumerate().filter(|(_, count)| **count > 0) {
        println!("  < {:>10} ns  {count}", 2u64 << power);
    }
    let beyond = (mem::used() - before) as f64 / keys as f64 - 48.0;
    println!("{beyond:.1} bytes per key beyond key and value");
}

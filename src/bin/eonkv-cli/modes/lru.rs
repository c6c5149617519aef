//! `--lru-test`: half writes, half reads over keys of which a fifth get most requests; prints the hit rate.

use std::time::{Duration, Instant};

use super::fatal;
use crate::resp::Value;
use crate::screen;
use crate::session::{Session, Stop};

const CYCLE: Duration = Duration::from_secs(1);
const PIPELINE: usize = 250;

/// The exponent with which a fifth of the keys gets four fifths of the requests.
const SKEW: f64 = 6.2;

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let keys = session.options.lru_keys.max(1) as f64;
    let mut dice = Dice::new();
    loop {
        let started = Instant::now();
        let (mut hits, mut misses) = (0_u64, 0_u64);
        while started.elapsed() < CYCLE {
            for _ in 0..PIPELINE {
                let key = dice.key(keys);
                let value: String = (0..5).map(|_| dice.letter()).collect();
                session.queue(&["SET", &key, &value]);
            }
            for _ in 0..PIPELINE {
                session.receive().map_err(|_| fatal("I/O error during LRU test"))?;
            }
            for _ in 0..PIPELINE {
                let key = dice.key(keys);
                session.queue(&["GET", &key]);
            }
            for _ in 0..PIPELINE {
                match session.receive().map_err(|_| fatal("I/O error during LRU test"))? {
                    Value::Error(text) => screen::complain_bytes(&text),
                    Value::Nil => misses += 1,
                    _ => hits += 1,
                }
            }
        }
        let gets = hits + misses;
        let share = |part: u64| part as f64 / gets as f64 * 100.0;
        screen::say(&format!(
            "{gets} Gets/sec | Hits: {hits} ({:.2}%) | Misses: {misses} ({:.2}%)\n",
            share(hits),
            share(misses)
        ));
    }
}

/// A small generator (splitmix64): the test needs speed and spread, not secrecy.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Dice(getrandom::u64().unwrap_or(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn letter(&mut self) -> char {
        // The remainder fits a byte.
        char::from(b'A' + (self.next() % 57) as u8)
    }

    /// A key's name by a power law over 1 to `keys`.
    fn key(&mut self, keys: f64) -> String {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let top = (keys + 1.0).powf(SKEW + 1.0);
        let drawn = ((top - 1.0) * unit + 1.0).powf(1.0 / (SKEW + 1.0)).floor();
        format!("lru:{}", (keys - drawn + 1.0) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_keys_gets_most() {
        let mut dice = Dice(7);
        let mut low = 0;
        for _ in 0..10_000 {
            let key = dice.key(1000.0);
            let number: i64 = key.strip_prefix("lru:").unwrap().parse().unwrap();
            assert!((1..=1000).contains(&number), "{key}");
            low += i32::from(number <= 200);
        }
        assert!((7700..8300).contains(&low), "{low}");
    }
}

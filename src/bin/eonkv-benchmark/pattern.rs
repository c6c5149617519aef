//! Which key a request names: uniform, gauss, zipf or one after the other.
//!
//! Keeps true: every number drawn is below the key space, whatever the distribution, and a draw
//! takes constant memory and constant expected time: no table of a hundred million weights.
//! The sequence of `seq` is shared by all threads, so a fill of N keys writes each exactly once.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::rng::Rng;

/// The exponent of `zipf` when none is given: that of the YCSB benchmark.
const ZIPF_THETA: f64 = 0.99;

/// How keys are chosen (`--key-pattern`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pattern {
    /// Every key equally likely.
    Uniform,
    /// Normal around the middle of the key space, a sixth of it being the standard deviation.
    Gauss,
    /// Key `k` with probability proportional to `1 / (k + 1)^theta`.
    Zipf(f64),
    /// 0, 1, 2 … and over again.
    Sequential,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Pattern::Uniform),
            None if text == "gauss" => Ok(Pattern::Gauss),
            None if text == "seq" => Ok(Pattern::Sequential),
            None if text == "zipf" => Ok(Pattern::Zipf(ZIPF_THETA)),
            Some(("zipf", theta)) => match theta.parse::<f64>() {
                Ok(theta) if theta > 0.0 && theta <= 10.0 => Ok(Pattern::Zipf(theta)),
                _ => Err(format!(
                    "zipf's theta must be a number above 0 and up to 10, not {theta:?}"
                )),
            },
            _ => Err("expected uniform, gauss, zipf, zipf:THETA or seq".to_owned()),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pattern::Uniform => f.write_str("uniform"),
            Pattern::Gauss => f.write_str("gauss"),
            Pattern::Zipf(theta) => write!(f, "zipf:{theta}"),
            Pattern::Sequential => f.write_str("seq"),
        }
    }
}

/// A thread's source of key numbers.
#[derive(Debug, Clone)]
pub struct Keys {
    space: u64,
    rng: Rng,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Uniform,
    Gauss,
    Zipf(Zipf),
    Sequential(Arc<AtomicU64>),
}

impl Keys {
    /// Draws from `0..space` (at least one key) as `pattern` says; `sequence` is the counter all
    /// threads share.
    pub fn new(pattern: Pattern, space: u64, rng: Rng, sequence: Arc<AtomicU64>) -> Self {
        let space = space.max(1);
        let kind = match pattern {
            Pattern::Uniform => Kind::Uniform,
            Pattern::Gauss => Kind::Gauss,
            Pattern::Zipf(theta) => Kind::Zipf(Zipf::new(space, theta)),
            Pattern::Sequential => Kind::Sequential(sequence),
        };
        Keys { space, rng, kind }
    }

    /// The next key number, below the key space.
    #[inline]
    pub fn draw(&mut self) -> u64 {
        match &self.kind {
            Kind::Uniform => self.rng.below(self.space),
            Kind::Gauss => gauss(&mut self.rng, self.space),
            Kind::Zipf(zipf) => zipf.draw(&mut self.rng),
            // Relaxed: the number alone is shared, nothing is published with it.
            Kind::Sequential(next) => next.fetch_add(1, Relaxed) % self.space,
        }
    }
    /// The next `count` key numbers.
    #[inline]
    pub fn draw_each(&mut self, count: usize, mut take: impl FnMut(u64)) {
        if let Kind::Uniform = self.kind {
            let (mut rng, space) = (self.rng.clone(), self.space);
            (0..count).for_each(|_| take(rng.below(space)));
            self.rng = rng;
        } else {
            (0..count).for_each(|_| take(self.draw()));
        }
    }
}

/// Box and Muller's polar method; what falls outside the key space (3 in 1000) is drawn again.
fn gauss(rng: &mut Rng, space: u64) -> u64 {
    let (middle, deviation) = (space as f64 / 2.0, space as f64 / 6.0);
    loop {
        let (x, y) = (2.0 * rng.unit() - 1.0, 2.0 * rng.unit() - 1.0);
        let square = x * x + y * y;
        if square >= 1.0 || square == 0.0 {
            continue;
        }
        let key = middle + deviation * x * (-2.0 * square.ln() / square).sqrt();
        if key >= 0.0 && key < space as f64 {
            return key as u64;
        }
    }
}

/// Zipf's distribution by rejection-inversion (Hörmann and Derflinger, 1996).
///
/// The hat is the integral of `x^-theta`, inverted in closed form; more than nine draws in ten are
/// accepted at the first try for any theta, and the set-up needs no sum over all keys.
#[derive(Debug, Clone)]
struct Zipf {
    theta: f64,
    space: f64,
    /// The hat's integral at the left border of the first key and the right border of the last.
    first: f64,
    last: f64,
    /// Below this distance from the key a point is accepted without computing its weight.
    shortcut: f64,
}

impl Zipf {
    fn new(space: u64, theta: f64) -> Self {
        let mut zipf = Zipf { theta, space: space as f64, first: 0.0, last: 0.0, shortcut: 0.0 };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(zipf.space + 0.5);
        zipf.shortcut = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    fn weight(&self, x: f64) -> f64 {
        (-self.theta * x.ln()).exp()
    }

    /// The integral of the weight from 1 to `x`; `expm1` keeps it exact where theta is near 1.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let t = (1.0 - self.theta) * log;
        if t.abs() < 1e-8 { log * (1.0 + t / 2.0) } else { log * t.exp_m1() / t }
    }

    fn inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.theta)).max(-1.0);
        let stretch = if t.abs() < 1e-8 { 1.0 - t / 2.0 } else { t.ln_1p() / t };
        (stretch * area).exp()
    }

    fn draw(&self, rng: &mut Rng) -> u64 {
        loop {
            let area = self.last + rng.unit() * (self.first - self.last);
            let x = self.inverse(area);
            let key = (x + 0.5).floor().clamp(1.0, self.space);
            if key - x <= self.shortcut || area >= self.integral(key + 0.5) - self.weight(key) {
                return key as u64 - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pattern: Pattern, space: u64, draws: usize) -> Vec<usize> {
        let mut keys = Keys::new(pattern, space, Rng::new(42, 0), Arc::default());
        let mut counts = vec![0; space as usize];
        for _ in 0..draws {
            counts[keys.draw() as usize] += 1; // out of the key space: the index panics
        }
        counts
    }

    #[test]
    fn uniform_is_flat() {
        let counts = counts(Pattern::Uniform, 50, 100_000);
        assert!(counts.iter().all(|n| (1_700..2_300).contains(n)), "{counts:?}");
    }

    #[test]
    fn gauss_has_its_mean_and_deviation() {
        let (space, draws) = (1_000u64, 100_000);
        let counts = counts(Pattern::Gauss, space, draws);
        let mean =
            counts.iter().enumerate().map(|(k, n)| k * n).sum::<usize>() as f64 / draws as f64;
        let variance = counts
            .iter()
            .enumerate()
            .map(|(k, &n)| (k as f64 - mean).powi(2) * n as f64 / draws as f64)
            .sum::<f64>();
        assert!((mean - 500.0).abs() < 5.0, "mean {mean}");
        // Cut off at three deviations, which leaves 0.987 of the deviation.
        assert!((variance.sqrt() - 164.5).abs() < 3.0, "deviation {}", variance.sqrt());
    }

    #[test]
    fn zipf_follows_its_law() {
        for theta in [0.5, 0.99, 1.0, 1.5, 3.0] {
            let (space, draws) = (1_000, 200_000);
            let counts = counts(Pattern::Zipf(theta), space, draws);
            let total: f64 = (1..=space).map(|k| (k as f64).powf(-theta)).sum();
            for key in [0, 1, 2, 9, 99] {
                let expected = draws as f64 * ((key + 1) as f64).powf(-theta) / total;
                let slack = 5.0 * expected.sqrt() + 5.0;
                let got = counts[key] as f64;
                assert!((got - expected).abs() < slack, "{theta} key {key}: {got}, not {expected}");
            }
        }
    }

    #[test]
    fn one_key_is_always_drawn() {
        for pattern in [Pattern::Uniform, Pattern::Gauss, Pattern::Zipf(0.99), Pattern::Sequential]
        {
            assert_eq!(counts(pattern, 1, 100), [100]);
        }
    }

    #[test]
    fn seq_visits_each_key_once_per_round_over_all_threads() {
        let shared = Arc::new(AtomicU64::new(0));
        let keys = || Keys::new(Pattern::Sequential, 10, Rng::new(0, 0), shared.clone());
        let (mut a, mut b) = (keys(), keys());
        let mut drawn: Vec<u64> = (0..5).flat_map(|_| [a.draw(), b.draw()]).collect();
        drawn.sort_unstable();
        assert_eq!(drawn, (0..10).collect::<Vec<_>>());
        assert_eq!(a.draw(), 0);
    }

    #[test]
    fn patterns_are_parsed_and_printed() {
        for text in ["uniform", "gauss", "seq", "zipf:0.8"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        assert_eq!("zipf".parse(), Ok(Pattern::Zipf(0.99)));
        for text in ["", "zip", "zipf:", "zipf:0", "zipf:nan", "zipf:11", "gauss:1"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}

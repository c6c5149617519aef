//! `--compare`: two servers in turns, so that whatever slows the machine down slows both.
//!
//! Keeps true: a ratio is only ever taken between two neighbouring measurements; the order within a
//! round alternates (AB, BA, AB …), so that a steady drift cancels out; a first, uncounted turn of a
//! tenth of the length warms both up.
//!
//! The spread is told twice: min..max over the rounds, and a bootstrap 95 % interval of the median
//! ratio. If the interval contains 1, the rounds do not tell the servers apart.

use hdrhistogram::Histogram;

use crate::job::Outcome;
use crate::report::percentile;
use crate::rng::Rng;

/// Resamplings of the bootstrap.
const SAMPLES: usize = 10_000;

/// Requests per second of both servers in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    pub a: f64,
    pub b: f64,
}

/// All rounds of one test.
#[derive(Debug)]
pub struct Comparison {
    pub title: String,
    pub rounds: Vec<Round>,
    /// All rounds of a server taken together.
    pub a: Outcome,
    pub b: Outcome,
    pub seed: u64,
}

/// What the rounds say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Medians of requests per second.
    pub a: f64,
    pub b: f64,
    /// The median of the rounds' ratios a/b, and their extremes.
    pub ratio: f64,
    pub min: f64,
    pub max: f64,
    /// The bootstrap 95 % interval of `ratio`.
    pub low: f64,
    pub high: f64,
}

/// Adds a round's outcome to those before.
pub fn add(all: &mut Outcome, round: Outcome) {
    all.requests += round.requests;
    all.elapsed += round.elapsed;
    // Same bounds and digits on both sides: adding cannot fail.
    let _ = all.histogram.add(&round.histogram);
    all.tally.add(round.tally);
    all.client_cpu = all.client_cpu.zip(round.client_cpu).map(|(sum, cpu)| sum + cpu);
}

impl Comparison {
    /// The statistics.
    pub fn figures(&self) -> Figures {
        let ratios: Vec<f64> =
            self.rounds.iter().map(|round| round.a / round.b.max(1e-9)).collect();
        let (low, high) = interval(&ratios, self.seed);
        Figures {
            a: median(self.rounds.iter().map(|round| round.a).collect()),
            b: median(self.rounds.iter().map(|round| round.b).collect()),
            ratio: median(ratios.clone()),
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(0.0, f64::max),
            low,
            high,
        }
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The 95 % interval of the median: resampled with replacement, percentiles of the results.
fn interval(ratios: &[f64], seed: u64) -> (f64, f64) {
    if ratios.is_empty() {
        return (0.0, 0.0);
    }
    let mut rng = Rng::new(seed, u64::MAX);
    let mut pick = || ratios[rng.below(ratios.len() as u64) as usize];
    let mut medians: Vec<f64> =
        (0..SAMPLES).map(|_| median((0..ratios.len()).map(|_| pick()).collect())).collect();
    medians.sort_by(f64::total_cmp);
    (medians[SAMPLES * 25 / 1000], medians[SAMPLES * 975 / 1000 - 1])
}

/// The header of `--csv`.
pub const CSV_HEADER: &str = "\"test\",\"a_rps\",\"b_rps\",\"ratio\",\"ratio_min\",\"ratio_max\",\
     \"ratio_ci95_low\",\"ratio_ci95_high\",\"a_p50_latency_ms\",\"b_p50_latency_ms\",\
     \"a_p99_latency_ms\",\"b_p99_latency_ms\"\n";

/// The line that `--csv` prints.
pub fn csv(comparison: &Comparison) -> String {
    let f = comparison.figures();
    let (a, b) = (&comparison.a.histogram, &comparison.b.histogram);
    let mut fields = vec![comparison.title.clone(), format!("{:.2}", f.a), format!("{:.2}", f.b)];
    fields.extend([f.ratio, f.min, f.max, f.low, f.high].map(|value| format!("{value:.4}")));
    let latencies =
        [percentile(a, 50.0), percentile(b, 50.0), percentile(a, 99.0), percentile(b, 99.0)];
    fields.extend(latencies.map(|value| format!("{value:.3}")));
    let quoted: Vec<String> = fields.iter().map(|field| format!("\"{field}\"")).collect();
    quoted.join(",") + "\n"
}

/// The line that `-q` prints.
pub fn quiet(comparison: &Comparison) -> String {
    let f = comparison.figures();
    format!(
        "{}: A={:.2} B={:.2} requests per second, A/B={:.3} ({:.3}..{:.3}, 95% {:.3}..{:.3})\n",
        comparison.title, f.a, f.b, f.ratio, f.min, f.max, f.low, f.high
    )
}

/// The full report; `names` are the two servers.
pub fn full(comparison: &Comparison, names: [&str; 2]) -> String {
    let f = comparison.figures();
    let mut out =
        format!("====== {} ======\n  {} rounds\n", comparison.title, comparison.rounds.len());
    let width = names[0].len().max(names[1].len());
    let both = [("A", names[0], f.a, &comparison.a), ("B", names[1], f.b, &comparison.b)];
    for (letter, name, rate, outcome) in both {
        let at = |p| percentile_text(&outcome.histogram, p);
        out += &format!(
            "  {letter} {name:width$}  median {rate:.2} requests per second, p50={} p99={} msec\n",
            at(50.0),
            at(99.0)
        );
    }
    out += &format!("  A/B {:.3}, rounds {:.3}..{:.3}, ", f.ratio, f.min, f.max);
    out + &format!("95% interval of the median {:.3}..{:.3}\n", f.low, f.high)
}

fn percentile_text(histogram: &Histogram<u64>, at: f64) -> String {
    format!("{:.3}", percentile(histogram, at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::records::histogram;
    use crate::verify::Tally;

    fn comparison(rounds: &[(f64, f64)]) -> Comparison {
        let outcome = |latency| {
            let mut histogram = histogram(3);
            histogram.record(latency).unwrap();
            Outcome {
                requests: 1,
                elapsed: Duration::from_secs(1),
                histogram,
                tally: Tally::default(),
                client_cpu: None,
            }
        };
        Comparison {
            title: "GET".to_owned(),
            rounds: rounds.iter().map(|&(a, b)| Round { a, b }).collect(),
            a: outcome(100),
            b: outcome(200),
            seed: 1,
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let f = comparison(&[(10.0, 10.0), (40.0, 20.0), (90.0, 30.0)]).figures();
        assert_eq!((f.a, f.b, f.ratio, f.min, f.max), (40.0, 20.0, 2.0, 1.0, 3.0));
        assert_eq!((f.low, f.high), (1.0, 3.0));
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }

    #[test]
    fn the_interval_narrows_with_the_rounds() {
        let noisy =
            |n: usize| (0..n).map(|i| (100.0 + (i * 7 % 11) as f64, 100.0)).collect::<Vec<_>>();
        let width = |n| {
            let f = comparison(&noisy(n)).figures();
            assert!(f.low <= f.ratio && f.ratio <= f.high);
            f.high - f.low
        };
        assert!(width(110) < width(11));
    }

    #[test]
    fn texts() {
        let c = comparison(&[(10.0, 5.0)]);
        assert_eq!(
            quiet(&c),
            "GET: A=10.00 B=5.00 requests per second, A/B=2.000 (2.000..2.000, 95% 2.000..2.000)\n"
        );
        assert_eq!(
            csv(&c),
            "\"GET\",\"10.00\",\"5.00\",\"2.0000\",\"2.0000\",\"2.0000\",\"2.0000\",\"2.0000\",\
             \"0.100\",\"0.200\",\"0.100\",\"0.200\"\n"
        );
        assert_eq!(csv(&c).matches(',').count(), CSV_HEADER.matches(',').count());
        let text = full(&c, ["h:1", "host:22"]);
        assert!(
            text.contains(
                "  A h:1      median 10.00 requests per second, p50=0.100 p99=0.100 msec\n"
            ),
            "{text}"
        );
        assert!(text.ends_with(
            "  A/B 2.000, rounds 2.000..2.000, 95% interval of the median 2.000..2.000\n"
        ));
    }
}

//! `--json`: all results of a run in one file, written when the run ends (each time with `-l`).
//!
//! Keeps true: units are in the names; the whole latency distribution is there, so any percentile
//! can be computed later.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::compare::Comparison;
use crate::job::Outcome;
use crate::options::Options;
use crate::target::Server;

/// One test's result.
pub fn test(title: &str, outcome: &Outcome) -> Value {
    json!({
        "test": title,
        "requests": outcome.requests,
        "seconds": outcome.elapsed.as_secs_f64(),
        "requests_per_second": outcome.rate(),
        "client_cpu_seconds": outcome.client_cpu.map(|cpu| cpu.as_secs_f64()),
        "latency_us": latency(&outcome.histogram),
        "verified": {
            "replies": outcome.tally.checked,
            "missing_keys": outcome.tally.missing,
            "wrong": outcome.tally.wrong,
        },
    })
}

fn latency(histogram: &Histogram<u64>) -> Value {
    let at = |percentile| histogram.value_at_percentile(percentile);
    let cells: Vec<[u64; 2]> = histogram
        .iter_recorded()
        .map(|cell| [histogram.highest_equivalent(cell.value_iterated_to()), cell.count_at_value()])
        .collect();
    json!({
        "min": histogram.min(),
        "mean": histogram.mean(),
        "stdev": histogram.stdev(),
        "p50": at(50.0),
        "p90": at(90.0),
        "p95": at(95.0),
        "p99": at(99.0),
        "p99_9": at(99.9),
        "p99_99": at(99.99),
        "max": histogram.max(),
        // Pairs of a latency and how many requests had it (or up to a thousandth less).
        "distribution": cells,
    })
}

/// One test's comparison.
pub fn comparison(comparison: &Comparison) -> Value {
    let rounds: Vec<Value> =
        comparison.rounds.iter().map(|round| json!([round.a, round.b])).collect();
    let figures = comparison.figures();
    json!({
        "test": comparison.title,
        "a_requests_per_second": figures.a,
        "b_requests_per_second": figures.b,
        "ratio": figures.ratio,
        "ratio_min": figures.min,
        "ratio_max": figures.max,
        "ratio_ci95": [figures.low, figures.high],
        "rounds": rounds,
        "a": test(&comparison.title, &comparison.a),
        "b": test(&comparison.title, &comparison.b),
    })
}

/// The whole file.
pub fn file(options: &Options, servers: &[Server], results: &[Value]) -> String {
    let servers: Vec<String> = servers.iter().map(|server| server.target.to_string()).collect();
    let value = json!({
        "program": "eonkv-benchmark",
        "version": env!("CARGO_PKG_VERSION"),
        "servers": servers,
        "clients": options.clients,
        "threads": options.crew(),
        "pipeline": options.pipeline,
        "data_bytes": options.data,
        "keep_alive": options.keep_alive,
        "key_space": options.key_space,
        "key_pattern": options.pattern.to_string(),
        "rate": options.rate,
        "duration_seconds": options.duration.map(|duration| duration.as_secs_f64()),
        "seed": options.seed,
        "results": results,
    });
    format!("{value:#}\n")
}

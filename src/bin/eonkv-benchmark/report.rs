//! What is printed about a test, in redis-benchmark's lines.
//!
//! Keeps true: a script that reads redis-benchmark's normal, `-q` or `--csv` output reads this one.
//! Only numbers are finer: rates come from a clock of nanoseconds (redis-benchmark's has
//! milliseconds and says `inf` for short runs), latencies from cells of 1 µs instead of 8 µs.
//!
//! Everything here makes text of figures; nothing prints. That is what makes the golden tests short.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::job::{Outcome, Tick};

/// The header of `--csv`.
pub const CSV_HEADER: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\
     \"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n";

/// The circumstances that the full report mentions.
#[derive(Debug, Clone)]
pub struct Setting {
    pub clients: usize,
    pub payload: usize,
    pub keep_alive: bool,
    /// The server's `save` and `appendonly`.
    pub configuration: Option<(String, String)>,
    /// 0: not multi-threaded.
    pub threads: usize,
}

/// Milliseconds at a percentile.
pub fn percentile(histogram: &Histogram<u64>, percentile: f64) -> f64 {
    histogram.value_at_percentile(percentile) as f64 / 1_000.0
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// Average, minimum, median, 95th, 99th percentile and maximum: milliseconds.
fn summary(histogram: &Histogram<u64>) -> [f64; 6] {
    [
        histogram.mean() / 1_000.0,
        millis(histogram.min()),
        percentile(histogram, 50.0),
        percentile(histogram, 95.0),
        percentile(histogram, 99.0),
        millis(histogram.max()),
    ]
}

/// The line that `-q` prints.
pub fn quiet(title: &str, outcome: &Outcome) -> String {
    let median = percentile(&outcome.histogram, 50.0);
    format!("{title}: {:.2} requests per second, p50={median:.3} msec\n", outcome.rate())
}

/// The line that `--csv` prints.
pub fn csv(title: &str, outcome: &Outcome) -> String {
    let mut line = format!("\"{title}\",\"{:.2}\"", outcome.rate());
    for value in summary(&outcome.histogram) {
        let _ = write!(line, ",\"{value:.3}\""); // writing to a string cannot fail
    }
    line + "\n"
}

/// The full report.
pub fn full(title: &str, outcome: &Outcome, setting: &Setting) -> String {
    let histogram = &outcome.histogram;
    let seconds = outcome.elapsed.as_secs_f64();
    let mut out = format!("====== {title} ======\n");
    out += &format!("  {} requests completed in {seconds:.2} seconds\n", outcome.requests);
    out += &format!("  {} parallel clients\n", setting.clients);
    out += &format!("  {} bytes payload\n", setting.payload);
    out += &format!("  keep alive: {}\n", i32::from(setting.keep_alive));
    if let Some((save, append_only)) = &setting.configuration {
        out += &format!("  host configuration \"save\": {save}\n");
        out += &format!("  host configuration \"appendonly\": {append_only}\n");
    }
    match setting.threads {
        0 => out += "  multi-thread: no\n",
        threads => out += &format!("  multi-thread: yes\n  threads: {threads}\n"),
    }
    out += "\nLatency by percentile distribution:\n";
    rows(&mut out, by_percentile(histogram), histogram.len());
    out += "\nCumulative distribution of latencies:\n";
    rows(&mut out, by_latency(histogram), histogram.len());
    out +=
        &format!("\nSummary:\n  throughput summary: {:.2} requests per second\n", outcome.rate());
    out += "  latency summary (msec):\n    ";
    let names = ["avg", "min", "p50", "p95", "p99", "max"];
    out += &names.map(|name| format!("{name:>9}")).join(" ");
    out += "\n    ";
    out += &summary(histogram).map(|value| format!("{value:9.3}")).join(" ");
    out + "\n"
}

/// One line of a distribution.
#[derive(Debug, PartialEq)]
struct Row {
    percent: f64,
    /// Microseconds.
    latency: u64,
    count: u64,
}

/// Rows that add nothing to the one before are left out, except those that reach the total.
fn rows(out: &mut String, rows: Vec<Row>, total: u64) {
    let mut previous = None;
    for row in rows {
        if previous != Some(row.count) || row.count == total {
            let (percent, latency, count) = (row.percent, millis(row.latency), row.count);
            *out +=
                &format!("{percent:.3}% <= {latency:.3} milliseconds (cumulative count {count})\n");
        }
        previous = Some(row.count);
    }
}

/// The histogram's cells up to the last one used: (highest latency, count up to it).
fn cells(histogram: &Histogram<u64>) -> impl Iterator<Item = (u64, u64)> + '_ {
    let mut cumulative = 0;
    histogram.iter_all().map_while(move |cell| {
        if cumulative == histogram.len() {
            return None;
        }
        cumulative += cell.count_at_value();
        Some((histogram.highest_equivalent(cell.value_iterated_to()), cumulative))
    })
}

/// The latencies at 0 %, 50 %, 75 % and so on: each step halves what is left.
fn by_percentile(histogram: &Histogram<u64>) -> Vec<Row> {
    let (total, mut rows) = (histogram.len(), Vec::new());
    let (mut percent, mut before) = (0.0_f64, 0);
    for (latency, count) in cells(histogram) {
        let used = count != before;
        before = count;
        while used && percent <= 100.0 * count as f64 / total as f64 {
            rows.push(Row { percent, latency, count });
            let halvings = (100.0 / (100.0 - percent)).log2() as i32 + 1;
            percent += 100.0 / 2.0_f64.powi(halvings);
            if count == total {
                rows.push(Row { percent: 100.0, latency, count });
                break;
            }
        }
    }
    rows
}

/// How many latencies are up to 0.1 ms, 0.2 ms … and from 2 ms on in steps of a millisecond.
fn by_latency(histogram: &Histogram<u64>) -> Vec<Row> {
    let (total, mut rows) = (histogram.len(), Vec::new());
    let mut cells = cells(histogram).peekable();
    let (mut level, mut step, mut count) = (100, 100, 0);
    while count < total {
        let latency = histogram.highest_equivalent(level);
        while let Some((_, so_far)) = cells.next_if(|(cell, _)| *cell <= latency) {
            count = so_far;
        }
        rows.push(Row { percent: 100.0 * count as f64 / total as f64, latency, count });
        level += step;
        if latency >= 2_000 {
            step = 1_000;
        }
    }
    rows
}

/// Draws the line that shows how a test is going, over the one before.
#[derive(Debug, Default)]
pub struct ProgressLine {
    previous: Tick,
    printed: usize,
}

impl ProgressLine {
    /// What clears the line, as redis-benchmark does it: spaces over the last one.
    pub fn clear(&mut self) -> String {
        let width = std::mem::take(&mut self.printed);
        format!("{:>width$}\r", " ")
    }

    /// Another run begins, its ticks counting from 0.
    pub fn restart(&mut self) {
        self.previous = Tick::default();
    }

    /// The line for a tick.
    pub fn line(&mut self, title: &str, tick: Tick) -> String {
        let mut out = self.clear();
        let replies = tick.replies.saturating_sub(self.previous.replies);
        let latency = tick.latency.saturating_sub(self.previous.latency);
        let now = per_second(replies, (tick.elapsed - self.previous.elapsed).as_secs_f64());
        let overall = per_second(tick.replies, tick.elapsed.as_secs_f64());
        let text = format!(
            "{title}: rps={now:.1} (overall: {overall:.1}) avg_msec={} (overall: {})\r",
            average(latency, replies),
            average(tick.latency, tick.replies),
        );
        self.printed = text.len();
        self.previous = tick;
        out += &text;
        out
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

/// An average in milliseconds; C's word for none.
fn average(micros: u64, count: u64) -> String {
    match count {
        0 => "nan".to_owned(),
        _ => format!("{:.3}", micros as f64 / count as f64 / 1_000.0),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;

//! `--latency` and `--latency-history`: round trips of PING, a hundred a second.

use std::time::{Duration, Instant};

use crate::args::Task;
use crate::format::Mode;
use crate::screen;
use crate::session::{Session, Stop};

/// Between two PINGs.
pub const PAUSE: Duration = Duration::from_millis(10);

/// How long one line of the history lasts, unless `-i` says otherwise.
const HISTORY_RANGE_MS: u128 = 15_000;

/// How long a measurement off the terminal lasts, unless `-i` says otherwise.
const ONE_REPORT_MS: u128 = 1000;

/// Whole milliseconds, as redis-cli measures.
#[derive(Debug, Default)]
struct Samples {
    min: u64,
    max: u64,
    total: u64,
    count: u64,
}

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let asked = u128::from(session.options.interval_us / 1000);
    let or = |default| if session.options.interval_us == 0 { default } else { asked };
    let (range, report_after) = (or(HISTORY_RANGE_MS), or(ONE_REPORT_MS));
    let history = session.options.has(Task::LatencyHistory);
    let mode = session.options.format.mode;
    let mut samples = Samples::default();
    let mut since = Instant::now();
    loop {
        let sent = Instant::now();
        session.persist(&["PING"])?;
        samples.add(u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX));
        let passed = since.elapsed();
        if mode == Mode::Standard {
            screen::say(&format!("\x1b[0G\x1b[2K{}", samples.line(mode)));
        } else if history {
            screen::say(&samples.line(mode));
        } else if passed.as_millis() > report_after {
            screen::say(&samples.line(mode));
            return Ok(());
        }
        if history && passed.as_millis() > range {
            screen::say(&format!(" -- {:.2} seconds range\n", passed.as_secs_f64()));
            since = Instant::now();
            samples = Samples::default();
        }
        std::thread::sleep(PAUSE);
    }
}

impl Samples {
    fn add(&mut self, millis: u64) {
        self.min = if self.count == 0 { millis } else { self.min.min(millis) };
        self.max = self.max.max(millis);
        self.total = self.total.saturating_add(millis);
        self.count += 1;
    }

    fn line(&self, mode: Mode) -> String {
        let Samples { min, max, total, count } = self;
        let avg = *total as f64 / (*count).max(1) as f64;
        match mode {
            Mode::Standard => format!("min: {min}, max: {max}, avg: {avg:.2} ({count} samples)"),
            Mode::Csv => format!("{min},{max},{avg:.2},{count}\n"),
            Mode::Raw => format!("{min} {max} {avg:.2} {count}\n"),
            Mode::Json | Mode::QuotedJson => {
                format!(
                    "{{\"min\": {min}, \"max\": {max}, \"avg\": {avg:.2}, \"count\": {count}}}\n"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mut samples = Samples::default();
        [3, 1, 5].into_iter().for_each(|millis| samples.add(millis));
        assert_eq!(samples.line(Mode::Standard), "min: 1, max: 5, avg: 3.00 (3 samples)");
        assert_eq!(samples.line(Mode::Raw), "1 5 3.00 3\n");
        assert_eq!(samples.line(Mode::Csv), "1,5,3.00,3\n");
        assert_eq!(
            samples.line(Mode::Json),
            "{\"min\": 1, \"max\": 5, \"avg\": 3.00, \"count\": 3}\n"
        );
    }
}

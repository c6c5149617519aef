//! What is counted: per worker, stored plainly by its owner, summed when somebody asks.
//!
//! - **M1** A cell of [`Worker`] is written by its own thread alone (load, add, store: no locked
//!   instruction, no shared line); anybody may read it.
//! - **M2** CONFIG RESETSTAT therefore never writes into cells: it remembers their present sums, and
//!   readers subtract ([`Metrics::reset`]). Counts lost to a race cannot happen.
//! - **M3** Rows are known by their numbers only; names belong to the command table.
//!
//! Slow log and latency events are rare, so they sit behind locks ([`slowlog`], [`latency`]).

pub mod histogram;
pub mod latency;
pub mod overrun;
pub mod process;
pub mod slowlog;

use crate::sync::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
pub use histogram::{Histogram, Totals};
pub use latency::LatencyMonitor;
pub use overrun::Overrun;
use parking_lot::Mutex;
pub use process::Process;
pub use slowlog::SlowLog;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Different codes of errors that are counted one by one; a flood of invented ones ends there.
const ERROR_CODES_MAX: usize = 128;
/// Samples that the present rates are the mean of, 100 ms apart.
const RATE_SAMPLES: usize = 16;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a worker counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Stat { $($(#[$doc])* $name,)* }
        const STATS: usize = [$(Stat::$name),*].len();
    };
}

stats! {
    /// Commands that ran.
    Commands,
    /// Connections accepted.
    Connections,
    /// Connections refused because of `maxclients`.
    Rejected,
    /// Bytes read from clients.
    NetIn,
    /// Bytes written to clients.
    NetOut,
    /// Calls of read.
    Reads,
    /// Calls of write.
    Writes,
    /// Replies that were errors.
    Errors,
    /// Clients closed because their request passed `client-query-buffer-limit`.
    QueryLimit,
    /// Clients closed because of `client-output-buffer-limit`.
    OutputLimit,
    /// Clients closed because of `maxmemory-clients`.
    EvictedClients,
    /// Commands refused for want of AUTH.
    AuthDenied,
    /// Turns of the event loop that found work.
    LoopTurns,
    /// Microseconds those turns took.
    LoopMicros,
    /// Nanoseconds of those spent in commands.
    CommandNanos,
    /// Times that a reply buffer was made smaller.
    ReplyShrinks,
    /// Turns in which a reply buffer grew.
    ReplyExpands,
}

/// One command row's cells of one worker.
#[derive(Debug, Default)]
struct RowCells {
    calls: AtomicU64,
    nanos: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    times: OnceLock<Box<Histogram>>,
}

/// What one row amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowTotals {
    /// Times it ran.
    pub calls: u64,
    /// Time it took, in nanoseconds.
    pub nanos: u64,
    /// Times it was refused before it ran (arity, AUTH, memory).
    pub rejected: u64,
    /// Times it replied with an error.
    pub failed: u64,
}

/// One worker's cells (M1).
#[derive(Debug)]
pub struct Worker {
    stats: CachePadded<[AtomicU64; STATS]>,
    rows: Box<[RowCells]>,
    errors: Mutex<BTreeMap<Vec<u8>, u64>>,
}

#[inline(always)]
fn bump(cell: &AtomicU64, n: u64) {
    // Relaxed: one writer (M1), and readers want no order with anything else.
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl Worker {
    fn new(rows: usize) -> Self {
        Self {
            stats: CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0))),
            rows: (0..rows).map(|_| RowCells::default()).collect(),
            errors: Mutex::default(),
        }
    }

    /// Adds to a count; the owner only.
    #[inline(always)]
    pub fn add(&self, stat: Stat, n: u64) {
        bump(&self.stats[stat as usize], n);
    }

    /// This worker's count.
    pub fn get(&self, stat: Stat) -> u64 {
        self.stats[stat as usize].load(Ordering::Relaxed)
    }

    /// `calls` runs of row `id` took `nanos` together; the owner only. `spread` says whether their
    /// distribution is kept too.
    #[inline]
    pub fn ran(&self, id: u16, calls: u64, nanos: u64, spread: bool) {
        let Some(row) = self.rows.get(usize::from(id)) else { return };
        bump(&row.calls, calls);
        bump(&row.nanos, nanos);
        if spread && calls > 0 {
            row.times.get_or_init(Box::default).add(nanos / calls, calls);
        }
    }

    /// Row `id` was refused before it ran; the owner only.
    pub fn rejected(&self, id: u16) {
        if let Some(row) = self.rows.get(usize::from(id)) {
            bump(&row.rejected, 1);
        }
    }

    /// Row `id` replied with an error; the owner only.
    pub fn failed(&self, id: u16) {
        if let Some(row) = self.rows.get(usize::from(id)) {
            bump(&row.failed, 1);
        }
    }

    /// An error reply went out: counts it under its code, the first word of `text`.
    pub fn error(&self, text: &[u8]) {
        self.add(Stat::Errors, 1);
        let code = text.split(|&b| b == b' ').next().unwrap_or_default();
        let mut errors = self.errors.lock();
        if let Some(count) = errors.get_mut(code) {
            *count += 1;
        } else if errors.len() < ERROR_CODES_MAX {
            errors.insert(code.to_vec(), 1);
        }
    }
}

/// Sums as they stood at the last reset (M2).
#[derive(Debug, Default)]
struct Baseline {
    stats: Vec<u64>,
    rows: Vec<RowTotals>,
    times: BTreeMap<usize, Totals>,
    errors: BTreeMap<Vec<u8>, u64>,
}

#[derive(Debug, Default)]
struct Rates {
    at_ms: i64,
    last: [u64; RATED.len()],
    samples: [[u64; RATE_SAMPLES]; RATED.len()],
    next: usize,
}

/// Everything that is counted, of all workers.
#[derive(Debug)]
pub struct Metrics {
    workers: Box<[Worker]>,
    baseline: Mutex<Baseline>,
    rates: Mutex<Rates>,
    /// Clients connected at most at one time.
    pub peak_clients: AtomicU64,
    /// Slow commands.
    pub slowlog: SlowLog,
    /// Latency events.
    pub latency: LatencyMonitor,
    /// Time above `maxmemory`.
    pub overrun: Overrun,
}

impl Metrics {
    /// Cells for `workers` threads and `rows` command rows.
    pub fn new(workers: usize, rows: usize) -> Self {
        Self {
            workers: (0..workers.max(1)).map(|_| Worker::new(rows)).collect(),
            baseline: Mutex::default(),
            rates: Mutex::default(),
            peak_clients: AtomicU64::new(0),
            slowlog: SlowLog::default(),
            latency: LatencyMonitor::default(),
            overrun: Overrun::default(),
        }
    }

    /// The cells of worker `n`, for its own thread to add to.
    pub fn worker(&self, n: usize) -> &Worker {
        &self.workers[n]
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// A count over all workers since the last reset.
    pub fn total(&self, stat: Stat) -> u64 {
        let base = self.baseline.lock().stats.get(stat as usize).copied().unwrap_or(0);
        self.raw(stat).wrapping_sub(base)
    }

    fn raw(&self, stat: Stat) -> u64 {
        self.workers.iter().fold(0, |sum, worker| sum.wrapping_add(worker.get(stat)))
    }

    /// What row `id` amounts to since the last reset.
    pub fn row(&self, id: u16) -> RowTotals {
        let base = self.baseline.lock().rows.get(usize::from(id)).copied().unwrap_or_default();
        let raw = self.raw_row(usize::from(id));
        RowTotals {
            calls: raw.calls.wrapping_sub(base.calls),
            nanos: raw.nanos.wrapping_sub(base.nanos),
            rejected: raw.rejected.wrapping_sub(base.rejected),
            failed: raw.failed.wrapping_sub(base.failed),
        }
    }

    fn raw_row(&self, id: usize) -> RowTotals {
        let mut sum = RowTotals::default();
        for row in self.workers.iter().filter_map(|worker| worker.rows.get(id)) {
            sum.calls += row.calls.load(Ordering::Relaxed);
            sum.nanos += row.nanos.load(Ordering::Relaxed);
            sum.rejected += row.rejected.load(Ordering::Relaxed);
            sum.failed += row.failed.load(Ordering::Relaxed);
        }
        sum
    }

    /// How long the runs of row `id` took since the last reset; `None` if it never ran.
    pub fn times(&self, id: u16) -> Option<Totals> {
        let mut sum = self.raw_times(usize::from(id))?;
        if let Some(base) = self.baseline.lock().times.get(&usize::from(id)) {
            sum.subtract(base);
        }
        (sum.count() > 0).then_some(sum)
    }

    fn raw_times(&self, id: usize) -> Option<Totals> {
        let mut sum: Option<Totals> = None;
        for row in self.workers.iter().filter_map(|worker| worker.rows.get(id)) {
            if let Some(times) = row.times.get() {
                times.add_to(sum.get_or_insert_default());
            }
        }
        sum
    }

    /// Error replies by code since the last reset.
    pub fn errors(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut sum = self.raw_errors();
        for (code, count) in &self.baseline.lock().errors {
            if let Some(total) = sum.get_mut(code) {
                *total = total.saturating_sub(*count);
            }
        }
        sum.retain(|_, count| *count > 0);
        sum
    }

    fn raw_errors(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut sum = BTreeMap::new();
        for worker in &self.workers {
            for (code, count) in worker.errors.lock().iter() {
                *sum.entry(code.clone()).or_insert(0) += count;
            }
        }
        sum
    }

    /// Starts all counts anew (M2). Slow log and latency events have resets of their own.
    pub fn reset(&self) {
        let rows = self.workers[0].rows.len();
        let fresh = Baseline {
            stats: (0..STATS)
                .map(|i| self.workers.iter().map(|w| w.stats[i].load(Ordering::Relaxed)).sum())
                .collect(),
            rows: (0..rows).map(|id| self.raw_row(id)).collect(),
            times: (0..rows).filter_map(|id| Some((id, self.raw_times(id)?))).collect(),
            errors: self.raw_errors(),
        };
        *self.baseline.lock() = fresh;
        self.peak_clients.store(0, Ordering::Relaxed);
        self.overrun.reset();
    }

    /// Takes a sample for [`Metrics::rate`]; to be called about ten times a second.
    pub fn sample(&self, now_ms: i64) {
        let mut rates = self.rates.lock();
        let elapsed = u64::try_from(now_ms - rates.at_ms).unwrap_or(0);
        let seen = RATED.map(|stat| self.raw(stat));
        if rates.at_ms > 0 && elapsed > 0 {
            let next = rates.next;
            for (i, now) in seen.iter().enumerate() {
                rates.samples[i][next] = now.wrapping_sub(rates.last[i]) * 1000 / elapsed;
            }
            rates.next = (next + 1) % RATE_SAMPLES;
        }
        if elapsed > 0 {
            (rates.at_ms, rates.last) = (now_ms, seen);
        }
    }

    /// Present rate per second of one of [`RATED`].
    pub fn rate(&self, stat: Stat) -> u64 {
        let place = RATED.iter().position(|rated| *rated == stat);
        place.map_or(0, |i| self.rates.lock().samples[i].iter().sum::<u64>() / RATE_SAMPLES as u64)
    }
}

/// What has a present rate.
const RATED: [Stat; 5] =
    [Stat::Commands, Stat::NetIn, Stat::NetOut, Stat::LoopTurns, Stat::LoopMicros];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_all_workers_and_resets_hide_the_past() {
        let metrics = Metrics::new(2, 3);
        metrics.worker(0).add(Stat::NetIn, 5);
        metrics.worker(1).add(Stat::NetIn, 7);
        metrics.worker(0).ran(1, 2, 2_000, true);
        metrics.worker(1).ran(1, 1, 4_000, true);
        metrics.worker(1).failed(1);
        metrics.worker(1).error(b"WRONGTYPE Operation");
        let row = RowTotals { calls: 3, nanos: 6_000, rejected: 0, failed: 1 };
        assert_eq!((metrics.total(Stat::NetIn), metrics.row(1)), (12, row));
        assert_eq!(metrics.times(1).map(|times| times.count()), Some(3));
        assert_eq!(metrics.errors()[b"WRONGTYPE".as_slice()], 1);
        metrics.reset();
        assert_eq!((metrics.total(Stat::NetIn), metrics.row(1)), (0, RowTotals::default()));
        assert!(metrics.times(1).is_none() && metrics.errors().is_empty());
        metrics.worker(0).ran(1, 1, 500, true);
        assert_eq!(metrics.times(1).map(|times| times.count()), Some(1));
    }

    #[test]
    fn invented_error_codes_are_bounded() {
        let metrics = Metrics::new(1, 0);
        for i in 0..1_000 {
            metrics.worker(0).error(format!("CODE{i} text").as_bytes());
        }
        assert_eq!(metrics.errors().len(), ERROR_CODES_MAX);
        assert_eq!(metrics.total(Stat::Errors), 1_000);
    }

    #[test]
    fn rates_are_per_second() {
        let metrics = Metrics::new(1, 0);
        for turn in 1..=RATE_SAMPLES as i64 + 1 {
            metrics.sample(turn * 100);
            metrics.worker(0).add(Stat::Commands, 10);
        }
        assert_eq!(metrics.rate(Stat::Commands), 100);
    }
}

//! Durations in buckets: 32 to the octave, so a value is known to 3 %.
//!
//! One worker stores, anybody sums. A bucket costs eight bytes; a row that never runs has none.

use crate::sync::{AtomicU64, Ordering};

const SUB_BITS: u32 = 5;
const SUBS: usize = 1 << SUB_BITS;
/// Longest duration told apart: 2^40 ns, about 18 minutes.
const OCTAVES: usize = 40;
const BUCKETS: usize = (OCTAVES - SUB_BITS as usize + 1) * SUBS;

/// The bucket of a duration in nanoseconds.
fn bucket(nanos: u64) -> usize {
    if nanos < SUBS as u64 {
        return nanos as usize;
    }
    let octave = 63 - nanos.leading_zeros();
    let sub = (nanos >> (octave - SUB_BITS)) as usize & (SUBS - 1);
    (((octave - SUB_BITS + 1) as usize) * SUBS + sub).min(BUCKETS - 1)
}

/// The greatest duration that falls into bucket `i`.
fn top(i: usize) -> u64 {
    if i < SUBS {
        return i as u64;
    }
    let (octave, sub) = (i / SUBS - 1, (i % SUBS) as u64);
    ((SUBS as u64 + sub + 1) << octave) - 1
}

/// One worker's distribution of one row.
#[derive(Debug)]
pub struct Histogram {
    cells: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { cells: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Histogram {
    /// `count` events of `nanos` each; the owner only.
    #[inline]
    pub fn add(&self, nanos: u64, count: u64) {
        let cell = &self.cells[bucket(nanos)];
        // Relaxed: one writer; readers want no order with anything else.
        cell.store(cell.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    /// Adds what is here to `sum`.
    pub fn add_to(&self, sum: &mut Totals) {
        for (total, cell) in sum.cells.iter_mut().zip(&self.cells) {
            *total += cell.load(Ordering::Relaxed);
        }
    }
}

/// A distribution at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    cells: Vec<u64>,
}

impl Default for Totals {
    fn default() -> Self {
        Self { cells: vec![0; BUCKETS] }
    }
}

impl Totals {
    /// Number of events.
    pub fn count(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// Takes an earlier state of the same distribution away.
    pub fn subtract(&mut self, earlier: &Self) {
        for (cell, base) in self.cells.iter_mut().zip(&earlier.cells) {
            *cell = cell.saturating_sub(*base);
        }
    }

    /// Duration in nanoseconds below which `percent` of the events lie; 0 without events.
    pub fn percentile(&self, percent: f64) -> u64 {
        let count = self.count();
        let wanted = ((percent.clamp(0.0, 100.0) / 100.0) * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (i, cell) in self.cells.iter().enumerate() {
            seen += cell;
            if *cell > 0 && seen >= wanted {
                return top(i);
            }
        }
        0
    }

    /// Events of at most `nanos`, as far as buckets tell.
    pub fn at_most(&self, nanos: u64) -> u64 {
        self.cells.iter().enumerate().take_while(|(i, _)| top(*i) <= nanos).map(|(_, n)| n).sum()
    }

    /// Cumulated counts at the steps of LATENCY HISTOGRAM that add events. Redis' steps are doublings
    /// of 1024 ns, each up to the end of the bucket (of 8 at the first) that begins there; told in
    /// whole microseconds that makes 1, 2, 4, 8, 16, 33, 66, … What takes longer than the last of
    /// them counts as [`LONGEST_US`].
    pub fn by_microseconds(&self) -> Vec<(u64, u64)> {
        let (mut seen, mut from, mut steps) = (0, 0, Vec::new());
        for step in 0..STEPS {
            let end = bucket(1024 << step) + 1;
            let added = self.cells[from..end].iter().sum::<u64>();
            from = end;
            if added > 0 {
                seen += added;
                steps.push((((1032 << step) - 1) / 1_000, seen));
            }
        }
        let rest = self.cells[from..].iter().sum::<u64>();
        if rest > 0 {
            steps.push((LONGEST_US, seen + rest));
        }
        steps
    }
}

/// Steps of LATENCY HISTOGRAM, up to half a second.
const STEPS: u32 = 20;
/// The step of everything longer.
const LONGEST_US: u64 = ((1 << 30) - 1) / 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A bucket's top is never below a duration in it, and at most 1/32 above.
        #[test]
        fn buckets_are_narrow(nanos in 0_u64..1 << OCTAVES) {
            let top = top(bucket(nanos));
            prop_assert!(top >= nanos && top - nanos <= nanos / 32 + 1, "{nanos} {top}");
        }
    }

    #[test]
    fn percentiles_and_steps() {
        let histogram = Histogram::default();
        histogram.add(900, 98);
        histogram.add(50_000, 1);
        histogram.add(u64::MAX, 1);
        let mut sum = Totals::default();
        histogram.add_to(&mut sum);
        assert_eq!(sum.count(), 100);
        assert!((900..=930).contains(&sum.percentile(50.0)));
        assert!((50_000..52_000).contains(&sum.percentile(99.0)));
        let steps = sum.by_microseconds();
        assert_eq!(steps, [(1, 98), (66, 99), (1_073_741, 100)]);
        assert_eq!(Totals::default().percentile(50.0), 0);
    }

    /// The bounds that redis-server 7.0.15 prints for durations from a microsecond to seconds.
    #[test]
    fn steps_are_those_of_redis() {
        let histogram = Histogram::default();
        (0..31).for_each(|octave| histogram.add(1024 << octave, 1));
        let mut sum = Totals::default();
        histogram.add_to(&mut sum);
        let bounds: Vec<u64> = sum.by_microseconds().iter().map(|step| step.0).collect();
        assert_eq!(
            bounds,
            [
                1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633,
                135266, 270532, 541065, 1073741
            ]
        );
    }
}

//! Latency events: what took longer than `latency-monitor-threshold`, by kind.

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Samples kept of one event.
const SAMPLES: usize = 160;

/// Samples of one event, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// Unix seconds and milliseconds.
    pub samples: VecDeque<(i64, u64)>,
    /// Longest ever, in milliseconds.
    pub max: u64,
}

/// All events.
#[derive(Debug, Default)]
pub struct LatencyMonitor {
    events: Mutex<BTreeMap<&'static str, Series>>,
}

impl LatencyMonitor {
    /// `event` took `ms` at Unix second `at`. Within one second the longest is kept.
    pub fn add(&self, event: &'static str, at: i64, ms: u64) {
        let mut events = self.events.lock();
        let series = events.entry(event).or_default();
        series.max = series.max.max(ms);
        match series.samples.back_mut() {
            Some((last, longest)) if *last == at => *longest = (*longest).max(ms),
            _ => {
                series.samples.push_back((at, ms));
                if series.samples.len() > SAMPLES {
                    series.samples.pop_front();
                }
            }
        }
    }

    /// All events with their samples, by name.
    pub fn all(&self) -> BTreeMap<&'static str, Series> {
        self.events.lock().clone()
    }

    /// Samples of one event.
    pub fn series(&self, event: &str) -> Option<Series> {
        self.events.lock().get(event).cloned()
    }

    /// Forgets the named events, or all without a name; returns how many there were.
    pub fn reset(&self, names: &[&[u8]]) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        if names.is_empty() {
            events.clear();
        }
        events.retain(|event, _| !names.iter().any(|n| n.eq_ignore_ascii_case(event.as_bytes())));
        before - events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_a_second_and_a_bounded_past() {
        let monitor = LatencyMonitor::default();
        monitor.add("command", 1, 5);
        monitor.add("command", 1, 3);
        for second in 2..=SAMPLES as i64 + 1 {
            monitor.add("command", second, 1);
        }
        let series = monitor.series("command").unwrap();
        assert_eq!((series.samples.len(), series.max), (SAMPLES, 5));
        monitor.add("fork", 1, 1);
        assert_eq!(monitor.reset(&[b"COMMAND", b"absent"]), 1);
        assert_eq!(monitor.reset(&[]), 1);
    }
}

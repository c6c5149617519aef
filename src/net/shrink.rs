//! When a worker's reply buffer shrinks.
//!
//! What a huge reply left is given back at once. A smaller buffer stays as long as it is used: now
//! and then ([`Rule::peak_reset_ms`]) it shrinks to the largest use since the last time. Shrinking
//! after each turn instead would allocate anew in each.

/// Room that a buffer keeps for a while at most.
const KEPT: usize = 1 << 20;
/// Room that it always keeps.
pub const FLOOR: usize = 64 * 1024;

/// What DEBUG REPLYBUFFER sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Buffers shrink at all.
    pub shrinks: bool,
    /// Milliseconds after which the largest use is forgotten.
    pub peak_reset_ms: i64,
}

/// What became of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was made smaller.
    Shrank,
    /// It has grown since the last turn.
    Grew,
}

/// What is known of one buffer.
#[derive(Debug, Default)]
pub struct Peak {
    used: usize,
    /// When `used` was last forgotten, Unix milliseconds.
    since: i64,
    /// Capacity when the last turn ended.
    capacity: usize,
}

impl Peak {
    /// The buffer holds `len` bytes.
    #[inline]
    pub fn saw(&mut self, len: usize) {
        self.used = self.used.max(len);
    }

    /// A turn ends at `now`: shrinks `buffer` if it is time.
    pub fn turn_ends(&mut self, buffer: &mut Vec<u8>, rule: Rule, now: i64) -> Option<Change> {
        let grew = buffer.capacity() > self.capacity.max(FLOOR);
        let before = buffer.capacity();
        if rule.shrinks {
            buffer.shrink_to(KEPT);
            if now.saturating_sub(self.since) >= rule.peak_reset_ms {
                if self.used <= buffer.capacity() / 2 {
                    buffer.shrink_to(self.used.next_power_of_two().max(FLOOR));
                }
                (self.used, self.since) = (buffer.len(), now);
            }
        }
        self.capacity = buffer.capacity();
        match () {
            () if self.capacity < before => Some(Change::Shrank),
            () if grew => Some(Change::Grew),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_follow_their_use() {
        let rule = Rule { shrinks: true, peak_reset_ms: 100 };
        let (mut peak, mut buffer) = (Peak::default(), Vec::with_capacity(FLOOR));
        let mut turn = |used: usize, rule: Rule, now: i64| {
            buffer.reserve_exact(used);
            peak.saw(used);
            let change = peak.turn_ends(&mut buffer, rule, now);
            (change, buffer.capacity())
        };
        assert_eq!(turn(10, rule, 1_000), (None, FLOOR));
        assert_eq!(turn(500_000, rule, 1_010), (Some(Change::Grew), 500_000));
        assert_eq!(turn(10, rule, 1_100), (None, 500_000), "it was needed since the last look");
        assert_eq!(turn(70_000, rule, 1_199), (None, 500_000));
        assert_eq!(turn(10, rule, 1_200), (Some(Change::Shrank), 1 << 17));
        assert_eq!(turn(5 << 20, rule, 1_201), (Some(Change::Shrank), KEPT), "at once");
        let still = Rule { shrinks: false, ..rule };
        assert_eq!(turn(5 << 20, still, 1_400), (Some(Change::Grew), 5 << 20));
        assert_eq!(turn(0, still, 9_000), (None, 5 << 20));
        let never = Rule { peak_reset_ms: i64::MAX, ..rule };
        assert_eq!(turn(0, never, 9_100), (Some(Change::Shrank), KEPT));
        assert_eq!(turn(0, never, 99_000), (None, KEPT));
    }
}

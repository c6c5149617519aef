//! The 24 bits that tell how recently or how often a key was used.
//!
//! Under LRU policies they are seconds (wrapping after 194 days); under LFU ones 16 bits of minutes
//! and an 8-bit logarithmic counter, which grows the less probably the higher it stands and falls by
//! one per `decay` minutes without use. Morris' counter, with Redis' parameters.

const MASK: u32 = 0x00ff_ffff;
/// The counter of a new key: it must survive its first moments among old ones.
pub const LFU_START: u32 = 5;

/// How accesses are recorded; a copy of the configuration's values for one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Count frequencies instead of times.
    pub lfu: bool,
    /// `lfu-log-factor`: the higher, the more hits a step of the counter takes.
    pub log_factor: u32,
    /// `lfu-decay-time`: minutes per step down; 0: never.
    pub decay_minutes: u32,
    /// Reads of this client leave no trace.
    pub no_touch: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { lfu: false, log_factor: 10, decay_minutes: 1, no_touch: false }
    }
}

/// The LRU clock at `now` (Unix milliseconds).
pub const fn seconds(now: i64) -> u32 {
    (now / 1000) as u32 & MASK
}

const fn minutes(now: i64) -> u32 {
    (now / 60_000) as u32 & 0xffff
}

impl Policy {
    /// The access clock of a key made at `now`.
    #[inline]
    pub const fn fresh(self, now: i64) -> u32 {
        if self.lfu { minutes(now) << 8 | LFU_START } else { seconds(now) }
    }

    /// The access clock of a key of which another server said, at `now`, that it was last used `idle`
    /// seconds ago, or how often it was used: as far as this policy keeps what is said.
    pub fn restored(self, idle: Option<u64>, frequency: Option<u8>, now: i64) -> Option<u32> {
        match (self.lfu, idle, frequency) {
            (true, _, Some(count)) => Some(minutes(now) << 8 | u32::from(count)),
            (false, Some(idle), _) => {
                let idle = idle.min(u64::from(MASK) / 2) as u32; // beyond that the clock goes round
                Some(seconds(now).wrapping_sub(idle) & MASK)
            }
            _ => None,
        }
    }

    /// The access clock after a use at `now`.
    #[inline(always)]
    pub fn used(self, access: u32, now: i64, random: impl FnOnce() -> u64) -> u32 {
        if self.lfu { self.counted(access, now, random) } else { seconds(now) }
    }

    fn counted(self, access: u32, now: i64, random: impl FnOnce() -> u64) -> u32 {
        let counter = self.frequency(access, now);
        let above = f64::from(counter.saturating_sub(LFU_START));
        let odds = 1.0 / (above * f64::from(self.log_factor) + 1.0);
        let grows = counter < 255 && (random() >> 11) as f64 / (1u64 << 53) as f64 <= odds;
        minutes(now) << 8 | (counter + u32::from(grows))
    }

    /// The counter at `now`, decayed.
    pub fn frequency(self, access: u32, now: i64) -> u32 {
        let counter = access & 0xff;
        let idle = minutes(now).wrapping_sub(access >> 8) & 0xffff;
        match idle.checked_div(self.decay_minutes) {
            Some(steps) => counter.saturating_sub(steps),
            None => counter,
        }
    }

    /// Milliseconds since the last use.
    pub fn idle_ms(self, access: u32, now: i64) -> i64 {
        i64::from(seconds(now).wrapping_sub(access) & MASK) * 1000
    }

    /// How much more this key deserves to go than others: the greater, the sooner.
    pub fn staleness(self, access: u32, now: i64) -> u64 {
        if self.lfu {
            255 - u64::from(self.frequency(access, now))
        } else {
            self.idle_ms(access, now) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_rises_slowly_and_falls_with_time() {
        let policy = Policy { lfu: true, ..Policy::default() };
        let mut random = 1u64;
        let mut access = policy.fresh(0);
        for _ in 0..100_000 {
            access = policy.used(access, 0, || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                random
            });
        }
        let counter = policy.frequency(access, 0);
        assert!((100..200).contains(&counter), "{counter}: a hundred thousand hits, factor 10");
        assert_eq!(policy.frequency(access, 60_000 * 10), counter - 10);
        assert_eq!(policy.frequency(access, 60_000 * 300), 0);
        let still = Policy { decay_minutes: 0, ..policy };
        assert_eq!(still.frequency(access, 60_000 * 300), counter);
    }

    #[test]
    fn the_seconds_wrap() {
        let policy = Policy::default();
        let late = (i64::from(MASK) + 1) * 1000;
        assert_eq!(policy.idle_ms(seconds(late - 2000), late + 3000), 5000);
    }
}

//! Making room for a command when memory has passed `maxmemory`.

use super::Cx;
use crate::config::{Config, EvictionPolicy};
use crate::db::{Evict, Order};
use crate::session::tracking;
use std::time::{Duration, Instant};

/// Removes keys until memory is below `maxmemory` again, or for as long as one command may take
/// (the next one goes on). False if memory is over the limit and no key may go.
pub fn make(cx: &mut Cx<'_>) -> bool {
    let limit = cx.local.config.maxmemory;
    let made = limit == 0 || kept(cx) <= limit || evict(cx, limit);
    let over = limit > 0 && (!made || kept(cx) > limit);
    cx.shared.metrics.overrun.observe(over, cx.db.now);
    made
}

/// See [`make`].
fn evict(cx: &mut Cx<'_>, limit: u64) -> bool {
    let Some(how) = order(&cx.local.config) else { return false };
    let made = remove_until(cx, how, limit);
    if cx.db.local.retired_bytes() > HAND_OVER {
        let pin = cx.db.pin();
        cx.db.local.idle(pin); // other workers count what only this one knows to be on its way out
    }
    made
}

/// Memory in use, less that of clients which are being closed and of invalidations on their way: that is
/// about to be free without the loss of a key. (Were the latter counted, the news of keys that went
/// would be why more must go.)
fn kept(cx: &Cx<'_>) -> u64 {
    let passing = cx.shared.clients.leaving() + tracking::in_mail();
    cx.db.used_memory().saturating_sub(passing) as u64
}

/// Bytes that a worker may hold back, unseen by the others, after it has made room.
const HAND_OVER: usize = 32 * 1024;

fn remove_until(cx: &mut Cx<'_>, how: Evict, limit: u64) -> bool {
    let began = Instant::now();
    let patience = patience(cx.local.config.maxmemory_eviction_tenacity);
    while kept(cx) > limit {
        if !cx.local.candidates.evict_one(&mut cx.db, how) {
            return false;
        }
        if began.elapsed() >= patience {
            return true;
        }
    }
    true
}

/// Which keys may go; none under `noeviction`.
fn order(config: &Config) -> Option<Evict> {
    let policy = config.maxmemory_policy;
    let order = match policy {
        EvictionPolicy::Noeviction => return None,
        EvictionPolicy::AllkeysRandom | EvictionPolicy::VolatileRandom => Order::Random,
        EvictionPolicy::VolatileTtl => Order::Soonest,
        _ => Order::Stalest,
    };
    let samples = config.maxmemory_samples as usize;
    Some(Evict { volatile_only: policy.volatile_only(), order, samples })
}

/// `maxmemory-eviction-tenacity` as time: 50 µs a step up to 10, then 15 % more each, 100 = for ever.
fn patience(tenacity: u32) -> Duration {
    match tenacity {
        0..=10 => Duration::from_micros(u64::from(tenacity) * 50),
        11..=99 => Duration::from_micros((500.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64),
        _ => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenacity_is_time() {
        assert_eq!(patience(0), Duration::ZERO);
        assert_eq!(patience(10), Duration::from_micros(500));
        assert!(patience(99) > Duration::from_secs(100));
        assert_eq!(patience(100), Duration::MAX);
    }
}

//! Active expiry: the background removes what is over, without looking at what is not.
//!
//! The index keeps per group of 64 buckets the earliest deadline in it ([`crate::index::due`]). A
//! sweep reads these marks and opens the groups that are due. Deadlines are rounded up to ticks of
//! 128 ms since [`BASE`], so a mark is 32 bits wide and a key is gone at most one tick and one turn
//! of the sweep after its time.

use super::access::{Access, Key};
use super::write::FieldEnds;
use crate::sync::Ordering;

/// Ticks count from 2020-01-01, milliseconds.
const BASE: i64 = 1_577_836_800_000;
const TICK_MS: i64 = 128;

/// The tick by which something that expires at `at` is surely over. Never 0; times beyond the
/// range (2037) get the last tick and are looked at again then.
pub(super) fn tick(at: i64) -> u32 {
    let ticks = at.saturating_sub(BASE).max(0) / TICK_MS + 1;
    u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
}

/// Where the sweep stands.
#[derive(Debug, Default)]
pub struct Sweeper {
    db: usize,
    group: usize,
}

/// Fields of a large hash removed under its stripe at a time: a fifth of a millisecond.
const FIELDS: usize = 1_000;

/// Groups looked at between two checks of the time budget.
const STRIDE: usize = 256;

impl Sweeper {
    /// Looks at groups until one whole round is done or `spent` says that the time is over. Returns
    /// how many keys were removed.
    pub fn sweep(&mut self, access: &mut Access<'_>, mut spent: impl FnMut() -> bool) -> u64 {
        let before = access.local.counters.expired();
        let now = tick(access.now) - 1;
        let databases = access.keyspace.databases();
        let mut rounds = 0;
        let mut over = Vec::new();
        while rounds <= databases && !access.frozen {
            let groups = match access.keyspace.size(self.db) {
                (_, 0) if !access.keyspace.field_ends.load(Ordering::Acquire) => 0,
                _ => access.keyspace.table(self.db, access.pin).map_or(0, |table| table.groups()),
            };
            let until = (self.group + STRIDE).min(groups);
            while self.group < until {
                Self::group((self.db, self.group), now, access, &mut over, &mut spent);
                self.group += 1;
            }
            if self.group >= groups {
                self.group = 0;
                self.db = (self.db + 1) % databases;
                rounds += 1;
            }
            if spent() {
                break;
            }
        }
        access.local.counters.expired().saturating_sub(before)
    }

    fn group(
        (db, group): (usize, usize),
        now: u32,
        access: &mut Access<'_>,
        over: &mut Vec<Vec<u8>>,
        spent: &mut impl FnMut() -> bool,
    ) {
        let (time, pin) = (access.now, access.pin);
        let Some(table) = access.keyspace.table(db, pin) else { return };
        table.sweep_group(group, now, pin, |hash, entry| {
            let mut first = entry.expiry();
            let mut look = entry.is_expired(time);
            match FieldEnds::of(entry) {
                FieldEnds::Never => {}
                FieldEnds::Unknown => look = true,
                FieldEnds::At(at) if at <= time => look = true,
                FieldEnds::At(at) => first = Some(first.map_or(at, |first| first.min(at))),
            }
            if look && table.stripe(hash).load().is_reserved() {
                return Some(now); // W7: the group stays due
            }
            if look {
                over.push(entry.key().to_vec());
            }
            first.filter(|at| *at > time).map(tick)
        });
        for key in over.drain(..) {
            loop {
                // Taking the stripe removes an expired key.
                let mut write = access.write_in(db, Key::new(&key));
                let gone = write.expire_fields(FIELDS);
                write.note_field_ends();
                drop(write);
                if gone < FIELDS || spent() {
                    break;
                }
            }
        }
    }
}

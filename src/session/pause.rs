//! Conditions of the whole server that take commands off the fast path, in one word.
//!
//! The word is read once per command and hardly ever written, so its line stays shared.

use super::registry::Client;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use parking_lot::Mutex;
use std::sync::Arc;

/// What CLIENT PAUSE holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseKind {
    /// Commands that may write.
    Write,
    /// All commands.
    All,
}

/// The word, and what stands behind its bits.
#[derive(Debug, Default)]
pub struct Conditions {
    bits: AtomicU32,
    events: AtomicU32,
    pause: Mutex<Option<(PauseKind, i64)>>,
    /// How often scripts gave stripes back.
    releases: AtomicU64,
    /// Who waits for the next time.
    waiting: Mutex<Vec<Arc<Client>>>,
}

/// No two conditions have the same bit.
const _: () = {
    let all = [
        Conditions::PAUSE_WRITE,
        Conditions::PAUSE_ALL,
        Conditions::MONITORED,
        Conditions::MAXMEMORY,
        Conditions::MISCONF,
        Conditions::BUSY,
        Conditions::LOADING,
        Conditions::UNSAVED,
        Conditions::PRECISE,
        Conditions::AWAITED,
        Conditions::NOTIFIED,
        Conditions::CROWDED,
        Conditions::RESERVED,
    ];
    let (mut seen, mut i) = (0, 0);
    while i < all.len() {
        assert!(seen & all[i] == 0, "a bit has two meanings");
        seen |= all[i];
        i += 1;
    }
};

impl Conditions {
    /// Commands that may write are paused.
    pub const PAUSE_WRITE: u32 = 1;
    /// All commands are paused.
    pub const PAUSE_ALL: u32 = 1 << 1;
    /// Somebody runs MONITOR.
    pub const MONITORED: u32 = 1 << 2;
    /// Memory may not suffice: `maxmemory` is set.
    pub const MAXMEMORY: u32 = 1 << 3;
    /// The log cannot be written: nothing may be changed.
    pub const MISCONF: u32 = 1 << 11;
    /// A script runs for longer than others are willing to wait.
    pub const BUSY: u32 = 1 << 8;
    /// Data is being loaded: what needs it is refused.
    pub const LOADING: u32 = 1 << 9;
    /// What is written cannot be saved: writes are refused.
    pub const UNSAVED: u32 = 1 << 12;
    /// Each command is timed by itself: the slow log or the latency monitor wants short times.
    pub const PRECISE: u32 = 1 << 4;
    /// Clients wait for keys: writes of those serve them.
    pub const AWAITED: u32 = 1 << 5;
    /// Keyspace events are wanted: commands that write run as one step with them.
    pub const NOTIFIED: u32 = 1 << 6;
    /// More keys are tracked than may be: every command helps to forget some.
    pub const CROWDED: u32 = 1 << 7;
    /// Scripts hold stripes for long: commands look whether they would have to wait for one.
    pub const RESERVED: u32 = 1 << 16;

    /// The bits in force.
    #[inline(always)]
    pub fn bits(&self) -> u32 {
        // Relaxed: a condition that starts now may be seen by the command after the next.
        self.bits.load(Ordering::Relaxed)
    }

    /// The classes of keyspace events that are wanted; 0 if none is, or none would be published.
    #[inline(always)]
    pub fn events(&self) -> u32 {
        self.events.load(Ordering::Relaxed)
    }

    /// Sets them.
    pub fn set_events(&self, classes: u32) {
        self.events.store(classes, Ordering::Release);
        self.set(Self::NOTIFIED, classes != 0);
    }

    /// Sets or clears bits.
    pub fn set(&self, bits: u32, on: bool) {
        if on {
            self.bits.fetch_or(bits, Ordering::AcqRel);
        } else {
            self.bits.fetch_and(!bits, Ordering::AcqRel);
        }
    }

    /// How often scripts gave stripes back that they had held for long. To be asked before one looks
    /// whether one must wait for that.
    pub fn releases(&self) -> u64 {
        self.releases.load(Ordering::Acquire)
    }

    /// Notes that `client` waits for a script; false if one ended since it saw `releases` of them.
    pub fn await_release(&self, client: &Arc<Client>, releases: u64) -> bool {
        self.waiting.lock().push(Arc::clone(client));
        // Whoever takes the list counts before that: either it finds the client there, or we see it.
        self.releases() == releases
    }

    /// A script gave its stripes back, or has become so slow that nobody is to wait for it: those who
    /// waited.
    pub fn released(&self) -> Vec<Arc<Client>> {
        self.releases.fetch_add(1, Ordering::AcqRel);
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Pauses until `until` (Unix milliseconds). A pause in force is never shortened or weakened.
    pub fn pause(&self, kind: PauseKind, until: i64) {
        let mut pause = self.pause.lock();
        let (kind, until) = match *pause {
            Some((old, end)) => (old.max(kind), end.max(until)),
            None => (kind, until),
        };
        *pause = Some((kind, until));
        self.set(Self::PAUSE_WRITE, true);
        self.set(Self::PAUSE_ALL, kind == PauseKind::All);
    }

    /// Ends the pause; says whether there was one.
    pub fn unpause(&self) -> bool {
        let was = self.pause.lock().take().is_some();
        self.set(Self::PAUSE_WRITE | Self::PAUSE_ALL, false);
        was
    }

    /// Until when clients are paused. A pause whose time is over is ended here.
    pub fn paused(&self, now: i64) -> Option<(PauseKind, i64)> {
        if self.bits() & (Self::PAUSE_WRITE | Self::PAUSE_ALL) == 0 {
            return None;
        }
        let pause = *self.pause.lock();
        match pause {
            Some((_, until)) if until <= now => {
                self.unpause();
                None
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_end_by_themselves_and_are_never_weakened() {
        let conditions = Conditions::default();
        conditions.pause(PauseKind::All, 100);
        conditions.pause(PauseKind::Write, 50);
        assert_eq!(conditions.paused(60), Some((PauseKind::All, 100)));
        assert_eq!(conditions.paused(100), None);
        assert_eq!(conditions.bits(), 0);
        conditions.pause(PauseKind::Write, 200);
        assert_eq!(conditions.bits(), Conditions::PAUSE_WRITE);
        assert!(conditions.unpause() && !conditions.unpause());
    }
}

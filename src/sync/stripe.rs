//! Stripes: small locks that order the writes of keys, each with a version.
//!
//! A key belongs to the stripe that the low bits of its hash choose. One word holds it all:
//!
//! ```text
//!   63                                             4       3        2          1        0
//!   | number of the last write (rises at each unlock) | spare | INTEREST | UNSETTLED | LOCK |
//! ```
//!
//! # Invariants
//! - **W1** Only the thread that set LOCK changes the word until it unlocks.
//! - **W2** The number never falls, and rises at every unlock. Two equal loads without LOCK
//!   therefore mean that nothing under the stripe changed between them.
//! - **W3** A writer that publishes in more than one step sets UNSETTLED on all its stripes before
//!   the first step; it stands until the unlock after the last.
//! - **W4** Stripes are taken in ascending order, so takers of many never wait in a circle.
//!
//! # Ordering
//! | edge | written by | read by | carries |
//! |---|---|---|---|
//! | E1 | `unlock`, Release | `lock`, Acquire; `load`, Acquire | everything done under the stripe |
//! | E2 | `unsettle`, before the Release stores of new values | `load` after an Acquire of such a value | that a longer write is under way |
//! | E3 | `validate`: fence(Acquire) before a Relaxed load | | reads before it cannot move behind it |
//!
//! The number is Lamport's: a writer gives `max(own clock, stripe) + 1`, so per key the numbers
//! rise, and a write that saw another has the greater one. It serves as seqlock version, as the
//! version that WATCH compares, and as the place in the log.
//!
//! Threads do not sleep on a stripe: holders keep it for a command, never across a system call,
//! so a waiter backs off (spin, yield, short sleeps) and there is no wake-up to lose.

use super::{AtomicU64, Backoff, Ordering, fence};

/// A write is under way.
const LOCK: u64 = 1;
/// It publishes in more than one step: lock-free readers wait.
const UNSETTLED: u64 = 1 << 1;
/// Somebody wants to hear of writes under this stripe.
const INTEREST: u64 = 1 << 2;
const NUMBER_SHIFT: u32 = 4;

/// What a word said when it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64);

impl Seen {
    /// Whether a write was under way.
    #[inline(always)]
    pub const fn is_locked(self) -> bool {
        self.0 & LOCK != 0
    }

    /// Whether it was one of several steps.
    #[inline(always)]
    pub const fn is_unsettled(self) -> bool {
        self.0 & UNSETTLED != 0
    }

    /// Number of the last finished write.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }

    /// Whether somebody registered an interest.
    #[inline(always)]
    pub const fn has_interest(self) -> bool {
        self.0 & INTEREST != 0
    }
}

/// One stripe.
#[derive(Debug)]
pub struct Stripe(AtomicU64);

impl Stripe {
    /// What the word says now (E1).
    #[inline(always)]
    pub fn load(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Waits until no several-step write is under way and returns the word.
    #[inline(always)]
    pub fn settled(&self) -> Seen {
        let seen = self.load();
        if seen.is_unsettled() { self.wait_settled() } else { seen }
    }

    #[cold]
    fn wait_settled(&self) -> Seen {
        let mut backoff = Backoff::default();
        loop {
            let seen = self.load();
            if !seen.is_unsettled() {
                return seen;
            }
            backoff.wait();
        }
    }

    /// Whether nothing under the stripe changed since `seen`, and nothing was changing then (W2).
    #[inline(always)]
    pub fn validate(&self, seen: Seen) -> bool {
        fence(Ordering::Acquire); // E3
        !seen.is_locked() && self.0.load(Ordering::Relaxed) == seen.0
    }

    /// Takes the stripe (E1).
    #[inline(always)]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_slow();
        }
    }

    /// Takes the stripe if it is free.
    #[inline(always)]
    pub fn try_lock(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word & LOCK == 0
            && self
                .0
                .compare_exchange_weak(word, word | LOCK, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    #[cold]
    fn lock_slow(&self) {
        let mut backoff = Backoff::default();
        while !self.try_lock() {
            backoff.wait();
        }
    }

    /// Announces more than one step (W3). The caller holds the stripe.
    #[inline]
    pub fn unsettle(&self) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0, "W1");
        self.0.store(word | UNSETTLED, Ordering::Release);
    }

    /// Sets or clears the interest. The caller holds the stripe.
    pub fn set_interest(&self, interest: bool) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0, "W1");
        let word = if interest { word | INTEREST } else { word & !INTEREST };
        self.0.store(word, Ordering::Relaxed);
    }

    /// Gives the stripe back under number `number`, or the next one if that would not rise (W2).
    /// Returns the number given. The caller holds the stripe.
    #[inline(always)]
    pub fn unlock(&self, number: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0, "W1");
        let number = number.max((word >> NUMBER_SHIFT) + 1);
        self.0.store(number << NUMBER_SHIFT | word & INTEREST, Ordering::Release);
        number
    }

    /// Gives the stripe back when nothing under it was changed: the number stays.
    #[inline(always)]
    pub fn unlock_unchanged(&self) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0 && word & UNSETTLED == 0, "W1, W2");
        self.0.store(word & !LOCK, Ordering::Release);
    }
}

/// All stripes of a keyspace. Databases share them: a key has the same stripe in each.
#[derive(Debug)]
pub struct Stripes {
    words: Box<[Stripe]>,
}

impl Stripes {
    /// 128 KiB of words: measured, 4,096 to 65,536 make no difference with few threads, and this
    /// many stay in the second-level cache.
    pub const DEFAULT: usize = 1 << 14;

    /// `count` stripes, a power of two.
    pub fn new(count: usize) -> Self {
        assert!(count.is_power_of_two());
        Self { words: (0..count).map(|_| Stripe(AtomicU64::new(0))).collect() }
    }

    /// How many there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// Which stripe a hash belongs to.
    #[inline(always)]
    pub fn index(&self, hash: u64) -> usize {
        hash as usize & (self.words.len() - 1)
    }

    /// The stripe of a hash.
    #[inline(always)]
    pub fn of(&self, hash: u64) -> &Stripe {
        &self.words[self.index(hash)]
    }

    /// The stripe with number `index`, modulo their count.
    #[inline(always)]
    pub fn at(&self, index: usize) -> &Stripe {
        &self.words[index & (self.words.len() - 1)]
    }
}

//! Stripes: small locks that order the writes of keys, each with a version.
//!
//! A key belongs to the stripe that the low bits of its hash choose. One word holds it all:
//!
//! ```text
//!   63                                             5          4        3        2          1        0
//!   | number of the last write (rises at each unlock) | RESERVED | SHARED | INTEREST | UNSETTLED | LOCK |
//! ```
//!
//! # Invariants
//! - **W1** Only the thread that set LOCK changes the word until it unlocks.
//! - **W2** The number never falls, and rises at every unlock. Two equal loads without LOCK
//!   therefore mean that nothing under the stripe changed between them.
//! - **W3** A writer that publishes in more than one step sets UNSETTLED on all its stripes before
//!   the first step; it stands until the unlock after the last.
//! - **W4** Stripes are taken in ascending order, so takers of many never wait in a circle.
//! - **W5** Values that several threads may work on at once, each with locks of its own inside, are
//!   touched by whoever holds the stripe, or by threads that have *announced* it ([`Stripes::share`])
//!   and found it free and without INTEREST. Who takes the stripe waits until no announcement of it is
//!   left, if SHARED says that there may be any. An announcer takes no stripe meanwhile.
//! - **W6** What is done under an announcement does not change the word, whose number speaks of keys
//!   and values as wholes. It has numbers all the same; who takes the stripe after it finds a number
//!   no smaller in the word.
//!
//! - **W7** RESERVED stands, beside LOCK, on a stripe that is held for long, from a [`Gate::moment`] in
//!   which nobody else is seated until the unlock. Who is seated looks first, and does not wait for it:
//!   what it saw unreserved stays so until it gets up.
//!
//! [`Gate::moment`]: super::gate::Gate::moment
//!
//! # Ordering
//! | edge | written by | read by | carries |
//! |---|---|---|---|
//! | E1 | `unlock`, Release | `lock`, Acquire; `load`, Acquire | everything done under the stripe |
//! | E2 | `unsettle`, before the Release stores of new values | `load` after an Acquire of such a value | that a longer write is under way |
//! | E3 | `validate`: fence(Acquire) before a Relaxed load | | reads before it cannot move behind it |
//! | E4 | end of an announcement, or the next one, Release | taker's look at it, Acquire | what was done under the announcement, its number |
//! | E5 | announcement, fence(SeqCst), load of the word; LOCK, fence(SeqCst), load of announcements | | one of the two sees the other (Dekker) |
//!
//! The number is Lamport's: a writer gives `max(own clock, stripe) + 1`, so per key the numbers
//! rise, and a write that saw another has the greater one. It serves as seqlock version, as the
//! version that WATCH compares, and as the place in the log.
//!
//! Threads do not sleep on a stripe: holders keep it for a command, never across a system call,
//! so a waiter backs off (spin, yield, short sleeps) and there is no wake-up to lose. Whoever keeps one
//! for longer has reserved it (W7).

use super::{AtomicU32, AtomicU64, Backoff, CachePadded, Ordering, fence};

/// A write is under way.
const LOCK: u64 = 1;
/// It publishes in more than one step: lock-free readers wait.
const UNSETTLED: u64 = 1 << 1;
/// Somebody wants to hear of writes under this stripe.
const INTEREST: u64 = 1 << 2;
/// There may be a value under this stripe that threads share.
const SHARED: u64 = 1 << 3;
/// It is held for long.
const RESERVED: u64 = 1 << 4;
const NUMBER_SHIFT: u32 = 5;

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

    /// Whether values under the stripe may be shared.
    #[inline(always)]
    pub const fn is_shared(self) -> bool {
        self.0 & SHARED != 0
    }

    /// Whether it is held for long (W7).
    #[inline(always)]
    pub const fn is_reserved(self) -> bool {
        self.0 & RESERVED != 0
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
            debug_assert!(!seen.is_reserved(), "W7");
            backoff.wait();
        }
    }

    /// Whether nothing under the stripe changed since `seen`, and nothing was changing then (W2).
    #[inline(always)]
    pub fn validate(&self, seen: Seen) -> bool {
        fence(Ordering::Acquire); // E3
        !seen.is_locked() && self.0.load(Ordering::Relaxed) == seen.0
    }

    /// Says that a value under the stripe may be shared from now on. The caller holds the stripe.
    pub fn set_shared(&self) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0, "W1");
        self.0.store(word | SHARED, Ordering::Relaxed);
    }

    /// Raises the number to `number` at least, for the holder (W6).
    fn raise(&self, number: u64) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0, "W1");
        if number > word >> NUMBER_SHIFT {
            let bits = word & ((1 << NUMBER_SHIFT) - 1);
            self.0.store(number << NUMBER_SHIFT | bits, Ordering::Relaxed);
        }
    }

    /// Takes the stripe (E1), for who does not touch what may be shared; others use [`Stripes::lock`].
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
            debug_assert!(!self.load().is_reserved(), "W7");
            backoff.wait();
        }
    }

    /// Says that the stripe is held for long. The caller holds it, and nobody else is seated (W7).
    pub fn reserve(&self) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0, "W1");
        self.0.store(word | RESERVED, Ordering::Release);
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
        self.0.store(number << NUMBER_SHIFT | word & (INTEREST | SHARED), Ordering::Release);
        number
    }

    /// Gives the stripe back when nothing under it was changed: the number stays.
    #[inline(always)]
    pub fn unlock_unchanged(&self) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert!(word & LOCK != 0 && word & UNSETTLED == 0, "W1, W2");
        self.0.store(word & !(LOCK | RESERVED), Ordering::Release);
    }
}

/// All stripes of a keyspace. Databases share them: a key has the same stripe in each.
#[derive(Debug)]
pub struct Stripes {
    words: Box<[Stripe]>,
    seats: Box<[CachePadded<Seat>]>,
}

/// What the thread on a seat announces.
#[derive(Debug)]
struct Seat {
    /// A stripe's number plus one, or 0.
    stripe: AtomicU32,
    /// Greatest number that it has seen or given while it announced something.
    number: AtomicU64,
}

/// An announcement, until it is dropped (W5).
#[derive(Debug)]
pub struct Announced<'s>(&'s Seat);

impl Announced<'_> {
    /// Leaves the number of the last change for whoever takes the stripe next (W6).
    #[inline(always)]
    pub fn leave(&self, number: u64) {
        self.0.number.store(number, Ordering::Relaxed); // made visible by the end, E4
    }
}

impl Drop for Announced<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.stripe.store(0, Ordering::Release); // E4
    }
}

impl Stripes {
    /// 128 KiB of words: measured, 4,096 to 65,536 make no difference with few threads, and this
    /// many stay in the second-level cache.
    pub const DEFAULT: usize = 1 << 14;

    /// `count` stripes, a power of two, for threads on so many seats.
    pub fn new(count: usize, seats: usize) -> Self {
        assert!(count.is_power_of_two() && count < u32::MAX as usize);
        let seat =
            |_| CachePadded::new(Seat { stripe: AtomicU32::new(0), number: AtomicU64::new(0) });
        let words = (0..count).map(|_| Stripe(AtomicU64::new(0))).collect();
        Self { words, seats: (0..seats).map(seat).collect() }
    }

    /// Takes a stripe, and waits for those who share a value under it (W5).
    #[inline(always)]
    pub fn lock(&self, index: usize) -> &Stripe {
        let stripe = self.at(index);
        stripe.lock();
        if stripe.0.load(Ordering::Relaxed) & SHARED != 0 {
            self.wait_alone(index);
        }
        stripe
    }

    /// Takes a stripe unless it is reserved: for threads that have no seat.
    pub fn lock_unreserved(&self, index: usize) -> Option<&Stripe> {
        let (stripe, mut backoff) = (self.at(index), Backoff::default());
        while !stripe.try_lock() {
            if stripe.load().is_reserved() {
                return None;
            }
            backoff.wait();
        }
        if stripe.load().is_shared() {
            self.wait_alone(index);
        }
        Some(stripe)
    }

    /// Takes a stripe under which nothing is shared, if it is free.
    #[inline]
    pub fn try_lock_unshared(&self, index: usize) -> Option<&Stripe> {
        let stripe = self.at(index);
        if stripe.load().is_shared() || !stripe.try_lock() {
            return None;
        }
        if stripe.load().is_shared() {
            stripe.unlock_unchanged();
            return None;
        }
        Some(stripe)
    }

    #[cold]
    fn wait_alone(&self, index: usize) {
        fence(Ordering::SeqCst); // E5
        let mut number = 0;
        for seat in &self.seats {
            let mut backoff = Backoff::default();
            while seat.stripe.load(Ordering::Acquire) == index as u32 + 1 {
                backoff.wait(); // E4
            }
            number = number.max(seat.number.load(Ordering::Relaxed));
        }
        self.at(index).raise(number); // W6
    }

    /// Announces that the thread on `seat` works on a shared value under a stripe; none if it must
    /// take the stripe instead: someone is to be told of changes, or nothing under it is shared, or
    /// it is held for longer than a moment.
    #[inline]
    pub fn share(&self, index: usize, seat: usize) -> Option<Announced<'_>> {
        let (stripe, place) = (self.at(index), &*self.seats[seat]);
        debug_assert!(place.stripe.load(Ordering::Relaxed) == 0, "one announcement at a time");
        let mut backoff = Backoff::default();
        loop {
            // Release, though nothing is told yet: a taker of another stripe that finds this
            // announcement instead of the end of the one before must see what that one did (E4).
            place.stripe.store(index as u32 + 1, Ordering::Release);
            let announced = Announced(place);
            fence(Ordering::SeqCst); // E5
            let word = stripe.load().0;
            if word & (SHARED | LOCK | INTEREST) == SHARED {
                return Some(announced);
            }
            drop(announced); // whoever holds the stripe may be waiting for us
            if word & (SHARED | INTEREST) != SHARED {
                return None;
            }
            // To take the stripe at once would make others find it taken, and so on for ever.
            while stripe.load().is_locked() {
                backoff.wait();
                if backoff.is_long() {
                    return None;
                }
            }
        }
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

//! Exclusive mode: microseconds in which one thread has the keyspace to itself.
//!
//! Swapping whole tables (FLUSHALL, SWAPDB), cutting a snapshot and the like need all other threads
//! out of the keyspace. Every thread that works on it has a *seat*, busy while it runs a batch. It
//! tests one flag, which nobody writes in normal times, at each command boundary.
//!
//! - **X1** A thread touches the keyspace only while its seat is busy and it has seen the flag down
//!   after it sat down.
//! - **X2** The taker raises the flag, then waits until every other seat is quiet.
//!
//! Whoever is exclusive for long says so ([`Gate::set_lasting`]): then those who can do without the
//! keyspace for a while do not wait ([`Gate::try_enter`]), and answer their clients that it is busy.
//!
//! - **X3** Some hold stripes for long ([`Gate::reserve`]); they are seated only now and then. Nobody
//!   becomes exclusive while there are any. They themselves, to reserve more, need a [`Gate::moment`], in
//!   which others may have reserved stripes but nobody is seated.
//!
//! X1 and X2 are the two halves of Dekker's protocol: seat store / flag load against flag store /
//! seat load, each pair parted by a SeqCst fence, so one of the two always sees the other.

use super::{AtomicBool, AtomicU32, Backoff, CachePadded, Ordering, fence};

const QUIET: u32 = 0;
const BUSY: u32 = 1;

/// How often who would be exclusive looks for an end of what is reserved: some hundred milliseconds.
const PATIENCE: u32 = 4_000;

/// The gate of one keyspace.
#[derive(Debug)]
pub struct Gate {
    closed: CachePadded<AtomicBool>,
    lasting: AtomicBool,
    /// How many hold reserved stripes.
    reserved: AtomicU32,
    /// How many wait for the end of that.
    wanted: AtomicU32,
    seats: Box<[CachePadded<AtomicU32>]>,
}

impl Gate {
    /// A gate for `seats` threads.
    pub fn new(seats: usize) -> Self {
        Self {
            closed: CachePadded::new(AtomicBool::new(false)),
            lasting: AtomicBool::new(false),
            reserved: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            seats: (0..seats).map(|_| CachePadded::new(AtomicU32::new(QUIET))).collect(),
        }
    }

    /// How many threads may take part.
    pub fn seats(&self) -> usize {
        self.seats.len()
    }

    /// Sits down (X1); waits while another thread is exclusive.
    #[inline]
    pub fn enter(&self, seat: usize) {
        while !self.sit(seat) {
            self.wait_open(true);
        }
    }

    /// As [`Gate::enter`], but while somebody is exclusive for long it returns false, and this
    /// thread has no seat.
    #[inline]
    pub fn try_enter(&self, seat: usize) -> bool {
        loop {
            if self.sit(seat) {
                return true;
            }
            if !self.wait_open(false) {
                return false;
            }
        }
    }

    #[inline]
    fn sit(&self, seat: usize) -> bool {
        self.seats[seat].store(BUSY, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let open = !self.closed.load(Ordering::Acquire);
        if !open {
            self.leave(seat);
        }
        open
    }

    /// Gets up: everything done is visible to whoever takes the gate.
    #[inline]
    pub fn leave(&self, seat: usize) {
        self.seats[seat].store(QUIET, Ordering::Release);
    }

    /// Command boundary: lets a waiting taker through.
    #[inline(always)]
    pub fn pass(&self, seat: usize) {
        if self.closed.load(Ordering::Relaxed) {
            self.step_aside(seat);
        }
    }

    /// As [`Gate::pass`]; false, and without a seat, while somebody is exclusive for long.
    #[inline(always)]
    pub fn try_pass(&self, seat: usize) -> bool {
        if !self.closed.load(Ordering::Relaxed) {
            return true;
        }
        self.leave(seat);
        self.try_enter(seat)
    }

    #[cold]
    fn step_aside(&self, seat: usize) {
        self.leave(seat);
        self.enter(seat);
    }

    /// Waits until the gate is open; without patience only while nobody says that it will last.
    #[cold]
    fn wait_open(&self, patient: bool) -> bool {
        let mut backoff = Backoff::default();
        while self.closed.load(Ordering::Relaxed) {
            // Relaxed: a hint that is seen a little later does no harm.
            if !patient && self.lasting.load(Ordering::Relaxed) {
                return false;
            }
            backoff.wait();
        }
        true
    }

    /// Whoever is exclusive says that it will be for long.
    pub fn set_lasting(&self) {
        self.lasting.store(true, Ordering::Relaxed);
    }

    /// Takes the gate for the thread on `seat`, which must be seated and at a point where others
    /// may run (nothing borrowed, nothing half done).
    pub fn exclusive(&self, seat: usize) -> Exclusive<'_> {
        loop {
            if let Some(exclusive) = self.try_exclusive(seat) {
                return exclusive;
            }
            self.wait_open(true);
        }
    }

    /// As [`Gate::exclusive`]; none, and this thread has no seat any more, while somebody else is
    /// exclusive, or has stripes reserved, for long.
    pub fn try_exclusive(&self, seat: usize) -> Option<Exclusive<'_>> {
        let alone = self.moment(seat)?;
        if self.reserved() == 0 {
            return Some(alone);
        }
        self.leave(seat);
        drop(alone);
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let alone = self.wait_unreserved(seat);
        self.wanted.fetch_sub(1, Ordering::Relaxed);
        alone
    }

    #[cold]
    fn wait_unreserved(&self, seat: usize) -> Option<Exclusive<'_>> {
        let (mut backoff, mut looks) = (Backoff::default(), 0);
        loop {
            while self.reserved() > 0 {
                if looks == PATIENCE {
                    return None;
                }
                looks += 1;
                backoff.wait();
            }
            let alone = self.moment(seat)?;
            if self.reserved() == 0 {
                return Some(alone);
            }
            self.leave(seat);
            drop(alone);
        }
    }

    /// Whether somebody waits to be exclusive until nothing is reserved any more: a hint for those who
    /// have nothing yet.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// How many hold reserved stripes.
    #[inline]
    pub fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Acquire)
    }

    /// Somebody has reserved stripes, in this moment. Returns how many have now.
    pub fn reserve(&self, _moment: &Exclusive<'_>) -> u32 {
        self.reserved.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Somebody has given its stripes back. Returns how many are left.
    pub fn unreserve(&self) -> u32 {
        self.reserved.fetch_sub(1, Ordering::AcqRel) - 1
    }

    /// A moment in which nobody else is seated, though others may have stripes reserved; none, and
    /// this thread has no seat any more, while somebody is exclusive for long.
    pub fn moment(&self, seat: usize) -> Option<Exclusive<'_>> {
        self.leave(seat);
        while self
            .closed
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            if !self.wait_open(false) {
                return None;
            }
        }
        fence(Ordering::SeqCst);
        for (other, state) in self.seats.iter().enumerate() {
            let mut backoff = Backoff::default();
            while other != seat && state.load(Ordering::Acquire) == BUSY {
                backoff.wait(); // X2
            }
        }
        self.seats[seat].store(BUSY, Ordering::Relaxed);
        Some(Exclusive { gate: self })
    }
}

/// The gate is taken until this is dropped; the taker remains seated after that.
#[derive(Debug)]
pub struct Exclusive<'a> {
    gate: &'a Gate,
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.gate.lasting.store(false, Ordering::Relaxed);
        self.gate.closed.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(eonkv_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// X1 and X2: the two counters move together under the gate, so a seated thread that reads
    /// both never sees them differ.
    #[test]
    fn nobody_is_inside_while_one_is_exclusive() {
        let gate = Arc::new(Gate::new(3));
        let pair = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|seat| {
                let (gate, pair) = (Arc::clone(&gate), Arc::clone(&pair));
                std::thread::spawn(move || {
                    for turn in 0..2_000 {
                        gate.enter(seat);
                        if turn % 50 == seat {
                            let _alone = gate.exclusive(seat);
                            let next = pair.0.load(Ordering::Relaxed) + 1;
                            pair.0.store(next, Ordering::Relaxed);
                            pair.1.store(next, Ordering::Relaxed);
                        }
                        for _ in 0..10 {
                            gate.pass(seat);
                            let first = pair.0.load(Ordering::Relaxed);
                            assert_eq!(first, pair.1.load(Ordering::Relaxed));
                        }
                        gate.leave(seat);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(pair.0.load(Ordering::Relaxed), 3 * 40);
    }
}

//! The protocols of `sync`, in every interleaving and under every reordering that the memory model
//! allows (within loom's bound on preemptions).
//!
//! `RUSTFLAGS="--cfg eonkv_loom" cargo test --test loom --target-dir target/loom`
//!
//! The files checked are the library's own, compiled here on top of loom's atomics: they take theirs
//! by `super::`. What stands around them (slots, a bucket count) is the least that a reader of the
//! table meets; `docs/testing.md` lists the broken orderings that these tests have been seen to find.
#![cfg(eonkv_loom)]

// Dead code is allowed in these: the models call what the protocols need, the library all of it.
#[allow(dead_code)]
#[path = "../src/sync/gate.rs"]
mod gate;
#[allow(dead_code)]
#[path = "../src/sync/latch.rs"]
mod latch;
#[allow(dead_code)]
#[path = "../src/sync/stripe.rs"]
mod stripe;
#[allow(dead_code)]
#[path = "../src/log/wake.rs"]
mod wake;

use crossbeam_utils::CachePadded;
use gate::Gate;
use latch::Latch;
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;
use stripe::{Seen, Stripes};
use wake::Wake;

/// Waiting gives way at once, so that loom runs the thread that is waited for.
#[derive(Debug, Default)]
struct Backoff(u32);

impl Backoff {
    fn wait(&mut self) {
        self.0 += 1;
        thread::yield_now();
    }

    const fn is_long(&self) -> bool {
        self.0 > 1
    }
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// One key's place in a table that may split: the bucket it leaves, the one it goes to, the count.
struct Table {
    stripes: Stripes,
    count: AtomicU64,
    slots: [AtomicU64; 2],
}

impl Table {
    fn new(slots: [u64; 2]) -> Self {
        let slots = slots.map(AtomicU64::new);
        Self { stripes: Stripes::new(1, 2), count: AtomicU64::new(1), slots }
    }

    /// The reader's protocol: a hit is believed, a miss only if the stripe did not change.
    fn get(&self, find: impl Fn(&Self) -> u64) -> (u64, Seen) {
        let stripe = self.stripes.at(0);
        loop {
            let seen = stripe.settled();
            let found = find(self);
            if found != 0 || stripe.validate(seen) {
                return (found, seen);
            }
            thread::yield_now();
        }
    }

    fn find_by_count(&self) -> u64 {
        let bucket = self.count.load(Ordering::Acquire) as usize - 1;
        self.slots[bucket].load(Ordering::Acquire)
    }

    fn find_in_order(&self) -> u64 {
        match self.slots[0].load(Ordering::Acquire) {
            0 => self.slots[1].load(Ordering::Acquire),
            word => word,
        }
    }

    fn under_lock(&self, change: impl FnOnce()) {
        let stripe = self.stripes.at(0);
        stripe.lock();
        change();
        stripe.unlock(0);
    }
}

/// A split publishes a key in its new bucket, raises the count, clears the old slot; the merge that
/// follows does the reverse. No reader misses the key.
#[test]
fn a_key_that_moves_between_buckets_is_never_missed() {
    model(3, || {
        let table = Arc::new(Table::new([7, 0]));
        let mover = Arc::clone(&table);
        let mover = thread::spawn(move || {
            let [old, new] = &mover.slots;
            mover.under_lock(|| {
                new.store(7, Ordering::Release);
                mover.count.store(2, Ordering::Release);
                old.store(0, Ordering::Release);
            });
            mover.under_lock(|| {
                old.store(7, Ordering::Release);
                mover.count.store(1, Ordering::Release);
                new.store(0, Ordering::Release);
            });
        });
        assert_eq!(table.get(Table::find_by_count).0, 7);
        mover.join().unwrap();
    });
}

/// A dense rewrite moves a key against the direction of reading: the reader has passed the slot it
/// goes to, and comes to the one it left.
#[test]
fn a_key_that_moves_within_a_bucket_is_never_missed() {
    model(3, || {
        let table = Arc::new(Table::new([0, 7]));
        let mover = Arc::clone(&table);
        let mover = thread::spawn(move || {
            mover.under_lock(|| {
                mover.slots[0].store(7, Ordering::Release);
                mover.slots[1].store(0, Ordering::Release);
            });
        });
        assert_eq!(table.get(Table::find_in_order).0, 7);
        mover.join().unwrap();
    });
}

/// Who saw a miss after a removal had been seen keeps seeing it; numbers seen never fall.
#[test]
fn what_a_reader_sees_does_not_go_back() {
    model(3, || {
        let table = Arc::new(Table::new([1, 0]));
        let writer = Arc::clone(&table);
        let writer = thread::spawn(move || {
            writer.under_lock(|| writer.slots[0].store(2, Ordering::Release));
            writer.under_lock(|| writer.slots[0].store(0, Ordering::Release));
        });
        let order = |word: u64| if word == 0 { 3 } else { word };
        let (first, before) = table.get(Table::find_by_count);
        let (second, after) = table.get(Table::find_by_count);
        assert!(order(first) <= order(second), "{first} then {second}");
        assert!(before.number() <= after.number());
        writer.join().unwrap();
        assert_eq!(table.stripes.at(0).load().number(), 2);
    });
}

/// Two keys under two stripes, changed in one step by a writer.
struct Two {
    stripes: Stripes,
    values: [AtomicU64; 2],
}

impl Two {
    fn new() -> Arc<Self> {
        let values = [0, 0].map(AtomicU64::new);
        Arc::new(Self { stripes: Stripes::new(2, 2), values })
    }

    fn write_both(&self, value: u64) {
        let stripes = [0, 1].map(|at| self.stripes.at(at));
        let number = stripes.map(|stripe| {
            stripe.lock();
            stripe.load().number()
        });
        stripes.iter().for_each(|stripe| stripe.unsettle());
        self.values.iter().for_each(|cell| cell.store(value, Ordering::Release));
        stripes.iter().for_each(|stripe| {
            stripe.unlock(number[0].max(number[1]) + 1);
        });
    }
}

/// W3: who has read one new value does not read another old one, though single reads do not validate.
#[test]
fn several_steps_look_like_one_to_single_reads() {
    model(3, || {
        let two = Two::new();
        let writer = Arc::clone(&two);
        let writer = thread::spawn(move || writer.write_both(1));
        let read = |at: usize| {
            two.stripes.at(at).settled();
            two.values[at].load(Ordering::Acquire)
        };
        let (first, second) = (read(0), read(1));
        assert!(second >= first, "{first} then {second}");
        writer.join().unwrap();
    });
}

/// Both words unchanged around the reads: both values are of one moment. The values are read
/// Relaxed, so that this rests on the fence in `validate` (E3) alone.
#[test]
fn a_validated_read_of_two_is_of_one_moment() {
    model(3, || {
        let two = Two::new();
        let writer = Arc::clone(&two);
        let writer = thread::spawn(move || writer.write_both(1));
        let seen = [0, 1].map(|at| two.stripes.at(at).settled());
        let values = [0, 1].map(|at: usize| two.values[at].load(Ordering::Relaxed));
        if [0, 1].iter().all(|at| two.stripes.at(*at).validate(seen[*at])) {
            assert_eq!(values[0], values[1]);
        }
        writer.join().unwrap();
    });
}

/// E1, W1, W2: what was done under a stripe is seen by the next holder; numbers given rise.
#[test]
fn holders_follow_each_other() {
    model(3, || {
        let shared = Arc::new((Stripes::new(1, 2), UnsafeCell::new(0u64)));
        let turn = |shared: &(Stripes, UnsafeCell<u64>), clock: u64| {
            let stripe = shared.0.at(0);
            stripe.lock();
            // SAFETY: the stripe is held; loom checks exactly this.
            let before = shared.1.with_mut(|last| unsafe { *last });
            let number = stripe.load().number().max(clock) + 1;
            assert!(number > before);
            // SAFETY: as above.
            shared.1.with_mut(|last| unsafe { *last = number });
            assert_eq!(stripe.unlock(number), number);
        };
        let other = Arc::clone(&shared);
        let other = thread::spawn(move || turn(&other, 5));
        turn(&shared, 0);
        turn(&shared, 0);
        other.join().unwrap();
        assert!(shared.0.at(0).load().number() >= 6);
    });
}

/// W5: who announces a stripe has the cell for reading, together with others; who takes it has it for
/// writing.
#[test]
fn nobody_shares_what_is_held() {
    model(3, || {
        let shared = Arc::new((Stripes::new(1, 2), UnsafeCell::new(0)));
        shared.0.lock(0).set_shared();
        shared.0.at(0).unlock(0);
        let sharer = Arc::clone(&shared);
        let sharer = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(announced) = sharer.0.share(0, 1) {
                    // SAFETY: announced; loom checks exactly this.
                    sharer.1.with(|value| unsafe { *value });
                    drop(announced);
                }
            }
        });
        let stripe = shared.0.lock(0);
        // SAFETY: the stripe is held and nobody shares what is under it; loom checks exactly this.
        shared.1.with_mut(|value| unsafe { *value += 1 });
        stripe.unlock(0);
        sharer.join().unwrap();
    });
}

/// W5: whoever registered an interest under the stripe is told of whatever is done afterwards: a
/// sharer that goes on had announced itself before, and was waited for.
#[test]
fn nobody_shares_behind_an_interest() {
    model(3, || {
        let shared = Arc::new((Stripes::new(1, 2), AtomicBool::new(false)));
        shared.0.lock(0).set_shared();
        shared.0.at(0).unlock(0);
        let sharer = Arc::clone(&shared);
        let sharer = thread::spawn(move || {
            if let Some(announced) = sharer.0.share(0, 1) {
                assert!(!sharer.1.load(Ordering::Relaxed));
                drop(announced);
            }
        });
        let stripe = shared.0.lock(0);
        stripe.set_interest(true);
        shared.1.store(true, Ordering::Relaxed);
        stripe.unlock_unchanged();
        sharer.join().unwrap();
    });
}

/// E4: whoever takes a stripe sees what was done under an announcement of it, also if it finds the next
/// announcement, of another stripe, in its place.
#[test]
fn what_was_shared_is_seen_by_the_next_holder() {
    model(3, || {
        let shared = Arc::new((Stripes::new(2, 2), UnsafeCell::new(0)));
        for stripe in 0..2 {
            shared.0.lock(stripe).set_shared();
            shared.0.at(stripe).unlock(0);
        }
        let sharer = Arc::clone(&shared);
        let sharer = thread::spawn(move || {
            if let Some(announced) = sharer.0.share(0, 1) {
                // SAFETY: announced, and nobody else announces; loom checks exactly this.
                sharer.1.with_mut(|value| unsafe { *value = 7 });
                announced.leave(41);
                drop(announced);
            }
            drop(sharer.0.share(1, 1));
        });
        let stripe = shared.0.lock(0);
        // SAFETY: the stripe is held; loom checks exactly this.
        let value = shared.1.with(|value| unsafe { *value });
        assert!(value == 0 || stripe.load().number() >= 41, "W6");
        stripe.unlock_unchanged();
        sharer.join().unwrap();
    });
}

/// A1, E1: the cell under a latch is one thread's at a time.
#[test]
fn a_latch_is_one_threads() {
    model(3, || {
        let shared = Arc::new((Latch::default(), UnsafeCell::new(0)));
        let turn = |shared: &(Latch, UnsafeCell<u32>)| {
            shared.0.lock();
            // SAFETY: the latch is held; loom checks exactly this.
            shared.1.with_mut(|value| unsafe { *value += 1 });
            shared.0.unlock();
        };
        let other = Arc::clone(&shared);
        let other = thread::spawn(move || {
            turn(&other);
            turn(&other);
        });
        turn(&shared);
        turn(&shared);
        other.join().unwrap();
        // SAFETY: nobody else is left.
        assert_eq!(shared.1.with(|value| unsafe { *value }), 4);
    });
}

/// X1, X2: whoever is seated has the cell for reading, the taker of the gate for writing.
#[test]
fn nobody_is_seated_while_one_is_exclusive() {
    model(3, || {
        let shared = Arc::new((Gate::new(2), UnsafeCell::new(0)));
        let taker = Arc::clone(&shared);
        let taker = thread::spawn(move || {
            let (gate, cell) = &*taker;
            gate.enter(1);
            let alone = gate.exclusive(1);
            // SAFETY: exclusive; loom checks exactly this.
            cell.with_mut(|value| unsafe { *value += 1 });
            drop(alone);
            gate.leave(1);
        });
        let (gate, cell) = &*shared;
        gate.enter(0);
        // SAFETY: seated; as above.
        let first = cell.with(|value| unsafe { *value });
        gate.pass(0);
        // SAFETY: seated; as above.
        let second = cell.with(|value| unsafe { *value });
        assert!(first <= second);
        gate.leave(0);
        taker.join().unwrap();
    });
}

/// Two takers at once: one after the other.
#[test]
fn takers_follow_each_other() {
    model(2, || {
        let shared = Arc::new((Gate::new(2), UnsafeCell::new(0)));
        let take = |shared: &(Gate, UnsafeCell<i32>), seat| {
            shared.0.enter(seat);
            let alone = shared.0.exclusive(seat);
            // SAFETY: exclusive; loom checks exactly this.
            shared.1.with_mut(|value| unsafe { *value += 1 });
            drop(alone);
            shared.0.leave(seat);
        };
        let other = Arc::clone(&shared);
        let other = thread::spawn(move || take(&other, 1));
        take(&shared, 0);
        other.join().unwrap();
        // SAFETY: the other thread is gone.
        assert_eq!(shared.1.with(|value| unsafe { *value }), 2);
    });
}

/// Two stripes that may be reserved, what is under each, and a gate.
struct Held {
    gate: Gate,
    stripes: Stripes,
    values: [UnsafeCell<u64>; 2],
}

impl Held {
    fn new(seats: usize) -> Arc<Self> {
        let values = [UnsafeCell::new(0), UnsafeCell::new(0)];
        Arc::new(Self { gate: Gate::new(seats), stripes: Stripes::new(2, seats), values })
    }

    /// Takes a stripe for long, if nobody has; the caller is seated and has reserved `more` already.
    fn reserve(&self, seat: usize, at: usize, more: bool) -> bool {
        let moment = self.gate.moment(seat).unwrap();
        if self.stripes.at(at).load().is_reserved() {
            return false;
        }
        self.stripes.lock(at).reserve();
        if !more {
            self.gate.reserve(&moment);
        }
        true
    }

    fn add(&self, at: usize) {
        // SAFETY: the stripe is held; loom checks exactly this.
        self.values[at].with_mut(|value| unsafe { *value += 1 });
    }
}

/// W7, X3: the owner of a reserved stripe leaves its seat and comes back; who is seated and finds the stripe
/// unreserved never waits for it (`lock` would say so), and who is exclusive finds nothing reserved.
#[test]
fn nobody_waits_for_what_is_reserved() {
    model(2, || {
        let held = Held::new(2);
        let owner = Arc::clone(&held);
        let owner = thread::spawn(move || {
            owner.gate.enter(1);
            assert!(owner.reserve(1, 0, false));
            owner.gate.leave(1);
            owner.gate.enter(1);
            owner.add(0);
            owner.stripes.at(0).unlock(0);
            owner.gate.unreserve();
            owner.gate.leave(1);
        });
        held.gate.enter(0);
        if !held.stripes.at(0).load().is_reserved() {
            let stripe = held.stripes.lock(0);
            held.add(0);
            stripe.unlock(0);
        }
        if let Some(alone) = held.gate.try_exclusive(0) {
            held.add(0);
            drop(alone);
        }
        held.gate.leave(0);
        owner.join().unwrap();
    });
}

/// Two owners, each of whom wants the other's stripe too: moments follow each other, and one of them is
/// told that it cannot have it.
#[test]
fn what_is_reserved_is_one_owners() {
    model(2, || {
        let held = Held::new(2);
        let run = |held: &Held, seat: usize| {
            held.gate.enter(seat);
            if held.reserve(seat, seat, false) {
                held.gate.leave(seat);
                held.gate.enter(seat);
                let both = held.reserve(seat, 1 - seat, true);
                held.add(seat);
                if both {
                    held.add(1 - seat);
                    held.stripes.at(1 - seat).unlock(0);
                }
                held.stripes.at(seat).unlock(0);
                held.gate.unreserve();
            }
            held.gate.leave(seat);
        };
        let other = Arc::clone(&held);
        let other = thread::spawn(move || run(&other, 1));
        run(&held, 0);
        other.join().unwrap();
        assert_eq!(held.gate.reserved(), 0);
    });
}

/// Both sides of a wait, at once: the worker, and the thread, which says whether it slept or whom it
/// rouses.
fn pair<A: 'static, B: Send + 'static>(
    worker: impl Fn(&Wake, &AtomicU64) -> A + Copy + Send + Sync + 'static,
    log: impl Fn(&Wake, &AtomicU64) -> B + Copy + Send + Sync + 'static,
    check: impl Fn(A, B) + Copy + Send + Sync + 'static,
) {
    model(3, move || {
        let (wake, tray) = (Arc::new(Wake::default()), Arc::new(AtomicU64::new(0)));
        let (theirs, seen) = (Arc::clone(&wake), Arc::clone(&tray));
        let thread = thread::spawn(move || log(&theirs, &seen));
        let one = worker(&wake, &tray);
        check(one, thread.join().unwrap());
    });
}

#[test]
fn the_log_does_not_sleep_beside_a_full_tray() {
    let worker = |wake: &Wake, tray: &AtomicU64| {
        tray.store(1, Ordering::Release);
        wake.handed_over()
    };
    let log = |wake: &Wake, tray: &AtomicU64| {
        wake.doze();
        tray.load(Ordering::Acquire) == 0
    };
    pair(worker, log, |woken, sleeps| assert!(woken || !sleeps));
}

#[test]
fn a_worker_does_not_sleep_through_a_promise() {
    let worker = |wake: &Wake, _: &AtomicU64| wake.wait(0b10, 0);
    let log = |wake: &Wake, _: &AtomicU64| {
        let before = wake.promise(0);
        before | wake.promise(7)
    };
    // At the start everything is promised, and who sees that does not sleep.
    pair(worker, log, |sleeps, roused| assert!(!sleeps || roused == 0b10));
}

#[test]
fn the_log_does_not_wait_for_those_who_are_back() {
    let worker = |wake: &Wake, tray: &AtomicU64| {
        tray.store(1, Ordering::Relaxed);
        let one = wake.arrive(1);
        one | wake.arrive(1)
    };
    let log = |wake: &Wake, tray: &AtomicU64| {
        wake.expect(2);
        let back = wake.arrived() == 2;
        assert!(!back || tray.load(Ordering::Relaxed) == 1, "handed over before");
        !back
    };
    pair(worker, log, |woken, sleeps| assert!(woken || !sleeps));
}

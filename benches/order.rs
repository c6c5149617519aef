//! What does one order of all changes cost, by the mechanism that makes it? Decision 0013.
//!
//! ```text
//! cargo bench --bench order [-- COMMANDS]
//! ```
//! Workers change random keys under their stripes and leave a record of 112 bytes of each; another thread
//! brings the records into one order, checks that those of one stripe are in the order of its changes, and
//! copies them as if to a file. Nothing of the server is in it.
//!
//! - `none`: no order, no records: what the changes cost by themselves.
//! - `counter`: a number from one counter while the stripe is held; records by pages, merged by number.
//! - `clocks`: numbers as Lamport has them, the greater of the worker's and the stripe's, plus one; pages,
//!   merged up to the least number that a worker has published. Workers never sleep here: what it takes to
//!   sleep and to wake is left out.
//! - `ring`: room in one ring, reserved and filled while the stripe is held.
//!
//! Nanoseconds a change of wall time, best of some rounds, and of CPU time with all threads.

use eonkv as _; // for its allocator
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::hint::spin_loop;
use std::mem::{replace, take};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{scope, yield_now};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const STRIPES: usize = 4096;
/// Words of a record: stripe, how manieth change of it, the rest.
const RECORD: usize = 14;
/// Changes of a turn.
const TURN: u64 = 512;
const RING: usize = RECORD << 16;
/// Nothing is being copied, or nothing will come any more.
const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mechanism {
    None,
    Counter,
    Clocks,
    Ring,
}

#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Default)]
struct Stripe {
    held: AtomicBool,
    changes: AtomicU64,
    clock: AtomicU64,
}

#[derive(Default)]
struct Page {
    words: Vec<u64>,
    numbers: Vec<u64>,
}

struct Shared {
    mechanism: Mechanism,
    stripes: Vec<Apart<Stripe>>,
    counter: Apart<AtomicU64>,
    trays: Vec<Apart<Mutex<Vec<Page>>>>,
    published: Vec<Apart<AtomicU64>>,
    ring: Vec<AtomicU64>,
    head: Apart<AtomicU64>,
    tail: Apart<AtomicU64>,
    copying: Vec<Apart<AtomicU64>>,
    working: AtomicUsize,
}

fn many<T: Default>(count: usize) -> Vec<T> {
    (0..count).map(|_| T::default()).collect()
}

impl Shared {
    fn new(mechanism: Mechanism, workers: usize) -> Self {
        let copying: Vec<Apart<AtomicU64>> = many(workers);
        copying.iter().for_each(|cell| cell.0.store(NEVER, Ordering::Relaxed));
        Self {
            mechanism,
            stripes: many(STRIPES),
            counter: Apart::default(),
            trays: many(workers),
            published: many(workers),
            ring: many(if mechanism == Mechanism::Ring { RING } else { 0 }),
            head: Apart::default(),
            tail: Apart::default(),
            copying,
            working: AtomicUsize::new(workers),
        }
    }

    /// Changes random keys.
    fn work(&self, me: usize, changes: u64) {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ ((me as u64 + 1) << 17);
        let (mut page, mut clock) = (Page::default(), 0);
        for i in 1..=changes {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = random as usize % STRIPES;
            let mut record = [random; RECORD];
            record[0] = at as u64;
            let begin = page.words.len();
            if matches!(self.mechanism, Mechanism::Counter | Mechanism::Clocks) {
                page.words.extend_from_slice(&record);
            }
            let stripe = &self.stripes[at].0;
            while stripe.held.swap(true, Ordering::Acquire) {
                spin_loop();
            }
            let change = stripe.changes.load(Ordering::Relaxed) + 1;
            stripe.changes.store(change, Ordering::Relaxed);
            record[1] = change;
            match self.mechanism {
                Mechanism::None => {}
                Mechanism::Counter => {
                    page.numbers.push(self.counter.0.fetch_add(1, Ordering::AcqRel) + 1);
                    page.words[begin + 1] = change;
                }
                Mechanism::Clocks => {
                    clock = stripe.clock.load(Ordering::Relaxed).max(clock) + 1;
                    stripe.clock.store(clock, Ordering::Relaxed);
                    page.numbers.push(clock);
                    page.words[begin + 1] = change;
                }
                Mechanism::Ring => self.copy(me, &record),
            }
            stripe.held.store(false, Ordering::Release);
            if i % TURN == 0 {
                self.hand_over(me, &mut page, clock);
            }
        }
        self.hand_over(me, &mut page, NEVER);
        self.working.fetch_sub(1, Ordering::Release);
    }

    fn hand_over(&self, me: usize, page: &mut Page, clock: u64) {
        if !page.numbers.is_empty() {
            let fresh = Page {
                words: Vec::with_capacity(page.words.len()),
                numbers: Vec::with_capacity(page.numbers.len()),
            };
            self.trays[me].0.lock().expect("no panic").push(replace(page, fresh));
        }
        self.published[me].0.store(clock, Ordering::Release); // after the records up to it
    }

    /// Into the ring. Who reads it looks at `head` first and then at `copying`, so it goes no further
    /// than somebody who has room but not filled it.
    fn copy(&self, me: usize, record: &[u64; RECORD]) {
        let copying = &self.copying[me].0;
        copying.store(self.head.0.load(Ordering::SeqCst), Ordering::SeqCst);
        let at = self.head.0.fetch_add(RECORD as u64, Ordering::SeqCst);
        copying.store(at, Ordering::Release);
        while at + RECORD as u64 > self.tail.0.load(Ordering::Acquire) + RING as u64 {
            yield_now();
        }
        let begin = at as usize % RING;
        for (cell, word) in self.ring[begin..begin + RECORD].iter().zip(record) {
            cell.store(*word, Ordering::Relaxed);
        }
        copying.store(NEVER, Ordering::Release);
    }
}

/// The one thread that sees all records in their order.
struct Log<'s> {
    shared: &'s Shared,
    lanes: Vec<VecDeque<(Page, usize)>>,
    next: u64,
    seen: Vec<u64>,
    file: Vec<u64>,
    records: u64,
}

impl Log<'_> {
    fn run(&mut self) {
        loop {
            let last = self.shared.working.load(Ordering::Acquire) == 0;
            let before = self.records;
            match self.shared.mechanism {
                Mechanism::None => {}
                Mechanism::Ring => self.read_ring(),
                _ => self.merge(),
            }
            if last {
                return;
            }
            if self.records == before {
                yield_now();
            }
        }
    }

    fn merge(&mut self) {
        // First up to where, then what there is: all that is below has been handed over.
        let published = self.shared.published.iter().map(|cell| cell.0.load(Ordering::Acquire));
        let bound = published.min().unwrap_or(0);
        for (lane, tray) in self.lanes.iter_mut().zip(&self.shared.trays) {
            let pages = take(&mut *tray.0.lock().expect("no panic"));
            lane.extend(pages.into_iter().map(|page| (page, 0)));
        }
        while let Some(lane) = self.first(bound) {
            let Some((page, at)) = self.lanes[lane].front_mut() else { return };
            self.next = page.numbers[*at] + 1;
            let record = &page.words[*at * RECORD..][..RECORD];
            note(&mut self.seen, record);
            self.file.extend_from_slice(record);
            *at += 1;
            if *at == page.numbers.len() {
                self.lanes[lane].pop_front();
            }
            self.wrote();
        }
    }

    /// The lane with the record that comes next, if it has come.
    fn first(&self, bound: u64) -> Option<usize> {
        let heads = self.lanes.iter().enumerate();
        let heads = heads.filter_map(|(i, lane)| lane.front().map(|(p, at)| (p.numbers[*at], i)));
        let (number, lane) = heads.min()?;
        let comes = match self.shared.mechanism {
            Mechanism::Counter => number == self.next,
            _ => number <= bound,
        };
        comes.then_some(lane)
    }

    fn read_ring(&mut self) {
        let shared = self.shared;
        let head = shared.head.0.load(Ordering::SeqCst);
        let copying = shared.copying.iter().map(|cell| cell.0.load(Ordering::SeqCst));
        let until = copying.min().unwrap_or(NEVER).min(head);
        let mut at = shared.tail.0.load(Ordering::Relaxed);
        while at < until {
            let begin = at as usize % RING;
            let mut record = [0; RECORD];
            for (word, cell) in record.iter_mut().zip(&shared.ring[begin..begin + RECORD]) {
                *word = cell.load(Ordering::Relaxed);
            }
            note(&mut self.seen, &record);
            self.file.extend_from_slice(&record);
            self.wrote();
            at += RECORD as u64;
        }
        shared.tail.0.store(at, Ordering::Release);
    }

    fn wrote(&mut self) {
        self.records += 1;
        if self.file.len() > 8192 {
            self.file.clear();
        }
    }
}

fn note(seen: &mut [u64], record: &[u64]) {
    let seen = &mut seen[record[0] as usize];
    *seen += 1;
    assert_eq!(*seen, record[1], "changes of one stripe in their order");
}

/// Wall and CPU time of one round.
fn round(mechanism: Mechanism, workers: usize, changes: u64) -> (Duration, Duration) {
    let shared = Shared::new(mechanism, workers);
    let start = Barrier::new(workers + 1);
    let cpu = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    scope(|threads| {
        let log = threads.spawn(|| {
            let mut log = Log {
                shared: &shared,
                lanes: many(workers),
                next: 1,
                seen: vec![0; STRIPES],
                file: Vec::with_capacity(16384),
                records: 0,
            };
            log.run();
            let all = if mechanism == Mechanism::None { 0 } else { workers as u64 * changes };
            assert_eq!(log.records, all, "{mechanism:?}");
        });
        let hands = (0..workers).map(|me| {
            let (shared, start) = (&shared, &start);
            threads.spawn(move || {
                start.wait();
                shared.work(me, changes);
            })
        });
        let hands: Vec<_> = hands.collect();
        start.wait();
        let (began, used) = (Instant::now(), cpu());
        hands.into_iter().for_each(|hand| hand.join().expect("no panic"));
        let wall = began.elapsed();
        log.join().expect("no panic");
        (wall, cpu() - used)
    })
}

fn main() {
    let changes = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(2_000_000);
    println!("{:>8} {:>8} {:>10} {:>10}", "workers", "order", "wall ns", "CPU ns");
    for workers in [1, 2] {
        use Mechanism::{Clocks, Counter, None, Ring};
        let mut best = [(Duration::MAX, Duration::MAX); 4];
        for _ in 0..ROUNDS {
            for (best, mechanism) in best.iter_mut().zip([None, Counter, Clocks, Ring]) {
                let (wall, cpu) = round(mechanism, workers, changes);
                *best = (best.0.min(wall), best.1.min(cpu));
            }
        }
        for ((wall, cpu), mechanism) in best.iter().zip([None, Counter, Clocks, Ring]) {
            let each = |time: &Duration| time.as_nanos() as f64 / (workers as u64 * changes) as f64;
            let name = format!("{mechanism:?}").to_lowercase();
            println!("{workers:>8} {name:>8} {:>10.1} {:>10.1}", each(wall), each(cpu));
        }
    }
}

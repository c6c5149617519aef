//! What does a large sorted set cost, in time and in bytes?
//!
//! `cargo bench --bench zset`. One thread, the bare structure; times are per 64 operations, `Mitem/s`
//! counts single ones. Prints the bytes per member first.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use eonkv::mem;
use eonkv::types::zset::{Cut, SortedSet};

const BATCH: usize = 64;
const SIZES: [u64; 2] = [100_000, 1_000_000];

fn main() {
    for members in SIZES {
        let before = mem::used();
        let set = filled(members);
        let bytes = (mem::used() - before) as f64 / members as f64;
        let beyond = bytes - 24.0;
        println!(
            "{members} members of 16 bytes: {bytes:.1} bytes each, {beyond:.1} beyond payload"
        );
        drop(set);
    }
    divan::main();
}

fn member(i: u64) -> [u8; 16] {
    let mut member = *b"member:000000000";
    let mut rest = i;
    for digit in member[7..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    member
}

fn score(i: u64) -> f64 {
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 34) as f64
}

fn filled(members: u64) -> SortedSet {
    let mut set = SortedSet::new();
    (0..members).for_each(|i| _ = set.insert(&member(i), score(i)));
    set
}

/// Runs `each` on random members of a filled set.
fn on_random(bencher: Bencher, members: u64, mut each: impl FnMut(&mut SortedSet, u64)) {
    let mut set = filled(members);
    let mut state = 88_172_645_463_325_252u64;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            each(&mut set, state % members);
        }
    });
}

#[divan::bench(args = SIZES)]
fn zscore(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| _ = black_box(set.score(&member(i))));
}

#[divan::bench(args = SIZES)]
fn zrank(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| _ = black_box(set.rank(&member(i))));
}

#[divan::bench(args = SIZES)]
fn zcount(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| {
        let from = score(i);
        black_box(set.count(&Cut::BeforeScore(from), &Cut::AfterScore(from + 1e6)));
    });
}

#[divan::bench(args = SIZES)]
fn zrange_of_ten(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| {
        set.range(i as usize, 10).for_each(|entry| _ = black_box(entry));
    });
}

#[divan::bench(args = SIZES)]
fn zincrby(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| {
        let member = member(i);
        let old = set.score(&member).unwrap_or(0.0);
        set.insert(&member, old + 1.0);
    });
}

#[divan::bench(args = SIZES)]
fn zrem_and_zadd(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| {
        set.remove(&member(i));
        set.insert(&member(i), score(i));
    });
}

#[divan::bench(args = SIZES)]
fn zpopmin_and_zadd(bencher: Bencher, members: u64) {
    on_random(bencher, members, |set, i| {
        if let Some((member, _)) = set.pop_min() {
            set.insert(&member, score(i));
        }
    });
}

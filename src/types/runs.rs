//! Sorting in pieces: whoever sorts much may do other things in between.
//!
//! Items are known by their numbers. Runs of 1,024 are sorted, one in a piece; then the least of the
//! runs' first items is taken again and again, as far as items are wanted. A heap knows the runs by
//! their first items.

use std::cmp::Ordering;

/// Items of a run, which is sorted in one go.
const RUN: usize = 1024;
/// Items taken from the runs in a piece.
const PIECE: usize = 128;

/// The numbers of some items, being sorted.
#[derive(Debug)]
pub struct Runs {
    /// Runs in order, each sorted up to `sorted`.
    numbers: Vec<u32>,
    sorted: usize,
    /// A heap of runs by their next items: where that stands in `numbers`, and where the run ends.
    heap: Vec<(u32, u32)>,
    /// Items taken from the heap; those before `from` are not kept.
    taken: usize,
    from: usize,
    to: usize,
    order: Vec<u32>,
}

impl Runs {
    /// Sorts items 0 to `len`, of which those are wanted that will be number `from` and the `count` - 1
    /// behind it.
    pub fn new(len: usize, from: usize, count: usize) -> Self {
        let to = from.saturating_add(count).min(len);
        let numbers = (0..len as u32).collect();
        Self { numbers, sorted: 0, heap: Vec::new(), taken: 0, from, to, order: Vec::new() }
    }

    /// Does a piece of the work; false if all is done. `compare` says in which order two items stand;
    /// of equal ones the lower number comes first.
    pub fn step(&mut self, compare: impl Fn(u32, u32) -> Ordering) -> bool {
        let compare = |a: u32, b: u32| compare(a, b).then(a.cmp(&b));
        if self.sorted < self.numbers.len() {
            self.sort_run(compare);
            return true;
        }
        for _ in 0..PIECE {
            let wanted = self.taken < self.to;
            let Some(&(at, end)) = self.heap.first().filter(|_| wanted) else { return false };
            if self.taken >= self.from {
                self.order.push(self.numbers[at as usize]);
            }
            self.taken += 1;
            if at + 1 < end {
                self.heap[0].0 += 1;
            } else {
                self.heap.swap_remove(0);
            }
            self.sink(0, &compare);
        }
        true
    }

    /// The items wanted, in order, when all is done.
    pub fn into_order(self) -> Vec<u32> {
        self.order
    }

    fn sort_run(&mut self, compare: impl Fn(u32, u32) -> Ordering) {
        let to = (self.sorted + RUN).min(self.numbers.len());
        self.numbers[self.sorted..to].sort_unstable_by(|a, b| compare(*a, *b));
        self.heap.push((self.sorted as u32, to as u32));
        self.sorted = to;
        if to == self.numbers.len() {
            (0..self.heap.len() / 2).rev().for_each(|at| self.sink(at, &compare));
        }
    }

    /// Moves a run down the heap until its next item stands before those below.
    fn sink(&mut self, mut at: usize, compare: &impl Fn(u32, u32) -> Ordering) {
        let next = |runs: &Self, at: usize| runs.numbers[runs.heap[at].0 as usize];
        loop {
            let below = [2 * at + 1, 2 * at + 2].into_iter().filter(|&at| at < self.heap.len());
            let Some(least) = below.min_by(|&a, &b| compare(next(self, a), next(self, b))) else {
                return;
            };
            if compare(next(self, at), next(self, least)).is_le() {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_wanted_stands_in_order(
            items in prop::collection::vec(0..500u16, 0..5_000),
            from in 0..6_000usize,
            count in prop_oneof![0..6_000usize, Just(usize::MAX)],
        ) {
            let mut runs = Runs::new(items.len(), from, count);
            while runs.step(|a, b| items[a as usize].cmp(&items[b as usize])) {}
            let mut all: Vec<u32> = (0..items.len() as u32).collect();
            all.sort_by_key(|&item| items[item as usize]);
            let wanted: Vec<u32> = all.into_iter().skip(from).take(count).collect();
            prop_assert_eq!(runs.into_order(), wanted);
        }
    }
}

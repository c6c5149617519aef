//! The stages of sorting, each in pieces: whoever does them may do other things in between.
//!
//! Load, look up what to sort by, sort runs, merge them as far as they are wanted, look up what to
//! show, and build the list to store. Texts stand in an arena of few blocks, so that a million of
//! them is freed at once.

use super::{Key, Options, Taken};
use crate::commands::Error;
use crate::commands::long::Source;
use crate::db::Access;
use crate::resp::Reply;
use crate::types::list::{End, Limit, List};
use crate::types::number::{parse_f64, parse_i64};
use std::cmp::Ordering;

/// Elements in a piece.
const PIECE: usize = 128;
/// Elements of a run, which is sorted in one go.
const RUN: usize = 1024;

/// Texts, one behind the other.
#[derive(Debug, Default)]
struct Arena {
    blocks: Vec<Vec<u8>>,
}

/// A text in an arena.
#[derive(Debug, Clone, Copy)]
struct Text {
    block: u32,
    at: u32,
    len: u32,
}

/// Bytes of a block of an arena, unless a text is larger.
const BLOCK: usize = 256 * 1024;

impl Arena {
    fn add(&mut self, text: &[u8]) -> Text {
        let fits = |block: &&mut Vec<u8>| block.capacity() - block.len() >= text.len();
        if self.blocks.last_mut().filter(fits).is_none() {
            // The first blocks are small: most sorts are.
            let size = (1024 << (2 * self.blocks.len()).min(16)).min(BLOCK);
            self.blocks.push(Vec::with_capacity(size.max(text.len())));
        }
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[last];
        let at = block.len() as u32;
        block.extend_from_slice(text);
        Text { block: last as u32, at, len: text.len() as u32 }
    }

    fn get(&self, text: Text) -> &[u8] {
        &self.blocks[text.block as usize][text.at as usize..][..text.len as usize]
    }
}

#[derive(Debug)]
struct Item {
    text: Text,
    /// What it is sorted by: a number, or the text of another key.
    score: f64,
    by: Option<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Load,
    Weigh,
    Runs,
    Merge,
    Get,
    Build,
    Done,
}

/// Sorting at work.
#[derive(Debug)]
pub struct Work {
    pub key: Vec<u8>,
    pub options: Options,
    pub taken: Taken,
    stage: Stage,
    /// Elements that the stage has done.
    done: usize,
    arena: Arena,
    items: Vec<Item>,
    /// Numbers of items: runs in order, each sorted.
    runs: Vec<u32>,
    /// A heap of runs by their next items: where that stands in `runs`, and where the run ends.
    heap: Vec<(u32, u32)>,
    /// Numbers of items in the order asked for.
    order: Vec<u32>,
    /// What GET found, for each element in turn.
    found: Vec<Option<Text>>,
    list: List,
}

/// A number as C reads it: blanks before it and whatever stands behind a NUL do not matter, and
/// nothing is 0.
fn number(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_i64(text) {
        return Some(value as f64);
    }
    let text = memchr::memchr(0, text).map_or(text, |nul| &text[..nul]);
    if text.is_empty() {
        return Some(0.0);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    parse_f64(&text[text.iter().take_while(|byte| blank(byte)).count()..])
}

impl Work {
    pub fn new(key: Key<'_>, mut options: Options, taken: Taken) -> Self {
        // A set has no order that would be the same elsewhere, so what is stored of it gets one.
        if options.unsorted && taken.is_set() && options.store.is_some() {
            (options.unsorted, options.alpha) = (false, true);
        }
        let len = taken.len();
        Self {
            key: key.bytes.to_vec(),
            options,
            taken,
            stage: Stage::Load,
            done: 0,
            arena: Arena::default(),
            items: Vec::with_capacity(len),
            runs: Vec::new(),
            heap: Vec::new(),
            order: Vec::new(),
            found: Vec::new(),
            list: List::new(Limit::from_parameter(-2)),
        }
    }

    /// Keys that BY and GET lead to.
    pub fn names(&mut self) -> Vec<Vec<u8>> {
        while self.stage == Stage::Load {
            self.load();
        }
        let texts = || self.items.iter().map(|item| self.arena.get(item.text));
        let patterns = self.options.by.iter().chain(&self.options.get);
        patterns.flat_map(|pattern| texts().filter_map(|text| pattern.name(text))).collect()
    }

    /// Does a piece of the work; false if nothing is left to do.
    pub fn step(&mut self, db: &mut Access<'_>) -> Result<bool, Error> {
        match self.stage {
            Stage::Load => self.load(),
            Stage::Weigh => self.weigh(db)?,
            Stage::Runs => self.sort_run(),
            Stage::Merge => self.merge(),
            Stage::Get => self.get(db),
            Stage::Build => self.build(),
            Stage::Done => return Ok(false),
        }
        Ok(true)
    }

    fn turn_to(&mut self, stage: Stage) {
        (self.stage, self.done) = (stage, 0);
    }

    fn load(&mut self) {
        let (arena, items) = (&mut self.arena, &mut self.items);
        let more = self.taken.next(PIECE, |text| {
            items.push(Item { text: arena.add(text), score: 0.0, by: None });
        });
        if more {
            return;
        }
        if self.options.unsorted {
            let all = 0..self.items.len() as u32;
            self.order = if self.taken.is_cut(&self.options) {
                all.collect()
            } else {
                let (from, count) = self.options.window(self.items.len());
                all.skip(from).take(count).collect()
            };
            self.turn_to(Stage::Get);
        } else {
            self.turn_to(Stage::Weigh);
        }
    }

    /// Finds out what elements are sorted by.
    fn weigh(&mut self, db: &mut Access<'_>) -> Result<(), Error> {
        let to = (self.done + PIECE).min(self.items.len());
        for at in self.done..to {
            let text = self.items[at].text;
            let mut by = None;
            if let Some(pattern) = &self.options.by {
                let value = pattern.look_up(db, self.arena.get(text), <[u8]>::to_vec);
                let Some(value) = value else { continue };
                if self.options.alpha {
                    by = Some(self.arena.add(&value));
                } else {
                    self.items[at].score = number(&value).ok_or(NOT_A_NUMBER)?;
                }
            } else if !self.options.alpha {
                self.items[at].score = number(self.arena.get(text)).ok_or(NOT_A_NUMBER)?;
            }
            self.items[at].by = by;
        }
        self.done = to;
        if to == self.items.len() {
            self.runs = (0..to as u32).collect();
            self.turn_to(Stage::Runs);
        }
        Ok(())
    }

    /// In which order two items stand.
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (one, two) = (&self.items[a as usize], &self.items[b as usize]);
        let text = |item: &Item| self.arena.get(item.text);
        let order = if !self.options.alpha {
            one.score
                .partial_cmp(&two.score)
                .unwrap_or(Ordering::Equal)
                .then_with(|| text(one).cmp(text(two)))
        } else if self.options.by.is_some() {
            // Those without a value come first.
            let value = |item: &Item| item.by.map(|by| self.arena.get(by));
            value(one).cmp(&value(two))
        } else {
            text(one).cmp(text(two))
        };
        let order = if self.options.descending { order.reverse() } else { order };
        order.then(a.cmp(&b))
    }

    fn sort_run(&mut self) {
        let to = (self.done + RUN).min(self.runs.len());
        let mut runs = std::mem::take(&mut self.runs);
        runs[self.done..to].sort_unstable_by(|a, b| self.compare(*a, *b));
        self.runs = runs;
        if to > self.done {
            self.heap.push((self.done as u32, to as u32));
        }
        self.done = to;
        if to == self.runs.len() {
            (0..self.heap.len() / 2).rev().for_each(|at| self.sink(at));
            self.turn_to(Stage::Merge);
        }
    }

    /// Takes the next items from the runs until all that are wanted are in order.
    fn merge(&mut self) {
        let (from, count) = self.options.window(self.items.len());
        for _ in 0..PIECE {
            let wanted = self.done < from + count;
            let Some(&(at, end)) = self.heap.first().filter(|_| wanted) else {
                return self.turn_to(Stage::Get);
            };
            if self.done >= from {
                self.order.push(self.runs[at as usize]);
            }
            self.done += 1;
            if at + 1 < end {
                self.heap[0].0 += 1;
            } else {
                self.heap.swap_remove(0);
            }
            self.sink(0);
        }
    }

    /// Moves a run down the heap until its next item stands before those below.
    fn sink(&mut self, mut at: usize) {
        let next = |work: &Self, at: usize| work.runs[work.heap[at].0 as usize];
        loop {
            let below = [2 * at + 1, 2 * at + 2].into_iter().filter(|&at| at < self.heap.len());
            let Some(least) = below.min_by(|&a, &b| self.compare(next(self, a), next(self, b)))
            else {
                return;
            };
            if self.compare(next(self, at), next(self, least)).is_le() {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// Finds what is to be shown of each element.
    fn get(&mut self, db: &mut Access<'_>) {
        if !self.options.get.is_empty() {
            let to = (self.done + PIECE).min(self.order.len());
            for at in self.done..to {
                let text = self.items[self.order[at] as usize].text;
                for pattern in &self.options.get {
                    let found = if pattern.is_itself() {
                        Some(text)
                    } else {
                        let value = pattern.look_up(db, self.arena.get(text), <[u8]>::to_vec);
                        value.map(|value| self.arena.add(&value))
                    };
                    self.found.push(found);
                }
            }
            self.done = to;
            if to < self.order.len() {
                return;
            }
        }
        let stores = self.options.store.is_some();
        self.turn_to(if stores { Stage::Build } else { Stage::Done });
    }

    /// How many texts the result has.
    fn results(&self) -> usize {
        self.order.len() * self.options.get.len().max(1)
    }

    /// A text of the result.
    fn text(&self, at: usize) -> Option<&[u8]> {
        let text = if self.options.get.is_empty() {
            Some(self.items[self.order[at] as usize].text)
        } else {
            self.found[at]
        };
        text.map(|text| self.arena.get(text))
    }

    fn build(&mut self) {
        let to = (self.done + PIECE).min(self.results());
        let mut list = std::mem::replace(&mut self.list, List::new(Limit::from_parameter(-2)));
        for at in self.done..to {
            list.push(End::Back, self.text(at).unwrap_or_default());
        }
        self.list = list;
        self.done = to;
        if to == self.results() {
            self.turn_to(Stage::Done);
        }
    }

    /// The list to store, of work that is done.
    pub fn result(self) -> List {
        self.list
    }

    /// The reply, of work that is done.
    pub fn show(self) -> Shown {
        Shown { work: self, at: None }
    }
}

const NOT_A_NUMBER: Error = Error::new("ERR One or more scores can't be converted into double");

/// A result on its way to the client.
pub struct Shown {
    work: Work,
    /// The next text; the head comes first.
    at: Option<usize>,
}

impl Source for Shown {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let len = self.work.results();
        let from = self.at.unwrap_or_else(|| {
            reply.array(len);
            0
        });
        let to = (from + 2 * PIECE).min(len);
        for at in from..to {
            match self.work.text(at) {
                Some(text) => reply.bulk(text),
                None => reply.null(),
            }
        }
        self.at = Some(to);
        to < len
    }
}

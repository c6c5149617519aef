//! The stages of sorting, each in pieces: whoever does them may do other things in between.
//!
//! Load, look up what to sort by, sort as far as is wanted, look up what to show, and build the list
//! to store.

use super::{Key, Options, Taken};
use crate::commands::Error;
use crate::commands::long::Source;
use crate::db::Access;
use crate::resp::Reply;
use crate::types::arena::{Arena, Text};
use crate::types::list::{End, Limit, List};
use crate::types::number::{parse_f64, parse_i64};
use crate::types::runs::Runs;
use std::cmp::Ordering;

/// Elements in a piece.
const PIECE: usize = 128;

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
    Sort,
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
    runs: Runs,
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
        // A set has no order that would be the same elsewhere, so what is stored of it, or shown to a
        // script, gets one.
        if options.unsorted && taken.is_set() && (options.store.is_some() || options.scripted) {
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
            runs: Runs::new(0, 0, 0),
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
            Stage::Sort => self.sort(),
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
            let (from, count) = self.options.window(to);
            self.runs = Runs::new(to, from, count);
            self.turn_to(Stage::Sort);
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
        if self.options.descending { order.reverse() } else { order }
    }

    fn sort(&mut self) {
        let mut runs = std::mem::replace(&mut self.runs, Runs::new(0, 0, 0));
        if runs.step(|a, b| self.compare(a, b)) {
            self.runs = runs;
        } else {
            self.order = runs.into_order();
            self.turn_to(Stage::Get);
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

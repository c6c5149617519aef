//! Trimming: entries taken away from the front.

use super::{Id, Stream};

/// Which entries stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last so many.
    Last(u64),
    /// Those from a name on.
    From(Id),
}

/// How to trim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// Which entries stay.
    pub keep: Keep,
    /// Whole blocks only go, so more entries may stay, and none is looked at.
    pub whole: bool,
    /// No block goes with which more entries than this would have gone; 0 is no bound.
    pub most: u64,
}

impl Stream {
    /// Whether [`Stream::trim`] would take anything away.
    pub fn would_trim(&self, trim: Trim) -> bool {
        let Some(block) = self.tree.first_block() else { return false };
        let (len, live) = (self.bounds.len, block.live as u64);
        if trim.most > 0 && live > trim.most {
            return false;
        }
        match trim.keep {
            Keep::Last(count) if trim.whole => len > count && len - live >= count,
            Keep::Last(count) => len > count,
            Keep::From(id) if trim.whole => block.last < id,
            Keep::From(id) => self.bounds.first < id,
        }
    }

    /// Takes entries away from the front; says how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let before = self.bounds.len;
        while let Some(block) = self.tree.first_block() {
            let (len, live) = (self.bounds.len, block.live as u64);
            if matches!(trim.keep, Keep::Last(count) if len <= count) {
                break;
            }
            if trim.most > 0 && before - len + live > trim.most {
                break;
            }
            let goes = match trim.keep {
                Keep::Last(count) => len - live >= count,
                Keep::From(id) => block.last < id,
            };
            if goes {
                self.bounds.len -= live;
                drop(self.tree.pop());
                continue;
            }
            let begins_there = matches!(trim.keep, Keep::From(id) if id <= block.first);
            if !trim.whole && !begins_there {
                let count = match trim.keep {
                    Keep::Last(count) => self.tree.trim_first(|gone, _| len - gone as u64 > count),
                    Keep::From(from) => self.tree.trim_first(|_, id| id < from),
                };
                self.bounds.len -= count as u64;
            }
            break;
        }
        if self.bounds.len < before {
            self.renew_first();
        }
        before - self.bounds.len
    }
}

//! Changes away from the ends of a list. Chunks that grow beyond the limit split; neighbours that
//! have shrunk enough to share a block are joined.

use super::chunk::{Chunk, Span, stored};
use super::{End, Limit, List};
use crate::types::packed::Element;
use std::collections::VecDeque;

impl List {
    /// Puts another text in place of the one at `index`; false if there is none.
    pub fn set(&mut self, index: usize, text: &[u8]) -> bool {
        if index >= self.len {
            return false;
        }
        let element = Element::of(text);
        let (at, within) = self.locate(index);
        let chunk = &mut self.chunks[at];
        let span = chunk.span(within);
        let after = chunk.used().len() - (span.to - span.from) + stored(&element);
        if after <= self.limit.bytes {
            chunk.splice(span, &element);
            chunk.shrink(self.limit.bytes); // an element larger than a block may have gone
            return true;
        }
        chunk.remove(&[span]);
        self.len -= 1;
        if chunk.len() == 0 {
            self.chunks.remove(at);
        }
        self.insert(index, text)
    }

    /// Puts a text before the one at `index`, or at the end; false if `index` is beyond that.
    pub fn insert(&mut self, index: usize, text: &[u8]) -> bool {
        if index == 0 || index >= self.len {
            if index <= self.len {
                self.push(if index == 0 { End::Front } else { End::Back }, text);
            }
            return index <= self.len;
        }
        let (element, limit) = (Element::of(text), self.limit);
        let (at, within) = self.locate(index);
        self.len += 1;
        let chunk = &mut self.chunks[at];
        if chunk.admits(stored(&element), limit) {
            let from = chunk.span(within).from;
            chunk.splice(Span { from, to: from }, &element);
            return true;
        }
        if within > 0 {
            let behind = chunk.split_off(within);
            self.chunks.insert(at + 1, behind);
            let behind = self.between(at, &element);
            // Each half may fit its other neighbour by now.
            self.join(behind);
            if at > 0 {
                self.join(at - 1);
            }
        } else {
            self.between(at - 1, &element); // index 0 was a push, so there is one before
        }
        true
    }

    /// Adds an element between a chunk and the next, to either of them or on its own. Says where the
    /// next one is then.
    fn between(&mut self, at: usize, element: &Element<'_>) -> usize {
        let limit = self.limit;
        if self.chunks[at].push(End::Back, element, limit)
            || self.chunks[at + 1].push(End::Front, element, limit)
        {
            return at + 1;
        }
        let mut alone = Chunk::with_room(stored(element), End::Back);
        alone.push(End::Back, element, self.limit.for_one(element));
        self.chunks.insert(at + 1, alone);
        at + 2
    }

    /// Removes texts equal to this one: all if `count` is 0, else that many from the front, or from
    /// the back if it is negative. Says how many went.
    pub fn remove(&mut self, text: &[u8], count: i64) -> usize {
        let needle = Element::of(text);
        let from = if count < 0 { End::Back } else { End::Front };
        let most = match count {
            0 => usize::MAX,
            _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        let mut removed = 0;
        for step in 0..self.chunks.len() {
            if removed == most {
                break;
            }
            let at = match from {
                End::Front => step,
                End::Back => self.chunks.len() - 1 - step,
            };
            let chunk = &mut self.chunks[at];
            let mut spans = chunk.find_all(&needle, most - removed, from);
            if let End::Back = from {
                spans.reverse();
            }
            chunk.remove(&spans);
            removed += spans.len();
        }
        if removed > 0 {
            self.len -= removed;
            self.compact();
        }
        removed
    }

    /// Drops chunks that have become empty and joins those that fit one block, in one pass.
    fn compact(&mut self) {
        let limit = self.limit;
        let mut kept = VecDeque::with_capacity(self.chunks.len());
        for mut chunk in self.chunks.drain(..).filter(|chunk| chunk.len() > 0) {
            match kept.back_mut() {
                Some(before) if fit_together(before, &chunk, limit) => before.append(&chunk),
                _ => {
                    chunk.shrink(0);
                    kept.push_back(chunk);
                }
            }
        }
        self.chunks = kept;
        self.release();
    }

    /// Joins a chunk with the next if one block holds both.
    fn join(&mut self, at: usize) {
        if let (Some(chunk), Some(next)) = (self.chunks.get(at), self.chunks.get(at + 1))
            && fit_together(chunk, next, self.limit)
            && let Some(next) = self.chunks.remove(at + 1)
        {
            self.chunks[at].append(&next);
        }
    }
}

/// Leaves some room, lest the next insertion split what was just joined.
fn fit_together(chunk: &Chunk, next: &Chunk, limit: Limit) -> bool {
    chunk.len() + next.len() <= limit.count
        && chunk.used().len() + next.used().len() <= limit.bytes / 4 * 3
}

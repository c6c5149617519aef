//! Walking over a list from either end, and finding in what a walk gives.

use super::chunk::{self, Chunk};
use super::{End, List};
use crate::types::packed::Element;
use std::collections::VecDeque;

/// Elements of a list, in order or in reverse.
#[derive(Debug, Clone)]
pub struct Walk<'l> {
    chunks: &'l VecDeque<Chunk>,
    /// The chunk that comes next.
    next: usize,
    /// What is left of the one before it.
    rest: &'l [u8],
    /// Where the walk came from.
    from: End,
    left: usize,
}

impl<'l> Walk<'l> {
    /// `count` elements (fewer if there are no more), the first being the one `index` from an end.
    pub(super) fn new(list: &'l List, from: End, index: usize, count: usize) -> Self {
        let left = count.min(list.len.saturating_sub(index));
        let mut walk = Self { chunks: &list.chunks, next: 0, rest: &[], from, left };
        if left == 0 {
            return walk;
        }
        let (at, within) = match from {
            End::Front => list.locate(index),
            End::Back => list.locate(list.len - 1 - index),
        };
        let Some(chunk) = list.chunks.get(at) else { return walk };
        let (span, base) = (chunk.span(within), chunk.span(0).from);
        match from {
            End::Front => {
                walk.rest = &chunk.used()[span.from - base..];
                walk.next = at + 1;
            }
            End::Back => {
                walk.rest = &chunk.used()[..span.to - base];
                walk.next = at.wrapping_sub(1); // beyond all, below the first
            }
        }
        walk
    }
}

impl<'l> Iterator for Walk<'l> {
    type Item = Element<'l>;

    #[inline]
    fn next(&mut self) -> Option<Element<'l>> {
        self.left = self.left.checked_sub(1)?;
        if self.rest.is_empty() {
            self.rest = self.chunks.get(self.next)?.used();
            self.next = match self.from {
                End::Front => self.next + 1,
                End::Back => self.next.wrapping_sub(1),
            };
        }
        match self.from {
            End::Front => {
                let (element, size) = chunk::first(self.rest)?;
                self.rest = self.rest.get(size..)?;
                Some(element)
            }
            End::Back => {
                let (element, size) = chunk::last(self.rest)?;
                self.rest = &self.rest[..self.rest.len() - size];
                Some(element)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Walk<'_> {}

/// What LPOS asks for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    pub needle: Element<'q>,
    /// The first match to give: 1 is the first, 2 the second, -1 the last; not 0.
    pub rank: i64,
    /// Matches to give at most; 0 means all.
    pub count: usize,
    /// Elements to look at, at most; 0 means all.
    pub maxlen: usize,
}

impl Query<'_> {
    /// The end to walk from.
    pub const fn from(&self) -> End {
        if self.rank < 0 { End::Back } else { End::Front }
    }

    /// Positions of the matches among `elements`, all those of a list of `len`, walked from
    /// [`Query::from`]. For packed sequences as well.
    pub fn positions<'b>(
        &self,
        elements: impl Iterator<Item = Element<'b>>,
        len: usize,
    ) -> Vec<usize> {
        let all_if_none = |limit| if limit == 0 { usize::MAX } else { limit };
        let skipped = usize::try_from(self.rank.unsigned_abs()).unwrap_or(usize::MAX);
        let matches = elements
            .take(all_if_none(self.maxlen))
            .enumerate()
            .filter(|(_, element)| *element == self.needle)
            .skip(skipped.saturating_sub(1))
            .take(all_if_none(self.count));
        let position = |index: usize| match self.from() {
            End::Front => index,
            End::Back => len.saturating_sub(index + 1),
        };
        matches.map(|(index, _)| position(index)).collect()
    }
}

//! Short lists: the compact form, one immutable block that a change replaces.
//!
//! ```text
//!   ┌───────┬──────┬──────┬──────┬─
//!   │ count │ elem │ elem │ elem │ …      a packed sequence behind one byte
//!   └───────┴──────┴──────┴──────┴─
//! ```
//! The count stands there because every push replies with it, and walking over a hundred elements
//! costs more than the push itself. Edits append the new value to a caller's buffer; the value that
//! is edited stays as it is. When a list has become too long for this form is the caller's question
//! to [`Limit::keeps_short`].

use super::{End, Limit, Query};
use crate::types::packed::{Element, Iter, Packed};

/// Copying this much costs about as much as the pointers of a [`super::List`] would.
const BYTES: usize = 1024;
const COUNT: usize = u8::MAX as usize;

impl Limit {
    /// Whether a list of `count` elements, whose packed sequence has `bytes`, is short.
    #[inline]
    pub fn keeps_short(self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes.min(BYTES) && count <= self.count.min(COUNT)
    }
}

/// A short list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Short<'b> {
    count: u8,
    packed: Packed<'b>,
}

impl<'b> Short<'b> {
    /// The list that is kept in `bytes`.
    #[inline]
    pub const fn new(bytes: &'b [u8]) -> Self {
        match bytes.split_first() {
            Some((&count, rest)) => Self { count, packed: Packed::new(rest) },
            None => Self { count: 0, packed: Packed::new(&[]) },
        }
    }

    /// The number of elements.
    #[inline]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements.
    #[inline]
    pub const fn packed(&self) -> Packed<'b> {
        self.packed
    }

    /// The element at an index.
    pub fn get(&self, index: usize) -> Option<Element<'b>> {
        self.packed.nth(index)
    }

    /// `count` elements from `index` on, or as many as there are.
    pub fn range(&self, index: usize, count: usize) -> std::iter::Take<Iter<'b>> {
        let place = self.packed.place(index).unwrap_or_else(|| self.packed.end());
        self.packed.iter_from(place).take(count)
    }

    /// Positions of what `query` asks for.
    pub fn positions(&self, query: &Query<'_>) -> Vec<usize> {
        match query.from() {
            End::Front => query.positions(self.packed.iter(), self.len()),
            End::Back => query.positions(self.packed.iter_back(), self.len()),
        }
    }

    /// Appends the list with `texts` pushed, one after the other, at an end. False, with nothing
    /// appended, if that is no longer short.
    #[inline]
    pub fn push<'t>(
        &self,
        end: End,
        texts: impl DoubleEndedIterator<Item = &'t [u8]> + Clone,
        limit: Limit,
        out: &mut Vec<u8>,
    ) -> bool {
        let (mut bytes, mut count) = (self.packed.bytes().len(), self.len());
        for text in texts.clone() {
            bytes += Element::of(text).size();
            count += 1;
            if !limit.keeps_short(bytes, count) {
                return false;
            }
        }
        out.reserve(bytes + 1);
        out.push(count as u8);
        match end {
            End::Front => {
                texts.rev().for_each(|text| Element::of(text).push(out));
                out.extend_from_slice(self.packed.bytes());
            }
            End::Back => {
                out.extend_from_slice(self.packed.bytes());
                texts.for_each(|text| Element::of(text).push(out));
            }
        }
        true
    }

    /// Appends the list without its first or last `count` elements, of which it has at least as many.
    #[inline]
    pub fn drop(&self, end: End, count: usize, out: &mut Vec<u8>) {
        let left = self.len().saturating_sub(count);
        match end {
            End::Front => self.keep(count, left, out),
            End::Back => self.keep(0, left, out),
        }
    }

    /// Appends `count` of its elements, from `from` on, all of which are there.
    pub fn keep(&self, from: usize, count: usize, out: &mut Vec<u8>) {
        let begin = self.packed.place(from).unwrap_or_else(|| self.packed.end());
        let end = if from + count == self.len() {
            self.packed.end()
        } else {
            let mut iter = self.packed.iter_from(begin);
            iter.by_ref().take(count).for_each(drop);
            iter.place()
        };
        out.push(count as u8);
        out.extend_from_slice(self.packed.between(begin, end));
    }

    /// Appends the list with another text at `index`, which is below its length. False, with nothing
    /// appended, if that is no longer short.
    pub fn set(&self, index: usize, text: &[u8], limit: Limit, out: &mut Vec<u8>) -> bool {
        let Some(place) = self.packed.place(index) else { return false };
        let (old, new) = (self.packed.at(place).map_or(0, |old| old.size()), Element::of(text));
        if !limit.keeps_short(self.packed.bytes().len() - old + new.size(), self.len()) {
            return false;
        }
        out.push(self.count);
        self.packed.replace(place, &new, out);
        true
    }

    /// Appends the list with a text before the element at `index`, or at the end. As
    /// [`Short::set`].
    pub fn insert(&self, index: usize, text: &[u8], limit: Limit, out: &mut Vec<u8>) -> bool {
        let (place, new) = (self.packed.place(index), Element::of(text));
        let Some(place) = place else { return false };
        if !limit.keeps_short(self.packed.bytes().len() + new.size(), self.len() + 1) {
            return false;
        }
        out.push(self.count + 1); // which is short, so below 256
        self.packed.insert(place, &[new], out);
        true
    }

    /// Appends the list without texts equal to this one: all if `count` is 0, else that many from the
    /// front, or from the back if it is negative. Says how many went.
    pub fn remove(&self, text: &[u8], count: i64, out: &mut Vec<u8>) -> usize {
        let query = Query {
            needle: Element::of(text),
            rank: if count < 0 { -1 } else { 1 },
            count: usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
            maxlen: 0,
        };
        let mut gone = [false; COUNT];
        let positions = self.positions(&query);
        positions.iter().for_each(|&at| gone[at] = true);
        out.push((self.len() - positions.len()) as u8);
        self.packed.retain(1, out, |index, _| !gone[index])
    }
}

//! A block of the order: up to 42 entries side by side, each a score and the place of its member.
//!
//! - **B1** The first `len` scores and places are the entries, in order; the rest means nothing.

use crate::mem;

/// Entries of a block: what 512 bytes hold.
pub(super) const ENTRIES: usize = 42;

#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct Block {
    len: usize,
    scores: [f64; ENTRIES],
    places: [u32; ENTRIES],
}

const _: () = assert!(size_of::<Block>() == 512);

impl Block {
    pub(super) const EMPTY: Self = Self { len: 0, scores: [0.0; ENTRIES], places: [0; ENTRIES] };
    /// What stands for a block that is not there.
    pub(super) const NONE: Self = Self::EMPTY;

    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len]
    }

    #[inline(always)]
    pub(super) fn places(&self) -> &[u32] {
        &self.places[..self.len]
    }

    /// How many scores are less than this one. All are compared, as waiting for each comparison
    /// before the next takes longer.
    #[inline(always)]
    pub(super) fn below(&self, score: f64) -> usize {
        self.scores().iter().map(|&own| usize::from(own < score)).sum()
    }

    /// How many are less or equal.
    #[inline(always)]
    pub(super) fn up_to(&self, score: f64) -> usize {
        self.scores().iter().map(|&own| usize::from(own <= score)).sum()
    }

    /// Where the entry with this place stands.
    #[inline(always)]
    pub(super) fn position(&self, place: u32) -> Option<usize> {
        self.places().iter().position(|&own| own == place)
    }

    /// Asks for the block, without its scores unless they are wanted, too.
    #[inline(always)]
    pub(super) fn prefetch(&self, scores: bool) {
        const LINE: usize = 64;
        let bytes = std::ptr::from_ref(self).cast::<u8>();
        for at in (0..size_of::<Self>()).step_by(LINE) {
            let passes = at > 0 && at + LINE <= size_of::<[f64; ENTRIES]>();
            if scores || !passes {
                mem::prefetch(bytes.wrapping_add(at));
            }
        }
    }

    pub(super) fn insert(&mut self, at: usize, score: f64, place: u32) {
        self.scores.copy_within(at..self.len, at + 1);
        self.places.copy_within(at..self.len, at + 1);
        (self.scores[at], self.places[at]) = (score, place);
        self.len += 1;
    }

    /// Appends the entries of another block from `from` on.
    pub(super) fn append(&mut self, other: &mut Block, from: usize) {
        let end = self.len + other.len - from;
        self.scores[self.len..end].copy_from_slice(&other.scores[from..other.len]);
        self.places[self.len..end].copy_from_slice(&other.places[from..other.len]);
        (self.len, other.len) = (end, from);
    }

    pub(super) fn remove(&mut self, at: usize, count: usize) {
        self.scores.copy_within(at + count..self.len, at);
        self.places.copy_within(at + count..self.len, at);
        self.len -= count;
    }

    /// The member of an entry is in another place.
    pub(super) fn rename(&mut self, at: usize, place: u32) {
        self.places[at] = place;
    }

    /// Whether an entry would keep its place for certain with this score.
    pub(super) fn fits(&self, at: usize, score: f64) -> bool {
        let scores = self.scores();
        at > 0 && at + 1 < scores.len() && scores[at - 1] < score && score < scores[at + 1]
    }

    /// Gives an entry another score, with which it keeps its place.
    pub(super) fn rescore(&mut self, at: usize, score: f64) {
        self.scores[at] = score;
    }
}

//! Where members live: once each, with their score, shared by the order and found by their hash.
//!
//! The content of a place is the score in 8 bytes, then the member. Places are those of the table,
//! packed.

use crate::types::table::{At, Layout, Table};

const SCORE: usize = 8;

/// The member is the key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored;

impl Layout for Scored {
    #[inline(always)]
    fn key(content: &[u8]) -> &[u8] {
        content.get(SCORE..).unwrap_or(&[])
    }
}

/// The score in a content.
#[inline(always)]
pub(super) fn score_of(content: &[u8]) -> f64 {
    content.first_chunk().map_or(0.0, |score| f64::from_le_bytes(*score))
}

/// Puts another score in a content.
#[inline(always)]
pub(super) fn rescore(content: &mut [u8], score: f64) {
    if let Some(word) = content.first_chunk_mut() {
        *word = score.to_le_bytes();
    }
}

/// All members of a set.
#[derive(Debug, Clone)]
pub(super) struct Members(pub(super) Table<Scored>);

impl Members {
    /// The place of a member.
    #[inline]
    pub(super) fn find(&self, hash: u64, member: &[u8]) -> Option<u32> {
        self.0.find(hash, member).map(|at| self.0.pack(at))
    }

    /// Stores a member that is not there and tells its place.
    pub(super) fn insert(&mut self, hash: u64, member: &[u8], score: f64) -> u32 {
        let at = self.0.add(hash, &[&score.to_le_bytes(), member]);
        self.0.pack(at)
    }

    /// Forgets a member.
    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        self.0.remove(hash, self.at(place));
    }

    /// The place of the member that a look-up will very likely compare first.
    #[inline(always)]
    pub(super) fn candidate(&self, hash: u64) -> Option<u32> {
        self.0.candidate(hash).map(|at| self.0.pack(at))
    }

    /// Asks for what stands in a place.
    #[inline(always)]
    pub(super) fn prefetch(&self, place: u32) {
        self.0.prefetch(self.at(place));
    }

    #[inline(always)]
    fn at(&self, place: u32) -> At {
        self.0.unpack(place)
    }

    #[inline(always)]
    pub(super) fn member(&self, place: u32) -> &[u8] {
        Scored::key(self.0.at(self.at(place)))
    }

    #[inline(always)]
    pub(super) fn score(&self, place: u32) -> f64 {
        score_of(self.0.at(self.at(place)))
    }

    pub(super) fn set_score(&mut self, place: u32, score: f64) {
        rescore(self.0.at_mut(self.at(place)), score);
    }
}

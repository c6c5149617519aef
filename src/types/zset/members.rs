//! Where members live: once each, with their score, shared by the order and the index.
//!
//! The content of a place is the score in 8 bytes, then the member.

use crate::types::table::Store;

const SCORE: usize = 8;

/// All members of a set.
#[derive(Debug, Clone)]
pub(super) struct Members(Store);

impl Members {
    pub(super) const fn new() -> Self {
        Self(Store::new())
    }

    /// Stores a member and tells its place.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> u32 {
        self.0.insert(&[&score.to_le_bytes(), member])
    }

    /// Forgets a member.
    pub(super) fn remove(&mut self, place: u32) {
        self.0.remove(place);
    }

    /// Asks for what stands in a place.
    #[inline(always)]
    pub(super) fn prefetch(&self, place: u32) {
        self.0.prefetch(place);
    }

    #[inline(always)]
    pub(super) fn member(&self, place: u32) -> &[u8] {
        self.0.content(place).get(SCORE..).unwrap_or(&[])
    }

    #[inline(always)]
    pub(super) fn score(&self, place: u32) -> f64 {
        self.0.content(place).first_chunk().map_or(0.0, |score| f64::from_le_bytes(*score))
    }

    pub(super) fn set_score(&mut self, place: u32, score: f64) {
        if let Some(word) = self.0.content_mut(place).first_chunk_mut() {
            *word = score.to_le_bytes();
        }
    }

    /// Bytes held.
    pub(super) fn weight(&self) -> usize {
        self.0.weight()
    }

    /// Frees one piece of memory; false if none is left.
    pub(super) fn shed(&mut self) -> bool {
        self.0.shed()
    }
}

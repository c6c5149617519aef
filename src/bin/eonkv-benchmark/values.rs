//! The values that requests carry: pseudo-random letters, a window into one pool.
//!
//! Keeps true: the value of a key is always the same, in every run and on every machine, so a run
//! with `--verify` can check what an earlier one stored. A window costs one `memcpy`; the pool's seed
//! is a constant and not `--seed` for the same reason.

use crate::rng::{Rng, mix};

/// Different windows: enough that two keys rarely share a value of more than a few bytes.
const WINDOWS: u64 = 1 << 16;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";

/// All values of one size.
#[derive(Debug)]
pub struct Values {
    pool: Vec<u8>,
    size: usize,
}

impl Values {
    /// Values of `size` bytes.
    pub fn new(size: usize) -> Self {
        let mut rng = Rng::new(0, 0);
        let letter = |_| LETTERS[rng.below(64) as usize];
        Values { pool: (0..WINDOWS as usize + size).map(letter).collect(), size }
    }

    /// The value of key number `key`.
    #[inline]
    pub fn of(&self, key: u64) -> &[u8] {
        let start = (mix(key) % WINDOWS) as usize;
        &self.pool[start..start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_value_and_others_differ() {
        let (a, b) = (Values::new(16), Values::new(16));
        let distinct: std::collections::HashSet<&[u8]> = (0..100).map(|key| a.of(key)).collect();
        assert!(distinct.len() >= 99);
        assert!((0..100).all(|key| a.of(key) == b.of(key) && a.of(key).len() == 16));
    }
}

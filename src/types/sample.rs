//! Choosing at random: numbers, and some of many.
//!
//! Good enough to sample with, not to hide anything with. Everything is drawn from the 64 bits that
//! [`Dice`] begins with, so a test that fixes them fixes the choice.

/// A stream of random numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The stream that `seed` stands for.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[inline]
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, each as likely as any other to within `n` in 2^64; 0 if `n` is 0.
    #[inline]
    pub const fn below(&mut self, n: usize) -> usize {
        ((self.roll() as u128 * n as u128) >> 64) as usize
    }
}

/// Picks some of a row of items that pass by one after the other: each equally likely, and each
/// choice of as many items too.
#[derive(Debug, Clone)]
pub struct Pick {
    wanted: usize,
    left: usize,
}

impl Pick {
    /// `wanted` of `len` items; all of them if there are no more.
    pub const fn new(wanted: usize, len: usize) -> Self {
        Self { wanted: if wanted < len { wanted } else { len }, left: len }
    }

    /// How many are still to be picked.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether the item that passes is one of them.
    #[inline]
    pub const fn takes(&mut self, dice: &mut Dice) -> bool {
        if self.wanted == 0 {
            return false;
        }
        let takes = dice.below(self.left) < self.wanted;
        self.left = self.left.saturating_sub(1);
        if takes {
            self.wanted -= 1;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_as_likely_and_the_number_is_right() {
        let mut dice = Dice::new(7);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            let mut pick = Pick::new(3, 10);
            let taken: Vec<usize> = (0..10).filter(|_| pick.takes(&mut dice)).collect();
            assert_eq!((taken.len(), pick.wanted()), (3, 0));
            taken.into_iter().for_each(|item| seen[item] += 1);
        }
        assert!(seen.iter().all(|&n| (2_800..3_200).contains(&n)), "{seen:?}");
        let mut pick = Pick::new(20, 10);
        assert!((0..10).all(|_| pick.takes(&mut dice)) && !pick.takes(&mut dice));
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
    }
}

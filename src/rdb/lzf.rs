//! LZF: runs of literal bytes, and references of 3 to 264 bytes to at most 8 KiB before.
//!
//! ```text
//!   000nnnnn                      n + 1 bytes follow as they are
//!   nnnooooo oooooooo             n + 2 bytes from o + 1 before, n from 1 to 6
//!   111ooooo nnnnnnnn oooooooo    n + 9 bytes from o + 1 before
//! ```

/// A byte becomes at most this many: three of them say 264.
const GROWTH: usize = 88;
const LITERALS: usize = 32;
const FAR: usize = 8 * 1024;
const LONGEST: usize = 264;

/// Expands `packed` to exactly `length` bytes. None if it is not that.
pub fn expand(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    expand_into(packed, length, &mut out).then_some(out)
}

/// The same into `out`, which is cleared first. False if it is not that.
pub fn expand_into(packed: &[u8], length: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    if length.div_ceil(GROWTH) > packed.len() || out.try_reserve_exact(length).is_err() {
        return false; // before anything is reserved for it
    }
    unpack(packed, length, out).is_some() && out.len() == length
}

fn unpack(mut packed: &[u8], length: usize, out: &mut Vec<u8>) -> Option<()> {
    while let Some((&control, rest)) = packed.split_first() {
        packed = rest;
        if usize::from(control) < LITERALS {
            let (run, rest) = packed.split_at_checked(usize::from(control) + 1)?;
            if out.len() + run.len() > length {
                return None;
            }
            out.extend_from_slice(run);
            packed = rest;
        } else {
            let mut count = usize::from(control >> 5) + 2;
            if count == 9 {
                let (&more, rest) = packed.split_first()?;
                count += usize::from(more);
                packed = rest;
            }
            let (&low, rest) = packed.split_first()?;
            packed = rest;
            let back = (usize::from(control & 0x1f) << 8 | usize::from(low)) + 1;
            let from = out.len().checked_sub(back)?;
            if out.len() + count > length {
                return None;
            }
            // What runs into itself is a pattern repeated, twice as much of it each time.
            let mut left = count;
            while left > 0 {
                let piece = (out.len() - from).min(left);
                out.extend_from_within(from..from + piece);
                left -= piece;
            }
        }
    }
    Some(())
}

/// Compresses, with memory kept from one text to the next.
#[derive(Debug, Default)]
pub struct Packer {
    /// Where three bytes of this hash stood last, plus 1. As many as the text at hand deserves.
    seen: Vec<u32>,
    packed: Vec<u8>,
}

impl Packer {
    /// `text` compressed, if that saves more than four bytes: what saying so costs.
    pub fn pack(&mut self, text: &[u8]) -> Option<&[u8]> {
        let most = text.len().checked_sub(5)?;
        if text.len() >= u32::MAX as usize {
            return None;
        }
        // Clearing a large table would cost short texts more than all else.
        let bits = (usize::BITS - text.len().leading_zeros()).clamp(6, 14);
        self.seen.clear();
        self.seen.resize(1 << bits, 0);
        self.packed.clear();
        let (mut at, mut literal) = (0, 0);
        while let Some(&[a, b, c]) = text.get(at..).and_then(<[u8]>::first_chunk) {
            let three = u32::from_le_bytes([a, b, c, 0]);
            let slot = three.wrapping_mul(0x9e37_79b1) >> (32 - bits);
            let before = std::mem::replace(&mut self.seen[slot as usize], at as u32 + 1) as usize;
            let found = before.checked_sub(1).filter(|from| at - from <= FAR);
            let same = found.map_or(0, |from| alike(text, from, at));
            if same < 3 {
                // The longer nothing repeats, the less is looked at.
                at += 1 + ((at - literal) >> 6);
                continue;
            }
            self.literals(&text[literal..at]);
            self.reference(at - found.unwrap_or(at) - 1, same);
            at += same;
            literal = at;
            if self.packed.len() > most {
                return None;
            }
        }
        self.literals(&text[literal..]);
        (self.packed.len() <= most).then_some(&self.packed)
    }

    fn literals(&mut self, bytes: &[u8]) {
        for run in bytes.chunks(LITERALS) {
            self.packed.push(run.len() as u8 - 1);
            self.packed.extend_from_slice(run);
        }
    }

    fn reference(&mut self, back: usize, count: usize) {
        let high = (back >> 8) as u8;
        if count < 9 {
            self.packed.push((count as u8 - 2) << 5 | high);
        } else {
            self.packed.extend_from_slice(&[0xe0 | high, (count - 9) as u8]);
        }
        self.packed.push(back as u8);
    }
}

/// How many bytes from `from` on are the same as from `at` on, as far as one reference reaches.
fn alike(text: &[u8], from: usize, at: usize) -> usize {
    let most = LONGEST.min(text.len() - at);
    let (one, two) = (&text[from..from + most], &text[at..at + most]);
    let words = one.as_chunks::<8>().0.iter().zip(two.as_chunks::<8>().0);
    let whole = 8 * words.take_while(|(a, b)| a == b).count();
    whole + one[whole..].iter().zip(&two[whole..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn repetitive() -> impl Strategy<Value = Vec<u8>> {
        vec((vec(0u8..4, 1..20), 1usize..40), 0..40)
            .prop_map(|parts| parts.into_iter().flat_map(|(part, n)| part.repeat(n)).collect())
    }

    proptest! {
        #[test]
        fn what_is_packed_expands(text in prop_oneof![repetitive(), vec(any::<u8>(), 0..600)]) {
            let mut packer = Packer::default();
            for text in [&text[..], &text[..text.len() / 2]] {
                if let Some(packed) = packer.pack(text) {
                    prop_assert!(packed.len() + 4 < text.len());
                    prop_assert!(expand(packed, text.len()).is_some_and(|whole| whole == text));
                    prop_assert_eq!(expand(packed, text.len() + 1), None);
                    prop_assert_eq!(expand(packed, text.len() - 1), None);
                }
            }
        }

        #[test]
        fn anything_may_be_expanded(packed in vec(any::<u8>(), 0..100), length in 0usize..10_000) {
            let _ = expand(&packed, length);
        }
    }

    #[test]
    fn a_length_beyond_all_reason_reserves_nothing() {
        assert_eq!(expand(b"\x00a", usize::MAX), None);
        assert_eq!(expand(b"\x02abc\x20\x02", 6).as_deref(), Some(&b"abcabc"[..]));
        assert_eq!(expand(b"\x20\x02", 3), None);
    }

    #[test]
    fn long_runs_shrink_to_the_format_s_limit() {
        let text = vec![b'x'; 100_000];
        let mut packer = Packer::default();
        let packed = packer.pack(&text).unwrap().to_vec();
        assert!(packed.len() < 100_000 / 80, "{}", packed.len());
        assert_eq!(expand(&packed, text.len()).unwrap(), text);
    }
}

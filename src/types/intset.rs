//! A set of integers as one sorted array: the compact form of small sets of numbers.
//!
//! ```text
//!   ┌───────────────┬─────────┬─────────┬───
//!   │ width 2, 4, 8 │ lowest  │ next    │ ...    little endian, strictly ascending
//!   └───────────────┴─────────┴─────────┴───
//! ```
//! Stored, read and edited as packed sequences are: reads take the slice, edits append the new set to
//! a caller's buffer. The empty set is the empty slice.
//!
//! - **I1** The width is the narrowest that holds the lowest and the highest, so equal sets have
//!   equal bytes; a set that loses its only wide number becomes narrow again.
//! - **I2** No read panics, whatever the bytes; [`Intset::validate`] says that they are in order.

/// A sorted set of integers.
#[derive(Debug, Clone, Copy)]
pub struct Intset<'b> {
    /// All of it.
    bytes: &'b [u8],
    width: usize,
    /// Whole numbers only.
    numbers: &'b [u8],
}

/// Bytes that are no set of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl<'b> Intset<'b> {
    /// A view of bytes that are, or are to be treated as, a set. What is no number is left out (I2).
    #[inline]
    pub fn new(bytes: &'b [u8]) -> Self {
        match bytes.split_first() {
            Some((&width @ (2 | 4 | 8), numbers)) => {
                let width = usize::from(width);
                Self { bytes, width, numbers: &numbers[..numbers.len() / width * width] }
            }
            _ => Self { bytes: &[], width: 2, numbers: &[] },
        }
    }

    /// A view of bytes from elsewhere, if they are a set in the form of I1.
    pub fn validate(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let set = Self::new(bytes);
        let whole = bytes.is_empty() || !set.is_empty() && 1 + set.numbers.len() == bytes.len();
        let ascending = set.iter().zip(set.iter().skip(1)).all(|(low, high)| low < high);
        let narrow = match (set.first(), set.last()) {
            (Some(low), Some(high)) => set.width == width_of(low, high),
            _ => true,
        };
        if whole && ascending && narrow { Ok(set) } else { Err(Malformed) }
    }

    /// The bytes; none if they are no set.
    pub const fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// How many there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.numbers.len() / self.width
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number at this position, the lowest being 0.
    #[inline]
    pub fn nth(&self, index: usize) -> Option<i64> {
        let at = index.checked_mul(self.width)?;
        let rest = self.numbers.get(at..)?;
        Some(match self.width {
            2 => i64::from(i16::from_le_bytes(*rest.first_chunk()?)),
            4 => i64::from(i32::from_le_bytes(*rest.first_chunk()?)),
            _ => i64::from_le_bytes(*rest.first_chunk()?),
        })
    }

    /// The lowest.
    pub fn first(&self) -> Option<i64> {
        self.nth(0)
    }

    /// The highest.
    pub fn last(&self) -> Option<i64> {
        self.nth(self.len().checked_sub(1)?)
    }

    /// The position of `value`, or the one it would have.
    pub fn find(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.nth(middle) {
                Some(found) if found == value => return Ok(middle),
                Some(found) if found < value => low = middle + 1,
                _ => high = middle,
            }
        }
        Err(low)
    }

    /// Whether `value` is in the set.
    pub fn contains(&self, value: i64) -> bool {
        self.find(value).is_ok()
    }

    /// All, in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + use<'b> {
        let set = *self;
        (0..self.len()).map(move |index| set.nth(index).unwrap_or(0)) // below the length
    }

    /// Appends the set with `value` to `out`; false, and nothing appended, if it was there already.
    pub fn insert(&self, value: i64, out: &mut Vec<u8>) -> bool {
        let Err(at) = self.find(value) else { return false };
        let low = self.first().map_or(value, |low| low.min(value));
        let high = self.last().map_or(value, |high| high.max(value));
        let width = width_of(low, high).max(self.width);
        out.reserve(1 + (self.len() + 1) * width);
        out.push(width as u8);
        self.copy(0, at, width, out);
        push(value, width, out);
        self.copy(at, self.len(), width, out);
        true
    }

    /// Appends the set without `value` to `out`; false, and nothing appended, if it was not there.
    pub fn remove(&self, value: i64, out: &mut Vec<u8>) -> bool {
        let Ok(at) = self.find(value) else { return false };
        let last = self.len() - 1;
        let low = self.nth(usize::from(at == 0));
        let high =
            if at == last { last.checked_sub(1).and_then(|at| self.nth(at)) } else { self.last() };
        if let (true, Some(low), Some(high)) = (last > 0, low, high) {
            let width = width_of(low, high);
            out.reserve(1 + last * width);
            out.push(width as u8);
            self.copy(0, at, width, out);
            self.copy(at + 1, self.len(), width, out);
        }
        true
    }

    /// Appends the numbers from `from` to before `to` in another width.
    fn copy(&self, from: usize, to: usize, width: usize, out: &mut Vec<u8>) {
        if width == self.width {
            out.extend_from_slice(&self.numbers[from * width..to * width]);
        } else {
            (from..to).filter_map(|at| self.nth(at)).for_each(|value| push(value, width, out));
        }
    }
}

/// Appends the set of `values` to `out`; they are sorted on the way. To add several to a set, add
/// its own to them: one pass for all.
pub fn build(values: &mut Vec<i64>, out: &mut Vec<u8>) {
    values.sort_unstable();
    values.dedup();
    if let (Some(&low), Some(&high)) = (values.first(), values.last()) {
        let width = width_of(low, high);
        out.reserve(1 + values.len() * width);
        out.push(width as u8);
        values.iter().for_each(|&value| push(value, width, out));
    }
}

/// The narrowest width for all numbers between two.
fn width_of(low: i64, high: i64) -> usize {
    let within = |min: i64, max: i64| min <= low && high <= max;
    if within(i16::MIN.into(), i16::MAX.into()) {
        2
    } else if within(i32::MIN.into(), i32::MAX.into()) {
        4
    } else {
        8
    }
}

#[inline]
fn push(value: i64, width: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes()[..width]); // two's complement: the low bytes suffice
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Few enough to meet again, of all widths and around their limits.
    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![
            6 => -5i64..5,
            2 => (14u32..18, -1i64..2).prop_map(|(bits, by)| (1 << bits) + by),
            1 => (14u32..18, -1i64..2).prop_map(|(bits, by)| -(1 << bits) + by),
            1 => (30u32..34, -2i64..2).prop_map(|(bits, by)| (1 << bits) + by),
            1 => (30u32..34, -2i64..2).prop_map(|(bits, by)| -(1 << bits) + by),
            1 => Just(i64::MIN),
            1 => Just(i64::MAX),
        ]
    }

    fn built(values: &BTreeSet<i64>) -> Vec<u8> {
        let mut out = Vec::new();
        build(&mut values.iter().rev().chain(values).copied().collect(), &mut out);
        out
    }

    proptest! {
        #[test]
        fn histories_match_a_tree(history in vec((any::<bool>(), number()), 0..100)) {
            let (mut bytes, mut model) = (Vec::new(), BTreeSet::new());
            for (insert, value) in history {
                let mut out = b"before".to_vec();
                let set = Intset::new(&bytes);
                prop_assert_eq!(set.contains(value), model.contains(&value));
                let changed =
                    if insert { set.insert(value, &mut out) } else { set.remove(value, &mut out) };
                let want = if insert { model.insert(value) } else { model.remove(&value) };
                prop_assert_eq!(changed, want);
                if changed {
                    bytes = out.split_off(6);
                }
                prop_assert_eq!(&out, b"before");
                prop_assert_eq!(&bytes, &built(&model), "one form (I1)");

                let set = Intset::validate(&bytes).unwrap();
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
                prop_assert_eq!((set.first(), set.last()),
                    (model.first().copied(), model.last().copied()));
                for (index, &value) in model.iter().enumerate() {
                    prop_assert_eq!((set.nth(index), set.find(value)), (Some(value), Ok(index)));
                }
                prop_assert_eq!(set.nth(model.len()), None);
                prop_assert_eq!(set.nth(usize::MAX), None);
                let below = model.range(..value).count();
                prop_assert_eq!(set.find(value).unwrap_or_else(|at| at), below);
            }
        }

        #[test]
        fn any_bytes_can_be_read(mut bytes in vec(any::<u8>(), 0..40), width in 0u8..10) {
            if let Some(first) = bytes.first_mut() {
                *first = width;
            }
            let set = Intset::new(&bytes);
            let mut out = Vec::new();
            for value in [0, i64::MIN, i64::MAX].into_iter().chain(set.iter()) {
                let _ = set.find(value);
                set.insert(value, &mut out);
                set.remove(value, &mut out);
            }
            prop_assert_eq!(set.iter().count(), set.len());
            if Intset::validate(&bytes).is_ok() {
                prop_assert_eq!(&built(&set.iter().collect()), &bytes);
            }
        }
    }

    #[test]
    fn what_validate_refuses() {
        for bytes in [
            &[2][..],
            &[3, 1, 0, 0],
            &[2, 1, 0, 2],
            &[2, 2, 0, 1, 0],
            &[2, 1, 0, 1, 0],
            &[4, 1, 0, 0, 0],
            &[0],
        ] {
            assert_eq!(Intset::validate(bytes).map(|_| ()), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn twenty_numbers_take_41_bytes() {
        assert_eq!(built(&(1001..1021).collect()).len(), 41);
    }
}

//! The longest common subsequence of two strings, as LCS gives it.
//!
//! The textbook table of lengths has a cell per pair of bytes. One of its rows is all that is needed
//! to fill the next; to walk back through it one bit a cell is enough (whether the step goes up or
//! left, equal bytes being visible in the strings). So a table that Redis builds in 4 bytes a cell
//! takes a 32nd of it here, and the length alone takes one row.
//! Strings must have passed [`check_size`].
//!
//! The limit on the size of the table is Redis' all the same: it bounds the time as well.

/// Why two strings are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LcsError {
    /// A string has 4 GiB or nearly so.
    TooLong,
    /// The table would pass the limit given.
    TooMuchMemory,
}

impl LcsError {
    /// The reply after its `-`.
    pub const fn text(self) -> &'static str {
        match self {
            LcsError::TooLong => "ERR String too long for LCS",
            LcsError::TooMuchMemory => {
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
            }
        }
    }
}

/// A stretch of equal bytes: `len` of them, from `a` in the first string and `b` in the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    pub a: usize,
    pub b: usize,
    pub len: usize,
}

/// Refuses strings whose table, at 4 bytes a cell, would be larger than `table_max` bytes.
pub fn check_size(a: &[u8], b: &[u8], table_max: u64) -> Result<(), LcsError> {
    let too_long = |text: &[u8]| text.len() as u64 >= u64::from(u32::MAX) - 1;
    if too_long(a) || too_long(b) {
        return Err(LcsError::TooLong);
    }
    let table = (a.len() as u128 + 1) * (b.len() as u128 + 1) * 4;
    if table > u128::from(table_max) { Err(LcsError::TooMuchMemory) } else { Ok(()) }
}

/// The length of the longest common subsequence.
pub fn length(a: &[u8], b: &[u8]) -> usize {
    fill(a, b, |_, _, _| {})
}

/// The longest common subsequence: of several the one Redis answers.
pub fn subsequence(a: &[u8], b: &[u8]) -> Vec<u8> {
    let path = Path::new(a, b);
    let mut bytes = Vec::with_capacity(path.length);
    for found in path.matches() {
        bytes.extend(a[found.a..found.a + found.len].iter().rev());
    }
    bytes.reverse();
    bytes
}

/// The length, and the stretches of at least `len_min` bytes the subsequence is made of, from the
/// last to the first.
pub fn matches(a: &[u8], b: &[u8], len_min: usize) -> (usize, Vec<Match>) {
    let path = Path::new(a, b);
    (path.length, path.matches().filter(|found| found.len >= len_min).collect())
}

/// Computes the table row by row and returns its last cell; `visit(i, j, up)` hears for each pair of
/// different bytes whether leaving out the byte of `a` is strictly better than the byte of `b`.
fn fill(a: &[u8], b: &[u8], mut visit: impl FnMut(usize, usize, bool)) -> usize {
    let mut row = vec![0u32; b.len() + 1];
    for (i, &byte) in a.iter().enumerate() {
        // `row[j]` is still the cell above until it is overwritten, and `diagonal` the one before.
        let (mut diagonal, mut left) = (0, 0);
        for (j, &other) in b.iter().enumerate() {
            let above = row[j + 1];
            left = if byte == other {
                diagonal + 1
            } else {
                visit(i, j, above > left);
                above.max(left)
            };
            diagonal = above;
            row[j + 1] = left;
        }
    }
    row.last().map_or(0, |&length| length as usize)
}

/// The walk from the ends of both strings to a beginning.
struct Path<'a> {
    a: &'a [u8],
    b: &'a [u8],
    length: usize,
    /// A bit per pair of bytes, row after row: the step goes up (else left).
    up: Vec<u64>,
}

impl<'a> Path<'a> {
    fn new(a: &'a [u8], b: &'a [u8]) -> Path<'a> {
        let mut up = vec![0u64; (a.len() * b.len()).div_ceil(64)];
        let length = fill(a, b, |i, j, goes_up| {
            let cell = i * b.len() + j;
            up[cell / 64] |= u64::from(goes_up) << (cell % 64);
        });
        Path { a, b, length, up }
    }

    /// The stretches of equal bytes on the way, last first.
    fn matches(&self) -> impl Iterator<Item = Match> + '_ {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        std::iter::from_fn(move || {
            let mut len = 0;
            while i > 0 && j > 0 {
                if self.a[i - 1] == self.b[j - 1] {
                    len += 1;
                    (i, j) = (i - 1, j - 1);
                    continue;
                }
                if len > 0 {
                    break;
                }
                let cell = (i - 1) * self.b.len() + j - 1;
                if self.up[cell / 64] >> (cell % 64) & 1 == 1 { i -= 1 } else { j -= 1 }
            }
            (len > 0).then_some(Match { a: i, b: j, len })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn model(a: &[u8], b: &[u8]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] = if a[i - 1] == b[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        table[a.len()][b.len()]
    }

    fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|byte| rest.any(|other| other == byte))
    }

    proptest! {
        #[test]
        fn longest_and_common(a in vec(0u8..4, 0..40), b in vec(0u8..4, 0..40)) {
            let best = model(&a, &b);
            let found = subsequence(&a, &b);
            prop_assert_eq!(length(&a, &b), best);
            prop_assert_eq!(found.len(), best);
            prop_assert!(is_subsequence(&found, &a) && is_subsequence(&found, &b));
            let (len, stretches) = matches(&a, &b, 0);
            prop_assert_eq!((len, stretches.iter().map(|m| m.len).sum()), (best, best));
            prop_assert!(stretches.iter().all(|m| a[m.a..m.a + m.len] == b[m.b..m.b + m.len]));
            let long: Vec<Match> = stretches.into_iter().filter(|m| m.len >= 3).collect();
            prop_assert_eq!(matches(&a, &b, 3).1, long);
        }
    }

    /// The documented example, and ties: answers of redis-server 7.0.15.
    #[test]
    fn ties_are_settled_as_in_redis() {
        assert_eq!(subsequence(b"ohmytext", b"mynewtext"), b"mytext");
        let stretches = vec![Match { a: 4, b: 5, len: 4 }, Match { a: 2, b: 0, len: 2 }];
        assert_eq!(matches(b"ohmytext", b"mynewtext", 0), (6, stretches));
        assert_eq!(subsequence(b"ab", b"ba"), b"b");
        assert_eq!(subsequence(b"abcbdab", b"bdcaba"), b"bdab");
        let stretches = vec![Match { a: 5, b: 3, len: 2 }, Match { a: 3, b: 0, len: 2 }];
        assert_eq!(matches(b"abcbdab", b"bdcaba", 0), (4, stretches));
    }

    /// Lines of `a, b, len_min, subsequence, length, matches`, answered by redis-server 7.0.15.
    #[test]
    fn recorded_answers() {
        for line in include_str!("testdata/lcs.tsv").lines() {
            let [a, b, len_min, text, len, stretches] =
                line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let (a, b) = (a.as_bytes(), b.as_bytes());
            assert_eq!(subsequence(a, b), text.as_bytes(), "{line}");
            let (got_len, got) = matches(a, b, len_min.parse().unwrap());
            let got: Vec<String> =
                got.iter().map(|found| format!("{},{},{}", found.a, found.b, found.len)).collect();
            assert_eq!((got_len.to_string().as_str(), got.join(";").as_str()), (len, stretches));
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(check_size(b"abc", b"abc", 64), Ok(()));
        assert_eq!(check_size(b"abc", b"abc", 63), Err(LcsError::TooMuchMemory));
        assert_eq!(length(b"", b"abc"), 0);
        assert_eq!(matches(b"", b"", 0), (0, vec![]));
    }
}

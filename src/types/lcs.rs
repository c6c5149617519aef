//! The longest common subsequence of two strings, as LCS gives it.
//!
//! The textbook table of lengths has a cell per pair of bytes. One of its rows is all that is needed
//! to fill the next; to walk back through it one bit a cell is enough (whether the step goes up or
//! left, equal bytes being visible in the strings). So a table that Redis builds in 4 bytes a cell
//! takes a 32nd of it here, and the length alone takes one row.
//! Strings must have passed [`check_size`]. The table is filled in as many steps as the caller likes.
//!
//! The limit on the size of the table is Redis' all the same: it bounds the time as well.

use bytes::Bytes;

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

/// The table of two strings, filled bit by bit.
#[derive(Debug)]
pub struct Table {
    a: Bytes,
    b: Bytes,
    /// Lengths: of the row above until a cell is overwritten.
    row: Vec<u32>,
    /// A bit per pair of bytes, row after row: the step goes up (else left). None if only the length
    /// is wanted.
    up: Option<Vec<u64>>,
    /// The cell to fill next.
    at: (usize, usize),
    /// The cells before it: above to the left, and to the left.
    diagonal: u32,
    left: u32,
}

impl Table {
    /// An empty table; `path` says whether more than the length will be asked for.
    pub fn new(a: Bytes, b: Bytes, path: bool) -> Self {
        let up = path.then(|| vec![0; (a.len() * b.len()).div_ceil(64)]);
        let row = vec![0; b.len() + 1];
        Self { a, b, row, up, at: (0, 0), diagonal: 0, left: 0 }
    }

    /// Fills about `cells` more. Returns whether the table is full.
    pub fn fill(&mut self, cells: usize) -> bool {
        let mut room = cells;
        while self.at.0 < self.a.len() && !self.b.is_empty() {
            if room == 0 {
                return false;
            }
            let until = self.b.len().min(self.at.1 + room);
            room -= until - self.at.1;
            if self.up.is_some() {
                self.stretch::<true>(until)
            } else {
                self.stretch::<false>(until)
            }
        }
        true
    }

    /// Fills the present row up to column `until`.
    fn stretch<const PATH: bool>(&mut self, until: usize) {
        let (i, from) = self.at;
        let byte = self.a[i];
        let (mut diagonal, mut left) = (self.diagonal, self.left);
        let first = i * self.b.len();
        let cells = self.row[from + 1..=until].iter_mut().zip(&self.b[from..until]);
        for (j, (cell, &other)) in cells.enumerate() {
            let above = *cell;
            left = if byte == other {
                diagonal + 1
            } else {
                // Whether leaving out the byte of `a` is strictly better than that of `b`.
                if PATH
                    && above > left
                    && let Some(up) = &mut self.up
                {
                    let bit = first + from + j;
                    up[bit / 64] |= 1 << (bit % 64);
                }
                above.max(left)
            };
            diagonal = above;
            *cell = left;
        }
        if until == self.b.len() {
            (self.at, self.diagonal, self.left) = ((i + 1, 0), 0, 0);
        } else {
            (self.at, self.diagonal, self.left) = ((i, until), diagonal, left);
        }
    }

    /// The length of the longest common subsequence. The table must be full.
    pub fn length(&self) -> usize {
        self.row.last().map_or(0, |&length| length as usize)
    }

    /// The longest common subsequence: of several the one Redis answers. The table must be full.
    pub fn subsequence(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        for found in self.path() {
            bytes.extend(self.a[found.a..found.a + found.len].iter().rev());
        }
        bytes.reverse();
        bytes
    }

    /// The stretches of at least `len_min` bytes the subsequence is made of, from the last to the
    /// first. The table must be full.
    pub fn matches(&self, len_min: usize) -> Vec<Match> {
        self.path().filter(|found| found.len >= len_min).collect()
    }

    /// The walk from the ends of both strings to a beginning: stretches of equal bytes, last first.
    fn path(&self) -> impl Iterator<Item = Match> + '_ {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        let goes_up =
            |cell: usize| self.up.as_ref().is_some_and(|up| up[cell / 64] >> (cell % 64) & 1 == 1);
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
                if goes_up((i - 1) * self.b.len() + j - 1) { i -= 1 } else { j -= 1 }
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

    /// The table of `a` and `b`, filled `cells` at a time.
    fn table(a: &[u8], b: &[u8], cells: usize) -> Table {
        let mut table = Table::new(Bytes::copy_from_slice(a), Bytes::copy_from_slice(b), true);
        while !table.fill(cells) {}
        table
    }

    fn length(a: &[u8], b: &[u8]) -> usize {
        let mut table = Table::new(Bytes::copy_from_slice(a), Bytes::copy_from_slice(b), false);
        while !table.fill(3) {}
        table.length()
    }

    fn subsequence(a: &[u8], b: &[u8]) -> Vec<u8> {
        table(a, b, 7).subsequence()
    }

    fn matches(a: &[u8], b: &[u8], len_min: usize) -> (usize, Vec<Match>) {
        let table = table(a, b, usize::MAX);
        (table.length(), table.matches(len_min))
    }

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

//! Bytes that can grow: what operations on strings need of the block a string lives in.
//!
//! A string is edited in a plain vector in tests and in a block that replies may share in the
//! keyspace. Everything else is done on the slice.

use bytes::BytesMut;
use std::ops::{DerefMut, Range};

/// A growable block of bytes.
pub trait Buffer: DerefMut<Target = [u8]> {
    /// Makes it `len` bytes long: cuts the end off, or appends zeros.
    fn resize(&mut self, len: usize);

    /// Puts `new` in the place of the bytes in `range`.
    fn replace(&mut self, range: Range<usize>, new: &[u8]) {
        let (old_len, rest) = (self.len(), range.end);
        let new_len = old_len - range.len() + new.len();
        if new_len > old_len {
            self.resize(new_len);
        }
        self.copy_within(rest..old_len, range.start + new.len());
        self[range.start..range.start + new.len()].copy_from_slice(new);
        self.resize(new_len);
    }
}

impl Buffer for Vec<u8> {
    fn resize(&mut self, len: usize) {
        self.resize(len, 0);
    }
}

impl Buffer for BytesMut {
    fn resize(&mut self, len: usize) {
        self.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_is_splice() {
        for (range, new) in
            [(1..2, &b"xyz"[..]), (0..4, b""), (4..4, b"x"), (1..3, b"ab"), (0..0, b"q")]
        {
            let mut bytes = BytesMut::from(&b"0123"[..]);
            let mut model = b"0123".to_vec();
            bytes.replace(range.clone(), new);
            model.splice(range, new.iter().copied());
            assert_eq!(bytes, model);
        }
    }
}

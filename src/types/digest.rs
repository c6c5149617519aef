//! Digests of data sets that do not depend on the order of keys (DEBUG DIGEST).
//!
//! Every item is hashed by itself and the hashes are combined: by exclusive or where order has no
//! meaning (keys of a database, members of a set), by hashing on where it has (elements of a list).
//! Two servers with the same data give the same digest, whatever their hash seeds and histories. The
//! digits are not those of Redis, whose digest depends on its internal order of operations.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// 20 bytes, as many as clients expect. Starts as zeros: the digest of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u8; 20]);

impl Digest {
    /// The digest of some fields, in this order. Lengths are hashed as well, so moving bytes from
    /// one field to its neighbour shows.
    pub fn of(fields: &[&[u8]]) -> Digest {
        let mut hash = Sha256::new();
        for field in fields {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash.finalize()[..20]);
        Digest(bytes)
    }

    /// Adds an item to a collection without order. Adding the same item twice takes it out again, so
    /// items must be different: put the key, or the position, into each.
    pub fn add(&mut self, item: Digest) {
        for (byte, other) in self.0.iter_mut().zip(item.0) {
            *byte ^= other;
        }
    }

    /// Appends an item to a sequence.
    pub fn append(&mut self, item: Digest) {
        *self = Digest::of(&[&self.0, &item.0]);
    }

    /// The digest of a value: its type's name, its content, and whether it will expire (not when:
    /// a replica may learn of it a little later).
    pub fn value(type_name: &str, content: Digest, expires: bool) -> Digest {
        Digest::of(&[type_name.as_bytes(), &content.0, &[u8::from(expires)]])
    }

    /// The digest of a key with its value, to be added to that of the database with this number.
    pub fn entry(db: u32, key: &[u8], value: Digest) -> Digest {
        Digest::of(&[&db.to_le_bytes(), key, &value.0])
    }
}

/// 40 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(db: u32, key: &str, value: &str, expires: bool) -> Digest {
        let value = Digest::value("string", Digest::of(&[value.as_bytes()]), expires);
        Digest::entry(db, key.as_bytes(), value)
    }

    fn all(items: &[Digest]) -> String {
        let mut sum = Digest::default();
        items.iter().for_each(|item| sum.add(*item));
        sum.to_string()
    }

    #[test]
    fn order_of_keys_does_not_matter() {
        let (a, b) = (string(0, "a", "1", false), string(0, "b", "2", true));
        assert_eq!(all(&[a, b]), all(&[b, a]));
        assert_eq!(all(&[]), "0".repeat(40));
    }

    #[test]
    fn every_part_matters() {
        let base = string(0, "ab", "c", false);
        for other in [
            string(1, "ab", "c", false),
            string(0, "a", "bc", false),
            string(0, "ab", "d", false),
            string(0, "ab", "c", true),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn order_of_elements_does() {
        let (a, b) = (Digest::of(&[b"a"]), Digest::of(&[b"b"]));
        let (mut ab, mut ba) = (Digest::default(), Digest::default());
        ab.append(a);
        ab.append(b);
        ba.append(b);
        ba.append(a);
        assert_ne!(ab, ba);
    }
}

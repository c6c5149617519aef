//! DEBUG DIGEST: a number of forty digits that depends on keys, values and whether they expire, and on
//! nothing else: not on order, encoding or history.

use super::super::{Args, Cx, Error};
use crate::db::{Entry, Key};
use crate::types::object::Type;
use sha2::{Digest as _, Sha256};

/// As wide as SHA-1, since clients expect forty digits.
type Digest = [u8; 20];

const NOTHING: Digest = [0; 20];

fn hash(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes()); // so that ("ab", "c") is not ("a", "bc")
        hasher.update(part);
    }
    let whole = hasher.finalize();
    let mut digest = NOTHING;
    digest.copy_from_slice(&whole[..20]);
    digest
}

/// Adds an element whose place among the others does not matter.
fn mix(sum: &mut Digest, part: &Digest) {
    sum.iter_mut().zip(part).for_each(|(a, b)| *a ^= b);
}

fn text(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of one value, its expiry included; zero for an absent key.
fn value(cx: &mut Cx<'_>, db: usize, key: Key<'_>) -> Digest {
    let write = cx.db.write_in(db, key);
    let Some(entry) = write.entry() else { return NOTHING };
    let expires: &[u8] = if entry.expiry().is_some() { b"expires" } else { b"stays" };
    let content = match write.text() {
        Ok(Some(text)) => text.with(|bytes| hash(&[Type::String.name().as_bytes(), bytes])),
        _ => hash(&[entry.type_of().name().as_bytes()]),
    };
    hash(&[&content, expires])
}

pub fn values(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    cx.reply.array(args.len() - 2);
    for name in args.from(2).iter() {
        let digest = value(cx, cx.db.db, Key::new(name));
        cx.reply.simple(&text(&digest));
    }
    Ok(())
}

pub fn digest(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let (selected, mut sum) = (cx.db.db, NOTHING);
    for db in 0..cx.db.keyspace.databases() {
        cx.db.db = db;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = cx.db.scan(cursor, |entry: &Entry| keys.push(entry.key().to_vec()));
            if cursor == 0 {
                break;
            }
        }
        keys.sort_unstable();
        keys.dedup(); // a walk may show a key twice
        for key in keys {
            let content = value(cx, db, Key::new(&key));
            mix(&mut sum, &hash(&[&(db as u64).to_le_bytes(), &key, &content]));
        }
    }
    cx.db.db = selected;
    cx.reply.simple(&text(&sum));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together_and_order_does_not_matter() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        let (a, b) = (hash(&[b"a"]), hash(&[b"b"]));
        let (mut one, mut two) = (NOTHING, NOTHING);
        [&a, &b].into_iter().for_each(|part| mix(&mut one, part));
        [&b, &a].into_iter().for_each(|part| mix(&mut two, part));
        assert_eq!(one, two);
        assert_eq!(text(&NOTHING), "0".repeat(40));
    }
}

//! Against the definition, and against what Redis answered.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds as PFADD does, which also marks a value it has just created as stale.
fn pfadd(bytes: &mut Vec<u8>, element: String) {
    if bytes.is_empty() {
        *bytes = empty();
        mark_stale(bytes);
    }
    add(bytes, element.as_bytes(), 3000).unwrap();
}

/// What redis-server 7.0.15 answers and stores for the same elements.
#[test]
fn bytes_and_counts_are_those_of_redis() {
    let (mut grown, mut next) = (Vec::new(), 0);
    for line in include_str!("../testdata/hll.tsv").lines() {
        let [case, elements, encoding, wanted, digest] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let elements: usize = elements.parse().unwrap();
        let (bytes, counted, digest_of) = match case {
            "grow" => {
                (next..elements).for_each(|n| pfadd(&mut grown, format!("element:{n}")));
                next = elements;
                let bytes = grown.clone();
                let (value, fresh) = count(&grown).unwrap();
                assert!(fresh);
                store_count(&mut grown, value);
                let digest = sha256(&[&bytes]);
                (bytes, value, digest)
            }
            "merge" => {
                let mut other = Vec::new();
                (0..elements).step_by(3).for_each(|n| pfadd(&mut other, format!("other:{n}")));
                let mut union = Registers::read(&other).unwrap();
                union.merge(&grown).unwrap();
                let dense = [&other, &grown].iter().any(|v| check(v) == Ok(Encoding::Dense));
                let mut merged = empty();
                merge_into(&mut merged, &union, dense, 3000).unwrap();
                assert_eq!(count(&merged), Ok((union.count(), true)));
                let digest = sha256(&[&merged[..8], &merged[16..]]);
                (merged, union.count(), digest)
            }
            _ => {
                let mut bytes = grown.clone();
                assert_eq!(make_dense(&mut bytes).unwrap(), check(&grown) == Ok(Encoding::Sparse));
                let digest = sha256(&[&bytes]);
                (bytes.clone(), count(&bytes).unwrap().0, digest)
            }
        };
        assert_eq!(check(&bytes).unwrap().name(), encoding, "{line}");
        assert_eq!(counted.to_string(), wanted, "{line}");
        assert_eq!(digest_of, digest, "{line}");
    }
}

#[test]
fn elements_fall_where_redis_puts_them() {
    let mut bytes = empty();
    for element in ["a", "b", "c"] {
        add(&mut bytes, element.as_bytes(), 3000).unwrap();
    }
    let text = "Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603";
    assert_eq!(decode(&bytes), Ok(Some(text.into())));
    assert_eq!(count(&bytes), Ok((3, true)));
}

#[test]
fn self_test_passes() {
    assert_eq!(self_test(), Ok(()));
}

fn dense_of(registers: &[u8]) -> Vec<u8> {
    let mut bytes = empty();
    make_dense(&mut bytes).unwrap();
    for (index, run) in registers.iter().enumerate() {
        raise_dense(&mut bytes[HEADER_LEN..], index, *run);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the order of changes, sparse holds what an array of registers would.
    #[test]
    fn sparse_matches_an_array(changes in vec((0usize..REGISTERS, 1u8..36), 1..60), span in 1usize..500) {
        let mut bytes = empty();
        let mut model = vec![0u8; REGISTERS];
        for (index, run) in changes {
            let index = index % span; // close together, so that runs split and merge
            let changed = raise(&mut bytes, index, run, 3000).unwrap();
            prop_assert_eq!(changed, model[index] < run);
            model[index] = model[index].max(run);
            prop_assert!(Registers::read(&bytes).unwrap().iter().eq(model.iter().copied()));
        }
        let dense = dense_of(&model);
        make_dense(&mut bytes).unwrap();
        prop_assert_eq!(&bytes[HEADER_LEN..], &dense[HEADER_LEN..]);
    }

    /// Bytes that are not well-formed give errors, never a panic nor a huge value.
    #[test]
    fn hostile_bytes(opcodes in vec(any::<u8>(), 0..80), elements in vec(any::<u64>(), 1..20)) {
        let mut bytes = empty();
        bytes.truncate(HEADER_LEN);
        bytes.extend(opcodes);
        let whole = Registers::read(&bytes).is_ok();
        prop_assert_eq!(make_dense(&mut bytes.clone()).is_ok(), whole);
        let _ = decode(&bytes);
        for element in elements {
            let would = would_change(&bytes, &element.to_le_bytes());
            let changed = add(&mut bytes, &element.to_le_bytes(), 3000);
            prop_assert!(changed == would || changed.is_err());
            prop_assert!(bytes.len() < DENSE_LEN + 1);
        }
        prop_assert!(!whole || Registers::read(&bytes).is_ok());
    }
}

#[test]
fn other_strings_are_told_apart() {
    for text in [
        &b""[..],
        b"HYLL",
        b"HYLL\x01\0\0\0\0\0\0\0\0\0\0",
        b"HYLL\x02aaaaaaaaaaaaaaaaaaaa",
        b"HYLL\0aaaaaaaaaaaaaaaaaaaa",
        b"HELL\x01aaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(check(text), Err(NotHll));
        assert!(Registers::read(text).is_err());
        assert_eq!(add(&mut text.to_vec(), b"x", 3000), Err(Corrupted));
    }
}

/// A dense value of impossible registers must not divide by zero or overflow.
#[test]
fn impossible_registers() {
    assert_eq!(Registers::read(&dense_of(&[63; REGISTERS])).unwrap().count(), i64::MAX as u64);
    assert!(Registers::read(&dense_of(&[51; REGISTERS])).unwrap().count() > 1 << 60);
}

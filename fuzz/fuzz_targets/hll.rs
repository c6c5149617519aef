//! HyperLogLogs: any bytes under the header are counted, changed, merged or refused, never trusted;
//! sparse and dense hold the same registers after the same elements.

#![no_main]

use arbitrary::Arbitrary;
use eonkv::types::hll::{self, Registers};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// What follows the magic, if it is to be a crafted value.
    crafted: Option<&'a [u8]>,
    elements: Vec<&'a [u8]>,
    sparse_max: u16,
}

fuzz_target!(|input: Input<'_>| {
    let limit = usize::from(input.sparse_max);
    if let Some(crafted) = input.crafted {
        let mut bytes = [b"HYLL", crafted].concat();
        if hll::check(&bytes).is_err() {
            return;
        }
        let before = Registers::read(&bytes);
        assert_eq!(
            hll::count(&bytes).is_ok() || hll::cached_count(&bytes).is_some(),
            before.is_ok() || hll::cached_count(&bytes).is_some()
        );
        let _ = hll::decode(&bytes);
        let mut target = Registers::read(&hll::empty()).expect("an empty one is whole");
        let merged = target.merge(&bytes);
        for element in &input.elements {
            let _ = hll::would_change(&bytes, element);
            let _ = hll::add(&mut bytes, element, limit);
        }
        if let (Ok(before), Ok(())) = (before, merged) {
            assert!(before.iter().eq(target.iter()));
            hll::make_dense(&mut bytes).expect("was whole");
        }
        return;
    }
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense).expect("an empty one is whole");
    for element in &input.elements {
        let would = hll::would_change(&sparse, element).expect("whole");
        let first = hll::add(&mut sparse, element, limit).expect("whole");
        let second = hll::add(&mut dense, element, limit).expect("whole");
        assert_eq!((would, first), (first, second));
        assert!(!hll::add(&mut sparse, element, limit).expect("whole"));
    }
    let read = |bytes: &[u8]| Registers::read(bytes).expect("whole").iter().collect::<Vec<u8>>();
    assert_eq!(read(&sparse), read(&dense));
    hll::make_dense(&mut sparse).expect("whole");
    assert_eq!(sparse[16..], dense[16..]);
});

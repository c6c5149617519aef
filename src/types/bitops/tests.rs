//! Strings as lists of booleans: slow, and obviously right.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn bits_of(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte & (0x80 >> bit) != 0)).collect()
}

fn model_range(len: usize, range: Range) -> std::ops::Range<usize> {
    let scale = if range.unit == Unit::Byte { 8 } else { 1 };
    let total = (len * 8 / scale) as i64;
    let absolute = |index: i64| if index < 0 { (index + total).max(0) } else { index };
    let start = absolute(range.start).min(total) as usize;
    let end = range.end.map_or(total, |end| (absolute(end) + 1).min(total)) as usize;
    start * scale..end.max(start) * scale
}

fn ranges() -> impl Strategy<Value = Range> {
    (-300i64..300, proptest::option::of(-300i64..300), any::<bool>()).prop_map(
        |(start, end, bytewise)| {
            let unit = if bytewise { Unit::Byte } else { Unit::Bit };
            Range { start, end, unit }
        },
    )
}

/// Long runs of equal bytes, or nothing is ever skipped.
fn strings() -> impl Strategy<Value = Vec<u8>> {
    let run = (prop_oneof![Just(0u8), Just(255u8), any::<u8>()], 1usize..24);
    vec(run, 0..6).prop_map(|runs| {
        runs.iter().flat_map(|&(byte, times)| std::iter::repeat_n(byte, times)).collect()
    })
}

proptest! {
    #[test]
    fn count_and_position(bytes in strings(), range in ranges(), bit: bool) {
        let bits = bits_of(&bytes);
        let covered = model_range(bytes.len(), range);
        let ones = bits[covered.clone()].iter().filter(|bit| **bit).count() as u64;
        prop_assert_eq!(count(&bytes, range), ones);
        let mut want = covered.clone().find(|&index| bits[index] == bit).map(|at| at as u64);
        if want.is_none() && !bit && range.end.is_none() && !covered.is_empty() {
            want = Some(bits.len() as u64);
        }
        prop_assert_eq!(position(&bytes, bit, range), want);
    }

    #[test]
    fn single_bits(mut bytes in strings(), offset in 0u64..700, on: bool) {
        let mut bits = bits_of(&bytes);
        let at = offset as usize;
        prop_assert_eq!(get_bit(&bytes, offset), bits.get(at).copied().unwrap_or(false));
        bits.resize(bits.len().max((at / 8 + 1) * 8), false);
        prop_assert_eq!(set_bit(&mut bytes, offset, on), bits[at]);
        bits[at] = on;
        prop_assert_eq!(bits_of(&bytes), bits);
    }

    #[test]
    fn operations(sources in vec(strings(), 1..5), which in 0usize..8) {
        let op = [Op::And, Op::Or, Op::Xor, Op::Not, Op::Diff, Op::Diff1, Op::AndOr, Op::One][which];
        let sources = if op == Op::Not { &sources[..1] } else { &sources[..] };
        let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
        let out = bits_of(&op.combine(&slices));
        let len = sources.iter().map(Vec::len).max().unwrap_or(0) * 8;
        prop_assert_eq!(out.len(), len);
        for (index, got) in out.into_iter().enumerate() {
            let seen: Vec<bool> = sources.iter().map(|s| get_bit(s, index as u64)).collect();
            let others = seen[1..].contains(&true);
            let want = match op {
                Op::And => !seen.contains(&false),
                Op::Or => seen.contains(&true),
                Op::Xor => seen.iter().filter(|bit| **bit).count() % 2 == 1,
                Op::Not => !seen[0],
                Op::Diff => seen[0] && !others,
                Op::Diff1 => !seen[0] && others,
                Op::AndOr => seen[0] && others,
                Op::One => seen.iter().filter(|bit| **bit).count() == 1,
            };
            prop_assert_eq!(got, want, "bit {}", index);
        }
    }

    #[test]
    fn fields(
        mut bytes in strings(), offset in 0u64..200, signed: bool, bits in 1u32..=64,
        value in prop_oneof![-300i64..300, any::<i64>()], which in 0usize..3, add: bool,
    ) {
        let field = Field { signed, bits: if signed { bits } else { bits.min(63) } };
        let over = [Overflow::Wrap, Overflow::Sat, Overflow::Fail][which];
        let before = bytes.clone();
        let raw = (0..u64::from(field.bits))
            .fold(0i128, |raw, bit| raw << 1 | i128::from(get_bit(&before, offset + bit)));
        let modulus = 1i128 << field.bits;
        let read = |raw: i128| if signed && raw >= modulus / 2 { raw - modulus } else { raw };
        let old = read(raw);
        prop_assert_eq!(i128::from(field.get(&bytes, offset)), old);

        let asked = match (add, signed) {
            (true, _) => old + i128::from(value),
            (false, true) => i128::from(value),
            (false, false) => i128::from(value as u64),
        };
        let (low, high) = if signed { (-modulus / 2, modulus / 2 - 1) } else { (0, modulus - 1) };
        let new = match over {
            Overflow::Wrap => Some(read(asked.rem_euclid(modulus))),
            Overflow::Sat => Some(asked.clamp(low, high)),
            Overflow::Fail => Some(asked).filter(|asked| (low..=high).contains(asked)),
        };
        let got = if add {
            field.adding(field.get(&bytes, offset), value, over)
        } else {
            field.setting(value, over)
        };
        prop_assert_eq!(got.map(i128::from), new);
        let (Some(got), Some(new)) = (got, new) else { return Ok(()) };
        field.put(&mut bytes, offset, got);
        prop_assert_eq!(i128::from(field.get(&bytes, offset)), new);
        for index in 0..bytes.len() as u64 * 8 {
            if !(offset..=field.last_bit(offset)).contains(&index) {
                prop_assert_eq!(get_bit(&bytes, index), get_bit(&before, index));
            }
        }
    }
}

#[test]
fn offsets_and_types() {
    assert_eq!(parse_offset(b"7", None, 1), Some(7));
    assert_eq!(parse_offset(b"8", None, 1), None);
    assert_eq!(parse_offset(b"4294967295", None, 512 << 20), Some(4_294_967_295));
    assert_eq!(parse_offset(b"4294967296", None, 512 << 20), None);
    assert_eq!(parse_offset(b"-1", None, 100), None);
    assert_eq!(parse_offset(b"#3", None, 100), None);
    assert_eq!(parse_offset(b"#3", Some(8), 100), Some(24));
    assert_eq!(parse_offset(b"#9223372036854775807", Some(64), u64::MAX), None);
    assert_eq!(Field::parse(b"u63").map(Field::bits), Some(63));
    assert_eq!(Field::parse(b"i64").map(Field::bits), Some(64));
    for text in ["", "u", "u64", "i65", "u0", "i0", "i-1", "x8", "u08", "U8"] {
        assert_eq!(Field::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(Op::parse(b"andor"), Some(Op::AndOr));
    assert_eq!(Op::parse(b"nand"), None);
    assert_eq!(Overflow::parse(b"Sat"), Some(Overflow::Sat));
}

#[test]
fn results_longer_than_a_block() {
    let long = vec![0b1010_1010; 3 * BLOCK + 5];
    let short = vec![0b1100_0000; BLOCK + 1];
    let and = Op::And.combine(&[&long, &short]);
    assert_eq!(and[BLOCK], 0b1000_0000);
    assert!(and[BLOCK + 1..].iter().all(|&byte| byte == 0));
    let one = Op::One.combine(&[&long, &short, &long]);
    assert_eq!((one[BLOCK], one[BLOCK + 1]), (0b0100_0000, 0));
}

//! Packed sequences against vectors, and against bytes that are none.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Texts: words, integers of all widths, near-integers, and lengths around where the form changes.
pub(in crate::types) fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ab]{0,3}".prop_map(String::into_bytes),
        3 => (any::<i64>(), 0u32..64).prop_map(|(v, by)| (v >> by).to_string().into_bytes()),
        1 => "[-+0]{1,2}[0-9]{0,3}".prop_map(String::into_bytes),
        1 => prop_oneof![120usize..135, 4090usize..4100].prop_map(|len| vec![b'x'; len]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("scores are numbers", |score| !score.is_nan()),
        any::<i64>().prop_map(|value| value as f64),
        (-300i32..300).prop_map(|value| f64::from(value) / 2.0),
        Just(-0.0),
        Just(9_223_372_036_854_775_808.0),
        Just(f64::NEG_INFINITY),
    ]
}

fn pack<T: AsRef<[u8]>>(texts: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    texts.iter().for_each(|text| Element::of(text.as_ref()).push(&mut out));
    out
}

fn texts<'b>(elements: impl Iterator<Item = Element<'b>>) -> Vec<Vec<u8>> {
    let mut scratch = Vec::new();
    elements.map(|element| element.text(&mut scratch).to_vec()).collect()
}

/// Calls every read: none may panic (P2).
fn read_all(bytes: &[u8]) {
    let packed = Packed::new(bytes);
    let (len, mut out) = (packed.len(), Vec::new());
    assert_eq!(packed.iter().count(), len);
    assert_eq!(packed.iter_back().count(), len);
    packed.pairs().for_each(drop);
    for index in [0, 1, len / 2, len, len + 1] {
        packed.nth(index);
        packed.nth_back(index);
        let place = packed.place(index).unwrap_or(packed.end());
        packed.splice(place, 2, &[Element::Int(5)], &mut out);
        packed.splice(Place(index * 3), 2, &[], &mut out);
        packed.at(Place(index * 3));
    }
    packed.find(&Element::of(b"absent"), 2);
    packed.find(&Element::of(b"absent"), 0);
    packed.retain(2, &mut out, |index, _| index % 4 == 0);
}

proptest! {
    #[test]
    fn elements_round_trip(text in text()) {
        let mut bytes = Vec::new();
        let element = Element::of(&text);
        element.push(&mut bytes);
        prop_assert_eq!(bytes.len(), element.size());
        let beyond = if text.len() < 128 { 1 } else { 5 };
        prop_assert!(bytes.len() <= text.len() + beyond);
        if let Element::Int(_) = element {
            let spared = usize::from(text.len() > 3);
            prop_assert!(bytes.len() + spared <= text.len());
        }
        prop_assert_eq!(decode(&bytes), Some((element, bytes.len())));
        prop_assert_eq!(texts(Packed::new(&bytes).iter()), [text.clone()]);
        for cut in 0..bytes.len().min(20) {
            prop_assert_eq!(decode(&bytes[..cut]), None, "cut at {}", cut);
        }
    }

    #[test]
    fn scores_round_trip(score in score()) {
        let mut bytes = Vec::new();
        Element::of_score(score).push(&mut bytes);
        let (packed, count) = Packed::validate(&bytes).unwrap();
        prop_assert_eq!(count, 1);
        let back = packed.nth(0).and_then(|element| element.score());
        prop_assert_eq!(back.map(f64::to_bits), Some(score.to_bits()));
        prop_assert!(bytes.len() <= 9);
    }

    #[test]
    fn reads_match_a_vector(model in vec(text(), 0..300), needle in text()) {
        let bytes = pack(&model);
        let (packed, count) = Packed::validate(&bytes).unwrap();
        prop_assert_eq!((count, packed.len(), packed.is_empty()),
            (model.len(), model.len(), model.is_empty()));
        prop_assert_eq!(&texts(packed.iter()), &model);
        let reversed: Vec<_> = model.iter().rev().cloned().collect();
        prop_assert_eq!(&texts(packed.iter_back()), &reversed);
        for index in 0..model.len() + 2 {
            prop_assert_eq!(texts(packed.nth(index).into_iter()),
                model.get(index).cloned().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(texts(packed.nth_back(index).into_iter()),
                reversed.get(index).cloned().into_iter().collect::<Vec<_>>());
        }
        let pairs: Vec<_> = packed.pairs().map(|(_, a, b)| texts([a, b].into_iter())).collect();
        prop_assert_eq!(pairs, model.chunks_exact(2).map(<[_]>::to_vec).collect::<Vec<_>>());
        for needle in model.iter().chain([&needle]) {
            for stride in 1..4 {
                let found = packed.find(&Element::of(needle), stride);
                let want = (0..model.len()).step_by(stride).find(|&at| model[at] == *needle);
                prop_assert_eq!(found, want.map(|index| (index, packed.place(index).unwrap())));
            }
        }
    }

    #[test]
    fn edits_match_a_vector(
        model in vec(text(), 0..20),
        at in 0usize..20,
        count in 0usize..5,
        with in vec(text(), 0..4),
        kept: u32,
    ) {
        let bytes = pack(&model);
        let packed = Packed::new(&bytes);
        let at = at.min(model.len());
        let place = packed.place(at).unwrap();
        let to = (at + count).min(model.len());
        let elements: Vec<_> = with.iter().map(|text| Element::of(text)).collect();

        let (mut out, mut want) = (b"before".to_vec(), model.clone());
        packed.splice(place, count, &elements, &mut out);
        want.splice(at..to, with.iter().cloned());
        prop_assert_eq!(&out[..6], b"before");
        prop_assert_eq!(&out[6..], &pack(&want));

        let mut out = Vec::new();
        packed.insert(place, &elements, &mut out);
        let mut want = model.clone();
        want.splice(at..at, with.iter().cloned());
        prop_assert_eq!(&out, &pack(&want));

        out.clear();
        packed.remove(place, count, &mut out);
        let mut want = model.clone();
        want.drain(at..to);
        prop_assert_eq!(&out, &pack(&want));

        if let (Some(first), true) = (with.first(), at < model.len()) {
            out.clear();
            packed.replace(place, &elements[0], &mut out);
            let mut want = model.clone();
            want[at].clone_from(first);
            prop_assert_eq!(&out, &pack(&want));
        }

        for stride in 1..3 {
            out.clear();
            let gone = packed.retain(stride, &mut out, |index, _| kept >> index & 1 == 1);
            let groups: Vec<_> = model.chunks(stride).enumerate().collect();
            let stays = |group: usize| kept >> (group * stride) & 1 == 1;
            let want: Vec<_> = groups.iter().filter(|(group, _)| stays(*group))
                .flat_map(|(_, texts)| texts.to_vec()).collect();
            prop_assert_eq!(gone, groups.iter().filter(|(group, _)| !stays(*group)).count());
            prop_assert_eq!(&out, &pack(&want));
        }
    }

    #[test]
    fn any_bytes_can_be_read(bytes in vec(any::<u8>(), 0..100)) {
        read_all(&bytes);
        if let Ok((packed, count)) = Packed::validate(&bytes) {
            prop_assert_eq!(packed.len(), count);
            prop_assert_eq!(pack_elements(packed), bytes, "one value, one encoding (P1)");
        }
    }

    /// Nearly right is where mistakes hide: a sequence with one byte changed or cut off.
    #[test]
    fn damaged_bytes_can_be_read(model in vec(text(), 1..8), at: prop::sample::Index, byte: u8) {
        let mut bytes = pack(&model);
        let at = at.index(bytes.len());
        read_all(&bytes[..at]);
        bytes[at] = byte;
        read_all(&bytes);
        if let Ok((packed, count)) = Packed::validate(&bytes) {
            prop_assert_eq!(packed.len(), count);
            prop_assert_eq!(pack_elements(packed), bytes);
        }
    }
}

fn pack_elements(packed: Packed<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packed.iter().for_each(|element| element.push(&mut out));
    out
}

#[test]
fn what_validate_refuses() {
    for (bytes, why) in [
        (&[2, b'a'][..], "a string cut off"),
        (&[1, b'7'], "an integer as a string"),
        (&[0x80, 1, b'a'], "a length that fits the head"),
        (&[0xfd, 1, 0, 0, 0, b'a'], "a long length"),
        (&[0xfd, 0xff, 0xff, 0xff, 0xff, b'a'], "a length beyond the end"),
        (&[0xf4, 7], "a small integer"),
        (&[0xf5, 0x80, 0xff], "an integer of one byte in two"),
        (&[0xfe], "an unknown head"),
        (&[0xff, 0], "another"),
        (&[0xfc, 0, 0, 0, 0, 0, 0, 0, 0], "a double that is an integer"),
        (&[0xfc, 1, 0, 0, 0, 0, 0, 0xf0, 0x7f], "no number"),
    ] {
        let refused = Packed::validate(bytes).map(|(_, count)| count);
        assert_eq!(refused, Err(Malformed { at: 0 }), "{why}");
        read_all(bytes);
    }
    assert_eq!(Packed::validate(&[0x90, 0xff]).map(|_| ()), Err(Malformed { at: 1 }));
    assert_eq!(Packed::validate(&[]).map(|(_, count)| count), Ok(0));
}

/// What small values cost beyond their texts.
#[test]
fn budgets() {
    let hash: Vec<String> =
        (0..10).flat_map(|i| [format!("f{i}"), format!("value{i:03}")]).collect();
    assert_eq!(pack(&hash).len(), 10 * (2 + 8) + 20);
    let mut zset = Vec::new();
    for i in 0..20 {
        Element::of(format!("member{i:02}").as_bytes()).push(&mut zset);
        Element::of_score(f64::from(i)).push(&mut zset);
    }
    assert_eq!(zset.len(), 20 * (8 + 1) + 20);
    let list: Vec<String> = (0..20).map(|i| format!("item{i:04}")).collect();
    assert_eq!(pack(&list).len(), 20 * 8 + 20);
    let numbers: Vec<String> = (1001..1021).map(|i| i.to_string()).collect();
    assert_eq!(pack(&numbers).len(), 20 * 3);
}

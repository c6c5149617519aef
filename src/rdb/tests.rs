//! Every type there and back, in all its forms, against plain models.

use super::decode::skip;
use super::*;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Access, Expiry, Key, Keyspace};
use crate::sync;
use crate::types::object::Object;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::sync::Arc;

fn forms() -> Forms {
    Forms::of(&Config::default(), 1 << 30)
}

fn with<T>(f: impl FnOnce(&mut Access<'_>) -> T) -> T {
    let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    keyspace.gate.enter(local.seat);
    let pin = sync::pin();
    let result = f(&mut Access::new(&keyspace, &mut local, &pin, 0));
    keyspace.gate.leave(0);
    result
}

/// Reads a value, stores it, and writes what is stored.
fn through(kind: u8, body: &[u8], encoder: &mut Encoder) -> Result<(u8, Vec<u8>), Fault> {
    let mut cursor = Cursor::new(body);
    let mut decoder = Decoder::new(forms(), i64::MIN);
    let read = decoder.value((kind, Dialect::Redis), &mut cursor, None)?;
    let mut end = Cursor::new(body);
    skip((kind, Dialect::Redis), &mut end)?;
    assert_eq!((cursor.at(), cursor.left()), (end.at(), 0), "both see the same end");
    let Read::Value(new) = read else { return Err(Fault::Bad("empty")) };
    Ok(with(|access| {
        let key = Key::new(b"k");
        access.write(key).set(new, Expiry::Never);
        let write = access.write(key);
        let value = Value::of(write.entry().unwrap(), write.peek_object()).unwrap();
        let mut out = Vec::new();
        let kind = encoder.kind(&value).unwrap();
        encoder.whole(&value, &mut out);
        (kind, out)
    }))
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => (-200i64..200).prop_map(|n| n.to_string().into_bytes()),
        1 => vec(b'a'..b'c', 20..200),
        1 => Just(b"000000000123".to_vec()),
    ]
}

/// Few elements or so many that the value becomes large.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..12, 1 => 100usize..200, 1 => 500usize..600]
}

/// The elements of a value in plain form, in groups of `group` texts with `tail` bytes behind each.
fn elements(body: &[u8], group: usize, tail: usize) -> Vec<Vec<Vec<u8>>> {
    let mut cursor = Cursor::new(body);
    let count = cursor.count().unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let mut one: Vec<_> = (0..group).map(|_| cursor.text().unwrap().into_vec()).collect();
        one.push(cursor.take(tail).unwrap().to_vec());
        all.push(one);
    }
    assert_eq!(cursor.left(), 0);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn strings(value in prop_oneof![text(), (10usize..40_000).prop_map(|n| vec![b'x'; n])], compress: bool) {
        let mut encoder = Encoder::for_file(0, compress);
        for packer in [None, Some(&mut lzf::Packer::default())] {
            let mut body = Vec::new();
            wire::text(&mut body, &value, packer);
            let (kind, out) = through(code::STRING, &body, &mut encoder).unwrap();
            prop_assert_eq!(kind, code::STRING);
            prop_assert_eq!(Cursor::new(&out).text().unwrap().into_vec(), value.clone());
        }
    }

    #[test]
    fn lists(values in sizes().prop_flat_map(|n| vec(text(), n)), compress: bool) {
        let mut body = Vec::new();
        wire::length(&mut body, values.len() as u64);
        values.iter().for_each(|value| wire::text(&mut body, value, None));
        let mut encoder = Encoder::for_file(0, compress);
        let (kind, out) = through(code::LIST, &body, &mut encoder).unwrap();
        prop_assert_eq!(kind, code::LIST);
        let back: Vec<_> = elements(&out, 1, 0).into_iter().map(|mut e| e.swap_remove(0)).collect();
        prop_assert_eq!(back, values);
    }

    #[test]
    fn sets(values in sizes().prop_flat_map(|n| btree_set(text(), n / 2..=n)), numbers: bool) {
        let values: std::collections::BTreeSet<Vec<u8>> = if numbers {
            (0..values.len() as i64).map(|n| (n * n).to_string().into_bytes()).collect()
        } else {
            values
        };
        let mut body = Vec::new();
        wire::length(&mut body, values.len() as u64);
        values.iter().for_each(|value| wire::text(&mut body, value, None));
        let read = through(code::SET, &body, &mut Encoder::for_file(0, true));
        if values.is_empty() {
            return Ok(());
        }
        let (kind, out) = read.unwrap();
        prop_assert_eq!(kind, code::SET);
        let mut back: Vec<_> = elements(&out, 1, 0).into_iter().map(|mut e| e.swap_remove(0)).collect();
        back.sort();
        prop_assert!(back.iter().eq(values.iter()));
        // Once more, and it is refused.
        let mut twice = Vec::new();
        wire::length(&mut twice, values.len() as u64 + 1);
        values.iter().chain(values.first()).for_each(|value| wire::text(&mut twice, value, None));
        prop_assert!(through(code::SET, &twice, &mut Encoder::for_file(0, true)).is_err());
    }

    #[test]
    fn sorted_sets(values in sizes().prop_flat_map(|n| btree_map(text(), -1e9f64..1e9, 1..=n))) {
        let mut body = Vec::new();
        wire::length(&mut body, values.len() as u64);
        for (member, score) in &values {
            wire::text(&mut body, member, None);
            wire::double(&mut body, *score);
        }
        let (kind, out) = through(code::ZSET, &body, &mut Encoder::for_file(0, true)).unwrap();
        prop_assert_eq!(kind, code::ZSET);
        let mut back = elements(&out, 1, 8);
        back.sort();
        let expected: Vec<_> = values.iter().map(|(m, s)| vec![m.clone(), s.to_le_bytes().to_vec()]).collect();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn hashes(
        values in sizes().prop_flat_map(|n| btree_map(text(), (text(), prop::option::of(1i64..1 << 45)), 1..=n)),
        payload: bool,
    ) {
        let earliest = values.values().filter_map(|(_, end)| *end).min();
        let mut body = Vec::new();
        wire::time(&mut body, earliest.unwrap_or(7));
        wire::length(&mut body, values.len() as u64);
        for (name, (value, end)) in &values {
            let number = end.map_or(0, |end| end - earliest.unwrap() + 1);
            wire::length(&mut body, number as u64);
            wire::text(&mut body, name, None);
            wire::text(&mut body, value, None);
        }
        let mut encoder =
            if payload { Encoder::for_payload(0, true) } else { Encoder::for_file(0, true) };
        let (kind, out) = through(code::HASH_TIMES, &body, &mut encoder).unwrap();
        // What comes back is read once more, with what stands behind it in a file.
        let mut cursor = Cursor::new(&out);
        skip((kind, Dialect::Redis), &mut cursor).unwrap();
        let mut ends = None;
        prop_assert_eq!(cursor.left() > 0, earliest.is_some() && !payload);
        if cursor.left() > 0 {
            prop_assert_eq!(cursor.byte().unwrap(), code::AUX);
            prop_assert_eq!(cursor.text().unwrap().into_vec(), code::HASH_ENDS);
            ends = Some(cursor.text().unwrap().into_vec());
            prop_assert_eq!(cursor.left(), 0);
        }
        let mut decoder = Decoder::new(forms(), 0);
        let read = decoder.value((kind, Dialect::Redis), &mut Cursor::new(&out), ends.as_deref());
        let Ok(Read::Value(new)) = read else { panic!("{read:?}") };
        let found = with(|access| {
            access.write(Key::new(b"k")).set(new, Expiry::Never);
            let write = access.write(Key::new(b"k"));
            let mut found = std::collections::BTreeMap::new();
            let mut add = |field: crate::types::hash::Field<'_>| {
                let (mut name, mut value) = (Vec::new(), Vec::new());
                field.name.write_text(&mut name);
                field.value.write_text(&mut value);
                found.insert(name, (value, field.end));
            };
            match write.peek_object() {
                Some(Object::Hash(large)) => large.each(0, &mut add),
                Some(Object::Draft(draft)) => draft.view().iter(0).for_each(&mut add),
                _ => {
                    let Some(crate::db::Kind::Compact(compact)) = write.entry().map(|e| e.kind()) else { panic!() };
                    crate::types::hash::Small::new(compact.form, compact.bytes).iter(0).for_each(&mut add);
                }
            }
            found
        });
        prop_assert_eq!(found, values);
    }

    /// No bytes make reading panic, and what is taken for a value ends where it is said to.
    #[test]
    fn anything_may_be_read(kind in 0u8..28, body in vec(any::<u8>(), 0..300), valkey: bool) {
        let dialect = if valkey { Dialect::Valkey } else { Dialect::Redis };
        let mut decoder = Decoder::new(forms(), 0);
        let mut cursor = Cursor::new(&body);
        if decoder.value((kind, dialect), &mut cursor, None).is_ok() {
            let mut end = Cursor::new(&body);
            skip((kind, dialect), &mut end).unwrap();
            prop_assert_eq!(cursor.at(), end.at());
        }
    }
}

#[test]
fn payloads_are_opened_only_as_they_were_sealed() {
    let mut payload = vec![code::STRING];
    wire::raw(&mut payload, b"some text");
    payload::seal(&mut payload);
    let (body, version) = payload::open(&payload, true).unwrap();
    assert_eq!((body.len(), version), (payload.len() - 10, code::VERSION));
    for at in 0..payload.len() {
        let mut spoiled = payload.clone();
        spoiled[at] ^= 1;
        assert!(payload::open(&spoiled, true).is_none());
        assert!(payload::open(&payload[..at], true).is_none());
    }
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap()).collect();
    files.sort_by_key(|file| file.file_name());
    let name = |file: &std::fs::DirEntry| file.file_name().into_string().unwrap();
    files.iter().map(|file| (name(file), std::fs::read(file.path()).unwrap())).collect()
}

/// What redis-server 7.0.15 writes, and every other form there ever was (`tests/rdb_seeds.py`).
#[test]
fn every_form_is_read_and_none_that_is_cut() {
    let mut seeds = seeds("restore");
    seeds.retain(|(name, _)| !name.starts_with("cve-")); // those are for `tests/weaknesses.rs`
    assert!(seeds.len() > 30);
    for (name, seed) in &seeds {
        let mut encoder = Encoder::for_payload(0, true);
        let (kind, out) = through(seed[0], &seed[1..], &mut encoder).expect(name);
        let again = through(kind, &out, &mut encoder).expect(name);
        assert_eq!((again.0, again.1.len()), (kind, out.len()), "{name}");
        for at in 1..seed.len() {
            let mut decoder = Decoder::new(forms(), i64::MIN);
            let kind = (seed[0], Dialect::Redis);
            let cut = decoder.value(kind, &mut Cursor::new(&seed[1..at]), None);
            assert!(cut.is_err(), "{name} at {at}: {cut:?}");
        }
    }
}

/// Loads a file; how many keys there are, and what stands between them.
fn load(file: &[u8], summed: bool) -> Result<(u64, usize), file::LoadError> {
    let keyspace = Keyspace::new(16, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    keyspace.gate.enter(local.seat);
    let pin = sync::pin();
    let mut access = Access::new(&keyspace, &mut local, &pin, 0);
    let mut scanner = file::Scanner::new(file, 16, summed)?;
    let mut inserter = file::Inserter::new(forms(), 0, false);
    while let Some(batch) = scanner.next()? {
        inserter.insert(&mut access, &batch)?;
    }
    assert!(scanner.is_done() && scanner.position() <= file.len() as u64);
    Ok((inserter.counts.loaded, scanner.functions.len()))
}

#[test]
fn files_of_others_are_loaded_and_damage_is_found() {
    for (name, file) in seeds("rdb") {
        let (keys, functions) = load(&file, true).expect(&name);
        let expected = match &*name {
            "redis-7" => (14, 1),
            "valkey-9" => (1, 0),
            _ => (18, 0),
        };
        assert_eq!((keys, functions), expected, "{name}");
        for at in 0..file.len() {
            assert!(load(&file[..at], true).is_err(), "{name} cut at {at}");
            for bit in 0..8 {
                let mut spoiled = file.clone();
                spoiled[at] ^= 1 << bit;
                let loaded = load(&spoiled, true);
                assert!(loaded.is_err() || name != "redis-7", "{name}: bit {bit} of {at}");
            }
        }
    }
}

/// What is written is loaded, in pieces of any size, also of values longer than a block.
#[test]
fn files_go_there_and_back() {
    let settings = file::Settings {
        server: "7.0.15",
        now: 0,
        used_memory: 1,
        aof_base: false,
        compress: true,
        summed: true,
    };
    let mut writer = file::Writer::begin(Vec::new(), settings).unwrap();
    writer.function(b"#!lua name=lib\n").unwrap();
    let mut keys = 0;
    for db in [0, 3] {
        writer.database(db, 1000, 0).unwrap();
        for n in 0..1000u32 {
            let text = vec![b'x'; (n * n) as usize % 5000];
            let kind = crate::db::Kind::Inline(&text);
            let head =
                encode::Head { expiry: (n % 3 == 0).then_some(1 << 42), ..Default::default() };
            writer.key(&head, format!("{n}").as_bytes(), &Value::Inside(kind)).unwrap();
            keys += 1;
        }
        let long = Object::String(bytes::Bytes::from(vec![b'z'; 700_000]));
        writer.key(&encode::Head::default(), b"long", &Value::Object(&long)).unwrap();
        let mut set = crate::types::set::Large::new();
        (0..100_000u32).for_each(|n| _ = set.insert(format!("member:{n}").as_bytes()));
        let set = Object::Set(Box::new(set));
        writer.key(&encode::Head::default(), b"set", &Value::Object(&set)).unwrap();
        keys += 2;
    }
    let (file, size) = writer.finish().unwrap();
    assert_eq!(file.len() as u64, size);
    assert_eq!(load(&file, true).unwrap(), (keys, 1));
}

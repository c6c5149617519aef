//! Any bytes may be loaded as a snapshot: they are taken or refused. What is taken is written, and what is
//! written is taken again, with as many keys.

#![no_main]

use eonkv::clock::Clock;
use eonkv::config::Config;
use eonkv::db::{Access, Key, Keyspace};
use eonkv::rdb::encode::Head;
use eonkv::rdb::file::{Inserter, Scanner, Settings, Writer};
use eonkv::rdb::{Forms, Value};
use eonkv::sync::pin;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const DATABASES: usize = 4;

/// Loads a file and writes what was loaded; how many keys there were.
fn through(file: &[u8], summed: bool) -> Option<(u64, Vec<u8>)> {
    let keyspace = Keyspace::new(DATABASES, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    keyspace.gate.enter(local.seat);
    let result = {
        let pin = pin();
        let mut access = Access::new(&keyspace, &mut local, &pin, 0);
        load(&mut access, file, summed)
    };
    keyspace.gate.leave(0);
    result
}

fn load(access: &mut Access<'_>, file: &[u8], summed: bool) -> Option<(u64, Vec<u8>)> {
    let mut scanner = Scanner::new(file, DATABASES, summed).ok()?;
    let mut inserter = Inserter::new(Forms::of(&Config::default(), 1 << 30), 0, false);
    while let Some(batch) = scanner.next().ok()? {
        inserter.insert(access, &batch).ok()?;
    }
    let settings = Settings {
        server: "7.0.15",
        now: 0,
        used_memory: 0,
        aof_base: false,
        compress: true,
        summed: true,
    };
    let mut writer = Writer::begin(Vec::new(), settings).ok()?;
    for db in 0..DATABASES {
        access.db = db;
        writer.database(db, 0, 0).ok()?;
        let (mut cursor, mut found) = (0, Vec::new());
        loop {
            cursor = access.scan(cursor, |entry| found.push(entry));
            for entry in found.drain(..) {
                let held = access.write(Key::new(entry.key()));
                let value = Value::of(entry, held.peek_object()).expect("a value");
                let head = Head { expiry: entry.expiry(), ..Head::default() };
                assert!(writer.key(&head, entry.key(), &value).ok()?, "it holds something");
            }
            if cursor == 0 {
                break;
            }
        }
    }
    let keys = (0..DATABASES).map(|db| access.keyspace.size(db).0).sum();
    Some((keys, writer.finish().ok()?.0))
}

fuzz_target!(|data: &[u8]| {
    let Some((keys, file)) = through(data, false) else { return };
    let (again, _) = through(&file, true).expect("what is written is loaded");
    assert_eq!(again, keys);
});

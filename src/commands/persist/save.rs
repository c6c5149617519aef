//! Writing the file of a snapshot.

use super::super::Shared;
use crate::config::{EvictionPolicy, REDIS_VERSION};
use crate::db::{Access, Counters, Key, Policy};
use crate::disk::Output;
use crate::disk::replace::{self, Manner};
use crate::rdb::Value;
use crate::rdb::encode::Head;
use crate::rdb::file::{Settings, Writer};
use crate::sync::{AtomicU64, Ordering};
use std::io::{self, Write};

/// Saves all data under the configured name, and says in the log how that went. The caller is alone in
/// the keyspace.
pub fn to_disk(shared: &Shared, access: &mut Access<'_>) -> bool {
    shared.persist.jobs.cancel(); // an older state must not come after this one
    let _turn = shared.persist.turn.lock();
    let config = shared.config.get();
    let changes = shared.keyspace.total(Counters::changes);
    let result = replace(shared, &config.dbfilename, |file| write(shared, access, file));
    match &result {
        Ok(bytes) => {
            tracing::info!("DB saved on disk: {bytes} bytes");
            shared.persist.set_saved(access.now, changes);
        }
        Err(error) => tracing::warn!("Error saving DB on disk: {error}"),
    }
    shared.persist.note_save(result.is_ok());
    result.is_ok()
}

/// Puts a file that `fill` writes in the place of `name`, whole and on the disk, or leaves what is there.
/// It is sealed if there are keys, and goes where it began if `dir` changes meanwhile.
pub fn replace<T>(
    shared: &Shared,
    name: &str,
    fill: impl FnOnce(&mut Output) -> io::Result<T>,
) -> io::Result<T> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let place = &shared.persist.place;
    let _ours = place.claim().map_err(io::Error::other)?;
    let path = std::path::absolute(name)?;
    let manner = Manner {
        keys: place.keys().map(|keys| &**keys),
        incremental: shared.config.get().rdb_save_incremental_fsync,
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
    };
    replace::replace(&**place.disk(), &path, manner, fill)
}

/// Writes all data; the size. The caller is alone in the keyspace.
pub fn write(shared: &Shared, access: &mut Access<'_>, out: &mut Output) -> io::Result<u64> {
    let config = shared.config.get();
    let settings = Settings {
        server: REDIS_VERSION,
        now: access.now,
        used_memory: access.used_memory() as u64,
        aof_base: false,
        compress: config.rdbcompression,
        summed: config.rdbchecksum,
    };
    let mut writer = Writer::begin(out, settings)?;
    let functions: Vec<_> = shared
        .catalog
        .libraries(|all| all.libraries.values().map(|lib| lib.text.clone()).collect());
    for text in &functions {
        writer.function(text)?;
    }
    let (selected, now) = (access.db, access.now);
    let mut result = Ok(());
    // What is over is written like the rest: whoever loads it finds that out, and nothing ends here.
    access.now = 1;
    for db in 0..access.keyspace.databases() {
        access.db = db;
        result = result.and_then(|()| database(access, config.maxmemory_policy, &mut writer, now));
    }
    (access.db, access.now) = (selected, now);
    result?;
    writer.finish().map(|(_, bytes)| bytes)
}

fn database<W: Write>(
    access: &mut Access<'_>,
    eviction: EvictionPolicy,
    writer: &mut Writer<W>,
    now: i64,
) -> io::Result<()> {
    let (keys, volatile) = access.keyspace.size(access.db);
    if keys == 0 {
        return Ok(());
    }
    writer.database(access.db, keys, volatile)?;
    let policy = access.policy;
    let (mut cursor, mut found) = (0, Vec::new());
    loop {
        cursor = access.scan(cursor, |entry| found.push(entry));
        for entry in found.drain(..) {
            let head = head(entry.expiry(), entry.access(), (eviction, policy), now);
            let held = access.write(Key::new(entry.key()));
            if let Some(value) = Value::of(entry, held.peek_object()) {
                writer.key(&head, entry.key(), &value)?;
            }
        }
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// What is said of a key besides its value: how it was used only if eviction goes by that.
pub fn head(
    expiry: Option<i64>,
    access: u32,
    (eviction, policy): (EvictionPolicy, Policy),
    now: i64,
) -> Head {
    use EvictionPolicy::{AllkeysLfu, AllkeysLru, VolatileLfu, VolatileLru};
    let mut head = Head { expiry, ..Head::default() };
    match eviction {
        AllkeysLru | VolatileLru => {
            head.idle = u64::try_from(policy.idle_ms(access, now) / 1000).ok();
        }
        AllkeysLfu | VolatileLfu => {
            head.freq = u8::try_from(policy.frequency(access, now)).ok();
        }
        _ => {}
    }
    head
}

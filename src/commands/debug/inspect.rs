//! DEBUG OBJECT, SDSLEN, HTSTATS and POPULATE: single entries and the index.

use super::super::args::integer;
use super::super::{Args, Cx, Error, keys};
use crate::db::{Entry, Expiry, Key, Kind, New};
use crate::types::object::Object;
use std::fmt::Write as _;

pub fn object(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = Key::new(args.get(2));
    let entry = cx.db.peek(key).ok_or(Error::NoSuchKey)?;
    let (policy, now) = (cx.db.policy, cx.db.now);
    let idle = if policy.lfu { 0 } else { policy.idle_ms(entry.access(), now) / 1000 };
    let length = length(cx, key);
    let encoding = keys::encoding(&mut cx.db, key, entry);
    let text = format!(
        "Value at:{:p} refcount:1 encoding:{encoding} serializedlength:{} lru:{} lru_seconds_idle:{idle}",
        std::ptr::from_ref(entry),
        length + 1,
        entry.access(),
    );
    cx.reply.simple(&text);
    Ok(())
}

/// Bytes of a value: of a string its text's, of others what they take in memory.
fn length(cx: &mut Cx<'_>, key: Key<'_>) -> usize {
    let write = cx.db.write(key);
    match (write.text(), write.entry().map(Entry::kind)) {
        (Ok(text), _) => text.map_or(0, |text| text.len()),
        (Err(_), Some(Kind::Compact(compact))) => compact.bytes.len(),
        (Err(_), _) => write.peek_object().map_or(0, Object::weight),
    }
}

pub fn lengths(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = Key::new(args.get(2));
    let entry = cx.db.peek(key).ok_or(Error::NoSuchKey)?;
    let (block, name) = (entry.block_size(), entry.key().len());
    let value = length(cx, key);
    cx.reply.simple(&format!(
        "key_sds_len:{name}, key_sds_avail:0, key_zmalloc: {block}, \
         val_sds_len:{value}, val_sds_avail:0, val_zmalloc: {}",
        crate::mem::class(value.max(1)),
    ));
    Ok(())
}

pub fn htstats_key(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    cx.db.peek(Key::new(args.get(2))).ok_or(Error::NoSuchKey)?;
    Err(Error::new(
        "ERR The value stored at the specified key is not represented using an hash table",
    ))
}

pub fn htstats(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let range = Error::new("ERR Out of range database");
    let db = usize::try_from(integer(args.get(2))?).map_err(|_| range.clone())?;
    if db >= cx.db.keyspace.databases() {
        return Err(range);
    }
    let (keys, volatile) = cx.db.keyspace.size(db);
    let mut text = "[Dictionary HT]\nHash table 0 stats (main hash table):\n".to_owned();
    match cx.db.keyspace.census(db, cx.db.pin()) {
        Some(census) if census.records > 0 => {
            let _ = writeln!(
                text,
                " table size: {}\n number of elements: {}\n longest bucket: {}\n\
                 \x20elements per bucket:",
                census.buckets, census.records, census.longest
            );
            for (load, count) in census.by_load.iter().enumerate().filter(|(_, n)| **n > 0) {
                let share = 100.0 * *count as f64 / census.buckets as f64;
                let _ = writeln!(text, "   {load}: {count} ({share:.2}%)");
            }
        }
        _ => text.push_str("No stats available for empty dictionaries\n"),
    }
    // Expiries stand in the entries: there is no second table.
    let _ = writeln!(text, "[Expires HT]\n number of elements: {volatile} of {keys}");
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Creates `<prefix>:<n>` with `value:<n>`, cut or filled with zeroes to `size`, unless it exists.
pub fn create(cx: &mut Cx<'_>, (prefix, n): (&[u8], i64), size: Option<usize>) {
    let mut name = prefix.to_vec();
    name.push(b':');
    name.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    let mut write = cx.db.write(Key::new(&name));
    if write.exists() {
        return;
    }
    let mut value = format!("value:{n}").into_bytes();
    if let Some(size) = size {
        value.resize(size, 0);
    }
    write.set(New::Text(&value), Expiry::Never);
}

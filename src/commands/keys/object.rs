//! OBJECT: how a value is kept, and when it was used.
//!
//! Representations and numbers are those that Redis would tell, by its thresholds.

use super::{NONDETERMINISTIC, row};
use crate::commands::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Access, Entry, Key, Kind, Seen};
use crate::resp::Args;
use crate::types::object::Type;

const OBJECT_KEY: &[KeySpec] = &[KeySpec::one(2, &["RO"])];

/// The rows, sorted by name.
pub static OBJECT: &[Command] = &[
    row("encoding", 3, Flags::READ, object_encoding)
        .keys(OBJECT_KEY)
        .doc("2.2.3", "key", "Returns how a value is kept in memory.")
        .tips(NONDETERMINISTIC),
    row("freq", 3, Flags::READ, object_freq)
        .keys(OBJECT_KEY)
        .doc("4.0.0", "key", "Returns the frequency counter of a key.")
        .tips(NONDETERMINISTIC),
    super::super::help::row(Group::Generic, "6.2.0").acl(&["keyspace"]),
    row("idletime", 3, Flags::READ, object_idletime)
        .keys(OBJECT_KEY)
        .doc("2.2.3", "key", "Returns the seconds since a key was last used.")
        .tips(NONDETERMINISTIC),
    row("refcount", 3, Flags::READ, object_refcount)
        .keys(OBJECT_KEY)
        .doc("2.2.3", "key", "Returns how often a value is shared.")
        .tips(NONDETERMINISTIC),
];

/// The entry of OBJECT's key; the reply for an absent one is encoded.
fn object_entry<'a>(cx: &mut Cx<'a>, args: Args<'_>) -> Option<&'a Entry> {
    let entry = cx.db.peek(cx.key(args, 2));
    if entry.is_none() {
        cx.reply.null();
    }
    entry
}

/// Strings up to this length would share a block with their head in Redis: `embstr`.
const EMBEDDED: usize = 44;

fn object_encoding(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(entry) = object_entry(cx, args) else { return Ok(()) };
    let key = cx.key(args, 2);
    let name = encoding(&mut cx.db, key, entry);
    cx.reply.bulk(name.as_bytes());
    Ok(())
}

/// Name of the representation of the value that `entry`, found under `key`, holds, by Redis'
/// thresholds.
pub fn encoding<'a>(db: &mut Access<'a>, key: Key<'_>, entry: &'a Entry) -> &'static str {
    match (entry.type_of(), entry.kind()) {
        (_, Kind::Int(_)) => "int",
        (_, Kind::Padded(_)) => "embstr",
        (_, Kind::Inline(bytes)) if bytes.len() <= EMBEDDED && !entry.is_edited() => "embstr",
        (_, Kind::Inline(_)) | (Type::String, _) => "raw",
        (_, Kind::Compact(compact)) => compact.kind.compact_encoding(compact.form),
        // If another value has taken its place meanwhile, that is what was asked about.
        (kind, Kind::Object) => match db.collection_of((db.db, key), entry, kind, |seen| match seen
        {
            Seen::Compact(compact) => compact.kind.compact_encoding(compact.form),
            Seen::Object(object) => object.encoding(),
        }) {
            Ok(Some(name)) => name,
            _ => "raw",
        },
    }
}

fn object_refcount(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(entry) = object_entry(cx, args) else { return Ok(()) };
    // Integers up to here are cells of their own with us, as cheap as Redis' shared ones; whoever
    // asks is told what Redis tells of those.
    let shared = matches!(entry.kind(), Kind::Int(0..10_000)) && {
        let config = &cx.local.config;
        let policy = config.maxmemory_policy;
        config.maxmemory == 0 || !(policy.uses_lru() || policy.uses_lfu())
    };
    cx.reply.int(if shared { i64::from(i32::MAX) } else { 1 });
    Ok(())
}

fn object_idletime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(entry) = object_entry(cx, args) else { return Ok(()) };
    if cx.db.policy.lfu {
        return Err(Error::new(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that \
             when switching between policies at runtime LRU and LFU data will take some time to \
             adjust.",
        ));
    }
    let idle = cx.db.policy.idle_ms(entry.access(), cx.db.now);
    cx.reply.int(idle / 1000);
    Ok(())
}

fn object_freq(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(entry) = object_entry(cx, args) else { return Ok(()) };
    if !cx.db.policy.lfu {
        return Err(Error::new(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
             note that when switching between policies at runtime LRU and LFU data will take \
             some time to adjust.",
        ));
    }
    let count = cx.db.policy.frequency(entry.access(), cx.db.now);
    cx.reply.int(i64::from(count));
    Ok(())
}

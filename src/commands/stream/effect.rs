//! What the log is told of consumer groups: the outcome for each entry, by XCLAIM, as who reads what and
//! when cannot be repeated.
//!
//! `XCLAIM key group consumer 0 id TIME t RETRYCOUNT n FORCE JUSTID LASTID last` makes an entry pending with a
//! consumer just so, and moves the group up to `last`: by one entry, if that is the next one, which also
//! counts as read. That a consumer read its own history again is not told, as by Redis.

use crate::db::Write;
use crate::types::object::Object;
use crate::types::stream::{Bounds, Group, Id, Keep, Stream, Trim};

fn group<'w>(write: &'w Write<'_, '_>, name: &[u8]) -> Option<&'w Group> {
    match write.peek_object() {
        Some(Object::Stream(stream)) => Stream::group(stream, name),
        _ => None,
    }
}

/// A consumer was added.
pub fn consumer(write: &mut Write<'_, '_>, key: &[u8], group: &[u8], name: &[u8]) {
    write.effect(&[b"XGROUP", b"CREATECONSUMER", key, group, name]);
}

/// These entries were given to a consumer, or found to be gone. `fresh`: they came next in the group.
pub fn given(write: &mut Write<'_, '_>, key: &[u8], name: &[u8], ids: &[Id], fresh: bool) {
    if !write.logs() {
        return;
    }
    for id in ids {
        let number = id.text();
        let Some(group) = group(write, name) else { return };
        let Some(pending) = group.find(*id) else {
            write.effect(&[b"XACK", key, name, &number]);
            continue;
        };
        let consumer = group.name(pending.owner).to_vec();
        let last = if fresh { *id } else { group.last }.text();
        let (time, count) = (pending.delivered.to_string(), pending.count.to_string());
        write.effect(&[
            b"XCLAIM",
            key,
            name,
            &consumer,
            b"0",
            &number,
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            &last,
        ]);
    }
}

/// The group moved on without leaving anything pending.
pub fn moved(write: &mut Write<'_, '_>, key: &[u8], name: &[u8]) {
    let Some(group) = group(write, name) else { return };
    let (last, read) = (group.last.text(), group.read.map(|read| read.to_string()));
    match read {
        Some(read) => {
            write.effect(&[b"XGROUP", b"SETID", key, name, &last, b"ENTRIESREAD", read.as_bytes()])
        }
        None => write.effect(&[b"XGROUP", b"SETID", key, name, &last]),
    }
}

/// How a stream was trimmed, as options of XADD and XTRIM that come to the same.
pub fn trimmed(trim: Trim, bounds: Bounds) -> [Vec<u8>; 3] {
    let (word, value) = match trim.keep {
        Keep::Last(len) => {
            let len = if trim.whole { bounds.len } else { len };
            (b"MAXLEN".as_slice(), len.to_string().into_bytes())
        }
        Keep::From(id) => {
            let id = match bounds {
                _ if !trim.whole => id,
                // The first of none is the lowest name, above which all would stay.
                Bounds { len: 0, .. } => Id::MAX,
                Bounds { first, .. } => first,
            };
            (b"MINID".as_slice(), id.text().to_vec())
        }
    };
    [word.to_vec(), b"=".to_vec(), value]
}

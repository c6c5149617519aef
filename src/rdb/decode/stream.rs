//! Streams, of all three forms. [`super::super::encode`] has the layout.

use super::super::code;
use super::super::cursor::{Cursor, Fault, Text};
use super::Read;
use super::listpack::Listpack;
use super::run::Run;
use crate::db::New;
use crate::types::object::Object;
use crate::types::stream::{Id, LARGEST, Limit, Owner, Pending, Stream};

const PACK: &str = "Stream listpack integrity check failed";
const BAD_PACK: Fault = Fault::Bad(PACK);
const BAD: Fault = Fault::Bad("Stream integrity check failed");
const DELETED: i64 = 1;
const SAME_NAMES: i64 = 2;
/// A group does not know how many entries it has read.
const UNKNOWN: u64 = u64::MAX;

/// A stream of type `kind`.
pub fn read<'d>(kind: u8, cursor: &mut Cursor<'_>, limit: Limit) -> Result<Read<'d>, Fault> {
    let mut stream = Stream::default();
    let mut texts = Texts::default();
    for _ in 0..cursor.count()? {
        let name = cursor.blob()?;
        let first = raw_id(name.as_ref().try_into().map_err(|_| BAD)?);
        let blob = cursor.blob()?;
        block(&mut stream, first, &mut Listpack::new(&blob, PACK)?, &mut texts, limit)?;
    }
    bounds(kind, cursor, &mut stream)?;
    for _ in 0..cursor.count()? {
        group(kind, cursor, &mut stream)?;
    }
    Ok(Read::Value(New::Object(Box::new(Object::Stream(Box::new(stream))))))
}

/// Names and values of an entry, side by side.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &Text<'_>) {
        let mut digits = Vec::new();
        self.bytes.extend_from_slice(text.bytes(&mut digits));
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| &self.bytes[from..*to])
    }
}

fn count(value: i64) -> Result<usize, Fault> {
    usize::try_from(value).map_err(|_| BAD)
}

fn block(
    stream: &mut Stream,
    first: Id,
    pack: &mut Listpack<'_>,
    texts: &mut Texts,
    limit: Limit,
) -> Result<(), Fault> {
    let (live, deleted) = (count(pack.number()?)?, count(pack.number()?)?);
    let mut names = Vec::new();
    for _ in 0..count(pack.number()?)? {
        names.push(pack.next()?.ok_or(BAD_PACK)?);
    }
    if pack.number()? != 0 {
        return Err(BAD_PACK);
    }
    let (mut found, mut before) = (0, None);
    for n in 0..live.checked_add(deleted).ok_or(BAD_PACK)? {
        let flags = pack.number()?;
        if flags & !(DELETED | SAME_NAMES) != 0 {
            return Err(BAD_PACK);
        }
        let (ms, seq) = (pack.number()?.cast_unsigned(), pack.number()?.cast_unsigned());
        let id = Id { ms: first.ms.wrapping_add(ms), seq: first.seq.wrapping_add(seq) };
        if before.is_some_and(|before| id <= before) || n == 0 && id < first {
            return Err(BAD_PACK);
        }
        before = Some(id);
        texts.clear();
        let mut elements = 3;
        if flags & SAME_NAMES != 0 {
            for name in &names {
                texts.push(name);
                texts.push(&pack.next()?.ok_or(BAD_PACK)?);
            }
            elements += names.len();
        } else {
            let fields = count(pack.number()?)?;
            for _ in 0..fields.checked_mul(2).ok_or(BAD_PACK)? {
                texts.push(&pack.next()?.ok_or(BAD_PACK)?);
            }
            elements += 1 + 2 * fields;
        }
        if count(pack.number()?)? != elements {
            return Err(BAD_PACK);
        }
        if flags & DELETED != 0 {
            continue;
        }
        found += 1;
        if texts.ends.is_empty() || texts.bytes.len() > LARGEST || id <= stream.bounds().last {
            return Err(BAD_PACK);
        }
        stream.add(id, texts.iter(), texts.bytes.len(), limit);
    }
    if found != live || pack.next()?.is_some() {
        return Err(BAD_PACK);
    }
    Ok(())
}

fn bounds(kind: u8, cursor: &mut Cursor<'_>, stream: &mut Stream) -> Result<(), Fault> {
    let found = stream.bounds();
    let len = cursor.length()?;
    let last = short_id(cursor)?;
    if len != found.len || last < found.last {
        return Err(BAD);
    }
    let (mut deleted, mut added) = (Id::MIN, len);
    if kind != code::STREAM {
        short_id(cursor)?; // the first one, which is known
        deleted = short_id(cursor)?;
        added = cursor.length()?;
    }
    stream.set_last(last, Some(added), Some(deleted));
    Ok(())
}

fn group(kind: u8, cursor: &mut Cursor<'_>, stream: &mut Stream) -> Result<(), Fault> {
    let name = cursor.short_text()?.into_vec();
    let last = short_id(cursor)?;
    let read = if kind == code::STREAM {
        stream.bounds().read_up_to(last)
    } else {
        Some(cursor.length()?).filter(|read| *read != UNKNOWN)
    };
    if !stream.add_group(&name, last, read) {
        return Err(BAD);
    }
    let group = stream.group_mut(&name).ok_or(BAD)?;
    let mut waiting = std::collections::BTreeMap::new();
    for _ in 0..cursor.count()? {
        let (id, delivered) = (raw_id(cursor.array()?), cursor.time()?);
        if waiting.insert(id, (delivered, cursor.length()?)).is_some() {
            return Err(BAD);
        }
    }
    for _ in 0..cursor.count()? {
        let name = cursor.short_text()?.into_vec();
        let seen = cursor.time()?;
        let active = if kind == code::STREAM_3 { cursor.time()? } else { seen };
        if !group.add_consumer(&name, seen) {
            return Err(Fault::Bad("Duplicate stream consumer detected"));
        }
        let owner: Owner = group.owner(&name).ok_or(BAD)?;
        if let Some(consumer) = group.consumer_mut(owner) {
            consumer.active = Some(active).filter(|active| *active >= 0);
        }
        for _ in 0..cursor.count()? {
            let id = raw_id(cursor.array()?);
            // What is pending is pending with one consumer.
            let (delivered, count) = waiting.remove(&id).ok_or(BAD)?;
            group.assign(id, Pending { owner, delivered, count });
        }
    }
    if waiting.is_empty() { Ok(()) } else { Err(BAD) }
}

fn raw_id(raw: [u8; 16]) -> Id {
    let raw = u128::from_be_bytes(raw);
    Id { ms: (raw >> 64) as u64, seq: raw as u64 }
}

fn short_id(cursor: &mut Cursor<'_>) -> Result<Id, Fault> {
    Ok(Id { ms: cursor.length()?, seq: cursor.length()? })
}

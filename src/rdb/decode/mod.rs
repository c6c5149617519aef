//! Bytes into values: every form in which Redis and Valkey have ever written them.
//!
//! Whatever the form, elements pass one by one through a maker ([`make`]), which builds what commands
//! would have built of them under the limits in force, and refuses what commands could not: an element
//! twice, a score that is no number, an empty collection.

mod listpack;
mod make;
mod old;
mod run;
mod skip;
mod stream;
mod ziplist;

pub use skip::{skip, skip_module};

use super::code;
use super::cursor::{Cursor, Fault, Text};
use crate::config::Config;
use crate::db::{INLINE_LIMIT, New};
use crate::types::packed::ELEMENT_MAX;
use crate::types::{list, set, stream as streams, zset};
use bytes::Bytes;
use listpack::Listpack;
use make::{HashMaker, ListMaker, Room, SetMaker, ZSetMaker};
use run::Run;
use ziplist::Ziplist;

/// Up to where values are kept compactly.
#[derive(Debug, Clone, Copy)]
pub struct Forms {
    /// Fields of a hash.
    pub hash_fields: usize,
    /// Length of its names and values.
    pub hash_text: usize,
    pub list: list::Limit,
    pub set: set::Limits,
    pub zset: zset::Limits,
    pub stream: streams::Limit,
}

impl Forms {
    /// Those of the configuration. Elements of lists that are as long as `alone` stand alone.
    pub fn of(config: &Config, alone: u64) -> Self {
        let members = config.set_max_listpack_entries;
        let size = i64::from(config.list_max_listpack_size);
        let node = (config.stream_node_max_bytes as u64, config.stream_node_max_entries);
        Self {
            hash_fields: config.hash_max_listpack_entries,
            hash_text: config.hash_max_listpack_value.min(ELEMENT_MAX),
            list: list::Limit::from_parameter(size).alone_from(alone),
            set: set::Limits::new(
                config.set_max_intset_entries,
                members,
                config.set_max_listpack_value,
            ),
            zset: zset::Limits {
                entries: config.zset_max_listpack_entries,
                value: config.zset_max_listpack_value.min(ELEMENT_MAX),
            },
            stream: streams::Limit::from_parameters(node.0, node.1),
        }
    }
}

/// Whose numbers of types these are, where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Redis,
    Valkey,
}

impl Dialect {
    /// Whose a version is.
    pub const fn of(version: u16) -> Self {
        if version >= code::VALKEY { Self::Valkey } else { Self::Redis }
    }
}

/// A value that was read.
#[derive(Debug)]
pub enum Read<'d> {
    /// To be stored.
    Value(New<'d>),
    /// It had fields, which are all over.
    Over,
    /// It has no elements, which no key can hold.
    Empty,
}

/// Reads values.
#[derive(Debug)]
pub struct Decoder {
    forms: Forms,
    /// Fields that end before are dropped.
    pub now: i64,
    room: Room,
}

/// When the fields of a hash end, one number for each: 0 for never, 1 for `earliest`.
struct Ends<'d> {
    earliest: i64,
    numbers: Cursor<'d>,
}

impl<'d> Ends<'d> {
    fn new(bytes: &'d [u8]) -> Result<Self, Fault> {
        let mut numbers = Cursor::new(bytes);
        Ok(Self { earliest: numbers.time()?, numbers })
    }

    fn next(&mut self) -> Result<Option<i64>, Fault> {
        end_from(self.earliest, self.numbers.length()?)
    }
}

const BAD_TIME: Fault = Fault::Bad("a field ends at no time");

fn end_from(earliest: i64, number: u64) -> Result<Option<i64>, Fault> {
    let Some(beyond) = number.checked_sub(1) else { return Ok(None) };
    let end = earliest.checked_add_unsigned(beyond).filter(|end| *end > 0);
    end.map(Some).ok_or(BAD_TIME)
}

impl Decoder {
    /// For values that are to be kept in these forms.
    pub fn new(forms: Forms, now: i64) -> Self {
        Self { forms, now, room: Room::default() }
    }

    /// A value of type `kind`; `ends` is what a file says behind a hash.
    pub fn value<'d>(
        &'d mut self,
        (kind, dialect): (u8, Dialect),
        cursor: &mut Cursor<'d>,
        ends: Option<&[u8]>,
    ) -> Result<Read<'d>, Fault> {
        let Self { forms, now, room } = self;
        let (forms, now) = (*forms, *now);
        room.clear();
        match kind {
            code::STRING => text(cursor, room),
            code::LIST | code::LIST_ZIPLIST | code::QUICKLIST | code::QUICKLIST_2 => {
                read_list(kind, cursor, ListMaker::new(forms.list, room))
            }
            code::SET | code::SET_INTSET | code::SET_LISTPACK => {
                read_set(kind, cursor, (forms.set, room))
            }
            code::ZSET_TEXT | code::ZSET | code::ZSET_ZIPLIST | code::ZSET_LISTPACK => {
                read_zset(kind, cursor, ZSetMaker::new(forms.zset, room))
            }
            code::HASH if ends.is_some() => {
                let mut ends = Ends::new(ends.unwrap_or_default())?;
                let count = cursor.count()?;
                let mut hash = HashMaker::new(&forms, now, count, true, room);
                for _ in 0..count {
                    hash.add(&cursor.short_text()?, &cursor.short_text()?, ends.next()?)?;
                }
                hash.finish()
            }
            code::HASH | code::HASH_ZIPMAP | code::HASH_ZIPLIST | code::HASH_LISTPACK => {
                read_hash(kind, cursor, (&forms, room))
            }
            code::HASH_22 | code::HASH_TIMES => {
                read_timed((kind, dialect), cursor, (&forms, now, room))
            }
            code::HASH_23 if dialect == Dialect::Redis => {
                read_triples(cursor, HashMaker::new(&forms, now, 0, true, room))
            }
            code::HASH_TIMES_LISTPACK => {
                cursor.time()?;
                read_triples(cursor, HashMaker::new(&forms, now, 0, true, room))
            }
            code::STREAM | code::STREAM_2 | code::STREAM_3 => {
                stream::read(kind, cursor, forms.stream)
            }
            _ => Err(unreadable(kind)),
        }
    }
}

/// Why a value of this type is not read.
pub(super) fn unreadable(kind: u8) -> Fault {
    match kind {
        code::MODULE_OLD | code::MODULE => {
            Fault::Refused("a value of a module, and there are no modules here".into())
        }
        _ => Fault::Refused(format!("a value of the unknown type {kind}").into()),
    }
}

/// A string; what was compressed is expanded where the string is kept, if it is a short one.
fn text<'d>(cursor: &mut Cursor<'d>, room: &'d mut Room) -> Result<Read<'d>, Fault> {
    let bytes = room.buffer();
    if cursor.expand_into(bytes)? {
        if let Some(value) = crate::types::number::parse_i64(bytes) {
            return Ok(Read::Value(New::Int(value)));
        }
        return Ok(Read::Value(if bytes.len() < INLINE_LIMIT {
            New::Plain(bytes)
        } else {
            New::Shared(Bytes::from(std::mem::take(bytes)))
        }));
    }
    Ok(Read::Value(match cursor.text()? {
        Text::Int(value) => New::Int(value),
        Text::Slice(text) => New::Text(text),
        Text::Owned(text) => New::Shared(Bytes::from(text)),
    }))
}

fn read_list<'d>(
    kind: u8,
    cursor: &mut Cursor<'_>,
    mut list: ListMaker<'d>,
) -> Result<Read<'d>, Fault> {
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    let parts = if kind == code::LIST_ZIPLIST { 1 } else { cursor.count()? };
    for _ in 0..parts {
        match kind {
            code::LIST => list.add(&cursor.short_text()?),
            code::QUICKLIST_2 => match cursor.length()? {
                PLAIN => match cursor.short_text()? {
                    text if text.is_empty() => return Err(Fault::Bad("an empty node of a list")),
                    text => list.add(&text),
                },
                PACKED => {
                    let blob = cursor.blob()?;
                    let run = Listpack::new(&blob, "List listpack integrity check failed")?;
                    run.each(|element| {
                        list.add(element);
                        Ok(())
                    })?;
                }
                _ => return Err(Fault::Bad("a node of a list in an unknown form")),
            },
            _ => {
                let blob = cursor.blob()?;
                let run = Ziplist::new(&blob, "List ziplist integrity check failed")?;
                run.each(|element| {
                    list.add(element);
                    Ok(())
                })?;
            }
        }
    }
    Ok(list.finish())
}

fn read_set<'d>(
    kind: u8,
    cursor: &mut Cursor<'_>,
    (limits, room): (set::Limits, &'d mut Room),
) -> Result<Read<'d>, Fault> {
    match kind {
        code::SET_INTSET => {
            let blob = cursor.blob()?;
            let (count, numbers) = old::intset(&blob)?;
            let mut set = SetMaker::new(limits, count, room);
            for number in numbers {
                set.add(&Text::Int(number?))?;
            }
            set.finish()
        }
        code::SET_LISTPACK => {
            let blob = cursor.blob()?;
            let run = Listpack::new(&blob, "Set listpack integrity check failed")?;
            let mut set = SetMaker::new(limits, 0, room);
            run.each(|member| set.add(member))?;
            set.finish()
        }
        _ => {
            let count = cursor.count()?;
            let mut set = SetMaker::new(limits, count, room);
            for _ in 0..count {
                set.add(&cursor.short_text()?)?;
            }
            set.finish()
        }
    }
}

fn read_zset<'d>(
    kind: u8,
    cursor: &mut Cursor<'_>,
    mut set: ZSetMaker<'d>,
) -> Result<Read<'d>, Fault> {
    match kind {
        code::ZSET_ZIPLIST => {
            let blob = cursor.blob()?;
            let run = Ziplist::new(&blob, "Zset ziplist integrity check failed")?;
            run.pairs(|member, score| set.add_packed(member, score))?;
        }
        code::ZSET_LISTPACK => {
            let blob = cursor.blob()?;
            let run = Listpack::new(&blob, "Zset listpack integrity check failed")?;
            run.pairs(|member, score| set.add_packed(member, score))?;
        }
        _ => {
            for _ in 0..cursor.count()? {
                let member = cursor.short_text()?;
                let text = kind == code::ZSET_TEXT;
                let score = if text { cursor.double_text() } else { cursor.double() }?;
                set.add(&member, score);
            }
        }
    }
    set.finish()
}

fn read_hash<'d>(
    kind: u8,
    cursor: &mut Cursor<'_>,
    (forms, room): (&Forms, &'d mut Room),
) -> Result<Read<'d>, Fault> {
    const EVER: i64 = i64::MIN;
    let blob = if kind == code::HASH { None } else { Some(cursor.blob()?) };
    let Some(blob) = blob else {
        let count = cursor.count()?;
        let mut hash = HashMaker::new(forms, EVER, count, false, room);
        for _ in 0..count {
            hash.add(&cursor.short_text()?, &cursor.short_text()?, None)?;
        }
        return hash.finish();
    };
    let mut hash = HashMaker::new(forms, EVER, 0, false, room);
    match kind {
        code::HASH_ZIPMAP => old::zipmap(&blob, |name, value| {
            hash.add(&Text::Slice(name), &Text::Slice(value), None)
        })?,
        code::HASH_ZIPLIST => {
            let run = Ziplist::new(&blob, "Hash ziplist integrity check failed")?;
            run.pairs(|name, value| hash.add(name, value, None))?;
        }
        _ => {
            let run = Listpack::new(&blob, "Hash listpack integrity check failed")?;
            run.pairs(|name, value| hash.add(name, value, None))?;
        }
    }
    hash.finish()
}

/// Fields with their times, one after the other.
fn read_timed<'d>(
    (kind, dialect): (u8, Dialect),
    cursor: &mut Cursor<'_>,
    (forms, now, room): (&Forms, i64, &'d mut Room),
) -> Result<Read<'d>, Fault> {
    const NEVER: i64 = -1;
    let earliest = if kind == code::HASH_TIMES { cursor.time()? } else { 1 };
    let count = cursor.count()?;
    let mut hash = HashMaker::new(forms, now, count, true, room);
    for _ in 0..count {
        if kind == code::HASH_22 && dialect == Dialect::Valkey {
            let (name, value) = (cursor.short_text()?, cursor.short_text()?);
            let end = Some(cursor.time()?).filter(|end| *end != NEVER);
            hash.add(&name, &value, end)?;
        } else {
            let end = end_from(earliest, cursor.length()?)?;
            hash.add(&cursor.short_text()?, &cursor.short_text()?, end)?;
        }
    }
    hash.finish()
}

/// A listpack of name, value, end.
fn read_triples<'d>(cursor: &mut Cursor<'_>, mut hash: HashMaker<'d>) -> Result<Read<'d>, Fault> {
    let blob = cursor.blob()?;
    let mut elements = Listpack::new(&blob, "Hash listpack integrity check failed")?;
    while let Some(name) = elements.next()? {
        let value = elements.partner()?;
        let end = elements.partner()?.number().ok_or(BAD_TIME)?;
        hash.add(&name, &value, Some(end).filter(|end| *end != 0))?;
    }
    hash.finish()
}

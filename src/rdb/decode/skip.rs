//! Finding where a value ends, without looking into it: how a file is divided among threads.

use super::super::code;
use super::super::cursor::{Cursor, Fault};
use super::{Dialect, unreadable};

/// Goes over a value of type `kind`.
pub fn skip((kind, dialect): (u8, Dialect), cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    match kind {
        code::STRING
        | code::HASH_ZIPMAP..=code::HASH_ZIPLIST
        | code::HASH_LISTPACK
        | code::ZSET_LISTPACK
        | code::SET_LISTPACK => cursor.skip_text(),
        code::LIST | code::SET | code::QUICKLIST => texts(cursor, 1),
        code::HASH => texts(cursor, 2),
        code::ZSET => {
            for _ in 0..cursor.count()? {
                cursor.skip_text()?;
                cursor.take(8)?;
            }
            Ok(())
        }
        code::ZSET_TEXT => {
            for _ in 0..cursor.count()? {
                cursor.skip_text()?;
                cursor.double_text()?;
            }
            Ok(())
        }
        code::QUICKLIST_2 => {
            for _ in 0..cursor.count()? {
                cursor.length()?;
                cursor.skip_text()?;
            }
            Ok(())
        }
        code::HASH_22 | code::HASH_TIMES => timed((kind, dialect), cursor),
        code::HASH_23 if dialect == Dialect::Redis => cursor.skip_text(),
        code::HASH_TIMES_LISTPACK => {
            cursor.take(8)?;
            cursor.skip_text()
        }
        code::STREAM | code::STREAM_2 | code::STREAM_3 => stream(kind, cursor),
        _ => Err(unreadable(kind)),
    }
}

fn texts(cursor: &mut Cursor<'_>, each: usize) -> Result<(), Fault> {
    for _ in 0..cursor.count()? {
        for _ in 0..each {
            cursor.skip_text()?;
        }
    }
    Ok(())
}

fn timed((kind, dialect): (u8, Dialect), cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let behind = kind == code::HASH_22 && dialect == Dialect::Valkey;
    if kind == code::HASH_TIMES {
        cursor.take(8)?;
    }
    for _ in 0..cursor.count()? {
        if !behind {
            cursor.length()?;
        }
        cursor.skip_text()?;
        cursor.skip_text()?;
        if behind {
            cursor.take(8)?;
        }
    }
    Ok(())
}

fn stream(kind: u8, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    texts(cursor, 2)?;
    let numbers = |cursor: &mut Cursor<'_>, count: usize| {
        (0..count).try_for_each(|_| cursor.length().map(drop))
    };
    let newer = kind != code::STREAM;
    numbers(cursor, if newer { 8 } else { 3 })?;
    for _ in 0..cursor.count()? {
        cursor.skip_text()?;
        numbers(cursor, if newer { 3 } else { 2 })?;
        for _ in 0..cursor.count()? {
            cursor.take(16 + 8)?;
            cursor.length()?;
        }
        for _ in 0..cursor.count()? {
            cursor.skip_text()?;
            cursor.take(if kind == code::STREAM_3 { 16 } else { 8 })?;
            for _ in 0..cursor.count()? {
                cursor.take(16)?;
            }
        }
    }
    Ok(())
}

/// Goes over what a module wrote, which says itself of what kind each piece is.
pub fn skip_module(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    loop {
        match cursor.length()? {
            0 => return Ok(()),
            1 | 2 => drop(cursor.length()?),
            3 => drop(cursor.take(4)?),
            4 => drop(cursor.take(8)?),
            5 => cursor.skip_text()?,
            _ => return Err(Fault::Bad("a module's data in an unknown form")),
        }
    }
}

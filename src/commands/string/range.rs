//! Parts of a value: STRLEN, GETRANGE, APPEND, SETRANGE.

use super::super::args::integer;
use super::super::event::Class;
use super::super::{Cx, Error};
use super::value::value;
use crate::db::{Expiry, Str};
use crate::resp::Args;

pub fn strlen(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let length = cx.db.string(key)?.map_or(0, |text| text.len());
    cx.reply.count(length);
    Ok(())
}

pub fn getrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
    let key = cx.key(args, 1);
    let Some(text) = cx.db.string(key)? else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    let Some(range) = slice(text.len(), start, end) else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    match text {
        Str::Shared(bytes) => cx.reply.bulk_shared(bytes.slice(range)),
        other => other.with(|text| cx.reply.bulk(&text[range])),
    }
    Ok(())
}

/// Positions `start` to `end`, both included, negative ones from the end, cut to what exists.
fn slice(length: usize, start: i64, end: i64) -> Option<std::ops::Range<usize>> {
    if length == 0 || (start < 0 && end < 0 && start > end) {
        return None;
    }
    let length = length as i64;
    let from_end = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    (start <= end).then_some(start as usize..end as usize + 1)
}

/// Refuses a string longer than `proto-max-bulk-len`.
fn check_length(cx: &Cx<'_>, length: u64) -> Result<(), Error> {
    let most = cx.local.config.proto_max_bulk_len;
    if length > most { Err(Error::TooLong) } else { Ok(()) }
}

pub fn append(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let most = cx.local.config.proto_max_bulk_len;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let text = write.text()?.map(|text| text.len());
    let length = match text {
        None => {
            write.set(value(args, 2), Expiry::Never);
            args.get(2).len()
        }
        Some(length) => {
            let sum = length as u64 + args.get(2).len() as u64;
            if sum > most {
                return Err(Error::TooLong);
            }
            write.edit(|text| text.extend_from_slice(args.get(2)));
            sum as usize
        }
    };
    drop(write);
    cx.event(Class::STRING, "append", key.bytes);
    cx.reply.count(length);
    Ok(())
}

pub fn setrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = integer(args.get(2))?;
    let offset = u64::try_from(offset).map_err(|_| Error::OffsetRange)?;
    let patch = args.get(3);
    let end = offset.checked_add(patch.len() as u64).ok_or(Error::TooLong)?;
    let fits = check_length(cx, end);
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let length = write.text()?.map_or(0, |text| text.len());
    if patch.is_empty() {
        drop(write);
        cx.reply.count(length);
        return Ok(());
    }
    fits?;
    let (offset, end) = (offset as usize, end as usize);
    let length = write.edit(|text| {
        if text.len() < end {
            text.try_reserve(end - text.len()).ok()?;
            text.resize(end, 0);
        }
        text[offset..end].copy_from_slice(patch);
        Some(text.len())
    });
    drop(write);
    let length = length.ok_or(Error::OutOfMemory)?;
    cx.event(Class::STRING, "setrange", key.bytes);
    cx.reply.count(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_cut_to_what_exists() {
        assert_eq!(slice(11, 0, 3), Some(0..4));
        assert_eq!(slice(11, -5, -1), Some(6..11));
        assert_eq!(slice(11, 0, -1), Some(0..11));
        assert_eq!(slice(11, 5, 3), None);
        assert_eq!(slice(11, 11, 20), None);
        assert_eq!(slice(11, -100, 0), Some(0..1));
        assert_eq!(slice(11, -1, -5), None);
        assert_eq!(slice(0, 0, -1), None);
        assert_eq!(slice(11, i64::MIN, i64::MAX), Some(0..11));
    }
}

//! The end of a file that is not as it should be: what a crash can have done to it, and the cut.
//!
//! A power cut takes pages that were not synced: in their place the file has zeros, from where it was
//! durable to the end of a block. Bit rot does not make zeros of whole blocks. And each group's line
//! says how much of the file was durable before it, so what lies below that did not come from a
//! power cut either.

use super::crc::{Crc, crc32c};
use super::directory::Directory;
use super::error::Error;
use super::file::{self, Source};
use super::frame::{self, Header, Line};
use super::read::{Cut, End, Reader};
use super::resp::{Parsed, Parser};
use std::io;
use std::ops::Range;

/// The smallest unit in which a disk loses bytes.
const BLOCK: u64 = 512;
const CHUNK: usize = 256 << 10;

/// CRC-32C of a part of a file.
pub(super) fn checksum(source: &dyn Source, begin: u64, len: u64) -> io::Result<u32> {
    let mut crc = Crc::new();
    chunks(source, begin..begin + len, |_, bytes| {
        crc.update(bytes);
        true
    })?;
    Ok(crc.value())
}

/// Calls `with` for each piece of a range with its offset, as long as it says true.
fn chunks(
    source: &dyn Source,
    mut range: Range<u64>,
    mut with: impl FnMut(u64, &[u8]) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while range.start < range.end {
        // To the end of a block, so that blocks come whole but for the first and the last.
        let most = (range.end - range.start).min(CHUNK as u64 - range.start % BLOCK);
        let most = usize::try_from(most).unwrap_or(CHUNK);
        let got = read_full(source, &mut buffer[..most], range.start)?;
        if got == 0 || !with(range.start, &buffer[..got]) {
            break;
        }
        range.start += got as u64;
    }
    Ok(())
}

pub(super) fn read_full(source: &dyn Source, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match source.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Where in a range the first block, or part of a block at its ends, is all zeros.
pub(super) fn first_zeros(source: &dyn Source, range: Range<u64>) -> io::Result<Option<u64>> {
    let mut found = None;
    chunks(source, range, |offset, bytes| {
        let first = usize::try_from(BLOCK - offset % BLOCK).unwrap_or(0).min(bytes.len());
        let (head, rest) = bytes.split_at(first);
        let blocks = std::iter::once(head).chain(rest.chunks(BLOCK as usize));
        let mut at = offset;
        for block in blocks {
            if block.iter().all(|byte| *byte == 0) {
                found = Some(at);
                return false;
            }
            at += block.len() as u64;
        }
        true
    })?;
    Ok(found)
}

/// Whether what is unreadable at `at`, in the last file, can be what a power cut left.
pub(super) fn is_torn(source: &dyn Source, at: u64) -> io::Result<bool> {
    let len = source.len()?;
    let (mut next, mut was_durable) = (len, false);
    headers(source, at + 1..len, |_, header| {
        next = next.min(header.at);
        was_durable = header.durable > at;
        !was_durable
    })?;
    Ok(!was_durable && first_zeros(source, at..next.max(at))?.is_some())
}

/// Calls `with` for each line in a range that is a header and stands where it says, with the offset
/// behind it.
pub(super) fn headers(
    source: &dyn Source,
    range: Range<u64>,
    mut with: impl FnMut(u64, &Header) -> bool,
) -> io::Result<()> {
    let mut at = range.start;
    let mut buffer = vec![0; CHUNK];
    while at < range.end {
        let got = read_full(source, &mut buffer, at)?;
        let bytes = &buffer[..got];
        for found in memchr::memmem::find_iter(bytes, frame::MARK) {
            let offset = at + found as u64;
            if let Some((end, header)) = header_at(source, offset)?
                && header.at >= range.start
                && !with(end, &header)
            {
                return Ok(());
            }
        }
        // A mark may lie across the border.
        let step = if got < CHUNK { got } else { got - (frame::MARK.len() - 1) };
        if step == 0 {
            break;
        }
        at += step as u64;
    }
    Ok(())
}

fn header_at(source: &dyn Source, offset: u64) -> io::Result<Option<(u64, Header)>> {
    let mut line = [0; 160];
    let got = read_full(source, &mut line, offset)?;
    let Some(end) = memchr::memchr(b'\n', &line[..got]) else { return Ok(None) };
    let line = &line[..=end];
    let Some(begin) = frame::begin(line).filter(|b| *b <= offset && offset - *b < 64) else {
        return Ok(None);
    };
    let mut before = vec![0; usize::try_from(offset - begin).unwrap_or(0)];
    read_full(source, &mut before, begin)?;
    Ok(match frame::parse(line, offset, &before) {
        Line::Header(header) => Some((offset + line.len() as u64, header)),
        _ => None,
    })
}

/// A group that the file ends in: hands over the commands of it that are there and cannot have been
/// touched by a power cut, and says what to keep.
pub(super) fn salvage(
    reader: &mut Reader<'_>,
    source: &dyn Source,
    header: &Header,
) -> Result<End, Error> {
    let begin = reader.window.offset();
    let len = reader.window.len();
    let zeros = first_zeros(source, begin..len).map_err(reader.unreadable_file())?;
    let limit = zeros.unwrap_or(len);
    let mut saved = begin..begin;
    loop {
        let at = reader.window.offset();
        let Some(whole) = whole(reader, limit - at)? else { break };
        reader.hand_over(at, whole)?;
        reader.window.consume(whole);
        if reader.open_multi().is_none() {
            saved.end = reader.window.offset();
        }
    }
    let multi = reader.open_multi();
    let offset = multi.map_or(header.at, |multi| multi.min(header.at));
    if offset < header.at {
        saved = begin..begin; // a MULTI of Redis' that was open before the group
    }
    Ok(End::Cut { offset, saved, last: reader.last(), multi: multi.is_some() })
}

/// How long the command here is, if it is whole within `limit` bytes. Afterwards the parser of the
/// reader knows its arguments.
fn whole(reader: &mut Reader<'_>, limit: u64) -> Result<Option<usize>, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parser = Parser::default();
    let mut wanted = 1;
    loop {
        let failed = reader.unreadable_file();
        let bytes = reader.window.peek(wanted).map_err(failed)?;
        let seen = bytes.len();
        match parser.parse(&bytes[..seen.min(limit)]) {
            Parsed::Whole(whole) => {
                reader.use_parser(parser);
                return Ok(Some(whole));
            }
            Parsed::More if seen >= wanted && seen < limit => wanted = seen + 1,
            Parsed::More | Parsed::Bad(_) => return Ok(None),
        }
    }
}

/// Cuts the file to what is valid, and writes what could be saved of its last group as a group of
/// its own. A crash in between loses what was saved: it was not durable before either.
pub(super) fn cut(
    directory: &Directory,
    source: &dyn Source,
    file: &str,
    end: &End,
) -> Result<Cut, Error> {
    let End::Cut { offset, saved, last, .. } = end else {
        return Ok(Cut { file: file.into(), offset: 0, lost: 0 });
    };
    tracing::warn!("!!! Warning: short read while loading the AOF file {file}!!!");
    tracing::warn!("!!! Truncating the AOF {file} at offset {offset} !!!");
    let what = "Error truncating the AOF file";
    let len = source.len().map_err(Error::io(what, file))?;
    let mut group = vec![0; usize::try_from(saved.end - saved.start).unwrap_or(0)];
    read_full(source, &mut group, saved.start).map_err(Error::io(what, file))?;
    let replace = || {
        let to = directory.open_file(file)?;
        to.truncate(*offset)?;
        if !group.is_empty() {
            let (crc, size) = (crc32c(&group), group.len() as u64);
            let header = Header { at: *offset, len: size, durable: 0, last: *last, crc };
            let mut bytes = Vec::with_capacity(group.len() + 100);
            frame::write(&mut bytes, b"", &header);
            bytes.extend_from_slice(&group);
            file::write_all(&*to, &bytes)?;
        }
        to.sync()
    };
    replace().map_err(Error::io(what, file))?;
    tracing::warn!("AOF {file} loaded anyway because aof-load-truncated is enabled");
    Ok(Cut { file: file.into(), offset: *offset, lost: len - offset - group.len() as u64 })
}

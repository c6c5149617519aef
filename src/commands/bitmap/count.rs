//! Counting and finding bits: BITCOUNT, BITPOS.

use super::super::args::integer;
use super::super::slice::{self, Slice};
use super::super::{Cx, Error};
use super::{BIT_NOT_0_OR_1, PIECE};
use crate::db::Str;
use crate::resp::Args;
use crate::types::bitops::{self, Range, Unit};
use bytes::Bytes;

fn unit(word: &[u8]) -> Result<Unit, Error> {
    if word.eq_ignore_ascii_case(b"bit") {
        Ok(Unit::Bit)
    } else if word.eq_ignore_ascii_case(b"byte") {
        Ok(Unit::Byte)
    } else {
        Err(Error::Syntax)
    }
}

/// A long string being walked over, bit by bit, up to and with the bit `last`.
#[derive(Debug)]
struct Scan {
    text: Bytes,
    at: u64,
    last: u64,
    ones: u64,
}

impl Scan {
    /// Of the range of `text`; none if that is short work.
    fn of(text: &Str<'_>, range: Range) -> Option<Box<Self>> {
        let Str::Shared(text) = text else { return None };
        let (at, last) = range.resolve(text.len())?;
        let long = (last - at) / 8 > PIECE as u64;
        long.then(|| Box::new(Self { text: text.clone(), at, last, ones: 0 }))
    }

    /// The next piece; none at the end.
    fn piece(&mut self) -> Option<Range> {
        if self.at > self.last {
            return None;
        }
        let end = self.last.min((self.at / 8 + PIECE as u64) * 8 - 1);
        let range = Range { start: self.at as i64, end: Some(end as i64), unit: Unit::Bit };
        self.at = end + 1;
        Some(range)
    }
}

pub fn bitcount(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    if let Some(scan) = slice::resume::<Scan>(cx) {
        return go_on_counting(cx, scan);
    }
    // As in Redis 7.0, an absent key answers before the range is read.
    let ones = match cx.db.string(key)? {
        Some(text) => match count_range(args)? {
            Some(range) => match Scan::of(&text, range) {
                Some(scan) => return go_on_counting(cx, scan),
                None => text.with(|bytes| bitops::count(bytes, range)),
            },
            None => 0,
        },
        None => 0,
    };
    cx.reply.int(ones as i64);
    Ok(())
}

fn go_on_counting(cx: &mut Cx<'_>, mut scan: Box<Scan>) -> Result<(), Error> {
    let slice = Slice::begin();
    while let Some(piece) = scan.piece() {
        scan.ones += bitops::count(&scan.text, piece);
        if slice.is_over() {
            return Slice::pause(cx, scan);
        }
    }
    cx.reply.int(scan.ones as i64);
    Ok(())
}

/// The range of BITCOUNT; None if it is empty whatever the string.
fn count_range(args: Args<'_>) -> Result<Option<Range>, Error> {
    match args.len() {
        2 => return Ok(Some(Range::ALL)),
        4 | 5 => {}
        _ => return Err(Error::Syntax),
    }
    let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
    if start < 0 && end < 0 && start > end {
        return Ok(None);
    }
    let unit = args.opt(4).map_or(Ok(Unit::Byte), unit)?;
    Ok(Some(Range { start, end: Some(end), unit }))
}

pub fn bitpos(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let bit = match integer(args.get(2))? {
        0 => false,
        1 => true,
        _ => return Err(BIT_NOT_0_OR_1),
    };
    let key = cx.key(args, 1);
    if let Some(scan) = slice::resume::<Scan>(cx) {
        return go_on_looking(cx, scan, bit, position_range(args)?);
    }
    let position = match cx.db.string(key)? {
        Some(text) => {
            let range = position_range(args)?;
            match Scan::of(&text, range) {
                Some(scan) => return go_on_looking(cx, scan, bit, range),
                None => text.with(|bytes| bitops::position(bytes, bit, range)),
            }
        }
        // An absent key is zeros without end, and its range is not even read.
        None => (!bit).then_some(0),
    };
    cx.reply.int(position.map_or(-1, |position| position as i64));
    Ok(())
}

fn go_on_looking(
    cx: &mut Cx<'_>,
    mut scan: Box<Scan>,
    bit: bool,
    range: Range,
) -> Result<(), Error> {
    let slice = Slice::begin();
    while let Some(piece) = scan.piece() {
        if let Some(position) = bitops::position(&scan.text, bit, piece) {
            cx.reply.int(position as i64);
            return Ok(());
        }
        if slice.is_over() {
            return Slice::pause(cx, scan);
        }
    }
    // Behind a range with an open end there are zeros.
    let behind = (!bit && range.end.is_none()).then_some(scan.text.len() as i64 * 8);
    cx.reply.int(behind.unwrap_or(-1));
    Ok(())
}

fn position_range(args: Args<'_>) -> Result<Range, Error> {
    if args.len() > 6 {
        return Err(Error::Syntax);
    }
    let start = args.opt(3).map_or(Ok(0), integer)?;
    let unit = args.opt(5).map_or(Ok(Unit::Byte), unit)?;
    let end = args.opt(4).map(integer).transpose()?;
    Ok(Range { start, end, unit })
}

//! Bits of strings: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD.
//!
//! Arguments and replies are here, the arithmetic is in [`bitops`]. A command that would write what
//! is there already writes nothing, so that nobody who watches the key is told of a change.
//!
//! Strings of more than [`PIECE`] bytes are counted, searched and combined in slices, so that other
//! clients of the worker need not wait for hundreds of megabytes. They are held by reference meanwhile,
//! and the answer is of the moment at which the command began.

use super::args::integer;
use super::event::Class;
use super::notes::{Notes, at};
use super::slice::{self, Slice};
use super::sources::Sources;
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Access, Expiry, INLINE_LIMIT, Key, New, Str, WrongType};
use crate::resp::Args;
use crate::types::bitops::{self, Field, Op, Overflow, Range, Unit};
use bytes::Bytes;

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const READ_KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];

const fn row(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Bitmap, run).acl(&["bitmap"])
}

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    row("bitcount", -2, bitcount)
        .notes(&BITCOUNT)
        .flags(READ)
        .keys(READ_KEY)
        .doc("2.6.0", "key [start end [BYTE | BIT]]", "Counts the bits of a string that are set.")
        .cost("O(N), N being the bytes looked at."),
    row("bitfield", -2, bitfield)
        .notes(&BITFIELD)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, &["RW", "UPDATE", "ACCESS", "VARIABLE_FLAGS"])
            .note("Whether it reads, writes or both depends on the operations.")])
        .doc("3.2.0", BITFIELD_SYNTAX, "Reads and changes integers of any width in a string.")
        .cost("O(1) for each operation."),
    row("bitfield_ro", -2, bitfield_ro)
        .flags(READ.and(Flags::FAST))
        .keys(READ_KEY)
        .doc(
            "6.0.0",
            "key [GET encoding offset [GET encoding offset ...]]",
            "Reads integers of any width in a string.",
        )
        .cost("O(1) for each operation."),
    row("bitop", -4, bitop)
        .flags(WRITE)
        .keys(&[KeySpec::one(2, &["OW", "UPDATE"]), KeySpec::range(3, -1, 1, &["RO", "ACCESS"])])
        .doc(
            "2.6.0",
            "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
            "Combines strings bit by bit and stores the result.",
        )
        .cost("O(N), N being the bytes of all sources."),
    row("bitpos", -3, bitpos)
        .notes(&BITPOS)
        .flags(READ)
        .keys(READ_KEY)
        .doc(
            "2.8.7",
            "key bit [start [end [BYTE | BIT]]]",
            "Finds the first bit of a string that is set, or clear.",
        )
        .cost("O(N), N being the bytes looked at."),
    row("getbit", 3, getbit).flags(READ.and(Flags::FAST)).keys(READ_KEY).doc(
        "2.2.0",
        "key offset",
        "Returns one bit of a string.",
    ),
    row("setbit", 4, setbit)
        .notes(&SETBIT)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])])
        .doc("2.2.0", "key offset value", "Sets or clears one bit of a string, lengthening it.")
        .cost("O(1), and the bytes appended."),
];

const UNIT: &str = "byte_bit";
const UNIT_CAME: &[(&str, &str)] = &[("7.0.0", "The option `BYTE|BIT`.")];
const BITCOUNT: Notes = Notes::args(&[
    at("start_end_byte_bit").name("index"),
    at(UNIT).name("index_unit").since("7.0.0"),
])
.changed(UNIT_CAME);
const BITPOS: Notes = Notes::args(&[
    at("start_end_byte_bit").name("index"),
    at("end_byte_bit").name("end_index"),
    at(UNIT).name("index_unit").since("7.0.0"),
])
.changed(UNIT_CAME);
const SETBIT: Notes = Notes::args(&[at("value").kind("integer")]);
const BITFIELD: Notes = Notes::args(&[
    at("encoding_offset_wrap_sat_fail_encoding_offset_value_encoding_offset_increment")
        .name("operation"),
    at("wrap_sat_fail_encoding_offset_value_encoding_offset_increment").name("write"),
    at("encoding_offset_value_encoding_offset_increment").name("write_operation"),
    at("value").kind("integer"),
]);

const BITFIELD_SYNTAX: &str = "key [<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
    <SET encoding offset value | INCRBY encoding offset increment>> ...]";

const BAD_OFFSET: Error = Error::new("ERR bit offset is not an integer or out of range");
const BAD_BIT: Error = Error::new("ERR bit is not an integer or out of range");
const BIT_NOT_0_OR_1: Error = Error::new("ERR The bit argument must be 1 or 0.");
const BAD_FIELD: Error = Error::new(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);
const BAD_OVERFLOW: Error = Error::new("ERR Invalid OVERFLOW type specified");
const GET_ONLY: Error = Error::new("ERR BITFIELD_RO only supports the GET subcommand");

fn offset(cx: &Cx<'_>, text: &[u8], field_bits: Option<u32>) -> Result<u64, Error> {
    let len_max = cx.local.config.proto_max_bulk_len;
    bitops::parse_offset(text, field_bits, len_max).ok_or(BAD_OFFSET)
}

fn setbit(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = offset(cx, args.get(2), None)?;
    let on = match args.get(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(BAD_BIT),
    };
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let is_so = |bytes: &[u8]| {
        bitops::len_holding(offset) <= bytes.len() as u64 && bitops::get_bit(bytes, offset) == on
    };
    let mut changed = false;
    let was = match write.text()? {
        Some(text) if text.with(is_so) => on,
        // An edit in place needs the only reference to the text.
        text => {
            drop(text);
            changed = true;
            write.edit(|bytes| bitops::set_bit(bytes, offset, on))
        }
    };
    drop(write);
    if changed {
        cx.event(Class::STRING, "setbit", key.bytes);
    }
    cx.reply.int(i64::from(was));
    Ok(())
}

fn getbit(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = offset(cx, args.get(2), None)?;
    let key = cx.key(args, 1);
    let text = cx.db.string(key)?;
    let on = text.is_some_and(|text| text.with(|bytes| bitops::get_bit(bytes, offset)));
    cx.reply.int(i64::from(on));
    Ok(())
}

fn unit(word: &[u8]) -> Result<Unit, Error> {
    if word.eq_ignore_ascii_case(b"bit") {
        Ok(Unit::Bit)
    } else if word.eq_ignore_ascii_case(b"byte") {
        Ok(Unit::Byte)
    } else {
        Err(Error::Syntax)
    }
}

/// Bytes worked on between two looks at the time.
const PIECE: usize = 256 * 1024;

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

fn bitcount(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
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

fn bitpos(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
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

fn bitop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let op = Op::parse(args.get(1)).ok_or(Error::Syntax)?;
    op.check_sources(args.len() - 3).map_err(Error::new)?;
    let keys: Vec<Key<'_>> = (2..args.len()).map(|i| cx.key(args, i)).collect();
    if let Some(combining) = slice::resume::<Combining>(cx) {
        return go_on_combining(cx, combining, op, &keys);
    }
    let seen = Sources::read(&mut cx.db, &keys[1..])?;
    if seen.longest() > PIECE {
        return go_on_combining(cx, Box::new(Combining::of(&seen, 1)), op, &keys);
    }
    let draft = combine(op, &seen);
    let stored = cx.db.hold(&keys, |db| -> Result<Stored, WrongType> {
        let now = Sources::read_again(db, &keys[1..])?;
        let result = if now.are(&seen) { draft } else { combine(op, &now) };
        Ok(store(db, keys[0], result))
    })?;
    tell(cx, keys[0], stored);
    Ok(())
}

/// What BITOP did: the length of the result, and the event that tells of it.
type Stored = (usize, Option<&'static str>);

/// Stores the result of BITOP.
fn store(db: &mut Access<'_>, key: Key<'_>, result: Vec<u8>) -> Stored {
    let len = result.len();
    let mut write = db.write(key);
    if len == 0 {
        return (len, write.remove().then_some("del"));
    } else if len < INLINE_LIMIT {
        write.set(New::Edited(&result), Expiry::Never);
    } else {
        write.set(New::Shared(Bytes::from(result)), Expiry::Never);
    }
    (len, Some("set"))
}

fn tell(cx: &mut Cx<'_>, key: Key<'_>, (len, word): Stored) {
    if let Some(word) = word {
        let class = if word == "del" { Class::GENERIC } else { Class::STRING };
        cx.event(class, word, key.bytes);
    }
    cx.reply.count(len);
}

/// How often BITOP begins anew when a source changed while it ran; then it works under the stripes.
const ATTEMPTS: u32 = 3;

/// Long strings being combined.
#[derive(Debug)]
struct Combining {
    attempt: u32,
    sources: Vec<Bytes>,
    len: usize,
    /// The result so far.
    out: Vec<u8>,
}

impl Combining {
    fn of(sources: &Sources<'_>, attempt: u32) -> Self {
        let len = sources.longest();
        Self { attempt, sources: sources.kept(), len, out: Vec::with_capacity(len) }
    }
}

fn go_on_combining(
    cx: &mut Cx<'_>,
    mut work: Box<Combining>,
    op: Op,
    keys: &[Key<'_>],
) -> Result<(), Error> {
    let slice = Slice::begin();
    loop {
        let Combining { sources, len, out, .. } = &mut *work;
        let slices: Vec<&[u8]> = sources.iter().map(|source| &source[..]).collect();
        while out.len() < *len {
            op.extend(&slices, out, (out.len() + PIECE).min(*len));
            if slice.is_over() && out.len() < *len {
                return Slice::pause(cx, work);
            }
        }
        let stored = cx.db.hold(keys, |db| -> Result<Option<Stored>, WrongType> {
            let now = Sources::read_again(db, &keys[1..])?;
            let result = match () {
                () if now.are_still(&work.sources) => std::mem::take(&mut work.out),
                () if work.attempt >= ATTEMPTS => combine(op, &now),
                () => {
                    *work = Combining::of(&now, work.attempt + 1);
                    return Ok(None);
                }
            };
            Ok(Some(store(db, keys[0], result)))
        })?;
        if let Some(stored) = stored {
            tell(cx, keys[0], stored);
            return Ok(());
        }
    }
}

fn combine(op: Op, sources: &Sources<'_>) -> Vec<u8> {
    let texts: Vec<_> = sources.texts().map(Option::unwrap_or_default).collect();
    let slices: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
    op.combine(&slices)
}

/// One operation of BITFIELD.
#[derive(Clone, Copy)]
struct Operation {
    field: Field,
    offset: u64,
    action: Action,
    overflow: Overflow,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

impl Operation {
    /// What it answers given the string, and what it writes, if it does.
    fn plan(&self, bytes: &[u8]) -> (Option<i64>, Option<i64>) {
        let current = self.field.get(bytes, self.offset);
        match self.action {
            Action::Get => (Some(current), None),
            Action::Set(value) => {
                let new = self.field.setting(value, self.overflow);
                (new.map(|_| current), new)
            }
            Action::Add(by) => {
                let new = self.field.adding(current, by, self.overflow);
                (new, new)
            }
        }
    }

    /// Whether it counts as a change of the string. Adding always does, as in Redis.
    fn changes(&self, bytes: &[u8]) -> bool {
        match (self.action, self.plan(bytes)) {
            (Action::Set(_), (old, new)) => new.is_some() && old != new,
            (_, (_, new)) => new.is_some(),
        }
    }

    fn run(&self, bytes: &mut Vec<u8>) -> Option<i64> {
        let (answer, new) = self.plan(bytes);
        if let Some(new) = new {
            self.field.put(bytes, self.offset, new);
        }
        answer
    }
}

fn parse_operations(cx: &Cx<'_>, args: Args<'_>) -> Result<Vec<Operation>, Error> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while at < args.len() {
        let left = args.len() - at - 1;
        if args.is(at, "overflow") && left >= 1 {
            overflow = Overflow::parse(args.get(at + 1)).ok_or(BAD_OVERFLOW)?;
            at += 2;
            continue;
        }
        let writes = args.is(at, "set") || args.is(at, "incrby");
        if !(writes && left >= 3 || args.is(at, "get") && left >= 2) {
            return Err(Error::Syntax);
        }
        let field = Field::parse(args.get(at + 1)).ok_or(BAD_FIELD)?;
        let offset = offset(cx, args.get(at + 2), Some(field.bits()))?;
        let action = match writes {
            false => Action::Get,
            true if args.is(at, "set") => Action::Set(integer(args.get(at + 3))?),
            true => Action::Add(integer(args.get(at + 3))?),
        };
        operations.push(Operation { field, offset, action, overflow });
        at += if writes { 4 } else { 3 };
    }
    Ok(operations)
}

fn bitfield(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let operations = parse_operations(cx, args)?;
    let writes = operations.iter().filter(|op| !matches!(op.action, Action::Get));
    match writes.map(|op| op.field.last_bit(op.offset)).max() {
        Some(last_bit) => change_fields(cx, args, &operations, last_bit),
        None => read_fields(cx, args, &operations),
    }
}

fn bitfield_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let operations = parse_operations(cx, args)?;
    if operations.iter().any(|op| !matches!(op.action, Action::Get)) {
        return Err(GET_ONLY);
    }
    read_fields(cx, args, &operations)
}

fn read_fields(cx: &mut Cx<'_>, args: Args<'_>, operations: &[Operation]) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let text = cx.db.string(key)?.unwrap_or(Str::Slice(b""));
    text.with(|bytes| {
        cx.reply.array(operations.len());
        operations.iter().for_each(|op| cx.reply.int(op.field.get(bytes, op.offset)));
    });
    Ok(())
}

/// The string is made long enough for all writes first, even if in the end all of them fail.
fn change_fields(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    operations: &[Operation],
    last_bit: u64,
) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    // Up to the first that changes something all operations see the string as it is, so this tells
    // whether any does.
    let stays = |bytes: &[u8]| {
        bitops::len_holding(last_bit) <= bytes.len() as u64
            && !operations.iter().any(|op| op.changes(bytes))
    };
    let mut changed = false;
    let answers: Vec<Option<i64>> = match write.text()? {
        Some(text) if text.with(stays) => {
            text.with(|bytes| operations.iter().map(|op| op.plan(bytes).0).collect())
        }
        text => {
            drop(text);
            changed = true;
            write.edit(|bytes| {
                bitops::grow(bytes, last_bit);
                operations.iter().map(|op| op.run(bytes)).collect()
            })
        }
    };
    drop(write);
    if changed {
        cx.event(Class::STRING, "setbit", key.bytes);
    }
    cx.reply.array(answers.len());
    for answer in answers {
        match answer {
            Some(value) => cx.reply.int(value),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

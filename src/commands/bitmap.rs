//! Bits of strings: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD.
//!
//! Arguments and replies are here, the arithmetic is in [`bitops`]. A command that would write what
//! is there already writes nothing, so that nobody who watches the key is told of a change.
//!
//! Strings of more than [`PIECE`] bytes are counted, searched and combined in slices, so that other
//! clients of the worker need not wait for hundreds of megabytes. They are held by reference meanwhile,
//! and the answer is of the moment at which the command began.

mod bit;
mod combine;
mod count;
mod field;

use super::notes::{Notes, at};
use super::table::ANY;
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::types::bitops;

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const READ_KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];

const fn row(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Bitmap, run).acl(&["bitmap"])
}

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    row("bitcount", -2, count::bitcount)
        .notes(&BITCOUNT)
        .flags(READ)
        .keys(READ_KEY)
        .doc("2.6.0", "key [start end [BYTE | BIT]]", "Counts the bits of a string that are set.")
        .cost("O(N), N being the bytes looked at."),
    row("bitfield", -2, field::bitfield)
        .notes(&BITFIELD)
        .flags(WRITE)
        .keys(&[KeySpec::one(1, &["RW", "UPDATE", "ACCESS", "VARIABLE_FLAGS"])
            .note("Whether it reads, writes or both depends on the operations.")])
        .doc("3.2.0", BITFIELD_SYNTAX, "Reads and changes integers of any width in a string.")
        .cost("O(1) for each operation."),
    row("bitfield_ro", -2, field::bitfield_ro)
        .flags(READ.and(Flags::FAST))
        .keys(READ_KEY)
        .doc(
            "6.0.0",
            "key [GET encoding offset [GET encoding offset ...]]",
            "Reads integers of any width in a string.",
        )
        .cost("O(1) for each operation."),
    row("bitop", -4, combine::bitop)
        .flags(WRITE)
        .keys(&[KeySpec::one(2, &["OW", "UPDATE"]), KeySpec::range(3, -1, 1, &["RO", "ACCESS"])])
        .doc(
            "2.6.0",
            "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
            "Combines strings bit by bit and stores the result.",
        )
        .cost("O(N), N being the bytes of all sources."),
    row("bitpos", -3, count::bitpos)
        .notes(&BITPOS)
        .flags(READ)
        .keys(READ_KEY)
        .doc(
            "2.8.7",
            "key bit [start [end [BYTE | BIT]]]",
            "Finds the first bit of a string that is set, or clear.",
        )
        .cost("O(N), N being the bytes looked at."),
    row("getbit", 3, bit::getbit).flags(READ.and(Flags::FAST)).keys(READ_KEY).doc(
        "2.2.0",
        "key offset",
        "Returns one bit of a string.",
    ),
    row("setbit", 4, bit::setbit)
        .one_write(ANY)
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

/// Bytes worked on between two looks at the time.
const PIECE: usize = 256 * 1024;

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

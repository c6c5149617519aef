//! The sparse encoding: registers in order, as runs of equal values.
//!
//! ```text
//!   ZERO   00xxxxxx            x + 1 registers of value 0    (1 to 64)
//!   XZERO  01xxxxxx xxxxxxxx   x + 1 registers of value 0    (1 to 16,384)
//!   VAL    1vvvvvxx            x + 1 registers (1 to 4) of value v + 1 (1 to 32)
//! ```
//! A value is well-formed if its runs cover the 16,384 registers exactly. Which of the possible
//! spellings a sequence of PFADDs leaves is part of byte compatibility: a change splits one run in
//! place, then neighbours are merged within five opcodes, starting one opcode before it.

use super::{Corrupted, REGISTERS};

const VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
const ZERO_RUN_MAX: usize = 64;
/// How many opcodes are looked at for merging after a change.
const MERGE_STEPS: usize = 5;

/// One decoded run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opcode {
    kind: Kind,
    /// Zero for both kinds of zeros.
    value: u8,
    /// Registers covered.
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zero,
    Xzero,
    Val,
}

impl Opcode {
    /// The opcode at the front; None if there is none, or only its first half.
    fn parse(bytes: &[u8]) -> Option<Opcode> {
        let first = *bytes.first()?;
        Some(match first >> 6 {
            0 => Opcode { kind: Kind::Zero, value: 0, len: usize::from(first) + 1 },
            1 => {
                let len = u16::from_be_bytes([first & 0x3f, *bytes.get(1)?]);
                Opcode { kind: Kind::Xzero, value: 0, len: usize::from(len) + 1 }
            }
            _ => {
                let (value, len) = ((first >> 2 & 31) + 1, usize::from(first & 3) + 1);
                Opcode { kind: Kind::Val, value, len }
            }
        })
    }

    /// Bytes it takes.
    fn size(self) -> usize {
        if self.kind == Kind::Xzero { 2 } else { 1 }
    }
}

/// A new spelling for one run: at most two runs of zeros around a value.
#[derive(Default)]
struct Spelling {
    bytes: [u8; 5],
    len: usize,
}

impl Spelling {
    /// `len` (at most 16,384) registers of `value` (at most 32); for values above zero at most 4.
    fn push(&mut self, value: u8, len: usize) {
        match (value, len) {
            (_, 0) => {}
            (0, 1..=ZERO_RUN_MAX) => self.push_byte((len - 1) as u8),
            (0, _) => zeros(len).iter().for_each(|&byte| self.push_byte(byte)),
            _ => self.push_byte(val(value, len)),
        }
    }

    fn push_byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn val(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// The XZERO opcode for `len` registers, 1 to 16,384.
pub(super) fn zeros(len: usize) -> [u8; 2] {
    [0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]
}

/// What became of a value that was to be changed.
pub(super) enum Update {
    /// The register was high enough.
    Unchanged,
    Changed,
    /// Nothing was changed: the sparse encoding cannot hold the result, or must not.
    MustBeDense,
}

/// Raises one register (`(index, run)`) of the value whose opcodes begin at `start` of `bytes`.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    start: usize,
    (index, run): (usize, u8),
    len_max: usize,
) -> Result<Update, Corrupted> {
    if run > VALUE_MAX {
        return Ok(Update::MustBeDense);
    }
    let Place { at, before, first, opcode } = find(&bytes[start..], index)?;
    let (at, before) = (start + at, start + before);
    if opcode.value >= run {
        return Ok(Update::Unchanged);
    }
    let mut spelling = Spelling::default();
    spelling.push(opcode.value, index - first);
    spelling.push(run, 1);
    spelling.push(opcode.value, first + opcode.len - 1 - index);
    let new_len = bytes.len() - opcode.size() + spelling.len;
    if new_len > bytes.len() && new_len > len_max {
        return Ok(Update::MustBeDense);
    }
    bytes.splice(at..at + opcode.size(), spelling.bytes().iter().copied());
    merge_neighbours(bytes, before);
    Ok(Update::Changed)
}

/// The value of one register, as far as the opcodes before it and its own are well-formed.
pub(super) fn register(opcodes: &[u8], index: usize) -> Result<u8, Corrupted> {
    find(opcodes, index).map(|place| place.opcode.value)
}

/// Where a register is.
struct Place {
    /// Offset of the opcode that covers it.
    at: usize,
    /// Offset of the opcode before that (itself if it is the first).
    before: usize,
    /// The first register the opcode covers.
    first: usize,
    opcode: Opcode,
}

fn find(opcodes: &[u8], index: usize) -> Result<Place, Corrupted> {
    let (mut at, mut before, mut first) = (0, 0, 0);
    loop {
        let opcode = Opcode::parse(&opcodes[at..]).ok_or(Corrupted)?;
        if first + opcode.len > REGISTERS {
            return Err(Corrupted);
        }
        if index < first + opcode.len {
            return Ok(Place { at, before, first, opcode });
        }
        before = at;
        at += opcode.size();
        first += opcode.len;
    }
}

/// Joins VAL opcodes of one value that stand side by side, from offset `at` on.
fn merge_neighbours(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..MERGE_STEPS {
        let Some(left) = Opcode::parse(bytes.get(at..).unwrap_or(&[])) else { return };
        if left.kind == Kind::Val
            && let Some(right) = Opcode::parse(&bytes[at + 1..])
            && (right.kind, right.value) == (Kind::Val, left.value)
            && left.len + right.len <= VALUE_RUN_MAX
        {
            bytes[at + 1] = val(left.value, left.len + right.len);
            bytes.remove(at);
            continue;
        }
        at += left.size();
    }
}

/// The runs in order, each as (value, registers covered); an error ends them.
pub(super) fn runs(opcodes: &[u8]) -> impl Iterator<Item = Result<(u8, usize), Corrupted>> + '_ {
    opcodes_of(opcodes).map(|opcode| opcode.map(|opcode| (opcode.value, opcode.len)))
}

fn opcodes_of(mut rest: &[u8]) -> impl Iterator<Item = Result<Opcode, Corrupted>> + '_ {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let opcode = Opcode::parse(rest);
        rest = opcode.map_or(&[], |opcode| &rest[opcode.size()..]);
        Some(opcode.ok_or(Corrupted))
    })
}

/// The opcodes as PFDEBUG DECODE shows them: `z:len`, `Z:len`, `v:value,len`.
pub(super) fn describe(opcodes: &[u8]) -> Result<String, Corrupted> {
    let mut words = Vec::new();
    for opcode in opcodes_of(opcodes) {
        let Opcode { kind, value, len } = opcode?;
        words.push(match kind {
            Kind::Zero => format!("z:{len}"),
            Kind::Xzero => format!("Z:{len}"),
            Kind::Val => format!("v:{value},{len}"),
        });
    }
    Ok(words.join(" "))
}

//! Integers of any width among the bits: BITFIELD.

use super::super::args::integer;
use super::super::event::Class;
use super::super::{Cx, Error};
use super::{BAD_FIELD, BAD_OVERFLOW, GET_ONLY, offset};
use crate::db::Str;
use crate::resp::Args;
use crate::types::bitops::{self, Field, Overflow};

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

pub fn bitfield(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let operations = parse_operations(cx, args)?;
    let writes = operations.iter().filter(|op| !matches!(op.action, Action::Get));
    match writes.map(|op| op.field.last_bit(op.offset)).max() {
        Some(last_bit) => change_fields(cx, args, &operations, last_bit),
        None => read_fields(cx, args, &operations),
    }
}

pub fn bitfield_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
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

//! Streams: a listpack for each block, then the bounds, then the groups.
//!
//! ```text
//!   listpack: count | deleted | names: how many, each, 0 | entry | entry ...
//!   entry:    flags | ms, seq beyond the first | values (or how many, name, value, ...) | elements
//! ```
//! Bounds and groups are written when the value is taken and kept until the blocks are done: as bytes
//! they take less than as a copy of the maps, and what changes meanwhile are maps.

use super::super::lzf::Packer;
use super::super::wire;
use super::listpack::Pack;
use crate::types::packed::Element;
use crate::types::stream::{Group, Id, Range, Stream};
use std::collections::VecDeque;

const SAME_NAMES: i64 = 2;

/// Blocks that remain to be written.
#[derive(Debug)]
pub struct Blocks {
    range: Range,
    /// How many entries of each block.
    counts: VecDeque<usize>,
    tail: Vec<u8>,
    pack: Pack,
}

impl Blocks {
    /// Those of `stream`; writes how many there are.
    pub fn new(stream: &Stream, out: &mut Vec<u8>) -> Self {
        let range = stream.range(Id::MIN, Id::MAX, usize::MAX, false);
        let counts: VecDeque<usize> = range.counts().collect();
        wire::length(out, counts.len() as u64);
        let mut tail = Vec::new();
        bounds(stream, &mut tail);
        wire::length(&mut tail, stream.groups().len() as u64);
        stream.groups().for_each(|(name, of)| group(name, of, &mut tail));
        Self { range, counts, tail, pack: Pack::new() }
    }

    /// Writes blocks with about `count` entries. False if there are no more.
    pub fn next(
        &mut self,
        count: usize,
        mut packer: Option<&mut Packer>,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut written = 0;
        while written < count {
            let Some(entries) = self.counts.pop_front() else {
                out.append(&mut self.tail);
                return false;
            };
            self.block(entries, packer.as_deref_mut(), out);
            written += entries;
        }
        true
    }

    fn block(&mut self, entries: usize, packer: Option<&mut Packer>, out: &mut Vec<u8>) {
        let pack = &mut self.pack;
        pack.clear();
        let (mut first, mut names): (Option<Id>, Vec<u8>) = (None, Vec::new());
        for _ in 0..entries {
            let Some(entry) = self.range.next_entry() else { break };
            let fields = entry.fields();
            let begin = *first.get_or_insert_with(|| {
                pack.int(entries as i64);
                pack.int(0);
                pack.int(entry.len() as i64);
                for (name, _) in fields.clone() {
                    pack.element(&name);
                    name.push(&mut names);
                }
                pack.int(0);
                entry.id
            });
            let from = pack.len();
            let same = has_names(fields.clone().map(|(name, _)| name), &names);
            pack.int(if same { SAME_NAMES } else { 0 });
            pack.int(entry.id.ms.wrapping_sub(begin.ms).cast_signed());
            pack.int(entry.id.seq.wrapping_sub(begin.seq).cast_signed());
            if !same {
                pack.int(entry.len() as i64);
            }
            for (name, value) in fields {
                if !same {
                    pack.element(&name);
                }
                pack.element(&value);
            }
            pack.int((pack.len() - from) as i64);
        }
        let first = first.unwrap_or(Id::MIN);
        wire::length(out, 16);
        raw_id(first, out);
        wire::text(out, pack.finish(), packer);
    }
}

/// Whether an entry has exactly the names that stand in `packed`.
fn has_names<'e>(names: impl Iterator<Item = Element<'e>>, packed: &[u8]) -> bool {
    let mut expected = crate::types::packed::Packed::new(packed).iter();
    let mut names = names;
    loop {
        match (names.next(), expected.next()) {
            (None, None) => return true,
            (Some(name), Some(other)) if name == other => {}
            _ => return false,
        }
    }
}

fn raw_id(id: Id, out: &mut Vec<u8>) {
    out.extend_from_slice(&id.ms.to_be_bytes());
    out.extend_from_slice(&id.seq.to_be_bytes());
}

fn short_id(id: Id, out: &mut Vec<u8>) {
    wire::length(out, id.ms);
    wire::length(out, id.seq);
}

fn bounds(stream: &Stream, out: &mut Vec<u8>) {
    let bounds = stream.bounds();
    wire::length(out, bounds.len);
    short_id(bounds.last, out);
    short_id(bounds.first, out);
    short_id(bounds.deleted, out);
    wire::length(out, bounds.added);
}

fn group(name: &[u8], group: &Group, out: &mut Vec<u8>) {
    wire::raw(out, name);
    short_id(group.last, out);
    wire::length(out, group.read.unwrap_or(u64::MAX)); // all bits: it is not known
    wire::length(out, group.len() as u64);
    for (id, pending) in group.pending(Id::MIN, Id::MAX) {
        raw_id(id, out);
        wire::time(out, pending.delivered);
        wire::length(out, pending.count);
    }
    wire::length(out, group.consumers_len() as u64);
    for consumer in group.consumers() {
        wire::raw(out, consumer.name());
        wire::time(out, consumer.seen);
        wire::length(out, consumer.len() as u64);
        consumer.pending(Id::MIN).for_each(|id| raw_id(id, out));
    }
}

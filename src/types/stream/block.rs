//! A block of a stream: entries one after the other, named by differences from the first.
//!
//! ```text
//!   bytes  ┌────────────────────┬───────┬───────┬───────┐
//!          │ names of the first │ entry │ entry │ entry │
//!          └────────────────────┴───────┴───────┴───────┘
//!   entry  flags │ ms since the first │ seq │ values                      │ size
//!                                           │ number, name, value, ...    │        OWN
//! ```
//! Names and values are elements of packed sequences; numbers are written seven bits a byte, the low
//! ones first. An entry with the names of the block's first entry, in the same order, stores none.
//! `seq` counts from the first entry's within the same millisecond, else from 0. The size of all
//! before it stands at the end, to be read backwards. So an entry `* field value` costs five bytes
//! beside its value.
//!
//! - **T1** Behind the names are `live` entries that are there and at most `gone` that are deleted;
//!   others of the `gone` were squeezed out.
//! - **T2** All entries lie from `first` to `last`, in ascending order; `last` may be gone.

use super::id::Id;
use crate::mem;
use crate::types::packed::{self, Element};

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) first: Id,
    /// The highest name ever in here.
    pub(super) last: Id,
    bytes: Vec<u8>,
    /// Where the entries begin.
    names: usize,
    /// How many names there are.
    fields: usize,
    pub(super) live: usize,
    /// Entries deleted since the block began: they count where its size is judged.
    gone: usize,
}

/// The entry is deleted.
const GONE: u8 = 1;
/// The entry has names of its own.
const OWN: u8 = 2;

/// What a block may hold before the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Bytes, with the entry to come.
    pub bytes: usize,
    /// Entries, those deleted included.
    pub entries: usize,
}

impl Limit {
    /// From the parameters stream-node-max-bytes and stream-node-max-entries, whose 0 is no bound.
    pub fn from_parameters(bytes: u64, entries: u64) -> Self {
        let or_none = |value: u64| match usize::try_from(value) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(value) => value,
        };
        Self { bytes: or_none(bytes).min(LARGEST), entries: or_none(entries) }
    }
}

/// No block grows beyond this, nor may the texts of one entry: a GiB.
pub const LARGEST: usize = 1 << 30;

/// An entry where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'b> {
    /// Its name.
    pub id: Id,
    /// Names of the block's first entry, if this one has the same.
    names: Option<&'b [u8]>,
    body: &'b [u8],
    fields: usize,
    flags: u8,
    at: usize,
}

impl<'b> Entry<'b> {
    /// How many pairs of name and value it has.
    pub const fn len(&self) -> usize {
        self.fields
    }

    /// Whether there are none; there is one at least.
    pub const fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Its names and values.
    pub const fn fields(&self) -> Fields<'b> {
        Fields { names: self.names, body: self.body, left: self.fields }
    }

    /// Where in its block it stands.
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    /// Whether it is deleted.
    pub(super) const fn is_gone(&self) -> bool {
        self.flags & GONE != 0
    }
}

/// Names and values of an entry.
#[derive(Debug, Clone)]
pub struct Fields<'b> {
    names: Option<&'b [u8]>,
    body: &'b [u8],
    left: usize,
}

impl<'b> Iterator for Fields<'b> {
    type Item = (Element<'b>, Element<'b>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = take(self.names.as_mut().unwrap_or(&mut self.body))?;
        Some((name, take(&mut self.body)?))
    }
}

#[inline]
fn take<'b>(bytes: &mut &'b [u8]) -> Option<Element<'b>> {
    let (element, size) = packed::decode(bytes)?;
    *bytes = &bytes[size..];
    Some(element)
}

impl Block {
    /// A block that begins with `id`, whose names are every second one of `texts`, and no entry yet.
    pub(super) fn begin<'t>(id: Id, room: usize, texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut bytes = Vec::with_capacity(mem::class(room.max(SMALLEST)));
        let mut fields = 0;
        for name in texts.step_by(2) {
            Element::of(name).push(&mut bytes);
            fields += 1;
        }
        let names = bytes.len();
        Self { first: id, last: id, bytes, names, fields, live: 0, gone: 0 }
    }

    /// Whether `added` bytes of texts may join.
    #[inline]
    pub(super) fn admits(&self, added: usize, limit: Limit) -> bool {
        self.bytes.len() + added < limit.bytes && self.live + self.gone < limit.entries
    }

    /// Bytes that the names and entries take.
    pub(super) const fn used(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that the block takes in memory, its own head included.
    #[inline]
    pub(super) fn weight(&self) -> usize {
        mem::class(self.bytes.capacity()) + mem::class(size_of::<Self>() + 2 * size_of::<usize>())
    }

    /// Adds an entry behind all others; `texts` are names and values.
    #[inline]
    pub(super) fn push<'t>(&mut self, id: Id, texts: impl Iterator<Item = &'t [u8]> + Clone) {
        let from = self.bytes.len();
        let same = self.has_names(texts.clone());
        self.bytes.push(if same { 0 } else { OWN });
        let ms = id.ms.wrapping_sub(self.first.ms);
        push_number(&mut self.bytes, ms);
        push_number(
            &mut self.bytes,
            if ms == 0 { id.seq.wrapping_sub(self.first.seq) } else { id.seq },
        );
        if same {
            texts.skip(1).step_by(2).for_each(|value| Element::of(value).push(&mut self.bytes));
        } else {
            push_number(&mut self.bytes, texts.clone().count() as u64 / 2);
            texts.for_each(|text| Element::of(text).push(&mut self.bytes));
        }
        let size = self.bytes.len() - from;
        push_size(&mut self.bytes, size);
        self.last = id;
        self.live += 1;
    }

    fn has_names<'t>(&self, texts: impl Iterator<Item = &'t [u8]>) -> bool {
        let mut names = &self.bytes[..self.names];
        let same = |text: &[u8]| match take(&mut names) {
            Some(Element::Str(name)) => name == text,
            Some(name) => Element::of(text) == name,
            None => false,
        };
        texts.step_by(2).all(same) && names.is_empty()
    }

    /// Where the entries begin and end.
    pub(super) const fn places(&self) -> (usize, usize) {
        (self.names, self.bytes.len())
    }

    /// The entry at a place, deleted or not, and the place behind it.
    #[inline]
    pub(super) fn entry(&self, at: usize) -> Option<(Entry<'_>, usize)> {
        let bytes = self.bytes.get(at..)?;
        let (&flags, mut rest) = bytes.split_first()?;
        let (ms, seq) = (take_number(&mut rest)?, take_number(&mut rest)?);
        let seq = if ms == 0 { self.first.seq.wrapping_add(seq) } else { seq };
        let id = Id { ms: self.first.ms.wrapping_add(ms), seq };
        let own = flags & OWN != 0;
        let fields = if own { take_number(&mut rest)? as usize } else { self.fields };
        let mut body = 0;
        for _ in 0..if own { 2 * fields } else { fields } {
            body += packed::size(&rest[body..])?;
        }
        let names = (!own).then(|| &self.bytes[..self.names]);
        let size = bytes.len() - rest.len() + body;
        let entry = Entry { id, names, body: &rest[..body], fields, flags, at };
        Some((entry, at + size + size_of_size(size)))
    }

    /// The entry that ends at a place, deleted or not.
    #[inline]
    pub(super) fn entry_before(&self, at: usize) -> Option<Entry<'_>> {
        if at <= self.names {
            return None;
        }
        let (mut size, mut shift, mut from) = (0, 0, at);
        loop {
            from = from.checked_sub(1)?;
            let byte = *self.bytes.get(from)?;
            size |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        Some(self.entry(from.checked_sub(size)?)?.0)
    }

    /// The place of the first entry from `id` on, or of the end. Looks from both ends at once: who
    /// follows a stream asks for what is behind its last entries.
    pub(super) fn seek(&self, id: Id) -> usize {
        let (mut low, mut high) = self.places();
        if id <= self.first {
            return low;
        }
        while low < high {
            match self.entry(low) {
                Some((entry, next)) if entry.id < id => low = next,
                _ => return low,
            }
            match self.entry_before(high) {
                Some(entry) if entry.id >= id => high = entry.at,
                _ => return high,
            }
        }
        high
    }

    /// Whether there is an entry `id`.
    pub(super) fn find(&self, id: Id) -> Option<Entry<'_>> {
        let (entry, _) = self.entry(self.seek(id))?;
        (entry.id == id && !entry.is_gone()).then_some(entry)
    }

    /// Live entries in a range, at most `most`.
    pub(super) fn count(&self, from: Id, to: Id, most: usize) -> usize {
        if from <= self.first && self.last <= to {
            return self.live.min(most);
        }
        let (mut at, mut count) = (self.seek(from), 0);
        while count < most
            && let Some((entry, next)) = self.entry(at)
            && entry.id <= to
        {
            count += usize::from(!entry.is_gone());
            at = next;
        }
        count
    }

    /// Deletes an entry. False if there is none.
    pub(super) fn delete(&mut self, id: Id) -> bool {
        let Some(at) = self.find(id).map(|entry| entry.at) else { return false };
        self.mark_gone(at);
        self.squeeze();
        true
    }

    /// Deletes entries from the front while `wants` says so; it is told how many went already.
    /// Returns their number.
    pub(super) fn trim(&mut self, mut wants: impl FnMut(usize, Id) -> bool) -> usize {
        let (mut at, mut count) = (self.names, 0);
        while let Some((entry, next)) = self.entry(at) {
            if !wants(count, entry.id) {
                break;
            }
            if !entry.is_gone() {
                self.mark_gone(at);
                count += 1;
            }
            at = next;
        }
        self.squeeze();
        count
    }

    fn mark_gone(&mut self, at: usize) {
        if let Some(flags) = self.bytes.get_mut(at) {
            *flags |= GONE;
            self.live -= 1;
            self.gone += 1;
        }
    }

    /// Gives back what deleted entries take once it is half of the block.
    fn squeeze(&mut self) {
        if self.gone < 8 || self.live > self.gone || self.live == 0 {
            return;
        }
        let kept = self.kept();
        let used = self.names + kept.iter().map(ExactSizeIterator::len).sum::<usize>();
        if used <= self.bytes.capacity() / 2 {
            self.keep(kept, used);
        }
    }

    /// Where the entries stand that are not deleted.
    fn kept(&self) -> Vec<std::ops::Range<usize>> {
        let mut at = self.names;
        let mut kept = Vec::new();
        while let Some((entry, next)) = self.entry(at) {
            if !entry.is_gone() {
                kept.push(at..next);
            }
            at = next;
        }
        kept
    }

    /// Moves what is kept to a block of its size.
    fn keep(&mut self, kept: Vec<std::ops::Range<usize>>, used: usize) {
        let mut bytes = Vec::with_capacity(mem::class(used));
        bytes.extend_from_slice(&self.bytes[..self.names]);
        kept.into_iter().for_each(|range| bytes.extend_from_slice(&self.bytes[range]));
        self.bytes = bytes;
    }

    /// Removes all traces of deleted entries, but for their number.
    pub(super) fn forget_gone(&mut self) {
        self.keep(self.kept(), self.bytes.len());
        self.last = self.entry_before(self.bytes.len()).map_or(self.first, |entry| entry.id);
    }

    /// Gives back room that nothing will fill any more.
    pub(super) fn seal(&mut self) {
        let fits = mem::class(self.bytes.len());
        if fits + fits / 16 < self.bytes.capacity() {
            self.bytes.shrink_to(fits);
        }
    }
}

/// Room of a stream's first block.
const SMALLEST: usize = 64;

#[inline]
fn push_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[inline]
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte < 0x80 {
            return Some(value);
        }
    }
}

const fn size_of_size(size: usize) -> usize {
    (usize::BITS - (size | 1).leading_zeros()).div_ceil(7) as usize
}

/// Seven bits a byte, the low ones last, the top bit saying that another byte stands before.
#[inline]
fn push_size(bytes: &mut Vec<u8>, size: usize) {
    for left in (0..size_of_size(size)).rev() {
        let more = if left + 1 == size_of_size(size) { 0 } else { 0x80 };
        bytes.push((size >> (7 * left) & 0x7f) as u8 | more);
    }
}

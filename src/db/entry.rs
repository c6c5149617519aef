//! One key and its value: a single block, the key always inside, the value if it is not too big.
//!
//! ```text
//!   0      4      6     7      8 (16 if WIDE)
//!   ┌──────┬──────┬─────┬──────┬─────────────┬──────────────────┬───────────┬─────┬───────┐
//!   │ head │ vlen │klen │ type │ klen  vlen  │ integer / object │ expiry    │ key │ value │
//!   │ u32  │ u16  │ u8  │ u8   │ u32 u32     │ i64 / pointer    │ i64       │     │       │
//!   └──────┴──────┴─────┴──────┴─────────────┴──────────────────┴───────────┴─────┴───────┘
//!                               only if WIDE   only INT, OBJECT   if EXPIRES
//!   head: 24 bits of access clock (LRU seconds, or LFU minutes and counter) | 8 bits of flags
//! ```
//! 16 + 16 bytes make a block of 40, which the allocator rounds to 48; with an expiry it is 48.
//!
//! # Invariants
//! - **N1** Flags, lengths, type and key never change; a short string's or compact value's bytes neither: a new value
//!   is a new block. Readers need no lock and see no half-written value.
//! - **N2** Integer, expiry and object pointer are atomics changed only under the key's stripe.
//! - **N3** The object belongs to the entry whose pointer is not null; it is touched only by whoever
//!   holds the stripe of the key and has found the entry under it, or, not alone, by those who have
//!   announced the stripe and found the entry after that.
//! - **N4** The access clock is a hint: readers store it without a lock, and lost updates are harmless.
//! - **N5** The bit SAVED, beside the type, changes only under the key's stripe, or before the entry is
//!   in a table. It is not in `head`, where a reader's store of the access clock could undo it.

#![allow(unsafe_code)]

use super::grave;
use crate::index::Record;
use crate::mem;
use crate::sync::{AtomicI64, AtomicPtr, AtomicU8, AtomicU32, Ordering};
use crate::types::object::{Object, Type};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

const INT: u8 = 1;
const OBJECT: u8 = 1 << 1;
const EXPIRES: u8 = 1 << 2;
const WIDE: u8 = 1 << 3;
/// A string that was edited or is an arithmetic result: OBJECT ENCODING says `raw`.
const EDITED: u8 = 1 << 4;
/// The value is `vlen` decimal digits with leading zeroes, kept as one number: padded identifiers
/// and counters are common, and eight bytes hold nineteen digits.
const DIGITS: u8 = 1 << 5;
/// A small collection: the value is its compact form, immutable like a short string.
const COMPACT: u8 = 1 << 6;
/// Flags of values that are eight bytes between the lengths and the expiry.
const NUMBER: u8 = INT | OBJECT | DIGITS;
/// Flags of values that are not the bytes of a short string.
const SPECIAL: u8 = NUMBER | COMPACT;
/// The byte `type`: the type in these bits, the form of a compact value above them.
const TYPE_BITS: u32 = 4;
const FORM_BITS: u32 = 3;
/// And above both, which of two kinds of snapshot the entry was saved for last ([`super::snapshot`]).
const SAVED: u8 = 1 << (TYPE_BITS + FORM_BITS);

/// Strings from this length on live in an [`Object`].
pub const INLINE_LIMIT: usize = 16 * 1024;

/// The value to build an entry with.
#[derive(Debug)]
pub enum Body<'v> {
    /// An integer.
    Int(i64),
    /// A string shorter than [`INLINE_LIMIT`], as set.
    Inline(&'v [u8]),
    /// The same, the result of an edit.
    Edited(&'v [u8]),
    /// Digits with leading zeroes: [`Padded::parse`] says which strings are.
    Padded(Padded),
    /// A small collection.
    Compact(Compact<'v>),
    /// Anything else.
    Object(Box<Object>),
}

/// A small collection: its bytes mean what its type's module says they mean in that form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact<'v> {
    /// The type, which is not String.
    pub kind: Type,
    /// Which compact form of the type, below 8.
    pub form: u8,
    /// The whole value.
    pub bytes: &'v [u8],
}

/// A number with leading zeroes, as text 9 to 19 digits wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padded {
    value: u64,
    width: u8,
}

impl Padded {
    /// `text` as a padded number, if it is one and that saves memory.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !(9..=19).contains(&text.len()) || text[0] != b'0' {
            return None;
        }
        let digit = |sum: u64, byte: &u8| match byte {
            b'0'..=b'9' => Some(sum * 10 + u64::from(byte - b'0')), // nineteen digits fit
            _ => None,
        };
        let value = text.iter().try_fold(0, digit)?;
        Some(Self { value, width: text.len() as u8 })
    }

    /// The text again: the first `width` bytes.
    pub fn text(self) -> ([u8; 19], usize) {
        let (mut text, mut rest) = ([b'0'; 19], self.value);
        let width = usize::from(self.width).min(text.len());
        for place in text[..width].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        (text, width)
    }

    /// Width in bytes.
    pub const fn width(self) -> usize {
        self.width as usize
    }
}

/// What an entry holds, for readers without a lock.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    /// An integer.
    Int(i64),
    /// A short string.
    Inline(&'a [u8]),
    /// A short string of digits.
    Padded(Padded),
    /// A small collection.
    Compact(Compact<'a>),
    /// An object, which only the holder of the stripe may touch.
    Object,
}

/// The head of the block; the rest follows it in memory.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Entry {
    head: AtomicU32,
    vlen: u16,
    klen: u8,
    kind: AtomicU8,
}

const HEAD: usize = size_of::<Entry>();

/// An entry not yet in the table (or taken out by nobody else): freed when dropped.
#[derive(Debug)]
pub struct Owned(NonNull<Entry>);

// SAFETY: an entry is plain bytes, atomics and a sendable object.
unsafe impl Send for Owned {}

impl Owned {
    /// Gives the block away, to the table.
    pub fn into_raw(self) -> NonNull<Entry> {
        let block = self.0;
        std::mem::forget(self);
        block
    }

    /// Borrows it.
    pub fn entry(&self) -> &Entry {
        // SAFETY: built by `Entry::build` and ours.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: built by `Entry::build`, and nobody else has it.
        unsafe { Entry::free(self.0.as_ptr().cast()) }
    }
}

/// The type in the byte `type`.
#[inline(always)]
const fn type_in(byte: u8) -> Type {
    Type::from_byte(byte & ((1 << TYPE_BITS) - 1))
}

#[derive(Clone, Copy)]
struct Shape {
    flags: u8,
    klen: usize,
    vlen: usize,
}

impl Shape {
    const fn number_at(self) -> usize {
        if self.flags & WIDE == 0 { HEAD } else { HEAD + 8 }
    }

    const fn expiry_at(self) -> usize {
        self.number_at() + if self.flags & NUMBER == 0 { 0 } else { 8 }
    }

    const fn key_at(self) -> usize {
        self.expiry_at() + if self.flags & EXPIRES == 0 { 0 } else { 8 }
    }

    const fn size(self) -> usize {
        self.key_at() + self.klen + if self.flags & NUMBER == 0 { self.vlen } else { 0 }
    }

    fn layout(self) -> Layout {
        // The sizes come from live strings, whose sum with 40 cannot pass isize::MAX.
        Layout::from_size_align(self.size(), 8).unwrap_or_else(|_| unreachable!("sizes of strings"))
    }
}

impl Entry {
    /// Builds an entry. `expiry` is Unix time in milliseconds. Keys have at most 512 MiB.
    #[inline]
    pub fn build(key: &[u8], body: Body<'_>, expiry: Option<i64>, access: u32) -> Owned {
        let (mut width, mut forms) = (0, 0);
        let (mut flags, value, number, kind): (u8, &[u8], i64, Type) = match body {
            Body::Int(number) => (INT, &[], number, Type::String),
            Body::Inline(value) => (0, value, 0, Type::String),
            Body::Edited(value) => (EDITED, value, 0, Type::String),
            Body::Padded(padded) => {
                width = u16::from(padded.width);
                (DIGITS, &[], padded.value as i64, Type::String)
            }
            Body::Compact(Compact { kind, form, bytes }) => {
                debug_assert!(kind != Type::String && form < 1 << FORM_BITS);
                forms = form << TYPE_BITS;
                (COMPACT, bytes, 0, kind)
            }
            Body::Object(object) => {
                let kind = object.type_of();
                (OBJECT, &[], Box::into_raw(object) as i64, kind)
            }
        };
        debug_assert!(value.len() < u32::MAX as usize && key.len() < u32::MAX as usize);
        if expiry.is_some() {
            flags |= EXPIRES;
        }
        if key.len() > usize::from(u8::MAX) || value.len() > usize::from(u16::MAX) {
            flags |= WIDE;
        }
        let shape = Shape { flags, klen: key.len(), vlen: value.len() };
        let head = Self {
            head: AtomicU32::new(access << 8 | u32::from(flags)),
            vlen: value.len() as u16 | width,
            klen: key.len() as u8,
            kind: AtomicU8::new(kind as u8 | forms),
        };
        // SAFETY: the layout is not empty (it has the head), and every write below lies inside the
        // block by `Shape`: head, lengths, number, expiry, key, value in this order, unoverlapping.
        unsafe {
            let block = alloc(shape.layout());
            let Some(entry) = NonNull::new(block.cast::<Self>()) else {
                handle_alloc_error(shape.layout())
            };
            entry.write(head);
            if flags & WIDE != 0 {
                let vlen = value.len() as u32 | u32::from(width);
                block.add(HEAD).cast::<[u32; 2]>().write([key.len() as u32, vlen]);
            }
            if flags & NUMBER != 0 {
                block.add(shape.number_at()).cast::<i64>().write(number);
            }
            if let Some(expiry) = expiry {
                block.add(shape.expiry_at()).cast::<i64>().write(expiry);
            }
            let text = block.add(shape.key_at());
            text.copy_from_nonoverlapping(key.as_ptr(), key.len());
            text.add(key.len()).copy_from_nonoverlapping(value.as_ptr(), value.len());
            Owned(entry)
        }
    }

    #[inline(always)]
    fn shape(&self) -> Shape {
        let flags = self.head.load(Ordering::Relaxed) as u8;
        if flags & WIDE == 0 {
            Shape { flags, klen: usize::from(self.klen), vlen: usize::from(self.vlen) }
        } else {
            // SAFETY: a WIDE block has the two lengths behind its head (N1).
            let [klen, vlen] = unsafe { self.at(HEAD).cast::<[u32; 2]>().read() };
            Shape { flags, klen: klen as usize, vlen: vlen as usize }
        }
    }

    /// A pointer into the block.
    ///
    /// # Safety
    /// `offset` lies inside by the entry's [`Shape`].
    #[inline(always)]
    unsafe fn at(&self, offset: usize) -> *const u8 {
        // SAFETY: the caller's promise; `self` is the head of the whole block.
        unsafe { std::ptr::from_ref(self).cast::<u8>().add(offset) }
    }

    /// The key.
    #[inline(always)]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: N1: key and length were written at build time and never change.
        unsafe { std::slice::from_raw_parts(self.at(shape.key_at()), shape.klen) }
    }

    /// The value, for readers without a lock.
    #[inline(always)]
    pub fn kind(&self) -> Kind<'_> {
        let shape = self.shape();
        let start = shape.key_at() + shape.klen;
        if shape.flags & SPECIAL == 0 {
            // SAFETY: N1, as for the key.
            Kind::Inline(unsafe { std::slice::from_raw_parts(self.at(start), shape.vlen) })
        } else if shape.flags & COMPACT != 0 {
            // SAFETY: N1, as for the key.
            let bytes = unsafe { std::slice::from_raw_parts(self.at(start), shape.vlen) };
            let byte = self.kind.load(Ordering::Relaxed);
            let form = (byte & !SAVED) >> TYPE_BITS;
            Kind::Compact(Compact { kind: type_in(byte), form, bytes })
        } else if shape.flags & INT != 0 {
            // SAFETY: an INT block has the cell there.
            Kind::Int(unsafe { self.number(shape) }.load(Ordering::Acquire))
        } else if shape.flags & DIGITS != 0 {
            // SAFETY: a DIGITS block has the number there (N1: it never changes).
            let value = unsafe { self.number(shape) }.load(Ordering::Relaxed) as u64;
            Kind::Padded(Padded { value, width: shape.vlen as u8 })
        } else {
            Kind::Object
        }
    }

    /// # Safety
    /// The entry is INT or DIGITS.
    #[inline(always)]
    unsafe fn number(&self, shape: Shape) -> &AtomicI64 {
        // SAFETY: `build` put an aligned i64 there (N2: only ever used as an atomic).
        unsafe { &*self.at(shape.number_at()).cast::<AtomicI64>() }
    }

    /// Stores a new integer, if the entry holds one. The caller holds the stripe (N2).
    #[inline(always)]
    pub fn set_int(&self, value: i64) -> bool {
        let shape = self.shape();
        if shape.flags & INT == 0 {
            return false;
        }
        // SAFETY: checked just above.
        unsafe { self.number(shape) }.store(value, Ordering::Release);
        true
    }

    /// Whether the string was edited, not set whole.
    pub fn is_edited(&self) -> bool {
        self.shape().flags & EDITED != 0
    }

    /// The type of the value.
    #[inline]
    pub fn type_of(&self) -> Type {
        type_in(self.kind.load(Ordering::Relaxed))
    }

    /// Whether the bit SAVED is set.
    #[inline(always)]
    pub(super) fn is_saved(&self) -> bool {
        self.kind.load(Ordering::Relaxed) & SAVED != 0
    }

    /// Sets or clears it (N5).
    #[inline(always)]
    pub(super) fn set_saved(&self, saved: bool) {
        let byte = self.kind.load(Ordering::Relaxed) & !SAVED;
        self.kind.store(byte | if saved { SAVED } else { 0 }, Ordering::Relaxed);
    }

    /// A block of its own with the same key, expiry, access clock and value; none of the value of an
    /// object, in whose place the integer 0 stands. The caller holds the stripe (N2).
    pub(super) fn copy(&self) -> Owned {
        let body = match self.kind() {
            Kind::Int(value) => Body::Int(value),
            Kind::Inline(bytes) if self.is_edited() => Body::Edited(bytes),
            Kind::Inline(bytes) => Body::Inline(bytes),
            Kind::Padded(padded) => Body::Padded(padded),
            Kind::Compact(compact) => Body::Compact(compact),
            Kind::Object => Body::Int(0),
        };
        Self::build(self.key(), body, self.expiry(), self.access())
    }

    /// When the entry expires, Unix time in milliseconds.
    #[inline(always)]
    pub fn expiry(&self) -> Option<i64> {
        let shape = self.shape();
        if shape.flags & EXPIRES == 0 {
            return None;
        }
        // SAFETY: an EXPIRES block has an aligned i64 there, only ever used as an atomic (N2).
        let cell = unsafe { &*self.at(shape.expiry_at()).cast::<AtomicI64>() };
        Some(cell.load(Ordering::Acquire))
    }

    /// Whether the entry is past its time at `now`.
    #[inline(always)]
    pub fn is_expired(&self, now: i64) -> bool {
        self.expiry().is_some_and(|at| now > at)
    }

    /// Changes the expiry of an entry that has room for one. The caller holds the stripe (N2).
    pub fn set_expiry(&self, at: i64) -> bool {
        let shape = self.shape();
        if shape.flags & EXPIRES == 0 {
            return false;
        }
        // SAFETY: as in `expiry`.
        let cell = unsafe { &*self.at(shape.expiry_at()).cast::<AtomicI64>() };
        cell.store(at, Ordering::Release);
        true
    }

    /// The 24-bit access clock.
    #[inline(always)]
    pub fn access(&self) -> u32 {
        self.head.load(Ordering::Relaxed) >> 8
    }

    /// Stores the access clock if it changed, so that a hot key's line is not written for nothing.
    #[inline(always)]
    pub fn touch(&self, access: u32) {
        let head = self.head.load(Ordering::Relaxed);
        let new = access << 8 | head & 0xff;
        if head != new {
            self.head.store(new, Ordering::Relaxed); // N4
        }
    }

    #[inline]
    fn object_cell(&self, shape: Shape) -> Option<&AtomicPtr<Object>> {
        if shape.flags & OBJECT == 0 {
            return None;
        }
        // SAFETY: an OBJECT block has an aligned pointer there, only ever used as an atomic.
        Some(unsafe { &*self.at(shape.number_at()).cast::<AtomicPtr<Object>>() })
    }

    /// The object, for whoever holds the stripe of the key and found the entry under it.
    ///
    /// # Safety
    /// The stripe is held for as long as the reference lives, and no other reference to the object
    /// exists (N3).
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn object(&self) -> Option<&mut Object> {
        let cell = self.object_cell(self.shape())?;
        // SAFETY: N3: null or owned by this entry, and the caller is alone.
        unsafe { cell.load(Ordering::Relaxed).as_mut() }
    }

    /// The object, for reading, where [`Entry::object`] would do.
    ///
    /// # Safety
    /// The stripe is held, or was announced before the entry was found, for as long as the reference
    /// lives, and no other reference to the object is mutable (N3).
    pub unsafe fn shared_object(&self) -> Option<&Object> {
        let cell = self.object_cell(self.shape())?;
        // SAFETY: N3: null or owned by this entry, and the caller keeps it from being changed.
        unsafe { cell.load(Ordering::Relaxed).as_ref() }
    }

    /// Asks for the object's own block, if there is one.
    #[inline]
    pub fn prefetch_object(&self) -> bool {
        let cell = self.object_cell(self.shape());
        cell.inspect(|cell| mem::prefetch(cell.load(Ordering::Relaxed))).is_some()
    }

    /// Moves the object out, for an entry that is about to be replaced.
    ///
    /// # Safety
    /// As [`Entry::object`].
    pub unsafe fn take_object(&self) -> Option<Box<Object>> {
        let cell = self.object_cell(self.shape())?;
        let object = cell.swap(null_mut(), Ordering::Relaxed);
        // SAFETY: from `Box::into_raw`, and the swap made us its owner (N3).
        (!object.is_null()).then(|| unsafe { Box::from_raw(object) })
    }

    /// Bytes of the block as the allocator counts them, without the object.
    pub fn block_size(&self) -> usize {
        mem::class(self.shape().size())
    }
}

// SAFETY: keys never change (N1); `free` undoes `build`.
unsafe impl Record for Entry {
    #[inline(always)]
    fn key(&self) -> &[u8] {
        self.key()
    }

    fn weight(&self) -> usize {
        let object = self.object_cell(self.shape()).map(|cell| cell.load(Ordering::Relaxed));
        // SAFETY: the table asks while it retires the entry, under the stripe: null, or an object
        // that nobody else touches (N3).
        let object = object.and_then(|object| unsafe { object.as_ref() });
        self.block_size() + object.map_or(0, |object| 64 + object.weight())
    }

    unsafe fn free(block: *mut u8) {
        let entry = block.cast::<Self>();
        // SAFETY: the caller's promise: a whole entry that nobody uses any more.
        let (layout, object) = unsafe {
            let shape = (*entry).shape();
            (shape.layout(), (*entry).take_object())
        };
        if let Some(object) = object {
            grave::bury(object);
        }
        // SAFETY: allocated with this layout.
        unsafe { dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_goes_in_comes_out_in_every_shape() {
        for klen in [0, 1, 16, 255, 256, 70_000] {
            for vlen in [0, 1, 64, 5_000, 65_535, 65_536, 70_000] {
                for expiry in [None, Some(0), Some(i64::MAX)] {
                    let (key, value) = (vec![b'k'; klen], vec![b'v'; vlen]);
                    let owned = Entry::build(&key, Body::Inline(&value), expiry, 0xabcdef);
                    let entry = owned.entry();
                    assert_eq!(entry.key(), key);
                    assert!(matches!(entry.kind(), Kind::Inline(v) if v == value));
                    assert_eq!((entry.expiry(), entry.access()), (expiry, 0xabcdef));
                    assert_eq!(entry.set_expiry(5), expiry.is_some());
                    assert!(!entry.set_int(1));
                }
            }
        }
    }

    #[test]
    fn integers_change_in_place_and_objects_move() {
        let owned = Entry::build(b"n", Body::Int(-5), Some(9), 1);
        assert!(owned.entry().set_int(7));
        assert!(matches!(owned.entry().kind(), Kind::Int(7)));
        assert_eq!((owned.entry().key(), owned.entry().expiry()), (b"n".as_slice(), Some(9)));

        let object = Box::new(Object::String(Bytes::from_static(b"long")));
        let owned = Entry::build(b"o", Body::Object(object), None, 1);
        assert!(matches!(owned.entry().kind(), Kind::Object));
        // SAFETY: the entry is in no table; we are alone.
        let taken = unsafe { owned.entry().take_object() };
        assert!(matches!(taken.as_deref(), Some(Object::String(b)) if b == "long"));
        // SAFETY: as above.
        assert!(unsafe { owned.entry().object() }.is_none());
    }

    #[test]
    fn small_strings_cost_sixteen_bytes_beyond_their_own() {
        let size =
            |v: &[u8], e| Entry::build(&[b'k'; 16], Body::Inline(v), e, 0).entry().block_size();
        assert_eq!(size(&[0; 16], None), 48);
        assert_eq!(size(&[0; 16], Some(1)), 48);
        assert_eq!(size(&[0; 64], None), 96);
        assert_eq!(Entry::build(&[b'k'; 16], Body::Int(1), None, 0).entry().block_size(), 32);
    }

    #[test]
    fn padded_numbers_keep_their_zeroes() {
        for text in ["000000000", "000000123456", "0999999999999999999"] {
            let padded = Padded::parse(text.as_bytes()).unwrap();
            for klen in [16, 300] {
                let key = vec![b'k'; klen];
                let owned = Entry::build(&key, Body::Padded(padded), Some(5), 3);
                let Kind::Padded(back) = owned.entry().kind() else { panic!("{text}") };
                let (bytes, width) = back.text();
                assert_eq!(&bytes[..width], text.as_bytes());
                assert_eq!((owned.entry().key(), owned.entry().expiry()), (&key[..], Some(5)));
                assert!(!owned.entry().set_int(1));
            }
        }
        let small = Padded::parse(b"000000123456").unwrap();
        assert_eq!(
            Entry::build(&[b'k'; 16], Body::Padded(small), None, 0).entry().block_size(),
            32
        );
        for text in
            ["00000000", "123456789012", "00000000000000000000", "0000000x0000", "-00000001"]
        {
            assert_eq!(Padded::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn touching_keeps_the_flags() {
        let owned = Entry::build(b"k", Body::Edited(b"v"), Some(3), 7);
        owned.entry().touch(0x00ff_ffff);
        assert_eq!(owned.entry().access(), 0x00ff_ffff);
        assert!(owned.entry().is_edited());
        assert_eq!(owned.entry().expiry(), Some(3));
    }

    #[test]
    fn the_mark_of_a_snapshot_disturbs_neither_type_nor_form() {
        let compact = Compact { kind: Type::Hash, form: 2, bytes: b"value" };
        let owned = Entry::build(b"k", Body::Compact(compact), Some(3), 7);
        for saved in [true, false, true] {
            owned.entry().set_saved(saved);
            owned.entry().touch(8);
            assert_eq!((owned.entry().is_saved(), owned.entry().type_of()), (saved, Type::Hash));
            let copy = owned.entry().copy();
            assert!(!copy.entry().is_saved());
            for entry in [owned.entry(), copy.entry()] {
                assert!(matches!(entry.kind(), Kind::Compact(found) if found == compact));
                assert_eq!((entry.key(), entry.expiry(), entry.access()), (&b"k"[..], Some(3), 8));
            }
        }
    }
}

//! Values into bytes: small ones at once, large ones in slices.
//!
//! [`Encoder::record`] (or [`Encoder::begin`], without a key) is called under the stripe of the key.
//! Of a large value it takes references to shared blocks and writes the head; what remains to be done
//! is a [`Rest`], which [`Encoder::go_on`] writes at any time, a few hundred elements at a time. What
//! comes out is the value at the instant of the first call, whatever became of it.
//!
//! - **E1** The number of elements in the head is that of the elements that follow: both are of one
//!   instant, and fields that are over are left out of both.

mod listpack;
mod stream;

pub(super) use listpack::width_of;

use super::code;
use super::lzf::Packer;
use super::wire;
use crate::db::{Compact, Entry, Kind};
use crate::types::hash::{self, Field, Small};
use crate::types::image::Image;
use crate::types::intset::Intset;
use crate::types::list::{End, List, Short};
use crate::types::object::{INTSET, Object, Type};
use crate::types::packed::Packed;
use crate::types::table::View;
use crate::types::zset;
use bytes::Bytes;
use stream::Blocks;

/// What a key holds, where it is found.
#[derive(Debug, Clone, Copy)]
pub enum Value<'v> {
    /// Anything that needs no stripe.
    Inside(Kind<'v>),
    /// The rest, under the stripe.
    Object(&'v Object),
}

impl<'v> Value<'v> {
    /// What `entry` holds; `object` is what the holder of its stripe found there.
    pub fn of(entry: &'v Entry, object: Option<&'v Object>) -> Option<Self> {
        match entry.kind() {
            Kind::Object => object.map(Self::Object),
            inside => Some(Self::Inside(inside)),
        }
    }

    fn hash(&self) -> Option<Hash<'v>> {
        match *self {
            Self::Inside(Kind::Compact(Compact { kind: Type::Hash, form, bytes })) => {
                Some(Hash::Small(Small::new(form, bytes)))
            }
            Self::Object(Object::Draft(draft)) => Some(Hash::Small(draft.view())),
            Self::Object(Object::Hash(large)) => Some(Hash::Large(large)),
            _ => None,
        }
    }

    const fn type_of(&self) -> Type {
        match self {
            Self::Inside(Kind::Compact(compact)) => compact.kind,
            Self::Inside(_) => Type::String,
            Self::Object(object) => object.type_of(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Hash<'v> {
    Small(Small<'v>),
    Large(&'v hash::Large),
}

impl Hash<'_> {
    fn len(&self, now: i64) -> usize {
        match self {
            Self::Small(small) => small.len(now),
            Self::Large(large) => large.len(now),
        }
    }

    /// The earliest end of a field, or something before it; none if no field ends.
    fn earliest(&self, now: i64) -> Option<i64> {
        match self {
            Self::Small(small) => small.iter(now).filter_map(|field| field.end).min(),
            Self::Large(large) => large.earliest().map(|at| at.max(now)),
        }
    }
}

/// What is said of a key before its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// When it expires, Unix milliseconds.
    pub expiry: Option<i64>,
    /// Seconds since it was used.
    pub idle: Option<u64>,
    /// How often it was used, as the LFU counter says.
    pub freq: Option<u8>,
}

impl Head {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(at) = self.expiry {
            out.push(code::EXPIRE_MS);
            wire::time(out, at);
        }
        if let Some(seconds) = self.idle {
            out.push(code::IDLE);
            wire::length(out, seconds);
        }
        if let Some(count) = self.freq {
            out.extend_from_slice(&[code::FREQ, count]);
        }
    }
}

/// The ends of a hash's fields, being gathered: the earliest, then one number for each field.
#[derive(Debug)]
struct Ends {
    earliest: i64,
    /// In files they follow the fields.
    behind: Option<Vec<u8>>,
}

impl Ends {
    /// 0 is no end; 1 is the earliest.
    fn number(&self, end: Option<i64>) -> u64 {
        end.map_or(0, |at| at.saturating_sub(self.earliest).max(0) as u64 + 1)
    }
}

/// What remains to be written of a large value.
#[derive(Debug)]
pub struct Rest(Left);

#[derive(Debug)]
enum Left {
    Hash(hash::Rest, Option<Ends>),
    List(List),
    Set(View),
    String(Bytes),
    ZSet(zset::Rest),
    Stream(Blocks),
    Nothing,
}

/// Writes values.
#[derive(Debug)]
pub struct Encoder {
    /// Fields that end before are left out.
    pub now: i64,
    packer: Option<Packer>,
    /// A value by itself, not in a file.
    payload: bool,
}

impl Encoder {
    /// For files. `compress`: texts that LZF makes shorter are written so.
    pub fn for_file(now: i64, compress: bool) -> Self {
        Self { now, packer: compress.then(Packer::default), payload: false }
    }

    /// For values by themselves.
    pub fn for_payload(now: i64, compress: bool) -> Self {
        Self { payload: true, ..Self::for_file(now, compress) }
    }

    /// The code of the value's type; none if it holds nothing any more.
    pub fn kind(&self, value: &Value<'_>) -> Option<u8> {
        Some(match value.type_of() {
            Type::String => code::STRING,
            Type::List => code::LIST,
            Type::Set => code::SET,
            Type::ZSet => code::ZSET,
            Type::Stream => code::STREAM_2,
            Type::Hash => {
                let hash = value.hash().filter(|hash| hash.len(self.now) > 0)?;
                match self.payload && hash.earliest(self.now).is_some() {
                    true => code::HASH_TIMES,
                    false => code::HASH,
                }
            }
        })
    }

    /// A key of a file with what it holds, or the beginning of it. Nothing if it holds nothing.
    pub fn record(
        &mut self,
        head: &Head,
        key: &[u8],
        value: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Rest> {
        let kind = self.kind(value)?;
        head.write(out);
        out.push(kind);
        wire::text(out, key, self.packer.as_mut());
        self.begin(value, out)
    }

    /// As [`Encoder::record`], with what a snapshot has kept of the value.
    pub fn image(
        &mut self,
        head: &Head,
        key: &[u8],
        image: Image,
        out: &mut Vec<u8>,
    ) -> Option<Rest> {
        let kind = match image {
            Image::Compact { kind, form, ref bytes } => {
                let compact = Compact { kind, form, bytes };
                return self.record(head, key, &Value::Inside(Kind::Compact(compact)), out);
            }
            Image::Stream(stream) => {
                return self.record(head, key, &Value::Object(&Object::Stream(stream)), out);
            }
            Image::Hash(0, ..) => return None,
            Image::Hash(_, Some(_), _) if self.payload => code::HASH_TIMES,
            Image::Hash(..) => code::HASH,
            Image::Text(_) => code::STRING,
            Image::List(_) => code::LIST,
            Image::Set(..) => code::SET,
            Image::ZSet(..) => code::ZSET,
        };
        head.write(out);
        out.push(kind);
        wire::text(out, key, self.packer.as_mut());
        if let (Image::Hash(_, Some(earliest), _), true) = (&image, self.payload) {
            wire::time(out, *earliest);
        }
        if !matches!(image, Image::Text(_)) {
            wire::length(out, image.len() as u64);
        }
        Some(Rest(match image {
            Image::Text(bytes) => Left::String(bytes),
            Image::List(list) => Left::List(list),
            Image::Set(_, members) => Left::Set(members),
            Image::ZSet(_, members) => Left::ZSet(members),
            Image::Hash(_, earliest, fields) => {
                let behind = (!self.payload).then(Vec::new);
                Left::Hash(fields, earliest.map(|earliest| Ends { earliest, behind }))
            }
            Image::Compact { .. } | Image::Stream(_) => Left::Nothing, // see above
        }))
    }

    /// A value, or its beginning. It holds something ([`Encoder::kind`]).
    pub fn begin(&mut self, value: &Value<'_>, out: &mut Vec<u8>) -> Option<Rest> {
        if let Some(hash) = value.hash() {
            return self.hash(hash, out).map(Rest);
        }
        match *value {
            Value::Inside(kind) => {
                self.inside(kind, out);
                None
            }
            Value::Object(object) => Some(Rest(match object {
                Object::Draft(_) | Object::Hash(_) => Left::Nothing, // a hash: see above
                Object::String(bytes) => Left::String(bytes.clone()),
                Object::List(list) => {
                    wire::length(out, list.len() as u64);
                    Left::List(list.clone())
                }
                Object::Set(set) => {
                    wire::length(out, set.len() as u64);
                    Left::Set(set.snapshot())
                }
                Object::ZSet(set) => {
                    wire::length(out, set.len() as u64);
                    Left::ZSet(set.view())
                }
                Object::Stream(stream) => Left::Stream(Blocks::new(stream, out)),
            })),
        }
    }

    /// A value that is no object, and no hash.
    fn inside(&mut self, kind: Kind<'_>, out: &mut Vec<u8>) {
        let compact = match kind {
            Kind::Int(value) => return wire::number(out, value),
            Kind::Inline(text) => return wire::text(out, text, self.packer.as_mut()),
            Kind::Padded(padded) => {
                let (text, width) = padded.text();
                return wire::raw(out, &text[..width]);
            }
            Kind::Compact(compact) => compact,
            Kind::Object => return,
        };
        let bytes = compact.bytes;
        match compact.kind {
            Type::Set if compact.form == INTSET => {
                let set = Intset::new(bytes);
                wire::length(out, set.len() as u64);
                set.iter().for_each(|value| wire::number(out, value));
            }
            Type::ZSet => {
                let set = zset::Small::new(bytes);
                wire::length(out, set.len() as u64);
                for (member, score) in set.range(0, usize::MAX) {
                    wire::element(out, &member, self.packer.as_mut());
                    wire::double(out, score);
                }
            }
            Type::List => self.packed(Short::new(bytes).packed(), out),
            _ => self.packed(Packed::new(bytes), out),
        }
    }

    fn packed(&mut self, packed: Packed<'_>, out: &mut Vec<u8>) {
        wire::length(out, packed.len() as u64);
        for element in packed {
            wire::element(out, &element, self.packer.as_mut());
        }
    }

    fn hash(&mut self, hash: Hash<'_>, out: &mut Vec<u8>) -> Option<Left> {
        let (now, behind) = (self.now, (!self.payload).then(Vec::new));
        let mut ends = hash.earliest(now).map(|earliest| Ends { earliest, behind });
        if let (true, Some(ends)) = (self.payload, &ends) {
            wire::time(out, ends.earliest);
        }
        wire::length(out, hash.len(now) as u64);
        match hash {
            Hash::Small(small) => {
                small.iter(now).for_each(|field| self.field(&field, ends.as_mut(), out));
                finish(ends.as_ref(), out);
                None
            }
            Hash::Large(large) => Some(Left::Hash(large.view(now), ends)),
        }
    }

    fn field(&mut self, field: &Field<'_>, ends: Option<&mut Ends>, out: &mut Vec<u8>) {
        if let Some(ends) = ends {
            let number = ends.number(field.end);
            wire::length(ends.behind.as_mut().unwrap_or(out), number);
        }
        if let crate::types::packed::Element::Str(name) = field.name {
            wire::text(out, name, self.packer.as_mut());
        } else {
            wire::element(out, &field.name, self.packer.as_mut());
        }
        if let crate::types::packed::Element::Str(value) = field.value {
            wire::text(out, value, self.packer.as_mut());
        } else {
            wire::element(out, &field.value, self.packer.as_mut());
        }
    }

    /// Writes about `count` more elements. False if all are written.
    pub fn go_on(&mut self, rest: &mut Rest, count: usize, out: &mut Vec<u8>) -> bool {
        let more = match &mut rest.0 {
            Left::Nothing => false,
            Left::String(bytes) => {
                wire::text(out, bytes, self.packer.as_mut());
                false
            }
            Left::Hash(fields, ends) => {
                let more =
                    fields.next_released(count, |field| self.field(&field, ends.as_mut(), out));
                if !more {
                    finish(ends.as_ref(), out);
                }
                more
            }
            Left::List(list) => {
                for element in list.range(0, count) {
                    wire::element(out, &element, self.packer.as_mut());
                }
                list.drop(End::Front, count); // and with that lets go of its blocks
                !list.is_empty()
            }
            Left::Set(members) => {
                members.next_released(count, |member| wire::text(out, member, self.packer.as_mut()))
            }
            Left::ZSet(members) => members.next(count, |member, score| {
                wire::text(out, member, self.packer.as_mut());
                wire::double(out, score);
            }),
            Left::Stream(blocks) => blocks.next(count, self.packer.as_mut(), out),
        };
        if !more {
            rest.0 = Left::Nothing;
        }
        more
    }

    /// The whole value.
    pub fn whole(&mut self, value: &Value<'_>, out: &mut Vec<u8>) {
        const SLICE: usize = 1000;
        let Some(mut rest) = self.begin(value, out) else { return };
        while self.go_on(&mut rest, SLICE, out) {}
    }
}

/// Behind the fields of a hash in a file.
fn finish(ends: Option<&Ends>, out: &mut Vec<u8>) {
    let Some(Ends { earliest, behind: Some(numbers) }) = ends else { return };
    out.push(code::AUX);
    wire::raw(out, code::HASH_ENDS);
    wire::length(out, numbers.len() as u64 + 8);
    wire::time(out, *earliest);
    out.extend_from_slice(numbers);
}

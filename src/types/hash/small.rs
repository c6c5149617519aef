//! The compact form: few fields, found by walking.

use super::super::object::PACKED;
use super::super::packed::{Element, decode, size};
use super::{EXPIRING, End, Field, Large, is_over};
use std::ops::Range;

/// A compact hash being read.
#[derive(Debug, Clone, Copy)]
pub struct Small<'b> {
    bytes: &'b [u8],
    expiring: bool,
}

/// Where a field stands: its name from `from`, its value from `value`, its end from `end` to `to`.
#[derive(Debug, Clone, Copy)]
struct Spot {
    from: usize,
    value: usize,
    end: usize,
    to: usize,
}

impl<'b> Small<'b> {
    /// A view of bytes of that form.
    pub const fn new(form: u8, bytes: &'b [u8]) -> Self {
        Self { bytes, expiring: form == EXPIRING }
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Number of fields.
    pub fn len(&self, now: i64) -> usize {
        self.iter(now).count()
    }

    /// Whether there is no field, ended ones included.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A field by its name.
    #[inline]
    pub fn get(&self, name: &[u8], now: i64) -> Option<Field<'b>> {
        let spot = self.find(&Element::of(name))?;
        self.field(spot).filter(|field| !is_over(field.end, now))
    }

    /// All fields in the order in which they came.
    pub fn iter(&self, now: i64) -> impl Iterator<Item = Field<'b>> + use<'b> {
        self.all().filter(move |field| !is_over(field.end, now))
    }

    /// The earliest end of any field.
    pub fn earliest(&self) -> Option<i64> {
        if self.expiring { self.all().filter_map(|field| field.end).min() } else { None }
    }

    /// The names of fields that are over.
    pub fn over(self, now: i64) -> Vec<Vec<u8>> {
        let over = self.all().filter(|field| is_over(field.end, now));
        let mut scratch = Vec::new();
        over.map(|field| field.name.text(&mut scratch).to_vec()).collect()
    }

    /// The same hash in the large form.
    pub fn to_large(&self) -> Large {
        let mut large = Large::new();
        let (mut name, mut value) = (Vec::new(), Vec::new());
        for field in self.all() {
            let end = field.end.map_or(End::Never, End::At);
            large.set(field.name.text(&mut name), field.value.text(&mut value), end, i64::MIN);
        }
        large
    }

    fn all(self) -> impl Iterator<Item = Field<'b>> + use<'b> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let spot = self.spot(at)?;
            at = spot.to;
            self.field(spot)
        })
    }

    /// The field that begins at `from`.
    #[inline]
    fn spot(&self, from: usize) -> Option<Spot> {
        let after = |at: usize| Some(at + size(self.bytes.get(at..)?)?);
        let value = after(from)?;
        let end = after(value)?;
        let to = if self.expiring { after(end)? } else { end };
        Some(Spot { from, value, end, to })
    }

    fn field(&self, spot: Spot) -> Option<Field<'b>> {
        let element = |range: Range<usize>| Some(decode(self.bytes.get(range)?)?.0);
        let end = match element(spot.end..spot.to) {
            Some(Element::Int(at)) if at > 0 => Some(at), // F2
            _ => None,
        };
        let (name, value) = (element(spot.from..spot.value)?, element(spot.value..spot.end)?);
        Some(Field { name, value, end })
    }

    #[inline]
    fn find(&self, name: &Element<'_>) -> Option<Spot> {
        // A value has one encoding, so bytes are compared, and most differ in the first.
        let (head, rest) = (name.head(), name.payload());
        let (head, mut at) = (head.bytes(), 0);
        loop {
            let spot = self.spot(at)?;
            let found = &self.bytes[at..spot.value];
            if found[0] == head[0] && found.strip_prefix(head).is_some_and(|found| found == rest) {
                return Some(spot);
            }
            at = spot.to;
        }
    }
}

/// The next value of a compact hash, being made of the present one; or, of one too long to be
/// written anew for each change, the value itself.
#[derive(Debug, Default, Clone)]
pub struct Draft {
    bytes: Vec<u8>,
    expiring: bool,
}

impl Draft {
    /// Begins with what is there. `buffer` is only memory.
    pub fn new(mut buffer: Vec<u8>, form: u8, bytes: &[u8]) -> Self {
        buffer.clear();
        buffer.extend_from_slice(bytes);
        Self { bytes: buffer, expiring: form == EXPIRING }
    }

    /// Bytes held.
    pub const fn weight(&self) -> usize {
        self.bytes.capacity()
    }

    /// The memory, to be used again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// The form that it has.
    pub const fn form(&self) -> u8 {
        if self.expiring { EXPIRING } else { PACKED }
    }

    /// The bytes that it has.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// To be read.
    pub fn view(&self) -> Small<'_> {
        Small { bytes: &self.bytes, expiring: self.expiring }
    }

    /// Whether there are at most `most` fields.
    pub fn has_at_most(&self, most: usize) -> bool {
        // No field takes fewer than two bytes, so most often there is nothing to count.
        self.bytes.len() / 2 <= most
            || self.view().all().take(most.saturating_add(1)).count() <= most
    }

    /// Gives a field a value. True if the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], end: End, now: i64) -> bool {
        let element = Element::of(name);
        let mut spot = self.view().find(&element);
        let old = spot.and_then(|spot| self.view().field(spot));
        let live = old.filter(|field| !is_over(field.end, now));
        let (is_new, end) = (live.is_none(), end.after(live.and_then(|field| field.end)));
        if end.is_some() && !self.expiring {
            self.widen();
            spot = self.view().find(&element);
        }
        let parts = [element, Element::of(value), Element::Int(end.unwrap_or(0))];
        let parts = &parts[..if self.expiring { 3 } else { 2 }];
        match spot {
            Some(spot) => self.put(spot.value..spot.to, &parts[1..]),
            None => parts.iter().for_each(|part| part.push(&mut self.bytes)),
        }
        is_new
    }

    /// Gives a field another end. False if there is no such field.
    pub fn set_end(&mut self, name: &[u8], end: Option<i64>, now: i64) -> bool {
        if self.view().get(name, now).is_none() {
            return false;
        }
        if !self.expiring {
            if end.is_none() {
                return true;
            }
            self.widen();
        }
        if let Some(spot) = self.view().find(&Element::of(name)) {
            self.put(spot.end..spot.to, &[Element::Int(end.unwrap_or(0))]);
        }
        true
    }

    /// Removes a field. False if there is no such field.
    pub fn remove(&mut self, name: &[u8], now: i64) -> bool {
        let Some(spot) = self.view().find(&Element::of(name)) else { return false };
        let live = self.view().field(spot).is_some_and(|field| !is_over(field.end, now));
        self.bytes.drain(spot.from..spot.to);
        live
    }

    /// Removes the fields that are over and tells how many.
    pub fn expire(&mut self, now: i64) -> usize {
        let (mut at, mut gone) = (0, 0);
        while let Some(spot) = self.view().spot(at) {
            at = spot.to;
            if self.view().field(spot).is_some_and(|field| is_over(field.end, now)) {
                self.bytes.drain(spot.from..spot.to);
                (at, gone) = (spot.from, gone + 1);
            }
        }
        gone
    }

    /// The same hash in the large form.
    pub fn to_large(&self) -> Large {
        self.view().to_large()
    }

    /// Gives each field room for an end.
    fn widen(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() * 2);
        let mut at = 0;
        while let Some(spot) = self.view().spot(at) {
            bytes.extend_from_slice(&self.bytes[spot.from..spot.to]);
            Element::Int(0).push(&mut bytes);
            at = spot.to;
        }
        (self.bytes, self.expiring) = (bytes, true);
    }

    /// Puts elements in the place of what stands in `range`.
    fn put(&mut self, range: Range<usize>, with: &[Element<'_>]) {
        let (len, added) = (self.bytes.len(), with.iter().map(Element::size).sum::<usize>());
        if added > range.len() {
            self.bytes.resize(len + added - range.len(), 0);
        }
        self.bytes.copy_within(range.end..len, range.start + added);
        self.bytes.truncate(len + added - range.len());
        let mut at = range.start;
        for element in with {
            for part in [element.head().bytes(), element.payload()] {
                self.bytes[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        }
    }
}

//! The large form: a table of fields.
//!
//! ```text
//!   content: head, 1 or 5 bytes | end, 8 bytes, if the head says so | name | value
//!   head:    ENDS or 0, with the length of the name, or with LONG, and 4 bytes of length behind
//! ```
//! - **G1** `ends` holds the end and the place of exactly the fields that have an end.

use super::super::packed::Element;
use super::super::table::{At, Layout, Shares, Table, Turn, View};
use super::{End, Field, is_over};
use std::collections::BTreeSet;

/// The field has an end.
const ENDS: u8 = 0x80;
/// The length of the name stands in the four bytes behind the head.
const LONG: u8 = 0x7f;

#[derive(Debug)]
struct Fields;

impl Layout for Fields {
    #[inline(always)]
    fn key(content: &[u8]) -> &[u8] {
        Content::of(content).name
    }
}

#[derive(Debug, Clone, Copy)]
struct Content<'c> {
    end: Option<i64>,
    name: &'c [u8],
    value: &'c [u8],
}

impl<'c> Content<'c> {
    #[inline(always)]
    fn of(content: &'c [u8]) -> Self {
        Self::read(content).unwrap_or(Self { end: None, name: &[], value: &[] })
    }

    #[inline(always)]
    fn read(content: &'c [u8]) -> Option<Self> {
        let (&head, mut rest) = content.split_first()?;
        let mut len = usize::from(head & LONG);
        if head & LONG == LONG {
            let (bytes, behind) = rest.split_first_chunk()?;
            (len, rest) = (u32::from_le_bytes(*bytes) as usize, behind);
        }
        let mut end = None;
        if head & ENDS != 0 {
            let (bytes, behind) = rest.split_first_chunk()?;
            (end, rest) = (Some(i64::from_le_bytes(*bytes)), behind);
        }
        let (name, value) = rest.split_at_checked(len)?;
        Some(Self { end, name, value })
    }

    fn field(self) -> Field<'c> {
        Field { name: Element::Str(self.name), value: Element::Str(self.value), end: self.end }
    }
}

/// What stands before the name.
struct Head {
    bytes: [u8; 13],
    len: usize,
}

impl Head {
    #[inline]
    fn new(name: &[u8], end: Option<i64>) -> Self {
        let mut head = Self { bytes: [0; 13], len: 1 };
        head.bytes[0] = if name.len() < usize::from(LONG) {
            name.len() as u8
        } else {
            head.push(&(name.len() as u32).to_le_bytes());
            LONG
        };
        if let Some(at) = end {
            head.bytes[0] |= ENDS;
            head.push(&at.to_le_bytes());
        }
        head
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A large hash.
#[derive(Debug, Clone)]
pub struct Large {
    table: Table<Fields>,
    ends: BTreeSet<(i64, At)>,
}

impl Default for Large {
    fn default() -> Self {
        Self::new()
    }
}

impl Large {
    /// An empty hash.
    pub fn new() -> Self {
        Self { table: Table::new(), ends: BTreeSet::new() }
    }

    /// Number of fields.
    pub fn len(&self, now: i64) -> usize {
        let over = if self.earliest().is_some_and(|at| at <= now) {
            self.ends.range(..(now.saturating_add(1), At::FIRST)).count()
        } else {
            0
        };
        self.table.len() - over
    }

    /// Asks ahead for what commands on these fields will touch.
    pub fn ask_ahead<'k>(&self, fields: impl Iterator<Item = &'k [u8]>) {
        self.table.ask_ahead(fields);
    }

    /// The same while threads share it.
    pub fn ask_ahead_shared<'k>(
        &self,
        fields: impl Iterator<Item = (&'k [u8], bool)>,
        shares: &Shares,
    ) {
        self.table.ask_ahead_shared(fields, shares);
    }

    /// Whether there is no field, ended ones included.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes held beyond itself.
    pub fn weight(&self) -> usize {
        self.table.weight() + self.ends.len() * 24
    }

    /// Number of blocks that freeing it gives back, roughly.
    pub fn pieces(&self) -> usize {
        self.table.pieces() + self.ends.len() / 8
    }

    /// The earliest end of any field.
    pub fn earliest(&self) -> Option<i64> {
        self.ends.first().map(|&(at, _)| at)
    }

    /// A field by its name.
    #[inline]
    pub fn get(&self, name: &[u8], now: i64) -> Option<Field<'_>> {
        let content = Content::of(self.table.get(name)?);
        (!is_over(content.end, now)).then(|| content.field())
    }

    /// Gives a field a value. True if the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], end: End, now: i64) -> bool {
        let hash = self.table.hash(name);
        let Some(at) = self.table.find(hash, name) else {
            let ends = &mut self.ends;
            self.table.make_room(hash, |content, old, new| {
                if let Some(end) = Content::of(content).end {
                    ends.remove(&(end, old)); // G1
                    ends.insert((end, new));
                }
            });
            let end = end.after(None);
            let head = Head::new(name, end);
            let at = self.table.add(hash, &[head.bytes(), name, value]);
            self.note(None, at, end);
            return true;
        };
        let old = Content::of(self.table.at(at)).end;
        let is_new = is_over(old, now);
        let end = end.after(old.filter(|_| !is_new));
        let head = Head::new(name, end);
        let now_at = self.table.rewrite(hash, at, &[head.bytes(), name, value]);
        self.note(old.map(|end| (end, at)), now_at, end);
        is_new
    }

    /// Gives a field another end. False if there is no such field.
    pub fn set_end(&mut self, name: &[u8], end: Option<i64>, now: i64) -> bool {
        let hash = self.table.hash(name);
        let Some(at) = self.table.find(hash, name) else { return false };
        let content = Content::of(self.table.at(at));
        let old = content.end;
        if is_over(old, now) {
            return false;
        }
        if old == end {
            return true;
        }
        let (head, value) = (Head::new(name, end), content.value.to_vec());
        let now_at = self.table.rewrite(hash, at, &[head.bytes(), name, &value]);
        self.note(old.map(|end| (end, at)), now_at, end);
        true
    }

    /// Removes a field. False if there is no such field.
    pub fn remove(&mut self, name: &[u8], now: i64) -> bool {
        let hash = self.table.hash(name);
        let Some(at) = self.table.find(hash, name) else { return false };
        let end = Content::of(self.table.at(at)).end;
        if let Some(end) = end {
            self.ends.remove(&(end, at));
        }
        self.table.remove(hash, at);
        !is_over(end, now)
    }

    /// Removes fields that are over, `most` of them, and tells how many.
    pub fn expire(&mut self, now: i64, most: usize) -> usize {
        let mut gone = 0;
        while gone < most
            && let Some(&(end, at)) = self.ends.first()
            && end <= now
        {
            self.ends.pop_first();
            self.table.remove_at(at);
            gone += 1;
        }
        gone
    }

    /// The names of fields that are over, those that [`Large::expire`] would remove.
    pub fn over(&self, now: i64, most: usize) -> Vec<Vec<u8>> {
        let over = self.ends.iter().take(most).take_while(|(end, _)| *end <= now);
        over.map(|(_, at)| Content::of(self.table.at(*at)).name.to_vec()).collect()
    }

    /// Whether threads may share it: no field ends by itself, as that is kept track of for all together.
    #[inline]
    pub fn is_shareable(&self) -> bool {
        self.table.is_divided() && self.ends.is_empty()
    }

    /// A field of a hash that threads share, for this one alone. None if they cannot share it.
    #[inline]
    pub fn slot<'h>(&'h self, name: &'h [u8], shares: &'h Shares) -> Option<Slot<'h>> {
        if !self.is_shareable() {
            return None;
        }
        let turn = self.table.turn(self.table.hash(name), shares)?;
        let place = turn.find(name);
        Some(Slot { turn, name, place })
    }

    /// Shows a few fields and returns the next cursor, 0 at the end ([`Table::scan`]).
    pub fn scan(&self, cursor: u64, now: i64, mut each: impl FnMut(Field<'_>)) -> u64 {
        self.table.scan(cursor, |_, content| show(content, now, &mut each))
    }

    /// A field at random, each as likely as any other, if there is one.
    pub fn random(&self, now: i64, mut random: impl FnMut() -> u64) -> Option<Field<'_>> {
        const TRIES: usize = 1000;
        for _ in 0..TRIES {
            let content = Content::of(self.table.at(self.table.random(&mut random)?));
            if !is_over(content.end, now) {
                return Some(content.field());
            }
        }
        // Nearly all are over, which the background has not noticed yet.
        let contents = || self.table.iter().map(Content::of);
        let live = || contents().filter(|content| !is_over(content.end, now));
        let nth = (u128::from(random()) * live().count() as u128) >> 64;
        live().nth(nth as usize).map(Content::field)
    }

    /// Shows all fields, in no order.
    pub fn each(&self, now: i64, mut each: impl FnMut(Field<'_>)) {
        self.table.iter().for_each(|content| show(content, now, &mut each));
    }

    /// All fields as they are at this instant, whatever becomes of the hash.
    pub fn view(&self, now: i64) -> Rest {
        Rest { view: self.table.view(), now }
    }

    /// The field in place `now_at` has `end`, and stood in `old` with an end if it had one.
    fn note(&mut self, old: Option<(i64, At)>, now_at: At, end: Option<i64>) {
        if let Some(old) = old {
            self.ends.remove(&old);
        }
        if let Some(end) = end {
            self.ends.insert((end, now_at));
        }
    }
}

/// A field, there or not, of a hash that threads share. None of the hash's fields ends by itself.
pub struct Slot<'h> {
    turn: Turn<'h, Fields>,
    name: &'h [u8],
    place: Option<u32>,
}

impl Slot<'_> {
    /// The field, if it is there.
    #[inline]
    pub fn get(&self) -> Option<Field<'_>> {
        self.place.map(|place| Content::of(self.turn.content(place)).field())
    }

    /// Gives it a value. True if the field is new; None if that is refused. It is not used after that.
    #[inline]
    pub fn set(&mut self, value: &[u8]) -> Option<bool> {
        let head = Head::new(self.name, None);
        let content = [head.bytes(), self.name, value];
        match self.place {
            Some(place) => {
                self.turn.rewrite(place, &content);
                Some(false)
            }
            None => self.turn.add(&content).map(|_| true),
        }
    }

    /// Removes it. False if it is not there; None if that is refused. It is not used after that.
    #[inline]
    pub fn remove(&mut self) -> Option<bool> {
        match self.place.take() {
            Some(place) => self.turn.remove(place).then_some(true),
            None => Some(false),
        }
    }
}

fn show(content: &[u8], now: i64, each: &mut impl FnMut(Field<'_>)) {
    let content = Content::of(content);
    if !is_over(content.end, now) {
        each(content.field());
    }
}

/// The fields of an instant that are still to be shown.
#[derive(Debug)]
pub struct Rest {
    view: View,
    now: i64,
}

impl Rest {
    /// Shows about `count` fields; false if there are no more.
    pub fn next(&mut self, count: usize, mut each: impl FnMut(Field<'_>)) -> bool {
        let now = self.now;
        self.view.next(count, |content| show(content, now, &mut each))
    }

    /// The same, and lets go of what has been shown ([`View::next_released`]).
    pub fn next_released(&mut self, count: usize, mut each: impl FnMut(Field<'_>)) -> bool {
        let now = self.now;
        self.view.next_released(count, |content| show(content, now, &mut each))
    }
}

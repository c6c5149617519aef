//! A list where it is kept: reading it in either form, and changing it under its stripe.
//!
//! Handlers say what happens to the list; here is what that means for a short one, which is replaced
//! by its next value, for a long one, which is changed where it stands, and for one that outgrows the
//! short form. An emptied list is no key any more.

use super::super::{Local, Shared};
use crate::db::{Compact, Expiry, Holds, New, Seen, Write, WrongType};
use crate::types::list::{End, Limit, List, Query, Short};
use crate::types::object::{Object, PACKED, Type};
use crate::types::packed::Element;

/// A list being read.
#[derive(Debug, Clone, Copy)]
pub enum View<'v> {
    Short(Short<'v>),
    /// Its stripe is held: whatever takes long is done with a share of it.
    Long(&'v List),
}

impl<'v> View<'v> {
    /// What a reader was shown; nothing of another type.
    pub fn of(seen: Seen<'v>) -> Option<Self> {
        match seen {
            Seen::Compact(compact) => Some(Self::Short(Short::new(compact.bytes))),
            Seen::Object(Object::List(list)) => Some(Self::Long(list)),
            Seen::Object(_) => None,
        }
    }

    /// The list under a key whose stripe is held, if there is one.
    pub fn held(write: &'v Write<'_, '_>) -> Result<Option<Self>, WrongType> {
        Ok(match write.holds(Type::List)? {
            Holds::Nothing => None,
            Holds::Compact(compact) => Some(Self::Short(Short::new(compact.bytes))),
            Holds::Object => write.peek_object().and_then(|object| Self::of(Seen::Object(object))),
        })
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Short(list) => list.len(),
            Self::Long(list) => list.len(),
        }
    }

    pub fn get(&self, index: usize) -> Option<Element<'v>> {
        match self {
            Self::Short(list) => list.get(index),
            Self::Long(list) => list.get(index),
        }
    }

    pub fn positions(&self, query: &Query<'_>) -> Vec<usize> {
        match self {
            Self::Short(list) => list.positions(query),
            Self::Long(list) => list.positions(query),
        }
    }
}

/// What a change needs beside the key.
pub struct Tools<'l> {
    limit: Limit,
    /// Where the next value of a short list is built.
    room: &'l mut Vec<u8>,
}

impl<'l> Tools<'l> {
    pub fn new(shared: &Shared, local: &'l mut Local) -> Self {
        let size = i64::from(local.config.list_max_listpack_size);
        let alone = shared.switches.packed_threshold();
        let limit = Limit::from_parameter(size).alone_from(alone);
        Self { limit, room: &mut local.scratch }
    }

    /// Adds `texts`, one after the other, at an end. Says how long the list is then.
    #[inline]
    pub fn push<'t>(
        &mut self,
        write: &mut Write<'_, '_>,
        end: End,
        texts: impl DoubleEndedIterator<Item = &'t [u8]> + Clone,
    ) -> Result<usize, WrongType> {
        let short = match write.holds(Type::List)? {
            Holds::Object => {
                write.changing();
                let Some(Object::List(list)) = write.object() else { return Err(WrongType) };
                texts.for_each(|text| list.push(end, text));
                return Ok(list.len());
            }
            Holds::Compact(compact) => Short::new(compact.bytes),
            Holds::Nothing => Short::default(),
        };
        self.room.clear();
        if short.push(end, texts.clone(), self.limit, self.room) {
            self.store(write);
            return Ok(usize::from(self.room[0]));
        }
        let mut list = List::from_packed(short.packed(), end, self.limit);
        texts.for_each(|text| list.push(end, text));
        let len = list.len();
        write.set(New::Object(Box::new(Object::List(list))), Expiry::Keep);
        Ok(len)
    }

    /// Stores a list that has elements in the place of whatever is there, to stay.
    pub fn put(&mut self, write: &mut Write<'_, '_>, list: List) {
        if !self.limit.keeps_short(list.used(), list.len()) {
            let list = list.within(self.limit);
            return write.set(New::Object(Box::new(Object::List(list))), Expiry::Never);
        }
        self.room.clear();
        self.room.push(list.len() as u8);
        list.to_packed(self.room);
        let compact = Compact { kind: Type::List, form: PACKED, bytes: self.room };
        write.set(New::Compact(compact), Expiry::Never);
    }

    /// Takes up to `count` elements away at an end. `show` gets them first, beginning at that end.
    /// Says how many are left.
    #[inline]
    pub fn pop(
        &mut self,
        write: &mut Write<'_, '_>,
        end: End,
        count: usize,
        show: impl FnOnce(Popped<'_>),
    ) -> Result<Option<usize>, WrongType> {
        let left = match write.holds(Type::List)? {
            Holds::Nothing => return Ok(None),
            Holds::Compact(compact) => {
                let list = Short::new(compact.bytes);
                let count = count.min(list.len());
                show(Popped { list: View::Short(list), end, count });
                if 0 < count && count < list.len() {
                    self.room.clear();
                    list.drop(end, count, self.room);
                    self.store(write);
                }
                list.len() - count
            }
            Holds::Object => {
                if count > 0 {
                    write.changing();
                }
                let Some(Object::List(list)) = write.object() else { return Err(WrongType) };
                let count = count.min(list.len());
                show(Popped { list: View::Long(list), end, count });
                list.drop(end, count);
                list.len()
            }
        };
        if left == 0 {
            write.remove();
        }
        Ok(Some(left))
    }

    /// Puts another text in place of the one at `index`, which there is.
    pub fn set(
        &mut self,
        write: &mut Write<'_, '_>,
        index: usize,
        text: &[u8],
    ) -> Result<(), WrongType> {
        self.change(
            write,
            |list, limit, room| list.set(index, text, limit, room),
            |list| {
                list.set(index, text);
            },
        )
    }

    /// Puts a text before the one at `index`, or at the end.
    pub fn insert(
        &mut self,
        write: &mut Write<'_, '_>,
        index: usize,
        text: &[u8],
    ) -> Result<(), WrongType> {
        self.change(
            write,
            |list, limit, room| list.insert(index, text, limit, room),
            |list| {
                list.insert(index, text);
            },
        )
    }

    /// Removes texts as [`List::remove`] does. Says how many went, and how many are left.
    pub fn remove(
        &mut self,
        write: &mut Write<'_, '_>,
        text: &[u8],
        count: i64,
    ) -> Result<(usize, usize), WrongType> {
        let (removed, left) = match write.holds(Type::List)? {
            Holds::Nothing => return Ok((0, 0)),
            Holds::Compact(compact) => {
                let list = Short::new(compact.bytes);
                self.room.clear();
                let removed = list.remove(text, count, self.room);
                if 0 < removed && removed < list.len() {
                    self.store(write);
                }
                (removed, list.len() - removed)
            }
            Holds::Object => {
                let Some(Object::List(list)) = write.object() else { return Err(WrongType) };
                let (removed, left) = (list.remove(text, count), list.len());
                if removed > 0 {
                    write.changing();
                }
                (removed, left)
            }
        };
        if left == 0 {
            write.remove();
        }
        Ok((removed, left))
    }

    /// Keeps `count` elements from `from` on, all of which there are. Says how many are left.
    pub fn trim(
        &mut self,
        write: &mut Write<'_, '_>,
        from: usize,
        count: usize,
    ) -> Result<(), WrongType> {
        if count == 0 {
            write.remove();
            return Ok(());
        }
        self.change(
            write,
            |list, _, room| {
                list.keep(from, count, room);
                true
            },
            |list| list.trim(from, count),
        )
    }

    /// Changes a list that is there: a short one by `short`, unless that says that it is none
    /// afterwards; then, and a long one, by `long`.
    fn change(
        &mut self,
        write: &mut Write<'_, '_>,
        short: impl FnOnce(Short<'_>, Limit, &mut Vec<u8>) -> bool,
        long: impl FnOnce(&mut List),
    ) -> Result<(), WrongType> {
        match write.holds(Type::List)? {
            Holds::Nothing => {}
            Holds::Compact(compact) => {
                let list = Short::new(compact.bytes);
                self.room.clear();
                if short(list, self.limit, self.room) {
                    self.store(write);
                } else {
                    let mut list = List::from_packed(list.packed(), End::Back, self.limit);
                    long(&mut list);
                    write.set(New::Object(Box::new(Object::List(list))), Expiry::Keep);
                }
            }
            Holds::Object => {
                write.changing();
                if let Some(Object::List(list)) = write.object() {
                    long(list);
                }
            }
        }
        Ok(())
    }

    /// Stores the short list that stands in the room.
    #[inline]
    fn store(&mut self, write: &mut Write<'_, '_>) {
        let compact = Compact { kind: Type::List, form: PACKED, bytes: self.room };
        write.set(New::Compact(compact), Expiry::Keep);
    }
}

/// Elements on their way out of a list.
pub struct Popped<'v> {
    list: View<'v>,
    end: End,
    /// How many there are.
    pub count: usize,
}

impl<'v> Popped<'v> {
    /// The only one, or the first of several.
    pub fn first(&self) -> Option<Element<'v>> {
        match (self.list, self.end) {
            (View::Long(list), end) => list.peek(end),
            (View::Short(list), End::Front) => list.get(0),
            (View::Short(list), End::Back) => list.get(list.len().checked_sub(1)?),
        }
    }

    /// Shows all of them in order.
    pub fn each(&self, f: impl FnMut(Element<'v>)) {
        match (self.list, self.end) {
            _ if self.count == 1 => self.first().into_iter().for_each(f),
            (View::Long(list), end) => list.walk(end).take(self.count).for_each(f),
            (View::Short(list), End::Front) => list.packed().iter().take(self.count).for_each(f),
            (View::Short(list), End::Back) => {
                list.packed().iter_back().take(self.count).for_each(f);
            }
        }
    }

    /// A list of them that stays, beginning at the front whatever the end, if they are many.
    pub fn share(&self) -> Option<List> {
        match (self.list, self.end) {
            (View::Long(list), End::Front) => Some(list.share(0, self.count)),
            (View::Long(list), End::Back) => Some(list.share(list.len() - self.count, self.count)),
            (View::Short(_), _) => None,
        }
    }
}

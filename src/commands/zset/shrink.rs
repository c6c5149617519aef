//! Taking many members out of a large set, in slices.
//!
//! The work is done to a twin, which shares all memory with the set until either changes; the set
//! itself stands as it was, whole, for everybody. When all is removed the twin takes its place, if it
//! is still the one that was copied. If not, the work is done anew, and after some tries in one go,
//! under the stripe, where nothing can change.
//!
//! The price is what the twin does not share: of each chunk that loses a member a copy, until the old
//! set is freed. So what is quickly done is done where it stands.

use super::Error;
use crate::commands::Cx;
use crate::commands::slice::{self, Slice};
use crate::db::{Expiry, Holds, Key, New};
use crate::types::object::{Object, Type};
use crate::types::zset::{Frozen, SortedSet, View};
use std::ops::Range;

/// Members that are taken out in one go: two milliseconds, in a set of a million.
const AT_ONCE: usize = 8_192;
/// Members taken out between two looks at the time; each may cost the copy of a chunk.
const STEP: usize = 64;
/// Times that the work on a set that changed is done anew.
const TRIES: u32 = 3;

/// What has become of the members.
pub enum Outcome {
    /// Nothing yet: they are few, or the set is small or does not let itself be copied in peace.
    Few,
    /// Nothing yet: the command is to be run again.
    Later,
    /// They are out.
    Done(Box<Removed>),
}

/// Members that were taken out.
pub struct Removed {
    /// The set before.
    pub was: Frozen,
    /// Their ranks in it.
    pub range: Range<usize>,
}

impl Removed {
    /// Whether they were all.
    pub fn emptied(&self) -> bool {
        self.range.len() == self.was.len()
    }
}

struct Shrinking {
    removed: Removed,
    twin: Box<SortedSet>,
    left: usize,
    tries: u32,
}

/// Takes the members out whose ranks `pick` names, if they are many; changes nothing else.
pub fn shrink(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    pick: impl Fn(&View<'_>) -> Range<usize>,
) -> Result<Outcome, Error> {
    let mut work = match slice::resume::<Shrinking>(cx) {
        Some(work) => work,
        None => match begin(cx, key, &pick, 0)? {
            Begun::Work(work) => work,
            Begun::Settled(outcome) => return Ok(outcome),
        },
    };
    let slice = Slice::begin();
    while work.step() {
        if slice.is_over() {
            return Slice::pause(cx, work).map(|()| Outcome::Later);
        }
    }
    let mut write = cx.db.write(key);
    if let Some(Object::ZSet(set)) = write.object()
        && work.removed.was.is_still(set)
    {
        let Shrinking { removed, twin, .. } = *work;
        write.set(New::Object(Box::new(Object::ZSet(twin))), Expiry::Keep);
        return Ok(Outcome::Done(Box::new(removed)));
    }
    drop(write);
    if work.tries == TRIES {
        return Ok(Outcome::Few);
    }
    match begin(cx, key, &pick, work.tries + 1)? {
        Begun::Work(work) => Slice::pause(cx, work).map(|()| Outcome::Later),
        Begun::Settled(outcome) => Ok(outcome),
    }
}

enum Begun {
    Work(Box<Shrinking>),
    Settled(Outcome),
}

fn begin(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    pick: impl Fn(&View<'_>) -> Range<usize>,
    tries: u32,
) -> Result<Begun, Error> {
    let mut write = cx.db.write(key);
    let set = match write.holds(Type::ZSet)? {
        Holds::Object => match write.peek_object() {
            Some(Object::ZSet(set)) if set.len() > AT_ONCE => set,
            _ => return Ok(Begun::Settled(Outcome::Few)),
        },
        _ => return Ok(Begun::Settled(Outcome::Few)),
    };
    let range = pick(&View::Large(set));
    if range.len() <= AT_ONCE {
        return Ok(Begun::Settled(Outcome::Few));
    }
    let removed = Removed { was: Frozen::of(set, false), range };
    if removed.emptied() {
        write.remove();
        return Ok(Begun::Settled(Outcome::Done(Box::new(removed))));
    }
    let left = removed.range.len();
    Ok(Begun::Work(Box::new(Shrinking { removed, twin: set.clone(), left, tries })))
}

impl Shrinking {
    /// Takes a few members out of the twin. False if that was all.
    fn step(&mut self) -> bool {
        let count = self.left.min(STEP);
        self.twin.remove_range(self.removed.range.start, count, |_, _| ());
        self.left -= count;
        self.left > 0
    }
}

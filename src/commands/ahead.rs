//! Asking for memory ahead: what the commands of a batch will touch beyond keys and entries.
//!
//! Commands in a row that name elements of one large collection would wait for the cache misses of
//! each one after the other. Here the misses of all overlap: the stripe is taken once, if it is free,
//! all elements are hashed, then each step of their look-ups is asked for before the next is taken.
//! So it is with pushes and pops of many lists, each of which is three steps away from its key, and
//! with the elements of one command that names many.
//!
//! Nothing here has an effect that a client could see: what is asked for may be gone when its
//! command runs, and what was not asked for is found all the same.

use super::Flags;
use super::run::Plan;
use super::zset::access::parse;
use crate::db::{Access, Key};
use crate::resp::Args;
use crate::types::list::End;
use crate::types::object::Sought;

/// What a command is about, beside its first key: where batches look ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ahead {
    /// Nothing to be told by its arguments alone.
    #[default]
    Nothing,
    /// The argument with this number names an element.
    Element(u8),
    /// It does, and the element's rank or place in the order is wanted.
    Ranked(u8),
    /// This argument is the new score of the element that the next one names.
    Scored(u8),
    /// One end of the list.
    End(End),
}

/// From this many commands on, asking ahead pays.
const FROM: usize = 4;

/// Asks for what the commands of `plans` will touch.
pub fn ask<'a>(plans: &[Plan], db: &mut Access<'_>, args: impl Fn(usize) -> Args<'a>) {
    let key = |i: usize| Key { bytes: args(i).get(first_key(&plans[i])), hash: plans[i].hash };
    let (mut at, mut ends) = (0, 0);
    while let Some(plan) = plans.get(at) {
        let like = |other: &&Plan| other.beyond != Ahead::Nothing && other.hash == plan.hash;
        let count = plans[at..].iter().take_while(like).count();
        match plan.beyond {
            Ahead::Nothing => {}
            Ahead::End(_) => ends += 1,
            _ if count >= FROM => {
                let sought = |i: usize| sought(&plans[i], args(i));
                db.ask_ahead(key(at), (at..at + count).filter_map(sought));
            }
            _ => {}
        }
        at += count.max(1);
    }
    if ends >= FROM {
        db.ask_ends_ahead((0..plans.len()).filter_map(|i| match plans[i].beyond {
            Ahead::End(end) if i == 0 || plans[i - 1].hash != plans[i].hash => Some((key(i), end)),
            _ => None,
        }));
    }
}

/// Elements of one command that are asked for together.
const TOGETHER: usize = 32;

/// Does something with each of the elements that one command names: `ask` sees them in groups before
/// their turn, if there are enough for that to pay.
#[inline]
pub fn in_groups<S: ?Sized, T: Copy>(
    collection: &mut S,
    mut elements: impl ExactSizeIterator<Item = T>,
    ask: impl Fn(&S, &[T]),
    mut each: impl FnMut(&mut S, T),
) {
    if elements.len() < FROM {
        return elements.for_each(|element| each(collection, element));
    }
    let mut group = Vec::with_capacity(TOGETHER.min(elements.len()));
    loop {
        group.extend(elements.by_ref().take(TOGETHER));
        if group.is_empty() {
            return;
        }
        ask(collection, &group);
        group.drain(..).for_each(|element| each(collection, element));
    }
}

/// The argument that holds the key of a plan that has one.
fn first_key(plan: &Plan) -> usize {
    plan.row.map_or(0, |row| usize::from(row.first_key))
}

/// The element that a command is about.
#[inline]
fn sought<'a>(plan: &Plan, args: Args<'a>) -> Option<Sought<'a>> {
    let (at, ordered, score) = match plan.beyond {
        Ahead::Nothing | Ahead::End(_) => return None,
        Ahead::Element(at) => (at, false, None),
        Ahead::Ranked(at) => (at, true, None),
        Ahead::Scored(at) => (at + 1, true, Some(parse(args.opt(usize::from(at))?).ok()?)),
    };
    let changed = plan.row.is_some_and(|row| row.command.flags.has(Flags::WRITE));
    Some(Sought { name: args.opt(usize::from(at))?, ordered, score, changed })
}

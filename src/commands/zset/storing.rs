//! Storing a sorted set that takes long to make: it is made in slices while its sources stand as they
//! are, and stored if they still do.

use super::Error;
use super::access::settle;
use crate::commands::Cx;
use crate::commands::event::Class;
use crate::commands::slice::Slice;
use crate::db::{Access, Expiry, Key};
use crate::types::zset::{Draft, Limits, SortedSet};
use std::any::Any;

/// What makes a sorted set of sources that were taken at one instant.
pub trait Work: Any + Send {
    /// Goes on until `slice` is over, or without one to the end. True when all is done.
    fn go_on(&mut self, slice: Option<&Slice>) -> bool;

    /// Whether all keys, which are held, still hold what was taken from them.
    fn is_still(&self, db: &mut Access<'_>, keys: &[Key<'_>]) -> bool;

    /// What was made.
    fn take_result(&mut self) -> Box<SortedSet>;
}

/// A result on its way to its key.
#[derive(Debug)]
pub struct Storing<W> {
    work: W,
    tries: u32,
}

/// Times that changed sources are combined anew before they are held meanwhile.
const TRIES: u32 = 3;

impl<W: Work> Storing<W> {
    /// Begins the work.
    pub fn new(work: W) -> Box<Self> {
        Box::new(Self { work, tries: 0 })
    }

    /// Goes on, and stores the result when it is whole; the command is to be run again until it is.
    pub fn go_on(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        (to, keys): (Key<'_>, &[Key<'_>]),
        (limits, word): (Limits, &'static str),
        anew: impl Fn(&mut Access<'_>) -> Result<W, Error>,
    ) -> Result<(), Error> {
        let (slice, voice) = (Slice::begin(), cx.voice());
        if !self.work.go_on(Some(&slice)) {
            return Slice::pause(cx, self);
        }
        let all: Vec<Key<'_>> = keys.iter().copied().chain([to]).collect();
        let Self { work, tries } = &mut *self;
        let stored = cx.db.hold(&all, |db| -> Result<Option<usize>, Error> {
            if !work.is_still(db, keys) {
                *work = anew(db)?;
                if *tries < TRIES {
                    *tries += 1;
                    return Ok(None);
                }
                work.go_on(None);
            }
            let result = work.take_result();
            let count = result.len();
            let mut write = db.write(to);
            if count > 0 {
                settle(&mut write, Draft::settled(result, limits).done(), Expiry::Never);
                drop(write);
                voice.event(db, Class::ZSET, word, to.bytes);
            } else if write.remove() {
                drop(write);
                voice.event(db, Class::GENERIC, "del", to.bytes);
            }
            Ok(Some(count))
        })?;
        match stored {
            Some(count) => {
                cx.reply.count(count);
                Ok(())
            }
            None => Slice::pause(cx, self),
        }
    }
}

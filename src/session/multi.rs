//! What MULTI has queued and WATCH watches.

use super::{After, Flag, Gates, Session};
use crate::resp::Args;
use crate::resp::args::OwnedArgs;
use crate::sync::Ordering;

/// A command that waits for EXEC.
#[derive(Debug)]
pub struct Queued {
    /// Number of its row.
    pub row: u16,
    /// Its arguments, copied.
    pub args: OwnedArgs,
}

/// The commands since MULTI.
#[derive(Debug, Default)]
pub struct Multi {
    /// In the order in which they came.
    pub queue: Vec<Queued>,
    /// Flags of all their rows together.
    pub flags: u64,
    /// One was refused: EXEC will be.
    pub spoiled: bool,
    bytes: usize,
}

impl Multi {
    /// Queues a command.
    pub fn push(&mut self, row: u16, flags: u64, args: Args<'_>) {
        let args = OwnedArgs::of(args);
        self.bytes += args.memory();
        self.flags |= flags;
        self.queue.push(Queued { row, args });
    }

    /// Bytes that the queue takes.
    pub fn memory(&self) -> usize {
        self.bytes + self.queue.capacity() * size_of::<Queued>()
    }
}

impl Session {
    /// MULTI.
    pub fn begin_multi(&mut self) {
        self.multi = Some(Box::default());
        self.gate(Gates::MULTI, true);
        self.client.flag(Flag::MULTI, true);
        self.show_multi();
    }

    /// The end of MULTI: what was queued.
    pub fn end_multi(&mut self) -> Option<Box<Multi>> {
        let multi = self.multi.take();
        if multi.is_some() {
            self.gate(Gates::MULTI, false);
            self.client.flag(Flag::MULTI, false);
            self.show_multi();
        }
        multi
    }

    /// Nothing is watched any more, and what was seen of it is forgotten.
    pub fn unwatch(&mut self) {
        if let Some(watching) = self.watching.take() {
            drop(watching); // from here on nobody sets the flag
            self.watched(0);
            self.client.flag(Flag::DIRTY, false);
        }
    }

    /// Shows other threads how many keys are watched.
    pub fn watched(&self, keys: usize) {
        self.client.view.watched.store(keys as u32, Ordering::Relaxed);
    }

    /// Whether a watched key has changed.
    pub fn is_dirty(&self) -> bool {
        self.client.flags() & Flag::DIRTY != 0
    }

    /// Bytes of queued commands.
    pub fn multi_memory(&self) -> usize {
        self.multi.as_ref().map_or(0, |multi| multi.memory())
    }

    /// Bytes of watched keys.
    pub fn watch_memory(&self) -> usize {
        self.watching.as_ref().map_or(0, |watching| watching.memory())
    }

    /// Shows other threads how much is queued.
    pub fn show_multi(&self) {
        let view = &self.client.view;
        let queued = self.multi.as_ref().map_or(-1, |multi| multi.queue.len() as i64);
        view.queued.store(queued, Ordering::Relaxed);
        view.multi_memory.store(self.multi_memory(), Ordering::Relaxed);
    }
}

/// What several commands in one ask of the connection: the strongest of it.
pub fn both(one: After, other: After) -> After {
    match (one, other) {
        (After::Close, _) | (_, After::Close) => After::Close,
        (After::Park(a), After::Park(b)) => After::Park(a.max(b)),
        (After::Continue, after) | (after, _) => after,
    }
}

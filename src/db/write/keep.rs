//! What a snapshot wants of an entry, under its stripe: see [`crate::db::snapshot`], S2.

use super::super::entry::{Entry, Kind};
use super::Write;
use crate::index::Table;
use crate::sync::Pin;
use crate::types::image::Image;

/// An entry as it was when the walk marked it.
pub(in crate::db) struct Found<'p> {
    pub entry: &'p Entry,
    pub expiry: Option<i64>,
    /// The value, if that is no object. Bytes of a small one never change (N1 of `entry`), so they may be
    /// read for as long as the pin lasts; a number is of the moment.
    pub kind: Kind<'p>,
    pub image: Option<Box<Image>>,
}

/// Marks unsaved entries of about `most` that stand behind `cursor` under one stripe, and notes them
/// unless nobody wants them. Returns the next cursor.
pub(in crate::db) fn mark_some<'p>(
    table: &'p Table<Entry>,
    (cursor, most): (u64, usize),
    (parity, now): (bool, i64),
    pin: &'p Pin,
    mut found: Option<&mut Vec<Found<'p>>>,
) -> u64 {
    table.walk(cursor, most, pin, |entry| {
        if entry.is_saved() == parity {
            return;
        }
        entry.set_saved(parity);
        if let Some(found) = &mut found {
            // SAFETY: the walk holds the entry's stripe, nobody shares what is under it, and this thread
            // has no `Write`.
            let object = unsafe { entry.shared_object() };
            let image = object.map(|object| Box::new(Image::of(object, now)));
            found.push(Found { entry, expiry: entry.expiry(), kind: entry.kind(), image });
        }
    })
}

impl Write<'_, '_> {
    /// To be called before the entry or its object is changed in place, replaced or removed.
    #[inline(always)]
    pub(super) fn preserve(&self) {
        if self.access.keyspace.snapshots.is_running() {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&self) {
        let Some(entry) = self.raw_entry() else { return };
        let (snapshots, now) = (&self.access.keyspace.snapshots, self.access.now);
        snapshots.before_change((self.access.local.seat, self.db), entry, || {
            // SAFETY: P1: the stripe is held, and no mutable reference to the object is alive, as
            // those come through `&mut self`.
            let object = unsafe { entry.shared_object() };
            object.map(|object| Box::new(Image::of(object, now)))
        });
    }
}

//! The place where a table hangs: made on first use, exchanged whole, taken down later.
//!
//! - **R1** The pointer is null or a table from `Box::into_raw`; a table leaves only by a swap, and
//!   whoever swapped it out gives it to the collector, so that a pinned reader may go on using it.

use super::table::{Record, Table};
use crate::sync::stripe::Stripes;
use crate::sync::{AtomicPtr, Ordering, Pin};
use std::ptr::null_mut;
use std::sync::Arc;

/// A table, or none yet.
#[derive(Debug)]
pub struct Root<R: Record>(AtomicPtr<Table<R>>);

impl<R: Record> Default for Root<R> {
    fn default() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }
}

impl<R: Record> Root<R> {
    /// The table, if there is one.
    #[inline(always)]
    pub fn get<'p>(&self, _pin: &'p Pin) -> Option<&'p Table<R>> {
        // SAFETY: R1: null, or alive for as long as this thread stays pinned.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// The table, made if there is none.
    #[inline(always)]
    pub fn get_or_make<'p>(&self, stripes: &Arc<Stripes>, pin: &'p Pin) -> &'p Table<R> {
        loop {
            match self.get(pin) {
                Some(table) => return table,
                None => self.make(stripes),
            }
        }
    }

    #[cold]
    fn make(&self, stripes: &Arc<Stripes>) {
        let fresh = Box::into_raw(Box::new(Table::new(Arc::clone(stripes))));
        let raced = self.0.compare_exchange(null_mut(), fresh, Ordering::AcqRel, Ordering::Relaxed);
        if raced.is_err() {
            // SAFETY: made above and never published.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }

    /// Takes the table down and gives it to `then` once no reader can have it.
    pub fn take(&self, pin: &Pin, then: impl FnOnce(Box<Table<R>>) + Send + 'static) -> bool {
        let table = self.0.swap(null_mut(), Ordering::AcqRel);
        if table.is_null() {
            return false;
        }
        // SAFETY: R1: the swap took it out of reach of threads that pin from now on; it came from
        // a box, and this is the only closure that owns it.
        unsafe {
            let table = Sendable(table);
            pin.defer(move || then(Box::from_raw({ table }.0)));
        }
        true
    }

    /// Exchanges two tables. Readers see each root before or after, so whoever needs both at once
    /// keeps them out (exclusive mode).
    pub fn exchange(&self, other: &Self) {
        let ours = self.0.load(Ordering::Acquire);
        let theirs = other.0.swap(ours, Ordering::AcqRel);
        self.0.store(theirs, Ordering::Release);
    }
}

struct Sendable<R: Record>(*mut Table<R>);

// SAFETY: a table is `Send`: its records are, and the rest is atomics.
unsafe impl<R: Record> Send for Sendable<R> {}

impl<R: Record> Drop for Root<R> {
    fn drop(&mut self) {
        let table = self.0.swap(null_mut(), Ordering::AcqRel);
        if !table.is_null() {
            // SAFETY: R1, and `&mut self`: nobody else is here.
            drop(unsafe { Box::from_raw(table) });
        }
    }
}

//! Parts of a value: each thread by itself, or several threads in different parts at once.
//!
//! A large collection is either in one thread's hands, which then reaches all its parts by plain
//! references, or *shared* by threads that have announced its stripe ([`super::stripe`], W5), and then
//! each part is behind its [`Latch`]. Which of the two it is, no part can know by itself:
//!
//! - **C1** While a value is shared, its parts are reached by [`Part::lock`] only, or read under the
//!   latch of another without which none is changed, and whatever else can change of it is an atomic.
//! - **C2** A [`Sharing`] is the proof that a value is shared. Whoever makes one promises C1 for all
//!   that can be reached with it, until it is dropped; nothing but `db` makes any.
//! - **C3** `&Part` without a proof means that no thread shares the value, so [`Part::get`] needs no
//!   lock. What is handed out together with a proof is of a type that has no door but the locked one
//!   ([`crate::types::object::Shared`]).

use super::latch::Latch;
use crate::mem;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

/// The proof of C2.
#[derive(Debug)]
pub struct Sharing(());

impl Sharing {
    /// A proof.
    ///
    /// # Safety
    /// While it lives, C1 holds for every value that the caller lets be reached with it.
    pub(crate) const unsafe fn promise() -> Self {
        Self(())
    }
}

/// A part. The latch stands beside the beginning of the value: one line for both.
#[derive(Debug)]
#[repr(C)]
pub struct Part<T> {
    latch: Latch,
    value: UnsafeCell<T>,
}

// SAFETY: a part hands its value to several threads at once for reading only (C3), and to one at a
// time for writing (C1, A1).
unsafe impl<T: Send + Sync> Sync for Part<T> {}

impl<T> Part<T> {
    /// A part with this value.
    pub fn new(value: T) -> Self {
        Self { latch: Latch::default(), value: UnsafeCell::new(value) }
    }

    /// The value, of which no thread shares the whole (C3).
    #[inline(always)]
    pub fn get(&self) -> &T {
        // SAFETY: C3: nobody changes it without a `&mut`, which cannot be had meanwhile.
        unsafe { &*self.value.get() }
    }

    /// The value, to be changed.
    #[inline(always)]
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Asks for the line of the latch, and for the next, for who will lock it soon.
    #[inline(always)]
    pub fn ask(&self) {
        let start = std::ptr::from_ref(self).cast::<u8>();
        mem::prefetch_to_write(start);
        mem::prefetch(start.wrapping_add(64));
    }

    /// The value, of which threads share the whole, for this one alone.
    #[inline(always)]
    pub fn lock<'p>(&'p self, proof: &'p Sharing) -> Turn<'p, T> {
        let _ = proof;
        self.latch.lock();
        Turn(self)
    }
}

/// A part in one thread's hands, until this is dropped.
#[derive(Debug)]
pub struct Turn<'p, T>(&'p Part<T>);

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the latch is ours (A1), and others come by it only (C1).
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Turn<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` is the only way to this reference.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Turn<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.latch.unlock();
    }
}

//! Garbage of one worker on its way to the collector, bounded in bytes.
//!
//! crossbeam-epoch alone bounds garbage by count (64 closures a bag) and collects only at every
//! 128th pin: with 16 KiB values overwritten that held 3.2 GB for 0.16 GB of data. So each worker
//! fills a bag of its own and hands it over as **one** closure, when it holds [`BAG_ITEMS`] blocks
//! or [`BAG_BYTES`] bytes, and flushes then.
//!
//! The collector runs closures on whichever thread pins next, so it frees nothing itself: its closure
//! says that the bag's time has come, and the worker that filled the bag frees it. The blocks go back
//! to the thread cache from which they are taken again, in a cache that has just read them.
//!
//! - **B1** A block enters a bag after the store that took it out of reach; it is freed with the bag,
//!   by the thread that filled it.
//! - **B2** A bag is freed only after its flag was seen up (Acquire); the collector's closure raises it
//!   (Release) once every thread that was pinned when the bag was handed over has moved on.
//! - **B3** [`outstanding`] is the number of bytes handed over and not yet freed. Writers that see
//!   it past [`HIGH_WATER`] wait (unpinned, holding no stripe) before their next batch, twice as
//!   long for each further [`HIGH_WATER`]: a thread that stays pinned slows them down, but garbage
//!   cannot outgrow memory.

use super::{AtomicBool, AtomicUsize, Ordering, Pin};
use std::collections::VecDeque;
use std::sync::Arc;

/// Blocks in a bag at most: few, so that freed blocks are still in the cache when they are reused.
const BAG_ITEMS: usize = 256;
/// Bytes in a bag at most, but for one block.
const BAG_BYTES: usize = 512 * 1024;
/// Handed-over bytes beyond which writers wait.
pub const HIGH_WATER: usize = 64 * 1024 * 1024;

static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);

/// Bytes retired by all threads, handed to the collector and not yet freed.
pub fn outstanding() -> usize {
    OUTSTANDING.load(Ordering::Relaxed)
}

/// One retired block and how to free it.
struct Item {
    block: *mut u8,
    free: unsafe fn(*mut u8),
}

struct Bag {
    items: Vec<Item>,
    bytes: usize,
}

// SAFETY: a bag owns its blocks (B1), whose contents `Limbo::retire` requires to be sendable.
unsafe impl Send for Bag {}

impl Drop for Bag {
    fn drop(&mut self) {
        for item in &self.items {
            // SAFETY: whoever retired the block promised that `free` frees it, once (B1).
            unsafe { (item.free)(item.block) }
        }
    }
}

/// The bag being filled by one thread.
pub struct Limbo {
    bag: Bag,
    handed: u64,
    /// Bags handed over and not yet freed, oldest first, each with its flag (B2).
    waiting: VecDeque<(Arc<AtomicBool>, Bag)>,
}

impl std::fmt::Debug for Limbo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limbo").field("bytes", &self.bag.bytes).finish()
    }
}

impl Default for Limbo {
    fn default() -> Self {
        let bag = Bag { items: Vec::with_capacity(BAG_ITEMS), bytes: 0 };
        Self { bag, handed: 0, waiting: VecDeque::new() }
    }
}

impl Limbo {
    /// Frees `block` by `free` once no thread can still read it.
    ///
    /// # Safety
    /// The block is out of reach of threads that pin from now on, nobody else frees it, `free`
    /// frees it on any thread, and `pin` was taken before it went out of reach.
    #[inline]
    pub unsafe fn retire(
        &mut self,
        block: *mut u8,
        bytes: usize,
        free: unsafe fn(*mut u8),
        pin: &Pin,
    ) {
        self.bag.items.push(Item { block, free });
        self.bag.bytes += bytes;
        if self.bag.items.len() >= BAG_ITEMS || self.bag.bytes >= BAG_BYTES {
            self.hand_over(pin);
        }
    }

    /// Bytes in the bag being filled.
    pub fn bytes(&self) -> usize {
        self.bag.bytes
    }

    /// Changes with every block retired: tells whether a batch retired any.
    pub fn mark(&self) -> (u64, usize) {
        (self.handed, self.bag.items.len())
    }

    /// Hands the bag over, however full, and collects what is due. Call when a worker goes idle.
    #[cold]
    pub fn hand_over(&mut self, pin: &Pin) {
        if !self.bag.items.is_empty() {
            let items = std::mem::replace(&mut self.bag.items, Vec::with_capacity(BAG_ITEMS));
            let bytes = std::mem::take(&mut self.bag.bytes);
            let bag = Bag { items, bytes };
            self.handed += 1;
            OUTSTANDING.fetch_add(bytes, Ordering::Relaxed);
            let due = Arc::new(AtomicBool::new(false));
            self.waiting.push_back((Arc::clone(&due), bag));
            // SAFETY: the closure touches nothing but the flag, which it shares.
            unsafe { pin.defer(move || due.store(true, Ordering::Release)) };
        }
        pin.flush();
        self.free_due();
    }

    /// Frees the bags whose time has come.
    pub fn free_due(&mut self) {
        while let Some((_, bag)) = self.waiting.pop_front_if(|(due, _)| due.load(Ordering::Acquire))
        {
            let bytes = bag.bytes;
            drop(bag); // B2
            crate::mem::settle(); // what is free must not be counted as used by others
            OUTSTANDING.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// A bag whose worker has ended: freed by the collector.
fn leave(bag: Bag, pin: &Pin) {
    // SAFETY: B1: the blocks were out of reach before they entered the bag.
    unsafe {
        pin.defer(move || {
            let bytes = bag.bytes;
            drop(bag);
            crate::mem::settle();
            OUTSTANDING.fetch_sub(bytes, Ordering::Relaxed);
        });
    }
}

impl Drop for Limbo {
    fn drop(&mut self) {
        let pin = super::pin();
        self.hand_over(&pin);
        std::mem::take(&mut self.waiting).into_iter().for_each(|(_, bag)| leave(bag, &pin));
        pin.flush();
    }
}

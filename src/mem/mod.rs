//! Memory: the allocator that counts, and what it says.
//!
//! `used_memory` is what the allocator has handed out, by its own size classes, summed over all
//! threads: not a guess about structures. Each thread keeps its own difference and passes it on
//! when it exceeds [`DRIFT`], so counting costs two or three nanoseconds and no shared line.
//!
//! - **M1** The sum of the global count and all threads' differences is the number of bytes
//!   allocated and not freed, to the size class.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering}; // must be `const`, and exist before any test's model does

/// Asks the processor to bring the line of something that will be looked at soon.
#[inline(always)]
pub fn prefetch<T: ?Sized>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is allowed and has no effect that a program can see.
    unsafe {
        std::arch::x86_64::_mm_prefetch(place.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The same of what will be written soon, and may be another processor's until then: the line comes to
/// stay, not as a copy that must be asked for once more.
#[inline(always)]
pub fn prefetch_to_write<T: ?Sized>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch of any address is allowed and has no effect that a program can see; processors
    // without this one do nothing.
    unsafe {
        let place = place.cast::<u8>();
        std::arch::asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    prefetch(place);
}

/// A thread's difference is passed on beyond this many bytes.
const DRIFT: isize = 16 * 1024;

static USED: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    // No destructor, so it may be used at any time in a thread's life.
    static HERE: Cell<isize> = const { Cell::new(0) };
}

#[cfg(feature = "jemalloc")]
static UNDER: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
#[cfg(not(feature = "jemalloc"))]
static UNDER: std::alloc::System = std::alloc::System;

/// jemalloc's settings, read by it before `main`. Blocks come back from the epochs hundreds at a time:
/// the default thread caches (200 of a size) would hand them to the arena and take them back again,
/// which was a sixth of a SET. Nor are they trimmed each 64 KiB, but each MiB that was allocated: that took
/// a twenty-fifth of a small script, and what is trimmed is soon wanted again.
#[cfg(feature = "jemalloc")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static std::ffi::c_char> = {
    const TEXT: &std::ffi::CStr = c"background_thread:true,narenas:4,dirty_decay_ms:5000,\
        tcache_nslots_small_max:2048,lg_tcache_nslots_mul:4,tcache_gc_incr_bytes:1048576";
    // SAFETY: a constant text, which jemalloc reads as the C string that it is.
    Some(unsafe { &*TEXT.as_ptr() })
};

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

/// Bytes that the allocator uses for a block of `size`: jemalloc's classes (16 bytes apart up to
/// 128, then four to a doubling up to 64 KiB, then whole pages), computed instead of asked for (its own answer costs a tree walk).
#[inline(always)]
pub const fn class(size: usize) -> usize {
    if !cfg!(feature = "jemalloc") {
        return (size + 8 + 15) & !15; // glibc: a length word, 16-byte steps
    }
    if size <= 128 {
        if size <= 8 { 8 } else { (size + 15) & !15 }
    } else if size > 64 * 1024 {
        (size + 4095) & !4095
    } else {
        let step = (1 << (usize::BITS - 1 - (size - 1).leading_zeros())) >> 2;
        (size + step - 1) & !(step - 1)
    }
}

#[inline(always)]
fn count(bytes: isize) {
    HERE.with(|here| {
        let sum = here.get() + bytes;
        if (-DRIFT..DRIFT).contains(&sum) {
            here.set(sum);
        } else {
            here.set(0);
            USED.fetch_add(sum, Ordering::Relaxed);
        }
    });
}

// SAFETY: every call goes to the allocator underneath unchanged; counting touches no block.
unsafe impl GlobalAlloc for Counting {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(class(layout.size()) as isize);
        // SAFETY: the caller's contract is the same.
        unsafe { UNDER.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(class(layout.size()) as isize);
        // SAFETY: as above.
        unsafe { UNDER.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(class(layout.size()) as isize));
        // SAFETY: as above.
        unsafe { UNDER.dealloc(block, layout) }
    }

    #[inline(always)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(class(size) as isize - class(layout.size()) as isize);
        // SAFETY: as above.
        unsafe { UNDER.realloc(block, layout, size) }
    }
}

/// Bytes in use, exact for this thread and within `DRIFT` for each other (M1).
#[inline]
pub fn used() -> usize {
    let here = HERE.with(Cell::get);
    usize::try_from(USED.load(Ordering::Relaxed) + here).unwrap_or(0)
}

/// Passes this thread's difference on: for threads that are about to end or to sleep for long.
pub fn settle() {
    let here = HERE.with(|here| here.replace(0));
    USED.fetch_add(here, Ordering::Relaxed);
}

/// What the allocator underneath says of itself, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Handed out.
    pub allocated: usize,
    /// In pages with anything handed out.
    pub active: usize,
    /// Mapped and backed by memory.
    pub resident: usize,
    /// Given back to the system but still mapped.
    pub retained: usize,
    /// The allocator's own bookkeeping.
    pub metadata: usize,
    /// Given back lazily: the system may take these pages, and has perhaps not yet done so.
    pub muzzy: usize,
}

/// Name and version of the allocator, as INFO prints it.
pub fn allocator() -> &'static str {
    if cfg!(feature = "jemalloc") { "jemalloc-5.3.1" } else { "libc" }
}

/// Asks the allocator. Walks its arenas: for INFO, not for the loop.
#[cfg(feature = "jemalloc")]
pub fn stats() -> Stats {
    use tikv_jemalloc_ctl::{epoch, stats};
    let _ = epoch::advance();
    Stats {
        allocated: stats::allocated::read().unwrap_or(0),
        active: stats::active::read().unwrap_or(0),
        resident: stats::resident::read().unwrap_or(0),
        retained: stats::retained::read().unwrap_or(0),
        metadata: stats::metadata::read().unwrap_or(0),
        muzzy: muzzy_pages() * PAGE,
    }
}

/// Bytes of jemalloc's pages, as built for the platforms that we support.
#[cfg(feature = "jemalloc")]
const PAGE: usize = 4096;

/// Pages given back lazily, of all arenas (which 4096 stands for).
#[cfg(feature = "jemalloc")]
fn muzzy_pages() -> usize {
    // SAFETY: the figure is a `size_t`.
    unsafe { tikv_jemalloc_ctl::raw::read(b"stats.arenas.4096.pmuzzy\0") }.unwrap_or(0)
}

/// Asks the allocator: the system's tells nothing, so all figures are the counted one.
#[cfg(not(feature = "jemalloc"))]
pub fn stats() -> Stats {
    let used = used();
    Stats { allocated: used, active: used, resident: used, ..Stats::default() }
}

/// Gives pages without anything in them back to the system, now instead of little by little.
#[cfg(feature = "jemalloc")]
pub fn purge() {
    use tikv_jemalloc_ctl::{arenas, raw};
    for arena in 0..arenas::narenas::read().unwrap_or(0) {
        for kind in ["dirty", "muzzy"] {
            let name = format!("arena.{arena}.{kind}_decay_ms\0");
            // An arena that was never used has no such parameter: nothing to give back either.
            // SAFETY: the parameter is an `ssize_t`.
            let Ok(usual) = (unsafe { raw::update::<isize>(name.as_bytes(), 0) }) else { continue };
            // SAFETY: as above.
            let _ = unsafe { raw::write::<isize>(name.as_bytes(), usual) };
        }
    }
}

/// Gives pages back to the system: the system's allocator cannot be asked to.
#[cfg(not(feature = "jemalloc"))]
pub fn purge() {}

/// The allocator's own report.
#[cfg(feature = "jemalloc")]
pub fn report() -> Option<String> {
    let mut text = Vec::new();
    let options = tikv_jemalloc_ctl::stats_print::Options::default();
    tikv_jemalloc_ctl::stats_print::stats_print(&mut text, options).ok()?;
    String::from_utf8(text).ok()
}

/// The allocator's own report: the system's has none.
#[cfg(not(feature = "jemalloc"))]
pub fn report() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The computed class is what the allocator really takes.
    #[cfg(feature = "jemalloc")]
    #[test]
    fn classes_are_jemallocs() {
        for size in (1..=5000).chain([16_383, 16_384, 16_385, 70_000, 1 << 20, (1 << 20) + 1]) {
            let block = vec![0u8; size];
            // SAFETY: the block is live and came from this allocator.
            let real = unsafe { tikv_jemallocator::usable_size(block.as_ptr()) };
            assert_eq!(class(size), real, "size {size}");
        }
    }

    /// The settings are linked in and understood.
    #[cfg(feature = "jemalloc")]
    #[test]
    fn settings_reach_jemalloc() {
        // SAFETY: the option is a size_t in this version.
        let slots = unsafe {
            tikv_jemalloc_ctl::raw::read::<usize>(b"opt.lg_tcache_nslots_mul\0").unwrap_or(0)
        };
        assert_eq!(slots as u32, 4);
    }

    /// M1, seen from one thread.
    #[test]
    fn what_is_allocated_is_counted() {
        let counted = || {
            let before = used();
            let block = vec![1u8; 1 << 20];
            let more = used().wrapping_sub(before);
            drop(block);
            (1 << 20..(1 << 20) + 500_000).contains(&more)
        };
        // Other tests allocate meanwhile.
        assert!((0..1_000).any(|_| counted()));
    }
}

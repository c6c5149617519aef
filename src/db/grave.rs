//! Large values on their way out: a thread that serves clients does not free them itself.
//!
//! Whoever drops an entry with a large object (the worker that retired it, once no reader can have
//! it) leaves the object here; the background thread frees it. There is one grave for the process,
//! since an entry that is freed knows nothing but itself.

use crate::sync::{AtomicUsize, Ordering};
use crate::types::object::Object;
use parking_lot::Mutex;

/// Objects of more pieces than this wait here: freeing as many takes a tenth of a millisecond.
const PIECES: usize = 2_000;

static WAITING: Mutex<Vec<Object>> = Mutex::new(Vec::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

/// Frees an object now if that is quick, else leaves it to [`dig`].
pub fn bury(object: Box<Object>) {
    if object.pieces() <= PIECES {
        return drop(object);
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(object.weight(), Ordering::Relaxed);
    WAITING.lock().push(*object);
}

/// Frees what waits: for the background.
pub fn dig() {
    while COUNT.load(Ordering::Relaxed) > 0 {
        let Some(object) = WAITING.lock().pop() else { return };
        let weight = object.weight();
        drop(object);
        BYTES.fetch_sub(weight, Ordering::Relaxed);
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that wait to be freed.
pub fn bytes() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// Objects of more pieces than this count as freed later: as many as Redis frees at once.
const FEW: usize = 64;

/// An object is taken away with its key: whoever does it does not free it, whatever its size.
#[inline]
pub fn note(object: &Object) {
    if object.pieces() > FEW {
        FREED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Objects that wait to be freed here, and objects taken away since [`forget`].
pub fn objects() -> (usize, usize) {
    (COUNT.load(Ordering::Relaxed), FREED.load(Ordering::Relaxed))
}

/// Counts freed objects from none on.
pub fn forget() {
    FREED.store(0, Ordering::Relaxed);
}

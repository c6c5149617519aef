//! The slowness that tests ask for: so much for each key saved or loaded.

use std::time::{Duration, Instant};

/// The longest sleep at once.
const STEP: Duration = Duration::from_millis(10);

/// Waits `each` microseconds for each of so many keys; if that is negative, one for so many. `heed` is
/// asked again and again, and ends it by an error.
pub fn delay<E>(keys: u64, each: i32, mut heed: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    let many = u64::from(each.unsigned_abs());
    let micros = match each {
        0 => return Ok(()),
        1.. => keys.saturating_mul(many),
        _ => keys / many,
    };
    let end = Instant::now() + Duration::from_micros(micros);
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        heed()?;
        std::thread::sleep(left.min(STEP));
    }
    Ok(())
}

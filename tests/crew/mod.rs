//! Several threads in one keyspace, without sockets: how they take turns in it as workers do,
//! and for how long.

use eonkv::db::{Access, Keyspace, Local};
use eonkv::sync;

/// How long a search goes on, if the caller says so.
pub fn seconds() -> Option<u64> {
    std::env::var("EONKV_STRESS_SECS").ok().and_then(|text| text.parse().ok())
}

/// Numbers without an order, from a seed that is not 0.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }
}

/// Runs `f` as a worker runs a batch of commands.
pub fn batch<T>(
    keyspace: &Keyspace,
    local: &mut Local,
    db: usize,
    f: impl FnOnce(&mut Access<'_>) -> T,
) -> T {
    keyspace.gate.enter(local.seat);
    let mut pin = sync::pin();
    let value = f(&mut Access::new(keyspace, local, &pin, db));
    local.between_batches(&mut pin);
    drop(pin);
    keyspace.gate.leave(local.seat);
    value
}

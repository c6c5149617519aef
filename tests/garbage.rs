//! Garbage is bounded, also while somebody reads. In a process of its own: the collector is global,
//! and another test's pin would hold what this one counts.

use eonkv::clock::Clock;
use eonkv::db::{Access, Expiry, Key, Keyspace, New};
use eonkv::sync::{self, limbo};
use std::sync::Arc;

/// Overwriting 16 keys of 8 KiB a hundred thousand times retires 800 MB; with a batch's pin renewed
/// as workers do, only a few bags of it are ever held.
#[test]
fn overwriting_holds_a_few_bags() {
    let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    let mut pin = sync::pin();
    keyspace.gate.enter(local.seat);
    let value = vec![b'v'; 8192];
    let mut most = 0;
    for turn in 0..100_000u32 {
        let mut access = Access::new(&keyspace, &mut local, &pin, 0);
        let key = format!("key:{}", turn % 16);
        access.write(Key::new(key.as_bytes())).set(New::Plain(&value), Expiry::Never);
        if turn % 16 == 0 {
            pin.repin();
        }
        most = most.max(limbo::outstanding() + local.retired_bytes());
    }
    assert!(most < 16 << 20, "{most} bytes held");
}

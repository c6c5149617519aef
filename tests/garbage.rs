//! Garbage is bounded, also while somebody reads, and while somebody never stops. In a process of its
//! own, one test after the other: the collector is global, and another test's pin would hold what
//! this one counts.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

use eonkv::clock::Clock;
use eonkv::db::{Access, Expiry, Key, Keyspace, Local, New};
use eonkv::sync::{self, limbo};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

static ALONE: Mutex<()> = Mutex::new(());

/// One batch of 16 overwrites; returns the bytes held after it.
fn batch(keyspace: &Keyspace, local: &mut Local, pin: &sync::Pin, value: &[u8]) -> usize {
    for turn in 0..16 {
        let mut access = Access::new(keyspace, local, pin, 0);
        let key = format!("key:{turn}");
        access.write(Key::new(key.as_bytes())).set(New::Plain(value), Expiry::Never);
    }
    limbo::outstanding() + local.retired_bytes()
}

/// Overwriting 16 keys of 8 KiB a hundred thousand times retires 800 MB; with a batch's pin renewed
/// as workers do, only a few bags of it are ever held.
#[test]
fn overwriting_holds_a_few_bags() {
    let _alone = ALONE.lock().unwrap();
    let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    let mut pin = sync::pin();
    keyspace.gate.enter(local.seat);
    let value = vec![b'v'; 8192];
    let mut most = 0;
    for _ in 0..6_250 {
        most = most.max(batch(&keyspace, &mut local, &pin, &value));
        local.between_batches(&mut pin);
    }
    assert!(most < 16 << 20, "{most} bytes held");
}

/// A reader that stays pinned keeps all that is retired meanwhile. Writers slow down, more and more,
/// instead of filling the memory; when the reader is gone they are fast again and nothing is held.
#[test]
fn a_stuck_reader_slows_writers_down() {
    let _alone = ALONE.lock().unwrap();
    let keyspace = Keyspace::new(1, 1, Arc::new(Clock::new()));
    let mut local = keyspace.sit();
    keyspace.gate.enter(local.seat);
    let (stuck, release) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let reader = std::thread::spawn(move || {
        let _pin = sync::pin();
        stuck.0.send(()).unwrap();
        let _ = release.1.recv();
    });
    stuck.1.recv().unwrap();
    let mut pin = sync::pin();
    let value = vec![b'v'; 8192];
    let bytes = 16 * 8300;
    let (mut most, end) = (0, Instant::now() + Duration::from_millis(700));
    while Instant::now() < end {
        most = most.max(batch(&keyspace, &mut local, &pin, &value));
        local.between_batches(&mut pin);
    }
    // At full speed this would be gigabytes; a batch per millisecond past the high water is less
    // than twice that.
    assert!(most > limbo::HIGH_WATER, "the reader held only {most} bytes");
    assert!(most < 2 * limbo::HIGH_WATER + 700 * bytes, "{most} bytes held");

    drop(release.0);
    reader.join().unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while limbo::outstanding() > 16 << 20 && Instant::now() < end {
        batch(&keyspace, &mut local, &pin, &value);
        local.between_batches(&mut pin);
    }
    assert!(limbo::outstanding() <= 16 << 20, "{} bytes still held", limbo::outstanding());
}

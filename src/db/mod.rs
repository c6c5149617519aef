//! The keyspace: databases of typed values on top of the index, with expiry and eviction.
//!
//! Handlers see [`Access`], one batch's way in: [`Access::find`] and [`Access::string`] read without
//! a lock, [`Access::collection`] reads other types, [`Access::write`] takes a key's stripe, [`Access::hold`] several at once,
//! [`Access::read_many`] reads several at one moment. All other threads' writes, expiry and eviction
//! use the same doors.
//!
//! - **K1** Every change of a key happens under its stripe and ends with a new number; a change of
//!   several keys marks all their stripes unsettled before the first.
//! - **K2** What leaves the keyspace (log, watchers, notifications) is told under the stripe, after
//!   the change: as an effect to the [`Journal`], in words to the [`Herald`].
//! - **K3** An expired key is never returned. Whoever meets one while writing removes it first; a
//!   reader takes it for absent and lets the background remove it.
//! - **K4** Whole databases are exchanged only in exclusive mode ([`crate::sync::gate`]).

mod access;
pub mod clockwork;
mod collection;
pub mod entry;
mod evict;
mod expire;
pub mod grave;
pub mod journal;
mod keyspace;
pub mod lifetimes;
mod local;
mod many;
mod outbox;
mod pages;
mod reserve;
mod share;
pub mod snapshot;
mod track;
mod wait;
mod watch;
mod write;

pub use access::{Access, Key, Str, WrongType};
pub use clockwork::Policy;
pub use collection::{Door, Seen};
pub use entry::{Compact, Entry, INLINE_LIMIT, Kind};
pub use evict::{Candidates, Evict, Order};
pub use expire::Sweeper;
pub use journal::Journal;
pub use keyspace::{Cause, Keyspace};
pub use local::{Counters, Local, used_memory};
pub use outbox::{Herald, Notice, Wants, What};
pub use reserve::Reserved;
pub use track::Stale;
pub use wait::{Ready, Waiter, Waiting};
pub use watch::{Watcher, Watching};
pub use write::{Expiry, FieldEnds, Holds, New, Taken, Write};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::sync;
    use std::sync::Arc;

    fn with(f: impl FnOnce(&mut Access<'_>)) {
        let keyspace = Keyspace::new(16, 2, Arc::new(Clock::new()));
        let mut local = keyspace.sit();
        keyspace.gate.enter(local.seat);
        let pin = sync::pin();
        f(&mut Access::new(&keyspace, &mut local, &pin, 0));
        keyspace.gate.leave(0);
    }

    fn text(access: &mut Access<'_>, key: &str) -> Option<String> {
        let text = access.string(Key::new(key.as_bytes())).unwrap()?;
        Some(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn values_of_every_size_are_set_read_edited_and_removed() {
        with(|access| {
            for n in [0, 1, 100, INLINE_LIMIT - 1, INLINE_LIMIT, 100_000] {
                let value = "x".repeat(n);
                let key = Key::new(b"k");
                access.write(key).set(New::Text(value.as_bytes()), Expiry::Never);
                assert_eq!(text(access, "k"), Some(value.clone()));
                access.write(key).edit(|buffer| buffer.extend_from_slice(b"yz"));
                assert_eq!(text(access, "k"), Some(value + "yz"));
                assert!(access.write(key).remove() && !access.write(key).remove());
                assert_eq!(text(access, "k"), None);
            }
            assert_eq!(access.keyspace.size(0), (0, 0));
        });
    }

    #[test]
    fn many_keys_come_and_go_and_the_table_follows() {
        with(|access| {
            let n = 200_000;
            for i in 0..n {
                let key = format!("key:{i}");
                access.write(Key::new(key.as_bytes())).set(New::Int(i), Expiry::Never);
            }
            assert_eq!(access.keyspace.size(0), (n as u64, 0));
            for i in 0..n {
                assert_eq!(text(access, &format!("key:{i}")), Some(i.to_string()));
            }
            let grown = access.keyspace.table(0, access.pin).unwrap().buckets();
            assert!(grown > 35_000, "{grown}");
            for i in 0..n {
                let key = format!("key:{i}");
                assert!(access.write(Key::new(key.as_bytes())).remove());
            }
            assert_eq!(access.keyspace.size(0), (0, 0));
            assert_eq!(access.keyspace.table(0, access.pin).unwrap().buckets(), 1 << 14);
        });
    }

    #[test]
    fn room_made_ahead_stays_until_it_is_given_up() {
        with(|access| {
            let buckets = |access: &Access<'_>| {
                access.keyspace.table(0, access.pin).map_or(0, crate::index::Table::buckets)
            };
            access.expect(0, 200_000);
            let made = buckets(access);
            assert!(made >= 200_000 * 10 / 49, "{made}");
            let turn = |access: &mut Access<'_>| {
                let names: Vec<_> = (0..2000).map(|i| format!("key:{i}")).collect();
                for name in &names {
                    access.write(Key::new(name.as_bytes())).set(New::Int(1), Expiry::Never);
                }
                names.iter().all(|name| access.write(Key::new(name.as_bytes())).remove())
            };
            assert!(turn(access));
            assert_eq!(buckets(access), made);
            access.expect(0, 0);
            assert!((0..10).all(|_| turn(access)));
            assert_eq!(buckets(access), 1 << 14);
        });
    }

    #[test]
    fn one_key_among_many_that_may_go_is_found() {
        with(|access| {
            for i in 0..100_000 {
                access.write(Key::new(format!("{i}").as_bytes())).set(New::Int(i), Expiry::Never);
            }
            let later = Expiry::At(access.now + 1_000_000);
            access.write(Key::new(b"volatile")).set(New::Int(1), later);
            let mut candidates = Candidates::default();
            let volatile = Evict { volatile_only: true, order: Order::Stalest, samples: 5 };
            assert!(
                candidates.evict_one(access, volatile),
                "its group is the only one with a mark"
            );
            assert_eq!(text(access, "volatile"), None);
            assert!(!candidates.evict_one(access, volatile));
            assert_eq!(access.keyspace.size(0), (100_000, 0));
        });
    }

    #[test]
    fn the_last_keys_of_an_empty_table_are_evicted() {
        with(|access| {
            for i in 0..3 {
                access.write(Key::new(format!("{i}").as_bytes())).set(New::Int(i), Expiry::Never);
            }
            let how = Evict { volatile_only: false, order: Order::Random, samples: 5 };
            let mut candidates = Candidates::default();
            for left in (0..3).rev() {
                assert!(candidates.evict_one(access, how));
                assert_eq!(access.keyspace.size(0).0, left);
            }
            assert!(!candidates.evict_one(access, how));
        });
    }

    #[test]
    fn what_is_over_is_absent_at_once_and_swept_soon() {
        with(|access| {
            for i in 0..1000 {
                let key = format!("key:{i}");
                let at = access.now + if i % 2 == 0 { 10 } else { 1_000_000 };
                access.write(Key::new(key.as_bytes())).set(New::Int(i), Expiry::At(at));
            }
            assert_eq!(access.keyspace.size(0), (1000, 1000));
            access.now += 1000;
            assert_eq!(text(access, "key:0"), None);
            assert_eq!(text(access, "key:1"), Some("1".into()));
            let removed = Sweeper::default().sweep(access, || false);
            assert_eq!((removed, access.keyspace.size(0)), (499, (500, 500)));
        });
    }

    #[test]
    fn held_keys_change_in_one_step_and_move() {
        with(|access| {
            let (a, b) = (Key::new(b"a"), Key::new(b"b"));
            access.write(a).set(New::Text(&[b'x'; 50_000]), Expiry::At(i64::MAX));
            access.hold(&[a, b, a], |access| {
                let taken = access.write(a).take().unwrap();
                let expiry = taken.expiry.map_or(Expiry::Never, Expiry::At);
                access.write(b).set(New::Taken(taken), expiry);
            });
            assert_eq!((text(access, "a"), text(access, "b")), (None, Some("x".repeat(50_000))));
            let at = access.peek(b).unwrap().expiry();
            assert_eq!((at, access.keyspace.size(0)), (Some(i64::MAX), (1, 1)));
            assert!(access.write(b).expire(None));
            assert_eq!(text(access, "b").map(|text| text.len()), Some(50_000));
            assert_eq!(access.keyspace.size(0), (1, 0));
        });
    }

    #[test]
    fn eviction_prefers_the_stale() {
        with(|access| {
            for i in 0..2000 {
                access.wall += 1000;
                let key = format!("key:{i}");
                access.write(Key::new(key.as_bytes())).set(New::Int(i), Expiry::Never);
            }
            let how = Evict { volatile_only: false, order: Order::Stalest, samples: 5 };
            let mut candidates = Candidates::default();
            for _ in 0..1000 {
                assert!(candidates.evict_one(access, how));
            }
            let old = (0..1000).filter(|i| text(access, &format!("key:{i}")).is_some()).count();
            assert!(old < 250, "{old} of the older half are left");
            let how = Evict { volatile_only: true, ..how };
            assert!(!candidates.evict_one(access, how));
        });
    }

    /// A panic under held stripes costs its command, not every later one that needs them.
    #[test]
    fn a_panic_gives_held_stripes_back() {
        with(|access| {
            let (a, b) = (Key::new(b"a"), Key::new(b"b"));
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                access.hold(&[a, b], |access| {
                    access.write(a).set(New::Int(1), Expiry::Never);
                    panic!("in the middle");
                })
            }));
            assert!(outcome.is_err());
            assert_eq!(text(access, "a"), Some("1".into()));
            access.write(b).set(New::Int(2), Expiry::Never);
            access.hold(&[a, b], |access| assert!(access.write(a).remove()));
        });
    }

    /// Notes what it is told, in order.
    #[derive(Default)]
    struct Listener(parking_lot::Mutex<Vec<What>>);

    impl Herald for Arc<Listener> {
        fn tell(&self, _: u64, notices: &mut Vec<Notice>) -> u64 {
            self.0.lock().extend(notices.drain(..).map(|notice| notice.what));
            0
        }

        fn rouse(&self, _: u64) {}

        fn is_here(&self, _: u64) -> bool {
            false
        }
    }

    /// K2: a command that only met an expired key is not told as a change; numbers rise per key, and
    /// a write that follows a read of something newer has the greater number.
    #[test]
    fn what_is_told_is_what_happened() {
        let keyspace = Keyspace::new(1, 2, Arc::new(Clock::new()));
        let listener = Arc::new(Listener::default());
        assert!(keyspace.appoint(Box::new(Arc::clone(&listener))));
        keyspace.want(Wants::CHANGED, true);
        let (mut one, mut two) = (keyspace.sit(), keyspace.sit());
        let pin = sync::pin();
        let told = || {
            let told = std::mem::take(&mut *listener.0.lock());
            let by_command = |what: &What| matches!(what, What::Changed { by_command: true });
            told.iter().map(by_command).collect::<Vec<_>>()
        };
        let (k, l) = (Key::new(b"k"), Key::new(b"l"));
        let mut access = Access::new(&keyspace, &mut one, &pin, 0);
        let at = access.now + 10;
        access.write(k).set(New::Int(1), Expiry::At(at));
        access.now += 1000;
        assert!(!access.write(k).exists());
        access.write(k).set(New::Int(2), Expiry::Never);
        assert_eq!((told(), access.local.clock), (vec![true, false, true], 3));

        let mut access = Access::new(&keyspace, &mut two, &pin, 0);
        access.hold(&[k], |access| assert!(access.peek(k).is_some()));
        access.write(l).set(New::Int(3), Expiry::Never);
        assert_eq!((told(), access.local.clock), (vec![true], 4));
    }
}

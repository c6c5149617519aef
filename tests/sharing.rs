//! Threads that share one large hash or set, without sockets: single elements at once, the whole now
//! and then, the key deleted and made again in between. `tests/sanitize.sh` runs this under
//! ThreadSanitizer.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod crew;

use crew::{Random, batch};
use eonkv::clock::Clock;
use eonkv::db::{Access, Expiry, Key, Keyspace, New};
use eonkv::types::hash::{End, Large};
use eonkv::types::object::{Object, Type};
use eonkv::types::set;
use eonkv::types::zset::{Frozen, SortedSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

const THREADS: usize = 4;
/// So many that the tables are divided: counters first, fields that come and go behind them.
const COUNTERS: usize = 6_000;
const PASSING: usize = 12_000;
const PAIRS: usize = 100;

fn turns() -> usize {
    crew::seconds().map_or(20_000, |seconds| 10_000 * seconds as usize)
}

fn keyspace() -> Arc<Keyspace> {
    let mut keyspace = Keyspace::new(1, THREADS + 2, Arc::new(Clock::new()));
    keyspace.share_large();
    Arc::new(keyspace)
}

/// Runs `work` on all threads, each turn as a worker runs a batch.
fn on_threads(keyspace: &Arc<Keyspace>, work: impl Fn(&mut Access<'_>, &mut Random) + Sync) {
    let ended = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (keyspace, work, ended) = (Arc::clone(keyspace), &work, &ended);
            scope.spawn(move || {
                let mut local = keyspace.sit();
                let mut random = Random(thread * 7919 + 88_172_645_463_325_252);
                for _ in 0..turns() {
                    batch(&keyspace, &mut local, 0, |access| work(access, &mut random));
                }
                ended.fetch_add(1, Ordering::Release);
            });
        }
    });
    // The end of a thread is std's, which ThreadSanitizer does not see into.
    assert_eq!(ended.load(Ordering::Acquire), THREADS);
}

fn number(text: Option<&[u8]>) -> i64 {
    text.map_or(0, |text| std::str::from_utf8(text).unwrap().parse().unwrap())
}

fn value(hash: &Large, name: &str) -> i64 {
    let field = hash.get(name.as_bytes(), 0);
    field.map_or(0, |field| number(Some(field.value.text(&mut Vec::new()))))
}

fn hash_with(f: impl FnOnce(&mut Large)) -> New<'static> {
    let mut hash = Box::new(Large::new());
    f(&mut hash);
    New::Object(Box::new(Object::Hash(hash)))
}

fn fill(hash: &mut Large) {
    for i in 0..COUNTERS {
        hash.set(format!("counter:{i}").as_bytes(), b"0", End::Never, 0);
    }
}

/// Adds one to a counter, as HINCRBY does, beside others if that can be. Whether it could.
fn count(access: &mut Access<'_>, key: Key<'_>, name: &str) -> bool {
    let shared = access.share(key, Type::Hash, |shared| {
        let mut slot = shared.field(name.as_bytes())?;
        let old = slot.get().map_or(0, |field| number(Some(field.value.text(&mut Vec::new()))));
        slot.set((old + 1).to_string().as_bytes())
    });
    if shared.is_none() {
        let mut write = access.write(key);
        let Some(Object::Hash(hash)) = write.object() else { panic!("the hash is there") };
        let sum = value(hash, name) + 1;
        hash.set(name.as_bytes(), sum.to_string().as_bytes(), End::Never, 0);
        write.changing();
    }
    shared.is_some()
}

/// Both fields of a pair, in one step.
fn set_pair(access: &mut Access<'_>, key: Key<'_>, pair: usize, to: usize) {
    let mut write = access.write(key);
    write.changing();
    let Some(Object::Hash(hash)) = write.object() else { panic!("the hash is there") };
    for side in ["left", "right"] {
        hash.set(format!("{side}:{pair}").as_bytes(), to.to_string().as_bytes(), End::Never, 0);
    }
}

/// What a view shows: the sum of all counters, and every pair equal.
fn sum(access: &mut Access<'_>, key: Key<'_>) -> i64 {
    let write = access.write(key);
    let Some(Object::Hash(hash)) = write.peek_object() else { panic!("the hash is there") };
    let (mut view, len) = (hash.view(0), hash.len(0));
    drop(write);
    let (mut seen, mut sum, mut pairs) = (0, 0, vec![[0; 2]; PAIRS]);
    while view.next(512, |field| {
        let mut texts = (Vec::new(), Vec::new());
        let name = std::str::from_utf8(field.name.text(&mut texts.0)).unwrap().to_owned();
        let value = number(Some(field.value.text(&mut texts.1)));
        seen += 1;
        match name.split_once(':').unwrap() {
            ("counter", _) => sum += value,
            ("left", pair) => pairs[pair.parse::<usize>().unwrap()][0] = value,
            ("right", pair) => pairs[pair.parse::<usize>().unwrap()][1] = value,
            _ => {}
        }
    }) {}
    assert_eq!(seen, len, "as many fields as the hash says");
    assert!(pairs.iter().all(|[left, right]| left == right), "a pair is torn");
    sum
}

#[test]
fn nothing_is_lost_or_torn() {
    let keyspace = keyspace();
    let key = Key::new(b"hot");
    batch(&keyspace, &mut keyspace.sit(), 0, |access| {
        access.write(key).set(hash_with(fill), Expiry::Never);
    });
    let (begun, ended) = (AtomicI64::new(0), AtomicI64::new(0));
    let shares = AtomicUsize::new(0);
    on_threads(&keyspace, |access, random| match random.below(1000) {
        0..4 => {
            let least = ended.load(Ordering::SeqCst);
            let sum = sum(access, key);
            assert!((least..=begun.load(Ordering::SeqCst)).contains(&sum), "one instant");
        }
        4..20 => set_pair(access, key, random.below(PAIRS), random.below(1_000_000)),
        20..300 => {
            let name = format!("passing:{}", random.below(PASSING));
            let there = random.below(2) == 0;
            let shared = access.share(key, Type::Hash, |shared| {
                let mut slot = shared.field(name.as_bytes())?;
                if there { slot.set(b"7") } else { slot.remove() }
            });
            if shared.is_none() {
                let mut write = access.write(key);
                write.changing();
                let Some(Object::Hash(hash)) = write.object() else { panic!("it is there") };
                if there {
                    hash.set(name.as_bytes(), b"7", End::Never, 0);
                } else {
                    hash.remove(name.as_bytes(), 0);
                }
            }
        }
        _ => {
            begun.fetch_add(1, Ordering::SeqCst);
            let name = format!("counter:{}", random.below(COUNTERS));
            let shared = count(access, key, &name);
            ended.fetch_add(1, Ordering::SeqCst);
            shares.fetch_add(usize::from(shared), Ordering::Relaxed);
        }
    });
    let total = batch(&keyspace, &mut keyspace.sit(), 0, |access| sum(access, key));
    assert_eq!(total, ended.load(Ordering::Relaxed));
    let shares = shares.load(Ordering::Relaxed) as i64;
    assert!(shares > total / 2, "{shares} of {total} changes were made beside others");
}

/// The key goes and comes, and moves, while others use its elements: whoever works on an element works on
/// that of a hash that is there.
#[test]
fn a_hash_may_go_while_it_is_shared() {
    let keyspace = keyspace();
    let (key, other) = (Key::new(b"hot"), Key::new(b"other"));
    let shares = AtomicUsize::new(0);
    on_threads(&keyspace, |access, random| match random.below(2000) {
        0 => _ = access.write(key).remove(),
        1 => access.hold(&[key, other], |access| {
            let taken = access.write(key).take();
            if let Some(taken) = taken {
                access.write(other).set(New::Taken(taken), Expiry::Never);
            }
        }),
        2..6 => {
            let mut write = access.write(key);
            if !write.exists() {
                write.set(hash_with(fill), Expiry::Never);
            }
        }
        _ => {
            let name = format!("counter:{}", random.below(COUNTERS));
            let shared = access.share(key, Type::Hash, |shared| {
                let mut slot = shared.field(name.as_bytes())?;
                assert!(slot.get().is_some(), "each hash has all counters");
                slot.set(b"1")
            });
            shares.fetch_add(usize::from(shared.is_some()), Ordering::Relaxed);
            if shared.is_none() {
                let mut write = access.write(key);
                if write.exists() {
                    write.changing(); // the next ones may
                }
            }
        }
    });
    assert!(shares.load(Ordering::Relaxed) > 0, "nobody shared anything");
}

#[test]
fn members_come_and_go_beside_each_other() {
    let keyspace = keyspace();
    let key = Key::new(b"set");
    batch(&keyspace, &mut keyspace.sit(), 0, |access| {
        let mut set = Box::new(set::Large::new());
        (0..COUNTERS).for_each(|i| _ = set.insert(format!("stays:{i}").as_bytes()));
        access.write(key).set(New::Object(Box::new(Object::Set(set))), Expiry::Never);
    });
    let len = AtomicI64::new(COUNTERS as i64);
    on_threads(&keyspace, |access, random| {
        let (name, add) = (format!("passing:{}", random.below(PASSING)), random.below(2) == 0);
        let shared = access.share(key, Type::Set, |shared| {
            let slot = shared.member(name.as_bytes())?;
            if add { slot.insert() } else { slot.remove() }
        });
        let changed = shared.unwrap_or_else(|| {
            let mut write = access.write(key);
            write.changing();
            let Some(Object::Set(set)) = write.object() else { panic!("the set is there") };
            if add { set.insert(name.as_bytes()) } else { set.remove(name.as_bytes()) }
        });
        if changed {
            len.fetch_add(if add { 1 } else { -1 }, Ordering::Relaxed);
        }
        if random.below(500) == 0 {
            let write = access.write(key);
            let Some(Object::Set(set)) = write.peek_object() else { panic!("the set is there") };
            let (mut view, len) = (set.snapshot(), set.len());
            let token = (random.below(2) == 0).then(|| set.token()); // nobody may share it now
            drop(write);
            let (mut seen, mut staying) = (0, 0);
            while view.next(512, |member| {
                (seen, staying) = (seen + 1, staying + usize::from(member[0] == b's'));
            }) {}
            assert_eq!((seen, staying), (len, COUNTERS), "one instant");
            drop(token);
        }
    });
    let found = batch(&keyspace, &mut keyspace.sit(), 0, |access| {
        let write = access.write(key);
        let Some(Object::Set(set)) = write.peek_object() else { panic!("the set is there") };
        assert_eq!(set.iter().count(), set.len());
        set.len() as i64
    });
    assert_eq!(found, len.load(Ordering::Relaxed));
}

/// Adds one to a member's score, as ZINCRBY does, beside others if that can be. Whether it could.
fn raise(access: &mut Access<'_>, key: Key<'_>, name: &[u8]) -> bool {
    let shared = access.share(key, Type::ZSet, |shared| {
        shared.scored(name)?.change(|old| (Some(old.unwrap_or(0.0) + 1.0), ()))
    });
    if shared.is_none() {
        let mut write = access.write(key);
        let Some(Object::ZSet(set)) = write.object() else { panic!("the set is there") };
        let old = set.score(name).unwrap_or(0.0);
        set.insert(name, old + 1.0);
        write.changing();
    }
    shared.is_some()
}

/// Adds or removes a member. True if it came, false if it went, none if neither.
fn pass(access: &mut Access<'_>, key: Key<'_>, name: &[u8], score: Option<f64>) -> Option<bool> {
    let shared = access.share(key, Type::ZSet, |shared| {
        let slot = shared.scored(name)?;
        match score {
            Some(score) => slot.change(|old| (Some(score), old.is_none().then_some(true))),
            None => slot.remove().map(|gone| gone.then_some(false)),
        }
    });
    shared.unwrap_or_else(|| {
        let mut write = access.write(key);
        write.changing();
        let Some(Object::ZSet(set)) = write.object() else { panic!("the set is there") };
        match score {
            Some(score) => set.insert(name, score).is_none().then_some(true),
            None => set.remove(name).is_some().then_some(false),
        }
    })
}

/// Entries of an instant are in order, each once, and each is found by its member. The sum of counters.
fn ordered(
    entries: impl Iterator<Item = (Vec<u8>, f64)>,
    score: impl Fn(&[u8]) -> Option<f64>,
) -> (usize, i64) {
    let (mut count, mut sum) = (0, 0);
    let mut last: Option<(f64, Vec<u8>)> = None;
    for (member, value) in entries {
        assert_eq!(score(&member), Some(value));
        sum += if member[0] == b'c' { value as i64 } else { 0 };
        count += 1;
        let entry = (value, member);
        assert!(last.as_ref().is_none_or(|last| *last < entry), "in order");
        last = Some(entry);
    }
    (count, sum)
}

#[test]
fn scores_add_up_and_ranges_are_in_order() {
    let keyspace = keyspace();
    let key = Key::new(b"zset");
    batch(&keyspace, &mut keyspace.sit(), 0, |access| {
        let mut set = Box::new(SortedSet::new());
        (0..COUNTERS).for_each(|i| _ = set.insert(format!("counter:{i}").as_bytes(), 0.0));
        access.write(key).set(New::Object(Box::new(Object::ZSet(set))), Expiry::Never);
    });
    let (begun, ended) = (AtomicI64::new(0), AtomicI64::new(0));
    let (shares, len) = (AtomicUsize::new(0), AtomicI64::new(COUNTERS as i64));
    on_threads(&keyspace, |access, random| match random.below(1000) {
        0..4 => {
            let least = ended.load(Ordering::SeqCst);
            let write = access.write(key);
            let Some(Object::ZSet(set)) = write.peek_object() else { panic!("it is there") };
            let (frozen, len) = (Frozen::of(set, true), set.len());
            drop(write);
            let entries =
                frozen.range(0, usize::MAX).map(|(member, score)| (member.to_vec(), score));
            let (count, sum) = ordered(entries, |member| frozen.score(member));
            assert_eq!(count, len);
            assert!((least..=begun.load(Ordering::SeqCst)).contains(&sum), "one instant");
        }
        4..300 => {
            let name = format!("passing:{}", random.below(PASSING));
            let score = (random.below(2) == 0).then(|| random.below(50) as f64);
            if let Some(came) = pass(access, key, name.as_bytes(), score) {
                len.fetch_add(if came { 1 } else { -1 }, Ordering::Relaxed);
            }
        }
        300..400 => {
            let name = format!("counter:{}", random.below(COUNTERS));
            let shared = access
                .share(key, Type::ZSet, |shared| Some(shared.scored(name.as_bytes())?.score()));
            assert!(shared.is_none_or(|score| score.is_some()), "it never goes");
        }
        _ => {
            begun.fetch_add(1, Ordering::SeqCst);
            let name = format!("counter:{}", random.below(COUNTERS));
            let shared = raise(access, key, name.as_bytes());
            ended.fetch_add(1, Ordering::SeqCst);
            shares.fetch_add(usize::from(shared), Ordering::Relaxed);
        }
    });
    batch(&keyspace, &mut keyspace.sit(), 0, |access| {
        let write = access.write(key);
        let Some(Object::ZSet(set)) = write.peek_object() else { panic!("the set is there") };
        let entries = set.range(0, usize::MAX).map(|(member, score)| (member.to_vec(), score));
        let (count, sum) = ordered(entries, |member| set.score(member));
        let (len, total) = (len.load(Ordering::Relaxed), ended.load(Ordering::Relaxed));
        assert_eq!((count as i64, set.len() as i64, sum), (len, len, total));
        let shares = shares.load(Ordering::Relaxed) as i64;
        assert!(shares > total / 2, "{shares} of {total} changes were made beside others");
    });
}

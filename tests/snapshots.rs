//! Snapshots of a keyspace that threads go on changing, without sockets: what the sink is given is what
//! was there at the cut, each key once. `tests/sanitize.sh` runs this under ThreadSanitizer.
//!
//! The oracle is the cut itself: nobody else is in the keyspace then, so the test reads everything
//! there, by other ways than the walk's, and compares.

#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod crew;

use crew::{Random, batch};
use eonkv::clock::Clock;
use eonkv::db::snapshot::{Saved, Sink};
use eonkv::db::{
    Access, Candidates, Compact, Evict, Expiry, Key, Keyspace, Kind, Local, New, Order,
};
use eonkv::sync;
use eonkv::types::hash::{End as Ends, Large};
use eonkv::types::image::{Beside, Image};
use eonkv::types::list::{End, Limit, List};
use eonkv::types::object::{Object, PACKED, Type};
use eonkv::types::packed::Element;
use eonkv::types::set;
use eonkv::types::stream::{self, Id};
use eonkv::types::zset::SortedSet;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const DATABASES: usize = 3;

type State = BTreeMap<(usize, Vec<u8>), (Option<i64>, String)>;

/// A value in words. Of an image all elements are taken, in pieces.
fn small(kind: Kind<'_>) -> String {
    match kind {
        Kind::Int(value) => value.to_string(),
        Kind::Inline(text) => String::from_utf8(text.to_vec()).unwrap(),
        Kind::Padded(padded) => {
            let (text, len) = padded.text();
            String::from_utf8(text[..len].to_vec()).unwrap()
        }
        Kind::Compact(Compact { kind, form, bytes }) => format!("{kind:?} {form} {bytes:?}"),
        Kind::Object => panic!("objects come as images"),
    }
}

fn large(image: &mut Image) -> String {
    let mut said = format!("{:?} {} ", image.type_of(), image.len());
    match image {
        Image::Text(bytes) => said.push_str(std::str::from_utf8(bytes).unwrap()),
        Image::Compact { kind, form, bytes } => {
            return small(Kind::Compact(Compact { kind: *kind, form: *form, bytes }));
        }
        Image::Stream(stream) => {
            write!(said, "{:?}", stream.bounds()).unwrap();
            let mut range = stream.range(Id::MIN, Id::MAX, usize::MAX, false);
            while let Some(entry) = range.next_entry() {
                write!(said, " {:?}", entry.id).unwrap();
            }
            for (name, group) in stream.groups() {
                write!(said, " {name:?} {:?} {}", group.last, group.len()).unwrap();
            }
        }
        _ => {
            let is_list = image.type_of() == Type::List;
            let (mut elements, all) = (Vec::new(), image.len());
            while image.next(100, |element, beside| {
                let beside = match beside {
                    Beside::Nothing => String::new(),
                    Beside::Score(score) => score.to_string(),
                    Beside::Value { value, end } => {
                        format!("{:?} {end:?}", value.text(&mut Vec::new()))
                    }
                };
                elements.push(format!("{:?}={beside}", element.text(&mut Vec::new())));
            }) {}
            assert_eq!(elements.len(), all);
            if !is_list {
                elements.sort_unstable();
            }
            elements.iter().for_each(|element| said.push_str(element));
        }
    }
    said
}

/// Everything that is there, read the ordinary way.
fn everything(keyspace: &Keyspace, local: &mut Local) -> State {
    let pin = sync::pin();
    let mut state = State::new();
    for db in 0..DATABASES {
        let mut access = Access::new(keyspace, local, &pin, db);
        access.frozen = true;
        let (mut keys, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = access.scan(cursor, |entry| keys.push(entry.key().to_vec()));
            if cursor == 0 {
                break;
            }
        }
        for key in keys {
            let write = access.write(Key::new(&key));
            let entry = write.entry().unwrap();
            let said = match entry.kind() {
                Kind::Object => large(&mut Image::of(write.peek_object().unwrap(), 0)),
                kind => small(kind),
            };
            state.insert((db, key.clone()), (entry.expiry(), said));
        }
    }
    state
}

/// Takes everything, and reads everything at the cut with a seat of its own.
struct Taker<'k> {
    keyspace: &'k Keyspace,
    local: Local,
    expected: State,
    sizes: u64,
    given: State,
    /// Gives up after so many pauses.
    patience: usize,
    pauses: usize,
    random: Random,
}

impl<'k> Taker<'k> {
    fn new(keyspace: &'k Keyspace, seed: u64) -> Self {
        Self {
            keyspace,
            local: keyspace.sit(),
            expected: State::new(),
            sizes: 0,
            given: State::new(),
            patience: usize::MAX,
            pauses: 0,
            random: Random(seed),
        }
    }

    fn add(&mut self, key: Saved<'_>, said: String) {
        let name = (key.db, key.key.to_vec());
        let old = self.given.insert(name, (key.expiry, said));
        assert!(old.is_none(), "given twice: {:?}", String::from_utf8_lossy(key.key));
    }
}

impl Sink for Taker<'_> {
    type Error = ();

    fn cut(&mut self, sizes: &[(u64, u64)]) {
        self.sizes = sizes.iter().map(|(keys, _)| keys).sum();
        self.expected = everything(self.keyspace, &mut self.local);
        self.given.clear();
        self.pauses = 0;
    }

    fn small(&mut self, key: Saved<'_>, value: Kind<'_>) {
        self.add(key, small(value));
    }

    fn large(&mut self, key: Saved<'_>, mut value: Image) -> Result<(), ()> {
        self.add(key, large(&mut value));
        Ok(())
    }

    fn pause(&mut self) -> Result<(), ()> {
        self.pauses += 1;
        if self.random.below(50) == 0 {
            std::thread::yield_now(); // writers go on in the middle
        }
        if self.pauses > self.patience { Err(()) } else { Ok(()) }
    }
}

fn compare(taker: &Taker<'_>) {
    assert_eq!(taker.sizes as usize, taker.expected.len());
    for (key, value) in &taker.expected {
        let name = String::from_utf8_lossy(&key.1);
        let given = taker.given.get(key);
        assert_eq!(given, Some(value), "{} {name} was left out, or is not as it was", key.0);
    }
    assert_eq!(taker.given.len(), taker.expected.len(), "something came that was not there");
}

/// A new value of any type, in either form.
fn fresh(random: &mut Random, access: &mut Access<'_>, key: Key<'_>, expiry: Expiry) {
    let n = 1 + random.below(60);
    let name = |i: usize| format!("element:{i}").into_bytes();
    let object = match random.below(10) {
        0 | 1 => return access.write(key).set(New::Int(n as i64), expiry),
        2 | 3 => return access.write(key).set(New::Plain(&vec![b'x'; n]), expiry),
        4 => {
            let mut bytes = Vec::new();
            Element::of(&name(n)).push(&mut bytes);
            let compact = Compact { kind: Type::ZSet, form: PACKED, bytes: &bytes };
            return access.write(key).set(New::Compact(compact), expiry);
        }
        5 => Object::String(vec![b'l'; 20_000 + n].into()),
        6 => {
            let mut hash = Large::new();
            (0..20 * n).for_each(|i| _ = hash.set(&name(i), b"0", Ends::Never, 0));
            Object::Hash(Box::new(hash))
        }
        7 => {
            let mut members = set::Large::new();
            (0..20 * n).for_each(|i| _ = members.insert(&name(i)));
            Object::Set(Box::new(members))
        }
        8 => {
            let mut scores = SortedSet::new();
            (0..20 * n).for_each(|i| _ = scores.insert(&name(i), i as f64));
            Object::ZSet(Box::new(scores))
        }
        _ if n.is_multiple_of(2) => {
            let mut list = List::new(Limit::from_parameter(16));
            (0..20 * n).for_each(|i| list.push(End::Back, &name(i)));
            Object::List(list)
        }
        _ => Object::Stream(Box::default()),
    };
    access.write(key).set(New::Object(Box::new(object)), expiry);
}

/// Changes an object, or does nothing to what is none.
fn touch(random: &mut Random, access: &mut Access<'_>, key: Key<'_>) {
    let n = random.below(1200);
    let name = format!("element:{n}").into_bytes();
    let shared = access.share(key, Type::Hash, |shared| shared.field(&name)?.set(b"shared"));
    let shared =
        shared.or_else(|| access.share(key, Type::Set, |shared| shared.member(&name)?.insert()));
    if shared.is_some() {
        return;
    }
    let mut write = access.write(key);
    if !matches!(write.entry().map(eonkv::db::Entry::kind), Some(Kind::Object)) {
        return write.set_int(n as i64);
    }
    write.changing();
    match write.object() {
        Some(Object::Hash(hash)) if n.is_multiple_of(3) => _ = hash.remove(&name, 0),
        Some(Object::Hash(hash)) => _ = hash.set(&name, b"changed", Ends::Never, 0),
        Some(Object::Set(set)) if n.is_multiple_of(2) => _ = set.insert(&name),
        Some(Object::Set(set)) => _ = set.remove(&name),
        Some(Object::ZSet(set)) if n.is_multiple_of(2) => _ = set.insert(&name, 0.5),
        Some(Object::ZSet(set)) => _ = set.remove(&name),
        Some(Object::List(list)) if n.is_multiple_of(4) => {
            _ = list.set(n % list.len().max(1), b"changed")
        }
        Some(Object::List(list)) if n % 4 == 1 => _ = list.remove(&name, 1),
        Some(Object::List(list)) if n % 4 == 2 => list.push(End::Front, &name),
        Some(Object::List(list)) => list.drop(End::Back, 1),
        Some(Object::Stream(stream)) if n.is_multiple_of(8) => {
            _ = stream.add_group(&name, Id::MIN, None)
        }
        Some(Object::Stream(stream)) => {
            let last = stream.bounds().last;
            let id = Id { ms: last.ms + 1, seq: 0 };
            let limit = stream::Limit::from_parameters(0, 4);
            stream.add(id, [&b"f"[..], b"v"].into_iter(), 2, limit);
            if n.is_multiple_of(3) {
                stream.delete(Id { ms: n as u64 % id.ms, seq: 0 });
            }
        }
        _ => {}
    }
}

/// One step of a worker.
fn step(random: &mut Random, access: &mut Access<'_>, keys: usize) {
    let (one, two) = (random.below(keys).to_string(), random.below(keys).to_string());
    let (key, other) = (Key::new(one.as_bytes()), Key::new(two.as_bytes()));
    let later = Expiry::At(access.now + 1_000_000 + random.below(1000) as i64);
    match random.below(100) {
        0..25 => fresh(random, access, key, Expiry::Never),
        25..35 => fresh(random, access, key, later),
        35..65 => touch(random, access, key),
        65..72 => {
            access.write(key).expire(Some(access_time(random)));
        }
        72..75 => _ = access.write(key).expire(None),
        75..82 => _ = access.write(key).remove(),
        82..86 => {
            let mut write = access.write(key);
            if write.check_string().is_ok() {
                write.edit(|text| text.extend_from_slice(b"+"));
            }
        }
        86..92 if one != two => access.hold(&[key, other], |access| {
            let Some(taken) = access.write(key).take() else { return };
            let expiry = taken.expiry.map_or(Expiry::Never, Expiry::At);
            access.write(other).set(New::Taken(taken), expiry);
        }),
        92..97 => {
            let Some(copy) = access.write(key).copy() else { return };
            access.write(other).set(New::Taken(copy), Expiry::Never);
        }
        97 => {
            let how = Evict { volatile_only: false, order: Order::Random, samples: 3 };
            Candidates::default().evict_one(access, how);
        }
        98 if random.below(40) == 0 => {
            let db = random.below(DATABASES);
            assert!(access.flush(db..db + 1));
        }
        99 if random.below(10) == 0 => {
            assert!(access.swap(random.below(DATABASES), random.below(DATABASES)));
        }
        _ => {}
    }
}

/// Far in the future, or (seldom) a moment ahead, so that keys end while they are walked over.
fn access_time(random: &mut Random) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as i64 + if random.below(4) == 0 { 3_600_050 } else { 9_000_000 }
}

/// Runs `writers` threads until `body` has returned.
fn beside(
    keyspace: &Arc<Keyspace>,
    writers: usize,
    work: impl Fn(&mut Random, &mut Access<'_>) + Sync,
    body: impl FnOnce(),
) {
    let (stop, ended) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..writers as u64 {
            let (keyspace, work, stop, ended) = (Arc::clone(keyspace), &work, &stop, &ended);
            let mut local = keyspace.sit();
            scope.spawn(move || {
                let mut random = Random(thread * 7919 + 88_172_645_463_325_252);
                while !stop.load(Ordering::Relaxed) {
                    let db = random.below(DATABASES);
                    batch(&keyspace, &mut local, db, |access| {
                        for _ in 0..8 {
                            work(&mut random, access);
                            keyspace.gate.pass(access.local.seat);
                        }
                    });
                    keyspace.clock.tick();
                }
                ended.fetch_add(1, Ordering::Release);
            });
        }
        body();
        stop.store(true, Ordering::Relaxed);
    });
    // The end of a thread is std's, which ThreadSanitizer does not see into.
    assert_eq!(ended.load(Ordering::Acquire), writers);
}

fn keyspace(writers: usize) -> Arc<Keyspace> {
    let mut keyspace = Keyspace::new(DATABASES, writers + 2, Arc::new(Clock::new()));
    keyspace.share_large();
    Arc::new(keyspace)
}

/// Every kind of change, of every type, in every form; some snapshots fail in the middle, and the next is
/// whole.
#[test]
fn a_snapshot_is_the_state_at_its_cut() {
    for (writers, keys) in [(2, 200), (4, 3_000)] {
        let keyspace = keyspace(writers);
        let mut local = keyspace.sit();
        let mut taker = Taker::new(&keyspace, 7);
        let end = std::time::Instant::now()
            + std::time::Duration::from_secs(crew::seconds().unwrap_or(2));
        let mut taken = 0;
        beside(
            &keyspace,
            writers,
            |random, access| step(random, access, keys),
            || {
                while std::time::Instant::now() < end || taken < 5 {
                    taker.patience = if taken % 4 == 3 { taken % 40 } else { usize::MAX };
                    match keyspace.snapshot(&local, &mut taker) {
                        Ok(()) => compare(&taker),
                        Err(()) => assert!(taken % 4 == 3),
                    }
                    taken += 1;
                    local.idle(&sync::pin());
                    keyspace.free_flushed();
                }
            },
        );
        eprintln!("{writers} writers, {keys} keys: {taken} snapshots");
    }
}

/// The table grows and shrinks by tens of thousands of buckets in the middle of the walk.
#[test]
fn buckets_may_be_split_and_merged_under_the_walk() {
    const KEYS: usize = 150_000;
    let keyspace = keyspace(1);
    let local = keyspace.sit();
    let mut taker = Taker::new(&keyspace, 11);
    let growing = AtomicBool::new(true);
    let work = |random: &mut Random, access: &mut Access<'_>| {
        access.db = 0;
        let grows = growing.load(Ordering::Relaxed);
        for _ in 0..50 {
            let key = random.below(KEYS).to_string();
            let mut write = access.write(Key::new(key.as_bytes()));
            if grows {
                write.set(New::Int(1), Expiry::Never);
            } else {
                write.remove();
            }
        }
        let (size, _) = access.keyspace.size(0);
        if size as usize > KEYS * 9 / 10 {
            growing.store(false, Ordering::Relaxed);
        } else if (size as usize) < KEYS / 20 {
            growing.store(true, Ordering::Relaxed);
        }
    };
    beside(&keyspace, 1, work, || {
        for _ in 0..12 {
            keyspace.snapshot(&local, &mut taker).unwrap();
            compare(&taker);
        }
    });
}

/// Transfers between keys keep their total in every snapshot.
#[test]
fn transfers_keep_their_total() {
    const ACCOUNTS: usize = 500;
    const EACH: i64 = 1_000;
    for writers in [2, 4] {
        let keyspace = keyspace(writers);
        let mut local = keyspace.sit();
        let mut taker = Taker::new(&keyspace, 5);
        let names: Vec<String> = (0..ACCOUNTS).map(|i| format!("account:{i}")).collect();
        batch(&keyspace, &mut local, 0, |access| {
            for name in &names {
                access.write(Key::new(name.as_bytes())).set(New::Int(EACH), Expiry::Never);
            }
        });
        let work = |random: &mut Random, access: &mut Access<'_>| {
            access.db = 0;
            let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
            let keys = [Key::new(names[from].as_bytes()), Key::new(names[to].as_bytes())];
            access.hold(&keys, |access| {
                for (key, by) in keys.iter().zip([-1, 1]) {
                    let text = access.write(*key).text().unwrap().unwrap().to_vec();
                    let sum = std::str::from_utf8(&text).unwrap().parse::<i64>().unwrap() + by;
                    if sum % 2 == 0 {
                        access.write(*key).set_int(sum);
                    } else {
                        access
                            .write(*key)
                            .set(New::Plain(sum.to_string().as_bytes()), Expiry::Never);
                    }
                }
            });
        };
        beside(&keyspace, writers, work, || {
            for _ in 0..50 {
                keyspace.snapshot(&local, &mut taker).unwrap();
                let sum: i64 =
                    taker.given.values().map(|(_, text)| text.parse::<i64>().unwrap()).sum();
                assert_eq!((taker.given.len(), sum), (ACCOUNTS, ACCOUNTS as i64 * EACH));
                compare(&taker);
            }
        });
    }
}

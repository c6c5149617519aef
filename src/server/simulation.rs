//! Lives of a server's files on a disk that fails, fills up and crashes, by a seed: SAVE, BGSAVE and
//! BGREWRITEAOF of a log that is off, from the keyspace to the disk and back, by the code that runs.
//!
//! Whatever happens, snapshot and log hold the whole of a state that was to be saved: the newest that was
//! reported to be, or a later one. A save that failed says so, and nothing else. `EONKV_SIM_SEED=n` runs
//! one seed, `EONKV_SIM_RUNS=n` so many from 1. `disk::tests` do the same to the log that is on, and
//! to single files far more often.

use super::{aof, boot, rewriting, saving};
use crate::commands::Shared;
use crate::commands::persist::load::{self, Mode};
use crate::commands::persist::place::Place;
use crate::commands::persist::replay::Seat;
use crate::commands::persist::save;
use crate::config::Config;
use crate::db::{Access, Expiry, Key, Kind, Local, New};
use crate::disk::lock::Guard;
use crate::disk::seal::Keyring;
use crate::disk::sim::{Dice, Faults, SimDisk};
use crate::disk::{Disk, read};
use crate::sync::pin;
use crate::types::image::Image;
use crate::types::list::{End, Limit, List};
use crate::types::object::Object;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The keys of two databases, in words.
type Data = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// A directory on the machine's disk: the lock of the data directory is a real one.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eonkv-sim-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server without workers.
struct Server {
    shared: Arc<Shared>,
    local: Local,
}

impl Server {
    fn start(disk: &SimDisk, folder: &Folder, config: Config, seals: bool) -> Self {
        let place = Place::on(Arc::new(disk.clone()), Guard::take(&folder.0).unwrap());
        if seals {
            place.seal_with(Keyring::parse(&[7; 32]).unwrap());
        }
        place.sweep();
        let shared = boot::share(config, None, place);
        let local = shared.keyspace.sit();
        Self { shared, local }
    }

    /// What needs the keyspace for itself, or does not mind to have it.
    fn alone<T>(&mut self, act: impl FnOnce(&Shared, &mut Access<'_>) -> T) -> T {
        let (shared, local) = (&*self.shared, &mut self.local);
        let (keyspace, seat) = (&shared.keyspace, local.seat);
        keyspace.gate.enter(seat);
        let alone = keyspace.gate.exclusive(seat);
        let pin = pin();
        let value = act(shared, &mut Access::new(keyspace, local, &pin, 0));
        drop(pin);
        drop(alone);
        keyspace.gate.leave(seat);
        value
    }

    fn set(&mut self, data: &Data) {
        let keyspace = Arc::clone(&self.shared.keyspace);
        keyspace.gate.enter(self.local.seat);
        let pin = pin();
        let mut access = Access::new(&keyspace, &mut self.local, &pin, 0);
        assert!(access.flush(0..2));
        for ((db, key), value) in data {
            access.db = *db;
            let new = match key.starts_with(b"list") {
                true => {
                    let mut list = List::new(Limit::from_parameter(16));
                    value.chunks(16).for_each(|element| list.push(End::Back, element));
                    New::Object(Box::new(Object::List(list)))
                }
                false => New::Plain(value),
            };
            access.write(Key::new(key)).set(new, Expiry::Never);
        }
        drop(pin);
        keyspace.gate.leave(self.local.seat);
    }

    /// What is there.
    fn data(&mut self) -> Data {
        self.alone(|_, access| {
            let mut data = Data::new();
            for db in 0..2 {
                access.db = db;
                let (mut keys, mut cursor) = (Vec::new(), 0);
                loop {
                    cursor = access.scan(cursor, |entry| keys.push(entry.key().to_vec()));
                    if cursor == 0 {
                        break;
                    }
                }
                for key in keys {
                    let held = access.write(Key::new(&key));
                    let value = match held.entry().unwrap().kind() {
                        Kind::Int(value) => value.to_string().into_bytes(),
                        Kind::Inline(text) => text.to_vec(),
                        Kind::Padded(padded) => {
                            let (text, len) = padded.text();
                            text[..len].to_vec()
                        }
                        Kind::Compact(_) => panic!("no small collection was stored"),
                        Kind::Object => words(Image::of(held.peek_object().unwrap(), 0)),
                    };
                    drop(held);
                    data.insert((db, key), value);
                }
            }
            data
        })
    }

    fn save(&mut self) -> bool {
        self.alone(save::to_disk)
    }

    /// BGSAVE, and whether a snapshot was made.
    fn save_beside(&mut self) -> bool {
        let persist = &self.shared.persist;
        let before = persist.saves();
        assert!(persist.jobs.start(self.shared.keyspace.clock.now()));
        saving::turn(&self.shared, &mut self.local);
        persist.saves() > before
    }

    /// Loads the snapshot; none if there is no such file.
    fn load(&mut self) -> Result<Option<Data>, String> {
        let file = (Path::new("dump.rdb"), Mode::default());
        let any = self.alone(|shared, access| load::from_disk(shared, access, file))?;
        Ok(any.then(|| self.data()))
    }

    /// Loads the log; none if there is none.
    fn load_log(&mut self) -> Result<Option<Data>, String> {
        let mut directory = aof::directory(&self.shared)?;
        if directory.manifest().base.is_none() {
            return Ok(None);
        }
        let loaded = aof::load(&self.shared, &mut directory, Seat::Lent(&mut self.local));
        self.shared.persist.end_loading();
        let read::Loaded { cut, .. } = loaded?;
        assert!(cut.is_none(), "a base is never cut");
        Ok(Some(self.data()))
    }
}

fn words(mut image: Image) -> Vec<u8> {
    if let Image::Text(bytes) = &image {
        return bytes.to_vec();
    }
    let mut all = Vec::new();
    while image.next(100, |element, _| all.extend_from_slice(element.text(&mut Vec::new()))) {}
    all
}

/// A file that is replaced whole, by its states' numbers: 0 is none.
struct Known {
    begun: u64,
    possible: BTreeSet<u64>,
}

impl Known {
    fn new() -> Self {
        Self { begun: 0, possible: BTreeSet::from([0]) }
    }

    /// The state of that number was to be saved.
    fn note(&mut self, state: u64, ok: bool) {
        if ok {
            self.possible.clear();
        }
        self.possible.insert(state);
        self.begun = state;
    }
}

struct World<'f> {
    seed: u64,
    dice: Dice,
    disk: SimDisk,
    folder: &'f Folder,
    /// The number of the newest state.
    state: u64,
    snapshot: Known,
    base: Known,
}

/// The state of that number.
fn contents(seed: u64, state: u64) -> Data {
    let mut dice = Dice::new(seed << 20 | state);
    let mut data = Data::new();
    for i in 0..1 + dice.below(12) {
        let len = [1, 20, 300, 9_000, 300_000][dice.below(if i == 0 { 5 } else { 4 })];
        let kind = if len > 1_000 && dice.below(2) == 0 { "list" } else { "text" };
        let value = (0..len).map(|_| b'a' + dice.below(26) as u8).collect();
        data.insert((dice.below(2), format!("{kind}:{i}").into_bytes()), value);
    }
    data.insert((0, b"state".into()), format!("number {state}").into_bytes());
    data
}

impl World<'_> {
    fn config(&mut self) -> Config {
        Config {
            io_threads: 1,
            databases: 2,
            appendonly: false,
            rdbcompression: self.dice.below(2) == 0,
            rdbchecksum: self.dice.below(4) > 0,
            rdb_save_incremental_fsync: self.dice.below(2) == 0,
            aof_use_rdb_preamble: self.dice.below(2) == 0,
            ..Config::default()
        }
    }

    fn start(&mut self) -> Server {
        let config = self.config();
        Server::start(&self.disk, self.folder, config, self.seed.is_multiple_of(3))
    }

    /// Which state this is, of those that may be there.
    fn identify(&self, data: Option<&Data>, known: &Known) -> u64 {
        let seed = self.seed;
        let Some(data) = data else {
            assert!(known.possible.contains(&0), "seed {seed}: a file is gone");
            return 0;
        };
        let found = known.possible.iter().find(|state| *data == contents(seed, **state));
        *found.unwrap_or_else(|| panic!("seed {seed}: none of {:?}", known.possible))
    }

    /// Loads snapshot and log with a disk that is well.
    fn check(&mut self, by_power: bool) {
        let snapshot = self.start().load().unwrap_or_else(|error| panic!("{}: {error}", self.seed));
        let log = self.start().load_log().unwrap_or_else(|error| panic!("{}: {error}", self.seed));
        let found = self.identify(snapshot.as_ref(), &self.snapshot);
        let base = self.identify(log.as_ref(), &self.base);
        if by_power {
            self.snapshot.possible = BTreeSet::from([found]);
            self.base.possible = BTreeSet::from([base]);
        }
    }

    fn live(&mut self) {
        let rate = [0, 0, 5, 60][self.dice.below(4)];
        let faults = Faults { write: rate, short: 2 * rate, sync: rate, names: rate, read: rate };
        self.disk.set_faults(faults);
        if self.dice.below(2) == 0 {
            self.disk.crash_after(self.dice.below(120) as u64);
        }
        let mut server = self.start();
        if let Ok(data) = server.load() {
            self.identify(data.as_ref(), &self.snapshot);
            for _ in 0..self.dice.below(6) {
                self.disk.set_full(self.dice.below(6) == 0);
                self.step(&mut server);
            }
        }
        drop(server);
        self.disk.set_faults(Faults::default());
        self.disk.set_full(false);
        let by_power = self.dice.below(2) == 0;
        if by_power {
            self.disk.crash()
        } else {
            self.disk.kill()
        }
        self.check(by_power);
    }

    fn step(&mut self, server: &mut Server) {
        let (state, seed) = (self.state + 1, self.seed);
        self.state = state;
        server.set(&contents(seed, state));
        let persist = &server.shared.persist;
        let before = (persist.saves(), persist.saved(), persist.is_saved());
        let ok = match self.dice.below(6) {
            0 | 1 => server.save(),
            2 | 3 => server.save_beside(),
            4 => {
                // Begun, and given up: as if nothing had been asked for.
                assert!(persist.jobs.start(0) && persist.jobs.wait(Duration::ZERO, || 0));
                assert_eq!(persist.jobs.cancel(), Some(false));
                saving::background(&server.shared, &server.local);
                let now = (persist.saves(), persist.saved(), persist.is_saved());
                assert_eq!(now, before, "seed {seed}");
                return;
            }
            _ => {
                let result = rewriting::once(&server.shared, &server.local);
                self.base.note(state, result.is_ok());
                return;
            }
        };
        let persist = &server.shared.persist;
        self.snapshot.note(state, ok);
        assert_eq!(persist.is_saved(), ok, "seed {seed}: rdb_last_bgsave_status");
        assert_eq!(persist.saves(), before.0 + u64::from(ok), "seed {seed}");
        assert!(ok || persist.saved() == before.1, "seed {seed}: LASTSAVE");
    }
}

fn runs() -> std::ops::RangeInclusive<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("EONKV_SIM_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("EONKV_SIM_RUNS").unwrap_or(150),
    }
}

#[test]
fn snapshots_and_bases_are_whole_whatever_happens() {
    let folder = Folder::new("lives");
    for seed in runs() {
        let (dice, disk) = (Dice::new(seed), SimDisk::new(seed ^ 0x5a7e));
        let (snapshot, base) = (Known::new(), Known::new());
        let mut world = World { seed, dice, disk, folder: &folder, state: 0, snapshot, base };
        for _ in 0..3 {
            world.live();
        }
        drop(world.start());
        let here = std::path::absolute(".").unwrap();
        let names = world.disk.list(&here).unwrap();
        assert!(names.iter().all(|name| name == "dump.rdb"), "seed {seed}: {names:?}");
    }
}

/// How often a snapshot of 24 MB is forced to the disk.
fn syncs(incremental: bool, save: impl Fn(&mut Server) -> bool) -> u64 {
    let (folder, disk) = (Folder::new("syncs"), SimDisk::new(1));
    let config = Config {
        io_threads: 1,
        databases: 2,
        rdbcompression: false,
        rdb_save_incremental_fsync: incremental,
        ..Config::default()
    };
    let mut server = Server::start(&disk, &folder, config, false);
    server.set(&(0..24).map(|i| ((0, vec![b'k', i]), vec![i; 1 << 20])).collect());
    assert!(save(&mut server));
    disk.syncs()
}

/// `rdb-save-incremental-fsync` is for whoever saves.
#[test]
fn snapshots_are_forced_to_the_disk_as_they_grow_if_that_is_wanted() {
    for save in [Server::save, Server::save_beside] {
        assert_eq!(syncs(false, save), 1);
        let often = syncs(true, save);
        assert!((5..=7).contains(&often), "{often} syncs of 24 MB, every 4 MB and at the end");
    }
}

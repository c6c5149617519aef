//! Lives of a file that is replaced whole, on a disk that fails, fills up and crashes by a seed.
//!
//! Whatever happens it is one that was written whole: the newest that was reported, or a later one; and
//! what was left in between is removed by the next start. `EONKV_SIM_SEED=n` runs one seed,
//! `EONKV_SIM_RUNS=n` so many from 1. `server::simulation` does the same to a whole server.

use super::simulation::runs;
use super::*;
use crate::disk::replace::{Manner, replace, sweep};
use crate::disk::sim::{Dice, Faults, Lies, SimDisk};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

const FOLDER: &str = "data";
const NAME: &str = "data/dump.rdb";

struct World {
    seed: u64,
    dice: Dice,
    disk: SimDisk,
    keys: Option<Arc<seal::Keyring>>,
    /// How many were begun; the contents of each follow from its number, and number 0 is no file.
    begun: u64,
    /// The one that is there now.
    seen: u64,
    /// Those that may be there after a power cut.
    possible: BTreeSet<u64>,
}

/// What stands in the file of that number.
fn contents(seed: u64, number: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed << 20 | number);
    let len =
        [0, 3, 511, 5_000, 70_000, 600_000][dice.below(if seed.is_multiple_of(8) { 6 } else { 5 })];
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..len).map(|_| dice.draw() as u8 | 1)); // no zeros: those are what is lost
    bytes
}

impl World {
    fn new(seed: u64) -> Self {
        let keys =
            seed.is_multiple_of(3).then(|| Arc::new(seal::Keyring::parse(&[7; 32]).unwrap()));
        let (dice, disk) = (Dice::new(seed), SimDisk::new(seed ^ 0xd1ce));
        Self { seed, dice, disk, keys, begun: 0, seen: 0, possible: BTreeSet::from([0]) }
    }

    /// The number of the file that is there; none if it is torn.
    fn look(&self) -> Option<u64> {
        let Some(bytes) = self.disk.bytes(Path::new(NAME)) else { return Some(0) };
        let mut plain = Vec::new();
        seal::Reader::new(&bytes[..], self.keys.as_deref()).ok()?.read_to_end(&mut plain).ok()?;
        let number = u64::from_le_bytes(*plain.first_chunk()?);
        let is_ours = number > 0 && number <= self.begun;
        (is_ours && plain == contents(self.seed, number)).then_some(number)
    }

    /// Writes the next; `gives_up` in the middle, as a snapshot that is cancelled.
    fn write(&mut self, gives_up: bool) -> io::Result<()> {
        self.begun += 1;
        let (number, bytes) = (self.begun, contents(self.seed, self.begun));
        let piece = 1 + self.dice.below(100_000);
        let manner = Manner {
            keys: self.keys.as_deref(),
            incremental: self.dice.below(2) == 0,
            number: self.begun,
        };
        replace(&self.disk, Path::new(NAME), manner, |out| {
            for (at, piece) in bytes.chunks(piece).enumerate() {
                if gives_up && at > 0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                out.write_all(piece)?;
            }
            if gives_up { Err(io::ErrorKind::Interrupted.into()) } else { Ok(number) }
        })
        .map(drop)
    }

    /// The same, and what may be there then.
    fn step(&mut self, gives_up: bool) {
        let result = self.write(gives_up);
        let (seed, seen) = (self.seed, self.look());
        let seen = seen.unwrap_or_else(|| panic!("seed {seed}: torn, and nothing has crashed"));
        match result {
            Ok(()) => {
                assert_eq!(seen, self.begun, "seed {seed}: what was reported is not there");
                self.possible = BTreeSet::from([seen]);
            }
            Err(error) => {
                let as_it_was = seen == self.seen;
                assert!(as_it_was || !gives_up && seen == self.begun, "seed {seed}: {error}");
                self.possible.insert(seen);
            }
        }
        self.seen = seen;
    }

    /// The end of the process, or of the power. False if something is there that may not be.
    fn end(&mut self, by_power: bool) -> bool {
        if !by_power {
            self.disk.kill();
            return self.look() == Some(self.seen);
        }
        self.disk.crash();
        let Some(seen) = self.look().filter(|seen| self.possible.contains(seen)) else {
            return false;
        };
        (self.seen, self.possible) = (seen, BTreeSet::from([seen]));
        true
    }

    fn live(&mut self) {
        sweep(&self.disk, Path::new(FOLDER));
        let rate = [0, 0, 5, 100][self.dice.below(4)];
        let faults = Faults { write: rate, short: 2 * rate, sync: rate, names: rate, read: rate };
        self.disk.set_faults(faults);
        if self.dice.below(2) == 0 {
            self.disk.crash_after(self.dice.below(40) as u64);
        }
        for _ in 0..self.dice.below(6) {
            self.disk.set_full(self.dice.below(5) == 0);
            let gives_up = self.dice.below(6) == 0;
            self.step(gives_up);
        }
        self.disk.set_faults(Faults::default());
        self.disk.set_full(false);
        let by_power = self.dice.below(2) == 0;
        assert!(self.end(by_power), "seed {}: neither the old file nor a new one", self.seed);
    }

    /// Nothing but the file is there once somebody has started on a disk that is well.
    fn leaves_nothing(&self) {
        sweep(&self.disk, Path::new(FOLDER));
        let names = self.disk.list(Path::new(FOLDER)).unwrap();
        assert!(names.iter().all(|name| name == "dump.rdb"), "seed {}: {names:?}", self.seed);
    }
}

#[test]
fn there_is_always_a_whole_file() {
    for seed in runs() {
        let mut world = World::new(seed);
        for _ in 0..4 {
            world.live();
        }
        world.leaves_nothing();
        world.step(false);
        assert!(world.end(true) && world.seen == world.begun, "seed {seed}");
    }
}

/// Each step is the last one once, by a power cut and by the end of the process, with a file before it and
/// without one.
#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new() {
    for seed in 1..=40 {
        let mut steps = 0;
        loop {
            let mut world = World::new(seed);
            if seed.is_multiple_of(2) {
                world.step(false);
            }
            world.disk.crash_after(steps);
            world.step(false);
            let over = !world.disk.has_crashed();
            assert!(world.end(seed % 4 < 2), "seed {seed}, step {steps}");
            world.leaves_nothing();
            if over {
                break;
            }
            steps += 1;
        }
        assert!(steps >= 5, "seed {seed}: {steps} steps of create, write, sync, rename, sync");
    }
}

/// What the others would say if one of the syncs were not there.
#[test]
fn a_sync_that_is_missing_is_noticed() {
    for lies in [Lies { sync: true, names: false }, Lies { sync: false, names: true }] {
        let noticed = (1..=100).filter(|seed| {
            let mut world = World::new(*seed);
            world.step(false);
            world.end(true);
            world.disk.set_lies(lies);
            world.step(false);
            !world.end(true)
        });
        assert!(noticed.count() > 10, "{lies:?}");
    }
}

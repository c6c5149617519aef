//! Whole lives of a log on a disk that fails, fills up and crashes, each decided by a seed.
//!
//! A run is a few lives; each appends, commits, rewrites and is ended by a crash, a kill or a close.
//! After each, what is loaded must be a prefix of what was appended, without half a transaction,
//! and contain all that was reported durable (and, unless the power failed, all that was written).
//!
//! `EONKV_SIM_SEED=n` runs one seed, `EONKV_SIM_RUNS=n` so many from 1; `EONKV_SIM_TRACE=1` tells each step.

use super::*;
use crate::disk::sim::{Dice, Faults, SimDisk};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// A command that was appended, and the transaction it was part of.
#[derive(Clone, PartialEq, Debug)]
struct Said {
    text: String,
    transaction: u64,
}

struct World {
    seed: u64,
    dice: Dice,
    disk: SimDisk,
    said: Vec<Said>,
    /// How many are promised to be there.
    durable: usize,
    /// How many are there unless the power fails.
    written: usize,
    now: u64,
    count: u64,
    keys: Option<Arc<seal::Keyring>>,
}

pub(super) fn runs() -> std::ops::RangeInclusive<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("EONKV_SIM_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("EONKV_SIM_RUNS").unwrap_or(3000),
    }
}

#[test]
fn nothing_durable_is_ever_lost() {
    for seed in runs() {
        let (dice, disk) = (Dice::new(seed), SimDisk::new(seed ^ 0x5eed));
        let said = Vec::new();
        let keys = (seed % 3 == 0).then(|| Arc::new(seal::Keyring::parse(&[7; 32]).unwrap()));
        let mut world =
            World { seed, dice, disk, said, durable: 0, written: 0, now: 0, count: 0, keys };
        for _ in 0..4 {
            world.live();
        }
        world.disk.set_faults(Faults::default());
        world.disk.set_full(false);
        world.check(true).expect("the disk is well");
        world.leaves_nothing();
    }
}

/// How an RDB file begins. What stands in one here is a command to a line: nobody but this test reads it.
const MAGIC: &str = "REDIS0010";

fn begin_rdb(out: &mut BaseWriter) -> std::io::Result<()> {
    writeln!(out, "{MAGIC}")
}

impl World {
    fn options(&mut self) -> Options {
        let policy = [Policy::Always, Policy::Everysec, Policy::No][self.dice.below(3)];
        Options {
            policy,
            timestamps: self.dice.below(2) == 0,
            no_sync_on_rewrite: self.dice.below(4) == 0,
            rdb_base: self.dice.below(2) == 0,
            ..Options::default()
        }
    }

    fn directory(&self) -> Result<Directory, Error> {
        let mut directory = Directory::open(Arc::new(self.disk.clone()), Names::default())?;
        directory.set_keys(self.keys.clone());
        Ok(directory)
    }

    /// Loads, compares and returns the directory; `None` if the disk did not let it.
    fn check(&mut self, must: bool) -> Option<Directory> {
        let mut taken = Taken::default();
        let loaded = self.directory().and_then(|mut directory| {
            read::load(&mut directory, true, &mut taken).map(|loaded| (directory, loaded))
        });
        let seed = self.seed;
        let directory = match loaded {
            Ok((directory, _)) => directory,
            Err(Error::Io { .. }) if !must => return None,
            Err(Error::Refused { why, .. }) if !must && why.contains("os error") => return None,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let rdb = String::from_utf8_lossy(&taken.rdb);
        let base = rdb.lines().filter(|line| *line != MAGIC).map(String::from);
        let got: Vec<String> = base.chain(taken.commands).collect();
        let said = self.said.iter().map(|said| &said.text);
        assert!(got.iter().eq(said.take(got.len())), "seed {seed}: not a prefix");
        let (len, durable) = (got.len(), self.durable);
        assert!(len >= durable, "seed {seed}: {len} of {durable} durable commands");
        let half = len > 0
            && len < self.said.len()
            && self.said[len].transaction != 0
            && self.said[len].transaction == self.said[len - 1].transaction;
        assert!(!half, "seed {seed}: half a transaction");
        self.said.truncate(len);
        self.written = self.written.min(len);
        Some(directory)
    }

    /// The next start removes what was left under temporary names by those before it. A base that has its name
    /// already and is in no manifest stays until the next one takes it: without a manifest it might be
    /// all that somebody has.
    fn leaves_nothing(&mut self) {
        let directory = self.directory().unwrap();
        let mut log = Log::open(
            directory,
            Options::default(),
            self.said.len() as u64,
            self.now,
            &mut begin_rdb,
        );
        let log = log.as_mut().unwrap();
        log.directory_mut().remove_history().unwrap();
        assert!(log.directory().manifest().history.is_empty());
        for name in self.disk.list(Path::new("appendonlydir")).unwrap() {
            assert!(!name.starts_with("temp-"), "seed {}: {name} was left", self.seed);
        }
    }

    fn live(&mut self) {
        if std::env::var_os("EONKV_SIM_TRACE").is_some() {
            eprintln!("said {} durable {} written {}", self.said.len(), self.durable, self.written);
        }
        let rate = [0, 0, 5, 40][self.dice.below(4)];
        let faults = Faults { write: rate, short: 2 * rate, sync: rate, names: rate, read: rate };
        self.disk.set_faults(faults);
        if self.dice.below(2) == 0 {
            self.disk.crash_after(self.dice.below(300) as u64);
        }
        let log = self.check(false).and_then(|directory| self.open(directory));
        if let Some(log) = log {
            self.work(log);
        }
        self.disk.set_full(false);
        if self.dice.below(2) == 0 {
            self.disk.crash();
        } else {
            // After the end of the process alone, all that was written is there; a crash before the
            // next sync may take it all the same.
            self.disk.kill();
            self.disk.set_faults(Faults::default());
            let durable = std::mem::replace(&mut self.durable, self.written);
            self.check(true);
            self.durable = durable;
        }
        self.written = self.durable;
    }

    fn open(&mut self, directory: Directory) -> Option<Log> {
        let options = self.options();
        let (last, now) = (self.said.len() as u64, self.now);
        let opened = if self.dice.below(6) == 0 {
            Log::open_waiting(directory, options, last, now)
        } else {
            let in_rdb = options.rdb_base;
            let mut base = |out: &mut BaseWriter| if in_rdb { begin_rdb(out) } else { Ok(()) };
            Log::open(directory, options, last, now, &mut base)
        };
        match opened {
            Ok(log) => {
                self.note(&log);
                Some(log)
            }
            Err(Error::Io { .. }) => None,
            Err(error) => panic!("seed {}: {error}", self.seed),
        }
    }

    fn note(&mut self, log: &Log) {
        if log.is_complete() {
            self.durable = self.durable.max(log.durable() as usize);
            self.written = self.durable.max(log.written() as usize);
            assert!(log.durable() <= log.appended());
        }
    }

    fn work(&mut self, mut log: Log) {
        let mut rewriting: Option<(Rewrite, usize)> = None;
        let mut job: Option<log::SyncJob> = None;
        for _ in 0..self.dice.below(120) {
            let what = self.dice.below(20);
            if std::env::var_os("EONKV_SIM_TRACE").is_some() {
                let (w, d, c) = (log.written(), log.durable(), log.is_complete());
                eprintln!("{what}: said {} written {w} durable {d} {c}", self.said.len());
            }
            match what {
                0..=8 => self.append(&mut log),
                9..=13 => log.commit(self.now),
                14 => self.now += self.dice.below(2500) as u64,
                15 if rewriting.is_none() => {
                    let len = self.said.len();
                    rewriting = log.begin_rewrite(self.now).ok().map(|rewrite| (rewrite, len));
                    log.set_saving(rewriting.is_some());
                }
                15 => {
                    if let Some((rewrite, len)) = rewriting.take() {
                        self.end_rewrite(&mut log, rewrite, len);
                    }
                }
                16 if job.is_none() => job = log.sync_job(),
                16 | 17 => {
                    if let Some(job) = job.take() {
                        let result = job.run();
                        log.sync_done(&job, result, self.now);
                    }
                }
                18 => self.disk.set_full(self.dice.below(3) == 0),
                _ => {
                    let _ = log.directory_mut().remove_history();
                }
            }
            self.note(&log);
            if self.disk.has_crashed() {
                return;
            }
        }
        if let Some(job) = job {
            let result = job.run();
            log.sync_done(&job, result, self.now);
        }
        if self.dice.below(3) == 0 {
            self.recover(log);
        }
    }

    /// With the disk well again, the log is so within a second, and everything is durable.
    fn recover(&mut self, mut log: Log) {
        self.disk.set_faults(Faults::default());
        self.disk.set_full(false);
        self.now += log::RETRY_MS;
        log.set_saving(false);
        log.commit(self.now);
        if self.disk.has_crashed() {
            return;
        }
        assert_eq!(log.state(), State::Healthy, "seed {}", self.seed);
        let (all, complete) = (self.said.len() as u64, log.is_complete());
        if log.options().policy == Policy::Always && complete {
            assert_eq!(log.durable(), all, "seed {}", self.seed);
        }
        let closed = log.close(self.now);
        if complete && !self.disk.has_crashed() {
            assert!(closed, "seed {}", self.seed);
            self.durable = all as usize;
        }
    }

    fn append(&mut self, log: &mut Log) {
        let commands = 1 + self.dice.below(4);
        let transaction = if commands > 1 && self.dice.below(2) == 0 { self.count + 1 } else { 0 };
        let mut bytes = Vec::new();
        if transaction != 0 {
            bytes.extend(command(&["MULTI"]));
        }
        for _ in 0..commands {
            self.count += 1;
            let value = "v".repeat([1, 20, 300, 1500][self.dice.below(4)]);
            let key = format!("k{}", self.count);
            bytes.extend(set(&key, &value));
            self.said.push(Said { text: format!("SET {key} {value}"), transaction });
        }
        if transaction != 0 {
            bytes.extend(command(&["EXEC"]));
        }
        log.append(bytes.into(), self.said.len() as u64);
    }

    fn end_rewrite(&mut self, log: &mut Log, rewrite: Rewrite, len: usize) {
        log.set_saving(false);
        let write = || {
            let mut base = rewrite.open()?;
            if rewrite.is_rdb() {
                begin_rdb(&mut base)?;
                for said in &self.said[..len] {
                    writeln!(base, "{}", said.text)?;
                }
                return base.finish();
            }
            for said in self.said[..len].chunks(3) {
                let words = said.iter().map(|said| said.text.split(' ').collect::<Vec<_>>());
                base.group(&words.flat_map(|words| command(&words)).collect::<Vec<_>>())?;
            }
            base.finish()
        };
        let written = write();
        if written.is_ok() && self.dice.below(8) > 0 {
            let _ = log.finish_rewrite(rewrite, self.now);
        } else {
            log.fail_rewrite(rewrite, self.now);
        }
    }
}

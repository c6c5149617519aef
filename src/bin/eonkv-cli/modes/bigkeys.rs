//! `--bigkeys` and `--memkeys`: the biggest key of each type, and averages.

use super::scan::{Walk, db_size, percent};
use super::{Interrupted, fatal};
use crate::quote;
use crate::resp::Value;
use crate::screen;
use crate::session::{Session, Stop};

/// What makes a key big.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Its elements, or the bytes of a string.
    Elements,
    /// MEMORY USAGE.
    Memory,
}

#[derive(Debug)]
struct Kind {
    name: String,
    /// The command that counts; a module's type has none.
    size_command: Option<&'static str>,
    unit: &'static str,
    biggest: u64,
    biggest_key: Vec<u8>,
    keys: u64,
    total: u64,
}

/// In the order of redis-cli's summary, which is that of its hash table once that is settled: reports
/// get compared line by line.
const KINDS: [(&str, &str, &str); 6] = [
    ("list", "LLEN", "items"),
    ("hash", "HLEN", "fields"),
    ("string", "STRLEN", "bytes"),
    ("stream", "XLEN", "entries"),
    ("set", "SCARD", "members"),
    ("zset", "ZCARD", "members"),
];

struct Report {
    measure: Measure,
    kinds: Vec<Kind>,
    all_keys: u64,
    sampled: u64,
    name_bytes: u64,
}

pub fn run(session: &mut Session, measure: Measure) -> Result<(), Stop> {
    let interrupted = Interrupted::listen();
    let mut report = Report::new(measure, db_size(session)?);
    screen::say(
        "\n# Scanning the entire keyspace to find biggest keys as well as\n\
         # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
         # per 100 SCAN commands (not usually needed).\n\n",
    );
    let mut walk = Walk::default();
    let mut done = percent(0, report.all_keys);
    while !interrupted.yes() {
        done = percent(report.sampled, report.all_keys);
        let Some(keys) = walk.next(session)? else {
            break;
        };
        let kinds = report.types(session, &keys)?;
        let sizes = report.sizes(session, &keys, &kinds)?;
        for ((key, kind), size) in keys.iter().zip(kinds).zip(sizes) {
            if let Some(kind) = kind {
                report.count(key, kind, size, done);
            }
        }
        walk.rest(session.options.interval_us);
    }
    let progress = if interrupted.yes() { format!("[{done:05.2}%] ") } else { String::new() };
    screen::put(&report.summary(&progress));
    Ok(())
}

impl Report {
    fn new(measure: Measure, all_keys: u64) -> Self {
        let kinds = KINDS
            .iter()
            .map(|(name, command, unit)| Kind::new(name, Some(command), unit))
            .collect();
        Report { measure, kinds, all_keys, sampled: 0, name_bytes: 0 }
    }

    /// The kind of each key, as an index; a key that vanished has none.
    fn types(
        &mut self,
        session: &mut Session,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<usize>>, Stop> {
        for key in keys {
            session.queue(&[b"TYPE".as_slice(), key]);
        }
        let mut kinds = Vec::with_capacity(keys.len());
        for key in keys {
            let shown = String::from_utf8_lossy(key);
            let reply = session.receive().map_err(|error| {
                fatal(&format!("Error getting type for key '{shown}' ({error})"))
            })?;
            match reply {
                Value::Status(name) => kinds.push(self.kind(&String::from_utf8_lossy(&name))),
                Value::Error(text) => {
                    return Err(fatal(&format!(
                        "TYPE returned an error: {}",
                        String::from_utf8_lossy(&text)
                    )));
                }
                _ => return Err(fatal(&format!("Invalid reply type for TYPE on key '{shown}'!"))),
            }
        }
        Ok(kinds)
    }

    fn kind(&mut self, name: &str) -> Option<usize> {
        if name == "none" {
            return None;
        }
        let known = self.kinds.iter().position(|kind| kind.name == name);
        Some(known.unwrap_or_else(|| {
            self.kinds.push(Kind::new(name, None, "?"));
            self.kinds.len() - 1
        }))
    }

    /// The size of each key; what cannot be measured counts as 0.
    fn sizes(
        &self,
        session: &mut Session,
        keys: &[Vec<u8>],
        kinds: &[Option<usize>],
    ) -> Result<Vec<u64>, Stop> {
        let command_of = |kind: Option<usize>| match (
            self.measure,
            kind.and_then(|kind| self.kinds.get(kind)),
        ) {
            (_, None) => None,
            (Measure::Memory, Some(_)) => Some("MEMORY USAGE"),
            (Measure::Elements, Some(kind)) => kind.size_command,
        };
        let samples = session.options.memkeys_samples;
        for (key, kind) in keys.iter().zip(kinds) {
            let Some(command) = command_of(*kind) else {
                continue;
            };
            let mut args: Vec<Vec<u8>> =
                command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            args.push(key.clone());
            if self.measure == Measure::Memory && samples > 0 {
                args.extend([b"SAMPLES".to_vec(), samples.to_string().into_bytes()]);
            }
            session.queue(&args);
        }
        let mut sizes = Vec::with_capacity(keys.len());
        for (key, kind) in keys.iter().zip(kinds) {
            let Some(command) = command_of(*kind) else {
                sizes.push(0);
                continue;
            };
            let shown = String::from_utf8_lossy(key);
            let reply = session.receive().map_err(|error| {
                fatal(&format!("Error getting size for key '{shown}' ({error})"))
            })?;
            if let Value::Int(size) = reply {
                sizes.push(u64::try_from(size).unwrap_or(0));
            } else {
                screen::complain(&format!(
                    "Warning:  {command} on '{shown}' failed (may have changed type)"
                ));
                sizes.push(0);
            }
        }
        Ok(sizes)
    }

    fn count(&mut self, key: &[u8], kind: usize, size: u64, done: f64) {
        let measure = self.measure;
        let Some(kind) = self.kinds.get_mut(kind) else {
            return;
        };
        kind.total = kind.total.saturating_add(size);
        kind.keys += 1;
        self.name_bytes += key.len() as u64;
        self.sampled += 1;
        if kind.biggest < size {
            kind.biggest = size;
            kind.biggest_key = quote::repr(key);
            screen::put(&line(&[
                format!("[{done:05.2}%] Biggest {:<6} found so far '", kind.name).as_bytes(),
                &kind.biggest_key,
                format!("' with {size} {}", kind.unit(measure)).as_bytes(),
            ]));
        }
        if self.sampled.is_multiple_of(1_000_000) {
            screen::say(&format!("[{done:05.2}%] Sampled {} keys so far\n", self.sampled));
        }
    }

    fn summary(&self, progress: &str) -> Vec<u8> {
        let mut out = format!(
            "\n-------- summary -------\n\n{progress}Sampled {} keys in the keyspace!\n\
             Total key length in bytes is {} (avg len {:.2})\n\n",
            self.sampled,
            self.name_bytes,
            ratio(self.name_bytes, self.sampled),
        )
        .into_bytes();
        for kind in self.kinds.iter().filter(|kind| !kind.biggest_key.is_empty()) {
            out.extend(line(&[
                format!("Biggest {:>6} found '", kind.name).as_bytes(),
                &kind.biggest_key,
                format!("' has {} {}", kind.biggest, kind.unit(self.measure)).as_bytes(),
            ]));
        }
        out.push(b'\n');
        for kind in &self.kinds {
            out.extend_from_slice(
                format!(
                    "{} {}s with {} {} ({:05.2}% of keys, avg size {:.2})\n",
                    kind.keys,
                    kind.name,
                    kind.total,
                    kind.unit(self.measure),
                    percent(kind.keys, self.sampled),
                    ratio(kind.total, kind.keys),
                )
                .as_bytes(),
            );
        }
        out
    }
}

impl Kind {
    fn new(name: &str, size_command: Option<&'static str>, unit: &'static str) -> Self {
        let name = name.to_owned();
        Kind { name, size_command, unit, biggest: 0, biggest_key: Vec::new(), keys: 0, total: 0 }
    }

    fn unit(&self, measure: Measure) -> &'static str {
        match measure {
            Measure::Elements => self.unit,
            Measure::Memory => "bytes",
        }
    }
}

fn line(parts: &[&[u8]]) -> Vec<u8> {
    let mut line = parts.concat();
    line.push(b'\n');
    line
}

fn ratio(part: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { part as f64 / count as f64 }
}

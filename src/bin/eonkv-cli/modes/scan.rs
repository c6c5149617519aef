//! `--scan`: the names of all keys. Also the walk that the reports share.

use std::time::Duration;

use super::{Interrupted, fatal, io_error};
use crate::format::Mode;
use crate::number;
use crate::quote;
use crate::resp::Value;
use crate::screen;
use crate::session::{Session, Stop};

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let interrupted = Interrupted::listen();
    let mut walk = Walk::default();
    while !interrupted.yes()
        && let Some(keys) = walk.next(session)?
    {
        let mut page = Vec::new();
        for key in &keys {
            if session.options.format.mode == Mode::Standard {
                quote::push_repr(&mut page, key);
            } else {
                page.extend_from_slice(key);
            }
            page.push(b'\n');
        }
        screen::put(&page);
        if session.options.interval_us > 0 {
            std::thread::sleep(Duration::from_micros(session.options.interval_us));
        }
    }
    Ok(())
}

/// One SCAN from cursor 0 back to cursor 0, honouring `--pattern` and `--count`.
#[derive(Debug, Default)]
pub struct Walk {
    cursor: u64,
    started: bool,
    /// SCAN calls so far.
    pub steps: u64,
}

impl Walk {
    /// The keys of the next step, perhaps none; `None` after the last.
    pub fn next(&mut self, session: &mut Session) -> Result<Option<Vec<Vec<u8>>>, Stop> {
        if self.started && self.cursor == 0 {
            return Ok(None);
        }
        let mut args = vec![b"SCAN".to_vec(), self.cursor.to_string().into_bytes()];
        if let Some(pattern) = &session.options.pattern {
            args.extend([b"MATCH".to_vec(), pattern.clone()]);
        }
        if let Some(count) = session.options.count {
            args.extend([b"COUNT".to_vec(), count.to_string().into_bytes()]);
        }
        let (cursor, keys) = step(session.call(&args).map_err(io_error)?)?;
        self.cursor = cursor;
        self.started = true;
        self.steps += 1;
        Ok(Some(keys))
    }

    /// Sleeps as `-i` says, once per hundred steps.
    pub fn rest(&self, interval_us: u64) {
        if interval_us > 0 && self.steps.is_multiple_of(100) {
            std::thread::sleep(Duration::from_micros(interval_us));
        }
    }
}

fn step(reply: Value) -> Result<(u64, Vec<Vec<u8>>), Stop> {
    let parts = match reply {
        Value::Error(text) => {
            return Err(fatal(&format!("SCAN error: {}", String::from_utf8_lossy(&text))));
        }
        Value::Array(parts) => parts,
        _ => return Err(fatal("Non ARRAY response from SCAN!")),
    };
    let [Value::Bulk(cursor), Value::Array(keys)] = parts.as_slice() else {
        return Err(fatal("Invalid element count from SCAN!"));
    };
    let cursor = std::str::from_utf8(cursor).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok((cursor, keys.iter().filter_map(Value::text).map(<[u8]>::to_vec).collect()))
}

/// How many keys the database holds.
pub fn db_size(session: &mut Session) -> Result<u64, Stop> {
    match session.call(&["DBSIZE"]).map_err(io_error)? {
        Value::Int(keys) => Ok(u64::try_from(keys).unwrap_or(0)),
        Value::Error(text) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            Err(fatal(&format!("Couldn't determine DBSIZE: {text}")))
        }
        _ => Err(fatal("Non INTEGER response from DBSIZE!")),
    }
}

/// The number after `field` in an INFO page, as the server wrote it there.
pub fn info_number(info: &[u8], field: &str) -> Option<i64> {
    let at = memchr::memmem::find(info, field.as_bytes())?;
    number::split_int(info.get(at + field.len() + 1..)?).map(|(value, _)| value)
}

/// How far a walk is, in percent.
pub fn percent(done: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * done as f64 / all as f64 }
}

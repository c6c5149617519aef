//! `--hotkeys`: the sixteen keys with the highest access counters.

use super::scan::{Walk, db_size, percent};
use super::{Interrupted, fatal};
use crate::quote;
use crate::resp::Value;
use crate::screen;
use crate::session::{Session, Stop};

const KEPT: usize = 16;

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let interrupted = Interrupted::listen();
    let all = db_size(session)?;
    screen::say(
        "\n# Scanning the entire keyspace to find hot keys as well as\n\
         # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
         # per 100 SCAN commands (not usually needed).\n\n",
    );
    let mut hottest = Hottest::default();
    let (mut walk, mut sampled, mut done) = (Walk::default(), 0_u64, 0.0);
    while !interrupted.yes() {
        done = percent(sampled, all);
        let Some(keys) = walk.next(session)? else {
            break;
        };
        let counters = counters(session, &keys)?;
        for (key, counter) in keys.iter().zip(counters) {
            sampled += 1;
            if sampled.is_multiple_of(1_000_000) {
                screen::say(&format!("[{done:05.2}%] Sampled {sampled} keys so far\n"));
            }
            let name = quote::repr(key);
            if hottest.offer(counter, &name) {
                let name = String::from_utf8_lossy(&name);
                screen::say(&format!(
                    "[{done:05.2}%] Hot key '{name}' found so far with counter {counter}\n"
                ));
            }
        }
        walk.rest(session.options.interval_us);
    }
    let progress = if interrupted.yes() { format!("[{done:05.2}%] ") } else { String::new() };
    screen::say(&format!(
        "\n-------- summary -------\n\n{progress}Sampled {sampled} keys in the keyspace!\n"
    ));
    for (counter, name) in hottest.0.iter().rev() {
        let name = String::from_utf8_lossy(name);
        screen::say(&format!("hot key found with counter: {counter}\tkeyname: {name}\n"));
    }
    Ok(())
}

fn counters(session: &mut Session, keys: &[Vec<u8>]) -> Result<Vec<u64>, Stop> {
    for key in keys {
        session.queue(&[b"OBJECT".as_slice(), b"FREQ", key]);
    }
    let mut counters = Vec::with_capacity(keys.len());
    for key in keys {
        let name = quote::repr(key);
        let name = String::from_utf8_lossy(&name);
        let reply = session
            .receive()
            .map_err(|error| fatal(&format!("Error getting freq for key '{name}' ({error})")))?;
        counters.push(match reply {
            Value::Int(counter) => u64::try_from(counter).unwrap_or(0),
            Value::Error(text) => {
                return Err(fatal(&format!("Error: {}", String::from_utf8_lossy(&text))));
            }
            _ => {
                screen::complain(&format!(
                    "Warning: OBJECT freq on '{name}' failed (may have been deleted)"
                ));
                0
            }
        });
    }
    Ok(counters)
}

/// The highest counters seen, coolest first.
#[derive(Debug, Default)]
struct Hottest(Vec<(u64, Vec<u8>)>);

impl Hottest {
    /// Whether the key is among them now. Of equal counters the one seen first stays ahead.
    fn offer(&mut self, counter: u64, name: &[u8]) -> bool {
        let place = self.0.iter().take_while(|(other, _)| *other < counter).count();
        let full = self.0.len() == KEPT;
        if counter == 0 || (full && place == 0) {
            return false;
        }
        self.0.insert(place, (counter, name.to_vec()));
        if full {
            self.0.remove(0);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_stay() {
        let mut hottest = Hottest::default();
        assert!(!hottest.offer(0, b"cold"));
        for counter in 1..=20 {
            assert!(hottest.offer(counter, b"k"));
        }
        assert!(!hottest.offer(5, b"k"), "no hotter than the coolest kept");
        let counters: Vec<u64> = hottest.0.iter().map(|(counter, _)| *counter).collect();
        assert_eq!(counters, (5..=20).collect::<Vec<u64>>());
    }
}

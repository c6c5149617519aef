//! `--stat`: a line of the server's state each second.

use std::time::Duration;

use super::fatal;
use super::scan::info_number;
use crate::resp::Value;
use crate::screen;
use crate::session::{Session, Stop};

/// Lines after which the heading is repeated.
const HEADING_EVERY: usize = 20;

const HEADING: &str = "\
------- data ------ --------------------- load -------------------- - child -
keys       mem      clients blocked requests            connections          
";

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let pause = match session.options.interval_us {
        0 => Duration::from_secs(1),
        micros => Duration::from_micros(micros),
    };
    let mut requests = 0;
    for line in 0_usize.. {
        let reply = session.persist(&["INFO"])?;
        let info = match &reply {
            Value::Error(text) => {
                return Err(fatal(&format!("ERROR: {}", String::from_utf8_lossy(text))));
            }
            other => other.text().unwrap_or_default(),
        };
        if line.is_multiple_of(HEADING_EVERY) {
            screen::say(HEADING);
        }
        let (text, total) = state(info, requests);
        screen::say(&text);
        requests = total;
        std::thread::sleep(pause);
    }
    Ok(())
}

/// One line, and the requests served so far; `before` is that number at the last line.
fn state(info: &[u8], before: i64) -> (String, i64) {
    let field = |name: &str| info_number(info, name).unwrap_or(0);
    let keys: i64 = (0..20).map(|db| field(&format!("db{db}:keys"))).sum();
    let total = field("total_commands_processed");
    let new = if before == 0 { 0 } else { total.saturating_sub(before) };
    let child =
        match (field("bgsave_in_progress"), field("aof_rewrite_in_progress"), field("loading")) {
            (0, 0, 0) => "",
            (_, 0, 0) => "SAVE",
            (0, _, 0) => "AOF",
            (_, _, 0) => "SAVE+AOF",
            (0, 0, _) => "LOAD",
            _ => "",
        };
    let line = format!(
        "{keys:<11}{:<8} {:<8}{:<8}{:<19} {:<12}{child}\n",
        human(field("used_memory")),
        field("connected_clients"),
        field("blocked_clients"),
        format!("{total} (+{new})"),
        field("total_connections_received"),
    );
    (line, total)
}

/// A size as people read it.
fn human(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    let size = bytes.unsigned_abs();
    for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] {
        if size >= 1 << shift {
            return format!("{sign}{:.2}{unit}", size as f64 / (1_u64 << shift) as f64);
        }
    }
    format!("{sign}{size}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line() {
        let info = b"# Clients\r\nconnected_clients:12\r\nblocked_clients:3\r\nused_memory:1572864\r\n\
            total_connections_received:99\r\ntotal_commands_processed:150\r\nrdb_bgsave_in_progress:1\r\n\
            aof_rewrite_in_progress:0\r\ndb0:keys=5,expires=0\r\ndb3:keys=2,expires=1\r\n";
        let (line, total) = state(info, 100);
        assert_eq!(total, 150);
        assert_eq!(
            line,
            "7          1.50M    12      3       150 (+50)           99          SAVE\n"
        );
    }

    #[test]
    fn sizes() {
        for (bytes, want) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (-2048, "-2.00K"), (1 << 41, "2.00T")]
        {
            assert_eq!(human(bytes), want);
        }
    }
}

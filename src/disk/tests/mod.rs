//! Tests of the log as a whole, on real files and on simulated ones.

mod damage;
mod files;
mod redis;
mod repair;
mod replaced;
mod sealed;
mod simulation;

use super::*;
use bytes::Bytes;
use std::io::BufRead;

/// Takes what is loaded, as text, transactions whole.
#[derive(Default)]
pub struct Taken {
    pub commands: Vec<String>,
    queued: Option<Vec<String>>,
    /// What stood in the RDB part.
    pub rdb: Vec<u8>,
}

impl Sink for Taken {
    fn rdb(&mut self, source: &mut dyn BufRead, _: Place<'_>) -> Result<u64, String> {
        source.read_to_end(&mut self.rdb).map(|n| n as u64).map_err(|error| error.to_string())
    }

    fn command(&mut self, arguments: &[&[u8]], _: Place<'_>) -> Result<(), String> {
        let words: Vec<_> = arguments.iter().map(|word| String::from_utf8_lossy(word)).collect();
        let text = words.join(" ");
        match (&*text, &mut self.queued) {
            ("MULTI", queued @ None) => *queued = Some(Vec::new()),
            ("EXEC", Some(queued)) => {
                let queued = std::mem::take(queued);
                self.commands.extend(queued);
                self.queued = None;
            }
            (_, Some(queued)) => queued.push(text),
            (_, None) => self.commands.push(text),
        }
        Ok(())
    }
}

/// A command as it stands in the stream.
pub fn command(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    out
}

pub fn set(key: &str, value: &str) -> Bytes {
    command(&["SET", key, value]).into()
}

pub fn no_base(_: &mut BaseWriter) -> std::io::Result<()> {
    Ok(())
}

//! The manifest: which files make up the log, in Redis' words.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b      the base, if there is one
//! file appendonly.aof.1.incr.aof seq 1 type h      no longer needed, to be removed
//! file appendonly.aof.2.incr.aof seq 2 type i      increments, in the order of loading
//! ```
//! Lines that begin with `#` are comments. Words may be quoted as in redis.conf. Pairs with names
//! that are not known are skipped, as Redis does, so that later versions may add some.

use crate::config::words;

/// Bytes of the longest line, its end included, that Redis reads.
const LINE_MAX: usize = 1024;
/// Nobody rewrites that often; it keeps `seq + 1` a number.
const SEQ_MAX: u64 = 1 << 62;

/// One file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub file: String,
    pub seq: u64,
}

/// The files of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    pub base: Option<Entry>,
    pub history: Vec<Entry>,
    pub increments: Vec<Entry>,
}

/// Why a manifest cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("*** FATAL AOF MANIFEST FILE ERROR ***{}{text}", place(*line, content))]
pub struct Error {
    pub line: usize,
    pub content: String,
    pub text: &'static str,
}

fn place(line: usize, content: &str) -> String {
    if content.is_empty() {
        return " ".into();
    }
    format!(" Reading the manifest file, at line {line} >>> '{content}' ")
}

impl Manifest {
    /// The file's bytes, read as Redis reads them.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut manifest = Self::default();
        let mut number = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            number += 1;
            if line.starts_with(b"#") {
                continue;
            }
            let fail = |text| Error {
                line: number,
                content: String::from_utf8_lossy(line.trim_ascii())
                    .chars()
                    .take(LINE_MAX)
                    .collect(),
                text,
            };
            if line.len() > LINE_MAX || !line.ends_with(b"\n") {
                return Err(fail("The AOF manifest file contains too long line"));
            }
            let (kind, entry) = entry(line).map_err(fail)?;
            manifest.take(kind, entry).map_err(fail)?;
        }
        if number == 0 {
            let text = "Found an empty AOF manifest";
            return Err(Error { line: 0, content: String::new(), text });
        }
        Ok(manifest)
    }

    fn take(&mut self, kind: u8, entry: Entry) -> Result<(), &'static str> {
        match kind {
            b'b' if self.base.is_some() => return Err("Found duplicate base file information"),
            b'b' => self.base = Some(entry),
            b'h' => self.history.push(entry),
            b'i' => {
                if self.increments.last().is_some_and(|last| entry.seq <= last.seq) {
                    return Err("Found a non-monotonic sequence number");
                }
                self.increments.push(entry);
            }
            _ => return Err("Unknown AOF file type"),
        }
        Ok(())
    }

    /// The bytes of the file.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |entry: &Entry, kind: char| {
            out.extend_from_slice(b"file ");
            out.extend_from_slice(words::plain_or_quoted(entry.file.as_bytes()).as_bytes());
            out.extend_from_slice(format!(" seq {} type {kind}\n", entry.seq).as_bytes());
        };
        self.base.iter().for_each(|entry| line(entry, 'b'));
        self.history.iter().for_each(|entry| line(entry, 'h'));
        self.increments.iter().for_each(|entry| line(entry, 'i'));
        out
    }

    /// The files to load, in order.
    pub fn files(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.increments)
    }

    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// Adds a new increment of the log called `log`, and returns it.
    pub fn add_increment(&mut self, log: &str) -> Entry {
        let seq = self.newest(&self.increments, ".incr.") + 1;
        let entry = Entry { file: format!("{log}.{seq}.incr.aof"), seq };
        self.increments.push(entry.clone());
        entry
    }

    /// Puts a new base in the place of the old one, which becomes history.
    pub fn add_base(&mut self, log: &str, rdb: bool) -> Entry {
        let seq = self.newest(self.base.as_slice(), ".base.") + 1;
        let ending = if rdb { "rdb" } else { "aof" };
        let entry = Entry { file: format!("{log}.{seq}.base.{ending}"), seq };
        self.history.splice(0..0, self.base.replace(entry.clone()));
        entry
    }

    /// The highest number in use, so that no new file takes the name of one still to be removed.
    fn newest(&self, used: &[Entry], kind: &str) -> u64 {
        let history = self.history.iter().filter(|entry| entry.file.contains(kind));
        used.iter().chain(history).map(|entry| entry.seq).max().unwrap_or(0)
    }

    /// Makes history of all increments but the last `keep`. What was retired last stands first.
    pub fn retire_increments(&mut self, keep: usize) {
        let retired = self.increments.len().saturating_sub(keep);
        self.history.splice(0..0, self.increments.drain(..retired));
    }
}

const FORMAT: &str = "Invalid AOF manifest file format";

fn entry(line: &[u8]) -> Result<(u8, Entry), &'static str> {
    let line = line.trim_ascii();
    if line.contains(&0) {
        return Err(FORMAT);
    }
    let words = words::split(line).ok_or(FORMAT)?;
    if words.len() < 6 || words.len() % 2 == 1 {
        return Err(FORMAT);
    }
    let (mut file, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let (name, value) = (&pair[0], &pair[1]);
        if name.eq_ignore_ascii_case(b"file") {
            file = Some(String::from_utf8(value.clone()).map_err(|_| FORMAT)?);
        } else if name.eq_ignore_ascii_case(b"seq") {
            seq = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
        } else if name.eq_ignore_ascii_case(b"type") {
            kind = value.first().copied();
        }
    }
    let (Some(file), Some(seq), Some(kind)) = (file, seq, kind) else { return Err(FORMAT) };
    if file.contains(['/', '\\']) {
        return Err("File can't be a path, just a filename");
    }
    if file.is_empty() || file == "." || file == ".." || file.contains('\0') {
        return Err(FORMAT);
    }
    if seq == 0 || seq > SEQ_MAX {
        return Err(FORMAT);
    }
    Ok((kind, Entry { file, seq }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> &'static str {
        Manifest::parse(text.as_bytes()).unwrap_err().text
    }

    #[test]
    fn reads_what_it_writes() {
        let text = "file \"a b.2.base.rdb\" seq 2 type b\nfile x.1.incr.aof seq 1 type h\n\
                    file x.2.incr.aof seq 2 type i\nfile x.3.incr.aof seq 3 type i\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(manifest.text()).unwrap(), text);
        assert_eq!(manifest.base.unwrap().file, "a b.2.base.rdb");
    }

    #[test]
    fn takes_what_redis_takes() {
        let text = "# comment\n  FILE 'x' new thing SEQ 4 TYPE incremental\r\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.increments, [Entry { file: "x".into(), seq: 4 }]);
    }

    #[test]
    fn refuses_what_redis_refuses() {
        assert_eq!(refused(""), "Found an empty AOF manifest");
        let long = format!("file {} seq 1 type b\n", "x".repeat(1024));
        assert_eq!(refused(&long), "The AOF manifest file contains too long line");
        for bad in ["\n", "file x seq 1\n", "file x seq 1 type\n", "file x seq 0 type b\n"] {
            assert_eq!(refused(bad), FORMAT, "{bad:?}");
        }
        assert_eq!(refused("file a/x seq 1 type b\n"), "File can't be a path, just a filename");
        assert_eq!(refused("file x seq 1 type k\n"), "Unknown AOF file type");
        let twice = "file x seq 1 type b\nfile y seq 2 type b\n";
        assert_eq!(refused(twice), "Found duplicate base file information");
        let back = "file x seq 2 type i\nfile y seq 2 type i\n";
        assert_eq!(refused(back), "Found a non-monotonic sequence number");
    }

    #[test]
    fn a_rewrite_keeps_the_last_increment() {
        let mut manifest = Manifest::default();
        manifest.add_base("l", true);
        manifest.add_increment("l");
        manifest.add_increment("l");
        manifest.add_base("l", false);
        manifest.retire_increments(1);
        let text = "file l.2.base.aof seq 2 type b\nfile l.1.incr.aof seq 1 type h\n\
                    file l.1.base.rdb seq 1 type h\nfile l.2.incr.aof seq 2 type i\n";
        assert_eq!(String::from_utf8(manifest.text()).unwrap(), text);
    }
}

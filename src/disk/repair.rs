//! What is wrong with a log, how much of it is good, and the cut that makes it loadable again.
//!
//! A log is a history, and nothing behind a gap can be applied; so a repair keeps what stands before
//! the first damage and takes everything behind it out of the log. What is taken out is kept beside
//! it under another name, for somebody who wants to look.

use super::directory::Directory;
use super::error::Error;
use super::file::{self, Source};
use super::read::{End, Place, Reader, Sink};
use super::tail;
use std::io::{self, BufRead};

/// Reads the RDB part of a file, to see whether it is good, and says how long it is.
pub type ReadRdb<'a> = &'a mut dyn FnMut(&mut dyn BufRead) -> Result<u64, String>;

/// What was found in a log.
#[derive(Debug)]
pub struct Finding {
    /// The files in order up to the damaged one, each with its bytes and good commands.
    pub files: Vec<(String, u64, u64)>,
    pub damage: Option<Damage>,
}

/// The first place from which a log cannot be used.
#[derive(Debug)]
pub struct Damage {
    pub file: String,
    pub why: String,
    /// Bytes behind the place.
    pub lost: u64,
    /// Groups behind it that are intact, and their bytes.
    pub intact: (u64, u64),
    /// Files that come after, and their bytes.
    pub later: Vec<(String, u64)>,
    end: End,
}

impl Damage {
    /// Up to where the file is good.
    pub fn offset(&self) -> u64 {
        match &self.end {
            End::Whole => 0,
            End::Cut { offset, .. } => *offset,
        }
    }
}

struct Count<'a> {
    commands: u64,
    rdb: ReadRdb<'a>,
}

impl Sink for Count<'_> {
    fn rdb(&mut self, source: &mut dyn BufRead, _: Place<'_>) -> Result<u64, String> {
        (self.rdb)(source)
    }

    fn command(&mut self, _: &[&[u8]], _: Place<'_>) -> Result<(), String> {
        self.commands += 1;
        Ok(())
    }
}

/// Reads a log to its end or to the first damage. An error is what no cut can mend: a file that is
/// missing, an RDB part that is damaged, a key that does not fit.
pub fn examine(directory: &Directory, rdb: ReadRdb<'_>) -> Result<Finding, Error> {
    let mut finding = Finding { files: Vec::new(), damage: None };
    let entries: Vec<_> = directory.manifest().files().map(|entry| entry.file.clone()).collect();
    let mut sink = Count { commands: 0, rdb };
    for (at, name) in entries.iter().enumerate() {
        let len = directory.length(name)?;
        let source = directory.disk().read(&directory.path(name));
        let source = source.map_err(Error::io("Can't open", name))?;
        let is_base = directory.manifest().base.as_ref().is_some_and(|base| base.file == *name);
        sink.commands = 0;
        let keys = directory.keys().map(|keys| &**keys);
        let mut reader = Reader::new(&*source, name, (true, is_base), keys, &mut sink)?;
        let sealed = reader.window.unsealed().is_some();
        let (why, end) = match reader.run(*name == directory.names().file) {
            Ok(End::Whole) => {
                finding.files.push((name.clone(), len, sink.commands));
                continue;
            }
            Ok(end) => ("the file ends in the middle".into(), end),
            Err(Error::Damaged { offset, why, .. }) => {
                let offset = reader.open_multi().map_or(offset, |multi| multi.min(offset));
                let (last, saved) = (reader.last(), offset..offset);
                (why, End::Cut { offset, saved, last, multi: false })
            }
            Err(error) => return Err(error),
        };
        finding.files.push((name.clone(), len, sink.commands));
        let mut later = Vec::new();
        for name in &entries[at + 1..] {
            later.push((name.clone(), directory.length(name)?));
        }
        let mut damage = Damage { file: name.clone(), why, lost: 0, intact: (0, 0), later, end };
        damage.lost = len - damage.offset();
        if let End::Cut { saved, .. } = &damage.end {
            damage.lost -= saved.end - saved.start;
        }
        if !sealed {
            let intact = intact(&*source, damage.offset()..len);
            damage.intact = intact.map_err(Error::io("Can't read", name))?;
        }
        finding.damage = Some(damage);
        break;
    }
    Ok(finding)
}

/// How many groups in a range are what was written, and their bytes.
fn intact(source: &dyn Source, range: std::ops::Range<u64>) -> io::Result<(u64, u64)> {
    let mut found = Vec::new();
    tail::headers(source, range.clone(), |offset, header| {
        found.push((offset, *header));
        true
    })?;
    let (mut count, mut bytes) = (0, 0);
    for (offset, header) in found {
        if offset + header.len <= range.end
            && tail::checksum(source, offset, header.len)? == header.crc
        {
            (count, bytes) = (count + 1, bytes + header.len);
        }
    }
    Ok((count, bytes))
}

/// Cuts the log at the damage. Returns what was done, a line each.
pub fn fix(directory: &mut Directory, damage: &Damage) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    let name = &damage.file;
    let offset = damage.offset();
    let source = directory.disk().read(&directory.path(name));
    let source = source.map_err(Error::io("Can't open", name))?;
    let copy = free_name(directory, &format!("{name}.lost-from-{offset}"))?;
    let kept = keep(directory, &*source, offset, &copy);
    kept.map_err(Error::io("Can't write", &copy))?;
    done.push(format!("copied what stands behind offset {offset} of {name} to {copy}"));
    if !damage.later.is_empty() {
        let mut manifest = directory.manifest().clone();
        let is_later = |file: &str| damage.later.iter().any(|(later, _)| later == file);
        manifest.increments.retain(|entry| !is_later(&entry.file));
        let what = "Can't write the manifest of";
        directory.persist(manifest).map_err(Error::io(what, name))?;
        directory.settle().map_err(Error::io(what, name))?;
        for (later, _) in &damage.later {
            let to = free_name(directory, &format!("{later}.lost"))?;
            let (from, path) = (directory.path(later), directory.path(&to));
            directory.disk().rename(&from, &path).map_err(Error::io("Can't rename", later))?;
            done.push(format!("took {later} out of the log; it is called {to} now"));
        }
    }
    tail::cut(directory, &*source, name, &damage.end)?;
    done.push(format!("cut {name} to {} bytes", directory.length(name)?));
    let folder = directory.folder();
    directory.disk().sync_dir(&folder).map_err(Error::io("Can't sync the directory of", name))?;
    Ok(done)
}

/// A name that no file has.
fn free_name(directory: &Directory, wanted: &str) -> Result<String, Error> {
    let mut name = wanted.to_string();
    let mut number = 1;
    while directory
        .disk()
        .len(&directory.path(&name))
        .map_err(Error::io("Can't look for", &name))?
        .is_some()
    {
        number += 1;
        name = format!("{wanted}-{number}");
    }
    Ok(name)
}

/// Copies the end of a file to another.
fn keep(directory: &Directory, source: &dyn Source, mut at: u64, name: &str) -> io::Result<()> {
    let to = directory.disk().create(&directory.path(name))?;
    let mut chunk = vec![0; 256 << 10];
    loop {
        match tail::read_full(source, &mut chunk, at)? {
            0 => return to.sync(),
            count => {
                file::write_all(&*to, &chunk[..count])?;
                at += count as u64;
            }
        }
    }
}

//! Loading the file of a snapshot.
//!
//! - **L1** One thread scans, the others check and build values ([`crate::rdb::file`]); they take batches
//!   from a short queue, so memory is bounded by a few blocks whatever the file.
//! - **L2** Libraries of functions are taken over all together, when all of the file is read.

use super::super::Shared;
use super::super::scripting::Interpreter;
use super::super::scripting::catalog::Libraries;
use super::delay::delay;
use crate::db::{Access, Counters};
use crate::disk::file::Stream;
use crate::disk::seal;
use crate::rdb::Forms;
use crate::rdb::file::{Batch, Counts, Inserter, LoadError, Scanner};
use std::io::{self, Read};
use std::path::Path;

/// How a snapshot is loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    /// Keys and libraries that are there already are replaced; else they are an error.
    pub replaces: bool,
}

/// What an inserting thread begins with.
pub fn inserter(shared: &Shared, now: i64, mode: Mode) -> Inserter {
    let forms = Forms::of(&shared.config.get(), shared.switches.packed_threshold());
    Inserter::new(forms, now, mode.replaces)
}

/// Bytes of the file that is being loaded.
pub fn size(shared: &Shared) -> u64 {
    shared.persist.loading().map_or(0, |(_, total, _)| total)
}

/// The file of a snapshot, sealed or not.
pub type Source = seal::Reader<Stream>;

/// Opens the snapshot; none if there is no such file.
pub fn open(shared: &Shared, path: &Path) -> Result<Option<Scanner<Source>>, LoadError> {
    let file = match shared.persist.place.disk().read(&std::path::absolute(path)?) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let total = file.len().unwrap_or(0);
    let config = shared.config.get();
    let keys = shared.persist.place.keys();
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = seal::Reader::new(Stream::new(file), keys.map(|keys| &**keys)).map_err(named)?;
    if keys.is_some() && !file.is_sealed() {
        let path = path.display();
        tracing::warn!(
            "The snapshot {path} is not encrypted; the next one will be, there is a key"
        );
    }
    let scanner = Scanner::new(file, shared.keyspace.databases(), config.rdbchecksum)?;
    shared.persist.begin_loading(shared.keyspace.clock.now(), total);
    Ok(Some(scanner))
}

/// What the snapshot says of itself, once it has said it.
pub fn tell(shared: &Shared, aux: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    for (name, value) in aux.drain(..) {
        let (name, value) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&value));
        tracing::debug!("The snapshot says {name}: {value}");
        if name == "used-mem" {
            shared.persist.set_used_memory(value.parse().unwrap_or(0));
        }
    }
}

/// Scans to the end, and gives each batch to `take`, which says whether it wants more. Ends early if the
/// server does.
pub fn scan<R: Read>(
    shared: &Shared,
    scanner: &mut Scanner<R>,
    mut take: impl FnMut(Batch) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    while let Some(batch) = scanner.next()? {
        tell(shared, &mut scanner.aux);
        let keys = batch.records.len();
        take(batch)?;
        shared.persist.progress(scanner.position());
        linger(shared, keys as u64, shared.config.get().key_load_delay)?;
    }
    scanner.close()?; // the end of a sealed file is part of what it is
    Ok(())
}

/// An error if the server is to end, after a delay of so much for each key, if a test wants that.
pub fn linger(shared: &Shared, keys: u64, each: i32) -> Result<(), LoadError> {
    let heed = || match shared.control.is_stopping() {
        true => Err(LoadError::from(io::Error::other("loading was given up"))),
        false => Ok(()),
    };
    heed()?;
    delay(keys, each, heed)
}

/// Takes over the libraries of a snapshot (L2).
pub fn functions(shared: &Shared, texts: &[Vec<u8>], mode: Mode) -> Result<(), String> {
    if texts.is_empty() {
        return Ok(());
    }
    let lossy = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
    let mut interpreter = Interpreter::new().map_err(lossy)?;
    let mut libraries = Vec::new();
    for text in texts {
        libraries.push(interpreter.load(&shared.catalog, text).map_err(lossy)?);
    }
    shared.catalog.change(|all: &mut Libraries| {
        libraries.into_iter().try_for_each(|library| all.add(library, mode.replaces))
    })
}

/// Loads the snapshot at `path` in this thread; false if there is none.
pub fn from_disk(
    shared: &Shared,
    access: &mut Access<'_>,
    (path, mode): (&Path, Mode),
) -> Result<bool, String> {
    let Some(mut scanner) = open(shared, path).map_err(|error| error.to_string())? else {
        return Ok(false);
    };
    let mut inserter = inserter(shared, access.now, mode).make_room(size(shared));
    let result = scan(shared, &mut scanner, |batch| inserter.insert(access, &batch));
    inserter.settle(access);
    let result = result.map_err(|error| error.to_string());
    let result = result.and_then(|()| functions(shared, &scanner.functions, mode));
    shared.persist.rebase(shared.keyspace.total(Counters::changes));
    shared.persist.note_loaded(inserter.counts);
    shared.persist.end_loading();
    report(inserter.counts);
    result.map(|()| true)
}

/// Says what was loaded, in words for which tests wait.
pub fn report(counts: Counts) {
    let Counts { loaded, expired, empty } = counts;
    tracing::info!(
        "Done loading RDB, keys loaded: {loaded}, keys expired: {expired}, \
         empty keys skipped: {empty}."
    );
}

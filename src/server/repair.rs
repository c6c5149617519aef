//! `eonkv-server --repair-aof`: looks at a log that cannot be loaded, says what is good and what a
//! repair would lose, and does it if it is told to.

use crate::disk::lock::{self, Guard};
use crate::disk::repair::{self, Finding};
use crate::disk::seal::{self, Keyring};
use crate::disk::{Directory, Error, Names, RealDisk};
use crate::rdb::file::{LoadError, Scanner};
use argh::FromArgs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Examine an append-only file that cannot be loaded. Without --fix nothing is changed.
#[derive(FromArgs)]
struct Arguments {
    /// what this is
    #[argh(switch)]
    repair_aof: bool,
    /// cut the log at the first damage; what stands behind is kept under other names
    #[argh(switch)]
    fix: bool,
    /// the keys of an encrypted log
    #[argh(option)]
    encryption_key_file: Option<PathBuf>,
    /// a data directory, the directory of the log, its manifest, or one file
    #[argh(positional)]
    path: Option<PathBuf>,
}

/// There is damage, and it was not mended.
const DAMAGED: u8 = 1;
/// Nothing can be said or done.
const FAILED: u8 = 2;

/// Runs it if the command line asks for it.
pub fn asked() -> Option<ExitCode> {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if !words.iter().any(|word| word == "--repair-aof") {
        return None;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut out = std::io::stdout().lock();
    let code = match Arguments::from_args(&["eonkv-server"], &words) {
        Err(exit) => {
            let _ = writeln!(out, "{}", exit.output.trim_end());
            if exit.status.is_ok() { 0 } else { FAILED }
        }
        Ok(arguments) => match run(&arguments, &mut out) {
            Ok(code) => code,
            Err(text) => {
                let _ = writeln!(out, "{text}");
                FAILED
            }
        },
    };
    Some(ExitCode::from(code))
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<u8, String> {
    debug_assert!(arguments.repair_aof);
    let mut directory = find(arguments.path.as_deref().unwrap_or(Path::new(".")))?;
    if let Some(file) = &arguments.encryption_key_file {
        directory.set_keys(Some(Arc::new(Keyring::read(file)?)));
    }
    // A server that writes meanwhile would take the cut for its own.
    let _guard = if arguments.fix { Some(Guard::take(&home(&directory))?) } else { None };
    let mut keys = 0;
    let finding = repair::examine(&directory, &mut |source| {
        let (position, result) = count(source, &mut keys);
        result.map(|()| position)
    });
    let finding = match finding {
        Err(error @ Error::Refused { .. }) => return Err(base(&directory, &error, keys)),
        other => other.map_err(|error| format!("This cannot be repaired by a cut: {error}."))?,
    };
    let _ = out.write_all(tell(&finding).as_bytes());
    let Some(damage) = &finding.damage else { return Ok(0) };
    if !arguments.fix {
        let _ = writeln!(out, "Nothing was changed. With --fix the log is cut there.");
        return Ok(DAMAGED);
    }
    for line in repair::fix(&mut directory, damage).map_err(|error| error.to_string())? {
        let _ = writeln!(out, "Done: {line}.");
    }
    let _ = writeln!(out, "The log can be loaded again.");
    Ok(0)
}

/// The data directory that a log is in, whatever was named on the command line: a file may be given by
/// itself, and then it is a directory higher.
fn home(directory: &Directory) -> PathBuf {
    let root = &directory.names().root;
    let above = std::path::absolute(root).ok().and_then(|root| Some(root.parent()?.to_path_buf()));
    above.filter(|above| above.join(lock::FILE).is_file()).unwrap_or_else(|| root.clone())
}

/// Counts the keys of a snapshot, up to its end or the first damage; how far it came.
fn count(source: impl Read, keys: &mut u64) -> (u64, Result<(), String>) {
    let text = |error: LoadError| error.to_string();
    let mut scanner = match Scanner::new(source, usize::MAX, true) {
        Ok(scanner) => scanner,
        Err(error) => return (0, Err(text(error))),
    };
    loop {
        match scanner.next() {
            Ok(Some(batch)) => *keys += batch.records.len() as u64,
            Ok(None) => return (scanner.position(), Ok(())),
            Err(error) => return (scanner.position(), Err(text(error))),
        }
    }
}

/// What can be done about a base that is damaged.
fn base(directory: &Directory, error: &Error, keys: u64) -> String {
    let folder = directory.folder();
    let mut text = format!(
        "{error}.\nThat is in the base, which no cut can mend: it has one checksum, at its end, so nobody \
         can tell which of its keys ({keys} stand before the damage) are right, and every later write builds \
         on all of them. Nothing was changed.\n\
         What helps is a copy of {} from before. ",
        folder.display()
    );
    let path = directory.names().root.join("dump.rdb");
    let mut keys = 0;
    let snapshot = std::fs::File::open(&path)
        .and_then(|file| seal::Reader::new(file, directory.keys().map(|keys| &**keys)));
    text += &match snapshot.map(|snapshot| count(snapshot, &mut keys).1) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("There is no snapshot {} either.", path.display())
        }
        Err(error) => format!("The snapshot {} cannot be read: {error}.", path.display()),
        Ok(Err(why)) => format!("The snapshot {} is damaged, too: {why}.", path.display()),
        Ok(Ok(())) => format!(
            "The snapshot {}, {keys} keys, is good: to go on from it, which is to lose what was written \
             after it, move {} away, start with --appendonly no, and CONFIG SET appendonly yes.",
            path.display(),
            folder.display()
        ),
    };
    text
}

/// What was found, for people.
fn tell(finding: &Finding) -> String {
    let mut text = String::new();
    let damaged = finding.damage.as_ref().map(|damage| &damage.file);
    for (file, bytes, commands) in &finding.files {
        let state = if Some(file) == damaged { "" } else { ", good" };
        text += &format!("{file}: {bytes} bytes, {commands} commands read{state}\n");
    }
    let Some(damage) = &finding.damage else {
        return text + "The log is good: nothing to repair.\n";
    };
    let (offset, why) = (damage.offset(), &damage.why);
    text += &format!("{}: good up to offset {offset}; there: {why}\n", damage.file);
    let (groups, bytes) = damage.intact;
    text += &format!("A repair loses {} bytes of this file", damage.lost);
    text += &match groups {
        0 => ".\n".into(),
        _ => format!(", among them {groups} intact groups of {bytes} bytes, written later.\n"),
    };
    for (file, bytes) in &damage.later {
        text += &format!("It loses {file} too, {bytes} bytes, as they continue what is lost.\n");
    }
    text
}

/// The log that a path means.
fn find(path: &Path) -> Result<Directory, String> {
    let disk = Arc::new(RealDisk);
    if path.is_file() && path.extension().is_none_or(|extension| extension != "manifest") {
        return Ok(Directory::of_file(disk, path));
    }
    let manifest = if path.is_file() { path.to_path_buf() } else { search(path)? };
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    let part = |name: Option<&std::ffi::OsStr>| {
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let names = Names {
        root: folder.parent().unwrap_or(&folder).to_path_buf(),
        dir: part(folder.file_name()),
        file: part(manifest.file_stem()),
    };
    Directory::open(disk, names).map_err(|error| error.to_string())
}

/// The manifest in a directory, or in a directory in it.
fn search(path: &Path) -> Result<PathBuf, String> {
    let list = |path: &Path| -> Result<Vec<PathBuf>, String> {
        let failed = |error| format!("Can't read {}: {error}", path.display());
        let entries = std::fs::read_dir(path).map_err(failed)?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    };
    let is_manifest = |path: &PathBuf| {
        let temporary = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("temp-"));
        path.extension().is_some_and(|extension| extension == "manifest") && !temporary
    };
    let here = list(path)?;
    let mut found: Vec<_> = here.iter().filter(|path| is_manifest(path)).cloned().collect();
    for folder in here.iter().filter(|path| path.is_dir()) {
        found.extend(list(folder).unwrap_or_default().into_iter().filter(is_manifest));
    }
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(format!("There is no AOF manifest in {} or below it", path.display())),
        _ => Err(format!("There are several AOF manifests in {}: name one", path.display())),
    }
}

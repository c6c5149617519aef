//! A log that was cut at any byte, or in which any bit was flipped.

use super::*;
use crate::disk::sim::SimDisk;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BASE: &str = "appendonlydir/appendonly.aof.1.base.aof";
const INCREMENT: &str = "appendonlydir/appendonly.aof.1.incr.aof";

fn directory(disk: &SimDisk) -> Directory {
    Directory::open(Arc::new(disk.clone()), Names::default()).unwrap()
}

/// Some groups: a command each, several, a transaction, with times between.
fn written(options: Options) -> (SimDisk, Vec<u8>) {
    let disk = SimDisk::new(1);
    let options = Options { rdb_base: false, ..options };
    let mut base = |base: &mut BaseWriter| base.group(&set("base", "1"));
    let mut log = Log::open(directory(&disk), options, 0, 0, &mut base).unwrap();
    let transaction = [&command(&["MULTI"])[..], &set("t1", "1"), &set("t2", "2")].concat();
    let transaction = [transaction, command(&["EXEC"])].concat();
    let several = [set("b", "22"), set("c", "333"), set("d", "")].concat();
    let groups = [set("a", "1").to_vec(), several, transaction.clone(), set("e", "5").to_vec()];
    for (n, group) in groups.into_iter().chain([transaction]).enumerate() {
        log.append(group.into(), n as u64 + 1);
        log.commit(n as u64 * 1500);
    }
    assert!(log.close(9999));
    let bytes = disk.bytes(Path::new(INCREMENT)).unwrap();
    (disk, bytes)
}

/// Of each command in a file, the text and where it is safe: at its end, or at that of its EXEC.
fn commands(bytes: &[u8]) -> Vec<(String, usize)> {
    let (mut found, mut at, mut open) = (Vec::new(), 0, None);
    let mut parser = resp::Parser::default();
    while at < bytes.len() {
        if bytes[at] == b'#' {
            at += 1 + bytes[at..].iter().position(|byte| *byte == b'\n').unwrap();
            continue;
        }
        let resp::Parsed::Whole(len) = parser.parse(&bytes[at..]) else { panic!("at {at}") };
        let mut words = Vec::new();
        parser.arguments(&bytes[at..], &mut words);
        let text =
            words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
        at += len;
        match &*text {
            "MULTI" => open = Some(found.len()),
            "EXEC" => {
                let begin = open.take().unwrap();
                found[begin..].iter_mut().for_each(|(_, end)| *end = at);
            }
            _ => found.push((text, at)),
        }
    }
    found
}

fn load(disk: &SimDisk, truncate: bool) -> Result<(Loaded, Vec<String>), Error> {
    let mut taken = Taken::default();
    let loaded = read::load(&mut directory(disk), truncate, &mut taken)?;
    Ok((loaded, taken.commands))
}

fn variants() -> impl Iterator<Item = Options> {
    [(true, true), (true, false), (false, true), (false, false)].into_iter().map(
        |(checksums, timestamps)| Options {
            checksums,
            timestamps,
            policy: Policy::Always,
            ..Options::default()
        },
    )
}

#[test]
fn a_cut_anywhere_leaves_the_longest_valid_prefix() {
    for options in variants() {
        let (disk, whole) = written(options.clone());
        let all = commands(&whole);
        for cut in 0..whole.len() {
            disk.put(Path::new(INCREMENT), &whole[..cut]);
            let expected: Vec<_> = std::iter::once("SET base 1")
                .chain(all.iter().filter(|(_, end)| *end <= cut).map(|(text, _)| &**text))
                .collect();
            if let Err(error) = load(&disk, false) {
                assert!(matches!(error, Error::CutRefused { .. }), "cut at {cut}: {error}");
                assert_eq!(disk.bytes(Path::new(INCREMENT)).unwrap().len(), cut, "touched");
            }
            let (loaded, got) = load(&disk, true).unwrap();
            assert_eq!(got, expected, "cut at {cut}: {loaded:?}");
            // What was cut stays cut, and the log goes on behind it.
            let mut log = Log::open(directory(&disk), options.clone(), 9, 0, &mut no_base).unwrap();
            log.append(set("next", "1"), 10);
            assert!(log.close(0));
            let (loaded, got) = load(&disk, false).unwrap();
            assert_eq!(got.len(), expected.len() + 1, "cut at {cut}: {loaded:?}");
            assert_eq!(loaded.cut, None);
        }
    }
}

#[test]
fn a_flip_anywhere_is_found_and_named() {
    for options in variants().filter(|options| options.checksums) {
        let (disk, _) = written(options);
        for file in [BASE, INCREMENT].map(Path::new) {
            let whole = disk.bytes(file).unwrap();
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                disk.put(file, &flipped);
                match load(&disk, true) {
                    Err(Error::Damaged { file: named, offset, .. }) => {
                        assert_eq!(Path::new("appendonlydir").join(named), file);
                        assert!(offset <= bit as u64 / 8, "bit {bit}, said to be at {offset}");
                    }
                    other => panic!("bit {bit} of {}: {other:?}", file.display()),
                }
            }
            disk.put(file, &whole);
        }
        load(&disk, false).unwrap();
    }
}

#[test]
fn a_cut_in_a_file_that_others_follow_is_refused() {
    let (disk, _) = written(Options::default());
    let base = disk.bytes(Path::new(BASE)).unwrap();
    disk.put(Path::new(BASE), &base[..base.len() - 1]);
    assert!(matches!(load(&disk, true), Err(Error::CutInside { .. })));
}

#[test]
fn pages_that_a_power_cut_took_are_cut_unless_they_were_durable() {
    let (disk, _) = written(Options::default());
    let options = Options { policy: Policy::Always, ..Options::default() };
    let mut log = Log::open(directory(&disk), options, 5, 0, &mut no_base).unwrap();
    for n in 6..=8 {
        log.append(set(&format!("k{n}"), &"v".repeat(2000)), n);
        log.commit(0);
    }
    let whole = disk.bytes(Path::new(INCREMENT)).unwrap();
    let hole = |at: usize| {
        let mut holed = whole.clone();
        let begin = at / 512 * 512;
        holed[begin..begin + 512].fill(0);
        disk.put(Path::new(INCREMENT), &holed);
        load(&disk, true)
    };
    // The last group may be torn: nothing says that it was durable.
    let (loaded, got) = hole(whole.len() - 1000).unwrap();
    assert_eq!((loaded.cut.is_some(), got.len()), (true, 12));
    // The one before was durable when the last was written: that is rot.
    assert!(matches!(hole(whole.len() - 3000), Err(Error::Damaged { .. })));
}

#[test]
fn an_old_single_file_becomes_the_base() {
    let disk = SimDisk::new(1);
    disk.put(Path::new("appendonly.aof"), &set("old", "1"));
    let (_, got) = load(&disk, false).unwrap();
    assert_eq!(got, ["SET old 1"]);
    assert_eq!(disk.bytes(Path::new("appendonly.aof")), None);
    let manifest = disk.bytes(Path::new("appendonlydir/appendonly.aof.manifest")).unwrap();
    assert_eq!(manifest, b"file appendonly.aof seq 1 type b\n");
    let options = Options { rdb_base: false, ..Options::default() };
    let mut log = Log::open(directory(&disk), options, 0, 0, &mut no_base).unwrap();
    log.append(set("new", "2"), 1);
    assert!(log.close(0));
    assert_eq!(load(&disk, false).unwrap().1, ["SET old 1", "SET new 2"]);
}

#[test]
fn a_file_that_the_manifest_names_must_be_there() {
    let (disk, _) = written(Options::default());
    Disk::remove(&disk, &PathBuf::from(BASE)).unwrap();
    let text = load(&disk, true).unwrap_err().to_string();
    assert!(text.contains("appendonly.aof.1.base.aof doesn't exist"), "{text}");
}

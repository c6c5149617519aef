//! An encrypted log: flips, cuts, keys.

use super::*;
use crate::disk::seal::{CHUNK, HEADER, Keyring};
use crate::disk::sim::SimDisk;
use std::path::Path;
use std::sync::Arc;

const BASE: &str = "appendonlydir/appendonly.aof.1.base.aof";
const INCREMENT: &str = "appendonlydir/appendonly.aof.1.incr.aof";

fn keys(byte: u8) -> Option<Arc<Keyring>> {
    Some(Arc::new(Keyring::parse(&[byte; 32]).unwrap()))
}

fn directory(disk: &SimDisk, keys: Option<Arc<Keyring>>) -> Directory {
    let mut directory = Directory::open(Arc::new(disk.clone()), Names::default()).unwrap();
    directory.set_keys(keys);
    directory
}

fn load(disk: &SimDisk, keys: Option<Arc<Keyring>>) -> Result<Vec<String>, Error> {
    let mut taken = Taken::default();
    read::load(&mut directory(disk, keys), true, &mut taken)?;
    Ok(taken.commands)
}

fn written(values: &[usize]) -> SimDisk {
    let disk = SimDisk::new(1);
    let options = Options { rdb_base: false, timestamps: true, ..Options::default() };
    let mut base = |base: &mut BaseWriter| base.group(&set("base", "1"));
    let mut log = Log::open(directory(&disk, keys(1)), options, 0, 0, &mut base).unwrap();
    for (n, len) in values.iter().enumerate() {
        log.append(set(&format!("k{n}"), &"v".repeat(*len)), n as u64 + 1);
        log.commit(n as u64 * 700);
    }
    assert!(log.close(99_000));
    disk
}

#[test]
fn every_flip_is_refused_and_every_cut_leaves_whole_groups() {
    let disk = written(&[1, 20, 3, 700]);
    for file in [BASE, INCREMENT].map(Path::new) {
        let whole = disk.bytes(file).unwrap();
        assert!(!whole.windows(4).any(|window| window == b"vvvv"), "the file can be read");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            disk.put(file, &flipped);
            let error = load(&disk, keys(1)).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. } | Error::Sealed { .. }), "{error}");
        }
        disk.put(file, &whole);
    }
    let whole = disk.bytes(Path::new(INCREMENT)).unwrap();
    let mut most = 0;
    for cut in HEADER..whole.len() {
        disk.put(Path::new(INCREMENT), &whole[..cut]);
        let got = load(&disk, keys(1)).unwrap().len();
        assert!((most..5).contains(&got), "cut at {cut}: {got}");
        most = got;
        assert_eq!(load(&disk, keys(1)).unwrap().len(), got);
    }
    assert_eq!(most, 4);
}

#[test]
fn a_group_of_many_records_is_whole_or_not_there() {
    let disk = written(&[1, 3 * CHUNK, 1]);
    let whole = disk.bytes(Path::new(INCREMENT)).unwrap();
    assert_eq!(load(&disk, keys(1)).unwrap().len(), 4);
    disk.put(Path::new(INCREMENT), &whole[..2 * CHUNK]);
    assert_eq!(load(&disk, keys(1)).unwrap(), ["SET base 1", "SET k0 v"]);
}

#[test]
fn keys_are_told_apart_and_rotated_by_a_rewrite() {
    let disk = written(&[1]);
    let text = load(&disk, None).unwrap_err().to_string();
    assert!(text.contains("base.aof is encrypted with the key"), "{text}");
    let text = load(&disk, keys(2)).unwrap_err().to_string();
    assert!(text.contains("and the encryption key file holds"), "{text}");

    let both = format!("{}\n{}\n", "02".repeat(32), "01".repeat(32));
    let both = Some(Arc::new(Keyring::parse(both.as_bytes()).unwrap()));
    let options = Options { rdb_base: false, ..Options::default() };
    let mut log = Log::open(directory(&disk, both.clone()), options, 1, 0, &mut no_base).unwrap();
    let rewrite = log.begin_rewrite(0).unwrap();
    let mut base = rewrite.open().unwrap();
    base.group(&set("new", "1")).unwrap();
    base.finish().unwrap();
    log.finish_rewrite(rewrite, 0).unwrap();
    log.append(set("more", "1"), 2);
    assert!(log.close(0));
    assert_eq!(load(&disk, keys(2)).unwrap(), ["SET new 1", "SET more 1"]);
}

#[test]
fn a_plain_log_is_encrypted_by_a_rewrite() {
    let disk = SimDisk::new(1);
    let options = Options { rdb_base: false, ..Options::default() };
    let mut log = Log::open(directory(&disk, None), options.clone(), 0, 0, &mut no_base).unwrap();
    log.append(set("plain", "1"), 1);
    assert!(log.close(0));
    let mut log = Log::open(directory(&disk, keys(1)), options, 1, 0, &mut no_base).unwrap();
    log.append(set("sealed", "1"), 2);
    assert!(log.close(0));
    assert_eq!(load(&disk, keys(1)).unwrap(), ["SET plain 1", "SET sealed 1"]);
    assert!(matches!(load(&disk, None), Err(Error::Sealed { .. })));
}

//! A damaged log is cut before the damage, and nothing is thrown away.

use super::files::Folder;
use super::*;
use crate::disk::repair::{examine, fix};

fn no_rdb(_: &mut dyn BufRead) -> Result<u64, String> {
    Err("there is none".into())
}

/// Two increments of three groups each.
fn written(folder: &Folder) {
    let options = Options { rdb_base: false, ..Options::default() };
    let mut log = Log::open(folder.open(), options, 0, 0, &mut no_base).unwrap();
    for n in 1..=6 {
        if n == 4 {
            let rewrite = log.begin_rewrite(0).unwrap();
            log.fail_rewrite(rewrite, 0);
        }
        log.append(set(&format!("k{n}"), "v"), n);
        log.commit(n);
    }
    assert!(log.close(9));
}

#[test]
fn a_good_log_is_left_alone() {
    let folder = Folder::new("repair-good");
    written(&folder);
    let finding = examine(&folder.open(), &mut no_rdb).unwrap();
    assert!(finding.damage.is_none());
    assert_eq!(finding.files.iter().map(|(_, _, commands)| commands).sum::<u64>(), 6);
}

#[test]
fn what_is_behind_the_damage_is_set_aside() {
    let folder = Folder::new("repair-damage");
    written(&folder);
    let name = "appendonly.aof.1.incr.aof";
    let path = folder.0.join("appendonlydir").join(name);
    let mut bytes = folder.read(name);
    let place = bytes.windows(2).position(|window| window == b"k2").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(read::load(&mut folder.open(), true, &mut Taken::default()).is_err());

    let finding = examine(&folder.open(), &mut no_rdb).unwrap();
    let damage = finding.damage.unwrap();
    assert_eq!((&*damage.file, damage.intact.0, damage.later.len()), (name, 1, 1));
    assert_eq!(damage.lost, bytes.len() as u64 - damage.offset());
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "to look changes nothing");

    let done = fix(&mut folder.open(), &damage).unwrap();
    assert_eq!(done.len(), 3, "{done:?}");
    let mut taken = Taken::default();
    read::load(&mut folder.open(), false, &mut taken).unwrap();
    assert_eq!(taken.commands, ["SET k1 v"]);
    let lost = folder.read(&format!("{name}.lost-from-{}", damage.offset()));
    assert_eq!(lost, bytes[damage.offset() as usize..]);
    assert!(!folder.read("appendonly.aof.2.incr.aof.lost").is_empty());
}

#[test]
fn a_file_alone_can_be_repaired() {
    let folder = Folder::new("repair-alone");
    let path = folder.0.join("one.aof");
    std::fs::write(&path, [&set("a", "1")[..], &set("b", "2")[..9]].concat()).unwrap();
    let mut directory = Directory::of_file(std::sync::Arc::new(RealDisk), &path);
    let damage = examine(&directory, &mut no_rdb).unwrap().damage.unwrap();
    assert_eq!((damage.offset(), damage.lost), (set("a", "1").len() as u64, 9));
    fix(&mut directory, &damage).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), set("a", "1"));
}

//! On real files: what is written is read, and a rewrite leaves what Redis would.

use super::*;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of its own for a test, removed with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eonkv-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn open(&self) -> Directory {
        let names = Names { root: self.0.clone(), ..Names::default() };
        Directory::open(Arc::new(RealDisk), names).unwrap()
    }

    fn log(&self, options: Options) -> Log {
        Log::open(self.open(), options, 0, 0, &mut no_base).unwrap()
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.join("appendonlydir").join(file)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn in_commands() -> Options {
    Options { rdb_base: false, ..Options::default() }
}

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new("round");
    let mut log = folder.log(in_commands());
    for n in 1..=1000_u64 {
        log.append(set(&format!("k{n}"), "v"), n);
        if n % 7 == 0 {
            log.commit(n);
        }
    }
    log.commit(2000);
    assert_eq!((log.written(), log.durable()), (1000, 1000));
    assert!(log.close(2000));
    let mut taken = Taken::default();
    let loaded = read::load(&mut folder.open(), true, &mut taken).unwrap();
    assert_eq!((loaded.commands, loaded.last, loaded.cut), (1000, 1000, None));
    assert_eq!(taken.commands[999], "SET k1000 v");
}

#[test]
fn a_rewrite_leaves_what_redis_would() {
    let folder = Folder::new("rewrite");
    let mut log = folder.log(in_commands());
    log.append(set("a", "1"), 1);
    let rewrite = log.begin_rewrite(0).unwrap();
    log.append(set("b", "2"), 2);
    log.commit(0);
    let mut base = rewrite.open().unwrap();
    base.group(&set("a", "1")).unwrap();
    base.finish().unwrap();
    log.finish_rewrite(rewrite, 0).unwrap();
    let manifest = "file appendonly.aof.2.base.aof seq 2 type b\n\
                    file appendonly.aof.1.incr.aof seq 1 type h\n\
                    file appendonly.aof.1.base.aof seq 1 type h\n\
                    file appendonly.aof.2.incr.aof seq 2 type i\n";
    assert_eq!(String::from_utf8(folder.read("appendonly.aof.manifest")).unwrap(), manifest);
    assert_eq!(log.directory_mut().remove_history().unwrap().len(), 2, "freed by whoever has time");
    assert!(log.close(0));
    let mut taken = Taken::default();
    read::load(&mut folder.open(), true, &mut taken).unwrap();
    assert_eq!(taken.commands, ["SET a 1", "SET b 2"]);
}

#[test]
fn a_log_that_is_turned_on_counts_from_its_first_base() {
    let folder = Folder::new("waiting");
    let mut log = Log::open_waiting(folder.open(), in_commands(), 5, 0).unwrap();
    log.append(set("before", "1"), 6);
    let rewrite = log.begin_rewrite(0).unwrap();
    log.append(set("after", "1"), 7);
    log.commit(5000);
    assert!(!log.is_complete());
    let mut base = rewrite.open().unwrap();
    base.group(&set("before", "1")).unwrap();
    base.finish().unwrap();
    log.finish_rewrite(rewrite, 0).unwrap();
    assert!(log.is_complete() && log.close(9000));
    let mut taken = Taken::default();
    read::load(&mut folder.open(), true, &mut taken).unwrap();
    assert_eq!(taken.commands, ["SET before 1", "SET after 1"]);
}

/// BGREWRITEAOF of a log that is off: there is nothing to go on with.
#[test]
fn a_base_alone_retires_all_increments_and_a_log_turned_on_later_begins_anew() {
    let folder = Folder::new("alone");
    let mut log = folder.log(in_commands());
    log.append(set("old", "1"), 1);
    assert!(log.close(0));
    let base = |log: &mut Log, rewrite: Rewrite| {
        let mut base = rewrite.open().unwrap();
        base.group(&set("a", "1")).unwrap();
        base.finish().unwrap();
        log.finish_rewrite(rewrite, 0).unwrap();
        log.directory_mut().remove_history().unwrap();
        String::from_utf8(folder.read("appendonly.aof.manifest")).unwrap()
    };
    let mut log = Log::open_waiting(folder.open(), in_commands(), 1, 0).unwrap();
    let rewrite = log.begin_base(0);
    let manifest = base(&mut log, rewrite);
    assert_eq!(manifest, "file appendonly.aof.2.base.aof seq 2 type b\n");
    let mut log = Log::open_waiting(folder.open(), in_commands(), 1, 0).unwrap();
    let failed = log.begin_base(0);
    log.fail_rewrite(failed, 0);
    let rewrite = log.begin_rewrite(0).unwrap();
    let manifest = base(&mut log, rewrite);
    let wanted = "file appendonly.aof.3.base.aof seq 3 type b\n\
                  file appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(manifest, wanted);
    log.append(set("b", "2"), 2);
    assert!(log.close(0));
    let mut taken = Taken::default();
    read::load(&mut folder.open(), true, &mut taken).unwrap();
    assert_eq!(taken.commands, ["SET a 1", "SET b 2"]);
}

#[test]
fn a_base_in_commands_tells_the_time_before_all_else() {
    for checksums in [false, true] {
        let folder = Folder::new(if checksums { "time-summed" } else { "time" });
        let mut log = folder.log(Options { timestamps: true, checksums, ..in_commands() });
        let rewrite = log.begin_rewrite(1_700_000_000_999).unwrap();
        let mut base = rewrite.open().unwrap();
        base.group(&set("a", "1")).unwrap();
        base.group(&set("b", "1")).unwrap();
        base.finish().unwrap();
        log.finish_rewrite(rewrite, 0).unwrap();
        assert!(log.close(0));
        let text = String::from_utf8(folder.read("appendonly.aof.2.base.aof")).unwrap();
        assert!(text.starts_with("#TS:1700000000\r\n") && text.matches("#TS").count() == 1);
        assert_eq!(text.contains("#EK"), checksums);
        let mut taken = Taken::default();
        read::load(&mut folder.open(), true, &mut taken).unwrap();
        assert_eq!(taken.commands, ["SET a 1", "SET b 1"]);
    }
}

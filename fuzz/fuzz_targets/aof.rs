//! Any bytes as the last file of a log: they are loaded, cut or refused, and what was cut once is
//! loaded whole the second time.

#![no_main]

use eonkv::disk::seal::Keyring;
use eonkv::disk::sim::SimDisk;
use eonkv::disk::{Directory, Names, Place, Sink, read, repair};
use libfuzzer_sys::fuzz_target;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

#[derive(Default)]
struct Taken {
    commands: Vec<Vec<Vec<u8>>>,
    queued: Option<Vec<Vec<Vec<u8>>>>,
}

impl Sink for Taken {
    fn rdb(&mut self, source: &mut dyn BufRead, _: Place<'_>) -> Result<u64, String> {
        let mut bytes = [0; 16];
        source.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        Ok(16)
    }

    fn command(&mut self, arguments: &[&[u8]], _: Place<'_>) -> Result<(), String> {
        let command: Vec<Vec<u8>> = arguments.iter().map(|word| word.to_vec()).collect();
        let is = |name: &[u8]| command.len() == 1 && command[0].eq_ignore_ascii_case(name);
        match &mut self.queued {
            None if is(b"multi") => self.queued = Some(Vec::new()),
            None => self.commands.push(command),
            Some(_) if is(b"exec") => self.commands.extend(self.queued.take().unwrap_or_default()),
            Some(queued) => queued.push(command),
        }
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let disk = SimDisk::new(1);
    let folder = Path::new("appendonlydir");
    disk.put(&folder.join("appendonly.aof.manifest"), b"file a seq 1 type i\n");
    disk.put(&folder.join("a"), data);
    let open = || {
        let names = Names::default();
        let mut directory =
            Directory::open(Arc::new(disk.clone()), names).expect("a good manifest");
        directory.set_keys(Keyring::parse(&[7; 32]).ok().map(Arc::new));
        directory
    };
    let mut rdb =
        |source: &mut dyn BufRead| Taken::default().rdb(source, Place { file: "", offset: 0 });
    let found = repair::examine(&open(), &mut rdb);
    let mut first = Taken::default();
    if read::load(&mut open(), true, &mut first).is_ok() {
        let mut second = Taken::default();
        let loaded =
            read::load(&mut open(), false, &mut second).expect("it was cut to what is good");
        assert!(loaded.cut.is_none() && first.commands == second.commands);
    } else if let Ok(found) = found {
        let damage = found.damage.expect("what cannot be loaded is damaged");
        repair::fix(&mut open(), &damage).expect("the disk is well");
        read::load(&mut open(), false, &mut Taken::default()).expect("it was repaired");
    }
});

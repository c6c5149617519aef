//! The power fails: of each file only what was synced is sure to be there, of the rest some of it, in any
//! order. A library in front of libc's notes how much was synced (`tests/power/shim.c`, needs `cc`); the server is
//! killed under load, and what the kernel still held is cut off or overwritten with zeros.
//!
//! `disk::tests::simulation` does the same to the log alone, far more often, names included.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests, which clippy takes for ordinary code

mod server;

use server::folder::{Folder, digest, kill, until};
use server::transfers::{ALWAYS, EVERYSEC, Load, check, rounds, under_load};
use server::{Server, random};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The library, compiled into a folder. None if there is no compiler.
fn shim(folder: &Folder) -> Option<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power/shim.c");
    let library = folder.0.join("shim.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
        .args([library.to_str().unwrap(), source, "-ldl"])
        .output();
    match compiled {
        Ok(output) if output.status.success() => Some(library),
        other => {
            eprintln!("SKIPPED: tests/power/shim.c cannot be compiled here: {other:?}");
            None
        }
    }
}

/// Takes from the files of the log what nobody had forced to the disk.
fn cut_power(folder: &Path, notes: &Path, state: &mut u64) -> u64 {
    let mut taken = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let inode = std::fs::metadata(&path).unwrap().ino().to_string();
        let synced = std::fs::read(notes.join(inode)).ok();
        let synced = synced.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let mut bytes = std::fs::read(&path).unwrap();
        let unsynced = (bytes.len() as u64).saturating_sub(synced);
        if unsynced == 0 {
            continue;
        }
        let keep = random(state) as u64 % (unsynced + 1);
        bytes.truncate((synced + keep) as usize);
        taken += unsynced - keep;
        // Blocks of the disk that were not written yet have zeros where nothing was before.
        for block in synced / 512..(synced + keep).div_ceil(512) {
            if random(state).is_multiple_of(3) {
                let end = bytes.len().min(512 * (block as usize + 1));
                let hole = &mut bytes[synced.max(512 * block) as usize..end];
                taken += hole.len() as u64;
                hole.fill(0);
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    taken
}

/// A power cut under load; what each client was told before the window, and what is kept.
fn round(library: &Path, policy: &[&str], number: u64, state: &mut u64) -> u64 {
    let (folder, notes) = (Folder::new(), Folder::new());
    let variables = [("LD_PRELOAD", library.to_str().unwrap()), ("EONKV_SYNCED", notes.path())];
    let server = folder.server_with(policy, &variables);
    let is_always = policy == ALWAYS;
    let mut safe = Vec::new();
    let work = |server: &Server, load: &Load| {
        std::thread::sleep(Duration::from_millis(50 + number * 37 % 200));
        if number.is_multiple_of(2) {
            server.client().say("BGREWRITEAOF");
            std::thread::sleep(Duration::from_millis(number * 13 % 60));
        }
        safe = load.told();
        if !is_always {
            std::thread::sleep(Duration::from_secs(4)); // two syncs and more, on a busy disk too
        }
    };
    let told = under_load(server, work, kill);
    let taken = cut_power(&folder.0.join("appendonlydir"), &notes.0, state);
    let server = folder.server(policy);
    let mut client = server.client();
    let kept = check(&mut client);
    let least = if is_always { &told } else { &safe };
    let whole = least.iter().zip(&kept).all(|(told, kept)| kept >= told);
    assert!(whole, "{policy:?}, round {number}: {least:?} were told, {kept:?} are kept");
    // What was kept is kept for good.
    let sum = digest(&mut client);
    client.say("BGREWRITEAOF");
    assert!(client.line().starts_with('+'));
    until(&mut client, "aof_rewrite_in_progress", "0");
    kill(server);
    assert_eq!(digest(&mut folder.server(policy).client()), sum);
    taken
}

#[test]
fn what_was_acknowledged_outlives_the_power() {
    let compiled = Folder::new();
    let Some(library) = shim(&compiled) else { return };
    let (mut state, mut taken) = (88_172_645_463_325_252, 0);
    for number in 0..rounds() as u64 {
        taken += round(&library, ALWAYS, number, &mut state);
    }
    eprintln!("always: {taken} bytes that nobody had synced were taken");
}

#[test]
fn everysec_loses_what_its_window_allows() {
    let compiled = Folder::new();
    let Some(library) = shim(&compiled) else { return };
    let (mut state, mut taken) = (362_436_069, 0);
    for number in 0..rounds() as u64 {
        taken += round(&library, EVERYSEC, number, &mut state);
    }
    eprintln!("everysec: {taken} bytes that nobody had synced were taken");
    assert!(taken > 0, "nothing was ever lost, so nothing was tried");
}

//! Any bytes as a manifest: refused with a reason, or written and read back as the same.

#![no_main]

use eonkv::disk::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match Manifest::parse(data) {
    Err(error) => assert!(!error.to_string().is_empty()),
    Ok(manifest) if manifest.files().chain(&manifest.history).count() > 0 => {
        // A line may come out longer than it was, as quoting is: then it is too long.
        let text = manifest.text();
        if text.split_inclusive(|byte| *byte == b'\n').all(|line| line.len() <= 1024) {
            assert_eq!(Manifest::parse(&text), Ok(manifest));
        }
    }
    Ok(_) => {}
});

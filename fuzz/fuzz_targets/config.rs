//! Any configuration, in either syntax, is taken or refused with file, line and reason.

#![no_main]

use eonkv::config::{ConfigError, load, words};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.windows(7).any(|word| word.eq_ignore_ascii_case(b"include")) {
        return; // other files are none of a fuzzer's business
    }
    let read = |mut data: &[u8]| load(["-".into()], [], &mut data);
    match read(data) {
        Ok(startup) => drop(format!("{startup:?}")),
        Err(error @ ConfigError::Open { .. }) => panic!("standard input can be read: {error}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    for line in data.split(|b| *b == b'\n') {
        if let Some(split) = words::split(line) {
            let quoted = split.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" ");
            assert_eq!(words::split(quoted.as_bytes()), Some(split));
        }
    }
});

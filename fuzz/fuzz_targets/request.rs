//! Any bytes, however TCP cuts them, give the same requests and the same error.

#![no_main]

#[path = "common/feeder.rs"]
mod feeder;

use eonkv::resp::request::Limits;
use feeder::run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let limits = Limits {
        big_from: if choice & 1 == 0 { 12 } else { 32 * 1024 },
        max_bulk: if choice & 2 == 0 { 4096 } else { 512 << 20 },
        authenticated: choice & 4 == 0,
        requests: if choice & 8 == 0 { 64 } else { 1 },
    };
    let whole = run(&[data], &limits);
    let singles: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(run(&singles, &limits), whole, "byte by byte");
    let step = 1 + data.len() / 64; // every cut of short inputs, a spread of cuts of long ones
    for cut in (0..data.len()).step_by(step) {
        assert_eq!(run(&[&data[..cut], &data[cut..]], &limits), whole, "cut at {cut}");
    }
});

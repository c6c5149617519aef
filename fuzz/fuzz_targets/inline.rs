//! Inline commands: any line, cut anywhere, gives the same words as the splitter of configuration
//! lines, which has the same quotes.

#![no_main]

#[path = "common/feeder.rs"]
mod feeder;

use eonkv::config::words;
use eonkv::resp::request::Limits;
use feeder::run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let line: Vec<u8> = data.iter().copied().filter(|b| *b != b'\n').collect();
    if line.first() == Some(&b'*') {
        return;
    }
    let limits = Limits::default();
    let bytes = [&line[..], b"\r\n"].concat();
    let whole = run(&[&bytes], &limits);
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        assert_eq!(run(&[&bytes[..cut], &bytes[cut..]], &limits), whole, "cut at {cut}");
    }
    if line.ends_with(b"\r") || line.len() > 60_000 {
        return;
    }
    match words::split(&line) {
        Some(words) if words.is_empty() => assert!(whole.0.is_empty() && whole.1.is_none()),
        Some(words) => assert_eq!(whole, (vec![words], None)),
        None => assert!(whole.0.is_empty() && whole.1.is_some(), "unbalanced quotes"),
    }
});

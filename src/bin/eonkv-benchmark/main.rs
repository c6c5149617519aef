//! `eonkv-benchmark`: measures Redis-compatible servers; a drop-in for redis-benchmark.
//!
//! ```text
//!   args -> options        the words, then what they mean together
//!   session                servers, tests, output     (target, catalog, report, json, compare)
//!     job                  one measurement            (records, pacer)
//!       worker             one thread's event loop    (stream, template, walker, verify)
//! ```
//! Keeps true: no request is built and no reply is parsed while the clock runs: requests are bytes
//! with holes, replies are counted. `docs/benchmark-tool.md` says how it measures and what it costs.

#![allow(rustdoc::broken_intra_doc_links)] // the flags' texts are help texts, brackets and all
#![forbid(unsafe_code)]

mod args;
mod catalog;
mod compare;
mod failure;
mod job;
mod json;
mod options;
mod pacer;
mod pattern;
mod records;
mod report;
mod rng;
mod session;
mod stream;
mod target;
mod template;
mod uri;
mod values;
mod verify;
mod walker;
mod worker;

use std::io::Read;
use std::process::ExitCode;

use crate::args::Refusal;
use crate::failure::Failure;
use crate::options::Options;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(Failure::Output(what, _)) if what == "standard output" => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let mut words = match args::parse(std::env::args_os().skip(1)) {
        Ok(words) => words,
        Err(Refusal::Help(text)) => {
            println!("{}", text.trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        Err(Refusal::Wrong(text)) => {
            // Like redis-benchmark: the sentence and the help, both on standard output.
            println!("{text}\n\n{}", args::help().trim_end());
            return Ok(ExitCode::FAILURE);
        }
    };
    if words.flags.version {
        println!("eonkv-benchmark {}", env!("CARGO_PKG_VERSION"));
        return Ok(ExitCode::SUCCESS);
    }
    if words.flags.stdin && !words.command.is_empty() {
        let mut last = Vec::new();
        std::io::stdin().lock().read_to_end(&mut last).map_err(|error| Failure::broken(&error))?;
        words.command.push(last);
    }
    session::run(&Options::new(words).map_err(Failure::Usage)?)?;
    Ok(ExitCode::SUCCESS)
}

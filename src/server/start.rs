//! The first steps of the process: its configuration, and what it says of itself.

use crate::config::{Action, EXIT_CONFIG, REDIS_VERSION, Startup, load};
use std::io::{self, Write};

/// Reads the configuration of this process from its arguments, variables and standard input.
///
/// `Err` holds the exit code of a process that has done what it was asked for, or was asked for
/// something wrong; both have been said on standard output or standard error.
pub fn configuration() -> Result<Startup, i32> {
    let argv = std::env::args_os().skip(1);
    match load(argv, std::env::vars_os(), &mut io::stdin().lock()) {
        Ok(startup) => match &startup.action {
            Action::Run => Ok(startup),
            Action::Check => {
                for warning in &startup.warnings {
                    say(&mut io::stderr(), &format!("warning: {warning}"));
                }
                say(&mut io::stdout(), "The configuration is right.");
                Err(0)
            }
            Action::Print(text) => {
                say(&mut io::stdout(), text.trim_end());
                Err(0)
            }
        },
        Err(error) => {
            say(&mut io::stderr(), &error.to_string());
            Err(EXIT_CONFIG)
        }
    }
}

/// A closed standard output (`--help | head`) is no reason to fail.
fn say(out: &mut dyn Write, text: &str) {
    let _ = writeln!(out, "{text}");
}

/// Logs who starts, in words which programs that start Redis wait for (`PID: <pid>`), and what an
/// operator should know of the configuration.
pub fn greet(startup: &Startup) {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let (bits, workers) = (usize::BITS, startup.config.io_threads);
    tracing::info!(
        "EonKV {version} is starting: Redis version={REDIS_VERSION}, bits={bits}, \
         workers={workers}, PID: {pid}"
    );
    match &startup.file {
        Some(file) => tracing::info!("Configuration loaded from {}", file.display()),
        None => tracing::info!("No configuration file: defaults, variables and flags apply"),
    }
    for warning in &startup.warnings {
        tracing::warn!("{warning}");
    }
}

//! Standard output and standard error, and what happens when their reader has gone.
//!
//! Rust ignores SIGPIPE and panics in `println!`; a filter such as `eonkv-cli --scan | head` must instead end
//! as other tools do: quietly, by that signal.

use std::io::{ErrorKind, Write};

/// Prints bytes at once: a reader at the other end of a pipe sees each reply when it comes.
pub fn put(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        gone(error.kind());
    }
}

/// Prints text.
pub fn say(text: &str) {
    put(text.as_bytes());
}

/// Prints one line on standard error. If that is gone too, nobody is left to be told.
pub fn complain(line: &str) {
    complain_bytes(line.as_bytes());
}

/// The same for text from a server, which need not be UTF-8.
pub fn complain_bytes(line: &[u8]) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(line).and_then(|()| stderr.write_all(b"\n"));
}

fn gone(kind: ErrorKind) -> ! {
    if kind == ErrorKind::BrokenPipe {
        // Ends the process by the signal, so that the shell sees 141 as from any filter.
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
    }
    std::process::exit(1)
}

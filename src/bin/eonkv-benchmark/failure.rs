//! Everything that ends a run early, in the words that redis-benchmark uses.
//!
//! Keeps true: the texts are what scripts look for on standard error; every failure exits with 1.

use thiserror::Error;

/// Why the benchmark could not be done.
#[derive(Debug, Error)]
pub enum Failure {
    /// The address, and what the system said.
    #[error("Could not connect to Redis at {0}: {1}")]
    Connect(String, String),
    /// The server refused the first questions: its address, its words.
    #[error("Node {0} replied with error:\n{1}")]
    Refused(String, String),
    /// A request was answered with an error; results would be false.
    #[error("Error from server: {0}")]
    Server(String),
    /// The connection broke or spoke something else.
    #[error("Error: {0}")]
    Broken(String),
    /// Flags that cannot be understood, or not together.
    #[error("{0}")]
    Usage(String),
    /// `--verify` found wrong replies.
    #[error("Verification failed: {wrong} of {checked} replies are wrong. The first: {first}")]
    Wrong { wrong: u64, checked: u64, first: String },
    /// A file or standard output could not be written.
    #[error("Could not write {0}: {1}")]
    Output(String, String),
}

impl Failure {
    /// A connection that broke.
    pub fn broken(error: &std::io::Error) -> Self {
        Failure::Broken(plain(error))
    }
}

/// The system's own words for an error, without Rust's "(os error 111)".
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

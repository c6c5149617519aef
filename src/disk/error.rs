//! Why a log cannot be opened, loaded or switched. The texts are what an operator reads in the
//! server's log; where Redis has words for the same thing, they are Redis', because tools look for
//! them.

use super::manifest;
use std::io;

/// What stands in the way of opening or loading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {name}: {}", crate::config::os_reason(error))]
    Io { what: &'static str, name: String, error: io::Error },
    #[error("{0}")]
    Manifest(#[from] manifest::Error),
    /// The manifest names a file that is not there.
    #[error("The append log file {file} doesn't exist: No such file or directory")]
    Missing { file: String },
    /// Bytes that cannot be what was written.
    #[error(
        "Bad file format reading the append only file {file} at offset {offset}: {why}. Make a \
         backup of your AOF file, then see what `eonkv-server --repair-aof` would do with it"
    )]
    Damaged { file: String, offset: u64, why: String },
    /// A file that stops in the middle, and may not.
    #[error(
        "Unexpected end of file reading the append only file {file} at offset {offset}. You can: \
         1) Make a backup of your AOF file, then use eonkv-server --repair-aof --fix. \
         2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and \
         restart the server"
    )]
    CutRefused { file: String, offset: u64 },
    /// As Redis says it of a file that others follow.
    #[error(
        "Fatal error: the truncated file is not the last file: {file} ends at offset {offset} in \
         the middle of a command"
    )]
    CutInside { file: String, offset: u64 },
    /// What the reader of commands or of the RDB part said.
    #[error("Error reading the append only file {file} at offset {offset}: {why}")]
    Refused { file: String, offset: u64, why: String },
    /// An encrypted file without its key, or with another.
    #[error("The file {file} {why}")]
    Sealed { file: String, why: String },
    /// The log is failing, so that nothing else can be begun.
    #[error("the append only file cannot be written at the moment: {0}")]
    Failing(String),
}

impl Error {
    /// For `map_err`: what was being done to which file.
    pub fn io(what: &'static str, name: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let name = name.into();
        move |error| Self::Io { what, name, error }
    }
}

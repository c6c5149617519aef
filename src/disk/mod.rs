//! From "here is a block of the ordered stream" to the disk and back: a storage engine that knows
//! bytes, sequence numbers and the time it is told, and no keys, no commands, no threads. Besides the
//! log it has the file of a snapshot, which is replaced whole ([`replace`]).
//!
//! # The way of a block
//! ```text
//! Log::append(bytes, last)   kept in memory, never fails, never touches the disk
//! Log::commit(now)           writes what is there as whole groups; syncs if the policy says so
//! Log::durable()             everything up to this sequence survives a power cut
//! Log::next_wake(now)        when to call `commit` again although nothing came
//! ```
//! At boot: [`lock::Guard::take`], [`Directory::open`], [`read::load`] into a [`read::Sink`], then
//! [`Log::open`]. Later `begin_rewrite`, write a base file, `finish_rewrite` or `fail_rewrite`.
//!
//! # What holds
//! - **D1** After any crash the log is a prefix of what was appended, and contains everything that
//!   `durable()` ever reported.
//! - **D2** A group (what one `append` brought) is there whole or not at all as far as this module
//!   wrote it; the caller puts a whole MULTI…EXEC into one group.
//! - **D3** A block is forgotten only when it is durable (policies `always` and `everysec`), so a
//!   disk that fails and comes back costs nothing that was accepted.
//! - **D4** What a sync that failed may have lost is written again; see [`log`].
//! - **D5** A flipped bit in what this module wrote is found at load, with file and offset.
//! - **D6** Nothing here panics or allocates without bound because of what a file says.
//!
//! Everything goes through the trait [`Disk`], so the same code runs on a simulated disk that
//! forgets, fails and crashes by a seeded plan. `docs/internals/disk.md` has the formats.

pub mod base;
mod crc;
pub mod directory;
pub mod error;
pub mod file;
pub mod frame;
pub mod lock;
pub mod log;
pub mod manifest;
pub mod options;
pub mod output;
pub mod read;
pub mod repair;
pub mod replace;
mod resp;
pub mod seal;
#[cfg(any(test, fuzzing))]
pub mod sim;
mod tail;
#[cfg(test)]
mod tests;
mod unseal;
mod window;

pub use base::{BaseWriter, Rewrite};
pub use directory::{Directory, Names};
pub use error::Error;
pub use file::{Disk, File, RealDisk};
pub use log::{Log, State};
pub use options::{Options, Policy};
pub use output::Output;
pub use read::{Cut, Loaded, Place, Sink};

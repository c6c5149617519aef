//! A whole snapshot: [`mod@write`] makes one, [`scan`] finds the keys of one, [`insert`] stores them.
//!
//! ```text
//!   "REDIS0010" | aux ... | functions ... | database: number, sizes, keys ... | end | sum, u64
//!   key: [expiry] [idle or frequency] type key value [hash ends]
//! ```
//! One thread scans: it reads, sums and finds where each value ends, and hands out [`Batch`]es of whole
//! keys. What takes the time, to check values and to build them, is done by as many threads as there
//! are, each with an [`Inserter`] of its own.

pub mod insert;
pub mod scan;
pub mod write;

pub use insert::{Counts, Inserter};
pub use scan::{Batch, LoadError, Scanner};
pub use write::{Settings, Writer};

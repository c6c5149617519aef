//! The index: a hash table read without locks, written under stripes, grown one bucket at a time.
//!
//! It knows nothing of Redis: a [`Record`] is a block with a key in it, and a coarse deadline is a
//! number. The pieces:
//!
//! - [`table`]: buckets, look-up, and the single-step changes under a held stripe;
//! - [`grow`]: splitting and merging one bucket;
//! - [`root`]: the place where a table hangs;
//! - [`scan`]: cursors that survive both, and random picks;
//! - [`due`]: per group of buckets, when the earliest of its records wants to be looked at;
//! - [`mod@hash`]: the keyed hash.
//!
//! # Layout
//! ```text
//!  directory ──► chunk of 16,384 buckets ──► bucket, 64 bytes, one cache line
//!                                            ┌──────┬──────┬─ … ─┬──────┬───────┐
//!                                            │ slot │ slot │     │ slot │ chain │
//!                                            └──┬───┴──────┴─ … ─┴──────┴───┬───┘
//!                     16 bits of hash | 48 bits │ pointer to the record     │ further bucket
//! ```
//! Linear hashing: with `n` buckets and `2^l <= n < 2^(l+1)`, a hash lives in bucket
//! `h mod 2^(l+1)` if that is below `n`, else in `h mod 2^l`. Growing by one splits bucket `n - 2^l`
//! into itself and bucket `n`; both have the same low bits and so, as there are never fewer buckets
//! than stripes, **the same stripe**. One lock covers a split, and there is never a rehash: the worst
//! insert measured was 0.6 ms at 10 million keys, against 20 to 1,000 for tables that rehash.
//!
//! # Invariants
//! - **I1** A slot holds 0 or a pointer to a fully built record whose hash maps to that bucket, with
//!   the hash's top 16 bits in the pointer's top 16.
//! - **I2** Slots, chains and the place of a record change only under the record's stripe.
//! - **I3** A key stands in at most one slot, but for the time of a split or merge, when it may
//!   stand in both buckets with the same pointer.
//! - **I4** A record taken out is retired, never freed at once; the same for chained buckets and
//!   chunks.
//! - **I5** The bucket count changes under the stripe of the bucket being split or merged, and only
//!   by whoever holds the `resizing` flag.
//!
//! # Ordering
//! | edge | written by | read by | carries |
//! |---|---|---|---|
//! | O1 | slot, Release store | look-up, Acquire load | the record's bytes |
//! | O2 | chain or directory, Release store | look-up, Acquire load | the bucket's bytes |
//! | O3 | bucket count, Release store | look-up, Acquire load | chunk of the new bucket, its slots |
//! | E1 | stripe's unlock | stripe's load | all of the above, for whoever saw the new version |
//!
//! # Why a reader needs no lock
//! A hit is right as it stands: the slot held that record at the moment of the load (O1). A miss may
//! be an artefact of a split or a dense rewrite passing the reader by, so it counts only if the
//! stripe's word was unlocked before and is the same after (I2 and the stripe's W2). A reader with
//! a stale bucket count looks into the wrong bucket, misses, and finds the stripe changed (E1).

#![allow(unsafe_code)]

pub mod due;
pub mod grow;
pub mod hash;
pub mod root;
pub mod scan;
pub mod table;

pub use hash::hash;
pub use root::Root;
pub use table::{Place, Record, Table};

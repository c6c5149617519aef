//! Values as bytes, in the form of Redis' snapshots and of DUMP: from here to Redis and Valkey, and
//! from either of them to here.
//!
//! ```text
//!   code      numbers of types and of what stands between keys
//!   wire      writing: lengths, strings, numbers        cursor    reading the same, and never beyond
//!   encode    values, whole or in slices                decode    values of every form ever written
//!   payload   what DUMP replies and RESTORE takes       file      a whole snapshot
//! ```
//! What is written is version 10 with the plain types, which Redis takes from 7.0 on and Valkey always.
//! What is read are versions 1 to 13 and Valkey's from 80 on, in every form.
//!
//! - **R1** Nothing is believed: lengths are compared with what is there before anything is reserved,
//!   and structure, order, counts and doubles are checked whatever the configuration says.
//! - **R2** What is read becomes values of our own making; no foreign bytes are kept as structure.
//! - **R3** Reading costs memory in proportion to the bytes that are there, compressed ones at most by
//!   the factor that LZF can reach.
//!
//! # Times of hash fields
//! Version 10 has no word for them. In a file they stand in an auxiliary field behind the key, named
//! [`code::HASH_ENDS`], which Redis passes over: there the fields stay, without their times, and here
//! they come back whole. DUMP cannot do that: such a hash is dumped as Redis 7.4 does, and refused by
//! older servers rather than robbed of its times.

pub mod code;
pub mod cursor;
pub mod decode;
pub mod encode;
pub mod file;
pub mod lzf;
pub mod payload;
pub mod sum;
#[cfg(test)]
mod tests;
pub mod wire;

pub use cursor::{Cursor, Fault};
pub use decode::{Decoder, Dialect, Forms, Read};
pub use encode::{Encoder, Rest, Value};

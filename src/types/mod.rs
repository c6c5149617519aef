//! Plain data structures and arithmetic of the data types: no locks, no clients, no I/O.

pub mod arena;
mod big;
pub mod bitops;
pub mod digest;
pub mod extended;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod hll;
pub mod image;
pub mod intset;
pub mod lcs;
pub mod list;
pub mod number;
pub mod object;
pub mod packed;
pub mod runs;
pub mod sample;
pub mod set;
pub mod stream;
pub mod table;
pub mod zset;

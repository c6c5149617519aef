//! EonKV: a Redis-compatible, multi-threaded, in-memory data server.
//!
//! One line per module, in layer order: a module may use those above it, never those below.
//! `docs/architecture.md` says why; `tests/architecture.rs` holds the rule.
#![deny(unsafe_code)]

pub mod config;
pub mod types;

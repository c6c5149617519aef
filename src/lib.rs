//! EonKV: a Redis-compatible, multi-threaded, in-memory data server.
//!
//! One line per module, in layer order: a module may use those above it, never those below.
//! `docs/architecture.md` says why; `tests/architecture.rs` holds the rule.
#![deny(unsafe_code)]

/// The command table, handlers, and the way a request runs.
pub mod commands;
/// Parameters, one row each: files, flags, environment, CONFIG.
pub mod config;
/// The keyspace: entries, expiry, eviction, on top of the index.
pub mod db;
/// RESP2 and RESP3: requests in, replies out, no I/O.
pub mod resp;
/// Per-connection state and the registry of clients.
pub mod session;
/// Plain structures and arithmetic of the data types.
pub mod types;

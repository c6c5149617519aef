//! EonKV: a Redis-compatible, multi-threaded, in-memory data server.
//!
//! One line per module, in layer order: a module may use those above it, never those below.
//! `docs/architecture.md` says why; `tests/architecture.rs` holds the rule.
#![deny(unsafe_code)]

// The counting allocator.
pub mod mem;

// The only door to atomics and epochs.
pub mod sync;

// Time, once per loop turn.
pub mod clock;

// Counters, durations, slow log: per worker, summed when read.
pub mod metrics;

// Parameters, one row each: files, flags, environment, CONFIG.
pub mod config;

// The append-only file: blocks of the ordered stream to the disk and back; a snapshot's file.
pub mod disk;

// RESP2 and RESP3: requests in, replies out, no I/O.
pub mod resp;

// Plain structures and arithmetic of the data types.
pub mod types;

// The lock-free table.
pub mod index;

// The keyspace: entries, expiry, eviction, on top of the index.
pub mod db;
// Records in their one order, to the disk, and word of it back.
pub mod log;

// Values as bytes: snapshots and DUMP payloads, of Redis' and Valkey's form.
pub mod rdb;

// Lua: the sandbox, its libraries, and the ways between Lua and RESP.
pub mod script;

// Per-connection state and the registry of clients.
pub mod session;

// The command table, handlers, and the way a request runs.
pub mod commands;

// Sockets and the loop that turns around them.
pub mod net;

// Wiring: the log, and what else a process needs around its workers.
pub mod server;

//! Wiring: what a process needs around its workers.

pub mod logging;
pub mod start;

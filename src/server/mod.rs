//! Wiring: what a process needs around its workers.

pub mod background;
pub mod logging;
pub mod start;

//! Wiring: one process from its arguments to its exit code.
//!
//! The main thread starts the workers, then accepts connections, hears signals and orders, and keeps
//! time for the statistics. It touches no request.

mod accept;
mod aof;
pub mod background;
mod boot;
mod http;
mod loading;
pub mod logging;
mod repair;
mod rewriting;
mod saving;
#[cfg(test)]
mod simulation;
pub mod start;
mod stop;

pub use boot::main;

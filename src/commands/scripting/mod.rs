//! EVAL, SCRIPT, FCALL and FUNCTION.
//!
//! A script or function is one step for everybody else. See `docs/decisions/0008-scripts.md`.

pub mod catalog;
mod eval;
mod function;
mod host;
mod interpreter;
mod lex;
mod script;
mod tame;

use super::Command;
pub use catalog::Catalog;
pub use eval::flags;
pub use interpreter::Interpreter;
pub use script::busy;

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    eval::EVAL,
    eval::EVALSHA,
    eval::EVALSHA_RO,
    eval::EVAL_RO,
    eval::FCALL,
    eval::FCALL_RO,
    function::FUNCTION,
    script::SCRIPT,
];

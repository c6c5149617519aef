//! Configuration: every parameter is one row of a table.

/// Typed parameters.
#[derive(Debug, Clone, Default)]
pub struct Config {}

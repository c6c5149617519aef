//! Configuration: every parameter is one row of a table.

//! What the linearizability test needs: a model of the commands, a checker of histories, a client.

pub mod checker;
pub mod client;
pub mod model;

//! The wire protocol, RESP2 and RESP3: bytes in, requests out; replies in, bytes out.
//!
//! Nothing in here owns a socket or a clock, so tests feed it one byte at a time.

pub mod args;
pub mod reply;
pub mod request;

pub use args::{Args, Span};
pub use reply::Reply;
pub use request::{Batch, Parser};

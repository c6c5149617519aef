//! Sockets: listening, reading, writing, and the loop that turns around them.
//!
//! One thread accepts (`server`'s main thread) and hands each connection to the worker that has the
//! fewest: so 50 connections on 8 workers come out 6 or 7 each, which a hash of addresses
//! (SO_REUSEPORT) does not give, and a storm of connections costs the workers next to nothing. From
//! then on a connection belongs to its worker for life; nothing in here takes a lock on the way of a
//! request.
//!
//! - **N1** A worker's scratch buffer is the input of every connection that has nothing left over. Who
//!   has just spoken keeps a little room for what may be; an idle connection holds no buffer.
//! - **N2** Edge-triggered readiness is remembered: a connection that was not read to its end is in
//!   the worker's `ready` list, or is parked or stalled and returns there.
//! - **N3** A connection's replies leave in the order of its requests: what the socket does not take
//!   is queued, and what comes later is queued behind it.
//! - **N4** A panic inside a batch costs that connection, nothing else.

mod conn;
mod engine;
pub mod listen;
mod output;
mod room;
mod shrink;
mod socket;
mod worker;

pub use engine::set_precise;
pub use socket::Socket;
pub use worker::{Handle, Worker};

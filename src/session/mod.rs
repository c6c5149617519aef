//! What one connection has said so far: database, protocol, name, flags.
//!
//! A session belongs to one connection and is touched by its worker alone; what other threads may
//! ask of a client (CLIENT LIST, KILL) goes through the registry in [`registry`].

pub mod registry;

use std::sync::Arc;

/// What is to happen to the connection once the command at hand has replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum After {
    /// Go on with the next request.
    #[default]
    Continue,
    /// Send what was encoded, then close.
    Close,
    /// Serve this client no further before this time (milliseconds of the server's clock); the
    /// worker goes on with others.
    Park(u64),
    /// The command could not run yet (a stripe or the server is held for long): run it again later.
    Retry,
}

/// Which replies CLIENT REPLY lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// All of them.
    #[default]
    On,
    /// None.
    Off,
    /// Not that of the next command.
    SkipNext,
    /// Not that of the present command.
    Skip,
}

/// Conditions which take a request off the fast path; zero for an ordinary client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gates(pub u32);

impl Gates {
    /// Not authenticated yet.
    pub const AUTH: u32 = 1;
    /// CLIENT REPLY is not ON.
    pub const REPLY: u32 = 1 << 1;
    /// Inside MULTI.
    pub const MULTI: u32 = 1 << 2;
    /// In RESP2 subscriber mode.
    pub const SUBSCRIBED: u32 = 1 << 3;
    /// CLIENT NO-TOUCH.
    pub const NO_TOUCH: u32 = 1 << 4;
    /// Runs MONITOR.
    pub const MONITOR: u32 = 1 << 5;
}

/// One connection's state.
#[derive(Debug)]
pub struct Session {
    /// What other threads can see and change.
    pub client: Arc<registry::Client>,
    /// Selected database.
    pub db: u8,
    /// Negotiated protocol is 3.
    pub resp3: bool,
    /// Off the fast path because of these.
    pub gates: u32,
    /// See [`ReplyMode`].
    pub reply_mode: ReplyMode,
    /// Set by a handler, read by the loop.
    pub after: After,
}

impl Session {
    /// A fresh session of a registered client.
    pub fn new(client: Arc<registry::Client>, must_authenticate: bool) -> Self {
        Self {
            client,
            db: 0,
            resp3: false,
            gates: if must_authenticate { Gates::AUTH } else { 0 },
            reply_mode: ReplyMode::On,
            after: After::Continue,
        }
    }
}

//! What one connection has said so far: database, protocol, name, flags.
//!
//! A session belongs to one connection and is touched by its worker alone; what other threads may
//! ask of a client (CLIENT LIST, KILL) goes through the registry in [`registry`].

pub mod control;
pub mod hub;
pub mod mail;
pub mod multi;
pub mod pause;
pub mod registry;
pub mod tracking;

use crate::db::{Waiting, Watching};
use multi::Multi;
pub use registry::{Client, DEFAULT_USER, Flag, Registry, Wait};
use std::sync::Arc;
use std::time::Duration;

/// What is to happen to the connection once the command at hand has replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum After {
    /// Go on with the next request.
    #[default]
    Continue,
    /// Send what was encoded, then close.
    Close,
    /// The reply is withheld, and this client not served, before this time (milliseconds of the
    /// server's clock); the worker goes on with others. CLIENT UNBLOCK ends it early for commands
    /// with the flag BLOCKING. 0: as soon as what is in the worker's mailbox now was delivered.
    Park(u64),
    /// The command has done a slice of its work, and where it stands is in [`Session::resume`]: run it
    /// again after the other clients. Nothing of its reply may be encoded yet.
    Retry,
    /// The command waits for something, and where it stands is in [`Session::resume`]: run it again
    /// at this time, or when [`mail::Mail::Again`] comes.
    Await(u64),
    /// The command could not run because clients are paused: run it again when they are not.
    Paused,
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
    /// Reading from a cluster's replica is allowed (READONLY).
    pub const READONLY: u32 = 1 << 6;
    /// The next command may touch a slot that is being moved here (ASKING).
    pub const ASKING: u32 = 1 << 7;
    /// Listens to channels, in whatever protocol.
    pub const LISTENS: u32 = 1 << 8;
    /// CLIENT TRACKING is on.
    pub const TRACKING: u32 = 1 << 9;
    /// Gates that only colour what a command does: no request need leave the fast path for them.
    pub const PASSIVE: u32 = Self::NO_TOUCH | Self::READONLY;
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
    /// Where a command that runs in slices left off ([`After::Retry`]).
    pub resume: Option<Box<dyn std::any::Any + Send>>,
    /// How long the slices of that command took so far.
    pub spent: Duration,
    /// What it listens to, if anything.
    pub subscriptions: Option<Box<hub::Subscriptions>>,
    /// Where in the reply buffer the reply of the command begins that set `after`.
    pub reply_from: usize,
    /// Whether CLIENT UNBLOCK may end what that command waits for.
    pub unblockable: bool,
    /// Commands queued since MULTI; none outside of it.
    pub multi: Option<Box<Multi>>,
    /// Keys that WATCH watches.
    pub watching: Option<Box<Watching>>,
    /// What its command waits for.
    pub waiting: Option<Box<Waiting>>,
    /// What is to be counted of that command when the wait is over.
    pub uncounted: Option<Box<dyn std::any::Any + Send>>,
    /// How it tracks keys.
    pub tracking: Option<Box<tracking::Tracking>>,
    /// EXEC runs the command: it must not wait.
    pub in_exec: bool,
    /// A script runs the command.
    pub in_script: bool,
    /// How often its command began and had to give way to a script.
    pub tries: u8,
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
            resume: None,
            subscriptions: None,
            spent: Duration::ZERO,
            reply_from: 0,
            unblockable: false,
            multi: None,
            watching: None,
            waiting: None,
            uncounted: None,
            tracking: None,
            in_exec: false,
            in_script: false,
            tries: 0,
        }
    }

    /// Selects a database.
    pub fn select(&mut self, db: usize) {
        self.db = db as u8;
    }

    /// Sets or clears a bit of [`Gates`].
    pub const fn gate(&mut self, bit: u32, on: bool) {
        if on { self.gates |= bit } else { self.gates &= !bit }
    }

    /// Whether `bit` of [`Gates`] is set.
    pub const fn has(&self, bit: u32) -> bool {
        self.gates & bit != 0
    }

    /// Back to how a new connection starts (RESET), except for its identity.
    pub fn reset(&mut self, must_authenticate: bool) {
        self.unwatch();
        self.end_multi();
        *self = Self::new(Arc::clone(&self.client), must_authenticate);
        self.client.set_name(Vec::new());
        self.client.flag(Flag::MONITOR | Flag::NO_TOUCH | Flag::READONLY | Flag::NO_EVICT, false);
        self.client.set_user(DEFAULT_USER);
    }
}

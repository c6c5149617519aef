//! Commands: a row and a function each, and [`call`], which runs one.
//!
//! A handler may rely on this having been settled before it runs, in this order: the row exists,
//! the number of arguments is right, the client is authenticated, memory allows it. It finds its
//! keys through `cx.db`, encodes exactly one reply into `cx.reply` (or returns an error), and does
//! not know about sockets, threads, the log or the slow log.

pub mod admin;
mod admit;
pub mod ahead;
pub mod args;
pub mod bitmap;
pub mod blocking;
pub mod categories;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod cursor;
pub mod debug;
pub mod dump;
pub mod elements;
pub mod error;
pub mod event;
pub mod geo;
pub mod hash;
pub mod help;
pub mod hyperloglog;
pub mod info;
pub mod keys;
pub mod keys_of;
pub mod latency;
pub mod lcs;
pub mod list;
pub mod lolwut;
pub mod long;
pub mod memory;
pub mod migrate;
pub mod monitor;
pub mod notes;
pub mod page;
pub mod persist;
pub mod pubsub;
pub mod room;
pub mod run;
pub mod scripting;
pub mod set;
pub mod slice;
pub mod slowlog;
pub mod sort;
pub mod sources;
pub mod stream;
pub mod string;
pub mod syntax;
pub mod table;
pub mod time;
pub mod timing;
pub mod transaction;
pub mod waits;
pub mod zset;

use crate::config::Config;
use crate::config::live::Live;
use crate::db::{Access, Candidates, Key, Keyspace, Policy};
use crate::log::Log;
use crate::metrics::{Metrics, Process};
use crate::resp::reply::Mark;
use crate::resp::{Args, Reply};
use crate::session::control::Control;
use crate::session::pause::Conditions;
use crate::session::{Gates, Registry, Session};
pub use error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use table::{Command, Flags, Group, KeySpec, Row, table};

/// The groups of the table, each sorted by name.
#[rustfmt::skip] // one a line, so that branches do not collide
pub static GROUPS: &[&[Command]] = &[
    admin::ADMIN,
    bitmap::COMMANDS,
    client::CLIENT,
    command::COMMANDS,
    config::COMMANDS,
    connection::CONNECTION,
    debug::COMMANDS,
    dump::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    info::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    lcs::COMMANDS,
    list::COMMANDS,
    lolwut::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    monitor::MONITOR,
    persist::COMMANDS,
    pubsub::COMMANDS,
    set::COMMANDS,
    scripting::COMMANDS,
    slowlog::COMMANDS,
    sort::COMMANDS,
    stream::COMMANDS,
    string::COMMANDS,
    time::COMMANDS,
    transaction::COMMANDS,
    zset::COMMANDS,
];

/// What all workers share. Each registry in it is owned by the module that defines it.
#[derive(Debug)]
pub struct Shared {
    /// The configuration in force.
    pub config: Live,
    /// The file it came from, which CONFIG REWRITE writes.
    pub config_file: Option<PathBuf>,
    /// The data.
    pub keyspace: Arc<Keyspace>,
    /// All clients.
    pub clients: Arc<Registry>,
    /// Pauses, MONITOR and whatever else takes commands off the fast path.
    pub conditions: Arc<Conditions>,
    /// What is counted.
    pub metrics: Metrics,
    /// The way to the main thread.
    pub control: Control,
    /// When the server started, Unix milliseconds.
    pub started_ms: i64,
    /// 40 hexadecimal digits, new at each start.
    pub run_id: String,
    /// Memory at the start and at its peak, and other facts of the process.
    pub process: Process,
    /// What DEBUG turns on and off.
    pub switches: debug::Switches,
    /// Loading and saving.
    pub persist: persist::State,
    /// What becomes of effects.
    pub log: Arc<Log>,
    /// Scripts and functions.
    pub catalog: scripting::Catalog,
}

/// How accesses are recorded under the configured eviction policy.
pub fn policy(config: &Config) -> Policy {
    Policy {
        lfu: config.maxmemory_policy.uses_lfu(),
        log_factor: config.lfu_log_factor,
        decay_minutes: config.lfu_decay_time,
        no_touch: false,
    }
}

/// What one worker keeps for its commands; never shared.
#[derive(Debug)]
pub struct Local {
    /// The configuration as of this turn of the loop.
    pub config: Arc<Config>,
    /// This worker's number, which is also that of its cells in [`Metrics`].
    pub worker: usize,
    /// Keys that may go next when memory is short.
    pub candidates: Candidates,
    /// Time that the command at hand lets its client wait beyond its own run: counted as its own.
    pub waited: Duration,
    /// Room for building a value in; empty between commands, or not yet cleared.
    pub scratch: Vec<u8>,
    /// What runs scripts, once one was run.
    pub interpreter: Option<Box<scripting::Interpreter>>,
}

/// What a handler works with.
pub struct Cx<'a> {
    /// The keyspace, through the selected database.
    pub db: Access<'a>,
    /// Where the reply goes.
    pub reply: &'a mut Reply,
    /// The client.
    pub session: &'a mut Session,
    /// The server.
    pub shared: &'a Shared,
    /// The worker.
    pub local: &'a mut Local,
    /// The row being run.
    pub row: &'static Row,
    /// Hash of the first key, when its place is fixed: computed while the batch was prefetched.
    pub hash: u64,
    /// See [`run::Turn::meanwhile`].
    pub meanwhile: Option<&'a mut dyn FnMut()>,
}

impl Cx<'_> {
    /// Argument `i` as a key.
    #[inline(always)]
    pub fn key<'k>(&self, args: Args<'k>, i: usize) -> Key<'k> {
        let bytes = args.get(i);
        if i == usize::from(self.row.first_key) {
            Key { bytes, hash: self.hash }
        } else {
            Key::new(bytes)
        }
    }
}

/// Runs one request: arity, handler, errors counted. Always encodes exactly one reply, unless the
/// command has none by nature. What else must hold before a client's command runs is settled in
/// [`run`]; scripts and EXEC come here directly.
#[inline]
pub fn call(cx: &mut Cx<'_>, args: Args<'_>) {
    if cx.session.has(Gates::TRACKING) {
        client::tracking::remember(cx, args);
    }
    invoke(cx, args);
}

/// [`call`] for clients that track no keys.
#[inline]
pub fn invoke(cx: &mut Cx<'_>, args: Args<'_>) {
    let errors = cx.reply.errors();
    if cx.row.command.takes(args.len()) {
        let mark = cx.reply.mark();
        if let Err(error) = (cx.row.command.run)(cx, args) {
            fail(cx, mark, error);
        }
    } else {
        cx.reply.error(admit::arity(cx.row).text());
    }
    if cx.reply.errors() != errors {
        count_error(cx);
    }
    if cx.db.logs() {
        cx.db.settle_effect(args);
    }
}

#[cold]
fn fail(cx: &mut Cx<'_>, mark: Mark, error: Error) {
    let error = if error == Error::Arity { admit::arity(cx.row) } else { error };
    cx.reply.cut(mark);
    if error == Error::TooMuch && long::closes(cx) {
        return;
    }
    cx.reply.error(error.text());
}

#[cold]
fn count_error(cx: &Cx<'_>) {
    let stats = run::worker(cx);
    stats.failed(cx.row.id);
    stats.error(cx.reply.last_error().unwrap_or_default());
}

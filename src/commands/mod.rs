//! Commands: a row and a function each, and [`call`], which runs one.
//!
//! A handler may rely on this having been settled before it runs, in this order: the row exists,
//! the number of arguments is right, the client is authenticated, memory allows it. It finds its
//! keys through `cx.db`, encodes exactly one reply into `cx.reply` (or returns an error), and does
//! not know about sockets, threads, the log or the slow log.

pub mod error;
pub mod table;

use crate::config::Config;
use crate::db::Access;
use crate::resp::{Args, Reply};
use crate::session::Session;
pub use error::Error;
use std::sync::Arc;
pub use table::{Command, Flags, Group, KeySpec, Row, table};

/// The groups of the table, each sorted by name.
pub static GROUPS: &[&[Command]] = &[];

/// What all workers share. Each registry in it is owned by the module that defines it.
#[derive(Debug)]
pub struct Shared {}

/// What one worker keeps for its commands; never shared.
#[derive(Debug)]
pub struct Local {
    /// The configuration as of this turn of the loop.
    pub config: Arc<Config>,
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
}

/// Runs one request: checks, handler, statistics. Always encodes exactly one reply, unless the
/// command has none by nature.
pub fn call(cx: &mut Cx<'_>, args: Args<'_>) {
    if !cx.row.command.takes(args.len()) {
        let text = format!("ERR wrong number of arguments for '{}' command", cx.row.full_name());
        return cx.reply.error(text);
    }
    let mark = cx.reply.mark();
    if let Err(error) = (cx.row.command.run)(cx, args) {
        cx.reply.cut(mark);
        cx.reply.error(error.text());
    }
}

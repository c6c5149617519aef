//! What must hold before a command may run, in the order in which clients see it refused: unknown
//! command, arity, authentication, a script that keeps all waiting, memory, pause.

use super::persist::jobs::MISCONF;
use super::run::worker;
use super::{Args, Cx, Error, Flags, Row, room, scripting, table, transaction, waits};
use crate::metrics::Stat;
use crate::session::pause::{Conditions, PauseKind};
use crate::session::{After, Gates};

/// Why a command does not run now.
pub enum Refusal {
    /// It must wait; `session.after` says for what.
    Wait,
    /// It is refused with this error.
    Say(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Say(error)
    }
}

/// All that must hold before a command may run, in the order in which refusals show. Sets `cx.row`.
pub fn admit(cx: &mut Cx<'_>, row: Option<&'static Row>, args: Args<'_>) -> Result<(), Refusal> {
    let row = resolve(cx, row, args)?;
    cx.row = row;
    if !row.command.takes(args.len()) {
        return Err(arity(row).into());
    }
    if cx.session.has(Gates::MULTI) && row.command.flags.has(Flags::NO_MULTI) {
        return Err(Error::new("ERR Command not allowed inside a transaction").into());
    }
    if cx.session.has(Gates::AUTH) && !row.command.flags.has(Flags::NO_AUTH) {
        worker(cx).add(Stat::AuthDenied, 1);
        return Err(Error::new("NOAUTH Authentication required.").into());
    }
    // A command that has begun was given its memory: what it holds so far may be what is short.
    let begun = cx.session.resume.is_some();
    let outside = cx.db.local.outside;
    if outside || cx.shared.conditions.bits() & Conditions::BUSY != 0 {
        while_busy(cx, row, begun)?;
    }
    // Whatever is queued takes memory until EXEC.
    let flags = transaction::flags(cx, row);
    let writes = flags.has(Flags::WRITE);
    if writes && cx.shared.conditions.bits() & Conditions::MISCONF != 0 && !begun {
        return Err(not_now(cx).into());
    }
    let takes = flags.has(Flags::DENYOOM) || transaction::is_queueing(cx, row);
    if !begun && !outside && !room::make(cx) && takes {
        return Err(Error::OutOfMemory.into());
    }
    if cx.session.has(Gates::SUBSCRIBED) && !is_for_listeners(row) {
        return Err(Error::from(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context",
            row.full_name()
        ))
        .into());
    }
    if cx.shared.conditions.bits() & Conditions::LOADING != 0
        && !row.command.flags.has(Flags::LOADING)
    {
        return Err(Error::new("LOADING Redis is loading the dataset in memory").into());
    }
    if cx.shared.conditions.bits() & Conditions::UNSAVED != 0
        && (flags.has(Flags::WRITE) || row.command.name == "ping")
    {
        return Err(Error::new(MISCONF).into());
    }
    if is_paused(cx, flags, args) {
        cx.session.after = After::Paused;
        return Err(Refusal::Wait);
    }
    if cx.shared.conditions.bits() & Conditions::RESERVED != 0 && waits::for_script(cx, args) {
        return Err(Refusal::Wait);
    }
    Ok(())
}

/// Why nothing may be changed now: neither log nor snapshots can be written.
#[cold]
pub fn not_now(cx: &Cx<'_>) -> Error {
    if cx.shared.conditions.bits() & Conditions::MISCONF == 0 {
        return Error::new(MISCONF);
    }
    let why = cx.shared.log.facts().error.unwrap_or_default();
    Error::from(format!("MISCONF Errors writing to the AOF file: {why}"))
}

/// How often what has begun looks whether the script that keeps it waiting is over, in milliseconds.
const BUSY_LOOK: u64 = 5;

/// A script runs for long: only what ends it, or needs no keys, may run.
#[cold]
fn while_busy(cx: &mut Cx<'_>, row: &Row, begun: bool) -> Result<(), Refusal> {
    if begun {
        cx.session.after = After::Await(cx.db.now as u64 + BUSY_LOOK);
        return Err(Refusal::Wait);
    }
    let watches = row.command.name == "watch"; // it needs its keys
    if watches || !row.command.flags.has(Flags::ALLOW_BUSY) {
        return Err(scripting::busy(cx).into());
    }
    Ok(())
}

/// Whether a RESP2 client that listens may run this: replies of others would be taken for messages.
fn is_for_listeners(row: &Row) -> bool {
    listens(row) || matches!(row.command.name, "ping" | "quit" | "reset")
}

/// Whether this is one of the (UN)SUBSCRIBE family.
pub fn listens(row: &Row) -> bool {
    row.command.flags.has(Flags::PUBSUB.and(Flags::NOSCRIPT))
}

/// Whether CLIENT PAUSE holds this command back.
fn is_paused(cx: &Cx<'_>, flags: Flags, args: Args<'_>) -> bool {
    match cx.shared.conditions.paused(cx.db.now) {
        None => false,
        Some((PauseKind::All, _)) => true,
        Some((PauseKind::Write, _)) if flags.has(Flags::WRITE) => true,
        Some((PauseKind::Write, _)) => {
            // EXEC's queued commands said then what their scripts say.
            let queued = flags != cx.row.command.flags;
            let flags = if queued { flags } else { scripting::flags(cx, cx.row, args) };
            flags.has(Flags::MAY_REPLICATE)
        }
    }
}

/// The row that runs: of a container the subcommand's.
fn resolve(
    cx: &mut Cx<'_>,
    row: Option<&'static Row>,
    args: Args<'_>,
) -> Result<&'static Row, Error> {
    let Some(row) = row else {
        let name = args.get(0);
        if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
            tracing::warn!(
                "Possible SECURITY ATTACK detected: a client speaks HTTP (POST or Host:), as \
                 browsers do when they are made to attack local servers. Connection from {} closed.",
                cx.session.client.origin.peer
            );
            cx.session.after = After::Close;
        }
        return Err(unknown(args));
    };
    if row.command.subcommands.is_empty() || args.len() < 2 {
        return Ok(row);
    }
    table().subcommand(row, args.get(1)).ok_or_else(|| {
        let mut text = b"ERR unknown subcommand '".to_vec();
        text.extend_from_slice(clip(args.get(1), 128));
        text.extend_from_slice(b"'. Try ");
        text.extend_from_slice(row.command.name.to_ascii_uppercase().as_bytes());
        text.extend_from_slice(b" HELP.");
        Error::Bytes(text)
    })
}

/// The error of a wrong number of arguments.
pub fn arity(row: &Row) -> Error {
    format!("ERR wrong number of arguments for '{}' command", row.full_name()).into()
}

/// The error of an unknown command, with the beginning of its arguments.
fn unknown(args: Args<'_>) -> Error {
    let mut shown: Vec<u8> = Vec::new();
    for arg in args.iter().skip(1) {
        if shown.len() >= 128 {
            break;
        }
        let room = 128 - shown.len();
        shown.push(b'\'');
        shown.extend_from_slice(clip(arg, room));
        shown.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(clip(args.get(0), 128));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&shown);
    Error::Bytes(text)
}

/// At most `max` bytes of `text`, and none from a NUL on.
fn clip(text: &[u8], max: usize) -> &[u8] {
    let text = &text[..text.len().min(max)];
    memchr::memchr(0, text).map_or(text, |nul| &text[..nul])
}

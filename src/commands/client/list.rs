//! CLIENT LIST and the line that describes a client.

use super::super::table::table;
use super::super::{Args, Cx, Error};
use crate::session::mail::{Mail, RollCall, Then};
use crate::session::registry::{Class, Client, View};
use crate::session::{After, Flag};
use crate::sync::Ordering::Relaxed;
use std::io::Write;
use std::sync::Arc;

pub(super) fn list(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let clients = match args.len() {
        2 => None,
        4 if args.is(2, "TYPE") => Some(of_class(cx, args.get(3))?),
        n if n > 3 && args.is(2, "ID") => Some(by_id(cx, args)?),
        _ => return Err(Error::Syntax),
    };
    if is_early(cx) {
        return Ok(());
    }
    // Who is to go because of memory is not listed any more.
    super::enforce_memory(cx);
    let clients = clients.unwrap_or_else(|| cx.shared.clients.all());
    let mut text = Vec::with_capacity(256 * clients.len());
    for client in clients.iter().filter(|client| !client.is_gone()) {
        text.extend_from_slice(&describe(client, cx.db.now));
        text.push(b'\n');
    }
    cx.reply.verbatim("txt", &text);
    Ok(())
}

/// How long a worker that is busy with something long may hold up CLIENT LIST, in milliseconds.
const WAIT_MS: i64 = 20;

/// Asks the other workers to read what has arrived ([`RollCall`]); true while they have not answered.
fn is_early(cx: &mut Cx<'_>) -> bool {
    struct Asked;
    let (clients, session) = (&cx.shared.clients, &mut *cx.session);
    if session.resume.take().is_some() || clients.workers() == 1 {
        return false;
    }
    let call = RollCall::new(Then::Again(Arc::clone(&session.client)), clients.workers());
    clients.tell_all(|| Mail::RollCall(Arc::clone(&call)));
    session.resume = Some(Box::new(Asked));
    session.after = After::Await((cx.db.now + WAIT_MS) as u64);
    true
}

fn of_class(cx: &Cx<'_>, name: &[u8]) -> Result<Vec<Arc<Client>>, Error> {
    let class = class(name)?;
    let mut clients = cx.shared.clients.all();
    clients.retain(|client| client.class() == class);
    Ok(clients)
}

/// The class of that name, or the error.
pub(super) fn class(name: &[u8]) -> Result<Class, Error> {
    Class::parse(name)
        .ok_or_else(|| Error::Bytes([b"ERR Unknown client type '".as_slice(), name, b"'"].concat()))
}

fn by_id(cx: &Cx<'_>, args: Args<'_>) -> Result<Vec<Arc<Client>>, Error> {
    let mut clients = Vec::new();
    for i in 3..args.len() {
        let id = super::integer(args.get(i)).ok_or(Error::new("ERR Invalid client ID"))?;
        clients.extend(u64::try_from(id).ok().and_then(|id| cx.shared.clients.find(id)));
    }
    Ok(clients)
}

/// One line of CLIENT LIST, without its end.
pub(super) fn describe(client: &Client, now: i64) -> Vec<u8> {
    let (origin, view) = (&client.origin, &client.view);
    let seconds = |since: i64| (now - since).max(0) / 1_000;
    let command = match view.row.load(Relaxed) {
        View::NO_COMMAND => "NULL".to_owned(),
        id => table().rows.get(id as usize).map_or_else(String::new, |row| row.full_name()),
    };
    let output = view.output_bytes.load(Relaxed);
    let (lib_name, lib_version) = client.library();
    let mut line = Vec::with_capacity(256);
    let mut add = |name: &str, value: &[u8]| {
        line.extend_from_slice(name.as_bytes());
        line.push(b'=');
        line.extend_from_slice(value);
        line.push(b' ');
    };
    add("id", client.id.to_string().as_bytes());
    add("addr", origin.peer.as_bytes());
    add("laddr", origin.local.as_bytes());
    add("fd", origin.fd.to_string().as_bytes());
    add("name", &client.name());
    add("age", seconds(origin.since_ms).to_string().as_bytes());
    add("idle", seconds(view.seen_ms.load(Relaxed)).to_string().as_bytes());
    add("flags", Flag::letters(client.flags()).as_bytes());
    // Writing into a vector cannot fail.
    let _ = write!(
        line,
        "db={} sub={} psub={} ssub={} multi={} qbuf={} qbuf-free={} argv-mem={} multi-mem={} \
         rbs=0 rbp=0 obl=0 oll={} omem={output} tot-mem={} events={} cmd={command} user={} redir={} \
         resp={} lib-name=",
        view.db.load(Relaxed),
        view.subscriptions.load(Relaxed),
        view.patterns.load(Relaxed),
        view.shard_subscriptions.load(Relaxed),
        view.queued.load(Relaxed),
        view.query.load(Relaxed),
        view.query_free.load(Relaxed),
        view.args_memory.load(Relaxed),
        view.multi_memory.load(Relaxed),
        view.output_pieces.load(Relaxed),
        client.total_memory(),
        if output > 0 { "rw" } else { "r" },
        client.user(),
        client.redirection(),
        view.resp.load(Relaxed),
    );
    line.extend_from_slice(&lib_name);
    line.extend_from_slice(b" lib-ver=");
    line.extend_from_slice(&lib_version);
    line.extend_from_slice(format!(" watch={}", view.watched.load(Relaxed)).as_bytes());
    line
}

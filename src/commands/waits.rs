//! Clients that wait for a script: commands that would meet stripes which a script holds for long
//! ([`crate::db::Access::reserve`]) are not begun. Their clients are parked, and woken when a script
//! gives its stripes back; their worker serves the others.
//!
//! What a command touches is told by its row. That it is looked at once, before the command begins, is
//! enough (Q1 of `db/reserve.rs`).

use super::{Args, Cx, Error, Flags, Row, keys_of, scripting, transaction};
use crate::db::Key;
use crate::session::mail::Mail;
use crate::session::pause::Conditions;
use crate::session::{After, Registry};

/// After this many milliseconds a waiting client looks again without being woken.
const LOOK: i64 = 1_000;
/// The same of one that waits for somebody who waits, and will not tell.
const SOON: i64 = 2;
/// Who needs all stripes and has found some reserved so often sees to it that no others are.
const PATIENCE: u8 = 4;

/// Commands without keys that touch all of them.
const ALL: &[&str] =
    &["dbsize", "debug", "flushall", "flushdb", "keys", "randomkey", "save", "scan", "swapdb"];

/// Whether the command `cx.row` must wait for a script; its client is parked then.
#[cold]
pub fn for_script(cx: &mut Cx<'_>, args: Args<'_>) -> bool {
    let releases = cx.shared.conditions.releases();
    let row = cx.row;
    if transaction::is_queueing(cx, row) || !meets(cx, row, args) {
        return false;
    }
    if needs_all(cx, row) {
        insist(cx);
    }
    park(cx, releases);
    true
}

/// Whether a command would meet reserved stripes.
fn meets(cx: &Cx<'_>, row: &Row, args: Args<'_>) -> bool {
    if transaction::is_exec(row) {
        return transaction::exec_meets_reserved(cx);
    }
    let mut found = Vec::new();
    let known = keys_of::keys_of(row.command, args, &mut found).is_ok();
    if !known || transaction::is_open(row.command) && !is_script(row) {
        return cx.db.keyspace.has_reserved();
    }
    if found.is_empty() {
        return touches_all(row) && cx.db.keyspace.has_reserved();
    }
    let keys: Vec<Key<'_>> = found.iter().map(|key| Key::new(args.get(key.at))).collect();
    cx.db.meets_reserved(&keys)
}

/// Whether it runs a script, which will ask for further keys when it comes to them.
fn is_script(row: &Row) -> bool {
    row.command.group == super::Group::Scripting
}

/// Whether it waits until nothing at all is reserved, which might never come by itself.
fn needs_all(cx: &Cx<'_>, row: &Row) -> bool {
    touches_all(row) || transaction::is_exec(row) && transaction::needs_all(cx)
}

/// Whether a command that names no keys touches any. Those that write are steps for which one must be
/// alone, while there is a log.
fn touches_all(row: &Row) -> bool {
    row.command.keys.is_empty() && (ALL.contains(&top(row)) || row.command.flags.has(Flags::WRITE))
}

fn top(row: &Row) -> &'static str {
    let parent = row.parent.and_then(|id| super::table().rows.get(usize::from(id)));
    parent.map_or(row.command.name, |parent| parent.command.name)
}

/// Lets the client wait until a script gives stripes back, `releases` having been asked before it was found
/// that it must. The command runs again from its beginning.
pub fn park(cx: &mut Cx<'_>, releases: u64) {
    let still = cx.shared.conditions.await_release(&cx.session.client, releases);
    cx.session.after = if still { After::Await((cx.db.now + LOOK) as u64) } else { After::Retry };
}

/// The same, if somebody has made up his mind to be alone in the keyspace.
pub fn park_a_moment(cx: &mut Cx<'_>) {
    cx.session.after = After::Await((cx.db.now + SOON) as u64);
}

/// A command could not become alone in the keyspace, and has done nothing: its client is told BUSY if a script
/// has passed its time; else it waits a little, and the command runs again.
pub fn again_or_busy(cx: &mut Cx<'_>) -> Result<(), Error> {
    if is_busy(cx) || cx.session.in_exec {
        return Err(scripting::busy(cx));
    }
    park_a_moment(cx);
    Ok(())
}

/// Whether a script has passed `busy-reply-threshold`.
pub fn is_busy(cx: &Cx<'_>) -> bool {
    cx.shared.conditions.bits() & Conditions::BUSY != 0
}

/// The command needs what is reserved, all of it or keys that others keep taking: after some attempts nobody
/// else reserves anything until it had its turn.
pub fn insist(cx: &mut Cx<'_>) {
    cx.session.tries = cx.session.tries.saturating_add(1);
    if cx.session.tries > PATIENCE {
        cx.db.keyspace.close_reservations(cx.db.now + LOOK + LOOK / 10);
    }
}

/// The command has had its turn.
#[inline]
pub fn done(cx: &mut Cx<'_>) {
    if std::mem::take(&mut cx.session.tries) > PATIENCE {
        cx.db.keyspace.open_reservations();
        wake(&cx.shared.conditions, &cx.shared.clients);
    }
}

/// Wakes all who wait.
pub fn wake(conditions: &Conditions, clients: &Registry) {
    for client in conditions.released() {
        clients.tell(&client, Mail::Again(std::sync::Arc::clone(&client)));
    }
}

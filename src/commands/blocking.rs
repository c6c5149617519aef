//! Commands that wait for a key: BLPOP and its kin.
//!
//! A command of this kind is given as a closure that tries to serve it from one key. [`run()`] tries all
//! its keys under their stripes; if there is nothing it puts the client in line ([`crate::db::Waiter`])
//! before it gives the stripes back. From then on the closure is called by whoever changes one of the
//! keys, on that thread, in front of the next in line, until one finds nothing.
//!
//! - **S1** Waiters are served after the command, transaction or script that changed their key, and
//!   before anybody else can come between: [`call`] holds the stripes of what a command names while
//!   there are waiters, as EXEC does anyway.
//! - **S2** A command that did not see its key's first waiter coming (it joined while the command was
//!   on its way) serves it right afterwards, under stripes taken anew. Nobody can have known
//!   the waiter to be in line before that command began.
//! - **S3** To serve a waiter may take further stripes (the destination of BLMOVE). They are taken
//!   with the others, in order; which they are is found out under the stripes of the keys at hand,
//!   and if more are needed all are given back and taken again.

use super::{Args, Cx, Error, Flags, Group, keys_of, run, scripting, transaction, waits};
use crate::db::{Entry, Key, Ready, Reserved, Waiter};
use crate::resp::Reply;
use crate::session::mail::Mail;
use crate::session::pause::Conditions;
use crate::session::{After, Client};
use crate::types::object::Type;
use bytes::Bytes;
use std::sync::Arc;

/// When a wait without an end ends.
pub const FOREVER: u64 = i64::MAX as u64;

/// Tries to serve a command from one key; true if it did, its reply encoded. An error is its reply.
/// It may run in the name of another client: it must look at nothing of the session.
pub type Serve = dyn Fn(&mut Cx<'_>, Key<'_>) -> Result<bool, Error> + Send + Sync;

/// What a command waits for.
pub struct Wait<'w> {
    /// Keys, in the order in which they are tried.
    pub keys: &'w [Key<'w>],
    /// Keys that serving it writes to beside the one that it is served from.
    pub needs: &'w [Key<'w>],
    /// The type that the keys must have. Of lists and sorted sets waiters take elements, so if one
    /// finds nothing the next will not either.
    pub kind: Type,
    /// Until when, Unix milliseconds, or [`FOREVER`].
    pub until: u64,
    /// The reply when the time is over.
    pub nothing: fn(&mut Reply),
    /// How it is served.
    pub serve: Box<Serve>,
}

/// A client in line, as [`Waiter::what`] holds it.
struct Blocked {
    client: Arc<Client>,
    resp3: bool,
    kind: Type,
    serve: Box<Serve>,
}

impl std::fmt::Debug for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocked").field("client", &self.client.id).finish_non_exhaustive()
    }
}

/// A timeout in seconds with fractions, 0 for none, as a time.
pub fn until(seconds: &[u8], now: i64) -> Result<u64, Error> {
    let range = || Error::new("ERR timeout is not a float or out of range");
    let seconds = super::args::float(seconds).ok_or_else(range)?;
    if seconds < 0.0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    let millis = (seconds * 1000.0).ceil();
    if millis >= i64::MAX as f64 {
        return Err(Error::new("ERR timeout is out of range"));
    }
    after(millis as i64, now)
}

/// A timeout in milliseconds, 0 for none, as a time.
pub fn after(millis: i64, now: i64) -> Result<u64, Error> {
    match millis {
        ..0 => Err(Error::new("ERR timeout is negative")),
        0 => Ok(FOREVER),
        // The clock tells whole milliseconds: one more, lest the wait be shorter than asked for.
        _ => match now.checked_add(millis).and_then(|at| at.checked_add(1)) {
            Some(at) => Ok(at as u64),
            None => Err(Error::new("ERR timeout is out of range")),
        },
    }
}

/// Serves a command now, or lets its client wait.
pub fn run(cx: &mut Cx<'_>, wait: Wait<'_>) -> Result<(), Error> {
    if cx.session.in_exec {
        if !try_all(cx, wait.keys, &wait.serve)? {
            (wait.nothing)(cx.reply);
        }
        return Ok(());
    }
    let all: Vec<Key<'_>> = wait.keys.iter().chain(wait.needs).copied().collect();
    let done = in_step(cx, Some(&all), |cx| {
        if try_all(cx, wait.keys, &wait.serve)? {
            return Ok(());
        }
        let client = Arc::clone(&cx.session.client);
        let (resp3, kind, serve) = (cx.reply.resp3, wait.kind, wait.serve);
        let blocked = Blocked { client: Arc::clone(&client), resp3, kind, serve };
        let waiter = Waiter::new(cx.db.db, wait.needs, Box::new(blocked));
        let waiting = cx.db.wait(&cx.shared.keyspace, wait.keys, waiter);
        // It is taken back by a client that finds nobody waiting any more; late is early enough.
        cx.shared.conditions.set(Conditions::AWAITED, true);
        cx.session.waiting = Some(Box::new(waiting));
        (wait.nothing)(cx.reply);
        cx.session.after = After::Park(wait.until);
        Ok(())
    });
    done.unwrap_or_else(|| Err(scripting::busy(cx)))
}

fn try_all(cx: &mut Cx<'_>, keys: &[Key<'_>], serve: &Serve) -> Result<bool, Error> {
    for key in keys {
        if serve(cx, *key)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives back what is held, also when the work panics.
struct Held<'c, 'a>(&'c mut Cx<'a>);

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        self.0.db.let_go();
    }
}

/// Runs `work` as one step for everybody else, under the stripes of `keys` (without them, with nobody
/// else in the keyspace), and serves whom it made ready. What it tells leaves at its end. None, and
/// nothing was done, if somebody else has the keyspace for long.
#[must_use]
pub fn in_step<T>(
    cx: &mut Cx<'_>,
    keys: Option<&[Key<'_>]>,
    work: impl FnOnce(&mut Cx<'_>) -> T,
) -> Option<T> {
    if cx.db.is_in_step() {
        return Some(work(cx)); // whoever began the step serves at its end
    }
    if !seize(cx, keys) {
        return None;
    }
    let held = Held(cx);
    let value = work(held.0);
    serve_held(held.0);
    drop(held);
    Some(value)
}

/// As [`in_step`], for work that may take long and runs its commands between [`crate::db::Access::sit`]
/// and [`crate::db::Access::rest`]: the stripes of `keys` are reserved.
pub fn in_reserved<T>(
    cx: &mut Cx<'_>,
    keys: &[Key<'_>],
    urgent: bool,
    work: impl FnOnce(&mut Cx<'_>) -> T,
) -> Result<T, Reserved> {
    match cx.db.reserve(keys, urgent) {
        Reserved::Held => {}
        other => return Err(other),
    }
    let held = Held(cx);
    held.0.db.rest();
    let value = work(held.0);
    if !held.0.db.is_alone() {
        held.0.db.sit();
    }
    serve_held(held.0);
    drop(held);
    Ok(value)
}

/// Looks at a key for those in line for it.
pub fn look(turn: run::Turn<'_>, ready: Ready) {
    let mut cx = turn.cx();
    cx.db.note_ready(ready);
    serve_all(&mut cx);
}

/// Takes the stripes of `keys`, and whatever serving their waiters needs (S3); without keys the whole
/// keyspace. [`crate::db::Access::let_go`] must follow. False, and nothing is held, if somebody else has
/// the keyspace for long.
#[must_use]
pub fn seize(cx: &mut Cx<'_>, keys: Option<&[Key<'_>]>) -> bool {
    let seized = cx.db.seize(keys);
    let Some(keys) = keys else { return seized };
    let mut more = cx.db.needed_beyond(keys);
    let mut beyond: Vec<Box<[u8]>> = Vec::new();
    while !more.is_empty() {
        beyond.append(&mut more);
        let mut all = keys.to_vec();
        all.extend(beyond.iter().map(|key| Key::new(key)));
        cx.db.let_go();
        let _always = cx.db.seize(Some(&all));
        more = cx.db.needed_beyond(&all);
    }
    true
}

/// Commands run as steps of their own: somebody waits for keys, or wants to hear of them in order.
const IN_STEPS: u32 = Conditions::AWAITED | Conditions::NOTIFIED;

/// Runs the command `cx.row`, as [`super::call`] does, and serves whom it made ready (S1, S2).
#[inline]
pub fn call(cx: &mut Cx<'_>, args: Args<'_>) {
    let bits = cx.shared.conditions.bits() & IN_STEPS;
    if (bits != 0 || cx.db.logs()) && !cx.db.is_in_step() {
        whole(cx, args, bits);
    } else {
        super::call(cx, args);
    }
    if cx.db.has_ready() {
        serve_all(cx);
    }
}

/// Whether anybody still waits for any key.
fn is_anybody_there(cx: &Cx<'_>) -> bool {
    let (keyspace, conditions) = (&cx.shared.keyspace, &cx.shared.conditions);
    if !keyspace.has_waiters() {
        conditions.set(Conditions::AWAITED, false);
        if !keyspace.has_waiters() {
            return false;
        }
        conditions.set(Conditions::AWAITED, true); // one came meanwhile
    }
    true
}

/// Runs a command that writes as one step over the keys that it names, if that is asked for.
#[cold]
fn whole(cx: &mut Cx<'_>, args: Args<'_>, bits: u32) {
    let logs = cx.db.logs();
    let told = bits & Conditions::NOTIFIED != 0 || logs;
    let awaited = bits & Conditions::AWAITED != 0 && is_anybody_there(cx);
    let command = cx.row.command;
    // PFCOUNT counts as reading, and may write what it found out.
    let writes =
        command.flags.any(Flags::WRITE.and(Flags::MAY_REPLICATE)) && !is_step_of_its_own(cx);
    if !writes || !(told || awaited) {
        return super::call(cx, args);
    }
    let mut found = Vec::new();
    let understood = keys_of::keys_of(command, args, &mut found).is_ok();
    let known = understood && !found.is_empty();
    let keys: Vec<Key<'_>> = found.iter().map(|key| Key::new(args.get(key.at))).collect();
    let everything = understood && found.is_empty() && logs;
    let done = if transaction::is_open(command) && told || everything {
        in_step(cx, None, |cx| super::call(cx, args))
    } else if known && (told || keys.iter().any(|key| cx.db.may_interest(key.hash))) {
        in_step(cx, Some(&keys), |cx| super::call(cx, args))
    } else {
        super::call(cx, args); // whole databases, an error, or nobody is interested
        Some(())
    };
    if done.is_none()
        && let Err(busy) = waits::again_or_busy(cx)
    {
        cx.reply.error(busy.text());
    }
}

/// Whether a command takes what it needs by itself, and makes steps of the commands that it runs.
fn is_step_of_its_own(cx: &Cx<'_>) -> bool {
    matches!(cx.row.command.group, Group::Scripting | Group::Pubsub)
        && !cx.row.command.flags.has(Flags::WRITE)
}

/// Serves whom this thread made ready, under stripes of its own.
#[cold]
pub fn serve_all(cx: &mut Cx<'_>) {
    while !cx.db.is_in_step()
        && let Some(ready) = cx.db.next_ready()
    {
        let key = ready.key.clone();
        let _always = in_step(cx, Some(&[Key::new(&key)]), |cx| {
            cx.db.note_ready(ready);
        });
    }
}

/// Serves whom this thread made ready, within the step that did. What would need more stripes than
/// are held stays for [`serve_all`].
pub fn serve_held(cx: &mut Cx<'_>) {
    cx.db.record(); // what served them is not part of what they get
    let mut later = Vec::new();
    while let Some(ready) = cx.db.next_ready() {
        if !serve_key(cx, &ready) {
            later.push(ready);
        }
    }
    later.into_iter().for_each(|ready| cx.db.note_ready(ready));
}

/// Serves those in line for a key; false if that needs more stripes than are held.
fn serve_key(cx: &mut Cx<'_>, ready: &Ready) -> bool {
    let key = Key::new(&ready.key);
    let mut nth = 0;
    let mut empty: Vec<Type> = Vec::new();
    while let Some(waiter) = cx.db.waiter(ready.db, key, nth) {
        let Some(blocked) = waiter.what.downcast_ref::<Blocked>() else {
            nth += 1;
            continue;
        };
        if empty.contains(&blocked.kind) {
            nth += 1;
            continue;
        }
        if !cx.db.holds_needs(&waiter) {
            return false;
        }
        if !waiter.claim() {
            cx.db.unqueue(ready.db, key, nth); // it will leave the other lines itself
            continue;
        }
        match serve_one(cx, blocked, (ready.db, key)) {
            Some(reply) => {
                waiter.served();
                cx.db.unqueue(ready.db, key, nth);
                let mail = Mail::Served(Arc::clone(&blocked.client), reply);
                cx.shared.clients.tell(&blocked.client, mail);
            }
            None => {
                waiter.unclaim();
                if blocked.kind != Type::Stream {
                    empty.push(blocked.kind);
                }
                nth += 1;
            }
        }
    }
    true
}

/// Tries to serve a client from one key; its reply.
fn serve_one(cx: &mut Cx<'_>, blocked: &Blocked, (db, key): (usize, Key<'_>)) -> Option<Bytes> {
    // Whoever waits for a list goes on waiting when the key becomes something else.
    let found = cx.db.peek_in(db, key).map(Entry::type_of);
    if blocked.kind != Type::Stream && found != Some(blocked.kind) {
        return None;
    }
    let fresh = Reply::of_protocol(blocked.resp3);
    let own = (std::mem::replace(cx.reply, fresh), std::mem::replace(&mut cx.db.db, db));
    let outcome = (blocked.serve)(cx, key);
    cx.db.served();
    let mut reply = std::mem::replace(cx.reply, own.0);
    cx.db.db = own.1;
    match outcome {
        Ok(false) => return None,
        Ok(true) => {}
        Err(error) => {
            reply.clear();
            reply.error(error.text());
        }
    }
    Some(reply.into_bytes())
}

/// For a thread that serves no clients: leaves the keys that it changed to the workers of those in
/// line.
pub fn forward(access: &mut crate::db::Access<'_>, clients: &crate::session::Registry) {
    while let Some(ready) = access.next_ready() {
        let key = Key::new(&ready.key);
        let first = access.hold(&[key], |access| access.waiter(ready.db, key, 0));
        if let Some(blocked) = first.as_ref().and_then(|first| first.what.downcast_ref::<Blocked>())
        {
            let client = Arc::clone(&blocked.client);
            clients.tell(&blocked.client, Mail::Ready(client, ready.clone()));
        }
    }
}

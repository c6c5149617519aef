//! Running a batch: what stands between the parser and [`call`].
//!
//! Three passes over at most 64 requests. The first finds rows, the second asks for the memory that
//! the keys will need, the third runs the requests in order. A command that runs in slices
//! ([`After::Retry`]) is shown, counted and timed as one.
//!
//! `admit` holds what must be true before a command may run, `timing` how its time is counted.

use super::admit::{Refusal, admit, listens};
use super::ahead::{self, Ahead};
use super::client::tracking;
use super::timing::{self, Group};
use super::{
    Args, Cx, Error, Flags, Local, Row, Shared, blocking, call, config, event, invoke, keys_of,
    table, transaction, waits,
};
use crate::db::{Access, Key};
use crate::mem;
use crate::metrics::Worker;
use crate::resp::Reply;
use crate::resp::request::{Batch, MAX_REQUESTS};
use crate::session::pause::Conditions;
use crate::session::{After, Gates, ReplyMode, Session};
use crate::sync::Ordering;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Requests of at least this many bytes are timed by themselves.
const LARGE_REQUEST: u32 = 4 * 1024;

/// From this many requests on, asking for entries ahead pays.
const PREFETCH_FROM: usize = 4;

/// What a batch runs with.
pub struct Turn<'a> {
    /// The server.
    pub shared: &'a Shared,
    /// The worker.
    pub local: &'a mut Local,
    /// The keyspace.
    pub db: Access<'a>,
    /// Where replies go.
    pub reply: &'a mut Reply,
    /// The client.
    pub session: &'a mut Session,
    /// To be called now and then by what runs for long: serves the worker's other clients.
    pub meanwhile: Option<&'a mut dyn FnMut()>,
}

impl<'a> Turn<'a> {
    /// The same for a handler; its row is to be set.
    pub fn cx(self) -> Cx<'a> {
        let Self { shared, local, db, reply, session, meanwhile } = self;
        Cx { db, reply, session, shared, local, row: &table().rows[0], hash: 0, meanwhile }
    }
}

/// Runs the requests of `batch` from number `from` on, in order. Returns how many are done: fewer
/// than there are when `session.after` says so.
pub fn run_batch(mut turn: Turn<'_>, batch: &Batch, input: &[u8], from: usize) -> usize {
    let end = batch.reqs.len().min(from + MAX_REQUESTS);
    let db = &mut turn.db;
    let (mut plans, mut asks) = ([Plan::default(); MAX_REQUESTS], false);
    for (plan, i) in plans.iter_mut().zip(from..end) {
        *plan = Plan::of(batch.args(i, input), db);
        asks |= plan.beyond != Ahead::Nothing;
    }
    if end - from >= PREFETCH_FROM {
        plans.iter().filter(|plan| plan.keyed).for_each(|plan| db.prefetch_entry(plan.hash));
        if asks {
            ahead::ask(&plans[..end - from], db, |i| batch.args(from + i, input));
        }
    }
    let short = is_short(turn.local, end - from);
    let mut cx = turn.cx();
    let stats = cx.shared.metrics.worker(cx.local.worker);
    let mut group = Group::start(stats, cx.local.config.latency_tracking);
    let mut done = from;
    for (plan, i) in plans.iter().zip(from..end) {
        let args = batch.args(i, input);
        let begin = if i == 0 { 0 } else { batch.reqs[i - 1].end_offset };
        let small = batch.reqs[i].end_offset.saturating_sub(begin) < LARGE_REQUEST;
        let mut conditions = cx.shared.conditions.bits();
        if conditions & !OTHERS == 0 && conditions != 0 && is_undisturbed(&cx.db, plan, conditions)
        {
            conditions = 0;
        }
        let outside = u32::from(cx.db.local.outside);
        let gates = cx.session.gates & !Gates::PASSIVE | conditions | short | outside;
        match plan.row {
            Some(row)
                if gates == 0 && small && is_quick(row, args) && cx.session.resume.is_none() =>
            {
                (cx.row, cx.hash) = (row, plan.hash);
                if cx.db.logs() && row.command.flags.has(Flags::WRITE) {
                    logged(&mut cx, args);
                } else {
                    invoke(&mut cx, args);
                }
                if cx.session.resume.is_none() {
                    group.add(row); // else its last slice will count
                }
                if cx.db.has_ready() {
                    blocking::serve_all(&mut cx);
                }
            }
            row => {
                if let Some(last) = i.checked_sub(1) {
                    group.finish(batch.args(last, input), &cx);
                }
                one(&mut cx, row, args, &mut group);
            }
        }
        if cx.session.after != After::Continue {
            let again = matches!(cx.session.after, After::Retry | After::Await(_) | After::Paused);
            done = i + usize::from(!again);
            break;
        }
        done = i + 1;
    }
    if let Some(last) = done.checked_sub(1) {
        group.finish(batch.args(last, input), &cx);
    }
    if cx.db.has_ready() {
        blocking::serve_all(&mut cx); // what was evicted for a command that was refused
    }
    publish(&cx);
    done
}

/// What the first pass finds out about a request.
#[derive(Clone, Copy, Default)]
pub struct Plan {
    /// Its row, if there is one.
    pub row: Option<&'static Row>,
    /// Hash of its first key.
    pub hash: u64,
    /// `hash` is that of a key.
    keyed: bool,
    /// What to ask for beyond that.
    pub beyond: Ahead,
}

impl Plan {
    #[inline(always)]
    fn of(args: Args<'_>, db: &Access<'_>) -> Self {
        let row = table().find(args.get(0));
        let first_key = row.map_or(0, |row| usize::from(row.ahead));
        if first_key == 0 || first_key >= args.len() || db.local.outside {
            return Self { row, ..Self::default() };
        }
        let hash = Key::new(args.get(first_key)).hash;
        db.prefetch(hash);
        Self { row, hash, keyed: true, beyond: row.map_or(Ahead::Nothing, |row| row.beyond) }
    }
}

/// Whether `requests` small commands might pass `maxmemory`: then each is looked at. Not 0 if so.
fn is_short(local: &Local, requests: usize) -> u32 {
    let limit = local.config.maxmemory;
    let ahead = LARGE_REQUEST as usize * requests;
    u32::from(limit > 0 && (mem::used() + ahead) as u64 > limit)
}

/// Conditions that concern only commands on certain keys.
const OTHERS: u32 = Conditions::AWAITED | Conditions::RESERVED;

/// Whether a command changes no key that a client waits for, and touches none that a script holds for
/// long, as far as can be told at a glance.
#[cold]
fn is_undisturbed(db: &Access<'_>, plan: &Plan, conditions: u32) -> bool {
    plan.row.is_some_and(|row| {
        let (first, last, _) = keys_of::classic(row.command.keys);
        let one = row.first_key != 0 && plan.keyed && first == last && row.command.keys.len() == 1;
        let awaited = conditions & Conditions::AWAITED != 0 && row.command.flags.has(Flags::WRITE);
        let reserved = conditions & Conditions::RESERVED != 0;
        let free = || !db.is_reserved(plan.hash) && !transaction::is_open(row.command);
        (!awaited || one && !db.may_interest(plan.hash)) && (!reserved || one && free())
    })
}

/// A quick command whose effect the log wants.
fn logged(cx: &mut Cx<'_>, args: Args<'_>) {
    if cx.row.command.is_one_write(args.len()) {
        cx.db.propose(args);
        invoke(cx, args);
        cx.db.withdraw();
    } else {
        blocking::call(cx, args);
    }
}

/// Whether a command may run with nothing but an arity check, timed with its neighbours.
#[inline(always)]
fn is_quick(row: &Row, args: Args<'_>) -> bool {
    row.quick && row.command.takes(args.len())
}

/// Tells other threads what this client did.
fn publish(cx: &Cx<'_>) {
    let view = &cx.session.client.view;
    view.row.store(u32::from(cx.row.id), Ordering::Relaxed);
    view.db.store(u32::from(cx.session.db), Ordering::Relaxed);
    view.resp.store(if cx.session.resp3 { 3 } else { 2 }, Ordering::Relaxed);
}

/// A command by itself: all gates, its own time, CLIENT REPLY, MONITOR.
#[cold]
fn one(cx: &mut Cx<'_>, row: Option<&'static Row>, args: Args<'_>, group: &mut Group<'_>) {
    if cx.shared.conditions.bits() & Conditions::CROWDED != 0 {
        tracking::limit(cx);
    }
    let admitted = admit(cx, row, args);
    tracking::flush(cx); // what had to go for the command precedes its reply
    let mark = cx.reply.mark();
    if cx.session.reply_mode == ReplyMode::SkipNext {
        cx.session.reply_mode = ReplyMode::Skip;
    }
    let waits = match admitted {
        Ok(()) if transaction::is_queueing(cx, cx.row) => {
            transaction::queue(cx, args);
            false
        }
        Ok(()) => {
            aim(cx, args);
            cx.session.reply_from = cx.reply.bytes.len();
            cx.session.unblockable = cx.row.command.flags.any(Flags::BLOCKING.and(Flags::WAITS));
            publish(cx);
            if cx.session.resume.is_none() {
                monitor(cx, args); // later slices of a command were shown with the first
            }
            group.restart();
            blocking::call(cx, args);
            event::heard_by_itself(cx);
            let again = matches!(cx.session.after, After::Retry | After::Await(_));
            if again {
                cx.session.spent += group.since.elapsed();
            } else {
                cx.session.resume = None;
                waits::done(cx);
                group.backdate(std::mem::take(&mut cx.local.waited));
                group.backdate(std::mem::take(&mut cx.session.spent));
                if cx.session.waiting.is_some() {
                    cx.session.uncounted = Some(group.put_off(args, cx));
                } else {
                    group.alone(args, cx);
                }
            }
            again
        }
        Err(Refusal::Wait) => true,
        Err(Refusal::Say(error)) => {
            waits::done(cx);
            cx.session.resume = None;
            cx.session.spent = Duration::ZERO;
            refuse(cx, row, &error);
            false
        }
    };
    match cx.session.reply_mode {
        ReplyMode::On => {}
        // What they say are messages, which CLIENT REPLY does not hold back.
        _ if listens(cx.row) && row.is_some() => {}
        ReplyMode::Off | ReplyMode::SkipNext => cx.reply.cut(mark),
        ReplyMode::Skip if waits => cx.session.reply_mode = ReplyMode::SkipNext,
        ReplyMode::Skip => {
            cx.reply.cut(mark);
            cx.session.reply_mode = ReplyMode::On;
            cx.session.gate(Gates::REPLY, false);
        }
    }
    if waits {
        tracking::keep(cx);
    } else {
        tracking::flush(cx);
        if cx.session.has(Gates::TRACKING) {
            tracking::after_command(cx, args);
        }
    }
}

/// Runs one of EXEC's commands to its end. Returns what it asks of the connection.
pub fn queued(cx: &mut Cx<'_>, row: &'static Row, args: Args<'_>) -> After {
    cx.row = row;
    aim(cx, args);
    publish(cx);
    monitor(cx, args);
    to_its_end(cx, args)
}

/// Runs a command of a script to its end. Returns what it asks of the connection.
pub fn scripted(cx: &mut Cx<'_>, row: &'static Row, args: Args<'_>) -> After {
    cx.row = row;
    aim(cx, args);
    if cx.shared.conditions.bits() & Conditions::MONITORED != 0 && is_shown(row) {
        show_as(cx, "lua", args);
    }
    to_its_end(cx, args)
}

/// Runs `cx.row` until it has replied: nobody else may have a turn.
fn to_its_end(cx: &mut Cx<'_>, args: Args<'_>) -> After {
    let since = Instant::now();
    let after = loop {
        call(cx, args);
        match std::mem::take(&mut cx.session.after) {
            After::Retry | After::Await(_) => {}
            after => break after,
        }
    };
    cx.session.resume = None;
    let took = since.elapsed() + std::mem::take(&mut cx.local.waited);
    timing::ran(cx, args, took);
    after
}

/// Hashes the first key for `cx.row`.
pub fn aim(cx: &mut Cx<'_>, args: Args<'_>) {
    let key = usize::from(cx.row.first_key);
    cx.hash = if key == 0 { 0 } else { args.opt(key).map_or(0, |key| Key::new(key).hash) };
}

#[cold]
fn refuse(cx: &mut Cx<'_>, row: Option<&Row>, error: &Error) {
    let aborted = transaction::refused(cx, row, error);
    let error = aborted.as_ref().unwrap_or(error);
    cx.reply.error(error.text());
    let stats = worker(cx);
    stats.error(&error.text());
    if row.is_some() {
        stats.rejected(cx.row.id);
    }
}

/// The present worker's cells.
pub fn worker<'a>(cx: &Cx<'a>) -> &'a Worker {
    cx.shared.metrics.worker(cx.local.worker)
}

/// Shows the command to clients that MONITOR. Commands with the flag SKIP_MONITOR run others and
/// show themselves, before those.
fn monitor(cx: &Cx<'_>, args: Args<'_>) {
    if cx.shared.conditions.bits() & Conditions::MONITORED != 0 && is_shown(cx.row) {
        show(cx, args);
    }
}

fn is_shown(row: &Row) -> bool {
    let others = Flags::SKIP_MONITOR.and(Flags::SHOWS_ITSELF);
    !row.command.flags.any(Flags::ADMIN.and(others))
}

/// Shows `args` to clients that MONITOR, secrets left out.
pub fn show(cx: &Cx<'_>, args: Args<'_>) {
    let client = &cx.session.client;
    let peer = if client.origin.unix {
        format!("unix:{}", client.origin.local)
    } else {
        client.origin.peer.clone()
    };
    show_as(cx, &peer, args);
}

/// Shows `args` as a command of `peer`.
pub fn show_as(cx: &Cx<'_>, peer: &str, args: Args<'_>) {
    let line = super::monitor::line(cx.session.db, peer, secrets_out(cx.row, args));
    cx.shared.clients.show_monitors(Bytes::from(line));
}

/// Arguments with those that must not be shown replaced.
pub fn secrets_out<'a>(
    row: &'static Row,
    args: Args<'a>,
) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
    let secrets: Vec<usize> = match row.command.name {
        "auth" => (1..args.len()).collect(),
        "hello" => {
            let auth = (2..args.len()).find(|i| args.is(*i, "AUTH"));
            auth.map_or_else(Vec::new, |at| vec![at + 1, at + 2])
        }
        "migrate" => super::migrate::secrets(args),
        "set" if row.parent.is_some() => config::secrets(args).collect(),
        _ => Vec::new(),
    };
    args.iter().enumerate().map(
        move |(i, arg)| {
            if secrets.contains(&i) { b"(redacted)".as_slice() } else { arg }
        },
    )
}

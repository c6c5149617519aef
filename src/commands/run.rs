//! Running a batch: what stands between the parser and [`call`].
//!
//! Three passes over at most 64 requests. The first finds rows, the second asks for the memory that
//! the keys will need, the third runs the requests in order. What must hold before a command may
//! run is written down once, in [`admit`], in the order in which Redis' clients see it refused:
//! unknown command, arity, authentication, pause, memory.
//!
//! Time costs two clock readings per group, not per command: a group is a row of commands that are
//! fast by declaration and small; they share their time evenly. Whatever is not fast, has large
//! arguments or stands alone is timed by itself, so the slow log misses nothing that is slow. A
//! command that runs in slices ([`After::Retry`]) is shown, counted and timed as one.

use super::ahead::{self, Ahead};
use super::client::tracking;
use super::{
    Args, Cx, Error, Flags, Local, Row, Shared, blocking, call, config, event, invoke, keys_of,
    room, scripting, table, transaction,
};
use crate::db::{Access, Key};
use crate::mem;
use crate::metrics::{SlowLog, Stat, Worker, slowlog::SlowEntry};
use crate::resp::Reply;
use crate::resp::request::{Batch, MAX_REQUESTS};
use crate::session::pause::{Conditions, PauseKind};
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
pub fn run_batch(turn: Turn<'_>, batch: &Batch, input: &[u8], from: usize) -> usize {
    let end = batch.reqs.len().min(from + MAX_REQUESTS);
    let db = &turn.db;
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
        if conditions == Conditions::AWAITED && is_unawaited(&cx.db, plan) {
            conditions = 0;
        }
        let outside = u32::from(cx.db.local.outside);
        let gates = cx.session.gates & !Gates::PASSIVE | conditions | short | outside;
        match plan.row {
            Some(row)
                if gates == 0 && small && is_quick(row, args) && cx.session.resume.is_none() =>
            {
                (cx.row, cx.hash) = (row, plan.hash);
                invoke(&mut cx, args);
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

/// Whether a command changes no key that a client waits for, as far as can be told at a glance.
#[cold]
fn is_unawaited(db: &Access<'_>, plan: &Plan) -> bool {
    plan.row.is_some_and(|row| {
        let (first, last, _) = keys_of::classic(row.command.keys);
        let one = row.first_key != 0 && plan.keyed && first == last && row.command.keys.len() == 1;
        !row.command.flags.has(Flags::WRITE) || one && !db.may_interest(plan.hash)
    })
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
            (cx.session.resume, cx.session.spent) = (None, Duration::ZERO);
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
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let stats = worker(cx);
    stats.ran(cx.row.id, 1, nanos, cx.local.config.latency_tracking);
    stats.add(Stat::Commands, 1);
    stats.add(Stat::CommandNanos, nanos);
    slow(cx, args, nanos / 1_000);
    after
}

/// Hashes the first key for `cx.row`.
fn aim(cx: &mut Cx<'_>, args: Args<'_>) {
    let key = usize::from(cx.row.first_key);
    cx.hash = if key == 0 { 0 } else { args.opt(key).map_or(0, |key| Key::new(key).hash) };
}

/// Why a command does not run now.
enum Refusal {
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
fn admit(cx: &mut Cx<'_>, row: Option<&'static Row>, args: Args<'_>) -> Result<(), Refusal> {
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
    if is_paused(cx, flags, args) {
        cx.session.after = After::Paused;
        return Err(Refusal::Wait);
    }
    Ok(())
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
fn listens(row: &Row) -> bool {
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
fn secrets_out<'a>(
    row: &'static Row,
    args: Args<'a>,
) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
    let secrets: Vec<usize> = match row.command.name {
        "auth" => (1..args.len()).collect(),
        "hello" => {
            let auth = (2..args.len()).find(|i| args.is(*i, "AUTH"));
            auth.map_or_else(Vec::new, |at| vec![at + 1, at + 2])
        }
        "set" if row.parent.is_some() => config::secrets(args).collect(),
        _ => Vec::new(),
    };
    args.iter().enumerate().map(
        move |(i, arg)| {
            if secrets.contains(&i) { b"(redacted)".as_slice() } else { arg }
        },
    )
}

/// Commands that share their time.
struct Group<'a> {
    stats: &'a Worker,
    spread: bool,
    since: Instant,
    /// Rows in the order they ran, equal neighbours counted.
    runs: [(u16, u16); MAX_REQUESTS],
    len: usize,
    commands: u64,
}

impl<'a> Group<'a> {
    fn start(stats: &'a Worker, spread: bool) -> Self {
        let runs = [(0, 0); MAX_REQUESTS];
        Self { stats, spread, since: Instant::now(), runs, len: 0, commands: 0 }
    }

    /// One more command ran. There are never more than `runs` has room for.
    #[inline(always)]
    fn add(&mut self, row: &'static Row) {
        self.commands += 1;
        if let Some((id, n)) = self.runs.get_mut(self.len.wrapping_sub(1))
            && *id == row.id
        {
            *n += 1;
        } else if let Some(run) = self.runs.get_mut(self.len) {
            *run = (row.id, 1);
            self.len += 1;
        }
    }

    fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// Counts `waited` as if the command had run that much longer.
    fn backdate(&mut self, waited: Duration) {
        self.since = self.since.checked_sub(waited).unwrap_or(self.since);
    }

    /// Shares out the time since the group began, and begins the next.
    fn finish(&mut self, last: Args<'_>, cx: &Cx<'_>) {
        if self.commands == 0 {
            return;
        }
        let now = Instant::now();
        let nanos = u64::try_from((now - self.since).as_nanos()).unwrap_or(u64::MAX);
        self.since = now;
        let each = nanos / self.commands;
        for &(id, n) in &self.runs[..self.len] {
            self.stats.ran(id, u64::from(n), each * u64::from(n), self.spread);
        }
        self.stats.add(Stat::Commands, self.commands);
        self.stats.add(Stat::CommandNanos, nanos);
        if self.commands == 1 {
            slow(cx, last, nanos / 1_000);
        }
        (self.len, self.commands) = (0, 0);
    }

    /// As [`Group::alone`], of a command that waits now: most is counted when it has waited.
    fn put_off(&mut self, args: Args<'_>, cx: &Cx<'_>) -> Box<Uncounted> {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.stats.add(Stat::Commands, 1);
        self.stats.add(Stat::CommandNanos, nanos);
        let slow = slow_entry(cx, args, nanos / 1_000);
        Box::new(Uncounted { row: cx.row.id, nanos, slow })
    }

    /// The command `cx.row` ran alone since [`Group::restart`].
    fn alone(&mut self, args: Args<'_>, cx: &Cx<'_>) {
        (self.runs[0], self.len, self.commands) = ((cx.row.id, 1), 1, 1);
        self.finish(args, cx);
    }
}

/// A command that waits, which counts when its reply is there.
struct Uncounted {
    row: u16,
    nanos: u64,
    slow: Option<SlowEntry>,
}

/// Counts the command for which `session` waited until now, and which got this `reply`.
pub fn count_waited(shared: &Shared, local: &Local, session: &mut Session, reply: &[u8]) {
    let Some(waited) = session.uncounted.take().and_then(|any| any.downcast::<Uncounted>().ok())
    else {
        return;
    };
    let stats = shared.metrics.worker(local.worker);
    stats.ran(waited.row, 1, waited.nanos, local.config.latency_tracking);
    if let Some(error) = reply.strip_prefix(b"-") {
        stats.failed(waited.row);
        stats.error(error.trim_ascii_end());
    }
    if let Some(entry) = waited.slow {
        shared.metrics.slowlog.add(entry, local.config.slowlog_max_len);
    }
}

/// Notes a command that took `micros`, if that is long by the configuration.
fn slow(cx: &Cx<'_>, args: Args<'_>, micros: u64) {
    let config = &cx.local.config;
    if let Some(entry) = slow_entry(cx, args, micros) {
        cx.shared.metrics.slowlog.add(entry, config.slowlog_max_len);
    }
    let flags = cx.row.command.flags;
    let threshold = u64::try_from(config.latency_monitor_threshold).unwrap_or(0);
    if threshold > 0 && micros / 1_000 >= threshold {
        let event = if flags.has(Flags::FAST) { "fast-command" } else { "command" };
        cx.shared.metrics.latency.add(event, cx.db.now / 1_000, micros / 1_000);
    }
}

/// What the slow log shall say of a command that took `micros`, if that is long enough for it.
fn slow_entry(cx: &Cx<'_>, args: Args<'_>, micros: u64) -> Option<SlowEntry> {
    let limit = u64::try_from(cx.local.config.slowlog_log_slower_than).ok()?;
    if micros < limit || cx.row.command.flags.has(Flags::SKIP_SLOWLOG) {
        return None;
    }
    let client = &cx.session.client;
    Some(SlowEntry {
        id: 0,
        at: cx.db.now / 1_000,
        micros,
        args: SlowLog::cut(secrets_out(cx.row, args)),
        peer: client.origin.peer.clone(),
        name: client.name(),
    })
}

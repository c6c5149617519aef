//! How long commands took: for statistics, the slow log and the latency monitor.
//!
//! Time costs two clock readings per group, not per command: a group is a row of commands that are
//! fast by declaration and small; they share their time evenly. Whatever is not fast, has large
//! arguments or stands alone is timed by itself, so the slow log misses nothing that is slow. A command
//! that had to wait counts when its reply is there.

use super::run::{secrets_out, worker};
use super::{Args, Cx, Flags, Local, Row, Shared};
use crate::metrics::{SlowLog, Stat, Worker, slowlog::SlowEntry};
use crate::resp::request::MAX_REQUESTS;
use crate::session::Session;
use std::time::{Duration, Instant};

/// Commands that share their time.
pub struct Group<'a> {
    stats: &'a Worker,
    spread: bool,
    /// When the first of them began.
    pub since: Instant,
    /// Rows in the order they ran, equal neighbours counted.
    runs: [(u16, u16); MAX_REQUESTS],
    len: usize,
    commands: u64,
}

impl<'a> Group<'a> {
    /// A group begins.
    pub fn start(stats: &'a Worker, spread: bool) -> Self {
        let runs = [(0, 0); MAX_REQUESTS];
        Self { stats, spread, since: Instant::now(), runs, len: 0, commands: 0 }
    }

    /// One more command ran. There are never more than `runs` has room for.
    #[inline(always)]
    pub fn add(&mut self, row: &'static Row) {
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

    /// It begins anew.
    pub fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// Counts `waited` as if the command had run that much longer.
    pub fn backdate(&mut self, waited: Duration) {
        self.since = self.since.checked_sub(waited).unwrap_or(self.since);
    }

    /// Shares out the time since the group began, and begins the next.
    pub fn finish(&mut self, last: Args<'_>, cx: &Cx<'_>) {
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
    pub fn put_off(&mut self, args: Args<'_>, cx: &Cx<'_>) -> Box<Uncounted> {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.stats.add(Stat::Commands, 1);
        self.stats.add(Stat::CommandNanos, nanos);
        let slow = slow_entry(cx, args, nanos / 1_000);
        Box::new(Uncounted { row: cx.row.id, nanos, slow })
    }

    /// The command `cx.row` ran alone since [`Group::restart`].
    pub fn alone(&mut self, args: Args<'_>, cx: &Cx<'_>) {
        (self.runs[0], self.len, self.commands) = ((cx.row.id, 1), 1, 1);
        self.finish(args, cx);
    }
}

/// The command `cx.row` ran alone and took so long.
pub fn ran(cx: &Cx<'_>, args: Args<'_>, took: Duration) {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let stats = worker(cx);
    stats.ran(cx.row.id, 1, nanos, cx.local.config.latency_tracking);
    stats.add(Stat::Commands, 1);
    stats.add(Stat::CommandNanos, nanos);
    slow(cx, args, nanos / 1_000);
}

/// A command that waits, which counts when its reply is there.
pub struct Uncounted {
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

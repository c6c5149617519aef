//! The world as a running script sees it: commands by `redis.call`, and when it must end.

use super::super::table::table;
use super::super::{Args, Cx, Flags, Row};
use super::super::{keys_of, run, transaction};
use super::catalog::{About, Seat};
use crate::db::Key;
use crate::resp::Reply;
use crate::script::Host;
use crate::session::pause::Conditions;
use crate::session::{After, multi};
use std::time::{Duration, Instant};

/// Commands between two looks at the clock.
const CALLS_PER_LOOK: u32 = 256;

/// What may be done by what runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// It may not write.
    pub read_only: bool,
    /// Memory is short, and it did not say that it may run then.
    pub short: bool,
    /// It is a function.
    pub function: bool,
}

/// See the module. `cx.reply` is the scratch that the script's commands reply to.
pub struct Runner<'c, 'a> {
    cx: &'c mut Cx<'a>,
    limits: Limits,
    about: &'c dyn Fn() -> About,
    /// What the commands that ran ask of the connection.
    pub after: After,
    began: Option<Instant>,
    calls: u32,
    busy: bool,
    wrote: bool,
    /// Nobody else is in the keyspace, so any key may be touched. If not, those whose stripes are held.
    alone: bool,
    found: Vec<keys_of::Key>,
}

impl<'c, 'a> Runner<'c, 'a> {
    /// For what runs with `cx` from now on.
    pub fn new(cx: &'c mut Cx<'a>, limits: Limits, about: &'c dyn Fn() -> About) -> Self {
        let alone = cx.db.is_alone();
        Self {
            cx,
            limits,
            alone,
            found: Vec::new(),
            about,
            after: After::Continue,
            began: None,
            calls: 0,
            busy: false,
            wrote: false,
        }
    }

    fn seat(&self) -> Option<&'a Seat> {
        self.cx.shared.catalog.seat(self.cx.local.worker)
    }

    /// The row of a command that a script may run now.
    fn admit(&mut self, args: Args<'_>) -> Result<&'static Row, Vec<u8>> {
        let error = |text: &str| Err(text.as_bytes().to_vec());
        let Some(row) = find(args) else {
            return error("ERR Unknown Redis command called from script");
        };
        self.check(row, args).map(|()| row).inspect_err(|_| {
            run::worker(self.cx).rejected(row.id);
        })
    }

    fn check(&mut self, row: &'static Row, args: Args<'_>) -> Result<(), Vec<u8>> {
        let error = |text: &str| Err(text.as_bytes().to_vec());
        let flags = row.command.flags;
        if !row.command.takes(args.len()) {
            return error("ERR Wrong number of args calling Redis command from script");
        }
        if flags.has(Flags::NOSCRIPT) && !self.cx.shared.switches.scripts_may_all() {
            return error("ERR This Redis command is not allowed from script");
        }
        if !self.alone && !self.holds(row, args) {
            // What is tame does not come here; the guess was wrong, and nothing was touched.
            tracing::error!("A script was taken for one that touches only keys that it declares");
            return error("ERR Script attempted to access a key that it did not declare");
        }
        let writes = flags.any(Flags::WRITE.and(Flags::MAY_REPLICATE));
        if self.limits.read_only && writes {
            return error("ERR Write commands are not allowed from read-only scripts.");
        }
        // What has begun to write is let finish.
        if self.limits.short && flags.has(Flags::DENYOOM) && !self.wrote {
            return error("OOM command not allowed when used memory > 'maxmemory'.");
        }
        if flags.has(Flags::WRITE) && !self.wrote {
            self.wrote = true;
            if self.busy && self.seat().is_some_and(|seat| !seat.set_wrote()) {
                return error("ERR Script killed by user with SCRIPT KILL.");
            }
        }
        Ok(())
    }

    /// Whether all keys that a command touches are held.
    fn holds(&mut self, row: &'static Row, args: Args<'_>) -> bool {
        transaction::names_its_keys(row, args, &mut self.found)
            && self.found.iter().all(|key| self.cx.db.holds(Key::new(args.get(key.at)).hash))
    }

    /// It has run for so long that others are told so.
    fn become_busy(&mut self, elapsed: Duration) {
        self.busy = true;
        let since = self.cx.shared.keyspace.clock.tick() - elapsed.as_millis() as i64;
        if let Some(seat) = self.seat() {
            seat.set_busy(self.limits.function, self.wrote, since, (self.about)());
            self.cx.shared.conditions.set(Conditions::BUSY, true);
            self.cx.shared.keyspace.gate.set_lasting();
        }
        tracing::warn!(
            "Slow script detected: still in execution after {} milliseconds. You can try killing \
             the script using the {} KILL command.",
            elapsed.as_millis(),
            if self.limits.function { "FUNCTION" } else { "SCRIPT" }
        );
    }
}

/// The row of a command or subcommand.
fn find(args: Args<'_>) -> Option<&'static Row> {
    let row = table().find(args.get(0))?;
    if row.command.subcommands.is_empty() || args.len() < 2 {
        return Some(row);
    }
    table().subcommand(row, args.get(1))
}

impl Host for Runner<'_, '_> {
    fn call(&mut self, args: Args<'_>) -> Result<&mut Reply, Vec<u8>> {
        let row = self.admit(args).inspect_err(|text| run::worker(self.cx).error(text))?;
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_PER_LOOK) && self.must_stop() {
            return Err(b"ERR Script killed by user with SCRIPT KILL.".to_vec());
        }
        self.cx.reply.clear();
        let after = run::scripted(self.cx, row, args);
        self.after = multi::both(self.after, after);
        Ok(self.cx.reply)
    }

    fn may_call(&mut self, args: Args<'_>) -> Option<bool> {
        find(args).map(|_| true)
    }

    fn set_protocol(&mut self, three: bool) {
        self.cx.reply.resp3 = three;
    }

    fn protocol_is_3(&self) -> bool {
        self.cx.reply.resp3
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match level {
            0 => tracing::trace!("{text}"),
            1 => tracing::debug!("{text}"),
            2 => tracing::info!("{text}"),
            _ => tracing::warn!("{text}"),
        }
    }

    fn must_stop(&mut self) -> bool {
        let elapsed = self.began.get_or_insert_with(Instant::now).elapsed();
        let threshold = self.cx.local.config.busy_reply_threshold;
        if self.alone && !self.busy && threshold > 0 && elapsed.as_millis() as i64 >= threshold {
            self.become_busy(elapsed);
        }
        if self.busy
            && let Some(meanwhile) = &mut self.cx.meanwhile
        {
            meanwhile();
        }
        self.busy && self.seat().is_some_and(|seat| seat.is(Seat::KILL))
            || self.cx.shared.control.is_stopping()
    }
}

/// The world of a library that is loaded: it may register functions and nothing else, and not for
/// long.
pub struct Loader {
    until: Instant,
}

impl Default for Loader {
    fn default() -> Self {
        Self { until: Instant::now() + Duration::from_millis(500) }
    }
}

impl Host for Loader {
    fn call(&mut self, _: Args<'_>) -> Result<&mut Reply, Vec<u8>> {
        Err(b"ERR redis.call can not be called while a library is loaded".to_vec())
    }

    fn may_call(&mut self, _: Args<'_>) -> Option<bool> {
        None
    }

    fn set_protocol(&mut self, _: bool) {}

    fn protocol_is_3(&self) -> bool {
        false
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        tracing::info!("({level}) {}", String::from_utf8_lossy(text));
    }

    fn must_stop(&mut self) -> bool {
        Instant::now() >= self.until
    }
}

//! The world as a running script sees it: commands by `redis.call`, and when it must end.
//!
//! A command may touch a key whose stripe is not held. What then happens depends on how the script runs
//! ([`Way`]) and on whether it has changed anything:
//!
//! - **H1** Reserved stripes can be added to, unless somebody else has the one that is wanted.
//! - **H2** Until a script has changed something it can begin anew: it is *void* from then on, none of its
//!   commands runs any more, and what it comes to is not used ([`Anew`]).
//! - **H3** A script that may stray, and has reserved its stripes, takes the token before its first change;
//!   if somebody else has it, it begins anew later. With the token it waits for stripes of others while it
//!   holds its own (Q5 of `db/reserve.rs`).

use super::super::table::table;
use super::super::{Args, Cx, Flags, Row};
use super::super::{admit, keys_of, run, transaction, waits};
use super::catalog::{About, Seat};
use super::interpreter::Habits;
use crate::db::Key;
use crate::resp::Reply;
use crate::script::Host;
use crate::session::pause::Conditions;
use crate::session::{After, multi};
use std::time::{Duration, Instant};

/// The error of a command of a script that was killed.
const KILLED: &[u8] = b"ERR Script killed by user with SCRIPT KILL.";

/// Commands between two looks at the clock.
const CALLS_PER_LOOK: u32 = 256;

/// From then on a script is long: its worker serves others, and it can be killed.
const LONG: Duration = Duration::from_millis(1);
/// How often it lets them.
const TURN: Duration = Duration::from_micros(500);
/// How long it sleeps between two looks whether a stripe is free.
const LOOK: Duration = Duration::from_micros(100);
/// The error of commands of a script that is void.
const VOID: &[u8] = b"ERR Script begins anew";

/// How something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nobody else is in the keyspace.
    Alone,
    /// Under stripes that others spin for.
    Held,
    /// Under reserved ones.
    Reserved,
}

/// How a script is to begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// At once, with reserved stripes.
    Reserved,
    /// With the keyspace to itself.
    Alone,
    /// When somebody has given stripes back. True if it wants a stripe.
    Later(bool),
}

/// What is known of what runs.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    /// What it may do.
    pub limits: Limits,
    /// It touches no keys but those that it declares.
    pub closed: bool,
    /// What it was seen to do.
    pub habits: &'c Habits,
    /// What others are told of it.
    pub about: &'c dyn Fn() -> About,
}

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
    case: Case<'c>,
    way: Way,
    /// It is void (H2).
    pub anew: Option<Anew>,
    /// What the commands that ran ask of the connection.
    pub after: After,
    began: Option<Instant>,
    calls: u32,
    /// Its worker may serve others from then on.
    next_turn: Duration,
    /// Others can see it.
    pub shown: bool,
    busy: bool,
    wrote: bool,
    /// It has changed something, or told somebody something.
    changed: bool,
    found: Vec<keys_of::Key>,
}

impl<'c, 'a> Runner<'c, 'a> {
    /// For what runs with `cx` from now on.
    pub fn new(cx: &'c mut Cx<'a>, way: Way, case: Case<'c>) -> Self {
        Self {
            cx,
            case,
            way,
            anew: None,
            found: Vec::new(),
            next_turn: LONG,
            shown: false,
            changed: false,
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
            if self.anew.is_none() {
                run::worker(self.cx).rejected(row.id);
            }
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
        let writes = flags.any(Flags::WRITE.and(Flags::MAY_REPLICATE));
        if self.case.limits.read_only && writes {
            return error("ERR Write commands are not allowed from read-only scripts.");
        }
        // What has begun to write is let finish.
        if self.case.limits.short && flags.has(Flags::DENYOOM) && !self.wrote {
            return error("OOM command not allowed when used memory > 'maxmemory'.");
        }
        let refused =
            self.cx.shared.conditions.bits() & (Conditions::MISCONF | Conditions::UNSAVED);
        if refused != 0 && flags.has(Flags::WRITE) && !self.wrote {
            return Err(admit::not_now(self.cx).text().into_owned());
        }
        if self.way != Way::Alone && !self.holds(row, args) {
            self.stray(row, args)?;
        }
        if writes && !self.changed {
            if self.way == Way::Reserved && !self.case.closed && !self.cx.db.try_token() {
                return self.begin_anew(Anew::Later(false)); // H3
            }
            self.changed = true;
        }
        if flags.has(Flags::WRITE) && !self.wrote {
            self.wrote = true;
            if self.shown && self.seat().is_some_and(|seat| !seat.set_wrote()) {
                return Err(KILLED.to_vec());
            }
        }
        Ok(())
    }

    /// The script is void (H2).
    fn begin_anew(&mut self, how: Anew) -> Result<(), Vec<u8>> {
        self.anew = Some(how);
        Err(VOID.to_vec())
    }

    /// A command would touch what is not held.
    #[cold]
    fn stray(&mut self, row: &'static Row, args: Args<'_>) -> Result<(), Vec<u8>> {
        let named = transaction::names_its_keys(row, args, &mut self.found);
        match self.way {
            Way::Alone => Ok(()),
            Way::Held if !self.changed => {
                self.case.habits.note(Habits::WILD);
                self.begin_anew(Anew::Reserved)
            }
            // Its text says that it does not come here.
            Way::Held => {
                self.case.habits.note(Habits::WILD);
                tracing::error!("A script was taken for one that touches only what it declares");
                Err(b"ERR Script attempted to access a key that it did not declare".to_vec())
            }
            Way::Reserved if named => self.extend(args),
            Way::Reserved => self.take_all(),
        }
    }

    /// The keys in `found` are to be held too (H1, H3).
    fn extend(&mut self, args: Args<'_>) -> Result<(), Vec<u8>> {
        self.case.habits.note(Habits::STRAYS);
        let keys: Vec<Key<'_>> = self.found.iter().map(|key| Key::new(args.get(key.at))).collect();
        while !self.cx.db.extend(&keys) {
            if !self.changed {
                return self.begin_anew(Anew::Later(true));
            }
            self.wait()?;
        }
        Ok(())
    }

    /// The command may touch anything.
    fn take_all(&mut self) -> Result<(), Vec<u8>> {
        self.case.habits.note(Habits::ALL);
        if !self.changed {
            return self.begin_anew(Anew::Alone);
        }
        self.cx.db.keyspace.close_reservations(i64::MAX);
        let alone = loop {
            if self.cx.db.take_all() {
                break Ok(());
            }
            if let Err(text) = self.wait() {
                break Err(text);
            }
        };
        self.cx.db.keyspace.open_reservations();
        if self.busy {
            self.cx.shared.keyspace.gate.set_lasting();
        }
        alone.map(|()| self.way = Way::Alone)
    }

    /// Waits a little for what others hold, with the token.
    fn wait(&mut self) -> Result<(), Vec<u8>> {
        if !self.cx.db.try_token() {
            // Its text says that it never comes to that: nobody waits without the token (Q5).
            tracing::error!("A script was taken for one that touches only what it declares");
            return Err(b"ERR Script attempted to access a key that it did not declare".to_vec());
        }
        if self.must_stop() {
            return Err(KILLED.to_vec());
        }
        std::thread::sleep(LOOK);
        Ok(())
    }

    /// Whether all keys that a command touches are held.
    fn holds(&mut self, row: &'static Row, args: Args<'_>) -> bool {
        if let (true, Some(key)) = (row.one_key, args.opt(usize::from(row.first_key))) {
            return self.cx.db.holds(Key::new(key).hash);
        }
        transaction::names_its_keys(row, args, &mut self.found)
            && self.found.iter().all(|key| self.cx.db.holds(Key::new(args.get(key.at)).hash))
    }

    /// Others may see it, and kill it.
    fn show(&mut self, elapsed: Duration) {
        let since = self.cx.shared.keyspace.clock.tick() - elapsed.as_millis() as i64;
        if let Some(seat) = self.seat().filter(|_| !self.shown) {
            seat.show(self.case.limits.function, self.wrote, since, (self.case.about)());
        }
        self.shown = true;
    }

    /// It has run for so long that others are told so.
    fn become_busy(&mut self, elapsed: Duration) {
        self.show(elapsed);
        self.busy = true;
        if let Some(seat) = self.seat() {
            seat.set_busy();
            self.cx.shared.conditions.set(Conditions::BUSY, true);
            if self.way == Way::Alone {
                self.cx.shared.keyspace.gate.set_lasting();
            }
            waits::wake(&self.cx.shared.conditions, &self.cx.shared.clients);
        }
        tracing::warn!(
            "Slow script detected: still in execution after {} milliseconds. You can try killing \
             the script using the {} KILL command.",
            elapsed.as_millis(),
            if self.case.limits.function { "FUNCTION" } else { "SCRIPT" }
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
        if self.anew.is_some() {
            return Err(VOID.to_vec());
        }
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_PER_LOOK) && self.must_stop() {
            return Err(KILLED.to_vec());
        }
        let row = self.admit(args).inspect_err(|text| {
            if self.anew.is_none() {
                run::worker(self.cx).error(text);
            }
        })?;
        self.cx.reply.clear();
        if self.way == Way::Reserved {
            self.cx.db.sit();
        }
        let after = run::scripted(self.cx, row, args);
        if self.way == Way::Reserved {
            self.cx.db.rest();
        }
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
        let may = self.way != Way::Held; // who spins for a stripe cannot be told anything
        if may && !self.shown && elapsed >= LONG {
            self.case.habits.note(Habits::LONG);
            self.show(elapsed);
        }
        if may && !self.busy && threshold > 0 && elapsed.as_millis() as i64 >= threshold {
            self.become_busy(elapsed);
        }
        // Alone it lets its worker's clients in only to be told that it is busy.
        if (self.busy || self.way == Way::Reserved && elapsed >= self.next_turn)
            && let Some(meanwhile) = &mut self.cx.meanwhile
        {
            meanwhile();
            self.next_turn = self.began.map_or(elapsed, |began| began.elapsed()) + TURN;
        }
        self.shown && self.seat().is_some_and(|seat| seat.is(Seat::KILL))
            || self.cx.shared.control.is_stopping()
    }

    fn is_void(&self) -> bool {
        self.anew.is_some()
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

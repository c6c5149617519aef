//! What a worker's connections share while its turn lasts: the keyspace's pin, the reply buffer, the
//! batch, the configuration.

use super::shrink::{self, Change, Peak, Rule};
use crate::commands::run::{Turn, run_batch};
use crate::commands::timing::count_waited;
use crate::commands::{Local, Shared, blocking};
use crate::config::Config;
use crate::config::live::Cached;
use crate::db::{self, Access, Key, Policy, Ready};
use crate::metrics::{Stat, Worker as Stats};
use crate::resp::Reply;
use crate::resp::request::Batch;
use crate::session::pause::Conditions;
use crate::session::{Gates, Session};
use crate::sync::{Pin, pin};
use std::sync::Arc;

/// Slow log thresholds below this many microseconds want every command timed by itself.
const COARSE_MICROS: i64 = 1_000;

/// See the module.
pub struct Engine {
    /// The server.
    pub shared: Arc<Shared>,
    /// For commands.
    pub local: Local,
    /// Replies of the batch at hand.
    pub reply: Reply,
    /// Requests of the batch at hand.
    pub batch: Batch,
    config: Cached,
    policy: Policy,
    seat: db::Local,
    pin: Option<Pin>,
    peak: Peak,
    /// The number of the last record that the batch at hand made; 0: none.
    pub wrote: u64,
}

impl Engine {
    /// For worker `number`, in its own thread.
    pub fn new(shared: Arc<Shared>, number: usize) -> Self {
        let config = Cached::new(&shared.config);
        let seat = shared.keyspace.sit();
        let local = Local {
            config: Arc::clone(config.config()),
            waited: std::time::Duration::ZERO,
            scratch: Vec::new(),
            worker: number,
            candidates: db::Candidates::default(),
            interpreter: None,
        };
        Self {
            policy: crate::commands::policy(&local.config),
            local,
            reply: Reply::with_capacity(shrink::FLOOR),
            peak: Peak::default(),
            batch: Batch::default(),
            config,
            seat,
            pin: None,
            shared,
            wrote: 0,
        }
    }

    /// Another one for the same worker, with a seat of its own.
    pub fn stand_in(&self) -> Self {
        Self::new(Arc::clone(&self.shared), self.local.worker)
    }

    /// The worker changes engines: what comes now is later than all that `other` has seen.
    pub fn follow(&mut self, other: &Self) {
        self.seat.follow(&other.seat);
    }

    /// Whether the keyspace is somebody else's for long, so that it must not be touched.
    pub fn is_outside(&self) -> bool {
        self.seat.outside
    }

    /// Takes a seat at the gate, or finds that somebody is exclusive for long.
    fn enter(&mut self) {
        let gate = &self.shared.keyspace.gate;
        self.seat.outside = !if self.seat.outside || self.pin.is_none() {
            gate.try_enter(self.seat.seat)
        } else {
            gate.try_pass(self.seat.seat)
        };
    }

    /// The configuration as of this turn.
    pub fn config(&self) -> &Config {
        &self.local.config
    }

    /// This worker's cells.
    pub fn stats(&self) -> &Stats {
        self.shared.metrics.worker(self.local.worker)
    }

    /// The present, Unix milliseconds.
    pub fn now(&self) -> i64 {
        self.shared.keyspace.clock.now()
    }

    /// Takes a newer configuration if there is one; says whether there was.
    pub fn refresh(&mut self) -> bool {
        let newer = self.config.refresh(&self.shared.config);
        if newer {
            self.local.config = Arc::clone(self.config.config());
            self.policy = crate::commands::policy(&self.local.config);
            set_precise(&self.shared.conditions, &self.local.config);
        }
        newer
    }

    /// A turn begins: from here on the keyspace may be used, unless [`Engine::is_outside`].
    pub fn begin(&mut self) {
        self.enter();
        self.shared.keyspace.clock.tick();
        self.pin = Some(pin());
    }

    /// The turn ends: nothing is pinned while the worker sleeps. `tidy` hands garbage over even if
    /// there is little; some times a second is enough.
    pub fn end(&mut self, tidy: bool) {
        if let Some(pin) = self.pin.take().filter(|_| tidy) {
            self.seat.idle(&pin);
        }
        self.hand_over();
        if !self.seat.outside {
            self.shared.keyspace.gate.leave(self.seat.seat);
        }
        let switches = &self.shared.switches;
        let rule =
            Rule { shrinks: switches.replies_shrink(), peak_reset_ms: switches.peak_reset_ms() };
        let now = self.now();
        match self.peak.turn_ends(&mut self.reply.bytes, rule, now) {
            None => {}
            Some(Change::Shrank) => self.stats().add(Stat::ReplyShrinks, 1),
            Some(Change::Grew) => self.stats().add(Stat::ReplyExpands, 1),
        }
    }

    /// Runs requests of `batch` from number `from` on; see [`run_batch`].
    pub fn run(
        &mut self,
        session: &mut Session,
        (batch, input, from): (&Batch, &[u8], usize),
        meanwhile: Option<&mut dyn FnMut()>,
    ) -> usize {
        let done = self.with(session, meanwhile, |turn| run_batch(turn, batch, input, from));
        self.peak.saw(self.reply.bytes.len());
        done
    }

    /// Looks at a key that `session`'s client waits for, on behalf of a thread that cannot. Gives it
    /// back if that cannot be done now.
    pub fn serve(&mut self, session: &mut Session, ready: Ready) -> Option<Ready> {
        self.with(session, None, |turn| {
            let held = turn.db.meets_reserved(&[Key::new(&ready.key)]);
            if turn.db.local.outside || held {
                return Some(ready);
            }
            blocking::look(turn, ready);
            None
        })
    }

    /// `session` has waited for this `reply`: its command counts now.
    pub fn count_waited(&self, session: &mut Session, reply: &[u8]) {
        count_waited(&self.shared, &self.local, session, reply);
    }

    /// Calls `work` with all that commands work with.
    fn with<T>(
        &mut self,
        session: &mut Session,
        meanwhile: Option<&mut dyn FnMut()>,
        work: impl FnOnce(Turn<'_>) -> T,
    ) -> T {
        self.refresh();
        self.enter();
        let before = self.seat.last_record();
        let now = self.shared.keyspace.clock.tick();
        let pin = self.pin.get_or_insert_with(pin);
        self.seat.between_batches(pin);
        let mut db =
            Access::new(&self.shared.keyspace, &mut self.seat, pin, usize::from(session.db));
        db.policy = Policy { no_touch: session.has(Gates::NO_TOUCH), ..self.policy };
        db.actor = session.client.id;
        db.frozen = self.shared.conditions.paused(now).is_some();
        self.reply.resp3 = session.resp3;
        let (shared, local, reply) = (&*self.shared, &mut self.local, &mut self.reply);
        // Not as it is, so that it can be taken for something that lives no longer than the rest.
        let meanwhile = meanwhile.map(|meanwhile| meanwhile as &mut dyn FnMut());
        let value = work(Turn { shared, local, db, reply, session, meanwhile });
        let last = self.seat.last_record();
        if last != before {
            self.wrote = last;
            if self.shared.log.is_always() {
                self.hand_over(); // a command that takes long may follow, and others wait for this
            } else if self.shared.keyspace.journal.hand_over_much(&mut self.seat).is_some() {
                self.shared.log.handed_over();
            }
        }
        value
    }

    /// J2: what this turn recorded goes to the log.
    #[inline]
    fn hand_over(&mut self) {
        if self.shared.keyspace.journal.hand_over(&mut self.seat).is_some() {
            self.shared.log.handed_over();
        }
    }

    /// After a panic: whatever it left half done of a batch is dropped.
    pub fn reset(&mut self) {
        self.shared.keyspace.journal.forsake(&mut self.seat);
        self.hand_over();
        self.reply = Reply::with_capacity(shrink::FLOOR);
        self.batch = Batch::default();
    }
}

/// Says whether every command must be timed by itself.
pub fn set_precise(conditions: &Conditions, config: &Config) {
    let slow = config.slowlog_log_slower_than;
    conditions.set(Conditions::PRECISE, (0..COARSE_MICROS).contains(&slow));
}

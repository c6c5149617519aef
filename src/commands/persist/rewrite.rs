//! BGREWRITEAOF and WAITAOF, and when the log is rewritten without being asked to.
//!
//! The thread that makes snapshots also writes bases of the log, one after the other ([`super::jobs`]): both are
//! the same walk.

use super::super::args::integer;
use super::super::{Args, Cx, Error};
use crate::config::Config;
use crate::session::After;
use crate::sync::{AtomicBool, Ordering};
use parking_lot::Mutex;
use std::sync::mpsc::Sender;
use std::time::Instant;

/// What is wanted, and how it went.
#[derive(Debug, Default)]
pub struct Rewrites {
    inner: Mutex<Inner>,
    reload: Mutex<Option<Reload>>,
    /// The rewrite under way is not wanted any more, or is to fail.
    pub cancelled: AtomicBool,
    /// Held by who writes a base, and by who loads all data from the log again.
    pub turn: Mutex<()>,
}

/// Who waits until all data has been loaded from the log again.
pub type Reload = Sender<Result<(), String>>;

#[derive(Debug, Default)]
struct Inner {
    wanted: bool,
    /// The log was turned off, whatever was wanted since.
    off: bool,
    /// What is wanted counts as under way already.
    at_once: bool,
    /// Since when one is under way, or was asked for as if it were.
    since: Option<Instant>,
    /// The thread is at it.
    begun: bool,
    /// Seconds that the last took.
    took: Option<u64>,
    failed: bool,
    done: u64,
    failures: u64,
    /// Bytes copied for it by those who wrote meanwhile.
    copied: usize,
}

/// What INFO says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// One is under way, for so many seconds.
    pub running: Option<u64>,
    /// One will begin when nothing else is under way.
    pub scheduled: bool,
    /// Seconds that the last took.
    pub took: Option<u64>,
    /// The last one failed.
    pub failed: bool,
    /// Those that succeeded.
    pub done: u64,
    /// Failures since.
    pub failures: u64,
    /// Bytes copied for the last.
    pub copied: usize,
}

impl Rewrites {
    /// Asks for one: `at_once` it counts as under way from now on, else it follows something else.
    pub fn want(&self, at_once: bool) {
        let mut inner = self.inner.lock();
        inner.wanted = true;
        if at_once {
            inner.at_once = true;
            inner.since.get_or_insert_with(Instant::now);
        }
    }

    /// Takes back what was wanted, and ends what is under way. False if nothing was.
    pub fn give_up(&self) -> bool {
        let mut inner = self.inner.lock();
        (inner.wanted, inner.at_once) = (false, false);
        let running = inner.since.is_some();
        match inner.begun {
            true => self.cancelled.store(true, Ordering::Relaxed),
            false => inner.since = None,
        }
        running
    }

    /// The log is turned off. What is not in it from here on cannot be added later, so it must begin anew.
    pub fn turn_off(&self) {
        self.inner.lock().off = true;
    }

    /// For the thread: whether that was so.
    pub fn take_off(&self) -> bool {
        std::mem::take(&mut self.inner.lock().off)
    }

    /// Has the one under way, or about to begin, fail. False if there is none.
    pub fn fail(&self) -> bool {
        let running = self.inner.lock().since.is_some();
        if running {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        running
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.inner.lock().since.is_some()
    }

    /// For the thread: whether one is wanted, or needed anyway. It begins then.
    pub fn begin(&self, needed: bool) -> bool {
        let mut inner = self.inner.lock();
        let begins = std::mem::take(&mut inner.wanted) || needed;
        if begins {
            (inner.begun, inner.at_once) = (true, false);
            inner.since.get_or_insert_with(Instant::now);
        }
        begins
    }

    /// Asks for all data to be loaded from the log again. False if somebody has.
    pub fn want_reload(&self, asker: Reload) -> bool {
        let mut reload = self.reload.lock();
        let first = reload.is_none();
        if first {
            *reload = Some(asker);
        }
        first
    }

    /// For the thread: who asked for that.
    pub fn take_reload(&self) -> Option<Reload> {
        self.reload.lock().take()
    }

    /// It has ended.
    pub fn ended(&self, ok: bool, copied: usize) {
        let mut inner = self.inner.lock();
        self.cancelled.store(false, Ordering::Relaxed);
        inner.begun = false;
        inner.took = inner.since.take().map(|since| since.elapsed().as_secs());
        inner.since = inner.at_once.then(Instant::now); // another was asked for meanwhile
        (inner.failed, inner.copied) = (!ok, copied);
        if ok {
            inner.done += 1;
            inner.failures = 0;
        } else {
            inner.failures += 1;
        }
    }

    /// What INFO says.
    pub fn report(&self) -> Report {
        let inner = self.inner.lock();
        Report {
            running: inner.since.map(|since| since.elapsed().as_secs()),
            scheduled: inner.wanted && inner.since.is_none(),
            took: inner.took,
            failed: inner.failed,
            done: inner.done,
            failures: inner.failures,
            copied: inner.copied,
        }
    }
}

/// BGREWRITEAOF.
pub fn bgrewriteaof(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let persist = &cx.shared.persist;
    if persist.rewrites.is_running() {
        return Err(Error::new("ERR Background append only file rewriting already in progress"));
    }
    super::claim(cx.shared)?;
    let later = persist.jobs.is_running() || cx.session.in_exec;
    persist.rewrites.want(!later);
    persist.jobs.rouse();
    cx.reply.simple(if later {
        "Background append only file rewriting scheduled"
    } else {
        "Background append only file rewriting started"
    });
    Ok(())
}

/// What a client waits for in WAITAOF.
struct Waiting {
    number: u64,
    until: i64,
}

/// Between two looks, milliseconds.
const LOOK: i64 = 2;

/// WAITAOF numlocal numreplicas timeout. There are no replicas here, so only its local part can be met.
pub fn waitaof(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let range = |text| Error::new(text);
    let local = integer(args.get(1))?;
    if !(0..=1).contains(&local) {
        return Err(range("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = integer(args.get(2))?;
    if replicas < 0 {
        return Err(range("ERR value is out of range, must be positive"));
    }
    let not_a_number = Error::new("ERR timeout is not an integer or out of range");
    let timeout = crate::types::number::parse_i64(args.get(3)).ok_or(not_a_number)?;
    if timeout < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    if local > 0 && !is_on(&cx.local.config) {
        return Err(Error::new(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let waiting = match super::super::slice::resume::<Waiting>(cx) {
        Some(waiting) => waiting,
        None => {
            let until = if timeout == 0 { i64::MAX } else { cx.db.now.saturating_add(timeout) };
            Box::new(Waiting { number: cx.db.keyspace.journal.last(), until })
        }
    };
    let durable = is_on(&cx.local.config) && cx.shared.log.durable() >= waiting.number;
    let met = (local == 0 || durable) && replicas == 0;
    if met || cx.session.in_exec || cx.db.now >= waiting.until {
        cx.reply.array(2);
        cx.reply.int(i64::from(durable));
        cx.reply.int(0);
        return Ok(());
    }
    let next = cx.db.now.saturating_add(LOOK).min(waiting.until);
    cx.session.resume = Some(waiting);
    cx.session.after = After::Await(next as u64);
    Ok(())
}

const fn is_on(config: &Config) -> bool {
    config.appendonly
}

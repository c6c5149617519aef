//! Replaying a log: its commands are run as if a client sent them, but one after the other and in their
//! own time.
//!
//! - **T1** Nothing is over while a log is replayed: what ended then was removed by a DEL of the log, and
//!   what has ended since is removed afterwards. So the time of all commands is long ago ([`LONG_AGO`]).
//! - **T2** What stands between MULTI and EXEC is run when EXEC comes, or never.

use super::super::table::{Row, table};
use super::super::{Cx, Local, Shared, call};
use super::load::{self, Mode};
use crate::db::{self, Access};
use crate::disk::{Place, Sink};
use crate::rdb::file::{Counts, Scanner};
use crate::resp::Reply;
use crate::resp::args::OwnedArgs;
use crate::session::{After, Client, Session};
use crate::sync::{Pin, pin};
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

/// Before everything that has an end.
const LONG_AGO: i64 = 1;
/// Commands run between two moves of the epoch.
const BATCH: usize = 64;

/// The place in the keyspace of the thread that replays.
pub enum Seat<'s> {
    /// Taken for this.
    Own(Box<db::Local>),
    /// That of a thread that has one.
    Lent(&'s mut db::Local),
}

impl Seat<'_> {
    fn local(&mut self) -> &mut db::Local {
        match self {
            Self::Own(local) => local,
            Self::Lent(local) => local,
        }
    }
}

/// Runs the commands of a log.
pub struct Replay<'s> {
    shared: &'s Shared,
    local: Local,
    seat: Seat<'s>,
    pin: Option<Pin>,
    session: Session,
    reply: Reply,
    args: OwnedArgs,
    /// Commands since MULTI.
    multi: Option<Vec<OwnedArgs>>,
    since: usize,
    /// Commands that failed, which they had not done before.
    pub failed: u64,
    /// Keys of bases.
    pub counts: Counts,
}

impl<'s> Replay<'s> {
    /// For the thread that loads.
    pub fn new(shared: &'s Shared, mut seat: Seat<'s>) -> Self {
        shared.keyspace.gate.enter(seat.local().seat);
        let local = Local {
            config: shared.config.get(),
            waited: Duration::ZERO,
            scratch: Vec::new(),
            worker: shared.clients.workers(),
            candidates: db::Candidates::default(),
            interpreter: None,
        };
        let mut session = Session::new(Arc::new(Client::default()), false);
        // Nothing waits: not for a key, nor for memory to be free, which takes turns of the loop.
        session.in_exec = true;
        Self {
            shared,
            local,
            seat,
            pin: Some(pin()),
            session,
            reply: Reply::default(),
            args: OwnedArgs::default(),
            multi: None,
            since: 0,
            failed: 0,
            counts: Counts::default(),
        }
    }

    fn run(&mut self, args: &OwnedArgs) -> Result<(), String> {
        let args = args.view();
        let row = find(args.get(0), args.opt(1)).ok_or_else(|| {
            let name = String::from_utf8_lossy(args.get(0)).into_owned();
            format!("Unknown command '{name}' reading the append only file")
        })?;
        let pin = self.pin.get_or_insert_with(pin);
        self.since += 1;
        if self.since >= BATCH {
            self.since = 0;
            self.local.config = self.shared.config.get();
            self.seat.local().between_batches(pin);
        }
        let mut db = Access::new(
            &self.shared.keyspace,
            self.seat.local(),
            pin,
            usize::from(self.session.db),
        );
        db.now = LONG_AGO; // T1
        db.policy = super::super::policy(&self.local.config);
        // A script runs as one that is long: this thread serves nobody who could be let in.
        let mut meanwhile = || {};
        let mut cx = Cx {
            db,
            reply: &mut self.reply,
            session: &mut self.session,
            shared: self.shared,
            local: &mut self.local,
            row,
            hash: 0,
            meanwhile: Some(&mut meanwhile),
        };
        super::super::run::aim(&mut cx, args);
        loop {
            call(&mut cx, args);
            match std::mem::take(&mut cx.session.after) {
                After::Retry | After::Await(_) => {}
                _ => break,
            }
        }
        cx.session.resume = None;
        if let Some(error) = self.reply.last_error().filter(|_| self.reply.errors() > 0) {
            self.failed += 1;
            tracing::warn!(
                "A command of the append only file failed: '{}': {}",
                String::from_utf8_lossy(args.get(0)),
                String::from_utf8_lossy(error)
            );
        }
        self.reply = Reply::default();
        Ok(())
    }
}

/// The row of a command.
fn find(name: &[u8], sub: Option<&[u8]>) -> Option<&'static Row> {
    let row = table().find(name)?;
    match sub {
        Some(sub) if !row.command.subcommands.is_empty() => table().subcommand(row, sub),
        _ => Some(row),
    }
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        self.pin = None;
        self.shared.keyspace.gate.leave(self.seat.local().seat);
    }
}

impl Sink for Replay<'_> {
    fn rdb(&mut self, source: &mut dyn BufRead, _: Place<'_>) -> Result<u64, String> {
        let text = |error: crate::rdb::file::LoadError| error.to_string();
        let databases = self.shared.keyspace.databases();
        let summed = self.local.config.rdbchecksum;
        let mut scanner = Scanner::new(source, databases, summed).map_err(text)?;
        let mode = Mode::default();
        let mut inserter = load::inserter(self.shared, LONG_AGO, mode);
        while let Some(batch) = scanner.next().map_err(text)? {
            load::tell(self.shared, &mut scanner.aux);
            let pin = self.pin.get_or_insert_with(pin);
            self.seat.local().between_batches(pin);
            let mut db = Access::new(&self.shared.keyspace, self.seat.local(), pin, 0);
            db.policy = super::super::policy(&self.local.config);
            inserter.insert(&mut db, &batch).map_err(text)?;
            self.shared.persist.progress(scanner.position()); // the first file of all
            let each = self.shared.config.get().key_load_delay;
            load::linger(self.shared, batch.records.len() as u64, each).map_err(text)?;
        }
        self.counts += inserter.counts;
        load::functions(self.shared, &scanner.functions, mode)?;
        Ok(scanner.position())
    }

    fn command(&mut self, words: &[&[u8]], _: Place<'_>) -> Result<(), String> {
        let each = self.local.config.key_load_delay;
        load::linger(self.shared, 1, each).map_err(|error| error.to_string())?;
        let mut args = std::mem::take(&mut self.args);
        args.clear();
        words.iter().for_each(|word| args.push(word));
        let is = |word: &str| words.len() == 1 && words[0].eq_ignore_ascii_case(word.as_bytes());
        if is("multi") {
            self.multi = Some(Vec::new());
        } else if is("exec") {
            for args in self.multi.take().unwrap_or_default() {
                self.run(&args)?;
            }
        } else if let Some(queue) = &mut self.multi {
            queue.push(std::mem::take(&mut args)); // T2
        } else {
            self.run(&args)?;
        }
        self.args = args;
        Ok(())
    }

    fn progress(&mut self, loaded: u64, _: u64) {
        self.shared.persist.progress(loaded);
    }
}

//! Serving other clients while a command of this worker's takes long: a script past
//! `busy-reply-threshold`.
//!
//! The command's own engine is in use further down the stack, so another one stands in, which never
//! enters the keyspace: what needs no key runs, all else is told that the server is busy. The
//! connection whose command runs is away from its slot; what happens to it is looked at afterwards.

use super::{Conn, Engine, SCRATCH, Worker};
use crate::resp::request::Batch;
use crate::session::mail::Mail;
use mio::Events;
use std::mem::{replace, take};
use std::time::Duration;

impl Worker {
    /// Runs requests of `batch` from number `from` on. What takes long has the worker's other clients
    /// served meanwhile.
    pub(super) fn run_batch(
        &mut self,
        conn: &mut Conn,
        batch: &Batch,
        input: &[u8],
        from: usize,
    ) -> usize {
        let Some(stand_in) = self.stand_in.take() else {
            return self.engine.run(&mut conn.session, (batch, input, from), None);
        };
        let engine = replace(&mut self.engine, stand_in);
        let mut lent = Lent { worker: self, engine: Some(engine) };
        let Lent { worker, engine } = &mut lent;
        let Some(engine) = engine else { return from };
        let mut meanwhile = || worker.meanwhile();
        let done = engine.run(&mut conn.session, (batch, input, from), Some(&mut meanwhile));
        if take(&mut lent.worker.was_busy) {
            conn.readable = true; // what came for it meanwhile was told to nobody
        }
        done
    }

    /// A turn within a turn: the connection whose command runs is away, the keyspace must not be used.
    #[cold]
    fn meanwhile(&mut self) {
        if !replace(&mut self.was_busy, true) {
            self.look_at_all();
        }
        if self.scratch.is_empty() {
            self.scratch = vec![0; SCRATCH].into_boxed_slice();
        }
        let mut events = Events::with_capacity(256);
        if self.poll.poll(&mut events, Some(Duration::ZERO)).is_ok() {
            self.turn(&events);
        }
    }

    /// Events of the turn that the command runs in were taken from the poll and are seen to only when
    /// it ends: so each connection is looked at once.
    fn look_at_all(&mut self) {
        for (slot, conn) in self.conns.iter_mut().enumerate() {
            if let Some(conn) = conn.as_mut().filter(|conn| !conn.is_held()) {
                conn.readable = true;
                if !replace(&mut conn.queued, true) {
                    self.ready.push_back(slot);
                }
            }
        }
    }

    /// The next mail that can be seen to now.
    pub(super) fn next_mail(&mut self) -> Option<Mail> {
        let first = if self.engine.is_outside() { None } else { self.deferred.pop_front() };
        let clients = &self.engine.shared.clients;
        first.or_else(|| clients.mailbox(self.engine.local.worker).take())
    }
}

/// Mail for clients, of whom one may be away, or about keys.
pub(super) fn waits(mail: &Mail) -> bool {
    !matches!(mail, Mail::Close(_) | Mail::RollCall(_) | Mail::Resume | Mail::Stop)
}

/// The worker while its engine runs a batch: the other one stands in. Put back also after a panic.
struct Lent<'w> {
    worker: &'w mut Worker,
    engine: Option<Box<Engine>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.worker.stand_in = Some(replace(&mut self.worker.engine, engine));
        }
    }
}

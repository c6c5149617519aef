//! Serving other clients while a command of this worker's takes long: a script.
//!
//! The command's own engine is in use further down the stack, so another one stands in, with a seat of
//! its own; the other seat is quiet meanwhile. If the script has reserved stripes, what needs others
//! runs. If it is alone in the keyspace, and has run for longer than `busy-reply-threshold`, what needs
//! no key runs, and all else is told that the server is busy. The connection whose command runs is away
//! from its slot; what happens to it is looked at afterwards.

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
        self.engine.follow(&engine);
        self.away = conn.session.client.id;
        let mut lent = Lent { worker: self, engine: Some(engine) };
        let Lent { worker, engine } = &mut lent;
        let Some(engine) = engine else { return from };
        let mut meanwhile = || worker.meanwhile();
        let done = engine.run(&mut conn.session, (batch, input, from), Some(&mut meanwhile));
        if take(&mut lent.worker.was_busy) {
            lent.worker.held_back = false;
            conn.readable = true; // what came for it meanwhile was told to nobody
        }
        done
    }

    /// A turn within a turn: the connection whose command runs is away.
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
        loop {
            let now = !self.engine.is_outside() && !self.is_within();
            let first = if now { self.deferred.pop_front() } else { None };
            let clients = &self.engine.shared.clients;
            let mail = first.or_else(|| clients.mailbox(self.engine.local.worker).take())?;
            if !self.waits(&mail) {
                return Some(mail);
            }
            self.deferred.push_back(mail);
        }
    }

    /// Whether this turn is one within another.
    const fn is_within(&self) -> bool {
        self.stand_in.is_none()
    }

    /// Whether mail must wait until the keyspace may be used again, or the client that it is for is back.
    fn waits(&mut self, mail: &Mail) -> bool {
        let client = match mail {
            Mail::RollCall(_) | Mail::Resume | Mail::Stop => return false,
            Mail::Close(client) => return self.is_within() && client.id == self.away,
            _ if self.engine.is_outside() => return true,
            _ if !self.is_within() => return false,
            // It hears them in their order: if one must wait, so must those that follow.
            Mail::Message(topic, _) => {
                let all = topic.listeners(self.engine.local.worker);
                self.held_back |= all.iter().any(|client| client.id == self.away);
                return self.held_back;
            }
            Mail::Monitor(_) => return false,
            Mail::Deliver(client, _)
            | Mail::Stale(client, ..)
            | Mail::Broken(client, _)
            | Mail::Unblock(client, _)
            | Mail::Served(client, _)
            | Mail::Ready(client, _)
            | Mail::Again(client) => client,
        };
        client.id == self.away
    }
}

/// The worker while its engine runs a batch: the other one stands in. Put back also after a panic.
struct Lent<'w> {
    worker: &'w mut Worker,
    engine: Option<Box<Engine>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            engine.follow(&self.worker.engine);
            self.worker.stand_in = Some(replace(&mut self.worker.engine, engine));
        }
    }
}

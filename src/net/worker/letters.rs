//! Letters that other threads put into the worker's mailbox: messages, invalidations, ends of waits.
//!
//! A connection that messages are for is written to once, when all letters were read. Messages of one
//! channel in a row become one piece, which all listeners share; if no letter follows, it is not queued
//! with them either, as then most of what a delivery costs beside the kernel's part is that.

use super::{Conn, Fate, ROLL_CALL_TURNS, STOP_WAIT, Why, Worker};
use crate::session::hub::Run;
use crate::session::mail::{Mail, RollCall, Then, Unblock};
use crate::session::tracking::broken;
use crate::session::{Client, Flag};
use crate::sync::Ordering;
use bytes::Bytes;
use std::mem::take;
use std::sync::Arc;
use std::time::Instant;

impl Worker {
    /// Does what letters ask for.
    pub(super) fn read_mail(&mut self) {
        let mut run: Option<Run> = None;
        while let Some(mail) = self.next_mail() {
            let Mail::Message(topic, frames) = mail else {
                if let Some(run) = run.take() {
                    self.tell(&run, false);
                }
                self.do_as_asked(mail);
                continue;
            };
            match run.as_mut() {
                None => run = Some(Run::new(topic, frames)),
                Some(run) => {
                    if let Err((topic, frames)) = run.add(topic, frames) {
                        self.tell(run, false);
                        *run = Run::new(topic, frames);
                    }
                }
            }
        }
        if let Some(run) = run {
            self.tell(&run, true);
        }
        self.flush_told();
    }

    /// Sends messages to their listeners: at once if they are the `last` of all letters.
    fn tell(&mut self, run: &Run, last: bool) {
        let mut joined = [None, None];
        for client in run.topic.listeners(self.engine.local.worker).iter() {
            self.with(client, |worker, conn| {
                let resp3 = conn.session.resp3;
                let piece: &mut Option<Bytes> = &mut joined[usize::from(resp3)];
                let piece = piece.get_or_insert_with(|| run.joined(resp3));
                if last && conn.output.is_empty() && !worker.is_barred(conn) {
                    return worker.send_shared(conn, piece);
                }
                worker.queue(conn, piece)
            });
        }
    }

    fn do_as_asked(&mut self, mail: Mail) {
        match mail {
            Mail::Close(client) => self.with(&client, |_, _| Fate::Close),
            Mail::Deliver(client, bytes) => {
                self.with(&client, |worker, conn| worker.deliver(conn, bytes));
            }
            Mail::Message(topic, frames) => self.tell(&Run::new(topic, frames), false),
            Mail::Stale(client, invalid, redirected) => {
                self.with(&client, |worker, conn| {
                    let listens = redirected && conn.session.subscriptions.is_some();
                    match () {
                        () if conn.session.resp3 => worker.queue(conn, invalid.push()),
                        () if listens => worker.queue(conn, invalid.message()),
                        () => Fate::Keep,
                    }
                });
            }
            Mail::Broken(client, id) => self.with(&client, |worker, conn| {
                if conn.session.resp3 { worker.queue(conn, &broken(id)) } else { Fate::Keep }
            }),
            Mail::Unblock(client, how) => {
                self.with(&client, |worker, conn| worker.unblock(conn, how));
            }
            Mail::Served(client, reply) => self.with(&client, |worker, conn| {
                if conn.session.waiting.is_none() {
                    return Fate::Keep;
                }
                conn.parked.iter_mut().for_each(|parked| parked.withheld = reply.to_vec());
                worker.go_on(conn)
            }),
            Mail::Ready(client, ready) => self.with(&client, |worker, conn| {
                if let Some(ready) = worker.engine.serve(&mut conn.session, ready) {
                    let client = Arc::clone(&conn.session.client);
                    worker.deferred.push_back(Mail::Ready(client, ready));
                }
                Fate::Keep
            }),
            Mail::Monitor(bytes) => self.monitor(&bytes),
            Mail::Resume => self.resume_all(),
            Mail::RollCall(call) => self.calls.push((call, ROLL_CALL_TURNS)),
            Mail::Again(client) => self.with(&client, |_, conn| {
                if let Some(parked) = conn.parked.as_mut().filter(|p| p.why == Why::Again) {
                    parked.until = 0;
                }
                Fate::Keep
            }),
            Mail::Stop => self.stop_at = Some(Instant::now() + STOP_WAIT),
        }
    }

    /// Writes once to each client that messages were queued for.
    fn flush_told(&mut self) {
        for slot in take(&mut self.told) {
            if let Some(mut conn) = self.conns.get_mut(slot).and_then(Option::take) {
                let fate = self.flush(&mut conn);
                self.settle(slot, conn, fate);
            }
        }
    }

    /// Does `work` for the connection of `client`, if it is still here.
    fn with(&mut self, client: &Client, work: impl FnOnce(&mut Self, &mut Conn) -> Fate) {
        let slot = client.slot.load(Ordering::Acquire) as usize;
        let here = self.conns.get(slot).and_then(Option::as_ref);
        if here.is_some_and(|conn| conn.session.client.id == client.id)
            && let Some(mut conn) = self.conns[slot].take()
        {
            let fate = work(self, &mut conn);
            self.settle(slot, conn, fate);
        }
    }

    /// Queues a message; [`Worker::flush_told`] writes it, together with those that follow.
    fn queue(&mut self, conn: &mut Conn, message: &Bytes) -> Fate {
        if conn.output.is_empty() {
            self.told.push(conn.session.client.slot.load(Ordering::Acquire) as usize);
        }
        conn.output.tell(message);
        if self.is_over_output(conn, conn.output.len()) { Fate::Close } else { Fate::Keep }
    }

    /// Sends a message to a client that nothing is queued for.
    fn send_shared(&self, conn: &mut Conn, message: &Bytes) -> Fate {
        if self.is_over_output(conn, message.len()) {
            return Fate::Close;
        }
        let sent = conn.output.send_shared(&mut conn.socket, message);
        self.wrote(sent)
    }

    fn deliver(&mut self, conn: &mut Conn, bytes: Bytes) -> Fate {
        conn.output.push(bytes);
        if self.is_over_output(conn, conn.output.len()) {
            return Fate::Close;
        }
        self.flush(conn)
    }

    fn unblock(&mut self, conn: &mut Conn, how: Unblock) -> Fate {
        // This may have been meant for an earlier wait, which ended by itself.
        let ended = conn.session.waiting.as_ref().is_none_or(|waiting| waiting.waiter().is_ended());
        let Some(parked) = conn.parked.as_mut().filter(|p| p.why == Why::Reply(true) && ended)
        else {
            return Fate::Keep;
        };
        if how == Unblock::Error {
            parked.withheld = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n".to_vec();
        }
        self.resume(conn)
    }

    fn monitor(&mut self, line: &Bytes) {
        for slot in 0..self.conns.len() {
            let here = self.conns[slot].as_ref();
            let client = here.map(|conn| Arc::clone(&conn.session.client));
            if let Some(client) = client.filter(|c| c.flags() & Flag::MONITOR != 0) {
                self.with(&client, |worker, conn| worker.deliver(conn, line.clone()));
            }
        }
    }

    fn resume_all(&mut self) {
        for (slot, conn) in self.conns.iter_mut().enumerate() {
            let parked = conn.as_mut().and_then(|conn| conn.parked.as_mut());
            if let Some(parked) = parked.filter(|parked| parked.why == Why::Paused) {
                parked.until = 0;
                self.parked.insert((0, slot));
            }
        }
    }

    /// Answers roll calls once a turn found nothing to read. They came with the mail of an earlier
    /// turn, so that the events of this one are later than the question.
    pub(super) fn answer(&mut self, calls: Vec<(Arc<RollCall>, u32)>, quiet: bool) {
        for (call, turns) in calls {
            if !quiet && turns > 1 {
                self.calls.push((call, turns - 1));
                continue;
            }
            let clients = &self.engine.shared.clients;
            match call.answer() {
                Some(Then::Again(asker)) => clients.tell(asker, Mail::Again(Arc::clone(asker))),
                Some(Then::Enforce) => {
                    clients.called();
                    self.enforce();
                }
                None => {}
            }
        }
    }
}

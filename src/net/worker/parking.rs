//! Connections that wait: their commands ended a batch early, and go on later.
//!
//! The rest of the batch, with its bytes, waits with the connection; the worker serves others.

use super::{FOREVER, Fate, Worker};
use crate::net::conn::{Conn, Parked, Why};
use crate::resp::request::Batch;
use crate::session::{After, Flag, Wait};
use crate::sync::Ordering;
use std::mem::take;
use std::sync::Arc;

/// Requests of a batch that ended early.
pub(super) struct Waiting<'a> {
    pub batch: Batch,
    pub input: &'a [u8],
    pub done: usize,
}

impl Worker {
    /// A command ended its batch early: does what it asks for.
    pub(super) fn stop(&mut self, conn: &mut Conn, waiting: Waiting<'_>) {
        let Waiting { batch, input, done } = waiting;
        let now = self.engine.now();
        let after = take(&mut conn.session.after);
        let client = Arc::clone(&conn.session.client);
        let (until, why) = match after {
            After::Continue => return,
            After::Close => {
                conn.closing = true;
                client.flag(Flag::CLOSING, true);
                return;
            }
            After::Park(until) => (until, Why::Reply(conn.session.unblockable && until > 0)),
            After::Retry => (0, Why::Again), // in the next turn, after the others
            After::Await(until) => (until, Why::Again),
            After::Paused => {
                let until = self.engine.shared.conditions.paused(now).map_or(now, |(_, at)| at);
                self.engine.shared.clients.block(&client, true);
                (until.max(now) as u64, Why::Paused)
            }
        };
        if why == Why::Reply(true) {
            self.engine.shared.clients.block(&client, true);
            client.flag(Flag::TIMED, until < FOREVER);
            let waiter = conn.session.waiting.as_ref().map(|waiting| Arc::clone(waiting.waiter()));
            client.wait(waiter.map_or(Wait::Plain, Wait::InLine));
        }
        let from = conn.session.reply_from.min(self.engine.reply.bytes.len());
        let withheld = match why {
            Why::Reply(_) => self.engine.reply.bytes.split_off(from),
            Why::Again | Why::Paused => Vec::new(),
        };
        let left = done < batch.reqs.len();
        let input = if left { input.to_vec() } else { Vec::new() };
        conn.parked = Some(Box::new(Parked { until, why, batch, done, input, withheld }));
    }

    /// Goes on with a parked connection.
    pub(super) fn resume(&mut self, conn: &mut Conn) -> Fate {
        if let Some(waiting) = &conn.session.waiting
            && !waiting.waiter().end()
        {
            // It was served: its reply is on the way.
            conn.parked.iter_mut().for_each(|parked| parked.until = FOREVER);
            return Fate::Keep;
        }
        self.go_on(conn)
    }

    /// The same, when it no longer waits in line.
    pub(super) fn go_on(&mut self, conn: &mut Conn) -> Fate {
        let Some(parked) = conn.parked.take() else { return Fate::Keep };
        let Parked { until, batch, done, input, withheld, .. } = *parked;
        let client = Arc::clone(&conn.session.client);
        self.parked.remove(&(until, client.slot.load(Ordering::Relaxed) as usize));
        conn.session.waiting = None;
        client.wait(Wait::No);
        self.engine.shared.clients.block(&client, false);
        client.flag(Flag::TIMED, false);
        client.view.seen_ms.store(self.engine.now(), Ordering::Relaxed); // until now it waited for us
        self.engine.count_waited(&mut conn.session, &withheld);
        let went = self.guarded(conn, |worker, conn| {
            worker.engine.reply.raw(&withheld);
            if done < batch.reqs.len() {
                let done = worker.run_batch(conn, &batch, &input, done);
                if conn.session.after != After::Continue {
                    worker.stop(conn, Waiting { batch, input: &input, done });
                }
            }
            if !conn.is_held() && !conn.input.is_empty() {
                let data = take(&mut conn.input);
                let kept = worker.process(conn, &data);
                conn.input = data[kept].to_vec();
            }
        });
        if went.is_none() { Fate::Close } else { self.send(conn) }
    }
}

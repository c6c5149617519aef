//! Connections that come and go.

use super::Worker;
use crate::net::conn::Conn;
use crate::session::pause::Conditions;
use crate::session::{Flag, Wait};
use crate::sync::Ordering;
use mio::Token;

impl Worker {
    pub(super) fn adopt(&mut self) {
        while let Some((socket, client)) = self.handle.arrivals.pop() {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.conns.push(None);
                self.conns.len() - 1
            });
            client.slot.store(slot as u32, Ordering::Release);
            let must_authenticate = !self.engine.config().requirepass.is_empty();
            let mut conn = Box::new(Conn::new(socket, client, must_authenticate));
            let token = Token(slot);
            if let Err(error) = conn.socket.register(self.poll.registry(), token) {
                tracing::warn!("Cannot watch a new connection: {error}");
                self.bury(slot, conn);
                continue;
            }
            // Requests usually came with the connection; if not, this costs one read in vain.
            conn.readable = true;
            self.account(&conn);
            self.conns[slot] = Some(conn);
            self.serve(slot);
        }
    }

    /// The end of a connection.
    pub(super) fn bury(&mut self, slot: usize, mut conn: Box<Conn>) {
        if conn.closing && conn.output.is_empty() {
            // What is unread when a socket is closed makes the kernel reset the connection, and the
            // client might lose the last reply.
            conn.socket.finish();
            let _ = conn.socket.read(&mut [], &mut self.scratch);
        }
        if let Some(parked) = &conn.parked {
            self.parked.remove(&(parked.until, slot));
        }
        conn.session.waiting = None;
        conn.session.client.wait(Wait::No);
        let client = &conn.session.client;
        let monitored = client.flags() & Flag::MONITOR != 0;
        if let Some(tracking) = conn.session.tracking.take() {
            let shared = &self.engine.shared;
            shared.clients.trackers.end(client, &tracking, &shared.keyspace);
        }
        if let Some(listened) = conn.session.subscriptions.take() {
            self.engine.shared.clients.hub.unsubscribe_all(client, *listened);
        }
        self.engine.shared.clients.remove(client);
        if monitored {
            let any = self.engine.shared.clients.monitor(client, false);
            self.engine.shared.conditions.set(Conditions::MONITORED, any);
        }
        self.free.push(slot);
    }
}

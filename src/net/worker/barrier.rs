//! Replies that wait for the disk: `appendfsync always`.
//!
//! What a connection has seen, its own writes and those of others, has at most the number that the journal
//! had given when its batch was over. Its replies stay here until the log promises that number, and its
//! requests unread; the worker goes on with others. While the disk fails only those wait who wrote.

use super::Worker;
use crate::net::conn::Conn;
use crate::sync::Ordering;
use std::mem::take;

impl Worker {
    /// A connection has fresh replies: whether they must wait.
    pub(super) fn bar(&mut self, conn: &mut Conn) -> bool {
        let shared = &self.engine.shared;
        if shared.log.is_always() && !self.engine.reply.is_empty() {
            let promised = shared.log.promised();
            // Reading goes on when the disk fails; nothing is written then, and what a client wrote
            // just before waits for the disk.
            let failing = shared.log.is_failing();
            let last = if failing { self.engine.wrote } else { shared.keyspace.journal.last() };
            if last > promised {
                if conn.barrier == 0 {
                    let slot = conn.session.client.slot.load(Ordering::Acquire);
                    self.barred.push(slot as usize);
                    self.arrivals += 1;
                }
                conn.barrier = last.max(conn.barrier);
            }
            self.engine.wrote = 0;
        }
        self.is_barred(conn)
    }

    /// The turn is over, its records handed over: tells the log of those whose replies wait.
    pub(super) fn tell_barred(&mut self) {
        if self.arrivals > 0 {
            self.engine.shared.log.arrive(take(&mut self.arrivals));
        }
    }

    /// Whether what is queued for a connection must wait.
    pub(super) fn is_barred(&self, conn: &mut Conn) -> bool {
        if conn.barrier != 0 && conn.barrier <= self.engine.shared.log.promised() {
            conn.barrier = 0;
        }
        conn.barrier != 0
    }

    /// Whether some replies may leave now. If not, this worker is woken when that may be so.
    pub(super) fn is_promised(&self, seen: u64) -> bool {
        if self.barred.is_empty() {
            return false;
        }
        let conns = self.barred.iter().filter_map(|slot| self.conns.get(*slot)?.as_deref());
        if conns.into_iter().any(|conn| conn.barrier <= seen) {
            return true;
        }
        let shared = &self.engine.shared;
        !shared.log.wait(shared.clients.bit(self.engine.local.worker), seen)
    }

    /// Sends what need not wait any more.
    pub(super) fn unbar(&mut self) {
        if self.barred.is_empty() {
            return;
        }
        let promised = self.engine.shared.log.promised();
        for slot in take(&mut self.barred) {
            let Some(Some(conn)) = self.conns.get_mut(slot) else { continue };
            if conn.barrier > promised {
                self.barred.push(slot);
            } else {
                conn.barrier = 0;
                self.serve(slot);
            }
        }
    }
}

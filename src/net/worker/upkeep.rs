//! What a worker looks at now and then: ends of waits, idle clients, soft limits, memory of clients.

use super::{Fate, TICK, Worker};
use crate::mem;
use crate::metrics::Stat;
use crate::net::conn::Conn;
use crate::session::Flag;
use crate::sync::Ordering;
use std::mem::replace;

/// Ticks in which all connections are looked at once, however many they are …
const SCAN_TICKS: usize = 10;
/// … but so many are looked at in each: few connections need not wait for a second.
const SCAN_LEAST: usize = 64;

impl Worker {
    /// Tells the registry what the connection takes; true if that was too much.
    pub(super) fn account(&mut self, conn: &Conn) -> bool {
        let shared = &self.engine.shared;
        let client = &conn.session.client;
        if shared.clients.account(client, conn.memory()) {
            let config = self.engine.config();
            if let Some(limit) = config.maxmemory_clients.limit(config.maxmemory)
                && shared.clients.is_pressing(limit, client)
            {
                self.enforce();
            }
        }
        client.is_gone()
    }

    /// Closes the greatest clients if all together pass `maxmemory-clients`.
    pub(super) fn enforce(&self) {
        let config = self.engine.config();
        if let Some(limit) = config.maxmemory_clients.limit(config.maxmemory) {
            let killed = self.engine.shared.clients.enforce(limit);
            self.engine.stats().add(Stat::EvictedClients, killed);
        }
    }

    /// What only time changes: parks that end, idle clients, soft limits. Says whether a tick was due.
    pub(super) fn due(&mut self) -> bool {
        let now = self.engine.now();
        // Those that are parked again meanwhile have their turn after the other clients.
        let later = self.parked.split_off(&(now as u64 + 1, 0));
        for (until, slot) in replace(&mut self.parked, later) {
            let here = self.conns.get(slot).and_then(Option::as_ref);
            let parked = here.and_then(|conn| conn.parked.as_ref());
            if parked.is_some_and(|parked| parked.until == until)
                && let Some(mut conn) = self.conns[slot].take()
            {
                let fate = self.resume(&mut conn);
                self.settle(slot, conn, fate);
            }
        }
        if now < self.next_tick {
            return false;
        }
        self.next_tick = now + TICK;
        mem::settle();
        self.scan(now);
        true
    }

    /// Looks at some connections, in rotation: closes those that were idle or over their soft limit
    /// for too long, and takes back the room of the silent.
    pub(super) fn scan(&mut self, now: i64) {
        let timeout = i64::from(self.engine.config().timeout) * 1_000;
        let spared = Flag::BLOCKED | Flag::PUBSUB | Flag::REPLICA | Flag::PRIMARY | Flag::MONITOR;
        let slots = self.conns.len();
        let from = if self.cursor < slots { self.cursor } else { 0 };
        let to = (from + slots.div_ceil(SCAN_TICKS).max(SCAN_LEAST)).min(slots);
        self.cursor = to;
        for slot in from..to {
            let Some(mut conn) = self.conns[slot].take() else { continue };
            let client = &conn.session.client;
            let idle = now - client.view.seen_ms.load(Ordering::Relaxed);
            let waits = conn.parked.is_some(); // for us
            let is_idle = timeout > 0 && idle > timeout && !waits && client.flags() & spared == 0;
            if is_idle {
                tracing::debug!("Closing idle client id={} addr={}", client.id, client.origin.peer);
            }
            conn.room.look(&mut conn.input, idle);
            let unsent = conn.output.len();
            let over = unsent > 0 && self.is_over_output(&mut conn, unsent);
            let fate = if is_idle || over { Fate::Close } else { Fate::Keep };
            self.settle(slot, conn, fate);
        }
    }
}

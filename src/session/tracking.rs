//! Client-side caching: who tracks what, and the way of an invalidation to them.
//!
//! A client tracks either the keys that it has read (the keyspace remembers those, by the client's
//! number: `crate::db::Access::track`) or, broadcasting, all keys with some prefixes, which stand here.
//! Invalidations are encoded once for each protocol, and go as letters to the worker of the client or of
//! the one that it redirects them to.

use super::mail::Mail;
use super::registry::{Client, Flag, Registry};
use crate::db::{Keyspace, Stale, Wants};
use crate::resp::Reply;
use crate::sync::Ordering;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The channel that a RESP2 client listens to for redirected invalidations.
pub const CHANNEL: &[u8] = b"__redis__:invalidate";

/// How a client tracks.
#[derive(Debug, Default)]
pub struct Tracking {
    /// By prefix, not by what was read.
    pub bcast: bool,
    /// Only what CLIENT CACHING YES announces.
    pub optin: bool,
    /// All but what CLIENT CACHING NO excepts.
    pub optout: bool,
    /// Not what the client's own commands change.
    pub noloop: bool,
    /// CLIENT CACHING was said, for the next command.
    pub caching: bool,
    /// The command at hand has read keys.
    pub has_read: bool,
    /// The client that hears of it instead; 0 for none.
    pub redirect: u64,
    /// The prefixes; with an empty one, all keys.
    pub prefixes: BTreeSet<Box<[u8]>>,
    /// What the client must drop once its command has replied.
    pub pending: Vec<Stale>,
}

/// What a prefix takes beside its bytes, here and in [`Trackers`].
const PREFIX: usize = 96;

impl Tracking {
    /// Whether keys of the command at hand are remembered.
    pub const fn remembers(&self) -> bool {
        let chosen = if self.optin { self.caching } else { !(self.optout && self.caching) };
        !self.bcast && chosen
    }

    /// Bytes that this takes.
    pub fn memory(&self) -> usize {
        let prefixes: usize = self.prefixes.iter().map(|prefix| 2 * prefix.len() + PREFIX).sum();
        size_of::<Self>() + prefixes
    }
}

#[derive(Debug, Default)]
struct State {
    clients: usize,
    prefixes: BTreeMap<Box<[u8]>, Vec<Arc<Client>>>,
}

/// All clients that track.
#[derive(Debug, Default)]
pub struct Trackers {
    state: RwLock<State>,
}

impl Trackers {
    /// How many clients track, and how many prefixes.
    pub fn len(&self) -> (usize, usize) {
        let state = self.state.read();
        (state.clients, state.prefixes.len())
    }

    /// Whether nobody tracks.
    pub fn is_empty(&self) -> bool {
        self.len().0 == 0
    }

    /// `client` tracks as `how` says from now on; `before` if it did already.
    pub fn begin(
        &self,
        client: &Arc<Client>,
        how: &Tracking,
        before: Option<&Tracking>,
        keyspace: &Keyspace,
    ) {
        let mut state = self.state.write();
        state.clients += usize::from(before.is_none());
        for prefix in &how.prefixes {
            let clients = state.prefixes.entry(prefix.clone()).or_default();
            if !clients.iter().any(|other| other.id == client.id) {
                clients.push(Arc::clone(client));
            }
        }
        client.redirect.store(how.redirect, Ordering::Release);
        client.flag(Flag::TRACKING_ALL, false);
        let bcast = if how.bcast { Flag::BCAST } else { 0 };
        let noloop = if how.noloop { Flag::NOLOOP } else { 0 };
        client.flag(Flag::TRACKING | bcast | noloop, true);
        Self::settle(&state, keyspace);
    }

    /// `client` tracks no more.
    pub fn end(&self, client: &Client, how: &Tracking, keyspace: &Keyspace) {
        let mut state = self.state.write();
        state.clients -= 1;
        for prefix in &how.prefixes {
            if let Some(clients) = state.prefixes.get_mut(prefix) {
                clients.retain(|other| other.id != client.id);
                if clients.is_empty() {
                    state.prefixes.remove(prefix);
                }
            }
        }
        client.flag(Flag::TRACKING_ALL, false);
        Self::settle(&state, keyspace);
    }

    /// Lets the keyspace tell what somebody wants to hear.
    fn settle(state: &State, keyspace: &Keyspace) {
        keyspace.want(Wants::FLUSHED, state.clients > 0);
        keyspace.want(Wants::CHANGED, !state.prefixes.is_empty());
    }

    /// Posts to all that track prefixes of `changes`: each a key, and whether `actor`'s command changed
    /// it. Returns the workers to be woken.
    pub fn broadcast(&self, changes: &[(Box<[u8]>, bool)], actor: u64, registry: &Registry) -> u64 {
        let mut workers = 0;
        for (prefix, clients) in &self.state.read().prefixes {
            let hit = || changes.iter().filter(|(key, _)| key.starts_with(prefix));
            if hit().next().is_none() {
                continue;
            }
            let all = Invalid::keys(hit().map(|(key, _)| &**key));
            for client in clients {
                if client.id == actor && client.flags() & Flag::NOLOOP != 0 {
                    let others = || hit().filter(|(_, own)| !own).map(|(key, _)| &**key);
                    if others().next().is_some() {
                        workers |= post(registry, client, &Invalid::keys(others()));
                    }
                } else {
                    workers |= post(registry, client, &all);
                }
            }
        }
        workers
    }
}

/// An invalidation as both protocols put it.
#[derive(Debug)]
pub struct Invalid {
    resp2: Bytes,
    resp3: Bytes,
}

impl Invalid {
    /// Of some keys.
    pub fn keys<'k>(keys: impl Iterator<Item = &'k [u8]> + Clone) -> Arc<Self> {
        Self::new(|reply| {
            reply.array(keys.clone().count());
            keys.clone().for_each(|key| reply.bulk(key));
        })
    }

    /// Of everything.
    pub fn all() -> Arc<Self> {
        Self::new(Reply::null)
    }

    fn new(body: impl Fn(&mut Reply)) -> Arc<Self> {
        let mut resp3 = Reply::of_protocol(true);
        resp3.push(2);
        resp3.bulk(b"invalidate");
        body(&mut resp3);
        let mut resp2 = Reply::of_protocol(false);
        resp2.push(3);
        resp2.bulk(b"message");
        resp2.bulk(CHANNEL);
        body(&mut resp2);
        Arc::new(Self { resp2: resp2.into_bytes(), resp3: resp3.into_bytes() })
    }

    /// The bytes for a client of protocol 3.
    pub const fn push(&self) -> &Bytes {
        &self.resp3
    }

    /// The bytes for a client of protocol 2 that listens for redirected invalidations.
    pub const fn message(&self) -> &Bytes {
        &self.resp2
    }
}

/// Posts to `client`, or to whom it redirects. Returns the workers to be woken.
pub fn post(registry: &Registry, client: &Arc<Client>, invalid: &Arc<Invalid>) -> u64 {
    let redirect = client.redirect.load(Ordering::Acquire);
    let (to, mail) = match redirect {
        0 => (Arc::clone(client), Mail::Stale(Arc::clone(client), Arc::clone(invalid), false)),
        id => match registry.find(id) {
            Some(to) => (Arc::clone(&to), Mail::Stale(to, Arc::clone(invalid), true)),
            None => {
                client.flag(Flag::BROKEN_REDIRECT, true);
                (Arc::clone(client), Mail::Broken(Arc::clone(client), id))
            }
        },
    };
    registry.mailbox(to.origin.worker).leave(mail);
    registry.bit(to.origin.worker)
}

/// What a client of protocol 3 is told whose redirection leads nowhere.
pub fn broken(id: u64) -> Bytes {
    let mut reply = Reply::of_protocol(true);
    reply.push(2);
    reply.bulk(b"tracking-redir-broken");
    reply.int(i64::try_from(id).unwrap_or(i64::MAX));
    reply.into_bytes()
}

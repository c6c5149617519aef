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
use crate::sync::{AtomicUsize, Ordering};
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

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

/// An invalidation as both protocols put it, each only once a client needs it.
#[derive(Debug)]
pub struct Invalid {
    /// The array of keys, encoded alike by both; none if all keys are meant.
    keys: Option<Bytes>,
    resp2: OnceLock<Bytes>,
    resp3: OnceLock<Bytes>,
}

/// Bytes of keys in invalidations that are on their way.
static IN_MAIL: AtomicUsize = AtomicUsize::new(0);

/// Bytes of keys in invalidations that no worker has read yet, and of what is done with them there.
pub fn in_mail() -> usize {
    IN_MAIL.load(Ordering::Relaxed)
}

impl Invalid {
    /// Of some keys.
    pub fn keys<'k>(keys: impl Iterator<Item = &'k [u8]> + Clone) -> Arc<Self> {
        let mut array = Reply::default();
        array.array(keys.clone().count());
        keys.for_each(|key| array.bulk(key));
        Self::new(Some(Bytes::copy_from_slice(&array.into_bytes())))
    }

    /// Of everything.
    pub fn all() -> Arc<Self> {
        Self::new(None)
    }

    fn new(keys: Option<Bytes>) -> Arc<Self> {
        let invalid = Self { keys, resp2: OnceLock::new(), resp3: OnceLock::new() };
        IN_MAIL.fetch_add(invalid.weight(), Ordering::Relaxed);
        Arc::new(invalid)
    }

    fn weight(&self) -> usize {
        self.keys.as_ref().map_or(0, Bytes::len)
    }

    /// The bytes for a client of protocol 3.
    pub fn push(&self) -> &Bytes {
        self.resp3.get_or_init(|| {
            let mut reply = Reply::of_protocol(true);
            reply.push(2);
            reply.bulk(b"invalidate");
            self.end(reply)
        })
    }

    /// The bytes for a client of protocol 2 that listens for redirected invalidations.
    pub fn message(&self) -> &Bytes {
        self.resp2.get_or_init(|| {
            let mut reply = Reply::of_protocol(false);
            reply.push(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
            self.end(reply)
        })
    }

    fn end(&self, mut reply: Reply) -> Bytes {
        match &self.keys {
            Some(keys) => reply.raw(keys),
            None => reply.null(),
        }
        reply.into_bytes()
    }
}

impl Drop for Invalid {
    fn drop(&mut self) {
        IN_MAIL.fetch_sub(self.weight(), Ordering::Relaxed);
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

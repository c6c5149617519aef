//! Keyspace events: what commands tell of keys, published to channels.
//!
//! A handler that has changed a key says so by [`Cx::event`], in Redis' word for it, anywhere
//! between the change and its end. With `notify-keyspace-events` empty that is one branch.
//!
//! - **V1** Events of a key are published in the order of its changes. While any class is wanted, a
//!   command that writes runs under the stripes of all its keys ([`super::blocking::call`]), as EXEC does, so the
//!   handler may well have dropped its `Write` by the time it speaks: the stripe is still held.
//! - **V2** What a command, EXEC or script tells leaves when it is done, under those stripes
//!   ([`crate::db::Notice`]), together with what the keyspace itself tells (made, expired, evicted) and with
//!   what PUBLISH sent, in the order in which it happened. A connection that listens itself gets it
//!   before its reply, as from Redis ([`heard_by_itself`]).
//! - **V3** The keyspace tells of removed keys wherever they are met: reading, writing, sweeping, making
//!   room. It knows no channels; [`Teller`] makes messages of what it says.
//!
//! Who runs several commands as one step (EXEC, scripts) does so by [`super::blocking::in_step`], and need not know
//! of events at all.

use super::{Cx, Shared, waits};
pub use crate::config::Events as Class;
use crate::db::{Access, Herald, Notice, Wants, What};
use crate::session::hub::Kind;
use crate::session::pause::Conditions;
use crate::session::tracking::{self, Invalid};
use crate::session::{After, Flag, Registry};
use std::sync::Arc;

impl Cx<'_> {
    /// The command did `word` to `key` of the selected database, an event of `class`.
    #[inline(always)]
    pub fn event(&mut self, class: Class, word: &'static str, key: &[u8]) {
        self.event_in(self.db.db, class, word, key);
    }

    /// As [`Cx::event`], for a key of another database.
    #[inline(always)]
    pub fn event_in(&mut self, db: usize, class: Class, word: &'static str, key: &[u8]) {
        if self.shared.conditions.events() & class.0 != 0 {
            self.db.say(db, key, What::Said(class.0, word));
        }
    }

    /// What says events in closures to which only the keyspace is lent.
    pub fn voice(&self) -> Voice {
        Voice { wanted: self.shared.conditions.events() }
    }
}

/// A message may have gone to the connection that caused it: if so its reply waits until all
/// messages that came before it, and this one, are on their way.
pub fn heard_by_itself(cx: &mut Cx<'_>) {
    let told = std::mem::take(&mut cx.db.told);
    if told && cx.session.subscriptions.is_some() && cx.session.after == After::Continue {
        cx.session.after = After::Park(0);
    }
}

/// Speaks where only the keyspace is at hand, as in the closures that work on several keys.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    wanted: u32,
}

impl Voice {
    /// `word` was done to `key` of the selected database.
    #[inline(always)]
    pub fn event(self, db: &mut Access<'_>, class: Class, word: &'static str, key: &[u8]) {
        if self.wanted & class.0 != 0 {
            db.say(db.db, key, What::Said(class.0, word));
        }
    }
}

/// The configuration wants these classes.
pub fn configure(shared: &Shared, classes: Class) {
    let channels = Class::KEYSPACE.0 | Class::KEYEVENT.0;
    let on = classes.0 & channels != 0 && classes.0 & !channels != 0;
    shared.conditions.set_events(if on { classes.0 } else { 0 });
    let wanted = |class: u32| on && classes.0 & class != 0;
    let keyspace = &shared.keyspace;
    keyspace.want(Wants::CREATED, wanted(Class::NEW.0));
    keyspace.want(Wants::MISSED, wanted(Class::KEY_MISS.0));
    keyspace.want(Wants::FIELDS, wanted(Class::HASH.0 | Class::GENERIC.0));
    keyspace.want(Wants::GONE, wanted(Class::EXPIRED.0 | Class::EVICTED.0));
}

/// Makes messages of notices.
struct Teller {
    clients: Arc<Registry>,
    conditions: Arc<Conditions>,
}

/// Lets what the keyspace and commands tell be published. Once, before any thread works.
pub fn connect(shared: &Shared) {
    let (clients, conditions) = (Arc::clone(&shared.clients), Arc::clone(&shared.conditions));
    shared.keyspace.appoint(Box::new(Teller { clients, conditions }));
}

impl Herald for Teller {
    fn tell(&self, actor: u64, notices: &mut Vec<Notice>) -> u64 {
        let (mut workers, mut changed) = (0, Vec::new());
        for notice in notices.drain(..) {
            workers |= match notice.what {
                What::Changed { by_command } => {
                    changed.push((notice.key, by_command));
                    0
                }
                What::Stale(readers) => self.invalidate(&readers, &notice.key),
                What::Flushed => self.invalidate_all(actor),
                _ => self.pass_on(&notice),
            };
        }
        if !changed.is_empty() {
            workers |= self.clients.trackers.broadcast(&changed, actor, &self.clients);
        }
        workers
    }

    fn rouse(&self, whom: u64) {
        self.clients.rouse(whom);
    }

    fn is_here(&self, reader: u64) -> bool {
        self.clients.find(reader).is_some()
    }

    fn reserved(&self, any: bool) {
        self.conditions.set(Conditions::RESERVED, any);
    }

    fn unreserved(&self) {
        waits::wake(&self.conditions, &self.clients);
    }
}

impl Teller {
    fn pass_on(&self, notice: &Notice) -> u64 {
        let (class, word) = match &notice.what {
            What::Said(class, word) => (*class, *word),
            What::Created => (Class::NEW.0, "new"),
            What::Missed => (Class::KEY_MISS.0, "keymiss"),
            What::Expired => (Class::EXPIRED.0, "expired"),
            What::Evicted => (Class::EVICTED.0, "evicted"),
            What::FieldsOver => (Class::HASH.0, "hexpired"),
            What::Emptied => (Class::GENERIC.0, "del"),
            What::Stale(_) | What::Changed { .. } | What::Flushed => return 0, // not for channels
            What::Sent { shard, message } => {
                let kind = if *shard { Kind::Shard } else { Kind::Channel };
                return self.post(kind, &notice.key, message);
            }
        };
        let wanted = self.conditions.events();
        let mut workers = 0;
        if wanted & class != 0 {
            if wanted & Class::KEYSPACE.0 != 0 {
                let mut channel = format!("__keyspace@{}__:", notice.db).into_bytes();
                channel.extend_from_slice(&notice.key);
                workers |= self.post(Kind::Channel, &channel, word.as_bytes());
            }
            if wanted & Class::KEYEVENT.0 != 0 {
                let channel = format!("__keyevent@{}__:{word}", notice.db);
                workers |= self.post(Kind::Channel, channel.as_bytes(), &notice.key);
            }
        }
        workers
    }

    /// Those who have read `key`, and still track what they read, are to drop it.
    fn invalidate(&self, readers: &[u64], key: &[u8]) -> u64 {
        let invalid = Invalid::keys(std::iter::once(key));
        let clients = readers.iter().filter_map(|id| self.clients.find(*id));
        let tracking = clients
            .filter(|client| client.flags() & (Flag::TRACKING | Flag::BCAST) == Flag::TRACKING);
        tracking
            .fold(0, |workers, client| workers | tracking::post(&self.clients, &client, &invalid))
    }

    /// Everybody who tracks anything is to drop everything; `actor` knows.
    fn invalidate_all(&self, actor: u64) -> u64 {
        let invalid = Invalid::all();
        let clients = self.clients.all();
        let others = clients.iter().filter(|client| client.id != actor);
        let tracking = others.filter(|client| client.flags() & Flag::TRACKING != 0);
        tracking
            .fold(0, |workers, client| workers | tracking::post(&self.clients, client, &invalid))
    }

    fn post(&self, kind: Kind, channel: &[u8], message: &[u8]) -> u64 {
        let clients = &self.clients;
        clients.hub.post(kind, channel, message, clients).workers
    }
}

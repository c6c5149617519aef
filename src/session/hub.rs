//! Channels: who listens to what, and the way of a message to them.
//!
//! A message is encoded once for each protocol, and one letter goes to each worker that has
//! listeners; the worker hands the same bytes to all of its own.
//!
//! - **H1** A client is in a topic's list exactly while its [`Subscriptions`] name the topic. Only the
//!   worker that owns the client changes either, so a list of a worker's clients holds still while
//!   that worker delivers.
//! - **H2** A topic is in its map while somebody listens: joining and leaving happen under the map's
//!   lock of that name, so nobody joins a topic that is being dropped.
//! - **H3** Letters about a topic are posted under its lock, and mailboxes keep their order: all
//!   listeners hear the messages of one channel in the same order, and those of one publisher in
//!   the order in which it sent them.

use super::mail::Mail;
use super::registry::{Client, Registry};
use crate::resp::Reply;
use crate::sync::{AtomicUsize, Ordering};
use crate::types::glob::Pattern;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A channel, by its name.
    Channel,
    /// All channels whose name matches.
    Pattern,
    /// A channel of a cluster's slot.
    Shard,
}

/// A channel or pattern that somebody listens to.
#[derive(Debug)]
pub struct Topic {
    name: Bytes,
    /// Set for patterns.
    pattern: Option<Pattern>,
    groups: Mutex<Vec<Group>>,
}

/// The listeners that one worker owns; never empty.
#[derive(Debug)]
struct Group {
    worker: usize,
    /// Shared with whoever delivers to them.
    clients: Arc<Vec<Arc<Client>>>,
}

impl Topic {
    fn new(kind: Kind, name: &[u8]) -> Self {
        let pattern = (kind == Kind::Pattern).then(|| Pattern::new(name));
        Self { name: Bytes::copy_from_slice(name), pattern, groups: Mutex::default() }
    }

    /// The listeners of `worker`, for delivery.
    pub fn listeners(&self, worker: usize) -> Arc<Vec<Arc<Client>>> {
        let groups = self.groups.lock();
        let group = groups.iter().find(|group| group.worker == worker);
        group.map_or_else(Arc::default, |group| Arc::clone(&group.clients))
    }

    fn len(&self) -> usize {
        self.groups.lock().iter().map(|group| group.clients.len()).sum()
    }

    fn join(&self, client: &Arc<Client>) {
        let mut groups = self.groups.lock();
        let worker = client.origin.worker;
        match groups.iter_mut().find(|group| group.worker == worker) {
            Some(group) => Arc::make_mut(&mut group.clients).push(Arc::clone(client)),
            None => groups.push(Group { worker, clients: Arc::new(vec![Arc::clone(client)]) }),
        }
    }

    /// Whether nobody is left.
    fn leave(&self, client: &Client) -> bool {
        let mut groups = self.groups.lock();
        for group in groups.iter_mut().filter(|group| group.worker == client.origin.worker) {
            Arc::make_mut(&mut group.clients).retain(|other| other.id != client.id);
        }
        groups.retain(|group| !group.clients.is_empty());
        groups.is_empty()
    }

    /// Posts to every worker that has listeners (H3).
    fn post(self: &Arc<Self>, frames: impl FnOnce() -> Frames, registry: &Registry) -> Posted {
        let groups = self.groups.lock();
        let mut posted = Posted::default();
        if groups.is_empty() {
            return posted;
        }
        let frames = Arc::new(frames());
        for group in groups.iter() {
            posted.count += group.clients.len();
            posted.workers |= registry.bit(group.worker);
            let mail = Mail::Message(Arc::clone(self), Arc::clone(&frames));
            registry.mailbox(group.worker).leave(mail);
        }
        posted
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// How many hear it.
    pub count: usize,
    /// The workers that deliver it, to be woken by [`Registry::rouse`].
    pub workers: u64,
}

impl Posted {
    const fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, workers: self.workers | other.workers }
    }
}

/// A message as both protocols put it.
#[derive(Debug)]
pub struct Frames {
    resp2: Bytes,
    /// Made when somebody asks for it.
    resp3: OnceLock<Bytes>,
}

impl Frames {
    fn new(words: &[&[u8]]) -> Self {
        let length = words.iter().map(|word| word.len() + 16).sum::<usize>() + 16;
        let mut reply = Reply::with_capacity(length);
        reply.push(words.len());
        words.iter().for_each(|word| reply.bulk(word));
        Self { resp2: Bytes::from(std::mem::take(&mut reply.bytes)), resp3: OnceLock::new() }
    }

    /// The bytes for a client of this protocol.
    pub fn of(&self, resp3: bool) -> &Bytes {
        if !resp3 {
            return &self.resp2;
        }
        self.resp3.get_or_init(|| {
            let mut bytes = self.resp2.to_vec();
            bytes.iter_mut().take(1).for_each(|kind| *kind = b'>'); // all that differs
            bytes.into()
        })
    }
}

/// Messages of a topic that came one after the other: they go to each listener in one piece.
#[derive(Debug)]
pub struct Run {
    /// What they are about.
    pub topic: Arc<Topic>,
    first: Arc<Frames>,
    rest: Vec<Arc<Frames>>,
    bytes: usize,
}

impl Run {
    /// It begins with this one.
    pub fn new(topic: Arc<Topic>, first: Arc<Frames>) -> Self {
        let bytes = first.resp2.len();
        Self { topic, first, rest: Vec::new(), bytes }
    }

    /// Adds one that follows. It comes back if it is about another topic, or they grow too large to be
    /// copied into one piece.
    pub fn add(
        &mut self,
        topic: Arc<Topic>,
        frames: Arc<Frames>,
    ) -> Result<(), (Arc<Topic>, Arc<Frames>)> {
        /// Up to here a copy, made once for all listeners, costs less than a piece more for each.
        const MOST: usize = 64 * 1024;
        if !Arc::ptr_eq(&self.topic, &topic) || self.bytes + frames.resp2.len() > MOST {
            return Err((topic, frames));
        }
        self.bytes += frames.resp2.len();
        self.rest.push(frames);
        Ok(())
    }

    /// All of them, for clients of this protocol.
    pub fn joined(&self, resp3: bool) -> Bytes {
        let first = self.first.of(resp3);
        if self.rest.is_empty() {
            return first.clone();
        }
        let mut all = Vec::with_capacity(self.bytes);
        all.extend_from_slice(first);
        self.rest.iter().for_each(|frames| all.extend_from_slice(frames.of(resp3)));
        all.into()
    }
}

/// What one client listens to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: BTreeMap<Bytes, Arc<Topic>>,
    patterns: BTreeMap<Bytes, Arc<Topic>>,
    shards: BTreeMap<Bytes, Arc<Topic>>,
    names: usize,
}

/// What a subscription takes beside its name: entries in the client's map and the topic's list.
const SUBSCRIPTION: usize = 96;

impl Subscriptions {
    const fn of(&self, kind: Kind) -> &BTreeMap<Bytes, Arc<Topic>> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    const fn of_mut(&mut self, kind: Kind) -> &mut BTreeMap<Bytes, Arc<Topic>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// How many there are of `kind`.
    pub fn len(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }

    /// Bytes that they take.
    pub fn weight(&self) -> usize {
        let count = self.channels.len() + self.patterns.len() + self.shards.len();
        self.names + count * SUBSCRIPTION
    }

    /// The names of `kind`.
    pub fn names(&self, kind: Kind) -> Vec<Bytes> {
        self.of(kind).keys().cloned().collect()
    }
}

type Topics = scc::HashMap<Bytes, Arc<Topic>>;

/// All topics of the server.
#[derive(Debug, Default)]
pub struct Hub {
    channels: Topics,
    shards: Topics,
    patterns: RwLock<BTreeMap<Bytes, Arc<Topic>>>,
    /// Size of `patterns`, so that publishers need not ask for its lock when there are none.
    pattern_count: AtomicUsize,
}

impl Hub {
    const fn topics(&self, kind: Kind) -> &Topics {
        match kind {
            Kind::Shard => &self.shards,
            _ => &self.channels,
        }
    }

    /// Lets `client` listen to `name`. False if it did already.
    pub fn subscribe(
        &self,
        kind: Kind,
        name: &[u8],
        client: &Arc<Client>,
        to: &mut Subscriptions,
    ) -> bool {
        if to.of(kind).contains_key(name) {
            return false;
        }
        let fresh = || Arc::new(Topic::new(kind, name));
        let key = Bytes::copy_from_slice(name);
        let topic = if kind == Kind::Pattern {
            let mut patterns = self.patterns.write();
            let topic = Arc::clone(patterns.entry(key.clone()).or_insert_with(fresh));
            topic.join(client);
            self.pattern_count.store(patterns.len(), Ordering::Release);
            topic
        } else {
            let entry = self.topics(kind).entry_sync(key.clone()).or_insert_with(fresh);
            entry.get().join(client); // H2: the entry is locked
            Arc::clone(entry.get())
        };
        to.names += name.len();
        to.of_mut(kind).insert(key, topic);
        true
    }

    /// Ends that. False if it did not listen.
    pub fn unsubscribe(
        &self,
        kind: Kind,
        name: &[u8],
        client: &Client,
        to: &mut Subscriptions,
    ) -> bool {
        let Some(topic) = to.of_mut(kind).remove(name) else { return false };
        to.names -= name.len();
        if kind == Kind::Pattern {
            let mut patterns = self.patterns.write();
            if topic.leave(client) {
                patterns.remove(name);
            }
            self.pattern_count.store(patterns.len(), Ordering::Release);
        } else {
            self.topics(kind).remove_if_sync(name, |topic| topic.leave(client));
        }
        true
    }

    /// Ends all of them: the client leaves.
    pub fn unsubscribe_all(&self, client: &Client, mut from: Subscriptions) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in from.names(kind) {
                self.unsubscribe(kind, &name, client, &mut from);
            }
        }
    }

    /// Sends `message` to whoever listens to `channel`, and to matching patterns unless the channel is
    /// a cluster slot's. Returns how many hear it.
    pub fn publish(
        &self,
        kind: Kind,
        channel: &[u8],
        message: &[u8],
        registry: &Registry,
    ) -> usize {
        let posted = self.post(kind, channel, message, registry);
        registry.rouse(posted.workers);
        posted.count
    }

    /// As [`Hub::publish`], but no worker is woken yet.
    pub fn post(&self, kind: Kind, channel: &[u8], message: &[u8], registry: &Registry) -> Posted {
        let word: &[u8] = if kind == Kind::Shard { b"smessage" } else { b"message" };
        let topic = self.topics(kind).read_sync(channel, |_, topic| Arc::clone(topic));
        let frames = || Frames::new(&[word, channel, message]);
        let mut posted = topic.map_or_else(Posted::default, |topic| topic.post(frames, registry));
        if kind == Kind::Channel && self.pattern_count.load(Ordering::Acquire) > 0 {
            for topic in self.patterns.read().values() {
                if topic.pattern.as_ref().is_some_and(|pattern| pattern.matches(channel)) {
                    let words: [&[u8]; 4] = [b"pmessage", &topic.name, channel, message];
                    posted = posted.and(topic.post(|| Frames::new(&words), registry));
                }
            }
        }
        posted
    }

    /// How many would hear a message to `channel` now.
    pub fn audience(&self, kind: Kind, channel: &[u8]) -> usize {
        let mut count = self.listeners(kind, channel);
        if kind == Kind::Channel && self.pattern_count.load(Ordering::Acquire) > 0 {
            for topic in self.patterns.read().values() {
                if topic.pattern.as_ref().is_some_and(|pattern| pattern.matches(channel)) {
                    count += topic.len();
                }
            }
        }
        count
    }

    /// How many listen to channel `name`.
    pub fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        self.topics(kind).read_sync(name, |_, topic| topic.len()).unwrap_or(0)
    }

    /// The channels somebody listens to.
    pub fn channels(&self, kind: Kind, wanted: impl Fn(&[u8]) -> bool) -> Vec<Bytes> {
        let mut names = Vec::new();
        self.topics(kind).iter_sync(|name, _| {
            if wanted(name) {
                names.push(name.clone());
            }
            true
        });
        names
    }

    /// How many topics there are of `kind`.
    pub fn len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Pattern => self.pattern_count.load(Ordering::Acquire),
            _ => self.topics(kind).len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::registry::Origin;

    fn listen(hub: &Hub, client: &Arc<Client>, wants: &[(Kind, &str)]) -> Subscriptions {
        let mut to = Subscriptions::default();
        for (kind, name) in wants {
            assert!(hub.subscribe(*kind, name.as_bytes(), client, &mut to));
            assert!(!hub.subscribe(*kind, name.as_bytes(), client, &mut to), "twice is once");
        }
        to
    }

    #[test]
    fn one_letter_a_worker_and_every_listener_counted() {
        let registry = Registry::new(2);
        let hub = Hub::default();
        let clients: Vec<_> =
            (0..4).map(|i| registry.add(Origin { worker: i % 2, ..Origin::default() })).collect();
        let wants = [(Kind::Channel, "news"), (Kind::Pattern, "n*")];
        let kept: Vec<_> = clients.iter().map(|client| listen(&hub, client, &wants)).collect();
        assert_eq!(hub.publish(Kind::Channel, b"news", b"x", &registry), 8);
        assert_eq!(hub.publish(Kind::Channel, b"none", b"x", &registry), 4, "the pattern");
        assert_eq!(hub.publish(Kind::Shard, b"news", b"x", &registry), 0);
        for worker in 0..2 {
            let mut letters = 0;
            while let Some(mail) = registry.mailbox(worker).take() {
                assert!(
                    matches!(mail, Mail::Message(topic, _) if topic.listeners(worker).len() == 2)
                );
                letters += 1;
            }
            assert_eq!(letters, 3);
        }
        for (client, to) in clients.iter().zip(kept) {
            hub.unsubscribe_all(client, to);
        }
        assert_eq!((hub.len(Kind::Channel), hub.len(Kind::Pattern)), (0, 0));
        assert_eq!(hub.publish(Kind::Channel, b"news", b"x", &registry), 0);
    }

    #[test]
    fn frames_of_both_protocols() {
        let frames = Frames::new(&[b"message", b"c", b"\r\n"]);
        assert_eq!(&frames.of(false)[..], &b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"[..]);
        assert_eq!(&frames.of(true)[..], &b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"[..]);
    }

    #[test]
    fn a_run_is_its_messages_in_their_order() {
        let topic = Arc::new(Topic::new(Kind::Channel, b"c"));
        let frames = |text: &[u8]| Arc::new(Frames::new(&[text]));
        let mut run = Run::new(Arc::clone(&topic), frames(b"1"));
        assert_eq!(run.joined(false), run.first.resp2);
        assert!(run.add(Arc::clone(&topic), frames(b"2")).is_ok());
        assert_eq!(&run.joined(false)[..], b"*1\r\n$1\r\n1\r\n*1\r\n$1\r\n2\r\n");
        assert_eq!(&run.joined(true)[..], b">1\r\n$1\r\n1\r\n>1\r\n$1\r\n2\r\n");
        let other = Arc::new(Topic::new(Kind::Channel, b"c"));
        assert!(run.add(other, frames(b"3")).is_err(), "of the same name, but another");
        assert!(run.add(topic, frames(&[b'x'; 66_000])).is_err());
    }
}

//! All connected clients, for CLIENT LIST, KILL and the limits that look across workers.
//!
//! - **C1** A client's connection is touched by its worker alone. Other threads read the atomics
//!   here, which the worker stores plainly, and ask for more by [`Mail`].
//! - **C2** A client that was killed is out of the registry at once, though its worker may take a
//!   moment to close the socket.
//! - **C3** [`Registry::memory`] is the sum of `total_memory` of the clients in the registry.

use super::hub::Hub;
use super::mail::{Mail, Mailbox, RollCall, Then};
use super::tracking::Trackers;
use crate::db::Waiter;
use crate::sync::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The user of whoever gives no name.
pub const DEFAULT_USER: &str = "default";

/// Bits of a client's flags, as CLIENT LIST shows them.
#[derive(Debug, Clone, Copy)]
pub struct Flag;

impl Flag {
    /// Runs MONITOR.
    pub const MONITOR: u32 = 1;
    /// Waits in a blocking command, or for a pause to end.
    pub const BLOCKED: u32 = 1 << 1;
    /// Inside MULTI.
    pub const MULTI: u32 = 1 << 2;
    /// A watched key was touched.
    pub const DIRTY: u32 = 1 << 3;
    /// Will be closed when its replies are sent.
    pub const CLOSING: u32 = 1 << 4;
    /// Will be closed now.
    pub const KILLED: u32 = 1 << 5;
    /// Connected by the unix socket.
    pub const UNIX: u32 = 1 << 6;
    /// READONLY.
    pub const READONLY: u32 = 1 << 7;
    /// CLIENT NO-EVICT.
    pub const NO_EVICT: u32 = 1 << 8;
    /// CLIENT NO-TOUCH.
    pub const NO_TOUCH: u32 = 1 << 9;
    /// Subscribed to something.
    pub const PUBSUB: u32 = 1 << 10;
    /// A replica of this server.
    pub const REPLICA: u32 = 1 << 11;
    /// The primary of this server.
    pub const PRIMARY: u32 = 1 << 12;
    /// Waits in a command that has a time limit; set together with `BLOCKED`.
    pub const TIMED: u32 = 1 << 14;
    /// CLIENT TRACKING.
    pub const TRACKING: u32 = 1 << 15;
    /// The client that invalidations were redirected to is gone.
    pub const BROKEN_REDIRECT: u32 = 1 << 16;
    /// Tracks prefixes.
    pub const BCAST: u32 = 1 << 17;
    /// Does not track its own changes.
    pub const NOLOOP: u32 = 1 << 18;
    /// All about tracking.
    pub const TRACKING_ALL: u32 =
        Self::TRACKING | Self::BROKEN_REDIRECT | Self::BCAST | Self::NOLOOP;

    const LETTERS: [(u32, char); 15] = [
        (Self::MONITOR, 'O'),
        (Self::REPLICA, 'S'),
        (Self::PRIMARY, 'M'),
        (Self::PUBSUB, 'P'),
        (Self::MULTI, 'x'),
        (Self::BLOCKED, 'b'),
        (Self::TRACKING, 't'),
        (Self::BROKEN_REDIRECT, 'R'),
        (Self::BCAST, 'B'),
        (Self::DIRTY, 'd'),
        (Self::CLOSING, 'c'),
        (Self::KILLED, 'A'),
        (Self::UNIX, 'U'),
        (Self::READONLY, 'r'),
        (Self::NO_EVICT, 'e'),
    ];

    /// The letters of a set of flags; `N` for none.
    pub fn letters(flags: u32) -> String {
        let mut letters: String =
            Self::LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, c)| c).collect();
        if flags & Self::NO_TOUCH != 0 {
            letters.push('T');
        }
        if letters.is_empty() { "N".to_owned() } else { letters }
    }
}

/// The classes that limits and CLIENT KILL TYPE tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Class {
    Normal,
    Primary,
    Replica,
    Pubsub,
}

impl Class {
    /// The class of a name, old spellings included.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"normal" => Self::Normal,
            b"master" | b"primary" => Self::Primary,
            b"slave" | b"replica" => Self::Replica,
            b"pubsub" => Self::Pubsub,
            _ => return None,
        })
    }
}

/// Where a connection comes from; fixed while it lasts.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The worker that owns it.
    pub worker: usize,
    /// Number of its file descriptor.
    pub fd: i32,
    /// Address of the other end; the path of a unix socket, with `:0`.
    pub peer: String,
    /// Address of this end.
    pub local: String,
    /// Whether it came by the unix socket.
    pub unix: bool,
    /// When it connected, Unix milliseconds.
    pub since_ms: i64,
}

/// What its owner publishes of a client: plain stores (C1).
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct View {
    /// Last time it sent something, Unix milliseconds.
    pub seen_ms: AtomicI64,
    /// Number of the row it ran last; [`View::NO_COMMAND`] before the first.
    pub row: AtomicU32,
    pub db: AtomicU32,
    pub resp: AtomicU8,
    pub subscriptions: AtomicU32,
    pub patterns: AtomicU32,
    pub shard_subscriptions: AtomicU32,
    /// Commands queued by MULTI; -1 outside of it.
    pub queued: AtomicI64,
    pub watched: AtomicU32,
    /// Bytes of requests not yet run, and room behind them.
    pub query: AtomicUsize,
    pub query_free: AtomicUsize,
    /// Bytes of the begun request's arguments, and of commands queued by MULTI.
    pub args_memory: AtomicUsize,
    pub multi_memory: AtomicUsize,
    /// Pieces and bytes of replies that the socket did not take yet.
    pub output_pieces: AtomicUsize,
    pub output_bytes: AtomicUsize,
}

impl View {
    /// [`View::row`] of a client that has sent no command.
    pub const NO_COMMAND: u32 = u32::MAX;
}

#[derive(Debug, Default)]
struct Names {
    name: Vec<u8>,
    lib_name: Vec<u8>,
    lib_version: Vec<u8>,
    user: String,
}

/// One client as other threads see it.
#[derive(Debug, Default)]
pub struct Client {
    /// Unique, never reused.
    pub id: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// What its owner publishes.
    pub view: View,
    /// Place in its worker's table.
    pub slot: AtomicU32,
    /// Whom its invalidations are redirected to; 0 for nobody.
    pub redirect: AtomicU64,
    flags: AtomicU32,
    gone: AtomicBool,
    total_memory: AtomicUsize,
    /// Held while `total_memory` enters or leaves the sum (C3).
    accounting: Mutex<()>,
    names: Mutex<Names>,
    wait: Mutex<Wait>,
}

/// What a client waits for, as far as CLIENT UNBLOCK may end that.
#[derive(Debug, Default)]
pub enum Wait {
    /// Nothing.
    #[default]
    No,
    /// Time, or what others confirm.
    Plain,
    /// In line with others.
    InLine(Arc<Waiter>),
}

impl Client {
    /// The flags, see [`Flag`].
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Whom its invalidations are redirected to: 0 for nobody, -1 without tracking.
    pub fn redirection(&self) -> i64 {
        match self.flags() & Flag::TRACKING {
            0 => -1,
            _ => i64::try_from(self.redirect.load(Ordering::Acquire)).unwrap_or(i64::MAX),
        }
    }

    /// Sets or clears flags.
    pub fn flag(&self, bits: u32, on: bool) {
        if on {
            self.flags.fetch_or(bits, Ordering::AcqRel);
        } else {
            self.flags.fetch_and(!bits, Ordering::AcqRel);
        }
    }

    /// The class it belongs to.
    pub fn class(&self) -> Class {
        match self.flags() {
            flags if flags & Flag::PRIMARY != 0 => Class::Primary,
            flags if flags & Flag::REPLICA != 0 && flags & Flag::MONITOR == 0 => Class::Replica,
            flags if flags & Flag::PUBSUB != 0 => Class::Pubsub,
            _ => Class::Normal,
        }
    }

    /// Its name; empty without one.
    pub fn name(&self) -> Vec<u8> {
        self.names.lock().name.clone()
    }

    /// Names it.
    pub fn set_name(&self, name: Vec<u8>) {
        self.names.lock().name = name;
    }

    /// Name and version of its library, as CLIENT SETINFO told.
    pub fn library(&self) -> (Vec<u8>, Vec<u8>) {
        let names = self.names.lock();
        (names.lib_name.clone(), names.lib_version.clone())
    }

    /// Sets the library's name or its version.
    pub fn set_library(&self, name: Option<Vec<u8>>, version: Option<Vec<u8>>) {
        let mut names = self.names.lock();
        if let Some(name) = name {
            names.lib_name = name;
        }
        if let Some(version) = version {
            names.lib_version = version;
        }
    }

    /// The user it acts as.
    pub fn user(&self) -> String {
        let names = self.names.lock();
        if names.user.is_empty() { DEFAULT_USER.to_owned() } else { names.user.clone() }
    }

    /// Sets the user.
    pub fn set_user(&self, user: &str) {
        user.clone_into(&mut self.names.lock().user);
    }

    /// Bytes that its structures and buffers take.
    pub fn total_memory(&self) -> usize {
        self.total_memory.load(Ordering::Relaxed)
    }

    /// It waits, or does so no longer.
    pub fn wait(&self, wait: Wait) {
        *self.wait.lock() = wait;
    }

    /// Ends its wait, of which its worker is to be told; false if it does not wait or was served. One
    /// word decides, not the flags: those are for the eye, and late.
    pub fn unblock(&self) -> bool {
        let mut wait = self.wait.lock();
        match &*wait {
            Wait::No => return false,
            Wait::Plain => {}
            Wait::InLine(waiter) if waiter.end() => {}
            Wait::InLine(_) => return false,
        }
        *wait = Wait::No;
        true
    }

    /// Whether it left the registry.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// All clients, and the workers' mailboxes.
#[derive(Debug)]
pub struct Registry {
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    next_id: AtomicU64,
    count: AtomicUsize,
    memory: AtomicI64,
    /// A roll call before [`Registry::enforce`] is under way.
    enforcing: AtomicBool,
    /// That of the killed, until they are removed.
    leaving: AtomicI64,
    blocked: AtomicUsize,
    monitors: Box<[AtomicUsize]>,
    mailboxes: Box<[Mailbox]>,
    /// Who listens to which channel.
    pub hub: Hub,
    /// Who tracks keys.
    pub trackers: Trackers,
    per_worker: Box<[AtomicUsize]>,
}

impl Registry {
    /// No clients; one mailbox for each of `workers`.
    pub fn new(workers: usize) -> Self {
        let counts = || (0..workers).map(|_| AtomicUsize::new(0)).collect::<Box<[_]>>();
        Self {
            clients: Mutex::default(),
            next_id: AtomicU64::new(1),
            count: AtomicUsize::new(0),
            memory: AtomicI64::new(0),
            enforcing: AtomicBool::new(false),
            leaving: AtomicI64::new(0),
            blocked: AtomicUsize::new(0),
            monitors: counts(),
            mailboxes: (0..workers).map(|_| Mailbox::default()).collect(),
            hub: Hub::default(),
            trackers: Trackers::default(),
            per_worker: counts(),
        }
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.mailboxes.len()
    }

    /// The mailbox of worker `n`.
    pub fn mailbox(&self, n: usize) -> &Mailbox {
        &self.mailboxes[n]
    }

    /// A worker's bit among those that [`Registry::rouse`] is told; beyond 64 some share one.
    pub fn bit(&self, worker: usize) -> u64 {
        1 << (worker % 64)
    }

    /// Wakes the workers whose bits are set, if they sleep.
    pub fn rouse(&self, workers: u64) {
        if workers != 0 {
            let named = |n: &usize| workers & self.bit(*n) != 0;
            (0..self.workers()).filter(named).for_each(|n| self.mailboxes[n].rouse());
        }
    }

    /// The worker with the fewest connections.
    pub fn idlest(&self) -> usize {
        let load = |n: &usize| self.per_worker[*n].load(Ordering::Relaxed);
        (0..self.workers()).min_by_key(load).unwrap_or(0)
    }

    /// A new client from `origin`.
    pub fn add(&self, origin: Origin) -> Arc<Client> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let flags = if origin.unix { Flag::UNIX } else { 0 };
        self.per_worker[origin.worker].fetch_add(1, Ordering::Relaxed);
        let view = View {
            seen_ms: AtomicI64::new(origin.since_ms),
            row: AtomicU32::new(View::NO_COMMAND),
            resp: AtomicU8::new(2),
            queued: AtomicI64::new(-1),
            ..View::default()
        };
        let flags = AtomicU32::new(flags);
        let client = Arc::new(Client { id, origin, view, flags, ..Client::default() });
        self.clients.lock().insert(id, Arc::clone(&client));
        self.count.fetch_add(1, Ordering::AcqRel);
        client
    }

    /// The connection is closed. Its worker calls this once for each client it adopted.
    pub fn remove(&self, client: &Client) {
        if !self.forget(client) {
            let bytes = client.total_memory.load(Ordering::Relaxed);
            self.leaving.fetch_sub(bytes as i64, Ordering::AcqRel);
        }
        self.per_worker[client.origin.worker].fetch_sub(1, Ordering::Relaxed);
        self.block(client, false);
        self.monitor(client, false);
    }

    /// Takes `client` out of the registry; false if it was out already.
    fn forget(&self, client: &Client) -> bool {
        let _sum = client.accounting.lock();
        if client.gone.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.clients.lock().remove(&client.id);
        self.count.fetch_sub(1, Ordering::AcqRel);
        let bytes = client.total_memory.load(Ordering::Relaxed);
        self.memory.fetch_sub(bytes as i64, Ordering::AcqRel);
        true
    }

    /// Has `client` closed (C2); false if it was gone already.
    pub fn kill(&self, client: &Arc<Client>) -> bool {
        let was_here = self.forget(client);
        if was_here {
            let bytes = client.total_memory.load(Ordering::Relaxed);
            self.leaving.fetch_add(bytes as i64, Ordering::AcqRel);
            client.flag(Flag::KILLED, true);
            self.tell(client, Mail::Close(Arc::clone(client)));
        }
        was_here
    }

    /// Puts a message about `client` into its worker's mailbox.
    pub fn tell(&self, client: &Client, mail: Mail) {
        self.mailboxes[client.origin.worker].put(mail);
    }

    /// Puts a message into every worker's mailbox.
    pub fn tell_all(&self, mail: impl Fn() -> Mail) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.put(mail()));
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All clients, oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.clients.lock().values().cloned().collect()
    }

    /// The client with this id.
    pub fn find(&self, id: u64) -> Option<Arc<Client>> {
        self.clients.lock().get(&id).cloned()
    }

    /// Clients that wait in blocking commands or for a pause to end.
    pub fn blocked(&self) -> usize {
        self.blocked.load(Ordering::Relaxed)
    }

    /// `client` begins or ends to wait.
    pub fn block(&self, client: &Client, on: bool) {
        let was = client.flags() & Flag::BLOCKED != 0;
        match (was, on) {
            (false, true) => self.blocked.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.blocked.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        client.flag(Flag::BLOCKED, on);
    }

    /// `client` begins or ends to MONITOR. Returns whether anybody does.
    pub fn monitor(&self, client: &Client, on: bool) -> bool {
        let was = client.flags() & Flag::MONITOR != 0;
        let count = &self.monitors[client.origin.worker];
        if was != on {
            client.flag(Flag::MONITOR, on);
            if on {
                count.fetch_add(1, Ordering::AcqRel)
            } else {
                count.fetch_sub(1, Ordering::AcqRel)
            };
        }
        self.monitors.iter().any(|count| count.load(Ordering::Acquire) > 0)
    }

    /// Sends `line` to all clients that MONITOR.
    pub fn show_monitors(&self, line: bytes::Bytes) {
        for (mailbox, count) in self.mailboxes.iter().zip(&self.monitors) {
            if count.load(Ordering::Acquire) > 0 {
                mailbox.put(Mail::Monitor(line.clone()));
            }
        }
    }

    /// Bytes that all clients take together (C3).
    pub fn memory(&self) -> u64 {
        u64::try_from(self.memory.load(Ordering::Acquire)).unwrap_or(0)
    }

    /// Bytes of clients that are killed, and whose worker has not closed them yet.
    pub fn leaving(&self) -> usize {
        usize::try_from(self.leaving.load(Ordering::Acquire)).unwrap_or(0)
    }

    /// The owner says how much `client` takes now. Returns whether it takes more than before.
    pub fn account(&self, client: &Client, bytes: usize) -> bool {
        let before = client.total_memory.load(Ordering::Relaxed);
        if before == bytes {
            return false;
        }
        let _sum = client.accounting.lock();
        if client.is_gone() {
            return false;
        }
        client.total_memory.store(bytes, Ordering::Relaxed);
        self.memory.fetch_add(bytes as i64 - before as i64, Ordering::AcqRel);
        bytes > before
    }

    /// `client` has grown, and all together may have passed `limit`: true if [`Registry::enforce`] is
    /// due at once. Where it is not the cause itself and they are below thrice that, a roll call comes
    /// first, so that nobody has to go for the memory of one whose end another worker is about to see.
    pub fn is_pressing(&self, limit: u64, client: &Client) -> bool {
        let memory = self.memory();
        if memory <= limit {
            return false;
        }
        let cause = client.total_memory() as u64 > limit / 2;
        if cause || memory / 3 > limit || self.workers() == 1 {
            return true;
        }
        if !self.enforcing.swap(true, Ordering::AcqRel) {
            let call = RollCall::new(Then::Enforce, self.workers());
            self.tell_all(|| Mail::RollCall(Arc::clone(&call)));
        }
        false
    }

    /// The roll call of [`Registry::is_pressing`] is over.
    pub fn called(&self) {
        self.enforcing.store(false, Ordering::Release);
    }

    /// Kills clients, the greatest first, until all together take at most `limit` bytes. Those with
    /// NO-EVICT, replicas and the primary are spared. Returns how many were killed.
    pub fn enforce(&self, limit: u64) -> u64 {
        if self.memory() <= limit {
            return 0;
        }
        let mut clients = self.all();
        let spared = Flag::NO_EVICT | Flag::REPLICA | Flag::PRIMARY;
        clients.retain(|client| client.flags() & spared == 0);
        clients.sort_by_key(|client| std::cmp::Reverse(client.total_memory()));
        let mut killed = 0;
        for client in clients {
            if self.memory() <= limit {
                break;
            }
            killed += u64::from(self.kill(&client));
        }
        killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> (Registry, Vec<Arc<Client>>) {
        let registry = Registry::new(2);
        let clients = (0..4)
            .map(|_| registry.add(Origin { worker: registry.idlest(), ..Origin::default() }))
            .collect();
        (registry, clients)
    }

    #[test]
    fn clients_are_spread_evenly_and_ids_are_never_reused() {
        let (registry, clients) = registry();
        let workers: Vec<_> = clients.iter().map(|client| client.origin.worker).collect();
        assert_eq!(workers, [0, 1, 0, 1]);
        registry.remove(&clients[1]);
        let next = registry.add(Origin { worker: registry.idlest(), ..Origin::default() });
        assert_eq!((next.id, next.origin.worker, registry.len()), (5, 1, 4));
    }

    #[test]
    fn the_killed_are_out_at_once_and_their_worker_hears_of_it() {
        let (registry, clients) = registry();
        assert!(registry.kill(&clients[2]) && !registry.kill(&clients[2]));
        assert!(registry.find(3).is_none());
        assert!(matches!(registry.mailbox(0).take(), Some(Mail::Close(client)) if client.id == 3));
        registry.remove(&clients[2]);
        assert_eq!(registry.len(), 3);
    }

    #[test]
    fn the_greatest_go_first_and_the_spared_stay() {
        let (registry, clients) = registry();
        for (client, bytes) in clients.iter().zip([100, 400, 300, 50]) {
            assert!(registry.account(client, bytes));
        }
        clients[1].flag(Flag::NO_EVICT, true);
        assert_eq!((registry.memory(), registry.enforce(600)), (850, 1));
        assert!(clients[2].is_gone() && !clients[1].is_gone());
        assert_eq!((registry.enforce(0), registry.memory()), (2, 400));
    }

    #[test]
    fn letters_of_flags() {
        assert_eq!(Flag::letters(0), "N");
        assert_eq!(Flag::letters(Flag::MULTI | Flag::NO_EVICT | Flag::NO_TOUCH), "xeT");
    }
}

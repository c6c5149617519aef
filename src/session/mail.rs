//! Messages to workers: what a thread wants of a client that another thread owns.
//!
//! - **P1** A message that was put before [`Mailbox::sleep`] returns true is never slept over: the
//!   sleeper announces itself and then looks; the sender puts and then looks whether to wake.

use super::hub::{Frames, Topic};
use super::registry::Client;
use super::tracking::Invalid;
use crate::db::Ready;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};
use bytes::Bytes;
use crossbeam_queue::SegQueue;
use std::sync::{Arc, OnceLock};

/// A message to the worker that owns the client in it.
#[derive(Debug)]
pub enum Mail {
    /// Close it; replies not sent yet are dropped.
    Close(Arc<Client>),
    /// Send it these bytes, out of turn.
    Deliver(Arc<Client>, Bytes),
    /// Send a message to this worker's listeners of a topic.
    Message(Arc<Topic>, Arc<Frames>),
    /// It must drop copies of keys. True if another client redirects this to it.
    Stale(Arc<Client>, Arc<Invalid>, bool),
    /// The client with this number, to which it redirects such letters, is gone.
    Broken(Arc<Client>, u64),
    /// It waits in a blocking command: end that, as a timeout would or with an error.
    Unblock(Arc<Client>, Unblock),
    /// What it waited for is there: its reply.
    Served(Arc<Client>, Bytes),
    /// A key that it waits for was changed by a thread that serves no clients: look at it.
    Ready(Arc<Client>, Ready),
    /// Send these bytes to every client that runs MONITOR.
    Monitor(Bytes),
    /// Whatever paused or held clients may be over: look again.
    Resume,
    /// Read what has arrived, then answer.
    RollCall(Arc<RollCall>),
    /// Its command, which waited for something, may run again.
    Again(Arc<Client>),
    /// Stop: no more reading; send what is encoded.
    Stop,
}

/// How a blocking command is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unblock {
    /// As if its time were over.
    Timeout,
    /// With an error.
    Error,
}

/// A question to all workers: have you read whatever had reached your sockets by now?
///
/// A command that tells of all clients asks it first, and so does who is about to close clients for
/// their memory, as others may be gone already. Without it the reply might show another
/// worker's client as it was before bytes that were sent, on that client's connection, well before
/// the question. Whoever measures a client from outside would see that.
#[derive(Debug)]
pub struct RollCall {
    then: Then,
    left: AtomicUsize,
}

impl RollCall {
    /// Asked of `workers` workers.
    pub fn new(then: Then, workers: usize) -> Arc<Self> {
        Arc::new(Self { then, left: AtomicUsize::new(workers) })
    }

    /// One worker answers; whoever gives the last answer learns what to do.
    pub fn answer(&self) -> Option<&Then> {
        (self.left.fetch_sub(1, Ordering::AcqRel) == 1).then_some(&self.then)
    }
}

/// What follows when all have answered a [`RollCall`].
#[derive(Debug)]
pub enum Then {
    /// This client's command goes on.
    Again(Arc<Client>),
    /// `maxmemory-clients` is enforced.
    Enforce,
}

type Wake = Box<dyn Fn() + Send + Sync>;

/// One worker's letterbox.
#[derive(Default)]
pub struct Mailbox {
    queue: SegQueue<Mail>,
    asleep: AtomicBool,
    wake: OnceLock<Wake>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.queue.len()).finish_non_exhaustive()
    }
}

impl Mailbox {
    /// Says how to wake the owner. Once, before it sleeps for the first time.
    pub fn connect(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A second caller would be a mistake in the wiring; the first one stays in force.
        let _ = self.wake.set(Box::new(wake));
    }

    /// Puts a message; [`Mailbox::rouse`] must follow, when the caller holds nothing any more.
    pub fn leave(&self, mail: Mail) {
        self.queue.push(mail);
    }

    /// Puts a message and wakes the owner if it sleeps.
    pub fn put(&self, mail: Mail) {
        self.queue.push(mail);
        self.rouse();
    }

    /// Wakes the owner if it sleeps.
    pub fn rouse(&self) {
        fence(Ordering::SeqCst); // P1: put, then look
        if self.asleep.swap(false, Ordering::AcqRel)
            && let Some(wake) = self.wake.get()
        {
            wake();
        }
    }

    /// The next message; the owner only.
    pub fn take(&self) -> Option<Mail> {
        self.queue.pop()
    }

    /// The owner wants to sleep; false if there is something to do first.
    pub fn sleep(&self, idle: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst); // P1: announce, then look
        let quiet = self.queue.is_empty() && idle();
        if !quiet {
            self.woke();
        }
        quiet
    }

    /// The owner is awake again.
    pub fn woke(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU32;

    #[test]
    fn only_sleepers_are_woken_and_only_once() {
        let woken = Arc::new(AtomicU32::new(0));
        let mailbox = Mailbox::default();
        let seen = Arc::clone(&woken);
        mailbox.connect(move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        mailbox.put(Mail::Resume);
        assert!(!mailbox.sleep(|| true), "there is mail");
        assert!(matches!(mailbox.take(), Some(Mail::Resume)));
        assert!(!mailbox.sleep(|| false), "there is other work");
        assert!(mailbox.sleep(|| true));
        mailbox.put(Mail::Resume);
        mailbox.put(Mail::Stop);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}

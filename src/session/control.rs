//! Orders to the main thread: what a command asks of the server as a whole.

use crate::sync::{AtomicBool, Ordering};
use crossbeam_queue::SegQueue;
use std::sync::OnceLock;

/// How to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shutdown {
    /// Save even if there are no save points.
    pub save: bool,
    /// Do not save even if there are.
    pub nosave: bool,
    /// Do not wait for lagging replicas.
    pub now: bool,
    /// Exit even if saving fails.
    pub force: bool,
}

/// What the main thread is asked to do.
#[derive(Debug)]
pub enum Order {
    /// Exit in an orderly manner.
    Shutdown(Shutdown),
    /// Exit at once, by this signal: what there is to say was said.
    Crash(i32),
    /// Listen where the configuration says now; the answer comes back through the sender.
    Listen(Answer, Listen),
    /// Serve the metrics there from now on.
    Metrics(Answer, Metrics),
}

/// The way back of an order's result.
pub type Answer = std::sync::mpsc::Sender<Result<(), String>>;

/// Where the metrics port listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// 0 for none.
    pub port: u16,
    /// Address.
    pub bind: String,
}

/// Where to listen: what CONFIG SET may change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// TCP port; 0 for none.
    pub port: u16,
    /// Addresses.
    pub bind: Vec<String>,
}

type Wake = Box<dyn Fn() + Send + Sync>;

/// The main thread's letterbox.
#[derive(Default)]
pub struct Control {
    orders: SegQueue<Order>,
    wake: OnceLock<Wake>,
    stopping: AtomicBool,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

impl Control {
    /// Says how to wake the main thread. Once.
    pub fn connect(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A second caller would be a mistake in the wiring; the first one stays in force.
        let _ = self.wake.set(Box::new(wake));
    }

    /// Gives an order.
    pub fn order(&self, order: Order) {
        self.orders.push(order);
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// The next order; the main thread only.
    pub fn take(&self) -> Option<Order> {
        self.orders.pop()
    }

    /// The server will exit: set by the main thread.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the server is about to exit.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

//! Commands whose work is long and need not be one step: they do a slice of it, let their worker
//! serve its other clients, and go on ([`After::Retry`]).
//!
//! The command is run again from its beginning each time, with the same arguments; what it has got
//! so far waits in the session. So it begins with [`resume`], and where it finds its slice over it
//! returns what [`Slice::pause`] returns, having encoded nothing.

use super::{Cx, Error};
use crate::session::After;
use std::any::Any;
use std::time::{Duration, Instant};

/// How long a slice takes: others on the worker wait that long.
const LENGTH: Duration = Duration::from_micros(500);

/// The state of an earlier slice of the command at hand; none in its first. A command whose work has
/// several stages keeps a state for each, and asks for one after the other.
pub fn resume<T: Any + Send>(cx: &mut Cx<'_>) -> Option<Box<T>> {
    let resume = &mut cx.session.resume;
    if !resume.as_deref()?.is::<T>() {
        return None;
    }
    resume.take()?.downcast().ok()
}

/// The present slice.
#[derive(Debug)]
pub struct Slice {
    until: Instant,
}

impl Slice {
    /// It begins now.
    pub fn begin() -> Self {
        Self { until: Instant::now() + LENGTH }
    }

    /// Whether others should have their turn.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Ends the slice: the command goes on later with `state`.
    pub fn pause<T: Any + Send>(cx: &mut Cx<'_>, state: Box<T>) -> Result<(), Error> {
        cx.session.resume = Some(state);
        cx.session.after = After::Retry;
        Ok(())
    }
}

//! The ways to run that replace sending a command: reports over all keys, watching, measuring, mass insertion.
//!
//! Each is one function from a connected session to the end of the program. When several are asked for, the
//! first in the order below runs.

mod bigkeys;
mod hotkeys;
mod intrinsic;
mod latency;
mod latency_dist;
mod lru;
mod pipe;
mod scan;
mod stat;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args::Task;
use crate::conn::LinkError;
use crate::screen;
use crate::session::{Session, Stop};

type Mode = fn(&mut Session) -> Result<(), Stop>;

const MODES: &[(Task, Mode)] = &[
    (Task::Latency, latency::run),
    (Task::LatencyDist, latency_dist::run),
    (Task::Pipe, pipe::run),
    (Task::BigKeys, |session| bigkeys::run(session, bigkeys::Measure::Elements)),
    (Task::MemKeys, |session| bigkeys::run(session, bigkeys::Measure::Memory)),
    (Task::HotKeys, hotkeys::run),
    (Task::Stat, stat::run),
    (Task::Scan, scan::run),
    (Task::LruTest, lru::run),
    (Task::IntrinsicLatency, intrinsic::run),
];

/// Runs the mode the options ask for; `None` when they ask for none.
pub fn run(session: &mut Session) -> Option<Result<(), Stop>> {
    let (task, mode) = MODES.iter().find(|(task, _)| session.options.has(*task))?;
    if *task != Task::IntrinsicLatency
        && let Err(stop) = session.connect(false)
    {
        return Some(Err(stop));
    }
    Some(mode(session))
}

/// Tells the user and ends the program with 1.
fn fatal(text: &str) -> Stop {
    screen::complain(text);
    Stop::Exit(1)
}

fn io_error(_: LinkError) -> Stop {
    fatal("\nI/O error")
}

/// Ctrl-C asks a long report to stop and print what it has.
struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    fn listen() -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        // Without the handler Ctrl-C ends the program at once, which is no worse than no report.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&flag));
        Interrupted(flag)
    }

    fn yes(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

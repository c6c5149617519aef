//! What is logged when the server is about to die by a signal: why, where, and what its threads were at.
//!
//! That is said for a SIGABRT sent from outside (an operator who wants to know where a server hangs, or a
//! supervisor that gives it up) and for DEBUG SEGFAULT. A fault of the memory itself ends the process at once: to
//! say more about that takes a signal handler in the thread that failed, with nothing it may safely use.

use super::super::{Args, Cx, Error, Shared};
use crate::session::control::Order;
use std::backtrace::Backtrace;
use std::fs;
use std::time::Duration;

/// How the kernel counts a fault of the memory.
const SEGV: i32 = 11;
/// How long the client of DEBUG SEGFAULT waits for the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// DEBUG SEGFAULT: this thread stops where it is, and the main thread ends the process by the signal.
pub fn segfault(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    report(cx.shared, (SEGV, "SIGSEGV"));
    cx.shared.control.order(Order::Crash(SEGV));
    std::thread::sleep(PATIENCE);
    Err(Error::new("ERR The server did not end"))
}

/// Logs the report; the stack is that of the calling thread.
pub fn report(shared: &Shared, (signal, name): (i32, &str)) {
    let uptime = (shared.keyspace.clock.now() - shared.started_ms) / 1000;
    tracing::error!("=== CRASH REPORT of EonKV {} ===", env!("CARGO_PKG_VERSION"));
    tracing::error!(
        "The server crashed by signal: {signal} ({name}), {uptime} seconds after its start"
    );
    tracing::error!("Bytes of memory in use: {}", crate::db::used_memory());
    tracing::error!("------ STACK TRACE of thread {} ------", this_thread());
    for line in Backtrace::force_capture().to_string().lines() {
        tracing::error!("{line}");
    }
    tracing::error!("------ THREADS: name, state, where in the kernel ------");
    for thread in threads() {
        tracing::error!("{thread}");
    }
    tracing::error!("=== END of the report ===");
}

fn this_thread() -> String {
    std::thread::current().name().unwrap_or("without a name").to_owned()
}

/// A line for each thread of the process, as far as the system tells.
fn threads() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let about = |task: fs::DirEntry| {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        // `pid (name) state …`, where the name may hold anything.
        let stat = read("stat");
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?');
        format!("{} {state} {}", read("comm").trim_end(), read("wchan").trim_end())
    };
    tasks.filter_map(Result::ok).map(about).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_is_told_of() {
        let named = std::thread::Builder::new().name("told-of".into());
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let thread = named.spawn(move || wait.recv()).unwrap();
        let found = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            threads().iter().any(|line| line.starts_with("told-of S"))
        });
        drop(end);
        let _ = thread.join();
        assert!(found || !fs::exists("/proc/self/task").unwrap());
    }
}

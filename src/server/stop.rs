//! The orderly end: by a signal, or by SHUTDOWN.

use super::logging::Log;
use crate::commands::Shared;
use crate::commands::debug::crash;
use crate::config::{Config, ShutdownOn};
use crate::session::control::Shutdown;
use crate::session::mail::Mail;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The signals that the server hears.
pub struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
}

impl Signals {
    /// Watches the signals under `token`. SIGHUP is heard and ignored: closing a terminal is no
    /// reason to lose data.
    pub fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let mut inner = signal_hook_mio::v1_0::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        inner.register(registry, token, Interest::READABLE)?;
        Ok(Self { inner })
    }

    /// How to stop, if a signal that came asks for it. Nothing is saved of data that `is_loading`.
    pub fn shutdown(&mut self, config: &Config, is_loading: bool) -> Option<Shutdown> {
        let mut how = None;
        for signal in self.inner.pending() {
            let (name, on) = match signal {
                SIGTERM => ("SIGTERM", config.shutdown_on_sigterm),
                SIGINT => ("SIGINT", config.shutdown_on_sigint),
                _ => continue,
            };
            if is_loading {
                tracing::warn!("Received shutdown signal during loading, exiting now.");
                return Some(Shutdown { nosave: true, ..Shutdown::default() });
            }
            tracing::warn!("Received {name} scheduling shutdown...");
            let ShutdownOn { save, nosave, now, force } = on;
            how = Some(Shutdown { save, nosave, now, force });
        }
        how
    }
}

/// Hears SIGABRT in a thread of its own: it is for servers that hang, the main thread perhaps included.
pub fn hear_abort(shared: &Arc<Shared>, log: &Log) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGABRT])?;
    let (shared, log) = (Arc::downgrade(shared), log.clone());
    let thread = std::thread::Builder::new().name("abort".into());
    thread.spawn(move || {
        if signals.forever().next().is_some() {
            if let Some(shared) = shared.upgrade() {
                crash::report(&shared, (SIGABRT, "SIGABRT"));
            }
            log.flush();
            die(SIGABRT);
        }
    })?;
    Ok(())
}

/// Ends the process as a signal does that nobody hears.
pub fn die(signal: i32) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::abort() // it was no signal that ends anything
}

/// Has the workers send what they owe, waits for them, and removes what the process left outside.
pub fn stop(shared: &Shared, threads: Vec<JoinHandle<()>>) {
    shared.control.stop();
    shared.clients.tell_all(|| Mail::Stop);
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("A worker ended by a panic");
        }
    }
    clear(&shared.config.get());
    tracing::warn!("Redis is now ready to exit, bye bye...");
}

/// Removes what the process has left outside.
pub fn clear(config: &Config) {
    if !config.pidfile.is_empty() {
        tracing::info!("Removing the pid file.");
        remove(Path::new(&config.pidfile));
    }
    if !config.unixsocket.is_empty() {
        tracing::info!("Removing the unix socket file.");
        remove(Path::new(&config.unixsocket));
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("Cannot remove {}: {error}", path.display());
    }
}

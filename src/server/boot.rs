//! From the command line to a server that accepts connections.

use super::accept::Acceptor;
use super::aof;
use super::background::Background;
use super::http::Http;
use super::loading::Loading;
use super::logging::{self, Log, Options};
use super::saving::Saving;
use super::start;
use super::stop;
use crate::clock::Clock;
use crate::commands::persist::State;
use crate::commands::persist::place::Place;
use crate::commands::table::{rename, table};
use crate::commands::{Shared, config, event};
use crate::config::live::Live;
use crate::config::{Config, Startup};
use crate::db::Keyspace;
use crate::disk::lock::EXIT_LOCKED;
use crate::disk::seal::Keyring;
use crate::metrics::process::random_id;
use crate::metrics::{Metrics, Process};
use crate::net::listen::{self, Listener};
use crate::net::{Handle, Worker};
use crate::session::Registry;
use crate::session::control::Control;
use crate::session::pause::Conditions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Threads beside the workers that take a seat in the keyspace: background work, and a few to come.
const OTHER_SEATS: usize = 8;
/// Descriptors that are no clients: listeners, polls, files.
const OTHER_FILES: u64 = 64;

/// Runs the server; returns when it has stopped.
pub fn main() -> ExitCode {
    if let Some(code) = super::repair::asked() {
        return code;
    }
    let startup = match start::configuration() {
        Ok(startup) => startup,
        Err(code) => return ExitCode::from(u8::try_from(code).unwrap_or(1)),
    };
    let result = if startup.config.daemonize && !is_detached() {
        detach().map_err(|error| format!("Cannot run in the background: {error}").into())
    } else {
        serve(startup)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal { text, code }) => {
            eprintln!("{text}");
            ExitCode::from(code)
        }
    }
}

/// Why the process ends before it served anybody, and with which exit code.
struct Refusal {
    text: String,
    code: u8,
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self { text, code: 1 }
    }
}

/// Set in the environment of a process that was started to run in the background.
const DETACHED: &str = "_EONKV_DETACHED";

/// Whether this is that process: it then leaves the terminal's session.
fn is_detached() -> bool {
    let detached = std::env::var_os(DETACHED).is_some();
    if detached {
        // Fails only for the leader of a session, which has no terminal to be freed from.
        let _ = rustix::process::setsid();
    }
    detached
}

/// `daemonize`: starts this program again, without terminal, and lets the caller go. A fork would
/// do, but only before any thread exists, and not without `unsafe`.
fn detach() -> io::Result<()> {
    if std::env::args_os().any(|argument| argument == "-") {
        let text = "the configuration came from standard input, which cannot be read twice";
        return Err(io::Error::other(text));
    }
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(DETACHED, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(())
}

fn serve(startup: Startup) -> Result<(), Refusal> {
    let config = &startup.config;
    std::env::set_current_dir(&config.dir)
        .map_err(|error| format!("Can't chdir to '{}': {error}", config.dir))?;
    let log = logging::start(&Options::of(config))
        .map_err(|error| format!("Can't open the log file '{}': {error}", config.logfile))?;
    start::greet(&startup);
    tracing::info!("Running mode=standalone, port={}.", config.port);
    let place = Place::default();
    let result = take(config, &place);
    let result = result.and_then(|()| Ok(run((startup.config, startup.file), place, &log)?));
    if let Err(refusal) = &result {
        tracing::warn!("{}", refusal.text);
    }
    log.flush();
    result
}

/// Keeps the working directory to ourselves, if anything is to be written there, and reads the keys.
fn take(config: &Config, place: &Place) -> Result<(), Refusal> {
    if config.writes_files() {
        place.prepare().map_err(|taken| Refusal { text: taken.into(), code: EXIT_LOCKED })?;
    }
    if !config.encryption_key_file.is_empty() {
        place.seal_with(Keyring::read(Path::new(&config.encryption_key_file))?);
    }
    Ok(())
}

/// A configuration, and the file that it came from.
type Configured = (Config, Option<std::path::PathBuf>);

fn run((mut config, file): Configured, place: Place, log: &Log) -> Result<(), String> {
    if !rename(&config.renamed_commands) {
        return Err("rename-command comes too late: the command table is in use".into());
    }
    raise_file_limit(&mut config);
    let (tcp, unix) = open(&config)?;
    tracing::info!("Server initialized"); // programs that start Redis connect from here on
    write_pid(&config);
    let shared = share(config, file, place);
    let (watcher, own_log) = (Arc::downgrade(&shared), log.clone());
    shared.config.watch(move |old, new| {
        if old.loglevel != new.loglevel {
            own_log.set_level(new.loglevel);
        }
        if old.log_format != new.log_format {
            own_log.set_format(new.log_format);
        }
        if let Some(shared) = watcher.upgrade() {
            applied(&shared, new);
            aof::changed(&shared, old, new);
        }
    });
    event::connect(&shared);
    applied(&shared, &shared.config.get());
    if let Err(error) = config::score_out_of_memory(&shared.config.get(), false) {
        tracing::warn!("Unable to write oom_score_adj: {error}");
    }
    stop::hear_abort(&shared, log).map_err(|error| format!("Cannot start: {error}"))?;
    let metrics = config::metrics(&shared.config.get());
    let http = Http::start(Arc::clone(&shared), &metrics)?;
    let failed = |error: io::Error| format!("Cannot start: {error}");
    let log_thread = aof::start(&shared).map_err(failed)?;
    let loading = Loading::start(&shared)?;
    let (workers, threads) = spawn(&shared).map_err(failed)?;
    let background = Background::start(Arc::clone(&shared)).map_err(failed)?;
    let saving = Saving::start(&shared).map_err(failed)?;
    let mut acceptor = Acceptor::new(Arc::clone(&shared), workers, tcp, unix).map_err(failed)?;
    if loading.is_over() {
        tracing::info!("Ready to accept connections");
    }
    acceptor.serve_metrics(http, metrics);
    acceptor.run();
    if let Some(signal) = acceptor.crashed() {
        log.flush();
        stop::die(signal);
    }
    if loading.is_under_way() {
        // Nothing can be lost by it, and who wants the end need not wait for the rest of the file.
        stop::clear(&shared.config.get());
        log.flush();
        std::process::exit(0);
    }
    shared.control.stop(); // a script that runs ends now, and lets the background go
    drop(saving);
    drop(background);
    acceptor.stop(threads); // and with it the metrics port, which says `stopping` until then
    let loaded = loading.end();
    drop(log_thread); // what was accepted is on the disk then
    loaded
}

/// What follows from a configuration at once, in whatever thread changed it.
fn applied(shared: &Shared, config: &Config) {
    crate::net::set_precise(&shared.conditions, config);
    event::configure(shared, config.notify_keyspace_events);
    aof::configure(shared, config);
    // Whether too many keys are tracked is for the next command to find out.
    shared.conditions.set(Conditions::CROWDED, !shared.clients.trackers.is_empty());
    if let Some(limit) = config.maxmemory_clients.limit(config.maxmemory) {
        shared.clients.enforce(limit);
    }
}

pub(super) fn share(
    config: Config,
    config_file: Option<std::path::PathBuf>,
    place: Place,
) -> Arc<Shared> {
    let workers = config.io_threads.max(1) as usize;
    let clock = Arc::new(Clock::new());
    let started_ms = clock.now();
    let databases = (config.databases as usize).clamp(1, 256);
    let mut keyspace = Keyspace::new(databases, 2 * workers + OTHER_SEATS, clock);
    if workers > 1 {
        keyspace.share_large();
    }
    Arc::new(Shared {
        keyspace: Arc::new(keyspace),
        clients: Arc::new(Registry::new(workers)),
        conditions: Arc::default(),
        metrics: Metrics::new(workers + 1, table().rows.len()),
        control: Control::default(),
        started_ms,
        run_id: random_id(),
        process: Process::new(),
        log: Arc::default(),
        switches: crate::commands::debug::Switches::default(),
        persist: State::at(place),
        catalog: crate::commands::scripting::Catalog::new(workers),
        config_file,
        config: Live::new(config),
    })
}

type Spawned = (Vec<Arc<Handle>>, Vec<JoinHandle<()>>);

fn spawn(shared: &Arc<Shared>) -> io::Result<Spawned> {
    let (mut handles, mut threads) = (Vec::new(), Vec::new());
    for number in 0..shared.clients.workers() {
        let (shared, handle) = (Arc::clone(shared), Arc::new(Handle::default()));
        handles.push(Arc::clone(&handle));
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        threads.push(thread.spawn(move || match Worker::new(shared, handle, number) {
            Ok(worker) => worker.run(),
            Err(error) => tracing::error!("Worker {number} cannot start: {error}"),
        })?);
    }
    Ok((handles, threads))
}

fn open(config: &Config) -> Result<(Vec<Listener>, Option<Listener>), String> {
    let busy = |_| format!("Failed listening on port {} (tcp), aborting.", config.port);
    let tcp = listen::tcp(&config.bind, config.port, config.tcp_backlog).map_err(busy)?;
    let mut unix = None;
    if !config.unixsocket.is_empty() {
        let opened = listen::unix(Path::new(&config.unixsocket), config.unixsocketperm);
        unix = Some(opened.map_err(|error| {
            format!("Failed opening Unix socket {}: {error}, aborting.", config.unixsocket)
        })?);
    }
    if tcp.is_empty() && unix.is_none() {
        return Err("Configured to not listen anywhere, exiting.".into());
    }
    Ok((tcp, unix))
}

fn write_pid(config: &Config) {
    if config.pidfile.is_empty() {
        return;
    }
    if let Err(error) = std::fs::write(&config.pidfile, format!("{}\n", std::process::id())) {
        tracing::warn!("Cannot write the pid file {}: {error}", config.pidfile);
    }
}

/// Allows as many descriptors as `maxclients` needs, or `maxclients` as many as are allowed.
fn raise_file_limit(config: &mut Config) {
    let wanted = u64::from(config.maxclients) + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit { current: Some(most), maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => most,
        Err(_) => limit.current.unwrap_or(most),
    };
    if allowed < wanted {
        let clients = u32::try_from(allowed.saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX).max(1);
        tracing::warn!(
            "maxclients is {clients} instead of {}: the system allows {allowed} open files.",
            config.maxclients
        );
        config.maxclients = clients;
    }
}

//! The append-only file from boot to shutdown: loaded, then written ([`crate::log`]).

use crate::commands::Shared;
use crate::commands::persist::replay::{Replay, Seat};
use crate::commands::scripting::catalog::Libraries;
use crate::config::{Config, REDIS_VERSION};
use crate::db::{Access, Counters, Local, Wants};
use crate::disk::base::BaseWriter;
use crate::disk::read::Loaded;
use crate::disk::{self, Directory, Names, Options, read};
use crate::log::{self, Order, Outside, Running};
use crate::rdb::file::{Settings, Writer};
use crate::session::pause::Conditions;
use crate::sync::pin;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the configuration says of the log.
pub fn options(config: &Config) -> Options {
    Options {
        policy: config.appendfsync,
        no_sync_on_rewrite: config.no_appendfsync_on_rewrite,
        timestamps: config.aof_timestamp_enabled,
        checksums: config.aof_checksums,
        keep_history: config.aof_disable_auto_gc,
        incremental: config.aof_rewrite_incremental_fsync,
        rdb_base: config.aof_use_rdb_preamble,
        rewrite_percentage: config.auto_aof_rewrite_percentage,
        rewrite_min_size: config.auto_aof_rewrite_min_size,
    }
}

/// Where its files are. The working directory is the data directory.
pub fn names(config: &Config) -> Names {
    Names {
        root: PathBuf::new(),
        dir: config.appenddirname.clone(),
        file: config.appendfilename.clone(),
    }
}

/// Starts the thread that writes it, with nothing to write yet.
pub fn start(shared: &Arc<Shared>) -> io::Result<Running> {
    let (clients, conditions) = (Arc::clone(&shared.clients), Arc::clone(&shared.conditions));
    let outside = Outside {
        rouse: Box::new(move |workers| clients.rouse(workers)),
        failing: Box::new(move |failing| conditions.set(Conditions::MISCONF, failing)),
    };
    log::start(Arc::clone(&shared.keyspace), Arc::clone(&shared.log), None, outside)
}

/// Opens the directory.
pub fn directory(shared: &Shared) -> Result<Directory, String> {
    let directory =
        Directory::open(Arc::clone(shared.persist.place.disk()), names(&shared.config.get()));
    let mut directory = directory.map_err(|error| error.to_string())?;
    directory.set_keys(shared.persist.place.keys().cloned());
    Ok(directory)
}

/// Loads what is there, in this thread. Nobody else changes keys meanwhile. The caller says when it has ended.
pub fn load(shared: &Shared, directory: &mut Directory, seat: Seat<'_>) -> Result<Loaded, String> {
    let config = shared.config.get();
    let began = Instant::now();
    let total = directory.size().map_err(|error| error.to_string())?;
    shared.persist.begin_loading(shared.keyspace.clock.now(), total);
    let mut replay = Replay::new(shared, seat);
    let loaded = read::load(directory, config.aof_load_truncated, &mut replay);
    let counts = replay.counts;
    drop(replay);
    shared.persist.rebase(shared.keyspace.total(Counters::changes));
    shared.persist.note_loaded(counts);
    let loaded = loaded.map_err(|error| error.to_string())?;
    if !loaded.is_empty {
        tracing::info!(
            "DB loaded from append only file: {:.3} seconds",
            began.elapsed().as_secs_f64()
        );
    }
    Ok(loaded)
}

/// Goes on with the log that was loaded: from here on every change is written.
pub fn begin(
    shared: &Shared,
    local: &mut Local,
    directory: Directory,
    loaded: &Loaded,
) -> Result<(), String> {
    let config = shared.config.get();
    let now = shared.keyspace.clock.tick().unsigned_abs();
    let mut empty = |out: &mut BaseWriter| empty_base(&config, now, out);
    let log = disk::Log::open(directory, options(&config), loaded.last, now, &mut empty);
    let log = log.map_err(|error| error.to_string())?;
    shared.keyspace.journal.begin(loaded.last);
    shared.log.order(Order::Begin(Box::new(log), loaded.last));
    want_effects(shared, local, true);
    Ok(())
}

/// The base of a log that begins with nothing.
fn empty_base(config: &Config, now: u64, out: &mut BaseWriter) -> io::Result<()> {
    if !config.aof_use_rdb_preamble {
        return Ok(());
    }
    let settings = Settings {
        server: REDIS_VERSION,
        now: now.cast_signed(),
        used_memory: 0,
        aof_base: true,
        compress: config.rdbcompression,
        summed: config.rdbchecksum,
    };
    Writer::begin(out, settings)?.finish().map(|_| ())
}

/// Effects are wanted from now on, or no longer (J4).
pub fn want_effects(shared: &Shared, local: &mut Local, wanted: bool) {
    let keyspace = &shared.keyspace;
    keyspace.gate.enter(local.seat);
    let pin = pin();
    let mut access = Access::new(keyspace, local, &pin, 0);
    while access.exclusive(|access, _| access.keyspace.want(Wants::LOGGED, wanted)).is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    drop(pin);
    keyspace.gate.leave(local.seat);
}

/// DEBUG LOADAOF: everything goes, and comes back from the log. Clients are told meanwhile that data is
/// being loaded.
pub fn reload(shared: &Shared, local: &mut Local) -> Result<(), String> {
    shared.conditions.set(Conditions::LOADING, true);
    let result = load_again(shared, local);
    shared.conditions.set(Conditions::LOADING, false);
    shared.persist.end_loading();
    if result.is_ok() {
        tracing::warn!("Append Only File loaded by DEBUG LOADAOF");
    }
    result
}

fn load_again(shared: &Shared, local: &mut Local) -> Result<(), String> {
    let on = shared.keyspace.wants(Wants::LOGGED);
    want_effects(shared, local, false);
    let (sender, written) = std::sync::mpsc::channel();
    shared.log.order(Order::Flush(sender));
    let _ = written.recv();
    let keyspace = &shared.keyspace;
    keyspace.gate.enter(local.seat);
    let pin = pin();
    let flushed = Access::new(keyspace, local, &pin, 0).flush(0..keyspace.databases());
    drop(pin);
    keyspace.gate.leave(local.seat);
    let _ = shared.catalog.change(|all| {
        *all = Libraries::default();
        Ok::<_, std::convert::Infallible>(())
    });
    let mut directory = directory(shared)?;
    let loaded = load(shared, &mut directory, Seat::Lent(local));
    if on {
        want_effects(shared, local, true);
    }
    if flushed { loaded.map(drop) } else { Err("somebody has the keyspace for long".into()) }
}

/// How long a client waits until files that are no longer needed are taken out of the manifest.
const REMOVAL: Duration = Duration::from_secs(1);

/// What follows from a change.
pub fn changed(shared: &Shared, old: &Config, new: &Config) {
    let persist = &shared.persist;
    if old.aof_disable_auto_gc && !new.aof_disable_auto_gc {
        let (sender, done) = std::sync::mpsc::channel();
        shared.log.order(Order::Flush(sender));
        let _ = done.recv_timeout(REMOVAL); // it goes on without us
    }
    if old.appendonly == new.appendonly {
        return;
    }
    if persist.rewrites.give_up() {
        tracing::info!("Killing running AOF rewrite child: what it writes is not wanted any more");
    }
    if !new.appendonly {
        persist.rewrites.turn_off();
    } else {
        let later = persist.jobs.is_running();
        if later {
            tracing::warn!(
                "AOF was enabled but there is already another background operation. An AOF \
                 background was scheduled to start when possible."
            );
        }
        persist.rewrites.want(!later); // it begins with its base
    }
    persist.jobs.rouse();
}

/// What follows from a configuration.
pub fn configure(shared: &Shared, config: &Config) {
    shared.keyspace.want(Wants::LAZY_EXPIRE, config.lazyfree_lazy_expire);
    shared.keyspace.want(Wants::LAZY_EVICT, config.lazyfree_lazy_eviction);
    shared.log.order(Order::Configure(options(config)));
}

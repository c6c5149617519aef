//! Every parameter, one row each, by topic.
//!
//! A row marked `harness` exists because test suites and configuration files of Redis set it,
//! although the capability it belongs to is not built; its value is kept and shown, and a start
//! with a value other than the default says so in the log. Any other parameter of such a capability
//! is unknown.

use super::choice::{
    AppendFsync, Choice, EvictionPolicy, Guard, LogFormat, LogLevel, OomScoreAdj, PropagationError,
    Sanitize, ShutdownOn,
};
use super::param::{Kind, Param};
use super::special;
use super::value::Unit;

/// Threads that `io-threads` may name at most, as in Redis.
pub(super) const IO_THREADS_MAX: u32 = 128;

const INT_MAX: i128 = i32::MAX as i128;
const LONG_MAX: i128 = i64::MAX as i128;

macro_rules! boolean {
    ($field:ident) => {
        Kind::Bool { get: |c| c.$field, set: |c, v| c.$field = v }
    };
}

// The casts are lossless: the bounds of each row fit the field's type, which a test checks.
macro_rules! number {
    ($field:ident, $min:expr, $max:expr) => {
        number!($field, $min, $max, Count)
    };
    ($field:ident, $min:expr, $max:expr, $unit:ident) => {
        Kind::Number {
            get: |c| c.$field as i128,
            set: |c, v| c.$field = v as _,
            min: $min,
            max: $max,
            unit: Unit::$unit,
        }
    };
}

macro_rules! choice {
    ($field:ident, $type:ident) => {
        Kind::Choice {
            words: $type::WORDS,
            get: |c| c.$field.index(),
            set: |c, v| c.$field = $type::at(v).unwrap_or(c.$field),
        }
    };
}

macro_rules! text {
    ($field:ident) => {
        text!($field, special::any)
    };
    ($field:ident, $check:expr) => {
        Kind::Text { get: |c| &c.$field, set: |c, v| c.$field = v, check: $check }
    };
}

macro_rules! secret {
    ($field:ident) => {
        Kind::Secret { get: |c| &c.$field, set: |c, v| c.$field = v }
    };
}

macro_rules! shutdown {
    ($field:ident) => {
        Kind::Special {
            form: "default | any of save, nosave, now, force",
            get: |c| c.$field.text(),
            set: |c, words| {
                c.$field = ShutdownOn::parse(words)?;
                Ok(())
            },
        }
    };
}

const fn special(
    form: &'static str,
    get: fn(&super::Config) -> String,
    set: fn(&mut super::Config, &[Vec<u8>]) -> Result<(), String>,
) -> Kind {
    Kind::Special { form, get, set }
}

const NO_REPLICATION: &str = "replication is not built yet";

/// Every parameter.
#[rustfmt::skip]
pub static PARAMS: &[Param] = &[
    // Network
    Param::new("port", number!(port, 0, 65535), "6379",
        "TCP port to listen on; 0 opens none.").live(),
    Param::new("bind", special("up to 16 addresses; - before one: may be missing", |c| c.bind.join(" "), special::set_bind), "* -::*",
        "Addresses to listen on, IPv4 and IPv6.").live().multi().spelt(&["host"]),
    Param::new("unixsocket", text!(unixsocket), "",
        "Path of a unix socket to listen on as well."),
    Param::new("unixsocketperm", number!(unixsocketperm, 0, 0o777, Octal), "0",
        "Mode of the unix socket's file; 0 leaves it to the umask."),
    Param::new("tcp-backlog", number!(tcp_backlog, 0, INT_MAX), "511",
        "Connections the kernel queues before they are accepted."),
    Param::new("tcp-keepalive", number!(tcp_keepalive, 0, INT_MAX), "300",
        "Seconds of silence after which the peer is probed; 0 never probes.").live(),
    Param::new("timeout", number!(timeout, 0, INT_MAX), "0",
        "Seconds after which an idle client is closed; 0 never closes one.").live(),
    Param::new("maxclients", number!(maxclients, 1, u32::MAX as i128), "10000",
        "Clients served at the same time; further ones get an error.").live(),
    Param::new("protected-mode", boolean!(protected_mode), "yes",
        "Refuse other machines while the default user has no password.").live(),
    Param::new("io-threads", number!(io_threads, 1, IO_THREADS_MAX as i128), "",
        "Threads that read, execute and answer requests.").computed().spelt(&["threads", "shards"]),
    Param::new("spin-us", number!(spin_us, 0, 1_000_000), "0",
        "Microseconds a thread keeps polling before it sleeps: less delay for more CPU.").live(),
    Param::new("proto-max-bulk-len", number!(proto_max_bulk_len, 1 << 20, LONG_MAX, Bytes), "536870912",
        "Largest single argument, and largest string.").live(),
    Param::new("client-query-buffer-limit", number!(client_query_buffer_limit, 1 << 20, LONG_MAX, Bytes), "1073741824",
        "Largest request a client may have under way; above, it is closed.").live(),
    Param::new("client-output-buffer-limit", special("CLASS HARD SOFT SECONDS, CLASS normal, replica or pubsub", special::output_limits, special::set_output_limits),
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        "Unread replies tolerated: beyond HARD bytes, or beyond SOFT bytes for SECONDS, the client is closed.").live().multi().lines_of(4),
    Param::new("maxmemory-clients", special("bytes, or N% of maxmemory", special::client_memory, special::set_client_memory), "0",
        "Memory of all clients together, above which the largest are closed; 0 is no bound.").live(),
    Param::new("metrics-port", number!(metrics_port, 0, 65535), "0",
        "HTTP port for /metrics, /healthz and /readyz; 0 opens none.").live().hidden(),
    Param::new("metrics-bind", text!(metrics_bind), "127.0.0.1",
        "Address of the metrics port.").live().hidden(),

    // Access
    Param::new("requirepass", secret!(requirepass), "",
        "Password of the default user; empty needs none.").live().sensitive(),
    Param::new("enable-protected-configs", choice!(enable_protected_configs, Guard), "no",
        "Whether CONFIG SET may change protected parameters."),
    Param::new("enable-debug-command", choice!(enable_debug_command, Guard), "no",
        "Whether DEBUG may be called."),
    Param::new("enable-module-command", choice!(enable_module_command, Guard), "no",
        "Whether MODULE may be called."),

    // Memory
    Param::new("maxmemory", number!(maxmemory, 0, u64::MAX as i128, Bytes), "0",
        "Used memory above which keys are evicted or writes refused; 0 is no bound.").live().spelt(&["max-memory"]),
    Param::new("maxmemory-policy", choice!(maxmemory_policy, EvictionPolicy), "noeviction",
        "Which keys are evicted.").live().spelt(&["eviction-policy"]),
    Param::new("maxmemory-samples", number!(maxmemory_samples, 1, 64), "5",
        "Keys compared for each eviction: more is closer to true LRU and slower.").live(),
    Param::new("maxmemory-eviction-tenacity", number!(maxmemory_eviction_tenacity, 0, 100), "10",
        "How long one command may spend on evicting: 0 least, 100 as long as it takes.").live(),
    Param::new("lfu-log-factor", number!(lfu_log_factor, 0, INT_MAX), "10",
        "How slowly a key's access frequency counter saturates.").live(),
    Param::new("lfu-decay-time", number!(lfu_decay_time, 0, INT_MAX), "1",
        "Minutes without access after which that counter goes down.").live(),
    Param::new("active-expire-effort", number!(active_expire_effort, 1, 10), "1",
        "How much CPU is spent on finding expired keys nobody asks for.").live(),
    Param::new("lazyfree-lazy-eviction", boolean!(lazyfree_lazy_eviction), "no",
        "Free evicted values in the background.").live(),
    Param::new("lazyfree-lazy-expire", boolean!(lazyfree_lazy_expire), "no",
        "Free expired values in the background.").live(),
    Param::new("lazyfree-lazy-server-del", boolean!(lazyfree_lazy_server_del), "no",
        "Free values displaced by commands such as RENAME in the background.").live(),
    Param::new("lazyfree-lazy-user-del", boolean!(lazyfree_lazy_user_del), "no",
        "Let DEL free in the background, as UNLINK does.").live(),
    Param::new("lazyfree-lazy-user-flush", boolean!(lazyfree_lazy_user_flush), "no",
        "Let FLUSHALL and FLUSHDB without SYNC or ASYNC be asynchronous.").live(),
    Param::new("activerehashing", boolean!(activerehashing), "yes",
        "Finish the growth of tables in idle time.").live(),
    Param::new("hll-sparse-max-bytes", number!(hll_sparse_max_bytes, 0, LONG_MAX, Bytes), "3000",
        "Size up to which a HyperLogLog stays in its sparse form.").live(),
    Param::new("hash-max-listpack-entries", number!(hash_max_listpack_entries, 0, LONG_MAX), "512",
        "Fields up to which a hash is stored compactly.").live().alias(&["hash-max-ziplist-entries"]),
    Param::new("hash-max-listpack-value", number!(hash_max_listpack_value, 0, LONG_MAX, Bytes), "64",
        "Length of a field or value up to which a hash is stored compactly.").live().alias(&["hash-max-ziplist-value"]),
    Param::new("list-max-listpack-size", number!(list_max_listpack_size, i32::MIN as i128, INT_MAX), "-2",
        "Size of a list's node: a number of elements, or -1 to -5 for 4 to 64 KiB.").live().alias(&["list-max-ziplist-size"]),
    Param::new("list-compress-depth", number!(list_compress_depth, 0, INT_MAX), "0",
        "Nodes at each end of a list that stay uncompressed; 0 compresses none.").live().harness("no node is compressed"),
    Param::new("set-max-intset-entries", number!(set_max_intset_entries, 0, LONG_MAX), "512",
        "Members up to which a set of integers is an array.").live(),
    Param::new("set-max-listpack-entries", number!(set_max_listpack_entries, 0, LONG_MAX), "128",
        "Members up to which a set is stored compactly.").live(),
    Param::new("set-max-listpack-value", number!(set_max_listpack_value, 0, LONG_MAX), "64",
        "Length of a member up to which a set is stored compactly.").live(),
    Param::new("zset-max-listpack-entries", number!(zset_max_listpack_entries, 0, LONG_MAX), "128",
        "Members up to which a sorted set is stored compactly.").live().alias(&["zset-max-ziplist-entries"]),
    Param::new("zset-max-listpack-value", number!(zset_max_listpack_value, 0, LONG_MAX, Bytes), "64",
        "Length of a member up to which a sorted set is stored compactly.").live().alias(&["zset-max-ziplist-value"]),
    Param::new("stream-node-max-bytes", number!(stream_node_max_bytes, 0, LONG_MAX, Bytes), "4096",
        "Size of a stream's node; 0 is no bound.").live(),
    Param::new("stream-node-max-entries", number!(stream_node_max_entries, 0, LONG_MAX), "100",
        "Entries of a stream's node; 0 is no bound.").live(),

    // Server
    Param::new("databases", number!(databases, 1, INT_MAX), "16",
        "Numbered databases that SELECT can choose."),
    // Every number is taken and then held to 1..=500, as Redis does.
    Param::new("hz", Kind::Number { get: |c| i128::from(c.hz), set: |c, v| c.hz = v.clamp(1, 500) as u32, min: 0, max: INT_MAX, unit: Unit::Count }, "10",
        "Background turns a second, between 1 and 500.").live(),
    Param::new("dynamic-hz", boolean!(dynamic_hz), "yes",
        "Take more background turns when many clients are connected.").live(),
    Param::new("daemonize", boolean!(daemonize), "no",
        "Run in the background."),
    Param::new("pidfile", text!(pidfile), "",
        "File to write the process id to."),
    Param::new("always-show-logo", boolean!(always_show_logo), "no",
        "Print the banner even if the log is not a terminal."),
    Param::new("set-proc-title", boolean!(set_proc_title), "yes",
        "Show addresses and mode in the title of the process."),
    Param::new("proc-title-template", text!(proc_title_template, special::title_template), "{title} {listen-addr} {server-mode}",
        "Template of that title.").live(),
    Param::new("tracking-table-max-keys", number!(tracking_table_max_keys, 0, LONG_MAX), "1000000",
        "Keys remembered for clients that track what they read; 0 is no bound.").live(),
    Param::new("notify-keyspace-events", special("letters of KEg$lshzxetdmnA", |c| c.notify_keyspace_events.text(), special::set_events), "",
        "Classes of keyspace events that are published; empty publishes none.").live(),
    Param::new("dir", special("existing directory", special::dir, special::set_dir), "",
        "Working directory: relative names of files are looked up here.").live().protected().deny_loading().computed().spelt(&["data-dir"]),
    Param::new("shutdown-timeout", number!(shutdown_timeout, 0, INT_MAX), "10",
        "Seconds a shutdown waits for clients and replicas to take what they are owed.").live(),
    Param::new("shutdown-on-sigterm", shutdown!(shutdown_on_sigterm), "default",
        "How SIGTERM shuts down.").live().multi(),
    Param::new("shutdown-on-sigint", shutdown!(shutdown_on_sigint), "default",
        "How SIGINT shuts down.").live().multi(),
    Param::new("busy-reply-threshold", number!(busy_reply_threshold, 0, LONG_MAX), "5000",
        "Milliseconds after which a running script lets others be told BUSY.").live().alias(&["lua-time-limit"]),
    Param::new("crash-memcheck-enabled", boolean!(crash_memcheck_enabled), "yes",
        "Test memory after a crash.").live().harness("a crash report has no memory test"),
    Param::new("use-exit-on-panic", boolean!(use_exit_on_panic), "no",
        "Exit instead of aborting on an internal error.").live().hidden(),
    Param::new("oom-score-adj", choice!(oom_score_adj, OomScoreAdj), "no",
        "Whether the kernel is told how dispensable the process is.").live(),
    Param::new("oom-score-adj-values", special("three numbers, -2000..2000: primary, replica, child", special::oom_values, special::set_oom_values), "0 200 800",
        "What the kernel is told.").live().multi(),

    // Log and observation
    Param::new("loglevel", choice!(loglevel, LogLevel), "notice",
        "How much is logged.").live(),
    Param::new("logfile", text!(logfile), "",
        "File to log to; empty is standard output."),
    Param::new("log-format", choice!(log_format, LogFormat), "human",
        "Shape of log lines.").live(),
    Param::new("slowlog-log-slower-than", number!(slowlog_log_slower_than, -1, LONG_MAX), "10000",
        "Microseconds above which a command enters the slow log; 0 logs all, -1 none.").live(),
    Param::new("slowlog-max-len", number!(slowlog_max_len, 0, LONG_MAX), "128",
        "Entries the slow log holds.").live(),
    Param::new("latency-monitor-threshold", number!(latency_monitor_threshold, 0, LONG_MAX), "0",
        "Milliseconds above which an event enters the latency monitor; 0 turns it off.").live(),
    Param::new("latency-tracking", boolean!(latency_tracking), "yes",
        "Keep a distribution of latencies for each command.").live(),
    Param::new("latency-tracking-info-percentiles", special("numbers, 0..100", special::percentiles, special::set_percentiles), "50 99 99.9",
        "Percentiles that INFO latencystats shows.").live().multi(),

    // Persistence
    Param::new("save", special("SECONDS CHANGES, repeated; empty for never", special::save_points, special::add_save_points), "3600 1 300 100 60 10000",
        "Save when CHANGES writes happened within SECONDS.").live().multi().accumulates().lines_of(2),
    Param::new("dbfilename", text!(dbfilename, special::file_name), "dump.rdb",
        "File of the snapshot, loaded at the start if it is there.").live().protected(),
    Param::new("rdbcompression", boolean!(rdbcompression), "yes",
        "Compress strings in snapshots and dumps, where that makes them shorter.").live(),
    Param::new("rdbchecksum", boolean!(rdbchecksum), "yes",
        "Put a checksum at the end of snapshots, and look at it when loading one."),
    Param::new("stop-writes-on-bgsave-error", boolean!(stop_writes_on_bgsave_error), "yes",
        "Refuse writes while snapshots in the background fail.").live(),
    Param::new("rdb-save-incremental-fsync", boolean!(rdb_save_incremental_fsync), "yes",
        "Force a snapshot to the disk every 4 MB, lest its end find gigabytes unwritten.").live(),
    Param::new("sanitize-dump-payload", choice!(sanitize_dump_payload, Sanitize), "no",
        "Which payloads and snapshots Redis looks through before it takes them. Here that is done to all of them, whatever this says.").live(),
    Param::new("appendonly", boolean!(appendonly), "no",
        "Log every write to a file.").live().deny_loading(),
    Param::new("appendfilename", text!(appendfilename, special::file_name), "appendonly.aof",
        "What the names of its files begin with."),
    Param::new("appenddirname", text!(appenddirname, special::file_name), "appendonlydir",
        "The directory that they are in, in `dir`."),
    Param::new("appendfsync", choice!(appendfsync, AppendFsync), "everysec",
        "When that file is forced to disk.").live(),
    Param::new("no-appendfsync-on-rewrite", boolean!(no_appendfsync_on_rewrite), "no",
        "Do not force it to disk while it is being rewritten.").live(),
    Param::new("auto-aof-rewrite-percentage", number!(auto_aof_rewrite_percentage, 0, INT_MAX), "100",
        "Growth since the last rewrite after which it is rewritten by itself; 0 is never.").live(),
    Param::new("auto-aof-rewrite-min-size", number!(auto_aof_rewrite_min_size, 0, LONG_MAX, Bytes), "67108864",
        "Size below which that does not happen.").live(),
    Param::new("aof-load-truncated", boolean!(aof_load_truncated), "yes",
        "Load it although its end was cut off, up to there.").live(),
    Param::new("aof-use-rdb-preamble", boolean!(aof_use_rdb_preamble), "yes",
        "Begin that file with a snapshot when it is rewritten.").live(),
    Param::new("aof-timestamp-enabled", boolean!(aof_timestamp_enabled), "no",
        "Note the time in it, every second at most.").live(),
    Param::new("aof-rewrite-incremental-fsync", boolean!(aof_rewrite_incremental_fsync), "yes",
        "Force a base to disk while it is written, not only at its end.").live(),
    Param::new("aof-disable-auto-gc", boolean!(aof_disable_auto_gc), "no",
        "Leave files that are no longer needed in its directory, and their names in its manifest.").live().hidden(),
    Param::new("aof-checksums", boolean!(aof_checksums), "yes",
        "Put a checksum before each group of commands, in a line that Redis skips.").live().live(),
    Param::new("encryption-key-file", text!(encryption_key_file), "",
        "Keys by which the append-only file and snapshots are encrypted, a line of 64 hexadecimal digits each, the one to write with first. Redis cannot load such files.").quiet(),
    Param::new("rdb-key-save-delay", number!(rdb_key_save_delay, i32::MIN as i128, INT_MAX), "0",
        "Microseconds to wait after each key saved in the background, for tests; negative: keys to a microsecond.").live().hidden(),
    Param::new("key-load-delay", number!(key_load_delay, i32::MIN as i128, INT_MAX), "0",
        "Microseconds to wait after each key loaded, for tests; negative: keys to a microsecond.").live().hidden(),
    Param::new("loading-process-events-interval-bytes", number!(loading_process_events_interval_bytes, 1024, INT_MAX), "2097152",
        "Bytes loaded between two looks at the network.").live().hidden().harness("others serve clients while data is loaded"),

    // Replication
    Param::new("replicaof", special("HOST PORT | no one", special::replicaof, special::set_replicaof), "",
        "Primary to follow.").multi().alias(&["slaveof"]).harness(NO_REPLICATION),
    Param::new("masterauth", secret!(masterauth), "",
        "Password sent to the primary.").live().sensitive().harness(NO_REPLICATION),
    Param::new("replica-serve-stale-data", boolean!(replica_serve_stale_data), "yes",
        "Let a replica answer while it has lost its primary.").live().alias(&["slave-serve-stale-data"]).harness(NO_REPLICATION),
    Param::new("replica-read-only", boolean!(replica_read_only), "yes",
        "Refuse writes on a replica.").live().alias(&["slave-read-only"]).harness(NO_REPLICATION),
    Param::new("repl-diskless-sync-delay", number!(repl_diskless_sync_delay, 0, INT_MAX), "5",
        "Seconds to wait for further replicas before a transfer.").live().harness(NO_REPLICATION),
    Param::new("repl-backlog-size", number!(repl_backlog_size, 1, LONG_MAX, Bytes), "1048576",
        "History kept for replicas that come back.").live().harness(NO_REPLICATION),
    Param::new("repl-ping-replica-period", number!(repl_ping_replica_period, 1, INT_MAX), "10",
        "Seconds between two pings to replicas.").live().alias(&["repl-ping-slave-period"]).harness(NO_REPLICATION),
    Param::new("repl-timeout", number!(repl_timeout, 1, INT_MAX), "60",
        "Seconds of silence after which a replication link is dead.").live().harness(NO_REPLICATION),
    Param::new("propagation-error-behavior", choice!(propagation_error_behavior, PropagationError), "ignore",
        "What a replica does when a replicated command fails.").live().harness(NO_REPLICATION),
];

/// The parameter of that name or alias, letter case aside, as CONFIG GET and SET know it, with the
/// name it was found under.
pub fn find(name: &[u8]) -> Option<(&'static Param, &'static str)> {
    by_name(name, |param| param.redis_names())
}

/// As [`find`], and by the spellings of other servers too; `_` stands for `-`.
pub fn find_any(name: &[u8]) -> Option<&'static Param> {
    let name: Vec<u8> = name.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect();
    by_name(&name, |param| param.names()).map(|(param, _)| param)
}

fn by_name<I: Iterator<Item = &'static str>>(
    name: &[u8],
    names: impl Fn(&'static Param) -> I,
) -> Option<(&'static Param, &'static str)> {
    PARAMS.iter().find_map(|param| {
        let found = names(param).find(|n| n.as_bytes().eq_ignore_ascii_case(name))?;
        Some((param, found))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_lower_case() {
        let mut seen = HashSet::new();
        for param in PARAMS {
            for name in param.names() {
                assert!(seen.insert(name), "{name} twice");
                assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            }
            assert!(param.help.ends_with('.'), "{}", param.name);
        }
    }

    #[test]
    fn defaults_show_as_written_and_read_back() {
        let default = Config::default();
        for param in PARAMS {
            let shown = param.get(&default);
            if !param.computed {
                assert_eq!(shown, param.default, "{}", param.name);
            }
            let mut again = default.clone();
            param.set_text(&mut again, shown.as_bytes()).unwrap();
            assert_eq!(param.get(&again), shown, "{}", param.name);
            let mut lines = default.clone();
            if param.accumulates {
                param.set(&mut lines, &[Vec::new()]).unwrap();
            }
            for line in param.lines(&default) {
                param.set(&mut lines, &line).unwrap();
            }
            assert_eq!(param.get(&lines), shown, "{}", param.name);
        }
    }

    /// A bound that the field's type cannot hold would be cut off silently.
    #[test]
    fn bounds_fit_their_fields() {
        for param in PARAMS.iter().filter(|p| p.name != "hz") {
            let Kind::Number { min, max, get, set, .. } = param.kind else { continue };
            for bound in [min, max] {
                let mut config = Config::default();
                set(&mut config, bound);
                assert_eq!(get(&config), bound, "{}", param.name);
            }
        }
    }

    #[test]
    fn old_and_foreign_names() {
        for (name, own) in [
            ("slave-read-only", "replica-read-only"),
            ("hash-max-ziplist-value", "hash-max-listpack-value"),
            ("LUA-TIME-LIMIT", "busy-reply-threshold"),
        ] {
            assert_eq!(find(name.as_bytes()).unwrap().0.name, own);
        }
        for (name, own) in [("max_memory", "maxmemory"), ("shards", "io-threads"), ("host", "bind")]
        {
            assert!(find(name.as_bytes()).is_none());
            assert_eq!(find_any(name.as_bytes()).unwrap().name, own);
        }
    }

    #[test]
    fn reasons_are_those_of_redis() {
        for (name, text, reason) in [
            ("port", "abc", "argument couldn't be parsed into an integer"),
            ("port", "70000", "argument must be between 0 and 65535 inclusive"),
            ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
            ("maxmemory", "10x", "argument must be a memory value"),
            ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
            ("appendfsync", "x", "argument(s) must be one of the following: everysec, always, no"),
            ("dir", "/nonexistent", "No such file or directory"),
            ("dir", "/etc/passwd", "Not a directory"),
            ("oom-score-adj-values", "1 2", "wrong number of arguments"),
            (
                "shutdown-on-sigterm",
                "save nosave",
                "shutdown options SAVE and NOSAVE can't be used simultaneously",
            ),
        ] {
            let (param, _) = find(name.as_bytes()).unwrap();
            let mut config = Config::default();
            assert_eq!(param.set_text(&mut config, text.as_bytes()), Err(reason.into()), "{name}");
            assert_eq!(config, Config::default());
        }
    }

    proptest! {
        /// No text makes a parameter panic, a refusal changes nothing, and what is accepted reads
        /// back.
        #[test]
        fn any_text_is_taken_or_refused(
            row in 0..PARAMS.len(),
            text in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..30),
                "[-0-9 a-z%.]{0,20}".prop_map(String::into_bytes),
            ],
        ) {
            let param = &PARAMS[row];
            let before = Config::default();
            let mut after = before.clone();
            match param.set_text(&mut after, &text) {
                Err(_) => prop_assert!(after == before),
                Ok(()) => {
                    let shown = param.bytes(&after);
                    let mut again = after.clone();
                    prop_assert_eq!(param.set_text(&mut again, &shown), Ok(()));
                    prop_assert_eq!(param.bytes(&again), shown);
                }
            }
        }
    }
}

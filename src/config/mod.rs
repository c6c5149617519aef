//! Configuration: every parameter is one row of a table, and everything else derives from the row.
//!
//! [`table::PARAMS`] holds name, aliases, kind, default, bounds and help of each parameter. Parsing
//! files, flags and variables, CONFIG GET, SET, REWRITE and HELP, `--help` and `docs/config.md` all
//! read it, so a parameter is added in two places: a field of [`Config`] and a row.
//!
//! [`Config`] is plain data: cloning is how a change is prepared, and [`live::Live`] is how it
//! becomes visible. Nothing here acts on a value; whoever owns the socket, the log or the memory
//! does.

mod choice;
pub mod docs;
mod file;
mod include;
pub mod live;
mod load;
mod param;
pub mod rewrite;
mod special;
mod suggest;
pub mod table;
pub mod value;
pub mod words;

pub use choice::{
    AppendFsync, Choice, EvictionPolicy, Guard, LogFormat, LogLevel, OomScoreAdj, PropagationError,
    Sanitize, ShutdownOn,
};
pub use load::{Action, ConfigError, EXIT_CONFIG, Startup, load};
pub use param::{Kind, Param};
pub use special::{Events, MemoryShare, OutputLimit, OutputLimits, SavePoint};
pub use table::PARAMS;

/// The version of Redis whose behaviour is promised to clients.
pub const REDIS_VERSION: &str = "7.4.0";

macro_rules! config {
    ($($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// Every parameter's value. Fields are named after the parameters.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config { $($(#[$meta])* pub $field: $type,)* }

        impl Config {
            /// All zero and empty: only the ground on which the table's defaults are laid.
            fn blank() -> Self {
                Self { $($field: Default::default(),)* }
            }
        }
    };
}

config! {
    // Network
    /// TCP port; 0 = no TCP listener.
    port: u16,
    /// Addresses to listen on; `-` before one means it may be missing; `*` and `::*` are all.
    bind: Vec<String>,
    /// Path of the unix socket; empty = none.
    unixsocket: String,
    /// Mode of the unix socket; 0 = as the umask gives.
    unixsocketperm: u32,
    /// Connections the kernel may hold before they are accepted.
    tcp_backlog: u32,
    /// Seconds between keepalive probes; 0 = none.
    tcp_keepalive: u32,
    /// Seconds after which an idle client is closed; 0 = never.
    timeout: u32,
    /// Clients at the same time.
    maxclients: u32,
    /// Refuse clients from other machines while no password is set.
    protected_mode: bool,
    /// Threads that serve clients.
    io_threads: u32,
    /// Microseconds a worker polls before it sleeps; 0 = sleeps at once.
    spin_us: u32,
    /// Bytes of the largest argument.
    proto_max_bulk_len: u64,
    /// Bytes of a client's largest request.
    client_query_buffer_limit: u64,
    /// Unread replies tolerated, by class.
    client_output_buffer_limit: OutputLimits,
    /// Bound of all clients' buffers together.
    maxmemory_clients: MemoryShare,
    /// HTTP port of `/metrics`; 0 = off.
    metrics_port: u16,
    /// Address of the metrics port.
    metrics_bind: String,

    // Access
    /// Password of the default user; empty = none.
    requirepass: Vec<u8>,
    /// Whether protected parameters may be set at run time.
    enable_protected_configs: Guard,
    /// Whether DEBUG may be called.
    enable_debug_command: Guard,
    /// Whether MODULE may be called.
    enable_module_command: Guard,

    // Memory
    /// Bytes of used memory above which keys are evicted; 0 = no bound.
    maxmemory: u64,
    /// Which keys are evicted.
    maxmemory_policy: EvictionPolicy,
    /// Keys looked at for each eviction.
    maxmemory_samples: u32,
    /// 0..=100: how long one command may spend on evicting.
    maxmemory_eviction_tenacity: u32,
    /// How slowly the access frequency counter saturates.
    lfu_log_factor: u32,
    /// Minutes after which the access frequency counter is halved; 0 = at every look.
    lfu_decay_time: u32,
    /// 1..=10: how hard expired keys are looked for.
    active_expire_effort: u32,
    /// Free evicted values in the background.
    lazyfree_lazy_eviction: bool,
    /// Free expired values in the background.
    lazyfree_lazy_expire: bool,
    /// Free overwritten values in the background.
    lazyfree_lazy_server_del: bool,
    /// Let DEL act as UNLINK.
    lazyfree_lazy_user_del: bool,
    /// Let FLUSHALL and FLUSHDB be asynchronous unless told otherwise.
    lazyfree_lazy_user_flush: bool,
    /// Rehash tables in idle time.
    activerehashing: bool,
    /// Bytes up to which a HyperLogLog stays sparse.
    hll_sparse_max_bytes: usize,
    /// Entries up to which a hash is compact.
    hash_max_listpack_entries: usize,
    /// Bytes of a value up to which a hash is compact.
    hash_max_listpack_value: usize,
    /// Size of a list's node: entries, or -1..=-5 for 4..64 KiB.
    list_max_listpack_size: i32,
    /// Nodes at each end of a list which are not compressed; 0 = none is compressed.
    list_compress_depth: u32,
    /// Numbers up to which a set is an array of integers.
    set_max_intset_entries: usize,
    /// Members up to which a set is compact.
    set_max_listpack_entries: usize,
    /// Bytes of a member up to which a set is compact.
    set_max_listpack_value: usize,
    /// Members up to which a sorted set is compact.
    zset_max_listpack_entries: usize,
    /// Bytes of a member up to which a sorted set is compact.
    zset_max_listpack_value: usize,
    /// Bytes of a stream's node; 0 = no bound.
    stream_node_max_bytes: usize,
    /// Entries of a stream's node; 0 = no bound.
    stream_node_max_entries: u64,

    // Server
    /// Numbered databases.
    databases: u32,
    /// Background turns a second.
    hz: u32,
    /// More background turns when there are many clients.
    dynamic_hz: bool,
    /// Leave the terminal and run in the background.
    daemonize: bool,
    /// File with the process id; empty = none.
    pidfile: String,
    /// Show the logo even if the log is not a terminal.
    always_show_logo: bool,
    /// Set the title of the process.
    set_proc_title: bool,
    /// Template of that title.
    proc_title_template: String,
    /// Classes of keyspace notifications.
    notify_keyspace_events: Events,
    /// Keys tracked for clients at most; 0 = no bound.
    tracking_table_max_keys: u64,
    /// Working directory, absolute once loaded.
    dir: String,
    /// Seconds a shutdown waits for lagging replicas.
    shutdown_timeout: u32,
    /// What SIGTERM does.
    shutdown_on_sigterm: ShutdownOn,
    /// What SIGINT does.
    shutdown_on_sigint: ShutdownOn,
    /// Milliseconds after which a script lets others be told BUSY; 0 = never.
    busy_reply_threshold: i64,
    /// Test memory when crashing.
    crash_memcheck_enabled: bool,
    /// Exit instead of abort on a panic.
    use_exit_on_panic: bool,
    /// Whether the kernel's out-of-memory score is set.
    oom_score_adj: OomScoreAdj,
    /// Scores of a primary, a replica, a background child.
    oom_score_adj_values: [i32; 3],

    // Log and observation
    /// How much is logged.
    loglevel: LogLevel,
    /// Log file; empty = standard output.
    logfile: String,
    /// Shape of log lines.
    log_format: LogFormat,
    /// Microseconds above which a command is kept in the slow log; -1 = off, 0 = all.
    slowlog_log_slower_than: i64,
    /// Entries of the slow log.
    slowlog_max_len: u64,
    /// Milliseconds above which an event is kept by the latency monitor; 0 = off.
    latency_monitor_threshold: i64,
    /// Keep latency distributions by command.
    latency_tracking: bool,
    /// Percentiles shown by INFO latencystats.
    latency_tracking_info_percentiles: Vec<f64>,

    // Persistence and replication
    /// When to save.
    save: Vec<SavePoint>,
    /// File of the snapshot, in `dir`.
    dbfilename: String,
    /// Compress strings in snapshots.
    rdbcompression: bool,
    /// Put a checksum at the end of snapshots, and look at it when loading one.
    rdbchecksum: bool,
    /// Refuse writes while snapshots fail.
    stop_writes_on_bgsave_error: bool,
    /// Microseconds to wait after each key saved, for tests.
    rdb_key_save_delay: i32,
    /// Force snapshots to the disk as they grow.
    rdb_save_incremental_fsync: bool,
    /// Which payloads Redis would look through: here all of them are.
    sanitize_dump_payload: Sanitize,
    /// Keep an append-only file.
    appendonly: bool,
    /// What the names of its files begin with.
    appendfilename: String,
    /// The directory that they are in.
    appenddirname: String,
    /// Growth in per cent after which it is rewritten; 0 = never.
    auto_aof_rewrite_percentage: u32,
    /// Bytes below which it is not.
    auto_aof_rewrite_min_size: u64,
    /// Load it although its end was cut off.
    aof_load_truncated: bool,
    /// Note the time in it.
    aof_timestamp_enabled: bool,
    /// Force a base to disk while it is written.
    aof_rewrite_incremental_fsync: bool,
    /// Leave files of it that are no longer needed.
    aof_disable_auto_gc: bool,
    /// Put checksums into it.
    aof_checksums: bool,
    /// File with the keys of encryption at rest; empty = none.
    encryption_key_file: String,
    /// When it is forced to disk.
    appendfsync: AppendFsync,
    /// Do not force it while it is being rewritten.
    no_appendfsync_on_rewrite: bool,
    /// A rewritten log begins with a snapshot.
    aof_use_rdb_preamble: bool,
    /// Microseconds to sleep for each key loaded; negative = keys for each microsecond.
    key_load_delay: i32,
    /// Bytes loaded between two looks at the network.
    loading_process_events_interval_bytes: u64,
    /// Primary to follow.
    replicaof: Option<(String, u16)>,
    /// Password for the primary.
    masterauth: Vec<u8>,
    /// Answer from old data while the primary is away.
    replica_serve_stale_data: bool,
    /// Refuse writes of ordinary clients on a replica.
    replica_read_only: bool,
    /// Seconds to wait for more replicas before a transfer.
    repl_diskless_sync_delay: u32,
    /// Bytes of history kept for returning replicas.
    repl_backlog_size: u64,
    /// Seconds between pings to replicas.
    repl_ping_replica_period: u32,
    /// Seconds without a sign of life after which a link counts as dead.
    repl_timeout: u32,
    /// What happens when a replicated command fails.
    propagation_error_behavior: PropagationError,

    // Not parameters: what only a file can say
    /// `rename-command OLD NEW`, in order; an empty NEW removes the command.
    renamed_commands: Vec<(String, String)>,
}

impl Config {
    /// Whether the server writes to its data directory by itself.
    pub fn writes_files(&self) -> bool {
        self.appendonly || !self.save.is_empty()
    }
}

impl Default for Config {
    /// The defaults of the table. What depends on the machine is filled in here.
    fn default() -> Self {
        let mut config = Self::blank();
        for param in PARAMS.iter().filter(|p| !p.computed) {
            let set = param.set_text(&mut config, param.default.as_bytes());
            debug_assert_eq!(set, Ok(()), "default of {}", param.name);
        }
        config.io_threads = cores();
        config.dir = ".".into();
        config
    }
}

/// The cores this process may use, as far as `io-threads` can count.
fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX).clamp(1, table::IO_THREADS_MAX)
}

/// The operating system's words for an error, without the number Rust appends.
pub fn os_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

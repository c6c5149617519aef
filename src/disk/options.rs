//! What the log is told to do: plain data, made by whoever knows the configuration.

pub use crate::config::AppendFsync as Policy;

/// How the log works; [`super::Log::set_options`] changes it while it runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// `appendfsync`: when a block becomes durable.
    pub policy: Policy,
    /// `no-appendfsync-on-rewrite`: no sync while a rewrite or a snapshot writes.
    pub no_sync_on_rewrite: bool,
    /// `aof-timestamp-enabled`: a line with the time before groups, one a second at most.
    pub timestamps: bool,
    /// `aof-checksums`: a line before each group by which a flipped bit is found.
    pub checksums: bool,
    /// `aof-disable-auto-gc`: files that are no longer needed stay, and the manifest names them.
    pub keep_history: bool,
    /// `aof-rewrite-incremental-fsync`: a base is forced to the disk as it grows.
    pub incremental: bool,
    /// `aof-use-rdb-preamble`: whether a base file is in RDB form; it says how it is named.
    pub rdb_base: bool,
    /// `auto-aof-rewrite-percentage`: growth since the last rewrite that asks for the next; 0 = never.
    pub rewrite_percentage: u32,
    /// `auto-aof-rewrite-min-size`: bytes below which no growth asks for one.
    pub rewrite_min_size: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::Everysec,
            no_sync_on_rewrite: false,
            timestamps: false,
            checksums: true,
            keep_history: false,
            incremental: true,
            rdb_base: true,
            rewrite_percentage: 100,
            rewrite_min_size: 64 << 20,
        }
    }
}

//! Section Persistence: snapshots and the log. Tools read all of these fields, so those of what is not
//! built are there, too, with the values that are true without it.

use super::field::{Field, Tell, family, float, int, status};
use super::snapshot::{Snapshot, signed};

fn is_saving(snapshot: &Snapshot<'_>) -> bool {
    snapshot.shared.persist.jobs.is_running()
}

/// Section Persistence.
pub static FIELDS: &[Field] = &[
    int("loading", "Whether data is being loaded.", |s| i64::from(s.shared.persist.is_loading()))
        .gauge("redis_loading_dump_file"),
    int(
        "async_loading",
        "Always 0: data is loaded beside the served data by replicas, which there are none of.",
        |_| 0,
    )
    .gauge("redis_async_loading"),
    family("loading_<field>", "How far loading is, while data is being loaded.", loading),
    int("current_cow_peak", "Bytes copied for a snapshot, at most.", |_| 0),
    int("current_cow_size", "Bytes copied for a snapshot.", |s| {
        if is_saving(s) { s.keyspace.snapshots.progress().2 as i64 } else { 0 }
    }),
    int("current_cow_size_age", "Age of that figure in seconds.", |_| 0),
    float("current_fork_perc", "Progress of a snapshot, without a fork.", |s| {
        let (done, all, _) = s.keyspace.snapshots.progress();
        if is_saving(s) { done as f64 * 100.0 / all.max(1) as f64 } else { 0.0 }
    }),
    int("current_save_keys_processed", "Keys that a snapshot has written.", |s| {
        if is_saving(s) { signed(s.keyspace.snapshots.progress().0) } else { 0 }
    }),
    int("current_save_keys_total", "Keys that a snapshot will write.", |s| {
        if is_saving(s) { signed(s.keyspace.snapshots.progress().1) } else { 0 }
    }),
    int("rdb_changes_since_last_save", "Changes of the data set.", |s| {
        signed(s.shared.persist.changes_since(s.keyspace.total(crate::db::Counters::changes)))
    })
    .gauge("redis_rdb_changes_since_last_save"),
    int("rdb_bgsave_in_progress", "Whether a snapshot is written.", |s| i64::from(is_saving(s)))
        .gauge("redis_rdb_bgsave_in_progress"),
    int("rdb_last_save_time", "When the last snapshot was written, or the start.", |s| {
        s.shared.persist.saved().unwrap_or(s.shared.started_ms) / 1000
    })
    .gauge("redis_rdb_last_save_timestamp_seconds"),
    status("rdb_last_bgsave_status", "Whether the last snapshot succeeded.", |s| {
        s.shared.persist.is_saved()
    })
    .gauge("redis_rdb_last_bgsave_status"),
    int("rdb_last_bgsave_time_sec", "Seconds that it took; -1 without one.", |s| {
        s.shared.persist.jobs.report().took.unwrap_or(-1)
    })
    .gauge("redis_rdb_last_bgsave_duration_sec"),
    int(
        "rdb_current_bgsave_time_sec",
        "Seconds that the present one takes; -1 without one.",
        |s| s.shared.persist.jobs.report().began.map_or(-1, |began| (s.now - began).max(0) / 1000),
    )
    .gauge("redis_rdb_current_bgsave_duration_sec"),
    int("rdb_saves", "Snapshots written.", |s| signed(s.shared.persist.saves()))
        .counter("redis_rdb_saves_total"),
    int("rdb_last_cow_size", "Bytes copied for the last snapshot.", |s| {
        s.shared.persist.jobs.report().copied as i64
    })
    .gauge("redis_rdb_last_cow_size_bytes"),
    int("rdb_last_load_keys_expired", "Keys that were over when loaded.", |s| {
        signed(s.shared.persist.last_loaded().1)
    })
    .gauge("redis_rdb_last_load_expired_keys"),
    int("rdb_last_load_keys_loaded", "Keys loaded.", |s| signed(s.shared.persist.last_loaded().0))
        .gauge("redis_rdb_last_load_loaded_keys"),
    int("aof_enabled", "Whether there is an append-only file.", |s| {
        i64::from(s.shared.config.get().appendonly)
    })
    .gauge("redis_aof_enabled"),
    int("aof_rewrite_in_progress", "Whether it is being rewritten.", |s| {
        i64::from(s.shared.persist.rewrites.is_running())
    })
    .gauge("redis_aof_rewrite_in_progress"),
    int("aof_rewrite_scheduled", "Whether it will be rewritten.", |s| {
        i64::from(s.shared.persist.rewrites.report().scheduled)
    })
    .gauge("redis_aof_rewrite_scheduled"),
    int("aof_last_rewrite_time_sec", "Seconds of the last rewrite; -1 without one.", |s| {
        s.shared.persist.rewrites.report().took.map_or(-1, signed)
    })
    .gauge("redis_aof_last_rewrite_duration_sec"),
    int("aof_current_rewrite_time_sec", "Seconds of the present rewrite; -1 without one.", |s| {
        s.shared.persist.rewrites.report().running.map_or(-1, signed)
    })
    .gauge("redis_aof_current_rewrite_duration_sec"),
    status("aof_last_bgrewrite_status", "Whether the last rewrite succeeded.", |s| {
        !s.shared.persist.rewrites.report().failed
    })
    .gauge("redis_aof_last_bgrewrite_status"),
    int("aof_rewrites", "Rewrites done.", |s| signed(s.shared.persist.rewrites.report().done)),
    int("aof_rewrites_consecutive_failures", "Rewrites failed since the last success.", |s| {
        signed(s.shared.persist.rewrites.report().failures)
    }),
    status("aof_last_write_status", "Whether the last write to it succeeded.", |s| {
        !s.shared.log.is_failing()
    })
    .gauge("redis_aof_last_write_status"),
    int("aof_last_cow_size", "Bytes copied for the last rewrite.", |s| {
        s.shared.persist.rewrites.report().copied as i64
    })
    .gauge("redis_aof_last_cow_size_bytes"),
    int("aof_current_size", "Bytes of its files.", |s| signed(s.shared.log.facts().size))
        .gauge("redis_aof_current_size_bytes"),
    int("aof_base_size", "The same after the last rewrite, or at the start.", |s| {
        signed(s.shared.log.facts().rewritten_size)
    })
    .gauge("redis_aof_base_size_bytes"),
    int("aof_pending_rewrite", "Whether a rewrite waits for something else.", |s| {
        i64::from(s.shared.persist.rewrites.report().scheduled)
    }),
    int("aof_buffer_length", "Bytes that are not on the disk yet.", |s| {
        s.shared.log.facts().waiting as i64
    })
    .gauge("redis_aof_buffer_length"),
    int("aof_pending_bio_fsync", "Whether the file is being forced to the disk.", |s| {
        i64::from(s.shared.log.facts().syncing)
    })
    .gauge("redis_aof_pending_bio_fsync"),
    int("aof_delayed_fsync", "Times that this took longer than two seconds.", |s| {
        signed(s.shared.log.facts().delayed)
    })
    .gauge("redis_aof_delayed_fsync"),
    int("module_fork_in_progress", "Always 0: there are no modules.", |_| 0)
        .gauge("redis_module_fork_in_progress"),
    int("module_fork_last_cow_size", "Always 0: there are no modules.", |_| 0)
        .gauge("redis_module_fork_last_cow_size"),
];

/// Time that the rest of a file takes if it goes on as until now.
fn loading(snapshot: &Snapshot<'_>, tell: &mut Tell<'_>) {
    let Some((began, total, done)) = snapshot.shared.persist.loading() else { return };
    let seconds = (snapshot.now - began).max(0) as f64 / 1000.0;
    let left = total.saturating_sub(done);
    let share = if total == 0 { 0.0 } else { done as f64 * 100.0 / total as f64 };
    let eta = if done == 0 { 1.0 } else { seconds / done as f64 * left as f64 };
    tell("loading_start_time", &(began / 1000).to_string());
    tell("loading_total_bytes", &total.to_string());
    tell("loading_rdb_used_mem", &snapshot.shared.persist.used_memory().to_string());
    tell("loading_loaded_bytes", &done.to_string());
    tell("loading_loaded_perc", &format!("{share:.2}"));
    tell("loading_eta_seconds", &format!("{eta:.0}"));
}

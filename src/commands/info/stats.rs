//! Sections Stats and Debug.

use super::field::{Field, float, int};
use super::snapshot::{Snapshot, signed};
use crate::db::Counters;
use crate::metrics::Stat;
use crate::session::hub::Kind;

fn kbps(s: &Snapshot<'_>, stat: Stat) -> f64 {
    s.metrics().rate(stat) as f64 / 1024.0
}

/// How many topics somebody listens to.
fn topics(s: &Snapshot<'_>, kind: Kind) -> i64 {
    s.shared.clients.hub.len(kind) as i64
}

fn counter(s: &Snapshot<'_>, pick: fn(&Counters) -> u64) -> i64 {
    signed(s.keyspace.total(pick))
}

/// A field of a capability that this server has not got: the figure is 0 by nature.
const fn absent(name: &'static str, help: &'static str) -> Field {
    int(name, help, |_| 0)
}

/// Section Stats.
pub static FIELDS: &[Field] = &[
    int("total_connections_received", "Connections accepted.", |s| s.stat(Stat::Connections))
        .counter("redis_connections_received_total"),
    int("total_commands_processed", "Commands run.", |s| s.stat(Stat::Commands))
        .counter("redis_commands_processed_total"),
    int("instantaneous_ops_per_sec", "Commands a second now.", |s| {
        signed(s.metrics().rate(Stat::Commands))
    })
    .gauge("redis_instantaneous_ops_per_sec"),
    int("total_net_input_bytes", "Bytes received.", |s| s.stat(Stat::NetIn))
        .counter("redis_net_input_bytes_total"),
    int("total_net_output_bytes", "Bytes sent.", |s| s.stat(Stat::NetOut))
        .counter("redis_net_output_bytes_total"),
    absent("total_net_repl_input_bytes", "Bytes received from a primary.")
        .counter("redis_net_repl_input_bytes_total"),
    absent("total_net_repl_output_bytes", "Bytes sent to replicas.")
        .counter("redis_net_repl_output_bytes_total"),
    float("instantaneous_input_kbps", "KiB a second received now.", |s| kbps(s, Stat::NetIn))
        .gauge("redis_instantaneous_input_kbps"),
    float("instantaneous_output_kbps", "KiB a second sent now.", |s| kbps(s, Stat::NetOut))
        .gauge("redis_instantaneous_output_kbps"),
    float("instantaneous_input_repl_kbps", "The same, from a primary.", |_| 0.0),
    float("instantaneous_output_repl_kbps", "The same, to replicas.", |_| 0.0),
    int("rejected_connections", "Connections refused for `maxclients`.", |s| {
        s.stat(Stat::Rejected)
    })
    .counter("redis_rejected_connections_total"),
    absent("sync_full", "Copies sent to replicas.").gauge("redis_replica_resyncs_full"),
    absent("sync_partial_ok", "Replicas that could continue.")
        .gauge("redis_replica_partial_resync_accepted"),
    absent("sync_partial_err", "Replicas that could not continue.")
        .gauge("redis_replica_partial_resync_denied"),
    int("expired_keys", "Keys removed because their time was over.", |s| {
        counter(s, Counters::expired)
    })
    .counter("redis_expired_keys_total"),
    float("expired_stale_perc", "Expired keys not yet removed, estimated.", |s| {
        s.keyspace.lifetimes.stale_percent()
    })
    .gauge("redis_expired_stale_percentage"),
    int("expired_time_cap_reached_count", "Times that removal was cut short.", |s| {
        signed(s.keyspace.lifetimes.rounds_capped())
    })
    .counter("redis_expired_time_cap_reached_total"),
    int("expire_cycle_cpu_milliseconds", "Time of the search for expired keys.", |s| {
        signed(s.keyspace.lifetimes.millis())
    })
    .counter("redis_expire_cycle_cpu_time_ms_total"),
    int("evicted_keys", "Keys removed for `maxmemory`.", |s| counter(s, Counters::evicted))
        .counter("redis_evicted_keys_total"),
    int("evicted_clients", "Clients closed for `maxmemory-clients`.", |s| {
        s.stat(Stat::EvictedClients)
    })
    .counter("redis_evicted_clients_total"),
    absent("evicted_scripts", "Cached scripts removed.").counter("redis_evicted_scripts_total"),
    int("total_eviction_exceeded_time", "Milliseconds over the memory limit.", |s| {
        s.metrics().overrun.millis(s.now).1
    })
    .counter("redis_eviction_exceeded_time_ms_total"),
    int("current_eviction_exceeded_time", "Milliseconds over the memory limit, now.", |s| {
        s.metrics().overrun.millis(s.now).0
    })
    .gauge("redis_current_eviction_exceeded_time_ms"),
    int("keyspace_hits", "Look-ups that found their key.", |s| counter(s, Counters::hits))
        .counter("redis_keyspace_hits_total"),
    int("keyspace_misses", "Look-ups that did not.", |s| counter(s, Counters::misses))
        .counter("redis_keyspace_misses_total"),
    int("pubsub_channels", "Channels with subscribers.", |s| topics(s, Kind::Channel))
        .gauge("redis_pubsub_channels"),
    int("pubsub_patterns", "Patterns with subscribers.", |s| topics(s, Kind::Pattern))
        .gauge("redis_pubsub_patterns"),
    int("pubsubshard_channels", "Shard channels with subscribers.", |s| topics(s, Kind::Shard))
        .gauge("redis_pubsubshard_channels"),
    absent("latest_fork_usec", "Always 0: the server does not fork.")
        .gauge("redis_latest_fork_usec"),
    int("total_forks", "Snapshots and rewrites begun: Redis forks for each.", |s| {
        signed(s.keyspace.snapshots.count())
    })
    .counter("redis_total_forks"),
    int("migrate_cached_sockets", "Sockets kept for MIGRATE.", |_| {
        crate::commands::migrate::kept_links()
    })
    .gauge("redis_migrate_cached_sockets_total"),
    absent("slave_expires_tracked_keys", "Keys with a time of their own on a replica.")
        .gauge("redis_slave_expires_tracked_keys"),
    absent("active_defrag_hits", "Values moved by defragmentation.").gauge("redis_defrag_hits"),
    absent("active_defrag_misses", "Moves not worth it.").gauge("redis_defrag_misses"),
    absent("active_defrag_key_hits", "Keys moved by defragmentation.")
        .gauge("redis_defrag_key_hits"),
    absent("active_defrag_key_misses", "Keys left by defragmentation.")
        .gauge("redis_defrag_key_misses"),
    absent("total_active_defrag_time", "Time of defragmentation."),
    absent("current_active_defrag_time", "Time of defragmentation, now."),
    int("tracking_total_keys", "Keys tracked for clients.", |s| {
        s.shared.keyspace.tracked().0 as i64
    })
    .gauge("redis_tracking_total_keys"),
    int("tracking_total_items", "Clients tracked for keys.", |s| {
        s.shared.keyspace.tracked().1 as i64
    })
    .gauge("redis_tracking_total_items"),
    int("tracking_total_prefixes", "Prefixes tracked for clients.", |s| {
        s.shared.clients.trackers.len().1 as i64
    })
    .gauge("redis_tracking_total_prefixes"),
    absent("unexpected_error_replies", "Errors sent where none may be.")
        .counter("redis_unexpected_error_replies"),
    int("total_error_replies", "Replies that were errors.", |s| s.stat(Stat::Errors))
        .counter("redis_total_error_replies"),
    absent("dump_payload_sanitizations", "Serialized values checked deeply.")
        .counter("redis_dump_payload_sanitizations"),
    int("total_reads_processed", "Calls of read.", |s| s.stat(Stat::Reads))
        .counter("redis_total_reads_processed"),
    int("total_writes_processed", "Calls of write.", |s| s.stat(Stat::Writes))
        .counter("redis_total_writes_processed"),
    int("io_threaded_reads_processed", "Calls of read when several threads serve.", |s| {
        if s.shared.clients.workers() > 1 { s.stat(Stat::Reads) } else { 0 }
    })
    .counter("redis_io_threaded_reads_processed"),
    int("io_threaded_writes_processed", "Calls of write when several threads serve.", |s| {
        if s.shared.clients.workers() > 1 { s.stat(Stat::Writes) } else { 0 }
    })
    .counter("redis_io_threaded_writes_processed"),
    int("client_query_buffer_limit_disconnections", "Clients closed for their request.", |s| {
        s.stat(Stat::QueryLimit)
    })
    .counter("redis_client_query_buffer_limit_disconnections_total"),
    int("client_output_buffer_limit_disconnections", "Clients closed for unread replies.", |s| {
        s.stat(Stat::OutputLimit)
    })
    .counter("redis_client_output_buffer_limit_disconnections_total"),
    int("reply_buffer_shrinks", "Times that a worker's reply buffer was made smaller.", |s| {
        s.stat(Stat::ReplyShrinks)
    })
    .counter("redis_reply_buffer_shrinks_total"),
    int("reply_buffer_expands", "Turns in which a worker's reply buffer grew.", |s| {
        s.stat(Stat::ReplyExpands)
    })
    .counter("redis_reply_buffer_expands_total"),
    int("eventloop_cycles", "Turns of the event loops.", |s| s.stat(Stat::LoopTurns))
        .counter("redis_eventloop_cycles_total"),
    int("eventloop_duration_sum", "Microseconds of those turns.", |s| s.stat(Stat::LoopMicros))
        .counter("redis_eventloop_duration_sum_usec_total"),
    int("eventloop_duration_cmd_sum", "Microseconds of those in commands.", |s| {
        s.stat(Stat::CommandNanos) / 1_000
    })
    .counter("redis_eventloop_duration_cmd_sum_usec_total"),
    int("instantaneous_eventloop_cycles_per_sec", "Turns a second now.", |s| {
        signed(s.metrics().rate(Stat::LoopTurns))
    })
    .gauge("redis_instantaneous_eventloop_cycles_per_sec"),
    int("instantaneous_eventloop_duration_usec", "Microseconds of a turn now.", |s| {
        let turns = s.metrics().rate(Stat::LoopTurns);
        signed(s.metrics().rate(Stat::LoopMicros).checked_div(turns).unwrap_or(0))
    })
    .gauge("redis_instantaneous_eventloop_duration_usec"),
    int("acl_access_denied_auth", "Refused for want of a right password.", |s| {
        s.stat(Stat::AuthDenied)
    })
    .counter("redis_acl_access_denied_auth_total"),
    absent("acl_access_denied_cmd", "Refused for the command.")
        .counter("redis_acl_access_denied_cmd_total"),
    absent("acl_access_denied_key", "Refused for the key.")
        .counter("redis_acl_access_denied_key_total"),
    absent("acl_access_denied_channel", "Refused for the channel.")
        .counter("redis_acl_access_denied_channel_total"),
];

/// Section Debug.
pub static DEBUG: &[Field] = &[
    absent("eventloop_duration_aof_sum", "Microseconds spent on the append-only file."),
    absent("eventloop_duration_cron_sum", "Always 0: background work has its own thread."),
    int("eventloop_cmd_per_cycle_mean", "Commands of a turn.", |s| {
        s.stat(Stat::Commands) / s.stat(Stat::LoopTurns).max(1)
    }),
];

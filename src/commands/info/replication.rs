//! Sections Replication and Cluster: a primary without replicas, a server without a cluster.

use super::field::{Field, int, text};
use super::snapshot::signed;

/// Section Replication.
pub static FIELDS: &[Field] = &[
    text("role", "Always `master`.", |_| "master".to_owned()),
    int("connected_slaves", "Replicas connected.", |_| 0).gauge("redis_connected_slaves"),
    int("replicas_waiting_psync", "Replicas that wait for a copy.", |_| 0),
    text("master_failover_state", "State of a coordinated failover.", |_| "no-failover".to_owned()),
    text("master_replid", "Id of the history of changes.", |s| s.shared.process.replid()),
    text("master_replid2", "Id of the history before; zeroes for none.", |_| "0".repeat(40)),
    int("master_repl_offset", "Bytes of history; there is none.", |_| 0)
        .gauge("redis_master_repl_offset"),
    int("second_repl_offset", "Where the history before ended; -1 for nowhere.", |_| -1)
        .gauge("redis_second_repl_offset"),
    int("repl_backlog_active", "Whether history is kept for replicas.", |_| 0)
        .gauge("redis_repl_backlog_is_active"),
    int("repl_backlog_size", "Bytes of history that would be kept.", |s| {
        signed(s.config.repl_backlog_size)
    })
    .gauge("redis_replication_backlog_bytes"),
    int("repl_backlog_first_byte_offset", "Where kept history begins.", |_| 0)
        .gauge("redis_repl_backlog_first_byte_offset"),
    int("repl_backlog_histlen", "Bytes of history kept.", |_| 0)
        .gauge("redis_repl_backlog_history_bytes"),
];

/// Section Cluster.
pub static CLUSTER: &[Field] =
    &[int("cluster_enabled", "Whether this is a node of a cluster.", |_| 0)
        .gauge("redis_cluster_enabled")];

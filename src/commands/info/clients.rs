//! Section Clients.

use super::field::{Field, int};
use super::snapshot::signed;

/// Section Clients.
pub static FIELDS: &[Field] = &[
    int("connected_clients", "Clients connected now.", |s| s.shared.clients.len() as i64)
        .gauge("redis_connected_clients"),
    int("cluster_connections", "Connections of the cluster bus; there is none.", |_| 0),
    int("maxclients", "Clients that may be connected.", |s| i64::from(s.config.maxclients))
        .gauge("redis_max_clients"),
    int("client_recent_max_input_buffer", "Bytes of the largest request buffer.", |s| {
        signed(s.clients().input_max)
    })
    .gauge("redis_client_recent_max_input_buffer_bytes"),
    int("client_recent_max_output_buffer", "Bytes of the largest reply buffer.", |s| {
        signed(s.clients().output_max)
    })
    .gauge("redis_client_recent_max_output_buffer_bytes"),
    int("blocked_clients", "Clients that wait.", |s| s.shared.clients.blocked() as i64)
        .gauge("redis_blocked_clients"),
    int("tracking_clients", "Clients with client-side caching.", |s| {
        s.shared.clients.trackers.len().0 as i64
    })
    .gauge("redis_tracking_clients"),
    int("pubsub_clients", "Clients that subscribe.", |s| signed(s.clients().subscribers))
        .gauge("redis_pubsub_clients"),
    int("watching_clients", "Clients that WATCH.", |s| signed(s.clients().watching))
        .gauge("redis_watching_clients"),
    int("clients_in_timeout_table", "Clients that wait with a time limit.", |s| {
        signed(s.clients().timed)
    })
    .gauge("redis_clients_in_timeout_table"),
    int("total_watched_keys", "Keys that clients WATCH.", |s| signed(s.clients().watched))
        .gauge("redis_total_watched_keys"),
    int("total_blocking_keys", "Keys that clients wait for.", |_| 0)
        .gauge("redis_total_blocking_keys"),
    int("total_blocking_keys_on_nokey", "Keys whose removal clients wait for.", |_| 0)
        .gauge("redis_total_blocking_keys_on_nokey"),
];

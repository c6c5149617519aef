//! Section Eonkv: what only this server has to tell.

use super::field::{Field, int};
use super::snapshot::signed;
use crate::metrics::Stat;
use crate::sync::limbo;

/// Section Eonkv.
pub static FIELDS: &[Field] = &[
    int("eonkv_workers", "Threads that serve clients.", |s| s.shared.clients.workers() as i64)
        .gauge("eonkv_workers"),
    int("eonkv_index_bytes", "Bytes of the indexes, without keys and values.", |s| {
        signed(s.index())
    })
    .gauge("eonkv_index_bytes"),
    int("eonkv_retired_bytes", "Bytes of replaced values that readers may still see.", |_| {
        limbo::outstanding() as i64
    })
    .gauge("eonkv_retired_bytes"),
    int("eonkv_query_limit_closed", "Clients closed for the size of a request.", |s| {
        s.stat(Stat::QueryLimit)
    })
    .counter("eonkv_query_limit_closed_total"),
    int("eonkv_output_limit_closed", "Clients closed for unread replies.", |s| {
        s.stat(Stat::OutputLimit)
    })
    .counter("eonkv_output_limit_closed_total"),
    int("eonkv_loop_turns", "Turns of the event loops.", |s| s.stat(Stat::LoopTurns))
        .counter("eonkv_loop_turns_total"),
    int("eonkv_loop_usec", "Microseconds of those turns.", |s| s.stat(Stat::LoopMicros))
        .counter("eonkv_loop_microseconds_total"),
    int("eonkv_peak_clients", "Most clients at one time.", |s| {
        signed(s.metrics().peak_clients.load(crate::sync::Ordering::Relaxed))
    })
    .gauge("eonkv_peak_clients"),
    int("eonkv_slowlog_entries", "Commands in the slow log.", |s| s.metrics().slowlog.len() as i64)
        .gauge("redis_slowlog_length"),
];

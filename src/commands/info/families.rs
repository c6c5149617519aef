//! Sections whose fields are named after commands, error codes and databases.

use super::field::{Field, family};
use super::snapshot::Snapshot;
use crate::commands::table::{Row, table};
use crate::metrics::{RowTotals, Totals};

/// Section Commandstats.
pub static COMMANDS: &[Field] =
    &[family("cmdstat_<name>", "Calls of a command, and microseconds they took.", |s, tell| {
        for (row, total) in rows(s) {
            let micros = total.nanos / 1000;
            let mean = total.nanos as f64 / 1000.0 / total.calls.max(1) as f64;
            let value = format!(
                "calls={},usec={micros},usec_per_call={mean:.2},rejected_calls={},failed_calls={}",
                total.calls, total.rejected, total.failed
            );
            tell(&format!("cmdstat_{}", row.full_name()), &value);
        }
    })];

/// Section Latencystats.
pub static LATENCIES: &[Field] = &[family(
    "latency_percentiles_usec_<name>",
    "Microseconds that calls of a command took, by percentile.",
    |s, tell| {
        if !s.config.latency_tracking {
            return;
        }
        for (row, times) in latencies(s) {
            let percentiles = &s.config.latency_tracking_info_percentiles;
            let values = percentiles.iter().map(|&percent| {
                format!("p{}={:.3}", percent, times.percentile(percent) as f64 / 1000.0)
            });
            let name = format!("latency_percentiles_usec_{}", row.full_name());
            tell(&name, &values.collect::<Vec<_>>().join(","));
        }
    },
)];

/// Section Errorstats.
pub static ERRORS: &[Field] =
    &[family("errorstat_<code>", "Error replies with a code.", |s, tell| {
        for (code, count) in s.metrics().errors() {
            let name = format!("errorstat_{}", printable(&code));
            tell(&name, &format!("count={count}"));
        }
    })];

/// Section Keyspace.
pub static KEYSPACE: &[Field] = &[family("db<N>", "Keys of a database.", |s, tell| {
    for db in 0..s.keyspace.databases() {
        let (keys, expires) = s.keyspace.size(db);
        if keys > 0 {
            let left = s.keyspace.lifetimes.average_ms(db);
            let value = format!("keys={keys},expires={expires},avg_ttl={left}");
            tell(&format!("db{db}"), &value);
        }
    }
})];

/// Rows that were called or refused, with their counts.
pub fn rows<'s>(
    snapshot: &'s Snapshot<'_>,
) -> impl Iterator<Item = (&'static Row, RowTotals)> + use<'s> {
    let metrics = snapshot.metrics();
    let all = table().rows.iter().map(move |row| (row, metrics.row(row.id)));
    all.filter(|(_, total)| total.calls + total.rejected + total.failed > 0)
}

/// Rows that were timed, with the distribution of their durations.
pub fn latencies<'s>(
    snapshot: &'s Snapshot<'_>,
) -> impl Iterator<Item = (&'static Row, Totals)> + use<'s> {
    let metrics = snapshot.metrics();
    table().rows.iter().filter_map(move |row| Some((row, metrics.times(row.id)?)))
}

/// An error code without what would break the line or the label it stands in.
pub fn printable(code: &[u8]) -> String {
    let plain = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'"' | b'\\');
    code.iter().map(|byte| if plain(byte) { *byte as char } else { '_' }).collect()
}

//! The page that Prometheus scrapes: the rows of INFO under redis_exporter's names, and what has
//! labels (commands, databases, errors), which INFO tells as families.
//!
//! Plain figures go through the exporter's recorder, which knows the format. It knows neither
//! ready-made bucket counts nor counters with fractions, so those lines are written here.

use super::field::{Export, Field, Value};
use super::snapshot::Snapshot;
use super::{SECTIONS, families, setting};
use crate::commands::Shared;
use crate::config::OutputLimits;
use crate::metrics::{RowTotals, Stat, Totals};
use metrics::{Key, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::fmt::Write as _;

/// Metrics that have labels or stand for more than one field: name, labels, meaning.
pub const LABELLED: &[(&str, &str, &str)] = &[
    ("redis_up", "", "Always 1: the server answers."),
    (
        "redis_instance_info",
        "role,redis_version,redis_build_id,eonkv_version,redis_mode,os,maxmemory_policy,tcp_port,run_id,process_id,master_replid",
        "Always 1; the labels tell.",
    ),
    ("redis_start_time_seconds", "", "When the server started."),
    ("redis_config_maxclients", "", "Clients that may be connected."),
    ("redis_config_maxmemory", "", "Bytes that may be used."),
    ("redis_config_io_threads", "", "Threads that serve clients, as configured."),
    (
        "redis_config_client_output_buffer_limit_bytes",
        "class,limit",
        "Bytes of unread replies that a class of clients may have.",
    ),
    (
        "redis_config_client_output_buffer_limit_overcome_seconds",
        "class,limit",
        "For how long the soft limit may be exceeded.",
    ),
    ("redis_memory_fragmentation_ratio", "", "The process to the bytes handed out."),
    ("redis_commands_total", "cmd", "Calls of a command."),
    ("redis_commands_duration_seconds_total", "cmd", "Seconds that its calls took."),
    ("redis_commands_rejected_calls_total", "cmd", "Calls refused before they ran."),
    ("redis_commands_failed_calls_total", "cmd", "Calls that replied with an error."),
    ("redis_commands_latencies_usec", "cmd,le", "Distribution of its calls in microseconds."),
    (
        "redis_latency_percentiles_usec",
        "cmd,quantile",
        "Percentiles of its calls, in percent as INFO has them.",
    ),
    ("redis_errors_total", "err", "Error replies with a code."),
    ("redis_db_keys", "db", "Keys of a database."),
    ("redis_db_keys_expiring", "db", "Those of them that expire."),
    ("redis_db_avg_ttl_seconds", "db", "Seconds that those have left, on average, estimated."),
    ("redis_slowlog_last_id", "", "Number of the last slow command."),
    ("redis_last_slow_execution_duration_seconds", "", "How long it took."),
    ("redis_latency_spike_last", "event_name", "When an event last took long."),
    ("redis_latency_spike_duration_seconds", "event_name", "How long it took then."),
    ("eonkv_build_info", "version", "Always 1; the label tells."),
    ("keyval_active_connections", "", "Clients connected now."),
    ("keyval_keys_count", "", "Keys of all databases."),
    ("keyval_cmd_total", "cmd", "Calls of a command."),
    ("keyval_cmd_latency_seconds", "cmd,le", "Distribution of its calls in seconds."),
    ("process_resident_memory_bytes", "", "Bytes of the process in memory."),
    ("process_cpu_seconds_total", "", "Processor seconds of the process."),
    ("process_start_time_seconds", "", "When the process started."),
];

/// Upper bounds of the histograms' buckets, in microseconds.
const BOUNDS_US: [u64; 18] = [
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 16_384, 65_536, 262_144, 1_048_576,
    4_194_304,
];

static META: Metadata<'static> = Metadata::new(module_path!(), metrics::Level::INFO, None);

/// One page being made. The recorder lives as long as the page: it never lets a counter go back,
/// and CONFIG RESETSTAT does.
struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Exporter {
    fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for field in SECTIONS.iter().flat_map(|section| section.fields) {
            match field.export {
                Export::Gauge(name) => {
                    recorder.describe_gauge(name.into(), None, field.help.into())
                }
                Export::Counter(name) if matches!(field.value, Value::Int(_)) => {
                    recorder.describe_counter(name.into(), None, field.help.into());
                }
                _ => {}
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }
}

/// The page, in Prometheus' text format.
pub fn page(shared: &Shared) -> String {
    let snapshot = Snapshot::new(shared, &shared.keyspace, 0);
    let exporter = Exporter::new();
    let fields = || SECTIONS.iter().flat_map(|section| section.fields);
    fields().for_each(|field| exporter.record(field, &snapshot));
    let mut page = Page(exporter.handle.render());
    for field in fields() {
        if let (Export::Counter(name), Value::Float(..)) = (field.export, field.value) {
            page.head(name, "counter", field.help);
            page.line(name, "", field.number(&snapshot).unwrap_or(0.0));
        }
    }
    server(&mut page, &snapshot);
    commands(&mut page, &snapshot);
    databases(&mut page, &snapshot);
    events(&mut page, &snapshot);
    page.0
}

impl Exporter {
    fn record(&self, field: &Field, snapshot: &Snapshot<'_>) {
        match (field.export, field.value) {
            (Export::Gauge(name), _) => {
                if let Some(value) = field.number(snapshot) {
                    self.recorder.register_gauge(&Key::from_static_name(name), &META).set(value);
                }
            }
            (Export::Counter(name), Value::Int(value)) => {
                let value = u64::try_from(value(snapshot)).unwrap_or(0);
                let key = Key::from_static_name(name);
                self.recorder.register_counter(&key, &META).absolute(value);
            }
            _ => {}
        }
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// The head of a metric of [`LABELLED`].
    fn labelled(&mut self, name: &str, kind: &str) {
        let help = LABELLED.iter().find(|row| row.0 == name).map_or("", |row| row.2);
        self.head(name, kind, help);
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        if labels.is_empty() {
            let _ = writeln!(self.0, "{name} {value}");
        } else {
            let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
        }
    }

    fn single(&mut self, name: &str, kind: &str, value: f64) {
        self.labelled(name, kind);
        self.line(name, "", value);
    }
}

/// A label's value: quotes, backslashes and line ends escaped.
fn quoted(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

fn server(page: &mut Page, s: &Snapshot<'_>) {
    let started = s.shared.started_ms as f64 / 1000.0;
    page.single("redis_up", "gauge", 1.0);
    let labels = [
        quoted("role", "master"),
        quoted("redis_version", crate::config::REDIS_VERSION),
        quoted("redis_build_id", &super::server::build_id()),
        quoted("eonkv_version", env!("CARGO_PKG_VERSION")),
        quoted("redis_mode", "standalone"),
        quoted("os", &crate::metrics::process::system_name()),
        quoted("maxmemory_policy", &setting(s, "maxmemory-policy")),
        quoted("tcp_port", &s.config.port.to_string()),
        quoted("run_id", &s.shared.run_id),
        quoted("process_id", &std::process::id().to_string()),
        quoted("master_replid", &s.shared.process.replid()),
    ];
    page.labelled("redis_instance_info", "gauge");
    page.line("redis_instance_info", &labels.join(","), 1.0);
    page.labelled("eonkv_build_info", "gauge");
    page.line("eonkv_build_info", &quoted("version", env!("CARGO_PKG_VERSION")), 1.0);
    page.single("redis_start_time_seconds", "gauge", started);
    page.single("redis_config_maxclients", "gauge", f64::from(s.config.maxclients));
    page.single("redis_config_maxmemory", "gauge", s.config.maxmemory as f64);
    page.single("redis_config_io_threads", "gauge", f64::from(s.config.io_threads));
    output_limits(page, &s.config.client_output_buffer_limit);
    let fragmentation = super::snapshot::ratio(s.resident(), s.used());
    page.single("redis_memory_fragmentation_ratio", "gauge", fragmentation);
    page.single("keyval_active_connections", "gauge", s.shared.clients.len() as f64);
    page.single("process_resident_memory_bytes", "gauge", s.resident() as f64);
    page.single("process_cpu_seconds_total", "counter", s.cpu().system + s.cpu().user);
    page.single("process_start_time_seconds", "gauge", started);
    debug_assert!(s.stat(Stat::Commands) >= 0);
}

fn output_limits(page: &mut Page, limits: &OutputLimits) {
    let bytes = "redis_config_client_output_buffer_limit_bytes";
    let seconds = "redis_config_client_output_buffer_limit_overcome_seconds";
    let classes = [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)];
    let label = |class: &str, limit: &str| format!("class=\"{class}\",limit=\"{limit}\"");
    page.labelled(bytes, "gauge");
    for (class, limit) in &classes {
        page.line(bytes, &label(class, "hard"), limit.hard as f64);
        page.line(bytes, &label(class, "soft"), limit.soft as f64);
    }
    page.labelled(seconds, "gauge");
    for (class, limit) in &classes {
        page.line(seconds, &label(class, "soft"), limit.soft_seconds as f64);
    }
}

fn commands(page: &mut Page, s: &Snapshot<'_>) {
    let rows: Vec<_> = families::rows(s).map(|(row, total)| (row.full_name(), total)).collect();
    type Pick = fn(&RowTotals) -> f64;
    let counters: [(&str, Pick); 5] = [
        ("redis_commands_total", |t| t.calls as f64),
        ("redis_commands_duration_seconds_total", |t| t.nanos as f64 / 1e9),
        ("redis_commands_rejected_calls_total", |t| t.rejected as f64),
        ("redis_commands_failed_calls_total", |t| t.failed as f64),
        ("keyval_cmd_total", |t| t.calls as f64),
    ];
    for (name, pick) in counters {
        page.labelled(name, "counter");
        for (command, total) in &rows {
            page.line(name, &quoted("cmd", command), pick(total));
        }
    }
    if !s.config.latency_tracking {
        return;
    }
    let times: Vec<_> = families::latencies(s).map(|(row, t)| (row.full_name(), t)).collect();
    for (name, scale) in
        [("redis_commands_latencies_usec", 1.0), ("keyval_cmd_latency_seconds", 1e-6)]
    {
        page.labelled(name, "histogram");
        for (command, times) in &times {
            let total = rows.iter().find(|(name, _)| name == command);
            let sum = total.map_or(0.0, |(_, total)| total.nanos as f64 / 1000.0 * scale);
            histogram(page, name, (command, times), (scale, sum));
        }
    }
    let name = "redis_latency_percentiles_usec";
    page.labelled(name, "summary");
    for (command, times) in &times {
        let label = quoted("cmd", command);
        for &percent in &s.config.latency_tracking_info_percentiles {
            let labels = format!("{label},quantile=\"{percent}\"");
            page.line(name, &labels, times.percentile(percent) as f64 / 1000.0);
        }
        let total = rows.iter().find(|(name, _)| name == command).map(|(_, total)| total);
        let micros = total.map_or(0.0, |total| total.nanos as f64 / 1000.0);
        page.line(&format!("{name}_sum"), &label, micros);
        page.line(&format!("{name}_count"), &label, times.count() as f64);
    }
}

fn histogram(
    page: &mut Page,
    name: &str,
    (command, times): (&str, &Totals),
    (scale, sum): (f64, f64),
) {
    let label = quoted("cmd", command);
    let bucket = format!("{name}_bucket");
    for bound in BOUNDS_US {
        let labels = format!("{label},le=\"{}\"", bound as f64 * scale);
        page.line(&bucket, &labels, times.at_most(bound * 1000) as f64);
    }
    let count = times.count() as f64;
    page.line(&bucket, &format!("{label},le=\"+Inf\""), count);
    page.line(&format!("{name}_sum"), &label, sum);
    page.line(&format!("{name}_count"), &label, count);
}

fn databases(page: &mut Page, s: &Snapshot<'_>) {
    let sizes: Vec<_> = (0..s.keyspace.databases()).map(|db| s.keyspace.size(db)).collect();
    page.labelled("redis_db_keys", "gauge");
    for (db, (keys, _)) in sizes.iter().enumerate() {
        page.line("redis_db_keys", &format!("db=\"db{db}\""), *keys as f64);
    }
    page.labelled("redis_db_keys_expiring", "gauge");
    for (db, (_, expiring)) in sizes.iter().enumerate() {
        page.line("redis_db_keys_expiring", &format!("db=\"db{db}\""), *expiring as f64);
    }
    page.labelled("redis_db_avg_ttl_seconds", "gauge");
    for db in 0..sizes.len() {
        let seconds = s.keyspace.lifetimes.average_ms(db) as f64 / 1000.0;
        page.line("redis_db_avg_ttl_seconds", &format!("db=\"db{db}\""), seconds);
    }
    let keys = sizes.iter().map(|(keys, _)| keys).sum::<u64>();
    page.single("keyval_keys_count", "gauge", keys as f64);
}

fn events(page: &mut Page, s: &Snapshot<'_>) {
    page.labelled("redis_errors_total", "counter");
    for (code, count) in s.metrics().errors() {
        let label = quoted("err", &families::printable(&code));
        page.line("redis_errors_total", &label, count as f64);
    }
    let last = s.metrics().slowlog.newest(Some(1)).pop();
    page.single("redis_slowlog_last_id", "gauge", last.as_ref().map_or(0.0, |e| e.id as f64));
    let took = last.map_or(0.0, |entry| entry.micros as f64 / 1e6);
    page.single("redis_last_slow_execution_duration_seconds", "gauge", took);
    let series = s.metrics().latency.all();
    let latest = || {
        let last = |(event, series): (&&'static str, &crate::metrics::latency::Series)| {
            Some((quoted("event_name", event), *series.samples.back()?))
        };
        series.iter().filter_map(last)
    };
    page.labelled("redis_latency_spike_last", "gauge");
    for (label, (at, _)) in latest() {
        page.line("redis_latency_spike_last", &label, at as f64);
    }
    page.labelled("redis_latency_spike_duration_seconds", "gauge");
    for (label, (_, ms)) in latest() {
        page.line("redis_latency_spike_duration_seconds", &label, ms as f64 / 1000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_the_line() {
        assert_eq!(quoted("err", "a\"b\\c\nd"), "err=\"a\\\"b\\\\c\\nd\"");
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_the_count() {
        let cells = crate::metrics::Histogram::default();
        cells.add(1_500, 3);
        cells.add(10_000_000_000, 1);
        let mut times = Totals::default();
        cells.add_to(&mut times);
        let mut page = Page(String::new());
        histogram(&mut page, "h", ("get", &times), (1.0, 10.0));
        let lines: Vec<_> = page.0.lines().collect();
        assert_eq!(lines[0], "h_bucket{cmd=\"get\",le=\"1\"} 0");
        assert_eq!(lines[1], "h_bucket{cmd=\"get\",le=\"2\"} 3");
        assert_eq!(lines[17], "h_bucket{cmd=\"get\",le=\"4194304\"} 3");
        assert_eq!(
            lines[18..],
            [
                "h_bucket{cmd=\"get\",le=\"+Inf\"} 4",
                "h_sum{cmd=\"get\"} 10",
                "h_count{cmd=\"get\"} 4",
            ]
        );
    }
}

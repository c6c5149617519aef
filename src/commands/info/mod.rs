//! INFO: a table of rows, each a field, its Prometheus name and the function that tells its value.
//!
//! The reply, `/metrics` and `docs/info.md` are three projections of [`SECTIONS`]; a figure is
//! computed in one place and cannot differ between them. Nothing in here changes the server.

mod clients;
mod eonkv;
pub mod export;
mod families;
mod field;
mod human;
mod memory;
mod page;
mod persistence;
mod replication;
mod server;
mod snapshot;
mod stats;

use super::notes::Notes;
use super::{Args, Command, Cx, Error, Flags};
use crate::commands::table::Group;
pub use field::{Export, Field, Value};
pub use human::bytes as human_bytes;
pub use page::page;
pub use snapshot::Snapshot;

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::new("info", -1, Group::Server, info)
    .flags(Flags::LOADING.and(Flags::STALE))
    .notes(&Notes::history(&[("7.0.0", "Takes several sections.")]))
    .acl(&["dangerous"])
    .doc("1.0.0", "[section [section ...]]", "Tells the state of the server and its statistics.")
    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])];

/// A section of INFO.
#[derive(Debug)]
pub struct Section {
    /// As it stands behind `# `; asked for in any letter case.
    pub title: &'static str,
    /// Part of INFO without an argument.
    pub default: bool,
    /// Part of `all`.
    pub all: bool,
    /// The fields.
    pub fields: &'static [Field],
}

const fn section(title: &'static str, fields: &'static [Field]) -> Section {
    Section { title, default: true, all: true, fields }
}

/// All sections in the order of the reply.
pub static SECTIONS: &[Section] = &[
    section("Server", server::FIELDS),
    section("Clients", clients::FIELDS),
    section("Memory", memory::FIELDS),
    section("Persistence", persistence::FIELDS),
    section("Stats", stats::FIELDS),
    section("Replication", replication::FIELDS),
    section("CPU", server::CPU),
    Section { all: false, ..section("Modules", &[]) },
    Section { default: false, ..section("Commandstats", families::COMMANDS) },
    section("Errorstats", families::ERRORS),
    Section { default: false, ..section("Latencystats", families::LATENCIES) },
    section("Cluster", replication::CLUSTER),
    section("Keyspace", families::KEYSPACE),
    section("Eonkv", eonkv::FIELDS),
    Section { default: false, all: false, ..section("Debug", stats::DEBUG) },
];

fn info(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let wanted: Vec<&[u8]> = args.from(1).iter().collect();
    let snapshot = Snapshot::new(cx.shared, cx.db.keyspace, cx.db.local.retired_bytes());
    let text = text(&snapshot, &wanted);
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// The value of a parameter, as CONFIG GET tells it.
fn setting(snapshot: &Snapshot<'_>, name: &str) -> String {
    let param = crate::config::PARAMS.iter().find(|param| param.name == name);
    param.map_or_else(String::new, |param| param.get(&snapshot.config))
}

/// The reply for the sections named in `wanted`; the default ones if there is no name.
pub fn text(snapshot: &Snapshot<'_>, wanted: &[&[u8]]) -> String {
    let mut text = String::new();
    for section in SECTIONS.iter().filter(|section| section.is_wanted(wanted)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        text.push_str("# ");
        text.push_str(section.title);
        text.push_str("\r\n");
        for field in section.fields {
            field.each(snapshot, &mut |name, value| {
                text.push_str(name);
                text.push(':');
                text.push_str(value);
                text.push_str("\r\n");
            });
        }
    }
    text
}

impl Section {
    fn is_wanted(&self, wanted: &[&[u8]]) -> bool {
        if wanted.is_empty() {
            return self.default;
        }
        wanted.iter().any(|name| {
            let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
            is(self.title)
                || is("default") && self.default
                || is("all") && self.all
                || is("everything") && (self.all || self.default)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::commands::{Shared, table};
    use crate::config::{Config, live::Live};
    use crate::db::Keyspace;
    use crate::metrics::{Metrics, Process};
    use crate::session::{Registry, control::Control};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn titles(wanted: &[&[u8]]) -> Vec<&'static str> {
        SECTIONS.iter().filter(|s| s.is_wanted(wanted)).map(|s| s.title).collect()
    }

    fn shared() -> Shared {
        let clock = Arc::new(Clock::new());
        let started_ms = clock.now();
        Shared {
            config: Live::new(Config::default()),
            config_file: None,
            keyspace: Arc::new(Keyspace::new(16, 1, clock)),
            clients: Arc::new(Registry::new(1)),
            conditions: Arc::default(),
            metrics: Metrics::new(1, table().rows.len()),
            control: Control::default(),
            started_ms,
            run_id: "0".repeat(40),
            process: Process::new(),
            switches: crate::commands::debug::Switches::default(),
            persist: crate::commands::persist::State::default(),
            log: Arc::default(),
            catalog: crate::commands::scripting::Catalog::new(1),
        }
    }

    #[test]
    fn every_field_is_one_line_and_every_metric_a_number() {
        let shared = shared();
        let info = table().find(b"info").expect("own row").id;
        shared.metrics.worker(0).ran(info, 2, 3_000, true);
        shared.metrics.worker(0).error(b"WRONG:TYPE x");
        let snapshot = Snapshot::new(&shared, &shared.keyspace, 0);
        let text = text(&snapshot, &[b"everything", b"debug"]);
        for line in text.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(line.split_once(':').is_some() && !line.contains('\n'), "{line:?}");
        }
        assert!(text.contains("cmdstat_info:calls=2,usec=3,usec_per_call=1.50,rejected_calls=0"));
        assert!(text.contains("latency_percentiles_usec_info:p50=1."));
        assert!(text.contains("errorstat_WRONG_TYPE:count=1\r\n"));
        assert!(text.contains("\r\n\r\n# Keyspace\r\n"));
        let page = export::page(&shared);
        for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, value) = line.rsplit_once(' ').expect(line);
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            assert!(name.ends_with('}') || !name.contains('{'), "{line}");
        }
        for (name, ..) in export::LABELLED {
            assert!(page.contains(&format!("# TYPE {name} ")), "{name} is not written");
        }
        assert!(page.contains("redis_commands_total{cmd=\"info\"} 2\n"));
        assert!(page.contains("keyval_cmd_latency_seconds_count{cmd=\"info\"} 2\n"));
    }

    #[test]
    fn sections_are_chosen_as_in_redis() {
        assert_eq!(titles(&[b"CPU", b"nosuch", b"server", b"cpu"]), ["Server", "CPU"]);
        assert!(titles(&[b"nosuch"]).is_empty());
        assert_eq!(titles(&[]), titles(&[b"Default"]));
        let all = titles(&[b"all"]);
        assert!(all.contains(&"Commandstats") && !all.contains(&"Modules"));
        let everything = titles(&[b"everything"]);
        assert!(everything.contains(&"Modules") && !everything.contains(&"Debug"));
        assert!(!titles(&[]).contains(&"Latencystats") && titles(&[]).contains(&"Modules"));
        assert_eq!(titles(&[b"default", b"commandstats"]).len(), titles(&[]).len() + 1);
    }

    #[test]
    fn names_stand_once_and_have_a_sentence() {
        let (mut names, mut exported) = (HashSet::new(), HashSet::new());
        for field in SECTIONS.iter().flat_map(|section| section.fields) {
            assert!(names.insert(field.name), "{} stands twice", field.name);
            assert!(field.help.ends_with('.'), "{}: {:?}", field.name, field.help);
            if let Export::Gauge(name) | Export::Counter(name) = field.export {
                assert!(exported.insert(name), "{name} is exported twice");
                assert!(name.starts_with("redis_") || name.starts_with("eonkv_"), "{name}");
            }
        }
    }
}

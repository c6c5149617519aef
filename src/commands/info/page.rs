//! The page `docs/info.md`.

use super::{Export, SECTIONS};
use std::fmt::Write as _;

/// The text of the page.
pub fn page() -> String {
    let mut text = String::from(
        "# INFO and /metrics\n\n\
         <!-- Generated from the table in src/commands/info: EONKV_BLESS=1 cargo test --test generated -->\n\n\
         One table feeds the reply of INFO and the page that Prometheus scrapes from `--metrics-port`.\n\
         Metrics with labels, which have no field of their own, stand at the end.\n",
    );
    for section in SECTIONS.iter().filter(|section| !section.fields.is_empty()) {
        let asked = if section.default { "" } else { " (only when asked for)" };
        let _ = writeln!(
            text,
            "\n## {}{asked}\n\n| field | meaning | metric |\n|---|---|---|",
            section.title
        );
        for field in section.fields {
            let metric = match field.export {
                Export::No => String::new(),
                Export::Gauge(name) => format!("`{name}`"),
                Export::Counter(name) => format!("`{name}` (counter)"),
            };
            let _ = writeln!(text, "| `{}` | {} | {metric} |", field.name, field.help);
        }
    }
    text.push_str("\n## Metrics with labels\n\n| metric | meaning |\n|---|---|\n");
    for (name, labels, help) in super::export::LABELLED {
        let _ = writeln!(text, "| `{name}{{{labels}}}` | {help} |");
    }
    text
}

//! The page `docs/commands.md`: the table, told to people.

use super::table::{Group, Row, table};
use super::{Flags, categories, command};
use std::fmt::Write as _;

const GROUPS: &[(Group, &str)] = &[
    (Group::String, "Strings"),
    (Group::Bitmap, "Bitmaps"),
    (Group::HyperLogLog, "HyperLogLog"),
    (Group::List, "Lists"),
    (Group::Hash, "Hashes"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Geo, "Geo"),
    (Group::Stream, "Streams"),
    (Group::Generic, "Keys of any type"),
    (Group::Transactions, "Transactions"),
    (Group::Pubsub, "Publish and subscribe"),
    (Group::Scripting, "Scripts"),
    (Group::Connection, "Connection"),
    (Group::Server, "Server"),
    (Group::Cluster, "Cluster"),
];

/// The text of the page.
pub fn page() -> String {
    let count = table().commands().count();
    let mut text = format!(
        "# Commands\n\n\
         <!-- Generated from the command table: EONKV_BLESS=1 cargo test --test generated -->\n\n\
         {count} commands, as the running server's table has them. *Since* is the version of Redis that\n\
         brought a command. *Keys* tells the positions of the first and the last key and their\n\
         distance; `varies` means that COMMAND GETKEYS is needed. *Categories* are those of ACL rules;\n\
         those which follow from the flags are included.\n"
    );
    for (group, title) in GROUPS {
        let mut rows: Vec<_> = table().commands().filter(|r| r.command.group == *group).collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|row| row.command.name);
        let _ = write!(text, "\n## {title}\n\n{HEAD}");
        for row in rows {
            line(&mut text, row);
            let from = usize::from(row.id) + 1;
            for sub in &table().rows[from..from + row.command.subcommands.len()] {
                line(&mut text, sub);
            }
        }
    }
    text
}

const HEAD: &str = "| command | what it does | cost | since | keys | categories |\n\
                    |---|---|---|---|---|---|\n";

fn line(text: &mut String, row: &Row) {
    let command = row.command;
    let name = row.full_name().to_ascii_uppercase().replace('|', " ");
    let usage = format!("{name} {}", command.syntax).trim_end().replace('|', "\\|");
    let names: Vec<_> = categories::of(command).collect();
    let cost = if command.subcommands.is_empty() { command.complexity } else { "" };
    let _ = writeln!(
        text,
        "| `{usage}` | {} | {cost} | {} | {} | {} |",
        command::summary(command),
        command.since,
        command::key_summary(command.keys),
        names.join(" "),
    );
    debug_assert!(!command.flags.has(Flags::WRITE) || names.contains(&"write"));
}

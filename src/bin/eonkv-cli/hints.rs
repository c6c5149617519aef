//! What is known about commands: for hints while typing, completion and `help`.
//!
//! Three sources, the earlier ones winning: the server's own COMMAND DOCS, so that modules and other versions
//! show as they are; the table this build of EonKV runs by, for servers that document nothing and for no
//! server at all; and COMMAND, which names the rest with their arity.

use std::collections::BTreeMap;

use eonkv::commands::{Group, table};

use crate::quote;
use crate::resp::Value;
use crate::session::Session;

/// One command or subcommand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// `SET`, `CONFIG GET`.
    pub name: String,
    /// What follows the name: `key value [EX seconds]`.
    pub syntax: String,
    pub summary: String,
    /// The first version that had it; empty when unknown.
    pub since: String,
    pub group: String,
}

/// All commands by their upper-case names, hence in the order in which lists show them.
#[derive(Debug, Default, Clone)]
pub struct Table {
    hints: BTreeMap<String, Hint>,
}

impl Table {
    /// Asks the server, if there is one to connect to, and adds what is built in.
    pub fn load(session: &mut Session) -> Table {
        let mut table = Table::default();
        if session.connect(true).is_err() {
            table.merge(built_in());
            return table;
        }
        match session.call(&["COMMAND", "DOCS"]) {
            Ok(Value::Error(_)) => {
                table.merge(built_in());
                if let Ok(Value::Array(commands)) = session.call(&["COMMAND"]) {
                    table.merge(commands.iter().filter_map(from_command));
                }
            }
            Ok(docs) => {
                table.add_docs(None, &docs);
                table.merge(built_in());
            }
            // The next command will find the connection lost, and say so.
            Err(_) => table.merge(built_in()),
        }
        table
    }

    /// Reads a COMMAND DOCS reply, or the part of one that lists the subcommands of `parent`.
    pub fn add_docs(&mut self, parent: Option<&str>, docs: &Value) {
        for (name, spec) in pairs(docs) {
            // A subcommand is named `config|get` inside the page of `config`.
            let name = match parent {
                Some(parent) => format!(
                    "{parent} {}",
                    name.rsplit('|').next().unwrap_or_default().to_uppercase()
                ),
                None => name.to_uppercase(),
            };
            let mut hint = Hint {
                name: name.clone(),
                syntax: String::new(),
                summary: String::new(),
                since: String::new(),
                group: String::new(),
            };
            for (field, value) in pairs(spec) {
                match field.as_str() {
                    "summary" => hint.summary = text(value),
                    "since" => hint.since = text(value),
                    "group" => hint.group = text(value),
                    "arguments" => hint.syntax = join(value, " "),
                    "subcommands" => self.add_docs(Some(&name), value),
                    _ => {}
                }
            }
            self.hints.insert(name, hint);
        }
    }

    /// Adds what the table lacks.
    pub fn merge(&mut self, others: impl IntoIterator<Item = Hint>) {
        for hint in others {
            self.hints.entry(hint.name.clone()).or_insert(hint);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.hints.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Hint> {
        self.hints.values()
    }

    /// The command that these words start with, and of how many words its name is.
    pub fn lookup<S: AsRef<str>>(&self, words: &[S]) -> Option<(&Hint, usize)> {
        let first = words.first()?.as_ref().to_uppercase();
        let sub = words
            .get(1)
            .and_then(|word| self.hints.get(&format!("{first} {}", word.as_ref().to_uppercase())));
        match sub {
            Some(hint) => Some((hint, 2)),
            None => self.hints.get(&first).map(|hint| (hint, 1)),
        }
    }

    /// The names that start with `typed`, in any case.
    pub fn starting_with(&self, typed: &str) -> impl Iterator<Item = &Hint> {
        let typed = typed.to_uppercase();
        self.hints
            .range(typed.clone()..)
            .map(|(_, hint)| hint)
            .take_while(move |hint| hint.name.starts_with(&typed))
    }

    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> =
            self.iter().map(|hint| hint.group.as_str()).filter(|g| !g.is_empty()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// What is still to be typed after `line`, with a blank before it where one is missing.
    pub fn remaining(&self, line: &str) -> Option<String> {
        let args = quote::split(&line.as_bytes()[count_end(line)..])?;
        let words: Vec<String> =
            args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        let (hint, length) = self.lookup(&words)?;
        let mut syntax = hint.syntax.as_str();
        for _ in length..words.len() {
            // What is optional cannot be told apart by counting: it stays shown.
            if syntax.starts_with('[') {
                break;
            }
            syntax = syntax.split_once(' ').map_or("", |(_, rest)| rest);
        }
        if syntax.is_empty() {
            return None;
        }
        let separated = line.ends_with(|last: char| last.is_ascii_whitespace());
        Some(if separated { syntax.to_owned() } else { format!(" {syntax}") })
    }
}

/// Where the command of a line starts: behind the count that repeats it, if there is one.
pub fn count_end(line: &str) -> usize {
    let blanks = line.len() - line.trim_start().len();
    let rest = line.trim_start().trim_start_matches(|digit: char| digit.is_ascii_digit());
    let end = line.len() - rest.len();
    if end > blanks && rest.starts_with(' ') { end } else { 0 }
}

/// The commands this build of EonKV has.
fn built_in() -> impl Iterator<Item = Hint> {
    table().rows.iter().map(|row| Hint {
        name: row.full_name().replace('|', " ").to_uppercase(),
        syntax: row.command.syntax.to_owned(),
        summary: row.command.summary.to_owned(),
        since: row.command.since.to_owned(),
        group: group_name(row.command.group).to_owned(),
    })
}

/// A group as COMMAND DOCS spells it.
fn group_name(group: Group) -> &'static str {
    match group {
        Group::Bitmap => "bitmap",
        Group::Cluster => "cluster",
        Group::Connection => "connection",
        Group::Generic => "generic",
        Group::Geo => "geo",
        Group::Hash => "hash",
        Group::HyperLogLog => "hyperloglog",
        Group::List => "list",
        Group::Pubsub => "pubsub",
        Group::Scripting => "scripting",
        Group::Server => "server",
        Group::Set => "set",
        Group::SortedSet => "sorted-set",
        Group::Stream => "stream",
        Group::String => "string",
        Group::Transactions => "transactions",
    }
}

/// Reads one row of a COMMAND reply: name, arity, flags, first key, ...
fn from_command(row: &Value) -> Option<Hint> {
    let [name, Value::Int(arity), _, Value::Int(first_key), ..] = row.elements()? else {
        return None;
    };
    let mut words = Vec::new();
    let mut count = arity.unsigned_abs().saturating_sub(1).min(16);
    if *first_key == 1 && count > 0 {
        words.push("key");
        count -= 1;
    }
    words.extend((0..count).map(|_| "arg"));
    if *arity < 0 {
        words.push("[arg ...]");
    }
    Some(Hint {
        name: text(name).to_uppercase(),
        syntax: words.join(" "),
        summary: String::new(),
        since: String::new(),
        group: String::new(),
    })
}

/// The text of an argument list: what COMMAND DOCS tells of each, in the order it gives.
fn join(arguments: &Value, separator: &str) -> String {
    let parts: Vec<String> =
        arguments.elements().unwrap_or_default().iter().map(argument).collect();
    parts.join(separator)
}

fn argument(spec: &Value) -> String {
    let (mut name, mut shown, mut token, mut kind) = (String::new(), None, None, String::new());
    let (mut optional, mut multiple, mut token_repeats) = (false, false, false);
    let mut inner = &Value::Nil;
    for (field, value) in pairs(spec) {
        match field.as_str() {
            "name" => name = text(value),
            "display_text" => shown = Some(text(value)),
            "token" => token = Some(or_quotes(text(value))),
            "type" => kind = text(value),
            "arguments" => inner = value,
            "flags" => {
                for flag in value.elements().unwrap_or_default().iter().map(text) {
                    optional |= flag == "optional";
                    multiple |= flag == "multiple";
                    token_repeats |= flag == "multiple_token";
                }
            }
            _ => {}
        }
    }
    let body = match kind.as_str() {
        "oneof" => join(inner, "|"),
        "block" => join(inner, " "),
        "pure-token" => String::new(),
        _ => or_quotes(shown.unwrap_or(name)),
    };
    let once = match &token {
        Some(token) if body.is_empty() => token.clone(),
        Some(token) => format!("{token} {body}"),
        None => body.clone(),
    };
    let mut out = once.clone();
    if multiple {
        out.push_str(&format!(" [{} ...]", if token_repeats { once } else { body }));
    }
    if optional { format!("[{out}]") } else { out }
}

/// An empty word is shown as one would type it.
fn or_quotes(word: String) -> String {
    if word.is_empty() { "\"\"".to_owned() } else { word }
}

/// The fields of a map, which RESP2 sends as a flat array.
fn pairs(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value.elements().unwrap_or_default().chunks_exact(2).filter_map(|pair| match pair {
        [key, value] => Some((text(key), value)),
        _ => None,
    })
}

fn text(value: &Value) -> String {
    value.text().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}

#[cfg(test)]
#[path = "hints_tests.rs"]
pub mod tests;

//! COMMAND DOCS: summaries, and argument trees read from the rows' notation.

use super::super::notes::{self, Notes};
use super::super::syntax::{self, Arg, Kind, Repeat};
use super::super::table::{Command, Group, Row, Table};
use crate::resp::Reply;
use std::borrow::Cow;

/// Writes name and documentation of one row, its subcommands nested.
pub fn write(reply: &mut Reply, table: &Table, row: &Row) {
    let command = row.command;
    // A text that is not in the notation shows no arguments; a test of the table forbids such rows.
    let arguments = syntax::parse(command.syntax).unwrap_or_default();
    let notes = command.notes;
    let subs = !command.subcommands.is_empty();
    let complexity = if subs { "Depends on the subcommand." } else { command.complexity };
    let deprecated = notes.deprecated.is_some();
    let optional_fields = [
        !complexity.is_empty(),
        deprecated || notes.internal,
        deprecated,
        deprecated,
        !notes.history.is_empty(),
        !arguments.is_empty(),
        subs,
    ];
    reply.bulk(row.full_name().as_bytes());
    reply.map(3 + present(&optional_fields));
    field(reply, "summary", &summary(command));
    field(reply, "since", command.since);
    field(reply, "group", group_name(command.group));
    said(reply, "complexity", complexity);
    write_notes(reply, notes);
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        let keys = Keys { next: 0, specs: command.keys.len() };
        Arguments { reply, keys, notes: notes.args, seen: Vec::new() }.list(&arguments);
    }
    if subs {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        let from = usize::from(row.id) + 1;
        for sub in &table.rows[from..from + command.subcommands.len()] {
            write(reply, table, sub);
        }
    }
}

fn write_notes(reply: &mut Reply, notes: &Notes) {
    if notes.deprecated.is_some() || notes.internal {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple(if notes.internal { "syscmd" } else { "deprecated" });
    }
    if let Some((since, replaced_by)) = notes.deprecated {
        field(reply, "deprecated_since", since);
        field(reply, "replaced_by", replaced_by);
    }
    if !notes.history.is_empty() {
        reply.bulk(b"history");
        reply.set(notes.history.len());
        for (version, change) in notes.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
}

fn present(fields: &[bool]) -> usize {
    fields.iter().filter(|&&present| present).count()
}

/// The row's sentence; a container needs none of its own.
pub fn summary(command: &Command) -> Cow<'static, str> {
    if command.summary.is_empty() && !command.subcommands.is_empty() {
        let name = command.name.to_ascii_uppercase();
        return Cow::Owned(format!("Gathers the {name} subcommands."));
    }
    Cow::Borrowed(command.summary)
}

/// The name of a documentation group in replies.
pub const fn group_name(group: Group) -> &'static str {
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

/// Hands out the numbers of the key specs to the key arguments, in order; the last spec serves
/// whatever follows.
struct Keys {
    next: usize,
    specs: usize,
}

impl Keys {
    fn take(&mut self) -> i64 {
        let at = self.next.min(self.specs.saturating_sub(1));
        self.next += 1;
        at as i64
    }
}

/// The name by which [`notes::Arg::at`] means this argument.
fn handle(arg: &Arg) -> &str {
    arg.token.as_deref().unwrap_or(&arg.name)
}

/// Writes arguments.
struct Arguments<'r> {
    reply: &'r mut Reply,
    keys: Keys,
    notes: &'static [notes::Arg],
    /// The names of the arguments so far.
    seen: Vec<&'r str>,
}

impl<'r> Arguments<'r> {
    /// The remark on the next argument of the name `of`.
    fn note(&mut self, of: &'r str) -> notes::Arg {
        let before = self.seen.iter().filter(|name| **name == of).count();
        self.seen.push(of);
        let on_it = || self.notes.iter().filter(|note| note.at == of);
        on_it().nth(before).or_else(|| on_it().next_back()).copied().unwrap_or(notes::at(""))
    }

    fn list(&mut self, args: &'r [Arg]) {
        self.reply.array(args.len());
        for arg in args {
            self.argument(arg);
        }
    }

    fn argument(&mut self, arg: &'r Arg) {
        let note = self.note(handle(arg));
        let kind = match arg.kind {
            Kind::Token => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
            Kind::Value if !note.kind.is_empty() => note.kind,
            // Without key specs nothing is a key, whatever its name.
            Kind::Value => match arg.value_kind() {
                "key" if self.keys.specs == 0 => "string",
                kind => kind,
            },
        };
        let mut flags = Vec::new();
        flags.extend((arg.optional).then_some("optional"));
        flags.extend((arg.repeat != Repeat::Once).then_some("multiple"));
        flags.extend((arg.repeat == Repeat::More(true)).then_some("multiple_token"));
        let spec = note.spec.or_else(|| (kind == "key").then(|| self.keys.take()));
        let optional_fields = [
            spec.is_some(),
            arg.token.is_some(),
            !note.since.is_empty(),
            !note.deprecated.is_empty(),
            !flags.is_empty(),
            !arg.args.is_empty(),
        ];
        let reply = &mut *self.reply;
        reply.map(2 + present(&optional_fields));
        field(reply, "name", if note.name.is_empty() { &arg.name } else { note.name });
        field(reply, "type", kind);
        if let Some(spec) = spec {
            reply.bulk(b"key_spec_index");
            reply.int(spec);
        }
        said(reply, "token", arg.token.as_deref().unwrap_or_default());
        said(reply, "since", note.since);
        said(reply, "deprecated_since", note.deprecated);
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if !arg.args.is_empty() {
            reply.bulk(b"arguments");
            self.list(&arg.args);
        }
    }
}

/// A field that is left out when there is nothing to say.
fn said(reply: &mut Reply, name: &str, text: &str) {
    if !text.is_empty() {
        field(reply, name, text);
    }
}

fn field(reply: &mut Reply, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::super::table::table;
    use super::*;

    #[test]
    fn every_row_is_written_in_the_notation() {
        for row in &table().rows {
            let command = row.command;
            if let Err(error) = syntax::parse(command.syntax) {
                panic!("{}: `{}`: {error:?}", row.full_name(), command.syntax);
            }
            assert!(!summary(command).is_empty(), "{} has no summary", row.full_name());
        }
    }

    fn handles<'a>(args: &'a [Arg], found: &mut Vec<&'a str>) {
        for arg in args {
            found.push(handle(arg));
            handles(&arg.args, found);
        }
    }

    #[test]
    fn every_note_is_about_an_argument() {
        for row in &table().rows {
            let tree = syntax::parse(row.command.syntax).unwrap();
            let mut found = Vec::new();
            handles(&tree, &mut found);
            for note in row.command.notes.args {
                assert!(found.contains(&note.at), "{}: {}: {found:?}", row.full_name(), note.at);
            }
        }
    }

    #[test]
    fn arguments_look_as_in_redis() {
        let mut reply = Reply::default();
        reply.resp3 = true;
        let args = syntax::parse("key [EX seconds | KEEPTTL] newkey").unwrap();
        const NOTES: &[notes::Arg] =
            &[notes::at("seconds_keepttl").name("expiration"), notes::at("EX").since("2.6.12")];
        let keys = Keys { next: 0, specs: 2 };
        Arguments { reply: &mut reply, keys, notes: NOTES, seen: Vec::new() }.list(&args);
        let text = String::from_utf8(reply.bytes).unwrap().replace("\r\n", " ");
        assert_eq!(
            text,
            "*3 %3 $4 name $3 key $4 type $3 key $14 key_spec_index :0 \
             %4 $4 name $10 expiration $4 type $5 oneof $5 flags ~1 +optional $9 arguments *2 \
             %4 $4 name $7 seconds $4 type $7 integer $5 token $2 EX $5 since $6 2.6.12 \
             %3 $4 name $7 keepttl $4 type $10 pure-token $5 token $7 KEEPTTL \
             %3 $4 name $6 newkey $4 type $3 key $14 key_spec_index :1 "
        );
    }
}

//! COMMAND DOCS: summaries, and argument trees read from the rows' notation.

use super::super::syntax::{self, Arg, Kind, Repeat};
use super::super::table::{Command, Group, Row, Table};
use crate::resp::Reply;
use std::borrow::Cow;

/// Writes name and documentation of one row, its subcommands nested.
pub fn write(reply: &mut Reply, table: &Table, row: &Row) {
    let command = row.command;
    // A text that is not in the notation shows no arguments; a test of the table forbids such rows.
    let arguments = syntax::parse(command.syntax).unwrap_or_default();
    let subs = usize::from(!command.subcommands.is_empty());
    reply.bulk(row.full_name().as_bytes());
    reply.map(4 + usize::from(!arguments.is_empty()) + subs);
    for (name, text) in [
        ("summary", &*summary(command)),
        ("since", command.since),
        ("group", group_name(command.group)),
        ("complexity", if subs == 1 { "Depends on the subcommand." } else { command.complexity }),
    ] {
        field(reply, name, text);
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        let mut keys = Keys { next: 0, specs: command.keys.len() };
        list(reply, &arguments, &mut keys);
    }
    if subs == 1 {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        let from = usize::from(row.id) + 1;
        for sub in &table.rows[from..from + command.subcommands.len()] {
            write(reply, table, sub);
        }
    }
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

fn list(reply: &mut Reply, args: &[Arg], keys: &mut Keys) {
    reply.array(args.len());
    for arg in args {
        argument(reply, arg, keys);
    }
}

fn argument(reply: &mut Reply, arg: &Arg, keys: &mut Keys) {
    let kind = match arg.kind {
        Kind::Token => "pure-token",
        Kind::OneOf => "oneof",
        Kind::Block => "block",
        // Without key specs nothing is a key, whatever its name.
        Kind::Value => match arg.value_kind() {
            "key" if keys.specs == 0 => "string",
            kind => kind,
        },
    };
    let mut flags = Vec::new();
    flags.extend((arg.optional).then_some("optional"));
    flags.extend((arg.repeat != Repeat::Once).then_some("multiple"));
    flags.extend((arg.repeat == Repeat::More(true)).then_some("multiple_token"));
    let optional_fields =
        [kind == "key", arg.token.is_some(), !flags.is_empty(), !arg.args.is_empty()];
    reply.map(2 + optional_fields.iter().filter(|&&present| present).count());
    field(reply, "name", &arg.name);
    field(reply, "type", kind);
    if kind == "key" {
        reply.bulk(b"key_spec_index");
        reply.int(keys.take());
    }
    if let Some(token) = &arg.token {
        field(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if !arg.args.is_empty() {
        reply.bulk(b"arguments");
        list(reply, &arg.args, keys);
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

    #[test]
    fn arguments_look_as_in_redis() {
        let mut reply = Reply::default();
        reply.resp3 = true;
        let args = syntax::parse("key [EX seconds | KEEPTTL] newkey").unwrap();
        list(&mut reply, &args, &mut Keys { next: 0, specs: 2 });
        let text = String::from_utf8(reply.bytes).unwrap().replace("\r\n", " ");
        assert_eq!(
            text,
            "*3 %3 $4 name $3 key $4 type $3 key $14 key_spec_index :0 \
             %4 $4 name $15 seconds-keepttl $4 type $5 oneof $5 flags ~1 +optional $9 arguments *2 \
             %3 $4 name $7 seconds $4 type $7 integer $5 token $2 EX \
             %3 $4 name $7 keepttl $4 type $10 pure-token $5 token $7 KEEPTTL \
             %3 $4 name $6 newkey $4 type $3 key $14 key_spec_index :1 "
        );
    }
}

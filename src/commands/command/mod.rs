//! COMMAND: the table, told to clients.
//!
//! Nothing here knows any command: each reply is a projection of rows. Shapes are those of
//! Redis 7.0 ([`shape`]: COMMAND INFO; [`docs`]: COMMAND DOCS).

mod docs;
mod shape;

use super::categories;
use super::help;
use super::keys_of::{self, Key};
use super::notes::{Notes, at};
use super::table::{Group, Row, Table, table};
use super::{Args, Command, Cx, Error, Flags, KeySpec};
use crate::resp::Reply;
use crate::types::glob;
pub use docs::summary;

const FLAGS: Flags = Flags::LOADING.and(Flags::STALE);

const fn sub(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Server, run).flags(FLAGS).acl(&["connection"])
}

static SUBCOMMANDS: &[Command] = &[
    sub("count", 2, count).doc("2.8.13", "", "Counts the commands of this server."),
    sub("docs", -2, docs_of)
        .doc("7.0.0", "[command-name ...]", "Documents the named commands, or all.")
        .cost("O(N), N being the number of commands asked for.")
        .tips(&["nondeterministic_output_order"]),
    sub("getkeys", -4, get_keys)
        .doc("2.8.13", "command [arg ...]", "Tells which arguments of a request are keys.")
        .cost("O(N), N being the number of arguments."),
    sub("getkeysandflags", -4, get_keys_and_flags)
        .doc("7.0.0", "command [arg ...]", "Tells the keys of a request and what it does to them.")
        .cost("O(N), N being the number of arguments."),
    help::row(Group::Server, "5.0.0").acl(&["connection"]),
    sub("info", -2, info)
        .notes(&INFO)
        .doc("2.8.13", "[command-name ...]", "Describes the named commands, or all.")
        .cost("O(N), N being the number of commands asked for.")
        .tips(&["nondeterministic_output_order"]),
    sub("list", -2, list)
        .notes(&LIST)
        .doc(
            "7.0.0",
            "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
            "Lists the names of commands and subcommands.",
        )
        .cost("O(N), N being the number of commands.")
        .tips(&["nondeterministic_output_order"]),
];

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command {
    subcommands: SUBCOMMANDS,
    ..sub("command", -1, all)
        .doc("2.8.13", "", "Describes all commands.")
        .cost("O(N), N being the number of commands.")
        .tips(&["nondeterministic_output_order"])
}];

const INFO: Notes = Notes::history(&[("7.0.0", "Without names it describes all commands.")]);
const LIST: Notes = Notes::args(&[at("FILTERBY").name("filterby")]);

fn all(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    write_all(cx.reply, table());
    Ok(())
}

fn write_all(reply: &mut Reply, table: &Table) {
    reply.array(table.commands().count());
    for row in table.commands() {
        shape::write(reply, table, row);
    }
}

fn count(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.count(table().commands().count());
    Ok(())
}

fn info(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (reply, table) = (&mut *cx.reply, table());
    if args.len() == 2 {
        write_all(reply, table);
        return Ok(());
    }
    reply.array(args.len() - 2);
    for name in args.from(2).iter() {
        match named(table, name) {
            Some(row) => shape::write(reply, table, row),
            None => reply.null_array(),
        }
    }
    Ok(())
}

fn docs_of(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (reply, table) = (&mut *cx.reply, table());
    let rows: Vec<&Row> = if args.len() == 2 {
        table.commands().collect()
    } else {
        args.from(2).iter().filter_map(|name| named(table, name)).collect()
    };
    reply.map(rows.len());
    for row in rows {
        docs::write(reply, table, row);
    }
    Ok(())
}

fn list(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keep: Keep<'_> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.is(2, "FILTERBY") => filter(args)?,
        _ => return Err(Error::Syntax),
    };
    let rows = &table().rows;
    let names: Vec<_> = rows.iter().filter(|row| keep(row)).map(Row::full_name).collect();
    cx.reply.array(names.len()); // not a set, in either protocol
    for name in names {
        cx.reply.bulk(name.as_bytes());
    }
    Ok(())
}

/// Whether COMMAND LIST shows a row.
type Keep<'a> = Box<dyn Fn(&Row) -> bool + 'a>;

fn filter(args: Args<'_>) -> Result<Keep<'_>, Error> {
    let wanted = args.get(4);
    if args.is(3, "MODULE") {
        return Ok(Box::new(|_| false)); // no command comes from a module
    }
    if args.is(3, "PATTERN") {
        return Ok(Box::new(|row| glob::matches(wanted, row.full_name().as_bytes(), true)));
    }
    if args.is(3, "ACLCAT") {
        let text = wanted.strip_prefix(b"@").unwrap_or(wanted).to_ascii_lowercase();
        let known = categories::CATEGORIES.iter().find(|name| name.as_bytes() == text);
        return Ok(Box::new(move |row| {
            known.is_some_and(|category| categories::is_in(row.command, category))
        }));
    }
    Err(Error::Syntax)
}

fn get_keys(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let request = args.from(2);
    let keys = keys_in(request)?;
    cx.reply.array(keys.len());
    for key in keys {
        cx.reply.bulk(request.get(key.at));
    }
    Ok(())
}

fn get_keys_and_flags(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let request = args.from(2);
    let keys = keys_in(request)?;
    cx.reply.array(keys.len());
    for key in keys {
        cx.reply.array(2);
        cx.reply.bulk(request.get(key.at));
        shape::key_flags(cx.reply, key.flags);
    }
    Ok(())
}

/// The keys of a whole request, or Redis' error for one that has none.
fn keys_in(request: Args<'_>) -> Result<Vec<Key>, Error> {
    let table = table();
    let row = table.find(request.get(0)).ok_or(Error::new("ERR Invalid command specified"))?;
    let row = match request.opt(1) {
        Some(name) if !row.command.subcommands.is_empty() => {
            table.subcommand(row, name).ok_or(Error::new("ERR Invalid command specified"))?
        }
        _ => row,
    };
    let command = row.command;
    if command.keys.iter().all(|spec| spec.flags.contains(&"NOT_KEY")) {
        return Err(Error::new("ERR The command has no key arguments"));
    }
    if !command.takes(request.len()) {
        return Err(Error::new("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    let found = keys_of::keys_of(command, request, &mut keys);
    if found.is_err() || keys.is_empty() {
        if command.flags.has(Flags::NO_MANDATORY_KEYS) {
            return Ok(Vec::new());
        }
        return Err(Error::new("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

/// The key positions in one word for tables: `1 -1 2`, `varies`, or nothing.
pub fn key_summary(specs: &'static [KeySpec]) -> String {
    match keys_of::classic(specs) {
        _ if specs.is_empty() => String::new(),
        (0, ..) => "varies".to_owned(),
        (first, last, step) => format!("{first} {last} {step}"),
    }
}

/// The row of `get` or `config|get`.
pub fn named<'t>(table: &'t Table, name: &[u8]) -> Option<&'t Row> {
    match name.iter().position(|&byte| byte == b'|') {
        None => table.find(name),
        Some(at) => table.subcommand(table.find(&name[..at])?, &name[at + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::args::OwnedArgs;

    fn keys(words: &[&str]) -> Result<usize, String> {
        let owned = OwnedArgs::new(words);
        let keys = keys_in(owned.view()).map(|keys| keys.len());
        keys.map_err(|error| String::from_utf8_lossy(&error.text()).into_owned())
    }

    #[test]
    fn get_keys_tells_why_there_are_none() {
        let error = |words: &[&str]| keys(words).unwrap_err();
        assert_eq!(error(&["nosuch"]), "ERR Invalid command specified");
        assert_eq!(error(&["command", "nosuch"]), "ERR Invalid command specified");
        assert_eq!(error(&["command", "count"]), "ERR The command has no key arguments");
    }

    #[test]
    fn subcommands_are_named_with_a_bar() {
        let table = table();
        let name = |text: &[u8]| named(table, text).map(Row::full_name);
        assert_eq!(name(b"COMMAND|Count").as_deref(), Some("command|count"));
        assert_eq!(name(b"command").as_deref(), Some("command"));
        assert_eq!(name(b"command|"), None);
        assert_eq!(name(b"count"), None);
        assert_eq!(name(b"command|count|x"), None);
    }

    #[test]
    fn every_row_can_be_described() {
        for resp3 in [false, true] {
            let mut reply = Reply::default();
            reply.resp3 = resp3;
            write_all(&mut reply, table());
            for row in table().commands() {
                docs::write(&mut reply, table(), row);
            }
            assert_eq!(reply.errors(), 0);
        }
    }
}

//! FUNCTION.

use super::super::notes::{Notes, at};
use super::super::table::Group;
use super::super::{Args, Command, Cx, Error, Flags, help};
use super::catalog::{Libraries, Library, Seat};
use super::eval::with_interpreter;
use super::script;
use crate::script::dump;
use crate::types::glob;
use std::convert::Infallible;
use std::sync::Arc;

const ACL: &[&str] = &["scripting"];
const WRITES: Flags = Flags::NOSCRIPT.and(Flags::WRITE);
const GROWS: Flags = WRITES.and(Flags::DENYOOM);
const BUSY: Flags = Flags::NOSCRIPT.and(Flags::ALLOW_BUSY);
const ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const fn row(name: &'static str, arity: i16, run: super::super::table::Handler) -> Command {
    Command::new(name, arity, Group::Scripting, run).flags(Flags::NOSCRIPT).acl(ACL)
}

static SUBCOMMANDS: &[Command] = &[
    row("delete", 3, delete).flags(WRITES).tips(ALL).doc(
        "7.0.0",
        "library-name",
        "Removes a library with its functions.",
    ),
    row("dump", 2, dump_all)
        .doc("7.0.0", "", "Replies with all libraries in a form that FUNCTION RESTORE reads.")
        .cost("O(N), N being the number of functions."),
    row("flush", -2, flush)
        .flags(WRITES)
        .notes(&FLUSH)
        .tips(ALL)
        .doc("7.0.0", "[ASYNC | SYNC]", "Removes all libraries.")
        .cost("O(N), N being the number of functions."),
    help::row(Group::Scripting, "7.0.0").acl(ACL),
    row("kill", 2, kill)
        .flags(BUSY)
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .doc("7.0.0", "", "Ends a running function that has written nothing."),
    row("list", -2, list)
        .tips(&["nondeterministic_output_order"])
        .doc("7.0.0", "[LIBRARYNAME library-name-pattern] [WITHCODE]", "Lists libraries.")
        .cost("O(N), N being the number of functions."),
    row("load", -3, load)
        .flags(GROWS)
        .tips(ALL)
        .doc("7.0.0", "[REPLACE] function-code", "Loads a library.")
        .cost("That of running the library's text."),
    row("restore", -3, restore)
        .flags(GROWS)
        .notes(&RESTORE)
        .tips(ALL)
        .doc("7.0.0", "serialized-value [FLUSH | APPEND | REPLACE]", "Loads dumped libraries.")
        .cost("O(N), N being the number of functions."),
    row("stats", 2, stats)
        .flags(BUSY)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("7.0.0", "", "Says which function runs, and how many there are."),
];

const FLUSH: Notes = Notes::args(&[at("async_sync").name("async")]);
const RESTORE: Notes = Notes::args(&[at("flush_append_replace").name("policy")]);

pub const FUNCTION: Command = Command::container("function", Group::Scripting, SUBCOMMANDS).doc(
    "7.0.0",
    "",
    "Libraries of functions.",
);

fn coded(text: Vec<u8>) -> Error {
    Error::Bytes([b"ERR ", &text[..]].concat())
}

/// Loads `text` in this worker's interpreter, to see what is in it.
fn read(cx: &mut Cx<'_>, text: &[u8]) -> Result<Arc<Library>, Error> {
    with_interpreter(cx, |cx, interpreter| {
        interpreter.load(&cx.shared.catalog, text).map_err(coded)
    })
}

fn load(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut replace = false;
    for option in args.iter().take(args.len() - 1).skip(2) {
        if !option.eq_ignore_ascii_case(b"REPLACE") {
            return Err(coded([b"Unknown option given: ", option].concat()));
        }
        replace = true;
    }
    let library = read(cx, args.get(args.len() - 1))?;
    let name = library.name.clone();
    cx.shared.catalog.change(|all| all.add(library, replace)).map_err(|text| coded(text.into()))?;
    cx.db.changed();
    cx.reply.bulk(name.as_bytes());
    Ok(())
}

fn delete(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let name = String::from_utf8_lossy(args.get(2));
    let gone = |all: &mut Libraries| if all.remove(&name) { Ok(()) } else { Err(()) };
    cx.shared.catalog.change(gone).map_err(|()| Error::new("ERR Library not found"))?;
    cx.db.changed();
    cx.reply.ok();
    Ok(())
}

fn flush(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(help::wrong(args));
    }
    let known = args.len() == 2 || args.len() == 3 && (args.is(2, "SYNC") || args.is(2, "ASYNC"));
    if !known {
        return Err(Error::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    let empty = |all: &mut Libraries| {
        *all = Libraries::default();
        Ok::<_, Infallible>(())
    };
    let _ = cx.shared.catalog.change(empty);
    cx.db.changed();
    cx.reply.ok();
    Ok(())
}

fn dump_all(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let payload = cx
        .shared
        .catalog
        .libraries(|all| dump::write(all.libraries.values().map(|library| &library.text[..])));
    cx.reply.bulk(&payload);
    Ok(())
}

fn restore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() > 4 {
        return Err(help::wrong(args));
    }
    let (mut empty, mut replace) = (false, false);
    match args.opt(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"append") => {}
        Some(b"flush") => empty = true,
        Some(b"replace") => replace = true,
        Some(_) => {
            return Err(Error::new(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    }
    let texts = dump::read(args.get(2)).map_err(|text| coded(text.into()))?;
    let libraries = texts.iter().map(|text| read(cx, text)).collect::<Result<Vec<_>, _>>()?;
    let change = |all: &mut Libraries| {
        if empty {
            *all = Libraries::default();
        }
        // All that are replaced go first: their functions may have moved between them.
        if replace {
            libraries.iter().for_each(|library| {
                all.remove(&library.name);
            });
        }
        libraries.into_iter().try_for_each(|library| all.add(library, false))
    };
    cx.shared.catalog.change(change).map_err(|text| {
        // Here Redis does not quote the name.
        coded(text.replacen('\'', "", 2).into())
    })?;
    cx.db.changed();
    cx.reply.ok();
    Ok(())
}

fn list(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut pattern, mut with_code, mut i) = (None, false, 2);
    while i < args.len() {
        if !with_code && args.is(i, "WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && args.is(i, "LIBRARYNAME") {
            i += 1;
            let missing = Error::new("ERR library name argument was not given");
            pattern = Some(args.opt(i).ok_or(missing)?);
        } else {
            return Err(coded([b"Unknown argument ", args.get(i)].concat()));
        }
        i += 1;
    }
    let chosen: Vec<Arc<Library>> = cx.shared.catalog.libraries(|all| {
        let fits = |library: &&Arc<Library>| {
            pattern.is_none_or(|pattern| glob::matches(pattern, library.name.as_bytes(), true))
        };
        all.libraries.values().filter(fits).cloned().collect()
    });
    cx.reply.array(chosen.len());
    for library in chosen {
        show(cx, &library, with_code);
    }
    Ok(())
}

fn show(cx: &mut Cx<'_>, library: &Library, with_code: bool) {
    cx.reply.map(if with_code { 4 } else { 3 });
    cx.reply.bulk(b"library_name");
    cx.reply.bulk(library.name.as_bytes());
    cx.reply.bulk(b"engine");
    cx.reply.bulk(b"LUA");
    cx.reply.bulk(b"functions");
    cx.reply.array(library.functions.len());
    for function in &library.functions {
        cx.reply.map(3);
        cx.reply.bulk(b"name");
        cx.reply.bulk(function.name.as_bytes());
        cx.reply.bulk(b"description");
        match &function.description {
            Some(text) => cx.reply.bulk(text),
            None => cx.reply.null(),
        }
        cx.reply.bulk(b"flags");
        cx.reply.set(function.flags.names().count());
        function.flags.names().for_each(|name| cx.reply.simple(name));
    }
    if with_code {
        cx.reply.bulk(b"library_code");
        cx.reply.bulk_shared(library.text.clone());
    }
}

fn kill(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    script::end(cx.shared.catalog.running(), true, cx.reply)
}

fn stats(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let catalog = &cx.shared.catalog;
    let running = catalog.running().find_map(|seat| {
        if !seat.is(Seat::FUNCTION) {
            return Some(Err(script::busy_with(false)));
        }
        seat.about().map(Ok)
    });
    cx.reply.map(2);
    cx.reply.bulk(b"running_script");
    match running.transpose()? {
        None => cx.reply.null(),
        Some((about, since)) => {
            cx.reply.map(3);
            cx.reply.bulk(b"name");
            cx.reply.bulk(about.name.as_bytes());
            cx.reply.bulk(b"command");
            cx.reply.array(about.command.len());
            about.command.iter().for_each(|word| cx.reply.bulk(word));
            cx.reply.bulk(b"duration_ms");
            cx.reply.int(cx.shared.keyspace.clock.tick() - since);
        }
    }
    let (libraries, functions) =
        catalog.libraries(|all| (all.libraries.len(), all.functions.len()));
    cx.reply.bulk(b"engines");
    cx.reply.map(1);
    cx.reply.bulk(b"LUA");
    cx.reply.map(2);
    cx.reply.bulk(b"libraries_count");
    cx.reply.count(libraries);
    cx.reply.bulk(b"functions_count");
    cx.reply.count(functions);
    Ok(())
}

//! DEBUG: what tests and operators in trouble ask of a server. Refused unless `enable-debug-command`
//! allows it.
//!
//! Each subcommand is a line of [`SUBCOMMANDS`], which HELP prints too. They are not rows of the
//! command table: Redis reports DEBUG as one command, and so do we.

pub mod crash;
mod digest;
mod inspect;
mod protocol;
mod reload;
mod switches;

use super::args::integer;
use super::notes::Notes;
use super::slice::{self, Slice};
use super::table::Group;
use super::{Args, Command, Cx, Error, Flags, help};
use crate::config::Guard;
use crate::session::After;
use crate::types::{glob, number};
use std::time::Duration;
use switches::PEAK_RESET_MS;
pub use switches::Switches;

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::new("debug", -2, Group::Server, debug)
    .flags(FLAGS)
    .notes(&Notes { internal: true, ..Notes::NONE })
    .doc("1.0.0", "subcommand [arg ...]", "Inspects and manipulates the server, for tests.")
    .cost("Depends on the subcommand")];

type Run = fn(&mut Cx<'_>, Args<'_>) -> Result<(), Error>;

struct Sub {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    /// Numbers of arguments, `DEBUG` included.
    args: std::ops::RangeInclusive<usize>,
    run: Run,
}

const fn sub(
    name: &'static str,
    args: std::ops::RangeInclusive<usize>,
    usage: &'static str,
    help: &'static str,
    run: Run,
) -> Sub {
    Sub { name, usage, help, args, run }
}

const ANY: usize = usize::MAX;

static SUBCOMMANDS: &[Sub] = &[
    sub(
        "AOF-FLUSH-SLEEP",
        3..=3,
        "<microseconds>",
        "Lets what comes wait before it is written to the append-only file.",
        |cx, args| {
            cx.shared.log.set_delay(integer(args.get(2))?.max(0).unsigned_abs());
            ok(cx)
        },
    ),
    sub("CHANGE-REPL-ID", 2..=2, "", "Takes a new replication id.", |cx, _| {
        cx.shared.process.change_replid();
        ok(cx)
    }),
    sub("CONFIG-REWRITE-FORCE-ALL", 2..=2, "", "Writes every parameter to the file.", |cx, _| {
        super::config::write_file(cx.shared, true)?;
        ok(cx)
    }),
    sub("DIGEST", 2..=2, "", "A number that two equal data sets share.", digest::digest),
    sub("DIGEST-VALUE", 3..=ANY, "<key> [<key> ...]", "The same for single keys.", digest::values),
    sub("ERROR", 3..=3, "<string>", "Replies with an error of this text.", |_, args| {
        Err(Error::Bytes(args.get(2).to_vec()))
    }),
    sub("FAIL-SAVE", 2..=2, "", "Has the snapshot or rewrite under way fail.", |cx, _| {
        let persist = &cx.shared.persist;
        let snapshot = persist.jobs.fail();
        match persist.rewrites.fail() || snapshot {
            true => ok(cx),
            false => Err(Error::new("ERR Neither a snapshot nor a rewrite is under way")),
        }
    }),
    sub("HELP", 2..=2, "", "Prints this help.", |cx, _| {
        write_help(cx);
        Ok(())
    }),
    sub("HTSTATS", 3..=3, "<dbid>", "How full the index of a database is.", inspect::htstats),
    sub("HTSTATS-KEY", 3..=3, "<key>", "The same for the table in a value.", inspect::htstats_key),
    sub("JMAP", 2..=2, "", "The allocator's own statistics.", |cx, _| {
        let text = crate::mem::report().unwrap_or_default();
        cx.reply.verbatim("txt", text.as_bytes());
        Ok(())
    }),
    sub("LOADAOF", 2..=2, "", "Loads all data again, from the append-only file.", reload::load_aof),
    sub("LOG", 3..=3, "<message>", "Writes a line to the log.", |cx, args| {
        tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.get(2)));
        ok(cx)
    }),
    sub("OBJECT", 3..=3, "<key>", "How a value is kept.", inspect::object),
    sub("PAUSE-CRON", 3..=3, "<0|1>", "Stops background work, or lets it go on.", |cx, args| {
        cx.shared.switches.pause_cron(is_on(args)?);
        ok(cx)
    }),
    sub("POPULATE", 3..=5, "<count> [<prefix>] [<size>]", "Creates string keys.", populate),
    sub(
        "PROTOCOL",
        3..=3,
        "<type>",
        "Replies with a value of a type of the protocol.",
        protocol::reply,
    ),
    sub(
        "QUICKLIST-PACKED-THRESHOLD",
        3..=3,
        "<size>",
        "Elements from this size on get a node of their own.",
        packed,
    ),
    sub(
        "RELOAD",
        2..=5,
        "[MERGE] [NOFLUSH] [NOSAVE]",
        "Saves all data and loads it again.",
        reload::reload,
    ),
    sub(
        "REPLYBUFFER",
        4..=4,
        "PEAK-RESET-TIME <NEVER|RESET|time> | RESIZING <0|1>",
        "When reply buffers shrink.",
        reply_buffer,
    ),
    sub("SDSLEN", 3..=3, "<key>", "Lengths of a key and its value.", inspect::lengths),
    sub("SEGFAULT", 2..=2, "", "Ends the server as a fault of its memory would.", crash::segfault),
    sub(
        "SET-ACTIVE-EXPIRE",
        3..=3,
        "<0|1>",
        "Lets expired keys stay until they are asked for, or not.",
        |cx, args| {
            let on = is_on(args)?;
            cx.shared.keyspace.active_expire.store(on, crate::sync::Ordering::Relaxed);
            ok(cx)
        },
    ),
    sub(
        "SET-DISABLE-DENY-SCRIPTS",
        3..=3,
        "<0|1>",
        "Lets scripts run commands that are not for them, or not.",
        |cx, args| {
            cx.shared.switches.let_scripts(is_on(args)?);
            ok(cx)
        },
    ),
    sub(
        "SET-SKIP-CHECKSUM-VALIDATION",
        3..=3,
        "<0|1>",
        "Lets RESTORE pass over the sums of payloads, or not.",
        |cx, args| {
            cx.shared.switches.ignore_sums(is_on(args)?);
            ok(cx)
        },
    ),
    sub("SLEEP", 3..=3, "<seconds>", "Lets this client wait.", sleep),
    sub(
        "STRINGMATCH-LEN",
        4..=4,
        "<length> <pattern>",
        "Matches a pattern with that many letters `a`.",
        stringmatch,
    ),
];

fn debug(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if !is_allowed(cx) {
        return Err(Error::new(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
             \"local\", you can run it from a local connection, otherwise you need to set this \
             option in the configuration file, and then restart the server.",
        ));
    }
    let fits = |sub: &&Sub| args.is(1, sub.name) && sub.args.contains(&args.len());
    match SUBCOMMANDS.iter().find(fits) {
        Some(sub) => (sub.run)(cx, args),
        None => Err(help::wrong(args)),
    }
}

fn is_allowed(cx: &Cx<'_>) -> bool {
    match cx.local.config.enable_debug_command {
        Guard::Yes => true,
        Guard::No => false,
        Guard::Local => {
            let origin = &cx.session.client.origin;
            origin.unix || origin.peer.starts_with("127.") || origin.peer.starts_with("[::1]")
        }
    }
}

fn ok(cx: &mut Cx<'_>) -> Result<(), Error> {
    cx.reply.ok();
    Ok(())
}

fn is_on(args: Args<'_>) -> Result<bool, Error> {
    is_on_at(args, 2)
}

fn is_on_at(args: Args<'_>, at: usize) -> Result<bool, Error> {
    Ok(integer(args.get(at))? != 0)
}

fn write_help(cx: &mut Cx<'_>) {
    cx.reply.array(1 + 2 * SUBCOMMANDS.len());
    cx.reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for sub in SUBCOMMANDS {
        cx.reply.simple(format!("{} {}", sub.name, sub.usage).trim_end());
        cx.reply.simple(&format!("    {}", sub.help));
    }
}

/// Longest sleep: a day.
const SLEEP_MAX: f64 = 86_400.0;

/// The client waits; its worker serves the others meanwhile. The slow log and the latency monitor
/// hear of it as of a command that took that long, since that is what tests want it for.
fn sleep(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let seconds = number::parse_f64(args.get(2)).ok_or(Error::NotAFloat)?;
    let micros = (seconds.clamp(0.0, SLEEP_MAX) * 1e6) as u64;
    cx.reply.ok();
    if cx.session.in_script {
        std::thread::sleep(Duration::from_micros(micros)); // a script gives nobody else a turn
    } else if micros > 0 {
        let until = cx.shared.keyspace.clock.tick().unsigned_abs() + micros.div_ceil(1000);
        cx.session.after = After::Park(until);
        cx.local.waited = Duration::from_micros(micros);
    }
    Ok(())
}

/// Keys created by one POPULATE.
const POPULATE_MAX: i64 = 1 << 32;

fn populate(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let range = Error::new("ERR value is out of range, must be positive");
    let positive = |text: &[u8]| number::parse_i64(text).filter(|n| (0..=POPULATE_MAX).contains(n));
    let count = positive(args.get(2)).ok_or(range.clone())?;
    let prefix = args.opt(3).unwrap_or(b"key");
    let size = match args.opt(4) {
        Some(text) => {
            let most = i64::try_from(cx.local.config.proto_max_bulk_len).unwrap_or(i64::MAX);
            Some(positive(text).filter(|size| *size <= most).ok_or(range)? as usize)
        }
        None => None,
    };
    let mut next = slice::resume::<i64>(cx).unwrap_or_default();
    let slice = Slice::begin();
    while *next < count {
        inspect::create(cx, (prefix, *next), size);
        *next += 1;
        if slice.is_over() && *next < count {
            return Slice::pause(cx, next);
        }
    }
    ok(cx)
}

fn packed(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    const RANGE: std::ops::Range<u64> = 0..4 << 30;
    let size = crate::config::value::memory(args.get(2)).filter(|size| RANGE.contains(size));
    let size = size.ok_or(Error::new(
        "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
    ))?;
    cx.shared.switches.set_packed_threshold(size);
    ok(cx)
}

/// When the workers' reply buffers shrink: clients have none of their own.
fn reply_buffer(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let switches = &cx.shared.switches;
    if args.is(2, "PEAK-RESET-TIME") {
        switches.reset_peaks_after(match () {
            () if args.is(3, "NEVER") => i64::MAX,
            () if args.is(3, "RESET") => PEAK_RESET_MS,
            () => integer(args.get(3))?,
        });
    } else if args.is(2, "RESIZING") {
        switches.shrink_replies(is_on_at(args, 3)?);
    } else {
        return Err(help::wrong(args));
    }
    ok(cx)
}

/// Longest text that STRINGMATCH-LEN makes.
const TEXT_MAX: i64 = 1 << 24;

fn stringmatch(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let length = integer(args.get(2))?;
    if !(0..=TEXT_MAX).contains(&length) {
        return Err(Error::NotAnInteger);
    }
    let text = vec![b'a'; length as usize];
    cx.reply.int(i64::from(glob::matches(args.get(3), &text, false)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subcommands_are_sorted_and_documented() {
        assert!(SUBCOMMANDS.is_sorted_by_key(|sub| sub.name));
        assert!(SUBCOMMANDS.iter().all(|sub| sub.help.ends_with('.') && *sub.args.start() >= 2));
    }
}

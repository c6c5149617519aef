//! CONFIG: the parameters of the table, read and changed by clients.

use super::help;
use super::notes::Notes;
use super::{Args, Command, Cx, Error, Flags, Group, Shared, room};
use crate::config::live::{Refusal, Rights, SetError};
use crate::config::{Config, Guard, OomScoreAdj, PARAMS, Param, rewrite, table};
use crate::db::{Access, Wants};
use crate::resp::Reply;
use crate::session::control::{Answer, Listen, Metrics, Order};
use crate::session::registry::Client;
use crate::types::glob;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

const fn sub(name: &'static str, arity: i16, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::Server, run).flags(FLAGS).acl(&["dangerous"])
}

static SUBCOMMANDS: &[Command] = &[
    sub("get", -3, get)
        .notes(&GET)
        .doc("2.0.0", "parameter [parameter ...]", "Returns parameters and their values.")
        .cost("O(N), N being the number of parameters asked for times that of all."),
    help::row(Group::Server, "5.0.0"),
    sub("resetstat", 2, reset_stat).doc("2.0.0", "", "Sets the statistics of INFO back to zero."),
    sub("rewrite", 2, rewrite_file).doc(
        "2.8.0",
        "",
        "Writes the values in force to the configuration file.",
    ),
    sub("set", -4, set)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .notes(&SET)
        .doc(
            "2.0.0",
            "parameter value [parameter value ...]",
            "Changes parameters: all of those given, or none.",
        )
        .cost("O(N), N being the number of parameters given."),
];

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::container("config", Group::Server, SUBCOMMANDS)
    .doc("2.0.0", "", "Reads and changes the configuration.")
    .cost("Depends on the subcommand.")];

const GET: Notes = Notes::history(&[("7.0.0", "Takes several patterns.")]);
const SET: Notes = Notes::history(&[("7.0.0", "Takes several parameters.")]);

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let config = cx.shared.config.get();
    write_found(cx.reply, &config, args.from(2).iter());
    Ok(())
}

/// A name finds itself, in any letter case; a pattern finds all but the hidden. Each name shows
/// once.
fn write_found<'a>(reply: &mut Reply, config: &Config, asked: impl Iterator<Item = &'a [u8]>) {
    let mut seen = HashSet::new();
    let mut found: Vec<(Vec<u8>, &Param)> = Vec::new();
    let mut add = |shown: &[u8], name: &'static str, param| {
        if seen.insert(name) {
            found.push((shown.to_vec(), param));
        }
    };
    for pattern in asked {
        if !pattern.iter().any(|b| b"*?[".contains(b)) {
            if let Some((param, name)) = table::find(pattern) {
                add(pattern, name, param);
            }
            continue;
        }
        for param in PARAMS.iter().filter(|p| !p.hidden && !p.quiet) {
            for name in param.redis_names() {
                if glob::matches(pattern, name.as_bytes(), true) {
                    add(name.as_bytes(), name, param);
                }
            }
        }
    }
    reply.map(found.len());
    for (shown, param) in found {
        reply.bulk(&shown);
        reply.bulk(&param.bytes(config));
    }
}

fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let words: Vec<&[u8]> = args.from(2).iter().collect();
    if !words.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let guard = cx.shared.config.get().enable_protected_configs;
    let shared = cx.shared;
    let protected = permits(guard, &cx.session.client);
    let rights = Rights { protected, loading: shared.persist.is_loading() };
    let logged = shared.config.get().appendonly;
    let result = shared.config.set_many(&pairs, rights, |old, new, _| apply(shared, old, new));
    match result {
        Ok(()) => {
            if cx.session.in_exec && !logged && shared.config.get().appendonly {
                tracing::info!(
                    "AOF was enabled during a transaction. An AOF background was scheduled to start \
                     when possible."
                );
            }
            cx.reply.ok();
            // Less memory may be allowed than is in use: keys go now, not when the next command comes.
            if !cx.db.is_in_step() {
                cx.local.config = shared.config.get();
                room::make(cx);
                if logged && !cx.local.config.appendonly {
                    // What comes now is not for the log, which ends as soon as its thread gets to it. If
                    // somebody has the keyspace for long, that is soon enough.
                    let off = |access: &mut Access<'_>| access.keyspace.want(Wants::LOGGED, false);
                    let _ = cx.db.exclusive(|access, _| off(access));
                }
            }
        }
        Err(error @ SetError::Loading) => return Err(error.to_string().into()),
        Err(error) => return Err(format!("ERR {error}").into()),
    }
    Ok(())
}

/// The arguments of CONFIG SET that hold secrets: the slow log and MONITOR must not show them.
pub fn secrets(args: Args<'_>) -> impl Iterator<Item = usize> {
    let set = args.is(0, "config") && args.is(1, "set");
    let values = (3..args.len()).step_by(2).filter(move |_| set);
    values.filter(move |i| table::find(args.get(i - 1)).is_some_and(|(param, _)| param.sensitive))
}

/// Whether `guard` lets this client pass.
pub fn permits(guard: Guard, client: &Client) -> bool {
    let local = || {
        let peer = client.origin.peer.parse::<SocketAddr>();
        client.origin.unix || peer.is_ok_and(|address| address.ip().to_canonical().is_loopback())
    };
    match guard {
        Guard::No => false,
        Guard::Yes => true,
        Guard::Local => local(),
    }
}

/// Makes real what does not follow from reading the new values. Acts on differences only, so that
/// calling it with the two exchanged undoes it.
fn apply(shared: &Shared, old: &Config, new: &Config) -> Result<(), Refusal> {
    let refuse = |name: &str, reason: String| Err((name.to_string(), reason));
    if old.dir != new.dir
        && let Err(reason) = move_to(shared, &new.dir)
    {
        return refuse("dir", reason);
    }
    if new.writes_files()
        && !old.writes_files()
        && let Err(reason) = shared.persist.place.prepare()
    {
        return refuse(if new.appendonly { "appendonly" } else { "save" }, reason.into());
    }
    if (old.oom_score_adj, old.oom_score_adj_values)
        != (new.oom_score_adj, new.oom_score_adj_values)
        && score_out_of_memory(new, old.oom_score_adj != OomScoreAdj::No).is_err()
    {
        let reason = "Failed to apply new oom_score_adj configuration, check server logs.";
        return refuse("oom-score-adj", reason.into());
    }
    if (old.port, &old.bind) != (new.port, &new.bind) && listen(shared, new).is_err() {
        return match old.port == new.port {
            true => refuse("bind", "Failed to bind to specified addresses.".into()),
            false => {
                let reason = "Unable to listen on this port. Check server logs.";
                refuse("port", reason.into())
            }
        };
    }
    let place = metrics(new);
    if metrics(old) != place
        && let Err(reason) = order(shared, |answer| Order::Metrics(answer, place))
    {
        let name =
            if old.metrics_port == new.metrics_port { "metrics-bind" } else { "metrics-port" };
        return refuse(name, reason);
    }
    Ok(())
}

/// Goes to another data directory, unless the log is written in the old one.
fn move_to(shared: &Shared, dir: &str) -> Result<(), String> {
    if shared.keyspace.wants(Wants::LOGGED) || shared.persist.rewrites.is_running() {
        let text =
            "the append only file is written in the old directory: set appendonly to no first";
        return Err(text.into());
    }
    shared.persist.place.move_to(dir)
}

/// Where `config` wants the metrics port.
pub fn metrics(config: &Config) -> Metrics {
    Metrics { port: config.metrics_port, bind: config.metrics_bind.clone() }
}

/// Longest wait for the main thread to open its sockets.
const LISTEN_WAIT: Duration = Duration::from_secs(5);

/// Has the main thread listen elsewhere, and waits for its answer.
fn listen(shared: &Shared, config: &Config) -> Result<(), String> {
    let place = Listen { port: config.port, bind: config.bind.clone() };
    order(shared, |answer| Order::Listen(answer, place))
}

/// Gives the main thread an order and waits for its result.
fn order(shared: &Shared, order: impl FnOnce(Answer) -> Order) -> Result<(), String> {
    let (sender, answer) = std::sync::mpsc::channel();
    shared.control.order(order(sender));
    answer.recv_timeout(LISTEN_WAIT).unwrap_or_else(|error| Err(error.to_string()))
}

/// Where the kernel keeps the score of this process.
const SCORE: &str = "/proc/self/oom_score_adj";

/// The score found at first, to which relative values are added and to which `no` goes back.
static FIRST_SCORE: OnceLock<i32> = OnceLock::new();

/// Tells the kernel how dispensable the process is, if the configuration wants that. Call it once
/// at start; CONFIG SET calls it after that. `was_set` says that there may be a score of ours to
/// take back.
pub fn score_out_of_memory(config: &Config, was_set: bool) -> std::io::Result<()> {
    let wanted = config.oom_score_adj_values[0];
    if config.oom_score_adj == OomScoreAdj::No && !was_set {
        return Ok(());
    }
    let first = match FIRST_SCORE.get() {
        Some(first) => *first,
        None => {
            let text = std::fs::read_to_string(SCORE)?;
            *FIRST_SCORE.get_or_init(|| text.trim().parse().unwrap_or(0))
        }
    };
    let score = match config.oom_score_adj {
        OomScoreAdj::No => first,
        OomScoreAdj::Absolute => wanted,
        OomScoreAdj::Yes | OomScoreAdj::Relative => first + wanted,
    };
    std::fs::write(SCORE, score.clamp(-1000, 1000).to_string())
}

fn reset_stat(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.shared.metrics.reset();
    cx.shared.keyspace.lifetimes.reset();
    cx.shared.keyspace.forget_freed();
    cx.db.keyspace.counters().iter().for_each(|counters| counters.reset());
    cx.reply.ok();
    Ok(())
}

fn rewrite_file(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    write_file(cx.shared, false)?;
    cx.reply.ok();
    Ok(())
}

/// Writes the values in force to the configuration file; `all` writes those at their default too.
pub fn write_file(shared: &Shared, all: bool) -> Result<(), Error> {
    let Some(file) = &shared.config_file else {
        return Err(Error::new("ERR The server is running without a config file"));
    };
    match rewrite::rewrite(file, &shared.config.get(), all) {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE executed with success.");
            Ok(())
        }
        Err(reason) => {
            tracing::warn!("CONFIG REWRITE failed: {reason}");
            Err(format!("ERR Rewriting config file: {reason}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Registry;
    use crate::session::registry::Origin;

    fn found(patterns: &[&str]) -> Vec<String> {
        let mut reply = Reply::default();
        write_found(&mut reply, &Config::default(), patterns.iter().map(|p| p.as_bytes()));
        let text = String::from_utf8(reply.bytes).unwrap();
        text.lines().filter(|l| !l.starts_with(['*', '$'])).map(str::to_string).collect()
    }

    #[test]
    fn names_and_patterns() {
        assert_eq!(found(&["MaxMemory", "maxmemory"]), ["MaxMemory", "0"]);
        assert_eq!(found(&["*of"]), ["replicaof", "", "slaveof", ""]);
        assert_eq!(found(&["nosuch", "max-memory"]), Vec::<String>::new());
        assert_eq!(found(&["key-load-delay"]), ["key-load-delay", "0"]);
        assert!(!found(&["*"]).contains(&"key-load-delay".to_string()));
        assert_eq!(found(&["maxmemory*", "maxmemory"]).len(), 2 * 5);
    }

    #[test]
    fn secrets_are_known() {
        let of = |line: &str| {
            let args = crate::resp::args::OwnedArgs::new(line.split(' '));
            secrets(args.view()).collect::<Vec<_>>()
        };
        assert_eq!(of("CONFIG SET maxmemory 1 RequirePass a masterauth b"), [5, 7]);
        assert_eq!(of("config set requirepass"), [0; 0]);
        assert_eq!(of("config get requirepass masterauth"), [0; 0]);
        assert_eq!(of("set requirepass x y"), [0; 0]);
    }

    #[test]
    fn guards() {
        let registry = Registry::new(1);
        let client = |peer: &str, unix| {
            registry.add(Origin { peer: peer.into(), unix, ..Origin::default() })
        };
        for (peer, unix, local) in [
            ("127.0.0.1:5", false, true),
            ("[::1]:5", false, true),
            ("[::ffff:127.0.0.1]:5", false, true),
            ("10.0.0.1:5", false, false),
            ("/tmp/s:0", true, true),
            ("", false, false),
        ] {
            assert_eq!(permits(Guard::Local, &client(peer, unix)), local, "{peer}");
        }
        assert!(permits(Guard::Yes, &client("10.0.0.1:5", false)));
        assert!(!permits(Guard::No, &client("127.0.0.1:5", false)));
    }
}

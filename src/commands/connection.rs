//! Commands about the connection itself: greeting, passwords, protocol.

use super::client::tracking;
use super::notes::{Notes, at};
use super::table::Group;
use super::{Args, Command, Cx, Error, Flags, pubsub};
use crate::config::REDIS_VERSION;
use crate::resp::Reply;
use crate::session::pause::Conditions;
use crate::session::{After, Gates};
use subtle::ConstantTimeEq;

const LOADING: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const OPEN: Flags = LOADING.and(Flags::FAST).and(Flags::NO_AUTH).and(Flags::ALLOW_BUSY);
const AT_ONCE: Flags = OPEN.and(Flags::NOT_QUEUED);
const CONN: &[&str] = &["connection"];

/// The rows.
pub static CONNECTION: &[Command] = &[
    Command::new("asking", 1, Group::Cluster, cluster_only).flags(Flags::FAST).acl(CONN).doc(
        "3.0.0",
        "",
        "Lets the next command touch a slot that is being moved here.",
    ),
    Command::new("auth", -2, Group::Connection, auth).notes(&AUTH).flags(OPEN).acl(CONN).doc(
        "1.0.0",
        "[username] password",
        "Authenticates the connection.",
    ),
    Command::new("echo", 2, Group::Connection, echo)
        .flags(Flags::LOADING.and(Flags::STALE).and(Flags::FAST))
        .acl(CONN)
        .doc("1.0.0", "message", "Replies with the message."),
    Command::new("hello", -1, Group::Connection, hello).notes(&HELLO).flags(OPEN).acl(CONN).doc(
        "6.0.0",
        "[protover [AUTH username password] [SETNAME clientname]]",
        "Chooses the protocol and tells about the server.",
    ),
    Command::new("ping", -1, Group::Connection, ping)
        .flags(Flags::FAST)
        .acl(CONN)
        .doc("1.0.0", "[message]", "Replies PONG, or with the message.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Command::new("quit", -1, Group::Connection, quit).flags(AT_ONCE).acl(CONN).doc(
        "1.0.0",
        "",
        "Closes the connection after the reply.",
    ),
    Command::new("readonly", 1, Group::Cluster, cluster_only)
        .flags(Flags::LOADING.and(Flags::STALE).and(Flags::FAST))
        .acl(CONN)
        .doc("3.0.0", "", "Lets this connection read from a cluster's replica."),
    Command::new("readwrite", 1, Group::Cluster, cluster_only)
        .flags(Flags::LOADING.and(Flags::STALE).and(Flags::FAST))
        .acl(CONN)
        .doc("3.0.0", "", "Takes READONLY back."),
    Command::new("reset", 1, Group::Connection, reset).flags(AT_ONCE).acl(CONN).doc(
        "6.2.0",
        "",
        "Puts the connection back to how it started.",
    ),
];

const AUTH: Notes = Notes::args(&[at("username").since("6.0.0")])
    .changed(&[("6.0.0", "Takes the name of a user.")]);
const HELLO: Notes = Notes::args(&[at("protover_username_password_clientname").name("arguments")])
    .changed(&[("6.2.0", "`protover` may be left out, to ask what is in force.")]);

fn cluster_only(_: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    Err(Error::new("ERR This instance has cluster support disabled"))
}

fn ping(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() > 2 {
        return Err(Error::Arity);
    }
    if cx.session.has(Gates::SUBSCRIBED) && !cx.session.resp3 {
        cx.reply.array(2);
        cx.reply.bulk(b"pong");
        cx.reply.bulk(args.opt(1).unwrap_or_default());
        return Ok(());
    }
    match args.opt(1) {
        None => cx.reply.simple("PONG"),
        Some(message) => cx.reply.bulk(message),
    }
    Ok(())
}

fn echo(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    cx.reply.bulk(args.get(1));
    Ok(())
}

fn quit(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.ok();
    cx.session.after = After::Close;
    Ok(())
}

fn reset(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    if cx.session.has(Gates::MONITOR) {
        let any = cx.shared.clients.monitor(&cx.session.client, false);
        cx.shared.conditions.set(Conditions::MONITORED, any);
    }
    pubsub::forget(cx);
    tracking::forget(cx);
    cx.session.reset(!cx.local.config.requirepass.is_empty());
    cx.db.db = 0;
    cx.reply.resp3 = false;
    cx.reply.simple("RESET");
    Ok(())
}

fn auth(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        2 if cx.local.config.requirepass.is_empty() => {
            return Err(Error::new(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        2 => authenticate(cx, b"default", args.get(1))?,
        3 => authenticate(cx, args.get(1), args.get(2))?,
        _ => return Err(Error::Syntax),
    }
    cx.reply.ok();
    Ok(())
}

/// Lets the client in if the password is right. Without `requirepass` any is, for `default`.
fn authenticate(cx: &mut Cx<'_>, user: &[u8], password: &[u8]) -> Result<(), Error> {
    // The configuration may have changed since this turn began, by this very connection.
    let config = cx.shared.config.get();
    let wanted = &config.requirepass;
    let right = wanted.is_empty() || bool::from(wanted.as_slice().ct_eq(password));
    if user != b"default" || !right {
        return Err(Error::new("WRONGPASS invalid username-password pair or user is disabled."));
    }
    cx.session.gate(Gates::AUTH, false);
    Ok(())
}

fn hello(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut version = None;
    if let Some(text) = args.opt(1) {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let Some(number) = number else {
            return Err(Error::new("ERR Protocol version is not an integer or out of range"));
        };
        if !(2..=3).contains(&number) {
            return Err(Error::new("NOPROTO unsupported protocol version"));
        }
        version = Some(number);
    }
    let name = hello_options(cx, args)?;
    if cx.session.has(Gates::AUTH) {
        return Err(Error::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        cx.session.client.set_name(name);
    }
    if let Some(version) = version {
        cx.session.resp3 = version == 3;
        cx.reply.resp3 = cx.session.resp3;
        pubsub::show(cx.session);
    }
    let (id, resp3) = (cx.session.client.id, cx.session.resp3);
    greet(cx.reply, id, resp3);
    Ok(())
}

/// AUTH takes effect while the options are read; the name is returned.
fn hello_options(cx: &mut Cx<'_>, args: Args<'_>) -> Result<Option<Vec<u8>>, Error> {
    let (mut at, mut name) = (2, None);
    while at < args.len() {
        if args.is(at, "AUTH") && at + 2 < args.len() {
            authenticate(cx, args.get(at + 1), args.get(at + 2))?;
            at += 3;
        } else if args.is(at, "SETNAME") && at + 1 < args.len() {
            name = Some(super::client::valid_name(args.get(at + 1))?);
            at += 2;
        } else {
            let mut text = b"ERR Syntax error in HELLO option '".to_vec();
            text.extend_from_slice(args.get(at));
            text.push(b'\'');
            return Err(Error::Bytes(text));
        }
    }
    Ok(name)
}

fn greet(reply: &mut Reply, id: u64, resp3: bool) {
    reply.map(7);
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(if resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(i64::try_from(id).unwrap_or(i64::MAX));
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

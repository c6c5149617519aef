//! Publishing and subscribing. Who listens to what is kept by [`crate::session::hub`].

use super::table::{Group, Handler};
use super::{Args, Command, Cx, Error, Flags, KeySpec, help};
use crate::db::What;
use crate::resp::Reply;
use crate::session::hub::Kind;
use crate::session::registry::Flag;
use crate::session::{Gates, Session};
use crate::sync::Ordering;
use crate::types::glob::Pattern;
use bytes::Bytes;

const LISTEN: Flags = Flags::PUBSUB.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);
const ASK: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);
const PUBLISH: Flags = ASK.and(Flags::FAST).and(Flags::MAY_REPLICATE);

const fn row(name: &'static str, arity: i16, run: Handler) -> Command {
    Command::new(name, arity, Group::Pubsub, run)
}

static SUBCOMMANDS: &[Command] = &[
    row("channels", -2, |cx, args| list(cx, args, Kind::Channel))
        .flags(ASK)
        .doc("2.8.0", "[pattern]", "Lists the channels that have subscribers.")
        .cost("O(N) in the number of channels, the pattern taken as short."),
    help::row(Group::Pubsub, "6.2.0"),
    row("numpat", 2, numpat)
        .flags(ASK)
        .doc("2.8.0", "", "Counts the patterns that have subscribers.")
        .cost("O(1)"),
    row("numsub", -2, |cx, args| numbers(cx, args, Kind::Channel))
        .flags(ASK)
        .doc("2.8.0", "[channel [channel ...]]", "Counts the subscribers of channels.")
        .cost("O(N) in the number of channels asked for."),
    row("shardchannels", -2, |cx, args| list(cx, args, Kind::Shard))
        .flags(ASK)
        .doc("7.0.0", "[pattern]", "Lists the shard channels that have subscribers.")
        .cost("O(N) in the number of shard channels, the pattern taken as short."),
    row("shardnumsub", -2, |cx, args| numbers(cx, args, Kind::Shard))
        .flags(ASK)
        .doc(
            "7.0.0",
            "[shardchannel [shardchannel ...]]",
            "Counts the subscribers of shard channels.",
        )
        .cost("O(N) in the number of shard channels asked for."),
];

const CHANNELS: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["NOT_KEY"])];

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    row("psubscribe", -2, |cx, args| listen(cx, args, Kind::Pattern))
        .flags(LISTEN)
        .doc("2.0.0", "pattern [pattern ...]", "Listens to all channels whose name matches.")
        .cost("O(N) in the number of patterns."),
    row("publish", 3, |cx, args| send(cx, args, Kind::Channel))
        .flags(PUBLISH)
        .doc("2.0.0", "channel message", "Sends a message to whoever listens to the channel.")
        .cost("O(N+M): N subscribers of the channel, M patterns of all clients."),
    Command::container("pubsub", Group::Pubsub, SUBCOMMANDS)
        .doc("2.8.0", "", "Tells who listens.")
        .cost("Depends on the subcommand."),
    row("punsubscribe", -1, |cx, args| leave(cx, args, Kind::Pattern))
        .flags(LISTEN)
        .doc("2.0.0", "[pattern [pattern ...]]", "Stops listening to patterns.")
        .cost("O(N) in the number of patterns."),
    row("spublish", 3, |cx, args| send(cx, args, Kind::Shard))
        .flags(PUBLISH)
        .keys(&[KeySpec::one(1, &["NOT_KEY"])])
        .doc(
            "7.0.0",
            "shardchannel message",
            "Sends a message to whoever listens to the shard channel.",
        )
        .cost("O(N) in the number of subscribers."),
    row("ssubscribe", -2, |cx, args| listen(cx, args, Kind::Shard))
        .flags(LISTEN)
        .keys(CHANNELS)
        .doc("7.0.0", "shardchannel [shardchannel ...]", "Listens to shard channels.")
        .cost("O(N) in the number of shard channels."),
    row("subscribe", -2, |cx, args| listen(cx, args, Kind::Channel))
        .flags(LISTEN)
        .doc("2.0.0", "channel [channel ...]", "Listens to channels.")
        .cost("O(N) in the number of channels."),
    row("sunsubscribe", -1, |cx, args| leave(cx, args, Kind::Shard))
        .flags(LISTEN)
        .keys(CHANNELS)
        .doc("7.0.0", "[shardchannel [shardchannel ...]]", "Stops listening to shard channels.")
        .cost("O(N) in the number of shard channels."),
    row("unsubscribe", -1, |cx, args| leave(cx, args, Kind::Channel))
        .flags(LISTEN)
        .doc("2.0.0", "[channel [channel ...]]", "Stops listening to channels.")
        .cost("O(N) in the number of channels."),
];

/// The words of the confirmations, and which subscriptions their count is of.
const fn words(kind: Kind) -> (&'static [u8], &'static [u8]) {
    match kind {
        Kind::Channel => (b"subscribe", b"unsubscribe"),
        Kind::Pattern => (b"psubscribe", b"punsubscribe"),
        Kind::Shard => (b"ssubscribe", b"sunsubscribe"),
    }
}

/// Channels and patterns count together, shard channels by themselves.
fn count(session: &Session, kind: Kind) -> usize {
    let Some(to) = &session.subscriptions else { return 0 };
    match kind {
        Kind::Shard => to.len(Kind::Shard),
        _ => to.len(Kind::Channel) + to.len(Kind::Pattern),
    }
}

fn confirm(reply: &mut Reply, word: &[u8], name: Option<&[u8]>, count: usize) {
    reply.push(3);
    reply.bulk(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.count(count);
}

/// Shows others what the session listens to, and sets the mode that follows from it.
pub fn show(session: &mut Session) {
    let to = session.subscriptions.as_deref();
    let len = |kind| to.map_or(0, |to| to.len(kind) as u32);
    let view = &session.client.view;
    view.subscriptions.store(len(Kind::Channel), Ordering::Relaxed);
    view.patterns.store(len(Kind::Pattern), Ordering::Relaxed);
    view.shard_subscriptions.store(len(Kind::Shard), Ordering::Relaxed);
    let listens = to.is_some_and(|to| !to.is_empty());
    session.client.flag(Flag::PUBSUB, listens);
    let restricted = listens && !session.resp3;
    session.gate(Gates::SUBSCRIBED, restricted);
    session.gate(Gates::LISTENS, listens);
    if !listens {
        session.subscriptions = None;
    }
}

fn listen(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    for name in args.iter().skip(1) {
        let Session { client, subscriptions, .. } = &mut *cx.session;
        let to = subscriptions.get_or_insert_default();
        cx.shared.clients.hub.subscribe(kind, name, client, to);
        confirm(cx.reply, words(kind).0, Some(name), count(cx.session, kind));
    }
    show(cx.session);
    Ok(())
}

fn leave(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    let to = cx.session.subscriptions.as_deref();
    let all = if args.len() == 1 { to.map(|to| to.names(kind)) } else { None }.unwrap_or_default();
    let names: Vec<&[u8]> = match args.len() {
        1 => all.iter().map(|name| &name[..]).collect(),
        _ => args.iter().skip(1).collect(),
    };
    let word = words(kind).1;
    for name in &names {
        let Session { client, subscriptions, .. } = &mut *cx.session;
        if let Some(to) = subscriptions {
            cx.shared.clients.hub.unsubscribe(kind, name, client, to);
        }
        confirm(cx.reply, word, Some(name), count(cx.session, kind));
    }
    if names.is_empty() {
        confirm(cx.reply, word, None, count(cx.session, kind));
    }
    show(cx.session);
    Ok(())
}

/// The session ends, or begins anew: it listens to nothing any more, and nobody is told.
pub fn forget(cx: &mut Cx<'_>) {
    if let Some(to) = cx.session.subscriptions.take() {
        cx.shared.clients.hub.unsubscribe_all(&cx.session.client, *to);
        show(cx.session);
    }
}

fn send(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    let clients = &cx.shared.clients;
    let (channel, message) = (args.get(1), args.get(2));
    let count = if cx.db.is_in_step() {
        // It leaves when EXEC is done, in its place among the events of keys.
        let message = Bytes::copy_from_slice(message);
        cx.db.say(0, channel, What::Sent { shard: kind == Kind::Shard, message });
        clients.hub.audience(kind, channel)
    } else {
        clients.hub.publish(kind, channel, message, clients)
    };
    cx.db.told |= count > 0;
    cx.reply.count(count);
    Ok(())
}

fn list(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(help::wrong(args));
    }
    let pattern = args.opt(2).map(Pattern::new);
    let wanted = |name: &[u8]| pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
    let names = cx.shared.clients.hub.channels(kind, wanted);
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name));
    Ok(())
}

fn numbers(cx: &mut Cx<'_>, args: Args<'_>, kind: Kind) -> Result<(), Error> {
    cx.reply.array((args.len() - 2) * 2);
    for name in args.iter().skip(2) {
        cx.reply.bulk(name);
        cx.reply.count(cx.shared.clients.hub.listeners(kind, name));
    }
    Ok(())
}

fn numpat(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.count(cx.shared.clients.hub.len(Kind::Pattern));
    Ok(())
}

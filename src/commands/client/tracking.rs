//! CLIENT TRACKING and its kin: which copies the connection keeps, and when it must drop them.
//!
//! Of a client that tracks what it reads, [`remember`] enters the keys before the command reads them. What
//! others change it hears by letter. What its own command made stale is sent among its replies, as Redis
//! does: before the reply if room had to be made for the command, else after it ([`flush`]).

use super::super::table::Group;
use super::super::{Args, Cx, Error, Flags, keys_of};
use crate::db::{Key, Stale};
use crate::session::pause::Conditions;
use crate::session::tracking::{Invalid, Tracking, post};
use crate::session::{Flag, Gates, Session};
use std::collections::BTreeSet;

type Prefixes = Vec<Box<[u8]>>;

fn parse(cx: &Cx<'_>, args: Args<'_>) -> Result<(Tracking, Prefixes), Error> {
    let (mut how, mut prefixes) = (Tracking::default(), Prefixes::new());
    let mut at = 3;
    while at < args.len() {
        let more = at + 1 < args.len();
        if args.is(at, "REDIRECT") && more {
            at += 1;
            if how.redirect != 0 {
                let text = "ERR A client can only redirect to a single other client";
                return Err(Error::new(text));
            }
            let id = super::super::args::integer(args.get(at))?;
            let to = u64::try_from(id).ok().and_then(|id| cx.shared.clients.find(id));
            let missing = "ERR The client ID you want redirect to does not exist";
            how.redirect = to.ok_or(Error::new(missing))?.id;
        } else if args.is(at, "BCAST") {
            how.bcast = true;
        } else if args.is(at, "OPTIN") {
            how.optin = true;
        } else if args.is(at, "OPTOUT") {
            how.optout = true;
        } else if args.is(at, "NOLOOP") {
            how.noloop = true;
        } else if args.is(at, "PREFIX") && more {
            at += 1;
            prefixes.push(args.get(at).into());
        } else {
            return Err(Error::Syntax);
        }
        at += 1;
    }
    Ok((how, prefixes))
}

/// Refuses what does not go together, or not with how the client tracks already.
fn check(how: &Tracking, before: Option<&Tracking>, prefixes: &[Box<[u8]>]) -> Result<(), Error> {
    let text = match before {
        _ if !how.bcast && !prefixes.is_empty() => {
            "PREFIX option requires BCAST mode to be enabled"
        }
        Some(before) if before.bcast != how.bcast => {
            "You can't switch BCAST mode on/off before disabling tracking for this client, and then \
             re-enabling it with a different mode."
        }
        _ if how.bcast && (how.optin || how.optout) => {
            "OPTIN and OPTOUT are not compatible with BCAST"
        }
        _ if how.optin && how.optout => "You can't use both OPTIN and OPTOUT",
        Some(before) if how.optin && before.optout || how.optout && before.optin => {
            "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
             re-enabling it with a different mode."
        }
        _ => return collide(before, prefixes),
    };
    Err(Error::from(format!("ERR {text}")))
}

/// Prefixes of one client must not overlap: it would hear of keys twice.
fn collide(before: Option<&Tracking>, prefixes: &[Box<[u8]>]) -> Result<(), Error> {
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    let fail = |new: &[u8], with: &str, old: &[u8]| {
        let (new, old) = (String::from_utf8_lossy(new), String::from_utf8_lossy(old));
        Err(Error::from(format!(
            "ERR Prefix '{new}' overlaps with {with} prefix '{old}'. Prefixes for a single client must \
             not overlap."
        )))
    };
    for (i, prefix) in prefixes.iter().enumerate() {
        let mut old = before.into_iter().flat_map(|before| &before.prefixes);
        if let Some(old) = old.find(|old| overlap(old, prefix)) {
            return fail(prefix, "an existing", old);
        }
        if let Some(other) = prefixes[i + 1..].iter().find(|other| overlap(other, prefix)) {
            return fail(prefix, "another provided", other);
        }
    }
    Ok(())
}

pub(super) fn tracking(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut how, prefixes) = parse(cx, args)?;
    match args.get(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            let before = cx.session.tracking.take();
            let checked = check(&how, before.as_deref(), &prefixes);
            if let Err(error) = checked {
                cx.session.tracking = before;
                return Err(error);
            }
            how.prefixes = BTreeSet::from_iter(prefixes);
            if how.bcast && how.prefixes.is_empty() {
                how.prefixes.insert(Box::default());
            }
            let (trackers, client) = (&cx.shared.clients.trackers, &cx.session.client);
            trackers.begin(client, &how, before.as_deref(), &cx.shared.keyspace);
            if let Some(before) = before {
                how.prefixes.extend(before.prefixes);
                how.caching = before.caching;
            }
            cx.session.tracking = Some(Box::new(how));
            cx.session.gate(Gates::TRACKING, true);
        }
        b"off" => forget(cx),
        _ => return Err(Error::Syntax),
    }
    cx.reply.ok();
    Ok(())
}

/// The session tracks nothing any more.
pub fn forget(cx: &mut Cx<'_>) {
    if let Some(how) = cx.session.tracking.take() {
        cx.shared.clients.trackers.end(&cx.session.client, &how, &cx.shared.keyspace);
        cx.session.gate(Gates::TRACKING, false);
    }
}

pub(super) fn caching(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(how) = &mut cx.session.tracking else {
        return Err(Error::new(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
             OPTOUT mode enabled",
        ));
    };
    match args.get(2).to_ascii_lowercase().as_slice() {
        b"yes" if how.optin => how.caching = true,
        b"yes" => {
            return Err(Error::new(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
        b"no" if how.optout => how.caching = true,
        b"no" => {
            return Err(Error::new(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
        _ => return Err(Error::Syntax),
    }
    cx.reply.ok();
    Ok(())
}

/// The client that invalidations are redirected to: 0 for none, -1 without tracking.
pub(super) fn redirection(session: &Session) -> i64 {
    let redirect = session.tracking.as_ref().map(|how| how.redirect);
    redirect.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX))
}

pub(super) fn getredir(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.int(redirection(cx.session));
    Ok(())
}

pub(super) fn trackinginfo(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let broken = cx.session.client.flags() & Flag::BROKEN_REDIRECT != 0;
    let flags: Vec<&str> = match &cx.session.tracking {
        None => vec!["off"],
        Some(how) => [
            (true, "on"),
            (how.bcast, "bcast"),
            (how.optin, "optin"),
            (how.optin && how.caching, "caching-yes"),
            (how.optout, "optout"),
            (how.optout && how.caching, "caching-no"),
            (how.noloop, "noloop"),
            (broken, "broken_redirect"),
        ]
        .into_iter()
        .filter_map(|(is, name)| is.then_some(name))
        .collect(),
    };
    cx.reply.map(3);
    cx.reply.bulk(b"flags");
    cx.reply.set(flags.len());
    flags.iter().for_each(|flag| cx.reply.bulk(flag.as_bytes()));
    cx.reply.bulk(b"redirect");
    cx.reply.int(redirection(cx.session));
    cx.reply.bulk(b"prefixes");
    let how = cx.session.tracking.as_deref();
    cx.reply.array(how.map_or(0, |how| how.prefixes.len()));
    how.iter().flat_map(|how| &how.prefixes).for_each(|prefix| cx.reply.bulk(prefix));
    Ok(())
}

/// Enters the keys that `cx.row`, a command of a client that tracks, is about to read.
#[cold]
pub fn remember(cx: &mut Cx<'_>, args: Args<'_>) {
    let remembers = cx.session.tracking.as_ref().is_some_and(|how| how.remembers());
    let command = cx.row.command;
    if remembers && command.flags.has(Flags::READ) && command.group != Group::Scripting {
        enter(cx, args);
        if let Some(how) = &mut cx.session.tracking {
            how.has_read = true;
        }
    }
}

/// Enters the keys that `cx.row` names.
fn enter(cx: &mut Cx<'_>, args: Args<'_>) {
    let mut found = Vec::new();
    if keys_of::keys_of(cx.row.command, args, &mut found).is_ok() {
        let reader = cx.session.client.id;
        found.iter().for_each(|key| cx.db.track(Key::new(args.get(key.at)), reader));
        let most = cx.local.config.tracking_table_max_keys;
        if most > 0 && cx.db.keyspace.tracked().0 as u64 > most {
            cx.shared.conditions.set(Conditions::CROWDED, true);
        }
    }
}

/// Keys forgotten per command while there are too many.
const EFFORT: usize = 100;

/// Forgets keys while more are tracked than `tracking-table-max-keys`.
#[cold]
pub fn limit(cx: &mut Cx<'_>) {
    let most = cx.shared.config.get().tracking_table_max_keys;
    let count = cx.db.keyspace.tracked().0 as u64;
    if most > 0 && count > most {
        cx.db.untrack(EFFORT.min((count - most) as usize));
    } else {
        cx.shared.conditions.set(Conditions::CROWDED, false);
    }
}

/// A command is over, or has not begun: sends what it made stale of the client's own copies.
#[inline]
pub fn flush(cx: &mut Cx<'_>) {
    if !cx.db.own_stale.is_empty() || cx.session.has(Gates::TRACKING) {
        send(cx);
    }
}

#[cold]
fn send(cx: &mut Cx<'_>) {
    let mut stale = std::mem::take(&mut cx.db.own_stale);
    let Some(how) = &mut cx.session.tracking else { return };
    if !how.pending.is_empty() {
        stale = how.pending.drain(..).chain(stale).collect();
    }
    for stale in stale {
        let invalid = match stale {
            Stale::Key(_, own) if how.bcast || own && how.noloop => continue,
            Stale::Key(key, _) => Invalid::keys(std::iter::once(&*key)),
            Stale::All => Invalid::all(),
        };
        if how.redirect != 0 {
            let clients = &cx.shared.clients;
            clients.rouse(post(clients, &cx.session.client, &invalid));
        } else if cx.session.resp3 {
            cx.reply.raw(invalid.push());
        }
    }
}

/// The command at hand goes on later: what it made stale is sent when it has replied.
pub fn keep(cx: &mut Cx<'_>) {
    if let Some(how) = &mut cx.session.tracking {
        how.pending.append(&mut cx.db.own_stale);
    }
    cx.db.own_stale.clear();
}

/// The command `cx.row` has replied. Of a script that has read anything the keys that it names count as
/// read. CLIENT CACHING holds for the command after it, and for a whole transaction.
#[cold]
pub fn after_command(cx: &mut Cx<'_>, args: Args<'_>) {
    let Some(how) = &mut cx.session.tracking else { return };
    let has_read = std::mem::take(&mut how.has_read);
    if has_read && cx.row.command.group == Group::Scripting {
        enter(cx, args);
    }
    let in_multi = cx.session.multi.is_some();
    if let Some(how) = &mut cx.session.tracking
        && how.caching
        && !in_multi
        && !is_client(cx.row)
    {
        how.caching = false;
    }
}

fn is_client(row: &super::super::Row) -> bool {
    let parent = row.parent.and_then(|id| super::super::table().rows.get(usize::from(id)));
    parent.is_some_and(|parent| parent.command.name == "client")
}

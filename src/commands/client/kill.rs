//! CLIENT KILL in its old form (an address) and its new one (filters).

use super::super::{Args, Cx, Error};
use super::list::class;
use crate::session::registry::{Class, Client, DEFAULT_USER};
use crate::session::{After, Flag};
use std::sync::Arc;

/// What a client must be to be closed; nothing given means any.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    class: Option<Class>,
    user: Option<&'a [u8]>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    oldest_seconds: Option<i64>,
    keep_me: bool,
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut filter = Self { keep_me: true, ..Self::default() };
        let mut at = 2;
        while at < args.len() {
            let value = args.opt(at + 1).ok_or(Error::Syntax)?;
            match args.get(at).to_ascii_lowercase().as_slice() {
                b"id" => filter.id = Some(id(value)?),
                b"type" => filter.class = Some(class(value)?),
                b"user" if value == DEFAULT_USER.as_bytes() => filter.user = Some(value),
                b"user" => {
                    let text = [b"ERR No such user '".as_slice(), value, b"'"].concat();
                    return Err(Error::Bytes(text));
                }
                b"addr" => filter.peer = Some(value),
                b"laddr" => filter.local = Some(value),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.keep_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.keep_me = false,
                b"maxage" => filter.oldest_seconds = Some(age(value)?),
                _ => return Err(Error::Syntax),
            }
            at += 2;
        }
        Ok(filter)
    }

    fn takes(&self, client: &Client, me: u64, now: i64) -> bool {
        let age = (now - client.origin.since_ms) / 1_000;
        self.id.is_none_or(|id| id == client.id)
            && self.class.is_none_or(|class| class == client.class())
            && self.user.is_none_or(|user| user == client.user().as_bytes())
            && self.peer.is_none_or(|peer| peer == client.origin.peer.as_bytes())
            && self.local.is_none_or(|local| local == client.origin.local.as_bytes())
            && self.oldest_seconds.is_none_or(|oldest| age >= oldest)
            && !(self.keep_me && client.id == me)
    }
}

fn id(text: &[u8]) -> Result<u64, Error> {
    let id = super::integer(text).filter(|id| *id > 0).and_then(|id| u64::try_from(id).ok());
    id.ok_or(Error::new("ERR client-id should be greater than 0"))
}

fn age(text: &[u8]) -> Result<i64, Error> {
    let age =
        super::integer(text).ok_or(Error::new("ERR maxage is not an integer or out of range"))?;
    if age > 0 { Ok(age) } else { Err(Error::new("ERR maxage should be greater than 0")) }
}

pub(super) fn kill(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() == 3 {
        let found = cx.shared.clients.all().into_iter();
        let mut found = found.filter(|client| client.origin.peer.as_bytes() == args.get(2));
        let client = found.next().ok_or(Error::new("ERR No such client"))?;
        close(cx, &client);
        cx.reply.ok();
        return Ok(());
    }
    let filter = Filter::parse(args)?;
    let me = cx.session.client.id;
    let mut killed = 0;
    for client in cx.shared.clients.all() {
        if filter.takes(&client, me, cx.db.now) {
            close(cx, &client);
            killed += 1;
        }
    }
    cx.reply.int(killed);
    Ok(())
}

/// Closes `client`; the one that asks for it gets its reply first.
fn close(cx: &mut Cx<'_>, client: &Arc<Client>) {
    if client.id == cx.session.client.id {
        client.flag(Flag::CLOSING, true);
        cx.session.after = After::Close;
    } else {
        cx.shared.clients.kill(client);
    }
}

//! XPENDING.

use super::super::args::integer;
use super::super::{Args, Cx, Error};
use super::{lower, no_group, read, upper};
use crate::resp::Reply;
use crate::types::stream::{Group, Id, Pending};

/// Which pending entries are asked for, one by one.
struct Query<'q> {
    from: Id,
    to: Id,
    idle: i64,
    count: usize,
    consumer: Option<&'q [u8]>,
}

impl<'q> Query<'q> {
    /// None if only the summary is wanted.
    fn parse(args: Args<'q>) -> Result<Option<Self>, Error> {
        let (mut at, mut idle) = (3, 0);
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Error::Syntax),
        }
        if args.is(3, "IDLE") {
            idle = integer(args.get(4))?;
            at = 5;
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
        }
        let count = usize::try_from(integer(args.get(at + 2))?).unwrap_or(0);
        let (from, to) = (lower(args.get(at))?, upper(args.get(at + 1))?);
        Ok(Some(Self { from, to, idle, count, consumer: args.opt(at + 3) }))
    }

    fn reply(&self, reply: &mut Reply, group: &Group, now: i64) {
        let idle = |pending: &Pending| now.wrapping_sub(pending.delivered);
        let fits = |pending: &Pending| self.idle == 0 || idle(pending) >= self.idle;
        let (mut lines, mut count) = (Reply::default(), 0);
        let mut line = |id: Id, pending: &Pending| {
            count += 1;
            lines.array(4);
            lines.stream_id(id);
            lines.bulk(group.name(pending.owner));
            lines.int(idle(pending).max(0));
            lines.int(pending.count.cast_signed());
        };
        match self.consumer.map(|name| group.owner(name)) {
            None => {
                let all = group.pending(self.from, self.to).filter(|(_, pending)| fits(pending));
                all.take(self.count).for_each(|(id, pending)| line(id, pending));
            }
            Some(owner) => {
                let consumer = owner.and_then(|owner| group.consumer(owner));
                let ids = consumer.into_iter().flat_map(|consumer| consumer.pending(self.from));
                let ids = ids.take_while(|id| *id <= self.to);
                let all = ids.filter_map(|id| Some((id, group.find(id)?)));
                let all = all.filter(|(_, pending)| fits(pending));
                all.take(self.count).for_each(|(id, pending)| line(id, pending));
            }
        }
        reply.array(count);
        reply.raw(&lines.bytes);
    }
}

fn summary(reply: &mut Reply, group: &Group) {
    let ends = |mut pending: Box<dyn DoubleEndedIterator<Item = (Id, &Pending)> + '_>| {
        let first = pending.next()?.0;
        Some((first, pending.next_back().map_or(first, |(id, _)| id)))
    };
    reply.array(4);
    reply.count(group.len());
    let Some((first, last)) = ends(Box::new(group.pending(Id::MIN, Id::MAX))) else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    reply.stream_id(first);
    reply.stream_id(last);
    let busy = || group.consumers().filter(|consumer| !consumer.is_empty());
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.len() as i64);
    }
}

pub fn xpending(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let query = Query::parse(args)?;
    let (key, name, now) = (cx.key(args, 1), args.get(2), cx.db.now);
    let reply = &mut *cx.reply;
    let done = read(&mut cx.db, key, |stream| {
        let group = stream.group(name)?;
        match &query {
            Some(query) => query.reply(reply, group, now),
            None => summary(reply, group),
        }
        Some(())
    })?;
    done.flatten().ok_or_else(|| no_group(key.bytes, name))
}

//! XPENDING. Many entries are copied at one instant, forty bytes each, and encoded in slices.

use super::super::args::integer;
use super::super::long::{self, Source};
use super::super::{Args, Cx, Error};
use super::{lower, no_group, read, upper};
use crate::resp::Reply;
use crate::types::stream::{Group, Id, Names, Pending};

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

    /// The entries that are asked for.
    fn rows(&self, group: &Group, now: i64) -> Vec<(Id, Pending)> {
        let fits = |(_, of): &(Id, Pending)| self.idle == 0 || idle(now, of) >= self.idle;
        let most = self.count;
        match self.consumer.map(|name| group.owner(name)) {
            None => {
                let all = group.pending(self.from, self.to).map(|(id, of)| (id, *of));
                all.filter(fits).take(most).collect()
            }
            Some(owner) => {
                // Without other conditions no more are looked at than are shown.
                let looks = if self.idle == 0 { most } else { usize::MAX };
                let all = owner.into_iter();
                let all = all.flat_map(|owner| group.pending_of(owner, self.from, looks));
                let all = all.take_while(|(id, _)| *id <= self.to).map(|(id, of)| (id, *of));
                all.filter(fits).take(most).collect()
            }
        }
    }
}

fn idle(now: i64, pending: &Pending) -> i64 {
    now.wrapping_sub(pending.delivered)
}

fn line(reply: &mut Reply, (id, pending): &(Id, Pending), name: &[u8], now: i64) {
    reply.array(4);
    reply.stream_id(*id);
    reply.bulk(name);
    reply.int(idle(now, pending).max(0));
    reply.int(pending.count.cast_signed());
}

/// Pending entries that are encoded while the stripe is held.
const AT_ONCE: usize = 512;
/// And between two looks at the clock.
const BETWEEN: usize = 128;

/// More pending entries, as they were when they were asked for.
struct Lines {
    rows: Vec<(Id, Pending)>,
    names: Names,
    now: i64,
    shown: usize,
}

impl Source for Lines {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        if self.shown == 0 {
            reply.array(self.rows.len());
        }
        let rest = &self.rows[self.shown..];
        let some = &rest[..rest.len().min(BETWEEN)];
        some.iter().for_each(|row| line(reply, row, self.names.of(row.1.owner), self.now));
        self.shown += some.len();
        self.shown < self.rows.len()
    }
}

/// Encodes pending entries, or returns them if they are many.
fn lines(reply: &mut Reply, group: &Group, rows: Vec<(Id, Pending)>, now: i64) -> Option<Lines> {
    if rows.len() > AT_ONCE {
        return Some(Lines { rows, names: group.names(), now, shown: 0 });
    }
    reply.array(rows.len());
    rows.iter().for_each(|row| line(reply, row, group.name(row.1.owner), now));
    None
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
    if let Some(done) = long::resume::<Lines>(cx) {
        return done;
    }
    let query = Query::parse(args)?;
    let (key, name, now) = (cx.key(args, 1), args.get(2), cx.db.now);
    let reply = &mut *cx.reply;
    let done = read(&mut cx.db, key, |stream| {
        let group = stream.group(name)?;
        Some(match &query {
            Some(query) => lines(reply, group, query.rows(group, now), now),
            None => {
                summary(reply, group);
                None
            }
        })
    })?;
    match done.flatten().ok_or_else(|| no_group(key.bytes, name))? {
        Some(lines) => long::begin(cx, lines),
        None => Ok(()),
    }
}

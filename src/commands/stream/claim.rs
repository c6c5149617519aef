//! XCLAIM and XAUTOCLAIM.

use super::super::{Args, Cx, Error};
use super::{change, effect, id, lower, no_group, stream, tell};
use crate::db::Write;
use crate::resp::Reply;
use crate::types::number;
use crate::types::stream::{Claim, Entry, Group, Id, Owner};

fn number(text: &[u8], error: &'static str) -> Result<i64, Error> {
    number::parse_i64(text).ok_or(Error::new(error))
}

/// The group must exist; the consumer is added if need be, and was seen. Says whether it was added.
fn owner(
    write: &mut Write<'_, '_>,
    (group, consumer): (&[u8], &[u8]),
    now: i64,
) -> (Option<Owner>, bool) {
    let owner = |write: &mut Write<'_, '_>| {
        change(write, |stream| {
            let group = stream.group_mut(group)?;
            let fresh = group.add_consumer(consumer, now);
            let owner = group.owner(consumer)?;
            group.consumer_mut(owner)?.seen = now;
            Some((owner, fresh))
        })
    };
    match owner(write).flatten() {
        Some((owner, fresh)) => (Some(owner), fresh),
        None => (None, false),
    }
}

/// The arguments of XCLAIM behind its consumer.
struct Wish {
    idle: i64,
    ids: Vec<Id>,
    delivered: Option<i64>,
    count: Option<u64>,
    last: Option<Id>,
    force: bool,
    just_id: bool,
}

impl Wish {
    fn parse(args: Args<'_>, now: i64) -> Result<Self, Error> {
        let idle = number(args.get(4), "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
        let ids: Vec<Id> = args.from(5).iter().map_while(|text| Id::parse(text, 0)).collect();
        let mut i = 5 + ids.len();
        let (delivered, count, last) = (None, None, None);
        let mut wish = Self { idle, ids, delivered, count, last, force: false, just_id: false };
        while let Some(word) = args.opt(i) {
            let value = args.opt(i + 1);
            if args.is(i, "FORCE") {
                wish.force = true;
            } else if args.is(i, "JUSTID") {
                wish.just_id = true;
            } else if let Some(value) = value
                && wish.option(args, i, (value, now))?
            {
                i += 1;
            } else {
                let text = [b"ERR Unrecognized XCLAIM option '", word, b"'"];
                return Err(Error::Bytes(text.concat()));
            }
            i += 1;
        }
        Ok(wish)
    }

    /// An option with a value. False if it is none.
    fn option(
        &mut self,
        args: Args<'_>,
        i: usize,
        (value, now): (&[u8], i64),
    ) -> Result<bool, Error> {
        if args.is(i, "IDLE") {
            let idle = number(value, "ERR Invalid IDLE option argument for XCLAIM")?;
            self.delivered = Some(now.wrapping_sub(idle));
        } else if args.is(i, "TIME") {
            let time = number(value, "ERR Invalid TIME option argument for XCLAIM")?;
            self.delivered = Some(time);
        } else if args.is(i, "RETRYCOUNT") {
            let count = number(value, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
            self.count = u64::try_from(count).ok();
        } else if args.is(i, "LASTID") {
            self.last = Some(id(value)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// Encodes what was claimed.
fn claimed(reply: &mut Reply, entry: &Entry<'_>, just_id: bool) {
    if just_id { reply.stream_id(entry.id) } else { reply.stream_entry(entry) }
}

pub fn xclaim(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, group, consumer) = (cx.key(args, 1), args.get(2), args.get(3));
    let now = cx.db.wall;
    let mut write = cx.db.write(key);
    if stream(&mut write)?.is_none_or(|stream| stream.group(group).is_none()) {
        return Err(no_group(key.bytes, group));
    }
    let wish = Wish::parse(args, now)?;
    // What lies in the future would never be idle.
    let delivered = wish.delivered.filter(|time| (0..=now).contains(time)).unwrap_or(now);
    let (owner, fresh) = owner(&mut write, (group, consumer), now);
    let (mut lines, mut lines_len) = (Reply::default(), 0);
    let (mut touched, mut moved) = (Vec::new(), false);
    if let Some(owner) = owner {
        let (count, counts) = (wish.count, !wish.just_id);
        let (idle, force) = (wish.idle, wish.force);
        let claim = Claim { owner, idle, now, delivered, count, counts, force };
        change(&mut write, |stream| {
            if let (Some(last), Some(group)) = (wish.last, stream.group_mut(group)) {
                moved = group.last < last;
            }
            if let Some(last) = wish.last {
                stream.advance(group, last);
            }
            for id in &wish.ids {
                let before = stream.group(group).map_or(0, Group::len);
                if let Some(entry) = stream.claim(group, *id, &claim) {
                    claimed(&mut lines, &entry, wish.just_id);
                    lines_len += 1;
                    touched.push(*id);
                } else if stream.group(group).map_or(0, Group::len) < before {
                    touched.push(*id);
                }
            }
            if lines_len > 0
                && let Some(consumer) = stream.group_mut(group).and_then(|g| g.consumer_mut(owner))
            {
                consumer.active = Some(now);
            }
        });
    }
    if fresh && touched.is_empty() {
        effect::consumer(&mut write, key.bytes, group, consumer);
    }
    effect::given(&mut write, key.bytes, group, &touched, false);
    if moved && touched.is_empty() {
        effect::moved(&mut write, key.bytes, group);
    }
    drop(write);
    cx.db.no_other_effect();
    cx.reply.array(lines_len);
    cx.reply.raw(&lines.bytes);
    if fresh {
        tell(cx, "xgroup-createconsumer", key.bytes);
    }
    Ok(())
}

/// Pending entries looked at for each that may be claimed.
const LOOKS: usize = 10;
/// The most that COUNT may say: so many names would fill the memory that Redis would ask for.
const COUNT_MAX: i64 = i64::MAX / 16;

/// The options of XAUTOCLAIM.
fn sweep_options(args: Args<'_>) -> Result<(usize, bool), Error> {
    let (mut count, mut just_id, mut i) = (100, false, 6);
    while i < args.len() {
        if args.is(i, "COUNT") && i + 1 < args.len() {
            let value = number::parse_i64(args.get(i + 1));
            let value = value.filter(|count| (1..=COUNT_MAX).contains(count));
            let value = value.ok_or(Error::new("ERR COUNT must be > 0"))?;
            count = usize::try_from(value).unwrap_or(usize::MAX);
            i += 1;
        } else if args.is(i, "JUSTID") {
            just_id = true;
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    Ok((count, just_id))
}

pub fn xautoclaim(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let idle = number(args.get(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
    let from = lower(args.get(5))?;
    let (most, just_id) = sweep_options(args)?;
    let (key, group, consumer) = (cx.key(args, 1), args.get(2), args.get(3));
    let now = cx.db.now;
    let mut write = cx.db.write(key);
    if stream(&mut write)?.is_none_or(|stream| stream.group(group).is_none()) {
        return Err(no_group(key.bytes, group));
    }
    let (owner, fresh) = owner(&mut write, (group, consumer), now);
    let (mut lines, mut lines_len, mut touched) = (Reply::default(), 0, Vec::new());
    let swept = owner.and_then(|owner| {
        let (counts, force, count) = (!just_id, false, None);
        let claim = Claim { owner, idle, now, delivered: now, count, counts, force };
        change(&mut write, |stream| {
            let range = (from, most.saturating_mul(LOOKS), most);
            let swept = stream.sweep(group, range, &claim, |entry| {
                claimed(&mut lines, &entry, just_id);
                touched.push(entry.id);
                lines_len += 1;
            });
            if lines_len > 0
                && let Some(consumer) = stream.group_mut(group).and_then(|g| g.consumer_mut(owner))
            {
                consumer.active = Some(now);
            }
            swept
        })
    });
    let swept = swept.unwrap_or_default();
    touched.extend(&swept.gone);
    if fresh && touched.is_empty() {
        effect::consumer(&mut write, key.bytes, group, consumer);
    }
    effect::given(&mut write, key.bytes, group, &touched, false);
    drop(write);
    cx.db.no_other_effect();
    cx.reply.array(3);
    cx.reply.stream_id(swept.next.unwrap_or(Id::MIN));
    cx.reply.array(lines_len);
    cx.reply.raw(&lines.bytes);
    cx.reply.array(swept.gone.len());
    swept.gone.iter().for_each(|id| cx.reply.stream_id(*id));
    if fresh {
        tell(cx, "xgroup-createconsumer", key.bytes);
    }
    Ok(())
}

//! How long keys live: EXPIRE and its kin, TTL and its kin, PERSIST.

use super::super::args::{Unit, integer};
use super::super::event::Class;
use super::super::{Cx, Error};
use crate::db::Entry;
use crate::resp::Args;

pub fn expire(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::After { ms: 1000 })
}

pub fn pexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::After { ms: 1 })
}

pub fn expireat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::At { ms: 1000 })
}

pub fn pexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_expiry(cx, args, Unit::At { ms: 1 })
}

#[derive(Debug, Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut conditions = Self::default();
        for i in 0..args.len() {
            match () {
                () if args.is(i, "NX") => conditions.nx = true,
                () if args.is(i, "XX") => conditions.xx = true,
                () if args.is(i, "GT") => conditions.gt = true,
                () if args.is(i, "LT") => conditions.lt = true,
                () => {
                    let mut text = b"ERR Unsupported option ".to_vec();
                    text.extend_from_slice(args.get(i));
                    return Err(Error::Bytes(text));
                }
            }
        }
        let Self { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(Error::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(Error::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether an expiry of `old` (none: never) may become `new`.
    const fn allow(self, old: Option<i64>, new: i64) -> bool {
        match old {
            None => !self.xx && !self.gt,
            Some(old) => !(self.nx || self.gt && new <= old || self.lt && new >= old),
        }
    }
}

fn set_expiry(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Result<(), Error> {
    let conditions = Conditions::parse(args.from(3))?;
    let value = integer(args.get(2))?;
    let point = unit.point(value, cx.db.now).ok_or_else(|| {
        Error::from(format!("ERR invalid expire time in '{}' command", cx.row.command.name))
    })?;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let allowed = match write.entry() {
        None => false,
        Some(entry) => conditions.allow(entry.expiry(), point),
    };
    let mut word = "expire";
    if allowed {
        if point <= write.now() {
            write.effect(&[b"DEL", key.bytes]);
            write.remove();
            word = "del";
        } else {
            let mut number = itoa::Buffer::new();
            write.effect(&[b"PEXPIREAT", key.bytes, number.format(point).as_bytes()]);
            write.expire(Some(point));
        }
    }
    drop(write);
    if allowed {
        cx.event(Class::GENERIC, word, key.bytes);
    }
    cx.reply.int(i64::from(allowed));
    Ok(())
}

pub fn persist(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let had = write.entry().is_some_and(|entry| entry.expiry().is_some());
    if had {
        write.expire(None);
    }
    drop(write);
    if had {
        cx.event(Class::GENERIC, "persist", key.bytes);
    }
    cx.reply.int(i64::from(had));
    Ok(())
}

/// -2: no key, -1: no expiry, else what `f` makes of the point in time.
fn time_left(cx: &mut Cx<'_>, args: Args<'_>, f: impl FnOnce(i64, i64) -> i64) {
    let key = cx.key(args, 1);
    let now = cx.db.now;
    let value = match cx.db.find_untouched(key).map(Entry::expiry) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => f(at, now),
    };
    cx.reply.int(value);
}

pub fn ttl(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, now| (at.saturating_sub(now).max(0).saturating_add(500)) / 1000);
    Ok(())
}

pub fn pttl(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, now| at.saturating_sub(now).max(0));
    Ok(())
}

pub fn expiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, _| at.saturating_add(500) / 1000);
    Ok(())
}

pub fn pexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    time_left(cx, args, |at, _| at);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_expire() {
        let gt = Conditions { gt: true, ..Conditions::default() };
        let lt = Conditions { lt: true, ..Conditions::default() };
        let nx = Conditions { nx: true, ..Conditions::default() };
        let xx = Conditions { xx: true, ..Conditions::default() };
        // A key without an expiry counts as living for ever.
        assert!(!gt.allow(None, 5) && lt.allow(None, 5));
        assert!(gt.allow(Some(4), 5) && !gt.allow(Some(5), 5) && lt.allow(Some(6), 5));
        assert!(nx.allow(None, 5) && !nx.allow(Some(1), 5));
        assert!(!xx.allow(None, 5) && xx.allow(Some(1), 5));
    }
}

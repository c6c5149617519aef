//! Commands on the ends of fields, and those that read or set fields and their ends in one step.
//!
//! Their replies name each field's outcome by a number: -2 there is no such field, -1 it has no end,
//! 0 the condition was not met, 1 done, 2 removed since the time is over.

use super::super::args::{Unit, integer_in};
use super::super::elements::bulk;
use super::super::event::Class;
use super::place::{Change, View, change};
use super::{Args, Cx, Error};
use crate::types::hash::End;
use crate::types::number;
use crate::types::object::Type;
use crate::types::packed::ELEMENT_MAX;

/// Ends beyond this are refused, as in Redis, whose ends have 46 bits.
const LATEST: i64 = (1 << 46) - 1;

/// The instant that `text` stands for.
fn point(cx: &Cx<'_>, text: &[u8], unit: Unit) -> Result<i64, Error> {
    let value = number::parse_i64(text).ok_or(Error::NotAnInteger)?;
    if value < 0 {
        return Err(Error::new("ERR invalid expire time, must be >= 0"));
    }
    unit.point(value, cx.db.now).filter(|at| *at <= LATEST).ok_or_else(|| {
        Error::from(format!("ERR invalid expire time in '{}' command", cx.row.command.name))
    })
}

const MISSING: Error =
    Error::new("ERR Mandatory argument FIELDS is missing or not at the right position");
const MISMATCH: Error =
    Error::new("ERR The `numfields` parameter must match the number of arguments");
const POSITIVE: &str = "ERR Number of fields must be a positive integer";

/// The fields behind `FIELDS numfields`, of which the first word is argument `at`; each takes `step`
/// arguments.
fn fields<'v>(
    args: Args<'v>,
    at: usize,
    step: usize,
    positive: &'static str,
) -> Result<Args<'v>, Error> {
    if !args.is(at, "FIELDS") || at + 1 >= args.len() {
        return Err(MISSING);
    }
    let count = integer_in(args.get(at + 1), 1.., positive)?;
    let rest = args.from(at + 2);
    let wanted = usize::try_from(count).ok().and_then(|count| count.checked_mul(step));
    if wanted == Some(rest.len()) { Ok(rest) } else { Err(MISMATCH) }
}

/// What HEXPIRE and its kin ask of the end that a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Absent,
    Present,
    Later,
    Earlier,
}

impl When {
    fn of(word: &[u8]) -> Option<Self> {
        let words: [(&[u8], Self); 4] = [
            (b"NX", Self::Absent),
            (b"XX", Self::Present),
            (b"GT", Self::Later),
            (b"LT", Self::Earlier),
        ];
        words.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, when)| *when)
    }

    /// A field without an end lives for ever.
    fn allows(self, old: Option<i64>, new: i64) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => old.is_none(),
            Self::Present => old.is_some(),
            Self::Later => old.is_some_and(|old| new > old),
            Self::Earlier => old.is_none_or(|old| new < old),
        }
    }
}

/// Gives a field an end; one that is over removes it.
fn end_at(hash: &mut Change<'_, '_>, name: &[u8], when: When, at: i64, now: i64) -> i64 {
    match hash.get(name).map(|field| field.end) {
        None => -2,
        Some(old) if !when.allows(old, at) => 0,
        Some(_) if at <= now => {
            hash.remove(name);
            2
        }
        Some(_) => {
            hash.set_end(name, Some(at));
            1
        }
    }
}

/// Tells what was done to fields: `word`, if it was done to any, and what went.
fn tell(cx: &mut Cx<'_>, key: &[u8], word: Option<&'static str>, removed: bool, emptied: bool) {
    if let Some(word) = word {
        cx.event(Class::HASH, word, key);
    }
    if removed {
        cx.event(Class::HASH, "hdel", key);
    }
    if emptied {
        cx.event(Class::GENERIC, "del", key);
    }
}

/// The effect of an end given to fields.
pub fn at_end(cx: &mut Cx<'_>, key: &[u8], at: i64, names: &[&[u8]]) {
    let (at, count) = (at.to_string(), names.len().to_string());
    let mut words = vec![b"HPEXPIREAT", key, at.as_bytes(), b"FIELDS", count.as_bytes()];
    words.extend(names);
    cx.db.effect(&words);
}

/// The effect of removing fields.
fn removed_fields(cx: &mut Cx<'_>, key: &[u8], names: impl Iterator<Item = impl AsRef<[u8]>>) {
    let names: Vec<_> = names.collect();
    if !names.is_empty() {
        let words = [b"HDEL".as_slice(), key].into_iter();
        let words: Vec<&[u8]> = words.chain(names.iter().map(AsRef::as_ref)).collect();
        cx.db.effect(&words);
    }
}

/// The effect of what [`end_at`] did to each of `names`.
fn ended(cx: &mut Cx<'_>, key: &[u8], at: i64, names: Args<'_>, done: &[i64]) {
    if !cx.db.logs() {
        return;
    }
    let those = |wanted: i64| {
        let both = names.iter().zip(done);
        both.filter(move |(_, done)| **done == wanted).map(|(name, _)| name)
    };
    let timed: Vec<&[u8]> = those(1).collect();
    if !timed.is_empty() {
        at_end(cx, key, at, &timed);
    }
    removed_fields(cx, key, those(2));
    cx.db.no_other_effect();
}

fn expire(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Result<(), Error> {
    let at = point(cx, args.get(2), unit)?;
    let when = When::of(args.get(3));
    let from = if when.is_some() { 4 } else { 3 };
    let names = fields(args, from, 1, "ERR Parameter `numFields` should be greater than 0")?;
    let (key, now) = (cx.key(args, 1), cx.db.now);
    let mut hash = change(cx, key)?;
    let when = when.unwrap_or(When::Always);
    let done: Vec<i64> = names.iter().map(|name| end_at(&mut hash, name, when, at, now)).collect();
    let emptied = hash.finish().settle(&mut cx.local.scratch);
    ended(cx, key.bytes, at, names, &done);
    tell(cx, key.bytes, done.contains(&1).then_some("hexpire"), done.contains(&2), emptied);
    cx.reply.array(done.len());
    done.iter().for_each(|&done| cx.reply.int(done));
    Ok(())
}

pub fn hexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::After { ms: 1000 })
}

pub fn hpexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::After { ms: 1 })
}

pub fn hexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::At { ms: 1000 })
}

pub fn hpexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::At { ms: 1 })
}

pub fn hpersist(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let names = fields(args, 2, 1, POSITIVE)?;
    let key = cx.key(args, 1);
    let mut hash = change(cx, key)?;
    let mut persist = |name: &[u8]| match hash.get(name).map(|field| field.end) {
        None => -2,
        Some(None) => -1,
        Some(Some(_)) => {
            hash.set_end(name, None);
            1
        }
    };
    let done: Vec<i64> = names.iter().map(&mut persist).collect();
    hash.finish().settle(&mut cx.local.scratch);
    tell(cx, key.bytes, done.contains(&1).then_some("hpersist"), false, false);
    cx.reply.array(done.len());
    done.iter().for_each(|&done| cx.reply.int(done));
    Ok(())
}

/// Replies for each field what `f` makes of its end.
fn ends(cx: &mut Cx<'_>, args: Args<'_>, f: impl Fn(i64, i64) -> i64) -> Result<(), Error> {
    let names = fields(args, 2, 1, POSITIVE)?;
    let (key, now) = (cx.key(args, 1), cx.db.now);
    let found = cx.db.collection(key, Type::Hash, |seen| {
        let hash = View::of(seen);
        let end = |name: &[u8]| match hash.and_then(|hash| hash.get(name, now)) {
            None => -2,
            Some(field) => field.end.map_or(-1, |at| f(at, now)),
        };
        names.iter().map(end).collect::<Vec<i64>>()
    })?;
    let ends = found.unwrap_or_else(|| vec![-2; names.len()]);
    cx.reply.array(ends.len());
    ends.iter().for_each(|&end| cx.reply.int(end));
    Ok(())
}

/// Whole seconds, the last one begun counted.
const fn seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

pub fn httl(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    ends(cx, args, |at, now| seconds(at - now))
}

pub fn hpttl(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    ends(cx, args, |at, now| at - now)
}

pub fn hexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    ends(cx, args, |at, _| seconds(at))
}

pub fn hpexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    ends(cx, args, |at, _| at)
}

/// Encodes the values of fields of a hash that is being changed.
fn values(hash: &Change<'_, '_>, reply: &mut crate::resp::Reply, names: Args<'_>) {
    reply.array(names.len());
    for name in names.iter() {
        match hash.get(name) {
            Some(field) => bulk(reply, &field.value),
            None => reply.null(),
        }
    }
}

pub fn hgetdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let names = fields(args, 2, 1, POSITIVE)?;
    let key = cx.key(args, 1);
    let mut shown = crate::resp::Reply::of_protocol(cx.reply.resp3);
    let mut hash = change(cx, key)?;
    shown.array(names.len());
    let mut gone: Vec<&[u8]> = Vec::new();
    for name in names.iter() {
        match hash.get(name) {
            Some(field) => bulk(&mut shown, &field.value),
            None => shown.null(),
        }
        if hash.remove(name) {
            gone.push(name); // named twice, it is not there the second time
        }
    }
    let emptied = hash.finish().settle(&mut cx.local.scratch);
    let removed = !gone.is_empty();
    removed_fields(cx, key.bytes, gone.into_iter());
    tell(cx, key.bytes, None, removed, emptied);
    cx.reply.append(&mut shown);
    Ok(())
}

/// What HGETEX and HSETEX say before `FIELDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    /// What becomes of the ends; none: they were not mentioned.
    end: Option<End>,
    /// FNX or FXX: whether the fields must be there.
    there: Option<bool>,
    /// Where `FIELDS` stands.
    fields: usize,
}

impl Options {
    /// Reads them. `word` stands for the option without a time: PERSIST of HGETEX, KEEPTTL of HSETEX.
    fn parse(cx: &Cx<'_>, args: Args<'_>, word: &str, end: End) -> Result<Self, Error> {
        let mut options = Self { end: None, there: None, fields: 2 };
        let setting = word == "KEEPTTL";
        let once = || {
            format!("ERR Only one of EX, PX, EXAT, PXAT or {word} arguments can be specified")
                .into()
        };
        while let Some(arg) = args.opt(options.fields) {
            let at = options.fields;
            if args.is(at, "FIELDS") {
                return Ok(options);
            }
            let is_end = args.is(at, word) || Unit::of(arg).is_some();
            if is_end && options.end.is_some() {
                return Err(once());
            }
            if setting && (args.is(at, "FNX") || args.is(at, "FXX")) {
                if options.there.is_some() {
                    return Err(Error::new(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                options.there = Some(args.is(at, "FXX"));
            } else if args.is(at, word) {
                options.end = Some(end);
            } else if let Some(unit) = Unit::of(arg) {
                let time = args.opt(at + 1).ok_or(Error::new("ERR missing expire time"))?;
                options.end = Some(End::At(point(cx, time, unit)?));
                options.fields += 1;
            } else {
                let mut text = b"ERR unknown argument: ".to_vec();
                text.extend_from_slice(arg);
                return Err(Error::Bytes(text));
            }
            options.fields += 1;
        }
        Err(MISSING)
    }
}

pub fn hgetex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(cx, args, "PERSIST", End::Never)?;
    let names = fields(args, options.fields, 1, POSITIVE)?;
    let (key, now) = (cx.key(args, 1), cx.db.now);
    let mut shown = crate::resp::Reply::of_protocol(cx.reply.resp3);
    let mut hash = change(cx, key)?;
    values(&hash, &mut shown, names);
    let (mut persisted, mut done) = (false, Vec::new());
    for name in names.iter() {
        match options.end {
            None | Some(End::Keep) => {}
            Some(End::At(at)) => done.push(end_at(&mut hash, name, When::Always, at, now)),
            Some(End::Never) if hash.get(name).is_some_and(|field| field.end.is_some()) => {
                hash.set_end(name, None);
                persisted = true;
            }
            Some(End::Never) => {}
        }
    }
    let emptied = hash.finish().settle(&mut cx.local.scratch);
    match options.end {
        Some(End::At(at)) => ended(cx, key.bytes, at, names, &done),
        _ if persisted => {
            let words = [b"HPERSIST".as_slice(), key.bytes].into_iter();
            let words: Vec<&[u8]> = words.chain(args.from(options.fields).iter()).collect();
            cx.db.effect(&words);
        }
        _ => {}
    }
    let word = if persisted { Some("hpersist") } else { done.contains(&1).then_some("hexpire") };
    tell(cx, key.bytes, word, done.contains(&2), emptied);
    cx.reply.append(&mut shown);
    Ok(())
}

pub fn hsetex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(cx, args, "KEEPTTL", End::Keep)?;
    let pairs = fields(args, options.fields, 2, POSITIVE)?;
    if pairs.iter().any(|arg| arg.len() > ELEMENT_MAX) {
        return Err(Error::TooLong);
    }
    let (key, now) = (cx.key(args, 1), cx.db.now);
    let mut hash = change(cx, key)?;
    let is_there = |name: &[u8]| hash.get(name).is_some();
    let met = options
        .there
        .is_none_or(|wanted| pairs.iter().step_by(2).all(|name| is_there(name) == wanted));
    let over = matches!(options.end, Some(End::At(at)) if at <= now);
    let mut removed = false;
    for i in (0..pairs.len()).step_by(2).filter(|_| met) {
        if over {
            removed |= hash.remove(pairs.get(i)); // set, and over at the same instant
        } else {
            hash.set(pairs.get(i), pairs.get(i + 1), options.end.unwrap_or(End::Never));
        }
    }
    let emptied = hash.finish().settle(&mut cx.local.scratch);
    if met && !over {
        let names: Vec<&[u8]> = pairs.iter().step_by(2).collect();
        let set = match options.end {
            Some(End::Keep) => vec![b"HSETEX", key.bytes, b"KEEPTTL"],
            _ => vec![b"HSET".as_slice(), key.bytes],
        };
        let from = if set.len() == 3 { args.from(options.fields) } else { pairs };
        let words: Vec<&[u8]> = set.into_iter().chain(from.iter()).collect();
        cx.db.effect(&words);
        if let Some(End::At(at)) = options.end {
            at_end(cx, key.bytes, at, &names);
        }
    } else if removed {
        removed_fields(cx, key.bytes, pairs.iter().step_by(2));
    }
    if met && !over {
        cx.event(Class::HASH, "hset", key.bytes);
    }
    let timed = met && !over && matches!(options.end, Some(End::At(_)));
    tell(cx, key.bytes, timed.then_some("hexpire"), removed, emptied);
    cx.reply.int(i64::from(met));
    Ok(())
}

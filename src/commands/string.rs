//! String commands: values set, read and edited as bytes or numbers.

use super::args::{self, Unit, expiry, integer};
use super::event::{Class, Voice};
use super::notes::{Notes, at};
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Access, Expiry, Key, New, Str};
use crate::resp::{Args, Reply};
use crate::types::extended;

const READ: Flags = Flags::READ.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::QUICK);
const FAST_WRITE: Flags = WRITE.and(Flags::FAST);
const RO: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const RW: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])];
const OW: &[KeySpec] = &[KeySpec::one(1, &["OW", "UPDATE"])];
const OW_INSERT: &[KeySpec] = &[KeySpec::one(1, &["OW", "INSERT"])];
const INSERT: &[KeySpec] = &[KeySpec::one(1, &["RW", "INSERT"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const ALL_PAIRS: &[KeySpec] = &[KeySpec::range(1, -1, 2, &["OW", "UPDATE"])];
const ALL_PAIRS_NEW: &[KeySpec] = &[KeySpec::range(1, -1, 2, &["OW", "INSERT"])];
const ALL: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["RO", "ACCESS"])];
const SET_KEYS: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"])
    .note("It reads the key only with the option `GET`.")];

const fn row(name: &'static str, arity: i16, flags: Flags, run: super::table::Handler) -> Command {
    Command::new(name, arity, Group::String, run).flags(flags).acl(&["string"])
}

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("append", 3, FAST_WRITE, append)
        .keys(INSERT)
        .doc("2.0.0", "key value", "Adds bytes to the end of a string, creating it if missing.")
        .cost("O(1), amortised over the growth of the string"),
    row("decr", 2, FAST_WRITE, decr).keys(RW).doc(
        "1.0.0",
        "key",
        "Subtracts one from the integer at a key; a missing key counts as 0.",
    ),
    row("decrby", 3, FAST_WRITE, decrby).keys(RW).doc(
        "1.0.0",
        "key decrement",
        "Subtracts a number from the integer at a key.",
    ),
    row("delifeq", 3, Flags::WRITE.and(Flags::FAST), delifeq)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .doc("valkey 9.0.0", "key value", "Removes a key if its string equals the given one."),
    row("get", 2, READ, get).keys(RO).doc("1.0.0", "key", "Returns the string at a key."),
    row("getdel", 2, Flags::WRITE.and(Flags::FAST), getdel)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .doc("6.2.0", "key", "Returns the string at a key and removes the key."),
    row("getex", -2, Flags::WRITE.and(Flags::FAST), getex)
        .notes(&GETEX)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])
            .note("It may change the expiry of the key.")])
        .doc(
            "6.2.0",
            "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | PERSIST]",
            "Returns the string at a key and sets or removes its expiry.",
        ),
    row("getrange", 4, Flags::READ, getrange)
        .keys(RO)
        .doc("2.4.0", "key start end", "Returns a part of a string by byte positions.")
        .cost("O(N) in the length of the part"),
    row("getset", 3, FAST_WRITE, getset).notes(&GETSET).keys(RW).doc(
        "1.0.0",
        "key value",
        "Sets a string and returns the one before it.",
    ),
    row("incr", 2, FAST_WRITE, incr).keys(RW).doc(
        "1.0.0",
        "key",
        "Adds one to the integer at a key; a missing key counts as 0.",
    ),
    row("incrby", 3, FAST_WRITE, incrby).keys(RW).doc(
        "1.0.0",
        "key increment",
        "Adds a number to the integer at a key.",
    ),
    row("incrbyfloat", 3, FAST_WRITE, incrbyfloat).notes(&INCRBYFLOAT).keys(RW).doc(
        "2.6.0",
        "key increment",
        "Adds a floating point number to the number at a key.",
    ),
    row("mget", -2, READ, mget)
        .keys(ALL)
        .doc("1.0.0", "key [key ...]", "Returns the strings at several keys, at one moment.")
        .cost("O(N) in the number of keys")
        .tips(&["request_policy:multi_shard"]),
    row("mset", -3, WRITE, mset)
        .keys(ALL_PAIRS)
        .doc("1.0.1", "key value [key value ...]", "Sets several strings in one step.")
        .cost("O(N) in the number of keys")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    row("msetnx", -3, WRITE, msetnx)
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .keys(ALL_PAIRS_NEW)
        .doc("1.0.1", "key value [key value ...]", "Sets several strings if none of them exists.")
        .cost("O(N) in the number of keys"),
    row("psetex", 4, WRITE, psetex).keys(OW).doc(
        "2.6.0",
        "key milliseconds value",
        "Sets a string that expires after some milliseconds.",
    ),
    row("set", -3, WRITE, set).notes(&SET).keys(SET_KEYS).doc(
        "1.0.0",
        "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | \
             EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        "Sets a string, whatever the key held; with options only on conditions.",
    ),
    row("setex", 4, WRITE, setex).keys(OW).doc(
        "2.0.0",
        "key seconds value",
        "Sets a string that expires after some seconds.",
    ),
    row("setnx", 3, FAST_WRITE, setnx).keys(OW_INSERT).doc(
        "1.0.0",
        "key value",
        "Sets a string if the key does not exist.",
    ),
    row("setrange", 4, WRITE, setrange)
        .keys(UPDATE)
        .doc("2.2.0", "key offset value", "Overwrites a part of a string, padding it with zeroes.")
        .cost("O(N) in the length of the value, if the string need not grow"),
    row("strlen", 2, READ, strlen).keys(&[KeySpec::one(1, &["RO"])]).doc(
        "2.2.0",
        "key",
        "Returns the length of a string in bytes.",
    ),
    row("substr", 4, Flags::READ, getrange)
        .notes(&SUBSTR)
        .keys(RO)
        .doc("1.0.0", "key start end", "Older name of GETRANGE.")
        .cost("O(N) in the length of the part"),
];

const GETEX: Notes =
    Notes::args(&[at("seconds_milliseconds_unix-time-seconds_unix-time-milliseconds_persist")
        .name("expiration")]);
const GETSET: Notes =
    Notes { deprecated: Some(("6.2.0", "`SET` with the option `GET`")), ..Notes::NONE };
const INCRBYFLOAT: Notes = Notes::args(&[at("increment").kind("double")]);
const SET: Notes = Notes::args(&[
    at("nx_xx_comparison-value").name("condition").since("2.6.12"),
    at("GET").since("6.2.0"),
    at("seconds_milliseconds_unix-time-seconds_unix-time-milliseconds_keepttl").name("expiration"),
    at("EX").since("2.6.12"),
    at("PX").since("2.6.12"),
    at("EXAT").since("6.2.0"),
    at("PXAT").since("6.2.0"),
    at("KEEPTTL").since("6.0.0"),
])
.changed(&[
    ("2.6.12", "The options `EX`, `PX`, `NX` and `XX`."),
    ("6.0.0", "The option `KEEPTTL`."),
    ("6.2.0", "The options `GET`, `EXAT` and `PXAT`."),
    ("7.0.0", "`NX` and `GET` may stand together."),
]);
const SUBSTR: Notes = Notes { deprecated: Some(("2.0.0", "`GETRANGE`")), ..Notes::NONE };

impl Reply {
    /// A string value.
    #[inline(always)]
    pub fn string(&mut self, value: Str<'_>) {
        match value {
            Str::Slice(bytes) => self.bulk(bytes),
            Str::Int(value) => self.bulk_int(value),
            Str::Padded(_) => value.with(|text| self.bulk(text)),
            Str::Shared(bytes) => self.bulk_shared(bytes),
        }
    }

    /// A string value, or the absence of one.
    #[inline(always)]
    pub fn string_or_null(&mut self, value: Option<Str<'_>>) {
        match value {
            Some(value) => self.string(value),
            None => self.null(),
        }
    }
}

/// Argument `i` as a value to store, without a copy when it was received into a block of its own.
#[inline(always)]
fn value<'v>(args: Args<'v>, i: usize) -> New<'v> {
    match args.shared(i) {
        Some(bytes) => New::Shared(bytes),
        None => New::Text(args.get(i)),
    }
}

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let value = cx.db.string(key)?;
    cx.reply.string_or_null(value);
    Ok(())
}

/// When SET is to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When<'v> {
    Always,
    Absent,
    Present,
    Equal(&'v [u8]),
}

#[derive(Debug, Clone, Copy)]
struct SetOptions<'v> {
    when: When<'v>,
    get: bool,
    expiry: Expiry,
}

fn set_options<'v>(args: Args<'v>, now: i64) -> Result<SetOptions<'v>, Error> {
    let mut options = SetOptions { when: When::Always, get: false, expiry: Expiry::Never };
    let (mut timed, mut time) = (false, None);
    let mut i = 3;
    while let Some(word) = args.opt(i) {
        let first_condition = options.when == When::Always;
        if args.is(i, "NX") && first_condition {
            options.when = When::Absent;
        } else if args.is(i, "XX") && first_condition {
            options.when = When::Present;
        } else if args.is(i, "IFEQ") && first_condition && i + 1 < args.len() {
            i += 1;
            options.when = When::Equal(args.get(i));
        } else if args.is(i, "GET") {
            options.get = true;
        } else if args.is(i, "KEEPTTL") && !timed {
            timed = true;
            options.expiry = Expiry::Keep;
        } else if let Some(unit) = Unit::of(word)
            && !timed
            && i + 1 < args.len()
        {
            timed = true;
            i += 1;
            time = Some((i, unit));
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    // Words before values: the time is read only if no later word is wrong.
    if let Some((at, unit)) = time {
        options.expiry = Expiry::At(expiry(args.get(at), unit, now, "set")?);
    }
    Ok(options)
}

fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    if args.len() == 3 {
        cx.db.write(key).set(value(args, 2), Expiry::Never);
        cx.event(Class::STRING, "set", key.bytes);
        cx.reply.ok();
        return Ok(());
    }
    let options = set_options(args, cx.db.now)?;
    let mut write = cx.db.write(key);
    let mut old = None;
    if options.get || matches!(options.when, When::Equal(_)) {
        old = write.text()?;
    }
    if options.get {
        write.count_lookup();
    }
    let act = match options.when {
        When::Always => true,
        When::Absent => !write.exists(),
        When::Present => write.exists(),
        When::Equal(text) => old.as_ref().is_some_and(|old| old.with(|old| old == text)),
    };
    if act {
        write.set(value(args, 2), options.expiry);
    }
    drop(write);
    if act {
        was_set(cx, key.bytes, matches!(options.expiry, Expiry::At(_)));
    }
    match (options.get, act) {
        (true, _) => cx.reply.string_or_null(old),
        (false, true) => cx.reply.ok(),
        (false, false) => cx.reply.null(),
    }
    Ok(())
}

/// A string was set, perhaps with a time.
fn was_set(cx: &mut Cx<'_>, key: &[u8], timed: bool) {
    cx.event(Class::STRING, "set", key);
    if timed {
        cx.event(Class::GENERIC, "expire", key);
    }
}

fn setnx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let absent = !write.exists();
    if absent {
        write.set(value(args, 2), Expiry::Never);
    }
    drop(write);
    if absent {
        was_set(cx, key.bytes, false);
    }
    cx.reply.int(i64::from(absent));
    Ok(())
}

fn setex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_with_time(cx, args, Unit::After { ms: 1000 })
}

fn psetex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    set_with_time(cx, args, Unit::After { ms: 1 })
}

fn set_with_time(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Result<(), Error> {
    let at = expiry(args.get(2), unit, cx.db.now, cx.row.command.name)?;
    let key = cx.key(args, 1);
    cx.db.write(key).set(value(args, 3), Expiry::At(at));
    was_set(cx, key.bytes, true);
    cx.reply.ok();
    Ok(())
}

fn getset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = write.text()?;
    write.count_lookup();
    write.set(value(args, 2), Expiry::Never);
    drop(write);
    was_set(cx, key.bytes, false);
    cx.reply.string_or_null(old);
    Ok(())
}

fn getdel(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = write.text()?;
    write.count_lookup();
    let removed = write.remove();
    drop(write);
    if removed {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    cx.reply.string_or_null(old);
    Ok(())
}

fn delifeq(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let equal = write.text()?.is_some_and(|text| text.with(|text| text == args.get(2)));
    if equal {
        write.remove();
    }
    drop(write);
    if equal {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    cx.reply.int(i64::from(equal));
    Ok(())
}

fn getex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let change = match args.len() {
        2 => None,
        3 if args.is(2, "PERSIST") => Some(None),
        4 => {
            let unit = Unit::of(args.get(2)).ok_or(Error::Syntax)?;
            Some(Some(expiry(args.get(3), unit, cx.db.now, "getex")?))
        }
        _ => return Err(Error::Syntax),
    };
    let key = cx.key(args, 1);
    let Some(change) = change else {
        let value = cx.db.string(key)?;
        cx.reply.string_or_null(value);
        return Ok(());
    };
    let mut write = cx.db.write(key);
    let value = write.text()?;
    write.count_lookup();
    write.touch();
    let timed = write.entry().is_some_and(|entry| entry.expiry().is_some());
    let word = match change {
        Some(at) if at <= write.now() => write.remove().then_some("del"),
        Some(at) => write.expire(Some(at)).then_some("expire"),
        None => (write.expire(None) && timed).then_some("persist"),
    };
    drop(write);
    if let Some(word) = word {
        cx.event(Class::GENERIC, word, key.bytes);
    }
    cx.reply.string_or_null(value);
    Ok(())
}

fn strlen(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let length = cx.db.string(key)?.map_or(0, |text| text.len());
    cx.reply.count(length);
    Ok(())
}

fn getrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
    let key = cx.key(args, 1);
    let Some(text) = cx.db.string(key)? else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    let Some(range) = slice(text.len(), start, end) else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    match text {
        Str::Shared(bytes) => cx.reply.bulk_shared(bytes.slice(range)),
        other => other.with(|text| cx.reply.bulk(&text[range])),
    }
    Ok(())
}

/// Positions `start` to `end`, both included, negative ones from the end, cut to what exists.
fn slice(length: usize, start: i64, end: i64) -> Option<std::ops::Range<usize>> {
    if length == 0 || (start < 0 && end < 0 && start > end) {
        return None;
    }
    let length = length as i64;
    let from_end = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    (start <= end).then_some(start as usize..end as usize + 1)
}

/// Refuses a string longer than `proto-max-bulk-len`.
fn check_length(cx: &Cx<'_>, length: u64) -> Result<(), Error> {
    let most = cx.local.config.proto_max_bulk_len;
    if length > most { Err(Error::TooLong) } else { Ok(()) }
}

fn append(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let most = cx.local.config.proto_max_bulk_len;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let text = write.text()?.map(|text| text.len());
    let length = match text {
        None => {
            write.set(value(args, 2), Expiry::Never);
            args.get(2).len()
        }
        Some(length) => {
            let sum = length as u64 + args.get(2).len() as u64;
            if sum > most {
                return Err(Error::TooLong);
            }
            write.edit(|text| text.extend_from_slice(args.get(2)));
            sum as usize
        }
    };
    drop(write);
    cx.event(Class::STRING, "append", key.bytes);
    cx.reply.count(length);
    Ok(())
}

fn setrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = integer(args.get(2))?;
    let offset = u64::try_from(offset).map_err(|_| Error::OffsetRange)?;
    let patch = args.get(3);
    let end = offset.checked_add(patch.len() as u64).ok_or(Error::TooLong)?;
    let fits = check_length(cx, end);
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let length = write.text()?.map_or(0, |text| text.len());
    if patch.is_empty() {
        drop(write);
        cx.reply.count(length);
        return Ok(());
    }
    fits?;
    let (offset, end) = (offset as usize, end as usize);
    let length = write.edit(|text| {
        if text.len() < end {
            text.try_reserve(end - text.len()).ok()?;
            text.resize(end, 0);
        }
        text[offset..end].copy_from_slice(patch);
        Some(text.len())
    });
    drop(write);
    let length = length.ok_or(Error::OutOfMemory)?;
    cx.event(Class::STRING, "setrange", key.bytes);
    cx.reply.count(length);
    Ok(())
}

fn incr(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    add(cx, args, 1)
}

fn decr(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    add(cx, args, -1)
}

fn incrby(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = integer(args.get(2))?;
    add(cx, args, by)
}

fn decrby(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let by = integer(args.get(2))?;
    let by = by.checked_neg().ok_or(Error::new("ERR decrement would overflow"))?;
    add(cx, args, by)
}

fn add(cx: &mut Cx<'_>, args: Args<'_>, by: i64) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = match write.text()? {
        None => 0,
        Some(Str::Int(value)) => value,
        Some(text) => text.with(args::integer)?,
    };
    let sum = old.checked_add(by).ok_or(Error::Overflow)?;
    write.set_int(sum);
    drop(write);
    cx.event(Class::STRING, "incrby", key.bytes);
    cx.reply.int(sum);
    Ok(())
}

fn incrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let old = write.text()?;
    let sum = match &old {
        None => extended::incr_by_float(b"0", args.get(2)),
        Some(text) => text.with(|text| extended::incr_by_float(text, args.get(2))),
    };
    let sum = sum.map_err(|error| Error::new(error.text()))?;
    write.set(New::Plain(&sum), Expiry::Keep);
    drop(write);
    cx.event(Class::STRING, "incrbyfloat", key.bytes);
    cx.reply.bulk(&sum);
    Ok(())
}

fn mget(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys: Vec<_> = args.from(1).iter().map(Key::new).collect();
    cx.reply.array(keys.len());
    let reply = &mut *cx.reply;
    let start = reply.mark();
    cx.db.read_many(&keys, |db| {
        reply.cut(start);
        db.each(&keys, |db, _, key| {
            // A key of another type reads as absent: MGET never fails.
            reply.string_or_null(db.string(key).ok().flatten());
            true
        });
    });
    Ok(())
}

fn pairs(args: Args<'_>) -> Result<Vec<Key<'_>>, Error> {
    if args.len().is_multiple_of(2) {
        return Err(Error::Arity);
    }
    Ok(args.from(1).iter().step_by(2).map(Key::new).collect())
}

/// From this many keys on, MSET and MSETNX build all entries before they take the stripes.
const MANY: usize = 64;

fn pairs_ahead(keys: &[Key<'_>], args: Args<'_>) -> Vec<New<'static>> {
    let ahead = |(i, key): (usize, &Key<'_>)| value(args, 2 * i + 2).ahead(*key);
    if keys.len() < MANY { Vec::new() } else { keys.iter().enumerate().map(ahead).collect() }
}

fn set_pairs(
    db: &mut Access<'_>,
    keys: &[Key<'_>],
    args: Args<'_>,
    (ahead, voice): (Vec<New<'static>>, Voice),
) {
    let mut ahead = ahead.into_iter();
    db.each(keys, |db, i, key| {
        let value = ahead.next().unwrap_or_else(|| value(args, 2 * i + 2));
        db.write(key).set(value, Expiry::Never);
        voice.event(db, Class::STRING, "set", key.bytes);
        true
    });
}

fn mset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys = pairs(args)?;
    let ahead = pairs_ahead(&keys, args);
    let voice = cx.voice();
    cx.db.hold(&keys, |db| set_pairs(db, &keys, args, (ahead, voice)));
    cx.reply.ok();
    Ok(())
}

fn msetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let keys = pairs(args)?;
    let (ahead, voice) = (pairs_ahead(&keys, args), cx.voice());
    let set = cx.db.hold(&keys, |db| {
        let free = db.each(&keys, |db, _, key| db.peek(key).is_none());
        if free {
            set_pairs(db, &keys, args, (ahead, voice));
        }
        free
    });
    cx.reply.int(i64::from(set));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
    }

    #[test]
    fn slices_are_cut_to_what_exists() {
        assert_eq!(slice(11, 0, 3), Some(0..4));
        assert_eq!(slice(11, -5, -1), Some(6..11));
        assert_eq!(slice(11, 0, -1), Some(0..11));
        assert_eq!(slice(11, 5, 3), None);
        assert_eq!(slice(11, 11, 20), None);
        assert_eq!(slice(11, -100, 0), Some(0..1));
        assert_eq!(slice(11, -1, -5), None);
        assert_eq!(slice(0, 0, -1), None);
        assert_eq!(slice(11, i64::MIN, i64::MAX), Some(0..11));
    }
}

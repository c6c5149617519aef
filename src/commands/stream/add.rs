//! XADD, XTRIM and XSETID.

use super::super::args::integer;
use super::super::{Args, Cx, Error};
use super::{INVALID_ID, change, effect, id, stream, tell};
use crate::db::{Expiry, New};
use crate::types::object::Object;
use crate::types::stream::{Bounds, Id, Keep, LARGEST, Limit, Stream, Trim, Wanted};

const NOT_BEYOND: Error =
    Error::new("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const LOWEST: Error = Error::new("ERR The ID specified in XADD must be greater than 0-0");
const EXHAUSTED: Error =
    Error::new("ERR The stream has exhausted the last possible ID, unable to add more items");
const TOO_LARGE: Error = Error::new("ERR Elements are too large to be stored");
const TWO_TRIMS: Error =
    Error::new("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
const LIMIT_ALONE: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const NO_TRIM: Error =
    Error::new("ERR syntax error, XTRIM must be called with either MAXLEN or MINID");
const LIMIT_EXACT: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without the special ~ option");

/// What stands before the fields of XADD, or behind the key of XTRIM.
#[derive(Debug, Default)]
struct Options {
    keep: Option<Keep>,
    /// `~`
    whole: bool,
    limit: Option<i64>,
    no_stream: bool,
    wanted: Option<Wanted>,
    /// Where the fields begin.
    rest: usize,
}

impl Options {
    fn parse(args: Args<'_>, adds: bool) -> Result<Self, Error> {
        let mut options = Self { rest: args.len(), ..Self::default() };
        let mut i = 2;
        while let Some(word) = args.opt(i) {
            let more = i + 1 < args.len();
            if adds && word == b"*" {
                options.wanted = Some(Wanted::Any);
            } else if more && args.is(i, "MAXLEN") {
                i = options.operator(args, i + 1)?;
                let count =
                    not_below(integer(args.get(i))?, "ERR The MAXLEN argument must be >= 0.")?;
                options.keep = Some(Keep::Last(count));
            } else if more && args.is(i, "MINID") {
                i = options.operator(args, i + 1)?;
                options.keep = Some(Keep::From(id(args.get(i))?));
            } else if more && args.is(i, "LIMIT") {
                i += 1;
                let limit = integer(args.get(i))?;
                not_below(limit, "ERR The LIMIT argument must be >= 0.")?;
                options.limit = Some(limit);
            } else if adds && args.is(i, "NOMKSTREAM") {
                options.no_stream = true;
            } else if adds {
                options.wanted = Some(Wanted::parse(word).ok_or(INVALID_ID)?);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
            if options.wanted.is_some() {
                options.rest = i;
                break;
            }
        }
        options.check(adds)
    }

    /// Where the number of a strategy stands, behind `~` or `=`.
    fn operator(&mut self, args: Args<'_>, at: usize) -> Result<usize, Error> {
        if self.keep.is_some() {
            return Err(TWO_TRIMS);
        }
        let word = args.get(at);
        let more = at + 1 < args.len();
        self.whole = more && word == b"~";
        Ok(at + usize::from(self.whole || more && word == b"="))
    }

    fn check(self, adds: bool) -> Result<Self, Error> {
        if self.keep.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(LIMIT_ALONE);
        }
        if self.keep.is_none() && !adds {
            return Err(NO_TRIM);
        }
        if self.limit.is_some() && !self.whole {
            return Err(LIMIT_EXACT);
        }
        Ok(self)
    }

    /// `~` does not look at more than a hundred blocks unless it is told to.
    fn trim(&self, entries: u64) -> Option<Trim> {
        let most = match (self.whole, self.limit) {
            (false, _) => 0,
            (true, Some(limit)) => limit.unsigned_abs(),
            (true, None) if entries == 0 => 10_000,
            (true, None) => entries.saturating_mul(100).min(1_000_000),
        };
        Some(Trim { keep: self.keep?, whole: self.whole, most })
    }
}

fn not_below(value: i64, text: &'static str) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| Error::new(text))
}

fn limit(cx: &Cx<'_>) -> Limit {
    let config = &cx.local.config;
    Limit::from_parameters(config.stream_node_max_bytes as u64, config.stream_node_max_entries)
}

/// The name of an entry to be added.
#[inline]
fn name(bounds: Bounds, wanted: Wanted, now: i64) -> Result<Id, Error> {
    match wanted.after(bounds.last, now.unsigned_abs()) {
        Some(id) => Ok(id),
        None if bounds.last == Id::MAX => Err(EXHAUSTED),
        None => Err(NOT_BEYOND),
    }
}

pub fn xadd(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args, true)?;
    let count = args.len() - options.rest;
    let Some(wanted) = options.wanted else { return Err(Error::Arity) };
    if count < 2 || !count.is_multiple_of(2) {
        return Err(Error::Arity);
    }
    if wanted == Wanted::Exactly(Id::MIN) {
        return Err(LOWEST);
    }
    let fields = args.from(options.rest);
    let size: usize = fields.iter().map(<[u8]>::len).sum();
    let limit = limit(cx);
    let trim = options.trim(cx.local.config.stream_node_max_entries);
    let now = cx.db.now;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let bounds = stream(&mut write)?.map(|stream| stream.bounds());
    if bounds.is_none() && options.no_stream {
        drop(write);
        cx.reply.null();
        return Ok(());
    }
    let id = name(bounds.unwrap_or_default(), wanted, now)?;
    if size > LARGEST {
        return Err(TOO_LARGE);
    }
    let add = |stream: &mut Stream| {
        stream.add(id, fields.iter(), size, limit);
        trim.map_or(0, |trim| stream.trim(trim))
    };
    let trimmed = if bounds.is_some() {
        change(&mut write, add).unwrap_or_default()
    } else {
        let mut stream = Stream::default();
        let trimmed = add(&mut stream);
        write.set(New::Object(Box::new(Object::Stream(Box::new(stream)))), Expiry::Never);
        trimmed
    };
    if write.logs() {
        let bounds = stream(&mut write)?.map_or(bounds.unwrap_or_default(), |s| s.bounds());
        let name = id.text();
        let options = trim.map(|trim| effect::trimmed(trim, bounds));
        let mut words = vec![b"XADD".as_slice(), key.bytes];
        words.extend(options.iter().flatten().map(Vec::as_slice));
        words.push(&name);
        words.extend(fields.iter());
        write.effect(&words);
    }
    drop(write);
    cx.reply.stream_id(id);
    tell(cx, "xadd", key.bytes);
    if trimmed > 0 {
        tell(cx, "xtrim", key.bytes);
    }
    Ok(())
}

pub fn xtrim(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args, false)?;
    let trim = options.trim(cx.local.config.stream_node_max_entries);
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let count = match (stream(&mut write)?, trim) {
        (Some(stream), Some(trim)) if stream.would_trim(trim) => {
            change(&mut write, |stream| stream.trim(trim)).unwrap_or_default()
        }
        _ => 0,
    };
    if count > 0
        && write.logs()
        && let (Some(trim), Some(stream)) = (trim, stream(&mut write)?)
    {
        let [word, equal, value] = effect::trimmed(trim, stream.bounds());
        write.effect(&[b"XTRIM", key.bytes, &word, &equal, &value]);
    }
    drop(write);
    cx.reply.int(count.cast_signed());
    if count > 0 {
        tell(cx, "xtrim", key.bytes);
    }
    Ok(())
}

/// What XSETID may set.
#[derive(Debug, Default)]
struct Facts {
    added: Option<u64>,
    deleted: Option<Id>,
}

impl Facts {
    fn parse(args: Args<'_>, last: Id) -> Result<Self, Error> {
        let mut facts = Self::default();
        let mut i = 3;
        while i < args.len() {
            let value = args.opt(i + 1).ok_or(Error::Syntax)?;
            if args.is(i, "ENTRIESADDED") {
                facts.added =
                    Some(not_below(integer(value)?, "ERR entries_added must be positive")?);
            } else if args.is(i, "MAXDELETEDID") {
                let deleted = id(value)?;
                if last < deleted {
                    return Err(Error::new(
                        "ERR The ID specified in XSETID is smaller than the provided \
                         max_deleted_entry_id",
                    ));
                }
                facts.deleted = (deleted != Id::MIN).then_some(deleted);
            } else {
                return Err(Error::Syntax);
            }
            i += 2;
        }
        Ok(facts)
    }

    /// Whether a stream may get them with the name `last`.
    fn check(&self, stream: &Stream, last: Id) -> Result<(), Error> {
        if stream.last_there().is_some_and(|there| last < there) {
            return Err(Error::new(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if self.added.is_some_and(|added| added < stream.len()) {
            return Err(Error::new(
                "ERR The entries_added specified in XSETID is smaller than the target stream \
                 length",
            ));
        }
        Ok(())
    }
}

pub fn xsetid(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let last = id(args.get(2))?;
    let facts = Facts::parse(args, last)?;
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let found = stream(&mut write)?.ok_or(Error::NoSuchKey)?;
    facts.check(found, last)?;
    change(&mut write, |stream| stream.set_last(last, facts.added, facts.deleted));
    drop(write);
    cx.reply.ok();
    tell(cx, "xsetid", key.bytes);
    Ok(())
}

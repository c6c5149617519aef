//! XREAD and XREADGROUP.
//!
//! Both look at all their streams at one moment. If there is nothing new in any and BLOCK was asked
//! for, the client waits in line for its keys ([`blocking`]) and is served from the first that gets
//! an entry.

use super::super::args::integer;
use super::super::{Args, Cx, Error, blocking};
use super::effect;
use super::range::{self, Part};
use super::{id, read, stream, tell};
use crate::db::{Access, Key, Write};
use crate::resp::Reply;
use crate::types::number;
use crate::types::object::{Object, Type};
use crate::types::stream::{Id, Range, Stream};

const UNBALANCED: Error = Error::new(
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
);
const ONLY_GROUPS: Error =
    Error::new("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
const ONLY_GROUPS_NOACK: Error =
    Error::new("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
const ONLY_GROUPS_NEW: Error = Error::new(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
     option.",
);
const NO_LAST: Error = Error::new(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
     this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would \
     just return an empty result set.",
);
const NO_GROUP_OPTION: Error = Error::new("ERR Missing GROUP option for XREADGROUP");
const KEY_GONE: Error = Error::new("UNBLOCKED the stream key no longer exists");
const GROUP_GONE: Error =
    Error::new("NOGROUP the consumer group this client was blocked on no longer exists");

/// The group and the consumer of XREADGROUP.
#[derive(Debug, Clone)]
struct Reader {
    group: Box<[u8]>,
    consumer: Box<[u8]>,
    no_ack: bool,
}

/// From where a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// What follows this name; for a group, what the consumer has pending.
    After(Id),
    /// `$`: what follows the present last entry.
    Last,
    /// `+`: the last entry itself.
    End,
    /// `>`: what the group has not read yet.
    New,
}

/// What stands before the names of the streams.
struct Asked {
    count: usize,
    until: Option<u64>,
    reader: Option<Reader>,
    /// The first key.
    keys: usize,
    /// How many there are.
    len: usize,
}

/// The arguments of XREAD or, with `groups`, XREADGROUP.
fn parse(cx: &Cx<'_>, args: Args<'_>, groups: bool) -> Result<Asked, Error> {
    let asked = Asked::parse(args, groups, cx.db.now)?;
    if asked.until.is_some() && cx.session.in_script {
        let text = b" command is not allowed with BLOCK option from scripts";
        return Err(Error::Bytes([b"ERR ", args.get(0), text].concat()));
    }
    Ok(asked)
}

impl Asked {
    fn parse(args: Args<'_>, groups: bool, now: i64) -> Result<Self, Error> {
        let mut asked = Self { count: usize::MAX, until: None, reader: None, keys: 0, len: 0 };
        let mut no_ack = false;
        let mut i = 1;
        while i < args.len() && asked.keys == 0 {
            let more = args.len() - i - 1;
            if args.is(i, "BLOCK") && more > 0 {
                i += 1;
                let text = "ERR timeout is not an integer or out of range";
                let millis = number::parse_i64(args.get(i)).ok_or(Error::new(text))?;
                asked.until = Some(blocking::after(millis, now)?);
            } else if args.is(i, "COUNT") && more > 0 {
                i += 1;
                asked.count = match usize::try_from(integer(args.get(i))?) {
                    Ok(0) | Err(_) => usize::MAX,
                    Ok(count) => count,
                };
            } else if args.is(i, "STREAMS") && more > 0 {
                if !more.is_multiple_of(2) {
                    return Err(UNBALANCED);
                }
                (asked.keys, asked.len) = (i + 1, more / 2);
            } else if args.is(i, "GROUP") && more > 1 {
                if !groups {
                    return Err(ONLY_GROUPS);
                }
                let (group, consumer) = (args.get(i + 1).into(), args.get(i + 2).into());
                asked.reader = Some(Reader { group, consumer, no_ack: false });
                i += 2;
            } else if args.is(i, "NOACK") {
                if !groups {
                    return Err(ONLY_GROUPS_NOACK);
                }
                no_ack = true;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if asked.keys == 0 {
            return Err(Error::Syntax);
        }
        match &mut asked.reader {
            Some(reader) => reader.no_ack = no_ack,
            None if groups => return Err(NO_GROUP_OPTION),
            None => {}
        }
        Ok(asked)
    }

    fn starts(&self, args: Args<'_>) -> Vec<Result<Start, Error>> {
        let ids = self.keys + self.len..self.keys + 2 * self.len;
        let start = |text: &[u8]| match (text, &self.reader) {
            (b"$", None) => Ok(Start::Last),
            (b"$", Some(_)) => Err(NO_LAST),
            (b"+", None) => Ok(Start::End),
            (b">", None) => Err(ONLY_GROUPS_NEW),
            (b">", Some(_)) => Ok(Start::New),
            (_, reader) => match id(text)? {
                Id::MAX if reader.is_some() => Ok(Start::New),
                id => Ok(Start::After(id)),
            },
        };
        ids.map(|i| start(args.get(i))).collect()
    }
}

/// What there is to be said of one stream.
enum Found {
    /// Entries to be encoded.
    New(Range),
    /// A consumer's history, encoded.
    History(Vec<u8>),
}

/// Begins a reply about `len` streams.
fn streams(reply: &mut Reply, len: usize) {
    if reply.resp3 { reply.map(len) } else { reply.array(len) }
}

/// Begins what it says of one of them.
fn one_stream(reply: &mut Reply, key: &[u8]) {
    if !reply.resp3 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// The reply of all that was found, by the numbers of the keys; none if that is nothing.
fn answer(cx: &mut Cx<'_>, keys: &[Key<'_>], found: Vec<(usize, Found)>) -> Result<bool, Error> {
    if found.is_empty() {
        return Ok(false);
    }
    let mut head = Reply::of_protocol(cx.reply.resp3);
    streams(&mut head, found.len());
    let parts = found.into_iter().map(|(at, found)| {
        one_stream(&mut head, keys[at].bytes);
        let range = match found {
            Found::New(range) => {
                head.array(range.len());
                Some(range)
            }
            Found::History(lines) => {
                head.raw(&lines);
                None
            }
        };
        Part { head: std::mem::take(&mut head.bytes), range }
    });
    let parts: Vec<Part> = parts.collect();
    range::send(cx, parts).map(|()| true)
}

/// What follows `from`, if anything does.
fn newer(stream: &Stream, from: Id, count: usize) -> Option<Range> {
    let range = stream.range(from.next()?, Id::MAX, count, false);
    (!range.is_empty()).then_some(range)
}

pub fn xread(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if let Some(done) = range::resume(cx) {
        return done;
    }
    let asked = parse(cx, args, false)?;
    let starts = asked.starts(args);
    let keys: Vec<Key<'_>> = (0..asked.len).map(|i| Key::new(args.get(asked.keys + i))).collect();
    let (froms, found) = cx.db.read_many(&keys, |db| look(db, &keys, &starts, asked.count))?;
    if answer(cx, &keys, found)? {
        return Ok(());
    }
    let Some(until) = asked.until else {
        cx.reply.null_array();
        return Ok(());
    };
    let waits: Vec<(Box<[u8]>, Id)> =
        keys.iter().zip(froms).map(|(key, from)| (key.bytes.into(), from)).collect();
    let serve = move |cx: &mut Cx<'_>, key: Key<'_>| {
        let Some((_, from)) = waits.iter().find(|(name, _)| **name == *key.bytes) else {
            return Ok(false);
        };
        // Of another type it may not stay: the client waits on.
        match read(&mut cx.db, key, |stream| newer(stream, *from, asked.count)) {
            Ok(Some(Some(range))) => {
                at_once(cx.reply, key, range);
                Ok(true)
            }
            _ => Ok(false),
        }
    };
    wait(cx, &keys, until, Box::new(serve))
}

type Looked = (Vec<Id>, Vec<(usize, Found)>);

/// Looks at all streams: from where each is read, and what there is.
fn look(
    db: &mut Access<'_>,
    keys: &[Key<'_>],
    starts: &[Result<Start, Error>],
    count: usize,
) -> Result<Looked, Error> {
    let (mut froms, mut found) = (Vec::with_capacity(keys.len()), Vec::new());
    for (at, (key, start)) in keys.iter().zip(starts).enumerate() {
        let seen = read(db, *key, |stream| {
            let from = match start {
                Ok(Start::After(id)) => *id,
                Ok(Start::End) => stream.before_last(),
                _ => stream.bounds().last,
            };
            (from, newer(stream, from, count))
        })?;
        let absent = match start.clone()? {
            Start::After(id) => id,
            _ => Id::MIN,
        };
        let (from, range) = seen.unwrap_or((absent, None));
        froms.push(from);
        found.extend(range.map(|range| (at, Found::New(range))));
    }
    Ok((froms, found))
}

/// The reply to a client that waited.
fn at_once(reply: &mut Reply, key: Key<'_>, range: Range) {
    streams(reply, 1);
    one_stream(reply, key.bytes);
    range::entries(reply, range);
}

fn wait(
    cx: &mut Cx<'_>,
    keys: &[Key<'_>],
    until: u64,
    serve: Box<blocking::Serve>,
) -> Result<(), Error> {
    let nothing = Reply::null_array;
    blocking::run(
        cx,
        blocking::Wait { keys, needs: &[], kind: Type::Stream, until, nothing, serve },
    )
}

pub fn xreadgroup(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if let Some(done) = range::resume(cx) {
        return done;
    }
    let asked = parse(cx, args, true)?;
    let starts = asked.starts(args);
    let Some(reader) = asked.reader else { return Err(NO_GROUP_OPTION) };
    let keys: Vec<Key<'_>> = (0..asked.len).map(|i| Key::new(args.get(asked.keys + i))).collect();
    let (mut fresh, mut found, resp3) = (Vec::new(), Vec::new(), cx.reply.resp3);
    cx.db.no_other_effect(); // what it does beyond is said where it is done
    cx.db.hold(&keys, |db| {
        let starts = check(db, &keys, &starts, &reader)?;
        for (at, (key, start)) in keys.iter().zip(starts).enumerate() {
            let given = give((&mut db.write(*key), *key), start, &reader, (asked.count, resp3))?;
            fresh.extend(given.fresh.then_some(at));
            found.extend(given.found.map(|found| (at, found)));
        }
        Ok::<(), Error>(())
    })?;
    fresh.iter().for_each(|at| tell(cx, "xgroup-createconsumer", keys[*at].bytes));
    if answer(cx, &keys, found)? {
        return Ok(());
    }
    let Some(until) = asked.until else {
        cx.reply.null_array();
        return Ok(());
    };
    let serve = move |cx: &mut Cx<'_>, key: Key<'_>| serve(cx, key, &reader, asked.count);
    wait(cx, &keys, until, Box::new(serve))
}

/// All streams and groups must be there, and all names make sense, before any entry is given out.
fn check(
    db: &mut Access<'_>,
    keys: &[Key<'_>],
    starts: &[Result<Start, Error>],
    reader: &Reader,
) -> Result<Vec<Start>, Error> {
    let mut checked = Vec::with_capacity(keys.len());
    for (key, start) in keys.iter().zip(starts) {
        let known = read(db, *key, |stream| stream.group(&reader.group).is_some())?;
        if known != Some(true) {
            let text = [
                b"NOGROUP No such key '",
                key.bytes,
                b"' or consumer group '",
                &reader.group,
                b"' in XREADGROUP with GROUP option",
            ];
            return Err(Error::Bytes(text.concat()));
        }
        checked.push(start.clone()?);
    }
    Ok(checked)
}

/// What a consumer got.
struct Given {
    /// The consumer is new.
    fresh: bool,
    found: Option<Found>,
}

/// Gives a consumer what it asks for of a stream whose group exists.
fn give(
    (write, key): (&mut Write<'_, '_>, Key<'_>),
    start: Start,
    reader: &Reader,
    (count, resp3): (usize, bool),
) -> Result<Given, Error> {
    let (nothing, now) = (Given { fresh: false, found: None }, write.now());
    let Some(found) = stream(write)? else { return Ok(nothing) };
    let last = found.last_there();
    let Some(group) = found.group(&reader.group) else { return Ok(nothing) };
    let fresh = group.owner(&reader.consumer).is_none();
    let any = match start {
        Start::New => last.is_some_and(|last| last > group.last),
        Start::After(_) | Start::Last | Start::End => true,
    };
    // That a consumer was seen is no change of the stream.
    if fresh || any {
        write.changing();
    }
    let Some(Object::Stream(stream)) = write.object() else { return Ok(nothing) };
    let Some(group) = stream.group_mut(&reader.group) else { return Ok(nothing) };
    group.add_consumer(&reader.consumer, now);
    let Some(owner) = group.owner(&reader.consumer) else { return Ok(nothing) };
    if let Some(consumer) = group.consumer_mut(owner) {
        consumer.seen = now;
    }
    let found = match start {
        Start::New if !any => None,
        Start::New => {
            stream.deliver(&reader.group, owner, count, (reader.no_ack, now)).map(Found::New)
        }
        Start::After(id) => {
            let from = id.next().unwrap_or(Id::MAX);
            let (mut lines, mut len) = (Reply::of_protocol(resp3), 0);
            stream.history(&reader.group, owner, (from, count, now), |id, entry| {
                len += 1;
                match entry {
                    Some(entry) => lines.stream_entry(&entry),
                    None => {
                        lines.array(2);
                        lines.stream_id(id);
                        lines.null_array();
                    }
                }
            });
            let mut list = Reply::default();
            list.array(len);
            list.raw(&lines.bytes);
            Some(Found::History(list.bytes))
        }
        Start::Last | Start::End => None, // refused before
    };
    match &found {
        Some(Found::New(range)) if reader.no_ack => {
            if fresh {
                effect::consumer(write, key.bytes, &reader.group, &reader.consumer);
            }
            if !range.is_empty() {
                effect::moved(write, key.bytes, &reader.group);
            }
        }
        Some(Found::New(range)) if !range.is_empty() => {
            let (mut again, mut ids) = (range.again(), Vec::new());
            while write.logs()
                && let Some(entry) = again.next_entry()
            {
                ids.push(entry.id);
            }
            effect::given(write, key.bytes, &reader.group, &ids, true);
        }
        _ if fresh => effect::consumer(write, key.bytes, &reader.group, &reader.consumer),
        _ => {}
    }
    Ok(Given { fresh, found })
}

/// Serves a consumer that waits.
fn serve(cx: &mut Cx<'_>, key: Key<'_>, reader: &Reader, count: usize) -> Result<bool, Error> {
    let mut write = cx.db.write(key);
    match stream(&mut write) {
        Ok(Some(stream)) if stream.group(&reader.group).is_some() => {}
        Ok(Some(_)) => return Err(GROUP_GONE),
        _ => return Err(KEY_GONE),
    }
    let given = give((&mut write, key), Start::New, reader, (count, cx.reply.resp3))?;
    drop(write);
    if given.fresh {
        tell(cx, "xgroup-createconsumer", key.bytes);
    }
    match given.found {
        Some(Found::New(range)) => {
            at_once(cx.reply, key, range);
            Ok(true)
        }
        _ => Ok(false),
    }
}

//! DUMP and RESTORE: single values on their way from one server to another.
//!
//! What is restored is checked whole before the key is touched, whatever `sanitize-dump-payload`
//! says: a payload that Redis would only half look at is refused here.

use super::args::integer;
use super::event::Class;
use super::notes::{Notes, at};
use super::slice::{self, Slice};
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Compact, Expiry, Kind, New};
use crate::rdb::{Decoder, Encoder, Forms, Read, Rest, Value, payload};
use crate::resp::Args;
use crate::session::After;
use crate::session::mail::Mail;
use crate::types::object::Type;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

const RESTORE: Notes = Notes::args(&[
    at("REPLACE").since("3.0.0"),
    at("ABSTTL").since("5.0.0"),
    at("IDLETIME").since("5.0.0"),
    at("FREQ").since("5.0.0"),
])
.changed(&[
    ("3.0.0", "The argument `REPLACE`."),
    ("5.0.0", "The arguments `ABSTTL`, `IDLETIME` and `FREQ`."),
]);
const RESTORE_ASKING: Notes = Notes { internal: true, ..RESTORE };
const SYNTAX: &str =
    "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]";

const TO: &[KeySpec] = &[KeySpec::one(1, &["OW", "UPDATE"])];

const fn restoring(name: &'static str, group: Group, flags: Flags) -> Command {
    Command::new(name, -4, group, restore)
        .flags(Flags::WRITE.and(Flags::DENYOOM).and(flags))
        .acl(&["keyspace", "dangerous"])
        .keys(TO)
        .cost("O(N) in the size of the value, O(N log N) for sorted sets")
}

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    Command::new("dump", 2, Group::Generic, dump)
        .flags(Flags::READ)
        .acl(&["keyspace"])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .doc("2.6.0", "key", "Returns the value of a key in a form that RESTORE takes.")
        .cost("O(N) in the size of the value, in slices between which other clients are served")
        .tips(&["nondeterministic_output"]),
    restoring("restore", Group::Generic, Flags::NONE).notes(&RESTORE).doc(
        "2.6.0",
        SYNTAX,
        "Makes a key of what DUMP returned.",
    ),
    restoring("restore-asking", Group::Server, Flags::ASKING).notes(&RESTORE_ASKING).doc(
        "3.0.0",
        SYNTAX,
        "The same for a key of a slot that is on its way here.",
    ),
];

/// Elements written between two looks at the time.
const ELEMENTS: usize = 200;

/// A payload that is being written.
struct Dump {
    encoder: Encoder,
    rest: Rest,
    out: Vec<u8>,
}

fn dump(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut state = match slice::resume::<Dump>(cx) {
        Some(state) => state,
        None => match begin(cx, args) {
            Some(state) => state,
            None => return Ok(()),
        },
    };
    let slice = Slice::begin();
    let Dump { encoder, rest, out } = &mut *state;
    while encoder.go_on(rest, ELEMENTS, out) {
        if slice.is_over() && !cx.session.in_exec && !cx.session.in_script {
            return Slice::pause(cx, state);
        }
    }
    payload::seal(out);
    cx.reply.bulk_shared(Bytes::from(std::mem::take(out)));
    Ok(())
}

/// Takes the value at this instant. None if the reply is there already.
fn begin(cx: &mut Cx<'_>, args: Args<'_>) -> Option<Box<Dump>> {
    let key = cx.key(args, 1);
    let mut encoder = Encoder::for_payload(cx.db.now, cx.local.config.rdbcompression);
    let mut out = Vec::new();
    let mut write = |value: &Value<'_>| {
        out.push(encoder.kind(value)?);
        Some(encoder.begin(value, &mut out))
    };
    let begun = match cx.db.find(key).map(|entry| entry.kind()) {
        None => None,
        Some(Kind::Object) => {
            let held = cx.db.write(key); // it may be another one by now
            let value = held.entry().and_then(|entry| Value::of(entry, held.peek_object()));
            value.and_then(|value| write(&value))
        }
        Some(kind) => write(&Value::Inside(kind)),
    };
    match begun {
        None => cx.reply.null(),
        Some(Some(rest)) => return Some(Box::new(Dump { encoder, rest, out })),
        Some(None) => {
            payload::seal(&mut out);
            cx.reply.bulk(&out);
        }
    }
    None
}

/// What RESTORE was told beyond key, time and value.
#[derive(Debug, Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle: Option<u64>,
    freq: Option<u8>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut i = 4;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "REPLACE") {
                options.replace = true;
            } else if args.is(i, "ABSTTL") {
                options.absolute = true;
            } else if args.is(i, "IDLETIME") && more && options.freq.is_none() {
                i += 1;
                let idle = u64::try_from(integer(args.get(i))?);
                let idle = idle.map_err(|_| "ERR Invalid IDLETIME value, must be >= 0");
                options.idle = Some(idle.map_err(Error::new)?);
            } else if args.is(i, "FREQ") && more && options.idle.is_none() {
                i += 1;
                let freq = u8::try_from(integer(args.get(i))?);
                let freq = freq.map_err(|_| "ERR Invalid FREQ value, must be >= 0 and <= 255");
                options.freq = Some(freq.map_err(Error::new)?);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}

const BUSY: Error = Error::new("BUSYKEY Target key name already exists.");
const BAD: Error = Error::new("ERR Bad data format");

/// A payload that has been looked through, with nothing borrowed from it.
enum Built {
    Bad,
    Over,
    Compact(Type, u8, Vec<u8>),
    Whole(New<'static>),
}

impl Built {
    /// What is in `opened`, a payload without its tail.
    fn of(decoder: &mut Decoder, opened: (&[u8], u16)) -> Self {
        match payload::value(decoder, opened) {
            Ok(Read::Value(new)) => match new {
                New::Int(value) => Self::Whole(New::Int(value)),
                New::Shared(bytes) => Self::Whole(New::Shared(bytes)),
                New::Object(object) => Self::Whole(New::Object(object)),
                New::Compact(Compact { kind, form, bytes }) => {
                    Self::Compact(kind, form, bytes.to_vec())
                }
                New::Text(text) | New::Plain(text) => match crate::types::number::parse_i64(text) {
                    Some(value) => Self::Whole(New::Int(value)),
                    None => Self::Whole(New::Shared(Bytes::copy_from_slice(text))),
                },
                _ => Self::Bad, // no payload becomes anything else
            },
            Ok(Read::Over) => Self::Over,
            Ok(Read::Empty) => Self::Bad,
            Err(fault) => {
                tracing::warn!("RESTORE was given a bad payload: {fault}");
                Self::Bad
            }
        }
    }
}

/// Payloads from this size on are looked through by a thread of their own.
const LONG: usize = 1 << 20;
/// How often that thread is looked for, should it end without a word.
const LOOK_MS: u64 = 1000;

/// A long payload on which a thread is at work.
struct Building(Arc<Mutex<Option<Built>>>);

fn restore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args)?;
    if let Some(building) = slice::resume::<Building>(cx) {
        let built = building.0.lock().take();
        return match built {
            Some(built) => store(cx, args, &options, built),
            None => wait(cx, building),
        };
    }
    let key = cx.key(args, 1);
    if !options.replace && cx.db.peek(key).is_some() {
        return Err(BUSY);
    }
    if integer(args.get(2))? < 0 {
        return Err(Error::new("ERR Invalid TTL value, must be >= 0"));
    }
    let summed = !cx.shared.switches.sums_ignored();
    const WRONG: Error = Error::new("ERR DUMP payload version or checksum are wrong");
    let opened = payload::open(args.get(3), summed).ok_or(WRONG)?;
    let forms = Forms::of(&cx.local.config, cx.shared.switches.packed_threshold());
    let mut decoder = Decoder::new(forms, cx.db.now);
    let one_step = cx.session.in_exec || cx.session.in_script;
    let long = args.shared(3).filter(|payload| payload.len() >= LONG && !one_step);
    let Some(payload) = long else {
        let built = Built::of(&mut decoder, opened);
        return store(cx, args, &options, built);
    };
    let outcome = Arc::new(Mutex::new(None));
    let building = Box::new(Building(Arc::clone(&outcome)));
    let (clients, client) = (Arc::clone(&cx.shared.clients), Arc::clone(&cx.session.client));
    let thread = std::thread::Builder::new().name("restore".into()).spawn(move || {
        let opened = payload::open(&payload, false);
        let built = opened.map_or(Built::Bad, |opened| Built::of(&mut decoder, opened));
        *outcome.lock() = Some(built);
        drop(outcome); // before it is looked for
        clients.tell(&client, Mail::Again(Arc::clone(&client)));
    });
    thread.map_err(|_| Error::new("ERR No thread to look through the payload with"))?;
    wait(cx, building)
}

fn wait(cx: &mut Cx<'_>, building: Box<Building>) -> Result<(), Error> {
    if Arc::strong_count(&building.0) == 1 && building.0.lock().is_none() {
        return Err(BAD); // the thread has panicked
    }
    cx.session.after = After::Await(cx.db.now as u64 + LOOK_MS);
    cx.session.resume = Some(building);
    Ok(())
}

/// Gives the key its value. It was built before the stripe is taken: nobody waits for that.
fn store(cx: &mut Cx<'_>, args: Args<'_>, options: &Options, built: Built) -> Result<(), Error> {
    let (key, now, policy) = (cx.key(args, 1), cx.db.now, cx.db.policy);
    let expiry = match integer(args.get(2))? {
        0 => Expiry::Never,
        ttl if options.absolute => Expiry::At(ttl),
        ttl => Expiry::At(ttl.saturating_add(now)),
    };
    let over = matches!(expiry, Expiry::At(at) if at <= now);
    let compact;
    let new = match built {
        Built::Bad => return Err(BAD),
        Built::Over => None,
        _ if over => None,
        Built::Compact(kind, form, bytes) => {
            compact = bytes;
            Some(New::Compact(Compact { kind, form, bytes: &compact }))
        }
        Built::Whole(new) => Some(new),
    };
    let mut write = cx.db.write(key);
    let there = write.exists();
    if there && !options.replace {
        return Err(BUSY); // it came meanwhile
    }
    write.remove(); // what is set then is a new key
    let word = match new {
        Some(new) => {
            write.set(new, expiry);
            let access = policy.restored(options.idle, options.freq, now);
            if let (Some(access), Some(entry)) = (access, write.entry()) {
                entry.touch(access);
            }
            Some("restore")
        }
        None => there.then_some("del"),
    };
    drop(write);
    match word {
        // Who replays that has another time: it would end with everything else that is over.
        Some("restore") if !options.absolute && cx.db.logs() => {
            if let Expiry::At(at) = expiry {
                let at = at.to_string();
                let mut words: Vec<&[u8]> = args.iter().collect();
                words[2] = at.as_bytes();
                words.push(b"ABSTTL");
                cx.db.effect(&words);
            }
        }
        Some("del") => cx.db.effect(&[b"DEL", key.bytes]),
        _ => {}
    }
    if let Some(word) = word {
        cx.event(Class::GENERIC, word, key.bytes);
    }
    cx.reply.ok();
    Ok(())
}

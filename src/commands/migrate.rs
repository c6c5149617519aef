//! MIGRATE: keys go to another server, and from here.
//!
//! ```text
//!   stripes held: values taken, keys watched     thread: connect, RESTORE each     stripes held: deleted
//!   ───────────────────┬───────────────────      the client waits, others do not   ──────────┬──────────
//! ```
//! What the network takes is waited for by a thread, never by a worker.
//!
//! - **G1** A key is deleted only if the other server has said that it has it, and if nobody has changed
//!   it since its value was taken. Else it stays, the client is told, and both servers have it.

mod link;

use super::args::integer;
use super::event::Class;
use super::notes::{Notes, at};
use super::slice;
use super::table::{Begin, Find};
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Key, Kind, Watcher, Watching};
use crate::rdb::{Encoder, Rest, Value, payload};
use crate::session::After;
use crate::session::mail::Mail;
use crate::sync::{AtomicBool, Ordering};
use link::{Route, Sent};
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const NOTES: Notes = Notes::args(&[
    at("COPY").since("3.0.0"),
    at("REPLACE").since("3.0.0"),
    at("AUTH").since("4.0.7"),
    at("AUTH2").since("6.0.0"),
    at("KEYS").since("3.0.6"),
])
.changed(&[
    ("3.0.0", "The options `COPY` and `REPLACE`."),
    ("3.0.6", "The option `KEYS`."),
    ("4.0.7", "The option `AUTH`."),
    ("6.0.0", "The option `AUTH2`."),
]);
const KEYS: &[KeySpec] = &[
    KeySpec::one(3, &["RW", "ACCESS", "DELETE"]),
    KeySpec {
        begin: Begin::Keyword("KEYS", -2),
        find: Find::Range { last: -1, step: 1, limit: 0 },
        flags: &["RW", "ACCESS", "DELETE", "INCOMPLETE"],
        note: "",
    },
];

/// The rows.
pub static COMMANDS: &[Command] = &[Command::new("migrate", -6, Group::Generic, migrate)
    .flags(Flags::WRITE)
    .acl(&["keyspace", "dangerous"])
    .notes(&NOTES)
    .keys(KEYS)
    .doc(
        "2.6.0",
        "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] \
         [AUTH password | AUTH2 username password] [KEYS key [key ...]]",
        "Moves keys to another server.",
    )
    .cost("O(N) in the size of the values here, and what RESTORE takes there")
    .tips(&["nondeterministic_output"])];

#[derive(Debug, Default)]
struct Options<'a> {
    copy: bool,
    replace: bool,
    login: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = Self { keys: vec![args.get(3)], ..Self::default() };
        let mut i = 6;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if args.is(i, "COPY") {
                options.copy = true;
            } else if args.is(i, "REPLACE") {
                options.replace = true;
            } else if args.is(i, "AUTH") && more >= 1 {
                options.login = vec![args.get(i + 1)];
                i += 1;
            } else if args.is(i, "AUTH2") && more >= 2 {
                options.login = vec![args.get(i + 1), args.get(i + 2)];
                i += 2;
            } else if args.is(i, "KEYS") {
                if !args.get(3).is_empty() {
                    return Err(Error::new(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the \
                         empty string",
                    ));
                }
                options.keys = (i + 1..args.len()).map(|at| args.get(at)).collect();
                break;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}

/// Places of the words with which it logs in, which MONITOR and the slow log must not show.
pub fn secrets(args: Args<'_>) -> Vec<usize> {
    let mut i = 6;
    while i < args.len() {
        if args.is(i, "AUTH") {
            return vec![i + 1];
        } else if args.is(i, "AUTH2") {
            return vec![i + 1, i + 2];
        } else if args.is(i, "KEYS") {
            break; // keys follow, whatever they are called
        }
        i += 1;
    }
    Vec::new()
}

/// Connections to other servers that are kept for the next time.
pub fn kept_links() -> i64 {
    link::kept() as i64
}

/// A key on its way.
#[derive(Debug)]
pub struct Parcel {
    key: Vec<u8>,
    /// Milliseconds that it has left; 0 for ever.
    ttl: i64,
    payload: Vec<u8>,
    rest: Option<Rest>,
}

/// Somebody changed one of the keys.
#[derive(Debug, Default)]
struct Touched(AtomicBool);

impl Watcher for Touched {
    fn touched(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What waits in the session while the thread is at it.
struct Waiting {
    outcome: Arc<Mutex<Option<Sent>>>,
    touched: Arc<Touched>,
    watching: Watching,
    copy: bool,
}

/// How long a thread may take beyond what the client allows, before it is looked for.
const LOOK_MS: u64 = 1000;

fn migrate(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if let Some(waiting) = slice::resume::<Waiting>(cx) {
        let sent = waiting.outcome.lock().take();
        return match sent {
            Some(sent) => finish(cx, *waiting, sent),
            None => wait(cx, waiting),
        };
    }
    let options = Options::parse(args)?;
    let timeout = integer(args.get(5))?;
    let db = integer(args.get(4))?;
    let (touched, mut parcels) = (Arc::new(Touched::default()), Vec::new());
    let mut encoder = Encoder::for_payload(cx.db.now, cx.local.config.rdbcompression);
    let watching = take(cx, &options.keys, &mut encoder, &touched, &mut parcels);
    if parcels.is_empty() {
        cx.reply.simple("NOKEY");
        return Ok(());
    }
    let route = Route {
        host: String::from_utf8_lossy(args.get(1)).into_owned(),
        port: String::from_utf8_lossy(args.get(2)).into_owned(),
        db,
        login: options.login.iter().map(|word| word.to_vec()).collect(),
        replace: options.replace,
        timeout: Duration::from_millis(if timeout <= 0 { 1000 } else { timeout as u64 }),
    };
    let outcome = Arc::new(Mutex::new(None));
    let waiting =
        Box::new(Waiting { outcome: Arc::clone(&outcome), touched, watching, copy: options.copy });
    let (clients, client) = (Arc::clone(&cx.shared.clients), Arc::clone(&cx.session.client));
    let thread = thread::Builder::new().name("migrate".into()).spawn(move || {
        let sent = link::send(&route, encoder, parcels);
        *outcome.lock() = Some(sent);
        clients.tell(&client, Mail::Again(Arc::clone(&client)));
    });
    let Ok(thread) = thread else { return Err(Error::new("ERR No thread to migrate keys with")) };
    if cx.session.in_exec || cx.session.in_script {
        // These are one step: nothing else of theirs may run before this is done.
        let _ = thread.join(); // a panic leaves no outcome
        let sent = waiting.outcome.lock().take();
        return finish(cx, *waiting, sent.unwrap_or_default());
    }
    wait(cx, waiting)
}

fn wait(cx: &mut Cx<'_>, waiting: Box<Waiting>) -> Result<(), Error> {
    if Arc::strong_count(&waiting.outcome) == 1 && waiting.outcome.lock().is_none() {
        return Err(Error::new("IOERR error or timeout: the thread that migrated ended early"));
    }
    cx.session.after = After::Await(cx.db.now as u64 + LOOK_MS);
    cx.session.resume = Some(waiting);
    Ok(())
}

/// Takes all values at one instant, and has their keys watched from then on.
fn take(
    cx: &mut Cx<'_>,
    names: &[&[u8]],
    encoder: &mut Encoder,
    touched: &Arc<Touched>,
    parcels: &mut Vec<Parcel>,
) -> Watching {
    let keys: Vec<Key<'_>> = names.iter().map(|name| Key::new(name)).collect();
    let watcher: Arc<dyn Watcher> = Arc::clone(touched) as _;
    let mut watching = Watching::new(Arc::clone(&cx.shared.keyspace), watcher);
    let now = cx.db.now;
    let mut one = |db: &mut crate::db::Access<'_>, key: Key<'_>| {
        let held = db.write(key);
        let Some(entry) = held.entry() else { return };
        let value = match entry.kind() {
            Kind::Object => held.peek_object().map(Value::Object),
            inside => Some(Value::Inside(inside)),
        };
        let Some((value, kind)) = value.and_then(|value| Some((value, encoder.kind(&value)?)))
        else {
            return;
        };
        let mut payload = vec![kind];
        let rest = encoder.begin(&value, &mut payload);
        let ttl = entry.expiry().map_or(0, |at| (at - now).max(1));
        held.watch(&mut watching);
        parcels.push(Parcel { key: key.bytes.to_vec(), ttl, payload, rest });
    };
    if cx.db.is_alone() || keys.iter().all(|key| cx.db.holds(key.hash)) {
        keys.iter().for_each(|key| one(&mut cx.db, *key));
    } else {
        cx.db.hold(&keys, |db| keys.iter().for_each(|key| one(db, *key)));
    }
    watching
}

/// The thread is done: what arrived is deleted here (G1).
fn finish(cx: &mut Cx<'_>, waiting: Waiting, sent: Sent) -> Result<(), Error> {
    let Waiting { touched, watching, copy, .. } = waiting;
    let keys: Vec<Key<'_>> = sent.arrived.iter().map(|name| Key::new(name)).collect();
    let (mut deleted, mut changed) = (Vec::new(), false);
    if !copy && !keys.is_empty() {
        let mut delete = |db: &mut crate::db::Access<'_>| {
            changed = touched.0.load(Ordering::Acquire);
            if !changed {
                deleted = keys.iter().filter(|key| db.write(**key).remove()).copied().collect();
            }
        };
        if cx.db.is_alone() || keys.iter().all(|key| cx.db.holds(key.hash)) {
            delete(&mut cx.db);
        } else {
            cx.db.hold(&keys, delete);
        }
    }
    drop(watching);
    for key in deleted {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    if let Some(error) = sent.error {
        return Err(Error::Bytes(error));
    }
    if changed {
        return Err(Error::new(
            "TRYAGAIN A key was changed while it was migrated: it is on both servers now",
        ));
    }
    cx.reply.ok();
    Ok(())
}

impl Parcel {
    /// The whole payload, sum included.
    fn seal(&mut self, encoder: &mut Encoder) -> &[u8] {
        const SLICE: usize = 1000;
        if let Some(mut rest) = self.rest.take() {
            while encoder.go_on(&mut rest, SLICE, &mut self.payload) {}
        }
        payload::seal(&mut self.payload);
        &self.payload
    }
}

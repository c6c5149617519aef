//! SORT and SORT_RO: elements of a list, set or sorted set by their own values or by those of other
//! keys, with parts of other keys, shown or stored.
//!
//! - The elements are those of one instant. Few of them, with all keys that BY and GET lead to and the
//!   key to store to, are read and stored in one step under the stripes of all ([`in_one_go`]).
//! - Many are sorted in slices, from references taken under the stripe. What BY and GET look up for
//!   each of them is then of the moment at which its turn comes. A result is stored if its
//!   source is still what it was; if not all is done anew, and after some tries with nobody else in the
//!   keyspace.
//!
//! `source` has the elements at an instant, `pattern` the values of other keys, `work` the stages of
//! sorting.

mod pattern;
mod source;
mod work;

use super::args::integer;
use super::event::Class;
use super::list::Tools;
use super::long::{self, Source as _};
use super::notes::{Arg, Notes, at};
use super::slice::{self, Slice};
use super::table::{Begin, Find};
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec, scripting};
use crate::db::{Access, Key};
use crate::types::object::Type;
use pattern::Pattern;
use source::Taken;
use work::{Shown, Work};

const CATEGORIES: &[&str] = &["list", "set", "sortedset", "dangerous"];
const BY: KeySpec = unknown(
    &["RO", "ACCESS"],
    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the \
     content of the key we sort",
);
const STORE: KeySpec = unknown(
    &["OW", "UPDATE"],
    "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere \
     in the argument array",
);
const RO_KEYS: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"]), BY];
const KEYS: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"]), BY, STORE];

const fn unknown(flags: &'static [&'static str], note: &'static str) -> KeySpec {
    KeySpec { begin: Begin::Unknown, find: Find::Unknown, flags, note }
}

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    Command::new("sort", -2, Group::Generic, sort)
        .flags(Flags::WRITE.and(Flags::DENYOOM))
        .acl(CATEGORIES)
        .notes(&SORT)
        .keys(KEYS)
        .doc(
            "1.0.0",
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] \
             [ALPHA] [STORE destination]",
            "Sorts the elements of a list, set or sorted set.",
        )
        .cost("O(N*log(N)), in slices between which other clients are served"),
    Command::new("sort_ro", -2, Group::Generic, sort_ro)
        .flags(Flags::READ)
        .acl(CATEGORIES)
        .notes(&SORT_RO)
        .keys(RO_KEYS)
        .doc(
            "7.0.0",
            "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] \
             [ALPHA]",
            "Sorts the elements of a list, set or sorted set, and never stores them.",
        )
        .cost("As SORT"),
];

const ARGS: [Arg; 4] = [
    at("BY").spec(1),
    at("GET").spec(1),
    at("asc_desc").name("order"),
    at("ALPHA").name("sorting"),
];
const SORT: Notes = Notes::args(&[ARGS[0], ARGS[1], ARGS[2], ARGS[3], at("STORE").spec(2)]);
const SORT_RO: Notes = Notes::args(&ARGS);

/// What a client asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    by: Option<Pattern>,
    /// As they are: BY has no asterisk.
    unsorted: bool,
    offset: i64,
    count: i64,
    get: Vec<Pattern>,
    descending: bool,
    alpha: bool,
    /// A script asks.
    scripted: bool,
    store: Option<Vec<u8>>,
}

impl Options {
    fn parse(args: Args<'_>, may_store: bool) -> Result<Self, Error> {
        let mut options = Self { count: -1, ..Self::default() };
        let mut i = 0;
        while i < args.len() {
            let (one, two) = (args.opt(i + 1), args.opt(i + 2));
            let taken = match (one, two) {
                _ if args.is(i, "ASC") => {
                    options.descending = false;
                    0
                }
                _ if args.is(i, "DESC") => {
                    options.descending = true;
                    0
                }
                _ if args.is(i, "ALPHA") => {
                    options.alpha = true;
                    0
                }
                (Some(offset), Some(count)) if args.is(i, "LIMIT") => {
                    (options.offset, options.count) = (integer(offset)?, integer(count)?);
                    2
                }
                (Some(key), _) if may_store && args.is(i, "STORE") => {
                    options.store = Some(key.to_vec());
                    1
                }
                (Some(pattern), _) if args.is(i, "BY") => {
                    options.unsorted |= !pattern.contains(&b'*');
                    options.by = Some(Pattern::new(pattern));
                    1
                }
                (Some(pattern), _) if args.is(i, "GET") => {
                    options.get.push(Pattern::new(pattern));
                    1
                }
                _ => return Err(Error::Syntax),
            };
            i += 1 + taken;
        }
        if options.unsorted {
            options.by = None;
        }
        Ok(options)
    }

    /// Whether other keys are looked up.
    fn looks_up(&self) -> bool {
        self.by.is_some() || self.get.iter().any(|pattern| !pattern.is_itself())
    }

    /// The first element of `len` that is wanted, and how many.
    fn window(&self, len: usize) -> (usize, usize) {
        let from = usize::try_from(self.offset.max(0)).unwrap_or(usize::MAX).min(len);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        (from, count.min(len - from))
    }
}

fn sort(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    run(cx, args, true)
}

fn sort_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    run(cx, args, false)
}

/// Elements, and keys altogether, up to which all is one step under stripes.
const AT_ONCE: (usize, usize) = (1_000, 4_000);
/// Times that work is begun anew because others change what it is about.
const TRIES: u32 = 3;

/// Work that goes on in slices.
struct Going {
    work: Work,
    tries: u32,
}

fn run(cx: &mut Cx<'_>, args: Args<'_>, may_store: bool) -> Result<(), Error> {
    if cx.session.resume.is_some() {
        if let Some(result) = long::resume::<Shown>(cx) {
            return result;
        }
        if let Some(going) = slice::resume::<Going>(cx) {
            return go_on(cx, going);
        }
    }
    let mut options = Options::parse(args.from(2), may_store)?;
    options.scripted = cx.session.in_script;
    let key = cx.key(args, 1);
    let taken = Taken::from(&mut cx.db, key, &options)?;
    if cx.db.is_in_step() {
        let work = Work::new(key, options, taken);
        return complete(cx, work);
    }
    let linked = options.looks_up() || options.store.is_some();
    if linked && taken.len() <= AT_ONCE.0 {
        return in_one_go(cx, key, options, taken);
    }
    go_on(cx, Box::new(Going { work: Work::new(key, options, taken), tries: 0 }))
}

/// Few elements: all in one step. The keys to hold follow from the elements, so these are looked at
/// again once the keys are held.
fn in_one_go(cx: &mut Cx<'_>, key: Key<'_>, options: Options, taken: Taken) -> Result<(), Error> {
    let mut work = Work::new(key, options, taken);
    for _ in 0..TRIES {
        let names = work.names();
        let mut keys: Vec<Key<'_>> = names.iter().map(|name| Key::new(name)).collect();
        keys.push(key);
        keys.extend(work.options.store.iter().map(|name| Key::new(name)));
        if keys.len() > AT_ONCE.1 {
            break;
        }
        let _always = cx.db.seize(Some(&keys));
        let held = Held(cx);
        let intact = work.taken.is_still(&mut held.0.db, key);
        if intact {
            return complete(held.0, work);
        }
        drop(held);
        let taken = Taken::from(&mut cx.db, key, &work.options)?;
        work = Work::new(key, work.options, taken);
    }
    go_on(cx, Box::new(Going { work, tries: 0 }))
}

/// Gives back what is held, also when a command panics.
struct Held<'c, 'a>(&'c mut Cx<'a>);

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        self.0.db.let_go();
    }
}

/// Sorts under stripes that are held, to the end.
fn complete(cx: &mut Cx<'_>, mut work: Work) -> Result<(), Error> {
    while work.step(&mut cx.db)? {}
    if work.options.store.is_some() {
        return store(cx, work);
    }
    let mut shown = work.show();
    while shown.encode(cx.reply) {}
    Ok(())
}

/// Sorts for a slice.
fn go_on(cx: &mut Cx<'_>, mut going: Box<Going>) -> Result<(), Error> {
    let slice = Slice::begin();
    while going.work.step(&mut cx.db)? {
        if slice.is_over() {
            return Slice::pause(cx, going);
        }
    }
    let Some(name) = going.work.options.store.clone() else {
        return long::begin(cx, going.work.show());
    };
    let source = going.work.key.clone();
    let source = Key::new(&source);
    let _always = cx.db.seize(Some(&[source, Key::new(&name)]));
    let held = Held(cx);
    if going.work.taken.is_still(&mut held.0.db, source) {
        return store(held.0, going.work);
    }
    drop(held);
    let tries = going.tries + 1;
    if tries > TRIES {
        if !cx.db.seize(None) {
            return Err(scripting::busy(cx));
        }
        let held = Held(cx);
        let taken = Taken::from(&mut held.0.db, source, &going.work.options)?;
        return complete(held.0, Work::new(source, going.work.options, taken));
    }
    let taken = Taken::from(&mut cx.db, source, &going.work.options)?;
    let work = Work::new(source, going.work.options, taken);
    Slice::pause(cx, Box::new(Going { work, tries }))
}

/// Stores the result, whose key is held.
fn store(cx: &mut Cx<'_>, mut work: Work) -> Result<(), Error> {
    let Some(name) = work.options.store.take() else { return Ok(()) };
    let list = work.result();
    let (key, len) = (Key::new(&name), list.len());
    let mut tools = Tools::new(cx.shared, cx.local);
    let mut write = cx.db.write(key);
    let existed = write.exists();
    if len == 0 {
        write.remove();
    } else {
        tools.put(&mut write, list);
    }
    drop(write);
    if len > 0 {
        cx.event(Class::LIST, "sortstore", key.bytes);
    } else if existed {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
    cx.reply.count(len);
    Ok(())
}

/// The types that can be sorted, as the key has them now.
fn type_of(db: &mut Access<'_>, key: Key<'_>) -> Result<Option<Type>, Error> {
    match db.find(key).map(|entry| entry.type_of()) {
        None => Ok(None),
        Some(kind @ (Type::List | Type::Set | Type::ZSet)) => Ok(Some(kind)),
        Some(_) => Err(Error::WrongType),
    }
}

//! Set commands: single members here, whole sets in [`algebra`], chance in [`random`], walks in
//! [`scan`].
//!
//! What a set is made of is the business of [`crate::types::set`]. A compact one is read without a
//! lock and swapped for its next value; a large one is read and changed under its key's stripe. A set
//! without members does not exist: whoever takes the last one removes the key.

mod algebra;
mod random;
mod scan;

use super::ahead::in_groups;
use super::event::Class;
use super::notes::{Notes, at};
use super::table::Handler;
use super::{Command, Cx, Error, Flags, Group, KeySpec};
use crate::config::Config;
use crate::db::{Compact, Door, Expiry, Holds, Key, New, Seen, Write};
use crate::resp::{Args, Reply};
use crate::types::object::{Object, Type};
use crate::types::set::{Large, Limits, Made, Member, Slot, View, edit};

const READ: Flags = Flags::READ.and(Flags::FAST);
/// May be long.
const WHOLE: Flags = Flags::READ;
const WRITE: Flags = Flags::WRITE.and(Flags::FAST);
const GROW: Flags = WRITE.and(Flags::DENYOOM);
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const RO: &[KeySpec] = &[KeySpec::one(1, &["RO"])];
const RO_ACCESS: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const INSERT: &[KeySpec] = &[KeySpec::one(1, &["RW", "INSERT"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];
const POP: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])];
const MOVE: &[KeySpec] =
    &[KeySpec::one(1, &["RW", "ACCESS", "DELETE"]), KeySpec::one(2, &["RW", "INSERT"])];
const ALL: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["RO", "ACCESS"])];
const COUNTED: &[KeySpec] = &[KeySpec::counted(1, &["RO", "ACCESS"])];
const INTO: &[KeySpec] =
    &[KeySpec::one(1, &["OW", "UPDATE"]), KeySpec::range(2, -1, 1, &["RO", "ACCESS"])];
/// Redis says of SINTERSTORE alone that it reads its destination, too.
const INTER_INTO: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"]), INTO[1]];
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY: &[&str] = &["nondeterministic_output"];

const fn row(name: &'static str, arity: i16, flags: Flags, run: Handler) -> Command {
    Command::new(name, arity, Group::Set, run).flags(flags).acl(&["set"])
}

const KEYS: &str = "key [key ...]";
const STORE_KEYS: &str = "destination key [key ...]";
const INTER_COST: &str = "O(N*M) in the size of the smallest set and the number of sets";
const UNION_COST: &str = "O(N) in the members of all sets";

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("sadd", -3, GROW, sadd)
        .one_write(super::table::ANY)
        .element(2)
        .notes(&SEVERAL)
        .keys(INSERT)
        .doc("1.0.0", "key member [member ...]", "Adds members to a set, creating it if missing.")
        .cost("O(1) for each member"),
    row("scard", 2, READ, scard).keys(RO).doc(
        "1.0.0",
        "key",
        "Returns the number of members of a set.",
    ),
    row("sdiff", -2, WHOLE, algebra::sdiff)
        .keys(ALL)
        .doc("1.0.0", KEYS, "Returns the members of the first set that no other set has.")
        .cost(UNION_COST)
        .tips(ANY_ORDER),
    row("sdiffstore", -3, STORE, algebra::sdiffstore)
        .keys(INTO)
        .doc("1.0.0", STORE_KEYS, "Stores the members of the first set that no other set has.")
        .cost(UNION_COST),
    row("sinter", -2, WHOLE, algebra::sinter)
        .keys(ALL)
        .doc("1.0.0", KEYS, "Returns the members that all sets have.")
        .cost(INTER_COST)
        .tips(ANY_ORDER),
    row("sintercard", -3, WHOLE.and(Flags::MOVABLE_KEYS), algebra::sintercard)
        .keys(COUNTED)
        .doc(
            "7.0.0",
            "numkeys key [key ...] [LIMIT limit]",
            "Counts the members that all sets have.",
        )
        .cost(INTER_COST),
    row("sinterstore", -3, STORE, algebra::sinterstore)
        .keys(INTER_INTO)
        .doc("1.0.0", STORE_KEYS, "Stores the members that all sets have.")
        .cost(INTER_COST),
    row("sismember", 3, READ, sismember).element(2).keys(RO).doc(
        "1.0.0",
        "key member",
        "Tells whether a set has a member.",
    ),
    row("smembers", 2, WHOLE, algebra::smembers)
        .keys(RO_ACCESS)
        .doc("1.0.0", "key", "Returns all members of a set.")
        .cost("O(N) in the size of the set")
        .tips(ANY_ORDER),
    row("smismember", -3, READ, smismember)
        .keys(RO_ACCESS)
        .doc("6.2.0", "key member [member ...]", "Tells which of several members a set has.")
        .cost("O(1) for each member"),
    row("smove", 4, WRITE, smove).keys(MOVE).doc(
        "1.0.0",
        "source destination member",
        "Moves a member from one set to another in one step.",
    ),
    row("spop", -2, WRITE, random::spop)
        .notes(&SPOP)
        .keys(POP)
        .doc("1.0.0", "key [count]", "Removes and returns members chosen at random.")
        .cost("O(1) for each member")
        .tips(ANY),
    row("srandmember", -2, WHOLE, random::srandmember)
        .notes(&SRANDMEMBER)
        .keys(RO_ACCESS)
        .doc("1.0.0", "key [count]", "Returns members chosen at random.")
        .cost("O(1) for each member")
        .tips(ANY),
    row("srem", -3, WRITE, srem)
        .one_write(super::table::ANY)
        .element(2)
        .notes(&SEVERAL)
        .keys(DELETE)
        .doc("1.0.0", "key member [member ...]", "Removes members from a set.")
        .cost("O(1) for each member"),
    row("sscan", -3, WHOLE, scan::sscan)
        .keys(RO_ACCESS)
        .doc(
            "2.8.0",
            "key cursor [MATCH pattern] [COUNT count]",
            "Walks over the members of a set, a few at a time.",
        )
        .cost("O(1) per call, O(N) for a whole walk")
        .tips(ANY),
    row("sunion", -2, WHOLE, algebra::sunion)
        .keys(ALL)
        .doc("1.0.0", KEYS, "Returns the members that any of the sets has.")
        .cost(UNION_COST)
        .tips(ANY_ORDER),
    row("sunionstore", -3, STORE, algebra::sunionstore)
        .keys(INTO)
        .doc("1.0.0", STORE_KEYS, "Stores the members that any of the sets has.")
        .cost(UNION_COST),
];

const SEVERAL: Notes = Notes::history(&[("2.4.0", "Takes several members.")]);
const SPOP: Notes =
    Notes::args(&[at("count").since("3.2.0")]).changed(&[("3.2.0", "The argument `count`.")]);
const SRANDMEMBER: Notes =
    Notes::args(&[at("count").since("2.6.0")]).changed(&[("2.6.0", "The argument `count`.")]);

/// Up to where sets stay compact.
fn limits(config: &Config) -> Limits {
    let members = config.set_max_listpack_entries;
    Limits::new(config.set_max_intset_entries, members, config.set_max_listpack_value)
}

/// A set as it was found. A key holds it, so an object is one.
pub fn view(seen: Seen<'_>) -> View<'_> {
    match seen {
        Seen::Compact(compact) => View::compact(compact.form, compact.bytes),
        Seen::Object(Object::Set(set)) => View::Large(set),
        Seen::Object(_) => View::empty(),
    }
}

impl Reply {
    /// A member of a set.
    #[inline]
    fn member(&mut self, member: &Member<'_>) {
        match *member {
            Member::Int(value) => self.bulk_int(value),
            Member::Text(text) => self.bulk(text),
        }
    }
}

/// Gives the key what a command has made of its set.
fn put(write: &mut Write<'_, '_>, made: Made, expiry: Expiry) {
    match made {
        Made::Empty => _ = write.remove(),
        Made::Compact { form, bytes } => {
            write.set(New::Compact(Compact { kind: Type::Set, form, bytes: &bytes }), expiry);
        }
        Made::Large(set) => write.set(New::Object(Box::new(Object::Set(Box::new(set)))), expiry),
    }
}

/// Changes a large set; `f` says how many members came or went.
#[inline]
fn change(write: &mut Write<'_, '_>, f: impl FnOnce(&mut Large) -> usize) -> usize {
    let Some(Object::Set(set)) = write.object() else { return 0 };
    let changes = f(set);
    if changes > 0 {
        // After the fact, which only now is one: nobody reads an object without its stripe.
        write.changing();
    }
    changes
}

/// Asks ahead for members.
fn ask(set: &Large, members: &[&[u8]]) {
    set.ask_ahead(members.iter().copied());
}

/// Adds members. Returns how many were not there.
#[inline]
fn add<'m>(
    write: &mut Write<'_, '_>,
    members: impl ExactSizeIterator<Item = &'m [u8]>,
    limits: Limits,
) -> Result<usize, Error> {
    let set = match write.holds(Type::Set)? {
        Holds::Object => {
            return Ok(change(write, |set| {
                let mut added = 0;
                in_groups(set, members, ask, |set, member| {
                    added += usize::from(set.insert(member))
                });
                added
            }));
        }
        Holds::Compact(compact) => View::compact(compact.form, compact.bytes),
        Holds::Nothing => View::empty(),
    };
    let (added, made) = edit::add(set, members, limits);
    if added > 0 {
        put(write, made, Expiry::Keep);
    }
    Ok(added)
}

/// Removes members, and the key with the last one. Returns how many were there, and whether that was
/// the end of the key.
#[inline]
fn remove<'m>(
    write: &mut Write<'_, '_>,
    members: impl ExactSizeIterator<Item = &'m [u8]>,
    limits: Limits,
) -> Result<(usize, bool), Error> {
    let set = match write.holds(Type::Set)? {
        Holds::Object => {
            let mut empty = false;
            let removed = change(write, |set| {
                let mut removed = 0;
                let each = |set: &mut Large, member| removed += usize::from(set.remove(member));
                in_groups(set, members, ask, each);
                empty = set.is_empty();
                removed
            });
            if empty {
                write.remove();
            }
            return Ok((removed, empty));
        }
        Holds::Compact(compact) => View::compact(compact.form, compact.bytes),
        Holds::Nothing => return Ok((0, false)),
    };
    let (removed, made) = edit::remove(set, members, limits);
    if removed == 0 {
        return Ok((0, false));
    }
    let empty = matches!(made, Made::Empty);
    put(write, made, Expiry::Keep);
    Ok((removed, empty))
}

/// Tells of members that were taken out, and of the key if the last one was.
fn tell_removed(cx: &mut Cx<'_>, word: &'static str, key: Key<'_>, empty: bool) {
    cx.event(Class::SET, word, key.bytes);
    if empty {
        cx.event(Class::GENERIC, "del", key.bytes);
    }
}

/// Changes the one member that a command names by `f`, beside other threads. None if that is refused,
/// or it names more than one.
#[inline]
fn share_one(
    cx: &mut Cx<'_>,
    key: Key<'_>,
    args: Args<'_>,
    f: impl FnOnce(Slot<'_>) -> Option<bool>,
) -> Option<bool> {
    if args.len() != 3 {
        return None;
    }
    cx.db.share(key, Type::Set, |shared| f(shared.member(args.get(2))?))
}

fn sadd(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, limits) = (cx.key(args, 1), limits(&cx.local.config));
    let added = match share_one(cx, key, args, |slot| slot.insert()) {
        Some(added) => usize::from(added),
        None => add(&mut cx.db.write(key), args.from(2).iter(), limits)?,
    };
    if added > 0 {
        cx.event(Class::SET, "sadd", key.bytes);
    }
    cx.reply.count(added);
    Ok(())
}

fn srem(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, limits) = (cx.key(args, 1), limits(&cx.local.config));
    let (removed, empty) = match share_one(cx, key, args, |slot| slot.remove()) {
        Some(removed) => (usize::from(removed), false),
        None => remove(&mut cx.db.write(key), args.from(2).iter(), limits)?,
    };
    if removed > 0 {
        tell_removed(cx, "srem", key, empty);
    }
    cx.reply.count(removed);
    Ok(())
}

fn scard(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let len = cx.db.collection(key, Type::Set, |seen| view(seen).len())?;
    cx.reply.count(len.unwrap_or(0));
    Ok(())
}

fn sismember(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, member) = (cx.key(args, 1), args.get(2));
    let found = cx.db.element(key, Type::Set, |door| match door {
        Door::Shared(shared) => shared.member(member).map(|slot| slot.is_member()),
        Door::Alone(seen) => Some(view(seen).contains(member)),
    })?;
    cx.reply.int(i64::from(found.unwrap_or(false)));
    Ok(())
}

fn smismember(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, members) = (cx.key(args, 1), args.from(2));
    cx.reply.array(members.len());
    let reply = &mut *cx.reply;
    let found = cx.db.collection(key, Type::Set, |seen| {
        in_groups(
            &mut view(seen),
            members.iter(),
            |set, group| {
                if let View::Large(set) = set {
                    ask(set, group);
                }
            },
            |set, member| reply.int(i64::from(set.contains(member))),
        );
    })?;
    if found.is_none() {
        members.iter().for_each(|_| cx.reply.int(0));
    }
    Ok(())
}

fn smove(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (from, to, member) = (cx.key(args, 1), Key::new(args.get(2)), args.get(3));
    let limits = limits(&cx.local.config);
    let one = || std::iter::once(member);
    let mut moved = None;
    let found = cx.db.hold(&[from, to], |db| {
        if !db.write(from).exists() {
            return Ok(false); // whatever the destination is
        }
        db.write(from).holds(Type::Set)?;
        db.write(to).holds(Type::Set)?;
        if from == to {
            let found = db.collection(from, Type::Set, |seen| view(seen).contains(member))?;
            return Ok(found.unwrap_or(false));
        }
        let (removed, empty) = remove(&mut db.write(from), one(), limits)?;
        if removed > 0 {
            moved = Some((empty, add(&mut db.write(to), one(), limits)? > 0));
        }
        Ok::<_, Error>(moved.is_some())
    })?;
    if let Some((empty, added)) = moved {
        tell_removed(cx, "srem", from, empty);
        if added {
            cx.event(Class::SET, "sadd", to.bytes);
        }
    }
    cx.reply.int(i64::from(found));
    Ok(())
}

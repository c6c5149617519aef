//! XGROUP.

use super::super::args::integer;
use super::super::{Args, Cx, Error, help};
use super::{change, id, no_group_of, stream, tell};
use crate::db::{Expiry, New, Write};
use crate::types::object::Object;
use crate::types::stream::{Group, Id, Stream};

const NO_KEY: Error = Error::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
     use the MKSTREAM option to create an empty stream automatically.",
);
const BUSY: Error = Error::new("BUSYGROUP Consumer Group name already exists");

/// The options of CREATE and SETID.
#[derive(Debug, Default)]
struct Options {
    make: bool,
    read: Option<u64>,
}

impl Options {
    fn parse(args: Args<'_>, creates: bool) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut i = 5;
        while i < args.len() {
            if creates && args.is(i, "MKSTREAM") {
                options.make = true;
                i += 1;
            } else if args.is(i, "ENTRIESREAD") && i + 1 < args.len() {
                options.read = match integer(args.get(i + 1))? {
                    -1 => None,
                    count => Some(u64::try_from(count).map_err(|_| {
                        Error::new("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
                i += 2;
            } else {
                return Err(wrong(args));
            }
        }
        if args.len() > if creates { 8 } else { 7 } {
            return Err(wrong(args));
        }
        Ok(options)
    }
}

fn wrong(args: Args<'_>) -> Error {
    help::wrong(args)
}

/// An argument as the last entry that a group shall have read, `$` for the stream's last.
fn start(text: &[u8], last: Id) -> Result<Id, Error> {
    if text == b"$" { Ok(last) } else { id(text) }
}

/// As [`start`], and `-` and `+` for none and all.
fn restart(text: &[u8], last: Id) -> Result<Id, Error> {
    Id::parse_bound(text, 0).map_or_else(|| start(text, last), Ok)
}

pub fn create(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args, true)?;
    let (key, name) = (cx.key(args, 2), args.get(3));
    let mut write = cx.db.write(key);
    match stream(&mut write)? {
        Some(found) => {
            let from = start(args.get(4), found.bounds().last)?;
            if found.group(name).is_some() {
                return Err(BUSY);
            }
            change(&mut write, |stream| stream.add_group(name, from, options.read));
        }
        None if options.make => {
            let mut stream = Stream::default();
            stream.add_group(name, start(args.get(4), Id::MIN)?, options.read);
            write.set(New::Object(Box::new(Object::Stream(Box::new(stream)))), Expiry::Never);
        }
        None => return Err(NO_KEY),
    }
    drop(write);
    cx.reply.ok();
    tell(cx, "xgroup-create", key.bytes);
    Ok(())
}

/// The group that a subcommand works on.
fn group<'w>(write: &'w mut Write<'_, '_>, args: Args<'_>) -> Result<(Id, &'w mut Group), Error> {
    let stream = stream(write)?.ok_or(NO_KEY)?;
    let last = stream.bounds().last;
    let missing = || no_group_of(args.get(2), args.get(3));
    Ok((last, stream.group_mut(args.get(3)).ok_or_else(missing)?))
}

/// Changes a group that is there.
fn edit<T>(write: &mut Write<'_, '_>, name: &[u8], f: impl FnOnce(&mut Group) -> T) -> Option<T> {
    change(write, |stream| stream.group_mut(name).map(f)).flatten()
}

pub fn set_id(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(args, false)?;
    let key = cx.key(args, 2);
    let mut write = cx.db.write(key);
    let (last, _) = group(&mut write, args)?;
    let from = restart(args.get(4), last)?;
    edit(&mut write, args.get(3), |group| (group.last, group.read) = (from, options.read));
    drop(write);
    cx.reply.ok();
    tell(cx, "xgroup-setid", key.bytes);
    Ok(())
}

pub fn destroy(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 2);
    let mut write = cx.db.write(key);
    let found = stream(&mut write)?.ok_or(NO_KEY)?.group(args.get(3)).is_some();
    let rest =
        if found { change(&mut write, |stream| stream.remove_group(args.get(3))) } else { None };
    drop(write);
    // What many consumers have pending takes long to free: not under the stripe.
    if let Some(rest) = rest.flatten() {
        crate::db::grave::bury(Box::new(Object::Stream(Box::new(rest))));
    }
    cx.reply.int(i64::from(found));
    if found {
        tell(cx, "xgroup-destroy", key.bytes);
    }
    Ok(())
}

pub fn create_consumer(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name, now) = (cx.key(args, 2), args.get(4), cx.db.now);
    let mut write = cx.db.write(key);
    let fresh = group(&mut write, args)?.1.owner(name).is_none();
    if fresh {
        edit(&mut write, args.get(3), |group| group.add_consumer(name, now));
    }
    drop(write);
    cx.reply.int(i64::from(fresh));
    if fresh {
        tell(cx, "xgroup-createconsumer", key.bytes);
    }
    Ok(())
}

pub fn delete_consumer(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, name) = (cx.key(args, 2), args.get(4));
    let mut write = cx.db.write(key);
    let known = group(&mut write, args)?.1.owner(name).is_some();
    let removed = if known {
        edit(&mut write, args.get(3), |group| group.remove_consumer(name)).flatten()
    } else {
        None
    };
    drop(write);
    cx.reply.count(removed.unwrap_or_default());
    if known {
        tell(cx, "xgroup-delconsumer", key.bytes);
    }
    Ok(())
}

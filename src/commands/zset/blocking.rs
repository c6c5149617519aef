//! BZPOPMIN, BZPOPMAX and BZMPOP: as their relatives, but a client may wait in line.

use super::remove::{End, Multi, Shape, pop, pop_named};
use super::{Args, Cx, Error};
use crate::commands::blocking::{self, Wait};
use crate::db::Key;
use crate::types::object::Type;

pub fn bzpopmin(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    wait_for_one(cx, args, End::Min)
}

pub fn bzpopmax(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    wait_for_one(cx, args, End::Max)
}

fn wait_for_one(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let last = args.len() - 1;
    let until = blocking::until(args.get(last), cx.db.now)?;
    let keys: Vec<Key<'_>> = (1..last).map(|i| cx.key(args, i)).collect();
    let serve = move |cx: &mut Cx<'_>, key: Key<'_>| {
        let voice = cx.voice();
        let Cx { db, reply, .. } = cx;
        let popped = pop((db, reply, voice), key, (end, 1), Shape::Flat, |reply, _| {
            reply.array(3);
            reply.bulk(key.bytes);
        })?;
        if popped {
            db.effect(&[end.command(), key.bytes]);
        }
        Ok(popped)
    };
    wait(cx, &keys, until, Box::new(serve))
}

pub fn bzmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let until = blocking::until(args.get(1), cx.db.now)?;
    let Multi { keys, end, count } = Multi::parse(args, 2)?;
    let serve = move |cx: &mut Cx<'_>, key: Key<'_>| {
        let voice = cx.voice();
        let Cx { db, reply, .. } = cx;
        pop_named((db, reply, voice), key, (end, count))
    };
    wait(cx, &keys, until, Box::new(serve))
}

fn wait(
    cx: &mut Cx<'_>,
    keys: &[Key<'_>],
    until: u64,
    serve: Box<blocking::Serve>,
) -> Result<(), Error> {
    let nothing = crate::resp::Reply::null_array;
    blocking::run(cx, Wait { keys, needs: &[], kind: Type::ZSet, until, nothing, serve })
}

//! Whole databases: DBSIZE, SELECT, SWAPDB, FLUSHDB, FLUSHALL.

use super::super::args::integer;
use super::super::slice;
use super::super::{Cx, Error, waits};
use crate::resp::Args;
use crate::session::After;

/// A database's number as SELECT, MOVE, COPY and SWAPDB read it.
pub fn database(cx: &Cx<'_>, text: &[u8], unreadable: &'static str) -> Result<usize, Error> {
    let index = integer(text).map_err(|_| Error::new(unreadable))?;
    let index = usize::try_from(index).map_err(|_| Error::DbIndex)?;
    if index < cx.db.keyspace.databases() { Ok(index) } else { Err(Error::DbIndex) }
}

pub const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

pub fn dbsize(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let (keys, _) = cx.db.keyspace.size(cx.db.db);
    cx.reply.int(keys as i64);
    Ok(())
}

pub fn select(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let index = database(cx, args.get(1), NOT_AN_INTEGER)?;
    cx.db.prepare(index);
    cx.session.select(index);
    cx.db.db = index;
    cx.reply.ok();
    Ok(())
}

pub fn swapdb(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let first = database(cx, args.get(1), "ERR invalid first DB index")?;
    let second = database(cx, args.get(2), "ERR invalid second DB index")?;
    if !cx.db.swap(first, second) {
        return waits::again_or_busy(cx);
    }
    cx.db.changed();
    cx.reply.ok();
    Ok(())
}

/// Where FLUSHDB and FLUSHALL wait until the memory is free.
struct Flushing {
    turns: u32,
}

/// Turns in which a waiting FLUSH lets only the epoch pass before it looks once a millisecond.
const FLUSH_TURNS: u32 = 64;

/// FLUSHDB and FLUSHALL: the databases are empty at once. With ASYNC that is all; else the reply
/// comes when their memory is free, as whoever reads `used_memory` next expects. Nobody else waits:
/// small tables are freed between the turns of this worker, large ones in the background.
fn flush(cx: &mut Cx<'_>, args: Args<'_>, databases: std::ops::Range<usize>) -> Result<(), Error> {
    let mut flushing = match slice::resume::<Flushing>(cx) {
        Some(flushing) => flushing,
        None => {
            let lazy = match args.len() {
                1 => cx.local.config.lazyfree_lazy_user_flush || cx.session.in_exec,
                2 if args.is(1, "SYNC") => cx.session.in_exec, // no epoch passes within a command
                2 if args.is(1, "ASYNC") => true,
                _ => return Err(Error::Syntax),
            };
            if !cx.db.flush(databases) {
                return waits::again_or_busy(cx);
            }
            cx.db.changed();
            if lazy {
                cx.reply.ok();
                return Ok(());
            }
            Box::new(Flushing { turns: 0 })
        }
    };
    let keyspace = cx.db.keyspace;
    cx.db.pin().flush(); // the epoch passes only if somebody asks
    keyspace.free_flushed_small();
    if keyspace.lazy_free().0 == 0 {
        cx.reply.ok();
        return Ok(());
    }
    flushing.turns += 1;
    let next = match flushing.turns {
        ..FLUSH_TURNS => After::Retry,
        _ => After::Await(cx.db.now as u64 + 1),
    };
    cx.session.resume = Some(flushing);
    cx.session.after = next;
    Ok(())
}

pub fn flushdb(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let db = cx.db.db;
    flush(cx, args, db..db + 1)
}

/// FLUSHALL waits until the file says that there is nothing, too.
struct Emptied;

pub fn flushall(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let jobs = &cx.shared.persist.jobs;
    if let Some(saving) = slice::resume::<Emptied>(cx) {
        if jobs.is_pending() {
            cx.session.after = After::Await(cx.db.now as u64 + 1);
            cx.session.resume = Some(saving);
        } else {
            cx.reply.ok();
        }
        return Ok(());
    }
    let databases = cx.db.keyspace.databases();
    let (begins, mark) = (cx.session.resume.is_none(), cx.reply.mark());
    flush(cx, args, 0..databases)?;
    if begins {
        // What is being saved is not wanted any more; that there is nothing now is.
        if jobs.is_running() {
            jobs.cancel();
        }
        if !cx.local.config.save.is_empty() {
            jobs.schedule();
        }
    }
    let saves = !cx.local.config.save.is_empty() && !cx.session.in_exec && !cx.session.in_script;
    if saves && cx.session.after == After::Continue && jobs.is_pending() {
        cx.reply.cut(mark);
        cx.session.after = After::Await(cx.db.now as u64 + 1);
        cx.session.resume = Some(Box::new(Emptied));
    }
    Ok(())
}

//! DEBUG RELOAD and LOADAOF: all data to the disk and back.

use super::super::persist::{load, save};
use super::super::{Args, Cx, Error};
use super::super::{scripting, slice};
use crate::db::Access;
use crate::session::After;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// Gives the keyspace back, also after a panic.
struct Alone<'c, 'a>(&'c mut Access<'a>);

impl Drop for Alone<'_, '_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

pub fn reload(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut flushes, mut saves, mut mode) = (true, true, load::Mode::default());
    for i in 2..args.len() {
        if args.is(i, "MERGE") {
            mode.replaces = true;
        } else if args.is(i, "NOFLUSH") {
            flushes = false;
        } else if args.is(i, "NOSAVE") {
            saves = false;
        } else {
            return Err(Error::new(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
    }
    if cx.session.in_exec || cx.session.in_script {
        return Err(Error::new("ERR DEBUG RELOAD is not for transactions and scripts"));
    }
    if !cx.db.seize(None) {
        return Err(scripting::busy(cx));
    }
    let shared = cx.shared;
    let alone = Alone(&mut cx.db);
    if saves && !save::to_disk(shared, alone.0) {
        return Err(Error::new("ERR"));
    }
    if flushes {
        let databases = shared.keyspace.databases();
        // Nobody else can be exclusive for long: this thread is.
        let _ = alone.0.flush(0..databases);
        let _ = shared.catalog.change(|all| {
            *all = scripting::catalog::Libraries::default();
            Ok::<_, std::convert::Infallible>(())
        });
    }
    let config = shared.config.get();
    let path = Path::new(&config.dbfilename);
    match load::from_disk(shared, alone.0, (path, mode)) {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("There is no snapshot {} to load", path.display());
            return Err(FAILED);
        }
        Err(text) => {
            tracing::warn!("Error trying to load the RDB dump: {text}");
            return Err(FAILED);
        }
    }
    tracing::warn!("DB reloaded by DEBUG RELOAD");
    drop(alone);
    cx.reply.ok();
    Ok(())
}

const FAILED: Error = Error::new("ERR Error trying to load the RDB dump, check server logs");

/// Somebody loads, and will say how that went.
struct Loading(Mutex<Receiver<Result<(), String>>>);

/// Between two looks, milliseconds.
const LOOK: u64 = 2;

/// DEBUG LOADAOF: the thread that writes bases loads all data again, and this client waits.
pub fn load_aof(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    const FAILED: Error = Error::new("ERR Error trying to load the AOF files, check server logs");
    if cx.session.in_exec || cx.session.in_script {
        return Err(Error::new("ERR DEBUG LOADAOF is not for transactions and scripts"));
    }
    let loading = match slice::resume::<Loading>(cx) {
        Some(loading) => loading,
        None => {
            let (sender, result) = channel();
            if !cx.shared.persist.rewrites.want_reload(sender) {
                return Err(FAILED);
            }
            cx.shared.persist.jobs.rouse();
            Box::new(Loading(Mutex::new(result)))
        }
    };
    let result = loading.0.lock().try_recv();
    match result {
        Ok(Ok(())) => {
            cx.reply.ok();
            Ok(())
        }
        Err(TryRecvError::Empty) => {
            cx.session.after = After::Await(cx.db.now as u64 + LOOK);
            cx.session.resume = Some(loading);
            Ok(())
        }
        Ok(Err(text)) => {
            tracing::warn!("Error trying to load the AOF files: {text}");
            Err(FAILED)
        }
        Err(TryRecvError::Disconnected) => Err(FAILED),
    }
}

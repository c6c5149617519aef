//! DEBUG RELOAD: all data to the disk and back.

use super::super::persist::{load, save};
use super::super::scripting;
use super::super::{Args, Cx, Error};
use crate::db::Access;
use std::path::Path;

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

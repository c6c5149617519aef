//! Commands of the administrator that belong to no larger family.

use super::notes::{Notes, at};
use super::table::Group;
use super::{Args, Command, Cx, Error, Flags, help, slice};
use crate::session::After;
use crate::session::control::{Order, Shutdown};

const LOADING: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);

static ACL: &[Command] = &[
    help::row(Group::Server, "6.0.0"),
    Command::new("whoami", 2, Group::Server, whoami).flags(LOADING).doc(
        "6.0.0",
        "",
        "Replies with the user of this connection.",
    ),
];

static MODULE: &[Command] = &[
    help::row(Group::Server, "5.0.0"),
    Command::new("list", 2, Group::Server, modules)
        .flags(Flags::ADMIN.and(Flags::NOSCRIPT))
        .tips(&["nondeterministic_output_order"])
        .doc("4.0.0", "", "Lists loaded modules: there are none, as commands are built in."),
];

/// The rows.
pub static ADMIN: &[Command] = &[
    Command::container("acl", Group::Server, ACL).doc("6.0.0", "", "Users and their rights."),
    Command::container("module", Group::Server, MODULE).doc("4.0.0", "", "Modules."),
    Command::new("shutdown", -1, Group::Server, shutdown)
        .notes(&SHUTDOWN)
        .flags(LOADING.and(Flags::ADMIN).and(Flags::NO_MULTI).and(Flags::ALLOW_BUSY))
        .doc(
            "1.0.0",
            "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
            "Saves as configured, and ends the server.",
        ),
];

const SHUTDOWN: Notes = Notes::args(&[
    at("NOW").since("7.0.0"),
    at("FORCE").since("7.0.0"),
    at("ABORT").since("7.0.0"),
])
.changed(&[("7.0.0", "The options `NOW`, `FORCE` and `ABORT`.")]);

fn whoami(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.bulk(cx.session.client.user().as_bytes());
    Ok(())
}

fn modules(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    cx.reply.array(0);
    Ok(())
}

/// How often servers had refused to end when this one was asked to.
struct Asked(u64);

/// How often SHUTDOWN looks whether the server refuses, in milliseconds.
const LOOK: u64 = 10;

fn shutdown(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut how = Shutdown::default();
    let mut abort = false;
    for i in 1..args.len() {
        match args.get(i).to_ascii_lowercase().as_slice() {
            b"save" => how.save = true,
            b"nosave" => how.nosave = true,
            b"now" => how.now = true,
            b"force" => how.force = true,
            b"abort" => abort = true,
            _ => return Err(Error::Syntax),
        }
    }
    if abort && how != Shutdown::default() || how.save && how.nosave {
        return Err(Error::Syntax);
    }
    if abort {
        // A shutdown under way has already stopped the reading of requests; one that could still
        // be called off would be waiting for replicas.
        return Err(Error::new("ERR No shutdown in progress."));
    }
    let persist = &cx.shared.persist;
    let asked = match slice::resume::<Asked>(cx) {
        Some(asked) if asked.0 != persist.refusals() => {
            return Err(Error::new("ERR Errors trying to SHUTDOWN. Check logs."));
        }
        Some(asked) => asked,
        None => {
            tracing::warn!("User requested shutdown...");
            let asked = Asked(persist.refusals());
            cx.shared.control.order(Order::Shutdown(how));
            Box::new(asked)
        }
    };
    // The connection ends with the server, unless that cannot save and goes on.
    cx.session.resume = Some(asked);
    cx.session.after = After::Await(cx.db.now as u64 + LOOK);
    Ok(())
}

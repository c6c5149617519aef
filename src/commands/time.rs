//! TIME.

use super::table::Group;
use super::{Args, Command, Cx, Error, Flags};
use std::time::{SystemTime, UNIX_EPOCH};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::new("time", 1, Group::Server, time)
    .flags(Flags::LOADING.and(Flags::STALE).and(Flags::FAST))
    .doc("2.6.0", "", "Replies with Unix seconds and the microseconds in the present one.")
    .tips(&["nondeterministic_output"])];

fn time(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    // The shared clock counts milliseconds; clients ask this command for microseconds.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    cx.reply.array(2);
    cx.reply.bulk_int(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    cx.reply.bulk_int(i64::from(now.subsec_micros()));
    Ok(())
}

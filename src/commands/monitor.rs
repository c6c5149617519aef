//! MONITOR: every command of every client, as it runs.

use super::table::Group;
use super::{Args, Command, Cx, Error, Flags};
use crate::session::Gates;
use crate::session::pause::Conditions;
use std::time::{SystemTime, UNIX_EPOCH};

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

/// The rows.
pub static MONITOR: &[Command] = &[Command::new("monitor", 1, Group::Server, monitor)
    .flags(FLAGS)
    .doc("1.0.0", "", "Shows every command that the server runs, until the connection ends.")
    .cost("")];

fn monitor(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    if cx.session.in_exec {
        return Err(Error::new("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    cx.session.gate(Gates::MONITOR, true);
    let any = cx.shared.clients.monitor(&cx.session.client, true);
    cx.shared.conditions.set(Conditions::MONITORED, any);
    cx.reply.ok();
    Ok(())
}

/// One line: time, database, address, and the arguments in quotes.
pub fn line<'a>(db: u8, peer: &str, args: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let head = format!("+{}.{:06} [{db} {peer}]", now.as_secs(), now.subsec_micros());
    let mut line = head.into_bytes();
    for arg in args {
        line.extend_from_slice(b" \"");
        quote(arg, &mut line);
        line.push(b'"');
    }
    line.extend_from_slice(b"\r\n");
    line
}

fn quote(arg: &[u8], line: &mut Vec<u8>) {
    for &byte in arg {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            7 => line.extend_from_slice(b"\\a"),
            8 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted() {
        let line = line(3, "127.0.0.1:5", [b"set".as_slice(), b"a\"\n\x01\xff"].into_iter());
        let text = String::from_utf8(line).unwrap();
        assert!(text.ends_with(" [3 127.0.0.1:5] \"set\" \"a\\\"\\n\\x01\\xff\"\r\n"), "{text}");
    }
}

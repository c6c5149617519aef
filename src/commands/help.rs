//! `<CONTAINER> HELP`, the same for every container: the rows of its subcommands tell all.
//!
//! A container adds the row [`row`] and has a help text that cannot go stale.

use super::table::{Group, table};
use super::{Args, Command, Cx, Error, Flags};
use crate::resp::Reply;

/// The row to put among a container's subcommands.
pub const fn row(group: Group, since: &'static str) -> Command {
    Command::new("help", 2, group, help).flags(Flags::LOADING.and(Flags::STALE)).doc(
        since,
        "",
        "Lists the subcommands.",
    )
}

/// Replies with the help of the container that `cx.row` belongs to.
pub fn help(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    if let Some(parent) = cx.row.parent {
        write(cx.reply, table().rows[usize::from(parent)].command);
    }
    Ok(())
}

/// What a container says to a subcommand whose arguments make no sense.
pub fn wrong(args: Args<'_>) -> Error {
    let word = |i: usize| args.opt(i).unwrap_or_default();
    let mut text = b"ERR unknown subcommand or wrong number of arguments for '".to_vec();
    text.extend_from_slice(&word(1)[..word(1).len().min(128)]);
    text.extend_from_slice(b"'. Try ");
    text.extend_from_slice(&word(0).to_ascii_uppercase());
    text.extend_from_slice(b" HELP.");
    Error::Bytes(text)
}

/// Lines are cut here, as terminals are rarely narrower.
const WIDTH: usize = 76;

fn write(reply: &mut Reply, container: &Command) {
    let name = container.name.to_ascii_uppercase();
    let mut lines =
        vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    if container.arity == -1 {
        lines.push("(no subcommand)".to_owned());
        wrap(container.summary, &mut lines);
    }
    for sub in container.subcommands {
        let title = format!("{} {}", sub.name.to_ascii_uppercase(), sub.syntax);
        lines.push(title.trim_end().to_owned());
        wrap(sub.summary, &mut lines);
    }
    reply.array(lines.len());
    for line in lines {
        reply.simple(&line);
    }
}

fn wrap(text: &str, lines: &mut Vec<String>) {
    let mut line = "   ".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines.push(std::mem::replace(&mut line, "   ".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    if !line.trim().is_empty() {
        lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SUBS: &[Command] = &[
        Command::new("get", -3, Group::Server, help).doc(
            "1.0.0",
            "name [name ...]",
            "Returns the named things, one after the other, in the order in which they were named, and so on.",
        ),
        row(Group::Server, "1.0.0"),
    ];

    #[test]
    fn one_title_and_wrapped_text_per_subcommand() {
        let mut reply = Reply::default();
        write(&mut reply, &Command::container("thing", Group::Server, SUBS));
        let text = String::from_utf8(reply.bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "*6");
        assert_eq!(lines[1], "+THING <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        assert_eq!(lines[2], "+GET name [name ...]");
        assert!(lines[3].starts_with("+    Returns the named") && lines[3].len() <= WIDTH + 1);
        assert!(lines[4].starts_with("+    "));
        assert_eq!(lines[5..], ["+HELP", "+    Lists the subcommands."]);
    }
}

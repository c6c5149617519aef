//! `help`, `help COMMAND` and `help @GROUP`.

use crate::hints::{Hint, Table};
use crate::screen;
use crate::session::Session;

const GENERAL: &str = concat!(
    "eonkv-cli ",
    env!("CARGO_PKG_VERSION"),
    "\n",
    "  help <command>       what a command does and takes\n",
    "  help @<group>        the commands of a group, such as @string\n",
    "  help <Tab>           what one can ask for\n",
    "  <n> <command>        run a command n times\n",
    "  connect <host> <port>\n",
    "  clear                clear the screen\n",
    "  quit, exit           leave\n",
    "\n",
    "Preferences, kept in ~/.eonkvclirc:\n",
    "  :set hints           show what a command takes while it is typed\n",
    "  :set nohints         do not\n",
);

/// Prints what is known about the topic; the whole list of commands comes from the server.
pub fn print(session: &mut Session, topic: &[Vec<u8>]) {
    if topic.is_empty() {
        screen::say(GENERAL);
        return;
    }
    let table = Table::load(session);
    let words: Vec<String> =
        topic.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    screen::say(&page(&table, &words));
}

fn page(table: &Table, topic: &[String]) -> String {
    let mut page = String::new();
    match topic.first().and_then(|word| word.strip_prefix('@')) {
        Some(group) => {
            for hint in table.iter().filter(|hint| hint.group.eq_ignore_ascii_case(group)) {
                describe(hint, false, &mut page);
            }
        }
        None => {
            let wanted: Vec<String> = topic.iter().map(|word| word.to_uppercase()).collect();
            for hint in table.iter() {
                let mut name = hint.name.split(' ');
                if wanted.iter().all(|word| name.next() == Some(word)) {
                    describe(hint, true, &mut page);
                }
            }
        }
    }
    if page.is_empty() {
        let groups: Vec<String> = table.groups().iter().map(|group| format!("@{group}")).collect();
        page = format!("\n  Nothing is known about '{}'.\n", topic.join(" "));
        if !groups.is_empty() {
            page.push_str(&format!("  Groups: {}\n", groups.join(" ")));
        }
    }
    page.push('\n');
    page
}

fn describe(hint: &Hint, with_group: bool, page: &mut String) {
    page.push_str(&format!("\n  \x1b[1m{}\x1b[0m \x1b[90m{}\x1b[0m\n", hint.name, hint.syntax));
    for (title, text, shown) in [
        ("summary", &hint.summary, true),
        ("since", &hint.since, true),
        ("group", &hint.group, with_group),
    ] {
        if shown && !text.is_empty() {
            page.push_str(&format!("  \x1b[33m{title}:\x1b[0m {text}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::tests::sample;

    fn plain(topic: &str) -> String {
        let words: Vec<String> = topic.split(' ').map(str::to_owned).collect();
        let mut out = String::new();
        for part in page(&sample(), &words).split("\x1b[") {
            out.push_str(if out.is_empty() {
                part
            } else {
                part.split_once('m').map_or(part, |(_, text)| text)
            });
        }
        out
    }

    #[test]
    fn pages() {
        assert_eq!(
            plain("set"),
            "\n  SET key value [EX seconds|KEEPTTL]\n  summary: Stores a string.\n  since: 1.0.0\n  group: string\n\n"
        );
        assert_eq!(
            plain("config"),
            "\n  CONFIG \n  summary: Holds subcommands.\n  group: server\n\n  CONFIG GET parameter [parameter ...]\n  \
             summary: Reads parameters.\n  group: server\n\n"
        );
        assert_eq!(plain("@generic"), "\n  SORT key [GET pattern [GET pattern ...]]\n\n");
        assert_eq!(
            plain("nope"),
            "\n  Nothing is known about 'nope'.\n  Groups: @generic @server @string\n\n"
        );
    }
}

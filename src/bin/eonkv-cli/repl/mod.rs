//! Reading commands one after another, from a terminal or a pipe.
//!
//! Both run each line through [`Repl::line`]. From a pipe nothing is printed but replies, lines may be of any
//! length and bytes, and the end of the input ends the program with 0 whatever the replies were.

mod editor;
mod idle;
mod secrets;
mod terminal;

use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

use crate::command::is;
use crate::format::Mode;
use crate::number;
use crate::quote;
use crate::screen;
use crate::session::{Session, Stop};

pub use terminal::ask_password;

/// A command that takes longer than this has its time shown, in the form meant for people.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// Whether another line is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Line,
    Quit,
}

struct Repl {
    session: Session,
    /// Whether the syntax of a command is shown while it is typed.
    hints: bool,
}

/// Runs until `quit` or the end of the input.
pub fn run(mut session: Session) -> Result<(), Stop> {
    session.interactive = true;
    session.interrupt.listen();
    // Each command tries again, so that one may start the client before the server.
    let _ = session.connect(false);
    let mut repl = Repl { session, hints: true };
    if !std::io::stdin().is_terminal() {
        return repl.lines(false);
    }
    repl.load_preferences();
    // Terminals that cannot move the cursor get a plain prompt.
    let plain = std::env::var("TERM")
        .is_ok_and(|term| ["dumb", "cons25", "emacs"].contains(&term.as_str()));
    if plain { repl.lines(true) } else { terminal::run(&mut repl) }
}

impl Repl {
    fn lines(&mut self, prompt: bool) -> Result<(), Stop> {
        let mut stdin = std::io::stdin().lock();
        let mut line = Vec::new();
        loop {
            if prompt {
                screen::say(&format!("{}> ", self.session.prompt()));
            }
            line.clear();
            match stdin.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {}
            }
            if self.line(&line)? == Next::Quit {
                return Ok(());
            }
        }
    }

    /// Runs one line. Only what ends the program is an error.
    fn line(&mut self, line: &[u8]) -> Result<Next, Stop> {
        let Some(args) = quote::split(line) else {
            screen::say("Invalid argument(s)\n");
            return Ok(Next::Line);
        };
        let Some((args, repeat)) = repetition(&args) else {
            screen::say("Invalid eonkv-cli repeat command option value.\n");
            return Ok(Next::Line);
        };
        match args {
            [] => {}
            [name, ..] if is(name, "quit") || is(name, "exit") => return Ok(Next::Quit),
            [name, rest @ ..] if name.starts_with(b":") => self.prefer(name, rest, ""),
            [name, ..] if is(name, "restart") => {
                screen::say("Use 'restart' only in Lua debugging mode.\n")
            }
            [name, host, port] if is(name, "connect") => {
                self.session.options.socket = None;
                self.session.options.host.clone_from(host);
                self.session.options.port = number::leading_int(port);
                let _ = self.session.reconnect(false);
            }
            [name] if is(name, "clear") => screen::say("\x1b[H\x1b[2J"),
            args => return self.command(args, repeat),
        }
        Ok(Next::Line)
    }

    fn command(&mut self, args: &[Vec<u8>], repeat: i64) -> Result<Next, Stop> {
        let started = Instant::now();
        match self.session.issue(args, repeat) {
            Ok(()) | Err(Stop::Failed) => {}
            Err(stop) => return Err(stop),
        }
        let took = started.elapsed();
        if took >= WORTH_TELLING && self.session.options.format.mode == Mode::Standard {
            screen::say(&format!("({:.2}s)\n", took.as_secs_f64()));
        }
        Ok(Next::Line)
    }

    /// A `:command`; `place` says where a wrong one stands.
    fn prefer(&mut self, name: &[u8], words: &[Vec<u8>], place: &str) {
        match (is(name, ":set"), words.first()) {
            (true, Some(word)) if is(word, "hints") => self.hints = true,
            (true, Some(word)) if is(word, "nohints") => self.hints = false,
            (true, Some(word)) => {
                let word = String::from_utf8_lossy(word);
                screen::say(&format!("{place}unknown eonkv-cli preference '{word}'\n"));
            }
            _ => {
                let name = String::from_utf8_lossy(name);
                screen::say(&format!("{place}unknown eonkv-cli internal command '{name}'\n"));
            }
        }
    }

    fn load_preferences(&mut self) {
        let Some(path) = terminal::dot_file("REDISCLI_RCFILE", ".eonkvclirc") else {
            return;
        };
        let Ok(text) = std::fs::read(path) else {
            return;
        };
        for line in text.split(|byte| *byte == b'\n') {
            if let Some([name, rest @ ..]) = quote::split(line).as_deref() {
                self.prefer(name, rest, ".eonkvclirc: ");
            }
        }
    }
}

/// Takes a leading count off the words; `None` when it is one that cannot be counted.
fn repetition(args: &[Vec<u8>]) -> Option<(&[Vec<u8>], i64)> {
    let (Some(first), Some(rest)) = (args.first(), args.get(1..)) else {
        return Some((args, 1));
    };
    if rest.is_empty() {
        return Some((args, 1));
    }
    match number::split_int(first) {
        Some((times, [])) if times > 0 && times < i64::MAX => Some((rest, times)),
        Some((_, [])) => None,
        // The empty word counts as 0, so it is refused; anything else is a command's name.
        None if first.is_empty() => None,
        _ => Some((args, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_number_repeats() {
        let words = |line: &str| quote::split(line.as_bytes()).unwrap();
        let read = |line: &str| repetition(&words(line)).map(|(args, times)| (args.len(), times));
        assert_eq!(read("3 ping"), Some((1, 3)));
        assert_eq!(read("ping 3"), Some((2, 1)));
        assert_eq!(read("3"), Some((1, 1)), "alone it is a command");
        assert_eq!(read("3x ping"), Some((2, 1)));
        assert_eq!(read("0 ping"), None);
        assert_eq!(read("-1 ping"), None);
        assert_eq!(read("99999999999999999999 ping"), None);
        assert_eq!(read("'' ping"), None);
        assert_eq!(read(""), Some((0, 1)));
    }
}

//! Sending what the user typed: repetition, streaming, redirection, and what a command changes in the session.

use std::time::Duration;

use crate::args::Resp3;
use crate::conn::LinkError;
use crate::help;
use crate::number;
use crate::resp::Value;
use crate::screen;
use crate::session::{Redirect, Session, Stop, Stream};

/// What the session must know of a reply that was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Error,
    Nil,
    Other,
    /// No reply: the connection ended as expected, or a Ctrl-C ended the stream.
    Gone,
}

impl Session {
    /// Runs one command `repeat` times (for ever if negative) and prints its replies.
    pub fn issue(&mut self, args: &[Vec<u8>], repeat: i64) -> Result<(), Stop> {
        let Some(name) = args.first() else {
            return Ok(());
        };
        if is(name, "help") || is(name, "?") {
            help::print(self, args.get(1..).unwrap_or_default());
            return Ok(());
        }
        loop {
            self.connect(false)?;
            if let Some(Redirect { asking: true }) = self.redirect.take() {
                self.ask(&["ASKING"])?;
            }
            self.send(args, repeat)?;
            if self.redirect.is_none() {
                return Ok(());
            }
            // The next node is a new server: drop the link so that `connect` goes there.
            self.link = None;
        }
    }

    fn send(&mut self, args: &[Vec<u8>], mut repeat: i64) -> Result<(), Stop> {
        let verbatim = is_page(args);
        let name = args.first().map(Vec::as_slice).unwrap_or_default();
        self.shutting_down |= is(name, "shutdown");
        while repeat != 0 {
            repeat = if repeat > 0 { repeat - 1 } else { repeat };
            self.queue(args);
            if is(name, "monitor") {
                return self.stream(Stream::Monitor, verbatim);
            }
            if ["subscribe", "psubscribe", "ssubscribe"].iter().any(|word| is(name, word)) {
                if self.options.format.mode != crate::format::Mode::Raw {
                    screen::say("Reading messages... (press Ctrl-C to quit)\n");
                }
                self.stream(Stream::Subscription, verbatim)?;
                continue;
            }
            let seen = self.print_reply(verbatim)?;
            if self.redirect.is_some() || seen == Seen::Gone {
                break;
            }
            self.remember(args, seen)?;
            if self.options.interval_us > 0 {
                std::thread::sleep(Duration::from_micros(self.options.interval_us));
            }
        }
        Ok(())
    }

    /// Prints messages until an error reply, a lost connection or Ctrl-C.
    fn stream(&mut self, kind: Stream, verbatim: bool) -> Result<(), Stop> {
        self.stream = kind;
        if self.interactive
            && let Some(link) = &self.link
        {
            self.interrupt.stream_starts(link.socket());
        }
        let ended = loop {
            match self.print_reply(verbatim) {
                Ok(Seen::Error | Seen::Gone) => break Ok(()),
                Ok(_) => {}
                Err(stop) => break Err(stop),
            }
        };
        self.interrupt.stream_ends();
        self.stream = Stream::None;
        ended
    }

    /// Waits for one reply and prints it.
    fn print_reply(&mut self, verbatim: bool) -> Result<Seen, Stop> {
        let value = match self.receive() {
            Ok(value) => value,
            Err(error) => return self.lost(&error),
        };
        if let Value::Error(text) = &value {
            if self.options.cluster
                && let Some((host, port, asking)) = redirection(text)
            {
                self.follow(host, port, asking, text);
                return Ok(Seen::Other);
            }
            if self.options.error_exit && !self.interactive {
                screen::complain_bytes(text);
                return Err(Stop::Exit(1));
            }
        }
        screen::put(&self.options.format.reply(&value, verbatim));
        Ok(match value {
            Value::Error(_) => Seen::Error,
            Value::Nil => Seen::Nil,
            _ => Seen::Other,
        })
    }

    fn lost(&mut self, error: &LinkError) -> Result<Seen, Stop> {
        if self.interrupt.take_hung_up() {
            self.stream = Stream::None;
            // The terminal shows the key that was pressed: what follows starts on its own line.
            screen::complain("");
            self.reconnect(false)?;
            return Ok(Seen::Gone);
        }
        self.link = None;
        if self.shutting_down {
            self.shutting_down = false;
            return Ok(Seen::Gone);
        }
        screen::complain(&format!("Error: {error}"));
        let goes_on = self.interactive && error.is_loss();
        Err(if goes_on { Stop::Failed } else { Stop::Exit(1) })
    }

    fn follow(&mut self, host: Vec<u8>, port: i64, asking: bool, text: &[u8]) {
        self.options.host = host;
        self.options.port = port;
        self.redirect = Some(Redirect { asking });
        if self.interactive {
            let slot = text.split(|byte| *byte == b' ').nth(1).map_or(0, number::leading_int);
            let host = String::from_utf8_lossy(&self.options.host);
            screen::say(&format!("-> Redirected to slot [{slot}] located at {host}:{port}\n"));
        }
    }

    /// Takes note of what a command changed, so that prompt and reconnection are right.
    fn remember(&mut self, args: &[Vec<u8>], seen: Seen) -> Result<(), Stop> {
        let words: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let failed = seen == Seen::Error;
        match words.as_slice() {
            [name, db] if is(name, "select") && !failed => {
                self.db = number::leading_int(db);
                self.wanted_db = self.db;
            }
            [name, rest @ .., password] if is(name, "auth") && rest.len() <= 1 => {
                if !failed {
                    self.options.user = rest.first().map(|user| user.to_vec());
                    self.options.password = Some(password.to_vec());
                }
                self.select()?;
            }
            [name] if is(name, "multi") && !failed => {
                self.in_multi = true;
                self.db_before_multi = self.db;
            }
            [name] if is(name, "exec") && self.in_multi => {
                self.in_multi = false;
                if matches!(seen, Seen::Error | Seen::Nil) {
                    self.back_before_multi();
                }
            }
            [name] if is(name, "discard") && !failed => {
                self.in_multi = false;
                self.back_before_multi();
            }
            [name] if is(name, "reset") && !failed => {
                self.in_multi = false;
                self.db = 0;
                self.wanted_db = 0;
                self.options.resp3 = Resp3::No;
            }
            [name, b"3", ..] if is(name, "hello") && !failed => {
                self.options.resp3 = Resp3::Required
            }
            [name, b"2", ..] if is(name, "hello") && !failed => self.options.resp3 = Resp3::No,
            _ => {}
        }
        Ok(())
    }

    fn back_before_multi(&mut self) {
        self.db = self.db_before_multi;
        self.wanted_db = self.db;
    }
}

/// Whether a typed word is this command or option, in any case.
pub fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// Commands whose reply is a page of text, to be printed as it is in every output mode.
fn is_page(args: &[Vec<u8>]) -> bool {
    let words: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    match words.as_slice() {
        [name, ..] if is(name, "info") || is(name, "lolwut") => true,
        [name, sub, rest @ ..] => {
            let any = |names: &[&str]| names.iter().any(|name| is(sub, name));
            (is(name, "debug") && any(&["htstats", "htstats-key", "client-eviction"]))
                || (is(name, "memory") && any(&["malloc-stats", "doctor"]))
                || (is(name, "client") && any(&["list", "info"]))
                || (is(name, "proxy") && any(&["info"]))
                || (is(name, "cluster") && rest.is_empty() && any(&["nodes", "info"]))
                || (is(name, "latency") && rest.len() == 1 && any(&["graph"]))
                || (is(name, "latency") && rest.is_empty() && any(&["doctor"]))
        }
        _ => false,
    }
}

/// The node that a `MOVED slot host:port` or `ASK slot host:port` error points to.
fn redirection(text: &[u8]) -> Option<(Vec<u8>, i64, bool)> {
    let asking = text.starts_with(b"ASK ");
    if !asking && !text.starts_with(b"MOVED ") {
        return None;
    }
    let node = text.split(|byte| *byte == b' ').nth(2)?;
    let colon = node.iter().rposition(|byte| *byte == b':')?;
    let port = number::leading_int(node.get(colon + 1..)?);
    Some((node.get(..colon)?.to_vec(), port, asking))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn pages() {
        for line in [
            "INFO",
            "info server",
            "lolwut",
            "memory doctor",
            "CLUSTER NODES",
            "latency graph x",
            "client list x",
        ] {
            assert!(is_page(&args(line)), "{line}");
        }
        for line in [
            "get info",
            "cluster nodes x",
            "latency graph",
            "latency doctor x",
            "memory",
            "debug object x",
        ] {
            assert!(!is_page(&args(line)), "{line}");
        }
    }

    #[test]
    fn redirections() {
        assert_eq!(
            redirection(b"MOVED 3999 127.0.0.1:6381"),
            Some((b"127.0.0.1".to_vec(), 6381, false))
        );
        assert_eq!(redirection(b"ASK 1 ::1:7"), Some((b"::1".to_vec(), 7, true)));
        assert_eq!(redirection(b"MOVED 1"), None);
        assert_eq!(redirection(b"MOVEDX 1 a:1"), None);
        assert_eq!(redirection(b"ASK 1 nowhere"), None);
    }
}

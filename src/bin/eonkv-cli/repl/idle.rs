//! Messages that the server sends of its own accord while a line is being typed: they are shown above
//! the line at once, not before the next command's reply.
//!
//! The editor has the terminal and calls back about ten times a second, so everything stays in one
//! thread. The connection is in the editor's hands while it reads a line ([`Idle::begin`],
//! [`Idle::end`]) and in the session's otherwise.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;
use reedline::{ExternalPrinter, Reedline};

use crate::conn::Link;
use crate::format::Format;
use crate::resp::Value;
use crate::session::Session;

/// Messages shown at one time; more wait for the next.
const AT_ONCE: usize = 100;

/// The connection while a line is being typed.
#[derive(Debug, Clone, Default)]
pub struct Idle(Arc<Mutex<Option<Watched>>>);

#[derive(Debug)]
struct Watched {
    link: Link,
    format: Format,
    show: bool,
    /// Whether the connection still works as far as is known; if not, the next command finds out.
    good: bool,
}

impl Idle {
    /// Takes the connection out of `session`.
    pub fn begin(&self, session: &mut Session) {
        let options = &session.options;
        let (format, show) = (options.format.clone(), options.show_pushes);
        *self.0.lock() = session.link.take().map(|link| Watched { link, format, show, good: true });
    }

    /// Gives it back.
    pub fn end(&self, session: &mut Session) {
        session.link = self.0.lock().take().map(|watched| watched.link);
    }

    /// Texts of the messages that have come.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if let Some(watched) = &mut *self.0.lock() {
            while watched.good && texts.len() < AT_ONCE {
                match watched.link.poll() {
                    Ok(Some(value @ Value::Push(_))) if watched.show => {
                        let text = watched.format.push(&value);
                        texts.push(String::from_utf8_lossy(&text).into_owned());
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => watched.good = false,
                }
            }
        }
        texts
    }
}

/// Has `editor` show messages of the connection that `idle` holds.
pub fn watch(editor: Reedline, idle: &Idle) -> Reedline {
    let printer = ExternalPrinter::new(AT_ONCE);
    let (sender, idle): (SyncSender<String>, Idle) = (printer.sender(), idle.clone());
    editor.with_external_printer(printer).with_idle_callback(Box::new(move || {
        for text in idle.texts() {
            // The printer is emptied between two calls, and holds all that one call sends.
            let _ = sender.try_send(text);
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Options;
    use std::io::Write;
    use std::time::{Duration, Instant};

    #[test]
    fn messages_are_shown_while_nobody_asks() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut session = Session::new(Options::new(true));
        session.options.port = i64::from(listener.local_addr().unwrap().port());
        session.connect(false).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let idle = Idle::default();
        let texts = |count: usize| {
            let (mut all, began) = (Vec::new(), Instant::now());
            while all.len() < count && began.elapsed() < Duration::from_secs(5) {
                all.extend(idle.texts());
            }
            all
        };
        idle.begin(&mut session);
        assert!(session.link.is_none() && idle.texts().is_empty());
        server.write_all(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n>2\r\n+x\r\n").unwrap();
        assert_eq!(texts(1), ["-> invalidate: 'a'\n"]);
        server.write_all(b"+y\r\n").unwrap();
        assert_eq!(texts(1).len(), 1, "a message in two pieces");
        idle.end(&mut session);
        server.write_all(b"+PONG\r\n").unwrap();
        assert_eq!(session.ask(&["PING"]).unwrap(), Value::Status(b"PONG".to_vec()));
        drop(server);
        idle.begin(&mut session);
        assert!(texts(1).is_empty(), "the end of the connection is no message");
        idle.end(&mut session);
        assert!(session.ask(&["PING"]).is_err());
    }
}

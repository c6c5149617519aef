//! What must be true of a connection before a command goes out on it, and how to make it so again.
//!
//! - **C1** A fresh connection is authenticated, has its database selected and speaks the RESP version that
//!   was asked for, in this order, before anything else is sent.
//! - **C2** `db` is what the server has selected; `wanted_db` is what the user wants. They differ only
//!   between a lost connection and the next [`Session::connect`].
//! - **C3** Out-of-band messages never count as the reply to a command: they are printed or dropped
//!   on the way, except while a subscription streams.

use crate::args::{Options, Resp3};
use crate::conn::{Link, LinkError};
use crate::interrupt::Interrupt;
use crate::resp::Value;
use crate::screen;

/// Why a step did not succeed. The user has been told already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// This command failed; an interactive session goes on.
    Failed,
    /// The program ends with this code.
    Exit(u8),
}

/// What keeps sending messages without being asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    None,
    Monitor,
    Subscription,
}

#[derive(Debug)]
pub struct Session {
    pub options: Options,
    pub link: Option<Link>,
    pub interactive: bool,
    /// The database the server has selected (C2).
    pub db: i64,
    pub wanted_db: i64,
    pub in_multi: bool,
    /// Where to return to when a transaction that selected another database is given up.
    pub db_before_multi: i64,
    /// SHUTDOWN was sent: a closed connection is the answer, not an error.
    pub shutting_down: bool,
    pub stream: Stream,
    pub interrupt: Interrupt,
    /// A cluster node pointed elsewhere: connect there and send the command again, after ASKING if set.
    pub redirect: Option<Redirect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    pub asking: bool,
}

impl Session {
    pub fn new(options: Options) -> Self {
        Session {
            wanted_db: options.db,
            options,
            link: None,
            interactive: false,
            db: 0,
            in_multi: false,
            db_before_multi: 0,
            shutting_down: false,
            stream: Stream::None,
            interrupt: Interrupt::default(),
            redirect: None,
        }
    }

    /// A connection that is ready (C1), keeping the present one if there is one.
    /// `quiet` leaves out that nobody answers; a refused password is always told.
    pub fn connect(&mut self, quiet: bool) -> Result<(), Stop> {
        if self.link.is_some() {
            return Ok(());
        }
        self.db = 0;
        self.in_multi = false;
        match Link::open(&self.options) {
            Ok(link) => self.link = Some(link),
            Err(_) if quiet => return Err(Stop::Failed),
            Err(text) => {
                let server = self.server();
                screen::complain(&format!("Could not connect to Redis at {server}: {text}"));
                return Err(Stop::Failed);
            }
        }
        self.authenticate()?;
        self.select()?;
        self.switch_protocol()
    }

    /// The same, on a new connection.
    pub fn reconnect(&mut self, quiet: bool) -> Result<(), Stop> {
        self.link = None;
        self.connect(quiet)
    }

    /// The address as messages name it.
    fn server(&self) -> String {
        match &self.options.socket {
            Some(path) => String::from_utf8_lossy(path).into_owned(),
            None => {
                format!("{}:{}", String::from_utf8_lossy(&self.options.host), self.options.port)
            }
        }
    }

    /// What stands before the cursor, without the mark behind it.
    pub fn prompt(&self) -> String {
        let mut text = match (&self.link, &self.options.socket) {
            (None, _) => return "not connected".to_owned(),
            (_, Some(path)) => format!("eonkv {}", String::from_utf8_lossy(path)),
            (_, None) if self.options.host.contains(&b':') => {
                format!("[{}]:{}", String::from_utf8_lossy(&self.options.host), self.options.port)
            }
            (_, None) => self.server(),
        };
        if self.db != 0 {
            text.push_str(&format!("[{}]", self.db));
        }
        if self.in_multi {
            text.push_str("(TX)");
        }
        text
    }

    fn authenticate(&mut self) -> Result<(), Stop> {
        let Some(password) = self.options.password.clone() else {
            return Ok(());
        };
        let mut args = vec![b"AUTH".to_vec()];
        args.extend(self.options.user.clone());
        args.push(password);
        match self.ask(&args)? {
            Value::Error(text) => {
                screen::complain_bytes(&[b"AUTH failed: ", text.as_slice()].concat());
                Err(Stop::Failed)
            }
            _ => Ok(()),
        }
    }

    /// Brings the server's database in line with the wanted one.
    pub fn select(&mut self) -> Result<(), Stop> {
        if self.wanted_db == self.db {
            return Ok(());
        }
        let wanted = self.wanted_db.to_string();
        match self.ask(&[b"SELECT".as_slice(), wanted.as_bytes()])? {
            Value::Error(text) => {
                screen::complain_bytes(
                    &[format!("SELECT {wanted} failed: ").as_bytes(), &text].concat(),
                );
                Err(Stop::Failed)
            }
            _ => {
                self.db = self.wanted_db;
                Ok(())
            }
        }
    }

    fn switch_protocol(&mut self) -> Result<(), Stop> {
        if self.options.resp3 == Resp3::No || self.options.resp2 {
            return Ok(());
        }
        match self.ask(&["HELLO", "3"])? {
            Value::Error(text) => {
                screen::complain_bytes(&[b"HELLO 3 failed: ", text.as_slice()].concat());
                if self.options.resp3 == Resp3::Required { Err(Stop::Failed) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Sends one request of our own and waits for its reply.
    pub fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, Stop> {
        self.call(args).map_err(|_| {
            screen::complain("\nI/O error");
            Stop::Failed
        })
    }

    /// The same, leaving it to the caller to explain a failure.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, LinkError> {
        self.queue(args);
        self.receive()
    }

    /// Puts a request behind the ones already queued.
    pub fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        if let Some(link) = &mut self.link {
            link.queue(args);
        }
    }

    /// The next reply to a command; see C3 for what happens to other messages.
    pub fn receive(&mut self) -> Result<Value, LinkError> {
        loop {
            let link = self.link.as_mut().ok_or(LinkError::Closed)?;
            let value = link.receive()?;
            match value {
                Value::Push(_) if self.stream != Stream::Subscription => {
                    if self.options.show_pushes {
                        screen::put(&self.options.format.push(&value));
                    }
                }
                value => return Ok(value),
            }
        }
    }

    /// Sends a request until it is answered, connecting anew once a second; for the modes that run for ever.
    pub fn persist<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, Stop> {
        let mut tries = 0;
        loop {
            match self.call(args) {
                Ok(value) => {
                    if tries > 0 {
                        screen::say("\r\x1b[0K");
                    }
                    return Ok(value);
                }
                Err(LinkError::Protocol(error)) => {
                    screen::complain(&format!("Error: {error}"));
                    return Err(Stop::Exit(1));
                }
                Err(_) => {
                    tries += 1;
                    screen::say(&format!("\r\x1b[0KReconnecting... {tries}\r"));
                    let _ = self.reconnect(true);
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_shows_where_one_is() {
        let mut session = Session::new(Options::new(true));
        assert_eq!(session.prompt(), "not connected");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        session.options.port = i64::from(listener.local_addr().unwrap().port());
        session.connect(false).unwrap();
        let server = format!("127.0.0.1:{}", session.options.port);
        assert_eq!(session.prompt(), server);
        session.db = 3;
        session.in_multi = true;
        assert_eq!(session.prompt(), format!("{server}[3](TX)"));
        session.options.host = b"::1".to_vec();
        session.db = 0;
        session.in_multi = false;
        assert_eq!(session.prompt(), format!("[::1]:{}", session.options.port));
        session.options.socket = Some(b"/tmp/s".to_vec());
        assert_eq!(session.prompt(), "eonkv /tmp/s");
    }
}

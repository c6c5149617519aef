//! The server under test: its address, how to get connected, and what is asked before measuring.
//!
//! Keeps true: names are looked up once, before any clock runs; all connections of a run go to the
//! same address; the password never appears in a message.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Failure, plain};
use crate::walker::{Observer, Stop, Walker};

/// How long the first questions may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server's address as the user gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Tcp(host, port) => write!(f, "{host}:{port}"),
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    /// `HOST:PORT` (with `[…]` around an IPv6 address) or a socket's path, which has a slash.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Target::Unix(PathBuf::from(text)));
        }
        let wrong = || format!("expected HOST:PORT or a socket's path, not {text:?}");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() { Err(wrong()) } else { Ok(Target::Tcp(host.to_owned(), port)) }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        // Rust wraps the resolver's words; users know the bare ones.
        let text = plain(error);
        let prefix = "failed to lookup address information: ";
        Failure::Connect(self.to_string(), text.strip_prefix(prefix).unwrap_or(&text).to_owned())
    }

    /// Finds an address that accepts connections, greets the server there and asks for the
    /// configuration that reports quote.
    pub fn probe(&self, greeting: &Greeting) -> Result<Server, Failure> {
        let (address, mut stream) = self.dial().map_err(|error| self.unreachable(&error))?;
        for question in &greeting.commands {
            if let Answer::Error(text) = ask(&mut *stream, question)? {
                return Err(Failure::Refused(self.to_string(), text));
            }
        }
        let mut configuration = Vec::new();
        for name in ["save", "appendonly"] {
            match ask(&mut *stream, &["CONFIG", "GET", name])? {
                Answer::Error(text) if text.starts_with("NOAUTH") => {
                    return Err(Failure::Refused(self.to_string(), text));
                }
                Answer::Error(_) => {}
                Answer::Strings(pair) => configuration.extend(pair.into_iter().nth(1)),
            }
        }
        let configuration = match <[String; 2]>::try_from(configuration) {
            Ok([save, append_only]) => Some((save, append_only)),
            Err(_) => None,
        };
        Ok(Server { target: self.clone(), address, configuration })
    }

    fn dial(&self) -> io::Result<(Address, Box<dyn Dialog>)> {
        match self {
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok((Address::Unix(path.clone()), Box::new(stream)))
            }
            Target::Tcp(host, port) => {
                let mut last = io::Error::from(io::ErrorKind::NotFound);
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect(address) {
                        Ok(stream) => {
                            stream.set_read_timeout(Some(PATIENCE))?;
                            return Ok((Address::Tcp(address), Box::new(stream)));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

trait Dialog: Read + Write {}
impl Dialog for TcpStream {}
impl Dialog for UnixStream {}

/// A server that answered.
#[derive(Debug, Clone)]
pub struct Server {
    pub target: Target,
    pub address: Address,
    /// Its `save` and `appendonly`, unless it does not tell.
    pub configuration: Option<(String, String)>,
}

/// Where connections go.
#[derive(Debug, Clone)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What every connection says before its first request.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    commands: Vec<Vec<String>>,
}

impl Greeting {
    /// Adds a command.
    pub fn say(&mut self, words: &[&str]) {
        self.commands.push(words.iter().map(|&word| word.to_owned()).collect());
    }

    /// All of it, encoded.
    pub fn bytes(&self) -> Vec<u8> {
        self.commands.iter().flat_map(|words| encode(words)).collect()
    }

    /// How many replies it gets.
    pub fn replies(&self) -> usize {
        self.commands.len()
    }
}

fn encode<W: AsRef<str>>(words: &[W]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len());
    for word in words {
        let word = word.as_ref();
        out.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    out.into_bytes()
}

enum Answer {
    Error(String),
    /// The strings in the reply, in order.
    Strings(Vec<String>),
}

/// Gathers the strings of one reply.
#[derive(Default)]
struct Gather(Vec<Vec<u8>>);

impl Observer for Gather {
    fn line(&mut self, line: &[u8]) {
        match line.first() {
            Some(b'$' | b'=') => self.0.push(Vec::new()),
            Some(b'+') => self.0.push(line[1..].to_vec()),
            _ => {}
        }
    }
    fn body(&mut self, bytes: &[u8]) {
        if let Some(string) = self.0.last_mut() {
            string.extend_from_slice(bytes);
        }
    }
}

/// Asks one question and waits for its answer.
fn ask<W: AsRef<str>>(stream: &mut dyn Dialog, words: &[W]) -> Result<Answer, Failure> {
    stream.write_all(&encode(words)).map_err(|error| Failure::broken(&error))?;
    let (mut walker, mut gather, mut buffer) = (Walker::default(), Gather::default(), [0; 4096]);
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Err(Failure::Broken("Server closed the connection".to_owned())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::broken(&error)),
        };
        match walker.feed(&buffer[..read], &mut gather) {
            Ok(0) => {}
            Ok(_) => break,
            Err(Stop::ErrorReply(text)) => return Ok(Answer::Error(text)),
            Err(Stop::Malformed(text)) => return Err(Failure::Broken(protocol(&text))),
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer::Strings(gather.0.into_iter().map(text).collect()))
}

/// The message for a reply that is none.
pub fn protocol(what: &str) -> String {
    format!("Protocol error, {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed() {
        let tcp = |host: &str, port| Ok(Target::Tcp(host.to_owned(), port));
        assert_eq!(Target::parse("localhost:7000"), tcp("localhost", 7000));
        assert_eq!(Target::parse("[::1]:7000"), tcp("::1", 7000));
        assert_eq!(Target::parse("./s.sock"), Ok(Target::Unix(PathBuf::from("./s.sock"))));
        for text in ["localhost", ":7000", "h:", "h:x", "h:65536", ""] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_greeting_is_encoded_in_order() {
        let mut greeting = Greeting::default();
        greeting.say(&["AUTH", "pw"]);
        greeting.say(&["SELECT", "3"]);
        let expected = b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
        assert_eq!((greeting.bytes().as_slice(), greeting.replies()), (&expected[..], 2));
    }
}

//! One connection: a socket, the requests queued on it, the decoder of what it answers.
//!
//! It knows nothing of AUTH, SELECT or printing; `session` does. Error texts are the ones users of redis-cli
//! know, since they end up in logs and get searched for.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::args::{Family, Options};
use crate::resp::{Decoder, ProtocolError, Value};

/// Probing this often finds a dead server while a long command runs.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Bytes asked of the socket at once.
const READ_SIZE: usize = 16 * 1024;

#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// A second handle to the same connection, for another thread.
    pub fn share(&self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Tcp(stream) => Socket::Tcp(stream.try_clone()?),
            Socket::Unix(stream) => Socket::Unix(stream.try_clone()?),
        })
    }

    /// Ends the connection under whoever is waiting on it.
    pub fn hang_up(&self) {
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Whether a read waits at all.
    fn blocking(&self, on: bool) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_nonblocking(!on),
            Socket::Unix(stream) => stream.set_nonblocking(!on),
        }
    }

    /// How long a read may wait; `None` is for ever.
    pub fn wait_at_most(&self, time: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_read_timeout(time),
            Socket::Unix(stream) => stream.set_read_timeout(time),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).read(into),
            Socket::Unix(stream) => (&mut &*stream).read(into),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).write(bytes),
            Socket::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a connection cannot be used any more.
#[derive(Debug)]
pub enum LinkError {
    Closed,
    Io(io::Error),
    Protocol(ProtocolError),
}

impl LinkError {
    /// Whether the server went away, which a new connection may mend.
    pub fn is_loss(&self) -> bool {
        match self {
            LinkError::Closed => true,
            LinkError::Io(error) => {
                matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
            }
            LinkError::Protocol(_) => false,
        }
    }

    /// Whether the time allowed by [`Socket::wait_at_most`] passed; the connection is still good.
    pub fn is_timeout(&self) -> bool {
        matches!(self, LinkError::Io(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Closed => f.write_str("Server closed the connection"),
            LinkError::Io(error) => f.write_str(&plain(error)),
            LinkError::Protocol(error) => error.fmt(f),
        }
    }
}

/// The system's own words for an error, without Rust's additions before and behind them.
pub fn plain(error: &io::Error) -> String {
    if error.raw_os_error().is_none() && error.kind() == ErrorKind::TimedOut {
        return "Connection timed out".to_owned();
    }
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

#[derive(Debug)]
pub struct Link {
    socket: Socket,
    decoder: Decoder,
    unsent: Vec<u8>,
}

impl Link {
    /// Connects to the socket or host that the options name. The error is a text to show.
    pub fn open(options: &Options) -> Result<Link, String> {
        let socket = match &options.socket {
            Some(path) => UnixStream::connect(std::ffi::OsStr::from_bytes(path)).map(Socket::Unix),
            None => open_tcp(options).map(Socket::Tcp),
        };
        let socket = socket.map_err(|error| plain(&error))?;
        Ok(Link { socket, decoder: Decoder::default(), unsent: Vec::new() })
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Queues a request; [`Link::receive`] sends it.
    pub fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        encode(args, &mut self.unsent);
    }

    /// The next value from the server, whatever it is; sends what is queued before it waits.
    pub fn receive(&mut self) -> Result<Value, LinkError> {
        if let Some(value) = self.decoder.next().map_err(LinkError::Protocol)? {
            return Ok(value);
        }
        let unsent = std::mem::take(&mut self.unsent);
        (&self.socket).write_all(&unsent).map_err(LinkError::Io)?;
        let mut bytes = [0; READ_SIZE];
        loop {
            match (&self.socket).read(&mut bytes) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(len) => self.decoder.feed(bytes.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(LinkError::Io(error)),
            }
            if let Some(value) = self.decoder.next().map_err(LinkError::Protocol)? {
                return Ok(value);
            }
        }
    }
}

impl Link {
    /// A value that has come without being asked for, if there is a whole one; does not wait.
    pub fn poll(&mut self) -> Result<Option<Value>, LinkError> {
        if let Some(value) = self.decoder.next().map_err(LinkError::Protocol)? {
            return Ok(Some(value));
        }
        self.socket.blocking(false).map_err(LinkError::Io)?;
        let mut bytes = [0; READ_SIZE];
        let read = (&self.socket).read(&mut bytes);
        self.socket.blocking(true).map_err(LinkError::Io)?;
        match read {
            Ok(0) => return Err(LinkError::Closed),
            Ok(len) => self.decoder.feed(bytes.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(LinkError::Io(error)),
        }
        self.decoder.next().map_err(LinkError::Protocol)
    }
}

/// Appends a request in the form every server takes: an array of length-prefixed strings.
pub fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn open_tcp(options: &Options) -> io::Result<TcpStream> {
    let host = String::from_utf8_lossy(&options.host);
    let port = u16::try_from(options.port & 0xffff).unwrap_or_default();
    let mut addresses: Vec<SocketAddr> = (host.as_ref(), port).to_socket_addrs()?.collect();
    addresses.sort_by_key(|address| address.is_ipv4() != (options.family == Family::V4));
    let limit = options.connect_timeout;
    let mut failure = io::Error::new(ErrorKind::NotFound, "Name or service not known");
    for address in addresses {
        let opened = if limit > 0.0 {
            let limit = Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX);
            TcpStream::connect_timeout(&address, limit)
        } else {
            TcpStream::connect(address)
        };
        match opened {
            Ok(stream) => {
                let keepalive =
                    TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
                // Both are comforts: a connection without them still works.
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_arrays_of_bulks() {
        let mut out = Vec::new();
        encode(&[b"SET".as_slice(), b"k\r\n", b""], &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
    }

    #[test]
    fn errors_read_as_the_system_says() {
        assert_eq!(plain(&io::Error::from_raw_os_error(111)), "Connection refused");
        assert_eq!(plain(&io::Error::new(ErrorKind::TimedOut, "x")), "Connection timed out");
        assert_eq!(LinkError::Closed.to_string(), "Server closed the connection");
        assert!(LinkError::Io(io::Error::from_raw_os_error(104)).is_loss());
        assert!(!LinkError::Protocol(ProtocolError::Nil).is_loss());
    }
}

//! A non-blocking connection, TCP or unix, that mio can watch.
//!
//! Keeps true: "not yet" is `Ok(None)`, so callers need not know which of the system's errors mean it.

use std::io::{self, ErrorKind, Read, Write};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::target::Address;

/// A connection that may still be on its way to being connected.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Begins connecting and has `registry` watch the stream, edge-triggered, for both directions.
    ///
    /// Both at once and for good: edges cost nothing while nothing changes, and changing the interest
    /// around every batch would be two more system calls for each.
    pub fn open(address: &Address, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut stream = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(*address)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            // A unix socket connects at once, or fails when the server's queue is full; waiting is
            // what a blocking connect does.
            Address::Unix(path) => {
                let stream = std::os::unix::net::UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Stream::Unix(UnixStream::from_std(stream))
            }
        };
        registry.register(stream.source(), token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }

    /// Whether connecting has succeeded; its failure is the error.
    pub fn connected(&self) -> io::Result<bool> {
        let Stream::Tcp(stream) = self else { return Ok(true) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what is there. `None`: nothing yet; 0: the server closed.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        retried(|| match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        })
    }

    /// Writes what fits. `None`: nothing does now.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        retried(|| match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        })
    }
}

#[inline]
fn retried(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match attempt() {
            Ok(count) => return Ok(Some(count)),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                // Not connected: some systems say so while the connection is being made.
                ErrorKind::WouldBlock | ErrorKind::NotConnected => return Ok(None),
                _ => return Err(error),
            },
        }
    }
}

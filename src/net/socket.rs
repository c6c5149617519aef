//! A TCP or unix stream, told apart once here.

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

/// A connected stream in non-blocking mode.
#[derive(Debug)]
pub enum Socket {
    /// TCP, over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    /// Number of the descriptor.
    pub fn fd(&self) -> i32 {
        either!(self, stream => stream.as_raw_fd())
    }

    /// Reads into `first`, then into `second`.
    pub fn read(&mut self, first: &mut [u8], second: &mut [u8]) -> io::Result<usize> {
        if first.is_empty() {
            return either!(self, stream => stream.read(second));
        }
        let mut parts = [IoSliceMut::new(first), IoSliceMut::new(second)];
        either!(self, stream => stream.read_vectored(&mut parts))
    }

    /// Writes one slice.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.write(bytes))
    }

    /// Writes several slices, in order.
    pub fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => stream.write_vectored(parts))
    }

    /// Nothing more will be written.
    pub fn finish(&self) {
        // If it fails the connection is gone already, which is what is wanted.
        let _ = either!(self, stream => stream.shutdown(Shutdown::Write));
    }

    /// Registers for both directions, edge-triggered; never changed afterwards.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        either!(self, stream => stream.register(registry, token, both))
    }
}

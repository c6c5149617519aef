//! Listening sockets, and what is decided about a connection before it becomes a client.

use super::socket::Socket;
use crate::config::Config;
use mio::net::{TcpListener, UnixListener};
use socket2::{Domain, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// A socket that takes connections.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// An accepted connection and where it comes from.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub socket: Socket,
    /// Address of the other end.
    pub peer: String,
    /// Address of this end.
    pub local: String,
    /// From this machine.
    pub is_local: bool,
    /// By the unix socket.
    pub unix: bool,
}

impl Listener {
    /// The next connection; `None` when there is none at the moment.
    pub fn accept(&self, config: &Config) -> io::Result<Option<Accepted>> {
        let accepted = match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, peer)| {
                tune(&SockRef::from(&stream), config);
                let local = stream.local_addr().map_or_else(|_| String::new(), address);
                let is_local = peer.ip().to_canonical().is_loopback();
                let (socket, peer) = (Socket::Tcp(stream), address(peer));
                Accepted { socket, peer, local, is_local, unix: false }
            }),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| {
                let place = format!("{}:0", config.unixsocket);
                let (peer, local) = (place.clone(), place);
                Accepted { socket: Socket::Unix(stream), peer, local, is_local: true, unix: true }
            }),
        };
        match accepted {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if is_transient(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `ip:port`, IPv6 in brackets, a mapped IPv4 address as such.
fn address(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
    )
}

/// No delay, and probes that find dead peers. A socket that refuses works all the same.
fn tune(socket: &SockRef<'_>, config: &Config) {
    let _ = socket.set_tcp_nodelay(true);
    if config.tcp_keepalive > 0 {
        let seconds = u64::from(config.tcp_keepalive);
        let probes = TcpKeepalive::new()
            .with_time(Duration::from_secs(seconds))
            .with_interval(Duration::from_secs((seconds / 3).max(1)))
            .with_retries(3);
        let _ = socket.set_tcp_keepalive(&probes);
    }
}

/// Opens the TCP sockets of `bind` on `port`. An address with `-` before it may be missing.
pub fn tcp(bind: &[String], port: u16, backlog: u32) -> io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    if port == 0 {
        return Ok(listeners);
    }
    for text in bind {
        let (optional, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        match open(text, port, backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) if optional && is_absent(&error) => {}
            Err(error) => {
                tracing::warn!(
                    "Could not create server TCP listening socket {text}:{port}: {error}"
                );
                return Err(error);
            }
        }
    }
    Ok(listeners)
}

/// The address, or its whole family, does not exist here.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || matches!(
            error.raw_os_error(),
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
        )
}

fn open(text: &str, port: u16, backlog: u32) -> io::Result<Listener> {
    let ip = address_of(text, port)?;
    let address = SocketAddr::new(ip, port);
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?; // so `*` and `::*` may stand side by side
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(Listener::Tcp(TcpListener::from_std(socket.into())))
}

fn address_of(name: &str, port: u16) -> io::Result<IpAddr> {
    match name {
        "*" => return Ok(IpAddr::from([0_u8; 4])),
        "::*" => return Ok(IpAddr::from([0_u16; 8])),
        _ => {}
    }
    let mut found = (name, port).to_socket_addrs()?;
    let none = || io::Error::new(ErrorKind::AddrNotAvailable, "no address");
    Ok(found.next().ok_or_else(none)?.ip())
}

/// Opens the unix socket at `path`, in place of an abandoned one. `mode` 0 leaves it to the umask.
pub fn unix(path: &Path, mode: u32) -> io::Result<Listener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    if mode != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(Listener::Unix(listener))
}

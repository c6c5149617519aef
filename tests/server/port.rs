//! Ports for servers under test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A port that nobody listens to, nor gets by asking for any: those that the kernel hands out are above
/// these, so no other test, and no client's end of a connection, has it by the time that the server does.
///
/// It is asked for without listening. Another thread that starts a process meanwhile hands a copy of the
/// socket to it, for a moment; one that listened would take the connections meant for the server and
/// reset them.
pub fn free_port() -> u16 {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    loop {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (std::process::id() as usize * 61 + tried) % 12_000;
        let port = u16::try_from(port).unwrap();
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        if socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).is_ok() {
            return port;
        }
    }
}

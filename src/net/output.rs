//! Replies on their way out: written at once, queued when the socket is full.

use super::socket::Socket;
use crate::resp::Reply;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

/// Slices handed to the kernel in one call.
const SLICES: usize = 64;

/// What the socket has not taken yet.
#[derive(Debug, Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    /// Small messages that follow the pieces, as one.
    tail: Vec<u8>,
    bytes: usize,
}

/// Messages shorter than this are copied behind each other: that costs less than a part of their own in
/// a call of the kernel.
const SMALL: usize = 1024;
/// What is copied so into one piece.
const TAIL: usize = 16 * 1024;

impl Output {
    /// Bytes queued.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Number of queued pieces.
    pub fn pieces(&self) -> usize {
        self.pieces.len() + usize::from(!self.tail.is_empty())
    }

    /// Queues `piece`.
    pub fn push(&mut self, piece: Bytes) {
        self.seal();
        self.bytes += piece.len();
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// Queues a message that others get as well. The first stays as it is: usually it leaves alone.
    pub fn tell(&mut self, message: &Bytes) {
        if self.is_empty() || message.len() >= SMALL {
            return self.push(message.clone());
        }
        if self.tail.len() + message.len() > TAIL {
            self.seal();
        }
        self.bytes += message.len();
        self.tail.extend_from_slice(message);
    }

    /// Sends a message that others get as well, if nothing is queued before it. Returns the bytes
    /// written.
    pub fn send_shared(&mut self, socket: &mut Socket, message: &Bytes) -> io::Result<usize> {
        if !self.is_empty() {
            self.tell(message);
            return self.flush(socket);
        }
        let written = taken(socket.write(message))?;
        if written == message.len() {
            return Ok(written);
        }
        self.push(message.slice(written..));
        Ok(written + self.flush(socket)?)
    }

    /// Makes a piece of the small messages.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }

    /// Forgets what is queued.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sends all of `reply`, which is cleared, also after an error: nobody else may get it. What the socket
    /// does not take now is queued. Returns the bytes written.
    pub fn send(&mut self, socket: &mut Socket, reply: &mut Reply) -> io::Result<usize> {
        let mut written = 0;
        if reply.is_empty() {
            return self.flush(socket);
        }
        if self.is_empty() && reply.shared.is_empty() {
            let taken = taken(socket.write(&reply.bytes));
            written = taken.inspect_err(|_| reply.clear())?;
            if written < reply.bytes.len() {
                self.push(Bytes::copy_from_slice(&reply.bytes[written..]));
            }
        } else {
            self.queue(reply);
        }
        reply.clear();
        Ok(written + self.flush(socket)?)
    }

    /// Queues all of `reply` in order; values by reference stay so.
    pub fn queue(&mut self, reply: &mut Reply) {
        let mut from = 0;
        for (at, value) in reply.shared.drain(..) {
            self.push(Bytes::copy_from_slice(&reply.bytes[from..at]));
            self.push(value);
            from = at;
        }
        self.push(Bytes::copy_from_slice(&reply.bytes[from..]));
    }

    /// Writes until nothing is queued or the socket is full.
    pub fn flush(&mut self, socket: &mut Socket) -> io::Result<usize> {
        let mut total = 0;
        self.seal();
        while !self.is_empty() {
            let written = match self.pieces.as_slices() {
                ([piece], []) => taken(socket.write(piece))?, // a message, as a rule
                _ => self.write_several(socket)?,
            };
            if written == 0 {
                break;
            }
            total += written;
            self.advance(written);
        }
        if self.is_empty() && self.pieces.capacity() > SLICES {
            self.pieces = VecDeque::new();
        }
        Ok(total)
    }

    /// Writes as many pieces as go into one call of the kernel.
    fn write_several(&self, socket: &mut Socket) -> io::Result<usize> {
        let mut parts = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (part, piece) in parts.iter_mut().zip(&self.pieces) {
            *part = IoSlice::new(piece);
            used += 1;
        }
        taken(socket.write_vectored(&parts[..used]))
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > written {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// A full socket takes 0 bytes; being interrupted is no error either.
fn taken(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(0)
        }
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::reply::SHARE_FROM;
    use std::io::Read;

    #[test]
    fn bytes_leave_in_order_whatever_the_socket_takes() {
        let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.set_nonblocking(true).unwrap();
        let mut socket = Socket::Unix(mio::net::UnixStream::from_std(here));
        let (mut output, mut want, mut got) = (Output::default(), Vec::new(), Vec::new());
        let mut buffer = vec![0; 100_000];
        for round in 0..60_u32 {
            let mut reply = Reply::default();
            reply.int(i64::from(round));
            let size = SHARE_FROM + round as usize * 501;
            if round % 3 > 0 {
                reply.bulk_shared(Bytes::from(vec![round as u8; size]));
            }
            reply.simple("end");
            let mut copy = reply.bytes.clone();
            for (at, value) in reply.shared.iter().rev() {
                copy.splice(at..at, value.iter().copied());
            }
            want.extend_from_slice(&copy);
            output.send(&mut socket, &mut reply).unwrap();
            for size in [7, SMALL - 1, SMALL, 3] {
                let message = Bytes::from(vec![b'm'; size]);
                output.tell(&message);
                want.extend_from_slice(&message);
            }
            if round % 2 == 0 {
                let message = Bytes::from(vec![b's'; 300 * round as usize + 1]);
                output.send_shared(&mut socket, &message).unwrap();
                want.extend_from_slice(&message);
            }
            if round % 7 == 0
                && let Ok(n) = there.read(&mut buffer)
            {
                got.extend_from_slice(&buffer[..n]);
            }
        }
        while got.len() < want.len() {
            if let Ok(n) = there.read(&mut buffer) {
                got.extend_from_slice(&buffer[..n]);
            }
            output.flush(&mut socket).unwrap();
        }
        assert!(got == want && output.is_empty());
    }
}

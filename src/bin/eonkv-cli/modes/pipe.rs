//! `--pipe`: raw protocol from stdin to the server as fast as both can, counting the replies.
//!
//! One thread writes and one reads, so neither side's buffers can fill up and stop the other. When stdin
//! ends, an ECHO of random bytes is sent; its reply is the proof that everything before it was answered.
//! The ECHO starts with a line end: should the input end in garbage, it is likely to stay readable.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fatal;
use crate::conn::{self, LinkError, Socket, encode};
use crate::resp::Value;
use crate::screen;
use crate::session::{Session, Stop};

/// Bytes taken from stdin at once.
const CHUNK: usize = 64 * 1024;

/// The length of the final ECHO's random text: long enough to be met by no accident.
const MAGIC: usize = 20;

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let mut magic = [0; MAGIC];
    getrandom::fill(&mut magic).map_err(|error| fatal(&format!("No random bytes: {error}")))?;
    let link = session.link.as_ref().ok_or(Stop::Failed)?;
    let cannot = |error: std::io::Error| {
        fatal(&format!("Can't prepare the connection: {}", conn::plain(&error)))
    };
    let socket = link.socket().share().map_err(cannot)?;
    link.socket().wait_at_most(Some(Duration::from_secs(1))).map_err(cannot)?;
    let all_sent = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&all_sent);
    std::thread::spawn(move || {
        if let Err(text) = send(&socket, &magic, &flag) {
            screen::complain(&text);
            std::process::exit(1);
        }
    });
    let (errors, replies) = receive(session, &magic, &all_sent)?;
    screen::say(&format!("errors: {errors}, replies: {replies}\n"));
    if errors > 0 { Err(Stop::Exit(1)) } else { Ok(()) }
}

/// Everything from stdin, then the ECHO.
fn send(mut socket: &Socket, magic: &[u8], all_sent: &AtomicBool) -> Result<(), String> {
    let mut stdin = std::io::stdin().lock();
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = match stdin.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("Error reading from stdin: {}", conn::plain(&error))),
        };
        write(socket, chunk.get(..len).unwrap_or_default())?;
    }
    screen::say("All data transferred. Waiting for the last reply...\n");
    let mut echo = b"\r\n".to_vec();
    encode(&[b"ECHO".as_slice(), magic], &mut echo);
    all_sent.store(true, Ordering::Release);
    write(socket, &echo)?;
    socket.flush().map_err(|error| conn::plain(&error))
}

fn write(mut socket: &Socket, bytes: &[u8]) -> Result<(), String> {
    socket
        .write_all(bytes)
        .map_err(|error| format!("Error writing to the server: {}", conn::plain(&error)))
}

/// Counts error replies and replies until the ECHO's, which is not counted.
fn receive(session: &mut Session, magic: &[u8], all_sent: &AtomicBool) -> Result<(u64, u64), Stop> {
    let limit = u64::try_from(session.options.pipe_timeout_s).ok().filter(|seconds| *seconds > 0);
    let (mut errors, mut replies) = (0_u64, 0_u64);
    let mut last = Instant::now();
    loop {
        match session.receive() {
            Ok(Value::Bulk(text)) if text == magic => {
                screen::say("Last reply received from server.\n");
                return Ok((errors, replies));
            }
            Ok(value) => {
                if let Value::Error(text) = &value {
                    screen::complain_bytes(text);
                    errors += 1;
                }
                replies += 1;
                last = Instant::now();
            }
            Err(error) if error.is_timeout() => {
                if let Some(limit) = limit
                    && all_sent.load(Ordering::Acquire)
                    && last.elapsed() > Duration::from_secs(limit)
                {
                    screen::complain(&format!("No replies for {limit} seconds: exiting."));
                    return Ok((errors + 1, replies));
                }
            }
            Err(LinkError::Protocol(_)) => return Err(fatal("Error reading replies from server")),
            Err(error) => return Err(fatal(&format!("Error: {error}"))),
        }
    }
}

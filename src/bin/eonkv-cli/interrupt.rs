//! Ctrl-C in the interactive session.
//!
//! While MONITOR or SUBSCRIBE streams, the signal ends the stream and not the program: it hangs up the
//! connection, the waiting read returns, and the session connects anew. Any other time it ends the program.
//! At the prompt there is no signal at all: the line editor reads the key itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::conn::Socket;

/// What the signal's thread and the session share.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    streaming: Arc<Mutex<Option<Socket>>>,
    hung_up: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts listening for the signal. Without this, SIGINT ends the process as usual.
    pub fn listen(&self) {
        let Ok(mut signals) = Signals::new([SIGINT]) else {
            return;
        };
        let shared = self.clone();
        std::thread::spawn(move || {
            for _ in signals.forever() {
                match shared.streaming.lock().take() {
                    Some(socket) => {
                        shared.hung_up.store(true, Ordering::Release);
                        socket.hang_up();
                    }
                    None => {
                        let _ = crossterm::terminal::disable_raw_mode();
                        std::process::exit(1);
                    }
                }
            }
        });
    }

    /// From now on the signal hangs up this connection.
    pub fn stream_starts(&self, socket: &Socket) {
        *self.streaming.lock() = socket.share().ok();
    }

    pub fn stream_ends(&self) {
        self.streaming.lock().take();
    }

    /// Whether the signal hung up since this was last asked.
    pub fn take_hung_up(&self) -> bool {
        self.hung_up.swap(false, Ordering::AcqRel)
    }
}

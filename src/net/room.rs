//! How much room a connection keeps for requests that come in parts.
//!
//! Requests are read into the worker's scratch buffer; only what is left over of one that is not
//! complete is the connection's own. Who has just spoken will likely speak again, perhaps in parts,
//! so for a while it keeps room for that: little as a rule, more after a large request. Once it has
//! been silent for [`QUIET`] the room is given back, so idle connections hold none (N1).

/// Room of a client that has just spoken.
const SPOKEN: usize = 16 * 1024;
/// Room of one whose requests are large, and at the same time what a request counts as large from.
const LARGE: usize = 64 * 1024;
/// Milliseconds without a word after which a client keeps nothing.
const QUIET: i64 = 2_000;

/// What is known of one connection's requests.
#[derive(Debug, Default)]
pub struct Room {
    /// Bytes of the largest read or request since the last look.
    peak: u32,
}

impl Room {
    /// A read brought the request in hand to `bytes`; `buffer` holds what is left over of it.
    #[inline]
    pub fn spoke(&mut self, buffer: &mut Vec<u8>, bytes: usize) {
        self.peak = self.peak.max(u32::try_from(bytes).unwrap_or(u32::MAX));
        let room = if self.peak as usize >= LARGE { LARGE } else { SPOKEN };
        if buffer.capacity() < room {
            buffer.reserve_exact(room - buffer.len());
        } else if buffer.capacity() > LARGE {
            // What a request of countless arguments left behind waits for no look.
            buffer.shrink_to(LARGE.max(2 * buffer.len()));
        }
    }

    /// Looks at a connection that has been silent for `silent` milliseconds: `buffer` shrinks to
    /// what it needed since the last look, or to what it holds.
    pub fn look(&mut self, buffer: &mut Vec<u8>, silent: i64) {
        if silent > QUIET {
            buffer.shrink_to_fit();
        } else if (self.peak as usize) < buffer.capacity() / 2 {
            buffer.shrink_to(SPOKEN);
        }
        self.peak = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_follows_what_is_said_and_ends_with_silence() {
        let (mut room, mut buffer) = (Room::default(), Vec::new());
        room.spoke(&mut buffer, 20);
        assert_eq!(buffer.capacity(), SPOKEN);
        room.look(&mut buffer, 0);
        assert_eq!(buffer.capacity(), SPOKEN, "it has just spoken");
        room.spoke(&mut buffer, 400_000);
        assert_eq!(buffer.capacity(), LARGE);
        room.look(&mut buffer, 0);
        assert_eq!(buffer.capacity(), LARGE, "it was needed since the last look");
        room.spoke(&mut buffer, 100);
        room.look(&mut buffer, 0);
        assert_eq!(buffer.capacity(), SPOKEN);
        room.look(&mut buffer, QUIET + 1);
        assert_eq!(buffer.capacity(), 0);
    }

    #[test]
    fn what_is_left_over_stays_whatever_shrinks() {
        let (mut room, mut buffer) = (Room::default(), vec![7; 1_000_000]);
        buffer.truncate(100_000);
        room.spoke(&mut buffer, 1_000_000);
        assert!(buffer.capacity() < 300_000);
        room.look(&mut buffer, 0);
        room.look(&mut buffer, QUIET + 1);
        assert_eq!((buffer.len(), buffer.capacity()), (100_000, 100_000));
    }
}

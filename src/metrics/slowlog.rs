//! The slow log: the last commands that took longer than `slowlog-log-slower-than`.

use parking_lot::Mutex;
use std::collections::VecDeque;

/// Arguments kept of one command, the last of them standing for the rest.
const ARGS_MAX: usize = 32;
/// Bytes kept of one argument.
const ARG_MAX: usize = 128;

/// One slow command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowEntry {
    /// Unique while the server runs.
    pub id: u64,
    /// When it ran, Unix seconds.
    pub at: i64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Its arguments, cut to size.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub peer: String,
    /// The client's name.
    pub name: Vec<u8>,
}

/// The log, newest first.
#[derive(Debug, Default)]
pub struct SlowLog {
    state: Mutex<(u64, VecDeque<SlowEntry>)>,
}

impl SlowLog {
    /// Adds an entry and drops the oldest beyond `keep`. `entry.id` is given here.
    pub fn add(&self, mut entry: SlowEntry, keep: u64) {
        let (next, entries) = &mut *self.state.lock();
        entry.id = *next;
        *next += 1;
        entries.push_front(entry);
        entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// The newest `n` entries; all of them without a number.
    pub fn newest(&self, n: Option<usize>) -> Vec<SlowEntry> {
        let state = self.state.lock();
        state.1.iter().take(n.unwrap_or(usize::MAX)).cloned().collect()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.state.lock().1.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all entries.
    pub fn clear(&self) {
        self.state.lock().1.clear();
    }

    /// Cuts a command's arguments to what the log keeps.
    pub fn cut<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let n = args.len();
        let kept = if n > ARGS_MAX { ARGS_MAX - 1 } else { n };
        let mut words: Vec<Vec<u8>> = args.take(kept).map(cut_one).collect();
        if n > kept {
            words.push(format!("... ({} more arguments)", n - kept).into_bytes());
        }
        words
    }
}

fn cut_one(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARG_MAX {
        return arg.to_vec();
    }
    let mut word = arg[..ARG_MAX].to_vec();
    word.extend_from_slice(format!("... ({} more bytes)", arg.len() - ARG_MAX).as_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(micros: u64) -> SlowEntry {
        let (peer, name) = (String::new(), Vec::new());
        SlowEntry { id: 0, at: 0, micros, args: Vec::new(), peer, name }
    }

    #[test]
    fn the_newest_come_first_and_old_ones_go() {
        let log = SlowLog::default();
        (1..=5).for_each(|micros| log.add(entry(micros), 3));
        let seen: Vec<_> = log.newest(None).iter().map(|e| (e.id, e.micros)).collect();
        assert_eq!(seen, [(4, 5), (3, 4), (2, 3)]);
        assert_eq!(log.newest(Some(1)).len(), 1);
        log.clear();
        assert!(log.is_empty());
    }

    #[test]
    fn long_commands_are_cut() {
        let long = vec![b'x'; 130];
        let args: Vec<&[u8]> = std::iter::repeat_n(long.as_slice(), 33).collect();
        let words = SlowLog::cut(args.into_iter());
        assert_eq!((words.len(), words[0].len()), (32, 128 + "... (2 more bytes)".len()));
        assert_eq!(words[31], b"... (2 more arguments)");
    }
}

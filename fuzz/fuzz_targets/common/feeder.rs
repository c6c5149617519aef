//! A connection's side of the parser: keeps what must be kept, fills big arguments.

use eonkv::resp::request::{Batch, Limits, Parser, ProtocolError, Status};

pub type Words = Vec<Vec<u8>>;

#[derive(Default)]
pub struct Feeder {
    parser: Parser,
    kept: Vec<u8>,
    pub requests: Vec<Words>,
    pub error: Option<ProtocolError>,
}

impl Feeder {
    pub fn feed(&mut self, mut bytes: &[u8], limits: &Limits) {
        if self.error.is_some() {
            return;
        }
        while let Some(room) = self.parser.room().filter(|room| !room.is_empty()) {
            let n = room.len().min(bytes.len());
            room[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            self.parser.filled(n);
            if n == 0 {
                return;
            }
        }
        self.kept.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.kept);
        let mut from = 0;
        loop {
            let mut batch = Batch::default();
            let parsed = self.parser.parse_batch(&input[from..], &mut batch, limits);
            for i in 0..batch.reqs.len() {
                let words = batch.args(i, &input[from..]).iter().map(<[u8]>::to_vec).collect();
                self.requests.push(words);
            }
            self.kept = input[from + parsed.consumed..from + parsed.kept].to_vec();
            from += parsed.consumed;
            match parsed.status {
                Status::Full => {}
                Status::More => return,
                Status::Bad(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }
}

/// What the pieces give, one after the other.
pub fn run(pieces: &[&[u8]], limits: &Limits) -> (Vec<Words>, Option<ProtocolError>) {
    let mut feeder = Feeder::default();
    for piece in pieces {
        feeder.feed(piece, limits);
    }
    (feeder.requests, feeder.error)
}

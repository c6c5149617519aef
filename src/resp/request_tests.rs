//! The parser, fed whole, in every prefix, in every split, and mutated.

use super::*;
use proptest::prelude::*;

type Words = Vec<Vec<u8>>;

/// A connection's side of the parser: keeps what must be kept, fills big arguments.
#[derive(Default)]
struct Feeder {
    parser: Parser,
    kept: Vec<u8>,
    requests: Vec<Words>,
    error: Option<ProtocolError>,
}

impl Feeder {
    fn feed(&mut self, mut bytes: &[u8], limits: &Limits) {
        if self.error.is_some() {
            return;
        }
        loop {
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
            bytes = &[];
            if !self.parse(limits) {
                return;
            }
        }
    }

    /// Parses what is there; whether a big argument still waits for bytes it could have.
    fn parse(&mut self, limits: &Limits) -> bool {
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
                Status::More => return false,
                Status::Bad(error) => {
                    self.error = Some(error);
                    return false;
                }
            }
        }
    }
}

fn limits() -> Limits {
    Limits { big_from: 12, max_bulk: 4096, ..Limits::default() }
}

fn run(pieces: &[&[u8]]) -> (Vec<Words>, Option<ProtocolError>) {
    let mut feeder = Feeder::default();
    for piece in pieces {
        feeder.feed(piece, &limits());
    }
    (feeder.requests, feeder.error)
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn sample() -> (Vec<u8>, Vec<Words>) {
    let long = vec![b'v'; 150];
    let requests: Vec<Vec<&[u8]>> = vec![
        vec![b"GET", b"k"],
        vec![b"SET", b"key", &long],
        vec![b""],
        vec![b"MSET", b"a", &long, b"b", b"0123456789abcdef", b"c", b"\r\n\0"],
        vec![b"PING"],
    ];
    let mut bytes = Vec::new();
    for (i, words) in requests.iter().enumerate() {
        bytes.extend_from_slice(&request(words));
        if i == 1 {
            bytes.extend_from_slice(b"*0\r\n*-1\r\n\r\n");
        }
    }
    bytes.extend_from_slice(b"  set a 'it\\'s' \"x\\x41\\n\" b\"c\" \n");
    let mut words: Vec<Words> =
        requests.iter().map(|r| r.iter().map(|w| w.to_vec()).collect()).collect();
    let last: [&[u8]; 5] = [b"set", b"a", b"it's", b"xA\n", b"bc"];
    words.push(last.iter().map(|w| w.to_vec()).collect());
    (bytes, words)
}

#[test]
fn every_split_in_two_gives_the_same_requests() {
    let (bytes, words) = sample();
    assert_eq!(run(&[&bytes]), (words.clone(), None));
    for cut in 0..bytes.len() {
        let got = run(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(got, (words.clone(), None), "cut at {cut}");
    }
}

#[test]
fn byte_by_byte_gives_the_same_requests() {
    let (bytes, words) = sample();
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(&pieces), (words, None));
}

#[test]
fn every_prefix_of_a_request_asks_for_more() {
    for whole in [request(&[b"SET", b"key", &[b'x'; 40]]), b"set \"a b\" c\r\n".to_vec()] {
        for cut in 0..whole.len() {
            let (requests, error) = run(&[&whole[..cut]]);
            assert_eq!((requests.len(), error), (0, None), "cut at {cut}");
        }
    }
}

#[test]
fn errors_have_their_texts() {
    let long = [b'1'; MAX_LINE + 2];
    let cases: &[(Vec<u8>, &str)] = &[
        (b"*3000000000\r\n".to_vec(), "invalid multibulk length"),
        (b"*x\r\n".to_vec(), "invalid multibulk length"),
        (b"*01\r\n".to_vec(), "invalid multibulk length"),
        (b"*+1\r\n".to_vec(), "invalid multibulk length"),
        (b"*1\r\n$-10\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$2000000000\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$\r\n".to_vec(), "invalid bulk length"),
        (b"*2\r\n$1\r\nx\r\nfoo\r\n".to_vec(), "expected '$', got 'f'"),
        ([b"*".as_slice(), &long].concat(), "too big mbulk count string"),
        ([b"*1\r\n$".as_slice(), &long].concat(), "too big bulk count string"),
        (long.to_vec(), "too big inline request"),
        ([long.as_slice(), b"\n"].concat(), "too big inline request"),
        (b"get \"a\n".to_vec(), "unbalanced quotes in request"),
        (b"get 'a'b\n".to_vec(), "unbalanced quotes in request"),
    ];
    for (bytes, text) in cases {
        let got = run(&[bytes]).1.map(|error| error.text().into_owned());
        assert_eq!(got.as_deref(), Some(text.as_bytes()), "{text}");
        let halves = bytes.split_at(bytes.len() / 2);
        assert_eq!(run(&[halves.0, halves.1]).1.map(|e| e.text().into_owned()), got, "{text}");
    }
}

#[test]
fn little_is_allowed_before_auth() {
    let limits = Limits { authenticated: false, requests: 1, ..Limits::default() };
    for (bytes, text) in [
        (b"*11\r\n".as_slice(), Some(ProtocolError::UnauthenticatedMultibulk)),
        (b"*1\r\n$16385\r\n", Some(ProtocolError::UnauthenticatedBulk)),
        (b"*10\r\n$16384\r\n", None),
    ] {
        let mut feeder = Feeder::default();
        feeder.feed(bytes, &limits);
        assert_eq!(feeder.error, text);
    }
}

#[test]
fn announcements_allocate_nothing() {
    let mut feeder = Feeder::default();
    feeder.feed(b"*2147483647\r\n$3\r\nSET\r\n$536870912\r\nab", &Limits::default());
    assert!(feeder.error.is_none() && feeder.parser.is_midway());
    assert!(feeder.parser.held() <= BIG_STEP + 1024, "{}", feeder.parser.held());
}

#[test]
fn big_arguments_are_blocks_of_exactly_their_length() {
    let value = vec![b'x'; 300_000];
    let bytes = request(&[b"SET", b"k", &value, b"tail"]);
    let mut parser = Parser::default();
    let mut batch = Batch::default();
    let parsed = parser.parse_batch(&bytes[..100_000], &mut batch, &Limits::default());
    assert_eq!((parsed.consumed, parsed.status, batch.reqs.len()), (0, Status::More, 0));
    let mut kept = bytes[..parsed.kept].to_vec();
    let mut rest = &bytes[100_000..];
    while let Some(room) = parser.room().filter(|room| !room.is_empty()) {
        let n = room.len();
        assert!(n <= 2 * 100_000, "room grows with what has arrived");
        room.copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        assert_eq!(parser.room_is_last(), rest.len() == b"\r\n$4\r\ntail\r\n".len());
        parser.filled(n);
    }
    kept.extend_from_slice(rest);
    let parsed = parser.parse_batch(&kept, &mut batch, &Limits::default());
    assert_eq!((parsed.consumed, parsed.status), (kept.len(), Status::More));
    let args = batch.args(0, &kept);
    assert_eq!(args.shared(2).as_deref(), Some(value.as_slice()));
    assert_eq!((args.get(1), args.get(3)), (b"k".as_slice(), b"tail".as_slice()));
    assert!(!parser.is_midway());
}

#[test]
fn a_batch_holds_at_most_its_number_of_requests() {
    let bytes = request(&[b"PING"]).repeat(MAX_REQUESTS + 3);
    let mut batch = Batch::default();
    let parsed = Parser::default().parse_batch(&bytes, &mut batch, &Limits::default());
    assert_eq!((parsed.status, batch.reqs.len()), (Status::Full, MAX_REQUESTS));
    assert_eq!(parsed.consumed, 14 * MAX_REQUESTS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However damaged the bytes are, the way they are cut makes no difference.
    #[test]
    fn mutated_bytes_mean_the_same_in_any_pieces(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (mut bytes, _) = sample();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            // Mostly bytes that mean something.
            bytes[at] = *b"*$\r\n0129-\"'\\ ".get(byte as usize % 24).unwrap_or(&byte);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(run(&pieces), run(&[&bytes]));
    }

    /// Any words survive the way over the wire.
    #[test]
    fn any_words_are_read_back(
        words in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..40), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let bytes = request(&slices);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(run(&[&bytes[..cut], &bytes[cut..]]), (vec![words], None));
    }
}

/// Found by the fuzz target `inline`.
#[test]
fn a_form_feed_parts_no_words() {
    let (requests, error) = run(&[b"\x0ca\x0cb\x0b \x0b'c'\x0cd\n"]);
    let words: [&[u8]; 3] = [b"a\x0cb\x0b", b"c", b"d"];
    assert_eq!((requests, error), (vec![words.map(<[u8]>::to_vec).to_vec()], None));
}

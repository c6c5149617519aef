//! The walker against every cut of every kind of reply, and against what is no reply.

use super::*;

/// Writes down what it sees, bodies joined.
#[derive(Default, Debug, PartialEq)]
struct Diary(Vec<u8>);

impl Observer for Diary {
    fn line(&mut self, line: &[u8]) {
        self.0.push(b'\n');
        self.0.extend_from_slice(line);
        self.0.push(b' ');
    }
    fn body(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    fn end(&mut self) {
        self.0.push(b'.');
    }
}

/// Feeds `parts` one after the other.
fn walk(parts: &[&[u8]]) -> Result<(usize, Diary), Stop> {
    let (mut walker, mut diary, mut replies) = (Walker::default(), Diary::default(), 0);
    for part in parts {
        replies += walker.feed(part, &mut diary)?;
    }
    Ok((replies, diary))
}

const REPLIES: &[(&[u8], usize)] = &[
    (b"+OK\r\n", 1),
    (b":-12\r\n", 1),
    (b"$3\r\nabc\r\n", 1),
    (b"$0\r\n\r\n", 1),
    (b"$-1\r\n*-1\r\n*0\r\n", 3),
    (b"$8\r\n\r\n+OK\r\n\n\r\n:1\r\n", 2),
    (b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n+x\r\n", 2),
    (b"*2\r\n-ERR inside\r\n$-1\r\n", 1),
    (b"%1\r\n+k\r\n~2\r\n#t\r\n,1.5\r\n_\r\n(123\r\n", 3),
    (b"=7\r\ntxt:abc\r\n", 1),
    (b"|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n", 1),
    (b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+OK\r\n", 1),
];

#[test]
fn replies_are_counted_whole() {
    for (bytes, replies) in REPLIES {
        assert_eq!(walk(&[bytes]).unwrap().0, *replies, "{}", bytes.escape_ascii());
    }
}

#[test]
fn every_cut_in_two_and_every_byte_alone_give_the_same() {
    for (bytes, _) in REPLIES {
        let whole = walk(&[bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(walk(&[&bytes[..cut], &bytes[cut..]]), whole, "cut {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(walk(&single), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn repeated_replies_are_counted_like_single_ones() {
    for (bytes, replies) in REPLIES {
        for tail in [&b""[..], b"+OK\r\n", b"$3\r\nab", b":"] {
            let stream = [bytes.repeat(20), tail.to_vec()].concat();
            let expected = replies * 20 + usize::from(tail == b"+OK\r\n");
            for cut in (0..stream.len()).step_by(7) {
                let mut walker = Walker::default();
                let first = walker.feed(&stream[..cut], &mut ()).unwrap();
                let second = walker.feed(&stream[cut..], &mut ()).unwrap();
                assert_eq!(first + second, expected, "{} cut {cut}", bytes.escape_ascii());
            }
        }
    }
    assert_eq!(repeats(b"abababax", 2), 2);
    assert_eq!(repeats(b"ababab", 2), 2);
    assert_eq!(repeats(b"ab", 2), 0);
}

#[test]
fn the_contents_pass_by_the_observer() {
    let (_, diary) = walk(&[b"*2\r\n$3\r\nabc\r\n:7\r\n+OK\r\n"]).unwrap();
    assert_eq!(diary.0.escape_ascii().to_string(), r"\n*2 \n$3 abc\n:7 .\n+OK .");
}

#[test]
fn error_replies_stop_with_their_text() {
    for bytes in [&b"-ERR no\r\n"[..], b"!6\r\nERR no\r\n", b"+OK\r\n-ERR no\r\n+OK\r\n"] {
        for cut in 0..=bytes.len() {
            let stop = walk(&[&bytes[..cut], &bytes[cut..]]).unwrap_err();
            assert_eq!(stop, Stop::ErrorReply("ERR no".to_owned()), "cut {cut}");
        }
    }
}

#[test]
fn long_lines_are_cut_but_walked_to_their_end() {
    for size in [500, 510, 511, 512, 513, 514, 2_000] {
        let line = [b"-", "e".repeat(size).as_bytes(), b"\r\n"].concat();
        let expected = Stop::ErrorReply("e".repeat(size.min(LINE_KEPT - 1)));
        for step in [1, 2, 3, 7, line.len()] {
            let parts: Vec<&[u8]> = line.chunks(step).collect();
            assert_eq!(walk(&parts).unwrap_err(), expected, "size {size} step {step}");
        }
    }
}

#[test]
fn what_is_not_resp_is_malformed_at_every_cut() {
    let wrong: &[&[u8]] = &[
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"+OK\n",
        b"$\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"$+3\r\nabc\r\n",
        b"$3\r\nabcd\r\n",
        b"$3\r\nabc\n\n",
        b"$1234567890123456789\r\n",
        b"*99999999999999999999999999999\r\n",
        b"%999999999999999999999999999999999999999999999",
        b"!-1\r\n",
        b"*2\r\n:1\r\nx\r\n",
        b"\0\0\0\0\r\n",
    ];
    for bytes in wrong {
        for cut in 0..=bytes.len() {
            let result = walk(&[&bytes[..cut], &bytes[cut..]]);
            assert!(matches!(result, Err(Stop::Malformed(_))), "{} {cut}", bytes.escape_ascii());
        }
    }
}

#[test]
fn announced_sizes_cost_nothing_and_never_overflow() {
    let mut walker = Walker::default();
    let nested = b"*999999999999999999\r\n";
    let stop = (0..100).find_map(|_| walker.feed(nested, &mut ()).err());
    assert!(matches!(stop, Some(Stop::Malformed(_))));
    let mut walker = Walker::default();
    assert_eq!(walker.feed(b"$999999999999999999\r\nabc", &mut ()), Ok(0));
    assert_eq!(walker.held.capacity(), 0);
}

proptest::proptest! {
    /// Random bytes never panic, and random cuts never change a verdict about them.
    #[test]
    fn random_bytes_are_walked_or_refused(
        bytes in proptest::collection::vec(proptest::sample::select(&b"+-:$*%~>|=!#_,(019ax\r\n"[..]), 0..60),
        cut in 0usize..60,
    ) {
        let cut = cut.min(bytes.len());
        let whole = walk(&[&bytes]);
        let parts = walk(&[&bytes[..cut], &bytes[cut..]]);
        let counted = Walker::default().feed(&bytes, &mut ());
        proptest::prop_assert_eq!(counted.ok(), whole.as_ref().ok().map(|(count, _)| *count));
        match (whole, parts) {
            (Err(Stop::Malformed(_)), Err(Stop::Malformed(_))) => {}
            (whole, parts) => proptest::prop_assert_eq!(whole, parts),
        }
    }
}

//! Parsing and encoding, without a server: batches of 64 requests, as a pipeline brings them.
//!
//! `cargo bench --bench resp`.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use eonkv::resp::Reply;
use eonkv::resp::request::{Batch, Limits, Parser};

const BATCH: usize = 64;

fn main() {
    divan::main();
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

fn parse(bencher: Bencher, request: &[u8]) {
    let input = request.repeat(BATCH);
    let (mut parser, mut batch, limits) = (Parser::default(), Batch::default(), Limits::default());
    bencher.counter(ItemsCount::new(BATCH)).counter(BytesCount::new(input.len())).bench_local(
        || {
            batch.clear();
            parser.parse_batch(black_box(&input), &mut batch, &limits);
            assert_eq!(batch.reqs.len(), BATCH);
        },
    );
}

#[divan::bench]
fn parse_get(bencher: Bencher) {
    parse(bencher, &request(&[b"GET", b"key:000000012345"]));
}

#[divan::bench(args = [16, 64, 1024])]
fn parse_set(bencher: Bencher, size: usize) {
    parse(bencher, &request(&[b"SET", b"key:000000012345", &vec![b'v'; size]]));
}

#[divan::bench]
fn parse_mset_of_ten(bencher: Bencher) {
    let mut words: Vec<&[u8]> = vec![b"MSET"];
    words.resize(21, b"0123456789abcdef");
    parse(bencher, &request(&words));
}

#[divan::bench]
fn parse_inline(bencher: Bencher) {
    parse(bencher, b"GET key:000000012345\r\n");
}

/// One SET of 1 KiB, a byte at a time: must cost per byte what it costs at once, not per byte squared.
#[divan::bench]
fn parse_byte_by_byte(bencher: Bencher) {
    let input = request(&[b"SET", b"key:000000012345", &[b'v'; 1024]]);
    let (mut parser, mut batch, limits) = (Parser::default(), Batch::default(), Limits::default());
    bencher.counter(BytesCount::new(input.len())).bench_local(|| {
        batch.clear();
        for end in 1..=input.len() {
            parser.parse_batch(black_box(&input[..end]), &mut batch, &limits);
        }
        assert_eq!(batch.reqs.len(), 1);
    });
}

fn encode(bencher: Bencher, mut one: impl FnMut(&mut Reply)) {
    let mut reply = Reply::with_capacity(1 << 20);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        reply.clear();
        for _ in 0..BATCH {
            one(&mut reply);
        }
        black_box(&reply.bytes);
    });
}

#[divan::bench]
fn encode_ok(bencher: Bencher) {
    encode(bencher, Reply::ok);
}

#[divan::bench]
fn encode_integer(bencher: Bencher) {
    let mut n = 0;
    encode(bencher, |reply| {
        n += 7919;
        reply.int(n);
    });
}

#[divan::bench(args = [16, 64, 1024])]
fn encode_bulk(bencher: Bencher, size: usize) {
    let value = vec![b'v'; size];
    encode(bencher, |reply| reply.bulk(black_box(&value)));
}

#[divan::bench]
fn encode_error(bencher: Bencher) {
    encode(bencher, |reply| reply.error("ERR value is not an integer or out of range"));
}

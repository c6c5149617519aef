//! Every type, every cut, every way to be wrong.

use super::*;
use proptest::prelude::*;

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn all(bytes: &[u8]) -> Vec<Value> {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.next().unwrap() {
        values.push(value);
    }
    values
}

fn failure(bytes: &[u8]) -> ProtocolError {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    loop {
        match decoder.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error in {bytes:?}"),
            Err(error) => return error,
        }
    }
}

const MIXED: &[u8] =
    b"+OK\r\n-ERR no\r\n:-12\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n_\r\n,3.5e-7\r\n,-inf\r\n#t\r\n#f\r\n\
    (-123456789012345678901\r\n=8\r\ntxt:a\r\nb\r\n!5\r\nERR x\r\n*0\r\n%0\r\n~0\r\n>0\r\n\
    *3\r\n:1\r\n*2\r\n$1\r\na\r\n%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n#f\r\n|1\r\n+ttl\r\n:9\r\n$0\r\n\r\n\
    *2\r\n:1\r\n|1\r\n+a\r\n*1\r\n:0\r\n:2\r\n>2\r\n+message\r\n$1\r\nx\r\n";

#[test]
fn every_type() {
    let values = all(MIXED);
    assert_eq!(values.len(), 22);
    assert_eq!(values[2], Value::Int(-12));
    assert_eq!(values[3], bulk("a\r\n"));
    assert_eq!(values[4..7], [Value::Nil, Value::Nil, Value::Nil]);
    assert_eq!(values[7], Value::Double(b"3.5e-7".to_vec()));
    assert_eq!(values[12], Value::Verbatim(b"a\r\nb".to_vec()));
    assert_eq!(values[13], Value::Error(b"ERR x".to_vec()));
    let nested = Value::Map(vec![
        Value::Status(b"k".to_vec()),
        Value::Set(vec![Value::Int(1), Value::Int(2)]),
    ]);
    assert_eq!(
        values[18],
        Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![bulk("a"), nested]),
            Value::Bool(false)
        ])
    );
    assert_eq!(values[19], bulk(""), "an attribute is dropped");
    assert_eq!(values[20], Value::Array(vec![Value::Int(1), Value::Int(2)]));
}

#[test]
fn any_split_gives_the_same_values() {
    let whole = all(MIXED);
    for cut in 0..=MIXED.len() {
        let mut decoder = Decoder::default();
        let mut values = Vec::new();
        for part in [&MIXED[..cut], &MIXED[cut..]] {
            decoder.feed(part);
            while let Some(value) = decoder.next().unwrap() {
                values.push(value);
            }
        }
        assert_eq!(values, whole, "cut at byte {cut}");
    }
    let mut decoder = Decoder::default();
    let mut values = Vec::new();
    for byte in MIXED {
        decoder.feed(&[*byte]);
        values.extend(decoder.next().unwrap());
    }
    assert_eq!(values, whole);
}

#[test]
fn wrong_bytes_have_names() {
    assert_eq!(failure(b"x").to_string(), "Protocol error, got \"x\" as reply type byte");
    assert_eq!(failure(b"\x00").to_string(), "Protocol error, got \"\\x00\" as reply type byte");
    for bad in ["+1", "01", "-0", "", "1x", "9223372036854775808", " 1"] {
        assert_eq!(failure(format!(":{bad}\r\n").as_bytes()), ProtocolError::Integer, "{bad}");
        assert_eq!(failure(format!("${bad}\r\n").as_bytes()), ProtocolError::BulkLength, "{bad}");
        assert_eq!(
            failure(format!("*{bad}\r\n").as_bytes()),
            ProtocolError::AggregateLength,
            "{bad}"
        );
    }
    assert_eq!(failure(b"$-2\r\n"), ProtocolError::BulkLengthRange);
    assert_eq!(failure(b"*-2\r\n"), ProtocolError::AggregateLengthRange);
    assert_eq!(failure(b"%4294967296\r\n"), ProtocolError::AggregateLengthRange);
    assert_eq!(failure(b"=3\r\nabc\r\n"), ProtocolError::VerbatimHeader);
    assert_eq!(failure(b"=5\r\nabcde\r\n"), ProtocolError::VerbatimHeader);
    assert_eq!(failure(b"+a\rb\r\n"), ProtocolError::SimpleString);
    assert_eq!(failure(b",infinity\r\n"), ProtocolError::Double);
    assert_eq!(failure(b",1e999\r\n"), ProtocolError::Double);
    assert_eq!(failure(b"#x\r\n"), ProtocolError::Bool);
    assert_eq!(failure(b"(1a\r\n"), ProtocolError::BigNumber);
    assert_eq!(failure(b"_x\r\n"), ProtocolError::Nil);
    assert_eq!(failure(&b"*1\r\n".repeat(MAX_DEPTH + 1)), ProtocolError::TooDeep);
}

#[test]
fn announced_lengths_reserve_nothing() {
    let mut decoder = Decoder::default();
    decoder.feed(b"*4294967295\r\n$536870912\r\nabc");
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.bytes.capacity() < 1024);
    assert_eq!(decoder.open[0].items.capacity(), 0);
}

proptest! {
    /// Whatever a broken server sends, decoding ends in values or an error, never in a panic.
    #[test]
    fn noise_is_harmless(noise in proptest::collection::vec(prop_oneof![
        Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), Just(b'%'), Just(b'='), Just(b'-'), b'0'..=b'9', any::<u8>(),
    ], 0..200)) {
        let mut decoder = Decoder::default();
        for part in noise.chunks(7) {
            decoder.feed(part);
            loop {
                match decoder.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}

//! Golden texts, each made by redis-cli 7.0.15 from the same reply bytes.

use super::*;
use crate::resp::Decoder;

fn decode(bytes: &[u8]) -> Value {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    decoder.next().unwrap().unwrap()
}

fn shown(bytes: &[u8], mode: Mode) -> String {
    String::from_utf8(Format::new(mode).reply(&decode(bytes), false)).unwrap()
}

/// Bytes, then the text in `Standard`, `Raw`, `Csv`, `Json`.
type Golden = (&'static [u8], &'static str, &'static str, &'static str, &'static str);

const SCALARS: &[Golden] = &[
    (b"+OK\r\n", "OK\n", "OK\n", "\"OK\"\n", "\"OK\"\n"),
    (b"-ERR x\r\n", "(error) ERR x\n", "ERR x\n\n", "ERROR,\"ERR x\"\n", "error:\"ERR x\"\n"),
    (b":-7\r\n", "(integer) -7\n", "-7\n", "-7\n", "-7\n"),
    (
        b"$4\r\na\"\n\x01\r\n",
        "\"a\\\"\\n\\x01\"\n",
        "a\"\n\u{1}\n",
        "\"a\\\"\\n\\x01\"\n",
        "\"a\\\"\\n\\u0001\"\n",
    ),
    (b"$0\r\n\r\n", "\"\"\n", "\n", "\"\"\n", "\"\"\n"),
    (b"$-1\r\n", "(nil)\n", "\n", "NULL\n", "null\n"),
    (b"_\r\n", "(nil)\n", "\n", "NULL\n", "null\n"),
    (b",3.10\r\n", "(double) 3.10\n", "3.10\n", "3.10\n", "3.10\n"),
    (b",-inf\r\n", "(double) -inf\n", "-inf\n", "-inf\n", "-inf\n"),
    (b"#t\r\n", "(true)\n", "(true)\n", "true\n", "true\n"),
    (b"#f\r\n", "(false)\n", "(false)\n", "false\n", "false\n"),
    (b"=8\r\ntxt:a\"\r\n\r\n", "a\"\r\n\n", "a\"\r\n\n", "\"a\\\"\\r\\n\"\n", "\"a\\\"\\r\\n\"\n"),
];

const AGGREGATES: &[Golden] = &[
    (b"*0\r\n", "(empty array)\n", "\n", "\n", "[]\n"),
    (b"~0\r\n", "(empty set)\n", "\n", "\n", "[]\n"),
    (b"%0\r\n", "(empty hash)\n", "\n", "\n", "{}\n"),
    (
        b"*2\r\n$1\r\na\r\n:1\r\n",
        "1) \"a\"\n2) (integer) 1\n",
        "a\n1\n",
        "\"a\",1\n",
        "[\"a\",1]\n",
    ),
    (b"~2\r\n+a\r\n+b\r\n", "1~ a\n2~ b\n", "a\nb\n", "\"a\",\"b\"\n", "[\"a\",\"b\"]\n"),
    (
        b"%2\r\n$1\r\na\r\n:1\r\n:2\r\n*2\r\n:3\r\n$-1\r\n",
        "1# \"a\" => (integer) 1\n2# (integer) 2 => \n   1) (integer) 3\n   2) (nil)\n",
        "a 1\n2 3\n\n",
        "\"a\",1,2,3,NULL\n",
        "{\"a\":1,\"2\":[3,null]}\n",
    ),
    (
        b"*2\r\n*2\r\n:1\r\n*1\r\n:2\r\n*0\r\n",
        "1) 1) (integer) 1\n   2) 1) (integer) 2\n2) (empty array)\n",
        "1\n2\n\n",
        "1,2,\n",
        "[[1,[2]],[]]\n",
    ),
    (
        b"*2\r\n-ERR a\r\n+b\r\n",
        "1) (error) ERR a\n2) b\n",
        "ERR a\n\nb\n",
        "ERROR,\"ERR a\",\"b\"\n",
        "[error:\"ERR a\",\"b\"]\n",
    ),
    (
        b"%1\r\n+k\r\n*1\r\n:1\r\n",
        "1# k => 1) (integer) 1\n",
        "k 1\n",
        "\"k\",1\n",
        "{\"k\":[1]}\n",
    ),
];

#[test]
fn every_type_in_every_mode() {
    for (bytes, standard, raw, csv, json) in SCALARS.iter().chain(AGGREGATES) {
        let name = String::from_utf8_lossy(bytes);
        assert_eq!(shown(bytes, Mode::Standard), *standard, "{name}");
        assert_eq!(shown(bytes, Mode::Raw), *raw, "{name}");
        assert_eq!(shown(bytes, Mode::Csv), *csv, "{name}");
        assert_eq!(shown(bytes, Mode::Json), *json, "{name}");
    }
}

#[test]
fn numbers_line_up() {
    let mut bytes = b"*10\r\n*10\r\n".to_vec();
    bytes.extend(b":1\r\n".repeat(19));
    let text = shown(&bytes, Mode::Standard);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], " 1)  1) (integer) 1");
    assert_eq!(lines[1], "     2) (integer) 1");
    assert_eq!(lines[9], "    10) (integer) 1");
    assert_eq!(lines[10], " 2) (integer) 1");
    assert_eq!(lines[18], "10) (integer) 1");
}

#[test]
fn quoted_json_is_ascii() {
    let reply = "$4\r\n\u{e9}\"\\\r\n".as_bytes();
    assert_eq!(shown(reply, Mode::QuotedJson), "\"\\\\xc3\\\\xa9\\\\\"\\\\\\\\\"\n");
    assert_eq!(shown(reply, Mode::Json), "\"\u{e9}\\\"\\\\\"\n");
}

#[test]
fn separators_are_for_raw_only() {
    let mut format = Format::new(Mode::Raw);
    format.element_end = b"|".to_vec();
    format.reply_end = b"!".to_vec();
    let nested = decode(b"*2\r\n:1\r\n%1\r\n:2\r\n:3\r\n");
    assert_eq!(format.reply(&nested, false), b"1|2 3!");
    assert_eq!(format.reply(&nested, true), b"1|2 3");
    format.mode = Mode::Csv;
    assert_eq!(format.reply(&nested, false), b"1,2,3\n");
}

#[test]
fn a_page_is_printed_as_it_is() {
    for mode in [Mode::Standard, Mode::Raw, Mode::Csv, Mode::Json] {
        let page = Format::new(mode).reply(&decode(b"$7\r\n# A\r\nb\n\r\n"), true);
        assert_eq!(page, b"# A\r\nb\n");
    }
}

#[test]
fn pushes() {
    let invalidate = decode(b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(Format::new(Mode::Standard).push(&invalidate), b"-> invalidate: 'a', 'b'\n");
    assert_eq!(Format::new(Mode::Raw).push(&invalidate), b"invalidate\na\nb\n");
    let flushed = decode(b">2\r\n$10\r\ninvalidate\r\n_\r\n");
    assert_eq!(Format::new(Mode::Standard).push(&flushed), b"1) \"invalidate\"\n2) (nil)\n");
}

#[test]
fn colours_change_nothing_but_colours() {
    let mut format = Format::new(Mode::Standard);
    for (bytes, standard, ..) in SCALARS.iter().chain(AGGREGATES) {
        format.colour = true;
        let text = String::from_utf8(format.reply(&decode(bytes), false)).unwrap();
        let mut plain = String::new();
        let mut parts = text.split("\x1b[");
        plain.push_str(parts.next().unwrap());
        parts.for_each(|part| plain.push_str(part.split_once('m').unwrap().1));
        assert_eq!(plain, *standard);
    }
}

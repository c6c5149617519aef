//! How replies are printed. Pure: a value in, bytes out, equal to redis-cli's for the same reply.
//!
//! | mode | for | chosen by |
//! |---|---|---|
//! | `Standard` | people: types named, strings quoted, aggregates numbered | a terminal, `--no-raw`, `FAKETTY` |
//! | `Raw` | pipes: the bytes as they are | no terminal, `--raw` |
//! | `Csv`, `Json`, `QuotedJson` | other programs | the flags of those names |

use crate::quote::{push_repr, repr};
use crate::resp::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Standard,
    Raw,
    Csv,
    Json,
    QuotedJson,
}

/// The mode, and the two separators that `Raw` uses.
#[derive(Debug, Clone)]
pub struct Format {
    pub mode: Mode,
    /// Between the elements of one reply (`-d`).
    pub element_end: Vec<u8>,
    /// After each reply (`-D`).
    pub reply_end: Vec<u8>,
    /// Whether `Standard` colours what it prints; only ever true at an interactive terminal.
    pub colour: bool,
}

impl Format {
    pub fn new(mode: Mode) -> Self {
        Format { mode, element_end: b"\n".to_vec(), reply_end: b"\n".to_vec(), colour: false }
    }

    /// The whole text of one reply. `verbatim` is for commands whose reply is a page of text: it is
    /// printed as it is in every mode, without a separator.
    pub fn reply(&self, value: &Value, verbatim: bool) -> Vec<u8> {
        let mut out = Vec::new();
        if verbatim {
            self.raw(value, &mut out);
            return out;
        }
        match self.mode {
            Mode::Standard => self.standard(value, &mut Vec::new(), &mut out),
            Mode::Raw => {
                self.raw(value, &mut out);
                out.extend_from_slice(&self.reply_end);
            }
            Mode::Csv => {
                csv(value, &mut out);
                out.push(b'\n');
            }
            Mode::Json | Mode::QuotedJson => {
                self.json(value, &mut out);
                out.push(b'\n');
            }
        }
        out
    }

    /// An out-of-band message. Invalidations have a line of their own in `Standard`.
    pub fn push(&self, value: &Value) -> Vec<u8> {
        if self.mode == Mode::Standard
            && let Value::Push(items) = value
            && let [Value::Bulk(kind), Value::Array(keys)] = items.as_slice()
            && kind.starts_with(b"invalidate")
        {
            let names: Vec<&[u8]> = keys.iter().filter_map(Value::text).collect();
            let mut out = b"-> invalidate: ".to_vec();
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                out.push(b'\'');
                out.extend_from_slice(name);
                out.push(b'\'');
            }
            out.push(b'\n');
            return out;
        }
        self.reply(value, false)
    }

    fn raw(&self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Nil => {}
            Value::Error(text) => {
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Value::Status(text) | Value::Bulk(text) | Value::Verbatim(text) => {
                out.extend_from_slice(text)
            }
            Value::Bool(truth) => {
                out.extend_from_slice(if *truth { b"(true)" } else { b"(false)" })
            }
            Value::Int(number) => push_int(out, *number),
            Value::Double(text) | Value::BigNumber(text) => out.extend_from_slice(text),
            Value::Array(items) | Value::Set(items) | Value::Push(items) => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.extend_from_slice(&self.element_end);
                    }
                    self.raw(item, out);
                }
            }
            Value::Map(items) => {
                for (at, item) in items.iter().enumerate() {
                    if at % 2 == 1 {
                        out.push(b' ');
                    } else if at > 0 {
                        out.extend_from_slice(&self.element_end);
                    }
                    self.raw(item, out);
                }
            }
        }
    }

    /// `indent` is what precedes every line of this value but the first: the parent printed that already.
    fn standard(&self, value: &Value, indent: &mut Vec<u8>, out: &mut Vec<u8>) {
        match value {
            Value::Error(text) => self.painted("31", &[b"(error) ", text], out),
            Value::Status(text) => self.painted("32", &[text], out),
            Value::Int(number) => {
                let mut digits = b"(integer) ".to_vec();
                push_int(&mut digits, *number);
                self.painted("36", &[&digits], out);
            }
            Value::Double(text) => self.painted("36", &[b"(double) ", text], out),
            Value::BigNumber(text) => self.painted("36", &[b"(big number) ", text], out),
            Value::Bulk(text) => self.painted("33", &[&repr(text)], out),
            Value::Verbatim(text) => self.painted("", &[text], out),
            Value::Nil => self.painted("90", &[b"(nil)"], out),
            Value::Bool(true) => self.painted("36", &[b"(true)"], out),
            Value::Bool(false) => self.painted("36", &[b"(false)"], out),
            Value::Array(items) if items.is_empty() => self.painted("90", &[b"(empty array)"], out),
            Value::Map(items) if items.is_empty() => self.painted("90", &[b"(empty hash)"], out),
            Value::Set(items) if items.is_empty() => self.painted("90", &[b"(empty set)"], out),
            Value::Push(items) if items.is_empty() => self.painted("90", &[b"(empty push)"], out),
            Value::Array(items) | Value::Push(items) => self.numbered(items, b')', indent, out),
            Value::Set(items) => self.numbered(items, b'~', indent, out),
            Value::Map(items) => self.numbered(items, b'#', indent, out),
        }
    }

    /// One line of text and its end.
    fn painted(&self, colour: &str, parts: &[&[u8]], out: &mut Vec<u8>) {
        let paint = self.colour && !colour.is_empty();
        if paint {
            out.extend_from_slice(format!("\x1b[{colour}m").as_bytes());
        }
        for part in parts {
            out.extend_from_slice(part);
        }
        if paint {
            out.extend_from_slice(b"\x1b[0m");
        }
        out.push(b'\n');
    }

    /// The elements of an aggregate, one numbered entry each; `#` is the mark of a map.
    fn numbered(&self, items: &[Value], mark: u8, indent: &mut Vec<u8>, out: &mut Vec<u8>) {
        let step = if mark == b'#' { 2 } else { 1 };
        let width = (items.len() / step).to_string().len();
        let outer = indent.len();
        for (at, entry) in items.chunks(step).enumerate() {
            if at > 0 {
                out.extend_from_slice(indent.get(..outer).unwrap_or_default());
            }
            out.extend_from_slice(format!("{:>width$}{} ", at + 1, char::from(mark)).as_bytes());
            indent.resize(outer + width + 2, b' ');
            for (part, item) in entry.iter().enumerate() {
                if part > 0 {
                    out.pop();
                    out.extend_from_slice(b" => ");
                    if spans_lines(item) {
                        out.push(b'\n');
                        out.extend_from_slice(indent);
                    }
                }
                self.standard(item, indent, out);
            }
            indent.truncate(outer);
        }
    }

    fn json(&self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Error(text) => {
                out.extend_from_slice(b"error:");
                self.json_string(text, out);
            }
            Value::Status(text) | Value::Bulk(text) | Value::Verbatim(text) => {
                self.json_string(text, out)
            }
            Value::Int(number) => push_int(out, *number),
            Value::Double(text) | Value::BigNumber(text) => out.extend_from_slice(text),
            Value::Nil => out.extend_from_slice(b"null"),
            Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Value::Array(items) | Value::Set(items) | Value::Push(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.json(item, out);
                }
                out.push(b']');
            }
            Value::Map(items) => {
                out.push(b'{');
                for (at, item) in items.iter().enumerate() {
                    match (at, at % 2) {
                        (0, _) => self.json_key(item, out),
                        (_, 0) => {
                            out.push(b',');
                            self.json_key(item, out);
                        }
                        _ => {
                            out.push(b':');
                            self.json(item, out);
                        }
                    }
                }
                out.push(b'}');
            }
        }
    }

    /// JSON knows only text as keys, RESP3 any value: what is not text is printed and then quoted.
    fn json_key(&self, key: &Value, out: &mut Vec<u8>) {
        if matches!(key, Value::Error(_)) || key.text().is_some() {
            return self.json(key, out);
        }
        out.push(b'"');
        self.json(key, out);
        out.push(b'"');
    }

    fn json_string(&self, text: &[u8], out: &mut Vec<u8>) {
        if self.mode == Mode::QuotedJson {
            for byte in repr(text) {
                if byte == b'\\' {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            return;
        }
        out.push(b'"');
        for byte in text {
            match byte {
                b'\\' | b'"' => out.extend_from_slice(&[b'\\', *byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                0x0c => out.extend_from_slice(b"\\f"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0x08 => out.extend_from_slice(b"\\b"),
                0x00..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => out.push(*byte),
            }
        }
        out.push(b'"');
    }
}

fn csv(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            push_repr(out, text);
        }
        Value::Status(text) | Value::Bulk(text) | Value::Verbatim(text) => push_repr(out, text),
        Value::Int(number) => push_int(out, *number),
        Value::Double(text) | Value::BigNumber(text) => out.extend_from_slice(text),
        Value::Nil => out.extend_from_slice(b"NULL"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Array(items) | Value::Set(items) | Value::Push(items) | Value::Map(items) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                csv(item, out);
            }
        }
    }
}

/// Whether a value needs more than the line it starts on.
fn spans_lines(value: &Value) -> bool {
    match value {
        Value::Array(items) | Value::Set(items) | Value::Push(items) => match items.as_slice() {
            [] => false,
            [only] => spans_lines(only),
            _ => true,
        },
        Value::Map(items) => match items.as_slice() {
            [] => false,
            [_, only] => spans_lines(only),
            _ => true,
        },
        _ => false,
    }
}

fn push_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;

//! The reply decoder: RESP2 and RESP3, bytes in, values out.
//!
//! - **D1** Bytes may arrive cut anywhere. An unfinished reply costs no re-parsing: finished elements
//!   wait on a stack of open aggregates, and a line that is still missing its end is not searched twice.
//! - **D2** Memory follows the bytes received, never an announced length: no vector is reserved from a
//!   header, and nesting stops at [`MAX_DEPTH`], because dropping and printing a value recurse.
//! - **D3** After an error the decoder is dead: the stream has lost its framing, and the caller closes it.

use std::fmt;

/// Aggregates inside aggregates that are accepted. A script's deepest reply is far below it, and a
/// thread's smallest stack holds the recursion over it.
pub const MAX_DEPTH: usize = 512;

/// The most elements one aggregate may announce, as other clients accept.
const MAX_ELEMENTS: u64 = (1 << 32) - 1;

/// One reply. Text is kept as the server sent it, since every output mode prints it unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Status(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Double(Vec<u8>),
    Bool(bool),
    BigNumber(Vec<u8>),
    /// Text without its three-letter format and colon: no output mode shows those.
    Verbatim(Vec<u8>),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    /// Keys and values alternate; the length is even.
    Map(Vec<Value>),
}

impl Value {
    /// The text of a string-like reply.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Value::Status(text) | Value::Bulk(text) | Value::Verbatim(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of any aggregate; a map gives keys and values in turn.
    pub fn elements(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) | Value::Map(items) => {
                Some(items)
            }
            _ => None,
        }
    }
}

/// Why a reply could not be understood. Its text is what the user sees after `Error: `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtocolError {
    TypeByte(u8),
    Integer,
    Double,
    Nil,
    Bool,
    BigNumber,
    SimpleString,
    BulkLength,
    BulkLengthRange,
    AggregateLength,
    AggregateLengthRange,
    VerbatimHeader,
    TooDeep,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolError::TypeByte(byte) => {
                let shown = String::from_utf8_lossy(&crate::quote::repr(&[*byte])).into_owned();
                return write!(f, "Protocol error, got {shown} as reply type byte");
            }
            ProtocolError::Integer => "Bad integer value",
            ProtocolError::Double => "Bad double value",
            ProtocolError::Nil => "Bad nil value",
            ProtocolError::Bool => "Bad bool value",
            ProtocolError::BigNumber => "Bad bignum value",
            ProtocolError::SimpleString => "Bad simple string value",
            ProtocolError::BulkLength => "Bad bulk string length",
            ProtocolError::BulkLengthRange => "Bulk string length out of range",
            ProtocolError::AggregateLength => "Bad multi-bulk length",
            ProtocolError::AggregateLengthRange => "Multi-bulk length out of range",
            ProtocolError::VerbatimHeader => {
                "Verbatim string 4 bytes of content type are missing or incorrectly encoded."
            }
            ProtocolError::TooDeep => "Reply nested too deeply",
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Array,
    Set,
    Push,
    Map,
    /// RESP3's out-of-band annotations: read and dropped, the reply they precede counts.
    Attribute,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    missing: u64,
    items: Vec<Value>,
}

enum Item {
    Whole(Value),
    Header(Kind, u64),
}

/// Feed it what the socket gave, then take values until it has none.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Start of the first byte that is not consumed.
    at: usize,
    /// How far the current line was searched for its end already (D1).
    searched: usize,
    open: Vec<Open>,
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.searched = self.searched.saturating_sub(self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole reply, or `None` when more bytes are needed.
    pub fn next(&mut self) -> Result<Option<Value>, ProtocolError> {
        while let Some(item) = self.item()? {
            let whole = match item {
                Item::Whole(value) => self.deliver(value),
                Item::Header(kind, 0) => self.close(kind, Vec::new()),
                Item::Header(kind, missing) => {
                    if self.open.len() >= MAX_DEPTH {
                        return Err(ProtocolError::TooDeep);
                    }
                    self.open.push(Open { kind, missing, items: Vec::new() });
                    None
                }
            };
            if whole.is_some() {
                return Ok(whole);
            }
        }
        Ok(None)
    }

    /// Puts a finished value into the innermost open aggregate, and closes each one that this completes.
    fn deliver(&mut self, value: Value) -> Option<Value> {
        let Some(parent) = self.open.last_mut() else {
            return Some(value);
        };
        parent.items.push(value);
        parent.missing -= 1;
        if parent.missing > 0 {
            return None;
        }
        let done = self.open.pop()?;
        self.close(done.kind, done.items)
    }

    fn close(&mut self, kind: Kind, items: Vec<Value>) -> Option<Value> {
        self.deliver(match kind {
            Kind::Array => Value::Array(items),
            Kind::Set => Value::Set(items),
            Kind::Push => Value::Push(items),
            Kind::Map => Value::Map(items),
            Kind::Attribute => return None,
        })
    }

    fn item(&mut self) -> Result<Option<Item>, ProtocolError> {
        let Some(&kind) = self.bytes.get(self.at) else {
            return Ok(None);
        };
        if !b"+-:,_#($=!*%~>|".contains(&kind) {
            return Err(ProtocolError::TypeByte(kind));
        }
        let Some(end) = self.line_end() else {
            return Ok(None);
        };
        let line = self.bytes.get(self.at + 1..end).unwrap_or_default();
        let item = match kind {
            b'$' | b'=' | b'!' => return self.bulk(kind, end),
            b'*' => header(Kind::Array, line)?,
            b'~' => header(Kind::Set, line)?,
            b'>' => header(Kind::Push, line)?,
            b'%' => header(Kind::Map, line)?,
            b'|' => header(Kind::Attribute, line)?,
            _ => Item::Whole(simple(kind, line)?),
        };
        self.consume(end + 2);
        Ok(Some(item))
    }

    /// A length-prefixed text whose header line ends at `end`.
    fn bulk(&mut self, kind: u8, end: usize) -> Result<Option<Item>, ProtocolError> {
        let line = self.bytes.get(self.at + 1..end).unwrap_or_default();
        let announced = integer(line).ok_or(ProtocolError::BulkLength)?;
        if announced == -1 {
            self.consume(end + 2);
            return Ok(Some(Item::Whole(Value::Nil)));
        }
        let len = usize::try_from(announced).map_err(|_| ProtocolError::BulkLengthRange)?;
        let start = end + 2;
        let stop = start.checked_add(len).ok_or(ProtocolError::BulkLengthRange)?;
        let next = stop.checked_add(2).ok_or(ProtocolError::BulkLengthRange)?;
        if self.bytes.len() < next {
            return Ok(None);
        }
        let text = self.bytes.get(start..stop).unwrap_or_default();
        let value = match kind {
            b'=' => match text.split_at_checked(4) {
                Some(([_, _, _, b':'], rest)) => Value::Verbatim(rest.to_vec()),
                _ => return Err(ProtocolError::VerbatimHeader),
            },
            b'!' => Value::Error(text.to_vec()),
            _ => Value::Bulk(text.to_vec()),
        };
        self.consume(next);
        Ok(Some(Item::Whole(value)))
    }

    /// Where the line that starts at `at` ends: the index of its CR.
    fn line_end(&mut self) -> Option<usize> {
        let mut from = self.searched.max(self.at);
        while let Some(found) = memchr::memchr(b'\r', self.bytes.get(from..)?) {
            let cr = from + found;
            match self.bytes.get(cr + 1) {
                Some(b'\n') => return Some(cr),
                Some(_) => from = cr + 1,
                None => {
                    self.searched = cr;
                    return None;
                }
            }
        }
        self.searched = self.bytes.len();
        None
    }

    fn consume(&mut self, to: usize) {
        self.at = to;
        self.searched = to;
    }
}

fn header(kind: Kind, line: &[u8]) -> Result<Item, ProtocolError> {
    let announced = integer(line).ok_or(ProtocolError::AggregateLength)?;
    if announced == -1 {
        return Ok(Item::Whole(Value::Nil));
    }
    let count = u64::try_from(announced)
        .ok()
        .filter(|count| *count <= MAX_ELEMENTS)
        .ok_or(ProtocolError::AggregateLengthRange)?;
    let pairs = matches!(kind, Kind::Map | Kind::Attribute);
    Ok(Item::Header(kind, if pairs { count * 2 } else { count }))
}

fn simple(kind: u8, line: &[u8]) -> Result<Value, ProtocolError> {
    match kind {
        b':' => integer(line).map(Value::Int).ok_or(ProtocolError::Integer),
        b',' => double(line).map(Value::Double).ok_or(ProtocolError::Double),
        b'_' if line.is_empty() => Ok(Value::Nil),
        b'_' => Err(ProtocolError::Nil),
        b'#' => match line {
            b"t" | b"T" => Ok(Value::Bool(true)),
            b"f" | b"F" => Ok(Value::Bool(false)),
            _ => Err(ProtocolError::Bool),
        },
        b'(' => {
            let digits = line.strip_prefix(b"-").unwrap_or(line);
            if digits.iter().all(u8::is_ascii_digit) {
                Ok(Value::BigNumber(line.to_vec()))
            } else {
                Err(ProtocolError::BigNumber)
            }
        }
        _ if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) => {
            Err(ProtocolError::SimpleString)
        }
        b'-' => Ok(Value::Error(line.to_vec())),
        _ => Ok(Value::Status(line.to_vec())),
    }
}

/// A number in its one canonical spelling: no plus sign, no leading zero, no blanks.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Checks that the text is a number the protocol allows; its spelling is kept.
fn double(text: &[u8]) -> Option<Vec<u8>> {
    let word = std::str::from_utf8(text).ok()?;
    let named = ["inf", "-inf", "nan", "-nan"].iter().any(|name| word.eq_ignore_ascii_case(name));
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    let finite = digits && word.parse::<f64>().is_ok_and(f64::is_finite);
    (named || finite).then(|| text.to_vec())
}

#[cfg(test)]
#[path = "resp_tests.rs"]
mod tests;

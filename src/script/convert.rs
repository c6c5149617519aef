//! Replies as Lua values, and Lua values as replies.
//!
//! | RESP | Lua |
//! |---|---|
//! | integer, string | number, string |
//! | status, error | `{ok = text}`, `{err = text}` |
//! | array | table from 1 |
//! | null of protocol 2, of protocol 3 | `false`, `nil` |
//! | map, set, double, boolean, big number, verbatim text | `{map = {}}`, `{set = {}}`, `{double = n}`, boolean, `{big_number = s}`, `{verbatim_string = {format, string}}` |

use super::errors::is_counted;
use super::numbers::to_i64;
use crate::resp::Reply;
use crate::types::number;
use bstr::BStr;
use mlua::{Either, Lua, Table, Value};
use std::borrow::Cow;

/// How deep tables may lie in each other on their way out.
const DEPTH: usize = 1_000;

/// Bytes as what becomes a string of Lua in one step, as those that are UTF-8 do.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Either<&str, &BStr> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Either::Left(text),
        Err(_) => Either::Right(BStr::new(bytes)),
    }
}

/// The one reply in `reply` as a value.
pub(super) fn to_lua(lua: &Lua, reply: &Reply) -> mlua::Result<Value> {
    let bytes = if reply.shared.is_empty() {
        Cow::Borrowed(&reply.bytes)
    } else {
        Cow::Owned(joined(reply))
    };
    let mut reader = Reader { lua, bytes: &bytes };
    reader.value()
}

/// The stream in one piece.
fn joined(reply: &Reply) -> Vec<u8> {
    let (mut bytes, mut from) = (Vec::with_capacity(reply.len()), 0);
    for (at, value) in &reply.shared {
        bytes.extend_from_slice(&reply.bytes[from..*at]);
        bytes.extend_from_slice(value);
        from = *at;
    }
    bytes.extend_from_slice(&reply.bytes[from..]);
    bytes
}

struct Reader<'a> {
    lua: &'a Lua,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\r', self.bytes).unwrap_or(self.bytes.len());
        let (line, rest) = self.bytes.split_at(end);
        self.bytes = rest.get(2..).unwrap_or_default();
        line
    }

    fn block(&mut self, len: usize) -> &'a [u8] {
        let (block, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest.get(2..).unwrap_or_default();
        block
    }

    fn string(&self, text: &[u8]) -> mlua::Result<Value> {
        self.lua.create_string(text).map(Value::String)
    }

    /// A table with one field.
    fn field(&self, name: &str, value: Value) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }

    fn value(&mut self) -> mlua::Result<Value> {
        loop {
            let line = self.line();
            let Some((&kind, text)) = line.split_first() else { return Ok(Value::Nil) };
            let len = || number::parse_i64(text).unwrap_or(-1);
            return match kind {
                b':' => Ok(Value::Number(len() as f64)),
                b'$' | b'*' if len() < 0 => Ok(Value::Boolean(false)),
                b'$' => {
                    let block = self.block(len() as usize);
                    self.string(block)
                }
                b'+' => self.string(text).and_then(|text| self.field("ok", text)),
                b'-' => self.string(text).and_then(|text| self.field("err", text)),
                b'*' | b'>' => self.list(len() as usize),
                b'_' => Ok(Value::Nil),
                b'#' => Ok(Value::Boolean(text == b"t")),
                b',' => {
                    let value = number::parse_f64(text).unwrap_or(f64::NAN);
                    self.field("double", Value::Number(value))
                }
                b'(' => self.string(text).and_then(|text| self.field("big_number", text)),
                b'=' => self.verbatim(len() as usize),
                b'%' => {
                    let map = self.map(len() as usize)?;
                    self.field("map", Value::Table(map))
                }
                b'~' => {
                    let set = self.lua.create_table()?;
                    for _ in 0..len() {
                        let member = self.value()?;
                        if !member.is_nil() {
                            set.raw_set(member, true)?;
                        }
                    }
                    self.field("set", Value::Table(set))
                }
                b'|' => {
                    self.map(len() as usize)?; // attributes are not for scripts
                    continue;
                }
                _ => Ok(Value::Nil),
            };
        }
    }

    fn list(&mut self, len: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(len, 0)?;
        for i in 1..=len {
            let value = self.value()?;
            table.raw_seti(i, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize) -> mlua::Result<Table> {
        let map = self.lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value()?, self.value()?);
            if !key.is_nil() {
                map.raw_set(key, value)?;
            }
        }
        Ok(map)
    }

    fn verbatim(&mut self, len: usize) -> mlua::Result<Value> {
        let block = self.block(len);
        let table = self.lua.create_table_with_capacity(0, 2)?;
        table.raw_set("format", self.string(block.get(..3).unwrap_or_default())?)?;
        table.raw_set("string", self.string(block.get(4..).unwrap_or_default())?)?;
        self.field("verbatim_string", Value::Table(table))
    }
}

/// Encodes what a script returned. `three`: the script chose protocol 3, in which booleans are
/// booleans. True if an error is in it that was counted when a command failed: it is not counted as
/// one of the reply.
pub(super) fn to_resp(value: &Value, three: bool, out: &mut Reply) -> mlua::Result<bool> {
    let mut writer = Writer { three, out, counted: false };
    writer.value(value, 0)?;
    Ok(writer.counted)
}

struct Writer<'a> {
    three: bool,
    out: &'a mut Reply,
    counted: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> mlua::Result<()> {
        match value {
            Value::String(text) => self.out.bulk(&text.as_bytes()),
            Value::Integer(value) => self.out.int(*value),
            Value::Number(value) => self.out.int(to_i64(*value)),
            Value::Boolean(value) if self.three => self.out.bool(*value),
            Value::Boolean(true) => self.out.int(1),
            Value::Table(_) if depth >= DEPTH => self.out.error("ERR reached lua stack limit"),
            Value::Table(table) => return self.table(table, depth),
            _ => self.out.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        if self.special(table, depth)? {
            return Ok(());
        }
        let from = self.out.bytes.len();
        let (mut n, mut value) = (0, table.raw_get::<Value>(1)?);
        while !value.is_nil() {
            self.value(&value, depth + 1)?;
            n += 1;
            value = table.raw_get(n + 1)?;
        }
        let header = format!("*{n}\r\n");
        self.out.bytes.splice(from..from, header.into_bytes());
        Ok(())
    }

    /// Tables that stand for a reply of another type. True if it was one.
    fn special(&mut self, table: &Table, depth: usize) -> mlua::Result<bool> {
        if let Value::String(text) = table.raw_get::<Value>("err")? {
            let text = text.as_bytes();
            let text = text.strip_prefix(b"-").unwrap_or(&text);
            let errors = self.out.errors();
            self.out.error(text);
            if is_counted(table) {
                self.out.counted(errors);
                self.counted = true;
            }
        } else if let Value::String(text) = table.raw_get::<Value>("ok")? {
            let clean = |b: &u8| if matches!(b, b'\r' | b'\n') { b' ' } else { *b };
            let text: Vec<u8> = text.as_bytes().iter().map(clean).collect();
            self.out.raw(&[b"+", text.as_slice(), b"\r\n"].concat());
        } else if let Some(value) = number(&table.raw_get::<Value>("double")?) {
            let mut text = Vec::new();
            number::format_f64(&mut text, value);
            self.out.double(&String::from_utf8_lossy(&text));
        } else if let Value::Table(map) = table.raw_get::<Value>("map")? {
            let pairs: Vec<(Value, Value)> = map.pairs().collect::<mlua::Result<_>>()?;
            self.out.map(pairs.len());
            for (key, value) in pairs {
                self.value(&key, depth + 1)?;
                self.value(&value, depth + 1)?;
            }
        } else if let Value::Table(set) = table.raw_get::<Value>("set")? {
            let pairs: Vec<(Value, Value)> = set.pairs().collect::<mlua::Result<_>>()?;
            self.out.set(pairs.len());
            for (key, _) in pairs {
                self.value(&key, depth + 1)?;
            }
        } else if let Value::String(digits) = table.raw_get::<Value>("big_number")? {
            let clean = digits.to_string_lossy().replace(['\r', '\n'], " ");
            self.out.big_number(&clean);
        } else if let Value::Table(text) = table.raw_get::<Value>("verbatim_string")? {
            return self.verbatim(&text);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn verbatim(&mut self, text: &Table) -> mlua::Result<bool> {
        let (format, string) = (text.raw_get::<Value>("format")?, text.raw_get::<Value>("string")?);
        let (Value::String(format), Value::String(string)) = (format, string) else {
            return Ok(false);
        };
        let mut format = format.to_string_lossy();
        format.retain(|c| c.is_ascii_graphic());
        self.out.verbatim(&format!("{format:<3.3}"), &string.as_bytes());
        Ok(true)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(value) => Some(*value),
        Value::Integer(value) => Some(*value as f64),
        _ => None,
    }
}

//! `cmsgpack`: MessagePack as Redis' scripts write and read it.
//!
//! Integers take the smallest form; other numbers 4 bytes if that loses nothing, else 8. A table
//! whose keys are 1..n is an array, the empty one too; beyond [`DEPTH`] levels there is only nil.

use super::errors::{integer_arg, located, text_arg};
use mlua::{Lua, MultiValue, Table, Value};

const DEPTH: usize = 16;
/// How deep what is read may be nested.
const READ_DEPTH: usize = 1_000;

/// The table `cmsgpack`.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.set("_NAME", "cmsgpack")?;
    library.set("_VERSION", "lua-cmsgpack 0.4.0")?;
    library.set("_DESCRIPTION", "MessagePack for scripts")?;
    library.set("pack", lua.create_function(pack)?)?;
    library.set("unpack", lua.create_function(|lua, args| unpack(lua, &args, 0, 0, "unpack"))?)?;
    let one = lua.create_function(|lua, args: MultiValue| {
        let offset = integer_arg(lua, &args, 1, "unpack_one", 0)?;
        unpack(lua, &args, 1, offset, "unpack_one")
    })?;
    library.set("unpack_one", one)?;
    let limit = lua.create_function(|lua, args: MultiValue| {
        let limit = integer_arg(lua, &args, 1, "unpack_limit", 0)?;
        let offset = integer_arg(lua, &args, 2, "unpack_limit", 0)?;
        unpack(lua, &args, limit, offset, "unpack_limit")
    })?;
    library.set("unpack_limit", limit)?;
    Ok(library)
}

fn pack(lua: &Lua, args: MultiValue) -> mlua::Result<mlua::LuaString> {
    if args.is_empty() {
        return Err(located(lua, "bad argument #0 to 'pack' (MessagePack pack needs input.)"));
    }
    let mut out = Vec::new();
    for value in &args {
        write(&mut out, value, 0)?;
    }
    lua.create_string(out)
}

fn write(out: &mut Vec<u8>, value: &Value, depth: usize) -> mlua::Result<()> {
    match value {
        Value::Boolean(true) => out.push(0xC3),
        Value::Boolean(false) => out.push(0xC2),
        Value::Integer(value) => write_integer(out, *value),
        Value::Number(value) => write_number(out, *value),
        Value::String(text) => write_text(out, &text.as_bytes()),
        Value::Table(_) if depth >= DEPTH => out.push(0xC0),
        Value::Table(table) => write_table(out, table, depth)?,
        _ => out.push(0xC0),
    }
    Ok(())
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    match value {
        0..=0x7F => out.push(value as u8),
        0x80..=0xFF => out.extend([0xCC, value as u8]),
        0x100..=0xFFFF => {
            out.push(0xCD);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(0xCE);
            out.extend((value as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xCF);
            out.extend(value.to_be_bytes());
        }
        -32..=-1 => out.push(value as u8),
        -128..=-33 => out.extend([0xD0, value as u8]),
        -0x8000..=-129 => {
            out.push(0xD1);
            out.extend((value as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            out.push(0xD2);
            out.extend((value as i32).to_be_bytes());
        }
        _ => {
            out.push(0xD3);
            out.extend(value.to_be_bytes());
        }
    }
}

fn write_number(out: &mut Vec<u8>, value: f64) {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value == value.floor() && (-LIMIT..LIMIT).contains(&value) {
        write_integer(out, value as i64);
    } else if f64::from(value as f32) == value {
        out.push(0xCA);
        out.extend((value as f32).to_be_bytes());
    } else {
        out.push(0xCB);
        out.extend(value.to_be_bytes());
    }
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        n @ 0..32 => out.push(0xA0 | n as u8),
        n @ 32..=0xFF => out.extend([0xD9, n as u8]),
        n => write_length(out, n, 0xDA),
    }
    out.extend_from_slice(text);
}

/// A length of two bytes after `code`, or of four after the next code.
fn write_length(out: &mut Vec<u8>, n: usize, code: u8) {
    if let Ok(n) = u16::try_from(n) {
        out.push(code);
        out.extend(n.to_be_bytes());
    } else {
        out.push(code + 1);
        out.extend((n as u32).to_be_bytes());
    }
}

fn write_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> mlua::Result<()> {
    let (mut count, mut greatest, mut list) = (0_usize, 0_usize, true);
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        count += 1;
        let index = match key {
            Value::Integer(key) => usize::try_from(key).unwrap_or(0),
            Value::Number(key) if key == key.floor() && key > 0.0 && key < 1e15 => key as usize,
            _ => 0,
        };
        list &= index > 0;
        greatest = greatest.max(index);
    }
    if list && greatest == count {
        if count < 16 {
            out.push(0x90 | count as u8)
        } else {
            write_length(out, count, 0xDC)
        }
        for i in 1..=count {
            write(out, &table.raw_get::<Value>(i)?, depth + 1)?;
        }
        return Ok(());
    }
    if count < 16 {
        out.push(0x80 | count as u8)
    } else {
        write_length(out, count, 0xDE)
    }
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        write(out, &key, depth + 1)?;
        write(out, &value, depth + 1)?;
    }
    Ok(())
}

/// Reads `limit` values from `offset` on, all if that is 0. With a limit the place to go on at comes
/// first, -1 at the end.
fn unpack(
    lua: &Lua,
    args: &MultiValue,
    limit: i64,
    offset: i64,
    name: &str,
) -> mlua::Result<MultiValue> {
    let data = text_arg(lua, args, 0, name)?;
    if offset < 0 || limit < 0 {
        let text = format!(
            "Invalid request to unpack with offset of {offset} and limit of {}.",
            data.len()
        );
        return Err(located(lua, text));
    }
    if offset as usize > data.len() {
        let text = format!("Start offset {offset} greater than input length {}.", data.len());
        return Err(located(lua, text));
    }
    let mut reader = Reader { lua, data: &data, at: offset as usize };
    let mut values = MultiValue::new();
    while reader.at < data.len() && (limit == 0 || values.len() < limit as usize) {
        if values.len() >= 7_900 {
            return Err(located(lua, "too many results to unpack"));
        }
        values.push_back(reader.value(0)?);
    }
    if limit > 0 {
        let next = if reader.at < data.len() { reader.at as f64 } else { -1.0 };
        values.push_front(Value::Number(next));
    }
    Ok(values)
}

struct Reader<'a> {
    lua: &'a Lua,
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> mlua::Result<&'a [u8]> {
        let end = self.at.checked_add(n);
        let Some(bytes) = end.and_then(|end| self.data.get(self.at..end)) else {
            return Err(located(self.lua, "Missing bytes in input."));
        };
        self.at += n;
        Ok(bytes)
    }

    fn unsigned(&mut self, n: usize) -> mlua::Result<u64> {
        Ok(self.take(n)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn text(&mut self, n: u64) -> mlua::Result<Value> {
        let bytes = self.take(n as usize)?;
        self.lua.create_string(bytes).map(Value::String)
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        if depth > READ_DEPTH {
            return Err(located(self.lua, "Bad data format in input."));
        }
        let code = self.unsigned(1)? as u8;
        let number = |value: f64| Ok(Value::Number(value));
        match code {
            0x00..=0x7F => number(f64::from(code)),
            0xE0.. => number(f64::from(code as i8)),
            0x80..=0x8F => self.map(u64::from(code & 0x0F), depth),
            0x90..=0x9F => self.list(u64::from(code & 0x0F), depth),
            0xA0..=0xBF => self.text(u64::from(code & 0x1F)),
            0xC0 => Ok(Value::Nil),
            0xC2 | 0xC3 => Ok(Value::Boolean(code == 0xC3)),
            0xCA => number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xCB => number(f64::from_bits(self.unsigned(8)?)),
            0xCC..=0xCF => number(self.unsigned(1 << (code - 0xCC))? as f64),
            0xD0 => number(f64::from(self.unsigned(1)? as i8)),
            0xD1 => number(f64::from(self.unsigned(2)? as i16)),
            0xD2 => number(f64::from(self.unsigned(4)? as i32)),
            0xD3 => number(self.unsigned(8)? as i64 as f64),
            0xD9..=0xDB => {
                let n = self.unsigned(1 << (code - 0xD9))?;
                self.text(n)
            }
            0xDC | 0xDD => {
                let n = self.unsigned(2 << (code - 0xDC))?;
                self.list(n, depth)
            }
            0xDE | 0xDF => {
                let n = self.unsigned(2 << (code - 0xDE))?;
                self.map(n, depth)
            }
            _ => Err(located(self.lua, "Bad data format in input.")),
        }
    }

    fn list(&mut self, n: u64, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        for i in 1..=n {
            let value = self.value(depth + 1)?;
            table.raw_set(i, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, n: u64, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        for _ in 0..n {
            let (key, value) = (self.value(depth + 1)?, self.value(depth + 1)?);
            let is_nan = matches!(key, Value::Number(key) if key.is_nan());
            if key.is_nil() || is_nan {
                return Err(located(self.lua, "Bad data format in input."));
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}

//! From values to JSON.

use super::{Invalid, Settings};
use crate::script::errors::located;
use crate::script::numbers::g;
use mlua::{Lua, Table, Value};

pub(super) struct Writer<'a> {
    pub(super) lua: &'a Lua,
    pub(super) settings: &'a Settings,
    pub(super) out: Vec<u8>,
}

impl Writer<'_> {
    fn refuse(&self, value: &Value, why: &str) -> mlua::Error {
        let kind = match value.type_name() {
            "integer" => "number",
            "lightuserdata" => "userdata",
            other => other,
        };
        located(self.lua, format!("Cannot serialise {kind}: {why}"))
    }

    pub(super) fn value(&mut self, value: &Value, depth: i64) -> mlua::Result<()> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(data) if data.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Integer(number) => self.number(value, *number as f64)?,
            Value::Number(number) => self.number(value, *number)?,
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Table(table) => self.table(value, table, depth + 1)?,
            other => return Err(self.refuse(other, "type not supported")),
        }
        Ok(())
    }

    fn number(&mut self, value: &Value, number: f64) -> mlua::Result<()> {
        if !number.is_finite() {
            match self.settings.encode_invalid {
                Invalid::Refused => return Err(self.refuse(value, "must not be NaN or Inf")),
                Invalid::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                Invalid::Allowed => {}
            }
        }
        self.out.extend(g(number, self.settings.precision as usize));
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' | b'/' => self.out.extend([b'\\', byte]),
                8 => self.out.extend(b"\\b"),
                9 => self.out.extend(b"\\t"),
                10 => self.out.extend(b"\\n"),
                12 => self.out.extend(b"\\f"),
                13 => self.out.extend(b"\\r"),
                0..32 | 127 => self.out.extend(format!("\\u{byte:04x}").bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }

    fn table(&mut self, value: &Value, table: &Table, depth: i64) -> mlua::Result<()> {
        // Also bounded by what the thread's stack holds, whatever the setting.
        if depth > self.settings.encode_depth.min(5_000) {
            return Err(located(
                self.lua,
                format!("Cannot serialise, excessive nesting ({depth})"),
            ));
        }
        match self.length(value, table)? {
            0 => self.object(table, depth),
            n => {
                for i in 1..=n {
                    self.out.push(if i == 1 { b'[' } else { b',' });
                    self.value(&table.raw_get::<Value>(i)?, depth)?;
                    self.check()?;
                }
                self.out.push(b']');
                Ok(())
            }
        }
    }

    fn check(&self) -> mlua::Result<()> {
        if self.out.len() > crate::script::MEMORY_LIMIT {
            return Err(located(self.lua, "not enough memory"));
        }
        Ok(())
    }

    /// How long the array is that `table` stands for; 0 for an object.
    fn length(&self, value: &Value, table: &Table) -> mlua::Result<i64> {
        let (mut greatest, mut items) = (0_i64, 0_i64);
        for pair in table.pairs::<Value, Value>() {
            let index = match pair?.0 {
                Value::Integer(key) => key,
                Value::Number(key) if key == key.floor() && key.abs() < 1e15 => key as i64,
                _ => return Ok(0),
            };
            if index < 1 {
                return Ok(0);
            }
            greatest = greatest.max(index);
            items += 1;
        }
        let Settings { sparse_ratio: ratio, sparse_safe: safe, sparse_convert, .. } =
            *self.settings;
        if ratio > 0 && greatest > items.saturating_mul(ratio) && greatest > safe {
            if !sparse_convert {
                return Err(self.refuse(value, "excessively sparse array"));
            }
            return Ok(0);
        }
        Ok(greatest)
    }

    fn object(&mut self, table: &Table, depth: i64) -> mlua::Result<()> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !first {
                self.out.push(b',');
            }
            first = false;
            match &key {
                Value::String(text) => self.text(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.value(&key, depth)?;
                    self.out.push(b'"');
                }
                _ => return Err(self.refuse(&key, "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
            self.check()?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

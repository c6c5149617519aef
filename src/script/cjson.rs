//! `cjson`: JSON as Redis' scripts write and read it.
//!
//! Numbers are written by `%.14g`. A table is an array if all its keys are positive integers and it
//! is not full of holes, else an object; the empty one is an object. `null` is the light userdata 0,
//! which `cjson.null` holds. Settings belong to the interpreter.

use super::errors::{self, bad, located, text_arg, wrong};
use super::numbers::g;
use crate::types::number;
use mlua::{Function, Lua, MultiValue, Table, Value};
use std::cell::RefCell;
use std::rc::Rc;

#[derive(Debug, Clone, Copy)]
enum Invalid {
    Refused,
    Allowed,
    Null,
}

#[derive(Debug, Clone)]
struct Settings {
    sparse_convert: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth: i64,
    decode_depth: i64,
    precision: i64,
    keep_buffer: bool,
    encode_invalid: Invalid,
    decode_invalid: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refused,
            decode_invalid: true,
        }
    }
}

type Shared = Rc<RefCell<Settings>>;

/// The table `cjson`.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let settings = Shared::default();
    library.set("_NAME", "cjson")?;
    library.set("_VERSION", "2.1.0")?;
    library.set("null", Value::NULL)?;
    let own = Rc::clone(&settings);
    let encode = lua.create_function(move |lua, args: MultiValue| {
        if args.len() != 1 {
            return Err(bad(lua, 0, "encode", "expected 1 argument"));
        }
        let settings = own.borrow().clone();
        let mut writer = Writer { lua, settings: &settings, out: Vec::new() };
        writer.value(&args[0], 0)?;
        lua.create_string(writer.out)
    })?;
    library.set("encode", encode)?;
    let own = Rc::clone(&settings);
    let decode = lua.create_function(move |lua, args: MultiValue| {
        if args.len() != 1 {
            return Err(bad(lua, 0, "decode", "expected 1 argument"));
        }
        let text = text_arg(lua, &args, 0, "decode")?;
        let settings = own.borrow().clone();
        Parser { lua, settings: &settings, text: &text, at: 0 }.whole()
    })?;
    library.set("decode", decode)?;
    install_settings(lua, &library, &settings)?;
    library.set("new", lua.create_function(|lua, ()| library_of(lua))?)?;
    Ok(library)
}

/// A second library with settings of its own.
fn library_of(lua: &Lua) -> mlua::Result<Table> {
    library(lua)
}

fn install_settings(lua: &Lua, library: &Table, settings: &Shared) -> mlua::Result<()> {
    let own = Rc::clone(settings);
    let sparse = lua.create_function(move |lua, args: MultiValue| {
        let name = "encode_sparse_array";
        let mut settings = own.borrow_mut();
        most(lua, &args, 3)?;
        boolean(lua, &args, name, &mut settings.sparse_convert)?;
        integer(lua, &args, (1, name), (0, i64::from(i32::MAX)), &mut settings.sparse_ratio)?;
        integer(lua, &args, (2, name), (0, i64::from(i32::MAX)), &mut settings.sparse_safe)?;
        Ok((settings.sparse_convert, settings.sparse_ratio as f64, settings.sparse_safe as f64))
    })?;
    library.set("encode_sparse_array", sparse)?;
    type Field = fn(&mut Settings) -> &mut i64;
    let number = |name: &'static str, range: (i64, i64), field: Field| -> mlua::Result<Function> {
        let own = Rc::clone(settings);
        lua.create_function(move |lua, args: MultiValue| {
            let mut settings = own.borrow_mut();
            most(lua, &args, 1)?;
            integer(lua, &args, (0, name), range, field(&mut settings))?;
            Ok(*field(&mut settings) as f64)
        })
    };
    let depth = (1, i64::from(i32::MAX));
    library.set("encode_max_depth", number("encode_max_depth", depth, |s| &mut s.encode_depth)?)?;
    library.set("decode_max_depth", number("decode_max_depth", depth, |s| &mut s.decode_depth)?)?;
    let name = "encode_number_precision";
    library.set(name, number(name, (1, 14), |s| &mut s.precision)?)?;
    let own = Rc::clone(settings);
    let keep = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = own.borrow_mut();
        most(lua, &args, 1)?;
        boolean(lua, &args, "encode_keep_buffer", &mut settings.keep_buffer)?;
        Ok(settings.keep_buffer)
    })?;
    library.set("encode_keep_buffer", keep)?;
    let own = Rc::clone(settings);
    let invalid = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = own.borrow_mut();
        most(lua, &args, 1)?;
        let null =
            matches!(args.front(), Some(Value::String(text)) if *text.as_bytes() == b"null"[..]);
        if null {
            settings.encode_invalid = Invalid::Null;
        } else {
            let mut allowed = matches!(settings.encode_invalid, Invalid::Allowed);
            if boolean(lua, &args, "encode_invalid_numbers", &mut allowed)? {
                settings.encode_invalid = if allowed { Invalid::Allowed } else { Invalid::Refused };
            }
        }
        Ok(match settings.encode_invalid {
            Invalid::Null => Value::String(lua.create_string("null")?),
            Invalid::Allowed => Value::Boolean(true),
            Invalid::Refused => Value::Boolean(false),
        })
    })?;
    library.set("encode_invalid_numbers", invalid)?;
    let own = Rc::clone(settings);
    let invalid = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = own.borrow_mut();
        most(lua, &args, 1)?;
        boolean(lua, &args, "decode_invalid_numbers", &mut settings.decode_invalid)?;
        Ok(settings.decode_invalid)
    })?;
    library.set("decode_invalid_numbers", invalid)
}

fn most(lua: &Lua, args: &MultiValue, most: usize) -> mlua::Result<()> {
    if args.len() > most {
        return Err(located(lua, format!("bad argument #{} (found too many arguments)", most + 1)));
    }
    Ok(())
}

/// A setting given as true, false, "on" or "off"; whether it was given.
fn boolean(lua: &Lua, args: &MultiValue, name: &str, setting: &mut bool) -> mlua::Result<bool> {
    *setting = match args.front() {
        None | Some(Value::Nil) => return Ok(false),
        Some(Value::Boolean(value)) => *value,
        Some(Value::String(text)) if *text.as_bytes() == b"on"[..] => true,
        Some(Value::String(text)) if *text.as_bytes() == b"off"[..] => false,
        Some(Value::String(text)) => {
            let why = format!("invalid option '{}'", text.to_string_lossy());
            return Err(bad(lua, 0, name, why));
        }
        Some(_) => return Err(wrong(lua, args, 0, name, "string")),
    };
    Ok(true)
}

fn integer(
    lua: &Lua,
    args: &MultiValue,
    (at, name): (usize, &str),
    range: (i64, i64),
    setting: &mut i64,
) -> mlua::Result<()> {
    let value = errors::integer_arg(lua, args, at, name, *setting)?;
    if value < range.0 || value > range.1 {
        let why = format!("expected integer between {} and {}", range.0, range.1);
        return Err(bad(lua, at, name, why));
    }
    *setting = value;
    Ok(())
}

struct Writer<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    out: Vec<u8>,
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

    fn value(&mut self, value: &Value, depth: i64) -> mlua::Result<()> {
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
        if self.out.len() > super::MEMORY_LIMIT {
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

struct Parser<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    text: &'a [u8],
    at: usize,
}

/// What stands at a place of the text.
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Text(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(text) => text,
        }
    }
}

impl Parser<'_> {
    fn whole(&mut self) -> mlua::Result<Value> {
        if self.text.len() >= 2 && (self.text[0] == 0 || self.text[1] == 0) {
            return Err(located(self.lua, "JSON parser does not support UTF-16 or UTF-32"));
        }
        let (token, place) = self.token();
        let value = self.value(token, place, 0)?;
        match self.token() {
            (Token::End, _) => Ok(value),
            (token, place) => Err(self.expected("the end", &token, place)),
        }
    }

    fn expected(&self, what: &str, token: &Token, place: usize) -> mlua::Error {
        let name = token.name();
        located(self.lua, format!("Expected {what} but found {name} at character {}", place + 1))
    }

    fn value(&mut self, token: Token, place: usize, depth: i64) -> mlua::Result<Value> {
        Ok(match token {
            Token::Text(text) => Value::String(self.lua.create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(value) => Value::Boolean(value),
            Token::Null => Value::NULL,
            Token::ObjectBegin => self.object(depth + 1)?,
            Token::ArrayBegin => self.array(depth + 1)?,
            other => return Err(self.expected("value", &other, place)),
        })
    }

    fn descend(&self, depth: i64) -> mlua::Result<()> {
        if depth > self.settings.decode_depth.min(5_000) {
            let text =
                format!("Found too many nested data structures ({depth}) at character {}", self.at);
            return Err(located(self.lua, text));
        }
        Ok(())
    }

    fn object(&mut self, depth: i64) -> mlua::Result<Value> {
        self.descend(depth)?;
        let table = self.lua.create_table()?;
        let (mut token, mut place) = self.token();
        if matches!(token, Token::ObjectEnd) {
            return Ok(Value::Table(table));
        }
        loop {
            let Token::Text(key) = token else {
                return Err(self.expected("object key string", &token, place));
            };
            (token, place) = self.token();
            if !matches!(token, Token::Colon) {
                return Err(self.expected("colon", &token, place));
            }
            (token, place) = self.token();
            let value = self.value(token, place, depth)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            (token, place) = self.token();
            match token {
                Token::ObjectEnd => return Ok(Value::Table(table)),
                Token::Comma => (token, place) = self.token(),
                _ => return Err(self.expected("comma or object end", &token, place)),
            }
        }
    }

    fn array(&mut self, depth: i64) -> mlua::Result<Value> {
        self.descend(depth)?;
        let table = self.lua.create_table()?;
        let (mut token, mut place) = self.token();
        if matches!(token, Token::ArrayEnd) {
            return Ok(Value::Table(table));
        }
        for i in 1.. {
            let value = self.value(token, place, depth)?;
            table.raw_seti(i, value)?;
            (token, place) = self.token();
            match token {
                Token::ArrayEnd => break,
                Token::Comma => (token, place) = self.token(),
                _ => return Err(self.expected("comma or array end", &token, place)),
            }
        }
        Ok(Value::Table(table))
    }

    fn token(&mut self) -> (Token, usize) {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        while self.text.get(self.at).is_some_and(blank) {
            self.at += 1;
        }
        let place = self.at;
        let Some(&byte) = self.text.get(place) else { return (Token::End, place) };
        let single = match byte {
            b'{' => Some(Token::ObjectBegin),
            b'}' => Some(Token::ObjectEnd),
            b'[' => Some(Token::ArrayBegin),
            b']' => Some(Token::ArrayEnd),
            b':' => Some(Token::Colon),
            b',' => Some(Token::Comma),
            _ => None,
        };
        if let Some(token) = single {
            self.at += 1;
            return (token, place);
        }
        let rest = &self.text[place..];
        let words: [(&[u8], Token); 3] = [
            (b"true", Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ];
        if byte == b'"' {
            return match self.string() {
                Ok(text) => (Token::Text(text), place),
                Err((why, at)) => (Token::Error(why), at),
            };
        }
        for (word, token) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return (token, place);
            }
        }
        match self.number(rest) {
            Some((number, length)) => {
                self.at += length;
                (Token::Number(number), place)
            }
            None if matches!(byte, b'-' | b'0'..=b'9' | b'i' | b'I' | b'n' | b'N') => {
                let starts = byte == b'-' || byte.is_ascii_digit();
                (Token::Error(if starts { "invalid number" } else { "invalid token" }), place)
            }
            None => (Token::Error("invalid token"), place),
        }
    }

    /// The number at the beginning of `text`, and its length.
    fn number(&self, text: &[u8]) -> Option<(f64, usize)> {
        let plus = text.starts_with(b"+");
        if plus && !self.settings.decode_invalid {
            return None;
        }
        let unsigned = if plus { &text[1..] } else { text.strip_prefix(b"-").unwrap_or(text) };
        let lower = unsigned.get(..3).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
        let odd = lower == b"inf" || lower == b"nan" || lower.starts_with(b"0x");
        let octal =
            unsigned.first() == Some(&b'0') && unsigned.get(1).is_some_and(u8::is_ascii_digit);
        if (odd || octal) && !self.settings.decode_invalid {
            return None;
        }
        if lower == b"nan" {
            return Some((f64::NAN, text.len() - unsigned.len() + 3));
        }
        if !odd && !unsigned.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let longest = text.iter().take_while(|byte| part(byte)).count().min(400);
        (1..=longest).rev().find_map(|n| Some((number::parse_f64(&text[..n])?, n)))
    }

    /// The text at `at`, which stands at its quotation mark; or what is wrong with it, and where.
    fn string(&mut self) -> Result<Vec<u8>, (&'static str, usize)> {
        let mut out = Vec::new();
        let mut at = self.at + 1;
        loop {
            let Some(&byte) = self.text.get(at) else {
                return Err(("unexpected end of string", at));
            };
            match byte {
                b'"' => break,
                b'\\' => {
                    let escape = self.text.get(at + 1).copied();
                    at += 2;
                    match escape {
                        Some(b @ (b'"' | b'\\' | b'/')) => out.push(b),
                        Some(b'b') => out.push(8),
                        Some(b't') => out.push(9),
                        Some(b'n') => out.push(10),
                        Some(b'f') => out.push(12),
                        Some(b'r') => out.push(13),
                        Some(b'u') => {
                            let wrong = ("invalid unicode escape code", at - 2);
                            let (symbol, length) = self.unicode(at).ok_or(wrong)?;
                            out.extend(symbol.encode_utf8(&mut [0; 4]).bytes());
                            at += length;
                        }
                        _ => return Err(("invalid escape code", at - 2)),
                    }
                }
                _ => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        self.at = at + 1;
        Ok(out)
    }

    /// The symbol of the hexadecimal digits at `at`, perhaps a pair of them, and their length.
    fn unicode(&self, at: usize) -> Option<(char, usize)> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 4)?;
            let digits = std::str::from_utf8(digits).ok()?;
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
            u32::from_str_radix(digits, 16).ok()
        };
        let first = unit(at)?;
        if first & 0xF800 != 0xD800 {
            return Some((char::from_u32(first)?, 4));
        }
        if first & 0x400 != 0 || self.text.get(at + 4..at + 6)? != b"\\u" {
            return None;
        }
        let second = unit(at + 6)?;
        if second & 0xFC00 != 0xDC00 {
            return None;
        }
        let symbol = ((first & 0x3FF) << 10 | second & 0x3FF) + 0x1_0000;
        Some((char::from_u32(symbol)?, 10))
    }
}

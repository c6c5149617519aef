//! From JSON to values.

use super::Settings;
use crate::script::errors::located;
use crate::types::number;
use mlua::{Lua, Value};

pub(super) struct Parser<'a> {
    pub(super) lua: &'a Lua,
    pub(super) settings: &'a Settings,
    pub(super) text: &'a [u8],
    pub(super) at: usize,
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
    pub(super) fn whole(&mut self) -> mlua::Result<Value> {
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

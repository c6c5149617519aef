//! `struct`: values in and out of bytes by a format, as C structures lie in memory.
//!
//! `<` `>` `=` choose the byte order and `!n` the greatest alignment; `b h l i[n] T` are integers
//! (capitals unsigned), `f d` floats, `s` text up to a NUL, `c[n]` bytes, `x` one byte of padding.

use super::errors::{bad, integer_arg, located, number_arg, text_arg};
use mlua::{Lua, MultiValue, Table, Value};

/// The greatest integer, in bytes.
const WIDEST: usize = 32;
/// What `!` without a number aligns to.
const NATIVE: usize = 8;
/// The longest result.
const LONGEST: usize = super::MEMORY_LIMIT;

/// The table `struct`.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.set("pack", lua.create_function(pack)?)?;
    library.set("unpack", lua.create_function(unpack)?)?;
    library.set("size", lua.create_function(size)?)?;
    Ok(library)
}

/// Reads a format one option after the other.
struct Format<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    little: bool,
    align: usize,
}

/// One option: its letter, how many bytes, and how many of padding before.
struct Item {
    letter: u8,
    size: usize,
    pad: usize,
}

impl<'a> Format<'a> {
    fn new(lua: &'a Lua, text: &'a [u8]) -> Self {
        Self { lua, text, little: cfg!(target_endian = "little"), align: 1 }
    }

    fn count(&mut self) -> mlua::Result<Option<usize>> {
        let digits = self.text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(None);
        }
        let (number, rest) = self.text.split_at(digits);
        self.text = rest;
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse::<i32>().ok());
        match number {
            Some(number) => Ok(Some(number as usize)),
            None => Err(located(self.lua, "integral size overflow")),
        }
    }

    /// The next option for something that begins at offset `at`.
    fn next(&mut self, at: usize, function: &str) -> mlua::Result<Option<Item>> {
        while let Some((&letter, rest)) = self.text.split_first() {
            self.text = rest;
            let size = match letter {
                b'b' | b'B' | b'x' => 1,
                b'h' | b'H' => 2,
                b'l' | b'L' | b'T' | b'd' => 8,
                b'f' => 4,
                b'i' | b'I' => {
                    let size = self.count()?.unwrap_or(4);
                    if size > WIDEST {
                        let text = format!("integral size {size} is larger than limit of {WIDEST}");
                        return Err(located(self.lua, text));
                    }
                    size
                }
                b'c' => self.count()?.unwrap_or(1),
                b's' => 0,
                b' ' => continue,
                b'<' => {
                    self.little = true;
                    continue;
                }
                b'>' => {
                    self.little = false;
                    continue;
                }
                b'!' => {
                    self.align = self.count()?.unwrap_or(NATIVE);
                    if self.align == 0 || !self.align.is_power_of_two() {
                        let text = format!("alignment {} is not a power of 2", self.align);
                        return Err(located(self.lua, text));
                    }
                    continue;
                }
                _ => {
                    let why = format!("invalid format option '{}'", letter as char);
                    return Err(bad(self.lua, 0, function, why));
                }
            };
            let aligned = !matches!(letter, b'c' | b's' | b'x' | b'b' | b'B') && size > 1;
            let to = if aligned { size.min(self.align) } else { 1 };
            let pad = if to.is_power_of_two() { at.wrapping_neg() & (to - 1) } else { 0 };
            return Ok(Some(Item { letter, size, pad }));
        }
        Ok(None)
    }
}

fn pack(lua: &Lua, args: MultiValue) -> mlua::Result<mlua::LuaString> {
    let text = text_arg(lua, &args, 0, "pack")?;
    let (mut format, mut out, mut arg) = (Format::new(lua, &text), Vec::new(), 0);
    while let Some(Item { letter, size, pad }) = format.next(out.len(), "pack")? {
        if out.len().saturating_add(size) > LONGEST {
            return Err(located(lua, "result too long"));
        }
        out.resize(out.len() + pad, 0);
        if letter == b'x' {
            out.push(0);
            continue;
        }
        arg += 1;
        match letter {
            b'f' => {
                let bytes = (number_arg(lua, &args, arg, "pack")? as f32).to_le_bytes();
                put(&mut out, &bytes, format.little);
            }
            b'd' => {
                let bytes = number_arg(lua, &args, arg, "pack")?.to_le_bytes();
                put(&mut out, &bytes, format.little);
            }
            b's' | b'c' => {
                let value = text_arg(lua, &args, arg, "pack")?;
                let size = if letter == b's' || size == 0 { value.len() } else { size };
                if value.len() < size {
                    return Err(bad(lua, arg + 1, "pack", "string too short"));
                }
                out.extend_from_slice(&value[..size]);
                if letter == b's' {
                    out.push(0);
                }
            }
            _ => {
                let value = number_arg(lua, &args, arg, "pack")?;
                let value =
                    if value < 0.0 { super::numbers::to_i64(value) } else { value as u64 as i64 };
                let mut bytes = [0; WIDEST];
                bytes[..8].copy_from_slice(&value.to_le_bytes());
                put(&mut out, &bytes[..size], format.little);
            }
        }
    }
    lua.create_string(out)
}

/// Bytes that lie from the least significant on, in the order asked for.
fn put(out: &mut Vec<u8>, bytes: &[u8], little: bool) {
    if little { out.extend_from_slice(bytes) } else { out.extend(bytes.iter().rev()) }
}

fn unpack(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    let (text, data) = (text_arg(lua, &args, 0, "unpack")?, text_arg(lua, &args, 1, "unpack")?);
    let from = integer_arg(lua, &args, 2, "unpack", 1)?;
    if from < 1 {
        return Err(bad(lua, 2, "unpack", "offset must be 1 or greater"));
    }
    let short = || bad(lua, 1, "unpack", "data string too short");
    let mut at = (from - 1) as usize;
    if at > data.len() {
        return Err(short());
    }
    let mut values: Vec<Value> = Vec::new();
    let mut format = Format::new(lua, &text);
    while let Some(Item { letter, mut size, pad }) = format.next(at, "unpack")? {
        at += pad;
        if letter == b's' {
            let rest = data.get(at..).ok_or_else(short)?;
            let Some(end) = memchr::memchr(0, rest) else {
                return Err(located(lua, "unfinished string in data"));
            };
            values.push(Value::String(lua.create_string(&rest[..end])?));
            at += end + 1;
            continue;
        }
        if letter == b'c' && size == 0 {
            let length = match values.pop() {
                Some(Value::Number(length)) if length >= 0.0 => length as usize,
                _ => return Err(located(lua, "format 'c0' needs a previous size")),
            };
            size = length;
        }
        let bytes = at.checked_add(size).and_then(|end| data.get(at..end)).ok_or_else(short)?;
        at += size;
        match letter {
            b'x' => {}
            b'c' => values.push(Value::String(lua.create_string(bytes)?)),
            _ => values.push(Value::Number(number(letter, bytes, format.little))),
        }
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(values.into_iter().collect())
}

/// An integer or float from its bytes.
fn number(letter: u8, bytes: &[u8], little: bool) -> f64 {
    let mut least_first = bytes.to_vec();
    if !little {
        least_first.reverse();
    }
    let negative =
        letter.is_ascii_lowercase() && least_first.last().is_some_and(|top| top >> 7 == 1);
    let mut word = [if negative { 0xFF } else { 0 }; 8];
    let n = least_first.len().min(8);
    word[..n].copy_from_slice(&least_first[..n]);
    match letter {
        b'f' => f64::from(f32::from_le_bytes([word[0], word[1], word[2], word[3]])),
        b'd' => f64::from_le_bytes(word),
        _ if letter.is_ascii_lowercase() => i64::from_le_bytes(word) as f64,
        _ => u64::from_le_bytes(word) as f64,
    }
}

fn size(lua: &Lua, args: MultiValue) -> mlua::Result<f64> {
    let text = text_arg(lua, &args, 0, "size")?;
    let (mut format, mut total) = (Format::new(lua, &text), 0_usize);
    while let Some(Item { letter, size, pad }) = format.next(total, "size")? {
        if letter == b's' {
            return Err(bad(lua, 0, "size", "option 's' has no fixed size"));
        }
        if letter == b'c' && size == 0 {
            return Err(bad(lua, 0, "size", "option 'c0' has no fixed size"));
        }
        total = total.saturating_add(pad + size);
    }
    Ok(total as f64)
}

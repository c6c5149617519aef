//! The functions of Lua's `string` that could run for ever, rewritten so that they can be stopped:
//! `find`, `match`, `gmatch`, `gsub` and `rep`.

use super::errors::{self, integer_arg, located, plain, text_arg, text_of};
use super::pattern::{Capture, Matcher, Trouble};
use super::{MEMORY_LIMIT, Pace};
use memchr::memmem;
use mlua::{Function, Lua, MultiValue, Table, Value};
use std::cell::Cell;

/// Puts the functions into `rust`.
pub(super) fn install(lua: &Lua, rust: &Table) -> mlua::Result<()> {
    rust.set("find", lua.create_function(|lua, args| search(lua, &args, true))?)?;
    rust.set("match", lua.create_function(|lua, args| search(lua, &args, false))?)?;
    rust.set("gmatch", lua.create_function(gmatch)?)?;
    rust.set("gsub", lua.create_function(gsub)?)?;
    rust.set("rep", lua.create_function(rep)?)
}

fn trouble(lua: &Lua, trouble: Trouble) -> mlua::Error {
    match trouble {
        Trouble::Malformed(text) => located(lua, text),
        Trouble::Stopped(error) => error,
    }
}

fn value(lua: &Lua, text: &[u8], capture: Capture) -> mlua::Result<Value> {
    match capture {
        Capture::Text(from, to) => lua.create_string(&text[from..to]).map(Value::String),
        Capture::Position(at) => Ok(Value::Number((at + 1) as f64)),
    }
}

/// Position `at` of Lua (from 1, negative from the end) as an offset within `len`.
fn offset(at: i64, len: usize) -> usize {
    let at = if at < 0 { at.saturating_add(len as i64) } else { at - 1 };
    usize::try_from(at).unwrap_or(0)
}

fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte))
}

/// `find` and `match`.
fn search(lua: &Lua, args: &MultiValue, find: bool) -> mlua::Result<MultiValue> {
    let name = if find { "find" } else { "match" };
    let (text, pattern) = (text_arg(lua, args, 0, name)?, text_arg(lua, args, 1, name)?);
    let from = offset(integer_arg(lua, args, 2, name, 1)?, text.len()).min(text.len());
    let nothing = || Ok(MultiValue::from_iter([Value::Nil]));
    let plain = !matches!(args.get(3), None | Some(Value::Nil | Value::Boolean(false)));
    if find && (plain || is_plain(&pattern)) {
        return match memmem::find(&text[from..], &pattern) {
            None => nothing(),
            Some(at) => {
                let ends = [from + at + 1, from + at + pattern.len()];
                Ok(ends.map(|end| Value::Number(end as f64)).into_iter().collect())
            }
        };
    }
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(&text, &pattern[usize::from(anchored)..]);
    for at in from..=text.len() {
        if let Some(end) = matcher.at(at).map_err(|t| trouble(lua, t))? {
            let captures = matcher.captures(at, end).map_err(|t| trouble(lua, t))?;
            let mut values = MultiValue::new();
            if find {
                values.push_back(Value::Number((at + 1) as f64));
                values.push_back(Value::Number(end as f64));
            }
            let whole = captures == [Capture::Text(at, end)] && !pattern.contains(&b'(');
            if !(find && whole) {
                for capture in captures {
                    values.push_back(value(lua, &text, capture)?);
                }
            }
            return Ok(values);
        }
        if anchored {
            break;
        }
    }
    nothing()
}

fn gmatch(lua: &Lua, args: MultiValue) -> mlua::Result<Function> {
    let (text, pattern) = (text_arg(lua, &args, 0, "gmatch")?, text_arg(lua, &args, 1, "gmatch")?);
    let next = Cell::new(0);
    lua.create_function(move |lua, _: MultiValue| {
        let mut matcher = Matcher::new(&text, &pattern);
        for at in next.get()..=text.len() {
            if let Some(end) = matcher.at(at).map_err(|t| trouble(lua, t))? {
                next.set(if end == at { end + 1 } else { end });
                let captures = matcher.captures(at, end).map_err(|t| trouble(lua, t))?;
                let values = captures.into_iter().map(|capture| value(lua, &text, capture));
                return values.collect::<mlua::Result<MultiValue>>();
            }
        }
        next.set(text.len() + 1);
        Ok(MultiValue::from_iter([Value::Nil]))
    })
}

fn gsub(lua: &Lua, args: MultiValue) -> mlua::Result<(mlua::LuaString, f64)> {
    let (text, pattern) = (text_arg(lua, &args, 0, "gsub")?, text_arg(lua, &args, 1, "gsub")?);
    let with = match args.get(2) {
        Some(Value::Table(_) | Value::Function(_)) => args.get(2).cloned().unwrap_or(Value::Nil),
        Some(other) if text_of(other).is_some() => {
            Value::String(lua.create_string(text_of(other).unwrap_or_default())?)
        }
        _ => {
            let why = "string/function/table expected";
            return Err(errors::bad(lua, 2, "gsub", why));
        }
    };
    let most = integer_arg(lua, &args, 3, "gsub", text.len() as i64 + 1)?;
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(&text, &pattern[usize::from(anchored)..]);
    let (mut out, mut at, mut count) = (Vec::with_capacity(text.len()), 0, 0);
    while count < most {
        let end = matcher.at(at).map_err(|t| trouble(lua, t))?;
        if let Some(end) = end {
            count += 1;
            let captures = matcher.captures(at, end).map_err(|t| trouble(lua, t))?;
            replace(lua, &mut out, (&text, (at, end)), &captures, &with)?;
            if out.len() > MEMORY_LIMIT {
                return Err(plain("ERR not enough memory"));
            }
        }
        match end {
            Some(end) if end > at => at = end,
            _ if at < text.len() => {
                out.push(text[at]);
                at += 1;
            }
            _ => break,
        }
        if anchored {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    Ok((lua.create_string(out)?, count as f64))
}

/// Puts in `out` what stands for one match.
fn replace(
    lua: &Lua,
    out: &mut Vec<u8>,
    (text, whole): (&[u8], (usize, usize)),
    captures: &[Capture],
    with: &Value,
) -> mlua::Result<()> {
    let first = || value(lua, text, captures[0]);
    let by = match with {
        Value::String(template) => {
            let template = template.as_bytes();
            let mut bytes = template.iter();
            while let Some(&byte) = bytes.next() {
                match byte {
                    b'%' => match bytes.next() {
                        Some(b'0') => out.extend_from_slice(&text[whole.0..whole.1]),
                        Some(digit) if digit.is_ascii_digit() => {
                            let Some(capture) = captures.get(usize::from(digit - b'1')) else {
                                return Err(located(lua, "invalid capture index"));
                            };
                            out.extend(text_of(&value(lua, text, *capture)?).unwrap_or_default());
                        }
                        Some(other) => out.push(*other),
                        None => {}
                    },
                    _ => out.push(byte),
                }
            }
            return Ok(());
        }
        Value::Table(table) => table.get::<Value>(first()?)?,
        Value::Function(function) => {
            let values = captures.iter().map(|capture| value(lua, text, *capture));
            function.call::<Value>(values.collect::<mlua::Result<MultiValue>>()?)?
        }
        _ => Value::Nil,
    };
    match &by {
        Value::Nil | Value::Boolean(false) => out.extend_from_slice(&text[whole.0..whole.1]),
        other => match text_of(other) {
            Some(by) => out.extend_from_slice(&by),
            None => {
                let text = format!("invalid replacement value (a {})", other.type_name());
                return Err(located(lua, text));
            }
        },
    }
    Ok(())
}

fn rep(lua: &Lua, args: MultiValue) -> mlua::Result<mlua::LuaString> {
    let text = text_arg(lua, &args, 0, "rep")?;
    let times = errors::number_arg(lua, &args, 1, "rep")?;
    let times = if times >= 1.0 { times as usize } else { 0 };
    let length = text.len().saturating_mul(times);
    if length > MEMORY_LIMIT {
        return Err(plain("ERR not enough memory"));
    }
    let (mut out, mut pace) = (Vec::with_capacity(length), Pace::default());
    if !text.is_empty() {
        for _ in 0..times {
            pace.step()?;
            out.extend_from_slice(&text);
        }
    }
    lua.create_string(out)
}

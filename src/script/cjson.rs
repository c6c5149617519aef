//! `cjson`: JSON as Redis' scripts write and read it.
//!
//! Numbers are written by `%.14g`. A table is an array if all its keys are positive integers and it
//! is not full of holes, else an object; the empty one is an object. `null` is the light userdata 0,
//! which `cjson.null` holds. Settings belong to the interpreter.

mod read;
mod write;

use super::errors::{self, bad, located, text_arg, wrong};
use mlua::{Function, Lua, MultiValue, Table, Value};
use read::Parser;
use std::cell::RefCell;
use std::rc::Rc;
use write::Writer;

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

//! The `redis` table of scripts, of functions, and of libraries that are being loaded.

use super::errors::{self, number_arg, plain, text_of};
use super::text::{self, Flags};
use super::{EACH_BYTE, Registered, Registry, convert, roomy, with_host};
use crate::resp::args::OwnedArgs;
use crate::types::number;
use mlua::{Function, Lua, MultiValue, Table, Value};
use sha1::{Digest, Sha1};
use std::cell::RefCell;
use std::rc::Rc;

/// Puts `redis_script`, `redis_function` and `redis_load` into `rust`.
pub(super) fn install(
    lua: &Lua,
    rust: &Table,
    version: &str,
    registry: &Registry,
) -> mlua::Result<()> {
    let (script, function, load) = (lua.create_table()?, lua.create_table()?, lua.create_table()?);
    for redis in [&script, &function, &load] {
        constants(redis, version)?;
        redis.set("log", lua.create_function(log)?)?;
    }
    for redis in [&script, &function] {
        commands(lua, redis)?;
    }
    script.set("replicate_commands", lua.create_function(|_, _: MultiValue| Ok(true))?)?;
    script.set("breakpoint", lua.create_function(|_, _: MultiValue| Ok(false))?)?;
    script.set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    let registry = Rc::clone(registry);
    let register = lua.create_function(move |_, args: MultiValue| {
        let (about, function) =
            registered(&args).map_err(|text| plain(["ERR ", &text].concat()))?;
        let mut registry = registry.borrow_mut();
        let Some(registry) = registry.as_mut() else {
            let text = "ERR redis.register_function can only be called on FUNCTION LOAD command";
            return Err(plain(text));
        };
        if registry.iter().any(|(other, _)| other.name == about.name) {
            return Err(plain("ERR Function already exists in the library"));
        }
        registry.push((about, function));
        Ok(())
    })?;
    load.set("register_function", register)?;
    rust.set("redis_script", script)?;
    rust.set("redis_function", function)?;
    rust.set("redis_load", load)
}

fn constants(redis: &Table, version: &str) -> mlua::Result<()> {
    for (level, name) in
        ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].iter().enumerate()
    {
        redis.set(*name, level)?;
    }
    let replication = [("NONE", 0), ("AOF", 1), ("SLAVE", 2), ("REPLICA", 2), ("ALL", 3)];
    for (name, value) in replication {
        redis.set(format!("REPL_{name}"), value)?;
    }
    redis.set("REDIS_VERSION", version)?;
    let parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    redis.set("REDIS_VERSION_NUM", parts.fold(0, |sum: u32, part: u32| sum << 8 | part))
}

fn commands(lua: &Lua, redis: &Table) -> mlua::Result<()> {
    for (name, raises) in [("call", true), ("pcall", false)] {
        let words = RefCell::new(OwnedArgs::default());
        let call = move |lua: &Lua, args: MultiValue| match words.try_borrow_mut() {
            Ok(mut words) => call(lua, &args, &mut words, raises),
            Err(_) => call(lua, &args, &mut OwnedArgs::default(), raises),
        };
        redis.set(name, lua.create_function(call)?)?;
    }
    redis.set(
        "error_reply",
        lua.create_function(|lua, args: MultiValue| one_field(lua, &args, "err"))?,
    )?;
    redis.set(
        "status_reply",
        lua.create_function(|lua, args: MultiValue| one_field(lua, &args, "ok"))?,
    )?;
    redis.set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.set("setresp", lua.create_function(set_protocol)?)?;
    redis.set("set_repl", lua.create_function(set_replication)?)?;
    redis.set("acl_check_cmd", lua.create_function(may_call)?)
}

/// Arguments as the words of a command.
fn collect(args: &MultiValue, words: &mut OwnedArgs) -> Result<(), &'static str> {
    words.clear();
    if args.is_empty() {
        return Err("ERR Please specify at least one argument for this redis lib call");
    }
    for arg in args {
        match arg {
            Value::String(text) => words.push(&text.as_bytes()),
            Value::Integer(value) => words.push(itoa::Buffer::new().format(*value).as_bytes()),
            Value::Number(value) => {
                let whole = *value == value.trunc() && value.abs() < 1e15 && *value != 0.0;
                if whole {
                    words.push(itoa::Buffer::new().format(*value as i64).as_bytes());
                } else {
                    let mut text = Vec::with_capacity(24);
                    number::format_f64(&mut text, *value);
                    words.push(&text);
                }
            }
            _ => return Err("ERR Lua redis lib command arguments must be strings or integers"),
        }
    }
    Ok(())
}

fn call(lua: &Lua, args: &MultiValue, words: &mut OwnedArgs, raises: bool) -> mlua::Result<Value> {
    let failed = |text: &[u8], counted: bool| {
        if raises {
            return Err(if counted { errors::counted(text) } else { plain(text) });
        }
        let table = lua.create_table_with_capacity(0, 2)?;
        table.raw_set("err", lua.create_string(text)?)?;
        if counted {
            table.raw_set(errors::COUNTED, true)?;
        }
        Ok(Value::Table(table))
    };
    if let Err(text) = collect(args, words) {
        return failed(text.as_bytes(), false);
    }
    let value = with_host(|host| match host.call(words.view()) {
        Ok(reply) => match reply.bytes.split_first() {
            Some((b'-', text)) => failed(text.strip_suffix(b"\r\n").unwrap_or(text), true),
            _ => {
                let bytes = reply.len().saturating_mul(EACH_BYTE);
                roomy(lua, bytes, || convert::to_lua(lua, reply))
            }
        },
        Err(text) => failed(&text, true),
    });
    words.shrink();
    value.unwrap_or_else(|| failed(b"ERR redis.call is only for scripts that run", false))
}

/// `error_reply` and `status_reply`.
fn one_field(lua: &Lua, args: &MultiValue, name: &str) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    let mut iter = args.iter();
    let (Some(Value::String(text)), None) = (iter.next(), iter.next()) else {
        table.raw_set("err", "ERR wrong number or type of arguments")?;
        return Ok(table);
    };
    let text = text.as_bytes();
    if name == "err" {
        // A text without a code gets one; the dash that begins a reply is not part of it.
        let text = text.strip_prefix(b"-").unwrap_or(&text);
        let coded = if memchr::memchr(b' ', text).is_some() {
            text.to_vec()
        } else {
            [b"ERR ", text].concat()
        };
        table.raw_set(name, lua.create_string(coded)?)?;
    } else {
        table.raw_set(name, lua.create_string(&*text)?)?;
    }
    Ok(table)
}

fn sha1hex(lua: &Lua, args: MultiValue) -> mlua::Result<mlua::LuaString> {
    if args.len() != 1 {
        return Err(plain("ERR wrong number of arguments"));
    }
    let text = args.front().and_then(text_of).unwrap_or_default();
    lua.create_string(sha1(&text))
}

fn log(_: &Lua, args: MultiValue) -> mlua::Result<()> {
    if args.len() < 2 {
        return Err(plain("ERR redis.log() requires two arguments or more."));
    }
    let level = match args.front() {
        Some(Value::Number(level)) => *level,
        Some(Value::Integer(level)) => *level as f64,
        _ => return Err(plain("ERR First argument must be a number (log level).")),
    };
    if !(0.0..4.0).contains(&level) {
        return Err(plain("ERR Invalid debug level."));
    }
    let texts: Vec<Vec<u8>> = args.iter().skip(1).filter_map(text_of).collect();
    with_host(|host| host.log(level as u8, &texts.join(&b' ')));
    Ok(())
}

fn set_protocol(lua: &Lua, args: MultiValue) -> mlua::Result<()> {
    if args.len() != 1 {
        return Err(plain("ERR redis.setresp() requires one argument."));
    }
    let version = number_arg(lua, &args, 0, "setresp")?;
    if version != 2.0 && version != 3.0 {
        return Err(plain("ERR RESP version must be 2 or 3."));
    }
    with_host(|host| host.set_protocol(version == 3.0));
    Ok(())
}

fn set_replication(lua: &Lua, args: MultiValue) -> mlua::Result<()> {
    if args.len() != 1 {
        return Err(plain("ERR redis.set_repl() requires two arguments."));
    }
    let flags = number_arg(lua, &args, 0, "set_repl")? as i64;
    if flags & !3 != 0 {
        let text =
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(plain(text));
    }
    Ok(())
}

fn may_call(_: &Lua, args: MultiValue) -> mlua::Result<bool> {
    let mut words = OwnedArgs::default();
    collect(&args, &mut words).map_err(plain)?;
    match with_host(|host| host.may_call(words.view())) {
        Some(Some(may)) => Ok(may),
        _ => Err(plain("ERR Invalid command passed to redis.acl_check_cmd()")),
    }
}

/// The arguments of `register_function`.
fn registered(args: &MultiValue) -> Result<(Registered, Function), String> {
    let mut about = Registered { name: String::new(), description: None, flags: Flags::default() };
    let callback = match (args.len(), args.front(), args.get(1)) {
        (1, Some(Value::Table(table)), _) => by_name(table, &mut about)?,
        (1, ..) => {
            return Err(
                "calling redis.register_function with a single argument is only applicable to \
                        Lua table (representing named arguments)."
                    .into(),
            );
        }
        (2, Some(name), Some(callback)) => {
            let name = text_of(name)
                .ok_or("first argument to redis.register_function must be a string")?;
            about.name = text::name_of(&name).ok_or(text::NAME)?.to_owned();
            let Value::Function(callback) = callback else {
                return Err("second argument to redis.register_function must be a function".into());
            };
            callback.clone()
        }
        _ => return Err("wrong number of arguments to redis.register_function".into()),
    };
    Ok((about, callback))
}

/// The same given as a table.
fn by_name(table: &Table, about: &mut Registered) -> Result<Function, String> {
    let (mut name, mut callback) = (None, None);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let Value::String(key) = key else {
            return Err(
                "named argument key given to redis.register_function is not a string".into()
            );
        };
        let key = key.to_string_lossy();
        let must_be = |what: &str| {
            format!("{key} argument given to redis.register_function must be a {what}")
        };
        match key.as_str() {
            "function_name" => name = Some(text_of(&value).ok_or_else(|| must_be("string"))?),
            "description" => {
                about.description = Some(text_of(&value).ok_or_else(|| must_be("string"))?);
            }
            "callback" => match value {
                Value::Function(function) => callback = Some(function),
                _ => return Err(must_be("function")),
            },
            "flags" => {
                let Value::Table(flags) = value else {
                    return Err("flags argument to redis.register_function must be a table \
                                representing function flags"
                        .into());
                };
                for flag in flags.sequence_values::<Value>() {
                    let flag = flag.ok().as_ref().and_then(text_of);
                    if !flag.is_some_and(|flag| about.flags.add(&flag)) {
                        return Err("unknown flag given".into());
                    }
                }
            }
            _ => return Err("unknown argument given to redis.register_function".into()),
        }
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    about.name = text::name_of(&name).ok_or(text::NAME)?.to_owned();
    callback.ok_or_else(|| "redis.register_function must get a callback argument".into())
}

/// SHA1 of `text` as 40 hexadecimal digits.
pub(super) fn sha1(text: &[u8]) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

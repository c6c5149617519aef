//! Errors on their way from Rust through Lua to a reply.
//!
//! A function of ours fails with an error that carries bytes. Lua sees it as a userdata; the prelude
//! turns it into text for whoever catches it (`reason`), and `describe`, the handler of every run,
//! into a table with the place in the script.

use mlua::debug::Debug;
use mlua::{Lua, MultiValue, Table, Value};
use std::fmt;

/// A place in a script: where an error is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `@user_script` or `@user_function`.
    pub source: String,
    /// Line, from 1.
    pub line: usize,
}

/// An error that a script did not catch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Its text, code first.
    pub text: Vec<u8>,
    /// Where it came from.
    pub place: Option<Place>,
    /// A command's own error, which was counted when the command failed.
    pub counted: bool,
}

/// Why a run has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The text does not compile; the compiler's words.
    Compile(Vec<u8>),
    /// The script raised an error.
    Raised(Raised),
    /// The host stopped it.
    Stopped(Option<Place>),
    /// It wanted more memory than there is for it.
    Memory,
}

impl Failure {
    /// Completes an error's text as clients see it, with the name of what ran.
    pub(super) fn named(self, name: &str) -> Self {
        match self {
            Self::Raised(mut raised) => {
                raised.text = at(&raised.text, name, raised.place.as_ref());
                Self::Raised(raised)
            }
            other => other,
        }
    }
}

/// `text script: name, on @user_script:1.`
pub fn at(text: &[u8], name: &str, place: Option<&Place>) -> Vec<u8> {
    let mut text = text.to_vec();
    if let Some(place) = place {
        let tail = format!(" script: {name}, on {}:{}.", place.source, place.line);
        text.extend_from_slice(tail.as_bytes());
    }
    text
}

/// An error of ours while it is under way.
#[derive(Debug)]
struct Bytes {
    text: Vec<u8>,
    counted: bool,
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for Bytes {}

/// The error of a script that the host stopped.
#[derive(Debug)]
pub(super) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("script stopped")
    }
}

impl std::error::Error for Stopped {}

/// An error with this text and nothing else.
pub(super) fn plain(text: impl Into<Vec<u8>>) -> mlua::Error {
    mlua::Error::external(Bytes { text: text.into(), counted: false })
}

/// The error of a command, which was counted there.
pub(super) fn counted(text: impl Into<Vec<u8>>) -> mlua::Error {
    mlua::Error::external(Bytes { text: text.into(), counted: true })
}

/// What says in an error's table that it was counted, as Redis names it.
pub(super) const COUNTED: &str = "ignore_error_stats_update";

/// An error whose text begins with the place in the script, as those of Lua's own libraries do.
pub(super) fn located(lua: &Lua, text: impl AsRef<[u8]>) -> mlua::Error {
    let place = lua.inspect_stack(1, |debug| {
        let line = debug.current_line()?;
        Some(format!("{}:{line}: ", debug.source().short_src?))
    });
    let mut message = place.flatten().unwrap_or_default().into_bytes();
    message.extend_from_slice(text.as_ref());
    // The same as an error raised by Lua code: without a code of its own.
    mlua::Error::external(Located(message))
}

/// As [`Bytes`], but text of Lua: it gets the code ERR when it leaves the script.
#[derive(Debug)]
struct Located(Vec<u8>);

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Located {}

/// The complaint of Lua's libraries about argument number `at` (from 0) of `function`.
pub(super) fn bad(lua: &Lua, at: usize, function: &str, why: impl fmt::Display) -> mlua::Error {
    // Called as a method, the text before the colon is not counted.
    let method = |debug: &Debug<'_>| debug.names().name_what == Some("method");
    match at + 1 - usize::from(lua.inspect_stack(0, method) == Some(true)) {
        0 => located(lua, format!("calling '{function}' on bad self")),
        at => located(lua, format!("bad argument #{at} to '{function}' ({why})")),
    }
}

/// An argument of the wrong type.
pub(super) fn wrong(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    function: &str,
    wanted: &str,
) -> mlua::Error {
    let got = args.get(at).map_or("no value", Value::type_name);
    let got = if got == "integer" { "number" } else { got };
    let got = if got == "lightuserdata" { "userdata" } else { got };
    bad(lua, at, function, format_args!("{wanted} expected, got {got}"))
}

/// Argument `at` as a table.
pub(super) fn table_arg(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    function: &str,
) -> mlua::Result<Table> {
    match args.get(at) {
        Some(Value::Table(table)) => Ok(table.clone()),
        _ => Err(wrong(lua, args, at, function, "table")),
    }
}

/// Argument `at` as text; numbers have one too.
pub(super) fn text_arg(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    function: &str,
) -> mlua::Result<Vec<u8>> {
    args.get(at).and_then(text_of).ok_or_else(|| wrong(lua, args, at, function, "string"))
}

/// Argument `at` as a number; text that reads as one will do.
pub(super) fn number_arg(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    function: &str,
) -> mlua::Result<f64> {
    let number = args.get(at).and_then(|value| number_of(lua, value));
    number.ok_or_else(|| wrong(lua, args, at, function, "number"))
}

/// Argument `at` as an integer, `default` if it is absent.
pub(super) fn integer_arg(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    function: &str,
    default: i64,
) -> mlua::Result<i64> {
    match args.get(at) {
        None | Some(Value::Nil) => Ok(default),
        Some(_) => number_arg(lua, args, at, function).map(|number| number as i64),
    }
}

/// A value as a number.
pub(super) fn number_of(lua: &Lua, value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Number(value) => Some(*value),
        Value::String(_) => lua.coerce_number(value.clone()).ok().flatten(),
        _ => None,
    }
}

/// A value's text, if it is a string or a number.
pub(super) fn text_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(value) => Some(super::numbers::g(*value as f64, 14)),
        Value::Number(value) => Some(super::numbers::g(*value, 14)),
        _ => None,
    }
}

/// What an error of ours says.
struct Inner {
    text: Vec<u8>,
    /// It has a code of its own.
    coded: bool,
    counted: bool,
}

fn inner(error: &mlua::Error) -> Inner {
    for cause in error.chain() {
        if let Some(Bytes { text, counted }) = cause.downcast_ref::<Bytes>() {
            return Inner { text: text.clone(), coded: true, counted: *counted };
        }
        if let Some(Located(text)) = cause.downcast_ref::<Located>() {
            return Inner { text: text.clone(), coded: false, counted: false };
        }
    }
    let text = match error {
        mlua::Error::CallbackError { cause, .. } => return inner(cause),
        mlua::Error::RuntimeError(text) => text.clone().into_bytes(),
        mlua::Error::MemoryError(_) => b"not enough memory".to_vec(),
        other => other.to_string().into_bytes(),
    };
    Inner { text, coded: false, counted: false }
}

/// Where a script was when it was stopped.
struct StoppedAt(Option<Place>);

pub(super) fn note_place(lua: &Lua, debug: &Debug<'_>) {
    let place = place_of(debug);
    lua.set_app_data(StoppedAt(place));
}

/// What [`note_place`] noted last.
pub(super) fn place(lua: &Lua) -> Option<Place> {
    lua.remove_app_data::<StoppedAt>()?.0
}

fn place_of(debug: &Debug<'_>) -> Option<Place> {
    let line = debug.current_line()?;
    let source = debug.source().source?.into_owned();
    source.starts_with("@user_").then_some(Place { source, line })
}

/// The innermost frame that belongs to a script.
fn present(lua: &Lua) -> Option<Place> {
    for level in 1..64 {
        match lua.inspect_stack(level, place_of) {
            Some(Some(place)) => return Some(place),
            Some(None) => {}
            None => break,
        }
    }
    None
}

/// What the handler of a run found out, on its way back to Rust: the text of what was not an error of
/// ours, and where it was.
struct Described(Option<(Vec<u8>, bool)>, Option<Place>);

/// The failure that a run's handler described.
pub(super) fn failure(lua: &Lua, reason: Value) -> Failure {
    match lua.remove_app_data::<Described>() {
        Some(Described(text, place)) => {
            let (text, counted) = text.unwrap_or_else(|| text_of_error(&reason));
            Failure::Raised(Raised { text, place, counted })
        }
        // The handler itself failed: there was no stack or no memory left for it.
        None => {
            let text = text_of(&reason).unwrap_or_else(|| b"error in error handling".to_vec());
            let text = [b"ERR ".as_slice(), &text].concat();
            Failure::Raised(Raised { text, place: None, counted: false })
        }
    }
}

/// The text of any error value, and whether it was counted where it arose.
fn text_of_error(reason: &Value) -> (Vec<u8>, bool) {
    let code = |text: &[u8]| [b"ERR ".as_slice(), text].concat();
    let unknown = || b"ERR unknown error".to_vec();
    match reason {
        Value::Error(error) => {
            let Inner { text, coded, counted } = inner(error);
            (if coded { text } else { code(&text) }, counted)
        }
        Value::Table(table) => match table.raw_get::<Value>("err") {
            Ok(Value::String(text)) => (text.as_bytes().to_vec(), is_counted(table)),
            _ => (unknown(), false),
        },
        other => match text_of(other) {
            Some(text) => (code(&text), false),
            None => match other.to_string() {
                Ok(text) => (code(text.as_bytes()), false),
                Err(_) => (unknown(), false),
            },
        },
    }
}

/// Whether an error's table says that it was counted.
pub(super) fn is_counted(table: &Table) -> bool {
    matches!(table.raw_get::<Value>(COUNTED), Ok(Value::Boolean(true)))
}

/// `reason` and `describe`, for the prelude.
pub(super) fn install(lua: &Lua, rust: &Table) -> mlua::Result<()> {
    let reason = lua.create_function(|lua, (reason, whole): (Value, bool)| match &reason {
        Value::Error(error) => {
            let Inner { text, coded, counted } = inner(error);
            let text = Value::String(lua.create_string(text)?);
            if coded && whole {
                let table = lua.create_table()?;
                table.raw_set("err", text)?;
                if counted {
                    table.raw_set(COUNTED, true)?;
                }
                return Ok(Value::Table(table));
            }
            Ok(text)
        }
        _ => Ok(reason),
    })?;
    rust.set("reason", reason)?;
    let describe = lua.create_function(|lua, reason: Value| {
        let text = (!reason.is_nil()).then(|| text_of_error(&reason));
        lua.set_app_data(Described(text, present(lua)));
        Ok(())
    })?;
    rust.set("describe", describe)
}

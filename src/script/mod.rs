//! Lua 5.1 for scripts and functions: a sandbox, its libraries, and the ways between Lua and RESP.
//!
//! Knows nothing of sockets, keys or other threads: whoever runs a script gives a [`Host`], through
//! which `redis.call` and the like leave this module. One [`Vm`] belongs to one thread.
//!
//! What keeps a script inside:
//! - **S1** Nothing that outlives a script can be changed by one: globals, libraries and their
//!   metatables are shown through read-only proxies (`prelude.lua`); there is no `debug`, `io`,
//!   `package` or `setfenv`, and no byte code is loaded.
//! - **S2** A script can always be stopped: a hook every [`HOOK_EVERY`] instructions asks the host,
//!   and once it says stop fires on every line, so that no `pcall` holds it up. What would run long
//!   inside one instruction (patterns, `string.rep`) is our own code and asks as well ([`Pace`]).
//! - **S3** Memory is bounded by [`MEMORY_LIMIT`]; what is over it fails with an error in the script.

mod bits;
mod cjson;
mod cmsgpack;
mod convert;
pub mod dump;
mod errors;
mod lists;
mod numbers;
mod packs;
mod pattern;
mod redis;
mod room;
mod strings;
pub mod text;

use crate::resp::{Args, Reply};
use errors::Stopped;
pub use errors::{Failure, at};
use lists::Kept;
pub use lists::{Use, Uses};
use mlua::chunk::ChunkMode;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use room::{EACH, EACH_BYTE, roomy, weight};
use scoped_tls_hkt::scoped_thread_local;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Instructions between two questions to the host.
const HOOK_EVERY: u32 = 50_000;
/// Steps of our own loops between two questions.
const STEPS: u32 = 100_000;
/// Bytes that one interpreter may take.
pub const MEMORY_LIMIT: usize = 512 << 20;
/// Bytes of an idle interpreter from which on everything is collected after a script.
const IDLE_LIMIT: usize = 16 << 20;

/// Collecting begins anew when this many percent of what was left are in use. Lua's own 200 would walk
/// through all that the interpreter itself needs, 70 KB, every hundred small scripts.
const PAUSE: i32 = 400;

/// What a script can ask of the world.
pub trait Host {
    /// Runs a command. Its reply, in the protocol that the script chose; or the text of the error
    /// that refused it.
    fn call(&mut self, args: Args<'_>) -> Result<&mut Reply, Vec<u8>>;
    /// Whether the user may run the command; none if there is no such command.
    fn may_call(&mut self, args: Args<'_>) -> Option<bool>;
    /// The script chose protocol 3, or 2.
    fn set_protocol(&mut self, three: bool);
    /// What it chose last; 2 at first.
    fn protocol_is_3(&self) -> bool;
    /// A line for the log, at level 0 (debug) to 3 (warning).
    fn log(&mut self, level: u8, text: &[u8]);
    /// Asked now and then while a script runs: true ends it.
    fn must_stop(&mut self) -> bool;
    /// What the script comes to will not be used, so it need not go on.
    fn is_void(&self) -> bool {
        false
    }
}

scoped_thread_local!(static mut HOST: for<'a> &'a mut (dyn Host + 'a));

/// The host of the script that runs in this thread.
fn with_host<T>(work: impl FnOnce(&mut dyn Host) -> T) -> Option<T> {
    HOST.is_set().then(|| HOST.with(|host| work(host)))
}

/// Counts the steps of a long loop and asks the host now and then (S2).
#[derive(Debug, Default)]
struct Pace(u32);

impl Pace {
    /// One step more; an error if the script must stop.
    #[inline]
    fn step(&mut self) -> mlua::Result<()> {
        self.0 += 1;
        if self.0 < STEPS {
            return Ok(());
        }
        self.0 = 0;
        match with_host(|host| host.must_stop() || host.is_void()) {
            Some(true) => Err(mlua::Error::external(Stopped)),
            _ => Ok(()),
        }
    }
}

/// A function that a library registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// Its flags, [`text::Flags`].
    pub flags: text::Flags,
}

/// What the library registers that is being loaded; none while none is.
type Registry = Rc<RefCell<Option<Vec<(Registered, Function)>>>>;

/// Something that can be run: compiled for one [`Vm`].
#[derive(Debug, Clone)]
pub struct Compiled(Function);

/// What runs a script to which the tables that stay are shown already.
struct Protected {
    /// Shows two tables as `KEYS` and `ARGV`.
    show: Function,
    /// Lua's own `xpcall`, and its handler.
    xpcall: Function,
    describe: Function,
}

/// An interpreter.
pub struct Vm {
    lua: Lua,
    scripts: Table,
    functions: Table,
    run_script: Function,
    run_function: Function,
    run_library: Function,
    recover: Function,
    protected: Protected,
    keys: Kept,
    argv: Kept,
    /// Scripts see `keys` and `argv` as globals.
    shown: Cell<bool>,
    registry: Registry,
    stopped: Rc<Cell<bool>>,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

/// What to run, with what to name it by in errors.
#[derive(Debug, Clone, Copy)]
pub enum Run<'a> {
    /// A script with its SHA1, and what its text says of it.
    Script(&'a Compiled, &'a str, Uses),
    /// A function with its name.
    Function(&'a Compiled, &'a str),
}

impl Vm {
    /// A new interpreter. `version` is what scripts read as `redis.REDIS_VERSION`.
    pub fn new(version: &str) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        let registry = Registry::default();
        let rust = lua.create_table()?;
        strings::install(&lua, &rust)?;
        errors::install(&lua, &rust)?;
        install(&lua, &rust)?;
        rust.set("bit", bits::library(&lua)?)?;
        rust.set("cjson", cjson::library(&lua)?)?;
        rust.set("cmsgpack", cmsgpack::library(&lua)?)?;
        rust.set("struct", packs::library(&lua)?)?;
        redis::install(&lua, &rust, version, &registry)?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name("=prelude");
        let parts: Table = prelude.into_function()?.call(rust)?;
        let (scripts, functions): (Table, Table) = (parts.get("scripts")?, parts.get("functions")?);
        let part = |name: &str| parts.get::<Function>(name);
        let (run_script, run_function) = (part("run_script")?, part("run_function")?);
        let (run_library, recover) = (part("run_library")?, part("recover")?);
        let (show, xpcall, describe) = (part("show")?, part("xpcall")?, part("describe")?);
        let protected = Protected { show, xpcall, describe };
        let (keys, argv) = (Kept::new(&lua)?, Kept::new(&lua)?);
        lua.set_globals(scripts.clone())?;
        lua.set_memory_limit(MEMORY_LIMIT)?;
        pause(&lua, PAUSE);
        let stopped = Rc::new(Cell::new(false));
        let vm = Self {
            lua,
            scripts,
            functions,
            run_script,
            run_function,
            run_library,
            recover,
            protected,
            keys,
            argv,
            shown: Cell::new(false),
            registry,
            stopped,
        };
        vm.watch()?;
        Ok(vm)
    }

    /// Bytes that the interpreter takes.
    pub fn memory(&self) -> usize {
        self.lua.used_memory()
    }

    /// Compiles a script; the text of the compiler's complaint if that fails.
    pub fn compile(&self, source: &[u8]) -> Result<Compiled, Vec<u8>> {
        compile(&self.lua, source, "@user_script", &self.scripts).map(Compiled)
    }

    /// Loads a library: runs its text, and returns what it registered.
    pub fn load(
        &self,
        host: &mut dyn Host,
        source: &[u8],
    ) -> Result<Vec<(Registered, Compiled)>, Failure> {
        let library = compile(&self.lua, source, "@user_function", &self.functions);
        let library = library.map_err(Failure::Compile)?;
        *self.registry.borrow_mut() = Some(Vec::new());
        let result = HOST.set(host, || self.run_library.call::<(bool, Value)>(library));
        let found = self.registry.borrow_mut().take();
        let found = found.unwrap_or_default();
        let outcome = self.outcome(result, host);
        self.end();
        if outcome.is_err() {
            self.shown.set(false);
            self.recover.call::<()>(()).map_err(|_| Failure::Memory)?;
        }
        outcome?;
        Ok(found.into_iter().map(|(about, f)| (about, Compiled(f))).collect())
    }

    /// Runs something and encodes what it returns into `out`. True if that holds an error that was
    /// counted when a command failed.
    pub fn run(
        &self,
        host: &mut dyn Host,
        what: Run<'_>,
        (keys, argv): (Args<'_>, Args<'_>),
        out: &mut Reply,
    ) -> Result<bool, Failure> {
        let (result, name) = match what {
            Run::Script(script, sha, uses) if uses.may_stay(keys, argv) => {
                (self.run_again(host, script, uses, (keys, argv)), sha)
            }
            Run::Script(script, sha, _) => {
                self.shown.set(false);
                (self.run_anew(host, &self.run_script, script, (keys, argv)), sha)
            }
            Run::Function(function, name) => {
                (self.run_anew(host, &self.run_function, function, (keys, argv)), name)
            }
        };
        let outcome = self.outcome(result, host).and_then(|value| {
            let mark = out.mark();
            let three = host.protocol_is_3();
            let mut encode = || convert::to_resp(&value, three, out);
            // To look into a table makes names of fields.
            let done = if value.is_table() { roomy(&self.lua, EACH, encode) } else { encode() };
            done.map_err(|_| {
                out.cut(mark);
                Failure::Memory
            })
        });
        self.end();
        outcome.map_err(|failure| failure.named(name))
    }

    /// Runs something with lists of its own.
    fn run_anew(
        &self,
        host: &mut dyn Host,
        runner: &Function,
        Compiled(function): &Compiled,
        (keys, argv): (Args<'_>, Args<'_>),
    ) -> mlua::Result<(bool, Value)> {
        let (keys, argv) = roomy(&self.lua, weight(keys) + weight(argv), || {
            let some = !argv.is_empty();
            let argv = some.then(|| lists::fresh(&self.lua, argv)).transpose()?;
            Ok((lists::fresh(&self.lua, keys)?, argv))
        })?;
        HOST.set(host, || runner.call((function, keys, argv)))
    }

    /// Runs a script with the lists that stay.
    fn run_again(
        &self,
        host: &mut dyn Host,
        Compiled(script): &Compiled,
        uses: Uses,
        (keys, argv): (Args<'_>, Args<'_>),
    ) -> mlua::Result<(bool, Value)> {
        roomy(&self.lua, weight(keys) + weight(argv), || {
            self.keys.fill(uses.keys, keys)?;
            self.argv.fill(uses.argv, argv)
        })?;
        let Protected { show, xpcall, describe } = &self.protected;
        if !self.shown.get() {
            show.call::<()>((&self.keys.table, &self.argv.table))?;
            self.shown.set(true);
        }
        HOST.set(host, || xpcall.call((script, describe)))
    }

    /// What a run came to.
    fn outcome(
        &self,
        result: mlua::Result<(bool, Value)>,
        host: &mut dyn Host,
    ) -> Result<Value, Failure> {
        // What failed may have been stopped outside of the hook (S2).
        let failed = !matches!(result, Ok((true, _)));
        if self.stopped.get() || failed && host.must_stop() {
            return Err(Failure::Stopped(errors::place(&self.lua)));
        }
        match result {
            Ok((true, value)) => Ok(value),
            Ok((false, reason)) => Err(errors::failure(&self.lua, reason)),
            Err(mlua::Error::MemoryError(_)) => Err(Failure::Memory),
            Err(error) => Err(Failure::Raised(errors::Raised {
                text: [b"ERR ".as_slice(), error.to_string().as_bytes()].concat(),
                place: None,
                counted: false,
            })),
        }
    }

    /// After a run: the next one begins as this one did.
    fn end(&self) {
        if self.stopped.replace(false) && self.watch().is_err() {
            tracing::error!("The hook of an interpreter cannot be set");
        }
        if self.memory() > IDLE_LIMIT {
            // An interpreter that once lacked memory says so to every script until it has collected.
            self.shown.set(false);
            let _ = self.recover.call::<()>(());
            let _ = self.lua.gc_collect();
            pause(&self.lua, PAUSE);
        }
    }

    /// Sets the hook (S2).
    fn watch(&self) -> mlua::Result<()> {
        let triggers = HookTriggers::new().every_nth_instruction(HOOK_EVERY);
        let stopped = Rc::clone(&self.stopped);
        self.lua.set_global_hook(triggers, move |lua, debug| {
            let ends = |host: &mut dyn Host| host.must_stop() || host.is_void();
            let stop = stopped.get() || with_host(ends) == Some(true);
            if lua.used_memory() > IDLE_LIMIT {
                pause(lua, 200); // or the limit is met before anything is collected
            }
            if !stop {
                return Ok(VmState::Continue);
            }
            if !stopped.replace(true) {
                errors::note_place(lua, debug);
                let stopped = Rc::clone(&stopped);
                lua.set_global_hook(HookTriggers::EVERY_LINE, move |_, _| {
                    if stopped.get() {
                        Err(mlua::Error::external(Stopped))
                    } else {
                        Ok(VmState::Continue)
                    }
                })?;
            }
            Err(mlua::Error::external(Stopped))
        })
    }
}

/// Sets how much an interpreter may grow until it collects again, in percent of what it has.
fn pause(lua: &Lua, percent: i32) {
    lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().pause(percent)));
}

/// SHA1 as scripts are called by: 40 hexadecimal digits.
pub fn sha1_hex(text: &[u8]) -> String {
    redis::sha1(text)
}

/// Compiles text, and only text, to a function with `env` as its globals.
fn compile(lua: &Lua, source: &[u8], name: &str, env: &Table) -> Result<Function, Vec<u8>> {
    let chunk = lua.load(source).set_name(name).set_mode(ChunkMode::Text);
    chunk.set_environment(env.clone()).into_function().map_err(|error| match error {
        mlua::Error::SyntaxError { message, .. } => message.into_bytes(),
        other => other.to_string().into_bytes(),
    })
}

/// What the prelude needs of Rust beside libraries.
fn install(lua: &Lua, rust: &Table) -> mlua::Result<()> {
    let protected = Rc::new(RefCell::new(std::collections::HashSet::<usize>::new()));
    let known = Rc::clone(&protected);
    let protect = lua.create_function(move |_, table: Table| {
        known.borrow_mut().insert(table.to_pointer() as usize);
        Ok(())
    })?;
    rust.set("protect", protect)?;
    let is_protected = move |table: &Table| {
        let known = protected.borrow().contains(&(table.to_pointer() as usize));
        if known { Err(errors::plain("ERR Attempt to modify a readonly table")) } else { Ok(()) }
    };
    let guard = is_protected.clone();
    let rawset = lua.create_function(move |lua, args: MultiValue| {
        let table = errors::table_arg(lua, &args, 0, "rawset")?;
        guard(&table)?;
        let value = |i: usize| args.get(i).cloned().unwrap_or(Value::Nil);
        table.raw_set(value(1), value(2))?;
        Ok(table)
    })?;
    rust.set("rawset", rawset)?;
    let setmetatable = lua.create_function(move |lua, args: MultiValue| {
        let table = errors::table_arg(lua, &args, 0, "setmetatable")?;
        is_protected(&table)?;
        if let Some(old) = table.metatable()
            && !old.raw_get::<Value>("__metatable")?.is_nil()
        {
            return Err(errors::located(lua, "cannot change a protected metatable"));
        }
        match args.get(1) {
            Some(Value::Nil) => table.set_metatable(None)?,
            Some(Value::Table(meta)) => table.set_metatable(Some(meta.clone()))?,
            _ => {
                let text = "bad argument #2 to 'setmetatable' (nil or table expected)";
                return Err(errors::located(lua, text));
            }
        }
        Ok(table)
    })?;
    rust.set("setmetatable", setmetatable)?;
    let compile = lua.create_function(|lua, (source, env): (Value, Table)| {
        let Some(source) = errors::text_of(&source) else {
            return Ok((Value::Nil, Value::String(lua.create_string("text expected")?)));
        };
        Ok(match compile(lua, &source, "@user_script", &env) {
            Ok(function) => (Value::Function(function), Value::Nil),
            Err(text) => (Value::Nil, Value::String(lua.create_string(text)?)),
        })
    })?;
    rust.set("compile", compile)?;
    let began = std::time::Instant::now();
    rust.set("clock", lua.create_function(move |_, ()| Ok(began.elapsed().as_secs_f64()))?)
}

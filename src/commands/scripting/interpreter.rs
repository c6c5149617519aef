//! A worker's interpreter, made when it first runs a script, and what it has compiled.
//!
//! - **I1** What is compiled here is what the catalog says: it is dropped when scripts were flushed
//!   or libraries changed since.

use super::catalog::{Catalog, Library, Script};
use super::host::Loader;
use super::tame::Manner;
use crate::config::REDIS_VERSION;
use crate::resp::Reply;
use crate::script::text::{self, Flags};
use crate::script::{Compiled, Failure, Registered, Uses, Vm, sha1_hex};
use bytes::Bytes;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Compiled scripts that a worker keeps; with more it begins anew.
const SCRIPTS_MAX: usize = 2_000;
/// Texts up to this long are found by themselves, without their SHA1.
const TEXT_MAX: usize = 16 * 1024;

/// A script that can be run here.
#[derive(Debug)]
pub struct Ready {
    /// To be run.
    pub compiled: Compiled,
    /// Its text and flags.
    pub script: Arc<Script>,
    /// What its text says.
    pub manner: Manner,
    /// And of what it does with its lists.
    pub uses: Uses,
    /// What it was seen to do here.
    pub habits: Rc<Habits>,
}

/// What a script was seen to do when it ran, so that the next time it begins in the right way.
#[derive(Debug, Default)]
pub struct Habits(Cell<u8>);

impl Habits {
    /// It touches keys that it does not declare.
    pub const STRAYS: u8 = 1;
    /// It runs for long.
    pub const LONG: u8 = 1 << 1;
    /// It needs the whole keyspace.
    pub const ALL: u8 = 1 << 2;
    /// It was taken for tame, and is not.
    pub const WILD: u8 = 1 << 3;

    /// Notes a habit.
    pub fn note(&self, bit: u8) {
        self.0.set(self.0.get() | bit);
    }

    /// Whether it has one.
    pub fn has(&self, bit: u8) -> bool {
        self.0.get() & bit != 0
    }
}

/// A function that can be run here.
#[derive(Debug, Clone)]
pub struct Callable {
    /// To be run.
    pub compiled: Compiled,
    /// What it says of itself.
    pub flags: Flags,
    /// What it was seen to do here.
    pub habits: Rc<Habits>,
}

/// See the module.
#[derive(Debug)]
pub struct Interpreter {
    /// The interpreter itself.
    pub vm: Vm,
    /// Where commands of scripts reply to.
    pub scratch: Reply,
    /// A script was stopped here: what that leaves of an interpreter is not used again.
    pub spoiled: bool,
    by_text: HashMap<Bytes, Rc<Ready>, foldhash::fast::RandomState>,
    by_sha: HashMap<String, Rc<Ready>, foldhash::fast::RandomState>,
    flushes: u64,
    functions: HashMap<String, Callable>,
    loaded: HashMap<String, u64>,
    version: u64,
}

impl Interpreter {
    /// A new one.
    pub fn new() -> Result<Self, Vec<u8>> {
        let vm = Vm::new(REDIS_VERSION).map_err(|error| {
            tracing::error!("Cannot make an interpreter: {error}");
            b"ERR the interpreter cannot be made".to_vec()
        })?;
        Ok(Self {
            vm,
            scratch: Reply::with_capacity(1024),
            spoiled: false,
            by_text: HashMap::default(),
            by_sha: HashMap::default(),
            flushes: 0,
            functions: HashMap::new(),
            loaded: HashMap::new(),
            version: 0,
        })
    }

    /// Drops what is out of date (I1).
    fn refresh(&mut self, catalog: &Catalog) {
        let flushes = catalog.flushes();
        if self.flushes != flushes || self.by_sha.len() > SCRIPTS_MAX {
            self.flushes = flushes;
            self.by_text.clear();
            self.by_sha.clear();
        }
    }

    /// The script with this text, compiled. `stays`: SCRIPT LOAD wants it.
    pub fn script(
        &mut self,
        catalog: &Catalog,
        text: &[u8],
        stays: bool,
    ) -> Result<Rc<Ready>, Vec<u8>> {
        self.refresh(catalog);
        if !stays && let Some(ready) = self.by_text.get(text) {
            return Ok(Rc::clone(ready));
        }
        let sha = sha1_hex(text);
        if let Some(ready) = self.by_sha.get(&sha) {
            catalog.remember(&ready.script, stays);
            return Ok(Rc::clone(ready));
        }
        let (flags, body) = text::script(text).map_err(|text| [b"ERR ", &text[..]].concat())?;
        let compiled = self
            .vm
            .compile(body)
            .map_err(|text| [b"ERR Error compiling script (new function): ", &text[..]].concat())?;
        let script = Arc::new(Script { text: Bytes::copy_from_slice(text), sha, flags });
        catalog.remember(&script, stays);
        let ((manner, uses), habits) = (Manner::of(body), Rc::default());
        Ok(self.keep(Ready { compiled, script, manner, uses, habits }))
    }

    /// The script with this SHA1, compiled, if it is known.
    pub fn by_sha(&mut self, catalog: &Catalog, sha: &[u8]) -> Option<Rc<Ready>> {
        self.refresh(catalog);
        let sha = std::str::from_utf8(sha).ok()?;
        if let Some(ready) = self.by_sha.get(sha) {
            return Some(Rc::clone(ready));
        }
        let script = catalog.script(&sha.to_ascii_lowercase())?;
        let (_, body) = text::script(&script.text).ok()?;
        let compiled = self.vm.compile(body).ok()?;
        let ((manner, uses), habits) = (Manner::of(body), Rc::default());
        Some(self.keep(Ready { compiled, script, manner, uses, habits }))
    }

    fn keep(&mut self, ready: Ready) -> Rc<Ready> {
        let ready = Rc::new(ready);
        if ready.script.text.len() <= TEXT_MAX {
            self.by_text.insert(ready.script.text.clone(), Rc::clone(&ready));
        }
        self.by_sha.insert(ready.script.sha.clone(), Rc::clone(&ready));
        ready
    }

    /// Runs a library's text and returns what it registers, as a library for the catalog; or the
    /// text of an error, without its code.
    pub fn load(&mut self, catalog: &Catalog, text: &[u8]) -> Result<Arc<Library>, Vec<u8>> {
        let (name, body) = text::library(text)?;
        let found = self.run_library(body)?;
        if found.is_empty() {
            return Err(b"No functions registered".to_vec());
        }
        let functions = found.into_iter().map(|(about, _)| about).collect();
        let text = Bytes::copy_from_slice(text);
        Ok(Arc::new(Library { name, text, functions, id: catalog.next_id() }))
    }

    fn run_library(&mut self, body: &[u8]) -> Result<Vec<(Registered, Compiled)>, Vec<u8>> {
        self.vm.load(&mut Loader::default(), body).map_err(|failure| match failure {
            Failure::Compile(text) => [b"Error compiling function: ", &text[..]].concat(),
            Failure::Raised(raised) => {
                [b"Error registering functions: ", &raised.text[..]].concat()
            }
            Failure::Stopped(_) => {
                self.spoiled = true;
                b"Error registering functions: FUNCTION LOAD timeout".to_vec()
            }
            Failure::Memory => b"Error registering functions: not enough memory".to_vec(),
        })
    }

    /// The function of this name, if there is one; its library is loaded here if it was not.
    pub fn function(
        &mut self,
        catalog: &Catalog,
        name: &[u8],
    ) -> Result<Option<Callable>, Vec<u8>> {
        let version = catalog.version();
        if self.version != version {
            self.version = version;
            let (functions, loaded) = (&mut self.functions, &mut self.loaded);
            catalog.libraries(|all| {
                let same = |name: &String, id: &mut u64| {
                    all.libraries.get(name).is_some_and(|library| library.id == *id)
                };
                loaded.retain(same);
                functions.retain(|name, _| {
                    all.functions
                        .get(name)
                        .is_some_and(|library| loaded.get(&library.name) == Some(&library.id))
                });
            });
        }
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        let name = &*name.to_ascii_lowercase();
        if let Some(function) = self.functions.get(name) {
            return Ok(Some(function.clone()));
        }
        let Some(library) = catalog.libraries(|all| all.functions.get(name).cloned()) else {
            return Ok(None);
        };
        let (_, body) = text::library(&library.text)?;
        for (about, compiled) in self.run_library(body)? {
            let callable = Callable { compiled, flags: about.flags, habits: Rc::default() };
            self.functions.insert(about.name.to_ascii_lowercase(), callable);
        }
        self.loaded.insert(library.name.clone(), library.id);
        Ok(self.functions.get(name).cloned())
    }
}

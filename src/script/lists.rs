//! `KEYS` and `ARGV`, and what a run needs of them.
//!
//! Two new tables for each run, made, shown as globals and collected again, cost more than all else that a
//! small script does. If its text says that it only reads their elements ([`Use::Read`]), or does not
//! mention them, it gets tables that stay and are filled anew.
//!
//! - **U1** What may be changed, or kept, by a script is made for that run alone.
//! - **U2** A table that stays holds the words of the present run, from 1 on, and nothing else.

use super::convert::text;
use crate::resp::Args;
use bstr::BStr;
use mlua::{Lua, Table, Value};
use std::cell::Cell;

/// What a script does with one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Use {
    /// Anything.
    #[default]
    Any,
    /// It reads elements, one by one or all together.
    Read,
    /// It does not mention it.
    Nothing,
}

/// What a script does with both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// With `KEYS`.
    pub keys: Use,
    /// With `ARGV`.
    pub argv: Use,
}

/// More words than these get a table of their own: those that stay keep their size.
const MOST: usize = 32;
/// So do longer ones: they would stay until the next run.
const LONG: usize = 4096;

impl Uses {
    /// Whether tables that stay will do for a run with these words.
    pub(super) fn may_stay(self, keys: Args<'_>, argv: Args<'_>) -> bool {
        let fits = |used: Use, words: Args<'_>| match used {
            Use::Any => false,
            Use::Read => words.len() <= MOST && words.iter().all(|word| word.len() <= LONG),
            Use::Nothing => true,
        };
        fits(self.keys, keys) && fits(self.argv, argv)
    }
}

/// A table that stays.
pub(super) struct Kept {
    pub(super) table: Table,
    len: Cell<usize>,
}

impl Kept {
    pub(super) fn new(lua: &Lua) -> mlua::Result<Self> {
        Ok(Self { table: lua.create_table_with_capacity(4, 0)?, len: Cell::new(0) })
    }

    /// Holds `words` from now on, if they are used (U2).
    #[inline]
    pub(super) fn fill(&self, used: Use, words: Args<'_>) -> mlua::Result<()> {
        if used == Use::Nothing {
            return Ok(());
        }
        let before = self.len.get();
        self.len.set(before.max(words.len())); // should it fail in between
        for (i, word) in words.iter().enumerate() {
            self.table.raw_seti(i + 1, text(word))?;
        }
        for i in words.len()..before {
            self.table.raw_seti(i + 1, Value::Nil)?;
        }
        self.len.set(words.len());
        Ok(())
    }
}

/// A table of its own for one run (U1).
pub(super) fn fresh(lua: &Lua, words: Args<'_>) -> mlua::Result<Table> {
    lua.create_sequence_from(words.iter().map(BStr::new))
}

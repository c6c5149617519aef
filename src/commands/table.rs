//! The command table: one row says all there is to know of a command, and it is what runs.
//!
//! Arity checks, key extraction, COMMAND, ACL categories, documentation pages, CLI hints and metric
//! labels all read the row; there is no second list. Rows live beside their handlers, one slice per
//! group; [`Table`] gathers them, numbers them (the number indexes the workers' statistics) and
//! finds a row by name in a few nanoseconds.

use super::Cx;
use super::ahead::Ahead;
use super::error::Error;
use super::notes::Notes;
use crate::resp::Args;
use std::sync::OnceLock;

/// What runs a command. Arity, authentication, memory and the like are settled before.
pub type Handler = fn(&mut Cx<'_>, Args<'_>) -> Result<(), Error>;

/// Properties of a command, as COMMAND reports them (plus a few of our own).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u64);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal $text:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            /// Every flag that COMMAND INFO names, with its name.
            pub const NAMED: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
        }
    };
}

flags! {
    /// May change the data set.
    WRITE = 0 "write";
    /// Only reads keys.
    READ = 1 "readonly";
    /// May use more memory: refused when `maxmemory` is passed and nothing can go.
    DENYOOM = 2 "denyoom";
    /// Administration.
    ADMIN = 3 "admin";
    /// Publish and subscribe.
    PUBSUB = 4 "pubsub";
    /// Not from scripts.
    NOSCRIPT = 5 "noscript";
    /// May wait for something.
    BLOCKING = 6 "blocking";
    /// Allowed while data is being loaded.
    LOADING = 7 "loading";
    /// Allowed on a replica with stale data.
    STALE = 8 "stale";
    /// Not shown by MONITOR.
    SKIP_MONITOR = 9 "skip_monitor";
    /// Not in the slow log.
    SKIP_SLOWLOG = 10 "skip_slowlog";
    /// Accepted in ASKING mode.
    ASKING = 11 "asking";
    /// Constant or logarithmic time.
    FAST = 12 "fast";
    /// Allowed before authentication.
    NO_AUTH = 13 "no_auth";
    /// Not inside MULTI.
    NO_MULTI = 15 "no_multi";
    /// Runs while a script holds the server busy.
    ALLOW_BUSY = 17 "allow_busy";
    /// May be without keys though it has key specs.
    NO_MANDATORY_KEYS = 18 "no_mandatory_keys";
    /// Not while data is loaded beside the served data.
    NO_ASYNC_LOADING = 19 "no_async_loading";
    /// The key positions cannot be told from the specs alone.
    MOVABLE_KEYS = 16 "movablekeys";
}

impl Flags {
    /// Ours, not shown: as quick as the FAST ones for requests of ordinary size, though Redis does
    /// not call it so (SET may free what it replaces; ours leaves that to the epochs).
    pub const QUICK: Self = Self(1 << 40);

    /// May replicate though it writes nothing here. Redis 7.0 knows it too and does not show it.
    pub const MAY_REPLICATE: Self = Self(1 << 41);

    /// Waits, and can be unblocked, though Redis does not call it BLOCKING (WAIT).
    pub const WAITS: Self = Self(1 << 42);

    /// Runs at once inside MULTI.
    pub const NOT_QUEUED: Self = Self(1 << 43);

    /// MONITOR shows it after the commands that it runs: EXEC.
    pub const SHOWS_ITSELF: Self = Self(1 << 44);

    /// No flags.
    pub const NONE: Self = Self(0);

    /// Both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set but for `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are set.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    #[inline(always)]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Where the first key of a spec stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(i16),
    /// After this word, searched from an argument on (from the end when negative).
    Keyword(&'static str, i16),
    /// Only the command's own code can tell.
    Unknown,
}

/// How the other keys of a spec follow the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` (relative to the first; negative counts from the end), every `step`-th,
    /// at most one in `limit` parts of the arguments (0: no limit).
    Range {
        /// Relative position of the last key.
        last: i16,
        /// Distance between keys.
        step: i16,
        /// Divisor of the remaining arguments.
        limit: i16,
    },
    /// A count at `count` (relative), keys from `first` (relative), every `step`-th.
    KeyNum {
        /// Relative position of the number of keys.
        count: i16,
        /// Relative position of the first key.
        first: i16,
        /// Distance between keys.
        step: i16,
    },
    /// Only the command's own code can tell.
    Unknown,
}

/// One key spec: where keys stand and what is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// Start of the search.
    pub begin: Begin,
    /// Extent of the search.
    pub find: Find,
    /// `RO`, `RW`, `OW`, `RM` and `ACCESS`, `UPDATE`, `INSERT`, `DELETE`, `NOT_KEY`, `INCOMPLETE`,
    /// `VARIABLE_FLAGS`, as COMMAND INFO prints them.
    pub flags: &'static [&'static str],
    /// Why the flags are what they are, where that surprises; else empty.
    pub note: &'static str,
}

impl KeySpec {
    /// One key at argument `at`.
    pub const fn one(at: i16, flags: &'static [&'static str]) -> Self {
        Self::range(at, 0, 1, flags)
    }

    /// Keys from argument `at` to `last` (relative, or from the end when negative).
    pub const fn range(at: i16, last: i16, step: i16, flags: &'static [&'static str]) -> Self {
        Self {
            begin: Begin::Index(at),
            find: Find::Range { last, step, limit: 0 },
            flags,
            note: "",
        }
    }

    /// As many keys as argument `at` says, right after it.
    pub const fn counted(at: i16, flags: &'static [&'static str]) -> Self {
        let find = Find::KeyNum { count: 0, first: 1, step: 1 };
        Self { begin: Begin::Index(at), find, flags, note: "" }
    }

    /// Explains the flags.
    pub const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}

/// Documentation groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Group {
    Bitmap,
    Cluster,
    Connection,
    Generic,
    Geo,
    Hash,
    HyperLogLog,
    List,
    Pubsub,
    Scripting,
    Server,
    Set,
    SortedSet,
    Stream,
    String,
    Transactions,
}

/// See [`Command::one_write`].
pub const ANY: u8 = u8::MAX;

/// One command or subcommand. Build with [`Command::new`] and the `const` setters.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Lower case; of a subcommand only its own word (`setname`).
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i16,
    /// Properties.
    pub flags: Flags,
    /// Explicit ACL categories (`string`, `dangerous`…); those which follow from the flags
    /// (`read`, `write`, `fast`, `slow`, `admin`, `pubsub`, `blocking`) are implied.
    pub categories: &'static [&'static str],
    /// Where the keys are.
    pub keys: &'static [KeySpec],
    /// Documentation group.
    pub group: Group,
    /// Version of Redis that brought it (of Valkey, with a `valkey ` prefix).
    pub since: &'static str,
    /// One sentence, our own words.
    pub summary: &'static str,
    /// Cost, our own words.
    pub complexity: &'static str,
    /// Arguments in the notation of the documentation: `key [NX | XX] [GET]`; the CLI's hints and
    /// the argument trees of COMMAND DOCS are read from it.
    pub syntax: &'static str,
    /// Command tips for proxies and clients (`nondeterministic_output`…).
    pub tips: &'static [&'static str],
    /// What COMMAND DOCS adds.
    pub notes: &'static Notes,
    /// What batches ask for ahead, beyond keys.
    pub beyond: Ahead,
    /// With how many arguments it makes all of its change by one [`crate::db::Write`], and its effect is
    /// just what the client sent; [`ANY`] for any number. Then the log need not hold its keys.
    pub one_write: u8,
    /// Subcommands; a container's own handler runs only when it is called without one.
    pub subcommands: &'static [Self],
    /// What runs.
    pub run: Handler,
}

impl Command {
    /// A row with the parts that every command has.
    pub const fn new(name: &'static str, arity: i16, group: Group, run: Handler) -> Self {
        Self {
            name,
            arity,
            flags: Flags::NONE,
            categories: &[],
            keys: &[],
            group,
            since: "1.0.0",
            summary: "",
            complexity: "O(1)",
            syntax: "",
            tips: &[],
            notes: &Notes::NONE,
            beyond: Ahead::Nothing,
            one_write: 0,
            subcommands: &[],
            run,
        }
    }

    /// A container: runs only through its subcommands.
    pub const fn container(name: &'static str, group: Group, subcommands: &'static [Self]) -> Self {
        let row = Self::new(name, -2, group, no_subcommand);
        Self { subcommands, ..row }
    }

    /// Sets the flags.
    pub const fn flags(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }

    /// Sets the explicit ACL categories.
    pub const fn acl(self, categories: &'static [&'static str]) -> Self {
        Self { categories, ..self }
    }

    /// Sets the key specs.
    pub const fn keys(self, keys: &'static [KeySpec]) -> Self {
        Self { keys, ..self }
    }

    /// Sets version, arguments and the sentence.
    pub const fn doc(
        self,
        since: &'static str,
        syntax: &'static str,
        summary: &'static str,
    ) -> Self {
        Self { since, syntax, summary, ..self }
    }

    /// Sets the cost.
    pub const fn cost(self, complexity: &'static str) -> Self {
        Self { complexity, ..self }
    }

    /// Sets the tips.
    pub const fn tips(self, tips: &'static [&'static str]) -> Self {
        Self { tips, ..self }
    }

    /// Sets what batches ask for ahead, beyond keys.
    pub const fn beyond(self, beyond: Ahead) -> Self {
        Self { beyond, ..self }
    }

    /// Sets with how many arguments it makes one change, which is its effect.
    pub const fn one_write(self, args: u8) -> Self {
        Self { one_write: args, ..self }
    }

    /// Whether it does, with `args` of them.
    #[inline(always)]
    pub const fn is_one_write(&self, args: usize) -> bool {
        self.one_write == ANY || self.one_write as usize == args
    }

    /// The same, for a command about one element, which argument `at` names.
    pub const fn element(self, at: u8) -> Self {
        self.beyond(Ahead::Element(at))
    }

    /// Sets what COMMAND DOCS adds.
    pub const fn notes(self, notes: &'static Notes) -> Self {
        Self { notes, ..self }
    }

    /// Whether `n` arguments, the name included, are right.
    #[inline(always)]
    pub const fn takes(&self, n: usize) -> bool {
        if self.arity >= 0 { n == self.arity as usize } else { n >= (-self.arity) as usize }
    }

    /// The argument that holds the first key when that is fixed, else 0. Batches hash and
    /// prefetch that key before they run.
    pub const fn first_key(&self) -> u8 {
        match self.keys {
            [KeySpec { begin: Begin::Index(at), find: Find::Range { .. }, .. }, ..] => *at as u8,
            _ => 0,
        }
    }

    /// Whether that is all that it ever touches of the keyspace.
    fn has_one_key(&self) -> bool {
        let [only] = self.keys else { return false };
        let at = matches!(only.begin, Begin::Index(1..));
        let one = matches!(only.find, Find::Range { last: 0, limit: 0, .. });
        let more = ["NOT_KEY", "INCOMPLETE"].iter().any(|flag| only.flags.contains(flag));
        at && one && !more && !self.flags.has(Flags::MOVABLE_KEYS)
    }

    /// The argument that is probably the first key, or 0: as [`Command::first_key`], or the first of
    /// as many as an argument says.
    const fn ahead(&self) -> u8 {
        match self.keys {
            [KeySpec { begin: Begin::Index(at), find: Find::KeyNum { first, .. }, .. }, ..] => {
                *at as u8 + *first as u8
            }
            _ => self.first_key(),
        }
    }
}

fn no_subcommand(_: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    Err(Error::Arity) // reached only when the arity of the container let it through
}

/// A row with what the executor needs at hand. Its index in [`Table::rows`] is its number.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The row itself.
    pub command: &'static Command,
    /// Number of the container, for a subcommand.
    pub parent: Option<u16>,
    /// [`Command::first_key`], computed once.
    pub first_key: u8,
    /// [`Command::has_one_key`], computed once.
    pub one_key: bool,
    /// An argument that is worth hashing and prefetching early, as it is probably a key; or 0.
    pub ahead: u8,
    /// [`Command::beyond`].
    pub beyond: Ahead,
    /// Small requests of this command need no clock of their own.
    pub quick: bool,
    /// Number of this row.
    pub id: u16,
}

impl Row {
    /// `get`, or `client|list` for a subcommand.
    pub fn full_name(&self) -> String {
        match self.parent {
            Some(parent) => {
                format!("{}|{}", table().rows[parent as usize].command.name, self.command.name)
            }
            None => self.command.name.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    word: u64,
    len: u8,
    /// The name is at most eight letters: word and length say all.
    whole: bool,
    id: u16,
}

const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;

/// All rows, and the way from a name to its row.
#[derive(Debug)]
pub struct Table {
    /// Rows by number: commands in the order of their groups, each followed by its subcommands.
    pub rows: Vec<Row>,
    /// What top-level rows are called by: their names, but for `rename-command`.
    called: Vec<String>,
    slots: Box<[Slot; SLOTS]>,
}

impl Table {
    /// Gathers all rows. `renames` are pairs of an old name and a new one, empty to take the command
    /// away; they hold one after another.
    fn gather(groups: &[&'static [Command]], renames: &[(String, String)]) -> Self {
        let mut table = Self {
            rows: Vec::new(),
            called: Vec::new(),
            slots: Box::new([Slot { id: EMPTY, ..Slot::default() }; SLOTS]),
        };
        for command in groups.iter().copied().flatten() {
            let id = table.push(command, None);
            for sub in command.subcommands {
                table.push(sub, Some(id));
            }
        }
        table.called = table.rows.iter().map(|row| row.command.name.to_owned()).collect();
        for (old, new) in renames {
            let named = |row: &&Row| {
                let name = &table.called[usize::from(row.id)];
                row.parent.is_none() && name.eq_ignore_ascii_case(old)
            };
            if let Some(id) = table.rows.iter().find(named).map(|row| usize::from(row.id)) {
                table.called[id] = new.to_ascii_lowercase();
            }
        }
        for id in 0..table.rows.len() {
            if table.rows[id].parent.is_none() && !table.called[id].is_empty() {
                table.index(&table.called[id].clone(), id as u16);
            }
        }
        table
    }

    fn push(&mut self, command: &'static Command, parent: Option<u16>) -> u16 {
        let id = self.rows.len() as u16;
        let (first_key, ahead) = (command.first_key(), command.ahead());
        // What may wait needs its place in the reply known, however fast it is.
        let quick = command.subcommands.is_empty()
            && command.flags.any(Flags::FAST.and(Flags::QUICK))
            && !command.flags.has(Flags::BLOCKING);
        self.rows.push(Row {
            command,
            parent,
            first_key,
            one_key: command.has_one_key(),
            ahead,
            beyond: command.beyond,
            quick,
            id,
        });
        id
    }

    fn index(&mut self, name: &str, id: u16) {
        let (word, len) = fold(name.as_bytes());
        let mut at = place(word, len);
        while self.slots[at].id != EMPTY {
            at = (at + 1) % SLOTS;
        }
        let whole = name.len() <= 8 && name.bytes().all(|b| b.is_ascii_lowercase());
        self.slots[at] = Slot { word, len, whole, id };
    }

    /// The row of a command's name in any letter case. Subcommands: [`Table::subcommand`].
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Row> {
        let (word, len) = fold(name);
        let mut at = place(word, len);
        loop {
            let slot = &self.slots[at];
            if slot.id == EMPTY {
                return None;
            }
            if slot.word == word && slot.len == len {
                let row = &self.rows[slot.id as usize];
                // Folding is exact for letters only, and eight bytes are not all of a long name.
                let called = &self.called[usize::from(slot.id)];
                if slot.whole || name.eq_ignore_ascii_case(called.as_bytes()) {
                    return Some(row);
                }
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The row of subcommand `name` of container `row`.
    pub fn subcommand(&self, row: &Row, name: &[u8]) -> Option<&Row> {
        let from = row.id as usize + 1;
        let subs = &self.rows[from..from + row.command.subcommands.len()];
        subs.iter().find(|sub| name.eq_ignore_ascii_case(sub.command.name.as_bytes()))
    }

    /// Top-level rows in table order.
    pub fn commands(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.parent.is_none())
    }
}

/// The first eight bytes in lower case as one word, and the length.
#[inline(always)]
fn fold(name: &[u8]) -> (u64, u8) {
    let word = match *name {
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => {
            let mut bytes = [0; 8];
            let n = name.len().min(8);
            bytes[..n].copy_from_slice(&name[..n]);
            u64::from_le_bytes(bytes)
        }
    };
    (word | 0x2020_2020_2020_2020, name.len().min(255) as u8)
}

#[inline(always)]
const fn place(word: u64, len: u8) -> usize {
    let mixed = (word ^ (len as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (64 - SLOTS.trailing_zeros())) as usize
}

static TABLE: OnceLock<Table> = OnceLock::new();

/// The table, gathered on first use.
#[inline]
pub fn table() -> &'static Table {
    TABLE.get_or_init(|| Table::gather(super::GROUPS, &[]))
}

/// Gathers the table with some commands renamed (`rename-command`). Only before its first use; false
/// if that has been.
pub fn rename(renames: &[(String, String)]) -> bool {
    renames.is_empty() || TABLE.set(Table::gather(super::GROUPS, renames)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_only_once() {
        let mut names: Vec<_> = table().commands().map(|row| row.command.name).collect();
        for name in &names {
            for text in [name.to_string(), name.to_uppercase()] {
                let row = table().find(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
                assert_eq!(row.command.name, *name);
            }
            assert!(
                table().find(format!("{name}x").as_bytes()).is_none_or(|r| r.command.name != *name)
            );
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands twice");
    }

    #[test]
    fn renamed_commands_answer_to_their_new_names_only() {
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        let renames = [pair("PING", "a-very-long-name"), pair("echo", ""), pair("none", "x")];
        let table = Table::gather(super::super::GROUPS, &renames);
        assert!(table.find(b"ping").is_none() && table.find(b"ECHO").is_none());
        assert_eq!(table.find(b"A-Very-Long-Name").map(|row| row.command.name), Some("ping"));
        assert!(table.find(b"a-very-long-namf").is_none() && table.find(b"x").is_none());
    }

    #[test]
    fn strangers_are_not_found() {
        for name in [b"".as_slice(), b"\0", b"ge", b"gett", b"GE\x14", &[0xff; 300], b"set\0"] {
            assert!(table().find(name).is_none(), "{name:?}");
        }
    }
}

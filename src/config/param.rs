//! One row of the table: what a parameter is, and how its text becomes a value and back.

use super::Config;
use super::value::{self, Unit, boolean, index_of, number, single, utf8};

/// The type of a parameter, with the way to its field of [`Config`].
#[derive(Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Bool {
        /// Reads the field.
        get: fn(&Config) -> bool,
        /// Writes the field.
        set: fn(&mut Config, bool),
    },
    /// A whole number in `min..=max`.
    Number {
        /// Reads the field.
        get: fn(&Config) -> i128,
        /// Writes the field; the value was checked to be in bounds.
        set: fn(&mut Config, i128),
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// How it is written.
        unit: Unit,
    },
    /// One word of a list.
    Choice {
        /// The list.
        words: &'static [&'static str],
        /// Reads the field, as an index of `words`.
        get: fn(&Config) -> usize,
        /// Writes the field from an index of `words`.
        set: fn(&mut Config, usize),
    },
    /// Text, such as a path.
    Text {
        /// Reads the field.
        get: fn(&Config) -> &str,
        /// Writes the field.
        set: fn(&mut Config, String),
        /// The reason a text is refused.
        check: fn(&str) -> Result<(), String>,
    },
    /// Any bytes, never to be logged.
    Secret {
        /// Reads the field.
        get: fn(&Config) -> &[u8],
        /// Writes the field.
        set: fn(&mut Config, Vec<u8>),
    },
    /// A grammar of its own.
    Special {
        /// What may be written, for documentation and error texts.
        form: &'static str,
        /// The text CONFIG GET shows.
        get: fn(&Config) -> String,
        /// Reads the words of a line.
        set: fn(&mut Config, &[Vec<u8>]) -> Result<(), String>,
    },
}

/// A parameter.
pub struct Param {
    /// Name, lower case.
    pub name: &'static str,
    /// Redis' other names: CONFIG GET and SET know them too.
    pub aliases: &'static [&'static str],
    /// Names of other servers, understood in files, flags and variables only.
    pub spellings: &'static [&'static str],
    /// Type.
    pub kind: Kind,
    /// Default, as CONFIG SET would take it. Meaningless if `computed`.
    pub default: &'static str,
    /// One sentence of help.
    pub help: &'static str,
    /// CONFIG SET may change it.
    pub live: bool,
    /// CONFIG SET needs `enable-protected-configs`.
    pub protected: bool,
    /// Its value is a secret.
    pub sensitive: bool,
    /// A line may have several words.
    pub multi: bool,
    /// Patterns do not find it; its name does.
    pub hidden: bool,
    /// Patterns do not find it, but people do: it is told of in help and on the page.
    pub quiet: bool,
    /// CONFIG SET is refused while data is being loaded.
    pub deny_loading: bool,
    /// Lines in a file add up, until an empty one.
    pub accumulates: bool,
    /// The default depends on the machine.
    pub computed: bool,
    /// Words a line may hold when rewritten; 0 = all on one line.
    pub line_words: usize,
    /// Why it exists although nothing obeys it yet; empty = it is obeyed.
    pub harness: &'static str,
}

impl Param {
    /// A row that CONFIG SET cannot change; the methods below add to it.
    pub(super) const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            spellings: &[],
            kind,
            default,
            help,
            live: false,
            protected: false,
            sensitive: false,
            multi: false,
            hidden: false,
            quiet: false,
            deny_loading: false,
            accumulates: false,
            computed: false,
            line_words: 0,
            harness: "",
        }
    }

    pub(super) const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    pub(super) const fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    pub(super) const fn multi(mut self) -> Self {
        self.multi = true;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    pub(super) const fn deny_loading(mut self) -> Self {
        self.deny_loading = true;
        self
    }

    pub(super) const fn accumulates(mut self) -> Self {
        self.accumulates = true;
        self
    }

    pub(super) const fn computed(mut self) -> Self {
        self.computed = true;
        self
    }

    pub(super) const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    pub(super) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn spelt(mut self, spellings: &'static [&'static str]) -> Self {
        self.spellings = spellings;
        self
    }

    pub(super) const fn lines_of(mut self, words: usize) -> Self {
        self.line_words = words;
        self
    }

    pub(super) const fn harness(mut self, why: &'static str) -> Self {
        self.harness = why;
        self
    }

    /// The value as CONFIG GET shows it.
    pub fn bytes(&self, config: &Config) -> Vec<u8> {
        match self.kind {
            Kind::Bool { get, .. } => if get(config) { "yes" } else { "no" }.into(),
            Kind::Number { get, unit: Unit::Octal, .. } => format!("{:o}", get(config)).into(),
            Kind::Number { get, .. } => get(config).to_string().into(),
            Kind::Choice { words, get, .. } => words.get(get(config)).copied().unwrap_or("").into(),
            Kind::Text { get, .. } => get(config).into(),
            Kind::Secret { get, .. } => get(config).into(),
            Kind::Special { get, .. } => get(config).into(),
        }
    }

    /// The value as CONFIG GET shows it; bytes of a secret that are not UTF-8 are replaced.
    pub fn get(&self, config: &Config) -> String {
        match String::from_utf8(self.bytes(config)) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// Sets the value from the words of a line, or says why not, in Redis' words.
    /// On failure `config` is as it was.
    pub fn set(&self, config: &mut Config, words: &[Vec<u8>]) -> Result<(), String> {
        match self.kind {
            Kind::Bool { set, .. } => set(config, boolean(single(words)?)?),
            Kind::Number { set, min, max, unit, .. } => {
                set(config, number(single(words)?, unit, min, max)?);
            }
            Kind::Choice { words: list, set, .. } => {
                set(config, index_of(list, single(words)?)?);
            }
            Kind::Text { set, check, .. } => {
                let text = utf8(single(words)?)?;
                check(&text)?;
                set(config, text);
            }
            Kind::Secret { set, .. } => set(config, single(words)?.to_vec()),
            Kind::Special { set, .. } => set(config, words)?,
        }
        Ok(())
    }

    /// Sets the value from one text, as CONFIG SET does: the whole value, its words parted by
    /// blanks.
    pub fn set_text(&self, config: &mut Config, text: &[u8]) -> Result<(), String> {
        let words: Vec<Vec<u8>> = match (self.multi, text.is_empty()) {
            (true, false) => text.split(|b| *b == b' ').map(<[u8]>::to_vec).collect(),
            _ => vec![text.to_vec()],
        };
        if !self.accumulates {
            return self.set(config, &words);
        }
        let mut next = config.clone();
        self.set(&mut next, &[Vec::new()])?;
        self.set(&mut next, &words)?;
        *config = next;
        Ok(())
    }

    /// The value as lines of a file: each a list of words.
    pub fn lines(&self, config: &Config) -> Vec<Vec<Vec<u8>>> {
        let value = self.bytes(config);
        if !self.multi || value.is_empty() {
            return vec![vec![value]];
        }
        let words: Vec<Vec<u8>> = value.split(|b| *b == b' ').map(<[u8]>::to_vec).collect();
        let size = if self.line_words == 0 { words.len() } else { self.line_words };
        words.chunks(size).map(<[Vec<u8>]>::to_vec).collect()
    }

    /// What may be written, for people.
    pub fn form(&self) -> String {
        match self.kind {
            Kind::Bool { .. } => "yes | no".into(),
            Kind::Number { min, max, unit: Unit::Octal, .. } => format!("octal {min:o}..{max:o}"),
            Kind::Number { min, max, unit, .. } => {
                let what = if unit == Unit::Bytes { "bytes (k kb m mb g gb)" } else { "number" };
                format!("{what}, {min}..{}", bound(max))
            }
            Kind::Choice { words, .. } => words.join(" | "),
            Kind::Text { .. } => "text".into(),
            Kind::Secret { .. } => "secret text".into(),
            Kind::Special { form, .. } => form.into(),
        }
    }

    /// All names: its own, Redis' other ones, other servers'.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let more = self.aliases.iter().chain(self.spellings).copied();
        std::iter::once(self.name).chain(more)
    }

    /// The names CONFIG GET and SET know.
    pub fn redis_names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// A great bound by its name instead of its digits.
fn bound(max: i128) -> String {
    match max {
        table_max if table_max >= i128::from(i64::MAX) => "no limit".into(),
        _ => max.to_string(),
    }
}

impl std::fmt::Debug for Param {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Param").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Param {
    /// Names are unique in the table.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The reason Redis gives when the number of words is wrong.
pub(super) fn wrong_count() -> String {
    value::single(&[]).err().unwrap_or_default()
}

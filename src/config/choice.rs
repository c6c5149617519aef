//! Parameters whose value is one word of a fixed list.
//!
//! Each list is an enum, so that code which acts on a choice is checked for completeness, and the
//! words stand beside the variants, so that parsing, CONFIG GET and error texts cannot differ.

/// A closed list of words. The order is the one Redis prints in its error text.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every word, in the order of the variants.
    const WORDS: &'static [&'static str];
    /// Position of this variant in [`Choice::WORDS`].
    fn index(self) -> usize;
    /// The variant at `index`, if there is one.
    fn at(index: usize) -> Option<Self>;
    /// The word of this variant.
    fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }
}

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl Choice for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
            fn index(self) -> usize { self as usize }
            fn at(index: usize) -> Option<Self> {
                [$($name::$variant),+].get(index).copied()
            }
        }
    };
}

choice!(
    /// What to do when used memory passes `maxmemory`.
    EvictionPolicy {
        /// Among keys with a time to live, the longest unused first.
        VolatileLru = "volatile-lru",
        /// Among keys with a time to live, the least frequently used first.
        VolatileLfu = "volatile-lfu",
        /// Among keys with a time to live, any.
        VolatileRandom = "volatile-random",
        /// Among keys with a time to live, the soonest to expire first.
        VolatileTtl = "volatile-ttl",
        /// The longest unused key first.
        AllkeysLru = "allkeys-lru",
        /// The least frequently used key first.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// None: commands that need memory are refused.
        #[default]
        Noeviction = "noeviction",
    }
);

impl EvictionPolicy {
    /// Whether only keys with a time to live may be evicted.
    pub const fn volatile_only(self) -> bool {
        matches!(
            self,
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl
        )
    }

    /// Whether the access counter of a key means frequency instead of time.
    pub const fn uses_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }

    /// Whether the time of a key's last access decides.
    pub const fn uses_lru(self) -> bool {
        matches!(self, Self::VolatileLru | Self::AllkeysLru)
    }
}

choice!(
    /// How much is logged. A level includes all that follow it.
    LogLevel {
        /// Everything, for development.
        Debug = "debug",
        /// Rarely useful detail, such as each connection.
        Verbose = "verbose",
        /// What an operator wants to know in production.
        #[default]
        Notice = "notice",
        /// Only what is wrong or needs attention.
        Warning = "warning",
        /// Nothing at all.
        Nothing = "nothing",
    }
);

choice!(
    /// The shape of log lines.
    LogFormat {
        /// For people: time, level, message, fields.
        #[default]
        Human = "human",
        /// As Redis writes them, for programs which read Redis' log.
        Redis = "redis",
        /// `key=value` pairs.
        Logfmt = "logfmt",
        /// One JSON object a line.
        Json = "json",
    }
);

choice!(
    /// Who may use a dangerous capability.
    Guard {
        /// Nobody.
        #[default]
        No = "no",
        /// Every client.
        Yes = "yes",
        /// Clients on the loopback interface or the unix socket.
        Local = "local",
    }
);

choice!(
    /// Which payloads and snapshots Redis looks through before it takes them.
    Sanitize {
        /// None.
        #[default]
        No = "no",
        /// All.
        Yes = "yes",
        /// Those of clients, not those of files and primaries.
        Clients = "clients",
    }
);

choice!(
    /// When the append-only file is forced to disk.
    AppendFsync {
        /// Once a second.
        #[default]
        Everysec = "everysec",
        /// Before a write is acknowledged.
        Always = "always",
        /// When the operating system likes to.
        No = "no",
    }
);

choice!(
    /// What happens when a replicated command fails.
    PropagationError {
        /// It is counted and logged.
        #[default]
        Ignore = "ignore",
        /// The process stops.
        Panic = "panic",
        /// The process stops if it is a replica.
        PanicOnReplicas = "panic-on-replicas",
    }
);

choice!(
    /// Whether and how the kernel's out-of-memory score of the process is set.
    OomScoreAdj {
        /// Left alone.
        #[default]
        No = "no",
        /// The same as `relative`.
        Yes = "yes",
        /// The values are added to the score found at start.
        Relative = "relative",
        /// The values are written as they are.
        Absolute = "absolute",
    }
);

/// What to do on a termination signal: a set of words, empty meaning `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownOn {
    /// Save, whether or not save points are configured.
    pub save: bool,
    /// Do not save.
    pub nosave: bool,
    /// Do not wait for replicas that lag.
    pub now: bool,
    /// Stop even if saving fails.
    pub force: bool,
}

impl ShutdownOn {
    /// The words, in the order Redis prints them.
    pub const WORDS: &'static [&'static str] = &["default", "save", "nosave", "now", "force"];

    /// Reads a set of words.
    pub fn parse(words: &[Vec<u8>]) -> Result<Self, String> {
        let mut set = Self::default();
        if words.is_empty() {
            return Err(super::value::one_of(Self::WORDS));
        }
        for word in words {
            match super::value::index_of(Self::WORDS, word)? {
                1 => set.save = true,
                2 => set.nosave = true,
                3 => set.now = true,
                4 => set.force = true,
                _ => {}
            }
        }
        if set.save && set.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        Ok(set)
    }

    /// The words of this set, separated by blanks.
    pub fn text(self) -> String {
        let on = [self.save, self.nosave, self.now, self.force];
        let words: Vec<&str> =
            Self::WORDS[1..].iter().zip(on).filter(|(_, on)| *on).map(|(w, _)| *w).collect();
        if words.is_empty() { "default".into() } else { words.join(" ") }
    }
}

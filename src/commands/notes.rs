//! What COMMAND DOCS tells of a command beyond its sentence and its arguments: when it changed, what
//! replaced it, and what the notation of [`super::syntax`] cannot say of an argument.
//!
//! Versions and names are facts that client libraries generate code from; the sentences are ours. A
//! test holds **every note to an argument that is there**, so none outlives a change of the row.

/// See the module. Build from [`Notes::NONE`] with the `const` setters.
#[derive(Debug, Clone, Copy)]
pub struct Notes {
    /// Versions of Redis, and what each changed.
    pub history: &'static [(&'static str, &'static str)],
    /// The version since which another command is better, and which.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// For tests and tools, not for applications (`syscmd`).
    pub internal: bool,
    /// What is to be said of single arguments.
    pub args: &'static [Arg],
}

impl Notes {
    /// Nothing to say.
    pub const NONE: Self = Self { history: &[], deprecated: None, internal: false, args: &[] };

    /// Only remarks on arguments.
    pub const fn args(args: &'static [Arg]) -> Self {
        Self { args, ..Self::NONE }
    }

    /// Only what changed.
    pub const fn history(history: &'static [(&'static str, &'static str)]) -> Self {
        Self { history, ..Self::NONE }
    }

    /// What changed, besides the rest.
    pub const fn changed(self, history: &'static [(&'static str, &'static str)]) -> Self {
        Self { history, ..self }
    }
}

/// A remark on one argument; empty fields say nothing.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// The token before the argument, or without one the name that the notation gives it.
    pub at: &'static str,
    /// Its name in Redis' documentation.
    pub name: &'static str,
    /// Its type, where that does not follow from the name.
    pub kind: &'static str,
    /// The version that brought it.
    pub since: &'static str,
    /// The version since which it is better not used.
    pub deprecated: &'static str,
    /// The key spec that finds it, where that is not the next one in order.
    pub spec: Option<i64>,
}

/// A remark on the argument `at`, see [`Arg::at`]. Of several remarks on one name the first is on its
/// first argument, the second on its second, and the last on all that follow.
pub const fn at(at: &'static str) -> Arg {
    Arg { at, name: "", kind: "", since: "", deprecated: "", spec: None }
}

impl Arg {
    /// Sets the name.
    pub const fn name(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Sets the type.
    pub const fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// Sets the number of the key spec.
    pub const fn spec(self, spec: i64) -> Self {
        Self { spec: Some(spec), ..self }
    }

    /// Sets the version that brought it.
    pub const fn since(self, since: &'static str) -> Self {
        Self { since, ..self }
    }
}

//! What a handler tells the client went wrong.
//!
//! Clients match on these texts, so changing one breaks compatibility. A failure that is *ours*
//! (disk, invariant) is never one of these.

use std::borrow::Cow;

/// An error reply. Handlers return it; `call` encodes it and counts it under its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Wrong number of arguments; the text names the command, so `call` completes it.
    Arity,
    /// `ERR syntax error`
    Syntax,
    /// A key holds another type than the command works on.
    WrongType,
    /// `ERR value is not an integer or out of range`
    NotAnInteger,
    /// `ERR value is not a valid float`
    NotAFloat,
    /// `ERR increment or decrement would overflow`
    Overflow,
    /// `ERR string exceeds maximum allowed size (proto-max-bulk-len)`
    TooLong,
    /// `ERR no such key`
    NoSuchKey,
    /// `ERR offset is out of range`
    OffsetRange,
    /// `ERR DB index is out of range`
    DbIndex,
    /// Memory is over `maxmemory` and nothing could be evicted.
    OutOfMemory,
    /// A reply that would be longer than what the client may leave unread, or than what there is room for.
    TooMuch,
    /// Any other text, code included (`ERR …`).
    Text(Cow<'static, str>),
    /// A text with bytes from the client in it.
    Bytes(Vec<u8>),
}

impl Error {
    /// An error with a constant text, code included.
    pub const fn new(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// The reply after its `-`: code first, then prose.
    pub fn text(&self) -> Cow<'_, [u8]> {
        let fixed: &'static str = match self {
            Self::Arity => "ERR wrong number of arguments",
            Self::Syntax => "ERR syntax error",
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::NotAnInteger => "ERR value is not an integer or out of range",
            Self::NotAFloat => "ERR value is not a valid float",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::TooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::NoSuchKey => "ERR no such key",
            Self::OffsetRange => "ERR offset is out of range",
            Self::DbIndex => "ERR DB index is out of range",
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::TooMuch => "ERR reply would exceed the client's output limit",
            Self::Text(text) => return Cow::Borrowed(text.as_bytes()),
            Self::Bytes(text) => return Cow::Borrowed(text),
        };
        Cow::Borrowed(fixed.as_bytes())
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<crate::db::WrongType> for Error {
    fn from(_: crate::db::WrongType) -> Self {
        Self::WrongType
    }
}

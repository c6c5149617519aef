//! Values too big or too busy to be rewritten whole: each lives in a block of its own.

use bytes::Bytes;

/// The types that a key can hold, as TYPE and COMMAND name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// Bytes, integers, bitmaps, HyperLogLogs.
    String = 0,
}

impl Type {
    /// What TYPE answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
        }
    }

    /// From the byte that an entry keeps.
    pub const fn from_byte(_byte: u8) -> Self {
        Self::String
    }
}

/// A value in a block of its own, read and changed under its key's stripe.
#[derive(Debug)]
pub enum Object {
    /// A long string. Replies may hold references to it; a change copies it if one does.
    String(Bytes),
}

impl Object {
    /// Its type.
    pub const fn type_of(&self) -> Type {
        match self {
            Self::String(_) => Type::String,
        }
    }

    /// Bytes that it holds beyond its own block.
    pub fn weight(&self) -> usize {
        match self {
            Self::String(bytes) => crate::mem::class(bytes.len().max(1)),
        }
    }
}

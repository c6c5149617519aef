//! Hashes: fields with values, and for some of the fields a time at which they end.
//!
//! - [`Small`], [`Draft`]: the compact form, a packed sequence of field and value, read in place and
//!   edited in a buffer. As long as no field ends it is of form `PACKED`; when the first is given an
//!   end, each field gets a third element, the Unix time in milliseconds or 0 (form [`EXPIRING`]).
//! - [`Large`]: a table of fields, and an ordered set of the ends there are.
//!
//! - **F1** A field that has ended is absent for every reader, whether it has been removed or not.
//!   Who changes a hash removes those that have ended first ([`Draft::expire`], [`Large::expire`]),
//!   and so does the background.
//! - **F2** A field's end lies after time zero.

mod large;
mod small;
#[cfg(test)]
mod tests;

pub use large::{Large, Rest, Slot};
pub use small::{Draft, Small};

use super::packed::Element;

/// Form of compact hashes: field, value, end.
pub const EXPIRING: u8 = 2;

/// A field as readers get it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'h> {
    /// Its name.
    pub name: Element<'h>,
    /// Its value.
    pub value: Element<'h>,
    /// When it ends.
    pub end: Option<i64>,
}

/// What becomes of the end of a field that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It stays as it is.
    Keep,
    /// There is none.
    Never,
    /// Unix time in milliseconds.
    At(i64),
}

impl End {
    /// The end of a field that had `old`.
    const fn after(self, old: Option<i64>) -> Option<i64> {
        match self {
            Self::Keep => old,
            Self::Never => None,
            Self::At(at) => Some(at),
        }
    }
}

/// Whether a field with this end is over.
#[inline(always)]
const fn is_over(end: Option<i64>, now: i64) -> bool {
    matches!(end, Some(at) if at <= now)
}

//! Elements in a row: what the compact forms of old and new have in common.

use super::super::cursor::{Fault, Text};

const ODD: Fault = Fault::Bad("integrity check failed: an element without its partner");

/// A row being read.
pub trait Run<'b>: Sized {
    /// The next element; none at the end, which has been checked then.
    fn next(&mut self) -> Result<Option<Text<'b>>, Fault>;

    /// The next element, which must be there.
    fn partner(&mut self) -> Result<Text<'b>, Fault> {
        self.next()?.ok_or(ODD)
    }

    /// Shows all elements.
    fn each(mut self, mut take: impl FnMut(&Text<'b>) -> Result<(), Fault>) -> Result<(), Fault> {
        while let Some(element) = self.next()? {
            take(&element)?;
        }
        Ok(())
    }

    /// Shows all elements, two at a time.
    fn pairs(
        mut self,
        mut take: impl FnMut(&Text<'b>, &Text<'b>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        while let Some(first) = self.next()? {
            take(&first, &self.partner()?)?;
        }
        Ok(())
    }
}

/// `len` bytes behind the first `skip` as a text, and how far that goes.
pub fn text(bytes: &[u8], skip: usize, len: usize) -> Option<(Text<'_>, usize)> {
    let end = skip.checked_add(len)?;
    Some((Text::Slice(bytes.get(skip..end)?), end))
}

/// `len` bytes behind the first as a number, and how far that goes.
pub fn int(bytes: &[u8], len: usize) -> Option<(Text<'_>, usize)> {
    let mut raw = [0; 8];
    raw[..len].copy_from_slice(bytes.get(1..1 + len)?);
    let unused = 64 - 8 * len as u32;
    Some((Text::Int(i64::from_le_bytes(raw) << unused >> unused), 1 + len))
}

//! What BY and GET name: the key, or the field of a hash, that belongs to an element.

use super::super::hash;
use crate::db::{Access, Key};
use crate::types::object::Type;

/// `prefix*suffix`, or `prefix*suffix->field`, or `#`.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// The element itself.
    Itself,
    /// Without an asterisk: nothing.
    Nothing,
    /// The string at a key, or a field of the hash there.
    Key { prefix: Vec<u8>, suffix: Vec<u8>, field: Option<Vec<u8>> },
}

impl Pattern {
    pub fn new(text: &[u8]) -> Self {
        if text == b"#" {
            return Self::Itself;
        }
        let Some(at) = memchr::memchr(b'*', text) else { return Self::Nothing };
        let (prefix, rest) = (text[..at].to_vec(), &text[at + 1..]);
        match memchr::memmem::find(rest, b"->") {
            Some(arrow) if arrow + 2 < rest.len() => {
                let (suffix, field) = (rest[..arrow].to_vec(), Some(rest[arrow + 2..].to_vec()));
                Self::Key { prefix, suffix, field }
            }
            _ => Self::Key { prefix, suffix: rest.to_vec(), field: None },
        }
    }

    pub const fn is_itself(&self) -> bool {
        matches!(self, Self::Itself)
    }

    /// The key that belongs to `element`, if one does.
    pub fn name(&self, element: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Key { prefix, suffix, .. } => Some([prefix, element, suffix].concat()),
            Self::Itself | Self::Nothing => None,
        }
    }

    /// Calls `f` with the value that belongs to `element`. None if there is none.
    pub fn look_up<T>(
        &self,
        db: &mut Access<'_>,
        element: &[u8],
        f: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let Self::Key { field, .. } = self else {
            return self.is_itself().then(|| f(element));
        };
        let name = self.name(element)?;
        let (key, now) = (Key::new(&name), db.now);
        match field {
            None => db.string(key).ok()?.map(|text| text.with(f)),
            Some(field) => db
                .collection(key, Type::Hash, |seen| {
                    let found = hash::View::of(seen)?.get(field, now)?;
                    Some(f(found.value.text(&mut Vec::new())))
                })
                .ok()??,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_by_redis() {
        let named = |pattern: &str| {
            let pattern = Pattern::new(pattern.as_bytes());
            let field = match &pattern {
                Pattern::Key { field: Some(field), .. } => String::from_utf8_lossy(field).into(),
                _ => String::new(),
            };
            let name = pattern.name(b"1").map(|name| String::from_utf8_lossy(&name).into_owned());
            (name.unwrap_or_default(), field)
        };
        let pair = |name: &str, field: &str| (name.to_owned(), field.to_owned());
        assert_eq!(named("w_*"), pair("w_1", ""));
        assert_eq!(named("*"), pair("1", ""));
        assert_eq!(named("a*b*c"), pair("a1b*c", ""));
        assert_eq!(named("h*x->f*"), pair("h1x", "f*"));
        assert_eq!(named("h*->"), pair("h1->", "")); // no field: part of the name
        assert_eq!(named("a->b*c"), pair("a->b1c", "")); // before the asterisk too
        assert_eq!([named("#"), named("none")], [pair("", ""), pair("", "")]);
        assert!(Pattern::new(b"#").is_itself() && !Pattern::new(b"##").is_itself());
    }
}

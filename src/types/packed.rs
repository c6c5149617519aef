//! Elements one after the other in one slice of bytes: the compact form of small hashes (field,
//! value, ...), sorted sets (member, score, ...), sets and lists.
//!
//! A packed sequence is stored in an immutable block and replaced whole: reads take the slice, edits
//! append the new sequence to a caller's buffer, copying what stays in two pieces. There is no
//! header: the elements are all there is, and their number is found by walking, which at the sizes
//! that stay packed (128 pairs by default) is cheaper than keeping two bytes per key. Nor does an
//! element know its predecessor: walking back collects the places of all elements first.
//! `element` has the bytes.
//!
//! - **P1** A value has one encoding (see `element`), so finding compares values, never texts.
//! - **P2** No read panics, whatever the bytes: one that meets what is no element ends there.
//!   [`Packed::validate`] says that none will: all bytes are elements, in the form of P1.

mod element;
#[cfg(test)]
pub(in crate::types) mod tests;

pub use element::{ELEMENT_MAX, Element};
pub(in crate::types) use element::{decode, size};

/// A packed sequence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Packed<'b>(&'b [u8]);

/// Where in a sequence an element begins, or the sequence ends. It means nothing in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(usize);

impl Place {
    /// Bytes before it.
    pub const fn offset(self) -> usize {
        self.0
    }
}

/// Bytes that are no packed sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Offset of what is no element.
    pub at: usize,
}

impl<'b> Packed<'b> {
    /// A view of bytes that are, or are to be treated as, a packed sequence.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// A view of bytes from elsewhere, and the number of elements (P2).
    pub fn validate(bytes: &'b [u8]) -> Result<(Self, usize), Malformed> {
        let (mut at, mut count) = (0, 0);
        while at < bytes.len() {
            match decode(&bytes[at..]) {
                Some((element, size)) if element.is_canonical(&bytes[at..]) => at += size,
                _ => return Err(Malformed { at }),
            }
            count += 1;
        }
        Ok((Self(bytes), count))
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'b [u8] {
        self.0
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of elements, by walking over them.
    pub fn len(&self) -> usize {
        let (mut at, mut count) = (0, 0);
        while let Some(next) = self.after(at) {
            at = next;
            count += 1;
        }
        count
    }

    /// All elements.
    pub const fn iter(&self) -> Iter<'b> {
        Iter { bytes: self.0, at: 0 }
    }

    /// The elements from `place` on.
    pub const fn iter_from(&self, place: Place) -> Iter<'b> {
        Iter { bytes: self.0, at: place.0 }
    }

    /// All elements, two by two, each pair with its place.
    pub fn pairs(&self) -> impl Iterator<Item = (Place, Element<'b>, Element<'b>)> + use<'b> {
        let mut iter = self.iter();
        std::iter::from_fn(move || Some((iter.place(), iter.next()?, iter.next()?)))
    }

    /// All elements, the last first.
    pub fn iter_back(&self) -> IterBack<'b> {
        let len = self.len();
        let few = len <= FEW && self.0.len() <= usize::from(u16::MAX);
        let mut back = IterBack { bytes: self.0, few: [0; FEW], many: Vec::new(), left: len };
        let mut at = 0;
        for index in 0..len {
            if few {
                back.few[index] = at as u16;
            } else {
                back.many.push(at);
            }
            at = self.after(at).unwrap_or(at);
        }
        back
    }

    /// The place of an element; that of the end if `index` is the number of elements.
    pub fn place(&self, index: usize) -> Option<Place> {
        let mut at = 0;
        for _ in 0..index {
            at = self.after(at)?;
        }
        Some(Place(at))
    }

    /// The place behind all elements.
    pub const fn end(&self) -> Place {
        Place(self.0.len())
    }

    /// The bytes of the elements from one place to another.
    pub fn between(&self, from: Place, to: Place) -> &'b [u8] {
        self.0.get(from.0..to.0).unwrap_or_default()
    }

    /// The element at a place.
    pub fn at(&self, place: Place) -> Option<Element<'b>> {
        self.iter_from(place).next()
    }

    /// The element with this number.
    pub fn nth(&self, index: usize) -> Option<Element<'b>> {
        self.at(self.place(index)?)
    }

    /// The element with this number from the end, the last being 0.
    pub fn nth_back(&self, index: usize) -> Option<Element<'b>> {
        self.nth(self.len().checked_sub(index + 1)?)
    }

    /// The first element equal to `needle` among every `stride`-th (1: all, 2: fields and members),
    /// and its number.
    #[inline]
    pub fn find(&self, needle: &Element<'_>, stride: usize) -> Option<(usize, Place)> {
        let (mut at, mut index) = (0, 0);
        loop {
            let (element, size) = decode(self.0.get(at..)?)?;
            if element == *needle {
                return Some((index, Place(at)));
            }
            at += size;
            for _ in 1..stride {
                at = self.after(at)?;
            }
            index += stride.max(1);
        }
    }

    /// Appends this sequence to `out`, with `with` in place of the `count` elements from `place` on.
    pub fn splice(&self, place: Place, count: usize, with: &[Element<'_>], out: &mut Vec<u8>) {
        let from = place.0.min(self.0.len());
        let mut to = from;
        for _ in 0..count {
            to = self.after(to).unwrap_or(to);
        }
        let added: usize = with.iter().map(Element::size).sum();
        out.reserve(self.0.len() - (to - from) + added);
        out.extend_from_slice(&self.0[..from]);
        with.iter().for_each(|element| element.push(out));
        out.extend_from_slice(&self.0[to..]);
    }

    /// Appends this sequence to `out`, with `with` before `place`.
    pub fn insert(&self, place: Place, with: &[Element<'_>], out: &mut Vec<u8>) {
        self.splice(place, 0, with, out);
    }

    /// Appends this sequence to `out`, with another element at `place`.
    pub fn replace(&self, place: Place, with: &Element<'_>, out: &mut Vec<u8>) {
        self.splice(place, 1, std::slice::from_ref(with), out);
    }

    /// Appends this sequence to `out`, without the `count` elements from `place` on.
    pub fn remove(&self, place: Place, count: usize, out: &mut Vec<u8>) {
        self.splice(place, count, &[], out);
    }

    /// Appends to `out` the groups of `stride` elements whose first one `keep` wants, with its
    /// number; says how many groups went.
    pub fn retain(
        &self,
        stride: usize,
        out: &mut Vec<u8>,
        mut keep: impl FnMut(usize, Element<'b>) -> bool,
    ) -> usize {
        let (mut at, mut index, mut gone) = (0, 0, 0);
        // Neighbours that stay are copied in one go.
        let mut copied = 0;
        while let Some(element) = self.at(Place(at)) {
            let mut next = at;
            for _ in 0..stride.max(1) {
                next = self.after(next).unwrap_or(next);
            }
            if !keep(index, element) {
                out.extend_from_slice(&self.0[copied..at]);
                copied = next;
                gone += 1;
            }
            at = next;
            index += stride.max(1);
        }
        out.extend_from_slice(&self.0[copied..at]);
        gone
    }

    /// Where the element at `at` ends; None if there is none.
    #[inline]
    fn after(&self, at: usize) -> Option<usize> {
        Some(at + size(self.0.get(at..)?)?)
    }
}

impl<'b> IntoIterator for Packed<'b> {
    type Item = Element<'b>;
    type IntoIter = Iter<'b>;

    fn into_iter(self) -> Iter<'b> {
        self.iter()
    }
}

/// Elements in order.
#[derive(Debug, Clone)]
pub struct Iter<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Iter<'_> {
    /// The place of the element that comes next.
    pub const fn place(&self) -> Place {
        Place(self.at)
    }
}

impl<'b> Iterator for Iter<'b> {
    type Item = Element<'b>;

    #[inline]
    fn next(&mut self) -> Option<Element<'b>> {
        let (element, size) = decode(self.bytes.get(self.at..)?)?;
        self.at += size;
        Some(element)
    }
}

/// Sequences up to this length are walked back without an allocation.
const FEW: usize = 256;

/// Elements in reverse order.
#[derive(Debug)]
pub struct IterBack<'b> {
    bytes: &'b [u8],
    /// Places of all elements, in one of the two.
    few: [u16; FEW],
    many: Vec<usize>,
    left: usize,
}

impl IterBack<'_> {
    /// The place of the element that comes next.
    pub fn place(&self) -> Option<Place> {
        let index = self.left.checked_sub(1)?;
        let few = || usize::from(self.few[index]);
        Some(Place(self.many.get(index).copied().unwrap_or_else(few)))
    }
}

impl<'b> Iterator for IterBack<'b> {
    type Item = Element<'b>;

    fn next(&mut self) -> Option<Element<'b>> {
        let place = self.place()?;
        self.left -= 1;
        Some(decode(self.bytes.get(place.0..)?)?.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for IterBack<'_> {}

//! The compact form of a sorted set: a packed sequence of member, score, member, score, …
//!
//! - **C1** Entries are in order of score, then of the member's text, as in the large form, though a
//!   member that is an integer is kept as one: its decimal text is what is compared.
//! - **C2** A score is never NaN (Z2); [`Element::of_score`] packs it. Negative zero becomes zero, as
//!   it does in Redis' compact form and not in its large one.
//!
//! Every question walks from the start: at the sizes that stay compact that is one or two cache
//! lines, and cheaper than anything kept to avoid it.

use super::range::Cut;
use crate::types::packed::{Element, Iter, IterBack, Packed};
use std::cmp::Ordering;

/// A view of a compact sorted set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Small<'b>(Packed<'b>);

/// A member that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// How many entries are before it.
    pub rank: usize,
    /// Its score.
    pub score: f64,
    /// Where its entry begins and ends.
    from: usize,
    to: usize,
}

/// The order of an element's text and another.
#[inline]
pub fn compare(element: &Element<'_>, text: &[u8]) -> Ordering {
    match *element {
        Element::Str(own) => own.cmp(text),
        Element::Int(value) => itoa::Buffer::new().format(value).as_bytes().cmp(text),
        Element::Double(_) => {
            let mut own = Vec::new();
            element.write_text(&mut own);
            own.as_slice().cmp(text)
        }
    }
}

/// The score that an element stands for. What is none, which only bytes from elsewhere can hold, counts
/// as zero (Z2).
fn score_of(element: Element<'_>) -> f64 {
    element.score().filter(|score| !score.is_nan()).unwrap_or(0.0)
}

impl<'b> Small<'b> {
    /// A view of bytes that are, or are to be treated as, a compact sorted set.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self(Packed::new(bytes))
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'b [u8] {
        self.0.bytes()
    }

    /// Number of members, by walking over them.
    pub fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Is there none?
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries in order, each with the offset at which it begins.
    fn entries(&self) -> impl Iterator<Item = (usize, Element<'b>, f64)> + use<'b> {
        self.0.pairs().map(move |(place, member, own)| (place.offset(), member, score_of(own)))
    }

    /// A member's entry.
    #[inline]
    pub fn find(&self, member: &[u8]) -> Option<Found> {
        let (index, place) = self.0.find(&Element::of(member), 2)?;
        let mut iter = self.0.iter_from(place);
        let (_, score) = (iter.next()?, score_of(iter.next()?));
        Some(Found { rank: index / 2, score, from: place.offset(), to: iter.place().offset() })
    }

    /// A member's score.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|found| found.score)
    }

    /// How many entries lie before a cut.
    pub fn rank_of(&self, cut: &Cut<'_>) -> usize {
        match cut {
            Cut::Start => 0,
            Cut::End => self.len(),
            _ => self.seek(cut).0,
        }
    }

    /// How many entries lie before a cut, and at which offset it lies.
    fn seek(&self, cut: &Cut<'_>) -> (usize, usize) {
        let mut rank = 0;
        for (at, member, score) in self.entries() {
            if !is_before(&member, score, cut) {
                return (rank, at);
            }
            rank += 1;
        }
        (rank, self.0.bytes().len())
    }

    /// `count` entries from `rank` on, upwards, as far as there are any.
    pub fn range(&self, rank: usize, count: usize) -> Up<'b> {
        let from = self.0.place(2 * rank).unwrap_or(self.0.end());
        Up { iter: self.0.iter_from(from), left: count }
    }

    /// `count` entries downwards, the first of them the one before rank `end`.
    pub fn range_back(&self, end: usize, count: usize) -> Down<'b> {
        let mut iter = self.0.iter_back();
        (end..iter.len() / 2).for_each(|_| _ = (iter.next(), iter.next()));
        Down { iter, left: count }
    }

    /// Appends the set to `out`, with `member` at this score; `old` is where it stands so far.
    pub fn put(&self, member: &[u8], score: f64, old: Option<Found>, out: &mut Vec<u8>) {
        let score = score + 0.0; // C2
        let bytes = self.0.bytes();
        let (member_element, score_element) = (Element::of(member), Element::of_score(score));
        out.reserve(bytes.len() + member_element.size() + score_element.size());
        let (_, at) = self.seek(&Cut::BeforeEntry(score, member));
        // What is copied before and behind the new entry, less the old one on either side.
        let (from, to) = old.map_or((at, at), |old| (old.from, old.to));
        let (ahead, behind) = if at <= from { (at..at, at..from) } else { (to..at, at..at) };
        out.extend_from_slice(&bytes[..at.min(from)]);
        out.extend_from_slice(&bytes[ahead]);
        member_element.push(out);
        score_element.push(out);
        out.extend_from_slice(&bytes[behind]);
        out.extend_from_slice(&bytes[at.max(to)..]);
    }

    /// Appends the set to `out`, without an entry.
    pub fn remove(&self, found: Found, out: &mut Vec<u8>) {
        let bytes = self.0.bytes();
        out.reserve(bytes.len() - (found.to - found.from));
        out.extend_from_slice(&bytes[..found.from]);
        out.extend_from_slice(&bytes[found.to..]);
    }

    /// Appends the set to `out`, without the `count` entries from `rank` on.
    pub fn remove_range(&self, rank: usize, count: usize, out: &mut Vec<u8>) {
        let from = self.0.place(2 * rank).unwrap_or(self.0.end());
        self.0.remove(from, 2 * count, out);
    }
}

/// Entries upwards.
#[derive(Debug)]
pub struct Up<'b> {
    iter: Iter<'b>,
    left: usize,
}

impl<'b> Iterator for Up<'b> {
    type Item = Entry<'b>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'b>> {
        self.left = self.left.checked_sub(1)?;
        Some((self.iter.next()?, score_of(self.iter.next()?)))
    }
}

/// Entries downwards.
#[derive(Debug)]
pub struct Down<'b> {
    iter: IterBack<'b>,
    left: usize,
}

impl<'b> Iterator for Down<'b> {
    type Item = Entry<'b>;

    fn next(&mut self) -> Option<Entry<'b>> {
        self.left = self.left.checked_sub(1)?;
        let score = score_of(self.iter.next()?);
        Some((self.iter.next()?, score))
    }
}

/// A member and its score.
pub type Entry<'b> = (Element<'b>, f64);

/// Appends an entry behind all others, which are before it.
pub fn push_last(member: &Element<'_>, score: f64, out: &mut Vec<u8>) {
    member.push(out);
    Element::of_score(score + 0.0).push(out); // C2
}

/// Is an entry before a cut?
#[inline]
fn is_before(member: &Element<'_>, score: f64, cut: &Cut<'_>) -> bool {
    match *cut {
        Cut::Start => false,
        Cut::End => true,
        Cut::BeforeScore(at) => score < at,
        Cut::AfterScore(at) => score <= at,
        Cut::BeforeMember(at) => compare(member, at).is_lt(),
        Cut::AfterMember(at) => compare(member, at).is_le(),
        Cut::BeforeEntry(own, at) => score < own || score == own && compare(member, at).is_lt(),
        Cut::AfterEntry(own, at) => score < own || score == own && compare(member, at).is_le(),
    }
}

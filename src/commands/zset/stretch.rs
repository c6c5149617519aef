//! A stretch of a sorted set in a reply: short ones at once, long ones in slices from a frozen copy.

use super::Error;
use super::access::score;
use crate::commands::{Cx, elements, long};
use crate::resp::Reply;
use crate::types::packed::Element;
use crate::types::zset::{Entries, Frozen, View};

/// Entries one after the other: which are the first and how many.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Rank of the lowest.
    pub from: usize,
    /// How many.
    pub count: usize,
    /// The highest comes first.
    pub reverse: bool,
}

impl Span {
    /// All `count` entries of a set.
    pub const fn all(count: usize) -> Self {
        Self { from: 0, count, reverse: false }
    }

    /// The entries.
    pub fn entries<'v>(&self, view: &View<'v>) -> Entries<'v> {
        if self.reverse {
            view.range_back(self.from + self.count, self.count)
        } else {
            view.range(self.from, self.count)
        }
    }
}

/// Encodes entries of a set, each member with its score if asked for. If they are many, nothing is
/// encoded, and what is returned is to be given to [`begin`].
#[inline]
pub fn show(
    view: View<'_>,
    span: Span,
    with_scores: bool,
    reply: &mut Reply,
) -> Option<Box<Stretch>> {
    if let View::Large(set) = view
        && span.count > SHORT
    {
        let frozen = Frozen::of(set, false);
        return Some(Box::new(Stretch { frozen, span, shown: 0, with_scores, popped: None }));
    }
    head(span.count, with_scores, reply);
    span.entries(&view).for_each(|(member, own)| entry(&member, own, with_scores, reply));
    None
}

/// Entries that are encoded under the stripe: some ten microseconds.
const SHORT: usize = 512;
/// Entries encoded between two looks at the time.
const STEP: usize = 128;

/// Announces so many entries.
pub fn head(count: usize, with_scores: bool, reply: &mut Reply) {
    reply.array(if with_scores && !reply.resp3 { 2 * count } else { count });
}

/// Announces so many pairs popped from a key.
pub fn popped_head(reply: &mut Reply, key: &[u8], count: usize) {
    reply.array(2);
    reply.bulk(key);
    reply.array(count);
}

/// Encodes a member and its score as a pair.
#[inline]
pub fn pair(member: &Element<'_>, own: f64, reply: &mut Reply) {
    reply.array(2);
    elements::bulk(reply, member);
    score(reply, own);
}

/// Encodes an entry.
#[inline]
pub fn entry(member: &Element<'_>, own: f64, with_scores: bool, reply: &mut Reply) {
    if with_scores && reply.resp3 {
        reply.array(2);
    }
    elements::bulk(reply, member);
    if with_scores {
        score(reply, own);
    }
}

/// Many entries.
#[derive(Debug)]
pub struct Stretch {
    frozen: Frozen,
    span: Span,
    shown: usize,
    with_scores: bool,
    /// They were popped from this key, by a command that names it and shows them in pairs.
    popped: Option<Box<[u8]>>,
}

impl Stretch {
    /// Entries of `frozen` with their scores.
    pub fn with_scores(frozen: Frozen, span: Span) -> Box<Self> {
        Box::new(Self { frozen, span, shown: 0, with_scores: true, popped: None })
    }

    /// The same as ZMPOP shows it: behind the key, in pairs.
    pub fn popped(mut self: Box<Self>, key: &[u8]) -> Box<Self> {
        self.popped = Some(key.into());
        self
    }
}

impl long::Source for Stretch {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let Self { frozen, span, shown, with_scores, popped } = self;
        match popped {
            _ if *shown > 0 => {}
            Some(key) => popped_head(reply, key, span.count),
            None => head(span.count, *with_scores, reply),
        }
        let count = STEP.min(span.count - *shown);
        let mut each = |(member, own): (&[u8], f64)| match popped {
            Some(_) => pair(&Element::Str(member), own, reply),
            None => entry(&Element::Str(member), own, *with_scores, reply),
        };
        if span.reverse {
            frozen.range_back(span.from + span.count - *shown, count).for_each(&mut each);
        } else {
            frozen.range(span.from + *shown, count).for_each(&mut each);
        }
        *shown += count;
        *shown < span.count
    }
}

/// Encodes many entries, in slices.
pub fn begin(cx: &mut Cx<'_>, stretch: Box<Stretch>) -> Result<(), Error> {
    long::begin(cx, *stretch)
}

/// Goes on with that, if it is what the command is at.
pub fn resume(cx: &mut Cx<'_>) -> Option<Result<(), Error>> {
    cx.session.resume.as_ref()?;
    long::resume::<Stretch>(cx)
}

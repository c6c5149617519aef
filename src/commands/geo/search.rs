//! Searching, sorting and showing places, in slices.
//!
//! A large set is searched as it was at one instant, by reference, so nothing is held meanwhile. A
//! result is stored if the set is still the same then ([`Storing`]).

use super::coordinates;
use super::options::{Centre, Form, Origin, Search, UNDECODABLE};
use crate::commands::long::{self, Source as _};
use crate::commands::slice::{self, Slice};
use crate::commands::zset::access::{limits, read, view_of};
use crate::commands::zset::sources::Source;
use crate::commands::zset::storing::{Storing, Work};
use crate::commands::{Args, Cx, Error};
use crate::db::{Access, Key, Seen};
use crate::resp::Reply;
use crate::types::arena::{Arena, Text};
use crate::types::geo::{Point, Shape};
use crate::types::object::Type;
use crate::types::runs::Runs;
use crate::types::zset::{Cut, SortedSet, View};
use std::mem::take;
use std::ops::Range;

/// Members of a set that is searched at once, under its stripe.
const AT_ONCE: usize = 1_000;
/// Places looked at, shown or stored between two looks at the time.
const STEP: usize = 128;

/// GEOSEARCH and all its kin.
pub fn search(cx: &mut Cx<'_>, args: Args<'_>, form: Form) -> Result<(), Error> {
    if let Some(done) = long::resume::<Shown>(cx) {
        return done;
    }
    let at = if form.from == Origin::Stored { 2 } else { 1 };
    let from = Key::new(args.get(at));
    let begun = cx.session.resume.is_some(); // by then all is known to be as it should
    // What the key holds is looked at before the options are.
    if !begun && cx.db.peek(from).is_some_and(|entry| entry.type_of() != Type::ZSet) {
        return Err(Error::WrongType);
    }
    let mut lacks = |member: &[u8]| {
        let db = &mut cx.db;
        let Some(entry) = db.peek(from).filter(|_| !begun) else { return false };
        let look = |seen: Seen<'_>| view_of(seen).score(member).is_none();
        let found = db.collection_of((db.db, from), entry, Type::ZSet, look);
        matches!(found, Ok(Some(true)))
    };
    let search = Search::parse(args, form, &mut lacks)?;
    match search.store {
        Some(to) => store(cx, &search, from, to, form),
        None => show(cx, &search, from),
    }
}

fn show(cx: &mut Cx<'_>, search: &Search<'_>, from: Key<'_>) -> Result<(), Error> {
    let mut whole = match slice::resume::<Whole>(cx) {
        Some(whole) => whole,
        None => {
            let at_once = read(cx, from, |set, _| {
                if set.len() > AT_ONCE {
                    return Ok(None);
                }
                let mut work = Searching::new(search, &set)?;
                while work.step(&set) {}
                Ok(Some(work))
            })?;
            match at_once {
                None => {
                    cx.reply.array(0);
                    return Ok(());
                }
                Some(Ok(Some(work))) => {
                    let mut shown = Shown::new(search, work);
                    while shown.encode(cx.reply) {}
                    return Ok(());
                }
                Some(Ok(None)) => Box::new(Whole::begin(search, &mut cx.db, from)?),
                Some(Err(error)) => return Err(error),
            }
        }
    };
    if !whole.go_on(&Slice::begin()) {
        return Slice::pause(cx, whole);
    }
    long::begin(cx, Shown::new(search, whole.work))
}

fn store(
    cx: &mut Cx<'_>,
    search: &Search<'_>,
    from: Key<'_>,
    to: Key<'_>,
    form: Form,
) -> Result<(), Error> {
    let word = if form.from == Origin::Stored { "geosearchstore" } else { "georadiusstore" };
    let (limits, unit) = (limits(cx), search.store_distance.then_some(search.unit));
    let anew = |db: &mut Access<'_>| {
        let whole = Whole::begin(search, db, from)?;
        Ok(Kept { whole, unit, stored: 0, result: Box::default() })
    };
    let storing = match slice::resume::<Storing<Kept>>(cx) {
        Some(storing) => storing,
        None => Storing::new(anew(&mut cx.db)?),
    };
    storing.go_on(cx, (to, &[from]), (limits, word), anew)
}

/// A place that was found.
#[derive(Debug)]
struct Found {
    member: Text,
    score: f64,
    distance: f64,
}

/// A search at work.
#[derive(Debug)]
struct Searching {
    shape: Shape,
    centre: Point,
    /// Ranges of scores to look at, the next one last.
    ranges: Vec<(f64, f64)>,
    /// Ranks to look at first.
    ranks: Range<usize>,
    /// Places that need not be looked for beyond.
    enough: usize,
    /// Places wanted of those found.
    count: usize,
    descending: Option<bool>,
    arena: Arena,
    found: Vec<Found>,
    sorting: Option<Runs>,
    /// Numbers of the places wanted; all as they were found if there are none.
    order: Option<Vec<u32>>,
}

impl Searching {
    fn new(search: &Search<'_>, set: &View<'_>) -> Result<Self, Error> {
        let shape = search.shape.unwrap_or(Shape::Circle(0.0));
        let centre = match search.centre {
            Some(Centre::Point(point)) => Some(point),
            Some(Centre::Member(_)) if set.is_empty() => None,
            Some(Centre::Member(member)) => {
                Some(set.score(member).map(Point::of_score).ok_or(UNDECODABLE)?)
            }
            None => None, // refused before
        };
        let mut ranges = centre.map_or_else(Vec::new, |centre| shape.ranges(centre));
        ranges.reverse();
        Ok(Self {
            shape,
            centre: centre.unwrap_or(Point { longitude: 0.0, latitude: 0.0 }),
            ranges,
            ranks: 0..0,
            enough: if search.any { search.count } else { usize::MAX },
            count: if search.count > 0 { search.count } else { usize::MAX },
            descending: search.descending,
            arena: Arena::default(),
            found: Vec::new(),
            sorting: None,
            order: None,
        })
    }

    /// Does a piece of the work on `set`, which is the same each time. False if nothing is left.
    fn step(&mut self, set: &View<'_>) -> bool {
        if let Some(runs) = &mut self.sorting {
            let (found, descending) = (&self.found, self.descending == Some(true));
            let more = runs.step(|a, b| {
                let order = found[a as usize].distance.total_cmp(&found[b as usize].distance);
                if descending { order.reverse() } else { order }
            });
            if !more {
                self.order = self.sorting.take().map(Runs::into_order);
            }
            return more;
        }
        if self.ranks.is_empty() {
            let Some((from, to)) = self.ranges.pop() else { return self.begin_to_sort() };
            let rank = |score| set.rank_of(&Cut::BeforeScore(score));
            self.ranks = rank(from)..rank(to);
        }
        self.look(set);
        true
    }

    /// Looks at some places.
    fn look(&mut self, set: &View<'_>) {
        let Self { shape, centre, ranks, enough, arena, found, .. } = self;
        let step = STEP.min(ranks.len());
        let mut text = Vec::new();
        for (member, score) in set.range(ranks.start, step) {
            if let Some(distance) = shape.distance(*centre, Point::of_score(score)) {
                let member = arena.add(member.text(&mut text));
                found.push(Found { member, score, distance });
                if found.len() >= *enough {
                    (self.ranks, self.ranges) = (0..0, Vec::new());
                    return;
                }
            }
        }
        ranks.start += step;
    }

    /// All places are found. False if they need no order, or have it.
    fn begin_to_sort(&mut self) -> bool {
        if self.descending.is_none() || self.order.is_some() {
            return false;
        }
        self.sorting = Some(Runs::new(self.found.len(), 0, self.count));
        true
    }

    /// How many places there are, when the work is done.
    fn len(&self) -> usize {
        self.order.as_ref().map_or(self.found.len(), Vec::len)
    }

    fn place(&self, at: usize) -> &Found {
        &self.found[self.order.as_ref().map_or(at, |order| order[at] as usize)]
    }
}

/// A search with the set it searches.
#[derive(Debug)]
struct Whole {
    work: Searching,
    set: Source,
}

impl Whole {
    fn begin(search: &Search<'_>, db: &mut Access<'_>, key: Key<'_>) -> Result<Self, Error> {
        let set = Source::of_zset(db, key, matches!(search.centre, Some(Centre::Member(_))))?;
        Ok(Self { work: Searching::new(search, &set.view())?, set })
    }

    /// Goes on until `slice` is over. True when all is done.
    fn go_on(&mut self, slice: &Slice) -> bool {
        let set = self.set.view();
        while self.work.step(&set) {
            if slice.is_over() {
                return false;
            }
        }
        true
    }
}

/// A search whose result is to be stored.
#[derive(Debug)]
struct Kept {
    whole: Whole,
    /// Metres of the unit of the distances that are to be the scores.
    unit: Option<f64>,
    stored: usize,
    result: Box<SortedSet>,
}

impl Kept {
    /// Puts some places into the result. False if that was all.
    fn step(&mut self) -> bool {
        let work = &self.whole.work;
        let to = (self.stored + STEP).min(work.len());
        for at in self.stored..to {
            let place = work.place(at);
            let score = self.unit.map_or(place.score, |unit| place.distance / unit);
            self.result.insert(work.arena.get(place.member), score);
        }
        self.stored = to;
        to < work.len()
    }
}

impl Work for Kept {
    fn go_on(&mut self, slice: Option<&Slice>) -> bool {
        let over = || slice.is_some_and(Slice::is_over);
        let set = self.whole.set.view();
        while self.whole.work.step(&set) {
            if over() {
                return false;
            }
        }
        while self.step() {
            if over() {
                return false;
            }
        }
        true
    }

    fn is_still(&self, db: &mut Access<'_>, keys: &[Key<'_>]) -> bool {
        keys.iter().all(|key| self.whole.set.is_still(db, *key))
    }

    fn take_result(&mut self) -> Box<SortedSet> {
        take(&mut self.result)
    }
}

/// The places on their way to the client.
struct Shown {
    work: Searching,
    distance: Option<f64>,
    hash: bool,
    place: bool,
    /// The next one; the head comes first.
    at: Option<usize>,
}

impl Shown {
    fn new(search: &Search<'_>, work: Searching) -> Self {
        let distance = search.distance.then_some(search.unit);
        Self { work, distance, hash: search.hash, place: search.place, at: None }
    }

    fn one(&self, found: &Found, reply: &mut Reply) {
        let parts = [self.distance.is_some(), self.hash, self.place];
        let parts = parts.into_iter().filter(|part| *part).count();
        if parts > 0 {
            reply.array(1 + parts);
        }
        reply.bulk(self.work.arena.get(found.member));
        if let Some(unit) = self.distance {
            reply.bulk(format!("{:.4}", found.distance / unit).as_bytes());
        }
        if self.hash {
            reply.int(found.score as i64);
        }
        if self.place {
            coordinates(reply, Point::of_score(found.score));
        }
    }
}

impl long::Source for Shown {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let len = self.work.len();
        let from = self.at.unwrap_or_else(|| {
            reply.array(len);
            0
        });
        let to = (from + STEP).min(len);
        (from..to).for_each(|at| self.one(self.work.place(at), reply));
        self.at = Some(to);
        to < len
    }
}

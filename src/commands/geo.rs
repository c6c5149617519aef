//! Geo: GEOADD, GEOSEARCH and the rest. Places are sorted sets whose scores `types::geo` explains.

use super::args::integer;
use super::event::Class;
use super::notes::{Notes, at};
use super::table::{Begin, Find, Handler};
use super::zset::access::{limits, read, settle, view_of};
use super::zset::add::{self, How};
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec};
use crate::db::{Expiry, Key, Seen};
use crate::resp::Reply;
use crate::types::geo::{Point, Shape};
use crate::types::number;
use crate::types::object::Type;
use crate::types::packed::Element;
use crate::types::zset::{Cut, Draft, Frozen, SortedSet, View};

const READ: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);

const fn row(name: &'static str, arity: i16, flags: Flags, run: Handler) -> Command {
    Command::new(name, arity, Group::Geo, run).flags(flags).acl(&["geo"])
}

const fn target(word: &'static str, from: i16) -> KeySpec {
    let find = Find::Range { last: 0, step: 1, limit: 0 };
    KeySpec { begin: Begin::Keyword(word, from), find, flags: &["OW", "UPDATE"], note: "" }
}

const RADIUS_KEYS: &[KeySpec] = &[READ[0], target("STORE", 6), target("STOREDIST", 6)];
const MEMBER_KEYS: &[KeySpec] = &[READ[0], target("STORE", 5), target("STOREDIST", 5)];

const SEARCH: &str = "O(N+log(M)), N being the places around the shape and M those in the set";

/// The rows, sorted by name.
pub static COMMANDS: &[Command] = &[
    row("geoadd", -5, STORE, geoadd)
        .notes(&GEOADD)
        .keys(&[KeySpec::one(1, &["RW", "UPDATE"])])
        .doc(
            "3.2.0",
            "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
            "Adds places, or moves them.",
        )
        .cost("O(log(N)) for each place"),
    row("geodist", -4, Flags::READ, geodist)
        .keys(READ)
        .doc(
            "3.2.0",
            "key member1 member2 [M | KM | FT | MI]",
            "Returns the distance between two places.",
        )
        .cost("O(log(N))"),
    row("geohash", -2, Flags::READ, geohash)
        .keys(READ)
        .doc("3.2.0", "key [member [member ...]]", "Returns the geohashes of places.")
        .cost("O(log(N)) for each place"),
    row("geopos", -2, Flags::READ, geopos)
        .keys(READ)
        .doc("3.2.0", "key [member [member ...]]", "Returns longitude and latitude of places.")
        .cost("O(log(N)) for each place"),
    row("georadius", -6, STORE, georadius)
        .notes(&RADIUS)
        .keys(RADIUS_KEYS)
        .doc(
            "3.2.0",
            "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
            "Returns or stores the places up to a distance from a point.",
        )
        .cost(SEARCH),
    row("georadius_ro", -6, Flags::READ, georadius_ro)
        .notes(&RADIUS_RO)
        .keys(READ)
        .doc(
            "3.2.10",
            "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
            "Returns the places up to a distance from a point.",
        )
        .cost(SEARCH),
    row("georadiusbymember", -5, STORE, georadiusbymember)
        .notes(&BY_MEMBER)
        .keys(MEMBER_KEYS)
        .doc(
            "3.2.0",
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
            "Returns or stores the places up to a distance from another.",
        )
        .cost(SEARCH),
    row("georadiusbymember_ro", -5, Flags::READ, georadiusbymember_ro)
        .notes(&BY_MEMBER_RO)
        .keys(READ)
        .doc(
            "3.2.10",
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
            "Returns the places up to a distance from another.",
        )
        .cost(SEARCH),
    row("geosearch", -7, Flags::READ, geosearch)
        .keys(READ)
        .doc(
            "6.2.0",
            "key <FROMMEMBER member | FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> \
             [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
            "Returns the places in a circle or a box.",
        )
        .cost(SEARCH),
    row("geosearchstore", -8, STORE, geosearchstore)
        .keys(&[KeySpec::one(1, &["OW", "UPDATE"]), KeySpec::one(2, &["RO", "ACCESS"])])
        .doc(
            "6.2.0",
            "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> \
             <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> \
             [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
            "Stores the places in a circle or a box.",
        )
        .cost(SEARCH),
];

const GEOADD: Notes = Notes {
    history: &[("6.2.0", "`CH`, `NX` and `XX`.")],
    args: &[at("NX").since("6.2.0"), at("XX").since("6.2.0"), at("CH").since("6.2.0")],
    ..Notes::NONE
};
const CHANGES: &[(&str, &str)] =
    &[("6.2.0", "`ANY`."), ("7.0.0", "`ASC` and `DESC` in upper case, too.")];
const RADIUS: Notes = Notes {
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`")),
    history: CHANGES,
    ..Notes::NONE
};
const RADIUS_RO: Notes =
    Notes { deprecated: Some(("6.2.0", "`GEOSEARCH` with `BYRADIUS`")), ..Notes::NONE };
const BY_MEMBER: Notes = Notes {
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`",
    )),
    history: CHANGES,
    ..Notes::NONE
};
const BY_MEMBER_RO: Notes = Notes {
    deprecated: Some(("6.2.0", "`GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`")),
    ..Notes::NONE
};

fn geoadd(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut how = How::default();
    let mut at = 2;
    loop {
        if args.is(at, "NX") {
            how.nx = true;
        } else if args.is(at, "XX") {
            how.xx = true;
        } else if args.is(at, "CH") {
            how.ch = true;
        } else {
            break;
        }
        at += 1;
    }
    if !(args.len() - at).is_multiple_of(3) || how.nx && how.xx {
        return Err(Error::Syntax);
    }
    let place = |i| Ok((point(args, i)?.score(), args.get(i + 2)));
    let places: Vec<(f64, &[u8])> =
        (at..args.len()).step_by(3).map(place).collect::<Result<_, Error>>()?;
    let Some((first, rest)) = places.split_first() else { return Err(Error::Syntax) };
    let key = cx.key(args, 1);
    add::add(cx, key, *first, rest, how)
}

/// Longitude and latitude from argument `i` on.
fn point(args: Args<'_>, i: usize) -> Result<Point, Error> {
    let number = |i| number::parse_f64(args.get(i)).ok_or(Error::NotAFloat);
    let (longitude, latitude) = (number(i)?, number(i + 1)?);
    Point::new(longitude, latitude).ok_or_else(|| {
        format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into()
    })
}

/// Metres of a unit.
fn unit(word: &[u8]) -> Result<f64, Error> {
    const UNITS: [(&[u8], f64); 4] =
        [(b"m", 1.0), (b"km", 1000.0), (b"ft", 0.3048), (b"mi", 1609.34)];
    let found = UNITS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    let unknown = Error::new("ERR unsupported unit provided. please use M, KM, FT, MI");
    found.map(|(_, metres)| *metres).ok_or(unknown)
}

fn geodist(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let unit = match args.len() {
        4 => 1.0,
        5 => unit(args.get(4))?,
        _ => return Err(Error::Syntax),
    };
    let key = cx.key(args, 1);
    let scores = read(cx, key, |set, _| (set.score(args.get(2)), set.score(args.get(3))))?;
    match scores {
        Some((Some(a), Some(b))) => {
            let distance = Point::of_score(a).distance(Point::of_score(b));
            cx.reply.bulk(format!("{:.4}", distance / unit).as_bytes());
        }
        _ => cx.reply.null(),
    }
    Ok(())
}

/// Calls `f` with the place of each member.
fn each_place(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    f: impl Fn(&mut Reply, Option<Point>),
) -> Result<(), Error> {
    let (key, members) = (cx.key(args, 1), args.from(2));
    let scores = read(cx, key, |set, _| members.iter().map(|m| set.score(m)).collect::<Vec<_>>())?;
    cx.reply.array(members.len());
    for own in scores.unwrap_or_else(|| vec![None; members.len()]) {
        f(cx.reply, own.map(Point::of_score));
    }
    Ok(())
}

fn geohash(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    each_place(cx, args, |reply, place| match place {
        Some(place) => reply.bulk(&place.geohash()),
        None => reply.null(),
    })
}

fn geopos(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    each_place(cx, args, |reply, place| match place {
        Some(place) => coordinates(reply, place),
        None => reply.null_array(),
    })
}

fn coordinates(reply: &mut Reply, place: Point) {
    reply.array(2);
    for degrees in [place.longitude, place.latitude] {
        let text = format!("{degrees:.17}");
        let short = text.trim_end_matches('0').trim_end_matches('.');
        reply.double(if short == "-0" { "0" } else { short });
    }
}

/// What a command says by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    from: Origin,
    /// Takes STORE and STOREDIST.
    stores: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// `key longitude latitude radius unit`
    Place,
    /// `key member radius unit`
    Member,
    /// `key` and options for all
    Options,
    /// `destination source` and options for all
    Stored,
}

/// Where the centre is.
#[derive(Debug, Clone, Copy)]
enum Centre<'a> {
    Point(Point),
    Member(&'a [u8]),
}

/// What is asked for.
#[derive(Debug, Default)]
struct Search<'a> {
    centre: Option<Centre<'a>>,
    shape: Option<Shape>,
    /// Metres of the unit that distances are shown in.
    unit: f64,
    distance: bool,
    hash: bool,
    place: bool,
    any: bool,
    count: usize,
    /// The nearest first, or the farthest.
    descending: Option<bool>,
    store: Option<Key<'a>>,
    store_distance: bool,
}

const UNDECODABLE: Error = Error::new("ERR could not decode requested zset member");

fn length(arg: &[u8], what: &'static str) -> Result<f64, Error> {
    number::parse_f64(arg).ok_or(Error::new(what))
}

impl<'a> Search<'a> {
    /// Reads the arguments. `lacks` says whether the key exists and lacks a member, which is told
    /// where the member is named.
    fn parse(
        args: Args<'a>,
        form: Form,
        lacks: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Self, Error> {
        let mut search = Self { unit: 1.0, ..Self::default() };
        let at = match form.from {
            Origin::Place => {
                search.centre = Some(Centre::Point(point(args, 2)?));
                search.circle(args, 4)?;
                6
            }
            Origin::Member => {
                search.member(args.get(2), lacks)?;
                search.circle(args, 3)?;
                5
            }
            Origin::Options => 2,
            Origin::Stored => {
                search.store = Some(Key::new(args.get(1)));
                3
            }
        };
        let mut rest = args.from(at);
        while !rest.is_empty() {
            let used = search.option(rest, form, lacks)?;
            rest = rest.from(used);
        }
        search.check(form, args.get(0))?;
        Ok(search)
    }

    fn member(
        &mut self,
        member: &'a [u8],
        lacks: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        if lacks(member) {
            return Err(UNDECODABLE);
        }
        self.centre = Some(Centre::Member(member));
        Ok(())
    }

    fn circle(&mut self, args: Args<'_>, at: usize) -> Result<(), Error> {
        let radius = length(args.get(at), "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(Error::new("ERR radius cannot be negative"));
        }
        self.unit = unit(args.get(at + 1))?;
        self.shape = Some(Shape::Circle(radius * self.unit));
        Ok(())
    }

    fn rectangle(&mut self, args: Args<'_>, at: usize) -> Result<(), Error> {
        let width = length(args.get(at), "ERR need numeric width")?;
        let height = length(args.get(at + 1), "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::new("ERR height or width cannot be negative"));
        }
        self.unit = unit(args.get(at + 2))?;
        self.shape = Some(Shape::Box(width * self.unit, height * self.unit));
        Ok(())
    }

    /// Reads the option that `args` begins with; how many words it has.
    fn option(
        &mut self,
        args: Args<'a>,
        form: Form,
        lacks: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<usize, Error> {
        let has = |n: usize| args.len() > n;
        let options = matches!(form.from, Origin::Options | Origin::Stored);
        if args.is(0, "WITHDIST") {
            self.distance = true;
        } else if args.is(0, "WITHHASH") {
            self.hash = true;
        } else if args.is(0, "WITHCOORD") {
            self.place = true;
        } else if args.is(0, "ANY") {
            self.any = true;
        } else if args.is(0, "ASC") {
            self.descending = Some(false);
        } else if args.is(0, "DESC") {
            self.descending = Some(true);
        } else if args.is(0, "COUNT") && has(1) {
            let count = integer(args.get(1))?;
            if count <= 0 {
                return Err(Error::new("ERR COUNT must be > 0"));
            }
            self.count = usize::try_from(count).unwrap_or(usize::MAX);
            return Ok(2);
        } else if form.stores && (args.is(0, "STORE") || args.is(0, "STOREDIST")) && has(1) {
            self.store_distance = args.is(0, "STOREDIST");
            self.store = Some(Key::new(args.get(1)));
            return Ok(2);
        } else if form.from == Origin::Stored && args.is(0, "STOREDIST") {
            self.store_distance = true;
        } else if options {
            return self.area(args, lacks);
        } else {
            return Err(Error::Syntax);
        }
        Ok(1)
    }

    /// Reads the centre or the shape; how many words it has.
    fn area(
        &mut self,
        args: Args<'a>,
        lacks: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<usize, Error> {
        let has = |n: usize| args.len() > n;
        let member = matches!(self.centre, Some(Centre::Member(_)));
        if args.is(0, "FROMMEMBER") && has(1) && (self.centre.is_none() || member) {
            self.member(args.get(1), lacks)?;
            return Ok(2);
        }
        if args.is(0, "FROMLONLAT") && has(2) && !member {
            self.centre = Some(Centre::Point(point(args, 1)?));
            return Ok(3);
        }
        let boxed = matches!(self.shape, Some(Shape::Box(..)));
        if args.is(0, "BYRADIUS") && has(2) && !boxed {
            self.circle(args, 1)?;
            return Ok(3);
        }
        if args.is(0, "BYBOX") && has(3) && (self.shape.is_none() || boxed) {
            self.rectangle(args, 1)?;
            return Ok(4);
        }
        Err(Error::Syntax)
    }

    fn check(&mut self, form: Form, typed: &[u8]) -> Result<(), Error> {
        let one_of = |words: &str| {
            let typed = String::from_utf8_lossy(typed);
            Err(Error::from(format!("ERR exactly one of {words} for {typed}")))
        };
        if self.store.is_some() && (self.distance || self.hash || self.place) {
            let what = match form.from {
                Origin::Stored => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )
            .into());
        }
        if self.centre.is_none() {
            return one_of("FROMMEMBER or FROMLONLAT can be specified");
        }
        if self.shape.is_none() {
            return one_of("BYRADIUS and BYBOX can be specified");
        }
        if self.any && self.count == 0 {
            return Err(Error::new("ERR the ANY argument requires COUNT argument"));
        }
        if self.count > 0 && self.descending.is_none() && !self.any {
            self.descending = Some(false); // a few without an order means the nearest
        }
        Ok(())
    }

    /// The places found, in the order of the reply.
    fn run(&self, set: &View<'_>) -> Result<Vec<Found>, Error> {
        let centre = match self.centre {
            Some(Centre::Point(point)) => point,
            Some(Centre::Member(member)) => {
                set.score(member).map(Point::of_score).ok_or(UNDECODABLE)?
            }
            None => return Ok(Vec::new()), // refused before
        };
        let shape = self.shape.unwrap_or(Shape::Circle(0.0));
        let enough = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        'all: for (from, to) in shape.ranges(centre) {
            let rank = set.rank_of(&Cut::BeforeScore(from));
            let count = set.rank_of(&Cut::BeforeScore(to)).saturating_sub(rank);
            for (member, own) in set.range(rank, count) {
                if let Some(distance) = shape.distance(centre, Point::of_score(own)) {
                    found.push(Found::new(&member, own, distance));
                    if found.len() >= enough {
                        break 'all;
                    }
                }
            }
        }
        if let Some(descending) = self.descending {
            found.sort_by(|a, b| {
                let order = a.distance.total_cmp(&b.distance);
                if descending { order.reverse() } else { order }
            });
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        Ok(found)
    }

    fn reply(&self, found: &[Found], reply: &mut Reply) {
        let parts = [self.distance, self.hash, self.place];
        let parts = parts.into_iter().filter(|part| *part).count();
        reply.array(found.len());
        for one in found {
            if parts > 0 {
                reply.array(1 + parts);
            }
            reply.bulk(&one.member);
            if self.distance {
                reply.bulk(format!("{:.4}", one.distance / self.unit).as_bytes());
            }
            if self.hash {
                reply.int(one.score as i64);
            }
            if self.place {
                coordinates(reply, Point::of_score(one.score));
            }
        }
    }
}

/// A place that was found.
#[derive(Debug)]
struct Found {
    member: Vec<u8>,
    score: f64,
    distance: f64,
}

impl Found {
    fn new(member: &Element<'_>, score: f64, distance: f64) -> Self {
        let mut text = Vec::new();
        member.write_text(&mut text);
        Self { member: text, score, distance }
    }
}

/// Places of a set that is searched under its stripe.
const LARGE: usize = 1_000;

fn search(cx: &mut Cx<'_>, args: Args<'_>, form: Form) -> Result<(), Error> {
    let at = if form.from == Origin::Stored { 2 } else { 1 };
    let from = Key::new(args.get(at));
    // What the key holds is looked at before the options are.
    if cx.db.peek(from).is_some_and(|entry| entry.type_of() != Type::ZSet) {
        return Err(Error::WrongType);
    }
    let mut lacks = |member: &[u8]| {
        let db = &mut cx.db;
        let Some(entry) = db.peek(from) else { return false };
        let look = |seen: Seen<'_>| view_of(seen).score(member).is_none();
        let found = db.collection_of((db.db, from), entry, Type::ZSet, look);
        matches!(found, Ok(Some(true)))
    };
    let search = Search::parse(args, form, &mut lacks)?;
    match search.store {
        Some(to) => store(cx, &search, from, to, form),
        None => {
            // A large one is searched as it was, with its stripe given back.
            let found = read(cx, from, |set, _| match set {
                View::Large(set) if set.len() > LARGE => Err(Box::new(Frozen::of(set, true))),
                set => Ok(search.run(&set)),
            })?;
            let found = match found {
                None => Vec::new(),
                Some(Ok(found)) => found?,
                Some(Err(frozen)) => search.run(&View::Frozen(&frozen))?,
            };
            search.reply(&found, cx.reply);
            Ok(())
        }
    }
}

fn store(
    cx: &mut Cx<'_>,
    search: &Search<'_>,
    from: Key<'_>,
    to: Key<'_>,
    form: Form,
) -> Result<(), Error> {
    let (limits, voice) = (limits(cx), cx.voice());
    let word = if form.from == Origin::Stored { "geosearchstore" } else { "georadiusstore" };
    let count = cx.db.hold(&[from, to], |db| -> Result<usize, Error> {
        let found = db.collection(from, Type::ZSet, |seen| search.run(&view_of(seen)))?;
        let found = found.transpose()?.unwrap_or_default();
        let mut set = Box::new(SortedSet::new());
        for one in &found {
            let by_distance = one.distance / search.unit;
            set.insert(&one.member, if search.store_distance { by_distance } else { one.score });
        }
        let mut write = db.write(to);
        if !found.is_empty() {
            settle(&mut write, Draft::settled(set, limits).done(), Expiry::Never);
            drop(write);
            voice.event(db, Class::ZSET, word, to.bytes);
        } else if write.remove() {
            drop(write);
            voice.event(db, Class::GENERIC, "del", to.bytes);
        }
        Ok(found.len())
    })?;
    cx.reply.count(count);
    Ok(())
}

fn georadius(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    search(cx, args, Form { from: Origin::Place, stores: true })
}

fn georadius_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    search(cx, args, Form { from: Origin::Place, stores: false })
}

fn georadiusbymember(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    search(cx, args, Form { from: Origin::Member, stores: true })
}

fn georadiusbymember_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    search(cx, args, Form { from: Origin::Member, stores: false })
}

fn geosearch(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    search(cx, args, Form { from: Origin::Options, stores: false })
}

fn geosearchstore(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    search(cx, args, Form { from: Origin::Stored, stores: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
    }
}

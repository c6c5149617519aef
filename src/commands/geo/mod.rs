//! Geo: GEOADD, GEOSEARCH and the rest. Places are sorted sets whose scores `types::geo` explains.
//!
//! `options` reads what a search is asked for, `search` does it.

mod options;
mod search;

use super::notes::{Arg, Notes, at};
use super::table::{Begin, Find, Handler};
use super::zset::access::read;
use super::zset::add::{self, How};
use super::{Args, Command, Cx, Error, Flags, Group, KeySpec};
use crate::resp::Reply;
use crate::types::geo::Point;
use crate::types::number;
use options::{Form, Origin};
use search::search;

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
        .notes(&GEODIST)
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
        .notes(&SEARCHES)
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
        .notes(&SEARCHES)
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
    args: &[at("nx_xx").name("condition").since("6.2.0"), at("CH").name("change").since("6.2.0")],
    ..Notes::NONE
};
const UNIT: Arg = at("m_km_ft_mi").name("unit");
const ORDER: Arg = at("asc_desc").name("order");
const COUNT: Arg = at("count_any").name("count");
const GEODIST: Notes = Notes::args(&[UNIT]);
const ANY: (&str, &str) = ("6.2.0", "`ANY`.");
const UNITS: (&str, &str) = ("7.0.0", "Units in upper case, too.");
const RADIUS_ARGS: &[Arg] = &[UNIT, ORDER, COUNT, at("ANY").since("6.2.0")];
const SEARCHES: Notes = Notes {
    history: &[UNITS],
    args: &[
        at("member_longitude_latitude").name("from"),
        at("radius_m_km_ft_mi_width_height_m_km_ft_mi").name("by"),
        at("BYRADIUS").name("circle"),
        at("BYBOX").name("box"),
        UNIT,
        ORDER,
        COUNT,
    ],
    ..Notes::NONE
};
const RADIUS: Notes = Notes {
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`")),
    history: &[ANY, UNITS],
    args: RADIUS_ARGS,
    ..Notes::NONE
};
const RADIUS_RO: Notes = Notes {
    deprecated: Some(("6.2.0", "`GEOSEARCH` with `BYRADIUS`")),
    history: &[ANY],
    args: RADIUS_ARGS,
    ..Notes::NONE
};
const BY_MEMBER: Notes = Notes {
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`",
    )),
    history: &[UNITS],
    args: &[UNIT, ORDER, COUNT],
    ..Notes::NONE
};
const BY_MEMBER_RO: Notes = Notes {
    deprecated: Some(("6.2.0", "`GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`")),
    args: &[UNIT, ORDER, COUNT],
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
    let done = add::add(cx, key, *first, rest, how);
    if cx.db.logs() && done.is_ok() {
        let scores: Vec<String> = places.iter().map(|(score, _)| score.to_string()).collect();
        let mut words: Vec<&[u8]> = vec![b"ZADD"];
        words.extend(args.first(at).iter().skip(1));
        for ((_, member), score) in places.iter().zip(&scores) {
            words.extend([score.as_bytes(), member]);
        }
        cx.db.effect_of_change(&words);
    }
    done
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

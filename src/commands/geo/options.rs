//! What a search is asked for: centre, shape, order and what becomes of the places found.

use super::super::args::integer;
use super::{point, unit};
use crate::commands::{Args, Error};
use crate::db::Key;
use crate::types::geo::{Point, Shape};
use crate::types::number;

/// What a command says by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub from: Origin,
    /// Takes STORE and STOREDIST.
    pub stores: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
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
pub enum Centre<'a> {
    Point(Point),
    Member(&'a [u8]),
}

/// What is asked for.
#[derive(Debug, Default)]
pub struct Search<'a> {
    pub centre: Option<Centre<'a>>,
    pub shape: Option<Shape>,
    /// Metres of the unit that distances are shown in.
    pub unit: f64,
    pub distance: bool,
    pub hash: bool,
    pub place: bool,
    pub any: bool,
    pub count: usize,
    /// The nearest first, or the farthest.
    pub descending: Option<bool>,
    pub store: Option<Key<'a>>,
    pub store_distance: bool,
}

/// The member that a search is to begin from is not there.
pub const UNDECODABLE: Error = Error::new("ERR could not decode requested zset member");

fn length(arg: &[u8], what: &'static str) -> Result<f64, Error> {
    number::parse_f64(arg).ok_or(Error::new(what))
}

impl<'a> Search<'a> {
    /// Reads the arguments. `lacks` says whether the key exists and lacks a member, which is told
    /// where the member is named.
    pub fn parse(
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
}

//! Places on earth as scores of sorted sets.
//!
//! Longitude and latitude are cut into 2^26 steps each, whose bits alternate: 52 bits, which a double
//! holds exactly, so near places have near scores. Latitude takes the even bits, from the equator to
//! 85.05112878 degrees, where the map of the web ends. A search looks at the cell around its
//! centre and at the eight around that, of a size that covers the shape, each a range of scores.
//!
//! Scores, replies and the order of unsorted results are those of Redis, so the arithmetic below is
//! done in its order: doubles would differ in their last digits.

use std::f64::consts::PI;

/// How far places may be from the meridian of Greenwich.
pub const LONGITUDE_MAX: f64 = 180.0;
/// And from the equator.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half the circumference on the map.
const MERCATOR_MAX: f64 = 20_037_726.37;
const STEPS_MAX: u32 = 26;

/// A place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Degrees to the east.
    pub longitude: f64,
    /// Degrees to the north.
    pub latitude: f64,
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

/// The bits that a score stands for. No place has a score below 0 or beyond 2^52, but a sorted set may;
/// Redis leaves what to make of it to the processor, and these are the bits on x86-64.
fn bits(score: f64) -> u64 {
    const TOP: f64 = 9_223_372_036_854_775_808.0;
    let whole = |score| if (-TOP..TOP).contains(&score) { score as i64 } else { i64::MIN };
    if score < TOP { whole(score) as u64 } else { whole(score - TOP) as u64 ^ 1 << 63 }
}

impl Point {
    /// A place, if there is a score for it.
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let within = |value: f64, max: f64| (-max..=max).contains(&value);
        (within(longitude, LONGITUDE_MAX) && within(latitude, LATITUDE_MAX))
            .then_some(Self { longitude, latitude })
    }

    /// The score that stands for it.
    pub fn score(self) -> f64 {
        Cell::around(self, STEPS_MAX, LATITUDE_MAX).bits() as f64
    }

    /// The middle of the cell that a score stands for.
    pub fn of_score(score: f64) -> Self {
        let cell = Cell::of_bits(bits(score), STEPS_MAX);
        let (south, north) = cell.latitudes();
        let (west, east) = cell.longitudes();
        Self {
            longitude: f64::midpoint(west, east).clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: f64::midpoint(south, north).clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// The distance to another place in metres, on a sphere.
    pub fn distance(self, to: Self) -> f64 {
        let v = ((radians(to.longitude) - radians(self.longitude)) / 2.0).sin();
        if v == 0.0 {
            return self.distance_north(to);
        }
        let (own, other) = (radians(self.latitude), radians(to.latitude));
        let u = ((other - own) / 2.0).sin();
        let a = u * u + own.cos() * other.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    fn distance_north(self, to: Self) -> f64 {
        EARTH_RADIUS * (radians(to.latitude) - radians(self.latitude)).abs()
    }

    /// The eleven letters of the geohash that other systems know, the last of which says nothing.
    pub fn geohash(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = Cell::around(self, STEPS_MAX, 90.0).bits();
        let mut text = [LETTERS[0]; 11];
        for (i, letter) in text[..10].iter_mut().enumerate() {
            *letter = LETTERS[(bits >> (52 - 5 * (i + 1)) & 31) as usize];
        }
        text
    }
}

/// A cell of a grid of `2^steps` by `2^steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    x: u32,
    y: u32,
    steps: u32,
}

impl Cell {
    fn around(point: Point, steps: u32, latitude_max: f64) -> Self {
        let cells = (1u64 << steps) as f64;
        let place = |value: f64, max: f64| ((value + max) / (max + max) * cells) as u32;
        let (x, y) = (place(point.longitude, LONGITUDE_MAX), place(point.latitude, latitude_max));
        Self { x, y, steps }
    }

    fn of_bits(bits: u64, steps: u32) -> Self {
        Self { x: gather(bits >> 1), y: gather(bits), steps }
    }

    /// Bits of `y` and `x` in turn, the lowest being that of `y`.
    fn bits(self) -> u64 {
        spread(self.y) | spread(self.x) << 1
    }

    fn latitudes(self) -> (f64, f64) {
        self.edges(self.y, LATITUDE_MAX)
    }

    fn longitudes(self) -> (f64, f64) {
        self.edges(self.x, LONGITUDE_MAX)
    }

    fn edges(self, at: u32, max: f64) -> (f64, f64) {
        let cells = (1u64 << self.steps) as f64;
        let edge = |at: u64| -max + at as f64 / cells * (max + max);
        (edge(u64::from(at)), edge(u64::from(at) + 1))
    }

    /// The cell so many to the east and to the north; the map has no edges.
    fn beside(self, east: i32, north: i32) -> Self {
        let mask = ((1u64 << self.steps) - 1) as u32;
        let (x, y) = (self.x.wrapping_add_signed(east), self.y.wrapping_add_signed(north));
        Self { x: x & mask, y: y & mask, ..self }
    }

    /// The scores in it: from the first to before the second.
    fn scores(self) -> (f64, f64) {
        let shift = 52 - 2 * self.steps;
        ((self.bits() << shift) as f64, ((self.bits() + 1) << shift) as f64)
    }
}

/// Puts a zero between every two bits.
const fn spread(bits: u32) -> u64 {
    let mut bits = bits as u64;
    bits = (bits | bits << 16) & 0x0000_FFFF_0000_FFFF;
    bits = (bits | bits << 8) & 0x00FF_00FF_00FF_00FF;
    bits = (bits | bits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// Takes every second bit, from the lowest on.
const fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    bits = (bits | bits >> 4) & 0x00FF_00FF_00FF_00FF;
    bits = (bits | bits >> 8) & 0x0000_FFFF_0000_FFFF;
    (bits | bits >> 16) as u32
}

/// What is searched, in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// All places up to this distance.
    Circle(f64),
    /// A box of this width and height.
    Box(f64, f64),
}

impl Shape {
    /// The distance of a place from the centre, if it lies within.
    pub fn distance(self, centre: Point, point: Point) -> Option<f64> {
        match self {
            Self::Circle(radius) => Some(centre.distance(point)).filter(|own| *own <= radius),
            Self::Box(width, height) => {
                if point.distance_north(centre) > height / 2.0 {
                    return None;
                }
                let beside = Point { latitude: point.latitude, ..centre };
                if point.distance(beside) > width / 2.0 {
                    return None;
                }
                Some(centre.distance(point))
            }
        }
    }

    /// Ranges of scores, each up to before its end, that hold all places within, in the order in
    /// which they are searched.
    pub fn ranges(self, centre: Point) -> Vec<(f64, f64)> {
        let bounds = Bounds::of(self, centre);
        let radius = match self {
            Self::Circle(radius) => radius,
            Self::Box(width, height) => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        let mut steps = steps_for(radius, centre.latitude);
        let mut cell = Cell::around(centre, steps, LATITUDE_MAX);
        if steps > 1 && !bounds.are_within(cell) {
            steps -= 1;
            cell = Cell::around(centre, steps, LATITUDE_MAX);
        }
        let ((south, north), (west, east)) = (cell.latitudes(), cell.longitudes());
        let useful = |x: i32, y: i32| {
            steps < 2
                || !(y < 0 && south < bounds.south
                    || y > 0 && north > bounds.north
                    || x < 0 && west < bounds.west
                    || x > 0 && east > bounds.east)
        };
        const AROUND: [(i32, i32); 9] =
            [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let mut cells: Vec<Cell> = Vec::with_capacity(9);
        for (x, y) in AROUND.into_iter().filter(|(x, y)| useful(*x, *y)) {
            // On a coarse grid neighbours are the same, and each is to be searched once.
            let next = cell.beside(x, y);
            if !cells.contains(&next) {
                cells.push(next);
            }
        }
        cells.into_iter().map(Cell::scores).collect()
    }
}

/// What a shape lies within, in degrees.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Bounds {
    fn of(shape: Shape, centre: Point) -> Self {
        let (width, height) = match shape {
            Shape::Circle(radius) => (radius, radius),
            Shape::Box(width, height) => (width / 2.0, height / 2.0),
        };
        let Point { longitude, latitude } = centre;
        let up = degrees(height / EARTH_RADIUS);
        // The box is widest in degrees on the side that is farther from the equator.
        let far = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = degrees(width / EARTH_RADIUS / radians(far).cos());
        Self {
            west: longitude - aside,
            east: longitude + aside,
            south: latitude - up,
            north: latitude + up,
        }
    }

    /// Whether a cell and those around it hold all of it.
    fn are_within(self, cell: Cell) -> bool {
        let north = cell.beside(0, 1).latitudes().1;
        let south = cell.beside(0, -1).latitudes().0;
        let east = cell.beside(1, 0).longitudes().1;
        let west = cell.beside(-1, 0).longitudes().0;
        !(north < self.north || south > self.south || east < self.east || west > self.west)
    }
}

/// How fine a grid can be so that a cell and its neighbours hold a circle; cells narrow to the poles.
fn steps_for(mut radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS_MAX;
    }
    let mut steps: i32 = 1;
    while radius < MERCATOR_MAX {
        radius *= 2.0;
        steps += 1;
    }
    steps -= 2;
    if latitude.abs() > 66.0 {
        steps -= 1;
        if latitude.abs() > 80.0 {
            steps -= 1;
        }
    }
    steps.clamp(1, STEPS_MAX as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point() -> impl Strategy<Value = Point> {
        (-180.0..=180.0f64, -LATITUDE_MAX..=LATITUDE_MAX)
            .prop_map(|(longitude, latitude)| Point { longitude, latitude })
    }

    proptest! {
        #[test]
        fn a_score_stands_for_a_place_nearby(point in point()) {
            let back = Point::of_score(point.score());
            prop_assert!(point.distance(back) < 1.0, "{point:?} {back:?}");
            prop_assert!(point.score() <= (1u64 << 52) as f64 * 3.0);
        }

        /// Away from the date line and the poles nothing that lies within is missed.
        #[test]
        fn searches_miss_nothing(
            centre in (-90.0..90.0f64, -60.0..60.0f64),
            place in (-1.0..1.0f64, -1.0..1.0f64),
            size in 1.0..2e6f64,
            aside in 0.1..3.0f64,
        ) {
            let centre = Point { longitude: centre.0, latitude: centre.1 };
            let span = degrees(size / EARTH_RADIUS) * 1.5;
            let point = Point {
                longitude: (centre.longitude + place.0 * span).clamp(-180.0, 180.0),
                latitude: (centre.latitude + place.1 * span).clamp(-85.0, 85.0),
            };
            let score = point.score();
            for shape in [Shape::Circle(size), Shape::Box(size * aside, size)] {
                let within = shape.distance(centre, Point::of_score(score)).is_some();
                let seen = shape.ranges(centre).iter().any(|(from, to)| (*from..*to).contains(&score));
                prop_assert!(!within || seen, "{shape:?} {centre:?} {point:?}");
            }
        }

        #[test]
        fn any_shape_is_searched_somewhere(centre in point(), size in prop::num::f64::ANY) {
            for shape in [Shape::Circle(size.abs()), Shape::Box(size.abs(), 1.0)] {
                let ranges = shape.ranges(centre);
                prop_assert!((1..=9).contains(&ranges.len()));
            }
        }
    }

    /// Texts of Redis.
    #[test]
    fn scores_and_geohashes_are_those_of_redis() {
        let palermo = Point::new(13.361389, 38.115556).unwrap();
        let catania = Point::new(15.087269, 37.502669).unwrap();
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(catania.score(), 3_479_447_370_796_909.0);
        let (a, b) = (Point::of_score(palermo.score()), Point::of_score(catania.score()));
        assert_eq!(format!("{:.4}", a.distance(b)), "166274.1516");
        assert_eq!((&a.geohash(), &b.geohash()), (b"sqc8b49rny0", b"sqdtr74hyu0"));
        assert_eq!(Point::new(180.1, 0.0), None);
        assert_eq!(Point::new(0.0, f64::NAN), None);
    }
}

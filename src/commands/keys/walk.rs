//! Walking over all keys: KEYS, SCAN, RANDOMKEY.

use super::super::args::integer;
use super::super::slice::{self, Slice};
use super::super::{Cx, Error};
use crate::db::Entry;
use crate::resp::Args;
use crate::sync::stripe::Stripes;
use crate::types::glob::Pattern;

/// Keys that a walk visits between two looks at the time.
const LOOK_AFTER: usize = 200;
/// Buckets with entries opened per SCAN at most, whatever COUNT says: about a millisecond.
const SCAN_BUCKETS: usize = 4_000;
/// Buckets walked per SCAN at most. As many as the smallest table has, nearly all of them empty for
/// a small database, so that its client gets all keys in one reply and not few in each of hundreds.
const SCAN_WALK: usize = Stripes::DEFAULT;

/// A walk of KEYS that goes on in slices.
#[derive(Debug)]
struct Walk {
    cursor: u64,
    buckets: u64,
    shrank: bool,
    found: Vec<Vec<u8>>,
}

pub fn keys(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let pattern = Pattern::new(args.get(1));
    let mut walk = slice::resume(cx).unwrap_or_else(|| {
        let buckets = cx.db.buckets();
        Box::new(Walk { cursor: 0, buckets, shrank: false, found: Vec::new() })
    });
    let slice = Slice::begin();
    let mut seen = 0;
    loop {
        let buckets = cx.db.buckets();
        walk.shrank |= buckets < walk.buckets;
        walk.buckets = buckets;
        let found = &mut walk.found;
        walk.cursor = cx.db.scan(walk.cursor, |entry| {
            seen += 1;
            if pattern.matches(entry.key()) {
                found.push(entry.key().to_vec());
            }
        });
        if walk.cursor == 0 {
            break;
        }
        seen += 1; // an empty bucket is work too
        if seen >= LOOK_AFTER {
            if slice.is_over() {
                return Slice::pause(cx, walk);
            }
            seen = 0;
        }
    }
    if walk.shrank {
        walk.found.sort_unstable(); // merged buckets may have been walked twice
        walk.found.dedup();
    }
    cx.reply.array(walk.found.len());
    for key in &walk.found {
        cx.reply.bulk(key);
    }
    Ok(())
}

struct ScanOptions<'v> {
    pattern: Option<Pattern>,
    count: i64,
    type_name: Option<&'v [u8]>,
}

impl<'v> ScanOptions<'v> {
    fn parse(args: Args<'v>) -> Result<Self, Error> {
        let mut options = Self { pattern: None, count: 10, type_name: None };
        for i in (0..args.len()).step_by(2) {
            match args.opt(i + 1) {
                Some(value) if args.is(i, "COUNT") => {
                    options.count = integer(value)?;
                    if options.count < 1 {
                        return Err(Error::Syntax);
                    }
                }
                Some(value) if args.is(i, "MATCH") => options.pattern = Some(Pattern::new(value)),
                Some(value) if args.is(i, "TYPE") => options.type_name = Some(value),
                _ => return Err(Error::Syntax),
            }
        }
        Ok(options)
    }

    fn wants(&self, entry: &Entry) -> bool {
        let name = entry.type_of().name().as_bytes();
        self.type_name.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(entry.key()))
    }
}

pub fn scan(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let cursor = std::str::from_utf8(args.get(1)).ok().and_then(|text| text.parse::<u64>().ok());
    let mut cursor = cursor.ok_or(Error::new("ERR invalid cursor"))?;
    let options = ScanOptions::parse(args.from(2))?;
    let count = options.count;
    let budget = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(10).min(SCAN_BUCKETS);
    let mut found: Vec<&[u8]> = Vec::new();
    let (mut seen, mut opened) = (0, 0);
    for _ in 0..SCAN_WALK {
        let before = seen;
        cursor = cx.db.scan(cursor, |entry| {
            seen += 1;
            if options.wants(entry) {
                found.push(entry.key());
            }
        });
        opened += usize::from(seen != before);
        if cursor == 0 || seen >= count || opened >= budget {
            break;
        }
    }
    cx.reply.array(2);
    cx.reply.bulk(cursor.to_string().as_bytes());
    cx.reply.array(found.len());
    for key in found {
        cx.reply.bulk(key);
    }
    Ok(())
}

pub fn randomkey(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    match cx.db.random_key() {
        Some(entry) => cx.reply.bulk(entry.key()),
        None => cx.reply.null(),
    }
    Ok(())
}

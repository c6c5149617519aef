//! ZRANDMEMBER and ZSCAN.

use super::access::{read, text};
use super::sources::Source;
use super::stretch::{self, Span};
use super::{Args, Cx, Error};
use crate::commands::args::integer;
use crate::commands::elements::{Walk, cursor};
use crate::commands::{elements, long};
use crate::resp::Reply;
use crate::types::packed::Element;
use crate::types::sample::{Dice, Pick};
use crate::types::zset::View;
use std::collections::HashSet;
use std::sync::Arc;

pub fn zrandmember(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if let Some(done) = long::resume::<Picks>(cx).or_else(|| stretch::resume(cx)) {
        return done;
    }
    if args.len() == 2 {
        return one(cx, args);
    }
    let with_scores = match args.len() {
        3 => false,
        4 if args.is(3, "WITHSCORES") => true,
        _ => return Err(Error::Syntax),
    };
    let most = if with_scores { i64::MAX / 2 } else { i64::MAX };
    let count = integer(args.get(2))?;
    if !(-most..=most).contains(&count) {
        return Err(Error::new("ERR value is out of range"));
    }
    let mut dice = Dice::new(cx.db.local.random());
    let (key, wanted) = (cx.key(args, 1), usize::try_from(count.unsigned_abs()).unwrap_or(0));
    let mut stretched = None;
    let config = Arc::clone(&cx.local.config);
    let found = read(cx, key, |view, reply| -> Result<bool, Error> {
        let len = view.len();
        if count < 0 {
            long::refuse_beyond(&config, wanted, view.weight(), len)?;
        }
        if count >= 0 && wanted >= len {
            stretched = stretch::show(view, Span::all(len), with_scores, reply);
        } else if wanted > SHORT {
            return Ok(false);
        } else {
            let ranks = if count < 0 {
                (0..wanted).map(|_| dice.below(len)).collect()
            } else {
                distinct(wanted, len, &mut dice)
            };
            show(&view, &ranks, with_scores, reply);
        }
        Ok(true)
    })?;
    match (found.transpose()?, stretched) {
        (None, _) => cx.reply.array(0),
        (_, Some(long)) => return stretch::begin(cx, long),
        (Some(true), None) => {}
        (Some(false), None) => {
            let source = Source::of_zset(&mut cx.db, key, false)?;
            let len = source.len(); // the key may have changed meanwhile
            let wanted = if len == 0 { 0 } else { wanted };
            let once = (count >= 0).then(|| (0, Pick::new(wanted, len)));
            let wanted = once.as_ref().map_or(wanted, |(_, pick)| pick.wanted());
            let picks = Picks { source, dice, wanted, shown: 0, once, begun: false, with_scores };
            return long::begin(cx, picks);
        }
    }
    Ok(())
}

/// Members that are picked under the stripe.
const SHORT: usize = 512;
/// Ranks looked at between two looks at the time.
const STEP: usize = 128;

/// Many members at random, from the set as it was.
#[derive(Debug)]
struct Picks {
    source: Source,
    dice: Dice,
    wanted: usize,
    shown: usize,
    /// The rank that comes next, and what chooses, if each member is passed by once.
    once: Option<(usize, Pick)>,
    begun: bool,
    with_scores: bool,
}

impl long::Source for Picks {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        let Self { source, dice, wanted, shown, once, begun, with_scores } = self;
        if !std::mem::replace(begun, true) {
            stretch::head(*wanted, *with_scores, reply);
        }
        let (view, len) = (source.view(), source.len());
        match once {
            None => {
                let count = STEP.min(*wanted - *shown);
                let ranks: Vec<usize> = (0..count).map(|_| dice.below(len)).collect();
                entries(&view, &ranks, *with_scores, reply);
                *shown += count;
            }
            Some((at, pick)) => {
                for (member, own) in view.range(*at, STEP) {
                    if pick.takes(dice) {
                        stretch::entry(&member, own, *with_scores, reply);
                        *shown += 1;
                    }
                    *at += 1;
                }
            }
        }
        *shown < *wanted
    }
}

fn one(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, roll) = (cx.key(args, 1), cx.db.local.random());
    let found = read(cx, key, |view, reply| {
        if let Some((member, _)) = view.range(roll as usize % view.len().max(1), 1).next() {
            elements::bulk(reply, &member);
        }
    })?;
    if found.is_none() {
        cx.reply.null();
    }
    Ok(())
}

/// `count` different numbers below `len`, which is greater, each choice as likely as any other.
fn distinct(count: usize, len: usize, dice: &mut Dice) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(count);
    let pick = |newest: usize| {
        // A number that is taken stands for the newest, which cannot be.
        let rank = dice.below(newest + 1);
        let rank = if seen.insert(rank) { rank } else { newest };
        seen.insert(rank);
        rank
    };
    (len - count..len).map(pick).collect()
}

/// Encodes the entries of some ranks, as a whole reply.
fn show(view: &View<'_>, ranks: &[usize], with_scores: bool, reply: &mut Reply) {
    stretch::head(ranks.len(), with_scores, reply);
    entries(view, ranks, with_scores, reply);
}

fn entries(view: &View<'_>, ranks: &[usize], with_scores: bool, reply: &mut Reply) {
    let all: Vec<_> = match view {
        View::Small(_) => view.iter().collect(), // a rank is a walk from the start there
        View::Large(_) | View::Frozen(_) => Vec::new(),
    };
    for rank in ranks {
        let entry = all.get(*rank).copied().or_else(|| view.range(*rank, 1).next());
        let (member, own) = entry.unwrap_or((Element::Str(b""), 0.0)); // ranks are below the length
        stretch::entry(&member, own, with_scores, reply);
    }
}

/// Members of a large set shown per call at most, whatever COUNT says: its stripe is held meanwhile.
const SCANNED: usize = 4_000;

pub fn zscan(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut at, key) = (cursor(args.get(2))?, cx.key(args, 1));
    let shown = read(cx, key, |view, _| {
        let walk = Walk::parse(args.from(3))?;
        let (mut found, mut count) = (Reply::default(), 0);
        let mut show = |member: &[u8], own: f64| {
            if walk.wants(member) {
                count += 1;
                found.bulk(member);
                found.bulk(text(own).as_bytes());
            }
        };
        if let View::Large(set) = view {
            let (mut seen, most) = (0, walk.count.min(SCANNED));
            loop {
                at = set.scan(at, |member, own| {
                    seen += 1;
                    show(member, own);
                });
                if at == 0 || seen >= most {
                    break;
                }
            }
        } else {
            at = 0;
            let mut text = Vec::new();
            view.iter().for_each(|(member, own)| show(member.text(&mut text), own));
        }
        Ok::<_, Error>((count, found))
    })?;
    let (count, found) = match shown {
        Some(shown) => shown?,
        None => {
            at = 0;
            Default::default()
        }
    };
    cx.reply.array(2);
    cx.reply.bulk(at.to_string().as_bytes());
    cx.reply.array(2 * count);
    cx.reply.raw(&found.bytes);
    Ok(())
}

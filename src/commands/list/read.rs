//! Commands that only read a list.

use super::super::args::{integer, integer_in};
use super::super::elements::bulk;
use super::super::long::{self, Source};
use super::{Args, Cx, Error, View, index, range};
use crate::resp::Reply;
use crate::types::list::{List, Query};
use crate::types::object::Type;
use crate::types::packed::Element;

/// Bytes that a reply grows under the stripe; what is beyond is taken by reference.
const UNDER_STRIPE: usize = 16 * 1024;
/// Bytes that a long reply grows between two looks at the time, and elements.
const BETWEEN_LOOKS: (usize, usize) = (32 * 1024, 512);

pub fn llen(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = cx.key(args, 1);
    let len =
        cx.db.collection(key, Type::List, |seen| View::of(seen).map_or(0, |list| list.len()))?;
    cx.reply.count(len.unwrap_or(0));
    Ok(())
}

pub fn lindex(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (key, reply) = (cx.key(args, 1), &mut *cx.reply);
    let at = integer(args.get(2));
    let found = cx.db.collection(key, Type::List, |seen| {
        let (at, list) = (at.clone()?, View::of(seen));
        let element = list.and_then(|list| list.get(index(at, list.len())?));
        Ok::<_, Error>(element.map(|element| bulk(reply, &element)))
    })?;
    match found.transpose()?.flatten() {
        Some(()) => {}
        None => cx.reply.null(),
    }
    Ok(())
}

/// What is left of a reply when its list's stripe has been given back.
#[derive(Debug)]
pub struct Rest {
    pub list: List,
    /// The next one to encode.
    pub at: usize,
    /// From here on; the head is encoded by then, unless it is to be.
    pub head: bool,
    /// The last one first.
    pub backwards: bool,
}

impl Source for Rest {
    fn encode(&mut self, reply: &mut Reply) -> bool {
        if std::mem::take(&mut self.head) {
            reply.array(self.list.len() - self.at);
        }
        let (most, from) = (reply.len() + BETWEEN_LOOKS.0, self.at);
        let mut encode = |element: Element<'_>| {
            bulk(reply, &element);
            self.at += 1;
            reply.len() < most
        };
        if self.backwards {
            self.list.range_back(from, BETWEEN_LOOKS.1).all(&mut encode);
        } else {
            self.list.range(from, BETWEEN_LOOKS.1).all(&mut encode);
        }
        self.at < self.list.len()
    }
}

pub fn lrange(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    if cx.session.resume.is_some()
        && let Some(result) = long::resume::<Rest>(cx)
    {
        return result;
    }
    let (start, stop) = (integer(args.get(2))?, integer(args.get(3))?);
    let (key, reply) = (cx.key(args, 1), &mut *cx.reply);
    let mark = reply.mark();
    let most = reply.len() + UNDER_STRIPE;
    let rest = cx.db.collection(key, Type::List, |seen| {
        let list = View::of(seen)?;
        let (from, count) = range(start, stop, list.len());
        reply.array(count);
        match list {
            View::Short(list) => {
                list.range(from, count).for_each(|element| bulk(reply, &element));
                None
            }
            View::Long(list) => {
                let fits = list.range(from, count).all(|element| {
                    bulk(reply, &element);
                    reply.len() < most
                });
                (!fits).then(|| list.share(from, count))
            }
        }
    })?;
    match rest {
        None => cx.reply.array(0),
        Some(None) => {}
        Some(Some(list)) => {
            cx.reply.cut(mark); // what was encoded so far is little, and may stand in no slice
            return long::begin(cx, Rest { list, at: 0, head: true, backwards: false });
        }
    }
    Ok(())
}

pub fn lpos(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut rank, mut count, mut maxlen) = (1, None, 0);
    for i in (3..args.len()).step_by(2) {
        let value = args.opt(i + 1).ok_or(Error::Syntax)?;
        if args.is(i, "RANK") {
            rank = integer(value)?;
            if rank == i64::MIN {
                // It has no opposite: Redis 7.0 finds anything then, later versions say this.
                return Err(Error::new(
                    "ERR value is out of range, value must between -9223372036854775807 and \
                     9223372036854775807",
                ));
            }
            if rank == 0 {
                return Err(Error::new(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the \
                     second ... or use negative to start from the end of the list",
                ));
            }
        } else if args.is(i, "COUNT") {
            count = Some(integer_in(value, 0.., "ERR COUNT can't be negative")?);
        } else if args.is(i, "MAXLEN") {
            maxlen = integer_in(value, 0.., "ERR MAXLEN can't be negative")?;
        } else {
            return Err(Error::Syntax);
        }
    }
    let query = Query {
        needle: Element::of(args.get(2)),
        rank,
        count: count.unwrap_or(1) as usize,
        maxlen: maxlen as usize,
    };
    let key = cx.key(args, 1);
    let found = cx.db.collection(key, Type::List, |seen| {
        View::of(seen).map_or_else(Vec::new, |list| list.positions(&query))
    })?;
    let found = found.unwrap_or_default();
    match count {
        Some(_) => {
            cx.reply.array(found.len());
            found.iter().for_each(|&at| cx.reply.count(at));
        }
        None => match found.first() {
            Some(&at) => cx.reply.count(at),
            None => cx.reply.null(),
        },
    }
    Ok(())
}

//! Commands that concern several lists at once.

use super::super::args::integer_in;
use super::super::elements::bulk;
use super::super::event::Class;
use super::write::popped;
use super::{Args, Cx, Error, Tools, View, end, words};
use crate::db::{Access, Key, WrongType};
use crate::types::list::End;

pub fn rpoplpush(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    move_between(cx, args, (End::Back, End::Front))
}

pub fn lmove(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let ends = (end(args.get(3))?, end(args.get(4))?);
    move_between(cx, args, ends)
}

fn move_between(cx: &mut Cx<'_>, args: Args<'_>, ends: (End, End)) -> Result<(), Error> {
    let (from, to) = (cx.key(args, 1), Key::new(args.get(2)));
    let mut tools = Tools::new(cx.shared, cx.local);
    let moved = cx.db.hold(&[from, to], |db| move_one(db, &mut tools, (from, to), ends))?;
    let Some(moved) = moved else {
        cx.reply.null();
        return Ok(());
    };
    cx.reply.bulk(&moved.text);
    told(cx, (from, to), ends, moved.left);
    Ok(())
}

/// An element that went from one list to another.
pub struct Moved {
    pub text: Vec<u8>,
    /// What is left where it came from.
    pub left: usize,
}

/// Moves an element, under the stripes of both keys. None if there is none.
pub fn move_one(
    db: &mut Access<'_>,
    tools: &mut Tools<'_>,
    (from, to): (Key<'_>, Key<'_>),
    (off, onto): (End, End),
) -> Result<Option<Moved>, WrongType> {
    let mut text = Vec::new();
    let mut source = db.write(from);
    if View::held(&source)?.is_none() {
        return Ok(None);
    }
    if from != to {
        drop(source);
        View::held(&db.write(to))?; // nothing is taken if it cannot be put down
        source = db.write(from);
    }
    // An only element that returns to its list leaves it as it is, and with its expiry.
    if from == to && View::held(&source)?.is_some_and(|list| list.len() == 1) {
        if let Some(element) = View::held(&source)?.and_then(|list| list.get(0)) {
            element.write_text(&mut text);
        }
        return Ok(Some(Moved { text, left: 1 }));
    }
    let left = tools.pop(&mut source, off, 1, |popped| {
        popped.each(|element| element.write_text(&mut text));
    })?;
    drop(source);
    let len = tools.push(&mut db.write(to), onto, std::iter::once(text.as_slice()))?;
    let left = if from == to { len } else { left.unwrap_or(0) };
    Ok(Some(Moved { text, left }))
}

/// Tells of a move.
pub fn told(cx: &mut Cx<'_>, (from, to): (Key<'_>, Key<'_>), (off, onto): (End, End), left: usize) {
    cx.event(Class::LIST, words(onto).0, to.bytes);
    popped(cx, off, from.bytes, left);
}

/// The command that pops.
pub const fn pop_word(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

pub const NUMKEYS: &str = "ERR numkeys should be greater than 0";

/// What LMPOP and BLMPOP say beside a timeout.
pub struct Mpop<'k> {
    pub keys: Vec<Key<'k>>,
    pub end: End,
    pub count: usize,
}

impl<'k> Mpop<'k> {
    /// Reads the arguments, the first of which is the number of keys.
    pub fn parse(args: Args<'k>) -> Result<Self, Error> {
        let number = integer_in(args.get(0), 1.., NUMKEYS)?;
        let at = usize::try_from(number).unwrap_or(usize::MAX).saturating_add(1);
        let end = end(args.opt(at).ok_or(Error::Syntax)?)?;
        let mut count = None;
        for i in (at + 1..args.len()).step_by(2) {
            let value = args.opt(i + 1).ok_or(Error::Syntax)?;
            if !args.is(i, "COUNT") || count.is_some() {
                return Err(Error::Syntax);
            }
            count = Some(integer_in(value, 1.., "ERR count should be greater than 0")?);
        }
        let keys = (1..at).map(|i| Key::new(args.get(i))).collect();
        Ok(Self { keys, end, count: count.unwrap_or(1) as usize })
    }
}

pub fn lmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let mpop = Mpop::parse(args.from(1))?;
    if !pop_any(cx, &mpop)? {
        cx.reply.null_array();
    }
    Ok(())
}

/// Pops from the first list that there is, and replies. False if there is none.
pub fn pop_any(cx: &mut Cx<'_>, mpop: &Mpop<'_>) -> Result<bool, Error> {
    let (mut tools, reply) = (Tools::new(cx.shared, cx.local), &mut *cx.reply);
    let found = cx.db.hold(&mpop.keys, |db| {
        for key in &mpop.keys {
            let mut write = db.write(*key);
            let left = tools.pop(&mut write, mpop.end, mpop.count, |popped| {
                reply.array(2);
                reply.bulk(key.bytes);
                reply.array(popped.count);
                popped.each(|element| bulk(reply, &element));
            })?;
            if let Some(left) = left {
                return Ok(Some((*key, left)));
            }
        }
        Ok::<_, WrongType>(None)
    })?;
    let Some((key, left)) = found else { return Ok(false) };
    let mut count = itoa::Buffer::new();
    cx.db.effect(&[pop_word(mpop.end), key.bytes, count.format(mpop.count).as_bytes()]);
    popped(cx, mpop.end, key.bytes, left);
    Ok(true)
}

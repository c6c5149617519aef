//! Commands that wait until a list has elements ([`super::super::blocking`]).

use super::super::args::integer_in;
use super::super::blocking::{self, Wait, until};
use super::super::elements::bulk;
use super::moves::{Mpop, move_one, pop_any, pop_word, told};
use super::write::popped;
use super::{Args, Cx, Error, Tools, end};
use crate::db::Key;
use crate::resp::Reply;
use crate::types::list::End;
use crate::types::object::Type;

pub fn blpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(cx, args, End::Front)
}

pub fn brpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    pop(cx, args, End::Back)
}

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Result<(), Error> {
    let last = args.len() - 1;
    let until = until(args.get(last), cx.db.now)?;
    let keys: Vec<Key<'_>> = (1..last).map(|i| Key::new(args.get(i))).collect();
    let serve = Box::new(move |cx: &mut Cx<'_>, key: Key<'_>| {
        let (mut tools, reply) = (Tools::new(cx.shared, cx.local), &mut *cx.reply);
        let left = tools.pop(&mut cx.db.write(key), end, 1, |popped| {
            reply.array(2);
            reply.bulk(key.bytes);
            popped.each(|element| bulk(reply, &element));
        })?;
        let Some(left) = left else { return Ok(false) };
        cx.db.effect(&[pop_word(end), key.bytes]);
        popped(cx, end, key.bytes, left);
        Ok(true)
    });
    let nothing = Reply::null_array;
    blocking::run(cx, Wait { keys: &keys, needs: &[], kind: Type::List, until, nothing, serve })
}

pub fn brpoplpush(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    move_between(cx, args, (End::Back, End::Front), true)
}

pub fn blmove(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let ends = (end(args.get(3))?, end(args.get(4))?);
    move_between(cx, args, ends, false)
}

/// `old`: by the command that knows only these ends.
fn move_between(cx: &mut Cx<'_>, args: Args<'_>, ends: (End, End), old: bool) -> Result<(), Error> {
    let until = until(args.get(args.len() - 1), cx.db.now)?;
    let (from, to) = (Key::new(args.get(1)), Key::new(args.get(2)));
    let name: Box<[u8]> = to.bytes.into();
    let serve = Box::new(move |cx: &mut Cx<'_>, from: Key<'_>| {
        let keys = (from, Key::new(&name));
        let mut tools = Tools::new(cx.shared, cx.local);
        let Some(moved) = move_one(&mut cx.db, &mut tools, keys, ends)? else { return Ok(false) };
        cx.reply.bulk(&moved.text);
        let (from, to) = (keys.0.bytes, keys.1.bytes);
        if old {
            cx.db.effect(&[b"RPOPLPUSH", from, to]);
        } else {
            cx.db.effect(&[b"LMOVE", from, to, side(ends.0), side(ends.1)]);
        }
        told(cx, keys, ends, moved.left);
        Ok(true)
    });
    // Who need not wait is told as by LMOVE, who has waited as by the others.
    let nothing = if cx.session.in_exec { Reply::null } else { Reply::null_array };
    let (keys, needs) = (&[from], &[to]);
    blocking::run(cx, Wait { keys, needs, kind: Type::List, until, nothing, serve })
}

const fn side(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LEFT",
        End::Back => b"RIGHT",
    }
}

pub fn blmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    integer_in(args.get(2), 1.., super::moves::NUMKEYS)?; // the first thing that is looked at
    let until = until(args.get(1), cx.db.now)?;
    let Mpop { keys, end, count } = Mpop::parse(args.from(2))?;
    let serve = Box::new(move |cx: &mut Cx<'_>, key: Key<'_>| {
        pop_any(cx, &Mpop { keys: vec![key], end, count })
    });
    let nothing = Reply::null_array;
    blocking::run(cx, Wait { keys: &keys, needs: &[], kind: Type::List, until, nothing, serve })
}

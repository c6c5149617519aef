//! One bit: SETBIT, GETBIT.

use super::super::event::Class;
use super::super::{Cx, Error};
use super::{BAD_BIT, offset};
use crate::resp::Args;
use crate::types::bitops;

pub fn setbit(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = offset(cx, args.get(2), None)?;
    let on = match args.get(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(BAD_BIT),
    };
    let key = cx.key(args, 1);
    let mut write = cx.db.write(key);
    let is_so = |bytes: &[u8]| {
        bitops::len_holding(offset) <= bytes.len() as u64 && bitops::get_bit(bytes, offset) == on
    };
    let mut changed = false;
    let was = match write.text()? {
        Some(text) if text.with(is_so) => on,
        // An edit in place needs the only reference to the text.
        text => {
            drop(text);
            changed = true;
            write.edit(|bytes| bitops::set_bit(bytes, offset, on))
        }
    };
    drop(write);
    if changed {
        cx.event(Class::STRING, "setbit", key.bytes);
    }
    cx.reply.int(i64::from(was));
    Ok(())
}

pub fn getbit(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let offset = offset(cx, args.get(2), None)?;
    let key = cx.key(args, 1);
    let text = cx.db.string(key)?;
    let on = text.is_some_and(|text| text.with(|bytes| bitops::get_bit(bytes, offset)));
    cx.reply.int(i64::from(on));
    Ok(())
}

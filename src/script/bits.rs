//! `bit`: operations on 32-bit words.

use super::errors::number_arg;
use mlua::{Lua, MultiValue, Table};

/// A number as a word: rounded, modulo 2^32.
fn word(number: f64) -> u32 {
    // Adding 1.5 * 2^52 leaves the integer in the low bits of the sum, for any that fits in 51 bits.
    (number + 6_755_399_441_055_744.0).to_bits() as u32
}

fn number(word: u32) -> f64 {
    f64::from(word as i32)
}

/// The table `bit`.
pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    let one = |name: &'static str, f: fn(u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            Ok(number(f(word(number_arg(lua, &args, 0, name)?))))
        })
    };
    bit.set("tobit", one("tobit", |word| word)?)?;
    bit.set("bnot", one("bnot", |word| !word)?)?;
    bit.set("bswap", one("bswap", u32::swap_bytes)?)?;
    let many = |name: &'static str, f: fn(u32, u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            let mut result = word(number_arg(lua, &args, 0, name)?);
            for at in 1..args.len() {
                result = f(result, word(number_arg(lua, &args, at, name)?));
            }
            Ok(number(result))
        })
    };
    bit.set("band", many("band", |a, b| a & b)?)?;
    bit.set("bor", many("bor", |a, b| a | b)?)?;
    bit.set("bxor", many("bxor", |a, b| a ^ b)?)?;
    let shift = |name: &'static str, f: fn(u32, u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            let (word_of, by) =
                (number_arg(lua, &args, 0, name)?, number_arg(lua, &args, 1, name)?);
            Ok(number(f(word(word_of), word(by) & 31)))
        })
    };
    bit.set("lshift", shift("lshift", |word, by| word << by)?)?;
    bit.set("rshift", shift("rshift", |word, by| word >> by)?)?;
    bit.set("arshift", shift("arshift", |word, by| (word as i32 >> by) as u32)?)?;
    bit.set("rol", shift("rol", u32::rotate_left)?)?;
    bit.set("ror", shift("ror", u32::rotate_right)?)?;
    let tohex = lua.create_function(|lua, args: MultiValue| {
        let value = word(number_arg(lua, &args, 0, "tohex")?);
        let digits =
            if args.len() > 1 { word(number_arg(lua, &args, 1, "tohex")?) as i32 } else { 8 };
        let count = digits.unsigned_abs().min(8) as usize;
        let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
        lua.create_string(&text[8 - count..])
    })?;
    bit.set("tohex", tohex)?;
    Ok(bit)
}

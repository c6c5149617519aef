//! Two small forms: sets of numbers, and the hashes of Redis 2.4.

use super::super::cursor::Fault;

const BAD_SET: Fault = Fault::Bad("Intset integrity check failed");
const BAD_MAP: Fault = Fault::Bad("Zipmap integrity check failed");

/// How many numbers there are, and the numbers: width u32, count u32, then all of them ascending.
pub fn intset(
    bytes: &[u8],
) -> Result<(usize, impl Iterator<Item = Result<i64, Fault>> + '_), Fault> {
    let (head, rest) = bytes.split_first_chunk::<8>().ok_or(BAD_SET)?;
    let word = |at: usize| {
        u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize
    };
    let (width, count) = (word(0), word(4));
    if !matches!(width, 2 | 4 | 8) || count.checked_mul(width) != Some(rest.len()) {
        return Err(BAD_SET);
    }
    let mut before = None;
    let numbers = rest.chunks_exact(width).map(move |raw| {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(raw);
        let unused = 64 - 8 * width as u32;
        let number = i64::from_le_bytes(wide) << unused >> unused;
        if before.is_some_and(|before| number <= before) {
            return Err(BAD_SET);
        }
        before = Some(number);
        Ok(number)
    });
    Ok((count, numbers))
}

/// Shows all fields: count u8, then length, name, length, unused u8, value, unused bytes ..., 0xff.
pub fn zipmap<'b>(
    bytes: &'b [u8],
    mut each: impl FnMut(&'b [u8], &'b [u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    const MANY: u8 = 254;
    let (&announced, mut rest) = bytes.split_first().ok_or(BAD_MAP)?;
    let mut count = 0;
    while rest != [0xff] {
        let name = piece(&mut rest, false).ok_or(BAD_MAP)?;
        let value = piece(&mut rest, true).ok_or(BAD_MAP)?;
        each(name, value)?;
        count += 1;
    }
    if announced < MANY && usize::from(announced) != count {
        return Err(BAD_MAP);
    }
    Ok(())
}

fn piece<'b>(rest: &mut &'b [u8], has_unused: bool) -> Option<&'b [u8]> {
    let (&first, mut bytes) = rest.split_first()?;
    let mut len = usize::from(first);
    match first {
        255 => return None,
        254 => {
            let (size, behind) = bytes.split_first_chunk()?;
            (len, bytes) = (u32::from_le_bytes(*size) as usize, behind);
        }
        _ => {}
    }
    let mut unused = 0;
    if has_unused {
        let (&count, behind) = bytes.split_first()?;
        (unused, bytes) = (usize::from(count), behind);
    }
    let (piece, behind) = bytes.split_at_checked(len)?;
    *rest = behind.get(unused..)?;
    Some(piece)
}

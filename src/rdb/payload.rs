//! A value by itself: what DUMP replies and RESTORE takes.
//!
//! ```text
//!   type, u8 | value | version, u16 | sum of all before, u64         both little endian
//! ```

use super::{Cursor, Decoder, Dialect, Fault, Read, code, sum};

/// What stands behind the value.
const TAIL: usize = 10;

/// Version and sum behind `out`, which begins with a type and holds a value.
pub fn seal(out: &mut Vec<u8>) {
    let timed = out.first() == Some(&code::HASH_TIMES);
    let version = if timed { code::VERSION_TIMES } else { code::VERSION };
    out.extend_from_slice(&version.to_le_bytes());
    let sum = sum::of(out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// What stands before version and sum, and the version; none if either is wrong. `summed`: whether
/// the sum is looked at.
pub fn open(payload: &[u8], summed: bool) -> Option<(&[u8], u16)> {
    let (body, tail) = payload.split_at_checked(payload.len().checked_sub(TAIL)?)?;
    let (version, sum) = tail.split_first_chunk::<2>()?;
    let version = u16::from_le_bytes(*version);
    let known = version <= code::NEWEST || version >= code::VALKEY;
    let right = !summed || sum == sum::of(&payload[..payload.len() - 8]).to_le_bytes();
    (known && right).then_some((body, version))
}

/// The value in what [`open`] gave.
pub fn value<'d>(
    decoder: &'d mut Decoder,
    (body, version): (&'d [u8], u16),
) -> Result<Read<'d>, Fault> {
    let mut cursor = Cursor::new(body);
    let kind = cursor.byte()?;
    // The whole of it must be the value: looked at before, as nothing may be stored of what is not.
    let mut end = cursor.clone();
    super::decode::skip((kind, Dialect::of(version)), &mut end)?;
    if end.left() > 0 {
        return Err(Fault::Bad("integrity check failed: something stands behind the value"));
    }
    decoder.value((kind, Dialect::of(version)), &mut cursor, None)
}

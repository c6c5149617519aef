//! What FUNCTION DUMP writes and FUNCTION RESTORE reads: libraries in the form of Redis' snapshots.
//!
//! ```text
//! (F5, length, text) for each library, version: u16, CRC64 of all before: u64, both little-endian
//! ```
//! Texts are written plain; those that Redis compressed (LZF) are read too.

/// Version of the format that is written, and the newest that is read.
const VERSION: u16 = 10;
const FUNCTION: u8 = 0xF5;
/// A form of functions that never left a release candidate.
const FUNCTION_OLD: u8 = 0xF6;
/// A library is no longer than this.
const LONGEST: usize = 512 << 20;

/// Why a dump cannot be restored; the text of the reply.
pub type Refused = &'static str;

const BAD: Refused = "failed loading functions";

/// The payload of `libraries`.
pub fn write<'a>(libraries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for text in libraries {
        out.push(FUNCTION);
        write_length(&mut out, text.len());
        out.extend_from_slice(text);
    }
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = crc64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The texts of the libraries in a payload.
pub fn read(payload: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
    let wrong = "DUMP payload version or checksum are wrong";
    let (body, tail) = payload.split_at_checked(payload.len().wrapping_sub(10)).ok_or(wrong)?;
    let version = u16::from_le_bytes([tail[0], tail[1]]);
    let (summed, sum) = payload.split_at(payload.len() - 8);
    if version > VERSION || sum != [0; 8] && sum != crc64(summed).to_le_bytes() {
        return Err(wrong);
    }
    let (mut reader, mut texts) = (Reader(body), Vec::new());
    while let Some((kind, rest)) = reader.0.split_first() {
        reader.0 = rest;
        match *kind {
            FUNCTION => texts.push(reader.string().ok_or(BAD)?),
            FUNCTION_OLD => return Err("Pre-GA function format not supported"),
            _ => return Err("given type is not a function"),
        }
    }
    Ok(texts)
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..64 => out.push(length as u8),
        64..16_384 => out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        _ => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// A length; or with true the number of a special encoding.
    fn length(&mut self) -> Option<(usize, bool)> {
        let first = self.byte()?;
        let low = usize::from(first & 0x3F);
        Some(match first >> 6 {
            0 => (low, false),
            1 => (low << 8 | usize::from(self.byte()?), false),
            2 if first == 0x80 => {
                (u32::from_be_bytes(self.take(4)?.try_into().ok()?) as usize, false)
            }
            2 if first == 0x81 => {
                let length = u64::from_be_bytes(self.take(8)?.try_into().ok()?);
                (usize::try_from(length).ok()?, false)
            }
            3 => (low, true),
            _ => return None,
        })
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        match self.length()? {
            (length, false) => self.take(length).map(<[u8]>::to_vec),
            (0, true) => Some((self.byte()? as i8).to_string().into_bytes()),
            (1, true) => {
                let value = i16::from_le_bytes(self.take(2)?.try_into().ok()?);
                Some(value.to_string().into_bytes())
            }
            (2, true) => {
                let value = i32::from_le_bytes(self.take(4)?.try_into().ok()?);
                Some(value.to_string().into_bytes())
            }
            (3, true) => {
                let (packed, _) = self.length()?;
                let (length, _) = self.length()?;
                expand(self.take(packed)?, length)
            }
            _ => None,
        }
    }
}

/// LZF: runs of literal bytes, and references to at most 8 KiB before.
fn expand(mut packed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > LONGEST {
        return None;
    }
    let mut out = Vec::with_capacity(length.min(packed.len() * 32));
    while let Some((&control, rest)) = packed.split_first() {
        packed = rest;
        if control < 32 {
            let (run, rest) = packed.split_at_checked(usize::from(control) + 1)?;
            out.extend_from_slice(run);
            packed = rest;
        } else {
            let mut count = usize::from(control >> 5);
            if count == 7 {
                let (&more, rest) = packed.split_first()?;
                count += usize::from(more);
                packed = rest;
            }
            let (&low, rest) = packed.split_first()?;
            packed = rest;
            let back = (usize::from(control & 0x1F) << 8 | usize::from(low)) + 1;
            let from = out.len().checked_sub(back)?;
            for at in from..from + count + 2 {
                out.push(out[at]);
            }
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

/// CRC-64 as Redis sums its dumps: reflected, polynomial AD93D23594C935A9, from 0.
pub fn crc64(bytes: &[u8]) -> u64 {
    const REVERSED: u64 = 0xAD93_D235_94C9_35A9_u64.reverse_bits();
    bytes.iter().fold(0, |crc, byte| {
        (0..8)
            .fold(crc ^ u64::from(*byte), |crc, _| crc >> 1 ^ (REVERSED & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_redis() {
        assert_eq!(crc64(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
    }

    #[test]
    fn what_is_written_is_read() {
        let texts: Vec<Vec<u8>> = [3, 63, 64, 20_000].map(|n| vec![b'x'; n]).to_vec();
        let payload = write(texts.iter().map(Vec::as_slice));
        assert_eq!(read(&payload).as_ref(), Ok(&texts));
        for at in 0..payload.len() {
            let mut spoiled = payload.clone();
            spoiled[at] ^= 1;
            assert_ne!(read(&spoiled).as_ref(), Ok(&texts));
            assert!(read(&payload[..at]).is_err());
        }
    }

    #[test]
    fn compressed_text_expands() {
        assert_eq!(expand(b"\x02abc\x20\x02", 6).unwrap(), b"abcabc");
        assert_eq!(expand(b"\x20\x02", 6), None);
    }
}

//! What FUNCTION DUMP writes and FUNCTION RESTORE reads: libraries in the form of Redis' snapshots.
//!
//! ```text
//! (F5, length, text) for each library, version: u16, CRC64 of all before: u64, both little-endian
//! ```
//! Texts are written plain; those that Redis compressed (LZF) are read too.

use crate::rdb::{Cursor, code, payload, wire};

/// Why a dump cannot be restored; the text of the reply.
pub type Refused = &'static str;

const BAD: Refused = "failed loading functions";

/// The payload of `libraries`.
pub fn write<'a>(libraries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for text in libraries {
        out.push(code::FUNCTION);
        wire::text(&mut out, text, None);
    }
    payload::seal(&mut out);
    out
}

/// The texts of the libraries in a payload.
pub fn read(dump: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
    let (body, _) =
        payload::open(dump, true).ok_or("DUMP payload version or checksum are wrong")?;
    let (mut cursor, mut texts) = (Cursor::new(body), Vec::new());
    while let Ok(kind) = cursor.byte() {
        match kind {
            code::FUNCTION => texts.push(cursor.text().map_err(|_| BAD)?.into_vec()),
            code::FUNCTION_OLD => return Err("Pre-GA function format not supported"),
            _ => return Err("given type is not a function"),
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

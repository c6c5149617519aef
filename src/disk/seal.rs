//! Files that nobody reads without the key: AES-256-GCM, record by record.
//!
//! ```text
//! header   magic 8 | version u32 | key id 8 | salt 16 | zeros 8 | CRC-32C u32          48 bytes
//! record   len u32 | kind u32 | counter u64 | durable u64 | last u64 | CRC-32C u32     36 bytes
//!          len bytes of ciphertext | tag 16
//! ```
//! All numbers little-endian. The checksums are there to tell a torn file from a wrong key; what
//! protects is the tag, which covers the head of the record, its offset and the bytes.
//!
//! **No nonce is used twice.** Each file has a key of its own, derived (HKDF-SHA-256) from the key
//! that was given and 16 random bytes in its header; a nonce is the number of the record in the
//! file. The number never goes back while a file is written, not even when records are cut off again
//! after an error, and a file is never appended to by a second process: each start begins a new one.
//!
//! A record cannot be moved within a file (its offset is authenticated), nor to another (another
//! key). That whole records are missing at the end of the last file cannot be seen, as with every
//! log; a base or a snapshot says where it ends.

use super::crc::crc32c;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use std::io::{self, Read};
use std::path::Path;

const MAGIC: &[u8; 8] = b"EONKSEAL";
const VERSION: u32 = 1;
/// Bytes of a file's header.
pub const HEADER: usize = 48;
/// Bytes in front of a record's ciphertext.
pub const RECORD: usize = 36;
const TAG: usize = 16;
/// Plain bytes in a record, at most: what a reader must hold.
pub const CHUNK: usize = 256 << 10;

/// What a record is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A group that goes on in the next record.
    GroupPart = 0,
    /// The end of a group.
    GroupEnd = 1,
    /// A base or snapshot that goes on.
    StreamPart = 2,
    /// Its end.
    StreamEnd = 3,
}

/// The keys of a server: one to write with, and those before it, to read with.
pub struct Keyring {
    keys: Vec<Key>,
}

struct Key {
    id: [u8; 8],
    master: Prk,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({})", self.names()) // never the keys
    }
}

impl Keyring {
    /// Reads a key file: a line of 64 hexadecimal digits for each key, the one to write with first;
    /// or 32 bytes as they are. Empty lines and lines that begin with `#` do not count.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = std::fs::read(path)
            .map_err(|error| format!("Can't read the encryption key file {shown}: {error}"))?;
        Self::parse(&bytes).map_err(|text| format!("The encryption key file {shown} {text}"))
    }

    /// The same of the bytes of a key file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if let Ok(key) = <[u8; 32]>::try_from(bytes) {
            return Ok(Self { keys: vec![Key::new(&key)] });
        }
        let bad = "must hold 32 bytes, or lines of 64 hexadecimal digits, one for each key";
        let text = std::str::from_utf8(bytes).map_err(|_| bad)?;
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<Key>> = lines.map(|line| Some(Key::new(&unhex(line)?))).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            _ => Err(bad.into()),
        }
    }

    fn names(&self) -> String {
        self.keys.iter().map(|key| hex(&key.id)).collect::<Vec<_>>().join(", ")
    }

    /// Begins a file: its header, and what seals its records.
    pub fn seal(&self) -> io::Result<(Vec<u8>, Sealer)> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
        let key = &self.keys[0];
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&key.id);
        header.extend_from_slice(&salt);
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&crc32c(&header).to_le_bytes());
        Ok((header, Sealer { key: key.of_file(&salt), counter: 0 }))
    }
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        let mut id = [0; 8];
        let public = Salt::new(HKDF_SHA256, b"eonkv key id").extract(bytes);
        // Fails only for lengths that HKDF cannot have.
        let _ = public.expand(&[b"id"], Len(8)).and_then(|okm| okm.fill(&mut id));
        Self { id, master: Salt::new(HKDF_SHA256, b"eonkv master").extract(bytes) }
    }

    fn of_file(&self, salt: &[u8]) -> LessSafeKey {
        let info = [b"file", salt];
        match self.master.expand(&info, &AES_256_GCM) {
            Ok(okm) => LessSafeKey::new(UnboundKey::from(okm)),
            Err(_) => unreachable!("a key has a length that HKDF can have"),
        }
    }
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(key)
}

/// Whether bytes are the begin of a sealed file, as far as they go.
pub fn is_sealed(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().zip(MAGIC).all(|(a, b)| a == b)
}

/// Reads a header; the text of an error follows the name of the file.
pub fn open(header: &[u8], keys: Option<&Keyring>) -> Result<Opener, String> {
    let sum = |bytes: &[u8]| crc32c(bytes).to_le_bytes();
    if header.len() < HEADER || header[HEADER - 4..HEADER] != sum(&header[..HEADER - 4]) {
        return Err("has a damaged encryption header".into());
    }
    if header[8..12] != VERSION.to_le_bytes() {
        return Err("is encrypted in a way that this version does not know".into());
    }
    let (id, salt) = (&header[12..20], &header[20..36]);
    let Some(keys) = keys else {
        let id = hex(id);
        return Err(format!(
            "is encrypted with the key {id}: give its file with --encryption-key-file"
        ));
    };
    match keys.keys.iter().find(|key| key.id == id) {
        Some(key) => Ok(Opener { key: key.of_file(salt), counter: None }),
        None => Err(format!(
            "is encrypted with the key {}, and the encryption key file holds {}",
            hex(id),
            keys.names()
        )),
    }
}

/// Makes the records of one file.
pub struct Sealer {
    key: LessSafeKey,
    /// Number of the next record; never goes back.
    counter: u64,
}

/// What stands in front of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub len: usize,
    pub kind: Kind,
    counter: u64,
    /// Bytes of the file that were durable when this was written.
    pub durable: u64,
    /// Sequence of the end of the group.
    pub last: u64,
}

impl Head {
    fn bytes(&self) -> [u8; RECORD] {
        let mut out = [0; RECORD];
        out[..4].copy_from_slice(&(self.len as u32).to_le_bytes());
        out[4..8].copy_from_slice(&(self.kind as u32).to_le_bytes());
        out[8..16].copy_from_slice(&self.counter.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.to_le_bytes());
        out[24..32].copy_from_slice(&self.last.to_le_bytes());
        let sum = crc32c(&out[..32]).to_le_bytes();
        out[32..].copy_from_slice(&sum);
        out
    }

    /// `None` if these bytes are no head.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; RECORD] = bytes.get(..RECORD)?.try_into().ok()?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let kind = match word(4) {
            0 => Kind::GroupPart,
            1 => Kind::GroupEnd,
            2 => Kind::StreamPart,
            3 => Kind::StreamEnd,
            _ => return None,
        };
        let len = word(0) as usize;
        let head = Self { len, kind, counter: long(8), durable: long(16), last: long(24) };
        (len <= CHUNK && head.bytes() == *bytes).then_some(head)
    }

    /// Bytes behind the head.
    pub fn body(&self) -> usize {
        self.len + TAG
    }

    fn aad(&self, at: u64) -> Aad<[u8; RECORD + 8]> {
        let mut aad = [0; RECORD + 8];
        aad[..RECORD].copy_from_slice(&self.bytes());
        aad[RECORD..].copy_from_slice(&at.to_le_bytes());
        Aad::from(aad)
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&self.counter.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Sealer {
    /// Appends a record of at most [`CHUNK`] bytes that will stand at offset `at`.
    pub fn record(
        &mut self,
        out: &mut Vec<u8>,
        (at, kind): (u64, Kind),
        plain: &[u8],
        of: (u64, u64),
    ) {
        let head =
            Head { len: plain.len(), kind, counter: self.counter, durable: of.0, last: of.1 };
        self.counter += 1;
        out.extend_from_slice(&head.bytes());
        let begin = out.len();
        out.extend_from_slice(plain);
        match self.key.seal_in_place_separate_tag(head.nonce(), head.aad(at), &mut out[begin..]) {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            Err(_) => unreachable!("a record is far smaller than what the cipher takes"),
        }
    }

    /// Appends a group, in as many records as it needs.
    pub fn group(&mut self, out: &mut Vec<u8>, at: u64, plain: &[u8], of: (u64, u64)) {
        let begin = out.len();
        let mut rest = plain;
        loop {
            let (now, later) = rest.split_at(rest.len().min(CHUNK));
            let kind = if later.is_empty() { Kind::GroupEnd } else { Kind::GroupPart };
            let at = at + (out.len() - begin) as u64;
            self.record(out, (at, kind), now, of);
            if later.is_empty() {
                return;
            }
            rest = later;
        }
    }
}

/// Reads the records of one file.
pub struct Opener {
    key: LessSafeKey,
    /// The number of the last record; the next one's is higher.
    counter: Option<u64>,
}

impl Opener {
    /// Decrypts what is behind a head, in place; the plain bytes are the first `head.len`.
    pub fn open(&mut self, head: &Head, at: u64, body: &mut [u8]) -> Result<(), &'static str> {
        self.verify(head, at, body)?;
        if self.counter.is_some_and(|last| head.counter <= last) {
            return Err("a record that was there before");
        }
        self.counter = Some(head.counter);
        Ok(())
    }

    /// The same for a record that will be read once more.
    pub fn verify(&self, head: &Head, at: u64, body: &mut [u8]) -> Result<(), &'static str> {
        let opened = self.key.open_in_place(head.nonce(), head.aad(at), body);
        opened.map(drop).map_err(|_| "a record that is not what was written")
    }
}

/// Reads a stream, sealed or not: only bytes that are what was written come out.
pub struct Reader<R: Read> {
    from: R,
    opener: Option<Opener>,
    at: u64,
    plain: Vec<u8>,
    begin: usize,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// A stream without the magic is passed through as it is.
    pub fn new(mut from: R, keys: Option<&Keyring>) -> io::Result<Self> {
        let mut header = Vec::new();
        from.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        let sealed = header.len() >= MAGIC.len() && is_sealed(&header);
        let (opener, plain) = if sealed {
            let invalid =
                |text| io::Error::new(io::ErrorKind::InvalidData, format!("the file {text}"));
            (Some(open(&header, keys).map_err(invalid)?), Vec::new())
        } else {
            (None, header)
        };
        Ok(Self { from, opener, at: HEADER as u64, plain, begin: 0, ended: false })
    }

    /// Whether it is sealed.
    pub const fn is_sealed(&self) -> bool {
        self.opener.is_some()
    }

    fn record(&mut self) -> io::Result<()> {
        let Some(opener) = &mut self.opener else { return Ok(()) };
        let at = self.at;
        let damaged = |why| {
            let text = format!("it cannot be decrypted from offset {at} on: {why}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it ends in the middle"),
            _ => error,
        };
        let mut head = [0; RECORD];
        self.from.read_exact(&mut head).map_err(cut)?;
        let head = Head::parse(&head).ok_or_else(|| damaged("a damaged record"))?;
        self.plain.resize(head.body(), 0);
        self.from.read_exact(&mut self.plain).map_err(cut)?;
        opener.open(&head, at, &mut self.plain).map_err(damaged)?;
        self.plain.truncate(head.len);
        self.begin = 0;
        self.at += (RECORD + head.body()) as u64;
        self.ended = head.kind == Kind::StreamEnd;
        if self.ended && self.from.read(&mut [0])? > 0 {
            return Err(damaged("something stands behind its end"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.begin == self.plain.len() {
            if self.opener.is_none() {
                return self.from.read(buffer);
            }
            if self.ended {
                return Ok(0);
            }
            self.record()?;
        }
        let count = buffer.len().min(self.plain.len() - self.begin);
        buffer[..count].copy_from_slice(&self.plain[self.begin..self.begin + count]);
        self.begin += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::file::Disk;
    use crate::disk::output::Output;
    use crate::disk::sim::SimDisk;
    use std::io::Write;
    use std::sync::Arc;

    fn keys(text: &str) -> Arc<Keyring> {
        Arc::new(Keyring::parse(text.as_bytes()).unwrap())
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let (disk, path) = (SimDisk::new(1), Path::new("file"));
        let file = disk.create(path).unwrap();
        let mut out = Output::new(file, Some(&keys(&"ab".repeat(32))), true).unwrap();
        out.write_all(plain).unwrap();
        out.finish().unwrap();
        disk.bytes(path).unwrap()
    }

    fn opened(bytes: &[u8], keys: Option<&Keyring>) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Reader::new(bytes, keys)?.read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn a_stream_comes_back_and_hides_what_it_says() {
        let plain: Vec<u8> = (0..2 * CHUNK + 77).map(|n| n as u8).collect();
        let bytes = sealed(&plain);
        assert_eq!(opened(&bytes, Some(&keys(&"ab".repeat(32)))).unwrap(), plain);
        let rotated = format!("# new\n{}\n# old\n{}\n", "01".repeat(32), "ab".repeat(32));
        assert_eq!(opened(&bytes, Some(&keys(&rotated))).unwrap(), plain);
        assert!(!bytes.windows(8).any(|window| window == &plain[..8]));
        assert_eq!(opened(b"REDIS", None).unwrap(), b"REDIS");
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let bytes = sealed(b"some words");
        let keys = keys(&"ab".repeat(32));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            let result = opened(&flipped, Some(&keys));
            assert!(result.is_err() || at < MAGIC.len(), "flip at {at}");
            if at >= MAGIC.len() {
                assert!(opened(&bytes[..at], Some(&keys)).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn the_wrong_key_and_none_are_told_apart() {
        let bytes = sealed(b"some words");
        let text = opened(&bytes, Some(&keys(&"cd".repeat(32)))).unwrap_err().to_string();
        assert!(text.contains("is encrypted with the key") && text.contains("holds"), "{text}");
        let text = opened(&bytes, None).unwrap_err().to_string();
        assert!(text.contains("--encryption-key-file"), "{text}");
        assert!(Keyring::parse(b"short").is_err() && Keyring::parse(b"").is_err());
    }
}

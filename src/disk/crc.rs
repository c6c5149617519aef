//! CRC-32C, the checksum of groups: any flip of up to five bits in a line or a small group changes
//! it, and any burst of up to 32.

use crc_fast::{CrcAlgorithm::Crc32Iscsi, Digest, checksum};

/// The checksum of some bytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    narrow(checksum(Crc32Iscsi, bytes))
}

/// The same of bytes that come in pieces.
pub(super) struct Crc(Digest);

impl Crc {
    pub(super) fn new() -> Self {
        Self(Digest::new(Crc32Iscsi))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn value(&self) -> u32 {
        narrow(self.0.finalize())
    }
}

/// A checksum of 32 bits comes in 64.
fn narrow(crc: u64) -> u32 {
    (crc & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_crc_32c_whole_and_in_pieces() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let mut crc = Crc::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xe306_9283);
    }
}

//! The keyed hash of the index: folded multiplication, seeded once per process from the system.
//!
//! Fast (6 ns for 16 bytes) and not cryptographic: the random seed keeps crafted keys from being
//! computed beforehand, and a chain-length alarm in [`super::grow`] reports what slips through.

use std::sync::OnceLock;

/// Two odd 64-bit seeds.
#[derive(Debug, Clone, Copy)]
pub struct Seed(u64, u64);

impl Seed {
    /// The process's seed.
    #[inline(always)]
    pub fn process() -> Self {
        static SEED: OnceLock<Seed> = OnceLock::new();
        *SEED.get_or_init(|| {
            let mut bytes = [0; 16];
            if getrandom::fill(&mut bytes).is_err() {
                // No entropy source: the address of a stack variable and the clock are better
                // than a constant.
                let now = std::time::SystemTime::now();
                let nanos =
                    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
                bytes = (nanos ^ (&raw const bytes as usize as u128) << 64).to_le_bytes();
            }
            let [low, high] = [0, 8].map(|at| read8(&bytes, at));
            Self(low | 1, high | 1)
        })
    }
}

#[inline(always)]
fn read8(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline(always)]
fn read4(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u64::from(u32::from_le_bytes(word))
}

#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

const K0: u64 = 0x2d35_8dcc_aa6c_78a5;
const K1: u64 = 0x8bb8_4b93_962e_acc9;

/// Hash of `key` under the process's seed. The low bits choose stripe and bucket, the top 16 are
/// the fingerprint.
#[inline(always)]
pub fn hash(key: &[u8]) -> u64 {
    with_seed(key, Seed::process())
}

/// Hash of `key` under `seed`.
#[inline(always)]
pub fn with_seed(key: &[u8], seed: Seed) -> u64 {
    let n = key.len();
    // Multiplied, so that no flipped bit of the key can stand for another length.
    let mut state = seed.0 ^ (n as u64).wrapping_mul(K1);
    let (a, b) = match n {
        0 => (0, 0),
        1..4 => {
            ((u64::from(key[0]) << 16) | (u64::from(key[n / 2]) << 8) | u64::from(key[n - 1]), 0)
        }
        4..8 => (read4(key, 0), read4(key, n - 4)),
        8..=16 => (read8(key, 0), read8(key, n - 8)),
        _ => {
            let mut at = 0;
            while at + 16 < n {
                state = fold(read8(key, at) ^ K0 ^ state, read8(key, at + 8) ^ seed.1);
                at += 16;
            }
            (read8(key, n - 16), read8(key, n - 8))
        }
    };
    fold(fold(a ^ state ^ K1, b ^ seed.1) ^ seed.1, K0 ^ state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn nearby_keys_spread_over_buckets_and_fingerprints() {
        let keys = (0..100_000u32).map(|i| format!("key:{i:012}"));
        let hashes: Vec<u64> = keys.map(|key| hash(key.as_bytes())).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        let mut load = vec![0u32; 1 << 14];
        hashes.iter().for_each(|h| load[*h as usize & 0x3fff] += 1);
        // 6.1 a bucket on average; Poisson's tail beyond 30 is below 1e-10.
        assert!(load.iter().all(|&n| n < 30));
        let tops: HashSet<u64> = hashes.iter().map(|h| h >> 48).collect();
        assert!(tops.len() > 50_000, "{} fingerprints", tops.len());
    }

    #[test]
    fn every_length_and_every_bit_counts() {
        let base = [7u8; 70];
        let mut seen = HashSet::new();
        for n in 0..base.len() {
            assert!(seen.insert(hash(&base[..n])), "length {n}");
            for bit in 0..n * 8 {
                let mut key = base[..n].to_vec();
                key[bit / 8] ^= 1 << (bit % 8);
                assert!(seen.insert(hash(&key)), "length {n} bit {bit}");
            }
        }
    }
}

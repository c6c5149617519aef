//! HyperLogLog: how many different elements were seen, within 0.81 %, in at most 12 KiB.
//!
//! The value is a string, byte for byte what Redis stores, so dumps and replicas can be exchanged:
//!
//! ```text
//!   "HYLL" | encoding 0 dense, 1 sparse | 3 unused | cached count, u64 LE, top bit: stale | registers
//! ```
//! An element's 64-bit MurmurHash picks one of 16,384 registers with its low 14 bits; the register
//! keeps the longest run of zeros (plus one) seen in the other 50.
//! * **dense**: 6 bits a register, lowest bits first, 12,288 bytes;
//! * **sparse**: run lengths, in `sparse`; changed in place until it outgrows a limit.
//!
//! Clients can write any bytes with SET and then call PFADD on them. So nothing here trusts the
//! bytes: [`check`] tells a HyperLogLog from another string, and each decoder fails with
//! [`Corrupted`] instead of reading or writing out of its registers.

mod estimate;
mod sparse;

use sparse::Update;

/// Registers of one HyperLogLog.
pub const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 14;
/// Hash bits whose run of zeros is counted.
const RUN_BITS: u32 = 64 - REGISTER_BITS;
const HEADER_LEN: usize = 16;
const DENSE_LEN: usize = HEADER_LEN + REGISTERS * 6 / 8;
const MAGIC: &[u8; 4] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// The string is no HyperLogLog at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHll;

impl NotHll {
    /// The reply after its `-`.
    pub const TEXT: &'static str = "WRONGTYPE Key is not a valid HyperLogLog string value.";
}

/// The header is right but the registers are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupted;

impl Corrupted {
    /// The reply after its `-`.
    pub const TEXT: &'static str = "INVALIDOBJ Corrupted HLL object detected";
}

/// How the registers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

impl Encoding {
    /// The name PFDEBUG ENCODING gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// The bytes of a HyperLogLog that has seen nothing.
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4] = SPARSE;
    bytes.extend_from_slice(&sparse::zeros(REGISTERS));
    bytes
}

/// Whether the string looks like a HyperLogLog, and its encoding. Every other function here wants
/// bytes for which this said yes, and treats others as corrupted.
pub fn check(bytes: &[u8]) -> Result<Encoding, NotHll> {
    match bytes {
        [b'H', b'Y', b'L', b'L', SPARSE, ..] if bytes.len() >= HEADER_LEN => Ok(Encoding::Sparse),
        [b'H', b'Y', b'L', b'L', DENSE, ..] if bytes.len() == DENSE_LEN => Ok(Encoding::Dense),
        _ => Err(NotHll),
    }
}

/// Adds one element; says whether a register changed (then the cached count is marked stale).
///
/// A sparse value is stored as dense once it would pass `sparse_len_max` bytes.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_len_max: usize) -> Result<bool, Corrupted> {
    let (index, run) = register_of(element);
    let changed = raise(bytes, index, run, sparse_len_max)?;
    if changed {
        mark_stale(bytes);
    }
    Ok(changed)
}

/// Whether [`add`] would change the value.
pub fn would_change(bytes: &[u8], element: &[u8]) -> Result<bool, Corrupted> {
    let (index, run) = register_of(element);
    let registers = bytes.get(HEADER_LEN..).ok_or(Corrupted)?;
    let current = match check(bytes).map_err(|NotHll| Corrupted)? {
        Encoding::Dense => dense_register(registers, index),
        Encoding::Sparse => sparse::register(registers, index)?,
    };
    Ok(current < run)
}

/// Raises register `index` to `run`; says whether it was lower.
fn raise(bytes: &mut Vec<u8>, index: usize, run: u8, len_max: usize) -> Result<bool, Corrupted> {
    match check(bytes).map_err(|NotHll| Corrupted)? {
        Encoding::Dense => Ok(raise_dense(&mut bytes[HEADER_LEN..], index, run)),
        Encoding::Sparse => match sparse::raise(bytes, HEADER_LEN, (index, run), len_max)? {
            Update::Unchanged => Ok(false),
            Update::Changed => Ok(true),
            Update::MustBeDense => {
                make_dense(bytes)?;
                Ok(raise_dense(&mut bytes[HEADER_LEN..], index, run))
            }
        },
    }
}

/// Stores the registers as dense; says whether they were sparse before.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupted> {
    if check(bytes).map_err(|NotHll| Corrupted)? == Encoding::Dense {
        return Ok(false);
    }
    let registers = Registers::read(bytes)?;
    bytes[4] = DENSE;
    bytes.truncate(HEADER_LEN);
    bytes.resize(DENSE_LEN, 0);
    for (index, run) in registers.iter().enumerate() {
        raise_dense(&mut bytes[HEADER_LEN..], index, run);
    }
    Ok(true)
}

fn raise_dense(packed: &mut [u8], index: usize, run: u8) -> bool {
    let old = dense_register(packed, index);
    if old >= run {
        return false;
    }
    // The old value is known to stand there, so the difference of both is all that must change.
    let change = u16::from(old ^ run) << (index * 6 % 8);
    let at = index * 6 / 8;
    packed[at] ^= change as u8;
    if let Some(next) = packed.get_mut(at + 1) {
        *next ^= (change >> 8) as u8;
    }
    true
}

fn dense_register(packed: &[u8], index: usize) -> u8 {
    let at = index * 6 / 8;
    let next = packed.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([packed[at], next]) >> (index * 6 % 8)) as u8 & 63
}

/// The count: the cached one if it is fresh, else a new one, with `true`, to be stored by
/// [`store_count`].
pub fn count(bytes: &[u8]) -> Result<(u64, bool), Corrupted> {
    if let Some(cached) = cached_count(bytes) {
        return Ok((cached, false));
    }
    Ok((Registers::read(bytes)?.count(), true))
}

/// The count kept in the header, unless stale.
pub fn cached_count(bytes: &[u8]) -> Option<u64> {
    let field = bytes.get(8..HEADER_LEN)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*field)).filter(|count| count >> 63 == 0)
}

/// Keeps a fresh count in the header.
pub fn store_count(bytes: &mut [u8], count: u64) {
    if let Some(field) = bytes.get_mut(8..HEADER_LEN) {
        field.copy_from_slice(&count.to_le_bytes());
    }
}

/// Marks the count in the header as stale.
pub fn mark_stale(bytes: &mut [u8]) {
    if let Some(byte) = bytes.get_mut(HEADER_LEN - 1) {
        *byte |= 0x80;
    }
}

/// Raises the registers of `bytes` to those of `union`, as PFMERGE does: in the encoding the value
/// has, or as dense if `dense` says so.
pub fn merge_into(
    bytes: &mut Vec<u8>,
    union: &Registers,
    dense: bool,
    sparse_len_max: usize,
) -> Result<(), Corrupted> {
    if dense {
        make_dense(bytes)?;
    }
    for (index, run) in union.iter().enumerate().filter(|(_, run)| *run != 0) {
        raise(bytes, index, run, sparse_len_max)?;
    }
    mark_stale(bytes);
    Ok(())
}

/// The opcodes of a sparse value as text (PFDEBUG DECODE); None if it is dense.
pub fn decode(bytes: &[u8]) -> Result<Option<String>, Corrupted> {
    match check(bytes).map_err(|NotHll| Corrupted)? {
        Encoding::Dense => Ok(None),
        Encoding::Sparse => sparse::describe(&bytes[HEADER_LEN..]).map(Some),
    }
}

/// All registers, a byte each: what merging and counting work on.
#[derive(Clone)]
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// Unpacks a value.
    pub fn read(bytes: &[u8]) -> Result<Registers, Corrupted> {
        let mut registers = Registers::default();
        registers.merge(bytes)?;
        Ok(registers)
    }

    /// Raises each register to that of another value.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupted> {
        match check(bytes).map_err(|NotHll| Corrupted)? {
            Encoding::Dense => self.merge_dense(&bytes[HEADER_LEN..]),
            Encoding::Sparse => return self.merge_sparse(&bytes[HEADER_LEN..]),
        }
        Ok(())
    }

    /// Four registers are three bytes.
    fn merge_dense(&mut self, packed: &[u8]) {
        for (four, &[a, b, c]) in
            self.0.as_chunks_mut::<4>().0.iter_mut().zip(packed.as_chunks::<3>().0)
        {
            let word = u32::from_le_bytes([a, b, c, 0]);
            for (place, run) in four.iter_mut().enumerate() {
                *run = (*run).max((word >> (6 * place)) as u8 & 63);
            }
        }
    }

    fn merge_sparse(&mut self, opcodes: &[u8]) -> Result<(), Corrupted> {
        let mut rest = &mut self.0[..];
        for run in sparse::runs(opcodes) {
            let (run, len) = run?;
            let (covered, after) = rest.split_at_mut_checked(len).ok_or(Corrupted)?;
            if run != 0 {
                covered.iter_mut().for_each(|register| *register = (*register).max(run));
            }
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(Corrupted) }
    }

    /// The registers in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().copied()
    }

    /// The estimated number of different elements.
    pub fn count(&self) -> u64 {
        let mut histogram = [0u32; 64];
        for run in self.0.iter() {
            histogram[usize::from(run & 63)] += 1;
        }
        estimate::cardinality(&histogram)
    }
}

/// Which register an element belongs to, and the run it shows (1 to 51).
fn register_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element, 0xadc8_3b19);
    let index = hash as usize & (REGISTERS - 1);
    // A one on top ends the run if all other bits are zero.
    let rest = hash >> REGISTER_BITS | 1 << RUN_BITS;
    (index, rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A by Austin Appleby (public domain), reading little-endian words.
fn murmur64a(data: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (data.len() as u64).wrapping_mul(M);
    let (words, tail) = data.as_chunks::<8>();
    for word in words {
        let mut mixed = u64::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> R;
        hash = (hash ^ mixed.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let word = tail.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}

/// The check of PFSELFTEST: packing, and the error of the estimate against the promised one. Returns
/// what is wrong.
pub fn self_test() -> Result<(), String> {
    let mut packed = empty();
    make_dense(&mut packed).map_err(|Corrupted| Corrupted::TEXT)?;
    let mut wanted = Registers::default();
    let mut seed = 1u64;
    for _ in 0..8 * REGISTERS {
        seed = murmur64a(&seed.to_le_bytes(), seed);
        let (index, run) = (seed as usize % REGISTERS, (seed >> 32) as u8 & 63);
        raise_dense(&mut packed[HEADER_LEN..], index, run);
        wanted.0[index] = wanted.0[index].max(run);
    }
    if Registers::read(&packed).map_err(|Corrupted| Corrupted::TEXT)?.0 != wanted.0 {
        return Err("TESTFAILED Register content differs".into());
    }
    let (mut sparse, mut dense) = (empty(), empty());
    make_dense(&mut dense).map_err(|Corrupted| Corrupted::TEXT)?;
    let mut next_check = 1;
    for number in 1u64..=100_000 {
        let element = murmur64a(&number.to_le_bytes(), 7).to_le_bytes();
        add(&mut sparse, &element, 3000).map_err(|Corrupted| Corrupted::TEXT)?;
        add(&mut dense, &element, 0).map_err(|Corrupted| Corrupted::TEXT)?;
        if number == next_check {
            next_check *= 10;
            let (a, _) = count(&sparse).map_err(|Corrupted| Corrupted::TEXT)?;
            let (b, _) = count(&dense).map_err(|Corrupted| Corrupted::TEXT)?;
            if a != b {
                return Err("TESTFAILED dense/sparse disagree".into());
            }
            // Six times the standard error, and room for the small counts.
            let error_max = (number as f64 * 6.0 * 1.04 / 128.0) as u64 + 2;
            if number.abs_diff(a) > error_max {
                return Err(format!(
                    "TESTFAILED Too big error. card:{number} abserr:{}",
                    number.abs_diff(a)
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! From registers to a count: the improved raw estimator of Otmar Ertl, "New cardinality estimation
//! algorithms for HyperLogLog sketches" (2017), section 4. It needs no bias tables, and no switch
//! to another method for small counts.

use super::{REGISTERS, RUN_BITS};

/// The count, given how many registers hold each value, at most `i64::MAX`. Values beyond the
/// longest run possible do not come from adding elements; they are left out.
pub(super) fn cardinality(histogram: &[u32; 64]) -> u64 {
    const ALPHA: f64 = 0.721_347_520_444_481_7; // 1 / (2 ln 2)
    let registers = REGISTERS as f64;
    let top = RUN_BITS as usize + 1;
    let mut z = registers * tau((registers - f64::from(histogram[top])) / registers);
    for &times in histogram[1..top].iter().rev() {
        z = (z + f64::from(times)) * 0.5;
    }
    z += registers * sigma(f64::from(histogram[0]) / registers);
    // As in Redis: halves away from zero; infinity (all registers empty) gives zero.
    ((ALPHA * registers * registers / z).round() as u64).min(i64::MAX as u64)
}

/// x + the sum of x^(2^k) * 2^(k-1) over k >= 1, for 0 <= x <= 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut z, mut y) = (x, 1.0);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// (1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k over k >= 1) / 3, for 0 <= x <= 1.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut z, mut y) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

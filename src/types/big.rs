//! Whole numbers of any size, just what exact decimal conversion needs and no more.
//!
//! Sizes stay small (a few hundred limbs at the far end of the exponent range), so the plain
//! schoolbook methods are chosen for being easy to check.

use crate::types::extended::Exact;

/// An unsigned integer of any size, lowest limb first, no zero limb on top.
pub(super) struct Big(Vec<u64>);

impl Big {
    pub(super) fn from(value: u64) -> Big {
        Big(if value == 0 { Vec::new() } else { vec![value] })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bit_len(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 64 - top.leading_zeros() as usize)
    }

    pub(super) fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for limb in &mut self.0 {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            self.0.push(carry as u64);
        }
    }

    pub(super) fn multiply_power_of_ten(&mut self, mut power: u32) {
        while power > 0 {
            let step = power.min(19);
            self.multiply_add(10u64.pow(step), 0);
            power -= step;
        }
    }

    pub(super) fn shift_left(&mut self, bits: usize) {
        self.multiply_add(1 << (bits % 64), 0);
        if !self.is_zero() {
            self.0.splice(0..0, std::iter::repeat_n(0, bits / 64));
        }
    }

    /// Divides by a small number and returns the remainder.
    pub(super) fn divide(&mut self, divisor: u64) -> u64 {
        let mut rest = 0u128;
        for limb in self.0.iter_mut().rev() {
            let dividend = rest << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            rest = dividend % u128::from(divisor);
        }
        self.trim();
        rest as u64
    }

    fn at_least(&self, other: &Big) -> bool {
        let by_limb = || self.0.iter().rev().ge(other.0.iter().rev());
        self.0.len() > other.0.len() || (self.0.len() == other.0.len() && by_limb())
    }

    /// Takes a number away that is not larger.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = false;
        for (index, limb) in self.0.iter_mut().enumerate() {
            let taken = other.0.get(index).copied().unwrap_or(0);
            let (value, under) = limb.overflowing_sub(taken);
            let (value, under_too) = value.overflowing_sub(u64::from(borrow));
            *limb = value;
            borrow = under || under_too;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// The number from its upper 65 to 128 bits.
    pub(super) fn top(&self) -> Exact {
        let skipped = self.0.len().saturating_sub(2);
        let upper = self.0[skipped..].iter().rev();
        let mant = upper.fold(0u128, |value, limb| value << 64 | u128::from(*limb));
        let sticky = self.0[..skipped].iter().any(|&limb| limb != 0);
        if !sticky || skipped == 0 {
            return Exact { mant, sticky, exp: 64 * skipped as i32 };
        }
        // Make room for a third limb's bits, lest a small top limb leave none to round by.
        let by = mant.leading_zeros();
        let third = self.0[skipped - 1];
        let filled = if by == 0 { mant } else { mant << by | u128::from(third) >> (64 - by) };
        let rest = if by == 0 { third } else { third << by };
        let sticky = rest != 0 || self.0[..skipped - 1].iter().any(|&limb| limb != 0);
        Exact { mant: filled, sticky, exp: 64 * skipped as i32 - by as i32 }
    }

    /// `self / divisor` (neither zero), to 70 bits.
    pub(super) fn quotient(mut self, mut divisor: Big) -> Exact {
        let mut exp = self.bit_len() as i32 - divisor.bit_len() as i32;
        if exp > 0 {
            divisor.shift_left(exp.unsigned_abs() as usize);
        } else {
            self.shift_left(exp.unsigned_abs() as usize);
        }
        if !self.at_least(&divisor) {
            self.shift_left(1);
            exp -= 1;
        }
        let mut mant = 0u128;
        for _ in 0..70 {
            mant <<= 1;
            if self.at_least(&divisor) {
                self.subtract(&divisor);
                mant |= 1;
            }
            self.shift_left(1);
        }
        Exact { mant, sticky: !self.is_zero(), exp: exp - 69 }
    }
}

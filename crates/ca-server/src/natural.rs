//! Just enough arithmetic of large numbers to see that an RSA modulus is weak. Moduli are public:
//! nothing here is, or needs to be, constant in time.

use std::cmp::Ordering;

/// A natural number: limbs of 64 bits, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Natural(Vec<u64>);

impl Natural {
    /// From big-endian bytes.
    pub(crate) fn from_be_bytes(bytes: &[u8]) -> Self {
        let limb = |chunk: &[u8]| chunk.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte));
        Self(bytes.rchunks(8).map(limb).collect())
    }

    fn zeros(limbs: usize) -> Self {
        Self(vec![0; limbs])
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|limb| *limb == 0)
    }

    /// The remainder of division by a number below 2³².
    pub(crate) fn rem(&self, divisor: u32) -> u32 {
        let divisor = u64::from(divisor.max(1));
        let low = u64::from(u32::MAX);
        let halves = self.0.iter().rev().flat_map(|l| [l >> 32, l & low]);
        let rest = halves.fold(0, |rest, half| ((rest << 32) | half) % divisor);
        u32::try_from(rest).unwrap_or(0)
    }

    /// The largest number whose square is no larger, and what is left over; bit by bit, as one
    /// does it with paper and pencil in base two.
    pub(crate) fn square_root(&self) -> (Self, Self) {
        let limbs = self.0.len();
        let (mut rest, mut root) = (self.clone(), Self::zeros(limbs));
        for bit in (0..limbs * 32).rev() {
            // root is twice the root so far, shifted up; its bits at and below 2·bit are zero.
            let mut step = root.clone();
            step.set_bit(2 * bit);
            root.halve();
            if rest.compare(&step) != Ordering::Less {
                rest.subtract(&step);
                root.set_bit(2 * bit);
            }
        }
        (root, rest)
    }

    pub(crate) fn is_square(&self) -> bool {
        // Squares leave few remainders: these moduli let one in a thousand other numbers through.
        const MODULI: [u32; 6] = [64, 63, 65, 11, 17, 19];
        let may_be = |modulus: u32| {
            let rest = self.rem(modulus);
            (0..modulus).any(|x| x * x % modulus == rest)
        };
        MODULI.into_iter().all(may_be) && self.square_root().1.is_zero()
    }

    /// Adds; the sum must fit into the limbs.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut carry = false;
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        for (limb, other) in self.0.iter_mut().zip(others) {
            let (sum, over) = limb.overflowing_add(other);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_again;
        }
    }

    /// Subtracts a number that is no larger.
    pub(crate) fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        for (limb, other) in self.0.iter_mut().zip(others) {
            let (rest, under) = limb.overflowing_sub(other);
            let (rest, under_again) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = under || under_again;
        }
    }

    /// Adds one; the sum must fit into the limbs.
    pub(crate) fn increment(&mut self) {
        self.add(&Self(vec![1]));
    }

    /// Compares numbers of as many limbs.
    fn compare(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }

    fn halve(&mut self) {
        let mut carried = 0;
        for limb in self.0.iter_mut().rev() {
            (*limb, carried) = ((*limb >> 1) | carried, *limb << 63);
        }
    }

    fn set_bit(&mut self, bit: usize) {
        if let Some(limb) = self.0.get_mut(bit / 64) {
            *limb |= 1 << (bit % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn natural(number: u128) -> Natural {
        Natural::from_be_bytes(&number.to_be_bytes())
    }

    #[test]
    fn square_roots() {
        let check = |number: u128| {
            let root = number.isqrt();
            let expected = (natural(root), natural(number - root * root));
            assert_eq!(natural(number).square_root(), expected, "{number}");
            assert_eq!(
                natural(number).is_square(),
                root * root == number,
                "{number}"
            );
        };
        (0..2000).for_each(check);
        let mut number = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834_u128;
        for _ in 0..500 {
            number = number
                .wrapping_mul(0x2545_f491_4f6c_dd1d_9e37_79b9)
                .rotate_left(7)
                | 1;
            check(number);
            let root = number >> 64;
            check(root * root);
            check((root * root).saturating_sub(1));
        }
        check(u128::MAX);
    }

    #[test]
    fn remainders_sums_and_differences() {
        let number = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128;
        for divisor in [1, 2, 3, 11, 255, 65_537, u32::MAX] {
            let expected = u32::try_from(number % u128::from(divisor)).unwrap();
            assert_eq!(natural(number).rem(divisor), expected);
        }
        let mut sum = natural(u128::from(u64::MAX));
        sum.increment();
        assert_eq!(sum, natural(1 << 64));
        sum.subtract(&natural(1));
        assert_eq!(sum, natural(u128::from(u64::MAX)));
        sum.add(&natural(u128::from(u64::MAX)));
        assert_eq!(sum, natural(u128::from(u64::MAX) * 2));
    }
}

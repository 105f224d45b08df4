//! Complex numbers of arbitrary precision with a bound on their error (ball arithmetic).
//!
//! The error is tracked as a power of two, rounded up, so "different" is proved and "equal" is an agreement
//! of more than a hundred bits. Adding a number that is lost below the precision is noted, because such a sum
//! would agree with one that lacks the number.

use dashu_base::{Abs, BitTest, Signed};
use dashu_float::round::mode::HalfEven;
use dashu_float::{ConstCache, Context, FBig, FpError, Repr};
use dashu_int::IBig;
use dashu_ratio::RBig;

use super::{Stop, Stuck};
use crate::fuel::Fuel;

pub(super) type Real = FBig<HalfEven, 2>;

/// No error at all.
pub(super) const EXACT: i64 = i64::MIN / 4;
/// Numbers whose binary logarithm passes this are not evaluated.
const MAXIMUM_MAGNITUDE: i64 = 1 << 24;

/// A complex number, and the binary logarithm of a bound on the distance from the true value.
#[derive(Debug, Clone)]
pub(crate) struct Ball {
    pub(super) re: Real,
    pub(super) im: Real,
    pub(super) error: i64,
}

/// Arithmetic at one precision.
pub(crate) struct Arithmetic<'a> {
    pub(super) precision: usize,
    pub(super) context: Context<HalfEven>,
    pub(super) cache: &'a mut ConstCache,
    pub(crate) fuel: &'a mut Fuel,
    /// Some summand was lost below the precision.
    pub(crate) absorbed: bool,
}

/// The binary logarithm of a real's magnitude, rounded up; [`EXACT`] for zero.
pub(super) fn magnitude(real: &Real) -> i64 {
    let repr = real.repr();
    let bits = repr.significand().bit_len();
    if bits == 0 { EXACT } else { bits as i64 + repr.exponent() as i64 }
}

pub(super) fn zero() -> Real {
    Real::ZERO
}

pub(super) fn is_zero(real: &Real) -> bool {
    real.repr().significand().is_zero()
}

pub(super) fn error_sum(left: i64, right: i64) -> i64 {
    if left <= EXACT {
        right
    } else if right <= EXACT {
        left
    } else {
        left.max(right) + 1
    }
}

impl From<FpError> for Stop {
    fn from(error: FpError) -> Self {
        Self::Stuck(match error {
            FpError::Overflow(_) | FpError::Underflow(_) => Stuck::TooLarge,
            _ => Stuck::Undefined,
        })
    }
}

impl Ball {
    /// Magnitude of the larger part.
    pub(crate) fn magnitude(&self) -> i64 {
        magnitude(&self.re).max(magnitude(&self.im))
    }

    pub(crate) fn is_real(&self) -> bool {
        is_zero(&self.im)
    }

    /// Whether zero lies in the ball.
    pub(crate) fn contains_zero(&self) -> bool {
        self.magnitude() <= self.error + 1 || (is_zero(&self.re) && is_zero(&self.im))
    }

    pub(crate) fn is_exactly_zero(&self) -> bool {
        is_zero(&self.re) && is_zero(&self.im) && self.error <= EXACT
    }

    pub(crate) fn is_negative(&self) -> bool {
        self.re.is_negative()
    }

    pub(crate) fn error(&self) -> i64 {
        self.error
    }

    /// Both parts rounded to a hundred bits, tiny ones to zero: equal for equal values but for chance.
    pub(crate) fn digest(&self) -> [(String, isize); 2] {
        let floor = self.magnitude() - 110;
        [&self.re, &self.im].map(|part| {
            if magnitude(part) < floor.max(-300) {
                return (String::from("0"), 0);
            }
            let rounded = Context::<HalfEven>::new(96).add::<2>(part.repr(), &Repr::zero());
            match rounded {
                Ok(value) => {
                    let repr = value.value().into_repr();
                    (repr.significand().to_string(), repr.exponent())
                }
                Err(_) => (String::from("?"), 0),
            }
        })
    }
}

impl<'a> Arithmetic<'a> {
    pub(crate) fn new(precision: usize, cache: &'a mut ConstCache, fuel: &'a mut Fuel) -> Self {
        Self { precision, context: Context::new(precision), cache, fuel, absorbed: false }
    }

    /// Pays for an operation whose cost at 192 bits is given.
    pub(super) fn pay(&mut self, units: u64) -> Result<(), Stop> {
        let scale = (self.precision as u64).div_ceil(192);
        Ok(self.fuel.spend(units * scale * scale.div_ceil(2))?)
    }

    pub(super) fn finish(re: Real, im: Real, error: i64) -> Result<Ball, Stop> {
        if re.repr().is_infinite() || im.repr().is_infinite() {
            return Err(Stop::Stuck(Stuck::Undefined));
        }
        let size = magnitude(&re).max(magnitude(&im));
        if size > MAXIMUM_MAGNITUDE || (size > EXACT && size < -MAXIMUM_MAGNITUDE) {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        Ok(Ball { re, im, error })
    }

    /// The error of rounding a value of this magnitude.
    pub(super) fn rounding(&self, size: i64) -> i64 {
        if size <= EXACT { EXACT } else { size - self.precision as i64 + 1 }
    }

    pub(crate) fn rational(&mut self, value: &RBig) -> Result<Ball, Stop> {
        self.pay(1)?;
        let numerator = Real::from(value.numerator().clone());
        if value.is_int() && value.numerator().bit_len() <= self.precision {
            return Self::finish(numerator, zero(), EXACT);
        }
        let denominator = Real::from(IBig::from(value.denominator().clone()));
        let quotient = self.context.div(numerator.repr(), denominator.repr())?.value();
        let error = self.rounding(magnitude(&quotient));
        Self::finish(quotient, zero(), error)
    }

    pub(crate) fn pi(&mut self) -> Result<Ball, Stop> {
        self.pay(2)?;
        let pi = self.cache.pi::<2, HalfEven>(self.precision).value();
        let error = self.rounding(2);
        Self::finish(pi, zero(), error)
    }

    pub(crate) fn imaginary() -> Result<Ball, Stop> {
        Self::finish(zero(), Real::ONE, EXACT)
    }

    fn one() -> Result<Ball, Stop> {
        Self::finish(Real::ONE, zero(), EXACT)
    }

    pub(crate) fn negate(value: Ball) -> Ball {
        Ball { re: -value.re, im: -value.im, error: value.error }
    }

    pub(crate) fn conjugate(value: &Ball) -> Ball {
        Ball { re: value.re.clone(), im: -value.im.clone(), error: value.error }
    }

    pub(crate) fn parts(value: &Ball) -> (Ball, Ball) {
        (
            Ball { re: value.re.clone(), im: zero(), error: value.error },
            Ball { re: value.im.clone(), im: zero(), error: value.error },
        )
    }

    pub(crate) fn add(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        self.pay(1)?;
        let (big, small) = if left.magnitude() < right.magnitude() { (right, left) } else { (left, right) };
        let lost = big.magnitude() - small.magnitude() > self.precision as i64 - 48;
        if lost && small.magnitude() > EXACT && !small.contains_zero() {
            self.absorbed = true;
        }
        let re = self.add_reals(&left.re, &right.re)?;
        let im =
            if left.is_real() && right.is_real() { zero() } else { self.add_reals(&left.im, &right.im)? };
        let size = magnitude(&re).max(magnitude(&im));
        let error = error_sum(error_sum(left.error, right.error), self.rounding(size));
        Self::finish(re, im, error)
    }

    pub(crate) fn subtract(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        let right = Self::negate(right.clone());
        self.add(left, &right)
    }

    /// The sum with no more bits than the precision. dashu leaves one more where numbers of unlike signs meet, and so
    /// may leave a number halfway between two of the precision. To round the sine of a tiny one like that, which is
    /// the number itself but for its third power, it would compute hundreds of thousands of bits.
    pub(super) fn add_reals(&self, left: &Real, right: &Real) -> Result<Real, Stop> {
        let sum = self.context.add(left.repr(), right.repr())?.value();
        if sum.repr().digits() <= self.precision {
            return Ok(sum);
        }
        Ok(self.context.add(sum.repr(), &Repr::zero())?.value())
    }

    pub(super) fn multiply_reals(&self, left: &Real, right: &Real) -> Result<Real, Stop> {
        Ok(self.context.mul(left.repr(), right.repr())?.value())
    }

    pub(crate) fn multiply(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        self.pay(1)?;
        if left.is_exactly_zero() || right.is_exactly_zero() {
            return Self::finish(zero(), zero(), EXACT);
        }
        let (re, im) = if left.is_real() && right.is_real() {
            (self.multiply_reals(&left.re, &right.re)?, zero())
        } else {
            let first = self.multiply_reals(&left.re, &right.re)?;
            let second = self.multiply_reals(&left.im, &right.im)?;
            let third = self.multiply_reals(&left.re, &right.im)?;
            let fourth = self.multiply_reals(&left.im, &right.re)?;
            (self.add_reals(&first, &-second)?, self.add_reals(&third, &fourth)?)
        };
        let (left_size, right_size) = (left.magnitude(), right.magnitude());
        let carried = error_sum(
            scaled(right.error, left_size),
            error_sum(scaled(left.error, right_size), scaled(left.error, right.error)),
        );
        let error = error_sum(carried, self.rounding(left_size + right_size + 1));
        Self::finish(re, im, if carried <= EXACT { error } else { error + 1 })
    }

    pub(crate) fn invert(&mut self, value: &Ball) -> Result<Ball, Stop> {
        self.pay(2)?;
        if value.contains_zero() {
            return Err(Stop::Stuck(if value.error <= EXACT { Stuck::Undefined } else { Stuck::Unclear }));
        }
        let size = value.magnitude();
        let (re, im) = if value.is_real() {
            (self.context.div(Real::ONE.repr(), value.re.repr())?.value(), zero())
        } else {
            let squares = {
                let first = self.multiply_reals(&value.re, &value.re)?;
                let second = self.multiply_reals(&value.im, &value.im)?;
                self.add_reals(&first, &second)?
            };
            (
                self.context.div(value.re.repr(), squares.repr())?.value(),
                -self.context.div(value.im.repr(), squares.repr())?.value(),
            )
        };
        // the true value is at least half of 2^(size - 1) away from zero
        let carried = if value.error <= EXACT { EXACT } else { value.error - 2 * (size - 1) + 3 };
        let error = error_sum(carried, self.rounding(3 - size));
        Self::finish(re, im, error)
    }

    pub(crate) fn divide(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        let inverse = self.invert(right)?;
        self.multiply(left, &inverse)
    }

    pub(crate) fn power_of_integer(&mut self, base: &Ball, exponent: &IBig) -> Result<Ball, Stop> {
        if exponent.bit_len() > 40 {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        let mut result = Self::one()?;
        let mut square = base.clone();
        let bits = exponent.bit_len();
        let magnitude = exponent.clone().abs();
        for bit in 0..bits {
            if magnitude.bit(bit) {
                result = self.multiply(&result, &square)?;
            }
            if bit + 1 < bits {
                square = self.multiply(&square, &square)?;
            }
        }
        if exponent.is_negative() { self.invert(&result) } else { Ok(result) }
    }

    /// The principal square root.
    pub(crate) fn square_root(&mut self, value: &Ball) -> Result<Ball, Stop> {
        self.pay(3)?;
        if value.is_exactly_zero() {
            return Ok(value.clone());
        }
        if value.contains_zero() {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        if value.is_real() {
            let positive = value.re.clone().abs();
            let root = self.context.sqrt(positive.repr())?.value();
            let error = self.root_error(value, magnitude(&root));
            return if value.is_negative() {
                Self::finish(zero(), root, error)
            } else {
                Self::finish(root, zero(), error)
            };
        }
        let half = self.rational(&RBig::from_parts(IBig::ONE, 2_u8.into()))?;
        self.power_by_logarithm(value, &half)
    }

    fn root_error(&self, value: &Ball, root_size: i64) -> i64 {
        let carried =
            if value.error <= EXACT { EXACT } else { value.error - value.magnitude() + root_size + 2 };
        error_sum(carried, self.rounding(root_size))
    }

    /// The real root of a non-negative real, or of a negative one if the index is odd.
    pub(crate) fn real_root(&mut self, value: &Ball, index: usize) -> Result<Ball, Stop> {
        self.pay(6)?;
        if value.is_exactly_zero() {
            return Ok(value.clone());
        }
        if value.contains_zero() {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let positive = value.re.clone().abs();
        let root = self.context.nth_root(index, positive.repr())?.value();
        let error = self.root_error(value, magnitude(&root));
        let root = if value.is_negative() { -root } else { root };
        Self::finish(root, zero(), error)
    }
}

fn scaled(error: i64, size: i64) -> i64 {
    if error <= EXACT || size <= EXACT { EXACT } else { error + size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_has_no_more_bits_than_the_precision() {
        let precision = 192;
        let (mut cache, mut fuel) = (ConstCache::new(), Fuel::new());
        let arithmetic = Arithmetic::new(precision, &mut cache, &mut fuel);
        let third = arithmetic.context.div(Real::ONE.repr(), Real::from(3).repr()).unwrap().value();
        let mut has_one_more = false;
        for number in 1..200 {
            let number = Real::from(number);
            let small = arithmetic.multiply_reals(&third, &number).unwrap() >> 7;
            for (left, right) in [(&number, &small), (&number, &-small.clone())] {
                let by_dashu = arithmetic.context.add(left.repr(), right.repr()).unwrap().value();
                has_one_more |= by_dashu.repr().digits() > precision;
                let sum = arithmetic.add_reals(left, right).unwrap();
                assert!(sum.repr().digits() <= precision, "{left} + {right}");
                assert!(magnitude(&(sum - by_dashu)) <= magnitude(left) - precision as i64);
            }
        }
        assert!(has_one_more, "dashu rounds to the precision by itself: what does the same here can go");
    }
}

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

type Real = FBig<HalfEven, 2>;

/// No error at all.
const EXACT: i64 = i64::MIN / 4;
/// Numbers whose binary logarithm passes this are not evaluated.
const MAXIMUM_MAGNITUDE: i64 = 1 << 24;

/// A complex number, and the binary logarithm of a bound on the distance from the true value.
#[derive(Debug, Clone)]
pub(crate) struct Ball {
    re: Real,
    im: Real,
    error: i64,
}

/// Arithmetic at one precision.
pub(crate) struct Arithmetic<'a> {
    precision: usize,
    context: Context<HalfEven>,
    cache: &'a mut ConstCache,
    pub(crate) fuel: &'a mut Fuel,
    /// Some summand was lost below the precision.
    pub(crate) absorbed: bool,
}

/// The binary logarithm of a real's magnitude, rounded up; [`EXACT`] for zero.
fn magnitude(real: &Real) -> i64 {
    let repr = real.repr();
    let bits = repr.significand().bit_len();
    if bits == 0 { EXACT } else { bits as i64 + repr.exponent() as i64 }
}

fn zero() -> Real {
    Real::ZERO
}

fn is_zero(real: &Real) -> bool {
    real.repr().significand().is_zero()
}

fn error_sum(left: i64, right: i64) -> i64 {
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
    fn pay(&mut self, units: u64) -> Result<(), Stop> {
        let scale = (self.precision as u64).div_ceil(192);
        Ok(self.fuel.spend(units * scale * scale.div_ceil(2))?)
    }

    fn finish(&self, re: Real, im: Real, error: i64) -> Result<Ball, Stop> {
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
    fn rounding(&self, size: i64) -> i64 {
        if size <= EXACT { EXACT } else { size - self.precision as i64 + 1 }
    }

    pub(crate) fn rational(&mut self, value: &RBig) -> Result<Ball, Stop> {
        self.pay(1)?;
        let numerator = Real::from(value.numerator().clone());
        if value.is_int() && value.numerator().bit_len() <= self.precision {
            return self.finish(numerator, zero(), EXACT);
        }
        let denominator = Real::from(IBig::from(value.denominator().clone()));
        let quotient = self.context.div(numerator.repr(), denominator.repr())?.value();
        let error = self.rounding(magnitude(&quotient));
        self.finish(quotient, zero(), error)
    }

    pub(crate) fn pi(&mut self) -> Result<Ball, Stop> {
        self.pay(2)?;
        let pi = self.cache.pi::<2, HalfEven>(self.precision).value();
        let error = self.rounding(2);
        self.finish(pi, zero(), error)
    }

    pub(crate) fn imaginary(&mut self) -> Result<Ball, Stop> {
        self.finish(zero(), Real::ONE, EXACT)
    }

    fn one(&mut self) -> Result<Ball, Stop> {
        self.finish(Real::ONE, zero(), EXACT)
    }

    #[expect(clippy::unused_self, reason = "reads like the other operations")]
    pub(crate) fn negate(&self, value: Ball) -> Ball {
        Ball { re: -value.re, im: -value.im, error: value.error }
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
        let re = self.context.add(left.re.repr(), right.re.repr())?.value();
        let im = if left.is_real() && right.is_real() {
            zero()
        } else {
            self.context.add(left.im.repr(), right.im.repr())?.value()
        };
        let size = magnitude(&re).max(magnitude(&im));
        let error = error_sum(error_sum(left.error, right.error), self.rounding(size));
        self.finish(re, im, error)
    }

    pub(crate) fn subtract(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        let right = self.negate(right.clone());
        self.add(left, &right)
    }

    fn multiply_reals(&self, left: &Real, right: &Real) -> Result<Real, Stop> {
        Ok(self.context.mul(left.repr(), right.repr())?.value())
    }

    pub(crate) fn multiply(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        self.pay(1)?;
        if left.is_exactly_zero() || right.is_exactly_zero() {
            return self.finish(zero(), zero(), EXACT);
        }
        let (re, im) = if left.is_real() && right.is_real() {
            (self.multiply_reals(&left.re, &right.re)?, zero())
        } else {
            let first = self.multiply_reals(&left.re, &right.re)?;
            let second = self.multiply_reals(&left.im, &right.im)?;
            let third = self.multiply_reals(&left.re, &right.im)?;
            let fourth = self.multiply_reals(&left.im, &right.re)?;
            (
                self.context.sub(first.repr(), second.repr())?.value(),
                self.context.add(third.repr(), fourth.repr())?.value(),
            )
        };
        let (left_size, right_size) = (left.magnitude(), right.magnitude());
        let carried = error_sum(
            scaled(right.error, left_size),
            error_sum(scaled(left.error, right_size), scaled(left.error, right.error)),
        );
        let error = error_sum(carried, self.rounding(left_size + right_size + 1));
        self.finish(re, im, if carried <= EXACT { error } else { error + 1 })
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
                self.context.add(first.repr(), second.repr())?.value()
            };
            (
                self.context.div(value.re.repr(), squares.repr())?.value(),
                -self.context.div(value.im.repr(), squares.repr())?.value(),
            )
        };
        // the true value is at least half of 2^(size - 1) away from zero
        let carried = if value.error <= EXACT { EXACT } else { value.error - 2 * (size - 1) + 3 };
        let error = error_sum(carried, self.rounding(3 - size));
        self.finish(re, im, error)
    }

    pub(crate) fn divide(&mut self, left: &Ball, right: &Ball) -> Result<Ball, Stop> {
        let inverse = self.invert(right)?;
        self.multiply(left, &inverse)
    }

    pub(crate) fn power_of_integer(&mut self, base: &Ball, exponent: &IBig) -> Result<Ball, Stop> {
        if exponent.bit_len() > 40 {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        let mut result = self.one()?;
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
                self.finish(zero(), root, error)
            } else {
                self.finish(root, zero(), error)
            };
        }
        let half = self.rational(&RBig::from_parts(IBig::ONE, 2_u8.into()))?;
        self.power_by_logarithm(value, &half)
    }

    fn root_error(&self, value: &Ball, root_size: i64) -> i64 {
        let carried = if value.error <= EXACT { EXACT } else { value.error - value.magnitude() + root_size + 2 };
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
        self.finish(root, zero(), error)
    }

    pub(crate) fn exp(&mut self, value: &Ball) -> Result<Ball, Stop> {
        self.pay(150)?;
        if value.magnitude() > 22 {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        if value.error > -8 {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let modulus = self.context.exp(value.re.repr(), Some(&mut *self.cache))?.value();
        let size = magnitude(&modulus);
        let carried = if value.error <= EXACT { EXACT } else { value.error + size + 2 };
        let error = error_sum(carried, self.rounding(size + 1));
        if value.is_real() {
            return self.finish(modulus, zero(), error);
        }
        self.pay(120)?;
        let (sine, cosine) = self.context.sin_cos(value.im.repr(), Some(&mut *self.cache));
        let re = self.multiply_reals(&modulus, &cosine?.value())?;
        let im = self.multiply_reals(&modulus, &sine?.value())?;
        let floor = value.im.repr().exponent() as i64;
        let _ = floor;
        self.finish(re, im, error + 2)
    }

    /// The principal logarithm.
    pub(crate) fn ln(&mut self, value: &Ball) -> Result<Ball, Stop> {
        self.pay(280)?;
        if value.contains_zero() {
            return Err(Stop::Stuck(if value.error <= EXACT { Stuck::Undefined } else { Stuck::Unclear }));
        }
        let carried = if value.error <= EXACT { EXACT } else { value.error - value.magnitude() + 3 };
        if value.is_real() {
            let positive = value.re.clone().abs();
            let modulus = self.context.ln(positive.repr(), Some(&mut *self.cache))?.value();
            let size = magnitude(&modulus);
            let im = if value.is_negative() {
                self.cache.pi::<2, HalfEven>(self.precision).value()
            } else {
                zero()
            };
            let error = error_sum(carried, self.rounding(size.max(magnitude(&im))));
            return self.finish(modulus, im, error);
        }
        self.pay(280)?;
        let first = self.multiply_reals(&value.re, &value.re)?;
        let second = self.multiply_reals(&value.im, &value.im)?;
        let squares = self.context.add(first.repr(), second.repr())?.value();
        let doubled = self.context.ln(squares.repr(), Some(&mut *self.cache))?.value();
        let half = Real::ONE >> 1;
        let modulus = self.multiply_reals(&doubled, &half)?;
        let argument =
            self.context.atan2(value.im.repr(), value.re.repr(), Some(&mut *self.cache))?.value();
        // |z| near one: the logarithm is small, its error is that of |z|^2
        let error = error_sum(carried, self.rounding(magnitude(&modulus).max(magnitude(&argument)).max(2)));
        self.finish(modulus, argument, error)
    }

    pub(crate) fn power_by_logarithm(&mut self, base: &Ball, exponent: &Ball) -> Result<Ball, Stop> {
        let logarithm = self.ln(base)?;
        let product = self.multiply(&logarithm, exponent)?;
        self.exp(&product)
    }

    /// Sine and cosine.
    pub(crate) fn sin_cos(&mut self, value: &Ball) -> Result<(Ball, Ball), Stop> {
        if !value.is_real() {
            return self.complex_sin_cos(value);
        }
        self.pay(130)?;
        if value.magnitude() > 64 {
            return Err(Stop::Stuck(Stuck::TooLarge));
        }
        let (sine, cosine) = self.context.sin_cos(value.re.repr(), Some(&mut *self.cache));
        let error = error_sum(value.error, self.rounding(1));
        let exact = value.is_exactly_zero();
        Ok((
            self.finish(sine?.value(), zero(), if exact { EXACT } else { error })?,
            self.finish(cosine?.value(), zero(), if exact { EXACT } else { error })?,
        ))
    }

    fn complex_sin_cos(&mut self, value: &Ball) -> Result<(Ball, Ball), Stop> {
        let unit = self.imaginary()?;
        let rotated = self.multiply(value, &unit)?;
        let forward = self.exp(&rotated)?;
        let backward = self.invert(&forward)?;
        let half = self.rational(&RBig::from_parts(IBig::ONE, 2_u8.into()))?;
        let sum = self.add(&forward, &backward)?;
        let difference = self.subtract(&forward, &backward)?;
        let cosine = self.multiply(&sum, &half)?;
        let minus_unit = self.negate(unit);
        let halved = self.multiply(&difference, &half)?;
        Ok((self.multiply(&halved, &minus_unit)?, cosine))
    }

    /// The angle of the point `(x, y)`, both real.
    pub(crate) fn angle(&mut self, y: &Ball, x: &Ball) -> Result<Ball, Stop> {
        self.pay(300)?;
        if !y.is_real() || !x.is_real() {
            return Err(Stop::Stuck(Stuck::Undefined));
        }
        if y.contains_zero() && x.contains_zero() {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let angle = self.context.atan2(y.re.repr(), x.re.repr(), Some(&mut *self.cache))?.value();
        let carried = error_sum(y.error, x.error);
        let size = y.magnitude().max(x.magnitude());
        let carried = if carried <= EXACT { EXACT } else { carried - size + 3 };
        let error = error_sum(carried, self.rounding(2));
        self.finish(angle, zero(), error)
    }

    pub(crate) fn modulus(&mut self, value: &Ball) -> Result<Ball, Stop> {
        if value.is_real() {
            return self.finish(value.re.clone().abs(), zero(), value.error);
        }
        let (re, im) = Self::parts(value);
        let first = self.multiply(&re, &re)?;
        let second = self.multiply(&im, &im)?;
        let squares = self.add(&first, &second)?;
        self.square_root(&squares)
    }

    /// The largest whole number not above the value; unclear where the value may be whole.
    pub(crate) fn floor(&mut self, value: &Ball) -> Result<Ball, Stop> {
        if !value.is_real() || value.magnitude() > 4_096 {
            return Err(Stop::Stuck(Stuck::Undefined));
        }
        let floor = value.re.floor();
        let fraction = &value.re - &floor;
        let near_below = magnitude(&fraction) <= value.error + 1;
        let near_above = magnitude(&(Real::ONE - fraction)) <= value.error + 1;
        if near_below || near_above {
            return Err(Stop::Stuck(Stuck::Unclear));
        }
        let whole = floor.to_int().value();
        self.rational(&RBig::from(whole))
    }
}

fn scaled(error: i64, size: i64) -> i64 {
    if error <= EXACT || size <= EXACT { EXACT } else { error + size }
}
